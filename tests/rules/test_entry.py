"""Entries, credits and statements as plain values."""

import csv
import io
import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradienthub.rules.credit import Credit, find_expired, refund, use_up
from gradienthub.rules.credit import pay_debt as give
from gradienthub.rules.entry import Entry, Kind, month_of, next_month, parse_month, posting_month
from gradienthub.rules.metering import Times, by_day, by_month
from gradienthub.rules.money import charge
from gradienthub.rules.statement import Statement
from gradienthub.views.statement import as_csv, as_json_text, escape_formula

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ENTRY = Entry(
    hub_id="h",
    account_id="a",
    currency="USD",
    seq=1,
    at=NOW,
    month="2026-11",
    kind=Kind.CHARGE,
    amount=-5,
    balance=-5,
    lease_id="l",
    instance_type="t4",
    price=5,
    from_at=NOW - HOUR,
    until_at=NOW,
    billed=5,
    note="Thesis",
)


# -- the chain -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [field.name for field in fields(Entry)])
def test_a_change_of_any_field_changes_the_hash(name):
    value = getattr(ENTRY, name)
    other = {
        bool: lambda: not value,
        int: lambda: value + 1,
        str: lambda: value + "x",
        datetime: lambda: value + timedelta(microseconds=1),
        Kind: lambda: Kind.EXPIRY,
        type(None): lambda: "x" if name == "credit_id" else NOW,
    }[type(value)]()
    assert replace(ENTRY, **{name: other}).seal("") != ENTRY.seal("")


def test_the_hash_covers_the_one_before_and_knows_no_time_zones():
    assert ENTRY.seal("") != ENTRY.seal("x")
    elsewhere = replace(ENTRY, at=NOW.astimezone(timezone(timedelta(hours=5))))
    assert elsewhere.seal("") == ENTRY.seal("")


def test_months_are_utc_and_roll_over():
    assert month_of(datetime(2026, 12, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))) == "2026-11"
    assert next_month(datetime(2026, 12, 31, 23, 59, tzinfo=UTC)) == datetime(
        2027, 1, 1, tzinfo=UTC
    )
    assert parse_month("2028-02") == datetime(2028, 2, 1, tzinfo=UTC)


def test_what_comes_late_is_on_the_next_statement_and_a_clock_far_ahead_draws_nothing_with_it():
    assert posting_month("2026-11", NOW, "") == "2026-11"
    assert posting_month("2026-11", NOW, "2026-12") == "2026-12"
    assert posting_month("2026-12", NOW, "2026-11") == "2026-12"
    assert posting_month("2026-11", NOW, "2099-01") == "2026-11"


# -- portions ------------------------------------------------------------------------------------

moments = st.datetimes(datetime(2026, 1, 1), datetime(2029, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC)
)


@given(
    st.integers(0, 10**11),
    moments,
    st.timedeltas(timedelta(0), timedelta(days=100)),
    st.timedeltas(timedelta(0), timedelta(days=100)),
)
def test_months_and_days_add_up_to_the_bill_forwards_and_back(price, begin, one, two):
    start, end = begin + one, begin + two
    difference = charge(price, two) - charge(price, one)
    for portions in (by_month(price, begin, start, end), by_day(price, begin, start, end).values()):
        assert sum(portion.billed for portion in portions) == difference
        seconds = sum(portion.seconds for portion in portions)
        assert abs(seconds - (two - one).total_seconds()) < 0.001
    months = [month_of(min(p.start, p.end)) for p in by_month(price, begin, start, end)]
    assert len(set(months)) == len(months)


# -- times ---------------------------------------------------------------------------------------


def test_a_paid_custom_image_that_never_answered_is_metered_from_its_containers_start():
    never = Times(10, True, started_at=NOW, stop_requested_at=NOW + HOUR)
    assert never.metered(NOW + 2 * HOUR) == ((NOW, NOW + HOUR), None)
    for change in (
        {"price": 0},
        {"custom_image": False},
        {"started_at": None},
        {"stop_requested_at": None},
    ):
        free = replace(never, **change)
        assert free.billed(NOW + HOUR) == 0


def test_found_dead_is_billed_until_last_seen_and_the_rest_is_a_gap():
    dead = Times(10, answered_at=NOW, seen_at=NOW + HOUR, ended_at=NOW + 3 * HOUR)
    assert dead.metered(NOW) == ((NOW, NOW + HOUR), NOW + 3 * HOUR)
    unseen = replace(dead, seen_at=None)
    assert unseen.metered(NOW) == ((NOW, NOW), NOW + 3 * HOUR)
    asked = replace(dead, stop_requested_at=NOW + 2 * HOUR)
    assert asked.metered(NOW) == ((NOW, NOW + 2 * HOUR), None)


# -- credits -------------------------------------------------------------------------------------


def credit(name, amount, unspent=None, days=None):
    return Credit(
        name,
        amount,
        amount if unspent is None else unspent,
        NOW,
        None if days is None else NOW + timedelta(days=days),
    )


def test_what_expires_first_is_used_up_first():
    credits = [credit("ever", 10), credit("late", 10, days=9), credit("soon", 10, days=1)]
    assert [(c.id, c.unspent) for c in use_up(credits, 15)] == [("soon", 0), ("late", 5)]


def test_a_new_credit_pays_what_is_owed_first():
    assert give(credit("new", 10), [], balance=-4).unspent == 6
    assert give(credit("new", 10), [], balance=-40).unspent == 0
    assert give(credit("new", 10), [credit("old", 5)], balance=5).unspent == 10


def test_a_hold_keeps_expired_credit_until_it_ends():
    old = credit("old", 10, days=-1)
    assert find_expired([old], held=4, now=NOW) == [(old, 6)]
    assert find_expired([old], held=12, now=NOW) == []
    assert find_expired([credit("ever", 10)], held=0, now=NOW) == []


@given(
    st.lists(st.tuples(st.integers(1, 50), st.none() | st.integers(-3, 3)), max_size=5),
    st.integers(0, 300),
)
def test_spending_and_giving_back_is_no_change_and_never_leaves_the_amount(given_, amount):
    credits = {str(n): credit(str(n), a, days=d) for n, (a, d) in enumerate(given_)}
    after = credits | {c.id: c for c in use_up(credits.values(), amount)}
    total = sum(c.amount for c in credits.values())
    assert sum(c.unspent for c in after.values()) == max(0, total - amount)
    assert all(0 <= c.unspent <= c.amount for c in after.values())
    back = after | {c.id: c for c in refund(after.values(), amount, total - amount)}
    assert back == credits


# -- statements ----------------------------------------------------------------------------------


def test_texts_of_people_are_no_formulas():
    for text in ("=1", "+1", "-1", "@x", "\tx", "\rx", " =1", "\n=1"):
        assert escape_formula(text) == "'" + text
    assert escape_formula("Thesis - part 2") == "Thesis - part 2"


def test_a_statement_adds_up_in_every_form():
    late = replace(ENTRY, seq=2, amount=-7, balance=-12, gap_until=NOW + HOUR, note="=A1")
    said = Statement("h", "a", "ann", "2026-11", "USD", 0, (ENTRY, late), "f" * 64, True, NOW)
    assert (said.closing, said.total(Kind.CHARGE), len(said.gaps)) == (-12, -12, 1)
    rows = list(csv.DictReader(io.StringIO(as_csv(said))))
    assert [row["what"] for row in rows] == ["Thesis", "'=A1", "f" * 64]
    assert [row["amount"] for row in rows] == ["-0.000005", "-0.000007", ""]
    assert json.loads(as_json_text(said))["entries"][1]["not_observed_until"].startswith("2026")
