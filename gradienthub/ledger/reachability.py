"""Reachability: which notebooks answered and which did not, and the money that waited for those."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from sqlalchemy import update

from ..rules.funds import HOLD
from . import extension, gaps
from .database import Transaction
from .schema import holds


def note_reach(
    tx: Transaction,
    *,
    hub_id: str,
    reached: Iterable[str],
    silent: Iterable[str],
    now: datetime,
    working: Mapping[str, datetime] | None = None,
) -> None:
    """Write which running leases' own servers answered now, and which did not, as `gaps.note`.

    What a lease holds for time that turns out to be a gap is let go of: a keeper that had looked
    all the time would never have held it. Others may use it, and what expired is written off.
    """
    begun = gaps.note(tx, hub_id=hub_id, reached=reached, silent=silent, now=now, working=working)
    if begun:
        for account_id in _release(tx, hub_id, begun, now):
            extension.catch_up(tx, hub_id=hub_id, now=now, account_id=account_id)


def _release(tx: Transaction, hub_id: str, lease_ids: Collection[str], now: datetime) -> list[str]:
    """Let holds pay for no more than is ahead of now; return the accounts that have money back."""
    accounts = set()
    for hold in extension.list_held(tx, hub_id=hub_id, now=now):
        if hold.lease.id in lease_ids and hold.paid and hold.paid_until > now + HOLD:
            left = hold.paying(now + HOLD)
            tx.execute(
                update(holds)
                .where(holds.c.lease_id == hold.lease.id)
                .values(amount=left.amount, paid_for=left.paid and left.paid.microseconds)
            )
            accounts.add(hold.lease.account_id)
    return sorted(accounts)
