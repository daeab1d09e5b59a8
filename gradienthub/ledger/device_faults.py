"""Devices that fail: how often in a row, and which are out of rent until they are put back."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, select, update

from ..rules.action import Action
from ..rules.device_faults import FAILURES
from ..rules.refusal import shown
from . import audit
from .by import By
from .database import Transaction
from .findings import NewFinding
from .schema import device_faults, devices, lease_devices


def note(tx: Transaction, by: By, uuids: Iterable[str], why: str) -> tuple[str, ...]:
    """Count a failed start for each of these devices; return those that are out of rent by it."""
    out = []
    for uuid in uuids:
        row = tx.execute(select(device_faults).where(device_faults.c.device_uuid == uuid)).first()
        failures = (row.failures if row else 0) + 1
        taken_out_at = row.taken_out_at if row else None
        if taken_out_at is None and failures >= FAILURES:
            taken_out_at = by.now
            out.append(uuid)
            _record(tx, by, Action.DEVICE_OUT, uuid, why)
        _put(tx, by, uuid, failures, taken_out_at, why)
    return tuple(out)


def take_out(tx: Transaction, by: By, uuid: str, why: str) -> bool:
    """Take a declared device out of rent by hand. False where it is not declared."""
    if not _is_declared(tx, by.hub_id, uuid):
        return False
    _put(tx, by, uuid, FAILURES, by.now, why)
    _record(tx, by, Action.DEVICE_OUT, uuid, why)
    return True


def put_back(tx: Transaction, by: By, uuid: str) -> bool:
    """Put a device back into rent, with nothing counted against it. False where it is not out."""
    deleted = tx.execute(
        delete(device_faults).where(
            device_faults.c.device_uuid == uuid, device_faults.c.taken_out_at.is_not(None)
        )
    ).rowcount
    if deleted:
        _record(tx, by, Action.DEVICE_BACK, uuid)
    return bool(deleted)


def forgive(tx: Transaction, lease_id: str) -> None:
    """Forget the failures counted against these devices, because a start on them answered."""
    of_lease = select(lease_devices.c.device_uuid).where(lease_devices.c.lease_id == lease_id)
    tx.execute(
        delete(device_faults).where(
            device_faults.c.device_uuid.in_(of_lease), device_faults.c.taken_out_at.is_(None)
        )
    )


def list_out_of_rent(tx: Transaction) -> frozenset[str]:
    """Return the devices that nobody is given, of any hub: hubs may share a machine."""
    return frozenset(
        tx.execute(
            select(device_faults.c.device_uuid).where(device_faults.c.taken_out_at.is_not(None))
        ).scalars()
    )


def find_faults(tx: Transaction, hub_id: str) -> list[NewFinding]:
    """Return what an administrator is told of this hub's devices that are out of rent."""
    rows = tx.execute(
        select(device_faults, devices.c.host, devices.c.model)
        .join(devices, devices.c.uuid == device_faults.c.device_uuid)
        .where(devices.c.hub_id == hub_id, device_faults.c.taken_out_at.is_not(None))
    )
    return [
        NewFinding(
            f"device/{row.device_uuid}",
            "device_out",
            f"{row.model} {row.device_uuid} of {row.host} is out of rent since"
            f" {row.taken_out_at:%Y-%m-%d %H:%M} UTC: {shown(row.why, 160)}.",
            f"Look at the device, then `gradienthub devices --put-back {row.device_uuid}`.",
        )
        for row in rows
    ]


def _put(
    tx: Transaction, by: By, uuid: str, failures: int, taken_out_at: datetime | None, why: str
) -> None:
    values = {
        "hub_id": by.hub_id,
        "failures": failures,
        "taken_out_at": taken_out_at,
        "why": why[:400],
        "last_at": by.now,
    }
    there = tx.execute(
        update(device_faults).where(device_faults.c.device_uuid == uuid).values(**values)
    ).rowcount
    if not there:
        tx.execute(device_faults.insert().values(device_uuid=uuid, **values))


def _is_declared(tx: Transaction, hub_id: str, uuid: str) -> bool:
    return (
        tx.execute(
            select(devices.c.uuid).where(devices.c.hub_id == hub_id, devices.c.uuid == uuid)
        ).first()
        is not None
    )


def _record(tx: Transaction, by: By, action: Action, uuid: str, why: str = "") -> None:
    detail = {"device": uuid} | ({"why": why[:400]} if why else {})
    audit.record(tx, by, action, detail=detail)
