"""Warm servers in the ledger: who holds a device, and that people never wait for one."""

import uuid
from datetime import timedelta

import pytest
import steps
from home import NOW, RUNTIMES

from gradienthub.ledger import By, capacity, fleet, leases, warm_slots
from gradienthub.ledger import warm_pool as pool_rows
from gradienthub.rules.catalog import ConfigurationFault
from gradienthub.rules.idleness import Reason

WARM_RUNTIMES = {**RUNTIMES, "python": {**RUNTIMES["python"], "warm": True}}


@pytest.fixture
def setting(make_settings, ledger):
    """Two warm T4, and a ledger that knows the devices."""
    made = make_settings(
        hub_id="h",
        runtimes=WARM_RUNTIMES,
        warm={"free-t4": {"python": 2}, "free-cpu": {"python": 0}},
    )
    ledger.write(fleet.publish, made, NOW)
    return made


def fill(ledger, setting, *, ready=True):
    """One more warm server."""
    (pool,) = setting.pools
    slot = ledger.write(pool_rows.add, setting, {pool: "digest"}, str(uuid.uuid4()), NOW)
    if slot is not None and ready:
        ledger.write(
            warm_slots.note_ready, slot.id, object_id="c", address="1.2.3.4 5", used=9, now=NOW
        )
    return slot


def holders(ledger):
    """Device -> (kind, id) of its holder."""
    return {
        row["uuid"]: (row["holder_kind"], row["holder_id"])
        for row in ledger.read(fleet.list_devices, "h")
        if row["holder_id"]
    }


def test_a_warm_server_holds_its_device_until_a_start_claims_it_with_the_device(
    ledger, setting, ask
):
    slot = fill(ledger, setting)
    assert holders(ledger) == {"GPU-t4-0": ("warm", slot.id)}
    lease = ask(ledger, setting, "anna", "free-t4")
    assert (lease.claim.slot_id, lease.claim.object_id, lease.claim.address) == (
        slot.id,
        "c",
        "1.2.3.4 5",
    )
    assert lease.devices == slot.devices
    assert holders(ledger) == {"GPU-t4-0": ("lease", lease.id)}
    assert ledger.read(warm_slots.list_slots, "h") == []
    assert ledger.read(warm_slots.map_claims, "h") == {slot.id: lease.id}
    ledger.write(leases.end, lease.id, NOW, Reason.USER)
    assert holders(ledger) == {}
    assert ledger.read(warm_slots.map_claims, "h") == {}


def test_a_warm_server_on_its_way_is_claimed_by_nobody_and_gives_its_device_up(
    ledger, setting, ask
):
    first, second = fill(ledger, setting, ready=False), fill(ledger, setting, ready=False)
    anna, berta = (ask(ledger, setting, name, "free-t4") for name in ("anna", "berta"))
    assert (anna.claim, berta.claim) == (None, None)
    assert (anna.evicts, berta.evicts) == ((first.id,), (second.id,))
    assert {kind for kind, _ in holders(ledger).values()} == {"lease"}
    # The engine may still have said in between that it waits: nobody is given it.
    assert not ledger.write(
        warm_slots.note_ready, first.id, object_id="c", address="1.2.3.4 5", used=9, now=NOW
    )
    # The device goes back to the one that is not gone yet, and is free with it.
    ledger.write(leases.end, anna.id, NOW, Reason.USER)
    assert holders(ledger)["GPU-t4-0"] == ("warm", first.id)
    ledger.write(warm_slots.remove_slot, first.id, NOW)
    assert "GPU-t4-0" not in holders(ledger)


def test_a_warm_server_counts_in_no_cap_and_is_shown_to_nobody_as_taken(ledger, setting, ask):
    fill(ledger, setting)
    fill(ledger, setting)
    lease = ask(ledger, setting, "anna", "free-t4")
    load = ledger.read(capacity.read_taken, setting).load
    assert load.held_devices == frozenset(lease.devices)
    assert load.warm_devices == {"GPU-t4-0", "GPU-t4-1"} - load.held_devices
    assert load.memory == {"rack": 2.0}


def test_another_hubs_warm_server_is_held_like_a_lease(ledger, setting, ask, make_settings):
    fill(ledger, setting)
    other = make_settings(hub_id="other", runtimes=WARM_RUNTIMES)
    lease = ask(ledger, other, "anna", "free-t4")
    assert lease.devices == ("GPU-t4-1",)
    assert lease.evicts == ()


def test_no_more_are_added_than_configured_and_none_while_paused(ledger, setting):
    assert [fill(ledger, setting) is None for _ in range(3)] == [False, False, True]
    ledger.write(warm_slots.pause, By("h", "ada", NOW))
    assert {slot.state for slot in ledger.read(warm_slots.list_slots, "h")} == {"leaving"}
    for slot in ledger.read(warm_slots.list_slots, "h"):
        ledger.write(warm_slots.remove_slot, slot.id, NOW)
    assert fill(ledger, setting) is None
    assert ledger.read(warm_slots.find_pause, "h") == ("ada", NOW)
    ledger.write(warm_slots.resume, "h")
    assert fill(ledger, setting) is not None


def test_one_that_is_let_go_is_claimed_by_nobody_and_one_that_is_claimed_stays(
    ledger, setting, ask
):
    old, new = fill(ledger, setting), fill(ledger, setting)
    assert ledger.write(pool_rows.let_go, "h", old.id)
    lease = ask(ledger, setting, "anna", "free-t4")
    assert lease.claim.slot_id == new.id
    assert not ledger.write(pool_rows.let_go, "h", new.id)
    # Of one without a row, which a hub that was killed has left, nobody has anything.
    assert ledger.write(pool_rows.let_go, "h", "nobody's")
    ledger.write(leases.end, lease.id, NOW, Reason.USER)
    assert ledger.write(pool_rows.let_go, "h", new.id)


def test_warm_starts_are_counted(ledger, setting, ask):
    fill(ledger, setting)
    for name in ("anna", "berta"):
        lease = ask(ledger, setting, name, "free-t4")
        ledger.write(steps.answer, lease.id, NOW + timedelta(seconds=1))
    assert ledger.read(warm_slots.warm_starts, "h", NOW) == (1, 2)
    assert ledger.read(warm_slots.warm_starts, "h", NOW + timedelta(minutes=1)) == (0, 0)


@pytest.mark.parametrize(
    ("warm", "words"),
    [
        ({"p100": {"python": 1}}, "warm['p100'] is not an instance type; known are free-cpu"),
        ({"free-cpu": {"julia": 1}}, "warm['free-cpu']['julia'] is not a runtime; known are"),
        ({"free-cpu": {"torch": 1}}, "warm is False; run `gradienthub check --runtime torch`"),
        ({"free-cpu": {"python": -1}}, "['python'].count = -1: Input should be greater"),
        ({"free-cpu": {"python": 101}}, "['python'].count = 101: Input should be less"),
        ({"free-cpu": {"python": "many"}}, "['python'].count = 'many'"),
        ({"free-cpu": 2}, "warm['free-cpu'] = 2; write {runtime: count}"),
    ],
)
def test_a_wrong_pool_stops_the_start_with_name_value_and_cure(make_settings, warm, words):
    with pytest.raises(ConfigurationFault) as fault:
        make_settings(runtimes=WARM_RUNTIMES, warm=warm)
    assert words in str(fault.value)


def test_a_runtime_that_needs_a_gpu_waits_on_no_machine_without(make_settings):
    runtimes = {"cuda": {"title": "CUDA", "image": "a:1", "needs_gpu": True, "warm": True}}
    with pytest.raises(ConfigurationFault, match="needs a GPU and free-cpu has none"):
        make_settings(runtimes={**WARM_RUNTIMES, **runtimes}, warm={"free-cpu": {"cuda": 1}})
