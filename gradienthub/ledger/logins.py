"""Logins: what a provider says at one, kept for the user to come and remembered with an account."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update

from ..rules.identity import Closed, HubUser, Subject, Word
from .database import Transaction
from .schema import accounts, logins, subjects

#: A login is recorded just before the hub creates its user; older ones belong to somebody before.
LOGIN_BEFORE_USER = timedelta(minutes=1)
LONGEST_NAME = 255


@dataclass(frozen=True)
class Login:
    """What a provider said of somebody. None for groups or claims: nothing new was said of them.

    `groups_unknown`: the provider has too many groups to list, and those of before count.
    """

    who: Subject
    groups: tuple[str, ...] | None
    claims: Mapping[str, object] | None
    at: datetime
    groups_unknown: bool = False
    refresh: bool = False


def record_login(tx: Transaction, *, hub_id: str, name: str, login: Login) -> None:
    """Keep what the provider said at a login until the hub has the user."""
    if len(name) > LONGEST_NAME:
        return  # Cut short, it would be another person's name.
    tx.execute(delete(logins).where(logins.c.hub_id == hub_id, logins.c.name == name))
    tx.execute(
        logins.insert().values(
            hub_id=hub_id,
            name=name,
            provider=login.who.provider[:64],
            subject=login.who.subject[:255],
            keys=dict(login.who.keys),
            groups=None if login.groups is None else sorted(login.groups),
            claims=None if login.claims is None else dict(login.claims),
            groups_unknown=login.groups_unknown,
            at=login.at,
        )
    )


def find_waiting_login(tx: Transaction, hub_id: str, user: HubUser) -> Login | None:
    """Return what was said at the login that made this user, until it is taken."""
    row = tx.execute(
        select(logins).where(
            logins.c.hub_id == hub_id,
            logins.c.name == user.name,
            logins.c.at >= user.created - LOGIN_BEFORE_USER,
        )
    ).first()
    if row is None:
        return None
    groups = None if row.groups is None else tuple(row.groups)
    who = Subject(row.provider, row.subject, row.keys or {})
    return Login(who, groups, row.claims, row.at, bool(row.groups_unknown))


def forget_logins(tx: Transaction, hub_id: str, name: str, until: datetime | None = None) -> None:
    """Delete what was said at logins of that user name, all of it or until that moment."""
    old = delete(logins).where(logins.c.hub_id == hub_id, logins.c.name == name)
    tx.execute(old if until is None else old.where(logins.c.at <= until))


def remember_words(
    tx: Transaction, hub_id: str, account_id: str, who: Subject, now: datetime, *, add: bool
) -> None:
    """Keep every word of the login that names no account yet; take one whose key is known now."""
    known = {
        Word(row.provider, row.key, row.subject): row.id
        for row in tx.execute(
            select(subjects).where(
                subjects.c.account_id == account_id, subjects.c.replaced_at.is_(None)
            )
        )
    }
    for key, text in who.words.items():
        word = Word(who.provider, key, text)
        if word in known or not _free_word(tx, hub_id, word, now):
            continue
        less_known = (Word(who.provider, "", text), Word("", key, text), Word("", "", text))
        completed = next((known[other] for other in less_known if other in known), None)
        if completed is not None:
            tx.execute(
                update(subjects)
                .where(subjects.c.id == completed)
                .values(provider=who.provider, key=key[:16])
            )
        elif add or not known:
            tx.execute(
                subjects.insert().values(
                    hub_id=hub_id,
                    provider=who.provider,
                    key=key[:16],
                    subject=text,
                    account_id=account_id,
                    bound_at=now,
                )
            )


def _free_word(tx: Transaction, hub_id: str, word: Word, now: datetime) -> bool:
    """Take a word off an account whose user is gone. Return False where it names another's."""
    row = tx.execute(
        select(subjects.c.id, accounts.c.closed_at, accounts.c.closed_why)
        .join(accounts, accounts.c.id == subjects.c.account_id)
        .where(
            subjects.c.hub_id == hub_id,
            subjects.c.provider == word.provider,
            subjects.c.key == word.key,
            subjects.c.subject == word.subject,
            subjects.c.replaced_at.is_(None),
        )
    ).first()
    if row is None:
        return True
    if row.closed_at is None or row.closed_why not in (Closed.DELETED, Closed.MERGED):
        return False
    tx.execute(update(subjects).where(subjects.c.id == row.id).values(replaced_at=now))
    return True


def take_facts(tx: Transaction, account_id: str, login: Login) -> None:
    """Let the account have the groups and claims of a login, unless it has newer ones."""
    values: dict[str, object] = {"facts_at": login.at}
    if login.groups is not None:
        values |= {"groups": sorted(login.groups), "groups_unknown_at": None}
    if login.claims is not None:
        values["claims"] = dict(login.claims)
    newer = or_(accounts.c.facts_at.is_(None), accounts.c.facts_at < login.at)
    tx.execute(update(accounts).where(accounts.c.id == account_id, newer).values(**values))
    if login.groups_unknown:
        tx.execute(
            update(accounts)
            .where(accounts.c.id == account_id, accounts.c.groups_unknown_at.is_(None))
            .values(groups_unknown_at=login.at)
        )
