"""Credits: money given to an account, with amount, reason and expiry; taken back; expired."""

import uuid
from dataclasses import dataclass, fields, replace
from datetime import datetime

from sqlalchemy import select

from ..rules.action import Action
from ..rules.credit import Credit, pay_debt
from ..rules.entry import Entry, Kind, month_of
from ..rules.refusal import Refused
from ..settings import Settings
from . import audit, extension, identity
from .accounts import Account, HubUser, account_of
from .by import By
from .database import Transaction
from .entries import append, balance_of, credits_of, use_credits
from .schema import credits

LONGEST_REASON = 400
#: Who gives a new account its credit, and the reason that its entry has.
WELCOME = ("hub", "A new account")


@dataclass(frozen=True)
class NewCredit:
    """Money to give, in micro-units; `expires_at` None lasts for ever."""

    currency: str
    amount: int
    reason: str
    expires_at: datetime | None = None


@dataclass(frozen=True)
class CreditRecord:
    """A credit as it was given; `unspent` is what no charge has used up (micro-units)."""

    id: str
    currency: str
    amount: int
    unspent: int
    reason: str
    given_by: str
    given_at: datetime
    expires_at: datetime | None


_QUERY = select(*(credits.c[field.name] for field in fields(CreditRecord)))


def give(tx: Transaction, by: By, account_id: str, new: NewCredit, *, welcome: bool = False) -> str:
    """Give a credit or record a payment; return its id. It pays what is owed first.

    Raises Refused for an amount that is not above 0 and an expiry that is not in the future.
    """
    require_amount("amount", new.amount)
    if new.expires_at is not None and new.expires_at <= by.now:
        raise Refused("bad_body", "A credit must expire in the future.", field="expires")
    extension.catch_up(tx, hub_id=by.hub_id, now=by.now, account_id=account_id)
    credit = pay_debt(
        Credit(str(uuid.uuid4()), new.amount, new.amount, by.now, new.expires_at),
        credits_of(tx, account_id, new.currency),
        balance_of(tx, account_id, new.currency),
    )
    reason = _storable(new.reason)
    tx.execute(
        credits.insert().values(
            **vars(credit),
            hub_id=by.hub_id,
            account_id=account_id,
            currency=new.currency,
            reason=reason,
            given_by=by.actor,
            welcome=welcome,
        )
    )
    entry = _entry(by, account_id, new.currency, new.amount, reason)
    append(tx, replace(entry, credit_id=credit.id, until_at=new.expires_at))
    detail = _detail(entry) | {"expires_at": new.expires_at and new.expires_at.isoformat()}
    audit.record(tx, by, Action.CREDIT, account_id=account_id, detail=detail)
    return credit.id


def take(
    tx: Transaction, by: By, account_id: str, *, currency: str, amount: int, reason: str
) -> None:
    """Take `amount` micro-units back, for a credit given by mistake. May leave a debt.

    Raises Refused for an amount that is not above 0.
    """
    require_amount("amount", amount)
    extension.catch_up(tx, hub_id=by.hub_id, now=by.now, account_id=account_id)
    use_credits(tx, account_id, currency, amount, balance_of(tx, account_id, currency))
    entry = append(tx, _entry(by, account_id, currency, -amount, _storable(reason)))
    audit.record(tx, by, Action.CREDIT_TAKEN, account_id=account_id, detail=_detail(entry))


def require_amount(field: str, amount: int | None) -> None:
    """Raise Refused for an amount that is there and not above 0."""
    if amount is not None and amount <= 0:
        raise Refused("bad_body", f"{field} must be more than 0.", field=field)


def _storable(reason: str) -> str:
    return reason.replace("\0", " ")[:LONGEST_REASON]


def _entry(by: By, account_id: str, currency: str, amount: int, reason: str) -> Entry:
    return Entry(
        hub_id=by.hub_id,
        account_id=account_id,
        currency=currency,
        seq=0,
        at=by.now,
        month=month_of(by.now),
        kind=Kind.CREDIT if amount > 0 else Kind.TAKEN,
        amount=amount,
        balance=0,
        note=reason,
        actor=by.actor,
    )


def _detail(entry: Entry) -> dict[str, object]:
    """Build what the audit keeps of money that was given or taken."""
    return {"amount": abs(entry.amount), "currency": entry.currency, "reason": entry.note}


def open_account(
    tx: Transaction, user: HubUser, groups: frozenset[str], settings: Settings, now: datetime
) -> Account:
    """Return this user's account, made on first sight, with the credit that a new one gets."""
    account = account_of(tx, hub_id=settings.hub_id, user=user, now=now, hub_groups=groups)
    welcome(
        tx,
        hub_id=settings.hub_id,
        account_id=account.id,
        currency=settings.house.catalog.currency,
        amount=settings.new_account_credit,
        now=now,
    )
    return account


def welcome(
    tx: Transaction, *, hub_id: str, account_id: str, currency: str, amount: int, now: datetime
) -> bool:
    """Give a new account its credit, once; return whether it got it now.

    Whoever had an account here before, by the provider's subject, by the hub's user or by a name
    whose user was never deleted, gets none again.
    """
    if not amount or _is_welcomed(tx, hub_id, account_id):
        return False
    by = By(hub_id, WELCOME[0], now)
    give(tx, by, account_id, NewCredit(currency, amount, WELCOME[1]), welcome=True)
    return True


def _is_welcomed(tx: Transaction, hub_id: str, account_id: str) -> bool:
    welcomed = select(credits.c.id).where(credits.c.welcome.is_(True))
    if tx.execute(welcomed.where(credits.c.account_id == account_id)).first():
        return True
    same = credits.c.account_id.in_(identity.list_same_person(tx, hub_id, account_id))
    return tx.execute(welcomed.where(same)).first() is not None


def list_credits(tx: Transaction, account_id: str) -> list[CreditRecord]:
    """List every credit of the account, used up and expired ones too, the newest first."""
    rows = tx.execute(
        _QUERY.where(credits.c.account_id == account_id).order_by(
            credits.c.given_at.desc(), credits.c.id
        )
    )
    return [CreditRecord(*row) for row in rows]


def find_credit(tx: Transaction, credit_id: str) -> CreditRecord:
    """Return a credit that was given."""
    return CreditRecord(*tx.execute(_QUERY.where(credits.c.id == credit_id)).one())
