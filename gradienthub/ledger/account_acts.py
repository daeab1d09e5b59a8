"""What administrators do about who has which account: prepare one, list them, write it down."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from sqlalchemy import func, select, update

from ..rules.action import Action
from ..rules.identity import Closed
from ..rules.refusal import Refused, shown
from . import accounts as people
from . import audit
from .by import By
from .database import Transaction
from .identity_rows import open_account
from .schema import accounts, identities, leases, subjects


@dataclass(frozen=True)
class Change:
    """One thing that was done, in a sentence."""

    account_id: str
    name: str
    what: str


class Rehearsed(Exception):
    """Carries the outcome of a dry run out of its transaction, which is not committed."""

    def __init__(self, outcome: list[Change]) -> None:
        super().__init__("a dry run")
        self.outcome = outcome


def prepare(
    tx: Transaction, by: By, name: str, *, subject: str = "", provider: str = ""
) -> tuple[people.Account, bool]:
    """Return the open account of that name, made for its owner's first login if there is none.

    The second value says whether it was made now. With `subject` only a login of that subject
    takes it, whatever its user name; `provider` narrows it to one provider.
    """
    try:
        account, made = people.find(tx, hub_id=by.hub_id, name=name), False
    except people.NoSuchAccount:
        account_id = open_account(tx, hub_id=by.hub_id, name=name, now=by.now)
        tx.execute(update(accounts).where(accounts.c.id == account_id).values(prepared_at=by.now))
        account, made = people.find(tx, hub_id=by.hub_id, name=name), True
        detail = {"name": name, "subject": subject}
        audit.record(tx, by, Action.ACCOUNT_PREPARED, account_id=account_id, detail=detail)
    if subject:
        _expect(tx, by, account, subject, provider)
    return account, made


def _expect(tx: Transaction, by: By, account: people.Account, subject: str, provider: str) -> None:
    """Let this subject name the account. Raises Refused where it names another, or is too late."""
    taken = tx.execute(
        select(accounts.c.id, accounts.c.name)
        .join(subjects, subjects.c.account_id == accounts.c.id)
        .where(
            subjects.c.hub_id == by.hub_id,
            subjects.c.subject == subject,
            subjects.c.provider.in_({provider, ""}),
            subjects.c.replaced_at.is_(None),
        )
    ).first()
    if taken is not None and taken.id == account.id:
        return
    if taken is not None:
        raise build_refusal(
            f"The subject {shown(subject)} names the account of {taken.name} already.",
            "Each subject has one account; `gradienthub account list` shows them.",
        )
    if account.prepared_at is None:
        raise build_refusal(
            f"{account.name} has logged in before, and their account has its subject.",
            "A subject can be named before the first login only.",
        )
    tx.execute(
        subjects.insert().values(
            hub_id=by.hub_id,
            provider=provider[:64],
            key="",
            subject=subject[:255],
            account_id=account.id,
            bound_at=by.now,
        )
    )


class ListedUser(TypedDict):
    """A hub user of an account, as it is listed."""

    id: int
    name: str
    created: datetime
    provider: str
    missing_since: datetime | None


class ListedSubject(TypedDict):
    """A provider's word for an account, as it is listed."""

    provider: str
    key: str
    subject: str


class ListedAccount(TypedDict):
    """An account with all that names it, as it is listed."""

    id: str
    name: str
    state: str
    created_at: datetime
    closed_at: datetime | None
    merged_into: str | None
    users: list[ListedUser]
    subjects: list[ListedSubject]


def list_accounts(tx: Transaction, hub_id: str, *, closed: bool = False) -> list[ListedAccount]:
    """Return every account with its hub users and subjects, by name."""
    query = select(accounts).where(accounts.c.hub_id == hub_id)
    if not closed:
        query = query.where(accounts.c.closed_at.is_(None))
    rows = tx.execute(query.order_by(accounts.c.name, accounts.c.created_at)).all()
    users, words = _users_by_account(tx, hub_id), _subjects_by_account(tx, hub_id)
    listed: list[ListedAccount] = []
    for row in rows:
        present = any(user["missing_since"] is None for user in users.get(row.id, ()))
        state = "prepared" if row.prepared_at else "open" if present else "no user"
        if row.closed_at is not None:
            state = f"closed: {row.closed_why or Closed.DELETED.value}"
        listed.append(
            {
                "id": row.id,
                "name": row.name,
                "state": state,
                "created_at": row.created_at,
                "closed_at": row.closed_at,
                "merged_into": row.merged_into,
                "users": users.get(row.id, []),
                "subjects": words.get(row.id, []),
            }
        )
    return listed


def _users_by_account(tx: Transaction, hub_id: str) -> dict[str, list[ListedUser]]:
    users: dict[str, list[ListedUser]] = {}
    for row in tx.execute(
        select(identities).where(identities.c.hub_id == hub_id, identities.c.replaced_at.is_(None))
    ):
        users.setdefault(row.account_id, []).append(
            {
                "id": row.hub_user_id,
                "name": row.name,
                "created": row.user_created,
                "provider": row.provider,
                "missing_since": row.missing_since,
            }
        )
    return users


def _subjects_by_account(tx: Transaction, hub_id: str) -> dict[str, list[ListedSubject]]:
    words: dict[str, list[ListedSubject]] = {}
    for row in tx.execute(
        select(subjects)
        .where(subjects.c.hub_id == hub_id, subjects.c.replaced_at.is_(None))
        .order_by(subjects.c.bound_at, subjects.c.id)
    ):
        words.setdefault(row.account_id, []).append(
            {"provider": row.provider, "key": row.key, "subject": row.subject}
        )
    return words


def build_refusal(message: str, hint: str) -> Refused:
    """Build the refusal of an act that names something which is not there."""
    return Refused("not_found", message, hint)


def require_nothing_running(tx: Transaction, account_id: str) -> None:
    """Raise Refused where a notebook of this account runs."""
    running = tx.execute(
        select(func.count())
        .select_from(leases)
        .where(leases.c.account_id == account_id, leases.c.ended_at.is_(None))
    ).scalar_one()
    if running:
        raise Refused(
            "still_stopping",
            f"The account {account_id} has {running} running"
            f" notebook{'' if running == 1 else 's'}.",
            "Stop what runs first (`gradienthub stop LEASE`), and try again.",
        )
