"""The warm pool's decisions, each one transaction: what is there, what to add, what to let go."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from ..rules.phase import SlotState
from ..rules.warm import Fill, Pool, Slot, next_fill, surplus
from ..settings import Settings
from . import capacity, schema, warm_slots
from .database import Transaction


@dataclass(frozen=True)
class PoolState:
    """The pool as the ledger has it. `claimed`: slot -> the open lease that has it."""

    slots: tuple[Slot, ...]
    digests: Mapping[str, str]
    claimed: Mapping[str, str]
    paused: bool


def read_pool(tx: Transaction, hub_id: str) -> PoolState:
    """Return all warm servers of this hub."""
    servers = warm_slots.list_servers(tx, hub_id)
    return PoolState(
        slots=tuple(server.slot for server in servers),
        digests={server.slot.id: server.digest for server in servers},
        claimed=warm_slots.map_claims(tx, hub_id),
        paused=warm_slots.find_pause(tx, hub_id) is not None,
    )


def let_go_surplus(tx: Transaction, settings: Settings) -> None:
    """Withdraw the warm servers that no pool of the configuration wants any more."""
    paused = warm_slots.find_pause(tx, settings.hub_id) is not None
    warm_slots.let_go(
        tx, surplus(() if paused else settings.pools, warm_slots.list_slots(tx, settings.hub_id))
    )


def let_go(tx: Transaction, hub_id: str, slot_id: str) -> bool:
    """Withdraw this warm server from claims. Return False if somebody has claimed it."""
    warm_slots.let_go(tx, [slot_id])
    return slot_id not in warm_slots.map_claims(tx, hub_id)


def add(
    tx: Transaction,
    settings: Settings,
    pools: Mapping[Pool, str],
    slot_id: str,
    now: datetime,
) -> Slot | None:
    """Add one warm server beside what people have. Return None if none is lacking or fits.

    `pools` are those that can be filled now, each with its digest. The row is written and the
    devices are taken before the engine hears of it.
    """
    if warm_slots.find_pause(tx, settings.hub_id) is not None:
        return None
    there = warm_slots.list_slots(tx, settings.hub_id)
    catalog = settings.house.catalog
    fill = next_fill(
        pools,
        there,
        {t.name: t for t in catalog.instance_types},
        settings.house.hosts,
        capacity.read_taken(tx, settings).load,
        settings.warm_memory,
    )
    if fill is None:
        return None
    return _insert(tx, settings, fill, pools[fill.pool], slot_id, now)


def _insert(
    tx: Transaction, settings: Settings, fill: Fill, digest: str, slot_id: str, now: datetime
) -> Slot:
    catalog = settings.house.catalog
    machine = catalog.instance_type(fill.pool.instance_type)
    runtime = catalog.runtime(fill.pool.runtime)
    assert machine is not None
    assert runtime is not None
    slot = Slot(
        id=slot_id,
        host=fill.placement.host,
        instance_type=machine.name,
        runtime=runtime.name,
        image=runtime.image,
        devices=tuple(fill.placement.devices),
        cpus=machine.cpus,
        memory=machine.memory,
        state=SlotState.FILLING,
    )
    values = asdict(slot) | {"used": None, "devices": list(slot.devices)}
    tx.execute(
        schema.warm_slots.insert().values(
            **values, hub_id=settings.hub_id, digest=digest, created_at=now
        )
    )
    warm_slots.hold(tx, settings.hub_id, slot_id, slot.devices, now)
    return slot
