"""Small mode: each notebook's own deadlines decide, not the culler's limit."""

from datetime import UTC, datetime, timedelta

import pytest

from gradienthub.service.culler import arbiter, deadlines_of

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ANY_LIMIT = 60.0


def server(**deadlines):
    kept = {"shutdown_after": 3600.0, "stop_at": None, "session_ends_at": None} | deadlines
    return {"full_name": "mira/", "state": {"lease_id": "c4e9", "deadlines": kept}}


@pytest.mark.parametrize(
    ("idle", "stopped"),
    [(timedelta(minutes=59, seconds=59), False), (timedelta(hours=1), True)],
)
def test_an_idle_notebook_stops_at_its_own_interval(idle, stopped):
    assert arbiter(idle, ANY_LIMIT, server(), now=NOW) is stopped


def test_the_cullers_own_limit_stops_nothing():
    assert not arbiter(timedelta(minutes=30), 1.0, server(), now=NOW)


def test_the_session_limit_stops_a_notebook_that_is_in_use():
    ended = server(session_ends_at=(NOW - timedelta(seconds=1)).isoformat())
    assert arbiter(timedelta(0), ANY_LIMIT, ended, now=NOW)


def test_the_end_time_its_owner_chose_stops_a_notebook_that_is_in_use():
    ended = server(stop_at=NOW.isoformat())
    assert arbiter(timedelta(0), ANY_LIMIT, ended, now=NOW)


def test_a_notebook_without_an_interval_is_never_stopped_for_idleness():
    assert not arbiter(timedelta(days=30), ANY_LIMIT, server(shutdown_after=None), now=NOW)


def test_unknown_activity_is_not_idleness():
    assert not arbiter(None, ANY_LIMIT, server(), now=NOW)


@pytest.mark.parametrize("state", [None, {}, {"deadlines": "x"}, {"object_id": "abc"}])
def test_a_server_without_our_deadlines_is_left_alone(state):
    assert not arbiter(timedelta(days=1), ANY_LIMIT, {"state": state, "url": "/user/x"}, now=NOW)


def test_deadlines_survive_the_way_through_the_hubs_saved_state():
    moment = NOW + timedelta(hours=2)
    found = deadlines_of(server(stop_at=moment.isoformat())["state"])
    assert found is not None
    assert (found.shutdown_after, found.stop_at) == (timedelta(hours=1), moment)
