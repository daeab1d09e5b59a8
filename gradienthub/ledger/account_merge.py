"""Merging accounts: one gets what another has, and the other is closed."""

from dataclasses import dataclass, replace

from sqlalchemy import select, update

from ..rules.action import Action
from ..rules.identity import Closed
from ..rules.money import format_amount
from ..rules.notebook import title_of
from ..rules.refusal import Refused, shown
from . import audit, credits, expiry, identity_findings, usage
from .account_acts import Change, build_refusal, require_nothing_running
from .by import By
from .credits import NewCredit
from .database import Transaction
from .entries import balance_of, credits_of
from .schema import (
    accounts,
    adopted_volumes,
    approval_requests,
    approvals,
    balances,
    budgets,
    identities,
    notebooks,
    subjects,
)


@dataclass(frozen=True)
class _Side:
    """One of the two accounts."""

    id: str
    name: str
    closed: bool
    tier: str | None
    tier_by: str | None
    payment_method: bool


def merge(tx: Transaction, by: By, gone: str, into: str) -> list[Change]:
    """Move what an account has into another one, and close it.

    Money goes as entries of both, so that each chain stays as it was and all adds up: what was
    charged stays on the statements of the account that is closed. Raises Refused while it runs
    something, or where both have a notebook of one name.
    """
    source, target = (_read(tx, by.hub_id, account_id) for account_id in (gone, into))
    if source.id == target.id:
        raise build_refusal("An account cannot be merged into itself.", "Name two accounts.")
    if target.closed:
        raise build_refusal(
            f"The account {into} is closed.", "Bind its name first, or choose another."
        )
    require_nothing_running(tx, source.id)
    require_nothing_running(tx, target.id)
    changes = [
        *_move_money(tx, by, source, target),
        *_move_notebooks(tx, source, target),
        *_move_grants(tx, source, target),
    ]
    _move_budgets(tx, by, source, target)
    _move_users(tx, by, source, target)
    for account_id in (source.id, target.id):
        detail = {"from": source.id, "into": target.id}
        audit.record(tx, by, Action.ACCOUNT_MERGED, account_id=account_id, detail=detail)
    changes.append(Change(source.id, source.name, f"is closed: it is part of {target.id} now"))
    identity_findings.report(tx, hub_id=by.hub_id, now=by.now)
    return changes


def _read(tx: Transaction, hub_id: str, account_id: str) -> _Side:
    """Return that account. Raises Refused where there is none, or it is merged already."""
    row = tx.execute(
        select(accounts).where(accounts.c.hub_id == hub_id, accounts.c.id == account_id)
    ).first()
    if row is None:
        raise build_refusal(
            f"There is no account {shown(account_id)}.", "See `account list --all`."
        )
    if row.closed_why == Closed.MERGED.value:
        raise build_refusal(
            f"The account {account_id} is part of {row.merged_into} already.", "Name that one."
        )
    closed = row.closed_at is not None
    return _Side(row.id, row.name, closed, row.tier, row.tier_by, row.payment_method)


def _move_users(tx: Transaction, by: By, source: _Side, target: _Side) -> None:
    """Let the target have the source's users and words, and close the source."""
    tx.execute(
        update(subjects)
        .where(subjects.c.account_id == source.id, subjects.c.replaced_at.is_(None))
        .values(account_id=target.id, bound_at=by.now)
    )
    tx.execute(
        update(identities)
        .where(identities.c.account_id == source.id, identities.c.replaced_at.is_(None))
        .values(account_id=target.id)
    )
    tx.execute(
        update(accounts)
        .where(accounts.c.id == source.id)
        .values(
            closed_at=by.now,
            closed_why=Closed.MERGED.value,
            merged_into=target.id,
            prepared_at=None,
        )
    )


def _move_money(tx: Transaction, by: By, source: _Side, target: _Side) -> list[Change]:
    """Take the balance out of one account and give it to the other, credit by credit."""
    currencies = tx.execute(
        select(balances.c.currency).where(balances.c.account_id == source.id)
    ).scalars()
    expiry.expire(tx, hub_id=by.hub_id, until=by.now, now=by.now, account_id=source.id)
    changes = []
    for currency in list(currencies):
        balance = balance_of(tx, source.id, currency)
        if balance > 0:
            _move_credit(
                tx, by, source, target, NewCredit(currency, balance, f"Merged from {source.id}")
            )
        elif balance < 0:
            debt = NewCredit(currency, -balance, f"Merged into {target.id}")
            credits.give(tx, by, source.id, debt)
            reason = f"Merged from {source.id}"
            credits.take(tx, by, target.id, currency=currency, amount=-balance, reason=reason)
        if balance:
            word = "balance" if balance > 0 else "debt"
            what = f"gets the {word} of {format_amount(abs(balance), currency)}"
            changes.append(Change(target.id, target.name, what))
    return changes


def _move_credit(tx: Transaction, by: By, source: _Side, target: _Side, whole: NewCredit) -> None:
    """Move a balance above 0; each part keeps the expiry of the credit that it comes from."""
    currency, left = whole.currency, whole.amount
    parts = credits_of(tx, source.id, currency)
    into = f"Merged into {target.id}"
    credits.take(tx, by, source.id, currency=currency, amount=left, reason=into)
    for credit in parts:
        part = min(credit.unspent, left)
        left -= part
        if part:
            new = replace(whole, amount=part, expires_at=credit.expires_at)
            credits.give(tx, by, target.id, new)
    if left:
        credits.give(tx, by, target.id, replace(whole, amount=left))


def _move_notebooks(tx: Transaction, source: _Side, target: _Side) -> list[Change]:
    def names(account_id: str) -> set[str]:
        query = select(notebooks.c.server_name).where(
            notebooks.c.account_id == account_id, notebooks.c.deleted_at.is_(None)
        )
        return set(tx.execute(query).scalars())

    moving = names(source.id)
    if both := sorted(moving & names(target.id)):
        named = ", ".join(title_of("", name) for name in both[:5])
        raise Refused(
            "not_allowed",
            f"Both accounts have a notebook of the same name: {named}.",
            "Rename or delete one of each first: each keeps its folder.",
        )
    for table in (notebooks, adopted_volumes):
        tx.execute(
            update(table).where(table.c.account_id == source.id).values(account_id=target.id)
        )
    if not moving:
        return []
    what = f"gets {len(moving)} notebook{'' if len(moving) == 1 else 's'}"
    return [Change(target.id, target.name, what)]


def _move_grants(tx: Transaction, source: _Side, target: _Side) -> list[Change]:
    """Move tier, payment method, approvals and requests where the target has none."""
    values: dict[str, object] = {"payment_method": source.payment_method or target.payment_method}
    changes = []
    if source.tier and not target.tier:
        values |= {"tier": source.tier, "tier_by": source.tier_by}
        changes.append(Change(target.id, target.name, f"gets the tier {source.tier}"))
    tx.execute(update(accounts).where(accounts.c.id == target.id).values(**values))
    for table, more in (
        (approvals, None),
        (approval_requests, approval_requests.c.decided_at.is_(None)),
    ):
        has = select(table.c.instance_type).where(table.c.account_id == target.id)
        if more is not None:
            has = has.where(more)
        moving = update(table).where(
            table.c.account_id == source.id,
            table.c.instance_type.not_in(list(tx.execute(has).scalars())),
        )
        tx.execute(
            (moving.where(more) if more is not None else moving).values(account_id=target.id)
        )
    return changes


def _move_budgets(tx: Transaction, by: By, source: _Side, target: _Side) -> None:
    """Move the budgets in currencies in which the target has none."""
    before, after = (usage.account_scope(side.id) for side in (source, target))
    set_already = select(budgets.c.currency).where(
        budgets.c.hub_id == by.hub_id, budgets.c.scope == after
    )
    tx.execute(
        update(budgets)
        .where(
            budgets.c.hub_id == by.hub_id,
            budgets.c.scope == before,
            budgets.c.currency.not_in(list(tx.execute(set_already).scalars())),
        )
        .values(scope=after)
    )
