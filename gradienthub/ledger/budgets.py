"""Budgets: a month's limit of a person or a group; soft ones warn, hard ones stop."""

from datetime import datetime

from sqlalchemy import Connection, delete

from ..rules.action import Action
from . import audit, extension, usage
from .by import By
from .database import lock_admissions
from .limits import Budget, of_hub, warn_once
from .schema import budgets

__all__ = ["Budget", "of_hub", "put", "warn_once"]


def put(
    tx: Connection,
    *,
    hub_id: str,
    scope: str,
    currency: str,
    soft: int | None,
    hard: int | None,
    actor: str,
    now: datetime,
) -> None:
    """Set the budget of `usage.account_scope` or `usage.group_scope`; both None removes it.

    Running leases feel it at the next tick. Raises ValueError where soft is above hard.
    """
    if soft is not None and hard is not None and soft > hard:
        raise ValueError("the soft budget must not be above the hard one")
    lock_admissions(tx)
    # What was used until now is paid by the limits of until now.
    extension.catch_up(tx, hub_id=hub_id, now=now, account_id=usage.account_in(scope))
    key = [budgets.c.hub_id == hub_id, budgets.c.scope == scope, budgets.c.currency == currency]
    tx.execute(delete(budgets).where(*key))
    if soft is not None or hard is not None:
        tx.execute(
            budgets.insert().values(
                hub_id=hub_id,
                scope=scope,
                currency=currency,
                soft=soft,
                hard=hard,
                set_by=actor[:255],
                set_at=now,
            )
        )
    audit.record(
        tx,
        By(hub_id, actor, now),
        Action.BUDGET,
        account_id=usage.account_in(scope),
        detail={"scope": scope, "currency": currency, "soft": soft, "hard": hard},
    )
