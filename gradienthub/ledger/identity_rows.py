"""Rows of identity: which hub user has which account, and what else names one."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Executable,
    FromClause,
    exists,
    or_,
    select,
    update,
)

from ..rules.identity import Bound, Candidate, Closed, HubUser, Subject, Word
from .database import Transaction
from .schema import accounts, identities, subjects


@dataclass(frozen=True)
class Binding:
    """A hub user who has an account, or had it until `replaced_at`.

    `who` is what their last login said. `apart_from` is the account that a command took them off.
    """

    id: int
    account_id: str
    user: HubUser
    who: Subject
    bound_at: datetime
    replaced_at: datetime | None
    apart_from: str | None


@dataclass(frozen=True)
class NewBinding:
    """Who is to have which account, and which one they had before.

    `by_hand`: a command took them off that one, and no login brings them back to it.
    """

    hub_id: str
    account_id: str
    user: HubUser
    who: Subject
    before_id: str | None = None
    by_hand: bool = False


def read_bindings(tx: Transaction, query: Executable) -> list[Binding]:
    """Run a query of the columns of `identities`, and return its rows as values."""
    return [
        Binding(
            id=row.id,
            account_id=row.account_id,
            user=HubUser(row.hub_user_id, row.user_created, row.name),
            who=Subject(row.provider, row.subject),
            bound_at=row.bound_at,
            replaced_at=row.replaced_at,
            apart_from=row.apart_from,
        )
        for row in tx.execute(query)
    ]


def first_binding(tx: Transaction, query: Executable) -> Binding | None:
    """Return the first row that `read_bindings` would, or None."""
    return next(iter(read_bindings(tx, query)), None)


def read_candidates(tx: Transaction, account_ids: Iterable[str]) -> list[Candidate]:
    """Return these accounts with all that names them."""
    ids = sorted(set(account_ids))
    if not ids:
        return []
    users, words = _users_of(tx, ids), _words_of(tx, ids)
    return [
        Candidate(
            account_id=row.id,
            name=row.name,
            users=tuple(users.get(row.id, ())),
            words=tuple(words.get(row.id, ())),
            closed=None if row.closed_at is None else Closed(row.closed_why or Closed.DELETED),
            prepared=row.prepared_at is not None,
        )
        for row in tx.execute(select(accounts).where(accounts.c.id.in_(ids)))
    ]


def _users_of(tx: Transaction, account_ids: list[str]) -> dict[str, list[Bound]]:
    users: dict[str, list[Bound]] = {}
    for row in tx.execute(
        select(identities).where(
            identities.c.account_id.in_(account_ids), identities.c.replaced_at.is_(None)
        )
    ):
        user = HubUser(row.hub_user_id, row.user_created, row.name)
        bound = Bound(user, row.missing_since is None, row.apart_from)
        users.setdefault(row.account_id, []).append(bound)
    return users


def _words_of(tx: Transaction, account_ids: list[str]) -> dict[str, list[Word]]:
    words: dict[str, list[Word]] = {}
    moments: dict[datetime, int] = {}
    for row in tx.execute(
        select(subjects)
        .where(subjects.c.account_id.in_(account_ids), subjects.c.replaced_at.is_(None))
        .order_by(subjects.c.bound_at, subjects.c.id)
    ):
        # Words of one moment came with one login: their keys decide, not their order.
        rank = moments.setdefault(row.bound_at, len(moments))
        words.setdefault(row.account_id, []).append(Word(row.provider, row.key, row.subject, rank))
    return words


def open_account(tx: Transaction, *, hub_id: str, name: str, now: datetime) -> str:
    """Make an account of that name; the caller binds or prepares it."""
    account_id = str(uuid.uuid4())
    tx.execute(
        accounts.insert().values(
            id=account_id,
            hub_id=hub_id,
            name=name,
            payment_method=False,
            groups=[],
            claims={},
            created_at=now,
        )
    )
    return account_id


def close_account(tx: Transaction, account_id: str, why: Closed, now: datetime) -> bool:
    """Close an account that is open; return whether it was."""
    return bool(
        tx.execute(
            update(accounts)
            .where(accounts.c.id == account_id, accounts.c.closed_at.is_(None))
            .values(closed_at=now, closed_why=why.value)
        ).rowcount
    )


def bind_user(tx: Transaction, new: NewBinding, now: datetime) -> None:
    """Let this hub user have the account; its name is theirs where no other user has it."""
    user, of_account = new.user, identities.c.account_id == new.account_id
    _replace(
        tx,
        now,
        identities.c.hub_id == new.hub_id,
        identities.c.hub_user_id == user.id,
        identities.c.user_created == user.created,
    )
    # A user who is not there any more makes way for the one of the same name.
    gone = or_(identities.c.missing_since.is_not(None), identities.c.name == user.name)
    _replace(tx, now, of_account, gone)
    others = select(identities.c.id).where(of_account, identities.c.replaced_at.is_(None))
    alone = tx.execute(others).first() is None
    tx.execute(
        identities.insert().values(
            hub_id=new.hub_id,
            hub_user_id=user.id,
            user_created=user.created,
            name=user.name,
            provider=new.who.provider,
            subject=new.who.subject,
            account_id=new.account_id,
            bound_at=now,
            before_id=new.before_id,
            apart_from=new.before_id if new.by_hand else None,
        )
    )
    if alone:
        tx.execute(update(accounts).where(accounts.c.id == new.account_id).values(name=user.name))


def unbind_user(tx: Transaction, account_id: str, user: HubUser, now: datetime) -> None:
    """Take a hub user off an account."""
    _replace(tx, now, identities.c.account_id == account_id, identities.c.hub_user_id == user.id)


def _replace(tx: Transaction, now: datetime, *which: ColumnElement[bool]) -> None:
    """End these bindings of hub users to accounts; their rows stay."""
    tx.execute(
        update(identities).where(*which, identities.c.replaced_at.is_(None)).values(replaced_at=now)
    )


def note_user(tx: Transaction, account_id: str, user: HubUser, who: Subject) -> None:
    """Keep the name of a user who has this account, and what their login said."""
    binding = first_binding(
        tx,
        select(identities)
        .where(
            identities.c.account_id == account_id,
            identities.c.hub_user_id == user.id,
            identities.c.replaced_at.is_(None),
        )
        .order_by((identities.c.user_created == user.created).desc())
        .limit(1),
    )
    if binding is None:
        return
    note_name(tx, binding, user)
    # A login without a subject must not make way for another person's.
    provider = who.provider or binding.who.provider
    subject = who.subject or binding.who.subject
    if (provider, subject) != (binding.who.provider, binding.who.subject):
        tx.execute(
            update(identities)
            .where(identities.c.id == binding.id)
            .values(provider=provider, subject=subject)
        )


def note_name(tx: Transaction, binding: Binding, user: HubUser) -> None:
    """Let a renamed user's account take the new name, unless it is known by another user's."""
    before = binding.user.name
    if before == user.name:
        return
    tx.execute(update(identities).where(identities.c.id == binding.id).values(name=user.name))
    tx.execute(
        update(accounts)
        .where(
            accounts.c.id == binding.account_id,
            accounts.c.name == before if before else accounts.c.name != user.name,
        )
        .values(name=user.name)
    )


def find_successor(tx: Transaction, account_id: str) -> Binding | None:
    """Return the hub user who has a newer account in place of this closed one, through all between.

    None where nobody has: the user has an older account again, or is gone.
    """
    seen: set[int] = set()
    left = account_id
    while True:
        after = first_binding(
            tx,
            select(identities)
            .where(identities.c.before_id == left, identities.c.id.not_in(seen))
            .order_by(identities.c.id.desc())
            .limit(1),
        )
        if after is None:
            return None
        if after.replaced_at is None:
            break
        seen.add(after.id)
        left = after.account_id
    opened = {
        row.id: row.created_at
        for row in tx.execute(
            select(accounts.c.id, accounts.c.created_at).where(
                accounts.c.id.in_((account_id, after.account_id))
            )
        )
    }
    return after if opened[after.account_id] > opened[account_id] else None


def has_user(account: FromClause = accounts) -> ColumnElement[bool]:
    """Build the condition on accounts that the hub has a user of the account now."""
    user = identities.alias()
    return exists().where(
        user.c.account_id == account.c.id,
        user.c.replaced_at.is_(None),
        user.c.missing_since.is_(None),
    )


def has_subject() -> ColumnElement[bool]:
    """Build the condition on `accounts` that a provider's subject names the account."""
    return exists().where(subjects.c.account_id == accounts.c.id, subjects.c.replaced_at.is_(None))


def name_has_older_account() -> ColumnElement[bool]:
    """Build the condition on `accounts` that the name's present user has an older account.

    A hub that recovered its lost user table has everybody's older account back; what was opened
    meanwhile must not take the name from it.
    """
    older = accounts.alias()
    return exists().where(
        older.c.hub_id == accounts.c.hub_id,
        older.c.name == accounts.c.name,
        older.c.closed_at.is_(None),
        older.c.created_at < accounts.c.created_at,
        has_user(older),
    )
