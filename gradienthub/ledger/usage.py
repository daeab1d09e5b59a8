"""Usage: what was used and charged a day, by machine, for the hub, each account and each group."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy import Column, ColumnElement, func, select
from sqlalchemy.dialects import postgresql, sqlite

from ..rules.metering import Portion
from .database import Transaction
from .schema import accounts, usage

HUB = "hub"
ACCOUNT, GROUP = "account:", "group:"


@dataclass(frozen=True)
class Period:
    """Days of a hub's usage in one currency, from `first` until just before `end`."""

    hub_id: str
    currency: str
    first: date
    end: date


@dataclass(frozen=True)
class Used:
    """One line of a report: `what` it is of; hours as seconds, money as micro-units.

    `leases` counts those that ended, in the day that they ended.
    """

    what: str
    leases: int
    seconds: float
    charged: int


@dataclass(frozen=True)
class Day:
    """What of one machine was used on one UTC day."""

    day: date
    instance_type: str
    leases: int
    seconds: float
    charged: int


def account_scope(account_id: str) -> str:
    """Return the scope of an account's usage and budget."""
    return ACCOUNT + account_id


def group_scope(group: str) -> str:
    """Return the scope of a group's usage and budget."""
    return GROUP + group


def account_in(scope: str) -> str | None:
    """Return the account's id in a scope; None in another's."""
    return scope.removeprefix(ACCOUNT) if scope.startswith(ACCOUNT) else None


def group_in(scope: str) -> str | None:
    """Return the group in a scope; None in another's."""
    return scope.removeprefix(GROUP) if scope.startswith(GROUP) else None


def scopes_of(account_id: str, groups: Iterable[str]) -> list[str]:
    """List the scopes whose budgets a lease of this account counts for."""
    return [account_scope(account_id), *(group_scope(group) for group in sorted(groups))]


def add(
    tx: Transaction,
    *,
    hub_id: str,
    scopes: Iterable[str],
    instance_type: str,
    currency: str,
    days: Mapping[date, Portion],
    leases: int,
) -> None:
    """Count these days; `leases` that ended are counted on the last of them."""
    last = max(days)
    rows = [
        {
            "hub_id": hub_id,
            "scope": scope,
            "day": day,
            "instance_type": instance_type,
            "currency": currency,
            "leases": leases if day == last else 0,
            "seconds": portion.seconds,
            "charged": portion.billed,
        }
        for scope in [HUB, *scopes]
        for day, portion in days.items()
    ]
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(usage)
    counted = ("leases", "seconds", "charged")
    tx.execute(
        insert.on_conflict_do_update(
            index_elements=list(usage.primary_key.columns),
            set_={name: usage.c[name] + insert.excluded[name] for name in counted},
        ),
        rows,
    )


def charged_in(tx: Transaction, period: Period, scopes: Iterable[str]) -> dict[str, int]:
    """Return the micro-units charged to each scope; one without any is left out."""
    rows = tx.execute(
        select(usage.c.scope, func.sum(usage.c.charged))
        .where(*_conditions(period), usage.c.scope.in_(list(scopes)))
        .group_by(usage.c.scope)
    )
    return {row[0]: int(row[1]) for row in rows}


def by_day(tx: Transaction, period: Period, scope: str = HUB) -> list[Day]:
    """List days and machines of the hub, or of one account or group (`account_scope`,
    `group_scope`). A lease that runs counts once its month or it is over."""
    rows = tx.execute(
        select(usage)
        .where(*_conditions(period), usage.c.scope == scope)
        .order_by(usage.c.day, usage.c.instance_type)
    )
    return [Day(row.day, row.instance_type, row.leases, row.seconds, row.charged) for row in rows]


def by_type(tx: Transaction, period: Period, scope: str = HUB) -> list[Used]:
    """Return what each machine was used by the hub, or one account or group, the dearest first."""
    return _sum_up(tx, period, usage.c.instance_type, usage.c.scope == scope)


def by_user(tx: Transaction, period: Period) -> list[Used]:
    """Return what each account used, by name, the dearest first; deleted ones too."""
    ids = select(accounts.c.id, accounts.c.name).where(accounts.c.hub_id == period.hub_id)
    names = {row.id: row.name for row in tx.execute(ids)}
    named = [
        replace(used, what=names.get(account_id, account_id))
        for used in _sum_up(tx, period, usage.c.scope, _begins_with(ACCOUNT))
        if (account_id := used.what.removeprefix(ACCOUNT))
    ]
    return sorted(named, key=lambda used: (-used.charged, used.what))


def by_group(tx: Transaction, period: Period) -> list[Used]:
    """Return what each group used, the dearest first. Who is in two groups counts in both."""
    return [
        replace(used, what=used.what.removeprefix(GROUP))
        for used in _sum_up(tx, period, usage.c.scope, _begins_with(GROUP))
    ]


def _begins_with(prefix: str) -> ColumnElement[bool]:
    # A range, not LIKE: only a range is looked up in the primary key.
    return (usage.c.scope >= prefix) & (usage.c.scope < prefix[:-1] + chr(ord(prefix[-1]) + 1))


def _sum_up(
    tx: Transaction, period: Period, what: Column[str], where: ColumnElement[bool]
) -> list[Used]:
    charged = func.sum(usage.c.charged)
    rows = tx.execute(
        select(what, func.sum(usage.c.leases), func.sum(usage.c.seconds), charged)
        .where(*_conditions(period), where)
        .group_by(what)
        .order_by(charged.desc(), what)
    )
    return [Used(row[0], int(row[1]), float(row[2]), int(row[3])) for row in rows]


def _conditions(period: Period) -> list[ColumnElement[bool]]:
    return [
        usage.c.hub_id == period.hub_id,
        usage.c.currency == period.currency,
        usage.c.day >= period.first,
        usage.c.day < period.end,
    ]
