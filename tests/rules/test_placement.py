"""Placement: which host carries a start, with which devices, and never more than there is."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from gradienthub.rules.catalog import ConfigurationFault, InstanceType, rows_from
from gradienthub.rules.placement import (
    Device,
    Host,
    Load,
    Placement,
    Room,
    fits,
    free_devices,
    place,
    room,
)

NOBODY: frozenset[str] = frozenset()


def machine(name: str, gpus: int = 0, model: str = "P5000", **keys: Any) -> InstanceType:
    known = {"title": name, "cpus": 1, "memory": 1, "price": 1}
    gpu = {"gpus": gpus, "gpu_model": model} if gpus else {}
    return InstanceType.model_validate({"name": name, **known, **gpu, **keys})


def host(name: str, gpus: int = 0, model: str = "P5000", **keys: Any) -> Host:
    devices = [{"uuid": f"GPU-{name}-{i}", "model": model} for i in range(gpus)]
    known = {"name": name, "cpus": 64, "memory": 256, "devices": devices}
    return Host.model_validate({**known, **keys})


CPU, ONE, FOUR = machine("c3"), machine("p5000", 1), machine("p5000x4", 4)


def placed(wanted: InstanceType, *hosts: Host, load: Load | None = None, groups=NOBODY):
    return place(wanted, hosts, load or Load(), groups)


# -- where ---------------------------------------------------------------------------------------


def test_a_start_gets_the_first_free_devices_of_its_model():
    load = Load(held_devices=frozenset({"GPU-a-0", "GPU-elsewhere-1"}))
    assert placed(ONE, host("a", 2), load=load) == Placement("a", ("GPU-a-1",))


def test_a_type_without_gpu_gets_no_device():
    assert placed(CPU, host("a", 2)) == Placement("a", ())


@pytest.mark.parametrize(
    ("wanted", "hosts"),
    [
        (ONE, []),
        (ONE, [host("a")]),
        (ONE, [host("a", 1, model="P4000")]),
        (FOUR, [host("a", 3), host("b", 3)]),
        (machine("big", cpus=65), [host("a")]),
        (machine("big", memory=257), [host("a")]),
        (ONE, [host("a", 1, groups=["lab-bio"])]),
        (ONE, [host("a", devices=[{"uuid": "GPU-1", "model": "P5000", "out_of_service": True}])]),
    ],
    ids=[
        "no host",
        "no device",
        "another model",
        "never across hosts",
        "CPUs",
        "memory",
        "reserved",
        "out of service",
    ],
)
def test_a_start_that_fits_nowhere_is_not_placed(wanted, hosts):
    assert placed(wanted, *hosts) is None
    assert room(wanted, hosts, Load(), NOBODY) == Room(0, 0)


def test_a_reserved_host_comes_first_for_its_groups_and_never_for_others():
    hosts = host("a", 1), host("b", 4, groups=["lab-bio", "lab-chem"])
    assert placed(ONE, *hosts, groups=frozenset({"lab-bio", "x"})) == Placement("b", ("GPU-b-0",))
    assert placed(ONE, *hosts, groups=frozenset({"x"})) == Placement("a", ("GPU-a-0",))


def test_gpu_types_go_where_the_fewest_of_their_devices_stay_free():
    hosts = host("whole", 4), host("broken", 4)
    load = Load(held_devices=frozenset({"GPU-broken-0"}))
    assert placed(ONE, *hosts, load=load) == Placement("broken", ("GPU-broken-1",))
    assert placed(FOUR, *hosts, load=load) == Placement(
        "whole", tuple(f"GPU-whole-{i}" for i in range(4))
    )


def test_types_without_gpu_keep_off_hosts_with_devices_while_another_has_room():
    hosts = host("gpus", 4, cpus=999), host("plain", cpus=2)
    assert placed(CPU, *hosts) == Placement("plain", ())
    assert placed(CPU, *hosts, load=Load(cpus={"plain": 2})) == Placement("gpus", ())


def test_types_without_gpu_are_spread_to_the_host_with_most_idle_cpus():
    hosts = host("a"), host("b")
    assert placed(CPU, *hosts) == Placement("a", ())
    assert placed(CPU, *hosts, load=Load(cpus={"a": 1})) == Placement("b", ())


def test_the_same_values_give_the_same_place():
    hosts = [host("b", 2), host("a", 2)]
    assert placed(ONE, *hosts) == placed(ONE, *reversed(hosts)) == Placement("a", ("GPU-a-0",))


# -- how much ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "on", "load", "count"),
    [
        (ONE, host("a", 3), Load(), 3),
        (FOUR, host("a", 7), Load(), 1),
        (FOUR, host("a", 8), Load(held_devices=frozenset({"GPU-a-7"})), 1),
        (CPU, host("a", cpus=4, memory=99), Load(), 4),
        (CPU, host("a", cpus=99, memory=4), Load(), 4),
        (CPU, host("a", cpus=4, cpu_overcommit=4), Load(), 16),
        (CPU, host("a", cpus=4, memory=2, memory_overcommit=1.5), Load(), 3),
        (CPU, host("a", cpus=4), Load(cpus={"a": 1.5}), 2),
        (CPU, host("a", cpus=4), Load(cpus={"b": 4}), 4),
        (CPU, host("a", cpus=4), Load(cpus={"a": 9}), 0),
        # Ten tenths are one, although their binary sum is a little less.
        (machine("tenth", cpus=0.1), host("a", cpus=0.1 * 3), Load(), 3),
        (machine("tenth", cpus=0.1), host("a", cpus=1), Load(cpus={"a": sum([0.1] * 9)}), 1),
    ],
)
def test_a_host_carries_what_its_devices_cpus_and_memory_allow(wanted, on, load, count):
    assert fits(wanted, on, load) == count


def test_room_counts_the_hosts_that_are_open_to_the_person():
    hosts = host("a", 2), host("b", 3, groups=["lab-bio"])
    load = Load(held_devices=frozenset({"GPU-a-0", "GPU-b-0"}))
    assert room(ONE, hosts, load, NOBODY) == Room(free=1, total=2)
    assert room(ONE, hosts, load, frozenset({"lab-bio"})) == Room(free=3, total=5)


def test_a_device_that_is_out_of_service_is_given_to_nobody():
    devices = [
        {"uuid": "GPU-0", "model": "P5000", "out_of_service": True},
        {"uuid": "GPU-1", "model": "P5000"},
    ]
    one = host("a", devices=devices)
    assert free_devices(one, "P5000", Load()) == ["GPU-1"]
    assert room(ONE, [one], Load(), NOBODY) == Room(1, 1)


# -- declaring hosts -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"cpus": 0}, "hosts['a'].cpus = 0: "),
        ({"memory": -1}, "hosts['a'].memory = -1: "),
        ({"cpus": float("inf")}, "hosts['a'].cpus = inf: "),
        ({"cpu_overcommit": 0}, "hosts['a'].cpu_overcommit = 0: "),
        ({"devices": [{"uuid": "-v /:/x", "model": "m"}]}, "hosts['a'].devices.0.uuid = "),
        ({"devices": [{"uuid": "GPU-1"}]}, "hosts['a'].devices.0.model is missing; add it"),
        ({"devices": [{"uuid": "GPU-1", "model": "m"}] * 2}, "name each device once"),
    ],
)
def test_a_wrong_host_is_named_with_key_and_value(keys, words):
    with pytest.raises(ConfigurationFault) as caught:
        rows_from(Host, {"a": {"cpus": 1, "memory": 1, **keys}}, "hosts")
    assert words in str(caught.value)


# -- no history over-allocates -------------------------------------------------------------------

TYPES = [
    machine("tiny", cpus=0.1, memory=0.1),
    machine("c7", cpus=12, memory=30),
    machine("p4000", 1, model="P4000", cpus=8, memory=30),
    machine("p5000", 1, cpus=8, memory=30),
    machine("p5000x2", 2, cpus=16, memory=60),
    machine("p5000x4", 4, cpus=32, memory=120),
]
HOSTS = [
    host("plain", cpus=2, memory=64, cpu_overcommit=6),
    host("two", 2, cpus=24, memory=64),
    host("lab", 4, cpus=32, memory=128, groups=["lab-bio"]),
    host(
        "mixed",
        cpus=16,
        memory=128,
        devices=[
            Device(uuid="GPU-m-0", model="P5000"),
            Device(uuid="GPU-m-1", model="P4000"),
            Device(uuid="GPU-m-2", model="P5000", out_of_service=True),
        ],
    ),
]
GROUPS = st.frozensets(st.sampled_from(["lab-bio", "lab-chem"]))


@dataclass
class Fleet:
    """What runs where."""

    running: list[tuple[InstanceType, Placement]] = field(default_factory=list)

    def load(self) -> Load:
        cpus: dict[str, float] = {}
        memory: dict[str, float] = {}
        for what, where in self.running:
            cpus[where.host] = cpus.get(where.host, 0) + what.cpus
            memory[where.host] = memory.get(where.host, 0) + what.memory
        return Load(cpus, memory, frozenset(self.devices()))

    def devices(self) -> list[str]:
        return [device for _, where in self.running for device in where.devices]

    def never_too_much(self) -> None:
        assert all(count == 1 for count in Counter(self.devices()).values())
        load = self.load()
        for one in HOSTS:
            assert load.cpus.get(one.name, 0) <= one.cpus * one.cpu_overcommit + 1e-6
            assert load.memory.get(one.name, 0) <= one.memory * one.memory_overcommit + 1e-6


class HistoryOfStartsAndEnds(RuleBasedStateMachine):
    """Whatever starts and ends, in whatever order, nothing is given out twice."""

    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.fleet = Fleet()

    @rule(target=leases, wanted=st.sampled_from(TYPES), groups=GROUPS)
    def start(self, wanted: InstanceType, groups: frozenset[str]) -> Any:
        before = self.fleet.load()
        there = room(wanted, HOSTS, before, groups)
        where = place(wanted, HOSTS, before, groups)
        assert (where is None) == (there.free == 0)
        if where is None:
            return None
        on = next(one for one in HOSTS if one.name == where.host)
        known = {device.uuid: device for device in on.devices}
        assert on.open_to(groups)
        assert len(where.devices) == wanted.gpus
        assert all(known[uuid].model == wanted.gpu_model for uuid in where.devices)
        assert not any(known[uuid].out_of_service for uuid in where.devices)
        self.fleet.running.append((wanted, where))
        assert room(wanted, HOSTS, self.fleet.load(), groups).free == there.free - 1
        return self.fleet.running[-1]

    @rule(lease=consumes(leases))
    def end(self, lease: Any) -> None:
        if lease is None:
            return
        self.fleet.running.remove(lease)
        what, where = lease
        on = [one for one in HOSTS if one.name == where.host]
        assert place(what, on, self.fleet.load(), frozenset({"lab-bio"})) is not None

    @invariant()
    def nothing_is_given_out_twice(self) -> None:
        self.fleet.never_too_much()


HistoryOfStartsAndEnds.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None
)
TestNoHistoryOverAllocates = HistoryOfStartsAndEnds.TestCase


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(TYPES), max_size=60))
def test_a_fleet_fills_up_and_then_takes_no_more(wanted):
    fleet = Fleet()
    for one in wanted:
        where = place(one, HOSTS, fleet.load(), NOBODY)
        if where is not None:
            fleet.running.append((one, where))
    fleet.never_too_much()


@pytest.mark.parametrize("wanted", TYPES, ids=lambda one: one.name)
def test_an_empty_fleet_carries_exactly_the_total_that_is_shown(wanted):
    fleet = Fleet()
    total = room(wanted, HOSTS, Load(), NOBODY).total
    for _ in range(total):
        where = place(wanted, HOSTS, fleet.load(), NOBODY)
        assert where is not None
        fleet.running.append((wanted, where))
    assert place(wanted, HOSTS, fleet.load(), NOBODY) is None
    fleet.never_too_much()
