"""Verify rows that no chain covers: each against its second record, in the audit or in itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from ..rules.action import Action
from .by import By
from .database import Transaction
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


def hub_faults(tx: Transaction, hub_id: str, audited_since: datetime | None) -> list[Discrepancy]:
    """Return what is wrong with budgets, keys, and rows that are another's or nobody's."""
    return [
        *_budget_faults(tx, hub_id, audited_since),
        *_key_faults(tx),
        *_stray_rows(tx, hub_id),
        *_order_faults(tx, hub_id),
    ]


def _budget_faults(
    tx: Transaction, hub_id: str, audited_since: datetime | None
) -> list[Discrepancy]:
    """Compare budgets with how the audit says that they were set, and when they were passed."""
    settings = _newest(tx, hub_id, Action.BUDGET)
    passed = _newest(tx, hub_id, Action.BUDGET_PASSED)
    faults, seen = [], set()
    for row in tx.execute(select(budgets).where(budgets.c.hub_id == hub_id)):
        key = (row.scope, row.currency)
        seen.add(key)
        audited = audited_since is not None and row.set_at >= audited_since
        setting = settings.get(key)
        if setting is None:
            if audited:
                faults.append(_budget(key, "was never set"))
            continue
        wanted = (*setting.limits, setting.actor, setting.at)
        if (row.soft, row.hard, row.set_by, row.set_at) != wanted:
            faults.append(_budget(key, "is not as it was set"))
        warned = passed.get(key)
        month = warned.detail["month"] if warned and warned.at >= row.set_at else None
        if row.warned != month and (month or audited):
            faults.append(_budget(key, f"says that it was passed in {row.warned}, not in {month}"))
    for key, setting in settings.items():
        if setting.limits != (None, None) and key not in seen:
            faults.append(_budget(key, "is gone"))
    return faults


def _budget(key: tuple[str, str], what: str) -> Discrepancy:
    return Discrepancy(None, "the hub", key[1], f"the budget of {key[0]} {what}")


@dataclass(frozen=True)
class _BudgetAct:
    """A row of the audit that is of a budget."""

    actor: str
    at: datetime
    detail: Mapping[str, object]

    @property
    def limits(self) -> tuple[object, object]:
        """The soft and the hard limit that it sets."""
        return self.detail["soft"], self.detail["hard"]


def _newest(tx: Transaction, hub_id: str, action: Action) -> dict[tuple[str, str], _BudgetAct]:
    """Return the newest audit row of each scope and currency."""
    rows = tx.execute(
        select(audit.c.actor, audit.c.at, audit.c.detail)
        .where(audit.c.hub_id == hub_id, audit.c.action == action)
        .order_by(audit.c.id)
    )
    return {
        (row.detail["scope"], row.detail["currency"]): _BudgetAct(row.actor, row.at, row.detail)
        for row in rows
        if {"scope", "currency"} <= row.detail.keys()
    }


def _key_faults(tx: Transaction) -> list[Discrepancy]:
    """Find keys of requests whose row was altered: a retry would be done twice, or not at all."""
    # Of every hub: one that is altered may say another.
    rows = tx.execute(select(idempotency_keys))
    return [
        Discrepancy(None, "the hub", "", f"the key {row.key[:40]!r} of {row.actor} was altered")
        for row in rows
        if row.seal is not None
        and row.seal != seal_of(By(row.hub_id, row.actor, row.at), row.key, row.digest, row.result)
    ]


def _stray_rows(tx: Transaction, hub_id: str) -> list[Discrepancy]:
    """Find rows of money that say another hub than their account does, or have no lease."""
    faults = []
    for table, noun in ((balances, "balance"), (credits, "credit")):
        rows = tx.execute(
            select(table.c.account_id, table.c.currency, accounts.c.name)
            .join(accounts, accounts.c.id == table.c.account_id)
            .where(accounts.c.hub_id == hub_id, table.c.hub_id != hub_id)
        )
        what = f"a {noun} says that it is another hub's"
        faults += [Discrepancy(row.account_id, row.name, row.currency, what) for row in rows]
    return faults + _stray_leases(tx, hub_id)


def _stray_leases(tx: Transaction, hub_id: str) -> list[Discrepancy]:
    """Find holds whose lease is gone, and leases that say another hub than their account does."""
    orphans = tx.execute(
        select(holds.c.lease_id, holds.c.account_id, holds.c.currency)
        .outerjoin(leases, leases.c.id == holds.c.lease_id)
        .where(holds.c.hub_id == hub_id, leases.c.id.is_(None))
    )
    strangers = tx.execute(
        select(leases.c.id, leases.c.account_id, leases.c.currency)
        .join(accounts, accounts.c.id == leases.c.account_id)
        .where(accounts.c.hub_id == hub_id, leases.c.hub_id != hub_id)
    )
    return [
        Discrepancy(account_id, account_id, currency, what.format(lease_id))
        for rows, what in (
            (orphans, "a hold is of lease {}, which is gone"),
            (strangers, "lease {} says that it is another hub's"),
        )
        for lease_id, account_id, currency in rows
    ]


def _order_faults(tx: Transaction, hub_id: str) -> list[Discrepancy]:
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
