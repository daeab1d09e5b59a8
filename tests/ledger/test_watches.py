"""What the keeper remembers of open leases, and what Extend changes meanwhile."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import timedelta

import one_process
import pytest
import steps
from home import NOW

from gradienthub.ledger import By, audit, fleet, leases, watches
from gradienthub.rules.idleness import Reason, Warned
from gradienthub.rules.lease import Lease
from gradienthub.rules.refusal import Refused
from gradienthub.rules.use import Evidence, Use

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
GRACE = MINUTE
LATER = NOW + 50 * MINUTE


@pytest.fixture
def settings(ledger, make_settings):
    """Published settings of hub "h"."""
    made = make_settings(hub_id="h")
    ledger.write(fleet.publish, made, NOW)
    return made


@pytest.fixture
def running(ledger, settings, ask):
    """`running("anna")`: an answered lease."""

    def start(name="anna", **kwargs):
        lease = ask(ledger, settings, name, **kwargs)
        assert isinstance(lease, Lease), lease
        ledger.write(steps.answer, lease.id, NOW)
        return lease

    return start


def the_one(ledger):
    (found,) = ledger.read(watches.list_open_watched, "h")
    return found


def learned(found, **changes):
    """A watch as a pass leaves it."""
    evidence = Evidence(
        used_at=NOW + 7 * MINUTE,
        used_by=Use.TERMINAL,
        busy=("a b/train.ipynb", "Schulaufgabe-ü"),
        busy_since=NOW + MINUTE,
        looked_at=NOW + 8 * MINUTE + timedelta(microseconds=123456),
        unknown_since=None,
        reported_at=NOW - 3 * HOUR,
    )
    hard = Warned(Reason.SESSION_LIMIT, NOW + 3 * HOUR, 5 * MINUTE, NOW + 5 * MINUTE)
    idle = Warned(Reason.IDLE, NOW + HOUR, 15 * MINUTE, NOW + 8 * MINUTE, hard)
    known = {
        "evidence": evidence,
        "warned": idle,
        "gpu_load": 12.5,
        "stop_tries": 2,
        "would_stop_at": LATER,
        "known": True,
    }
    return replace(found, **(known | changes))


def test_a_lease_that_no_pass_has_seen_was_used_at_its_start(ledger, running):
    lease = running()
    found = the_one(ledger)
    assert (found.id, found.known, found.warned, found.evidence) == (
        lease.id,
        False,
        None,
        Evidence(used_at=NOW),
    )
    assert found.deadlines.shutdown_after == HOUR
    assert found.deadlines.session_ends_at == NOW + 12 * HOUR
    assert (found.lease.account_name, found.title) == ("anna", "Default notebook")
    assert found.ending(GRACE).at == NOW + HOUR


def test_what_a_pass_learned_is_read_back_as_it_was(ledger, running):
    running()
    seen = learned(the_one(ledger))
    ledger.write(watches.save, "h", [seen])
    assert the_one(ledger) == seen
    again = replace(
        seen,
        evidence=Evidence(used_at=LATER, unknown_since=LATER),
        warned=None,
        gpu_load=None,
        stop_tries=0,
        would_stop_at=None,
    )
    ledger.write(watches.save, "h", [again])
    assert the_one(ledger) == again == ledger.read(watches.find_watched, again.id)


def test_old_and_new_leases_are_saved_together_and_each_keeps_its_own(ledger, running):
    for name in ("anna", "berta"):
        running(name)
    first, second = ledger.read(watches.list_open_watched, "h")
    ledger.write(watches.save, "h", [learned(second, stop_tries=1)])
    ledger.write(watches.save, "h", [])
    assert [one.known for one in ledger.read(watches.list_open_watched, "h")] == [False, True]
    ledger.write(watches.save, "h", [learned(first, stop_tries=5), learned(second, stop_tries=6)])
    found = ledger.read(watches.list_open_watched, "h")
    assert [(one.id, one.stop_tries) for one in found] == [(first.id, 5), (second.id, 6)]


def test_only_answered_open_leases_of_the_hub_are_watched(ledger, settings, ask, running):
    starting = ask(ledger, settings, "anna")
    assert ledger.read(watches.list_open_watched, "h") == []
    assert ledger.read(watches.find_watched, starting.id) is None
    ledger.write(steps.answer, starting.id, NOW)
    assert the_one(ledger).id == starting.id
    assert ledger.read(watches.list_open_watched, "another hub") == []
    ledger.write(leases.note_stop, starting.id, Reason.IDLE, By("h", "keeper", LATER))
    assert ledger.read(watches.list_open_watched, "h") == []
    assert ledger.read(watches.find_watched, starting.id).lease.stop_requested_at == LATER
    assert ledger.read(watches.find_watched, "nobody's") is None


def test_an_ended_lease_keeps_its_last_use_and_is_forgotten_by_the_keeper(ledger, running):
    running()
    seen = learned(the_one(ledger))
    ledger.write(watches.save, "h", [seen])
    by = By("h", "ada", LATER)
    ledger.write(leases.note_stop, seen.id, Reason.ADMIN, by, "Server room moves.")
    ledger.write(leases.end, seen.id, LATER, None)
    row = ledger.read(steps.columns_of, seen.id)
    assert (row["used_at"], row["used_by"], row["stop_note"], row["stopped_by"]) == (
        seen.evidence.used_at,
        "terminal",
        "Server room moves.",
        "ada",
    )
    # A pass that was on its way when the lease ended.
    ledger.write(watches.save, "h", [seen])
    assert ledger.read(_watch_count) == 0
    ledger.write(leases.end, seen.id, LATER, None)
    assert ledger.read(steps.columns_of, seen.id) == row
    found = ledger.read(watches.find_watched, seen.id)
    assert (found.known, found.lease.ended_at) == (False, LATER)


def _watch_count(tx):
    return len(tx.execute(watches.watches.select()).all())


def test_a_stop_keeps_its_first_note_cut_to_what_fits_and_the_audit_has_it(ledger, running):
    lease = running()
    note = "Wartung ü " * 60
    assert ledger.write(leases.note_stop, lease.id, Reason.ADMIN, By("h", "ada", NOW), note)
    assert not ledger.write(leases.note_stop, lease.id, Reason.ADMIN, By("h", "eve", NOW), "No.")
    row = ledger.read(steps.columns_of, lease.id)
    assert (row["stop_note"], row["stopped_by"]) == (note[:400], "ada")
    newest = ledger.read(audit.list_rows, hub_id="h")[0]
    assert newest["detail"]["note"].startswith("Wartung ü")
    assert ledger.write(leases.end, lease.id, LATER, None)
    assert ledger.read(steps.columns_of, lease.id)["used_at"] is None


# -- Extend -------------------------------------------------------------------------------------


def extend(ledger, settings, lease_id, now=LATER):
    return ledger.write(
        watches.extend_lease,
        lease_id,
        By("h", "anna", now),
        tiers=settings.house.tiers,
        grace=GRACE,
    )


def test_extend_moves_the_idle_stop_and_is_in_the_audit(ledger, settings, running):
    lease = running()
    assert extend(ledger, settings, lease.id).deadlines.keep_until == LATER + HOUR
    found = the_one(ledger)
    assert found.ending(GRACE).at == LATER + HOUR
    newest = ledger.read(audit.list_rows, hub_id="h")[0]
    assert (newest["action"], newest["actor"]) == ("extend", "anna")
    assert newest["detail"] == {
        "lease": lease.id,
        "stop_at": None,
        "keep_until": (LATER + HOUR).isoformat(),
    }


def test_extend_ends_at_the_session_limit_and_then_is_refused(ledger, settings, running):
    lease = running()
    near = NOW + 11 * HOUR + 30 * MINUTE
    seen = learned(the_one(ledger), evidence=Evidence(used_at=near - 50 * MINUTE), warned=None)
    ledger.write(watches.save, "h", [seen])
    assert extend(ledger, settings, lease.id, near).deadlines.keep_until == NOW + 12 * HOUR
    refused = extend(ledger, settings, lease.id, near)
    assert isinstance(refused, Refused)
    assert "session limit" in refused.message
    assert (
        len([r for r in ledger.read(audit.list_rows, hub_id="h") if r["action"] == "extend"]) == 1
    )


@pytest.mark.parametrize("end", ["stop asked", "ended", "never there", "starting"])
def test_what_does_not_run_is_not_extended(ledger, settings, ask, end):
    lease = ask(ledger, settings, "anna")
    if end != "starting":
        ledger.write(steps.answer, lease.id, NOW)
    if end == "stop asked":
        ledger.write(leases.note_stop, lease.id, Reason.USER, By("h", "anna", NOW))
    if end == "ended":
        ledger.write(leases.end, lease.id, NOW, Reason.USER)
    before = ledger.read(steps.columns_of, lease.id)
    refused = extend(ledger, settings, "no-such-lease" if end == "never there" else lease.id)
    assert isinstance(refused, Refused)
    assert refused.code == "not_running"
    assert ledger.read(steps.columns_of, lease.id) == before


def test_a_lease_of_a_tier_that_is_gone_is_extended_by_its_interval(ledger, settings, running):
    lease = running()
    given = ledger.write(
        watches.extend_lease, lease.id, By("h", "anna", LATER), tiers={}, grace=GRACE
    )
    assert given.deadlines.keep_until == LATER + HOUR


def test_extend_and_the_keepers_saves_at_once_lose_nothing(ledger, ledger_url, settings, running):
    """Two processes: the hub extends sixty times while the keeper saves sixty passes."""
    lease = running("anna")
    seen = learned(the_one(ledger))
    tries = 60
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        keeper = pool.submit(one_process.save_often, ledger_url, seen, tries)
        hub = pool.submit(
            one_process.extend_often, ledger_url, lease.id, settings.house.tiers, LATER, tries
        )
        assert keeper.result(60) == tries
        last = hub.result(60)
    found = the_one(ledger)
    assert found.deadlines.keep_until == last == LATER + HOUR + (tries - 1) * timedelta(seconds=1)
    assert (found.stop_tries, found.evidence) == (tries - 1, seen.evidence)
    assert (
        len([r for r in ledger.read(audit.list_rows, hub_id="h") if r["action"] == "extend"])
        == tries
    )


def test_leases_that_end_while_the_keeper_saves_them_leave_no_watch(ledger, ledger_url, running):
    """Two processes, the first save of each lease against its end."""
    for name in ("anna", "berta"):
        running(name)
    seen = ledger.read(watches.list_open_watched, "h")
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        keeper = pool.submit(one_process.save_all, ledger_url, seen, 40)
        hub = pool.submit(one_process.end_all, ledger_url, [one.id for one in seen], LATER)
        keeper.result(60)
        hub.result(60)
    assert ledger.read(_watch_count) == 0
    assert all(ledger.read(steps.columns_of, one.id)["ended_at"] == LATER for one in seen)
