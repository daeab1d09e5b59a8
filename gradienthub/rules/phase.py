"""The life of a lease and of a warm server: their states, and the steps between them."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Phase(StrEnum):
    """How far a lease has come. The hub writes a step down before it takes it."""

    ADMITTED = "admitted"
    PREPARING = "preparing"
    WAITING = "waiting"
    TURN = "turn"
    STARTING = "starting"
    ANSWERING = "answering"
    ANSWERED = "answered"
    RUNNING = "running"
    STOPPING = "stopping"
    ENDED = "ended"

    @property
    def meaning(self) -> str:
        """Say in a few words what holds in this phase."""
        return _MEANINGS[self]


_MEANINGS = {
    Phase.ADMITTED: "the lease has its devices, price and deadlines",
    Phase.PREPARING: "the image is downloaded where it is missing; no turn is used up by that",
    Phase.WAITING: "for a turn: only as many servers start at once as the host has CPUs",
    Phase.TURN: "its turn has come",
    Phase.STARTING: "the engine is asked for the container, whose name is written down before",
    Phase.ANSWERING: "the container runs; we ask at its address until its own server takes its own"
    " token",
    Phase.ANSWERED: "**the meter starts here**",
    Phase.RUNNING: "the hub has confirmed it",
    Phase.STOPPING: "**the meter ends here**, with the reason and who asked",
    Phase.ENDED: "the engine said gone: devices are free; exit code and last log lines are kept",
}

_OVER = frozenset({Phase.STOPPING, Phase.ENDED})

#: The phases that may follow each phase. A start that claims a warm server needs no turn, and comes
#: back to its preparation where that server is spoiled. A stop is possible at any time, and so is
#: an end that nobody asked for.
FOLLOWS: Mapping[Phase, frozenset[Phase]] = MappingProxyType(
    {
        Phase.ADMITTED: _OVER | {Phase.PREPARING, Phase.STARTING},
        Phase.PREPARING: _OVER | {Phase.WAITING},
        Phase.WAITING: _OVER | {Phase.TURN},
        Phase.TURN: _OVER | {Phase.STARTING},
        Phase.STARTING: _OVER | {Phase.ANSWERING, Phase.ANSWERED, Phase.PREPARING},
        Phase.ANSWERING: _OVER | {Phase.ANSWERED},
        Phase.ANSWERED: _OVER | {Phase.RUNNING},
        Phase.RUNNING: _OVER,
        Phase.STOPPING: frozenset({Phase.ENDED}),
        Phase.ENDED: frozenset(),
    }
)


def may_follow(before: Phase, after: Phase) -> bool:
    """Return whether a lease may go from one phase to the other, or be noted in it once more."""
    return before is after or after in FOLLOWS[before]


class LeaseState(StrEnum):
    """What people are shown of a lease's phase."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    ENDED = "ended"


class SlotState(StrEnum):
    """What a warm server does: it comes up, waits to be claimed, or has to be destroyed.

    A claim and the engine's word that it is gone both delete its row.
    """

    FILLING = "filling"
    READY = "ready"
    LEAVING = "leaving"


#: The states that may follow each state of a warm server. One that was let go never comes back.
SLOT_FOLLOWS: Mapping[SlotState, frozenset[SlotState]] = MappingProxyType(
    {
        SlotState.FILLING: frozenset({SlotState.READY, SlotState.LEAVING}),
        SlotState.READY: frozenset({SlotState.LEAVING}),
        SlotState.LEAVING: frozenset(),
    }
)


def may_turn(before: SlotState, after: SlotState) -> bool:
    """Return whether a warm server may go from one state to the other, or be noted in it again."""
    return before is after or after in SLOT_FOLLOWS[before]
