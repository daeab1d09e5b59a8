"""Funds: what may still be spent, by every limit a person is under; when it ends a lease.

A purse is one limit: the account's credit, its credit limit, a budget of the month. Money is
micro-units. A hold reserves what an open lease will use next, so what is `left` of a purse is
nobody's yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from .duration import LONGEST, format_duration
from .money import HOUR, charge, format_amount, format_price
from .refusal import Refused, shown

#: What a start reserves, and what an open lease is paid ahead: the earliest warning is as long.
HOLD = timedelta(minutes=15)
#: A stop is asked for this long before the money is used up, so that it ends before the hold does.
STOP_TAKES = timedelta(minutes=1)

_MICROSECOND = timedelta(microseconds=1)


class PurseKind(StrEnum):
    """Which limit a purse is."""

    CREDIT = "credit"
    CREDIT_LIMIT = "credit_limit"
    OWN_BUDGET = "own_budget"
    GROUP_BUDGET = "group_budget"


@dataclass(frozen=True)
class Running:
    """An open paid lease that lives on a purse: its price, and until when its hold pays for it."""

    price: int
    paid_until: datetime


@dataclass(frozen=True)
class Purse:
    """One limit. `total` is the credit limit or the budget (for credit: the balance); `left` may
    be below 0 after an overrun or a smaller budget. `soft` is what a budget warns at, `spent` what
    the month has cost so far with all holds."""

    kind: PurseKind
    left: int
    total: int
    running: tuple[Running, ...] = ()
    group: str = ""
    soft: int | None = None
    spent: int = 0

    @property
    def warns(self) -> bool:
        """Whether a soft budget is passed."""
        return self.soft is not None and self.spent >= self.soft


@dataclass(frozen=True)
class Funds:
    """Everything that limits a person's spending: each purse must allow. None of them: no limit.

    `soft` are budgets that only warn.
    """

    currency: str = "USD"
    balance: int = 0
    purses: tuple[Purse, ...] = ()
    soft: tuple[Purse, ...] = ()

    @property
    def available(self) -> int | None:
        """What may still be spent, None for no limit; never below 0."""
        return (
            max(0, min((purse.left for purse in self.purses), default=0)) if self.purses else None
        )

    def money_ends(self, price: int, now: datetime) -> datetime | None:
        """Return when money would end a lease of this price that starts now; None for over
        a year."""
        if not price:
            return None
        ends = [
            carried(purse.left, [*purse.running, Running(price, now)], now) for purse in self.purses
        ]
        return max(now, min(known_ends)) if (known_ends := [end for end in ends if end]) else None


def carried(left: int, running: Sequence[Running], now: datetime) -> datetime | None:
    """Return the moment until which `left` carries all of `running`; None for more than a year.

    Each is paid until its own moment already and lives on `left` from then; so a lease ends at
    this moment, or when its own hold does if that is later.
    """
    # Holds are rounded one by one, and moments to a microsecond: what that can cost is put aside.
    left = max(0, left - sum(2 + charge(one.price, _MICROSECOND) for one in running))
    waiting = sorted(running, key=lambda one: one.paid_until)
    rate, moment = 0, waiting[0].paid_until
    for one in waiting:
        if rate:
            if (needed := charge(rate, one.paid_until - moment)) > left:
                break
            left -= needed
        rate, moment = rate + one.price, one.paid_until
    longest = max(LONGEST - (moment - now), timedelta(0))
    if not rate or left >= charge(rate, longest):
        return None
    return moment + time_for(rate, left)


def time_for(price: int, amount: int) -> timedelta:
    """Return how long `amount` lasts at `price` an hour, rounded down; the price is not 0."""
    return max(0, amount) * (HOUR // _MICROSECOND) // price * _MICROSECOND


def hold_for(price: int) -> int:
    """Return what a start at this price reserves; nothing for a free type."""
    return charge(price, HOLD)


def refusal(price: int, title: str, funds: Funds) -> Refused | None:
    """Return why this price cannot be paid now, or None: the first purse that does not allow."""
    needed = hold_for(price)
    for purse in funds.purses:
        if needed and purse.left < needed:
            return _refused(purse, price, title, needed, funds.currency)
    return None


def _refused(purse: Purse, price: int, title: str, needed: int, currency: str) -> Refused:
    left = f"{format_amount(max(0, purse.left), currency)} left"
    total = format_amount(purse.total, currency)
    match purse.kind:
        case PurseKind.CREDIT:
            code, why = "no_credit", f"your credit has {left}"
            cure = "Ask your administrator for credit"
        case PurseKind.CREDIT_LIMIT:
            code, why = "no_credit", f"your credit limit of {total} has {left}"
            cure = "Pay what you owe"
        case PurseKind.OWN_BUDGET:
            code, why = "over_budget", f"your budget of {total} a month has {left}"
            cure = "Ask your administrator for a larger one"
        case PurseKind.GROUP_BUDGET:
            code = "over_budget"
            why = f"the budget of {total} a month of your group {shown(purse.group)} has {left}"
            cure = "Ask your administrator for a larger one"
    return Refused(
        code,
        f"{title} costs {format_price(price, currency)} and reserves"
        f" {format_amount(needed, currency)} for {format_duration(HOLD)}; {why}.",
        f"{cure}{', stop a running notebook' if purse.running else ''}, or choose a free machine.",
        field="instance_type",
    )
