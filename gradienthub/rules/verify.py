"""Verify an account: derive what is stored beside its entries again, and name every fault."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from hashlib import sha256
from json import dumps

from .credit import Credit, pay_debt, refund, use_up
from .entry import Entry, Kind
from .funds import HOLD
from .lease import Lease
from .metering import Portion, by_day, charged_days
from .money import charge


@dataclass(frozen=True)
class Sealed:
    """An entry as it is stored, with the hash beside it."""

    entry: Entry
    hash: str


@dataclass(frozen=True)
class StoredCredit:
    """A credit's own row; what its entry says too is compared with it."""

    credit: Credit
    hub_id: str
    reason: str
    given_by: str
    welcome: bool


@dataclass(frozen=True)
class StoredAccount:
    """What is kept of an account beside its entries: balance, number of entries, last hash, and
    credits with what is unspent of them."""

    amount: int
    seq: int
    head: str
    credits: tuple[StoredCredit, ...]


@dataclass(frozen=True)
class Terms:
    """What a lease was admitted for, as its start wrote it into the audit."""

    price: int
    currency: str
    instance_type: str
    tier: str
    custom_image: bool
    groups: tuple[str, ...] = ()
    credit_limit: int | None = None
    charge_overrun: bool = False

    def as_json(self) -> dict[str, object]:
        """Return it for an audit row, groups last: that row may be cut to what fits."""
        return {
            "price": self.price,
            "currency": self.currency,
            "instance_type": self.instance_type,
            "tier": self.tier,
            "custom_image": self.custom_image,
            "credit_limit": self.credit_limit,
            "charge_overrun": self.charge_overrun,
            "groups_digest": digest_of(self.groups),
            "groups": list(self.groups),
        }

    def compare(self, row: Mapping[str, object], *, hold: bool) -> list[str]:
        """Return what differs from an audit row; what that does not say is not compared."""
        names = ["price", "currency", "instance_type", "tier", "custom_image"]
        names += ["credit_limit", "charge_overrun"] if hold else []
        terms = self.as_json()
        # A row that was cut has text for each value.
        wrong = [name for name in names if name in row and str(row[name]) != str(terms[name])]
        digest = row.get("groups_digest")
        return wrong + (["groups"] if digest and digest != terms["groups_digest"] else [])


def digest_of(groups: Iterable[str]) -> str:
    """Return the hash that an audit row keeps of a lease's groups, however many."""
    return sha256(dumps(sorted(groups), ensure_ascii=True).encode()).hexdigest()


@dataclass(frozen=True)
class StoredHold:
    """The row of a lease's hold; `paid_for` is microseconds."""

    hub_id: str
    account_id: str
    currency: str
    amount: int
    billed: int
    paid_for: int | None
    metered_from: datetime | None = None


@dataclass(frozen=True)
class LeaseProof:
    """A lease with what has to agree with it: its hold, and what the audit has of its start.

    `audit_row` is None where the audit has none of its start; `unaudited`: it ought to have one.
    """

    lease: Lease
    terms: Terms | None = None
    hold: StoredHold | None = None
    audit_row: Mapping[str, object] | None = None
    unaudited: bool = False


@dataclass(frozen=True)
class UsageKey:
    """What a row of usage is of."""

    scope: str
    day: date
    instance_type: str
    currency: str


@dataclass(frozen=True)
class UsageSum:
    """What a row of usage says."""

    leases: int = 0
    seconds: float = 0.0
    charged: int = 0

    def add(self, leases: int, portion: Portion) -> "UsageSum":
        """Return it with one more."""
        return UsageSum(
            self.leases + leases, self.seconds + portion.seconds, self.charged + portion.billed
        )

    def equals(self, other: "UsageSum") -> bool:
        """Return whether both say the same; seconds are sums of floats."""
        apart = abs(self.seconds - other.seconds)
        return (self.leases, self.charged) == (other.leases, other.charged) and apart < 0.01


def chain_faults(chain: Iterable[Sealed], kept: StoredAccount) -> list[str]:
    """Find what is wrong with an account's chain, each in a sentence that names the entry."""
    faults = []
    last, balance, head = 0, 0, ""
    for sealed in chain:
        entry = sealed.entry
        missing = range(last + 1, entry.seq)
        if missing:
            numbers = ", ".join(str(number) for number in missing[:5])
            faults.append(f"entry {numbers}{' …' if missing[5:] else ''} is missing")
        elif entry.seal(head) != sealed.hash:
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
    return f"{entry.kind}{of}, {entry.month}"


def credit_faults(
    entries: Iterable[Entry], kept: StoredAccount, welcome: tuple[str, str]
) -> list[str]:
    """Return where credits do not follow from the entries.

    `welcome` is (actor, reason) of what a new account is given.
    """
    credits: dict[str, Credit] = {}
    rows: dict[str, StoredCredit] = {}
    balance = 0
    for entry in entries:
        changed: list[Credit] = []
        match entry.kind:
            case Kind.CREDIT:
                new = Credit(
                    entry.credit_id or "", entry.amount, entry.amount, entry.at, entry.until_at
                )
                changed = [pay_debt(new, credits.values(), balance)]
                first = (entry.actor, entry.note) == welcome
                rows[new.id] = StoredCredit(new, entry.hub_id, entry.note, entry.actor, first)
            case Kind.EXPIRY if old := credits.get(entry.credit_id or ""):
                changed = [replace(old, unspent=old.unspent + entry.amount)]
            case Kind.TAKEN | Kind.CHARGE:
                if entry.amount <= 0:
                    changed = use_up(credits.values(), -entry.amount)
                else:
                    changed = refund(credits.values(), entry.amount, balance)
            case _:
                pass
        credits |= {credit.id: credit for credit in changed}
        balance += entry.amount
    derived = {id_: replace(row, credit=credits[id_]) for id_, row in rows.items()}
    stored = {row.credit.id: row for row in kept.credits}
    return [
        f"credit {id_} does not follow from the entries"
        for id_ in sorted(derived.keys() | stored.keys())
        if derived.get(id_) != stored.get(id_)
    ]


def usage_of(
    entries: Iterable[Entry], leases: Mapping[str, LeaseProof]
) -> dict[tuple[str, UsageKey], UsageSum]:
    """Derive what the usage of each lease's owner and groups must be, by (group or "", key).

    The key's scope is empty: whose it is, the ledger says.
    """
    begins: dict[str, datetime] = {}
    sums: dict[tuple[str, UsageKey], UsageSum] = {}
    for entry in entries:
        proof = leases.get(entry.lease_id or "")
        if entry.kind is not Kind.CHARGE or proof is None or entry.lease_id is None:
            continue
        if entry.from_at is None or entry.until_at is None:
            continue
        begin = begins.setdefault(entry.lease_id, entry.from_at)
        days = charged_days(
            by_day(entry.price or 0, begin, entry.from_at, entry.until_at, proof.lease.gaps),
            entry.until_at,
            forgiven=entry.forgiven,
            closes=entry.closes,
        )
        last = max(days, default=None)
        for day, portion in days.items():
            key = UsageKey("", day, entry.instance_type or "", entry.currency)
            for group in ("", *(proof.terms.groups if proof.terms else ())):
                before = sums.get((group, key), UsageSum())
                sums[group, key] = before.add(int(entry.closes and day == last), portion)
    return sums


def usage_faults(
    derived: Mapping[UsageKey, UsageSum], stored: Mapping[UsageKey, UsageSum]
) -> list[tuple[UsageKey, str]]:
    """Return each row of usage that the entries do not give, with what is wrong."""
    faults = []
    for key in sorted(derived.keys() | stored.keys(), key=lambda k: (k.scope, k.day, str(k))):
        due, kept = derived.get(key, UsageSum()), stored.get(key)
        if due.equals(kept or UsageSum()):
            continue
        row = f"usage of {key.scope}, {key.day}, {key.instance_type}, {key.currency}"
        says = (
            "is gone"
            if kept is None
            else f"is kept as {kept.leases} leases, {kept.seconds:.0f} s, {kept.charged} charged"
        )
        faults.append(
            (
                key,
                f"{row} {says}; its entries give {due.leases} leases, {due.seconds:.0f} s,"
                f" {due.charged} charged",
            )
        )
    return faults


def lease_faults(
    leases: Mapping[str, LeaseProof], entries: Iterable[Entry], now: datetime
) -> list[str]:
    """Find entries of leases that are not what the leases' own times and prices give.

    `leases` are all of this account that are billed and over, and all that have entries.
    """
    charges: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.kind is Kind.CHARGE and entry.lease_id is not None:
            charges.setdefault(entry.lease_id, []).append(entry)
    faults: list[str] = []
    for lease_id, of_lease in charges.items():
        faults += _charge_faults(lease_id, leases.get(lease_id), of_lease)
    for lease_id, proof in leases.items():
        of_lease = charges.get(lease_id, [])
        total = sum(entry.billed for entry in of_lease)
        due = proof.lease.times.billed(now)
        if proof.lease.times.final and due != total:
            faults.append(f"lease {lease_id} was billed {total}, its times give {due}")
        faults += [
            f"lease {lease_id} {what}"
            for what in (
                *_terms_faults(proof),
                *_hold_faults(proof, total),
                *_time_faults(proof, of_lease),
            )
        ]
    return faults


def _charge_faults(
    lease_id: str, proof: LeaseProof | None, charges: Iterable[Entry]
) -> Iterable[str]:
    for entry in charges:
        if proof is None:
            yield f"entry {entry.seq} is of lease {lease_id}, which is gone"
        elif (entry.price, entry.instance_type, entry.account_id, entry.currency) != (
            proof.lease.price,
            proof.lease.instance_type,
            proof.lease.account_id,
            proof.lease.currency,
        ):
            yield (
                f"lease {lease_id} is not the one that entry {entry.seq} charged: its price,"
                " machine or account was altered"
            )


def _terms_faults(proof: LeaseProof) -> list[str]:
    if proof.unaudited:
        return ["has no start in the audit"]
    if proof.audit_row is None or proof.terms is None:
        return []
    return [
        f"is not what its start was: its {name} was altered"
        for name in proof.terms.compare(proof.audit_row, hold=proof.hold is not None)
    ]


def _hold_faults(proof: LeaseProof, billed: int) -> list[str]:
    hold, lease, times = proof.hold, proof.lease, proof.lease.times
    if hold is None:
        runs = not times.final and times.price > 0 and proof.terms is not None
        return ["runs without a hold"] if runs else []
    if times.final:
        return ["is over and still holds money; the next tick mends it"]
    faults = []
    if (hold.hub_id, hold.account_id, hold.currency) != (
        lease.hub_id,
        lease.account_id,
        lease.currency,
    ):
        faults.append("has a hold of another account, currency or hub")
    if hold.billed != billed:
        faults.append(f"has a hold that says {hold.billed} is billed, its entries say {billed}")
    time = HOLD if hold.paid_for is None else timedelta(microseconds=hold.paid_for)
    amount = max(0, charge(times.price, time) - hold.billed)
    # One that was open before there was a bill holds nothing until it is first extended.
    if hold.amount != amount and (hold.amount, hold.paid_for) != (0, None):
        faults.append(f"holds {hold.amount}, the time it pays for is {amount}")
    if hold.metered_from is not None and hold.metered_from != times.answered_at:
        faults.append("did not answer when its hold says that it did")
    return faults


def _time_faults(proof: LeaseProof, charges: Sequence[Entry]) -> list[str]:
    if not charges or not charges[-1].closes or not proof.lease.times.final:
        return []
    first, last = charges[0], charges[-1]
    interval, gap_until = proof.lease.times.metered(last.at)
    billed = (first.from_at, last.until_at, last.gap_until)
    if interval is None or (*interval, gap_until) == billed:
        return []
    return ["began or ended at another time than its entries say"]
