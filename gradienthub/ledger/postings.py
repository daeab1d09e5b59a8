"""Postings: a lease's bill becomes entries, credits that are used up, and usage by the day.

A charge is the difference between the bill of all its time and what its entries have already, so
doing it again, late, or after a crash in between changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, exists, func, select, update

from ..rules.entry import Kind, month_of
from ..rules.lease import Lease
from ..rules.metering import Portion, by_day, by_month, charged_days, reachable_time
from ..rules.sharing import microseconds
from . import gaps, usage
from .entries import append, balance_of, use_credits
from .lease_rows import lease_from, lease_query
from .schema import entries, holds, leases


@dataclass(frozen=True)
class _Written:
    """What the entries of a lease have already."""

    billed: int
    forgiven: int
    until: datetime | None
    closed: bool


def close_month(
    tx: Connection,
    *,
    hub_id: str,
    first: datetime,
    now: datetime,
    account_id: str | None = None,
    closing: str | None = None,
) -> int:
    """Charge what ran before the month that begins at `first`; how many leases there were.

    Of leases that run on, and of the one that is `closing`.
    """
    rows = tx.execute(lease_query().where(*_unclosed(hub_id, first, account_id, closing))).all()
    lost = gaps.of(tx, [row.id for row in rows])
    for row in rows:
        lease = lease_from(row, lost=lost.get(row.id, ()))
        if (begin := lease.times.begins) is not None:
            post(tx, lease, begin=begin, end=first, gap_until=None, closes=False, now=now)
    return len(rows)


def unclosed_since(
    tx: Connection,
    *,
    hub_id: str,
    first: datetime,
    account_id: str | None = None,
    closing: str | None = None,
) -> datetime | None:
    """Return since when a lease runs whose months before `first` are not charged; None: none."""
    rows = tx.execute(
        select(leases.c.answered_at, _charged_until().label("until")).where(
            *_unclosed(hub_id, first, account_id, closing)
        )
    ).all()
    return min((max(row.answered_at, row.until or row.answered_at) for row in rows), default=None)


def _charged_until() -> Any:
    until = select(func.max(entries.c.until_at)).where(entries.c.lease_id == leases.c.id)
    return until.correlate(leases).scalar_subquery()


def _unclosed(
    hub_id: str, first: datetime, account_id: str | None, closing: str | None
) -> list[ColumnElement[bool]]:
    runs = leases.c.ended_at.is_(None) & leases.c.stop_requested_at.is_(None)
    return [
        leases.c.hub_id == hub_id,
        runs if closing is None else runs | (leases.c.id == closing),
        leases.c.answered_at < first,
        ~exists().where(entries.c.lease_id == leases.c.id, entries.c.until_at >= first),
        *([] if account_id is None else [leases.c.account_id == account_id]),
    ]


def post(
    tx: Connection,
    lease: Lease,
    *,
    begin: datetime,
    end: datetime,
    gap_until: datetime | None,
    closes: bool,
    now: datetime,
) -> None:
    """Write what the time from `begin` to `end` adds to a lease's entries, an entry a month."""
    before = _written(tx, lease.id)
    start = before.until or begin
    if before.closed and start == end:
        return
    portions = by_month(lease.price, begin, start, end, lease.gaps)
    for portion in portions:
        last = portion is portions[-1]
        _write(
            tx,
            lease,
            portion,
            now=now,
            begin=begin,
            closes=closes and last and not before.closed,
            gap_until=gap_until if last else None,
            forgiven_before=before.forgiven,
        )


def billed_of(tx: Connection, lease_id: str) -> int:
    """Return what a lease's entries bill already."""
    return _written(tx, lease_id).billed


def _written(tx: Connection, lease_id: str) -> _Written:
    rows = tx.execute(
        select(entries.c.billed, entries.c.forgiven, entries.c.until_at, entries.c.closes)
        .where(entries.c.lease_id == lease_id)
        .order_by(entries.c.id)
    ).all()
    return _Written(
        billed=sum(row.billed for row in rows),
        forgiven=sum(row.forgiven for row in rows),
        until=rows[-1].until_at if rows else None,
        closed=any(row.closes for row in rows),
    )


def _write(
    tx: Connection,
    lease: Lease,
    portion: Portion,
    *,
    begin: datetime,
    closes: bool,
    gap_until: datetime | None,
    forgiven_before: int,
    now: datetime,
) -> None:
    hold = tx.execute(select(holds).where(holds.c.lease_id == lease.id)).first()
    if portion.billed >= 0:
        overrun = max(0, portion.billed - (hold.amount if hold else 0))
        forgiven = 0 if hold and hold.charge_overrun else overrun
    else:
        # Time that was billed and turns out not to have been used: what was forgiven of it first.
        overrun = forgiven = -min(forgiven_before, -portion.billed)
    charged = portion.billed - forgiven
    account = {"account_id": lease.account_id, "currency": lease.currency}
    use_credits(tx, **account, amount=charged, before=balance_of(tx, **account))
    append(
        tx,
        hub_id=lease.hub_id,
        **account,
        kind=Kind.CHARGE,
        amount=-charged,
        at=now,
        month=month_of(min(portion.start, portion.end)),
        lease_id=lease.id,
        instance_type=lease.instance_type,
        price=lease.price,
        from_at=portion.start,
        until_at=portion.end,
        gap_until=gap_until,
        billed=portion.billed,
        overrun=overrun,
        forgiven=forgiven,
        closes=closes,
        note=lease.title,
        actor=lease.stopped_by or "",
    )
    if hold:
        _use_hold(tx, hold, lease, portion, begin)
    days = charged_days(
        by_day(lease.price, begin, portion.start, portion.end, lease.gaps),
        portion.end,
        forgiven=forgiven,
        closes=closes,
    )
    if days:
        usage.add(
            tx,
            hub_id=lease.hub_id,
            scopes=usage.scopes_of(lease.account_id, lease.groups or ()),
            instance_type=lease.instance_type,
            currency=lease.currency,
            days=days,
            leases=int(closes),
        )


def _use_hold(
    tx: Connection, hold: Row[Any], lease: Lease, portion: Portion, begin: datetime
) -> None:
    """Take what is billed out of the lease's hold."""
    spent = microseconds(reachable_time(begin, portion.end, lease.gaps))
    tx.execute(
        update(holds)
        .where(holds.c.lease_id == lease.id)
        .values(
            amount=max(0, hold.amount - portion.billed),
            billed=hold.billed + portion.billed,
            paid_for=hold.paid_for and max(hold.paid_for, spent),
        )
    )
