"""Durations: as people and programs write them."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradienthub.rules.duration import LONGEST, format_duration, parse_duration, short_duration

whole_spans = st.integers(1, int(LONGEST.total_seconds())).map(lambda s: timedelta(seconds=s))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("30m", 1800),
        ("30 min", 1800),
        ("6h", 21600),
        ("2 d", 172800),
        ("45s", 45),
        ("45 sec", 45),
        ("3600", 3600),
        (" 1h ", 3600),
        (3600, 3600),
        (3600.0, 3600),
        (timedelta(hours=1), 3600),
        ("366d", 366 * 86400),
    ],
)
def test_a_duration_is_read_as_people_and_programs_write_it(written, seconds):
    assert parse_duration(written) == timedelta(seconds=seconds)


NOT_A_DURATION = [
    0,
    -1,
    "0",
    "0h",
    "-5m",
    float("nan"),
    float("inf"),
    float("-inf"),
    1.5,
    1e308,
    10**400,
    -(10**400),
    True,
    False,
    None,
    "",
    "h",
    "soon",
    "1 fortnight",
    "1h30m",
    "1.5h",
    "1H",
    "1  h",
    "1e3",
    "٣h",  # Arabic and full-width digits
    "３h",
    "999999999d",
    "9999999999",
    "367d",
    timedelta(0),
    timedelta(days=-1),
    timedelta(seconds=1.5),
    timedelta(days=367),
    b"1h",
    ["1h"],
    {},
]


@pytest.mark.parametrize("written", NOT_A_DURATION, ids=lambda written: repr(written)[:40])
def test_what_is_not_a_duration_is_refused(written):
    with pytest.raises(ValueError, match="duration"):
        parse_duration(written)


@settings(deadline=None)
@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary()))
def test_anything_is_a_duration_of_a_second_to_a_year_or_refused(written):
    try:
        span = parse_duration(written)
    except ValueError:
        return
    assert timedelta(seconds=1) <= span <= LONGEST
    assert span.microseconds == 0


@given(whole_spans)
def test_a_duration_is_written_so_that_it_reads_back_the_same(span):
    assert parse_duration(short_duration(span)) == span


@pytest.mark.parametrize(
    ("written", "short", "long"),
    [
        ("45s", "45s", "45 s"),
        ("90", "90s", "1 min 30 s"),
        ("30m", "30m", "30 min"),
        ("90m", "90m", "1 h 30 min"),
        ("6h", "6h", "6 h"),
        ("24h", "1d", "1 d"),
        ("3d", "3d", "3 d"),
        ("93784", "93784s", "1 d 2 h"),
    ],
)
def test_a_duration_has_a_short_form_for_options_and_a_long_one_for_people(written, short, long):
    span = parse_duration(written)
    assert (short_duration(span), format_duration(span)) == (short, long)


def test_no_time_at_all_is_zero_seconds():
    assert format_duration(timedelta(0)) == "0 s"
