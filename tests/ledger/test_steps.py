"""The ledger takes the steps of rules/phase.py, and no other."""

from datetime import timedelta
from itertools import product

import pytest
import steps
from home import NOW
from sqlalchemy import insert, update

from gradienthub.ledger import By, leases, warm_slots
from gradienthub.ledger.schema import leases as lease_table
from gradienthub.ledger.schema import warm_slots as slot_table
from gradienthub.rules.idleness import Reason
from gradienthub.rules.phase import FOLLOWS, SLOT_FOLLOWS, Phase, SlotState

LATER = NOW + timedelta(minutes=5)


def note(ledger, lease_id, phase):
    """Note a phase as the hub does, and return whether it was taken."""
    match phase:
        case Phase.ANSWERED:
            return ledger.write(leases.note_answered, lease_id, LATER)
        case Phase.RUNNING:
            return ledger.write(leases.note_confirmed, lease_id, LATER)
        case Phase.STOPPING:
            return ledger.write(leases.note_stop, lease_id, Reason.USER, By("h", "anna", LATER))
        case Phase.ENDED:
            return ledger.write(leases.end, lease_id, LATER, Reason.USER)
    return ledger.write(leases.note_phase, lease_id, phase, LATER)


def test_all_pairs_of_phases(ledger, make_settings, ask):
    setting = make_settings(hub_id="h")
    for number, (before, after) in enumerate(product(Phase, Phase)):
        lease_id = ask(ledger, setting, f"user{number}", "free-cpu").id
        moments = {}
        if before in (Phase.ANSWERED, Phase.RUNNING):
            moments["answered_at"] = NOW
        if before is Phase.RUNNING:
            moments["confirmed_at"] = NOW
        if before is Phase.STOPPING:
            moments["stop_requested_at"] = NOW
        if before is Phase.ENDED:
            moments["ended_at"] = NOW
        put(ledger, lease_id, phase=before, **moments)
        taken = note(ledger, lease_id, after)
        kept = ledger.read(steps.columns_of, lease_id)
        if before is after:
            assert kept["phase"] == after, "what is noted again changes nothing"
            assert {name: kept[name] for name in moments} == moments
        else:
            legal = after in FOLLOWS[before]
            assert kept["phase"] == (after if legal else before), (before, after)
            assert (kept["phase_at"] == LATER) is legal
            # What runs has answered, and whoever notes it again goes on.
            assert taken is (legal or (before, after) == (Phase.RUNNING, Phase.ANSWERED))
        ledger.write(leases.end, lease_id, LATER, Reason.USER)


def put(ledger, lease_id, **values):
    ledger.write(
        lambda tx: tx.execute(
            update(lease_table).where(lease_table.c.id == lease_id).values(**values)
        )
    )


@pytest.mark.parametrize("phase", Phase)
def test_a_word_of_another_version_keeps_no_lease_from_going_on(ledger, make_settings, ask, phase):
    lease_id = ask(ledger, make_settings(hub_id="h"), "anna", "free-cpu").id
    put(ledger, lease_id, phase="hatching")
    assert ledger.read(steps.columns_of, lease_id)["phase"] is Phase.ADMITTED
    assert note(ledger, lease_id, phase)
    assert ledger.read(steps.columns_of, lease_id)["phase"] == phase


def test_a_phase_that_is_noted_again_keeps_its_first_moment(ledger, make_settings, ask):
    lease_id = ask(ledger, make_settings(hub_id="h"), "anna", "free-cpu").id
    for phase in (Phase.PREPARING, Phase.WAITING, Phase.TURN, Phase.STARTING, Phase.ANSWERING):
        for at in (NOW, LATER):
            assert ledger.write(leases.note_phase, lease_id, phase, at, object_id=f"at {at}")
    assert [ledger.write(leases.note_answered, lease_id, at) for at in (NOW, LATER)] == [True, True]
    kept = ledger.read(steps.columns_of, lease_id)
    assert (kept["turn_at"], kept["started_at"], kept["answered_at"]) == (NOW, NOW, NOW)
    assert kept["object_id"] == f"at {LATER}"


def test_all_pairs_of_a_warm_servers_states(ledger):
    for number, (before, after) in enumerate(product(SlotState, SlotState)):
        slot_id = f"slot{number}"
        values = {
            "id": slot_id,
            "hub_id": "h",
            "host": "rack",
            "instance_type": "cpu",
            "runtime": "python",
            "image": "i",
            "devices": [],
            "cpus": 1,
            "memory": 1,
            "state": before,
            "digest": "",
            "created_at": NOW,
        }
        ledger.write(lambda tx, row=values: tx.execute(insert(slot_table).values(**row)))
        match after:
            case SlotState.FILLING:
                continue  # Only a new row has it.
            case SlotState.READY:
                ledger.write(
                    warm_slots.note_ready, slot_id, object_id="o", address="a", used=1, now=NOW
                )
            case SlotState.LEAVING:
                ledger.write(warm_slots.let_go, [slot_id])
        [slot] = [s for s in ledger.read(warm_slots.list_slots, "h") if s.id == slot_id]
        legal = before is after or after in SLOT_FOLLOWS[before]
        assert slot.state is (after if legal else before), (before, after)
