"""What is known of a notebook's use, and what each look at it adds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

#: A notebook's word from outside of these years is none, and some databases could not keep it.
YEARS_OF_SENSE = range(1970, 2970)
#: CPU time of a longer span between two readings is judged as if it was used within this one.
LONGEST_SPAN = timedelta(minutes=10)


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


def learn(before: Evidence, answer: Answer | None, now: datetime) -> Evidence:
    """Update the evidence after a look at `now`. `answer` is None when nothing could be read.

    A notebook's clock may be wrong by hours, so a later moment than the last time only says that
    it was used since the last look: at that moment if it lies in between, else as late as now.
    A lower one says that a kernel was deleted. Each signal is compared with its own last moment,
    so that one with a wrong moment hides no other.
    """
    before = _drop_future(before, now)
    unknown = _note_silence(before, now)
    if answer is None:
        return replace(unknown, busy=(), busy_since=None, unread=())
    moments = _sensible_moments(answer)
    used_at, used_by = _latest_use(before, moments, now)
    # A kernel that speaks, and a person at work elsewhere in it, are work.
    worked = used_at if used_at > before.used_at else before.worked_at
    seen = replace(_note_answer(before, answer, moments), looked_at=now)
    if answer.busy:
        return replace(
            seen,
            used_at=now,
            used_by=answer.used_by,
            busy=answer.busy,
            busy_since=before.busy_since if before.busy else now,
            worked_at=worked or now,
        )
    if answer.unread:
        # What is not read may be what was busy.
        seen = replace(
            seen,
            unknown_since=unknown.unknown_since,
            missed_since=unknown.missed_since,
            worked_at=worked if before.worked_at else None,
        )
    return replace(seen, used_at=used_at, used_by=used_by)


def _note_answer(
    before: Evidence, answer: Answer, moments: Mapping[str, tuple[datetime, Use]]
) -> Evidence:
    """Return the evidence with what this answer tells, as if it was neither busy nor unread."""
    return replace(
        before,
        busy=(),
        busy_since=None,
        unknown_since=None,
        missed_since=None,
        unread=answer.unread,
        reported_at=max((at for at, _ in moments.values()), default=None),
        reported={key: at for key, (at, _) in moments.items()},
        worked_at=None,
    )


def _note_silence(before: Evidence, now: datetime) -> Evidence:
    """Return the evidence if its use cannot be told at `now`."""
    since = before.unknown_since or before.looked_at or before.used_at
    return replace(before, unknown_since=since, missed_since=before.missed_since or now)


def _sensible_moments(answer: Answer) -> dict[str, tuple[datetime, Use]]:
    moments = answer.moments or (
        {"": (answer.used_at, answer.used_by)} if answer.used_at is not None else {}
    )
    return {key: use for key, use in moments.items() if use[0].year in YEARS_OF_SENSE}


def _latest_use(
    before: Evidence, moments: Mapping[str, tuple[datetime, Use]], now: datetime
) -> tuple[datetime, Use]:
    """Return the latest use that these moments show, or that was known before."""
    uses = [
        (at if (before.looked_at or at) <= at <= now else now, use)
        for key, (at, use) in moments.items()
        if _has_moved(key, at, before, now)
    ]
    latest = max(uses, key=lambda use: use[0], default=(before.used_at, before.used_by))
    return latest if latest[0] > before.used_at else (before.used_at, before.used_by)


def _has_moved(key: str, at: datetime, before: Evidence, now: datetime) -> bool:
    """Return whether a signal's moment says that it was used since the last look.

    A signal that is new is judged by the newest of all, so that an old kernel seen for the first
    time is no use, and by our own clock.
    """
    if key in before.reported:
        return at > before.reported[key]
    if before.reported_at is None or at > before.reported_at:
        return True
    return before.looked_at is not None and before.looked_at < at <= now


@dataclass(frozen=True)
class Effort:
    """What a look says of a notebook's work: CPU time used until `at`, load of its GPU.

    None: that could not be read.
    """

    cpu_seconds: float | None = None
    at: datetime | None = None
    gpu_percent: float | None = None


def weigh(evidence: Evidence, effort: Effort, work_percent: float, now: datetime) -> Evidence:
    """Update what is known of a notebook's work after a look at `now`; `evidence` is after `learn`.

    It works when its container used more than `work_percent` of one CPU, or its GPU is loaded by
    more. A counter that went back belongs to a container that was started again: the look says
    nothing. A span without a reading is judged by what was used in all of it.
    """
    load, worked = None, effort.gpu_percent is not None and effort.gpu_percent > work_percent
    seconds, at = evidence.cpu_seconds, evidence.cpu_at
    if effort.cpu_seconds is not None and effort.at is not None:
        read_at = min(effort.at, now)
        if seconds is not None and at is not None and read_at > at:
            used, span = effort.cpu_seconds - seconds, read_at - at
            if used >= 0:
                load = 100 * used / span.total_seconds()
                judged = min(span, LONGEST_SPAN).total_seconds()
                worked = worked or 100 * used > work_percent * judged
        elif read_at == at:  # the same reading as before
            load = evidence.cpu_load
        if now - read_at > LONGEST_SPAN:  # what it does since then is not known
            load = None
        seconds, at = effort.cpu_seconds, read_at
    evidence = replace(evidence, cpu_seconds=seconds, cpu_at=at, cpu_load=load)
    return replace(evidence, worked_at=now) if worked and evidence.worked_at else evidence


def _drop_future(evidence: Evidence, now: datetime) -> Evidence:
    """Return the evidence without moments to come, which a clock set back unseen leaves."""
    return _move_moments(evidence, lambda at: min(at, now))


def shift_moments(evidence: Evidence, by: timedelta) -> Evidence:
    """Return the same evidence after our own clock was set forward (or back) by that much."""
    return _move_moments(evidence, lambda at: at + by)


def _move_moments(evidence: Evidence, move: Callable[[datetime], datetime]) -> Evidence:
    """Return the evidence with each moment of our own clock moved."""
    return replace(
        evidence,
        used_at=move(evidence.used_at),
        busy_since=evidence.busy_since and move(evidence.busy_since),
        looked_at=evidence.looked_at and move(evidence.looked_at),
        unknown_since=evidence.unknown_since and move(evidence.unknown_since),
        missed_since=evidence.missed_since and move(evidence.missed_since),
        worked_at=evidence.worked_at and move(evidence.worked_at),
        cpu_at=evidence.cpu_at and move(evidence.cpu_at),
    )
