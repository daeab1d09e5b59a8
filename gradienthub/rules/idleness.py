"""Whether a running notebook is kept, warned or stopped, and why."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from .duration import format_duration
from .refusal import Refused

#: Where neither the notebook nor its tier bounds an extension.
LONGEST_EXTENSION = timedelta(days=3)
#: A hard end that moved by less is the same end: what money allows is computed anew each time.
SAME_END = timedelta(minutes=1)
#: A busy notebook without work for less than this is shown as busy, and no more.
NO_WORK_SHOWN = timedelta(minutes=5)
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
#: A notebook's word from outside of these years is none, and some databases could not keep it.
YEARS_OF_SENSE = range(1970, 2970)


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


class Use(StrEnum):
    """What showed that a notebook is used."""

    START = "start"
    KERNEL = "kernel"
    TERMINAL = "terminal"
    PERSON = "person"
    GPU = "gpu"
    REQUEST = "request"


#: Said wherever such a notebook is chosen, or warned of.
REQUESTS_COUNT = "Requests to it count as use: an open tab keeps it running, until you close it"


@dataclass(frozen=True)
class Answer:
    """What a notebook said of its use, in moments of its own clock.

    `busy` names what works right now: notebook paths, kernel names, a loaded GPU. `used_at` is the
    newest of `moments`, which has one moment for each kernel, terminal and other signal. `unread`
    names what could not be read and may hide use.
    """

    busy: tuple[str, ...] = ()
    used_at: datetime | None = None
    used_by: Use = Use.KERNEL
    moments: Mapping[str, tuple[datetime, Use]] = field(default_factory=dict)
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """What is known of a notebook's use; moments are of our own clock, except `reported_at`.

    `used_at` and `used_by`: the latest known use, at least its start. `busy`: what works right
    now, since `busy_since`. `looked_at`: when it last answered. `unknown_since`: from when its use
    cannot be told; None: it was told at the last look. `missed_since`: the first look since then
    that did not tell it; `unread` names what it did not tell, empty: everything.
    `reported_at`: its own word for the latest use, as it stood at the last look, and `reported`
    the same for each of its signals.

    `worked_at`: the latest known work of a busy notebook; None: it is not busy. `cpu_seconds`: the
    CPU time of its container at `cpu_at`. `cpu_load`: per cent of one CPU that it used between the
    last two readings; None: it could not be read at the last look.
    """

    used_at: datetime
    used_by: Use = Use.START
    busy: tuple[str, ...] = ()
    busy_since: datetime | None = None
    looked_at: datetime | None = None
    unknown_since: datetime | None = None
    reported_at: datetime | None = None
    missed_since: datetime | None = None
    unread: tuple[str, ...] = ()
    reported: Mapping[str, datetime] = field(default_factory=dict)
    worked_at: datetime | None = None
    cpu_seconds: float | None = None
    cpu_at: datetime | None = None
    cpu_load: float | None = None


def learn(known: Evidence, answer: Answer | None, now: datetime) -> Evidence:
    """Update the evidence after a look at `now`. `answer` is None when nothing could be read.

    A notebook's clock may be wrong by hours, so a later moment than the last time only says that
    it was used since the last look: at that moment if it lies in between, else as late as now.
    A lower one says that a kernel was deleted. Each signal is compared with its own last moment,
    so that one with a wrong moment hides no other.
    """
    known = _until(known, now)
    since = known.unknown_since or known.looked_at or known.used_at
    missed = known.missed_since or now
    if answer is None:
        return replace(
            known, busy=(), busy_since=None, unknown_since=since, missed_since=missed, unread=()
        )
    moments = _sensible(answer)
    word = max((at for at, _ in moments.values()), default=None)
    uses = [
        (at if (known.looked_at or at) <= at <= now else now, use)
        for key, (at, use) in moments.items()
        if _moved(key, at, known, now)
    ]
    seen = replace(
        known,
        busy=(),
        busy_since=None,
        looked_at=now,
        unknown_since=None,
        missed_since=None,
        unread=answer.unread,
        reported_at=word,
        reported={k: at for k, (at, _) in moments.items()},
        worked_at=None,
    )
    used_at, used_by = max(uses, key=lambda use: use[0], default=(known.used_at, known.used_by))
    # A kernel that speaks, and a person at work elsewhere in it, are work.
    worked = used_at if uses and used_at > known.used_at else known.worked_at
    if answer.busy:
        return replace(
            seen,
            used_at=now,
            used_by=answer.used_by,
            busy=answer.busy,
            busy_since=known.busy_since if known.busy else now,
            worked_at=worked or now,
        )
    if answer.unread:
        # What is not read may be what was busy.
        worked = worked if known.worked_at else None
        seen = replace(seen, unknown_since=since, missed_since=missed, worked_at=worked)
    return replace(seen, used_at=used_at, used_by=used_by) if used_at > known.used_at else seen


def _sensible(answer: Answer) -> dict[str, tuple[datetime, Use]]:
    moments = answer.moments or (
        {"": (answer.used_at, answer.used_by)} if answer.used_at is not None else {}
    )
    return {key: one for key, one in moments.items() if one[0].year in YEARS_OF_SENSE}


def _moved(key: str, at: datetime, known: Evidence, now: datetime) -> bool:
    """Return whether a signal's moment says that it was used since the last look.

    A signal that is new is judged by the newest of all, so that an old kernel seen for the first
    time is no use, and by our own clock.
    """
    if key in known.reported:
        return at > known.reported[key]
    if known.reported_at is None or at > known.reported_at:
        return True
    return known.looked_at is not None and known.looked_at < at <= now


@dataclass(frozen=True)
class Effort:
    """What a look says of a notebook's work: CPU time used until `at`, load of its GPU.

    None: that could not be read.
    """

    cpu_seconds: float | None = None
    at: datetime | None = None
    gpu_percent: float | None = None


#: CPU time of a longer span between two readings is judged as if it was used within this one.
LONGEST_SPAN = timedelta(minutes=10)


def weigh(known: Evidence, effort: Effort, work_percent: float, now: datetime) -> Evidence:
    """Update what is known of a notebook's work after a look at `now`; `known` is after `learn`.

    It works when its container used more than `work_percent` of one CPU, or its GPU is loaded by
    more. A counter that went back belongs to a container that was started again: the look says
    nothing. A span without a reading is judged by what was used in all of it.
    """
    load, worked = None, effort.gpu_percent is not None and effort.gpu_percent > work_percent
    seconds, at = known.cpu_seconds, known.cpu_at
    if effort.cpu_seconds is not None and effort.at is not None:
        read_at = min(effort.at, now)
        if seconds is not None and at is not None and read_at > at:
            used, span = effort.cpu_seconds - seconds, read_at - at
            if used >= 0:
                load = 100 * used / span.total_seconds()
                judged = min(span, LONGEST_SPAN).total_seconds()
                worked = worked or 100 * used > work_percent * judged
        elif read_at == at:  # the same reading as before
            load = known.cpu_load
        if now - read_at > LONGEST_SPAN:  # what it does since then is not known
            load = None
        seconds, at = effort.cpu_seconds, read_at
    known = replace(known, cpu_seconds=seconds, cpu_at=at, cpu_load=load)
    return replace(known, worked_at=now) if worked and known.worked_at else known


def _until(known: Evidence, now: datetime) -> Evidence:
    """Return the evidence without moments to come, which a clock set back unseen leaves."""
    return _each_moment(known, lambda at: min(at, now))


def shifted(known: Evidence, by: timedelta) -> Evidence:
    """Return the same evidence after our own clock was set forward (or back) by that much."""
    return _each_moment(known, lambda at: at + by)


def _each_moment(known: Evidence, move: Callable[[datetime], datetime]) -> Evidence:
    """Return the evidence with each moment of our own clock moved."""
    return replace(
        known,
        used_at=move(known.used_at),
        busy_since=known.busy_since and move(known.busy_since),
        looked_at=known.looked_at and move(known.looked_at),
        unknown_since=known.unknown_since and move(known.unknown_since),
        missed_since=known.missed_since and move(known.missed_since),
        worked_at=known.worked_at and move(known.worked_at),
        cpu_at=known.cpu_at and move(known.cpu_at),
    )


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

    def given(self, before: Warned | None, now: datetime) -> Warned:
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
    for told in _sorts(warned):
        promised = replace(soft, at=max(soft.at, told.at + grace))
        if _stands(told, promised, evidence):
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
        if now >= end.at and _told_of(end, warned, evidence):
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
    told = _told_of(end, warned, evidence)
    if due is None or (told and told.level <= due):
        return None
    return Warn(end.reason, end.at, due, end.why)


def _told_of(end: Ending, warned: Warned | None, evidence: Evidence) -> Warned | None:
    return next((told for told in _sorts(warned) if _stands(told, end, evidence)), None)


def _sorts(warned: Warned | None) -> list[Warned]:
    return [one for one in (warned, warned and warned.other) if one]


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


def standing(
    warned: Warned | None, evidence: Evidence, deadlines: Deadlines, grace: timedelta
) -> Warned | None:
    """Return the warning if it still tells the truth, to be shown to people."""
    end = ending(evidence, deadlines, warned, grace)
    return _told_of(end, warned, evidence) if end else None


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
