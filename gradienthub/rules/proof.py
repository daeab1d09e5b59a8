"""Proof: an account's entries and what is kept beside them, derived again; every fault is named."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from .credit import Credit, given, restored, spent
from .entry import Entry, Kind
from .metering import Times


@dataclass(frozen=True)
class Sealed:
    """An entry as it is stored, with the hash beside it."""

    entry: Entry
    hash: str


@dataclass(frozen=True)
class Kept:
    """What is kept of an account beside its entries: balance, number of entries, last hash,
    credits with what is unspent of them, and what its usage says was charged."""

    amount: int
    seq: int
    head: str
    credits: tuple[Credit, ...]
    used: int


@dataclass(frozen=True)
class LeaseKept:
    """A lease's own row, as far as it made entries."""

    account_id: str
    currency: str
    instance_type: str
    times: Times


def chain_faults(chain: Iterable[Sealed], kept: Kept) -> list[str]:
    """What is wrong with an account's chain, each in a sentence that names the entry."""
    faults = []
    last, balance, head = 0, 0, ""
    for sealed in chain:
        entry = sealed.entry
        missing = range(last + 1, entry.seq)
        if missing:
            numbers = ", ".join(str(number) for number in missing[:5])
            faults.append(f"entry {numbers}{' …' if missing[5:] else ''} is missing")
        elif entry.sealed(head) != sealed.hash:
            faults.append(f"entry {entry.seq} ({_what(entry)}) was altered")
        elif entry.balance != balance + entry.amount:
            faults.append(f"entry {entry.seq} ({_what(entry)}) has a balance that does not add up")
        elif entry.kind is Kind.CHARGE and entry.amount != entry.forgiven - entry.billed:
            faults.append(f"entry {entry.seq} ({_what(entry)}) does not charge what it bills")
        last, balance, head = entry.seq, entry.balance, sealed.hash
    if (last, head) != (kept.seq, kept.head):
        faults.append(
            f"the chain ends at entry {last}, but entry {kept.seq} was its last:"
            " entries were removed or added behind it"
            if last != kept.seq
            else f"entry {last} is not the one that was its last"
        )
    if balance != kept.amount:
        faults.append(f"its balance is kept as {kept.amount}, its entries sum to {balance}")
    return faults


def _what(entry: Entry) -> str:
    of = f" of lease {entry.lease_id}" if entry.lease_id else ""
    return f"{entry.kind.value}{of}, {entry.month}"


def credit_faults(entries: Iterable[Entry], kept: Kept) -> list[str]:
    """Where credits and usage do not follow from the entries."""
    credits: dict[str, Credit] = {}
    charged, balance = 0, 0
    for entry in entries:
        changed: list[Credit] = []
        match entry.kind:
            case Kind.CREDIT:
                new = Credit(
                    entry.credit_id or "", entry.amount, entry.amount, entry.at, entry.until_at
                )
                changed = [given(new, credits.values(), balance)]
            case Kind.EXPIRY if old := credits.get(entry.credit_id or ""):
                changed = [replace(old, unspent=old.unspent + entry.amount)]
            case Kind.TAKEN | Kind.CHARGE:
                if entry.amount <= 0:
                    changed = spent(credits.values(), -entry.amount)
                else:
                    changed = restored(credits.values(), entry.amount, balance)
            case _:
                pass
        credits |= {credit.id: credit for credit in changed}
        charged -= entry.amount if entry.kind is Kind.CHARGE else 0
        balance += entry.amount
    stored = {credit.id: credit for credit in kept.credits}
    faults = [
        f"credit {id_} does not follow from the entries"
        for id_ in sorted(credits.keys() | stored.keys())
        if credits.get(id_) != stored.get(id_)
    ]
    if charged != kept.used:
        faults.append(f"its usage says {kept.used} was charged, its entries say {charged}")
    return faults


def lease_faults(
    leases: Mapping[str, LeaseKept], entries: Iterable[Entry], now: datetime
) -> list[str]:
    """Where entries of leases are not what the leases' own times and prices give.

    `leases` are all of this account that are billed and over, and all that have entries.
    """
    billed: dict[str, int] = {}
    faults = []
    for entry in entries:
        if entry.kind is not Kind.CHARGE or entry.lease_id is None:
            continue
        billed[entry.lease_id] = billed.get(entry.lease_id, 0) + entry.billed
        lease = leases.get(entry.lease_id)
        if lease is None:
            faults.append(f"entry {entry.seq} is of lease {entry.lease_id}, which is gone")
        elif (entry.price, entry.instance_type, entry.account_id, entry.currency) != (
            lease.times.price, lease.instance_type, lease.account_id, lease.currency,
        ):  # fmt: skip
            faults.append(
                f"lease {entry.lease_id} is not the one that entry {entry.seq} charged: its price,"
                " machine or account was altered"
            )
    for lease_id, lease in leases.items():
        if lease.times.final and lease.times.billed(now) != billed.get(lease_id, 0):
            faults.append(
                f"lease {lease_id} was billed {billed.get(lease_id, 0)}, its times give"
                f" {lease.times.billed(now)}"
            )
    return faults
