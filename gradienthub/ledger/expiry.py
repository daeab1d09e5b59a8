"""Expiry: what is left of a credit at its end is written off."""

from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update

from ..rules.credit import find_expired
from ..rules.entry import Entry, Kind, month_of
from .database import Transaction
from .entries import append, credits_of
from .schema import credits, holds


def list_due(
    tx: Transaction, *, hub_id: str, until: datetime, account_id: str | None = None
) -> list[datetime]:
    """Return the moments until `until` at which something is left of an expired credit."""
    query = select(credits.c.expires_at).where(*_due(hub_id, until, account_id)).distinct()
    return list(tx.execute(query.order_by(credits.c.expires_at)).scalars())


def expire(
    tx: Transaction, *, hub_id: str, until: datetime, now: datetime, account_id: str | None = None
) -> int:
    """Write off what is left of credits that expired by `until`; how many there were.

    What an open lease holds is left until it ends. Of this hub, or of one account. Safe to repeat.
    """
    query = select(credits.c.account_id, credits.c.currency).distinct()
    rows = tx.execute(query.where(*_due(hub_id, until, account_id))).all()
    return sum(_expire(tx, hub_id, row.account_id, row.currency, until, now) for row in rows)


def _due(hub_id: str, until: datetime, account_id: str | None) -> list[ColumnElement[bool]]:
    conditions = [
        credits.c.hub_id == hub_id,
        credits.c.unspent > 0,
        credits.c.expires_at.is_not(None),
        credits.c.expires_at <= until,
    ]
    if account_id is not None:
        conditions.append(credits.c.account_id == account_id)
    return conditions


def _expire(
    tx: Transaction, hub_id: str, account_id: str, currency: str, until: datetime, now: datetime
) -> int:
    held = tx.execute(
        select(func.coalesce(func.sum(holds.c.amount), 0)).where(
            holds.c.account_id == account_id, holds.c.currency == currency
        )
    ).scalar_one()
    expired = find_expired(credits_of(tx, account_id, currency), held=int(held), now=until)
    for credit, gone in expired:
        tx.execute(
            update(credits).where(credits.c.id == credit.id).values(unspent=credit.unspent - gone)
        )
        entry = Entry(
            hub_id=hub_id,
            account_id=account_id,
            currency=currency,
            seq=0,
            at=now,
            month=month_of(credit.expires_at or until),
            kind=Kind.EXPIRY,
            amount=-gone,
            balance=0,
            credit_id=credit.id,
            note="Expired",
            actor="keeper",
        )
        append(tx, entry)
    return len(expired)
