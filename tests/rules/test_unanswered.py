"""What a notebook that answers nobody, and a start that never answers, cost their owner."""

from datetime import UTC, datetime, timedelta

import pytest

from gradienthub.rules.unanswered import silent_until, worked_since
from gradienthub.rules.use import Evidence

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def known(cpu_at, cpu_load=None):
    return Evidence(used_at=NOW - HOUR, cpu_at=cpu_at, cpu_load=cpu_load)


@pytest.mark.parametrize(
    ("before", "after", "gpu", "since"),
    [
        # A new reading speaks of all the time since the one before.
        (known(NOW - MINUTE), known(NOW, 90.0), None, NOW - MINUTE),
        (known(NOW - MINUTE), known(NOW, 5.0), None, None),
        (known(NOW - MINUTE), known(NOW, 5.1), None, NOW - MINUTE),
        # The same reading as before says nothing new of that time.
        (known(NOW - MINUTE, 90.0), known(NOW - MINUTE, 90.0), None, NOW),
        (known(None), known(NOW, 90.0), None, NOW),
        (known(NOW - MINUTE), known(NOW), None, None),
        (known(NOW - MINUTE), known(NOW, 1.0), 40.0, NOW),
        (known(NOW - MINUTE), known(NOW, 1.0), 0.0, None),
        # A clock that was set back meanwhile.
        (known(NOW + HOUR), known(NOW, 90.0), None, NOW),
    ],
)
def test_a_machine_that_works_is_used_since_the_reading_before(before, after, gpu, since):
    assert worked_since(before, after, gpu, 5, NOW) == since


@pytest.mark.parametrize(
    ("starts", "until"),
    [
        ([], None),
        ([(10, 2), (5, 2)], None),
        ([(15, 2), (10, 2), (5, 2)], NOW + 45 * MINUTE),
        ([(61, 2), (10, 2), (5, 2)], None),
        # Cancelled or crashed just before anybody would count it: time counts, not starts.
        ([(ago, 0.5) for ago in range(1, 12)], None),
        ([(ago, 0.5) for ago in range(1, 13)], NOW + 48 * MINUTE),
        ([(90 * n, 2) for n in range(1, 10)], None),
        ([(90 * n, 2) for n in range(1, 11)], NOW + 9 * HOUR),
        # A clock that was set back while it ran.
        ([(10, -5), (8, 2), (5, 2)], None),
    ],
)
def test_starts_that_had_six_minutes_of_an_hour_for_nothing_wait(starts, until):
    spans = [(NOW - ago * MINUTE, NOW - (ago - long) * MINUTE) for ago, long in starts]
    assert silent_until(spans, NOW) == until
