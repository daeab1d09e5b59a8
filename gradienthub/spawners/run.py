"""What a spawner holds from a start until its end."""

from dataclasses import dataclass
from typing import NamedTuple, TypedDict

from ..metrics import StartTimer
from ..rules.idleness import Reason
from ..rules.lease import Lease
from .engine import Corpse


class SavedDeadlines(TypedDict):
    """A lease's deadlines in the hub's saved state: seconds, and moments as ISO text."""

    shutdown_after: float | None
    stop_at: str | None
    session_ends_at: str | None


class SavedState(TypedDict, total=False):
    """What the hub saves of a spawner that is ours; the engine's own spawner has more in it."""

    lease_id: str
    deadlines: SavedDeadlines | None
    sealed_token: str
    api_token: str


class StopCause(NamedTuple):
    """Why a stop is asked for, by whom, and what its owner is told by whoever stops it."""

    reason: Reason
    actor: str
    note: str = ""


@dataclass
class Run:
    """One run of a server: its lease and how far its start or its end has come.

    `lease_id` is empty where there is no lease; `lease` is None then, and after a restart of the
    hub. `located` says where the engine showed the object when the hub's address of it was read.
    `width` is that of the stage that the start entered. `corpse` is what was left of an object that
    died during the start. `deadlines` are those of the hub's saved state, for a run whose `lease`
    is not known.
    """

    lease_id: str = ""
    lease: Lease | None = None
    located: str = ""
    starting: bool = False
    stop_cause: StopCause | None = None
    width: int | None = None
    corpse: Corpse | None = None
    deadlines: SavedDeadlines | None = None
    timer: StartTimer | None = None
