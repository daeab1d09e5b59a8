"""Funds: what may be spent, when money ends, and the words of every no."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradienthub.rules.funds import (
    HOLD,
    Funds,
    Purse,
    PurseKind,
    Running,
    carried,
    hold_for,
    refusal,
)
from gradienthub.rules.metering import bill, quote
from gradienthub.rules.money import HIGHEST_PRICE, charge

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
USD = 1_000_000

prices = st.integers(1, HIGHEST_PRICE)
running = st.lists(
    st.builds(Running, prices, st.timedeltas(timedelta(0), timedelta(hours=3)).map(NOW.__add__)),
    min_size=1,
    max_size=6,
)


def purse(left, kind=PurseKind.CREDIT, **keys):
    return Purse(kind, left, keys.pop("total", left), **keys)


def test_one_lease_lives_as_long_as_the_money_lasts():
    [one] = leases = [Running(USD, NOW + 15 * MINUTE)]
    ends = carried(USD // 2, leases, NOW)
    assert timedelta(0) <= one.paid_until + 30 * MINUTE - ends < timedelta(milliseconds=10)


def test_two_leases_share_what_is_left_and_end_together():
    ends = carried(3 * USD, [Running(USD, NOW), Running(2 * USD, NOW)], NOW)
    assert timedelta(0) <= NOW + HOUR - ends < timedelta(milliseconds=10)


def test_who_is_paid_for_longer_waits_for_the_other_to_catch_up():
    ends = carried(USD, [Running(USD, NOW), Running(USD, NOW + 30 * MINUTE)], NOW)
    assert timedelta(0) <= NOW + 45 * MINUTE - ends < timedelta(milliseconds=10)


def test_money_for_more_than_a_year_is_no_end():
    assert carried(USD * 10**9, [Running(1, NOW)], NOW) is None


@pytest.mark.parametrize("left", [0, 1, -5, -(10**15)])
def test_without_money_the_first_to_use_its_hold_up_is_the_first_to_end(left):
    leases = [Running(USD, NOW + HOUR), Running(USD, NOW + MINUTE)]
    assert carried(left, leases, NOW) == NOW + MINUTE


@given(st.integers(0, 10**15), running)
def test_extending_all_to_the_end_takes_no_more_than_there_is(left, leases):
    ends = carried(left, leases, NOW)
    if ends is not None:
        taken = sum(charge(one.price, ends - one.paid_until) for one in leases)
        assert taken <= left


@given(st.integers(10**6, 10**12), running)
def test_the_end_leaves_less_than_a_second_of_money_unused(left, leases):
    ends = carried(left, leases, NOW)
    if ends is not None:
        later = ends + timedelta(seconds=1)
        assert sum(charge(one.price, later - one.paid_until) for one in leases) >= min(
            left, charge(min(one.price for one in leases), timedelta(seconds=1))
        ) - len(leases)


@given(prices, st.integers(1, 10**12))
def test_a_quote_says_at_most_what_there_is_and_when_it_ends(price, left):
    funds = Funds("USD", left, (purse(left),))
    quoted = quote(price, funds, NOW, shutdown_after=HOUR, session_limit=None, stop_at=None)
    if quoted.money_ends is None:
        assert quoted.at_most is None
    else:
        assert quoted.at_most == bill(price, [(NOW, quoted.money_ends)]) <= left
        assert quoted.if_you_walk_away <= quoted.at_most
        assert quoted.ends_by == quoted.money_ends


def test_a_quote_names_the_first_of_all_ends_and_what_is_left():
    funds = Funds("USD", 5 * USD, (purse(5 * USD), purse(3 * USD, PurseKind.OWN_BUDGET)))
    quoted = quote(USD, funds, NOW, shutdown_after=HOUR, session_limit=2 * HOUR, stop_at=None)
    assert quoted.ends_by == NOW + 2 * HOUR
    assert (quoted.at_most, quoted.if_you_walk_away) == (2 * USD, USD)
    assert (quoted.balance, quoted.left_after) == (5 * USD, 2 * USD)
    assert abs(quoted.money_ends - (NOW + 3 * HOUR)) < timedelta(milliseconds=10)


def test_a_free_machine_is_ended_by_no_money():
    funds = Funds("USD", 0, (purse(0),))
    assert funds.money_ends(0, NOW) is None
    assert refusal(0, "Free CPU", funds) is None
    assert hold_for(0) == 0


def test_nothing_limits_who_is_under_no_purse():
    assert Funds().available is None
    assert Funds().money_ends(USD, NOW) is None


def test_a_purse_that_is_overdrawn_has_nothing_and_not_less():
    assert Funds("USD", -5, (purse(-5),)).available == 0


@pytest.mark.parametrize(("left", "admitted"), [(hold_for(USD) - 1, False), (hold_for(USD), True)])
def test_a_start_needs_its_whole_hold(left, admitted):
    assert hold_for(USD) == bill(USD, [(NOW, NOW + HOLD)])
    assert (refusal(USD, "T4", Funds("USD", left, (purse(left),))) is None) == admitted


GOLDEN = [
    (
        purse(1000),
        "no_credit",
        "P5000 costs $0.78/h and reserves $0.195 for 15 min; your credit has $0.001 left. Ask your"
        " administrator for credit, or choose a free machine.",
    ),
    (
        purse(-5, PurseKind.CREDIT_LIMIT, total=10 * USD, running=(Running(1, NOW),)),
        "no_credit",
        "P5000 costs $0.78/h and reserves $0.195 for 15 min; your credit limit of $10.00 has $0.00"
        " left. Pay what you owe, stop a running notebook, or choose a free machine.",
    ),
    (
        purse(0, PurseKind.OWN_BUDGET, total=USD),
        "over_budget",
        "P5000 costs $0.78/h and reserves $0.195 for 15 min; your budget of $1.00 a month has $0.00"
        " left. Ask your administrator for a larger one, or choose a free machine.",
    ),
    (
        purse(0, PurseKind.GROUP_BUDGET, total=USD, group="bio\x1b"),
        "over_budget",
        "P5000 costs $0.78/h and reserves $0.195 for 15 min; the budget of $1.00 a month of your"
        " group"
        " “bio�” has $0.00 left. Ask your administrator for a larger one, or choose a free"
        " machine.",
    ),
]


@pytest.mark.parametrize(("empty", "code", "words"), GOLDEN, ids=[p.kind for p, *_ in GOLDEN])
def test_a_refusal_says_which_limit_and_what_to_do(empty, code, words):
    no = refusal(780_000, "P5000", Funds("USD", 0, (purse(10**9), empty)))
    assert (no.code, no.status, no.field, no.text) == (code, 402, "instance_type", words)
