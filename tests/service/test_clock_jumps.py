"""A clock that somebody set is told from time that passed."""

from datetime import UTC, datetime, timedelta

from gradienthub.service.clock_jumps import JUMP, STEADY_SECONDS, ClockJumps

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_time_that_passes_is_no_jump_and_a_drift_is_none():
    jumps = ClockJumps()
    assert jumps.compare(NOON, 100.0) == timedelta(0)
    assert jumps.compare(NOON + 3600 * SECOND, 3700.0) == timedelta(0)
    assert jumps.compare(NOON + 7200 * SECOND + JUMP, 7300.0) == timedelta(0)
    assert jumps.latest == ""
    assert jumps.findings() == []
    assert jumps.is_steady(7300.0)


def test_a_jump_is_measured_in_both_directions_and_ends_after_a_steady_while():
    jumps = ClockJumps()
    jumps.compare(NOON, 0.0)
    assert jumps.compare(NOON - 3600 * SECOND, 0.0) == -3600 * SECOND
    assert "back by 1 h" in jumps.latest
    assert jumps.compare(NOON, 0.0) == 3600 * SECOND
    assert "forward by 1 h" in jumps.latest
    assert [finding.kind for finding in jumps.findings()] == ["clock_set"]
    assert not jumps.is_steady(STEADY_SECONDS - 1)
    assert jumps.is_steady(STEADY_SECONDS)
    jumps.compare(NOON + 61 * SECOND, 61.0)
    assert jumps.findings() == []
