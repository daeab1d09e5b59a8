"""Old volumes of an adopted hub, and the account that each belongs to for good."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select

from ..rules.action import Action
from . import audit
from .by import By
from .schema import accounts, adopted_volumes


def owner_of(tx: Connection, *, hub_id: str, volume: str) -> str | None:
    """Return the account that a volume belongs to, or None where nobody has it yet."""
    return tx.execute(
        select(adopted_volumes.c.account_id).where(
            adopted_volumes.c.hub_id == hub_id, adopted_volumes.c.volume == volume
        )
    ).scalar()


def of_account(
    tx: Connection, *, hub_id: str, account_id: str, folder: str, server_name: str | None
) -> list[str]:
    """List the account's volumes for this folder of the workspace, those bound by name last.

    `server_name` None: of all its notebooks.
    """
    query = select(adopted_volumes.c.volume).where(
        adopted_volumes.c.hub_id == hub_id,
        adopted_volumes.c.account_id == account_id,
        adopted_volumes.c.folder.in_([folder, ""]),
    )
    if server_name is not None:
        query = query.where(
            (adopted_volumes.c.server_name == server_name) | (adopted_volumes.c.folder == "")
        )
    query = query.order_by(adopted_volumes.c.folder.desc(), adopted_volumes.c.at)
    return list(tx.execute(query).scalars())


def bind(
    tx: Connection,
    *,
    hub_id: str,
    volume: str,
    account_id: str,
    by: str,
    now: datetime,
    folder: str = "",
    server_name: str = "",
) -> str:
    """Give a volume that is nobody's to an account; return whose it is, which may be another's.

    Safe to call twice. Only a binding that is made leaves an audit row.
    """
    owner = owner_of(tx, hub_id=hub_id, volume=volume)
    if owner is not None:
        return owner
    tx.execute(
        adopted_volumes.insert().values(
            hub_id=hub_id,
            volume=volume,
            account_id=account_id,
            folder=folder,
            server_name=server_name,
            by=by[:255],
            at=now,
        )
    )
    _record(tx, hub_id, account_id, by, Action.VOLUME_BOUND, volume, now)
    return account_id


def unbind(tx: Connection, *, hub_id: str, volume: str, by: str, now: datetime) -> bool:
    """Take a volume from its account; return whether somebody had it. Nothing in it changes."""
    owner = owner_of(tx, hub_id=hub_id, volume=volume)
    if owner is None:
        return False
    tx.execute(
        delete(adopted_volumes).where(
            adopted_volumes.c.hub_id == hub_id, adopted_volumes.c.volume == volume
        )
    )
    _record(tx, hub_id, owner, by, Action.VOLUME_UNBOUND, volume, now)
    return True


def note_refused(
    tx: Connection, *, hub_id: str, account_id: str, volume: str, why: str, now: datetime
) -> None:
    """Write down that a volume named like this person was not given to them."""
    audit.record(
        tx,
        By(hub_id, "hub", now),
        Action.VOLUME_REFUSED,
        account_id=account_id,
        detail={"volume": volume, "why": why},
    )


def all_of_hub(tx: Connection, hub_id: str) -> list[Mapping[str, Any]]:
    """List every binding with its account's name."""
    rows = tx.execute(
        select(adopted_volumes, accounts.c.name.label("account_name"))
        .join(accounts, accounts.c.id == adopted_volumes.c.account_id, isouter=True)
        .where(adopted_volumes.c.hub_id == hub_id)
        .order_by(adopted_volumes.c.volume)
    )
    return [dict(row._mapping) for row in rows]


def _record(
    tx: Connection,
    hub_id: str,
    account_id: str,
    by: str,
    action: Action,
    volume: str,
    now: datetime,
) -> None:
    audit.record(
        tx,
        By(hub_id, by, now),
        action,
        account_id=account_id,
        detail={"volume": volume},
    )
