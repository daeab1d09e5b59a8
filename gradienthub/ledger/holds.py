"""Holds: money reserved for open paid leases, taken at a start and extended before it is used."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import func, select, update

from ..rules.funds import HOLD, STOP_TAKES, Funds, Purse
from ..rules.lease import Lease
from ..rules.sharing import microseconds
from ..rules.tiers import Tier
from . import charges, extension, limits, usage
from .batches import split_ids
from .database import Transaction
from .entries import balance_of
from .extension import Held, account_purse, budget_purse, list_held
from .schema import holds, leases

__all__ = ["Held", "compute_funds", "credit_limit_of", "list_held", "take", "tick"]


def credit_limit_of(tier: Tier) -> int | None:
    """Return how much an account of this tier may owe, micro-units; None for no limit."""
    return tier.credit_limit if tier.funding == "postpaid" else 0


def compute_funds(
    tx: Transaction,
    *,
    hub_id: str,
    account_id: str,
    groups: Iterable[str],
    tier: Tier,
    currency: str,
    now: datetime,
) -> Funds:
    """Return what this account may still spend in a tier, and by which limits."""
    scopes = usage.scopes_of(account_id, groups)
    budgets = limits.list_budgets(tx, hub_id=hub_id, now=now, currency=currency, scopes=scopes)
    groups_too = any(budget.scope.startswith(usage.GROUP) for budget in budgets)
    # Only a group's budget is spent by others too.
    open_ = list_held(tx, hub_id=hub_id, now=now, account_id=None if groups_too else account_id)
    open_ = [hold for hold in open_ if hold.lease.currency == currency]
    # What they have used by now is theirs, also where the keeper has not looked for a while.
    open_ = extension.share_out(tx, open_, budgets, now + HOLD)
    balance = balance_of(tx, account_id, currency)
    own = [hold for hold in open_ if hold.lease.account_id == account_id]
    purses = [account_purse(balance, credit_limit_of(tier), own)]
    soft: list[Purse | None] = []
    for budget in budgets:
        purse = budget_purse(budget, [hold for hold in open_ if budget.scope in hold.scopes])
        (soft if budget.hard is None else purses).append(purse)
    return Funds(currency, balance, tuple(filter(None, purses)), tuple(filter(None, soft)))


def take(tx: Transaction, lease: Lease, amount: int, tier: Tier, *, charge_overrun: bool) -> None:
    """Reserve `amount` for a lease that is being admitted; the caller has asked its funds."""
    tx.execute(
        holds.insert().values(
            lease_id=lease.id,
            hub_id=lease.hub_id,
            account_id=lease.account_id,
            currency=lease.currency,
            amount=amount,
            billed=0,
            credit_limit=credit_limit_of(tier),
            charge_overrun=charge_overrun,
        )
    )


def begin(tx: Transaction, lease_id: str, now: datetime) -> None:
    """Write what time a hold pays for, now that the meter of its lease runs."""
    tx.execute(
        update(holds)
        .where(holds.c.lease_id == lease_id, holds.c.paid_for.is_(None))
        .values(paid_for=microseconds(HOLD), metered_from=now)
    )


def tick(
    tx: Transaction, *, hub_id: str, seen: Iterable[str], now: datetime
) -> dict[str, datetime]:
    """Extend the holds of this hub's open paid leases, all in this transaction.

    Returns when each of them must be stopped for want of money; those that nothing limits are left
    out. Warns in the audit, once a month, of each budget whose soft limit is passed.

    `seen` are the leases whose notebook was found alive now. Also charges months that are over,
    settles what was missed and writes expired credit off. Its cost grows with what runs, not with
    what ran. Safe to repeat, and to call late: what ran on without a hold is an overrun.
    """
    _note_seen(tx, hub_id, list(seen), now)
    charges.settle_missed(tx, hub_id=hub_id, now=now)
    _hold_the_unheld(tx, hub_id)
    extension.catch_up(tx, hub_id=hub_id, now=now)
    open_ = list_held(tx, hub_id=hub_id, now=now)
    budgets = limits.list_budgets(tx, hub_id=hub_id, now=now)
    ends = extension.find_ends(tx, open_, budgets, now)
    _warn_of_passed_budgets(tx, hub_id, budgets, open_, now)
    return {lease_id: end - STOP_TAKES for lease_id, end in ends.items()}


def _note_seen(tx: Transaction, hub_id: str, seen: Sequence[str], now: datetime) -> None:
    for ids in split_ids(seen):
        tx.execute(
            update(leases)
            .where(
                leases.c.id.in_(ids),
                leases.c.hub_id == hub_id,
                leases.c.ended_at.is_(None),
                leases.c.stop_requested_at.is_(None),
                # A clock that jumped back takes nothing back.
                func.coalesce(leases.c.seen_at, now) <= now,
            )
            .values(seen_at=now)
        )


def _hold_the_unheld(tx: Transaction, hub_id: str) -> None:
    """Add an empty hold, to be extended, to leases that were opened before the ledger knew
    money."""
    rows = tx.execute(
        select(leases.c.id, leases.c.account_id, leases.c.currency)
        .outerjoin(holds, holds.c.lease_id == leases.c.id)
        .where(
            leases.c.hub_id == hub_id,
            leases.c.ended_at.is_(None),
            leases.c.stop_requested_at.is_(None),
            leases.c.price > 0,
            holds.c.lease_id.is_(None),
        )
    ).all()
    for row in rows:
        tx.execute(
            holds.insert().values(
                lease_id=row.id,
                hub_id=hub_id,
                account_id=row.account_id,
                currency=row.currency,
                amount=0,
                billed=0,
                credit_limit=None,
                charge_overrun=False,
            )
        )


def _warn_of_passed_budgets(
    tx: Transaction,
    hub_id: str,
    budgets: Iterable[limits.Budget],
    open_: Sequence[Held],
    now: datetime,
) -> None:
    for budget in budgets:
        spending = [
            hold
            for hold in open_
            if budget.scope in hold.scopes and hold.lease.currency == budget.currency
        ]
        purse = budget_purse(budget, spending)
        if purse.warns:
            limits.warn_once(tx, hub_id=hub_id, budget=budget, spent=purse.spent, now=now)
