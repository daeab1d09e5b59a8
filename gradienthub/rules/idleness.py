"""Whether a running notebook is kept, warned or stopped, and why."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from .duration import format_duration
from .refusal import Refused

#: Where neither the notebook nor its tier bounds an extension.
LONGEST_EXTENSION = timedelta(days=3)
#: A hard end that moved by less is the same end: what money allows is computed anew each time.
SAME_END = timedelta(minutes=1)
#: A notebook's word from outside of these years is none, and some databases could not keep it.
YEARS_OF_SENSE = range(1970, 2970)


class Reason(StrEnum):
    """Why a lease ended."""

    USER = "user"
    IDLE = "idle"
    SESSION_LIMIT = "session_limit"
    STOP_AT = "stop_at"
    BUDGET = "budget"
    CRASHED = "crashed"
    START_FAILED = "start_failed"
    LOST = "lost"
    ADMIN = "admin"
    HUB = "hub"


@dataclass(frozen=True)
class Deadlines:
    """When a lease stops: `shutdown_after` of idleness (None: never for idleness), hard ends.

    `keep_until` is what Extend gave: no idle stop before it. `money_ends_at` is when its funds end.
    """

    shutdown_after: timedelta | None
    stop_at: datetime | None = None
    session_ends_at: datetime | None = None
    keep_until: datetime | None = None
    money_ends_at: datetime | None = None


class Use(StrEnum):
    """What showed that a notebook is used."""

    START = "start"
    KERNEL = "kernel"
    TERMINAL = "terminal"
    PERSON = "person"
    GPU = "gpu"


@dataclass(frozen=True)
class Answer:
    """What a notebook said of its use, in moments of its own clock.

    `busy` names what works right now: notebook paths, kernel names, a loaded GPU.
    """

    busy: tuple[str, ...] = ()
    used_at: datetime | None = None
    used_by: Use = Use.KERNEL


@dataclass(frozen=True)
class Evidence:
    """What is known of a notebook's use; moments are of our own clock, except `reported_at`.

    `used_at` and `used_by`: the latest known use, at least its start. `busy`: what works right
    now, since `busy_since`. `looked_at`: when it last answered. `unknown_since`: from when its use
    cannot be told; None: it answered the last time. `reported_at`: its own word for the latest
    use, as it stood at the last look.
    """

    used_at: datetime
    used_by: Use = Use.START
    busy: tuple[str, ...] = ()
    busy_since: datetime | None = None
    looked_at: datetime | None = None
    unknown_since: datetime | None = None
    reported_at: datetime | None = None


def learn(known: Evidence, answer: Answer | None, now: datetime) -> Evidence:
    """What is known after a look at `now`; `answer` None: it did not answer, or not in sense.

    A notebook's clock may be wrong by hours, so a later moment than the last time only says that
    it was used since the last look: at that moment if it lies in between, else as late as now.
    A lower one says that a kernel was deleted.
    """
    known = _until(known, now)
    if answer is None:
        since = known.looked_at or known.used_at
        return replace(known, busy=(), busy_since=None, unknown_since=since)
    word = answer.used_at if answer.used_at and answer.used_at.year in YEARS_OF_SENSE else None
    seen = replace(
        known, busy=(), busy_since=None, looked_at=now, unknown_since=None, reported_at=word
    )
    if answer.busy:
        return replace(
            seen, used_at=now, used_by=answer.used_by, busy=answer.busy,
            busy_since=known.busy_since if known.busy else now,
        )  # fmt: skip
    if word is None or (known.reported_at and word <= known.reported_at):
        return seen
    used_at = word if (known.looked_at or word) <= word <= now else now
    return (
        replace(seen, used_at=used_at, used_by=answer.used_by) if used_at > known.used_at else seen
    )


def _until(known: Evidence, now: datetime) -> Evidence:
    """Without moments to come, which are left where our own clock was set back unseen."""
    return replace(
        known,
        used_at=min(known.used_at, now),
        busy_since=known.busy_since and min(known.busy_since, now),
        looked_at=known.looked_at and min(known.looked_at, now),
        unknown_since=known.unknown_since and min(known.unknown_since, now),
    )


def shifted(known: Evidence, by: timedelta) -> Evidence:
    """The same evidence after our own clock was set forward (or back) by that much."""
    return replace(
        known,
        used_at=known.used_at + by,
        busy_since=known.busy_since and known.busy_since + by,
        looked_at=known.looked_at and known.looked_at + by,
        unknown_since=known.unknown_since and known.unknown_since + by,
    )


@dataclass(frozen=True)
class Warned:
    """The last warning: at `at` people were told that it stops at `stops_at`; `level` before it.

    `other`: the last one of the other sort, of a hard end or of an idle stop, so that none is
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

    def given(self, before: Warned | None, now: datetime) -> Warned:
        """What is remembered once people are told, after the warning `before` it."""
        idle = self.reason is Reason.IDLE
        other = before if before and (before.reason is Reason.IDLE) != idle else None
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
    """The first end that no use of the notebook moves."""
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
    """When and why it stops if nothing changes; None while nothing ends it.

    An idle stop waits for a warning of at least `grace`; hard ends wait for nothing.
    """
    hard = hard_end(deadlines)
    if deadlines.shutdown_after is None or evidence.busy or evidence.unknown_since:
        return hard
    at = evidence.used_at + deadlines.shutdown_after
    if deadlines.keep_until:
        at = max(at, deadlines.keep_until)
    idle = Ending(at, Reason.IDLE, f"idle for {format_duration(deadlines.shutdown_after)}")
    for told in _sorts(warned):
        promised = replace(idle, at=max(at, told.at + grace))
        if _stands(told, promised, evidence):
            idle = promised
    return hard if hard and hard.at <= idle.at else idle


def decide(
    evidence: Evidence,
    deadlines: Deadlines,
    warned: Warned | None,
    levels: Sequence[timedelta],
    now: datetime,
) -> Keep | Warn | Stop:
    """Keep, warn or stop. `levels` are the times before a stop at which people are warned.

    The shortest level is also the least warning of an idle stop. Levels of more than half of the
    idle interval are left out, because they would follow every use at once.
    """
    grace = min(levels)
    hard = hard_end(deadlines)
    if hard and now >= hard.at:
        return Stop(hard.reason, hard.why)
    end = ending(evidence, deadlines, warned, grace)
    warn = None
    if end and end.reason is Reason.IDLE:
        if now >= end.at and _told_of(end, warned, evidence):
            return Stop(end.reason, end.why)
        interval = deadlines.shutdown_after or timedelta(0)
        fitting = [level for level in levels if 2 * level <= interval or now >= end.at]
        if warn := _due(end, evidence, warned, fitting, now):
            warn = replace(warn, stops_at=max(end.at, now + grace))
            if hard and hard.at <= warn.stops_at:  # what comes before its time to wait is over
                warn = _due(hard, evidence, warned, levels, now)
    elif end:
        warn = _due(end, evidence, warned, levels, now)
    return warn or Keep(why_kept(evidence, deadlines, now))


def _due(
    end: Ending,
    evidence: Evidence,
    warned: Warned | None,
    levels: Iterable[timedelta],
    now: datetime,
) -> Warn | None:
    """The warning of this end that is to be given now."""
    due = min((level for level in levels if end.at - now <= level), default=None)
    told = _told_of(end, warned, evidence)
    if due is None or (told and told.level <= due):
        return None
    return Warn(end.reason, end.at, due, end.why)


def _told_of(end: Ending, warned: Warned | None, evidence: Evidence) -> Warned | None:
    return next((told for told in _sorts(warned) if _stands(told, end, evidence)), None)


def _sorts(warned: Warned | None) -> list[Warned]:
    return [one for one in (warned, warned and warned.other) if one]


def _stands(warned: Warned, end: Ending, evidence: Evidence) -> bool:
    """Whether a warning still tells the truth: any use or Extend that moves the stop voids it.

    One from after the last look was given before our own clock was set back.
    """
    if warned.reason is not end.reason:
        return False
    if end.reason is Reason.IDLE:
        return warned.at <= (evidence.looked_at or warned.at) and end.at == warned.stops_at
    return abs(warned.stops_at - end.at) <= SAME_END


def standing(
    warned: Warned | None, evidence: Evidence, deadlines: Deadlines, grace: timedelta
) -> Warned | None:
    """The warning if it still tells the truth, to be shown to people."""
    end = ending(evidence, deadlines, warned, grace)
    return _told_of(end, warned, evidence) if end else None


def why_kept(evidence: Evidence, deadlines: Deadlines, now: datetime) -> str:
    """What keeps it alive, for people."""
    if evidence.unknown_since:
        return f"its use cannot be told for {format_duration(now - evidence.unknown_since)}"
    if evidence.busy:
        since = f" for {format_duration(now - evidence.busy_since)}" if evidence.busy_since else ""
        return f"busy{since}: {', '.join(evidence.busy)}"
    if deadlines.shutdown_after is None:
        return "no idle stop is set"
    # Below zero where the clock was set back.
    idle = format_duration(max(now - evidence.used_at, timedelta(0)))
    return f"idle for {idle} of {format_duration(deadlines.shutdown_after)}"


def is_blind(evidence: Evidence, deadlines: Deadlines, now: datetime) -> bool:
    """Whether its use has been unknown for so long that an idle stop may have been missed."""
    return (
        evidence.unknown_since is not None
        and deadlines.shutdown_after is not None
        and now - evidence.unknown_since > deadlines.shutdown_after
    )


def extend(
    end: Ending | None, deadlines: Deadlines, longest: timedelta | None, now: datetime
) -> Deadlines | Refused:
    """The deadlines after Extend at `now`: one more interval, at most the tier's `longest`.

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
