"""Verify the money: derive every balance and statement again, and name each drift."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import func, select

from ..rules.action import Action
from ..rules.credit import Credit
from ..rules.entry import Entry
from ..rules.metering import Gap
from ..rules.verify import (
    LeaseProof,
    Sealed,
    StoredAccount,
    StoredCredit,
    StoredHold,
    Terms,
    UsageKey,
    UsageSum,
    chain_faults,
    credit_faults,
    lease_faults,
    usage_faults,
    usage_of,
)
from . import credits as credits_given
from . import gaps, usage, verify_rows
from .batches import split_ids
from .database import Transaction
from .entries import ENTRY, entry_of, unread_entry_of
from .lease_rows import LeaseRow, lease_from, lease_query
from .schema import accounts, audit, balances, credits, entries, holds, leases
from .schema import usage as usage_table
from .verify_rows import Discrepancy


@dataclass(frozen=True)
class Verified:
    """What was looked at, and what is wrong."""

    chains: int
    entries: int
    leases: int
    faults: tuple[Discrepancy, ...]


def verify_money(
    tx: Transaction, *, hub_id: str, now: datetime, account_id: str | None = None
) -> Verified:
    """Derive the money of this hub again, or of one account. Reads only; grows with history."""
    faults: list[Discrepancy] = []
    seen_entries = seen_leases = chains = 0
    usage_sums: dict[UsageKey, UsageSum] = {}
    audited_since = _audited_since(tx, hub_id)
    names: dict[str, str] = {}
    for account, name, currency in _list_chains(tx, hub_id, account_id):
        names[account] = name
        try:
            chain = _prove_chain(tx, account, currency, now, audited_since)
        except (ValueError, TypeError) as unreadable:
            # A database without types, like SQLite, takes any text for a moment or a number.
            what = f"has a row that cannot be read: {unreadable}"
            faults.append(Discrepancy(account, name, currency, what[:300]))
            continue
        faults += [Discrepancy(account, name, currency, what) for what in chain.faults]
        _add_usage(usage_sums, account, chain.usage)
        chains += 1
        seen_entries += chain.entries
        seen_leases += chain.leases
    faults += _usage_faults(tx, hub_id, usage_sums, names, account_id)
    if account_id is None:
        faults += verify_rows.hub_faults(tx, hub_id, audited_since)
    return Verified(chains, seen_entries, seen_leases, tuple(faults))


@dataclass(frozen=True)
class _Chain:
    """What one account's chain gives."""

    faults: list[str]
    usage: Mapping[tuple[str, UsageKey], UsageSum]
    entries: int
    leases: int


def _prove_chain(
    tx: Transaction, account: str, currency: str, now: datetime, audited_since: datetime | None
) -> _Chain:
    chain = _read_chain(tx, account, currency)
    stored = _read_account(tx, account, currency)
    proofs = _read_leases(tx, account, currency, chain, audited_since)
    lines = [sealed.entry for sealed in chain]
    faults = [
        *chain_faults(chain, stored),
        *credit_faults(lines, stored, credits_given.WELCOME),
        *lease_faults(proofs, lines, now),
    ]
    return _Chain(faults, usage_of(lines, proofs), len(chain), len(proofs))


def _audited_since(tx: Transaction, hub_id: str) -> datetime | None:
    """Return since when the audit goes back: what is older was pruned."""
    return tx.execute(select(func.min(audit.c.at)).where(audit.c.hub_id == hub_id)).scalar()


def _add_usage(
    sums: dict[UsageKey, UsageSum], account: str, derived: Mapping[tuple[str, UsageKey], UsageSum]
) -> None:
    for (group, key), part in derived.items():
        scopes = [usage.group_scope(group)] if group else [usage.HUB, usage.account_scope(account)]
        for scope in scopes:
            whole = replace(key, scope=scope)
            before = sums.get(whole, UsageSum())
            sums[whole] = UsageSum(
                before.leases + part.leases,
                before.seconds + part.seconds,
                before.charged + part.charged,
            )


def _usage_faults(
    tx: Transaction,
    hub_id: str,
    derived: Mapping[UsageKey, UsageSum],
    names: Mapping[str, str],
    account_id: str | None,
) -> list[Discrepancy]:
    query = select(usage_table).where(usage_table.c.hub_id == hub_id)
    if account_id is not None:
        # Those of hub and groups are of others too.
        own = usage.account_scope(account_id)
        query = query.where(usage_table.c.scope == own)
        derived = {key: part for key, part in derived.items() if key.scope == own}
    stored = {
        UsageKey(row.scope, row.day, row.instance_type, row.currency): UsageSum(
            row.leases, row.seconds, row.charged
        )
        for row in tx.execute(query)
    }
    faults = []
    for key, what in usage_faults(derived, stored):
        account = usage.account_in(key.scope)
        name = names.get(account, account) if account else "the hub"
        faults.append(Discrepancy(account, name, key.currency, what))
    return faults


def find_head(tx: Transaction, *, account_id: str, head: str) -> Entry | None:
    """Return the entry whose hash a statement printed; None means that the ledger was rewritten
    since."""
    row = tx.execute(
        select(*ENTRY).where(entries.c.account_id == account_id, entries.c.hash == head)
    ).first()
    return entry_of(row) if row else None


def _list_chains(
    tx: Transaction, hub_id: str, account_id: str | None
) -> Iterator[tuple[str, str, str]]:
    """List (account, its name, currency) of all that have entries, a balance or charged leases."""
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


def _read_chain(tx: Transaction, account_id: str, currency: str) -> list[Sealed]:
    rows = tx.execute(
        select(*ENTRY)
        .where(entries.c.account_id == account_id, entries.c.currency == currency)
        .order_by(entries.c.seq)
    )
    return [Sealed(unread_entry_of(row), row.hash) for row in rows]


def _read_account(tx: Transaction, account_id: str, currency: str) -> StoredAccount:
    balance = tx.execute(
        select(balances).where(balances.c.account_id == account_id, balances.c.currency == currency)
    ).first()
    rows = tx.execute(
        select(credits).where(credits.c.account_id == account_id, credits.c.currency == currency)
    ).all()
    return StoredAccount(
        amount=balance.amount if balance else 0,
        seq=balance.seq if balance else 0,
        head=balance.head if balance else "",
        credits=tuple(
            StoredCredit(
                Credit(row.id, row.amount, row.unspent, row.given_at, row.expires_at),
                row.hub_id,
                row.reason,
                row.given_by,
                row.welcome,
            )
            for row in rows
        ),
    )


def _read_leases(
    tx: Transaction,
    account_id: str,
    currency: str,
    chain: list[Sealed],
    audited_since: datetime | None,
) -> dict[str, LeaseProof]:
    charged = {sealed.entry.lease_id for sealed in chain if sealed.entry.lease_id}
    query = lease_query().add_columns(*_HOLD)
    query = query.outerjoin(holds, holds.c.lease_id == leases.c.id)
    rows = tx.execute(
        query.where(
            leases.c.account_id == account_id,
            leases.c.currency == currency,
            # Leases from before there was a bill have none.
            leases.c.groups.is_not(None),
        )
    ).all()
    known = {row.id: row for row in rows}
    for others in split_ids(charged - known.keys()):
        more = tx.execute(query.where(leases.c.id.in_(others)))
        known |= {row.id: row for row in more}
    starts, lost = _read_starts(tx, account_id), gaps.list_gaps(tx, known)
    return {
        id_: _proof_of(row, starts.get(id_), audited_since, lost.get(id_, ()))
        for id_, row in known.items()
    }


#: A hold's columns beside its lease's, by other names.
_HOLD = [
    holds.c[name].label(f"hold_{name}")
    for name in (
        "hub_id",
        "account_id",
        "currency",
        "amount",
        "billed",
        "credit_limit",
        "charge_overrun",
        "paid_for",
        "metered_from",
    )
]


def _proof_of(
    row: LeaseRow,
    start: Mapping[str, object] | None,
    audited_since: datetime | None,
    lost: tuple[Gap, ...],
) -> LeaseProof:
    hold = terms = None
    if row.hold_hub_id is not None:
        hold = StoredHold(
            row.hold_hub_id,
            row.hold_account_id,
            row.hold_currency,
            row.hold_amount,
            row.hold_billed,
            row.hold_paid_for,
            row.hold_metered_from,
        )
    if row.groups is not None:
        terms = Terms(
            row.price,
            row.currency,
            row.instance_type,
            row.tier,
            row.custom_image,
            tuple(row.groups),
            row.hold_credit_limit,
            bool(row.hold_charge_overrun),
        )
    expected = audited_since is not None and row.admitted_at >= audited_since
    return LeaseProof(
        lease_from(row, lost=lost),
        terms,
        hold,
        start,
        unaudited=start is None and expected,
    )


def _read_starts(tx: Transaction, account_id: str) -> dict[str, Mapping[str, object]]:
    """Return what the audit has of this account's starts, by lease."""
    rows = tx.execute(
        select(audit.c.detail).where(
            audit.c.account_id == account_id, audit.c.action == Action.START
        )
    )
    return {str(row.detail.get("lease")): row.detail for row in rows}
