"""Old volumes of an adopted hub, and the account that each belongs to for good."""

from sqlalchemy import delete, select

from ..rules.action import Action
from . import audit
from .by import By
from .database import Transaction
from .schema import accounts, adopted_volumes


def find_owner(tx: Transaction, *, hub_id: str, volume: str) -> str | None:
    """Return the account that a volume belongs to, or None where nobody has it yet."""
    return tx.execute(
        select(adopted_volumes.c.account_id).where(
            adopted_volumes.c.hub_id == hub_id, adopted_volumes.c.volume == volume
        )
    ).scalar()


def list_volumes(
    tx: Transaction, *, hub_id: str, account_id: str, folder: str, server_name: str | None
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
    tx: Transaction,
    by: By,
    volume: str,
    account_id: str,
    *,
    folder: str = "",
    server_name: str = "",
) -> str:
    """Give a volume that is nobody's to an account; return whose it is, which may be another's.

    Safe to call twice. Only a binding that is made leaves an audit row.
    """
    owner = find_owner(tx, hub_id=by.hub_id, volume=volume)
    if owner is not None:
        return owner
    tx.execute(
        adopted_volumes.insert().values(
            hub_id=by.hub_id,
            volume=volume,
            account_id=account_id,
            folder=folder,
            server_name=server_name,
            by=by.actor,
            at=by.now,
        )
    )
    audit.record(tx, by, Action.VOLUME_BOUND, account_id=account_id, detail={"volume": volume})
    return account_id


def unbind(tx: Transaction, by: By, volume: str) -> bool:
    """Take a volume from its account; return whether somebody had it. Nothing in it changes."""
    owner = find_owner(tx, hub_id=by.hub_id, volume=volume)
    if owner is None:
        return False
    tx.execute(
        delete(adopted_volumes).where(
            adopted_volumes.c.hub_id == by.hub_id, adopted_volumes.c.volume == volume
        )
    )
    audit.record(tx, by, Action.VOLUME_UNBOUND, account_id=owner, detail={"volume": volume})
    return True


def note_refused(tx: Transaction, by: By, volume: str, account_id: str, why: str) -> None:
    """Write down that a volume named like this person was not given to them."""
    detail = {"volume": volume, "why": why}
    audit.record(tx, by, Action.VOLUME_REFUSED, account_id=account_id, detail=detail)


def list_owners(tx: Transaction, hub_id: str) -> dict[str, str | None]:
    """Return the account's name of each bound volume; None for an account that is gone."""
    rows = tx.execute(
        select(adopted_volumes.c.volume, accounts.c.name)
        .join(accounts, accounts.c.id == adopted_volumes.c.account_id, isouter=True)
        .where(adopted_volumes.c.hub_id == hub_id)
        .order_by(adopted_volumes.c.volume)
    )
    return {row.volume: row.name for row in rows}
