"""Gaps: when a notebook was not reachable. Nobody could work then, so that it costs nothing."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, select, update

from ..rules.metering import Gap
from .batches import split_ids
from .database import Transaction
from .schema import entries, gaps, leases


def note(
    tx: Transaction,
    *,
    hub_id: str,
    reached: Iterable[str],
    silent: Iterable[str],
    now: datetime,
    working: Mapping[str, datetime] | None = None,
) -> set[str]:
    """Write which running leases' own servers answered now, and which did not; return the leases
    whose gap begins.

    `working` are those that did not answer, with since when their machines have worked: a gap of
    theirs ends there, because they were used.

    A gap lasts from the last answer, or from the start, until the next answer, whoever looked and
    however often; it never reaches back into a month that is charged. Safe to repeat; leases that
    are stopped or ended keep what they have.
    """
    working = working or {}
    reached = [*reached, *working]
    lasting = _lasting(tx, hub_id)
    _end(tx, lasting & set(reached), working, now)
    begun = _begin(tx, hub_id, set(silent) - lasting, now)
    for ids in split_ids(reached):
        tx.execute(
            update(leases)
            .where(
                leases.c.id.in_(ids),
                leases.c.hub_id == hub_id,
                *_running(),
                # A clock that jumped back takes nothing back.
                func.coalesce(leases.c.reached_at, now) <= now,
            )
            .values(reached_at=now)
        )
    return begun


def list_gaps(tx: Transaction, lease_ids: Iterable[str]) -> dict[str, tuple[Gap, ...]]:
    """Return the gaps of leases, in the order in which they began; those without have none."""
    by_lease: dict[str, tuple[Gap, ...]] = {}
    for ids in split_ids(list(lease_ids)):
        by_lease |= _read(tx, gaps.c.lease_id.in_(ids))
    return by_lease


def list_gaps_of_open(tx: Transaction, hub_id: str) -> dict[str, tuple[Gap, ...]]:
    """Return the gaps of all open leases of a hub."""
    return _read(
        tx,
        leases.c.id == gaps.c.lease_id,
        leases.c.hub_id == hub_id,
        leases.c.ended_at.is_(None),
    )


def close(tx: Transaction, lease_id: str, at: datetime) -> None:
    """End the gap of a lease; one that turns out to be of no time was none."""
    row = tx.execute(
        select(gaps).where(gaps.c.lease_id == lease_id, gaps.c.until_at.is_(None))
    ).first()
    if row is not None and at <= row.from_at:
        tx.execute(delete(gaps).where(gaps.c.id == row.id))
    elif row is not None:
        tx.execute(update(gaps).where(gaps.c.id == row.id).values(until_at=at))


def _lasting(tx: Transaction, hub_id: str) -> set[str]:
    return set(
        tx.execute(
            select(gaps.c.lease_id)
            .join(leases, leases.c.id == gaps.c.lease_id)
            .where(leases.c.hub_id == hub_id, gaps.c.until_at.is_(None))
        ).scalars()
    )


def _end(
    tx: Transaction, lease_ids: Collection[str], working: Mapping[str, datetime], now: datetime
) -> None:
    for ids in split_ids(lease_ids):
        open_ = tx.execute(select(leases.c.id).where(leases.c.id.in_(ids), *_running()))
        charged = _charged_until(tx, ids)
        for lease_id in open_.scalars().all():
            at = working.get(lease_id, now)
            # A month that is charged stays as it is.
            close(tx, lease_id, min(now, max(at, charged.get(lease_id, at))))


def _begin(tx: Transaction, hub_id: str, lease_ids: Collection[str], now: datetime) -> set[str]:
    begun: set[str] = set()
    for ids in split_ids(lease_ids):
        rows = tx.execute(
            select(leases.c.id, leases.c.answered_at, leases.c.reached_at).where(
                leases.c.id.in_(ids),
                leases.c.hub_id == hub_id,
                leases.c.answered_at.is_not(None),
                *_running(),
            )
        ).all()
        charged = _charged_until(tx, ids)
        for row in rows:
            # What an entry has charged already, at the end of a month, stays as it is.
            since = max([row.answered_at, *filter(None, (row.reached_at, charged.get(row.id)))])
            tx.execute(
                gaps.insert().values(hub_id=hub_id, lease_id=row.id, from_at=min(since, now))
            )
            begun.add(row.id)
    return begun


def _charged_until(tx: Transaction, lease_ids: Collection[str]) -> dict[str, datetime]:
    rows = tx.execute(
        select(entries.c.lease_id, func.max(entries.c.until_at).label("until"))
        .where(entries.c.lease_id.in_(lease_ids))
        .group_by(entries.c.lease_id)
    )
    return {row.lease_id: row.until for row in rows}


def _running() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return leases.c.ended_at.is_(None), leases.c.stop_requested_at.is_(None)


def _read(tx: Transaction, *where: ColumnElement[bool]) -> dict[str, tuple[Gap, ...]]:
    query = select(gaps.c.lease_id, gaps.c.from_at, gaps.c.until_at).where(*where)
    by_lease: dict[str, tuple[Gap, ...]] = {}
    for lease_id, start, end in tx.execute(query.order_by(gaps.c.from_at, gaps.c.id)):
        by_lease[lease_id] = (*by_lease.get(lease_id, ()), (start, end))
    return by_lease
