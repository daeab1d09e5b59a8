"""Identity: which account a login or a hub user has. rules/identity.py decides; here it is kept."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select, update

from ..rules.action import Action
from ..rules.identity import (
    TOLERANCE,
    Candidate,
    Closed,
    HubUser,
    LoginAccount,
    Subject,
    Verdict,
    whose_login,
)
from . import audit
from .by import By
from .database import Transaction
from .identity_rows import (
    Binding,
    NewBinding,
    bind_user,
    close_account,
    first_binding,
    note_name,
    note_user,
    open_account,
    read_candidates,
    unbind_user,
)
from .logins import Login, forget_logins, remember_words, take_facts
from .schema import accounts, identities, subjects

#: Who acts where a login or the hub's own word changes something.
ACTOR = "hub"
#: What the audit calls each verdict.
ACTIONS = {
    Verdict.OPENED: Action.ACCOUNT_OPENED,
    Verdict.BOUND: Action.ACCOUNT_BOUND,
    Verdict.LINKED: Action.ACCOUNT_LINKED,
    Verdict.PREPARED: Action.ACCOUNT_BOUND,
}


def peek(tx: Transaction, *, hub_id: str, user: HubUser) -> str | None:
    """Return the id of the account that this hub user has; None where there is none yet."""
    if exact := _exact_binding(tx, hub_id, user):
        return exact.account_id
    candidates = [c for c in _find_candidates(tx, hub_id, user, None) if not c.prepared]
    return whose_login(user, None, candidates).account_id


def identify(
    tx: Transaction,
    *,
    hub_id: str,
    user: HubUser,
    login: Login | None,
    now: datetime,
    moved: Mapping[str, str] | None = None,
) -> tuple[str, bool]:
    """Write what the login opens, binds and closes.

    Return the id of this user's account, and whether another account is theirs now than before.
    """
    by = By(hub_id, ACTOR, now)
    if login is None and (exact := _exact_binding(tx, hub_id, user)):
        note_name(tx, exact, user)
        return exact.account_id, False
    who = login.who if login else None
    refresh = login is not None and login.refresh
    candidates = _find_candidates(tx, hub_id, user, who)
    answer = whose_login(user, who, candidates, refresh=refresh, moved=moved)
    account_id = _carry_out(tx, by, user, login, answer)
    if login is not None and answer.trusted:
        remember_words(tx, hub_id, account_id, login.who, now, add=not refresh)
        take_facts(tx, account_id, login)
        reopen(tx, by, account_id, user, "they logged in", before=login.at)
    elif login is not None:
        _tell_once(tx, by, account_id, user, login.who, answer.why)
    return account_id, answer.verdict is not Verdict.SAME


def is_binding_of(hub_id: str, user: HubUser) -> tuple[ColumnElement[bool], ...]:
    """Build the conditions on `identities` that a row is exactly this hub user's, and counts."""
    return (
        identities.c.hub_id == hub_id,
        identities.c.hub_user_id == user.id,
        identities.c.user_created == user.created,
        identities.c.replaced_at.is_(None),
    )


def _exact_binding(tx: Transaction, hub_id: str, user: HubUser) -> Binding | None:
    return first_binding(tx, select(identities).where(*is_binding_of(hub_id, user)))


def _find_candidates(
    tx: Transaction, hub_id: str, user: HubUser, who: Subject | None
) -> list[Candidate]:
    """Return every account that could be this user's."""
    queries = [
        select(identities.c.account_id).where(
            identities.c.hub_id == hub_id,
            identities.c.hub_user_id == user.id,
            identities.c.user_created.between(user.created - TOLERANCE, user.created + TOLERANCE),
            identities.c.replaced_at.is_(None),
        ),
        select(accounts.c.id).where(
            accounts.c.hub_id == hub_id,
            accounts.c.name == user.name,
            accounts.c.prepared_at.is_not(None),
            accounts.c.closed_at.is_(None),
        ),
    ]
    if who is not None and who.words:
        queries.append(
            select(subjects.c.account_id).where(
                subjects.c.hub_id == hub_id,
                subjects.c.subject.in_(set(who.words.values())),
                subjects.c.provider.in_(("", who.provider)),
                subjects.c.replaced_at.is_(None),
            )
        )
    return read_candidates(
        tx, {account_id for query in queries for account_id in tx.execute(query).scalars()}
    )


def _carry_out(
    tx: Transaction, by: By, user: HubUser, login: Login | None, answer: LoginAccount
) -> str:
    """Write what the answer changes; return the account's id."""
    who = login.who if login and answer.trusted else Subject()
    if answer.verdict is Verdict.SAME:
        assert answer.account_id is not None
        note_user(tx, answer.account_id, user, who)
        return answer.account_id
    if answer.leaves:
        _take_user_off(tx, by, answer.leaves, user, answer)
    account_id = answer.account_id or open_account(tx, hub_id=by.hub_id, name=user.name, now=by.now)
    bind_user(tx, NewBinding(by.hub_id, account_id, user, who, before_id=answer.leaves), by.now)
    if answer.verdict is Verdict.PREPARED:
        tx.execute(update(accounts).where(accounts.c.id == account_id).values(prepared_at=None))
    _note(tx, by, account_id, ACTIONS[answer.verdict], user, answer.why, who)
    if answer.account_id:
        reopen(tx, by, account_id, user, answer.why)
    return account_id


def _take_user_off(
    tx: Transaction, by: By, account_id: str, user: HubUser, answer: LoginAccount
) -> None:
    """Take a hub user off the account they had; close it where nobody else has it."""
    unbind_user(tx, account_id, user, by.now)
    if answer.closes and close_account(tx, account_id, Closed.REPLACED, by.now):
        _note(tx, by, account_id, Action.ACCOUNT_CLOSED, user, answer.why)


def reopen(
    tx: Transaction,
    by: By,
    account_id: str,
    user: HubUser,
    why: str,
    *,
    before: datetime | None = None,
) -> None:
    """Open a closed account again, where it was closed before that moment.

    Whoever logs in as the same user was not deleted: the hub gives a deletion up half-way where
    a named server still runs, after it had told us.
    """
    when = accounts.c.closed_at.is_not(None) if before is None else accounts.c.closed_at < before
    opened = tx.execute(
        update(accounts)
        .where(accounts.c.id == account_id, when)
        .values(closed_at=None, closed_why=None)
    ).rowcount
    if opened:
        _note(tx, by, account_id, Action.ACCOUNT_REOPENED, user, why)


def close_user(tx: Transaction, *, hub_id: str, user: HubUser, now: datetime) -> None:
    """Close the account of a user whom the hub deleted; its rows and folders stay."""
    by = By(hub_id, ACTOR, now)
    # Not a later login: a deletion that had to wait for the ledger comes after the next person's.
    forget_logins(tx, hub_id, user.name, until=now)
    account_id = peek(tx, hub_id=hub_id, user=user)
    if account_id is None:
        return
    (candidate,) = read_candidates(tx, [account_id])
    others = [b for b in candidate.users if b.present and b.user.id != user.id]
    if others:
        # The other name of the same person keeps it.
        unbind_user(tx, account_id, user, now)
        if candidate.name == user.name:
            tx.execute(
                update(accounts)
                .where(accounts.c.id == account_id)
                .values(name=others[0].user.name or candidate.name)
            )
        why = f"the hub deleted this user; {others[0].user.name} keeps the account"
        _note(tx, by, account_id, Action.ACCOUNT_UNBOUND, user, why)
    elif close_account(tx, account_id, Closed.DELETED, now):
        _note(tx, by, account_id, Action.ACCOUNT_CLOSED, user, "the hub deleted its user")


def rename_user(tx: Transaction, *, hub_id: str, user: HubUser, now: datetime) -> None:
    """Let the account of a renamed user take the new name; nothing where there is none."""
    if account_id := peek(tx, hub_id=hub_id, user=user):
        note_user(tx, account_id, user, Subject())


def list_same_person(tx: Transaction, hub_id: str, account_id: str) -> set[str]:
    """Return the other accounts that were this one's person's, open or closed.

    By a subject, by a hub user, or by the name where no deletion of its user is known: a provider
    that changes all subjects, or a lost user table, makes nobody new.
    """
    name = tx.execute(select(accounts.c.name).where(accounts.c.id == account_id)).scalar()
    words, users = subjects.alias(), identities.alias()
    queries = (
        select(subjects.c.account_id)
        .join(
            words,
            (words.c.provider == subjects.c.provider) & (words.c.subject == subjects.c.subject),
        )
        .where(subjects.c.hub_id == hub_id, words.c.account_id == account_id),
        select(identities.c.account_id)
        .join(
            users,
            (users.c.hub_user_id == identities.c.hub_user_id)
            & (users.c.user_created == identities.c.user_created),
        )
        .where(identities.c.hub_id == hub_id, users.c.account_id == account_id),
        select(accounts.c.id).where(
            accounts.c.hub_id == hub_id,
            accounts.c.name == name,
            accounts.c.closed_why.is_(None) | (accounts.c.closed_why != Closed.DELETED.value),
        ),
    )
    ids = {other for query in queries for other in tx.execute(query).scalars()}
    return ids - {account_id}


def _tell_once(
    tx: Transaction, by: By, account_id: str, user: HubUser, who: Subject, why: str
) -> None:
    """Write what was not believed, once an hour: a provider may say so at each refresh."""
    newest = audit.list_rows(
        tx,
        hub_id=by.hub_id,
        account_id=account_id,
        action=Action.SUBJECT_REFUSED,
        between=(by.now - timedelta(hours=1), None),
        limit=1,
    )
    if not newest:
        _note(tx, by, account_id, Action.SUBJECT_REFUSED, user, why, who)


def _note(
    tx: Transaction,
    by: By,
    account_id: str,
    action: Action,
    user: HubUser,
    why: str,
    who: Subject | None = None,
) -> None:
    detail: dict[str, object] = {"user": user.name, "hub_user": user.id, "why": why}
    if who is not None and who.words:
        detail |= {"provider": who.provider, "subject": who.subject}
    audit.record(tx, by, action, account_id=account_id, detail=detail)
