"""A lease's life in the ledger: phases, the first stop, one end; what is listed of it."""

from datetime import timedelta

import steps
from home import NOW

from gradienthub.ledger import By, fleet, leases
from gradienthub.ledger.leases import Corpse
from gradienthub.rules.idleness import Reason
from gradienthub.rules.lease import Lease
from gradienthub.rules.phase import Phase

LATER = NOW + timedelta(minutes=5)


def held(ledger):
    return {
        row["uuid"]: row["holder_id"]
        for row in ledger.read(fleet.list_devices, "h")
        if row["holder_id"]
    }


def started(ledger, make_settings, ask, name="anna", **kwargs):
    setting = make_settings(hub_id="h")
    ledger.write(fleet.publish, setting, NOW)
    lease = ask(ledger, setting, name, **kwargs)
    assert isinstance(lease, Lease)
    return lease


def test_an_end_frees_the_devices_and_a_second_end_changes_nothing(ledger, make_settings, ask):
    lease = started(ledger, make_settings, ask)
    assert held(ledger) == {lease.devices[0]: lease.id}
    corpse = Corpse(exit_code=137, out_of_memory=True, last_words="Killed\n")
    assert ledger.write(leases.end, lease.id, NOW, Reason.CRASHED, corpse) is True
    assert held(ledger) == {}
    before = ledger.read(steps.columns_of, lease.id)
    assert ledger.write(leases.end, lease.id, LATER, Reason.USER, Corpse(exit_code=1)) is False
    assert ledger.read(steps.columns_of, lease.id) == before
    assert (before["reason"], before["exit_code"], before["last_words"]) == (
        "crashed",
        137,
        "Killed\n",
    )


def test_a_late_second_end_does_not_free_what_is_somebody_elses_now(ledger, make_settings, ask):
    first = started(ledger, make_settings, ask)
    ledger.write(leases.end, first.id, NOW, Reason.USER)
    second = started(ledger, make_settings, ask, "berta")
    assert second.devices == first.devices
    ledger.write(leases.end, first.id, LATER, Reason.LOST)
    assert held(ledger) == {second.devices[0]: second.id}


def test_the_first_stop_says_when_billing_ends_and_why(ledger, make_settings, ask):
    lease = started(ledger, make_settings, ask)
    assert ledger.write(leases.note_stop, lease.id, Reason.IDLE, By("h", "the keeper", NOW)) is True
    assert ledger.write(leases.note_stop, lease.id, Reason.USER, By("h", "anna", LATER)) is False
    assert ledger.write(leases.end, lease.id, LATER, Reason.CRASHED, None) is True
    row = ledger.read(steps.columns_of, lease.id)
    assert (row["reason"], row["stopped_by"]) == ("idle", "the keeper")
    assert (row["stop_requested_at"], row["ended_at"]) == (NOW, LATER)


def test_a_stop_of_what_is_ended_counts_for_nothing(ledger, make_settings, ask):
    lease = started(ledger, make_settings, ask)
    ledger.write(leases.end, lease.id, NOW, Reason.CRASHED)
    assert ledger.write(leases.note_stop, lease.id, Reason.USER, By("h", "anna", LATER)) is False
    assert ledger.read(steps.columns_of, lease.id)["reason"] == "crashed"


def test_an_end_without_a_reason_is_lost(ledger, make_settings, ask):
    lease = started(ledger, make_settings, ask)
    ledger.write(leases.end, lease.id, NOW, None)
    assert ledger.read(steps.columns_of, lease.id)["reason"] == "lost"


def test_last_words_with_bytes_that_a_database_cannot_hold_still_end_the_lease(
    ledger, make_settings, ask
):
    lease = started(ledger, make_settings, ask)
    words = "first\n" + "x" * 9000 + "\0 \x1b[31m \ufffd last"
    assert ledger.write(leases.end, lease.id, NOW, Reason.CRASHED, Corpse(1, False, words))
    kept = ledger.read(steps.columns_of, lease.id)["last_words"]
    assert kept.endswith("last")
    assert len(kept) <= 4000
    assert held(ledger) == {}


def test_the_first_answer_and_the_first_confirmation_count(ledger, make_settings, ask):
    lease = started(ledger, make_settings, ask)
    for at in (NOW, LATER):
        ledger.write(steps.answer, lease.id, at)
        ledger.write(leases.note_confirmed, lease.id, at)
    row = ledger.read(steps.columns_of, lease.id)
    assert (row["answered_at"], row["confirmed_at"], row["phase"]) == (NOW, NOW, "running")


def test_what_is_stopping_is_not_called_running_by_a_late_confirmation(ledger, make_settings, ask):
    lease = started(ledger, make_settings, ask)
    ledger.write(steps.answer, lease.id, NOW)
    ledger.write(leases.note_stop, lease.id, Reason.USER, By("h", "anna", NOW))
    assert ledger.write(leases.note_confirmed, lease.id, LATER) is False
    assert ledger.read(steps.columns_of, lease.id)["phase"] == "stopping"


def test_a_start_that_goes_on_after_its_lease_was_ended_is_told_so(ledger, make_settings, ask):
    lease = started(ledger, make_settings, ask)
    assert ledger.write(leases.note_phase, lease.id, Phase.STARTING, NOW, "gradient-x") is True
    ledger.write(leases.end, lease.id, NOW, Reason.START_FAILED)
    assert ledger.write(leases.note_phase, lease.id, Phase.ANSWERING, LATER) is False
    assert ledger.write(leases.note_answered, lease.id, LATER) is False


def test_the_place_in_line_is_how_many_of_the_same_host_wait_before(ledger, make_settings, ask):
    setting = make_settings(hub_id="h")
    first, second, third = (
        ask(ledger, setting, name, "free-cpu", at=NOW + timedelta(seconds=i))
        for i, name in enumerate(("anna", "berta", "carla"))
    )
    places = [ledger.read(leases.count_starts_before, lease.id) for lease in (first, second, third)]
    assert places == [0, 1, 2]
    ledger.write(steps.reach, first.id, Phase.TURN, NOW)
    assert ledger.read(leases.count_starts_before, third.id) == 1
    ledger.write(leases.end, second.id, NOW, Reason.USER)
    assert ledger.read(leases.count_starts_before, third.id) == 0


def test_the_usual_start_is_counted_from_the_turn_to_the_first_answer(ledger, make_settings, ask):
    setting = make_settings(hub_id="h")
    for number, seconds in enumerate((3, 4, 20)):
        lease = ask(ledger, setting, f"user{number}", "free-cpu")
        ledger.write(steps.reach, lease.id, Phase.TURN, NOW + timedelta(minutes=1))
        ledger.write(steps.answer, lease.id, NOW + timedelta(minutes=1, seconds=seconds))
    usual = ledger.read(leases.compute_usual_start, hub_id="h", runtime="python", image=None)
    assert (usual.median, usual.nine_of_ten, usual.count) == (
        timedelta(seconds=4),
        timedelta(seconds=20),
        3,
    )
    assert ledger.read(leases.compute_usual_start, hub_id="h", runtime="torch", image=None) is None
    # A start that claims a warm server says nothing of cold ones, nor they of it.
    assert (
        ledger.read(leases.compute_usual_start, hub_id="h", runtime="python", image=None, warm=True)
        is None
    )


def test_settings_are_published_once_for_each_change(ledger, make_settings):
    setting = make_settings(hub_id="h")
    assert ledger.write(fleet.publish, setting, NOW) is True
    assert ledger.write(fleet.publish, setting, LATER) is False
    changed = make_settings(hub_id="h", help_url="https://help.example/")
    assert ledger.write(fleet.publish, changed, LATER) is True
    assert [row["uuid"] for row in ledger.read(fleet.list_devices, "h")] == [
        "GPU-a100",
        "GPU-t4-0",
        "GPU-t4-1",
    ]
