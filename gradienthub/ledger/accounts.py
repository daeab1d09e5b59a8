"""Accounts: who a hub user is to us, what is known of them, what an admin granted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, or_, select, update

from ..rules.action import Action
from ..rules.identity import HubUser, Subject
from ..rules.tiers import Allowance, Facts, Tier, TierRules, resolve
from . import audit, identity, identity_findings
from .by import By
from .identity import close_user, rename_user, reopen
from .schema import accounts, approvals, identities, logins

__all__ = [
    "LONGEST_CLAIMS",
    "Account",
    "Approval",
    "HubUser",
    "NoSuchAccount",
    "Subject",
    "account_of",
    "allowance_of",
    "approvals_of",
    "approve",
    "close_user",
    "everyone",
    "find",
    "look_up",
    "record_login",
    "rename_user",
    "reopen",
    "set_payment_method",
    "set_tier",
    "take_login",
    "withdraw",
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
    claims: Mapping[str, Any]
    #: What the hub itself said last; None where it never said.
    hub_groups: frozenset[str] | None = None
    #: Since when the provider says that the groups are too many to list.
    groups_unknown_at: datetime | None = None
    #: Since when it waits for its owner's first login.
    prepared_at: datetime | None = None

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


def record_login(
    tx: Connection,
    *,
    hub_id: str,
    name: str,
    who: Subject,
    groups: Iterable[str] | None,
    claims: Mapping[str, Any] | None,
    now: datetime,
    groups_unknown: bool = False,
) -> None:
    """Keep what the provider said at a login until the hub has the user.

    None for groups or claims: nothing new was said of them, and what is known stands.
    """
    login = _login(who, groups, claims, now, groups_unknown)
    identity.record_login(tx, hub_id=hub_id, name=name, login=login)


def take_login(
    tx: Connection,
    *,
    hub_id: str,
    user: HubUser,
    who: Subject,
    groups: Iterable[str] | None,
    claims: Mapping[str, Any] | None,
    now: datetime,
    groups_unknown: bool = False,
    refresh: bool = False,
    moved: Mapping[str, str] | None = None,
    hub_groups: Iterable[str] | None = None,
) -> None:
    """Let the account of a user whom the hub has take what the provider said of them.

    First what a login before it said, because None leaves that as it is. `refresh`: the provider
    speaks of a session that goes on, which opens and closes no account.
    """
    account_of(tx, hub_id=hub_id, user=user, now=now, hub_groups=hub_groups)
    login = replace(_login(who, groups, claims, now, groups_unknown), refresh=refresh)
    _, changed = identity.identify(tx, hub_id=hub_id, user=user, login=login, now=now, moved=moved)
    if changed:
        identity_findings.report(tx, hub_id=hub_id, now=now)


def _login(
    who: Subject,
    groups: Iterable[str] | None,
    claims: Mapping[str, Any] | None,
    at: datetime,
    groups_unknown: bool,
) -> identity.Login:
    return identity.Login(
        who, None if groups is None else tuple(groups), claims, at, groups_unknown
    )


def account_of(
    tx: Connection,
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
    login = identity.waiting_login(tx, hub_id, user)
    account_id, changed = identity.identify(tx, hub_id=hub_id, user=user, login=login, now=now)
    if login is not None:
        # Taken once: a user who gets this name within the minute must not find it.
        tx.execute(delete(logins).where(logins.c.hub_id == hub_id, logins.c.name == user.name))
    if changed:
        identity_findings.report(tx, hub_id=hub_id, now=now)
    account = _account(tx, account_id)
    if hub_groups is not None and account.hub_groups != frozenset(hub_groups):
        tx.execute(
            update(accounts)
            .where(accounts.c.id == account_id)
            .values(hub_groups=sorted(hub_groups))
        )
        account = replace(account, hub_groups=frozenset(hub_groups))
    return account


def look_up(tx: Connection, *, hub_id: str, user: HubUser) -> Account | None:
    """Return this user's account; None where they have none. Opens and changes nothing."""
    account_id = identity.peek(tx, hub_id=hub_id, user=user)
    return _account(tx, account_id) if account_id else None


def _account(tx: Connection, account_id: str) -> Account:
    return _from_row(tx.execute(select(accounts).where(accounts.c.id == account_id)).one())


def _from_row(row: Row[Any]) -> Account:
    return Account(
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
    )


def allowance_of(
    tx: Connection,
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


def find(tx: Connection, *, hub_id: str, name: str) -> Account:
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
    row = tx.execute(
        select(accounts)
        .where(
            accounts.c.hub_id == hub_id,
            accounts.c.closed_at.is_(None),
            or_(accounts.c.name == name, linked),
        )
        .order_by(
            (accounts.c.name == name).desc(),
            identity.has_user().desc(),
            accounts.c.prepared_at.is_not(None),
            accounts.c.created_at.desc(),
        )
    ).first()
    if row is None:
        raise NoSuchAccount(name)
    return _from_row(row)


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
    return [_from_row(row) for row in rows]


def approvals_of(tx: Connection, account: Account) -> list[Approval]:
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
        tx,
        By(hub_id, actor, now),
        Action.TIER,
        account_id=account.id,
        detail={"from": account.tier, "to": tier},
    )


def set_payment_method(
    tx: Connection, account: Account, *, hub_id: str, there: bool, actor: str, now: datetime
) -> None:
    """Record that the account has, or no longer has, a payment method."""
    tx.execute(update(accounts).where(accounts.c.id == account.id).values(payment_method=there))
    audit.record(
        tx,
        By(hub_id, actor, now),
        Action.PAYMENT_METHOD,
        account_id=account.id,
        detail={"there": there},
    )


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
            account_id=account.id,
            hub_id=hub_id,
            instance_type=instance_type,
            reason=reason[:400],
            granted_by=actor,
            granted_at=now,
            expires_at=expires_at,
        )
    )
    audit.record(
        tx,
        By(hub_id, actor, now),
        Action.APPROVE,
        account_id=account.id,
        detail={
            "instance_type": instance_type,
            "reason": reason[:400],
            "expires_at": expires_at and expires_at.isoformat(),
        },
    )


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
            tx,
            By(hub_id, actor, now),
            Action.WITHDRAW,
            account_id=account.id,
            detail={"instance_type": instance_type},
        )
    return bool(gone)
