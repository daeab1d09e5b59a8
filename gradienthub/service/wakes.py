"""When the keeper wakes between two passes, for the next end of each lease."""

from collections.abc import Iterable
from datetime import datetime

from ..ledger.watches import Watched
from ..rules.idleness import next_end
from ..settings import KeeperPolicy

#: Seconds after an end at which it is looked at, because a sleep may be shorter than asked for.
WAKE_AFTER = 0.01


class Wakes:
    """The next end of each lease as the last look at it left it."""

    def __init__(self) -> None:
        self._ends: dict[str, datetime] = {}

    def take_due(self, now: datetime) -> set[str]:
        """Return the leases whose end has come. They are due once: later passes see them anyway."""
        due = {lease for lease, at in self._ends.items() if at <= now}
        self._ends = {lease: at for lease, at in self._ends.items() if lease not in due}
        return due

    def forget(self) -> None:
        """Forget all ends, before a look at everything notes them anew."""
        self._ends = {}

    def note(self, leases: Iterable[Watched], policy: KeeperPolicy, now: datetime) -> None:
        """Remember when to wake for these leases. A dry run ends nothing."""
        if policy.dry_run:
            return
        for watched in leases:
            at = next_end(watched.evidence, watched.deadlines, watched.warned, policy.grace, now)
            if at:
                self._ends[watched.id] = at

    def seconds_ahead(self, now: datetime) -> float:
        """Return the seconds until the next end; infinity where none is known."""
        nearest = min(self._ends.values(), default=None)
        return (nearest - now).total_seconds() + WAKE_AFTER if nearest else float("inf")
