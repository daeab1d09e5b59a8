"""Reasons: what people read of each reason of a stop, before it and afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..rules.duration import format_duration
from ..rules.idleness import DECIDED, Reason, Stop, moment_text
from ..rules.use import Evidence, Use

#: What showed the last use, before the moment of it.
LAST_USE = {
    Use.START: "not used since its start",
    Use.KERNEL: "last kernel activity",
    Use.TERMINAL: "last terminal output",
    Use.PERSON: "last used",
    Use.GPU: "last GPU load",
    Use.REQUEST: "last request",
}


@dataclass(frozen=True)
class ReasonWords:
    """The words of one reason.

    `short` stands in a status bar, `sentence` says why it stopped. `to_keep` is what to do before
    the stop, `afterwards` after it; `{here}` in them is " at" and an address, or nothing.
    """

    short: str
    sentence: str
    to_keep: str = "Save your work."
    afterwards: str = "Its files are kept; start it again{here}."


REASONS: Mapping[Reason, ReasonWords] = {
    Reason.USER: ReasonWords("stopped by its owner", "its owner stopped it"),
    Reason.IDLE: ReasonWords(
        "idle",
        "it was idle for too long",
        to_keep="To keep it, use it or press Extend{here}.",
    ),
    Reason.UNKNOWN_USE: ReasonWords(
        "use unknown",
        "its use could not be read for too long",
        to_keep="It does not say whether it is used. To keep it, press Extend{here}; if it"
        " does not answer you either, stop it and start it again.",
    ),
    Reason.NO_WORK: ReasonWords(
        "busy without work",
        "it was busy without work for too long",
        to_keep="A cell may wait for input, or hang. To keep it, let it work or press"
        " Extend{here}.",
    ),
    Reason.SESSION_LIMIT: ReasonWords(
        "session limit",
        "the tier’s session limit was reached",
        to_keep="It cannot be kept longer: save your work now.",
    ),
    Reason.STOP_AT: ReasonWords(
        "at the time you set",
        "its end time was reached",
        to_keep="To keep it, press Extend{here}.",
    ),
    Reason.BUDGET: ReasonWords(
        "budget",
        "the budget was used up",
        to_keep="To keep it, add credit or ask for a larger budget; else save your work.",
        afterwards="Its files are kept. Add credit or ask for a larger budget, then start it"
        " again{here}.",
    ),
    Reason.CRASHED: ReasonWords(
        "crashed",
        "its server died",
        afterwards="Its files are kept. Where its memory was full, start it again on a larger"
        " machine{here}.",
    ),
    Reason.ENDED_ITSELF: ReasonWords(
        "ended by itself",
        "it ended by itself",
        afterwards="Its files are kept. Shut Down in its menu does that, and so does an idle"
        " limit that its image brings. Start it again{here}.",
    ),
    Reason.START_FAILED: ReasonWords(
        "did not start",
        "it did not start",
        afterwards="Nothing was charged. Try again{here}, or choose another runtime.",
    ),
    Reason.LOST: ReasonWords("gone", "its server was gone"),
    Reason.ADMIN: ReasonWords("stopped by an administrator", "an administrator stopped it"),
    Reason.HUB: ReasonWords("stopped by the hub", "the hub stopped it"),
}


def cure_before(reason: Reason, url: str = "") -> str:
    """Return what to do against a stop to come. `url`: where, "" if unknown."""
    return REASONS[reason].to_keep.format(here=_here(url))


def cure_after(reason: Reason, url: str = "") -> str:
    """Return what to do after a stop. `url`: where, "" if unknown."""
    return REASONS[reason].afterwards.format(here=_here(url))


def _here(url: str) -> str:
    return f" at {url}" if url else ""


def explain(stop: Stop, evidence: Evidence) -> Stop:
    """Return the stop with the whole sentence for its owner, which is written with the lease.

    Of idleness that is also the last use; a hard end says in `why` what is to come.
    """
    if stop.reason is Reason.IDLE:
        used = last_use(evidence.used_by, evidence.used_at)
        return replace(stop, why=f"{stop.why}, {used}")
    if stop.reason in (Reason.UNKNOWN_USE, Reason.NO_WORK):
        return stop
    return replace(stop, why=REASONS[stop.reason].sentence)


def last_use(used_by: Use, used_at: datetime) -> str:
    """Return what showed the last use, and when: "last kernel activity 16:20 UTC on 27 Nov"."""
    return f"{LAST_USE[used_by]} {moment_text(used_at)}"


def why_stopped(
    reason: Reason,
    note: str | None,
    shutdown_after: timedelta | None,
    used_by: Use | None,
    used_at: datetime | None,
) -> str:
    """Return why a lease was stopped: the sentence that was decided, else the reason's own.

    What stops notebooks in small mode decides by the hub's own word, and leaves no sentence.
    """
    if reason in DECIDED and note:
        return note
    if reason is not Reason.IDLE or shutdown_after is None:
        return REASONS[reason].sentence
    idle = f"idle for {format_duration(shutdown_after)}"
    return f"{idle}, {last_use(used_by or Use.PERSON, used_at)}" if used_at else idle
