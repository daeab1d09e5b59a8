"""The contract of an engine: what runs our containers or processes, and how we ask it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..ledger.leases import Corpse
from ..rules.drift import OwnObject
from ..rules.outside import Outside
from ..rules.ownership import Labelled
from .effort import CpuReadings

__all__ = ["CensusObject", "Corpse", "Engine", "EngineAway", "PollEngine", "Stranger", "Waiting"]

log = logging.getLogger("gradienthub")


class EngineAway(Exception):
    """The engine does not answer, or answers nonsense. Never proof that something is dead."""


@dataclass(frozen=True)
class CensusObject(OwnObject):
    """An object in the census with what the engine says of it."""

    name: str = ""
    exit_code: int | None = None
    detail: str = ""
    #: The warm server that it is or was; its `lease_id` is empty until it is claimed.
    slot: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    #: Says where it can be reached, in the engine's own way: another value is another address.
    #: Empty where an address never changes while the object lives.
    where: str = ""

    @property
    def labelled(self) -> Labelled:
        """What it says that it is; a claimed warm server says what it was born as."""
        return Labelled(self.object_id, self.name, "" if self.slot else self.lease_id, self.slot)


@dataclass(frozen=True)
class Stranger:
    """An object with our labels that is not ours, and why that is known."""

    object_id: str
    name: str
    why: str
    lease_id: str = ""


@dataclass(frozen=True)
class Waiting:
    """A warm server: its engine object, its address, and its memory in bytes."""

    object_id: str
    address: tuple[str, int]
    used: int


class Polled(Protocol):
    """What a poll-only engine asks about one lease: its spawner."""

    async def poll_itself(self) -> int | None:
        """Return None while it runs, else its exit status."""

    async def stop_itself(self) -> None:
        """Stop it."""


class Engine:
    """An engine's census. Subclasses define `census` and `bury`; `cores` and `close` where they
    know cores and hold connections; `destroy` where they have warm servers. All may raise
    EngineAway.

    They are asked from the hub's loop and must not block it.
    """

    def __init__(self) -> None:
        #: Warm server -> the lease that claimed it: a container keeps the labels of its birth.
        self.claimed: dict[str, str] = {}
        #: Lease or warm server -> the id of its object, as the ledger knows it.
        self.object_ids: dict[str, str] = {}
        #: CPU time of what runs, as it was read last.
        self.readings = CpuReadings(self.cpu_seconds)

    async def cpu_seconds(self, found: OwnObject) -> float | None:
        """Return the CPU time that an object has used; None where this engine does not tell."""
        return None

    async def census(self) -> list[CensusObject] | None:
        """List every object of this hub, dead and warm ones too; None if the engine has no
        census."""
        raise NotImplementedError

    async def outside(self) -> list[Outside]:
        """List notebooks of JupyterHub that run here without a label of ours.

        They may be another hub's.
        """
        return []

    def strangers(self) -> list[Stranger]:
        """List what the last census left out: objects with our labels that are not ours.

        They are never counted as somebody's, and never stopped or removed.
        """
        return []

    async def look(self, lease_id: str) -> CensusObject | None:
        """Return the object of one lease, at most a second or two old; None: positively gone."""
        for found in await self.census() or []:
            if found.lease_id == lease_id:
                return found
        return None

    async def look_at(self, lease_id: str, server: Polled) -> CensusObject | None:
        """Return the object of a lease whose spawner is `server`; None: positively gone."""
        return await self.look(lease_id)

    async def bury(self, found: CensusObject) -> Corpse:
        """Stop it if it lives, read the end of its log, remove it. Safe to call twice."""
        raise NotImplementedError

    async def destroy(self, found: CensusObject) -> None:
        """End it at once: nobody's work is in it."""
        await self.bury(found)

    async def remove_left_behind(self) -> None:
        """Remove what trials of somebody who was killed left. May raise EngineAway."""

    def forget_listing(self) -> None:
        """Forget the listing: the next census must be fresh."""

    async def cores(self) -> int | None:
        """Return the CPUs that starts share, for the stage's width; None if unknown."""
        return None

    async def close(self) -> None:
        """Let go of connections and threads."""
        self.readings.close()


@dataclass(frozen=True)
class PolledObject(CensusObject):
    """A server by its spawner's own word."""

    server: Polled | None = None


class PollEngine(Engine):
    """An engine of which we know no census: of each server, its spawner's own poll() is the only
    word.

    A lease whose spawner nobody has loaded is unknown to it and never in its answers, and `look`
    shows nothing.
    """

    async def census(self) -> None:
        """Return None: it has none."""

    async def look_at(self, lease_id: str, server: Polled) -> PolledObject:
        """Ask the spawner. An error does not prove that it is gone."""
        try:
            status = await server.poll_itself()
        except Exception as error:
            log.warning("Lease %s: cannot ask its spawner: %s", lease_id, error)
            status = None
        return PolledObject(lease_id, lease_id, status is None, exit_code=status, server=server)

    async def bury(self, found: CensusObject) -> Corpse:
        """Let its spawner stop it. Raises EngineAway while it runs on."""
        assert isinstance(found, PolledObject)
        assert found.server is not None
        await found.server.stop_itself()
        if await found.server.poll_itself() is None:
            raise EngineAway("it still runs")
        return Corpse()
