"""Verify rows that no chain covers: each against its second record, in the audit or in itself."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from ..rules.action import Action
from .by import By
from .idempotency import seal_of
from .schema import (
    accounts,
    audit,
    balances,
    budgets,
    credits,
    entries,
    holds,
    idempotency_keys,
    leases,
)


@dataclass(frozen=True)
class Discrepancy:
    """Something that does not add up, of an account (None: of the hub)."""

    account_id: str | None
    name: str
    currency: str
    what: str


def hub_faults(tx: Connection, hub_id: str, audited_since: datetime | None) -> list[Discrepancy]:
    """Return what is wrong with budgets, keys, and rows that are another's or nobody's."""
    return [
        *_budget_faults(tx, hub_id, audited_since),
        *_key_faults(tx),
        *_stray_rows(tx, hub_id),
        *_order_faults(tx, hub_id),
    ]


def _budget_faults(
    tx: Connection, hub_id: str, audited_since: datetime | None
) -> list[Discrepancy]:
    """Compare budgets with how the audit says that they were set, and when they were passed."""
    last = _last(tx, hub_id, Action.BUDGET)
    passed = _last(tx, hub_id, Action.BUDGET_PASSED)
    faults, seen = [], set()
    for row in tx.execute(select(budgets).where(budgets.c.hub_id == hub_id)):
        key = (row.scope, row.currency)
        seen.add(key)
        told = last.get(key)
        if told is None:
            if audited_since is not None and row.set_at >= audited_since:
                faults.append(_budget(key, "was never set"))
            continue
        said = (told.detail["soft"], told.detail["hard"], told.actor, told.at)
        if (row.soft, row.hard, row.set_by, row.set_at) != said:
            faults.append(_budget(key, "is not as it was set"))
        warned = passed.get(key)
        month = warned.detail["month"] if warned and warned.at >= row.set_at else None
        kept = audited_since is not None and row.set_at >= audited_since
        if row.warned != month and (month or kept):
            faults.append(_budget(key, f"says that it was passed in {row.warned}, not in {month}"))
    for key, told in last.items():
        wanted = told.detail["soft"] is not None or told.detail["hard"] is not None
        if wanted and key not in seen:
            faults.append(_budget(key, "is gone"))
    return faults


def _budget(key: tuple[str, str], what: str) -> Discrepancy:
    return Discrepancy(None, "the hub", key[1], f"the budget of {key[0]} {what}")


def _last(tx: Connection, hub_id: str, action: Action) -> dict[tuple[str, str], Any]:
    """Return the newest audit row of each scope and currency."""
    rows = tx.execute(
        select(audit).where(audit.c.hub_id == hub_id, audit.c.action == action).order_by(audit.c.id)
    )
    return {
        (row.detail["scope"], row.detail["currency"]): row
        for row in rows
        if {"scope", "currency"} <= row.detail.keys()
    }


def _key_faults(tx: Connection) -> list[Discrepancy]:
    """Find keys of requests whose row was altered: a retry would be done twice, or not at all."""
    # Of every hub: one that is altered may say another.
    rows = tx.execute(select(idempotency_keys))
    return [
        Discrepancy(None, "the hub", "", f"the key {row.key[:40]!r} of {row.actor} was altered")
        for row in rows
        if row.seal is not None
        and row.seal != seal_of(By(row.hub_id, row.actor, row.at), row.key, row.digest, row.result)
    ]


def _stray_rows(tx: Connection, hub_id: str) -> list[Discrepancy]:
    """Find rows of money that say another hub than their account does, or have no lease."""
    faults = []
    for table, noun in ((balances, "balance"), (credits, "credit")):
        rows = tx.execute(
            select(table.c.account_id, table.c.currency, accounts.c.name)
            .join(accounts, accounts.c.id == table.c.account_id)
            .where(accounts.c.hub_id == hub_id, table.c.hub_id != hub_id)
        )
        faults += [
            Discrepancy(
                row.account_id, row.name, row.currency, f"a {noun} says that it is another hub's"
            )
            for row in rows
        ]
    orphans = tx.execute(
        select(holds.c.lease_id, holds.c.account_id, holds.c.currency)
        .outerjoin(leases, leases.c.id == holds.c.lease_id)
        .where(holds.c.hub_id == hub_id, leases.c.id.is_(None))
    )
    faults += [
        Discrepancy(
            row.account_id,
            row.account_id,
            row.currency,
            f"a hold is of lease {row.lease_id}, which is gone",
        )
        for row in orphans
    ]
    strangers = tx.execute(
        select(leases.c.id, leases.c.account_id, leases.c.currency)
        .join(accounts, accounts.c.id == leases.c.account_id)
        .where(accounts.c.hub_id == hub_id, leases.c.hub_id != hub_id)
    )
    faults += [
        Discrepancy(
            row.account_id,
            row.account_id,
            row.currency,
            f"lease {row.id} says that it is another hub's",
        )
        for row in strangers
    ]
    return faults


def _order_faults(tx: Connection, hub_id: str) -> list[Discrepancy]:
    """Find entries that do not stand in the order in which their chain was written."""
    faults = []
    last: dict[tuple[str, str], tuple[int, int]] = {}
    rows = tx.execute(
        select(entries.c.id, entries.c.account_id, entries.c.currency, entries.c.seq)
        .where(entries.c.hub_id == hub_id)
        .order_by(entries.c.account_id, entries.c.currency, entries.c.seq)
    )
    for row in rows:
        key = (row.account_id, row.currency)
        before = last.get(key)
        if before is not None and row.id < before[0]:
            what = f"entry {row.seq} stands before entry {before[1]}"
            faults.append(Discrepancy(row.account_id, row.account_id, row.currency, what))
        last[key] = (row.id, row.seq)
    return faults
