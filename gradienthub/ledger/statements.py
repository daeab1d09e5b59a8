"""Statements: a month of an account, read from its entries; and what an account has now."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from ..rules.entry import Entry, month_of, next_month, parse_month
from ..rules.statement import Statement
from . import charges, gaps
from .database import Transaction
from .entries import ENTRY, balance_of, entry_of
from .schema import accounts, balances, entries


@dataclass(frozen=True)
class Standing:
    """What an account has: balance and what open leases cost beyond it, micro-units; its chain."""

    account_id: str
    name: str
    currency: str
    balance: int
    running: int
    entries: int
    head: str
    closed_at: datetime | None


@dataclass(frozen=True)
class Overrun:
    """A charge whose lease ran on without a hold."""

    entry: Entry
    name: str


def read_statement(
    tx: Transaction, *, account_id: str, month: str, currency: str, now: datetime
) -> Statement:
    """Return the statement of a UTC month ("2026-11"); LookupError where there is no such account.

    Raises ValueError where `month` is none. A closed account has its statements still.
    """
    first = parse_month(month)
    account = _account(tx, account_id)
    chain = (entries.c.account_id == account_id, entries.c.currency == currency)
    before = tx.execute(
        select(entries.c.balance, entries.c.hash)
        .where(*chain, entries.c.month < month)
        .order_by(entries.c.month.desc(), entries.c.seq.desc())
        .limit(1)
    ).first()
    rows = tx.execute(
        select(*ENTRY).where(*chain, entries.c.month == month).order_by(entries.c.seq)
    ).all()
    current = month_of(now) == month
    return Statement(
        hub_id=account.hub_id,
        account_id=account_id,
        name=account.name,
        month=month,
        currency=currency,
        opening=before.balance if before else 0,
        entries=tuple(entry_of(row) for row in rows),
        head=rows[-1].hash if rows else before.hash if before else "",
        over=next_month(first) <= now,
        as_of=now,
        running=_running_cost(tx, account, now) if current else 0,
        lost=gaps.list_gaps(tx, sorted({row.lease_id for row in rows if row.lease_id})),
    )


def list_months(tx: Transaction, *, account_id: str, currency: str) -> list[str]:
    """Return the months that have entries, the newest first."""
    return list(
        tx.execute(
            select(entries.c.month)
            .where(entries.c.account_id == account_id, entries.c.currency == currency)
            .distinct()
            .order_by(entries.c.month.desc())
        ).scalars()
    )


def read_standing(tx: Transaction, *, account_id: str, currency: str, now: datetime) -> Standing:
    """Return what the account has now. Raises LookupError where there is no such account."""
    account = _account(tx, account_id)
    chain = tx.execute(
        select(balances).where(balances.c.account_id == account_id, balances.c.currency == currency)
    ).first()
    return Standing(
        account_id=account_id,
        name=account.name,
        currency=currency,
        balance=balance_of(tx, account_id, currency),
        running=_running_cost(tx, account, now),
        entries=chain.seq if chain else 0,
        head=chain.head if chain else "",
        closed_at=account.closed_at,
    )


@dataclass(frozen=True)
class _Account:
    """What a statement says of its account."""

    id: str
    hub_id: str
    name: str
    closed_at: datetime | None


def _account(tx: Transaction, account_id: str) -> _Account:
    row = tx.execute(
        select(accounts.c.id, accounts.c.hub_id, accounts.c.name, accounts.c.closed_at).where(
            accounts.c.id == account_id
        )
    ).first()
    if row is None:
        raise LookupError(account_id)
    return _Account(*row)


def _running_cost(tx: Transaction, account: _Account, now: datetime) -> int:
    """Return what the account's open leases have cost beyond its entries."""
    costs = charges.sum_unsettled(tx, hub_id=account.hub_id, account_id=account.id, now=now)
    return sum(costs.values())


def account_ids(tx: Transaction, *, hub_id: str, name: str) -> list[str]:
    """List every account that had this name, open ones first, then the newest; or the one of this
    id."""
    rows = tx.execute(
        select(accounts.c.id)
        .where(accounts.c.hub_id == hub_id, (accounts.c.name == name) | (accounts.c.id == name))
        .order_by(accounts.c.closed_at.is_not(None), accounts.c.created_at.desc())
    )
    return list(rows.scalars())


def list_overruns(
    tx: Transaction, *, hub_id: str, since: datetime, limit: int = 100
) -> list[Overrun]:
    """Return the newest charges since then whose lease ran on without a hold, forgiven or not."""
    rows = tx.execute(
        select(*ENTRY, accounts.c.name)
        .join(accounts, accounts.c.id == entries.c.account_id)
        .where(entries.c.hub_id == hub_id, entries.c.at >= since, entries.c.overrun > 0)
        .order_by(entries.c.at.desc())
        .limit(limit)
    )
    return [Overrun(entry_of(row), row.name) for row in rows]


def list_newest(tx: Transaction, *, account_id: str, currency: str, limit: int = 20) -> list[Entry]:
    """Return the account's last entries, the newest first."""
    rows = tx.execute(
        select(*ENTRY)
        .where(entries.c.account_id == account_id, entries.c.currency == currency)
        .order_by(entries.c.seq.desc())
        .limit(limit)
    )
    return [entry_of(row) for row in rows]
