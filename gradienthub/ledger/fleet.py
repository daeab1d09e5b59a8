"""What a hub declares: its hosts, devices and published settings."""

from datetime import datetime
from typing import TypedDict, cast

from sqlalchemy import delete, select

from ..settings import Settings
from .database import Transaction
from .schema import device_faults, device_holders, devices, hosts
from .schema import settings as settings_table


class DeviceRow(TypedDict):
    """A declared device with its holder (None: free), and what is wrong with it."""

    hub_id: str
    uuid: str
    host: str
    model: str
    out_of_service: bool
    declared_at: datetime
    holder_kind: str | None
    holder_id: str | None
    since: datetime | None
    taken_out_at: datetime | None
    fault: str | None


def publish(tx: Transaction, settings: Settings, now: datetime) -> bool:
    """Write the hub's settings, hosts and devices where they changed; whether they did."""
    digest = settings.digest()
    hub_id = settings.hub_id
    if read_digest(tx, hub_id) == digest:
        return False
    for table in (settings_table, hosts, devices):
        tx.execute(delete(table).where(table.c.hub_id == hub_id))
    tx.execute(
        settings_table.insert().values(
            hub_id=hub_id, body=settings.published(), digest=digest, published_at=now
        )
    )
    for host in settings.house.hosts:
        tx.execute(
            hosts.insert().values(
                hub_id=hub_id,
                name=host.name,
                cpus=host.cpus,
                memory=host.memory,
                groups=list(host.groups),
                declared_at=now,
            )
        )
        for device in host.devices:
            tx.execute(
                devices.insert().values(
                    hub_id=hub_id,
                    uuid=device.uuid,
                    host=host.name,
                    model=device.model,
                    out_of_service=device.out_of_service,
                    declared_at=now,
                )
            )
    return True


def read_digest(tx: Transaction, hub_id: str) -> str | None:
    """Return the digest of what the hub published last, or None before its first start."""
    return tx.execute(
        select(settings_table.c.digest).where(settings_table.c.hub_id == hub_id)
    ).scalar()


def read_published(tx: Transaction, hub_id: str) -> dict[str, object]:
    """Return what the hub published last, as JSON."""
    body: dict[str, object] = tx.execute(
        select(settings_table.c.body).where(settings_table.c.hub_id == hub_id)
    ).scalar_one()
    return body


def list_devices(tx: Transaction, hub_id: str) -> list[DeviceRow]:
    """List every declared device with its holder (None: free) and since when.

    `out_of_service`: by the configuration, or out of rent because its starts failed (`fault` says
    why).
    """
    rows = tx.execute(
        select(
            devices,
            device_holders.c.holder_kind,
            device_holders.c.holder_id,
            device_holders.c.since,
            device_faults.c.taken_out_at,
            device_faults.c.why.label("fault"),
        )
        .join(device_holders, device_holders.c.device_uuid == devices.c.uuid, isouter=True)
        .join(device_faults, device_faults.c.device_uuid == devices.c.uuid, isouter=True)
        .where(devices.c.hub_id == hub_id)
        .order_by(devices.c.host, devices.c.uuid)
    )
    return [
        cast(
            "DeviceRow",
            row._asdict() | {"out_of_service": row.out_of_service or row.taken_out_at is not None},
        )
        for row in rows
    ]
