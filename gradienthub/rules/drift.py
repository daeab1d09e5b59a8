"""Drift: hub's list x engine's census x ledger -> findings, each with a proposed repair."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from .idleness import Reason
from .lease import Lease
from .phase import LeaseState


class Repair(StrEnum):
    """What mends a finding."""

    END_LEASE = "end_lease"  # the engine has nothing for it: free its devices
    REMOVE_OBJECT = "remove_object"  # stop and remove it; no lease ends by it
    END_BOTH = "end_both"  # nobody can reach it any more: remove it, then end its lease
    REAP = "reap"  # it is dead: read its last words, remove it, end its lease
    STOP_SERVER = "stop_server"  # somebody else ended its lease: stop it as a person would
    GIVE_BACK = "give_back"  # the hub lost its server's row, or its owner: make the row again


@dataclass(frozen=True)
class OwnObject:
    """An object of ours in the engine's census. `alive`: running, or still to be started."""

    object_id: str
    lease_id: str
    alive: bool


@dataclass(frozen=True)
class Finding:
    """One disagreement, in a sentence, with its repair."""

    repair: Repair
    lease_id: str
    object_id: str | None
    reason: Reason | None
    why: str


def findings(
    open_leases: Iterable[Lease],
    census: Iterable[OwnObject],
    hub: frozenset[str],
    ended: frozenset[str] = frozenset(),
    not_lost: frozenset[str] = frozenset(),
) -> list[Finding]:
    """Find where ledger, engine and hub disagree. `hub` are the leases of the hub's live or moving
    servers.

    `ended` are those of `hub` whose servers were running before the ledger was read, and are
    neither starting nor stopping, although the ledger says that somebody has ended them. Of
    `not_lost` it says nothing that they have no server: the hub's own database was lost or
    restored. All else that the hub is starting, running or stopping is left to it.

    Repairs are carried out in this order: of several objects of one lease only the last ends it, so
    that no device is free while an object that has it lives.
    """
    leases = {lease.id: lease for lease in open_leases}
    objects: dict[str, list[OwnObject]] = {}
    for seen in census:
        objects.setdefault(seen.lease_id, []).append(seen)
    disagreements = []
    for lease_id, seen_of_lease in objects.items():
        if lease_id in hub:
            continue
        if lease := leases.get(lease_id):
            disagreements += _judge_open_lease(lease, seen_of_lease, lease_id in not_lost)
        else:
            disagreements += [_remove(s, "it belongs to no open lease") for s in seen_of_lease]
    for lease_id, lease in leases.items():
        if lease_id not in objects and lease_id not in hub:
            why = "the engine has nothing for this open lease"
            reason = _end_reason(lease, died=True)
            disagreements.append(Finding(Repair.END_LEASE, lease_id, None, reason, why))
    for lease_id in sorted(ended - leases.keys()):
        why = "the hub calls it running, but its lease is ended"
        disagreements.append(Finding(Repair.STOP_SERVER, lease_id, None, None, why))
    return disagreements


def _judge_open_lease(lease: Lease, objects: Iterable[OwnObject], not_lost: bool) -> list[Finding]:
    *others, last = sorted(objects, key=lambda seen: seen.alive)
    if last.alive and not_lost and lease.state is LeaseState.RUNNING:
        why = "it runs, and the hub's own database does not know it"
        return [
            *(_remove(seen, "its lease has another object") for seen in others if not seen.alive),
            Finding(Repair.GIVE_BACK, lease.id, last.object_id, None, why),
        ]
    if last.alive:
        repair, why = Repair.END_BOTH, "it runs, but the hub has no server for it"
    else:
        repair, why = Repair.REAP, "it is dead and its lease is still open"
    reason = _end_reason(lease, died=not last.alive)
    return [
        *(_remove(seen, "its lease has another object") for seen in others),
        Finding(repair, lease.id, last.object_id, reason, why),
    ]


def _remove(seen: OwnObject, why: str) -> Finding:
    return Finding(Repair.REMOVE_OBJECT, seen.lease_id, seen.object_id, None, why)


def how_it_died(exit_code: int | None, *, out_of_memory: bool = False) -> Reason:
    """Return whether what ended without being asked ended in order, or crashed."""
    return Reason.ENDED_ITSELF if exit_code == 0 and not out_of_memory else Reason.CRASHED


def _end_reason(lease: Lease, *, died: bool) -> Reason | None:
    """Return why the lease ends.

    None keeps the reason that was written when its stop was asked for.
    """
    if lease.stop_requested_at is not None:
        return None
    if lease.answered_at is None:
        return Reason.START_FAILED
    return Reason.CRASHED if died else Reason.LOST
