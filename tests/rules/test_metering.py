"""Metering: one function for the quote before, the charge during and the bill after."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gradienthub.rules.funds import Funds
from gradienthub.rules.metering import Quote, bill, quote
from gradienthub.rules.money import HIGHEST_PRICE, charge

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)

prices = st.integers(0, HIGHEST_PRICE)
spans = st.timedeltas(timedelta(0), timedelta(days=30))
intervals = st.timedeltas(timedelta(seconds=1), timedelta(days=366))


def quoted(price: int = 780_000, **limits: object) -> Quote:
    known = {"shutdown_after": None, "session_limit": None, "stop_at": None}
    return quote(price, Funds(), NOW, **{**known, **limits})


def test_the_bill_is_the_price_for_the_time_observed():
    assert bill(780_000, [(NOW, NOW + 2 * HOUR)]) == 1_560_000
    assert bill(780_000, []) == 0


def test_a_gap_in_what_was_observed_costs_nothing():
    before, after = (NOW, NOW + HOUR), (NOW + 5 * HOUR, NOW + 6 * HOUR)
    assert bill(780_000, [before, after]) == 1_560_000


def test_an_interval_of_a_clock_that_jumped_back_costs_nothing():
    assert bill(780_000, [(NOW, NOW - HOUR), (NOW, NOW + HOUR)]) == 780_000


@given(prices, st.lists(spans, min_size=1, max_size=6))
def test_splitting_an_interval_changes_no_bill(price, pieces):
    cuts = [NOW]
    for piece in pieces:
        cuts.append(cuts[-1] + piece)
    assert bill(price, pairwise(cuts)) == bill(price, [(cuts[0], cuts[-1])])


@given(prices, spans, st.lists(st.floats(0, 1), max_size=20))
def test_any_tick_schedule_gives_the_same_bill(price, length, ticks):
    """A running charge is the difference of two totals; what was written down is their sum."""
    charged = 0
    for tick in [*sorted(ticks), 1]:
        charged += bill(price, [(NOW, NOW + length * tick)]) - charged
    assert charged == bill(price, [(NOW, NOW + length)])


@given(prices, spans, st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_no_tick_takes_money_back(price, length, ticks):
    totals = [bill(price, [(NOW, NOW + length * tick)]) for tick in sorted(ticks)]
    assert totals == sorted(totals)


@given(prices, st.none() | intervals, st.none() | intervals, st.none() | intervals)
def test_the_quote_equals_the_bill(price, shutdown_after, session_limit, stop_after):
    stop_at = stop_after and NOW + stop_after
    offer = quoted(
        price, shutdown_after=shutdown_after, session_limit=session_limit, stop_at=stop_at
    )
    assert offer.per_hour == bill(price, [(NOW, NOW + HOUR)])
    if offer.ends_by is None:
        assert offer.at_most is None
    else:
        assert offer.at_most == bill(price, [(NOW, offer.ends_by)])
    if offer.idle_stop is None:
        assert offer.if_you_walk_away is None
    else:
        assert offer.if_you_walk_away == bill(price, [(NOW, offer.idle_stop)])


@given(prices, intervals, intervals, st.floats(0, 1))
def test_no_run_that_keeps_its_deadlines_costs_more_than_the_quote(price, limit, after, share):
    offer = quoted(price, session_limit=limit, stop_at=NOW + after)
    assert offer.at_most is not None
    assert offer.at_most >= bill(price, [(NOW, NOW + min(limit, after) * share)])


def test_a_quote_names_when_it_stops_and_what_that_costs():
    assert quoted(shutdown_after=HOUR, session_limit=12 * HOUR, stop_at=NOW + 6 * HOUR) == Quote(
        per_hour=780_000,
        currency="USD",
        if_you_walk_away=780_000,
        at_most=4_680_000,
        idle_stop=NOW + HOUR,
        ends_by=NOW + 6 * HOUR,
    )


def test_an_idle_interval_beyond_the_end_costs_no_more_than_the_end():
    offer = quoted(shutdown_after=24 * HOUR, session_limit=12 * HOUR)
    assert offer.idle_stop == offer.ends_by == NOW + 12 * HOUR
    assert offer.if_you_walk_away == offer.at_most == 12 * 780_000


def test_a_quote_without_any_end_says_that_there_is_none():
    offer = quoted()
    assert (offer.if_you_walk_away, offer.at_most, offer.idle_stop, offer.ends_by) == (None,) * 4


def test_a_free_machine_is_quoted_zero():
    offer = quoted(0, shutdown_after=HOUR, session_limit=12 * HOUR)
    assert (offer.per_hour, offer.if_you_walk_away, offer.at_most) == (0, 0, 0)


@given(prices, spans)
def test_bill_and_charge_are_the_same_arithmetic(price, span):
    assert bill(price, [(NOW, NOW + span)]) == charge(price, span)
