"""Hub users: which of those that accounts belong to the hub still has, and their groups there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update

from ..rules.identity import HubUser, same_moment
from . import identity_findings
from .database import Transaction
from .schema import accounts, identities


@dataclass(frozen=True)
class UserWithGroups:
    """A user that the hub has now, with the groups that the hub knows."""

    user: HubUser
    groups: frozenset[str]


@dataclass(frozen=True)
class Changes:
    """What differs between the hub's users and what the ledger has of them."""

    #: Identities whose user is there or not, as it is now.
    present: Mapping[int, bool]
    #: Groups by account.
    groups: Mapping[str, list[str]]

    def __bool__(self) -> bool:
        return bool(self.present or self.groups)


def compare_users(tx: Transaction, hub_id: str, seen: Iterable[UserWithGroups]) -> Changes:
    """Compare the hub's users with the ledger's. Reads only."""
    users = {user.user.id: user for user in seen}
    rows = tx.execute(
        select(
            identities.c.id,
            identities.c.hub_user_id,
            identities.c.user_created,
            identities.c.missing_since,
            identities.c.account_id,
            accounts.c.hub_groups,
        )
        .join(accounts, accounts.c.id == identities.c.account_id)
        .where(identities.c.hub_id == hub_id, identities.c.replaced_at.is_(None))
    )
    present: dict[int, bool] = {}
    groups: dict[str, set[str]] = {}
    kept: dict[str, list[str] | None] = {}
    for row in rows:
        user = users.get(row.hub_user_id)
        there = user is not None and same_moment(user.user.created, row.user_created)
        if there != (row.missing_since is None):
            present[row.id] = there
        if user is not None and there:
            groups.setdefault(row.account_id, set()).update(user.groups)
            kept[row.account_id] = row.hub_groups
    return Changes(
        present,
        {
            account_id: sorted(names)
            for account_id, names in groups.items()
            if (before := kept[account_id]) is None or set(before) != names
        },
    )


def note_changes(tx: Transaction, hub_id: str, changed: Changes, now: datetime) -> None:
    """Write what has changed, and tell of accounts whose users are gone."""
    for identity_id, there in changed.present.items():
        tx.execute(
            update(identities)
            .where(identities.c.id == identity_id)
            .values(missing_since=None if there else now)
        )
    for account_id, names in changed.groups.items():
        tx.execute(update(accounts).where(accounts.c.id == account_id).values(hub_groups=names))
    identity_findings.report(tx, hub_id=hub_id, now=now)
