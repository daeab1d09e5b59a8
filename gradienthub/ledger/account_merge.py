"""Merging accounts: one gets what another has, and the other is closed."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, select, update

from ..rules.action import Action
from ..rules.identity import Closed
from ..rules.money import format_amount
from ..rules.notebook import title_of
from ..rules.refusal import Refused, shown
from . import audit, credits, expiry, identity_findings, usage
from .account_acts import Change, build_refusal, require_nothing_running
from .by import By
from .credits import NewCredit
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


def merge(tx: Connection, by: By, gone: str, into: str) -> list[Change]:
    """Move what an account has into another one, and close it.

    Money goes as entries of both, so that each chain stays as it was and all adds up: what was
    charged stays on the statements of the account that is closed. Raises Refused while it runs
    something, or where both have a notebook of one name.
    """
    one, other = (_row(tx, by.hub_id, id_) for id_ in (gone, into))
    if one.id == other.id:
        raise build_refusal("An account cannot be merged into itself.", "Name two accounts.")
    if other.closed_at is not None:
        raise build_refusal(
            f"The account {into} is closed.", "Bind its name first, or choose another."
        )
    require_nothing_running(tx, one.id)
    require_nothing_running(tx, other.id)
    changes = [
        *_move_money(tx, by, one, other),
        *_move_notebooks(tx, one, other),
        *_move_grants(tx, by, one, other),
    ]
    tx.execute(
        update(subjects)
        .where(subjects.c.account_id == one.id, subjects.c.replaced_at.is_(None))
        .values(account_id=other.id, bound_at=by.now)
    )
    tx.execute(
        update(identities)
        .where(identities.c.account_id == one.id, identities.c.replaced_at.is_(None))
        .values(account_id=other.id)
    )
    tx.execute(
        update(accounts)
        .where(accounts.c.id == one.id)
        .values(
            closed_at=by.now,
            closed_why=Closed.MERGED.value,
            merged_into=other.id,
            prepared_at=None,
        )
    )
    for account_id in (one.id, other.id):
        audit.record(
            tx,
            by,
            Action.ACCOUNT_MERGED,
            account_id=account_id,
            detail={"from": one.id, "into": other.id},
        )
    changes.append(Change(one.id, one.name, f"is closed: it is part of {other.id} now"))
    identity_findings.report(tx, hub_id=by.hub_id, now=by.now)
    return changes


def _row(tx: Connection, hub_id: str, account_id: str) -> Row[Any]:
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
    return row


def _move_money(tx: Connection, by: By, one: Row[Any], other: Row[Any]) -> list[Change]:
    """Take the balance out of one account and give it to the other, credit by credit."""
    currencies = tx.execute(
        select(balances.c.currency).where(balances.c.account_id == one.id)
    ).scalars()
    expiry.expire(tx, hub_id=by.hub_id, until=by.now, now=by.now, account_id=one.id)
    changes = []
    for currency in list(currencies):
        balance = balance_of(tx, one.id, currency)
        if balance > 0:
            _move_credit(tx, by, one, other, NewCredit(currency, balance, f"Merged from {one.id}"))
        elif balance < 0:
            debt = NewCredit(currency, -balance, f"Merged into {other.id}")
            credits.give(tx, by, one.id, debt)
            reason = f"Merged from {one.id}"
            credits.take(tx, by, other.id, currency=currency, amount=-balance, reason=reason)
        if balance:
            word = "balance" if balance > 0 else "debt"
            what = f"gets the {word} of {format_amount(abs(balance), currency)}"
            changes.append(Change(other.id, other.name, what))
    return changes


def _move_credit(tx: Connection, by: By, one: Row[Any], other: Row[Any], whole: NewCredit) -> None:
    """Move a balance above 0; each part keeps the expiry of the credit that it comes from."""
    currency, left = whole.currency, whole.amount
    parts = credits_of(tx, one.id, currency)
    into = f"Merged into {other.id}"
    credits.take(tx, by, one.id, currency=currency, amount=left, reason=into)
    for credit in parts:
        part = min(credit.unspent, left)
        left -= part
        if part:
            new = replace(whole, amount=part, expires_at=credit.expires_at)
            credits.give(tx, by, other.id, new)
    if left:
        credits.give(tx, by, other.id, replace(whole, amount=left))


def _move_notebooks(tx: Connection, one: Row[Any], other: Row[Any]) -> list[Change]:
    def names(account_id: str) -> dict[str, str]:
        rows = tx.execute(
            select(notebooks.c.server_name, notebooks.c.id).where(
                notebooks.c.account_id == account_id, notebooks.c.deleted_at.is_(None)
            )
        )
        return {row.server_name: row.id for row in rows}

    mine, theirs = names(one.id), names(other.id)
    if both := sorted(mine.keys() & theirs.keys()):
        named = ", ".join(title_of("", name) for name in both[:5])
        raise Refused(
            "not_allowed",
            f"Both accounts have a notebook of the same name: {named}.",
            "Rename or delete one of each first: each keeps its folder.",
        )
    for table in (notebooks, adopted_volumes):
        tx.execute(update(table).where(table.c.account_id == one.id).values(account_id=other.id))
    if not mine:
        return []
    return [
        Change(other.id, other.name, f"gets {len(mine)} notebook{'' if len(mine) == 1 else 's'}")
    ]


def _move_grants(tx: Connection, by: By, one: Row[Any], other: Row[Any]) -> list[Change]:
    """Move tier, payment method, approvals, requests and budget where the other has none."""
    values: dict[str, Any] = {"payment_method": one.payment_method or other.payment_method}
    changes = []
    if one.tier and not other.tier:
        values |= {"tier": one.tier, "tier_by": one.tier_by}
        changes.append(Change(other.id, other.name, f"gets the tier {one.tier}"))
    tx.execute(update(accounts).where(accounts.c.id == other.id).values(**values))
    for table, more in (
        (approvals, None),
        (approval_requests, approval_requests.c.decided_at.is_(None)),
    ):
        has = select(table.c.instance_type).where(table.c.account_id == other.id)
        if more is not None:
            has = has.where(more)
        moving = update(table).where(
            table.c.account_id == one.id,
            table.c.instance_type.not_in(list(tx.execute(has).scalars())),
        )
        tx.execute((moving.where(more) if more is not None else moving).values(account_id=other.id))
    scopes = [usage.account_scope(id_) for id_ in (one.id, other.id)]
    set_ = select(budgets.c.currency).where(
        budgets.c.hub_id == by.hub_id, budgets.c.scope == scopes[1]
    )
    tx.execute(
        update(budgets)
        .where(
            budgets.c.hub_id == by.hub_id,
            budgets.c.scope == scopes[0],
            budgets.c.currency.not_in(list(tx.execute(set_).scalars())),
        )
        .values(scope=scopes[1])
    )
    return changes
