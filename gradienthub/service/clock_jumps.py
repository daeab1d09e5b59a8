"""Whether somebody set this machine's clock, by the time that really passed."""

import logging
from datetime import datetime, timedelta

from ..ledger.findings import NewFinding
from ..rules.duration import format_duration

log = logging.getLogger("gradienthub")

#: A wall clock that moves otherwise than time did by more than this was set.
JUMP = timedelta(seconds=30)
#: Seconds without stops after the clock was set: time servers may correct it again.
STEADY_SECONDS = 60.0


class ClockJumps:
    """Compares the wall clock with a monotonic one, pass after pass."""

    def __init__(self) -> None:
        #: The latest jump in words; empty once a pass came after the steady seconds.
        self.latest = ""
        self._read_at: tuple[datetime, float] | None = None
        self._steady_at = float("-inf")

    def compare(self, wall: datetime, monotonic: float) -> timedelta:
        """Return by how much the clock was set forward since the last call, or back; else 0."""
        before, self._read_at = self._read_at, (wall, monotonic)
        if before is None:
            return timedelta(0)
        if monotonic > self._steady_at:
            self.latest = ""
        jump = (wall - before[0]) - timedelta(seconds=monotonic - before[1])
        if abs(jump) <= JUMP:
            return timedelta(0)
        self._steady_at = monotonic + STEADY_SECONDS
        way = "forward" if jump > timedelta(0) else "back"
        self.latest = f"The clock of this machine was set {way} by {format_duration(abs(jump))}"
        log.warning("%s; nothing is stopped for %.0f s", self.latest, STEADY_SECONDS)
        return jump

    def is_steady(self, monotonic: float) -> bool:
        """Return whether no jump is so recent that the clock may be set again."""
        return monotonic >= self._steady_at

    def findings(self) -> list[NewFinding]:
        """Return what an administrator is told of the latest jump."""
        if not self.latest:
            return []
        return [
            NewFinding(
                "clock",
                "clock_set",
                f"{self.latest}.",
                "Idle times were moved with it. Keep the clock by NTP.",
            )
        ]
