"""Quote before, charge during, bill after: one function for all three."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from .entry import next_month
from .funds import Funds
from .money import charge

Interval = tuple[datetime, datetime]
ZERO = timedelta(0)
#: Time in which a notebook could not be reached; the end is None while that lasts.
Gap = tuple[datetime, datetime | None]


def bill(price: int, intervals: Iterable[Interval]) -> int:
    """Return the micro-units for the observed intervals (start, end) at `price` micro-units an
    hour.

    The intervals are added before rounding, so splitting one changes nothing.
    """
    spans = (max(end - start, timedelta(0)) for start, end in intervals)
    return charge(price, sum(spans, timedelta(0)))


def reachable_time(start: datetime, end: datetime, gaps: Iterable[Gap] = ()) -> timedelta:
    """Return how long a notebook could be reached between two moments, negative if turned round.

    Gaps may overlap and may reach beyond both.
    """
    if end < start:
        return -reachable_time(end, start, gaps)
    lost, last = timedelta(0), start
    for begin, until in sorted((low, high or end) for low, high in gaps):
        low, high = max(begin, last), min(until, end)
        if high > low:
            lost, last = lost + (high - low), high
    return end - start - lost


@dataclass(frozen=True)
class Times:
    """What a lease's bill is made of: price (micro-units an hour), whether its image is custom,
    the moments of its life as far as they are known, and when it could not be reached."""

    price: int
    custom_image: bool = False
    started_at: datetime | None = None
    answered_at: datetime | None = None
    seen_at: datetime | None = None
    stop_requested_at: datetime | None = None
    ended_at: datetime | None = None
    gaps: tuple[Gap, ...] = ()

    @property
    def final(self) -> bool:
        """Whether its bill can grow no more."""
        return self.stop_requested_at is not None or self.ended_at is not None

    @property
    def begins(self) -> datetime | None:
        """When its meter begins: at its first answer.

        A paid type whose custom image started and never answered is charged from its container's
        start, once that is over: who brings the image has had the machine.
        """
        if self.answered_at is None and self.final and self.custom_image and self.price:
            return self.started_at
        return self.answered_at

    def metered(self, now: datetime) -> tuple[Interval | None, datetime | None]:
        """Return (the observed interval, the end of the unobserved one behind it), either None.

        It ends where a stop was asked for. One that was found dead ends where it was last seen
        alive; from there until it was seen dead nobody knows, and that costs nothing.
        """
        if (begin := self.begins) is None:
            return None, None
        if self.stop_requested_at is not None:
            end = min(self.stop_requested_at, self.ended_at or self.stop_requested_at)
            return (begin, max(begin, end)), None
        if self.ended_at is None:
            return (begin, max(begin, now)), None
        end = max(begin, min(self.seen_at or begin, self.ended_at))
        return (begin, end), self.ended_at if self.ended_at > end else None

    def billed(self, now: datetime) -> int:
        """Return the micro-units for its time until `now`, or until its end."""
        interval, _ = self.metered(now)
        return charge(self.price, reachable_time(*interval, self.gaps)) if interval else 0

    def lost(self, now: datetime) -> timedelta:
        """Return for how long it could not be reached since its meter began, until `now`."""
        interval, _ = self.metered(now)
        return (
            interval[1] - interval[0] - reachable_time(*interval, self.gaps) if interval else ZERO
        )

    @property
    def unreachable_since(self) -> datetime | None:
        """Since when it cannot be reached; None where it can, or is over."""
        return None if self.final else next((low for low, high in self.gaps if high is None), None)


@dataclass(frozen=True)
class Portion:
    """A part of a lease's bill: negative where less time was used than had been billed."""

    start: datetime
    end: datetime
    seconds: float
    billed: int


def by_month(
    price: int, begin: datetime, start: datetime, end: datetime, gaps: Iterable[Gap] = ()
) -> list[Portion]:
    """Return what the time from `start` to `end` adds to the bill of a meter that began at `begin`.

    One portion a UTC month. They are differences of totals, so they add up to the bill exactly.
    """
    gaps = tuple(gaps)
    if end <= start:
        return [_portion(price, begin, start, end, gaps)]
    cuts = [start]
    while (cut := next_month(cuts[-1])) < end:
        cuts.append(cut)
    return [_portion(price, begin, a, b, gaps) for a, b in zip(cuts, [*cuts[1:], end], strict=True)]


def by_day(
    price: int, begin: datetime, start: datetime, end: datetime, gaps: Iterable[Gap] = ()
) -> dict[date, Portion]:
    """Split the bill by UTC day, as `by_month` does by month."""
    gaps = tuple(gaps)
    return {a.date(): _portion(price, begin, *cut, gaps) for a, cut in _days(start, end)}


def charged_days(
    days: Mapping[date, Portion], end: datetime, *, forgiven: int, closes: bool
) -> dict[date, Portion]:
    """Return the days of an entry with what is charged for each: what is forgiven was used last.

    An entry that closes a lease and adds no time has the day of its end, on which it is counted.
    """
    charged = dict(days)
    for day in sorted(days, reverse=True):
        size = min(abs(forgiven), abs(days[day].billed))
        less = size if forgiven > 0 else -size
        charged[day] = replace(days[day], billed=days[day].billed - less)
        forgiven -= less
    if closes and not charged:
        return {end.astimezone(UTC).date(): Portion(end, end, 0.0, 0)}
    return charged


def _days(start: datetime, end: datetime) -> Iterator[tuple[datetime, Interval]]:
    low, high = sorted((start.astimezone(UTC), end.astimezone(UTC)))
    while low < high:
        midnight = low.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        cut = min(midnight, high)
        yield low, ((low, cut) if start <= end else (cut, low))
        low = cut


def _portion(
    price: int, begin: datetime, start: datetime, end: datetime, gaps: tuple[Gap, ...]
) -> Portion:
    until, before = reachable_time(begin, end, gaps), reachable_time(begin, start, gaps)
    billed = charge(price, until) - charge(price, before)
    return Portion(start, end, (until - before).total_seconds(), billed)


@dataclass(frozen=True)
class Quote:
    """What a start would cost. Money is micro-units; None in `at_most` is "no upper limit".

    `if_you_walk_away` is the price for the idle interval, None where nothing stops it when idle.
    `money_ends` is when funds would end it, None where they last longer than a year. `balance` is
    what the account has, and `left_after` what may still be spent after the start that is walked
    away from (None: nothing limits it, or nothing would end it).
    """

    per_hour: int
    currency: str
    if_you_walk_away: int | None
    at_most: int | None
    idle_stop: datetime | None
    ends_by: datetime | None
    money_ends: datetime | None = None
    balance: int = 0
    left_after: int | None = None


def quote(
    price: int,
    funds: Funds,
    now: datetime,
    *,
    shutdown_after: timedelta | None,
    session_limit: timedelta | None,
    stop_at: datetime | None,
) -> Quote:
    """Quote a start at `now`: each figure is the bill of the interval that it names."""
    money_ends = funds.money_ends(price, now)
    ends = [end for end in (session_limit and now + session_limit, stop_at, money_ends) if end]
    ends_by = min(ends, default=None)
    idle_stop = now + shutdown_after if shutdown_after else None
    if idle_stop and ends_by:
        idle_stop = min(idle_stop, ends_by)
    walk_away = bill(price, [(now, idle_stop)]) if idle_stop else None
    at_most = bill(price, [(now, ends_by)]) if ends_by else None
    cost, available = walk_away if walk_away is not None else at_most, funds.available
    return Quote(
        per_hour=price,
        currency=funds.currency,
        if_you_walk_away=walk_away,
        at_most=at_most,
        idle_stop=idle_stop,
        ends_by=ends_by,
        money_ends=money_ends,
        balance=funds.balance,
        left_after=None if cost is None or available is None else max(0, available - cost),
    )
