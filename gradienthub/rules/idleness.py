"""Whether a running notebook is kept, warned or stopped, and why."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from .duration import format_duration
from .refusal import Refused
from .use import Evidence

#: Where neither the notebook nor its tier bounds an extension.
LONGEST_EXTENSION = timedelta(days=3)
#: A hard end that moved by less is the same end: what money allows is computed anew each time.
SAME_END = timedelta(minutes=1)
#: A busy notebook without work for less than this is shown as busy, and no more.
NO_WORK_SHOWN = timedelta(minutes=5)
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


class Reason(StrEnum):
    """Why a lease ended."""

    USER = "user"
    IDLE = "idle"
    UNKNOWN_USE = "unknown_use"
    NO_WORK = "no_work"
    SESSION_LIMIT = "session_limit"
    STOP_AT = "stop_at"
    BUDGET = "budget"
    CRASHED = "crashed"
    ENDED_ITSELF = "ended_itself"
    START_FAILED = "start_failed"
    LOST = "lost"
    ADMIN = "admin"
    HUB = "hub"


#: Stops that use or Extend moves, and that wait for a warning. All other stops are hard ends.
SOFT = frozenset({Reason.IDLE, Reason.UNKNOWN_USE, Reason.NO_WORK})
#: Every reason for which `decide` stops a lease.
DECIDED = SOFT | {Reason.SESSION_LIMIT, Reason.STOP_AT, Reason.BUDGET}


@dataclass(frozen=True)
class Deadlines:
    """When a lease stops: `shutdown_after` of idleness (None: never for idleness), hard ends.

    `keep_until` is what Extend gave: no soft stop before it. `money_ends_at` is when its funds end.
    `unknown_after` ends a lease whose use cannot be read for that long, and `no_work_after` one
    that is busy without work for that long; None: nothing ends it for that.
    """

    shutdown_after: timedelta | None
    stop_at: datetime | None = None
    session_ends_at: datetime | None = None
    keep_until: datetime | None = None
    money_ends_at: datetime | None = None
    unknown_after: timedelta | None = None
    no_work_after: timedelta | None = None

    def watched_by(self, unknown: float | None, no_work: float | None) -> "Deadlines":
        """Return the same with ends of so many idle intervals for unknown use and for no work.

        None or 0: no such end. A lease without an idle interval has neither.
        """
        return replace(
            self,
            unknown_after=_intervals(unknown, self.shutdown_after),
            no_work_after=_intervals(no_work, self.shutdown_after),
        )


def _intervals(count: float | None, interval: timedelta | None) -> timedelta | None:
    """Return so many intervals in whole seconds."""
    if not count or interval is None:
        return None
    return timedelta(seconds=round(count * interval.total_seconds()))


@dataclass(frozen=True)
class Warned:
    """The last warning: at `at` people were told that it stops at `stops_at`; `level` before it.

    `other`: the last one of the other sort, of a hard end or of a soft stop, so that none is
    given again when what comes first changes to and fro.
    """

    reason: Reason
    stops_at: datetime
    level: timedelta
    at: datetime
    other: "Warned | None" = None


@dataclass(frozen=True)
class Keep:
    """It goes on."""

    why: str


@dataclass(frozen=True)
class Warn:
    """It stops at `stops_at` unless something changes; people are told now."""

    reason: Reason
    stops_at: datetime
    level: timedelta
    why: str

    def remember(self, before: Warned | None, now: datetime) -> Warned:
        """Return what is remembered once people are told, after the warning `before` it."""
        soft = self.reason in SOFT
        other = before if before and (before.reason in SOFT) != soft else None
        other = other or (before.other if before else None)
        return Warned(
            self.reason, self.stops_at, self.level, now, other and replace(other, other=None)
        )


@dataclass(frozen=True)
class Stop:
    """It ends now."""

    reason: Reason
    why: str


@dataclass(frozen=True)
class Ending:
    """When a lease stops as things stand, and why."""

    at: datetime
    reason: Reason
    why: str


def hard_end(deadlines: Deadlines) -> Ending | None:
    """Return the first end that no use of the notebook moves."""
    ends = [
        Ending(at, reason, why)
        for at, reason, why in (
            (deadlines.session_ends_at, Reason.SESSION_LIMIT, "its tier's session limit"),
            (deadlines.stop_at, Reason.STOP_AT, "the end time its owner chose"),
            (deadlines.money_ends_at, Reason.BUDGET, "the money for it ends"),
        )
        if at
    ]
    return min(ends, key=lambda end: end.at, default=None)


def ending(
    evidence: Evidence, deadlines: Deadlines, warned: Warned | None, grace: timedelta
) -> Ending | None:
    """Return when and why it stops if nothing changes; None while nothing ends it.

    A soft stop waits for a warning of at least `grace`; hard ends wait for nothing.
    """
    hard, soft = hard_end(deadlines), _soft_end(evidence, deadlines)
    if soft is None:
        return hard
    for warning in _both_sorts(warned):
        promised = replace(soft, at=max(soft.at, warning.at + grace))
        if _stands(warning, promised, evidence):
            soft = promised
    return hard if hard and hard.at <= soft.at else soft


def _soft_end(evidence: Evidence, deadlines: Deadlines) -> Ending | None:
    """Return the end that use or Extend moves, before any warning."""
    after = deadlines.shutdown_after
    if after is None:
        return None
    if evidence.busy:
        span, since = deadlines.no_work_after, evidence.worked_at
        # Where the CPU time cannot be read, it may work.
        if span is None or since is None or evidence.cpu_load is None:
            return None
        end = Ending(since + span, Reason.NO_WORK, _why_no_work(since))
    elif evidence.unknown_since:
        span, since = deadlines.unknown_after, evidence.missed_since or evidence.unknown_since
        if span is None:
            return None
        # What can be read may show use after the rest was missed.
        at = max(since + span, evidence.used_at + after)
        end = Ending(at, Reason.UNKNOWN_USE, _why_unknown(evidence, since))
    else:
        why = f"idle for {format_duration(after)}"
        end = Ending(evidence.used_at + after, Reason.IDLE, why)
    return replace(end, at=max(end.at, deadlines.keep_until or end.at))


def _why_no_work(since: datetime) -> str:
    return f"busy without work since {moment_text(since)}"


def _why_unknown(evidence: Evidence, since: datetime) -> str:
    what = f"the use of {', '.join(evidence.unread)}" if evidence.unread else "its use"
    return f"{what} could not be read since {moment_text(since)}"


def moment_text(at: datetime) -> str:
    """Return a moment for a sentence that is kept: "16:20 UTC on 27 Nov"."""
    return f"{at:%H:%M} UTC on {at.day} {MONTHS[at.month - 1]}"


def next_end(
    evidence: Evidence,
    deadlines: Deadlines,
    warned: Warned | None,
    grace: timedelta,
    now: datetime,
) -> datetime | None:
    """Return the first end to come after `now`, when the keeper has to look again; or None.

    A soft end that has passed waits for its warning, and hides no hard end behind it.
    """
    ends = (ending(evidence, deadlines, warned, grace), hard_end(deadlines))
    return min((end.at for end in ends if end and end.at > now), default=None)


def decide(
    evidence: Evidence,
    deadlines: Deadlines,
    warned: Warned | None,
    levels: Sequence[timedelta],
    now: datetime,
) -> Keep | Warn | Stop:
    """Keep, warn or stop. `levels` are the times before a stop at which people are warned.

    The shortest level is also the least warning of a soft stop. Levels of more than half of the
    time that leads to it are left out, because they would follow every use at once.
    """
    grace = min(levels)
    hard = hard_end(deadlines)
    if hard and now >= hard.at:
        return Stop(hard.reason, hard.why)
    end = ending(evidence, deadlines, warned, grace)
    warn = None
    if end and end.reason in SOFT:
        if now >= end.at and _warning_of(end, warned, evidence):
            return Stop(end.reason, end.why)
        span = _span_of(end.reason, deadlines)
        fitting = [level for level in levels if 2 * level <= span or now >= end.at]
        if warn := _due(end, evidence, warned, fitting, now):
            warn = replace(warn, stops_at=max(end.at, now + grace))
            if hard and hard.at <= warn.stops_at:  # what comes before its time to wait is over
                warn = _due(hard, evidence, warned, levels, now)
    elif end:
        warn = _due(end, evidence, warned, levels, now)
    return warn or Keep(why_kept(evidence, deadlines, now))


def _span_of(reason: Reason, deadlines: Deadlines) -> timedelta:
    """Return the time that leads to a soft stop."""
    spans = {
        Reason.UNKNOWN_USE: deadlines.unknown_after,
        Reason.NO_WORK: deadlines.no_work_after,
    }
    return spans.get(reason) or deadlines.shutdown_after or timedelta(0)


def _due(
    end: Ending,
    evidence: Evidence,
    warned: Warned | None,
    levels: Iterable[timedelta],
    now: datetime,
) -> Warn | None:
    """Return the warning of this end that is to be given now."""
    due = min((level for level in levels if end.at - now <= level), default=None)
    before = _warning_of(end, warned, evidence)
    if due is None or (before and before.level <= due):
        return None
    return Warn(end.reason, end.at, due, end.why)


def _warning_of(end: Ending, warned: Warned | None, evidence: Evidence) -> Warned | None:
    return next((w for w in _both_sorts(warned) if _stands(w, end, evidence)), None)


def _both_sorts(warned: Warned | None) -> list[Warned]:
    return [warning for warning in (warned, warned and warned.other) if warning]


def _stands(warned: Warned, end: Ending, evidence: Evidence) -> bool:
    """Return whether a warning still tells the truth: any use or Extend that moves the stop voids
    it.

    One from after the last look was given before our own clock was set back.
    """
    if warned.reason is not end.reason:
        return False
    if end.reason in SOFT:
        # What does not answer is looked at later than it last answered.
        looked_at = None if end.reason is Reason.UNKNOWN_USE else evidence.looked_at
        return warned.at <= (looked_at or warned.at) and end.at == warned.stops_at
    return abs(warned.stops_at - end.at) <= SAME_END


def standing_warning(
    warned: Warned | None, evidence: Evidence, deadlines: Deadlines, grace: timedelta
) -> Warned | None:
    """Return the warning if it still tells the truth, to be shown to people."""
    end = ending(evidence, deadlines, warned, grace)
    return _warning_of(end, warned, evidence) if end else None


def why_kept(evidence: Evidence, deadlines: Deadlines, now: datetime) -> str:
    """Return what keeps it alive, for people."""
    if evidence.busy:
        since = f" for {format_duration(now - evidence.busy_since)}" if evidence.busy_since else ""
        nothing = is_without_work(evidence, now)
        work = f", without work for {format_duration(nothing)}" if nothing else ""
        return f"busy{since}: {', '.join(evidence.busy)}{work}"
    if evidence.unknown_since:
        what = f"the use of {', '.join(evidence.unread)}" if evidence.unread else "its use"
        return f"{what} cannot be told for {format_duration(now - evidence.unknown_since)}"
    if deadlines.shutdown_after is None:
        return "no idle stop is set"
    # Below zero where the clock was set back.
    idle = format_duration(max(now - evidence.used_at, timedelta(0)))
    return f"idle for {idle} of {format_duration(deadlines.shutdown_after)}"


def is_without_work(evidence: Evidence, now: datetime) -> timedelta | None:
    """Return for how long a busy notebook has shown no work; None: it works, or nobody can tell.

    Less than a few minutes are not worth a word: work comes and goes.
    """
    if not evidence.busy or evidence.worked_at is None or evidence.cpu_load is None:
        return None
    idle = now - evidence.worked_at
    return idle if idle >= NO_WORK_SHOWN else None


def is_blind(evidence: Evidence, deadlines: Deadlines, now: datetime) -> bool:
    """Return whether its use has been unknown for so long that an idle stop may have been
    missed."""
    return (
        evidence.unknown_since is not None
        and deadlines.shutdown_after is not None
        and now - evidence.unknown_since > deadlines.shutdown_after
    )


def extend(
    end: Ending | None, deadlines: Deadlines, longest: timedelta | None, now: datetime
) -> Deadlines | Refused:
    """Return the deadlines after Extend at `now`: one more interval, at most the tier's `longest`.

    `end` is what ends it as things stand. The idle stop and the end its owner chose move; a
    session limit and the end of money do not.
    """
    if deadlines.shutdown_after is None and deadlines.stop_at is None:
        return Refused(
            "cannot_extend", "Nothing stops it when idle, so there is nothing to extend."
        )
    span = min(span for span in (deadlines.shutdown_after, longest, LONGEST_EXTENSION) if span)
    until = now + span
    fixed = hard_end(replace(deadlines, stop_at=None))
    if fixed and fixed.at <= until:
        # While it is busy, a fixed end far away is what ends it, and its idle stop can move.
        if end and end.reason is fixed.reason:
            return _cannot_extend(fixed)
        until = fixed.at
    return replace(
        deadlines,
        keep_until=max(until, deadlines.keep_until or until),
        stop_at=max(deadlines.stop_at, until) if deadlines.stop_at else None,
    )


def refuse_program(before: int, most: int | None) -> Refused | None:
    """Return why a program may not extend a lease for the next time, or None.

    `before` is how often programs extended it since a person did, `most` how often they may.
    """
    if most is None or before < most:
        return None
    message = (
        f"Programs have extended it {before} times since a person did, which is as often as they"
        " may."
        if most
        else "Programs may not extend it."
    )
    return Refused("too_many_extensions", message, "Extend it yourself on the page Notebooks.")


def _cannot_extend(fixed: Ending) -> Refused:
    cure = (
        "Add credit or ask for a larger budget, then extend it."
        if fixed.reason is Reason.BUDGET
        else "Save your work; it can be started again afterwards."
    )
    return Refused("cannot_extend", f"It cannot be kept longer: {fixed.why}.", cure)


def cull(idle_for: timedelta | None, deadlines: Deadlines, now: datetime) -> Keep | Stop:
    """Keep or stop without warning, which is all that the small mode can do.

    `idle_for` is None where nobody knows, and unknown is not idle.
    """
    hard = hard_end(deadlines)
    if hard and now >= hard.at:
        return Stop(hard.reason, hard.why)
    if deadlines.shutdown_after is None:
        return Keep("no idle stop is set")
    if idle_for is None:
        return Keep("nothing is known of its use")
    # Below zero where the notebook's clock is ahead of ours.
    idle_for = max(idle_for, timedelta(0))
    if idle_for >= deadlines.shutdown_after:
        return Stop(Reason.IDLE, f"idle for {format_duration(idle_for)}")
    allowed = format_duration(deadlines.shutdown_after)
    return Keep(f"idle for {format_duration(idle_for)} of {allowed}")
