"""Capacity: what is held of the hosts now, by leases, warm servers and what runs outside."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Executable, or_, select

from ..rules.admission import OpenLease
from ..rules.lease import first_of
from ..rules.notebook import title_of
from ..rules.placement import Host, Load
from ..settings import Settings
from . import device_faults, outside, warm_slots
from .database import Transaction
from .schema import leases
from .schema import notebooks as notebook_table


def host_key(hub_id: str, host: Host) -> str:
    """Return the key under which a host's CPUs and memory are counted: for this hub alone, or for
    all that share it."""
    return f"shared/{host.shared_as}" if host.shared_as else f"{hub_id}/{host.name}"


@dataclass(frozen=True)
class Taken:
    """What open leases hold of these hosts. Warm servers make way, so that they hold nothing."""

    leases: tuple[OpenLease, ...]
    load: Load


def read_taken(tx: Transaction, settings: Settings) -> Taken:
    """Read what is held now of this hub's hosts, by whichever hub shares them."""
    names = {host_key(settings.hub_id, host): host.name for host in settings.house.hosts}
    rows = tx.execute(_open_leases(settings.hub_id, names)).all()
    open_leases = tuple(
        OpenLease(
            id=row.id,
            account_id=row.account_id,
            notebook_id=row.notebook_id,
            title=title_of(row.display_name, row.server_name),
            instance_type=row.instance_type,
            price=row.price,
            hard_end=first_of((row.stop_at, row.session_ends_at)),
            stopping=row.stop_requested_at is not None,
        )
        for row in rows
    )
    held = [(names[row.host_key], row.cpus, row.memory) for row in rows if row.host_key in names]
    return Taken(open_leases, _load(tx, settings.hub_id, names, held))


def _open_leases(hub_id: str, host_keys: Iterable[str]) -> Executable:
    """Select the open leases of these hosts, and all of this hub."""
    return (
        select(
            leases.c.id,
            leases.c.account_id,
            leases.c.notebook_id,
            leases.c.instance_type,
            leases.c.price,
            leases.c.host_key,
            leases.c.cpus,
            leases.c.memory,
            leases.c.stop_at,
            leases.c.session_ends_at,
            leases.c.stop_requested_at,
            notebook_table.c.display_name,
            notebook_table.c.server_name,
        )
        .join(notebook_table, notebook_table.c.id == leases.c.notebook_id)
        # An open lease of this hub counts for its owner's cap even where its host is gone from
        # the configuration.
        .where(
            leases.c.ended_at.is_(None),
            or_(leases.c.host_key.in_(list(host_keys)), leases.c.hub_id == hub_id),
        )
        # The oldest first, so that a refusal names them in the same order to everybody.
        .order_by(leases.c.admitted_at, leases.c.id)
    )


def _load(
    tx: Transaction,
    hub_id: str,
    names: Mapping[str, str],
    held: Iterable[tuple[str, float, float]],
) -> Load:
    """Add up what leases hold, as (host, CPUs, memory), and what else does."""
    beside = [(names[key], cpus, memory) for key, cpus, memory in outside.sum_load(tx, names)]
    cpus: dict[str, float] = {}
    memory: dict[str, float] = {}
    for host, its_cpus, its_memory in (*held, *beside):
        cpus[host] = cpus.get(host, 0) + its_cpus
        memory[host] = memory.get(host, 0) + its_memory
    held_devices, warm_devices = warm_slots.held_devices(tx, hub_id)
    return Load(
        cpus=cpus,
        memory=memory,
        held_devices=held_devices,
        warm_devices=warm_devices,
        faulty_devices=device_faults.list_out_of_rent(tx),
    )
