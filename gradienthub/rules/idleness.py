"""Whether a running notebook is kept, warned or stopped, and why."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from .duration import format_duration
from .refusal import Refused

#: Where neither the notebook nor its tier bounds an extension.
LONGEST_EXTENSION = timedelta(days=3)
#: A hard end that moved by less is the same end: what money allows is computed anew each time.
SAME_END = timedelta(minutes=1)


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

    A notebook's clock may be wrong by hours, so its moments only say that something happened
    since the last look; they count as they are only where they fall in between.
    """
    if answer is None:
        since = known.unknown_since or known.looked_at or known.used_at
        return replace(known, busy=(), busy_since=None, unknown_since=since)
    seen = replace(
        known, busy=(), busy_since=None, looked_at=now, unknown_since=None,
        reported_at=answer.used_at,
    )  # fmt: skip
    if answer.busy:
        return replace(
            seen, used_at=now, used_by=answer.used_by, busy=answer.busy,
            busy_since=known.busy_since if known.busy else now,
        )  # fmt: skip
    if answer.used_at is None or (known.reported_at and answer.used_at <= known.reported_at):
        return seen
    earliest = known.used_at if known.reported_at is None else known.looked_at or known.used_at
    used_at = min(max(answer.used_at, earliest), now)
    if used_at <= known.used_at:
        return seen
    return replace(seen, used_at=used_at, used_by=answer.used_by)


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
    """The last warning: at `at` people were told that it stops at `stops_at`; `level` before it."""

    reason: Reason
    stops_at: datetime
    level: timedelta
    at: datetime


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
    if warned and _stands(warned, Ending(at, Reason.IDLE, ""), evidence):
        at = max(at, warned.at + grace)
    if hard and hard.at <= at:
        return hard
    return Ending(at, Reason.IDLE, f"idle for {format_duration(deadlines.shutdown_after)}")


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
    if end is None:
        return Keep(why_kept(evidence, deadlines, now))
    standing = warned if warned and _stands(warned, end, evidence) else None
    if end.reason is Reason.IDLE:
        if now >= end.at and standing:
            return Stop(Reason.IDLE, end.why)
        if now >= end.at:
            # A hard end may come before the grace is over.
            at = min(now + grace, hard.at) if hard else now + grace
            return Warn(Reason.IDLE, at, grace, end.why)
        interval = deadlines.shutdown_after or timedelta(0)
        levels = [level for level in levels if 2 * level <= interval]
    due = min((level for level in levels if end.at - now <= level), default=None)
    if due is None or (standing and standing.level <= due):
        return Keep(why_kept(evidence, deadlines, now))
    return Warn(end.reason, end.at, due, end.why)


def _stands(warned: Warned, end: Ending, evidence: Evidence) -> bool:
    """Whether a warning still tells the truth: of the same stop, and not used since."""
    if warned.reason is not end.reason:
        return False
    if end.reason is Reason.IDLE:
        return evidence.used_at <= warned.at and end.at <= warned.stops_at
    return abs(warned.stops_at - end.at) <= SAME_END


def standing(
    warned: Warned | None, evidence: Evidence, deadlines: Deadlines, grace: timedelta
) -> Warned | None:
    """The warning if it still tells the truth, to be shown to people."""
    end = ending(evidence, deadlines, warned, grace)
    return warned if warned and end and _stands(warned, end, evidence) else None


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
    fixed = hard_end(replace(deadlines, stop_at=None))
    if fixed and end and end.reason is fixed.reason:
        return _cannot_extend(fixed)
    span = min(span for span in (deadlines.shutdown_after, longest, LONGEST_EXTENSION) if span)
    until = min(now + span, fixed.at) if fixed else now + span
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
