"""CPU time of what runs: bounded, in the background, and nothing where it cannot be read."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gradienthub.rules.drift import OwnObject
from gradienthub.spawners.effort import (
    AT_ONCE,
    READING_AGE,
    CpuReading,
    CpuReadings,
    cgroup_cpu,
    container_cpu,
)
from gradienthub.testing import TestClock

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ID = "a" * 64


class Stats:
    """An engine that is asked for statistics."""

    def __init__(self, said):
        self.said, self.asked = said, 0

    def stats(self, container_id, stream, one_shot):
        self.asked += 1
        assert (container_id, stream, one_shot) == (ID, False, True)
        return self.said


@pytest.mark.parametrize(
    ("path", "text", "seconds"),
    [
        ("system.slice/docker-{id}.scope/cpu.stat", "usage_usec 2500000\nuser_usec 1\n", 2.5),
        ("docker/{id}/cpu.stat", "usage_usec 1\n", 1e-6),
        ("cpuacct/docker/{id}/cpuacct.usage", "3000000000\n", 3.0),
        ("cpu,cpuacct/system.slice/docker-{id}.scope/cpuacct.usage", "1\n", 1e-9),
        ("docker/{id}/cpu.stat", "nonsense", None),
        ("docker/{id}/cpu.stat", "", None),
        ("docker/another/cpu.stat", "usage_usec 7\n", None),
    ],
)
def test_the_kernels_own_count_is_read_where_it_is_here(tmp_path, path, text, seconds):
    file = tmp_path / path.format(id=ID)
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert cgroup_cpu(ID, tmp_path) == seconds
    engine = Stats({"cpu_stats": {"cpu_usage": {"total_usage": 9 * 10**9}}})
    assert container_cpu(engine, ID, tmp_path) == (9.0 if seconds is None else seconds)
    assert engine.asked == (seconds is None)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"cpu_stats": {}},
        {"cpu_stats": {"cpu_usage": {}}},
        {"cpu_stats": {"cpu_usage": {"total_usage": 0}}},
        {"cpu_stats": {"cpu_usage": {"total_usage": None}}},
    ],
)
def test_a_container_that_runs_no_more_has_no_reading(tmp_path, said):
    assert container_cpu(Stats(said), ID, tmp_path) is None


async def settled(readings):
    """Wait for the readings under way."""
    if readings._task:
        await readings._task


async def test_readings_are_few_at_once_and_an_old_one_stays_until_there_is_a_new_one():
    clock, running, most, fails = TestClock(NOW), 0, 0, set()

    async def read(found):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        if found.lease_id in fails:
            raise OSError("the engine is away")
        return float(found.lease_id)

    census = [OwnObject(f"o{n}", f"{n}", True) for n in range(30)]
    census += [OwnObject("dead", "99", False), OwnObject("warm", "", True)]
    readings = CpuReadings(read)
    assert readings.latest(census, clock) == {}, "it waits for nothing"
    await settled(readings)
    first = readings.latest(census, clock)
    assert first == {f"{n}": CpuReading(float(n), NOW) for n in range(30)}
    assert most == AT_ONCE
    fails.add("7")
    clock.advance(seconds=(READING_AGE + timedelta(seconds=1)).total_seconds())
    readings.latest(census, clock)
    await settled(readings)
    again = readings.latest(census, clock)
    assert again["7"] == CpuReading(7.0, NOW), "with its own moment"
    assert again["8"] == CpuReading(8.0, clock())
    assert set(readings.latest(census[:2], clock)) == {"0", "1"}, "what is gone is forgotten"


async def test_a_slow_engine_is_not_asked_again_before_it_has_answered():
    asked, answer = [], asyncio.Event()

    async def read(found):
        asked.append(found)
        await answer.wait()
        return 1.0

    readings = CpuReadings(read)
    for _ in range(5):
        assert readings.latest([OwnObject("o", "1", True)], lambda: NOW) == {}
        await asyncio.sleep(0)
    assert len(asked) == 1
    answer.set()
    await settled(readings)
    assert readings.latest([OwnObject("o", "1", True)], lambda: NOW) == {"1": CpuReading(1.0, NOW)}
    readings.close()
