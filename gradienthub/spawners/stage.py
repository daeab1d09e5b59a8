"""The stage: how many servers of a host may be between "started" and "answering" at once.

Sixteen interpreters that import at once on two cores starve each other, and nobody gets a
notebook. First come, first served; the place in line is read from the ledger.
"""

import asyncio
from collections import deque

#: Below this many at once even a small host idles while one start waits for its disk.
NARROWEST = 2


def width_of(configured: int | None, cores: int | None) -> int:
    """Return how many starts a host carries at once: what is configured, else one for each core."""
    if configured:
        return configured
    return max(NARROWEST, cores or NARROWEST)


class Stage:
    """Turns on the hosts of one hub. All methods belong to the hub's loop; none blocks it."""

    def __init__(self) -> None:
        self._on: dict[str, set[str]] = {}
        self._waiting: dict[str, deque[tuple[str, asyncio.Future[None]]]] = {}

    async def enter(self, host: str, lease_id: str, width: int) -> None:
        """Wait for a turn; returns when `lease_id` has one. Cancelling gives the place up."""
        on = self._on.setdefault(host, set())
        waiting = self._waiting.setdefault(host, deque())
        if len(on) < width and not waiting:
            on.add(lease_id)
            return
        turn = asyncio.get_running_loop().create_future()
        waiting.append((lease_id, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # The turn came in the same moment as the cancellation: hand it on.
                self.leave(host, lease_id, width)
            else:
                waiting.remove((lease_id, turn))
            raise

    def leave(self, host: str, lease_id: str, width: int) -> None:
        """Give the turn back and call whoever is next. Safe to call twice."""
        on = self._on.get(host, set())
        on.discard(lease_id)
        waiting = self._waiting.get(host, deque())
        while waiting and len(on) < width:
            next_id, turn = waiting.popleft()
            if not turn.done():
                on.add(next_id)
                turn.set_result(None)

    @property
    def busy(self) -> bool:
        """Whether anybody has a turn or waits for one."""
        return any(self._on.values()) or any(self._waiting.values())

    def holds(self, lease_id: str) -> bool:
        """Return whether the lease has a turn now."""
        return any(lease_id in on for on in self._on.values())
