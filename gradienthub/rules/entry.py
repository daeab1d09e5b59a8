"""Entry: one line of an account's ledger, chained to the one before so that a change shows."""

from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from json import dumps


class Kind(StrEnum):
    """What an entry is for."""

    CREDIT = "credit"  # granted or paid in
    TAKEN = "taken"  # taken back by an administrator
    EXPIRY = "expiry"  # what was left of a credit at its end
    CHARGE = "charge"  # a lease, or a closed month of one that runs on


@dataclass(frozen=True)
class Entry:
    """One line; `amount` is signed micro-units, `balance` what the account has after it.

    Of a charge: `billed` is the price of the time from `from_at` to `until_at`, `overrun` the part
    of it that no hold covered, `forgiven` the part of that which is not charged. The lease was not
    observed from `until_at` to `gap_until`, which costs nothing. `closes`: its last.
    """

    hub_id: str
    account_id: str
    currency: str
    seq: int
    at: datetime
    month: str
    kind: Kind
    amount: int
    balance: int
    lease_id: str | None = None
    credit_id: str | None = None
    instance_type: str | None = None
    price: int | None = None
    from_at: datetime | None = None
    until_at: datetime | None = None
    gap_until: datetime | None = None
    billed: int = 0
    overrun: int = 0
    forgiven: int = 0
    closes: bool = False
    note: str = ""
    actor: str = ""

    def seal(self, previous: str) -> str:
        """Return the hash of this entry behind the one whose hash is `previous` ("" for the
        first)."""
        body = [previous, *(_as_text(value) for value in astuple(self))]
        return sha256(dumps(body, ensure_ascii=True).encode()).hexdigest()


def _as_text(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return value


def month_of(moment: datetime) -> str:
    """Return the UTC month of a moment, "2026-11": months and days of money are UTC,
    without DST."""
    return f"{moment.astimezone(UTC):%Y-%m}"


def month_start(moment: datetime) -> datetime:
    """Return the first moment of the UTC month that holds `moment`."""
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(moment: datetime) -> datetime:
    """Return the first moment of the UTC month after the one that holds `moment`."""
    first = month_start(moment)
    return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)


def posting_month(month: str, at: datetime, last: str) -> str:
    """Return the statement that an entry of `month`, written at `at` behind one of `last`, belongs
    to.

    A statement that is over gets no more entries: what comes late is on the next. But one that a
    clock far ahead wrote must not draw all that follows into its year.
    """
    return max(month, last) if last <= month_of(next_month(at)) else month


def parse_month(text: str) -> datetime:
    """Parse a month "2026-11" into its first moment. Raises ValueError for anything else."""
    try:
        if len(text) != 7 or not text.isascii():
            raise ValueError
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"{text[:20]!r} is not a month; write for example 2026-11") from None
