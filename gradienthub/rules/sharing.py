"""Sharing: until when money pays for each of several leases that live on the same purses.

All leases rise together in time: money goes to the one that is paid for the shortest, until a purse
is empty. Its leases then stay where they are, and the others go on with what their purses have
left. Amounts are exact here (micro-units times microseconds), so how often it is done, and how far
each time, changes no lease's moment: the bill does not depend on when the keeper looked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from .money import HOUR, charge

_MICROSECOND = timedelta(microseconds=1)
#: What one micro-unit is here: a price is for an hour.
_UNIT = HOUR // _MICROSECOND


@dataclass(frozen=True)
class Paid:
    """A lease that answered: price, when its meter began, what its entries have of its bill, and
    until when its hold pays."""

    price: int
    begin: datetime
    billed: int
    until: datetime

    @property
    def amount(self) -> int:
        """Return the micro-units of its hold, beyond its entries."""
        return max(0, charge(self.price, self.until - self.begin) - self.billed)

    @property
    def microseconds(self) -> int:
        """Return the metered time that entries and hold pay for."""
        return microseconds(self.until - self.begin)

    @property
    def exact(self) -> int:
        """Return its hold in exact units."""
        whole = self.price * microseconds(self.until - self.begin) - self.billed * _UNIT
        return max(0, whole)


@dataclass(frozen=True)
class Common:
    """A purse: `money` is all it has, what is held of it included (micro-units).

    `holders` are the leases whose holds are of it, `members` those that it limits, and `starting`
    what leases hold that do not answer yet.
    """

    money: int
    holders: frozenset[str]
    members: frozenset[str]
    starting: int = 0


def extend(
    leases: Mapping[str, Paid], purses: Iterable[Common], until: datetime
) -> dict[str, datetime]:
    """Return until when each lease is paid: until `until`, or as far as its purses go.

    Never shortens what is paid already. Doing it again, or in steps, gives the same moments.
    """
    paid = {lease_id: lease.until for lease_id, lease in leases.items()}
    prices = {lease_id: lease.price for lease_id, lease in leases.items()}
    limits = [_Limit(purse.holders, purse.members, _left(purse, leases)) for purse in purses]
    rising = {lease_id for lease_id, moment in paid.items() if moment < until}
    while rising:
        levels = [(limit.level(paid, prices, rising), limit) for limit in limits]
        empty = [(level, limit) for level, limit in levels if level is not None and level < until]
        if not empty:
            _raise(rising, until, paid, prices, limits)
            break
        level = min(level for level, _ in empty)
        stay = set().union(*(limit.members & rising for its, limit in empty if its == level))
        _raise(stay, level, paid, prices, limits)
        rising -= stay
    return paid


@dataclass
class _Limit:
    """A purse while it is shared out: who lives on it, whom it limits, what is left of it in exact
    units."""

    holders: frozenset[str]
    members: frozenset[str]
    left: int

    def level(
        self, paid: Mapping[str, datetime], prices: Mapping[str, int], rising: set[str]
    ) -> datetime | None:
        """Return when it is empty if its rising leases rise together; None if it limits none."""
        if not self.members & rising:
            return None
        waiting = sorted((paid[lease], prices[lease]) for lease in self.holders & rising)
        left, rate, moment = max(0, self.left), 0, waiting[0][0]
        for until, price in waiting:
            if (needed := rate * microseconds(until - moment)) > left:
                break
            left -= needed
            rate, moment = rate + price, until
        try:
            return moment + left // rate * _MICROSECOND
        except OverflowError:
            return None


def _left(purse: Common, leases: Mapping[str, Paid]) -> int:
    running = [leases[holder] for holder in purse.holders if holder in leases]
    # Each hold is rounded to a micro-unit: what that can cost together is put aside.
    free = purse.money - purse.starting - len(running) // 2
    return free * _UNIT - sum(lease.exact for lease in running)


def _raise(
    those: set[str],
    level: datetime,
    paid: dict[str, datetime],
    prices: Mapping[str, int],
    limits: Iterable[_Limit],
) -> None:
    for lease in those:
        if (more := level - paid[lease]) > timedelta(0):
            for limit in limits:
                if lease in limit.holders:
                    limit.left -= prices[lease] * microseconds(more)
            paid[lease] = level


def microseconds(span: timedelta) -> int:
    """Return a span of time in whole microseconds."""
    return span // _MICROSECOND
