"""Credits: which of them a charge uses up, and what of one is left when it expires."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True)
class Credit:
    """Money given to an account once; `unspent` is what no charge has used up."""

    id: str
    amount: int
    unspent: int
    given_at: datetime
    expires_at: datetime | None = None


def in_order(credits: Iterable[Credit]) -> list[Credit]:
    """Sort credits as they are used up: the one that expires first, then the oldest."""
    return sorted(
        credits,
        key=lambda c: (c.expires_at is None, c.expires_at or c.given_at, c.given_at, c.id),
    )


def pay_debt(credit: Credit, credits: Iterable[Credit], balance: int) -> Credit:
    """Return a new credit with what is left of it once it has paid what the account owes."""
    owed = max(0, sum(c.unspent for c in credits) - balance)
    return replace(credit, unspent=credit.amount - min(credit.amount, owed))


def use_up(credits: Iterable[Credit], amount: int) -> list[Credit]:
    """Return the credits that a charge of `amount` changes. What they do not cover is owed."""
    changed = []
    for credit in in_order(credits):
        if take := min(credit.unspent, amount):
            changed.append(replace(credit, unspent=credit.unspent - take))
            amount -= take
    return changed


def refund(credits: Iterable[Credit], amount: int, balance: int) -> list[Credit]:
    """Return the credits that a refund of `amount` changes. It first pays what is owed."""
    credits = list(credits)
    amount -= min(amount, max(0, sum(c.unspent for c in credits) - balance))
    changed = []
    for credit in reversed(in_order(credits)):
        if back := min(credit.amount - credit.unspent, amount):
            changed.append(replace(credit, unspent=credit.unspent + back))
            amount -= back
    return changed


def find_expired(
    credits: Iterable[Credit], *, held: int, now: datetime
) -> list[tuple[Credit, int]]:
    """Return each credit that has expired, with what of it is written off now.

    Open leases hold what expires first, as their charges will use it first. So much is left until
    they end, whatever else the account has.
    """
    due = [c for c in in_order(credits) if c.unspent and c.expires_at and c.expires_at <= now]
    free = max(0, sum(c.unspent for c in due) - held)
    expired = []
    for credit in reversed(due):
        if gone := min(credit.unspent, free):
            expired.append((credit, gone))
            free -= gone
    return expired
