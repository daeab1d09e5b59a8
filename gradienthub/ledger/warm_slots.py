"""Rows of warm servers. `warm_pool.py` decides over the pool, `admissions.py` admits past them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, select, update

from ..rules.lease import Claim
from ..rules.phase import SlotState, may_turn
from ..rules.warm import Slot
from . import objects
from .by import By
from .database import Transaction
from .schema import device_holders, leases, warm_pauses, warm_slots

WARM = "warm"
#: How far back people are told which starts had a warm server.
LOOK_BACK = timedelta(days=1)


@dataclass(frozen=True)
class WarmServer:
    """A row of a warm server: the slot that rules see, what it was made of, and since when."""

    slot: Slot
    digest: str
    created_at: datetime
    ready_at: datetime | None

    @property
    def since(self) -> datetime:
        """When it was ready, or else begun."""
        return self.ready_at or self.created_at


def list_slots(tx: Transaction, hub_id: str) -> list[Slot]:
    """List this hub's warm servers, also those on their way and those to be destroyed, oldest
    first."""
    return [server.slot for server in list_servers(tx, hub_id)]


def list_servers(tx: Transaction, hub_id: str) -> list[WarmServer]:
    """List this hub's warm servers as `list_slots` does, with what only the ledger has of them."""
    rows = tx.execute(
        select(warm_slots)
        .where(warm_slots.c.hub_id == hub_id)
        .order_by(warm_slots.c.created_at, warm_slots.c.id)
    )
    return [
        WarmServer(
            slot=Slot(
                id=row.id,
                host=row.host,
                instance_type=row.instance_type,
                runtime=row.runtime,
                image=row.image,
                devices=tuple(row.devices),
                cpus=row.cpus,
                memory=row.memory,
                state=_state_of(row.state),
                used=row.used or 0,
            ),
            digest=row.digest,
            created_at=row.created_at,
            ready_at=row.ready_at,
        )
        for row in rows
    ]


def _state_of(word: str) -> SlotState:
    """Return the state of that word; nobody may claim what another version calls otherwise."""
    return SlotState(word) if word in list(SlotState) else SlotState.LEAVING


def held_devices(tx: Transaction, hub_id: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return (devices that nobody may have now, devices on which a warm server of this hub waits).

    Another hub's warm server counts as held: only its own hub can destroy it.
    """
    rows = tx.execute(
        select(device_holders.c.device_uuid, device_holders.c.hub_id, device_holders.c.holder_kind)
    ).all()
    warm = frozenset(
        row.device_uuid for row in rows if row.holder_kind == WARM and row.hub_id == hub_id
    )
    return frozenset(row.device_uuid for row in rows) - warm, warm


def claim(tx: Transaction, slot_id: str) -> Claim:
    """Give this warm server to a start, whose lease names it from now on: its row goes."""
    row = tx.execute(select(warm_slots).where(warm_slots.c.id == slot_id)).one()
    tx.execute(delete(device_holders).where(device_holders.c.holder_id == slot_id))
    tx.execute(delete(warm_slots).where(warm_slots.c.id == slot_id))
    return Claim(row.id, row.object_id, row.address, row.digest, row.ready_at)


def evict(tx: Transaction, slot_ids: Iterable[str], lease_id: str) -> None:
    """Free the devices of these warm servers for this start, which waits until they are gone."""
    ids = list(slot_ids)
    if not ids:
        return
    tx.execute(
        update(warm_slots)
        .where(warm_slots.c.id.in_(ids))
        .values(state=SlotState.LEAVING, lease_id=lease_id)
    )
    tx.execute(delete(device_holders).where(device_holders.c.holder_id.in_(ids)))


def take_back(tx: Transaction, lease_id: str, now: datetime) -> None:
    """Give warm servers their devices back, after a start that they were in the way of has
    ended."""
    rows = tx.execute(select(warm_slots).where(warm_slots.c.lease_id == lease_id)).all()
    for row in rows:
        hold(tx, row.hub_id, row.id, row.devices, now)
    if rows:
        tx.execute(
            update(warm_slots).where(warm_slots.c.lease_id == lease_id).values(lease_id=None)
        )


def hold(tx: Transaction, hub_id: str, slot_id: str, devices: Iterable[str], now: datetime) -> None:
    """Make the warm server the holder of these devices."""
    for device in devices:
        tx.execute(
            device_holders.insert().values(
                device_uuid=device, hub_id=hub_id, holder_kind=WARM, holder_id=slot_id, since=now
            )
        )


def remove_slot(tx: Transaction, slot_id: str, now: datetime) -> None:
    """Delete the row and what it held, once the engine says that the warm server is gone.

    Safe to call twice.
    """
    row = tx.execute(
        select(warm_slots.c.hub_id, warm_slots.c.object_id).where(warm_slots.c.id == slot_id)
    ).first()
    if row is not None:
        objects.remember_slot(tx, row.hub_id, slot_id, row.object_id, now)
    tx.execute(delete(device_holders).where(device_holders.c.holder_id == slot_id))
    tx.execute(delete(warm_slots).where(warm_slots.c.id == slot_id))


def let_go(tx: Transaction, slot_ids: Iterable[str]) -> None:
    """Withdraw these warm servers from claims. They keep their devices until they are gone."""
    tx.execute(
        update(warm_slots)
        .where(warm_slots.c.id.in_(list(slot_ids)))
        .values(state=SlotState.LEAVING)
    )


def _may_turn(state: SlotState) -> ColumnElement[bool]:
    return warm_slots.c.state.not_in(
        [before for before in SlotState if not may_turn(before, state)]
    )


def note_ready(
    tx: Transaction, slot_id: str, *, object_id: str, address: str, used: int, now: datetime
) -> bool:
    """Record that the warm server waits and may be claimed.

    Return False if it was withdrawn meanwhile.
    """
    return bool(
        tx.execute(
            update(warm_slots)
            .where(warm_slots.c.id == slot_id, _may_turn(SlotState.READY))
            .values(
                state=SlotState.READY, object_id=object_id, address=address, used=used, ready_at=now
            )
        ).rowcount
    )


def note_spoiled(tx: Transaction, lease_id: str, now: datetime) -> None:
    """Record that the claim failed and the warm server is destroyed: the lease starts cold."""
    row = tx.execute(
        select(leases.c.warm_slot, leases.c.hub_id, leases.c.object_id).where(
            leases.c.id == lease_id, leases.c.warm_slot.is_not(None)
        )
    ).first()
    if row is not None:
        objects.remember_slot(tx, row.hub_id, row.warm_slot, row.object_id, now)
    tx.execute(update(leases).where(leases.c.id == lease_id).values(warm_slot=None, object_id=None))


def map_claims(tx: Transaction, hub_id: str) -> dict[str, str]:
    """Map each warm server that somebody has to its open lease."""
    rows = tx.execute(
        select(leases.c.warm_slot, leases.c.id).where(
            leases.c.hub_id == hub_id, leases.c.ended_at.is_(None), leases.c.warm_slot.is_not(None)
        )
    )
    return {row.warm_slot: row.id for row in rows}


def pause(tx: Transaction, by: By) -> None:
    """Let no warm server be filled from now on, and none that waits be claimed."""
    tx.execute(
        update(warm_slots).where(warm_slots.c.hub_id == by.hub_id).values(state=SlotState.LEAVING)
    )
    if find_pause(tx, by.hub_id) is None:
        tx.execute(
            warm_pauses.insert().values(hub_id=by.hub_id, paused_by=by.actor, paused_at=by.now)
        )


def resume(tx: Transaction, hub_id: str) -> bool:
    """Fill the pool again; whether it was paused."""
    return bool(tx.execute(delete(warm_pauses).where(warm_pauses.c.hub_id == hub_id)).rowcount)


def find_pause(tx: Transaction, hub_id: str) -> tuple[str, datetime] | None:
    """Return (who paused it, since when), or None."""
    row = tx.execute(select(warm_pauses).where(warm_pauses.c.hub_id == hub_id)).first()
    return (row.paused_by, row.paused_at) if row else None


@dataclass(frozen=True)
class Overview:
    """The pool as people are shown it: `hits` of `starts` in the last day had a warm server.

    `paused` is (who, since when), or None where the pool is filled.
    """

    servers: tuple[WarmServer, ...]
    hits: int
    starts: int
    paused: tuple[str, datetime] | None


def read_overview(tx: Transaction, hub_id: str, now: datetime) -> Overview:
    """Return this hub's warm servers, oldest first, and how many starts used one."""
    hits, starts = warm_starts(tx, hub_id, now - LOOK_BACK)
    return Overview(tuple(list_servers(tx, hub_id)), hits, starts, find_pause(tx, hub_id))


def warm_starts(tx: Transaction, hub_id: str, since: datetime) -> tuple[int, int]:
    """Return (starts that claimed a warm server, all that answered) since that moment."""
    row = tx.execute(
        select(func.count(leases.c.warm_slot), func.count()).where(
            leases.c.hub_id == hub_id, leases.c.answered_at >= since
        )
    ).one()
    return int(row[0]), int(row[1])
