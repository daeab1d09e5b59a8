"""Charges: what a lease owes is charged at its stop and at its end.

Before it is charged, its hold is extended as far as money goes: an overrun is what no money
covered, however long the keeper was away.
"""

from datetime import datetime

from sqlalchemy import delete, func, or_, select

from ..rules.entry import month_start
from . import expiry, gaps
from .database import Transaction
from .extension import Closing, catch_up, cover, others_share
from .lease_rows import lease_from, lease_query
from .postings import post, sum_billed
from .schema import holds, leases


def settle(tx: Transaction, lease_id: str, now: datetime) -> None:
    """Charge a lease whose stop was asked for or that ended, and let go of its hold.

    Part of the transaction that wrote so; does nothing for one that runs, and is safe to repeat.
    """
    row = tx.execute(lease_query().where(leases.c.id == lease_id)).first()
    if row is None:
        return
    lease = lease_from(row, lost=gaps.list_gaps(tx, [lease_id]).get(lease_id, ()))
    times = lease.times
    if not times.final:
        return
    hold = tx.execute(select(holds).where(holds.c.lease_id == lease_id)).first()
    interval, gap_until = times.metered(now)
    hub_id, account_id = lease.hub_id, lease.account_id
    due = hold is not None and bool(
        expiry.list_due(tx, hub_id=hub_id, until=now, account_id=account_id)
    )
    if interval is not None:
        begin, end = interval
        owed = times.billed(now)
        covered = hold is None or owed - hold.billed <= hold.amount
        months = begin < month_start(end)
        if hold is not None and (due or months or not covered or others_share(tx, lease)):
            closing = Closing(lease_id, end)
            catch_up(tx, hub_id=hub_id, now=now, account_id=account_id, closing=closing)
        if not covered:
            cover(tx, lease, owed=owed - sum_billed(tx, lease_id), now=now)
        post(tx, lease, begin=begin, end=end, gap_until=gap_until, closes=True, now=now)
    gaps.close(tx, lease_id, interval[1] if interval else now)
    tx.execute(delete(holds).where(holds.c.lease_id == lease_id))
    if due:
        # It held what had expired.
        expiry.expire(tx, hub_id=hub_id, until=now, now=now, account_id=account_id)


def settle_missed(tx: Transaction, *, hub_id: str, now: datetime) -> int:
    """Settle leases that are over and still hold money; how many there were. None is expected."""
    missed = (
        tx.execute(
            select(leases.c.id)
            .join(holds, holds.c.lease_id == leases.c.id)
            .where(
                holds.c.hub_id == hub_id,
                or_(leases.c.stop_requested_at.is_not(None), leases.c.ended_at.is_not(None)),
            )
        )
        .scalars()
        .all()
    )
    for lease_id in missed:
        settle(tx, lease_id, now)
    return len(missed)


def sum_unsettled(
    tx: Transaction, *, hub_id: str, account_id: str, now: datetime
) -> dict[str, int]:
    """Return what each open lease of the account has cost so far beyond its entries, by
    lease id."""
    rows = tx.execute(
        lease_query()
        .add_columns(func.coalesce(holds.c.billed, 0).label("billed"))
        .outerjoin(holds, holds.c.lease_id == leases.c.id)
        .where(
            leases.c.hub_id == hub_id,
            leases.c.account_id == account_id,
            leases.c.ended_at.is_(None),
            leases.c.stop_requested_at.is_(None),
        )
    ).all()
    lost = gaps.list_gaps(tx, [row.id for row in rows])
    return {
        row.id: lease_from(row, lost=lost.get(row.id, ())).times.billed(now) - row.billed
        for row in rows
    }
