"""Which warm server a start gets, which ones make way, and which ones are added."""

import pytest

from gradienthub.rules.catalog import InstanceType
from gradienthub.rules.placement import Device, Host, Load, Placement, place
from gradienthub.rules.warm import Kind, Pool, Slot, choose, next_fill, surplus

CPU = InstanceType(name="cpu", title="CPU", cpus=1, memory=2, price=0)
GPU = InstanceType(name="gpu", title="GPU", gpu_model="T4", gpus=1, cpus=2, memory=4, price=0)
GPU2 = InstanceType(name="gpu2", title="2", gpu_model="T4", gpus=2, cpus=4, memory=8, price=0)
TYPES = {t.name: t for t in (CPU, GPU, GPU2)}
RACK = Host(
    name="rack",
    cpus=8,
    memory=16,
    devices=(Device(uuid="T4-0", model="T4"), Device(uuid="T4-1", model="T4")),
)
EMPTY = Load()
PRIVATE = Host(name="private", cpus=8, memory=16, groups=("lab",))


def slot(name, kind=CPU, runtime="python", image="a:1", host="rack", devices=(), **more):
    """A warm server that waits."""
    values = {"cpus": kind.cpus, "memory": kind.memory, "state": "ready", **more}
    return Slot(name, host, kind.name, runtime, image, tuple(devices), **values)


def chosen(wanted, slots, *, load=EMPTY, hosts=(RACK,), runtime="python", image="a:1", groups=()):
    """What a start of this type gets."""
    placement = place(wanted, hosts, load, groups)
    assert placement is not None
    kind = Kind(wanted, runtime, image)
    return choose(placement, kind, slots, hosts=hosts, load=load, groups=groups)


def test_the_one_that_has_waited_longest_is_claimed_with_its_host_and_device():
    slots = [slot("old", GPU, devices=["T4-1"]), slot("new", GPU, devices=["T4-0"])]
    outcome = chosen(GPU, slots, load=Load(warm_devices=frozenset({"T4-0", "T4-1"})))
    assert outcome.claims == "old"
    assert outcome.placement == Placement("rack", ("T4-1",))
    assert outcome.evicts == ()


@pytest.mark.parametrize(
    "other",
    [
        slot("s", runtime="torch"),
        slot("s", image="a:2"),
        slot("s", GPU, devices=["T4-0"]),
        slot("s", state="filling"),
        slot("s", state="leaving"),
        slot("s", memory=3),
        slot("s", host="private"),
    ],
    ids=["runtime", "image", "type", "on-its-way", "leaving", "changed-type", "reserved-host"],
)
def test_a_server_of_another_kind_is_not_claimed(other):
    assert chosen(CPU, [other], hosts=(RACK, PRIVATE)).claims is None


def test_a_custom_image_starts_cold_even_where_it_is_the_pools():
    assert chosen(CPU, [slot("s")], runtime=None).claims is None


def test_a_device_without_a_warm_server_is_taken_first():
    outcome = chosen(
        GPU,
        [slot("s", GPU, "torch", devices=["T4-0"])],
        load=Load(warm_devices=frozenset({"T4-0"})),
    )
    assert outcome.placement.devices == ("T4-1",)
    assert outcome.evicts == ()


def test_who_needs_a_device_gets_it_and_the_warm_server_makes_way():
    slots = [slot("a", GPU, "torch", devices=["T4-0"]), slot("b", GPU, devices=["T4-1"])]
    outcome = chosen(GPU2, slots, load=Load(warm_devices=frozenset({"T4-0", "T4-1"})))
    assert outcome.claims is None
    assert outcome.evicts == ("a", "b")


def test_memory_is_peoples_first_and_the_newest_makes_way():
    slots = [slot("old"), slot("new")]
    load = Load(cpus={"rack": 0}, memory={"rack": 10})
    assert chosen(CPU, slots, load=load, runtime="torch").evicts == ()
    load = Load(cpus={"rack": 0}, memory={"rack": 12})
    assert chosen(CPU, slots, load=load, runtime="torch").evicts == ("new",)


def test_a_server_already_leaving_is_not_evicted_twice():
    slots = [slot("a", GPU, devices=["T4-0"], state="leaving")]
    assert chosen(GPU2, slots).evicts == ()


def filled(pools, slots=(), load=EMPTY, most=4.0, hosts=(RACK,)):
    """The next to add."""
    return next_fill(pools, list(slots), TYPES, hosts, load, most)


def test_the_pool_that_lacks_most_is_filled_first():
    pools = [
        Pool(instance_type="cpu", runtime="python", count=2),
        Pool(instance_type="gpu", runtime="torch", count=1),
    ]
    assert filled(pools, [slot("a")]).pool.instance_type == "gpu"
    full = [slot("a"), slot("b"), slot("c", GPU, "torch", devices=["T4-0"])]
    assert filled(pools, full) is None
    assert filled(pools, [*full[1:], slot("a", state="leaving")]).pool.instance_type == "cpu"


def test_a_warm_server_takes_only_what_nobody_has():
    pools = [Pool(instance_type="gpu", runtime="python", count=2)]
    held = Load(held_devices=frozenset({"T4-0"}))
    assert filled(pools, load=held).placement.devices == ("T4-1",)
    waits = [slot("a", GPU, devices=["T4-1"])]
    assert filled(pools, waits, load=held) is None
    assert filled(pools, load=Load(memory={"rack": 13})) is None


def test_no_warm_server_waits_on_a_reserved_host():
    assert filled([Pool(instance_type="cpu", runtime="python", count=1)], hosts=(PRIVATE,)) is None


def test_the_bound_on_memory_counts_what_they_say_they_use():
    pools = [Pool(instance_type="cpu", runtime="python", count=9)]
    there = [slot("a", used=10**8), slot("b", used=10**8)]
    assert filled(pools, there, most=0.3) is not None
    assert filled(pools, there, most=0.29) is None
    # Before one has said so, it is taken to use what JupyterLab does.
    assert filled(pools, most=0.1) is None


def test_what_no_pool_wants_any_more_leaves_the_newest_first():
    slots = [slot("a"), slot("b"), slot("c", GPU, devices=["T4-0"])]
    assert surplus([Pool(instance_type="cpu", runtime="python", count=1)], slots) == ("b", "c")
    assert surplus([], [slot("a", state="leaving")]) == ()
