"""Servers that run without a lease, and the devices that nobody else may have meanwhile."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, select

from ..rules.outside import Placed
from .schema import device_holders, outside_servers

OUTSIDE = "outside"
#: As long as a holder's id in the ledger; an engine's ids are longer.
LONGEST_ID = 36


def replace(
    tx: Connection,
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
    rows = {one.seen.object_id[:128]: one for one in placed}
    tx.execute(delete(outside_servers).where(outside_servers.c.hub_id == hub_id))
    mine = (device_holders.c.hub_id == hub_id) & (device_holders.c.holder_kind == OUTSIDE)
    before = {row.device_uuid: row for row in tx.execute(select(device_holders).where(mine))}
    tx.execute(delete(device_holders).where(mine))
    held = set(tx.execute(select(device_holders.c.device_uuid)).scalars())
    for object_id, one in rows.items():
        tx.execute(
            outside_servers.insert().values(
                hub_id=hub_id,
                object_id=object_id,
                name=one.seen.name[:255],
                user_name=one.seen.user[:255],
                server_name=one.seen.server[:255],
                host=one.host.name,
                host_key=host_keys[one.host.name],
                cpus=one.seen.cpus,
                memory=one.seen.memory,
                devices=list(one.devices),
                began_at=one.seen.began_at,
                seen_at=now,
            )
        )
        for device in set(one.devices) - held:
            held.add(device)
            known = before.get(device)
            tx.execute(
                device_holders.insert().values(
                    device_uuid=device,
                    hub_id=hub_id,
                    holder_kind=OUTSIDE,
                    holder_id=object_id[:LONGEST_ID],
                    since=known.since if known else now,
                )
            )


def of_hub(tx: Connection, hub_id: str) -> list[Mapping[str, Any]]:
    """List what runs outside, by name."""
    rows = tx.execute(
        select(outside_servers)
        .where(outside_servers.c.hub_id == hub_id)
        .order_by(outside_servers.c.name)
    )
    return [dict(row._mapping) for row in rows]


def load(tx: Connection, host_keys: Iterable[str]) -> list[tuple[str, float, float]]:
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
