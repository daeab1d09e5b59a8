"""Quote before, charge during, bill after: one function for all three."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from .money import charge

Interval = tuple[datetime, datetime]


def bill(price: int, intervals: Iterable[Interval]) -> int:
    """Micro-units for the observed intervals (start, end) at `price` micro-units an hour.

    The intervals are added before rounding, so splitting one changes nothing.
    """
    spans = (max(end - start, timedelta(0)) for start, end in intervals)
    return charge(price, sum(spans, timedelta(0)))


@dataclass(frozen=True)
class Quote:
    """What a start would cost. Money is micro-units; None in `at_most` is "no upper limit".

    `if_you_walk_away` is the price for the idle interval, None where nothing stops it when idle.
    """

    per_hour: int
    currency: str
    if_you_walk_away: int | None
    at_most: int | None
    idle_stop: datetime | None
    ends_by: datetime | None


def quote(
    price: int,
    currency: str,
    now: datetime,
    *,
    shutdown_after: timedelta | None,
    session_limit: timedelta | None,
    stop_at: datetime | None,
) -> Quote:
    """The quote of a start at `now`: each figure is the bill of the interval it names."""
    ends = [end for end in (session_limit and now + session_limit, stop_at) if end]
    ends_by = min(ends, default=None)
    idle_stop = now + shutdown_after if shutdown_after else None
    if idle_stop and ends_by:
        idle_stop = min(idle_stop, ends_by)
    return Quote(
        per_hour=price,
        currency=currency,
        if_you_walk_away=bill(price, [(now, idle_stop)]) if idle_stop else None,
        at_most=bill(price, [(now, ends_by)]) if ends_by else None,
        idle_stop=idle_stop,
        ends_by=ends_by,
    )
