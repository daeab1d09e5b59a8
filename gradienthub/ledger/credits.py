"""Credits: money given to an account, with amount, reason and expiry; taken back; expired."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from ..rules.action import Action
from ..rules.credit import Credit, pay_debt
from ..rules.entry import Kind
from . import audit, extension, identity
from .by import By
from .database import lock_admissions
from .entries import append, balance_of, credits_of, use_credits
from .schema import credits

LONGEST_REASON = 400
#: Who gives a new account its credit, and the reason that its entry has.
WELCOME = ("hub", "A new account")


@dataclass(frozen=True)
class Given:
    """A credit as it was given; `unspent` is what no charge has used up (micro-units)."""

    id: str
    currency: str
    amount: int
    unspent: int
    reason: str
    given_by: str
    given_at: datetime
    expires_at: datetime | None


def give(
    tx: Connection,
    *,
    hub_id: str,
    account_id: str,
    currency: str,
    amount: int,
    reason: str,
    expires_at: datetime | None,
    actor: str,
    now: datetime,
    welcome: bool = False,
) -> str:
    """Give a credit or record a payment of `amount` micro-units; its id.

    It pays what is owed first.
    Raises ValueError for an amount that is not above 0 and an expiry that is not in the future.
    """
    _refuse_nonsense(amount, expires_at, now)
    lock_admissions(tx)
    extension.catch_up(tx, hub_id=hub_id, now=now, account_id=account_id)
    whose = {"hub_id": hub_id, "account_id": account_id, "currency": currency}
    reason = reason.replace("\0", " ")[:LONGEST_REASON]
    before = balance_of(tx, account_id, currency)
    credit = pay_debt(
        Credit(str(uuid.uuid4()), amount, amount, now, expires_at),
        credits_of(tx, account_id, currency),
        before,
    )
    _insert(
        tx,
        credit,
        **whose,
        reason=reason,
        given_by=actor[:255],
        welcome=welcome,
    )
    append(
        tx,
        **whose,
        kind=Kind.CREDIT,
        amount=amount,
        at=now,
        credit_id=credit.id,
        until_at=expires_at,
        note=reason,
        actor=actor[:255],
    )
    detail = {
        "amount": amount,
        "currency": currency,
        "reason": reason,
        "expires_at": expires_at and expires_at.isoformat(),
    }
    _note(tx, Action.CREDIT, hub_id, account_id, actor, detail, now)
    return credit.id


def _refuse_nonsense(amount: int, expires_at: datetime | None, now: datetime) -> None:
    if amount <= 0:
        raise ValueError("a credit must be more than 0")
    if expires_at is not None and expires_at <= now:
        raise ValueError("a credit must expire in the future")


def _note(
    tx: Connection,
    action: Action,
    hub_id: str,
    account_id: str,
    actor: str,
    detail: dict[str, Any],
    now: datetime,
) -> None:
    audit.record(
        tx,
        By(hub_id, actor, now),
        action,
        account_id=account_id,
        detail=detail,
    )


def _insert(tx: Connection, credit: Credit, **terms: Any) -> None:
    """Write the row of a new credit; `terms` are whose it is, and why."""
    tx.execute(
        credits.insert().values(
            id=credit.id,
            amount=credit.amount,
            unspent=credit.unspent,
            given_at=credit.given_at,
            expires_at=credit.expires_at,
            **terms,
        )
    )


def take(
    tx: Connection,
    *,
    hub_id: str,
    account_id: str,
    currency: str,
    amount: int,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    """Take `amount` micro-units back, for a credit given by mistake. May leave a debt.

    Raises ValueError for an amount that is not above 0.
    """
    if amount <= 0:
        raise ValueError("what is taken back must be more than 0")
    lock_admissions(tx)
    extension.catch_up(tx, hub_id=hub_id, now=now, account_id=account_id)
    reason = reason.replace("\0", " ")[:LONGEST_REASON]
    use_credits(tx, account_id, currency, amount, balance_of(tx, account_id, currency))
    append(
        tx,
        hub_id=hub_id,
        account_id=account_id,
        currency=currency,
        kind=Kind.TAKEN,
        amount=-amount,
        at=now,
        note=reason,
        actor=actor[:255],
    )
    audit.record(
        tx,
        By(hub_id, actor, now),
        Action.CREDIT_TAKEN,
        account_id=account_id,
        detail={"amount": amount, "currency": currency, "reason": reason},
    )


def welcome(
    tx: Connection, *, hub_id: str, account_id: str, currency: str, amount: int, now: datetime
) -> bool:
    """Give a new account its credit, once; whether it got it now.

    Whoever had an account here before, by the provider's subject, by the hub's user or by a name
    whose user was never deleted, gets none again.
    """
    if not amount or _welcomed(tx, hub_id, account_id):
        return False
    lock_admissions(tx)
    if _welcomed(tx, hub_id, account_id):
        return False
    give(
        tx,
        hub_id=hub_id,
        account_id=account_id,
        currency=currency,
        amount=amount,
        reason=WELCOME[1],
        expires_at=None,
        actor=WELCOME[0],
        now=now,
        welcome=True,
    )
    return True


def _welcomed(tx: Connection, hub_id: str, account_id: str) -> bool:
    welcomed = select(credits.c.id).where(credits.c.welcome.is_(True))
    if tx.execute(welcomed.where(credits.c.account_id == account_id)).first():
        return True
    return (
        tx.execute(
            welcomed.where(
                credits.c.account_id.in_(identity.of_same_person(tx, hub_id, account_id))
            )
        ).first()
        is not None
    )


def of_account(tx: Connection, account_id: str) -> list[Given]:
    """List every credit of the account, used up and expired ones too, the newest first."""
    rows = tx.execute(
        select(credits)
        .where(credits.c.account_id == account_id)
        .order_by(credits.c.given_at.desc(), credits.c.id)
    )
    return [_given(row) for row in rows]


def _given(row: Any) -> Given:
    return Given(
        row.id,
        row.currency,
        row.amount,
        row.unspent,
        row.reason,
        row.given_by,
        row.given_at,
        row.expires_at,
    )
