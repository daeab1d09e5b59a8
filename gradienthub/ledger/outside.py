"""Servers that run without a lease, and the devices that nobody else may have meanwhile."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypedDict, cast

from sqlalchemy import delete, func, select

from ..rules.outside import Placed
from .database import Transaction
from .schema import device_holders, outside_servers

OUTSIDE = "outside"
#: As long as a holder's id in the ledger; an engine's ids are longer.
LONGEST_ID = 36


def replace(
    tx: Transaction,
    *,
    hub_id: str,
    placed: Iterable[Placed],
    host_keys: Mapping[str, str],
    now: datetime,
) -> None:
    """Write all that run outside now. What is not among them has ended, and its devices are free.

    `host_keys` are where each host's CPUs and memory are counted, by its name.

    A device that a lease holds stays the lease's.
    """
    servers = {server.seen.object_id[:128]: server for server in placed}
    tx.execute(delete(outside_servers).where(outside_servers.c.hub_id == hub_id))
    for object_id, server in servers.items():
        tx.execute(
            outside_servers.insert().values(
                hub_id=hub_id,
                object_id=object_id,
                name=server.seen.name[:255],
                user_name=server.seen.user[:255],
                server_name=server.seen.server[:255],
                host=server.host.name,
                host_key=host_keys[server.host.name],
                cpus=server.seen.cpus,
                memory=server.seen.memory,
                devices=list(server.devices),
                began_at=server.seen.began_at,
                seen_at=now,
            )
        )
    _hold_devices(tx, hub_id, servers, now)


def _hold_devices(
    tx: Transaction, hub_id: str, servers: Mapping[str, Placed], now: datetime
) -> None:
    """Make these servers, by their objects, the holders of their devices, and of no others."""
    held_outside = (device_holders.c.hub_id == hub_id) & (device_holders.c.holder_kind == OUTSIDE)
    since = {
        row.device_uuid: row.since
        for row in tx.execute(
            select(device_holders.c.device_uuid, device_holders.c.since).where(held_outside)
        )
    }
    tx.execute(delete(device_holders).where(held_outside))
    held = set(tx.execute(select(device_holders.c.device_uuid)).scalars())
    for object_id, server in servers.items():
        for device in set(server.devices) - held:
            held.add(device)
            tx.execute(
                device_holders.insert().values(
                    device_uuid=device,
                    hub_id=hub_id,
                    holder_kind=OUTSIDE,
                    holder_id=object_id[:LONGEST_ID],
                    since=since.get(device, now),
                )
            )


class OutsideRow(TypedDict):
    """A server that runs outside, as it is listed; memory is GB."""

    hub_id: str
    object_id: str
    name: str
    user_name: str
    server_name: str
    host: str
    host_key: str
    cpus: float
    memory: float
    devices: list[str]
    began_at: datetime | None
    seen_at: datetime


def list_outside(tx: Transaction, hub_id: str) -> list[OutsideRow]:
    """List what runs outside, by name."""
    rows = tx.execute(
        select(outside_servers)
        .where(outside_servers.c.hub_id == hub_id)
        .order_by(outside_servers.c.name)
    )
    return [cast("OutsideRow", row._asdict()) for row in rows]


def sum_load(tx: Transaction, host_keys: Iterable[str]) -> list[tuple[str, float, float]]:
    """Sum (host key, CPUs, memory in GB) of what runs outside on these hosts, by any hub."""
    rows = tx.execute(
        select(
            outside_servers.c.host_key,
            func.sum(outside_servers.c.cpus),
            func.sum(outside_servers.c.memory),
        )
        .where(outside_servers.c.host_key.in_(list(host_keys)))
        .group_by(outside_servers.c.host_key)
    )
    return [(row[0], float(row[1]), float(row[2])) for row in rows]
