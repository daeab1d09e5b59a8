"""The journal: what the database could not take is kept in a file and written later, once."""

from datetime import timedelta

import pytest
import steps
from home import NOW

from gradienthub.ledger import LedgerAway, fleet
from gradienthub.ledger.journal import Journal
from gradienthub.ledger.leases import Corpse
from gradienthub.rules.idleness import Reason

LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "data" / "journal.jsonl")


@pytest.fixture
def lease(ledger, make_settings, ask):
    setting = make_settings(hub_id="h")
    ledger.write(fleet.publish, setting, NOW)
    return ask(ledger, setting, "anna")


def test_stops_and_ends_are_written_later_as_of_when_they_happened(ledger, journal, lease):
    journal.stop(lease.id, Reason.USER, "anna", NOW)
    journal.end(lease.id, LATER, Reason.CRASHED, Corpse(1, True, "Killed\0\n"))
    assert journal.replay(ledger, "h") == 2
    row = ledger.read(steps.columns_of, lease.id)
    assert (row["reason"], row["stopped_by"], row["exit_code"]) == ("user", "anna", 1)
    assert (row["stop_requested_at"], row["ended_at"]) == (NOW, LATER)
    assert [d for d in ledger.read(fleet.list_devices, "h") if d["holder_id"]] == []


def test_replaying_twice_changes_nothing(ledger, journal, lease):
    journal.end(lease.id, NOW, Reason.CRASHED, None)
    kept = journal.path.read_bytes()
    journal.replay(ledger, "h")
    before = ledger.read(steps.columns_of, lease.id)
    journal.path.write_bytes(kept)
    journal.end(lease.id, LATER, Reason.USER, Corpse(9, False, "again"))
    assert journal.replay(ledger, "h") == 2
    assert ledger.read(steps.columns_of, lease.id) == before
    assert journal.replay(ledger, "h") == 0


def test_nothing_is_forgotten_while_the_ledger_is_still_away(ledger, journal, lease, monkeypatch):
    journal.end(lease.id, NOW, Reason.CRASHED, None)

    def away(*_args):
        raise LedgerAway("the database does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "write", away)
        with pytest.raises(LedgerAway):
            journal.replay(ledger, "h")
    assert journal.replay(ledger, "h") == 1
    assert ledger.read(steps.columns_of, lease.id)["ended_at"] == NOW


def test_a_line_that_a_dying_hub_wrote_half_does_not_keep_the_others_from_the_ledger(
    ledger, journal, lease
):
    journal.end(lease.id, NOW, Reason.CRASHED, None)
    whole = journal.path.read_text()
    journal.path.write_text('{"op": "end", "lea\n' + whole + whole[:40])
    assert journal.replay(ledger, "h") == 1
    assert ledger.read(steps.columns_of, lease.id)["ended_at"] == NOW
    assert journal.replay(ledger, "h") == 0


def test_a_line_written_after_half_a_line_is_not_lost(ledger, journal, lease):
    journal.path.parent.mkdir()
    journal.path.write_text('{"op": "end", "lea')
    journal.end(lease.id, NOW, Reason.CRASHED, None)
    assert journal.replay(ledger, "h") == 1


def test_a_line_about_a_lease_that_nobody_knows_harms_nothing(ledger, journal):
    journal.stop("unknown", Reason.USER, "anna", NOW)
    journal.end("unknown", NOW, None, None)
    assert journal.replay(ledger, "h") == 2
