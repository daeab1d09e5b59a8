"""The phases of a start, for the pending page, the hub's progress events and our JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from ..ledger.leases import Usual
from ..rules.duration import format_duration

StepState = Literal["done", "now", "todo", "failed"]

NAMES = ("admitted", "preparing", "waiting", "starting", "answering", "answered")
TITLES = {
    "admitted": "Get a machine",
    "preparing": "Get the runtime",
    "waiting": "Wait for a turn",
    "starting": "Start the notebook server",
    "answering": "Wait until it answers",
    "answered": "Ready",
}
#: Per cent of the way when a phase begins: the hub's progress bar wants one number.
PROGRESS = {
    "admitted": 2,
    "preparing": 10,
    "waiting": 25,
    "starting": 40,
    "answering": 65,
    "answered": 95,
}
#: A lease's phase -> the phase that is going on while the lease says so.
GOING_ON = {
    "admitted": "preparing",
    "preparing": "preparing",
    "waiting": "waiting",
    "turn": "starting",
    "starting": "starting",
    "answering": "answering",
}
#: So many starts make "9 of 10" a word with a meaning.
ENOUGH_STARTS = 5
#: What is shorter is no time to speak of.
AT_ONCE = timedelta(milliseconds=100)


@dataclass(frozen=True)
class Step:
    """One step of a start. `seconds` is how long it took or has taken, None where unknown."""

    name: str
    title: str
    detail: str
    state: StepState
    seconds: float | None = None


def phases(
    row: Mapping[str, Any] | None,
    place: int,
    now: datetime,
    *,
    failed: bool = False,
    download: str = "",
) -> list[Step]:
    """The steps of the start that this lease is on; None is one that waits for admission."""
    current = going_on(row)
    at = NAMES.index(current)
    ready = current == "answered"
    steps = []
    for index, name in enumerate(NAMES):
        state: StepState
        if index < at or ready:
            state = "done"
        elif index > at:
            state = "todo"
        else:
            state = "failed" if failed else "now"
        steps.append(
            Step(
                name=name,
                title=TITLES[name],
                detail=""
                if failed and state == "todo"
                else _detail(name, state, row, place, download),
                state=state,
                seconds=_seconds(name, state, row, now),
            )
        )
    return steps


def going_on(row: Mapping[str, Any] | None) -> str:
    """The name of the phase that is going on, or that a stopped start came to."""
    if row is None:
        return "admitted"
    if row["answered_at"] is not None:
        return "answered"
    if row["phase"] in GOING_ON:
        return GOING_ON[row["phase"]]
    # Stopping or ended before it answered: the moments that were written tell how far it came.
    if row["started_at"] is not None:
        return "answering"
    return "starting" if row["turn_at"] is not None else "preparing"


def _detail(
    name: str, state: StepState, row: Mapping[str, Any] | None, place: int, download: str
) -> str:
    if name == "admitted":
        if row is None:
            return "Your tier, your limits and what is free are checked."
        gpus = len(row["devices"])
        what = f" with {gpus} GPU{'s' if gpus > 1 else ''}" if gpus else ""
        return f"A place on {row['host']}{what} is yours."
    if name == "preparing":
        if state == "now" and download:
            return f"{download} are here. The next start of this image on this host skips this."
        return {
            "now": "The first start of an image on a host downloads it.",
            "failed": "It was not to be had.",
        }.get(state, "")
    if name == "waiting":
        return _line(state, row, place)
    if name == "starting":
        return "Your files are mounted and the machine is attached." if state != "done" else ""
    if name == "answering":
        return "Jupyter loads its extensions. Billing starts when it answers, not before."
    return "The notebook opens here by itself." if state != "done" else "It answers."


def _line(state: StepState, row: Mapping[str, Any] | None, place: int) -> str:
    if row is None or state == "todo":
        return "Only as many start at once as the host carries."
    if state == "now":
        if place == 0:
            return f"You are next on {row['host']}."
        before = "1 start is" if place == 1 else f"{place} starts are"
        return f"{before} before you on {row['host']}."
    if state == "done" and row["turn_at"] is not None:
        waited = row["turn_at"] - row["admitted_at"]
        after = f"after {spoken(waited)}" if waited >= AT_ONCE else "at once"
        return f"Your turn came {after}."
    return ""


def _seconds(
    name: str, state: StepState, row: Mapping[str, Any] | None, now: datetime
) -> float | None:
    if row is None or state == "todo":
        return None
    begun = {
        "preparing": row["admitted_at"],
        "waiting": row["phase_at"] if row["phase"] == "waiting" else None,
        "starting": row["turn_at"],
        "answering": row["started_at"],
    }.get(name)
    ended = {"starting": row["started_at"], "answering": row["answered_at"]}.get(name)
    if name == "preparing" and row["phase"] == "waiting":
        ended = row["phase_at"]
    if state == "now":
        ended = now
    if state == "failed":
        ended = row["ended_at"] or row["stop_requested_at"] or now
    if begun is None or ended is None:
        return None
    return max(0.0, float((ended - begun).total_seconds()))


def elapsed(row: Mapping[str, Any] | None, now: datetime) -> float:
    """Seconds since admission; 0 before it."""
    if row is None:
        return 0.0
    return max(0.0, float((now - row["admitted_at"]).total_seconds()))


def usual_text(usual: Usual | None) -> str:
    """ "Usually 4 s, 9 of 10 within 6 s", or nothing where there is no history."""
    if usual is None:
        return ""
    if usual.count < ENOUGH_STARTS:
        return f"Usually {spoken(usual.median)}"
    return f"Usually {spoken(usual.median)}, 9 of 10 within {spoken(usual.nine_of_ten)}"


def spoken(span: timedelta) -> str:
    """A short duration for people; tenths of a second below ten: "0.4 s", "31 s", "1 min 5 s"."""
    seconds = max(0.0, span.total_seconds())
    if span < AT_ONCE:
        return "under 0.1 s"
    return f"{seconds:.1f} s" if seconds < 9.95 else format_duration(span)


def summary(steps: list[Step]) -> tuple[int, str]:
    """(per cent, sentence) of the step that is going on: a progress event of the hub."""
    step = next((s for s in steps if s.state in ("now", "failed")), steps[-1])
    return PROGRESS[step.name], f"{step.title}. {step.detail}".strip()
