"""Limits: budgets as they stand, with what the month has cost."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select, update

from ..rules.action import Action
from ..rules.entry import month_of, month_start, next_month
from . import audit, usage
from .by import By
from .database import Transaction
from .schema import accounts, budgets


@dataclass(frozen=True)
class Budget:
    """A limit for a UTC month, micro-units; `soft` warns, `hard` stops. None: not set.

    `user` or `group` is whose, the other None. `charged` is what the month's entries have, without
    what open leases hold.
    """

    scope: str
    user: str | None
    group: str | None
    currency: str
    soft: int | None
    hard: int | None
    charged: int
    set_by: str
    set_at: datetime
    warned: str | None


def list_budgets(
    tx: Transaction,
    *,
    hub_id: str,
    now: datetime,
    currency: str | None = None,
    scopes: Iterable[str] | None = None,
) -> list[Budget]:
    """Return the hub's budgets with what this month has cost, of all scopes or of these."""
    query = select(budgets).where(budgets.c.hub_id == hub_id).order_by(budgets.c.scope)
    if currency is not None:
        query = query.where(budgets.c.currency == currency)
    if scopes is not None:
        query = query.where(budgets.c.scope.in_(list(scopes)))
    rows = tx.execute(query).all()
    charged: dict[tuple[str, str], int] = {}
    for each in {row.currency for row in rows}:
        month = usage.Period(hub_id, each, month_start(now).date(), next_month(now).date())
        amounts = usage.charged_in(tx, month, [row.scope for row in rows])
        charged |= {(scope, each): amount for scope, amount in amounts.items()}
    names = _names(tx, [row.scope for row in rows])
    return [
        Budget(
            row.scope,
            names.get(row.scope),
            usage.group_in(row.scope),
            row.currency,
            row.soft,
            row.hard,
            charged.get((row.scope, row.currency), 0),
            row.set_by,
            row.set_at,
            row.warned,
        )
        for row in rows
    ]


def has_hard_budget(tx: Transaction, *, hub_id: str, scopes: Iterable[str]) -> bool:
    """Return whether one of these has a budget that stops."""
    query = select(budgets.c.scope).where(
        budgets.c.hub_id == hub_id, budgets.c.scope.in_(list(scopes)), budgets.c.hard.is_not(None)
    )
    return tx.execute(query.limit(1)).first() is not None


def _names(tx: Transaction, scopes: Iterable[str]) -> dict[str, str]:
    """Return the names of the accounts among these scopes, by scope."""
    ids = [id_ for scope in scopes if (id_ := usage.account_in(scope))]
    rows = tx.execute(select(accounts.c.id, accounts.c.name).where(accounts.c.id.in_(ids)))
    return {usage.account_scope(row.id): row.name for row in rows}


def warn_once(tx: Transaction, *, hub_id: str, budget: Budget, spent: int, now: datetime) -> bool:
    """Write that a soft budget is passed, once a month; whether this was the time."""
    month = month_of(now)
    first = tx.execute(
        update(budgets)
        .where(
            budgets.c.hub_id == hub_id,
            budgets.c.scope == budget.scope,
            budgets.c.currency == budget.currency,
            or_(budgets.c.warned.is_(None), budgets.c.warned != month),
        )
        .values(warned=month)
    ).rowcount
    if first:
        audit.record(
            tx,
            By(hub_id, "keeper", now),
            Action.BUDGET_PASSED,
            account_id=usage.account_in(budget.scope),
            detail={
                "scope": budget.scope,
                "soft": budget.soft,
                "spent": spent,
                "currency": budget.currency,
                "month": month,
            },
        )
    return bool(first)
