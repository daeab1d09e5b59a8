"""Proof: every balance and statement derived again from entries and leases; drift is named."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, or_, select

from ..rules.credit import Credit
from ..rules.entry import Entry
from ..rules.proof import Kept, LeaseKept, Sealed, chain_faults, credit_faults, lease_faults
from . import usage
from .charges import times_of
from .entries import ENTRY, entry_of
from .schema import accounts, balances, credits, entries, holds, leases
from .schema import usage as usage_table


@dataclass(frozen=True)
class Fault:
    """Something that does not add up, of an account (None: of the hub)."""

    account_id: str | None
    name: str
    currency: str
    what: str


@dataclass(frozen=True)
class Proved:
    """What was looked at, and what is wrong."""

    chains: int
    entries: int
    leases: int
    faults: tuple[Fault, ...]


def prove(tx: Connection, *, hub_id: str, now: datetime, account_id: str | None = None) -> Proved:
    """Derive the money of this hub again, or of one account. Reads only; grows with history."""
    faults: list[Fault] = []
    seen_entries = seen_leases = chains = 0
    for account, name, currency in _chains(tx, hub_id, account_id):
        chain = _chain(tx, account, currency)
        kept = _kept(tx, hub_id, account, currency)
        own = _leases(tx, account, currency, chain)
        found = [sealed.entry for sealed in chain]
        said = [
            *chain_faults(chain, kept),
            *credit_faults(found, kept),
            *lease_faults(own, found, now),
        ]
        faults += [Fault(account, name, currency, what) for what in said]
        chains, seen_entries, seen_leases = (
            chains + 1, seen_entries + len(chain), seen_leases + len(own),
        )  # fmt: skip
    if account_id is None:
        faults += _hub_faults(tx, hub_id)
    return Proved(chains, seen_entries, seen_leases, tuple(faults))


def find_head(tx: Connection, *, account_id: str, head: str) -> Entry | None:
    """The entry whose hash a statement printed; None means that the ledger was rewritten since."""
    row = tx.execute(
        select(*ENTRY).where(entries.c.account_id == account_id, entries.c.hash == head)
    ).first()
    return entry_of(row) if row else None


def _chains(
    tx: Connection, hub_id: str, account_id: str | None
) -> Iterator[tuple[str, str, str]]:  # fmt: skip
    """(account, its name, currency) of all that have entries, a balance or charged leases."""
    of_hub = [
        select(table.c.account_id, table.c.currency).where(table.c.hub_id == hub_id)
        for table in (balances, entries, credits)
    ]
    billed = select(leases.c.account_id, leases.c.currency).where(
        leases.c.hub_id == hub_id, leases.c.groups.is_not(None)
    )
    both = of_hub[0].union(*of_hub[1:], billed).subquery()
    query = (
        select(both.c.account_id, accounts.c.name, both.c.currency)
        .outerjoin(accounts, accounts.c.id == both.c.account_id)
        .order_by(accounts.c.name, both.c.account_id)
    )
    if account_id is not None:
        query = query.where(both.c.account_id == account_id)
    for row in tx.execute(query).all():
        yield row.account_id, row.name or row.account_id, row.currency


def _chain(tx: Connection, account_id: str, currency: str) -> list[Sealed]:
    rows = tx.execute(
        select(*ENTRY)
        .where(entries.c.account_id == account_id, entries.c.currency == currency)
        .order_by(entries.c.seq)
    )
    return [Sealed(entry_of(row), row.hash) for row in rows]


def _kept(tx: Connection, hub_id: str, account_id: str, currency: str) -> Kept:
    balance = tx.execute(
        select(balances).where(balances.c.account_id == account_id, balances.c.currency == currency)
    ).first()
    given = tx.execute(
        select(credits).where(credits.c.account_id == account_id, credits.c.currency == currency)
    ).all()
    used = tx.execute(
        select(func.sum(usage_table.c.charged)).where(
            usage_table.c.hub_id == hub_id,
            usage_table.c.scope == usage.account_scope(account_id),
            usage_table.c.currency == currency,
        )
    ).scalar()
    return Kept(
        amount=balance.amount if balance else 0,
        seq=balance.seq if balance else 0,
        head=balance.head if balance else "",
        credits=tuple(
            Credit(row.id, row.amount, row.unspent, row.given_at, row.expires_at) for row in given
        ),
        used=int(used or 0),
    )


def _leases(
    tx: Connection, account_id: str, currency: str, chain: list[Sealed]
) -> dict[str, LeaseKept]:
    charged = {one.entry.lease_id for one in chain if one.entry.lease_id}
    rows = tx.execute(
        select(leases).where(
            leases.c.account_id == account_id,
            leases.c.currency == currency,
            # Leases from before there was a bill have none.
            leases.c.groups.is_not(None),
        )
    ).all()
    known = {row.id: row for row in rows}
    others = sorted(charged - known.keys())
    for first in range(0, len(others), 500):
        more = tx.execute(select(leases).where(leases.c.id.in_(others[first : first + 500])))
        known |= {row.id: row for row in more}
    return {
        id_: LeaseKept(row.account_id, row.currency, row.instance_type, times_of(row))
        for id_, row in known.items()
    }


def _hub_faults(tx: Connection, hub_id: str) -> list[Fault]:
    faults = []
    stale = tx.execute(
        select(holds.c.lease_id, holds.c.account_id, holds.c.currency)
        .join(leases, leases.c.id == holds.c.lease_id)
        .where(
            holds.c.hub_id == hub_id,
            or_(leases.c.stop_requested_at.is_not(None), leases.c.ended_at.is_not(None)),
        )
    )
    for row in stale:
        what = f"lease {row.lease_id} is over and still holds money; the next tick mends it"
        faults.append(Fault(row.account_id, row.account_id, row.currency, what))
    of_scope = (
        select(
            usage_table.c.currency,
            func.sum(usage_table.c.charged).filter(usage_table.c.scope == usage.HUB).label("hub"),
            func.sum(usage_table.c.charged)
            .filter(usage_table.c.scope.startswith(usage.ACCOUNT))
            .label("accounts"),
        )
        .where(usage_table.c.hub_id == hub_id)
        .group_by(usage_table.c.currency)
    )
    for row in tx.execute(of_scope):
        if (row.hub or 0) != (row.accounts or 0):
            what = f"its usage is {row.hub or 0}, that of its accounts {row.accounts or 0}"
            faults.append(Fault(None, "the hub", row.currency, what))
    return faults
