"""CPU time of what runs: read seldom, in the background, told at once."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ..rules.drift import OwnObject

if TYPE_CHECKING:
    from docker import APIClient

#: A reading is made anew when somebody asks and it is older than this.
READING_AGE = timedelta(seconds=15)
#: Readings under way at once. Docker 20.10 takes a second for each, later engines milliseconds.
AT_ONCE = 4
#: Where control groups are mounted, and the files of a container's CPU time below: its path with
#: the driver systemd and with cgroupfs, in version 2 (microseconds) and version 1 (nanoseconds).
CGROUPS = Path("/sys/fs/cgroup")
CGROUP_FILES = tuple(
    (pattern, divisor)
    for where in ("system.slice/docker-{id}.scope", "docker/{id}")
    for pattern, divisor in (
        (where + "/cpu.stat", 10**6),
        ("cpuacct/" + where + "/cpuacct.usage", 10**9),
        ("cpu,cpuacct/" + where + "/cpuacct.usage", 10**9),
    )
)


@dataclass(frozen=True)
class CpuReading:
    """The CPU time in seconds that an object had used at a moment."""

    seconds: float
    at: datetime


class CpuReadings:
    """The latest readings by lease. `read` asks the engine for one object; None: it cannot tell."""

    def __init__(self, read: Callable[[OwnObject], Awaitable[float | None]]) -> None:
        self._read = read
        self._latest: dict[str, CpuReading] = {}
        self._task: asyncio.Task[None] | None = None

    def latest(
        self, census: Iterable[OwnObject], clock: Callable[[], datetime]
    ) -> Mapping[str, CpuReading]:
        """Return what was read last, and begin to read anew what is old. Never waits."""
        alive = {found.lease_id: found for found in census if found.alive and found.lease_id}
        self._latest = {lease: reading for lease, reading in self._latest.items() if lease in alive}
        if self._task is None or self._task.done():
            now = clock()
            due = [found for lease, found in alive.items() if self._is_old(lease, now)]
            if due:
                self._task = asyncio.ensure_future(self._read_all(due, clock))
        return self._latest

    def _is_old(self, lease: str, now: datetime) -> bool:
        reading = self._latest.get(lease)
        # One from the future was made before the clock was set back.
        return reading is None or not now - READING_AGE < reading.at <= now

    async def _read_all(self, due: list[OwnObject], clock: Callable[[], datetime]) -> None:
        turns = asyncio.Semaphore(AT_ONCE)

        async def read_one(found: OwnObject) -> None:
            async with turns:
                try:
                    seconds = await self._read(found)
                # An engine that is away, or a container that ended meanwhile: no reading.
                except Exception:
                    return
            if seconds is not None:
                self._latest[found.lease_id] = CpuReading(seconds, clock())

        await asyncio.gather(*(read_one(found) for found in due))

    def close(self) -> None:
        """End what is being read."""
        if self._task is not None:
            self._task.cancel()


def container_cpu(client: "APIClient", container_id: str, root: Path = CGROUPS) -> float | None:
    """Return a container's CPU time in seconds: from this machine's kernel, else of the engine.

    The kernel's own file costs microseconds; it is not there where the engine is elsewhere.
    """
    seconds = cgroup_cpu(container_id, root)
    if seconds is not None:
        return seconds
    stats = client.stats(container_id, stream=False, one_shot=True)
    used = stats.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage")
    # A container that does not run has 0, which would look like one that was started again.
    return used / 10**9 if isinstance(used, int) and used > 0 else None


def cgroup_cpu(container_id: str, root: Path = CGROUPS) -> float | None:
    """Return a container's CPU time in seconds as this machine's kernel counts it, or None."""
    for pattern, divisor in CGROUP_FILES:
        try:
            words = (root / pattern.format(id=container_id)).read_text().split()
        except OSError:
            continue
        if words[:1] == ["usage_usec"]:
            words = words[1:]
        if words and words[0].isdigit():
            return int(words[0]) / divisor
    return None
