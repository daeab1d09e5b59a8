"""The contract of an engine: what runs our containers or processes, and how we ask it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..ledger.leases import Corpse
from ..rules.drift import Seen

__all__ = ["Corpse", "Engine", "EngineAway", "Found"]


class EngineAway(Exception):
    """The engine does not answer, or answers nonsense. Never proof that something is dead."""


@dataclass(frozen=True)
class Found(Seen):
    """An object in the census with what the engine says of it."""

    name: str = ""
    exit_code: int | None = None
    detail: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


class Engine:
    """An engine's census. Subclasses define exactly these four methods; all may raise EngineAway.

    They are asked from the hub's loop and must not block it. This base is for spawners of which
    we know no census: it knows nothing, so the spawner's own poll() is the only word.
    """

    async def census(self) -> list[Found] | None:
        """Every object of this hub, dead ones too; None where there is no census."""
        return None

    async def look(self, lease_id: str) -> Found | None:
        """The object of one lease, at most a second or two old; None: positively gone."""
        for found in await self.census() or []:
            if found.lease_id == lease_id:
                return found
        return None

    async def bury(self, found: Found) -> Corpse:
        """Stop it if it lives, read its last words, remove it. Safe to call twice."""
        raise NotImplementedError

    async def cores(self) -> int | None:
        """CPUs that starts share, for the stage's width; None where unknown."""
        return None

    async def close(self) -> None:
        """Let go of connections and threads."""
