"""Who is kept and who is stopped, and why."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradienthub.rules.idleness import Deadlines, Keep, Reason, Stop, cull

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
moments = st.none() | st.timedeltas(-3 * HOUR, 3 * HOUR).map(lambda span: NOW + span)


@pytest.mark.parametrize(
    ("idle_for", "deadlines", "verdict"),
    [
        (timedelta(0), Deadlines(HOUR), Keep("idle for 0 s of 1 h")),
        (HOUR - SECOND, Deadlines(HOUR), Keep("idle for 59 min 59 s of 1 h")),
        (HOUR, Deadlines(HOUR), Stop(Reason.IDLE, "idle for 1 h")),
        (9 * HOUR, Deadlines(None), Keep("no idle stop is set")),
        (None, Deadlines(HOUR), Keep("nothing is known of its use")),
        (None, Deadlines(None), Keep("no idle stop is set")),
        # A notebook's clock that is ahead of ours.
        (-5 * SECOND, Deadlines(HOUR), Keep("idle for 0 s of 1 h")),
        (timedelta(0), Deadlines(HOUR, session_ends_at=NOW),
         Stop(Reason.SESSION_LIMIT, "its tier's session limit")),
        (timedelta(0), Deadlines(HOUR, session_ends_at=NOW + SECOND), Keep("idle for 0 s of 1 h")),
        (timedelta(0), Deadlines(HOUR, stop_at=NOW),
         Stop(Reason.STOP_AT, "the end time its owner chose")),
        (timedelta(0), Deadlines(HOUR, stop_at=NOW + SECOND), Keep("idle for 0 s of 1 h")),
        (None, Deadlines(None, stop_at=NOW - HOUR),
         Stop(Reason.STOP_AT, "the end time its owner chose")),
        (9 * HOUR, Deadlines(HOUR, NOW, NOW),
         Stop(Reason.SESSION_LIMIT, "its tier's session limit")),
    ],
)  # fmt: skip
def test_a_notebook_is_kept_or_stopped_for_a_reason(idle_for, deadlines, verdict):
    assert cull(idle_for, deadlines, NOW) == verdict


@given(moments, moments, st.none() | st.timedeltas(SECOND, 100 * HOUR))
def test_unknown_use_never_stops_a_notebook_for_idleness(stop_at, session_ends_at, shutdown_after):
    verdict = cull(None, Deadlines(shutdown_after, stop_at, session_ends_at), NOW)
    assert isinstance(verdict, Keep) or verdict.reason is not Reason.IDLE


@given(st.timedeltas(timedelta(0), 100 * HOUR), st.timedeltas(SECOND, 100 * HOUR))
def test_idleness_alone_stops_exactly_from_the_interval_on(idle_for, shutdown_after):
    stopped = isinstance(cull(idle_for, Deadlines(shutdown_after), NOW), Stop)
    assert stopped == (idle_for >= shutdown_after)


@given(moments, moments, st.none() | st.timedeltas(timedelta(0), 9 * HOUR))
def test_a_hard_end_is_kept_however_busy_a_notebook_is(stop_at, session_ends_at, idle_for):
    ends = [end for end in (stop_at, session_ends_at) if end]
    verdict = cull(idle_for, Deadlines(None, stop_at, session_ends_at), NOW)
    assert isinstance(verdict, Stop) == any(end <= NOW for end in ends)
