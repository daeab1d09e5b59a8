"""Accounts: who a hub user is to us, what is known of them, what an admin granted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NotRequired, TypedDict, Unpack

from sqlalchemy import ColumnElement, Executable, or_, select, update

from ..rules.identity import HubUser, Subject
from ..rules.tiers import Allowance, Facts, Tier, TierRules, resolve
from . import identity, identity_findings, identity_rows, logins
from .by import By
from .database import Transaction
from .identity import close_user, rename_user
from .schema import accounts, approvals, identities

__all__ = [
    "LONGEST_CLAIMS",
    "Account",
    "Approval",
    "HubUser",
    "LoginFacts",
    "NoSuchAccount",
    "Subject",
    "account_of",
    "allowance_of",
    "close_user",
    "find",
    "list_accounts",
    "list_approvals",
    "look_up",
    "record_login",
    "rename_user",
    "reopen",
    "take_login",
]

LONGEST_CLAIMS = 8000


@dataclass(frozen=True)
class Account:
    """An account as other rooms see it."""

    id: str
    name: str
    tier: str | None
    tier_by: str | None
    payment_method: bool
    #: What the identity provider said last.
    groups: frozenset[str]
    claims: Mapping[str, object]
    #: What the hub itself said last; None where it never said.
    hub_groups: frozenset[str] | None = None
    #: Since when the provider says that the groups are too many to list.
    groups_unknown_at: datetime | None = None
    #: Since when it waits for its owner's first login.
    prepared_at: datetime | None = None
    #: Since when nobody has it.
    closed_at: datetime | None = None

    @property
    def all_groups(self) -> frozenset[str]:
        """The groups of provider and hub together, as far as they are known."""
        return self.groups | (self.hub_groups or frozenset())


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


class LoginFacts(TypedDict):
    """What a provider said of somebody at a login, or when a session was refreshed.

    None for groups or claims: nothing new was said of them, and what is known stands.
    """

    who: Subject
    groups: Iterable[str] | None
    claims: Mapping[str, object] | None
    #: There are too many groups to list; those of before count.
    groups_unknown: NotRequired[bool]
    #: A session goes on, which opens and closes no account.
    refresh: NotRequired[bool]


def record_login(
    tx: Transaction, *, hub_id: str, name: str, now: datetime, **facts: Unpack[LoginFacts]
) -> None:
    """Keep what the provider said at a login until the hub has the user."""
    logins.record_login(tx, hub_id=hub_id, name=name, login=_login(facts, now))


def take_login(
    tx: Transaction,
    *,
    hub_id: str,
    user: HubUser,
    now: datetime,
    moved: Mapping[str, str] | None = None,
    hub_groups: Iterable[str] | None = None,
    **facts: Unpack[LoginFacts],
) -> None:
    """Let the account of a user whom the hub has take what the provider said of them.

    First what a login before it said, because None leaves that as it is.
    """
    account_of(tx, hub_id=hub_id, user=user, now=now, hub_groups=hub_groups)
    login = _login(facts, now)
    _, changed = identity.identify(tx, hub_id=hub_id, user=user, login=login, now=now, moved=moved)
    if changed:
        identity_findings.report(tx, hub_id=hub_id, now=now)


def _login(facts: LoginFacts, at: datetime) -> logins.Login:
    groups = facts["groups"]
    return logins.Login(
        who=facts["who"],
        groups=None if groups is None else tuple(groups),
        claims=facts["claims"],
        at=at,
        groups_unknown=facts.get("groups_unknown", False),
        refresh=facts.get("refresh", False),
    )


def account_of(
    tx: Transaction,
    *,
    hub_id: str,
    user: HubUser,
    now: datetime,
    hub_groups: Iterable[str] | None = None,
) -> Account:
    """Return this user's account; make it on first sight. Somebody new never gets another's.

    A user who was deleted and made again gets a new account, and so does a person to whom the
    provider gave another's name. A renamed user keeps theirs, and a subject that the provider
    named before finds its account under whatever hub user. `hub_groups` are the hub's own, kept
    for who asks without the hub.
    """
    login = logins.find_waiting_login(tx, hub_id, user)
    # Of somebody known there is nothing to write.
    account = None if login else _exact_account(tx, hub_id, user, identities.c.name == user.name)
    if account is None:
        account_id, changed = identity.identify(tx, hub_id=hub_id, user=user, login=login, now=now)
        if login is not None:
            # Taken once: a user who gets this name within the minute must not find it.
            logins.forget_logins(tx, hub_id, user.name)
        if changed:
            identity_findings.report(tx, hub_id=hub_id, now=now)
        account = _account(tx, account_id)
    if hub_groups is not None and account.hub_groups != frozenset(hub_groups):
        tx.execute(
            update(accounts)
            .where(accounts.c.id == account.id)
            .values(hub_groups=sorted(hub_groups))
        )
        account = replace(account, hub_groups=frozenset(hub_groups))
    return account


def reopen(tx: Transaction, account: Account, *, hub_id: str, user: HubUser, now: datetime) -> None:
    """Open the account of a user who starts a notebook, so that they were not deleted after all.

    The hub tells of a deletion before it tries, and may fail at it; the user is then still there.
    """
    if account.closed_at is not None:
        by = By(hub_id, identity.ACTOR, now)
        identity.reopen(tx, by, account.id, user, "its user starts a notebook")


def look_up(tx: Transaction, *, hub_id: str, user: HubUser) -> Account | None:
    """Return this user's account; None where they have none. Opens and changes nothing."""
    if account := _exact_account(tx, hub_id, user):
        return account
    account_id = identity.peek(tx, hub_id=hub_id, user=user)
    return _account(tx, account_id) if account_id else None


def _exact_account(
    tx: Transaction, hub_id: str, user: HubUser, *conditions: ColumnElement[bool]
) -> Account | None:
    """Return the account that exactly this hub user has."""
    query = (
        select(accounts)
        .join(identities, identities.c.account_id == accounts.c.id)
        .where(*identity.is_binding_of(hub_id, user), *conditions)
    )
    return next(iter(_read(tx, query)), None)


def _account(tx: Transaction, account_id: str) -> Account:
    (account,) = _read(tx, select(accounts).where(accounts.c.id == account_id))
    return account


def _read(tx: Transaction, query: Executable) -> list[Account]:
    """Run a query of the columns of `accounts`, and return its rows as values."""
    return [
        Account(
            id=row.id,
            name=row.name,
            tier=row.tier,
            tier_by=row.tier_by,
            payment_method=row.payment_method,
            groups=frozenset(row.groups),
            claims=row.claims,
            hub_groups=None if row.hub_groups is None else frozenset(row.hub_groups),
            groups_unknown_at=row.groups_unknown_at,
            prepared_at=row.prepared_at,
            closed_at=row.closed_at,
        )
        for row in tx.execute(query)
    ]


def allowance_of(
    tx: Transaction,
    account: Account,
    *,
    groups: frozenset[str] | None = None,
    tiers: Mapping[str, Tier],
    rules: TierRules,
    now: datetime,
) -> Allowance:
    """Return what the account may do now.

    `groups` are the hub's at this moment; None takes those that the hub said last. Those that the
    provider named count beside them.
    """
    granted = tx.execute(
        select(approvals.c.instance_type).where(
            approvals.c.account_id == account.id,
            or_(approvals.c.expires_at.is_(None), approvals.c.expires_at > now),
        )
    ).scalars()
    facts = Facts(
        person_tier=account.tier,
        person_tier_by=account.tier_by,
        groups=account.groups | groups if groups is not None else account.all_groups,
        claims=account.claims,
        payment_method=account.payment_method,
        approvals=frozenset(granted),
    )
    return resolve(facts, tiers, rules)


def find(tx: Transaction, *, hub_id: str, name: str) -> Account:
    """Return the open account of that name, or of a hub user of that name. Raises NoSuchAccount.

    Of several the one with a present user counts first, then the newest; an account that is only
    prepared comes last.
    """
    linked = (
        select(identities.c.id)
        .where(
            identities.c.account_id == accounts.c.id,
            identities.c.replaced_at.is_(None),
            identities.c.name == name,
        )
        .exists()
    )
    query = (
        select(accounts)
        .where(
            accounts.c.hub_id == hub_id,
            accounts.c.closed_at.is_(None),
            or_(accounts.c.name == name, linked),
        )
        .order_by(
            (accounts.c.name == name).desc(),
            identity_rows.has_user().desc(),
            accounts.c.prepared_at.is_not(None),
            accounts.c.created_at.desc(),
        )
        .limit(1)
    )
    for account in _read(tx, query):
        return account
    raise NoSuchAccount(name)


def list_accounts(
    tx: Transaction, *, hub_id: str, after: str = "", limit: int | None = None
) -> list[Account]:
    """List open accounts of this hub by name behind `after`, at most `limit` (None: all)."""
    return _read(
        tx,
        select(accounts)
        .where(accounts.c.hub_id == hub_id, accounts.c.closed_at.is_(None), accounts.c.name > after)
        .order_by(accounts.c.name)
        .limit(limit),
    )


def list_approvals(tx: Transaction, account: Account) -> list[Approval]:
    """List every approval of the account, expired ones too, by instance type."""
    rows = tx.execute(
        select(approvals)
        .where(approvals.c.account_id == account.id)
        .order_by(approvals.c.instance_type)
    )
    return [
        Approval(row.instance_type, row.reason, row.granted_by, row.granted_at, row.expires_at)
        for row in rows
    ]
