"""Which objects of the engine are this hub's: what leases and warm servers were made as."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from ..rules.ownership import Labelled, Recorded, record_fault
from .batches import split_ids
from .database import Transaction
from .schema import leases, past_slots, warm_slots

#: How long a warm server that is gone is remembered: an engine may still make one it was asked for.
REMEMBERED = timedelta(days=30)


def list_object_ids(tx: Transaction, hub_id: str) -> dict[str, str]:
    """Return the object's id of each open lease and warm server of this hub that has one."""
    rows = tx.execute(
        select(leases.c.id, leases.c.object_id).where(
            leases.c.hub_id == hub_id, leases.c.ended_at.is_(None), leases.c.object_id.is_not(None)
        )
    ).all()
    waiting = tx.execute(
        select(warm_slots.c.id, warm_slots.c.object_id).where(
            warm_slots.c.hub_id == hub_id, warm_slots.c.object_id.is_not(None)
        )
    ).all()
    return {row.id: row.object_id for row in (*rows, *waiting)}


def find_strangers(tx: Transaction, hub_id: str, seen: Iterable[Labelled]) -> dict[str, str]:
    """Return those of these objects that are not this hub's: object id -> why.

    Objects of engines that give no names, like processes, are known otherwise.
    """
    named = [labelled for labelled in seen if labelled.name]
    known = _leases(tx, hub_id, named)
    slots = _slots(tx, hub_id, {labelled.slot for labelled in named if labelled.slot})
    return {
        labelled.object_id: why
        for labelled in named
        if (why := record_fault(labelled, known, slots))
    }


def _leases(tx: Transaction, hub_id: str, seen: list[Labelled]) -> dict[str, Recorded]:
    ids = {labelled.lease_id for labelled in seen if labelled.lease_id}
    slots = {labelled.slot for labelled in seen if labelled.slot}
    columns = (leases.c.id, leases.c.object_id, leases.c.warm_slot)
    known = {}
    for column, values in ((leases.c.id, ids), (leases.c.warm_slot, slots)):
        for part in split_ids(values):
            query = select(*columns).where(leases.c.hub_id == hub_id, column.in_(part))
            for row in tx.execute(query):
                known[row.id] = Recorded(row.object_id or "", row.warm_slot or "")
    return known


def _slots(tx: Transaction, hub_id: str, slots: set[str]) -> dict[str, str]:
    known: dict[str, str] = {}
    for table in (past_slots, warm_slots):
        for part in split_ids(slots):
            query = select(table.c.id, table.c.object_id).where(
                table.c.hub_id == hub_id, table.c.id.in_(part)
            )
            known |= {row.id: row.object_id or "" for row in tx.execute(query)}
    return known


def remember_slot(
    tx: Transaction, hub_id: str, slot_id: str, object_id: str | None, now: datetime
) -> None:
    """Keep what a warm server was made as, after it has lost its row."""
    tx.execute(delete(past_slots).where(past_slots.c.gone_at < now - REMEMBERED))
    there = select(past_slots.c.id).where(past_slots.c.id == slot_id)
    if tx.execute(there).first() is None:
        tx.execute(
            past_slots.insert().values(id=slot_id, hub_id=hub_id, object_id=object_id, gone_at=now)
        )
