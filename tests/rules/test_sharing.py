"""Sharing: who is paid until when, whatever the steps in which it was found out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gradienthub.rules.money import charge
from gradienthub.rules.sharing import Common, Paid, extend

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
USD = 1_000_000
DEAR = 60 * USD


def lease(price=DEAR, begin=NOW, until=None, billed=0):
    return Paid(price, begin, billed, until or begin + 15 * MINUTE)


def purse(money, *members):
    return Common(money, frozenset(members), frozenset(members))


def in_minutes(moments):
    return {one: (moment - NOW) / MINUTE for one, moment in moments.items()}


def test_a_lease_is_paid_as_long_as_money_lasts():
    moments = extend({"a": lease()}, [purse(40 * USD, "a")], NOW + HOUR)
    assert in_minutes(moments) == {"a": 40}


def test_who_is_paid_for_longer_waits_for_the_other():
    leases = {"a": lease(), "b": lease(begin=NOW + 15 * MINUTE)}
    moments = extend(leases, [purse(60 * USD + 1, "a", "b")], NOW + HOUR)
    assert all(36.9 < one <= 37.5 for one in in_minutes(moments).values())


def test_a_lease_at_its_own_budgets_end_leaves_the_rest_to_the_other():
    leases = {"a": lease(), "b": lease()}
    purses = [purse(20 * USD, "a"), purse(61 * USD, "a", "b")]
    found = in_minutes(extend(leases, purses, NOW + 2 * HOUR))
    assert found["a"] == 20
    assert 40.9 < found["b"] <= 41


def test_what_is_paid_already_is_never_taken_back():
    leases = {"a": lease(until=NOW + HOUR), "b": lease()}
    found = extend(leases, [purse(0, "a", "b")], NOW + 2 * HOUR)
    assert found == {"a": NOW + HOUR, "b": NOW + 15 * MINUTE}


def test_who_may_owe_more_lives_longer_on_the_same_balance():
    leases = {"a": lease(), "b": lease()}
    everybody = frozenset(leases)
    purses = [
        Common(40 * USD, everybody, frozenset("a")),
        Common(60 * USD, everybody, frozenset("b")),
    ]
    found = in_minutes(extend(leases, purses, NOW + 2 * HOUR))
    assert 19 < found["a"] <= 20
    assert 39 < found["b"] <= 40


LEASES = st.dictionaries(
    st.sampled_from("abcde"),
    st.builds(
        lambda price, age, held: lease(
            price, NOW - timedelta(microseconds=age), NOW + timedelta(microseconds=held)
        ),
        st.integers(1, 10**11),
        st.integers(0, 10**9),
        st.integers(0, 3 * 10**9),
    ),
    min_size=1,
)
PURSES = st.lists(
    st.tuples(st.integers(0, 10**12), st.frozensets(st.sampled_from("abcde"), min_size=1)),
    max_size=4,
)
STEPS = st.lists(st.integers(0, 10**10).map(lambda n: NOW + timedelta(microseconds=n)), max_size=5)


@given(LEASES, PURSES, STEPS)
def test_the_steps_in_which_holds_were_extended_change_no_moment(leases, purses, steps):
    commons = [purse(money, *members & leases.keys()) for money, members in purses]
    end = NOW + timedelta(microseconds=10**10)
    at_once = extend(leases, commons, end)
    for step in sorted(steps):
        leases = {
            one: replace(lease, until=until)
            for one, until in extend(leases, commons, step).items()
            for lease in [leases[one]]
        }
    assert extend(leases, commons, end) == at_once


@given(LEASES, st.integers(0, 10**12))
def test_no_purse_is_asked_for_more_than_it_has(leases, money):
    held = sum(one.amount for one in leases.values())
    found = extend(leases, [purse(held + money, *leases)], NOW + timedelta(days=300))
    taken = sum(charge(one.price, found[id_] - one.begin) for id_, one in leases.items())
    assert taken <= held + money
