"""Money as integer micro-units (1 USD = 1,000,000): the only arithmetic on prices.

A price is micro-units an hour. A charge is a pure function of price and duration, so a running
charge is the difference of two totals and ticking often or seldom gives the same bill.
"""

from datetime import timedelta
from decimal import Decimal, InvalidOperation

MICRO = 1_000_000
HOUR = timedelta(hours=1)
#: No price above this (micro-units): a typing slip of the admin stops the start, not a user's bill.
HIGHEST_PRICE = 100_000 * MICRO

#: Currencies with a sign of their own; any other is written behind the amount.
SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}


def parse_amount(value: object) -> int:
    """Parse an amount written as "0.51", 0.51 or 2 (currency units) into micro-units.

    Raises ValueError for what is not a finite, non-negative amount of at most six decimals.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError(f"{value!r} is not an amount; write for example 0.51")
    try:
        written = str(value).strip()
        # Decimal also reads "1_000" and the digits of other scripts; an admin never means them.
        if not written.isascii() or "_" in written:
            raise InvalidOperation
        amount = Decimal(written)
    except InvalidOperation:
        raise ValueError(f"{value!r} is not an amount; write for example 0.51") from None
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"{value!r} is not an amount; it must be 0 or more")
    # Before any arithmetic: Decimal rounds to 28 digits and overflows, comparisons are exact.
    if amount > HIGHEST_PRICE // MICRO:
        raise ValueError(f"{value!r} is above the highest amount, {HIGHEST_PRICE // MICRO}")
    if amount != (exact := amount.quantize(Decimal(1) / MICRO)):
        raise ValueError(f"{value!r} has more than six decimals")
    return int(exact * MICRO)


def charge(price: int, duration: timedelta) -> int:
    """Return the micro-units for `duration` at `price` micro-units an hour, rounded half up to one
    micro-unit.

    Never negative: a duration below zero (a clock that jumped back) costs nothing.
    """
    span = max(duration, timedelta(0)) // timedelta(microseconds=1)
    hour = HOUR // timedelta(microseconds=1)
    return (price * span * 2 + hour) // (hour * 2)


def format_amount(micros: int, currency: str = "USD") -> str:
    """Format an amount with two decimals, more only where they are not zero ("$0.018")."""
    sign = "-" if micros < 0 else ""
    whole, rest = divmod(abs(micros), MICRO)
    digits = f"{rest:06d}".rstrip("0").ljust(2, "0")
    number = f"{whole:,}.{digits}"
    return f"{sign}{SIGNS[currency]}{number}" if currency in SIGNS else f"{sign}{number} {currency}"


def plain_amount(micros: int) -> str:
    """Write an amount for programs and input fields: no currency, no thousands ("1234.50")."""
    return format_amount(micros, "").strip().replace(",", "")


def format_rounded(micros: int, currency: str = "USD") -> str:
    """Format an amount in whole cents for a page, half up.

    Below half a cent but not zero: "<$0.01".
    """
    cent = MICRO // 100
    cents = (abs(micros) + cent // 2) // cent
    if micros and not cents:
        return "<" + format_amount(cent, currency)
    return format_amount((cents if micros >= 0 else -cents) * cent, currency)


def format_price(micros: int, currency: str = "USD") -> str:
    """Format a price an hour: "$0.51/h"."""
    return f"{format_amount(micros, currency)}/h"
