"""Drift: hub's list x engine's census x ledger -> findings, each with a proposed repair."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from .idleness import Reason


class Repair(StrEnum):
    """What mends a finding."""

    END_LEASE = "end_lease"  # the engine has nothing for it: free its devices
    REMOVE_OBJECT = "remove_object"  # no open lease owns it: stop and remove it
    END_BOTH = "end_both"  # nobody can reach it any more: remove it, then end its lease
    REAP = "reap"  # it is dead: read its last words, remove it, end its lease


@dataclass(frozen=True)
class Seen:
    """An object of ours in the engine's census. `alive`: running, or still to be started."""

    object_id: str
    lease_id: str
    alive: bool


@dataclass(frozen=True)
class Open:
    """A lease of this hub that is not ended."""

    lease_id: str
    answered: bool
    stop_asked: bool


@dataclass(frozen=True)
class Finding:
    """One disagreement, in a sentence, with its repair."""

    repair: Repair
    lease_id: str
    object_id: str | None
    reason: Reason | None
    why: str


def findings(open_leases: Iterable[Open], census: Iterable[Seen], hub: frozenset[str]) -> list[Finding]:
    """Where the three disagree. `hub` are the leases of the hub's live or moving servers.

    What the hub is starting, running or stopping right now is left to it.
    """
    leases = {lease.lease_id: lease for lease in open_leases}
    found = []
    seen_leases = set()
    for seen in census:
        seen_leases.add(seen.lease_id)
        if seen.lease_id in hub:
            continue
        lease = leases.get(seen.lease_id)
        if lease is None:
            found.append(
                Finding(Repair.REMOVE_OBJECT, seen.lease_id, seen.object_id, None,
                        "it runs for a lease that is ended or unknown")
            )
        elif not seen.alive:
            found.append(
                Finding(Repair.REAP, lease.lease_id, seen.object_id, _end_reason(lease, died=True),
                        "it is dead and its lease is still open")
            )
        else:
            found.append(
                Finding(Repair.END_BOTH, lease.lease_id, seen.object_id, _end_reason(lease, died=False),
                        "it runs, but the hub has no server for it")
            )
    for lease in leases.values():
        if lease.lease_id not in seen_leases and lease.lease_id not in hub:
            found.append(
                Finding(Repair.END_LEASE, lease.lease_id, None, _end_reason(lease, died=True),
                        "the engine has nothing for this open lease")
            )
    return found


def _end_reason(lease: Open, *, died: bool) -> Reason | None:
    """Why the lease ends; None keeps the reason that was written when its stop was asked."""
    if lease.stop_asked:
        return None
    if not lease.answered:
        return Reason.START_FAILED
    return Reason.CRASHED if died else Reason.LOST
