"""Hub, engine and ledger disagree: what is found, and how it is mended."""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from values import NOW, make_lease

from gradienthub.rules.drift import Finding, OwnObject, Repair, findings
from gradienthub.rules.idleness import Reason


def open_lease(lease_id, answered, stop_asked):
    """An open lease that has or has not answered, and whose stop was or was not asked for."""
    return make_lease(
        id=lease_id,
        answered_at=NOW if answered else None,
        stop_requested_at=NOW if stop_asked else None,
    )


RUNNING = open_lease("lease-a", answered=True, stop_asked=False)
STARTING = open_lease("lease-a", answered=False, stop_asked=False)
STOPPING = open_lease("lease-a", answered=True, stop_asked=True)
ALIVE = OwnObject("box-1", "lease-a", alive=True)
DEAD = OwnObject("box-1", "lease-a", alive=False)
NOBODY: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("lease", "seen", "repair", "reason", "why"),
    [
        (
            RUNNING,
            None,
            Repair.END_LEASE,
            Reason.CRASHED,
            "the engine has nothing for this open lease",
        ),
        (
            STARTING,
            None,
            Repair.END_LEASE,
            Reason.START_FAILED,
            "the engine has nothing for this open lease",
        ),
        (STOPPING, None, Repair.END_LEASE, None, "the engine has nothing for this open lease"),
        (RUNNING, DEAD, Repair.REAP, Reason.CRASHED, "it is dead and its lease is still open"),
        (
            STARTING,
            DEAD,
            Repair.REAP,
            Reason.START_FAILED,
            "it is dead and its lease is still open",
        ),
        (STOPPING, DEAD, Repair.REAP, None, "it is dead and its lease is still open"),
        (RUNNING, ALIVE, Repair.END_BOTH, Reason.LOST, "it runs, but the hub has no server for it"),
        (
            STARTING,
            ALIVE,
            Repair.END_BOTH,
            Reason.START_FAILED,
            "it runs, but the hub has no server for it",
        ),
        (STOPPING, ALIVE, Repair.END_BOTH, None, "it runs, but the hub has no server for it"),
        (None, ALIVE, Repair.REMOVE_OBJECT, None, "it belongs to no open lease"),
        (None, DEAD, Repair.REMOVE_OBJECT, None, "it belongs to no open lease"),
    ],
    ids=lambda part: part if isinstance(part, str) else None,
)
def test_each_disagreement_has_its_repair_and_reason(lease, seen, repair, reason, why):
    found = findings([lease] if lease else [], [seen] if seen else [], NOBODY)
    assert found == [Finding(repair, "lease-a", seen and "box-1", reason, why)]


@pytest.mark.parametrize("lease", [RUNNING, STARTING, STOPPING, None])
@pytest.mark.parametrize("seen", [ALIVE, DEAD, None])
def test_what_the_hub_is_busy_with_is_left_to_the_hub(lease, seen):
    hub = frozenset({"lease-a"})
    assert findings([lease] if lease else [], [seen] if seen else [], hub) == []


def test_of_two_objects_the_live_one_ends_the_lease_and_does_so_last():
    """Ended by the dead one, the lease's device would be free while the live one still has it."""
    for census in (
        [ALIVE, OwnObject("box-2", "lease-a", False)],
        [DEAD, OwnObject("box-2", "lease-a", True)],
    ):
        found = findings([RUNNING], census, NOBODY)
        dead, alive = sorted(census, key=lambda seen: seen.alive)
        assert [(f.repair, f.object_id) for f in found] == [
            (Repair.REMOVE_OBJECT, dead.object_id),
            (Repair.END_BOTH, alive.object_id),
        ]


@pytest.mark.parametrize("seen", [ALIVE, DEAD, None])
def test_a_server_whose_lease_somebody_else_ended_is_stopped_and_its_object_left_to_that(seen):
    hub = frozenset({"lease-a"})
    census = [seen] if seen else []
    assert findings([], census, hub, ended=hub) == [
        Finding(
            Repair.STOP_SERVER,
            "lease-a",
            None,
            None,
            "the hub calls it running, but its lease is ended",
        )
    ]
    for lease in (RUNNING, STOPPING):
        assert findings([lease], census, hub, ended=hub) == []


leases = st.builds(open_lease, st.sampled_from("abcdef"), st.booleans(), st.booleans())
objects = st.builds(
    OwnObject, st.integers(0, 99).map(str), st.sampled_from("abcdefgh"), st.booleans()
)
worlds = (
    st.lists(leases, unique_by=lambda lease: lease.id),
    st.lists(objects, unique_by=lambda seen: seen.object_id),
    st.frozensets(st.sampled_from("abcdefgh")),
)


@settings(deadline=None)
@given(*worlds)
def test_every_open_lease_is_the_hubs_or_is_ended_exactly_once(open_leases, census, hub):
    ended = [
        f.lease_id
        for f in findings(open_leases, census, hub)
        if f.repair is not Repair.REMOVE_OBJECT
    ]
    assert sorted(ended) == sorted(le.id for le in open_leases if le.id not in hub)


@settings(deadline=None)
@given(*worlds)
def test_every_object_is_the_hubs_or_is_removed_exactly_once(open_leases, census, hub):
    removed = [f.object_id for f in findings(open_leases, census, hub) if f.object_id is not None]
    assert sorted(removed) == sorted(s.object_id for s in census if s.lease_id not in hub)


@settings(deadline=None)
@given(*worlds)
def test_no_lease_ends_before_all_its_objects_are_removed(open_leases, census, hub):
    left = defaultdict(set)
    for seen in census:
        left[seen.lease_id].add(seen.object_id)
    for finding in findings(open_leases, census, hub):
        left[finding.lease_id].discard(finding.object_id)
        if finding.repair is not Repair.REMOVE_OBJECT:
            assert not left[finding.lease_id]


@settings(deadline=None)
@given(*worlds)
def test_a_world_that_was_repaired_has_no_findings(open_leases, census, hub):
    found = findings(open_leases, census, hub)
    ended = {f.lease_id for f in found if f.repair is not Repair.REMOVE_OBJECT}
    removed = {f.object_id for f in found}
    assert (
        findings(
            [lease for lease in open_leases if lease.id not in ended],
            [seen for seen in census if seen.object_id not in removed],
            hub,
        )
        == []
    )


@settings(deadline=None)
@given(*worlds)
def test_a_reason_that_was_written_when_the_stop_was_asked_is_kept(open_leases, census, hub):
    asked = {lease.id for lease in open_leases if lease.stop_requested_at}
    for finding in findings(open_leases, census, hub):
        if finding.lease_id in asked:
            assert finding.reason is None


@settings(deadline=None)
@given(*worlds, st.frozensets(st.sampled_from("abcdefgh")))
def test_exactly_the_running_servers_without_an_open_lease_are_stopped(
    open_leases, census, hub, some
):
    running = hub & some
    found = findings(open_leases, census, hub, running)
    stopped = [f for f in found if f.repair is Repair.STOP_SERVER]
    assert {f.lease_id for f in stopped} == running - {lease.id for lease in open_leases}
    assert [f for f in found if f not in stopped] == findings(open_leases, census, hub)
