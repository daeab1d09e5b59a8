"""Extension: holds of open paid leases grow as far as money goes, by one rule.

Whatever reads or moves money calls `catch_up` first. It does in order what a keeper would have done
that had looked all the time: at the end of each month and of each credit, holds are extended as of
that moment. So a keeper that was away changes no bill.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select, update

from ..rules.duration import LONGEST
from ..rules.entry import month_start, next_month
from ..rules.funds import HOLD, Purse, PurseKind, Running, time_for
from ..rules.lease import Lease
from ..rules.metering import Gap
from ..rules.sharing import Common, Paid, extend
from . import expiry, gaps, limits, postings, usage
from .batches import split_ids
from .database import Transaction
from .lease_rows import LeaseRow, lease_from, lease_query
from .schema import balances, holds, leases

_BEFORE = timedelta(microseconds=1)


@dataclass(frozen=True)
class Held:
    """An open paid lease with its hold, at one moment."""

    lease: Lease
    amount: int
    billed: int
    credit_limit: int | None
    scopes: tuple[str, ...]
    paid_until: datetime
    #: What its hold pays for; None until it answers.
    paid: Paid | None = None

    @property
    def running(self) -> Running:
        """It as a purse sees it."""
        return Running(self.lease.price, self.paid_until)

    def if_running(self, now: datetime) -> "Held":
        """Return it as if it had answered by now."""
        if self.paid is not None:
            return self
        return replace(self, paid=Paid(self.lease.price, now, 0, self.paid_until))

    def extended(self, until: datetime) -> "Held":
        """Return it with a hold that pays until then."""
        if self.paid is None or until <= self.paid.until:
            return self
        return self.paying(until)

    def paying(self, until: datetime) -> "Held":
        """Return it with a hold that pays until then, and no longer."""
        if self.paid is None:
            return self
        paid = replace(self.paid, until=until)
        return replace(self, amount=paid.amount, paid_until=until, paid=paid)


@dataclass(frozen=True)
class Closing:
    """A lease that is being settled: its months are closed although its stop was asked for."""

    lease_id: str
    end: datetime


def catch_up(
    tx: Transaction,
    *,
    hub_id: str,
    now: datetime,
    account_id: str | None = None,
    scopes: Iterable[str] = (),
    closing: Closing | None = None,
    written: datetime | None = None,
) -> None:
    """Extend holds, close months and write expired credit off, in their order, until `now`.

    Of the whole hub; with `account_id`, of what shares money with this account and these `scopes`.
    `written` is the time that entries get, `now` unless given.
    """
    if account_id is not None and _shares(tx, hub_id, account_id, scopes, now):
        account_id = None
    written = written or now
    for moment, ends_month in _moments(tx, hub_id, account_id, closing, now):
        if ends_month:
            _extend_all(tx, hub_id, account_id, moment, month=moment - _BEFORE)
            postings.close_month(
                tx,
                hub_id=hub_id,
                first=moment,
                now=written,
                account_id=account_id,
                closing=closing.lease_id if closing and closing.end > moment else None,
            )
        else:
            _extend_all(tx, hub_id, account_id, moment, month=moment)
            expiry.expire(tx, hub_id=hub_id, until=moment, now=written, account_id=account_id)
    _extend_all(tx, hub_id, account_id, now, month=now)


def others_share(tx: Transaction, lease: Lease) -> bool:
    """Return whether another open lease lives on the money of this one.

    What is left to it must not depend on whether a keeper had extended both before.
    """
    others = select(holds.c.lease_id).where(
        holds.c.account_id == lease.account_id, holds.c.lease_id != lease.id
    )
    if tx.execute(others.limit(1)).first() is not None:
        return True
    scopes = [usage.group_scope(group) for group in lease.groups or ()]
    return bool(scopes) and limits.has_hard_budget(tx, hub_id=lease.hub_id, scopes=scopes)


def _shares(
    tx: Transaction, hub_id: str, account_id: str, scopes: Iterable[str], now: datetime
) -> bool:
    """Return whether a budget that stops is shared with other accounts."""
    open_ = list_held(tx, hub_id=hub_id, now=now, account_id=account_id)
    groups = {scope for hold in open_ for scope in hold.scopes} | set(scopes)
    groups = {scope for scope in groups if usage.group_in(scope) is not None}
    return bool(groups) and limits.has_hard_budget(tx, hub_id=hub_id, scopes=groups)


def _moments(
    tx: Transaction,
    hub_id: str,
    account_id: str | None,
    closing: Closing | None,
    now: datetime,
) -> list[tuple[datetime, bool]]:
    """Return when credit expired or a month ended that is not yet done; True: a month."""
    expired = expiry.list_due(tx, hub_id=hub_id, until=now, account_id=account_id)
    months = _months(tx, hub_id, account_id, None, now)
    if closing is not None:
        months |= _months(tx, hub_id, account_id, closing.lease_id, closing.end)
    # A month that ends as a credit expires has used it.
    done = [(moment, False) for moment in expired] + [(moment, True) for moment in months]
    return sorted(done, key=lambda step: (step[0], not step[1]))


def _months(
    tx: Transaction, hub_id: str, account_id: str | None, closing: str | None, until: datetime
) -> set[datetime]:
    first = month_start(until)
    begin = postings.unclosed_since(
        tx, hub_id=hub_id, first=first, account_id=account_id, closing=closing
    )
    months = set()
    while begin is not None and (begin := next_month(begin)) <= first:
        months.add(begin)
    return months


def _extend_all(
    tx: Transaction, hub_id: str, account_id: str | None, now: datetime, *, month: datetime
) -> None:
    open_ = list_held(tx, hub_id=hub_id, now=now, account_id=account_id)
    if not open_:
        return
    budgets = limits.list_budgets(tx, hub_id=hub_id, now=month, scopes=_scopes(open_, account_id))
    extended = share_out(tx, open_, budgets, now + HOLD)
    more = [
        {
            "of": hold.lease.id,
            "to": hold.amount,
            "for": hold.paid.microseconds if hold.paid else None,
        }
        for hold, before in zip(extended, open_, strict=True)
        if hold is not before
    ]
    if more:
        tx.execute(
            update(holds)
            .where(holds.c.lease_id == bindparam("of"))
            .values(amount=bindparam("to"), paid_for=bindparam("for")),
            more,
        )


def _scopes(open_: Sequence[Held], account_id: str | None) -> set[str] | None:
    return None if account_id is None else {scope for hold in open_ for scope in hold.scopes}


def share_out(
    tx: Transaction, open_: Sequence[Held], budgets: Iterable[limits.Budget], until: datetime
) -> list[Held]:
    """Return the leases with holds that pay until then, or as far as money goes. Writes nothing."""
    moments = extend(_paid(open_), _commons(tx, open_, budgets), until)
    return [hold.extended(moments.get(hold.lease.id, hold.paid_until)) for hold in open_]


def find_ends(
    tx: Transaction, open_: Sequence[Held], budgets: Iterable[limits.Budget], now: datetime
) -> dict[str, datetime]:
    """Return when money ends each lease; without those that it carries for over a year."""
    open_ = [hold.if_running(now) for hold in open_]
    commons, longest = _commons(tx, open_, budgets), now + LONGEST
    moments = extend(_paid(open_), commons, longest)
    limited = frozenset[str]().union(*(common.members for common in commons))
    return {
        lease_id: moment
        for lease_id, moment in moments.items()
        if lease_id in limited and moment < longest
    }


def cover(tx: Transaction, lease: Lease, *, owed: int, now: datetime) -> None:
    """Let a lease that is being settled hold the last micro-units that rounding put aside."""
    whole = _shares(tx, lease.hub_id, lease.account_id, (), now)
    account_id = None if whole else lease.account_id
    open_ = list_held(tx, hub_id=lease.hub_id, now=now, account_id=account_id)
    own = next((hold for hold in open_ if hold.lease.id == lease.id), None)
    if own is None or owed <= own.amount:
        return
    budgets = limits.list_budgets(tx, hub_id=lease.hub_id, now=now, scopes=own.scopes)
    amounts = {hold.lease.id: hold.amount for hold in open_}
    left = [
        common.money - common.starting - sum(amounts[holder] for holder in common.holders)
        for common in _commons(tx, open_, budgets)
        if lease.id in common.members
    ]
    more = min([owed - own.amount, *left])
    if more > 0:
        amount = own.amount + more
        tx.execute(update(holds).where(holds.c.lease_id == lease.id).values(amount=amount))


def _paid(open_: Iterable[Held]) -> dict[str, Paid]:
    return {hold.lease.id: hold.paid for hold in open_ if hold.paid is not None}


def list_held(
    tx: Transaction, *, hub_id: str, now: datetime, account_id: str | None = None
) -> list[Held]:
    """List the open paid leases with their holds, of the hub or of one account."""
    query = (
        lease_query()
        .add_columns(holds.c.amount, holds.c.billed, holds.c.credit_limit, holds.c.paid_for)
        .join(holds, holds.c.lease_id == leases.c.id)
        .where(holds.c.hub_id == hub_id)
        .order_by(leases.c.admitted_at, leases.c.id)
    )
    if account_id is not None:
        query = query.where(holds.c.account_id == account_id)
    lost = gaps.list_gaps_of_open(tx, hub_id)
    return [_held(row, lost.get(row.id, ()), now) for row in tx.execute(query)]


def _held(row: LeaseRow, lost: tuple[Gap, ...], now: datetime) -> Held:
    lease = lease_from(row, lost=lost)
    times = lease.times
    # A lease that does not answer yet uses nothing of its hold.
    begin = times.begins if times.begins is not None and times.begins <= now else None
    if begin is not None:
        # One that cannot be reached uses nothing either: what is held pays for longer.
        begin += times.lost(now)
    if begin is not None and row.paid_for is not None:
        until = begin + timedelta(microseconds=row.paid_for)
    else:
        until = (begin or now) + time_for(row.price, row.amount + (row.billed if begin else 0))
    return Held(
        lease=lease,
        amount=row.amount,
        billed=row.billed,
        credit_limit=row.credit_limit,
        scopes=tuple(usage.scopes_of(lease.account_id, lease.groups or ())),
        paid_until=until,
        paid=Paid(row.price, begin, row.billed, until) if begin else None,
    )


def account_purse(balance: int, limit: int | None, own: Sequence[Held]) -> Purse | None:
    """Return what an account may still spend; None where nothing limits it."""
    if limit is None:
        return None
    return Purse(
        kind=PurseKind.CREDIT_LIMIT if limit else PurseKind.CREDIT,
        left=balance + limit - sum(hold.amount for hold in own),
        total=limit or balance,
        running=tuple(hold.running for hold in own),
    )


def budget_purse(budget: limits.Budget, spending: Sequence[Held]) -> Purse:
    """Return what is left of a budget."""
    spent = budget.charged + sum(hold.amount for hold in spending)
    group = usage.group_in(budget.scope) or ""
    total = budget.hard if budget.hard is not None else budget.soft or 0
    return Purse(
        kind=PurseKind.GROUP_BUDGET if group else PurseKind.OWN_BUDGET,
        left=total - spent,
        total=total,
        running=tuple(hold.running for hold in spending),
        group=group,
        soft=budget.soft,
        spent=spent,
    )


def _commons(
    tx: Transaction, open_: Sequence[Held], budgets: Iterable[limits.Budget]
) -> list[Common]:
    amounts = _balances(tx, {hold.lease.account_id for hold in open_})
    by_account: dict[tuple[str, str], list[Held]] = {}
    by_scope: dict[tuple[str, str], list[Held]] = {}
    for hold in open_:
        by_account.setdefault((hold.lease.account_id, hold.lease.currency), []).append(hold)
        for scope in hold.scopes:
            by_scope.setdefault((scope, hold.lease.currency), []).append(hold)
    commons = []
    for key, own in by_account.items():
        # Leases of different terms: who may owe more lives longer on the same balance.
        for limit in {hold.credit_limit for hold in own} - {None}:
            members = [hold for hold in own if hold.credit_limit == limit]
            commons.append(_common(amounts.get(key, 0) + (limit or 0), own, members))
    for budget in budgets:
        spending = by_scope.get((budget.scope, budget.currency), [])
        if spending and budget.hard is not None:
            commons.append(_common(budget.hard - budget.charged, spending, spending))
    return commons


def _common(money: int, spending: Iterable[Held], members: Iterable[Held]) -> Common:
    return Common(
        money,
        holders=frozenset(hold.lease.id for hold in spending if hold.paid),
        members=frozenset(hold.lease.id for hold in members),
        starting=sum(hold.amount for hold in spending if not hold.paid),
    )


def _balances(tx: Transaction, account_ids: Collection[str]) -> Mapping[tuple[str, str], int]:
    amounts: dict[tuple[str, str], int] = {}
    for ids in split_ids(account_ids):
        rows = tx.execute(select(balances).where(balances.c.account_id.in_(ids)))
        amounts |= {(row.account_id, row.currency): row.amount for row in rows}
    return amounts
