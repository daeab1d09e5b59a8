"""The phases of a start, for the pending page, the hub's progress events and our JSON."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from ..ledger.leases import Usual
from ..rules.duration import format_duration
from ..rules.lease import Lease
from ..rules.phase import Phase

#: How a step of a start stands.
StepState = Literal["done", "now", "todo", "failed"]

#: The steps of a start that people are shown; a turn is a moment and no step.
NAMES = (
    Phase.ADMITTED,
    Phase.PREPARING,
    Phase.WAITING,
    Phase.STARTING,
    Phase.ANSWERING,
    Phase.ANSWERED,
)
TITLES = {
    Phase.ADMITTED: "Get a machine",
    Phase.PREPARING: "Get the runtime",
    Phase.WAITING: "Wait for a turn",
    Phase.STARTING: "Start the notebook server",
    Phase.ANSWERING: "Wait until it answers",
    Phase.ANSWERED: "Ready",
}
#: Per cent of the way when a phase begins: the hub's progress bar wants one number.
PROGRESS = {
    Phase.ADMITTED: 2,
    Phase.PREPARING: 10,
    Phase.WAITING: 25,
    Phase.STARTING: 40,
    Phase.ANSWERING: 65,
    Phase.ANSWERED: 95,
}
#: A lease's phase -> the phase that is going on while the lease says so.
GOING_ON = {
    Phase.ADMITTED: Phase.PREPARING,
    Phase.PREPARING: Phase.PREPARING,
    Phase.WAITING: Phase.WAITING,
    Phase.TURN: Phase.STARTING,
    Phase.STARTING: Phase.STARTING,
    Phase.ANSWERING: Phase.ANSWERING,
}
#: So many starts make "9 of 10" a word with a meaning.
ENOUGH_STARTS = 5
#: What is shorter is no time to speak of.
AT_ONCE = timedelta(milliseconds=100)


@dataclass(frozen=True)
class Step:
    """One step of a start. `seconds` is how long it took or has taken, None where unknown."""

    name: Phase
    title: str
    detail: str
    state: StepState
    seconds: float | None = None


def phases(
    lease: Lease | None,
    place: int,
    now: datetime,
    *,
    failed: bool = False,
    download: str = "",
) -> list[Step]:
    """List the steps of the start that this lease is on; None is one that waits for admission."""
    current = current_phase(lease)
    at = NAMES.index(current)
    ready = current == Phase.ANSWERED
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
                else _detail(name, state, lease, place, download),
                state=state,
                seconds=_seconds(name, state, lease, now),
            )
        )
    return steps


def current_phase(lease: Lease | None) -> Phase:
    """Return the name of the step that is going on, or that a stopped start came to."""
    if lease is None:
        return Phase.ADMITTED
    if lease.answered_at is not None:
        return Phase.ANSWERED
    if lease.phase in GOING_ON:
        return GOING_ON[lease.phase]
    # Stopping or ended before it answered: the moments that were written tell how far it came.
    if lease.started_at is not None:
        return Phase.ANSWERING
    return Phase.STARTING if lease.turn_at is not None else Phase.PREPARING


def _detail(name: Phase, state: StepState, lease: Lease | None, place: int, download: str) -> str:
    if name == Phase.ADMITTED:
        if lease is None:
            return "Your tier, your limits and what is free are checked."
        gpus = len(lease.devices)
        what = f" with {gpus} GPU{'s' if gpus > 1 else ''}" if gpus else ""
        return f"A place on {lease.host}{what} is yours."
    if name == Phase.PREPARING:
        if state == "now" and download:
            return f"{download} are here. The next start of this image on this host skips this."
        return {
            "now": "The first start of an image on a host downloads it.",
            "failed": "It was not to be had.",
        }.get(state, "")
    if name == Phase.WAITING:
        return _line(state, lease, place)
    if name == Phase.STARTING:
        return "Your files are mounted and the machine is attached." if state != "done" else ""
    if name == Phase.ANSWERING:
        return "Jupyter loads its extensions. Billing starts when it answers, not before."
    return "The notebook opens here by itself." if state != "done" else "It answers."


def _line(state: StepState, lease: Lease | None, place: int) -> str:
    if lease is None or state == "todo":
        return "Only as many start at once as the host carries."
    if state == "now":
        if place == 0:
            return f"You are next on {lease.host}."
        before = "1 start is" if place == 1 else f"{place} starts are"
        return f"{before} before you on {lease.host}."
    if state == "done" and lease.turn_at is not None:
        waited = lease.turn_at - lease.admitted_at
        after = f"after {span_text(waited)}" if waited >= AT_ONCE else "at once"
        return f"Your turn came {after}."
    return ""


def _seconds(name: Phase, state: StepState, lease: Lease | None, now: datetime) -> float | None:
    if lease is None or state == "todo":
        return None
    begun = {
        Phase.PREPARING: lease.admitted_at,
        Phase.WAITING: lease.phase_at if lease.phase == Phase.WAITING else None,
        Phase.STARTING: lease.turn_at,
        Phase.ANSWERING: lease.started_at,
    }.get(name)
    ended = {Phase.STARTING: lease.started_at, Phase.ANSWERING: lease.answered_at}.get(name)
    if name == Phase.PREPARING and lease.phase == Phase.WAITING:
        ended = lease.phase_at
    if state == "now":
        ended = now
    if state == "failed":
        ended = lease.ended_at or lease.stop_requested_at or now
    if begun is None or ended is None:
        return None
    return max(0.0, float((ended - begun).total_seconds()))


def seconds_since_admission(lease: Lease | None, now: datetime) -> float:
    """Return the seconds since admission; 0 before it."""
    if lease is None:
        return 0.0
    return max(0.0, float((now - lease.admitted_at).total_seconds()))


def usual_text(usual: Usual | None) -> str:
    """Return "Usually 4 s, 9 of 10 within 6 s", or nothing where there is no history."""
    if usual is None:
        return ""
    if usual.count < ENOUGH_STARTS:
        return f"Usually {span_text(usual.median)}"
    return f"Usually {span_text(usual.median)}, 9 of 10 within {span_text(usual.nine_of_ten)}"


def span_text(span: timedelta) -> str:
    """Write a short duration, tenths of a second below ten: "0.4 s", "31 s", "1 min 5 s"."""
    seconds = max(0.0, span.total_seconds())
    if span < AT_ONCE:
        return "under 0.1 s"
    return f"{seconds:.1f} s" if seconds < 9.95 else format_duration(span)


def summary(steps: list[Step]) -> tuple[int, str]:
    """Return (per cent, sentence) of the step that is going on, for the hub's progress events."""
    step = next((s for s in steps if s.state in ("now", "failed")), steps[-1])
    return PROGRESS[step.name], f"{step.title}. {step.detail}".strip()
