"""Accounts: who a hub user is to us, what is known of them, what an admin granted."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, or_, select, update

from ..rules.tiers import Allowance, Facts, Tier, TierRules, resolve
from . import audit
from .schema import accounts, approvals, identities, logins

#: A login is recorded just before the hub creates its user; older ones belong to somebody before.
LOGIN_BEFORE_USER = timedelta(minutes=1)
LONGEST_NAME = 255
LONGEST_CLAIMS = 8000


@dataclass(frozen=True)
class HubUser:
    """A user of the hub: its id may be reused after a deletion, its creation time is not."""

    id: int
    created: datetime
    name: str


@dataclass(frozen=True)
class Subject:
    """Who an identity provider says somebody is; empty words where it has no stable one."""

    provider: str = ""
    subject: str = ""


@dataclass(frozen=True)
class Account:
    """An account as other rooms see it."""

    id: str
    name: str
    tier: str | None
    tier_by: str | None
    payment_method: bool
    groups: frozenset[str]
    claims: Mapping[str, Any]


@dataclass(frozen=True)
class Approval:
    """An approval as it was granted; `expires_at` None lasts until it is withdrawn."""

    instance_type: str
    reason: str
    granted_by: str
    granted_at: datetime
    expires_at: datetime | None


class NoSuchAccount(LookupError):
    """No open account of that name at this hub."""


def record_login(
    tx: Connection,
    *,
    hub_id: str,
    name: str,
    who: Subject,
    groups: Iterable[str] | None,
    claims: Mapping[str, Any] | None,
    now: datetime,
) -> None:
    """Keep what the provider said at a login until the hub has the user.

    None for groups or claims: nothing new was said of them, and what is known stands.
    """
    if len(name) > LONGEST_NAME:
        return  # Cut short, it would be another person's name.
    tx.execute(delete(logins).where(logins.c.hub_id == hub_id, logins.c.name == name))
    tx.execute(
        logins.insert().values(
            hub_id=hub_id,
            name=name,
            provider=who.provider[:64],
            subject=who.subject[:255],
            groups=None if groups is None else sorted(groups),
            claims=None if claims is None else dict(claims),
            at=now,
        )
    )


def take_login(
    tx: Connection,
    *,
    hub_id: str,
    user: HubUser,
    who: Subject,
    groups: Iterable[str] | None,
    claims: Mapping[str, Any] | None,
    now: datetime,
) -> None:
    """What the provider said of a user whom the hub has: their account takes it at once.

    First what a login before it said, because None leaves that as it is.
    """
    account_of(tx, hub_id=hub_id, user=user, now=now)
    record_login(tx, hub_id=hub_id, name=user.name, who=who, groups=groups, claims=claims, now=now)
    account_of(tx, hub_id=hub_id, user=user, now=now)


def account_of(tx: Connection, *, hub_id: str, user: HubUser, now: datetime) -> Account:
    """This user's account, made on first sight. Somebody new never gets somebody else's.

    A user who was deleted and made again has another creation time; a name that the provider gave
    to another person has another subject; both get a new account. A renamed user keeps theirs.
    """
    login = _login(tx, hub_id, user)
    identity = tx.execute(
        select(identities).where(
            identities.c.hub_id == hub_id,
            identities.c.hub_user_id == user.id,
            identities.c.user_created == user.created,
            identities.c.replaced_at.is_(None),
        )
    ).first()
    who = Subject(login.provider, login.subject) if login else None
    if identity is not None and who is not None and not _same_person(identity, who):
        tx.execute(update(identities).where(identities.c.id == identity.id).values(replaced_at=now))
        tx.execute(
            update(accounts).where(accounts.c.id == identity.account_id).values(closed_at=now)
        )
        identity = None
    if identity is None:
        account_id = _open_account(tx, hub_id, user, who or Subject(), now)
    else:
        account_id = identity.account_id
        if who is not None and (identity.provider, identity.subject) != (who.provider, who.subject):
            tx.execute(
                update(identities)
                .where(identities.c.id == identity.id)
                # A login without a subject must not make way for another person's.
                .values(provider=who.provider, subject=who.subject or identity.subject)
            )
    if login is not None:
        _take_facts(tx, account_id, login)
        # Taken once: a user who gets this name within the minute must not find it.
        tx.execute(delete(logins).where(logins.c.hub_id == hub_id, logins.c.name == user.name))
    return _account(tx, account_id, user.name)


def _login(tx: Connection, hub_id: str, user: HubUser) -> Row[Any] | None:
    return tx.execute(
        select(logins).where(
            logins.c.hub_id == hub_id,
            logins.c.name == user.name,
            logins.c.at >= user.created - LOGIN_BEFORE_USER,
        )
    ).first()


def _same_person(identity: Row[Any], who: Subject) -> bool:
    if not identity.provider:
        return True  # known from the hub alone until now: this login names them
    if identity.provider != who.provider:
        return False
    # A provider that once had a subject and now has none says nothing new.
    return not identity.subject or not who.subject or bool(identity.subject == who.subject)


def _open_account(tx: Connection, hub_id: str, user: HubUser, who: Subject, now: datetime) -> str:
    account_id = str(uuid.uuid4())
    tx.execute(
        accounts.insert().values(
            id=account_id, hub_id=hub_id, name=user.name, payment_method=False,
            groups=[], claims={}, created_at=now,
        )
    )  # fmt: skip
    tx.execute(
        identities.insert().values(
            hub_id=hub_id, hub_user_id=user.id, user_created=user.created,
            provider=who.provider, subject=who.subject, account_id=account_id, bound_at=now,
        )
    )  # fmt: skip
    return account_id


def _take_facts(tx: Connection, account_id: str, login: Row[Any]) -> None:
    values: dict[str, Any] = {"facts_at": login.at}
    if login.groups is not None:
        values["groups"] = login.groups
    if login.claims is not None:
        values["claims"] = login.claims
    tx.execute(
        update(accounts)
        .where(
            accounts.c.id == account_id,
            or_(accounts.c.facts_at.is_(None), accounts.c.facts_at < login.at),
        )
        .values(**values)
    )
    # Whoever logs in as the same user was not deleted: the hub gives a deletion up half-way
    # where a named server still runs, after it had told us.
    tx.execute(
        update(accounts)
        .where(accounts.c.id == account_id, accounts.c.closed_at < login.at)
        .values(closed_at=None)
    )


def _account(tx: Connection, account_id: str, name: str) -> Account:
    row = tx.execute(select(accounts).where(accounts.c.id == account_id)).one()
    if row.name != name:
        tx.execute(update(accounts).where(accounts.c.id == account_id).values(name=name))
    return _from_row(row, name)


def _from_row(row: Row[Any], name: str) -> Account:
    return Account(
        id=row.id,
        name=name,
        tier=row.tier,
        tier_by=row.tier_by,
        payment_method=row.payment_method,
        groups=frozenset(row.groups),
        claims=row.claims,
    )


def allowance_of(
    tx: Connection,
    account: Account,
    *,
    groups: frozenset[str],
    tiers: Mapping[str, Tier],
    rules: TierRules,
    now: datetime,
) -> Allowance:
    """What the account may do now; `groups` are the hub's, beside those the provider named."""
    granted = tx.execute(
        select(approvals.c.instance_type).where(
            approvals.c.account_id == account.id,
            or_(approvals.c.expires_at.is_(None), approvals.c.expires_at > now),
        )
    ).scalars()
    facts = Facts(
        person_tier=account.tier,
        person_tier_by=account.tier_by,
        groups=groups | account.groups,
        claims=account.claims,
        payment_method=account.payment_method,
        approvals=frozenset(granted),
    )
    return resolve(facts, tiers, rules)


def close_user(tx: Connection, *, hub_id: str, user: HubUser, now: datetime) -> None:
    """The hub deleted this user: their account is closed, its rows and folders stay."""
    tx.execute(
        delete(logins).where(
            # Not a later one: a deletion that had to wait for the ledger comes after the next
            # person's login.
            logins.c.hub_id == hub_id, logins.c.name == user.name, logins.c.at <= now
        )
    )  # fmt: skip
    mine = select(identities.c.account_id).where(
        identities.c.hub_id == hub_id,
        identities.c.hub_user_id == user.id,
        identities.c.user_created == user.created,
    )
    tx.execute(
        update(accounts)
        .where(accounts.c.id.in_(mine), accounts.c.closed_at.is_(None))
        .values(closed_at=now)
    )


def reopen(tx: Connection, account_id: str) -> None:
    """Their user starts a notebook, so that they were not deleted after all.

    The hub tells of a deletion before it tries, and may fail at it; the user is then still there.
    """
    tx.execute(
        update(accounts)
        .where(accounts.c.id == account_id, accounts.c.closed_at.is_not(None))
        .values(closed_at=None)
    )


def find(tx: Connection, *, hub_id: str, name: str) -> Account:
    """The open account of that name, the newest if there are several. Raises NoSuchAccount."""
    row = tx.execute(
        select(accounts.c.id)
        .where(
            and_(accounts.c.hub_id == hub_id, accounts.c.name == name),
            accounts.c.closed_at.is_(None),
        )
        .order_by(accounts.c.created_at.desc())
    ).first()
    if row is None:
        raise NoSuchAccount(name)
    return _account(tx, row.id, name)


def everyone(
    tx: Connection, *, hub_id: str, after: str = "", limit: int | None = None
) -> list[Account]:
    """Open accounts of this hub by name behind `after`, at most `limit` (None: all)."""
    rows = tx.execute(
        select(accounts)
        .where(accounts.c.hub_id == hub_id, accounts.c.closed_at.is_(None), accounts.c.name > after)
        .order_by(accounts.c.name)
        .limit(limit)
    )
    return [_from_row(row, row.name) for row in rows]


def approvals_of(tx: Connection, account: Account) -> list[Approval]:
    """Every approval of the account, expired ones too, by instance type."""
    rows = tx.execute(
        select(approvals)
        .where(approvals.c.account_id == account.id)
        .order_by(approvals.c.instance_type)
    )
    return [
        Approval(row.instance_type, row.reason, row.granted_by, row.granted_at, row.expires_at)
        for row in rows
    ]


def set_tier(
    tx: Connection, account: Account, *, hub_id: str, tier: str | None, actor: str, now: datetime
) -> None:
    """Set a person's tier, or leave it to groups and claims again (None)."""
    tx.execute(
        update(accounts)
        .where(accounts.c.id == account.id)
        .values(tier=tier, tier_by=actor if tier else None)
    )
    audit.record(
        tx, hub_id=hub_id, actor=actor, account_id=account.id, action="tier",
        detail={"from": account.tier, "to": tier}, now=now,
    )  # fmt: skip


def set_payment_method(
    tx: Connection, account: Account, *, hub_id: str, there: bool, actor: str, now: datetime
) -> None:
    """Record that the account has, or no longer has, a payment method."""
    tx.execute(update(accounts).where(accounts.c.id == account.id).values(payment_method=there))
    audit.record(
        tx, hub_id=hub_id, actor=actor, account_id=account.id, action="payment_method",
        detail={"there": there}, now=now,
    )  # fmt: skip


def approve(
    tx: Connection,
    account: Account,
    *,
    hub_id: str,
    instance_type: str,
    reason: str,
    expires_at: datetime | None,
    actor: str,
    now: datetime,
) -> None:
    """Grant an approval for one instance type; an earlier one of the same type is replaced."""
    withdraw(tx, account, hub_id=hub_id, instance_type=instance_type, actor=actor, now=None)
    tx.execute(
        approvals.insert().values(
            account_id=account.id, hub_id=hub_id, instance_type=instance_type,
            reason=reason[:400], granted_by=actor, granted_at=now, expires_at=expires_at,
        )
    )  # fmt: skip
    audit.record(
        tx, hub_id=hub_id, actor=actor, account_id=account.id, action="approve",
        detail={"instance_type": instance_type, "reason": reason[:400],
                "expires_at": expires_at and expires_at.isoformat()}, now=now,
    )  # fmt: skip


def withdraw(
    tx: Connection,
    account: Account,
    *,
    hub_id: str,
    instance_type: str,
    actor: str,
    now: datetime | None,
) -> bool:
    """Take an approval back; False if there was none. `now` None leaves no audit row."""
    gone = tx.execute(
        delete(approvals).where(
            approvals.c.account_id == account.id, approvals.c.instance_type == instance_type
        )
    ).rowcount
    if gone and now:
        audit.record(
            tx, hub_id=hub_id, actor=actor, account_id=account.id, action="withdraw",
            detail={"instance_type": instance_type}, now=now,
        )  # fmt: skip
    return bool(gone)
