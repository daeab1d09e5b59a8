"""Identity: which account a login or a hub user has. rules/identity.py decides; here it is kept."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    delete,
    exists,
    or_,
    select,
    update,
)

from ..rules.action import Action
from ..rules.identity import (
    TOLERANCE,
    Bound,
    Candidate,
    Closed,
    HubUser,
    LoginAccount,
    Subject,
    Verdict,
    Word,
    whose_login,
)
from . import audit
from .by import By
from .schema import accounts, identities, logins, subjects

#: A login is recorded just before the hub creates its user; older ones belong to somebody before.
LOGIN_BEFORE_USER = timedelta(minutes=1)
LONGEST_NAME = 255
#: What the audit calls each verdict.
ACTIONS = {
    Verdict.OPENED: Action.ACCOUNT_OPENED,
    Verdict.BOUND: Action.ACCOUNT_BOUND,
    Verdict.LINKED: Action.ACCOUNT_LINKED,
    Verdict.PREPARED: Action.ACCOUNT_BOUND,
}


@dataclass(frozen=True)
class Login:
    """What a provider said of somebody. None for groups or claims: nothing new was said of them.

    `groups_unknown`: the provider has too many groups to list, and those of before count.
    """

    who: Subject
    groups: tuple[str, ...] | None
    claims: Mapping[str, Any] | None
    at: datetime
    groups_unknown: bool = False
    refresh: bool = False


def record_login(tx: Connection, *, hub_id: str, name: str, login: Login) -> None:
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


def waiting_login(tx: Connection, hub_id: str, user: HubUser) -> Login | None:
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


def peek(tx: Connection, *, hub_id: str, user: HubUser) -> str | None:
    """Return the id of the account that this hub user has; None where there is none yet."""
    if exact := _exact(tx, hub_id, user):
        return str(exact.account_id)
    found = [c for c in _candidates(tx, hub_id, user, None) if not c.prepared]
    return whose_login(user, None, found).account_id


def identify(
    tx: Connection,
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
    exact = _exact(tx, hub_id, user)
    if login is None and exact is not None:
        _note_name(tx, exact, user)
        return str(exact.account_id), False
    who = login.who if login else None
    refresh = login is not None and login.refresh
    found = _candidates(tx, hub_id, user, who)
    answer = whose_login(user, who, found, refresh=refresh, moved=moved)
    account_id = _carry_out(tx, hub_id, user, login, answer, now)
    if login is not None and answer.trusted:
        _remember_words(tx, hub_id, account_id, login.who, now, add=not refresh)
        _take_facts(tx, account_id, login)
        _reopen(tx, hub_id, account_id, user, "they logged in", now, before=login.at)
    elif login is not None:
        _tell_once(tx, hub_id, account_id, user, login.who, answer.why, now)
    return account_id, answer.verdict is not Verdict.SAME


def _exact(tx: Connection, hub_id: str, user: HubUser) -> Row[Any] | None:
    return tx.execute(
        select(identities).where(
            identities.c.hub_id == hub_id,
            identities.c.hub_user_id == user.id,
            identities.c.user_created == user.created,
            identities.c.replaced_at.is_(None),
        )
    ).first()


def _candidates(tx: Connection, hub_id: str, user: HubUser, who: Subject | None) -> list[Candidate]:
    """Return every account that could be this user's."""
    ids: set[str] = set()
    ids.update(
        tx.execute(
            select(identities.c.account_id).where(
                identities.c.hub_id == hub_id,
                identities.c.hub_user_id == user.id,
                identities.c.user_created.between(
                    user.created - TOLERANCE, user.created + TOLERANCE
                ),
                identities.c.replaced_at.is_(None),
            )
        ).scalars()
    )
    ids.update(
        tx.execute(
            select(accounts.c.id).where(
                accounts.c.hub_id == hub_id,
                accounts.c.name == user.name,
                accounts.c.prepared_at.is_not(None),
                accounts.c.closed_at.is_(None),
            )
        ).scalars()
    )
    if who is not None and who.words:
        ids.update(
            tx.execute(
                select(subjects.c.account_id).where(
                    subjects.c.hub_id == hub_id,
                    subjects.c.subject.in_(set(who.words.values())),
                    subjects.c.provider.in_(("", who.provider)),
                    subjects.c.replaced_at.is_(None),
                )
            ).scalars()
        )
    return candidates(tx, ids)


def candidates(tx: Connection, account_ids: Iterable[str]) -> list[Candidate]:
    """Return these accounts with all that names them."""
    ids = sorted(set(account_ids))
    if not ids:
        return []
    users: dict[str, list[Bound]] = {}
    words: dict[str, list[Word]] = {}
    rows = tx.execute(
        select(identities).where(
            identities.c.account_id.in_(ids), identities.c.replaced_at.is_(None)
        )
    )
    for row in rows:
        seen = HubUser(row.hub_user_id, row.user_created, row.name)
        users.setdefault(row.account_id, []).append(
            Bound(seen, row.missing_since is None, row.apart_from)
        )
    rows = tx.execute(
        select(subjects)
        .where(subjects.c.account_id.in_(ids), subjects.c.replaced_at.is_(None))
        .order_by(subjects.c.bound_at, subjects.c.id)
    )
    moments: dict[datetime, int] = {}
    for row in rows:
        # Words of one moment came with one login: their keys decide, not their order.
        rank = moments.setdefault(row.bound_at, len(moments))
        words.setdefault(row.account_id, []).append(Word(row.provider, row.key, row.subject, rank))
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


def _carry_out(
    tx: Connection,
    hub_id: str,
    user: HubUser,
    login: Login | None,
    answer: LoginAccount,
    now: datetime,
) -> str:
    """Write what the answer changes; return the account's id."""
    who = login.who if login and answer.trusted else Subject()
    if answer.verdict is Verdict.SAME:
        assert answer.account_id is not None
        _note_user(tx, hub_id, answer.account_id, user, who, now)
        return answer.account_id
    if answer.leaves:
        _take_user_off(tx, hub_id, answer.leaves, user, answer, now)
    account_id = answer.account_id or open_account(tx, hub_id=hub_id, name=user.name, now=now)
    bind_user(
        tx,
        hub_id=hub_id,
        account_id=account_id,
        user=user,
        who=who,
        now=now,
        before_id=answer.leaves,
    )
    if answer.verdict is Verdict.PREPARED:
        tx.execute(update(accounts).where(accounts.c.id == account_id).values(prepared_at=None))
    _note(tx, hub_id, account_id, ACTIONS[answer.verdict], user, who, answer.why, now)
    _reopen(tx, hub_id, account_id, user, answer.why, now)
    return account_id


def open_account(tx: Connection, *, hub_id: str, name: str, now: datetime) -> str:
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


def bind_user(
    tx: Connection,
    *,
    hub_id: str,
    account_id: str,
    user: HubUser,
    who: Subject,
    now: datetime,
    before_id: str | None = None,
    apart_from: str | None = None,
) -> None:
    """Let this hub user have the account; its name is theirs where no other user has it."""
    _replace(
        tx,
        now,
        identities.c.hub_id == hub_id,
        identities.c.hub_user_id == user.id,
        identities.c.user_created == user.created,
    )
    # A user who is not there any more makes way for the one of the same name.
    _replace(
        tx,
        now,
        identities.c.account_id == account_id,
        or_(identities.c.missing_since.is_not(None), identities.c.name == user.name),
    )
    alone = not tx.execute(
        select(identities.c.id).where(
            identities.c.account_id == account_id, identities.c.replaced_at.is_(None)
        )
    ).first()
    tx.execute(
        identities.insert().values(
            hub_id=hub_id,
            hub_user_id=user.id,
            user_created=user.created,
            name=user.name,
            provider=who.provider,
            subject=who.subject,
            account_id=account_id,
            bound_at=now,
            before_id=before_id,
            apart_from=apart_from,
        )
    )
    if alone:
        tx.execute(update(accounts).where(accounts.c.id == account_id).values(name=user.name))


def _replace(tx: Connection, now: datetime, *which: ColumnElement[bool]) -> None:
    """End these bindings of hub users to accounts; their rows stay."""
    tx.execute(
        update(identities).where(*which, identities.c.replaced_at.is_(None)).values(replaced_at=now)
    )


def _unbind(tx: Connection, account_id: str, user: HubUser, now: datetime) -> None:
    """Take a hub user off an account."""
    _replace(tx, now, identities.c.account_id == account_id, identities.c.hub_user_id == user.id)


def close_account(tx: Connection, account_id: str, why: Closed, now: datetime) -> bool:
    """Close an account that is open; return whether it was."""
    return bool(
        tx.execute(
            update(accounts)
            .where(accounts.c.id == account_id, accounts.c.closed_at.is_(None))
            .values(closed_at=now, closed_why=why.value)
        ).rowcount
    )


def user_instead(tx: Connection, account_id: str) -> Row[Any] | None:
    """Return the hub user who has a newer account in place of this closed one, through all between.

    None where nobody has: the user has an older account again, or is gone.
    """
    seen: set[int] = set()
    left = account_id
    while True:
        after = tx.execute(
            select(identities)
            .where(identities.c.before_id == left, identities.c.id.not_in(seen))
            .order_by(identities.c.id.desc())
        ).first()
        if after is None:
            return None
        if after.replaced_at is None:
            break
        seen.add(after.id)
        left = after.account_id
    opened = select(accounts.c.created_at).where
    mine = tx.execute(opened(accounts.c.id == account_id)).scalar_one()
    theirs = tx.execute(opened(accounts.c.id == after.account_id)).scalar_one()
    return after if theirs > mine else None


def _take_user_off(
    tx: Connection, hub_id: str, account_id: str, user: HubUser, answer: LoginAccount, now: datetime
) -> None:
    """Take a hub user off the account they had; close it where nobody else has it."""
    _unbind(tx, account_id, user, now)
    if answer.closes and close_account(tx, account_id, Closed.REPLACED, now):
        _note(tx, hub_id, account_id, Action.ACCOUNT_CLOSED, user, None, answer.why, now)


def _note_user(
    tx: Connection, hub_id: str, account_id: str, user: HubUser, who: Subject, now: datetime
) -> None:
    """Keep the name of a user who has this account, and what their login said."""
    row = tx.execute(
        select(identities)
        .where(
            identities.c.account_id == account_id,
            identities.c.hub_user_id == user.id,
            identities.c.replaced_at.is_(None),
        )
        .order_by((identities.c.user_created == user.created).desc())
    ).first()
    if row is None:
        return
    _note_name(tx, row, user)
    # A login without a subject must not make way for another person's.
    said = (who.provider or row.provider, who.subject or row.subject)
    if said != (row.provider, row.subject):
        tx.execute(
            update(identities)
            .where(identities.c.id == row.id)
            .values(provider=said[0], subject=said[1])
        )


def _note_name(tx: Connection, row: Row[Any], user: HubUser) -> None:
    """Let a renamed user's account take the new name, unless it is known by another user's."""
    if row.name == user.name:
        return
    tx.execute(update(identities).where(identities.c.id == row.id).values(name=user.name))
    tx.execute(
        update(accounts)
        .where(
            accounts.c.id == row.account_id,
            accounts.c.name == row.name if row.name else accounts.c.name != user.name,
        )
        .values(name=user.name)
    )


def _remember_words(
    tx: Connection, hub_id: str, account_id: str, who: Subject, now: datetime, *, add: bool
) -> None:
    """Keep every word of the login that names no account yet; take one whose key is known now."""
    known = {
        (row.provider, row.key, row.subject): row
        for row in tx.execute(
            select(subjects).where(
                subjects.c.account_id == account_id, subjects.c.replaced_at.is_(None)
            )
        )
    }
    for key, word in who.words.items():
        mine = (who.provider, key, word)
        if mine in known:
            continue
        keyless = [
            known[other]
            for other in ((who.provider, "", word), ("", key, word), ("", "", word))
            if other in known
        ]
        taken = tx.execute(
            select(subjects.c.id).where(
                subjects.c.hub_id == hub_id,
                subjects.c.provider == who.provider,
                subjects.c.key == key,
                subjects.c.subject == word,
                subjects.c.replaced_at.is_(None),
            )
        ).first()
        if taken is not None:
            if not _of_gone_account(tx, taken.id):
                continue
            tx.execute(update(subjects).where(subjects.c.id == taken.id).values(replaced_at=now))
        if keyless:
            tx.execute(
                update(subjects)
                .where(subjects.c.id == keyless[0].id)
                .values(provider=who.provider, key=key[:16])
            )
        elif add or not known:
            tx.execute(
                subjects.insert().values(
                    hub_id=hub_id,
                    provider=who.provider,
                    key=key[:16],
                    subject=word,
                    account_id=account_id,
                    bound_at=now,
                )
            )


def _of_gone_account(tx: Connection, subject_id: int) -> bool:
    """Return whether a word names an account whose user the hub deleted."""
    why = tx.execute(
        select(accounts.c.closed_why)
        .join(subjects, subjects.c.account_id == accounts.c.id)
        .where(subjects.c.id == subject_id, accounts.c.closed_at.is_not(None))
    ).scalar()
    return why in (Closed.DELETED.value, Closed.MERGED.value)


def _take_facts(tx: Connection, account_id: str, login: Login) -> None:
    values: dict[str, Any] = {"facts_at": login.at}
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


def _reopen(
    tx: Connection,
    hub_id: str,
    account_id: str,
    user: HubUser,
    why: str,
    now: datetime,
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
        _note(tx, hub_id, account_id, Action.ACCOUNT_REOPENED, user, None, why, now)


def reopen(tx: Connection, account_id: str, *, hub_id: str, user: HubUser, now: datetime) -> None:
    """Open the account of a user who starts a notebook, so that they were not deleted after all.

    The hub tells of a deletion before it tries, and may fail at it; the user is then still there.
    """
    _reopen(tx, hub_id, account_id, user, "its user starts a notebook", now)


def close_user(tx: Connection, *, hub_id: str, user: HubUser, now: datetime) -> None:
    """Close the account of a user whom the hub deleted; its rows and folders stay."""
    tx.execute(
        delete(logins).where(
            # Not a later one: a deletion that had to wait for the ledger comes after the next
            # person's login.
            logins.c.hub_id == hub_id,
            logins.c.name == user.name,
            logins.c.at <= now,
        )
    )
    account_id = peek(tx, hub_id=hub_id, user=user)
    if account_id is None:
        return
    (candidate,) = candidates(tx, [account_id])
    others = [b for b in candidate.users if b.present and b.user.id != user.id]
    if others:
        # The other name of the same person keeps it.
        _unbind(tx, account_id, user, now)
        if candidate.name == user.name:
            tx.execute(
                update(accounts)
                .where(accounts.c.id == account_id)
                .values(name=others[0].user.name or candidate.name)
            )
        why = f"the hub deleted this user; {others[0].user.name} keeps the account"
        _note(tx, hub_id, account_id, Action.ACCOUNT_UNBOUND, user, None, why, now)
        return
    if close_account(tx, account_id, Closed.DELETED, now):
        _note(
            tx,
            hub_id,
            account_id,
            Action.ACCOUNT_CLOSED,
            user,
            None,
            "the hub deleted its user",
            now,
        )


def rename_user(tx: Connection, *, hub_id: str, user: HubUser, now: datetime) -> None:
    """Let the account of a renamed user take the new name; nothing where there is none."""
    if account_id := peek(tx, hub_id=hub_id, user=user):
        _note_user(tx, hub_id, account_id, user, Subject(), now)


def of_same_person(tx: Connection, hub_id: str, account_id: str) -> set[str]:
    """Return the other accounts that were this one's person's, open or closed.

    By a subject, by a hub user, or by the name where no deletion of its user is known: a provider
    that changes all subjects, or a lost user table, makes nobody new.
    """
    name = tx.execute(select(accounts.c.name).where(accounts.c.id == account_id)).scalar()
    mine, users = subjects.alias(), identities.alias()
    queries = (
        select(subjects.c.account_id)
        .join(
            mine,
            (mine.c.provider == subjects.c.provider) & (mine.c.subject == subjects.c.subject),
        )
        .where(subjects.c.hub_id == hub_id, mine.c.account_id == account_id),
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
    found = {row for query in queries for row in tx.execute(query).scalars()}
    return found - {account_id}


def _tell_once(
    tx: Connection,
    hub_id: str,
    account_id: str,
    user: HubUser,
    who: Subject,
    why: str,
    now: datetime,
) -> None:
    """Write what was not believed, once an hour: a provider may say so at each refresh."""
    newest = audit.rows(
        tx,
        hub_id=hub_id,
        account_id=account_id,
        action=Action.SUBJECT_REFUSED,
        between=(now - timedelta(hours=1), None),
        limit=1,
    )
    if not newest:
        _note(tx, hub_id, account_id, Action.SUBJECT_REFUSED, user, who, why, now)


def _note(
    tx: Connection,
    hub_id: str,
    account_id: str,
    action: Action,
    user: HubUser,
    who: Subject | None,
    why: str,
    now: datetime,
) -> None:
    detail: dict[str, Any] = {"user": user.name, "hub_user": user.id, "why": why}
    if who is not None and who.words:
        detail |= {"provider": who.provider, "subject": who.subject}
    audit.record(
        tx,
        By(hub_id, "hub", now),
        action,
        account_id=account_id,
        detail=detail,
    )


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

    A hub that found its lost user table again has everybody's older account back; what was opened
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
