"""Leases: followed through their life, from their admission (admissions.py), and ended once."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    Column,
    ColumnElement,
    Executable,
    ScalarSelect,
    delete,
    func,
    select,
    update,
)

from ..rules import drift
from ..rules.action import Action
from ..rules.idleness import Reason
from ..rules.lease import Lease
from ..rules.phase import Phase, may_follow
from . import (
    audit,
    charges,
    device_faults,
    holds,
    servers,
    warm_slots,
)
from .by import By
from .database import Transaction
from .lease_rows import last_lease, lease_from, lease_query, leases_from
from .schema import device_holders, leases, watches
from .schema import notebooks as notebook_table

#: Starts that "usual time" looks at: enough for a median, few enough to follow a change.
USUAL_OF = 30


@dataclass(frozen=True)
class Corpse:
    """What a dead container told before it was removed."""

    exit_code: int | None = None
    out_of_memory: bool = False
    last_words: str = ""


def note_phase(
    tx: Transaction,
    lease_id: str,
    phase: Phase,
    now: datetime,
    object_name: str | None = None,
    object_id: str | None = None,
) -> bool:
    """Write down how far a start has come, before the step; once more changes no moment.

    Return False where the lease may not take it, and whoever starts has to give up: it was ended or
    asked to stop meanwhile, or `rules/phase.py` has no such step.
    """
    values: dict[str, object] = {}
    if object_name is not None:
        values["object_name"] = object_name
    if object_id is not None:
        values["object_id"] = object_id
    if phase is Phase.TURN:
        values["turn_at"] = func.coalesce(leases.c.turn_at, now)
    if phase is Phase.ANSWERING:
        values["started_at"] = func.coalesce(leases.c.started_at, now)
    return _take_step(tx, lease_id, phase, now, values)


def note_answered(tx: Transaction, lease_id: str, now: datetime) -> bool:
    """Write down that the server answered our own probe: the meter runs from here.

    The first answer counts. Return False where the lease may not run, as `note_phase` does.
    """
    device_faults.forgive(tx, lease_id)
    first = _take_step(
        tx,
        lease_id,
        Phase.ANSWERED,
        now,
        {"answered_at": now},
        leases.c.answered_at.is_(None),
    )
    if first:
        holds.begin(tx, lease_id, now)
    return first or _is_answered(tx, lease_id)


def _is_answered(tx: Transaction, lease_id: str) -> bool:
    query = select(leases.c.id).where(
        leases.c.id == lease_id,
        leases.c.answered_at.is_not(None),
        leases.c.stop_requested_at.is_(None),
        leases.c.ended_at.is_(None),
    )
    return tx.execute(query).first() is not None


def note_confirmed(tx: Transaction, lease_id: str, now: datetime) -> bool:
    """Write down that the hub calls it ready. Return False where it was, or may not run."""
    return _take_step(
        tx,
        lease_id,
        Phase.RUNNING,
        now,
        {"confirmed_at": now},
        leases.c.confirmed_at.is_(None),
    )


def note_stop(tx: Transaction, lease_id: str, reason: Reason, by: By, note: str = "") -> bool:
    """Record that a stop is asked for: billing ends here, and is charged. Only the first request
    counts.

    `note` is what its owner reads of whoever stops it.
    """
    first = _take_step(
        tx,
        lease_id,
        Phase.STOPPING,
        by.now,
        {
            "stop_requested_at": by.now,
            "reason": reason.value,
            "stopped_by": by.actor,
            "stop_note": note[:400] or None,
        },
        leases.c.stop_requested_at.is_(None),
    )
    if first:
        account_id = tx.execute(
            select(leases.c.account_id).where(leases.c.id == lease_id)
        ).scalar_one()
        detail = {"lease": lease_id, "reason": reason.value} | ({"note": note} if note else {})
        audit.record(tx, by, Action.STOP, account_id=account_id, detail=detail)
        charges.settle(tx, lease_id, by.now)
    return first


def end(
    tx: Transaction,
    lease_id: str,
    now: datetime,
    reason: Reason | None,
    corpse: Corpse | None = None,
) -> bool:
    """End the lease once the engine says gone: free the devices, charge what is not yet charged.

    Safe to call twice.

    `reason` counts only where no stop was asked for before. False if it was ended already.
    """
    corpse = corpse or Corpse()
    if reason is Reason.CRASHED:
        reason = drift.how_it_died(corpse.exit_code, out_of_memory=corpse.out_of_memory)
    ended = _take_step(
        tx,
        lease_id,
        Phase.ENDED,
        now,
        {
            "ended_at": now,
            "reason": func.coalesce(leases.c.reason, reason.value if reason else Reason.LOST.value),
            "exit_code": corpse.exit_code,
            "out_of_memory": corpse.out_of_memory,
            # A zero byte is no text to PostgreSQL, and a lease must end whatever its log said.
            "last_words": corpse.last_words.replace("\0", "\N{REPLACEMENT CHARACTER}")[-4000:],
            "used_at": _last_use(watches.c.used_at, lease_id),
            "used_by": _last_use(watches.c.used_by, lease_id),
        },
    )
    tx.execute(delete(watches).where(watches.c.lease_id == lease_id))
    tx.execute(delete(device_holders).where(device_holders.c.holder_id == lease_id))
    charges.settle(tx, lease_id, now)
    warm_slots.take_back(tx, lease_id, now)
    return ended


def _last_use(column: Column[object], lease_id: str) -> ScalarSelect[object]:
    return select(column).where(watches.c.lease_id == lease_id).scalar_subquery()


def _take_step(
    tx: Transaction,
    lease_id: str,
    phase: Phase,
    now: datetime,
    values: dict[str, object],
    *conditions: ColumnElement[bool],
) -> bool:
    """Write a step of an open lease and what comes with it. False where it may not take it.

    In the statement itself, so that a stop that is written meanwhile is not written over. A word
    for a phase that this version does not know keeps no lease from going on, or from its end.
    """
    others = [before for before in Phase if not may_follow(before, phase)]
    return bool(
        tx.execute(
            update(leases)
            .where(
                leases.c.id == lease_id,
                leases.c.ended_at.is_(None),
                leases.c.phase.not_in(others),
                *conditions,
            )
            .values(phase=phase, phase_at=now, **values)
        ).rowcount
    )


def list_open_and_surviving(tx: Transaction, hub_id: str) -> tuple[list[Lease], frozenset[str]]:
    """Return this hub's open leases, and which of them go on although it has no server for them.

    Without their devices and gaps.
    """
    query = lease_query().where(leases.c.hub_id == hub_id, leases.c.ended_at.is_(None))
    return [lease_from(row) for row in tx.execute(query)], servers.list_surviving_leases(tx, hub_id)


def find_ended(tx: Transaction, lease_ids: Iterable[str]) -> frozenset[str]:
    """Return which of these leases are ended. One that is not in the ledger is not."""
    ended = select(leases.c.id).where(
        leases.c.id.in_(list(lease_ids)), leases.c.ended_at.is_not(None)
    )
    return frozenset(tx.execute(ended).scalars())


def find_open(tx: Transaction, *, account_id: str, server_name: str) -> str | None:
    """Return the open lease of the account's notebook, or None."""
    return tx.execute(
        select(leases.c.id)
        .join(notebook_table, notebook_table.c.id == leases.c.notebook_id)
        .where(
            leases.c.ended_at.is_(None),
            notebook_table.c.account_id == account_id,
            notebook_table.c.server_name == server_name,
            notebook_table.c.deleted_at.is_(None),
        )
    ).scalar()


def describe(tx: Transaction, lease_id: str) -> Lease | None:
    """Return the lease of that id, or None."""
    return _first_lease(tx, lease_query().where(leases.c.id == lease_id))


def find_last(tx: Transaction, *, account_id: str, server_name: str) -> Lease | None:
    """Return the newest lease of a notebook, open or ended."""
    return _first_lease(tx, last_lease(lease_query(), account_id, server_name))


def list_open_leases(tx: Transaction, hub_id: str) -> list[Lease]:
    """List every open lease of this hub, oldest first."""
    query = lease_query().where(leases.c.hub_id == hub_id, leases.c.ended_at.is_(None))
    return leases_from(tx, tx.execute(query.order_by(leases.c.admitted_at)).all())


def _first_lease(tx: Transaction, query: Executable) -> Lease | None:
    row = tx.execute(query).first()
    return leases_from(tx, [row])[0] if row else None


@dataclass(frozen=True)
class Usual:
    """How long starts like this took lately, from admission to the first answer."""

    median: timedelta
    nine_of_ten: timedelta
    count: int


def compute_usual_start(
    tx: Transaction, *, hub_id: str, runtime: str | None, image: str | None, warm: bool = False
) -> Usual | None:
    """Return the usual start time of a runtime or custom image at this hub, or None without
    history.

    `warm`: of those starts that claimed a warm server, else of those that did not.
    """
    rows = tx.execute(
        select(leases.c.turn_at, leases.c.admitted_at, leases.c.answered_at)
        .where(
            leases.c.hub_id == hub_id,
            leases.c.runtime == runtime if runtime else leases.c.image == image,
            leases.c.answered_at.is_not(None),
            leases.c.warm_slot.is_not(None) if warm else leases.c.warm_slot.is_(None),
        )
        .order_by(leases.c.answered_at.desc())
        .limit(USUAL_OF)
    ).all()
    if not rows:
        return None
    spans = sorted(row.answered_at - (row.turn_at or row.admitted_at) for row in rows)
    return Usual(
        spans[len(spans) // 2], spans[min(len(spans) - 1, len(spans) * 9 // 10)], len(spans)
    )


def count_starts_before(tx: Transaction, lease_id: str) -> int:
    """Return how many starts on the same host are before this one and have no turn yet; 0
    is next."""
    row = tx.execute(
        select(leases.c.host_key, leases.c.turn_at, leases.c.admitted_at).where(
            leases.c.id == lease_id
        )
    ).first()
    if row is None or row.turn_at is not None:
        return 0
    return tx.execute(
        select(func.count())
        .select_from(leases)
        .where(
            leases.c.host_key == row.host_key,
            leases.c.ended_at.is_(None),
            leases.c.turn_at.is_(None),
            leases.c.stop_requested_at.is_(None),
            leases.c.admitted_at < row.admitted_at,
        )
    ).scalar_one()
