"""Holds: money reserved for open paid leases, taken at a start and extended before it is used."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from ..rules.funds import HOLD, STOP_TAKES, Funds, Purse, PurseKind, Running, carried, time_for
from ..rules.metering import Times
from ..rules.money import charge
from ..rules.tiers import Tier
from . import budgets, charges, credits, usage
from .database import lock_admissions
from .entries import balance_of
from .schema import balances, holds, leases

#: Ids in one statement, below every database's limit.
AT_ONCE = 500


@dataclass(frozen=True)
class Held:
    """An open paid lease with its hold, at one moment."""

    lease_id: str
    account_id: str
    currency: str
    amount: int
    billed: int
    credit_limit: int | None
    times: Times
    scopes: tuple[str, ...]
    paid_until: datetime

    @property
    def running(self) -> Running:
        """It as a purse sees it."""
        return Running(self.times.price, self.paid_until)


@dataclass(frozen=True)
class Tick:
    """What a tick found: when each open paid lease must be stopped for want of money (those that
    nothing limits are left out), and the budgets whose soft limit was passed since the last."""

    money_ends: Mapping[str, datetime]
    budgets_passed: tuple[budgets.Budget, ...]


def credit_limit_of(tier: Tier) -> int | None:
    """How much an account of this tier may owe, micro-units; None for no limit."""
    return tier.credit_limit if tier.funding == "postpaid" else 0


def funds_of(
    tx: Connection,
    *,
    hub_id: str,
    account_id: str,
    groups: Iterable[str],
    tier: Tier,
    currency: str,
    now: datetime,
) -> Funds:
    """What this account may still spend in a tier, and by which limits."""
    scopes = usage.scopes_of(account_id, groups)
    limits = budgets.of_hub(tx, hub_id=hub_id, now=now, currency=currency, scopes=scopes)
    groups_too = any(budget.scope.startswith(usage.GROUP) for budget in limits)
    # Only a group's budget is spent by others too.
    open_ = held(tx, hub_id=hub_id, now=now, account_id=None if groups_too else account_id)
    open_ = [one for one in open_ if one.currency == currency]
    balance = balance_of(tx, account_id, currency)
    mine = [one for one in open_ if one.account_id == account_id]
    purses = [_account_purse(balance, credit_limit_of(tier), mine)]
    soft: list[Purse | None] = []
    for budget in limits:
        purse = _budget_purse(budget, [one for one in open_ if budget.scope in one.scopes])
        (soft if budget.hard is None else purses).append(purse)
    return Funds(currency, balance, tuple(filter(None, purses)), tuple(filter(None, soft)))


def take(
    tx: Connection,
    *,
    hub_id: str,
    lease_id: str,
    account_id: str,
    currency: str,
    amount: int,
    tier: Tier,
    charge_overrun: bool,
) -> None:
    """Reserve `amount` for a lease that is being admitted; the caller has asked its funds."""
    tx.execute(
        holds.insert().values(
            lease_id=lease_id, hub_id=hub_id, account_id=account_id, currency=currency,
            amount=amount, billed=0, credit_limit=credit_limit_of(tier),
            charge_overrun=charge_overrun,
        )
    )  # fmt: skip


def tick(tx: Connection, *, hub_id: str, seen: Iterable[str], now: datetime) -> Tick:
    """Extend the holds of this hub's open paid leases, all in this transaction.

    `seen` are the leases whose notebook was found alive now. Also charges months that are over,
    settles what was missed and writes expired credit off. Its cost grows with what runs, not with
    what ran. Safe to repeat, and to call late: what ran on without a hold is an overrun.
    """
    lock_admissions(tx)
    _note_seen(tx, hub_id, list(seen), now)
    charges.settle_missed(tx, hub_id=hub_id, now=now)
    _hold_the_unheld(tx, hub_id)
    ends, open_, limits = _extend_all(tx, hub_id, now)
    # Behind the extension, so that a month that ended or a credit that expired while nobody ticked
    # still pays for its own time.
    changed = charges.close_months(tx, hub_id=hub_id, now=now)
    changed += credits.expire(tx, hub_id=hub_id, now=now)
    if changed:
        ends, open_, limits = _extend_all(tx, hub_id, now)
    return Tick(
        money_ends={
            one.lease_id: max(end, one.paid_until) - STOP_TAKES
            for one in open_
            if (end := ends[one.lease_id]) is not None
        },
        budgets_passed=tuple(_passed(tx, hub_id, limits, open_, now)),
    )


def _extend_all(
    tx: Connection, hub_id: str, now: datetime
) -> tuple[dict[str, datetime | None], list[Held], list[budgets.Budget]]:
    open_ = held(tx, hub_id=hub_id, now=now)
    limits = budgets.of_hub(tx, hub_id=hub_id, now=now)
    ends = _ends(open_, _purses(tx, open_, limits), now)
    extended = [_extended(one, ends[one.lease_id], now) for one in open_]
    more = [
        {"of": one.lease_id, "to": one.amount}
        for one, before in zip(extended, open_, strict=True)
        if one is not before
    ]
    if more:
        tx.execute(
            update(holds).where(holds.c.lease_id == bindparam("of")).values(amount=bindparam("to")),
            more,
        )
    return ends, extended, limits


def held(
    tx: Connection, *, hub_id: str, now: datetime, account_id: str | None = None
) -> list[Held]:
    """The open paid leases with their holds, of the hub or of one account."""
    query = (
        select(leases, holds.c.amount, holds.c.billed, holds.c.credit_limit)
        .join(holds, holds.c.lease_id == leases.c.id)
        .where(holds.c.hub_id == hub_id)
        .order_by(leases.c.admitted_at, leases.c.id)
    )
    if account_id is not None:
        query = query.where(holds.c.account_id == account_id)
    return [_held(row, now) for row in tx.execute(query)]


def _held(row: Any, now: datetime) -> Held:
    # A lease that does not answer yet uses nothing of its hold.
    begin, used = (row.answered_at, row.billed) if row.answered_at else (now, 0)
    return Held(
        lease_id=row.id,
        account_id=row.account_id,
        currency=row.currency,
        amount=row.amount,
        billed=row.billed,
        credit_limit=row.credit_limit,
        times=charges.times_of(row),
        scopes=tuple(usage.scopes_of(row.account_id, row.groups or ())),
        paid_until=begin + time_for(row.price, used + row.amount),
    )


def _note_seen(tx: Connection, hub_id: str, seen: Sequence[str], now: datetime) -> None:
    for first in range(0, len(seen), AT_ONCE):
        tx.execute(
            update(leases)
            .where(
                leases.c.id.in_(seen[first : first + AT_ONCE]),
                leases.c.hub_id == hub_id,
                leases.c.ended_at.is_(None),
                leases.c.stop_requested_at.is_(None),
                # A clock that jumped back takes nothing back.
                func.coalesce(leases.c.seen_at, now) <= now,
            )
            .values(seen_at=now)
        )


def _hold_the_unheld(tx: Connection, hub_id: str) -> None:
    """Leases that were open before there was a bill get a hold of nothing, to be extended."""
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
                lease_id=row.id, hub_id=hub_id, account_id=row.account_id, currency=row.currency,
                amount=0, billed=0, credit_limit=None, charge_overrun=False,
            )
        )  # fmt: skip


def _account_purse(balance: int, limit: int | None, mine: Sequence[Held]) -> Purse | None:
    if limit is None:
        return None
    return Purse(
        kind=PurseKind.CREDIT_LIMIT if limit else PurseKind.CREDIT,
        left=balance + limit - sum(one.amount for one in mine),
        total=limit or balance,
        running=tuple(one.running for one in mine),
    )


def _budget_purse(budget: budgets.Budget, mine: Sequence[Held]) -> Purse:
    spent = budget.charged + sum(one.amount for one in mine)
    group = budget.scope.removeprefix(usage.GROUP) if budget.scope.startswith(usage.GROUP) else ""
    total = budget.hard if budget.hard is not None else budget.soft or 0
    return Purse(
        kind=PurseKind.GROUP_BUDGET if group else PurseKind.OWN_BUDGET,
        left=total - spent,
        total=total,
        running=tuple(one.running for one in mine),
        group=group,
        soft=budget.soft,
        spent=spent,
    )


@dataclass(frozen=True)
class _Shared:
    """A purse and the leases that live on it."""

    purse: Purse
    members: frozenset[str]


def _purses(
    tx: Connection, open_: Sequence[Held], limits: Iterable[budgets.Budget]
) -> list[_Shared]:
    amounts = _balances(tx, {one.account_id for one in open_})
    by_account: dict[tuple[str, str], list[Held]] = {}
    by_scope: dict[tuple[str, str], list[Held]] = {}
    for one in open_:
        by_account.setdefault((one.account_id, one.currency), []).append(one)
        for scope in one.scopes:
            by_scope.setdefault((scope, one.currency), []).append(one)
    found = []
    for key, mine in by_account.items():
        # Leases of different terms: who may owe more lives longer on the same balance.
        for limit in {one.credit_limit for one in mine}:
            if purse := _account_purse(amounts.get(key, 0), limit, mine):
                members = frozenset(o.lease_id for o in mine if o.credit_limit == limit)
                found.append(_Shared(purse, members))
    for budget in limits:
        mine = by_scope.get((budget.scope, budget.currency), [])
        if mine and budget.hard is not None:
            members = frozenset(one.lease_id for one in mine)
            found.append(_Shared(_budget_purse(budget, mine), members))
    return found


def _balances(tx: Connection, account_ids: Iterable[str]) -> dict[tuple[str, str], int]:
    ids = sorted(account_ids)
    amounts: dict[tuple[str, str], int] = {}
    for first in range(0, len(ids), AT_ONCE):
        rows = tx.execute(
            select(balances).where(balances.c.account_id.in_(ids[first : first + AT_ONCE]))
        )
        amounts |= {(row.account_id, row.currency): row.amount for row in rows}
    return amounts


def _ends(
    open_: Sequence[Held], purses: Iterable[_Shared], now: datetime
) -> dict[str, datetime | None]:
    """When money ends each lease: the first of its purses to be empty; None where none is."""
    ends: dict[str, datetime | None] = {one.lease_id: None for one in open_}
    for shared in purses:
        if (end := carried(shared.purse.left, shared.purse.running, now)) is None:
            continue
        for lease_id in shared.members:
            known = ends[lease_id]
            ends[lease_id] = end if known is None else min(known, end)
    return ends


def _extended(one: Held, end: datetime | None, now: datetime) -> Held:
    """It with a hold that pays until HOLD from now, or as far as the money goes."""
    until = now + HOLD if end is None else min(now + HOLD, end)
    if one.times.answered_at is None or until <= one.paid_until:
        return one
    amount = charge(one.times.price, until - one.times.answered_at) - one.billed
    return replace(one, amount=amount, paid_until=until)


def _passed(
    tx: Connection,
    hub_id: str,
    limits: Iterable[budgets.Budget],
    open_: Sequence[Held],
    now: datetime,
) -> list[budgets.Budget]:
    found = []
    for budget in limits:
        mine = [o for o in open_ if budget.scope in o.scopes and o.currency == budget.currency]
        purse = _budget_purse(budget, mine)
        if purse.warns and budgets.warn_once(
            tx, hub_id=hub_id, budget=budget, spent=purse.spent, now=now
        ):
            found.append(budget)
    return found
