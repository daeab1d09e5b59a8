"""Charges: what a lease owes becomes entries, at its stop and at the end of a month.

A charge is the difference between the bill of all its time and what its entries have already, so
doing it again, late, or after a crash in between changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, exists, func, or_, select, update

from ..rules.entry import Kind, month_of, month_start
from ..rules.metering import Portion, Times, by_day, by_month
from . import usage
from .database import lock_admissions
from .entries import append, balance_of, use_credits
from .schema import entries, holds, leases, notebooks


@dataclass(frozen=True)
class _Written:
    """What the entries of a lease have already."""

    billed: int
    forgiven: int
    until: datetime | None
    closed: bool


def times_of(row: Row[Any]) -> Times:
    """A lease's row as what its bill is made of."""
    return Times.of(row._asdict())


def settle(tx: Connection, lease_id: str, now: datetime) -> None:
    """Charge a lease whose stop was asked for or that ended, and let go of its hold.

    Part of the transaction that wrote so; does nothing for one that runs, and is safe to repeat.
    """
    lock_admissions(tx)
    row = tx.execute(_leases().where(leases.c.id == lease_id)).first()
    if row is None or not (times := times_of(row)).final:
        return
    interval, gap_until = times.metered(now)
    if interval is not None:
        _charge(tx, row, begin=interval[0], end=interval[1], gap_until=gap_until, closes=True,
                now=now)  # fmt: skip
    tx.execute(delete(holds).where(holds.c.lease_id == lease_id))


def settle_missed(tx: Connection, *, hub_id: str, now: datetime) -> int:
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


def close_months(tx: Connection, *, hub_id: str, now: datetime) -> int:
    """Charge the months that are over to leases that run on; how many there were."""
    first = month_start(now)
    rows = tx.execute(
        _leases().where(
            leases.c.hub_id == hub_id,
            leases.c.ended_at.is_(None),
            leases.c.stop_requested_at.is_(None),
            leases.c.answered_at < first,
            ~exists().where(entries.c.lease_id == leases.c.id, entries.c.until_at >= first),
        )
    ).all()
    if rows:
        lock_admissions(tx)
    for row in rows:
        _charge(tx, row, begin=row.answered_at, end=first, gap_until=None, closes=False, now=now)
    return len(rows)


def _leases() -> Select[Any]:
    return select(leases, notebooks.c.display_name, notebooks.c.server_name).join(
        notebooks, notebooks.c.id == leases.c.notebook_id
    )


def _charge(
    tx: Connection,
    row: Row[Any],
    *,
    begin: datetime,
    end: datetime,
    gap_until: datetime | None,
    closes: bool,
    now: datetime,
) -> None:
    before = _written(tx, row.id)
    start = before.until or begin
    if before.closed and start == end:
        return
    portions = by_month(row.price, begin, start, end)
    for portion in portions:
        last = portion is portions[-1]
        _write(
            tx, row, portion, now=now, begin=begin,
            closes=closes and last and not before.closed, gap_until=gap_until if last else None,
            forgiven_before=before.forgiven,
        )  # fmt: skip


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
    row: Row[Any],
    portion: Portion,
    *,
    begin: datetime,
    closes: bool,
    gap_until: datetime | None,
    forgiven_before: int,
    now: datetime,
) -> None:
    hold = tx.execute(select(holds).where(holds.c.lease_id == row.id)).first()
    held = hold.amount if hold else 0
    if portion.billed >= 0:
        overrun = max(0, portion.billed - held)
        forgiven = 0 if hold and hold.charge_overrun else overrun
    else:
        # Time that was billed and turns out not to have been used: what was forgiven of it first.
        overrun = forgiven = -min(forgiven_before, -portion.billed)
    charged = portion.billed - forgiven
    account = {"account_id": row.account_id, "currency": row.currency}
    use_credits(tx, **account, amount=charged, before=balance_of(tx, **account))
    append(
        tx, hub_id=row.hub_id, **account, kind=Kind.CHARGE, amount=-charged, at=now,
        month=month_of(min(portion.start, portion.end)), lease_id=row.id,
        instance_type=row.instance_type, price=row.price, from_at=portion.start,
        until_at=portion.end, gap_until=gap_until, billed=portion.billed, overrun=overrun,
        forgiven=forgiven, closes=closes, note=row.display_name or row.server_name or "default",
        actor=row.stopped_by or "",
    )  # fmt: skip
    if hold:
        tx.execute(
            update(holds)
            .where(holds.c.lease_id == row.id)
            .values(amount=max(0, held - portion.billed), billed=hold.billed + portion.billed)
        )
    days = _charged_days(by_day(row.price, begin, portion.start, portion.end), forgiven)
    if closes and not days:
        days = {portion.end.date(): Portion(portion.end, portion.end, 0.0, 0)}
    if days:
        usage.add(
            tx, hub_id=row.hub_id, scopes=usage.scopes_of(row.account_id, row.groups or ()),
            instance_type=row.instance_type, currency=row.currency, days=days,
            leases=int(closes),
        )  # fmt: skip


def _charged_days(days: Mapping[date, Portion], forgiven: int) -> dict[date, Portion]:
    """The days with what is charged for them: what is forgiven was used last."""
    charged = dict(days)
    for day in sorted(days, reverse=True):
        size = min(abs(forgiven), abs(days[day].billed))
        less = size if forgiven > 0 else -size
        charged[day] = replace(days[day], billed=days[day].billed - less)
        forgiven -= less
    return charged


def unsettled(tx: Connection, *, hub_id: str, account_id: str, now: datetime) -> dict[str, int]:
    """What each open lease of the account has cost so far beyond its entries, by lease id."""
    rows = tx.execute(
        select(leases, func.coalesce(holds.c.billed, 0).label("billed"))
        .outerjoin(holds, holds.c.lease_id == leases.c.id)
        .where(
            leases.c.hub_id == hub_id,
            leases.c.account_id == account_id,
            leases.c.ended_at.is_(None),
            leases.c.stop_requested_at.is_(None),
        )
    )
    return {row.id: times_of(row).billed(now) - row.billed for row in rows}
