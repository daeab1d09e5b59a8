"""Money: what an admin writes, what it costs, and how people read it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradienthub.rules.money import (
    HIGHEST_PRICE,
    HOUR,
    MICRO,
    charge,
    format_amount,
    format_price,
    format_rounded,
    parse_amount,
)

prices = st.integers(0, HIGHEST_PRICE)
spans = st.timedeltas(timedelta(0), timedelta(days=400))


@pytest.mark.parametrize(
    ("written", "micros"),
    [
        ("0.51", 510_000),
        (" 0.51 ", 510_000),
        (0.51, 510_000),
        (2, 2_000_000),
        (0, 0),
        ("0", 0),
        ("-0", 0),
        ("0.000001", 1),
        ("1e-6", 1),
        (Decimal("13.46"), 13_460_000),
        ("100000", HIGHEST_PRICE),
        ("1.000000000000000000000000000000000000", MICRO),
    ],
)
def test_an_amount_is_read_in_currency_units(written, micros):
    assert parse_amount(written) == micros


@pytest.mark.parametrize(
    "written",
    [
        True,
        None,
        [],
        {"price": 1},
        b"1",
        "",
        "free",
        "$1",
        "1,5",
        "1 000",
        "1_000",
        "0x10",
        "٣",  # an Arabic three
        -1,
        "-0.01",
        "NaN",
        "sNaN",
        "inf",
        float("nan"),
        float("-inf"),
        "0.0000001",
        0.1 + 0.2,
        "1e-999999999",
        # Decimal would round this to 28 digits, which is a whole 1.
        "1.0000000000000000000000000000000000001",
        "100000.000001",
        "1e999999999",
        10**30,
        10**5000,
    ],
    ids=lambda written: repr(written)[:40] if written != 10**5000 else "5001 digits",
)
def test_what_is_not_an_amount_is_refused(written):
    with pytest.raises(ValueError):
        parse_amount(written)


def test_a_wrong_amount_is_shown_with_what_to_write():
    with pytest.raises(ValueError) as caught:
        parse_amount("five")
    assert str(caught.value) == "'five' is not an amount; write for example 0.51"


@given(prices)
def test_an_amount_is_written_so_that_it_reads_back_the_same(micros):
    assert parse_amount(format_amount(micros, "").strip().replace(",", "")) == micros


def test_an_hour_costs_the_price_of_an_hour():
    assert charge(510_000, HOUR) == 510_000


def test_a_second_costs_a_second():
    # 2.30 an hour is 638.888... millionths a second.
    assert charge(2_300_000, timedelta(seconds=1)) == 639


@pytest.mark.parametrize(
    ("minutes", "cost"), [(29, 0), (30, 1), (31, 1), (89, 1), (90, 2), (-90, 0)]
)
def test_a_charge_is_rounded_half_up_to_the_millionth_and_is_never_negative(minutes, cost):
    assert charge(1, timedelta(minutes=minutes)) == cost


@given(spans)
def test_a_free_machine_costs_nothing(span):
    assert charge(0, span) == 0


@given(prices, spans, spans)
def test_a_longer_run_never_costs_less(price, one, other):
    assert charge(price, min(one, other)) <= charge(price, max(one, other))


@given(prices, spans)
def test_a_charge_is_the_exact_product_to_the_nearest_millionth(price, span):
    exact = Decimal(price) * (span // timedelta(microseconds=1)) / (HOUR // timedelta.resolution)
    assert abs(charge(price, span) - exact) <= Decimal("0.5")


@pytest.mark.parametrize(
    ("micros", "currency", "text"),
    [
        (510_000, "USD", "$0.51"),
        (18_000, "USD", "$0.018"),
        (0, "USD", "$0.00"),
        (1, "USD", "$0.000001"),
        (1_234_567_000_000, "EUR", "€1,234,567.00"),
        (-2_500_000, "GBP", "-£2.50"),
        (300_000_000, "JPY", "¥300.00"),
        (300_000, "CHF", "0.30 CHF"),
        (-300_000, "CHF", "-0.30 CHF"),
    ],
)
def test_an_amount_is_written_in_its_currency(micros, currency, text):
    assert format_amount(micros, currency) == text


def test_a_price_says_that_it_is_an_hours():
    assert format_price(18_000) == "$0.018/h"
    assert format_price(510_000, "EUR") == "€0.51/h"


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "$0.00"),
        (1, "<$0.01"),
        (4_999, "<$0.01"),
        (5_000, "$0.01"),
        (14_999, "$0.01"),
        (15_000, "$0.02"),
        (1_999_999, "$2.00"),
        (-15_000, "-$0.02"),
    ],
)
def test_a_page_shows_whole_cents_and_never_zero_for_something(micros, text):
    assert format_rounded(micros) == text
