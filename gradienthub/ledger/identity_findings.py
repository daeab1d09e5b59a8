"""What is wrong with who people are, as findings: read from the ledger, mended by its commands."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists, func, select

from ..rules.identity import Closed
from . import findings
from .database import Transaction
from .findings import NewFinding
from .identity_rows import find_successor, has_subject, has_user, name_has_older_account
from .schema import accounts, identities

SOURCE = "identity"
#: Two closings within this time are no accident of one person.
MASS_WITHIN = timedelta(hours=1)
#: How long a mass closing is told: whoever minds finds it within a week.
MASS_TOLD = timedelta(days=7)
NAMED = 5


def report(tx: Transaction, *, hub_id: str, now: datetime) -> None:
    """Tell what stands now, and that the rest is mended."""
    wrong = [
        *_mass_closings(tx, hub_id, now),
        *_accounts_without_user(tx, hub_id),
        *_accounts_of_meanwhile(tx, hub_id),
        *_linked_names(tx, hub_id),
    ]
    findings.report(tx, hub_id=hub_id, source=SOURCE, wrong=wrong, now=now)


def _mass_closings(tx: Transaction, hub_id: str, now: datetime) -> Iterable[NewFinding]:
    rows = tx.execute(
        select(accounts.c.id, accounts.c.name, accounts.c.closed_at)
        .where(
            accounts.c.hub_id == hub_id,
            accounts.c.closed_why == Closed.REPLACED.value,
            accounts.c.closed_at > now - MASS_TOLD,
        )
        .order_by(accounts.c.closed_at)
    ).all()
    mass = [
        row
        for row in rows
        if any(
            other is not row and abs(other.closed_at - row.closed_at) <= MASS_WITHIN
            for other in rows
        )
    ]
    # Who has their old account again lost nothing: what a login closed then is the newer one.
    mass = [row for row in mass if find_successor(tx, row.id) is not None]
    if not mass:
        return
    since = mass[0].closed_at.strftime("%Y-%m-%dT%H:%MZ")
    were = "account was" if len(mass) == 1 else "accounts were"
    yield NewFinding(
        key="accounts_closed",
        kind="accounts_closed",
        why=f"{len(mass)} {were} closed since {since} because the provider gave their names"
        f" to other subjects: {_few([row.name for row in mass])}",
        repair="if they are the same people (a directory was imported again), run `gradienthub"
        f" account bind --closed-since {since} --dry-run`, then without --dry-run; `gradienthub"
        " account unbind --bound-since TIME` undoes that. If they are other people, nothing: it"
        " is told for a week",
    )


def _had_user() -> ColumnElement[bool]:
    """Build the condition on `accounts` that a hub user has the account, gone or not."""
    return exists().where(
        identities.c.account_id == accounts.c.id, identities.c.replaced_at.is_(None)
    )


def _without_user(tx: Transaction, hub_id: str, *, older: bool) -> list[tuple[str, str]]:
    """List (id, name) of accounts whose hub users are all gone without a deletion, and that no
    subject names.

    `older`: those whose name has an older account now, else the others.
    """
    superseded = name_has_older_account()
    rows = tx.execute(
        select(accounts.c.id, accounts.c.name)
        .where(
            accounts.c.hub_id == hub_id,
            accounts.c.closed_at.is_(None),
            accounts.c.prepared_at.is_(None),
            _had_user(),
            ~has_user(),
            ~has_subject(),
            superseded if older else ~superseded,
        )
        .order_by(accounts.c.name)
    )
    return [(row.id, row.name) for row in rows]


def _accounts_without_user(tx: Transaction, hub_id: str) -> Iterable[NewFinding]:
    """Name the accounts that nobody reaches any more, and how their people get them back."""
    names = [name for _, name in _without_user(tx, hub_id, older=False)]
    if not names:
        return
    total = tx.execute(
        select(func.count())
        .select_from(accounts)
        .where(
            accounts.c.hub_id == hub_id,
            accounts.c.closed_at.is_(None),
            _had_user(),
        )
    ).scalar_one()
    new = "this hub's user table is new, " if len(names) * 2 >= total else ""
    have = "account has" if len(names) == 1 else "accounts have"
    yield NewFinding(
        key="accounts_without_user",
        kind="accounts_without_user",
        why=f"{new}{len(names)} {have} no user: {_few(names)}",
        repair=f"run `gradienthub account bind {names[0]}` to give a name its old account (--all"
        " for all names at once, --dry-run shows it first). The provider gives no subject, so that"
        " the hub cannot know whether they are the same people",
    )


def _accounts_of_meanwhile(tx: Transaction, hub_id: str) -> Iterable[NewFinding]:
    """Name what was opened while the hub had another user table, and how it is moved."""
    opened = _without_user(tx, hub_id, older=True)
    if opened:
        names = [name for _, name in opened]
        yield NewFinding(
            key="accounts_of_meanwhile",
            kind="accounts_of_meanwhile",
            why=f"{len(opened)} accounts were opened while the hub had another user table, and"
            f" their names have the older accounts back: {_few(names)}",
            repair=f"run `gradienthub account merge {opened[0][0]} {names[0]}` to move credit and"
            " notebooks into the older account (--dry-run shows it first)",
        )


def _linked_names(tx: Transaction, hub_id: str) -> Iterable[NewFinding]:
    several = (
        select(identities.c.account_id)
        .where(
            identities.c.hub_id == hub_id,
            identities.c.replaced_at.is_(None),
            identities.c.missing_since.is_(None),
        )
        .group_by(identities.c.account_id)
        .having(func.count() > 1)
    )
    rows = tx.execute(
        select(accounts.c.id, accounts.c.name, identities.c.name.label("user"))
        .join(identities, identities.c.account_id == accounts.c.id)
        .where(
            accounts.c.id.in_(several),
            accounts.c.closed_at.is_(None),
            identities.c.replaced_at.is_(None),
            identities.c.missing_since.is_(None),
        )
        .order_by(accounts.c.name, identities.c.id)
    )
    names: dict[str, list[str]] = {}
    for row in rows:
        names.setdefault(row.id, []).append(row.user or row.name)
    for account_id, users in names.items():
        yield NewFinding(
            key=f"linked/{account_id}",
            kind="linked_names",
            why=f"{_few(users)} are one person by the provider's subject, and have one account:"
            " its limits and its purse are one",
            repair=f"nothing, or `gradienthub account unbind {users[-1]}` to make them two",
        )


def _few(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
