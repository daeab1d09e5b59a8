"""Statement: a month of an account; it adds nothing to its entries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from .entry import Entry, Kind
from .metering import Gap, Interval


@dataclass(frozen=True)
class Statement:
    """A month of an account in one currency; money is micro-units.

    `opening` plus the amounts of `entries` is `closing`. `head` is the hash of the last entry so
    far: whoever keeps it can see that nothing before it was rewritten. `running` is what open
    leases have cost beyond their entries, in the month that is not over. `lost` is when each lease
    could not be reached, which costs nothing.
    """

    hub_id: str
    account_id: str
    name: str
    month: str
    currency: str
    opening: int
    entries: tuple[Entry, ...]
    head: str
    over: bool
    as_of: datetime
    running: int = 0
    lost: Mapping[str, tuple[Gap, ...]] = field(default_factory=dict)

    @property
    def closing(self) -> int:
        """The balance after its last entry."""
        return self.opening + sum(entry.amount for entry in self.entries)

    def total(self, *kinds: Kind) -> int:
        """Return the sum of its entries of these kinds, signed."""
        return sum(entry.amount for entry in self.entries if entry.kind in kinds)

    @property
    def charges(self) -> tuple[Entry, ...]:
        """What leases cost."""
        return tuple(entry for entry in self.entries if entry.kind is Kind.CHARGE)

    @property
    def gaps(self) -> tuple[Entry, ...]:
        """Charges behind which nobody knows how long the notebook ran on; that costs nothing."""
        return tuple(entry for entry in self.entries if entry.gap_until)

    def unreachable_times(self, entry: Entry) -> tuple[Interval, ...]:
        """Return when the notebook of a charge could not be reached, within the charged time."""
        if entry.from_at is None or entry.until_at is None:
            return ()
        low, high = sorted((entry.from_at, entry.until_at))
        clipped = (
            (max(start, low), min(end or high, high))
            for start, end in self.lost.get(entry.lease_id or "", ())
        )
        return tuple((start, end) for start, end in clipped if start < end)
