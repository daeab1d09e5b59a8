"""Postings: a lease's bill becomes entries, credits that are used up, and usage by the day.

A charge is the difference between the bill of all its time and what its entries have already, so
doing it again, late, or after a crash in between changes nothing.
"""

from dataclasses import dataclass, fields, replace
from datetime import datetime

from sqlalchemy import ColumnElement, ScalarSelect, exists, func, select, update

from ..rules.entry import Entry, Kind, month_of
from ..rules.lease import Lease
from ..rules.metering import Portion, by_day, by_month, charged_days, reachable_time
from ..rules.sharing import microseconds
from . import gaps, usage
from .database import Transaction
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


@dataclass(frozen=True)
class _Hold:
    """What is reserved for a lease, and what time that pays for."""

    amount: int
    billed: int
    paid_for: int | None
    charge_overrun: bool


def close_month(
    tx: Transaction,
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
    lost = gaps.list_gaps(tx, [row.id for row in rows])
    for row in rows:
        lease = lease_from(row, lost=lost.get(row.id, ()))
        if (begin := lease.times.begins) is not None:
            post(tx, lease, begin=begin, end=first, gap_until=None, closes=False, now=now)
    return len(rows)


def unclosed_since(
    tx: Transaction,
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


def _charged_until() -> ScalarSelect[datetime]:
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
    tx: Transaction,
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
        hold = _find_hold(tx, lease.id)
        entry = _charge(lease, portion, _uncovered(portion, hold, before.forgiven), now)
        if portion is portions[-1]:
            closing = closes and not before.closed
            entry = replace(entry, gap_until=gap_until, closes=closing)
        account = {"account_id": lease.account_id, "currency": lease.currency}
        use_credits(tx, **account, amount=-entry.amount, before=balance_of(tx, **account))
        append(tx, entry)
        if hold:
            _use_hold(tx, hold, lease, portion, begin)
        _count(tx, lease, portion, entry, begin)


def _find_hold(tx: Transaction, lease_id: str) -> _Hold | None:
    query = select(*(holds.c[field.name] for field in fields(_Hold)))
    row = tx.execute(query.where(holds.c.lease_id == lease_id)).first()
    return _Hold(*row) if row else None


def sum_billed(tx: Transaction, lease_id: str) -> int:
    """Return what a lease's entries bill already."""
    return _written(tx, lease_id).billed


def _written(tx: Transaction, lease_id: str) -> _Written:
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


def _uncovered(portion: Portion, hold: _Hold | None, forgiven_before: int) -> tuple[int, int]:
    """Return what no hold covers of a portion, and what of that is not charged."""
    if portion.billed < 0:
        # Time that was billed and turns out not to have been used: what was forgiven of it first.
        refunded = -min(forgiven_before, -portion.billed)
        return refunded, refunded
    overrun = max(0, portion.billed - (hold.amount if hold else 0))
    return overrun, 0 if hold and hold.charge_overrun else overrun


def _charge(lease: Lease, portion: Portion, uncovered: tuple[int, int], now: datetime) -> Entry:
    overrun, forgiven = uncovered
    return Entry(
        hub_id=lease.hub_id,
        account_id=lease.account_id,
        currency=lease.currency,
        seq=0,
        at=now,
        month=month_of(min(portion.start, portion.end)),
        kind=Kind.CHARGE,
        amount=forgiven - portion.billed,
        balance=0,
        lease_id=lease.id,
        instance_type=lease.instance_type,
        price=lease.price,
        from_at=portion.start,
        until_at=portion.end,
        billed=portion.billed,
        overrun=overrun,
        forgiven=forgiven,
        note=lease.title,
        actor=lease.stopped_by or "",
    )


def _count(tx: Transaction, lease: Lease, portion: Portion, entry: Entry, begin: datetime) -> None:
    """Count what an entry charges for a portion in the usage of its days."""
    used = by_day(lease.price, begin, portion.start, portion.end, lease.gaps)
    days = charged_days(used, portion.end, forgiven=entry.forgiven, closes=entry.closes)
    if days:
        usage.add(
            tx,
            hub_id=lease.hub_id,
            scopes=usage.scopes_of(lease.account_id, lease.groups or ()),
            instance_type=lease.instance_type,
            currency=lease.currency,
            days=days,
            leases=int(entry.closes),
        )


def _use_hold(
    tx: Transaction, hold: _Hold, lease: Lease, portion: Portion, begin: datetime
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
