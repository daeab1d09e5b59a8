"""Notebooks: what a person owns, keyed by our own id and found by server name."""

import uuid
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select, update

from ..rules.notebook import title_of
from .database import Transaction
from .schema import notebooks


@dataclass(frozen=True)
class Notebook:
    """A notebook; `options` are the last admitted ones."""

    id: str
    account_id: str
    server_name: str
    display_name: str
    options: dict[str, object] | None

    @property
    def title(self) -> str:
        """Its name for people."""
        return title_of(self.display_name, self.server_name)


def notebook_of(
    tx: Transaction,
    *,
    hub_id: str,
    account_id: str,
    server_name: str,
    display_name: str,
    now: datetime,
) -> Notebook:
    """Return the account's notebook of that server name, made on first sight."""
    notebook = find(tx, account_id=account_id, server_name=server_name)
    if notebook is None:
        notebook = Notebook(str(uuid.uuid4()), account_id, server_name, display_name, None)
        tx.execute(
            notebooks.insert().values(
                id=notebook.id,
                hub_id=hub_id,
                account_id=account_id,
                server_name=server_name,
                display_name=display_name,
                created_at=now,
            )
        )
    elif display_name and display_name != notebook.display_name:
        tx.execute(
            update(notebooks).where(notebooks.c.id == notebook.id).values(display_name=display_name)
        )
        notebook = replace(notebook, display_name=display_name)
    return notebook


def find(tx: Transaction, *, account_id: str, server_name: str) -> Notebook | None:
    """Return the notebook that is not deleted, or None."""
    row = tx.execute(
        select(notebooks).where(
            notebooks.c.account_id == account_id,
            notebooks.c.server_name == server_name,
            notebooks.c.deleted_at.is_(None),
        )
    ).first()
    if row is None:
        return None
    return Notebook(row.id, row.account_id, row.server_name, row.display_name, row.options)


def rename(tx: Transaction, notebook_id: str, *, server_name: str) -> None:
    """Follow the hub's rename of a server; the notebook and its folder stay the same."""
    tx.execute(
        update(notebooks).where(notebooks.c.id == notebook_id).values(server_name=server_name)
    )


def retitle(tx: Transaction, *, account_id: str, server_name: str, display_name: str) -> None:
    """Give the notebook another name for people. Do nothing if it was never started."""
    tx.execute(
        update(notebooks)
        .where(
            notebooks.c.account_id == account_id,
            notebooks.c.server_name == server_name,
            notebooks.c.deleted_at.is_(None),
        )
        .values(display_name=display_name)
    )


def delete(tx: Transaction, *, account_id: str, server_name: str, now: datetime) -> None:
    """Mark as deleted; its folder is kept, and a later one of the same name starts empty."""
    tx.execute(
        update(notebooks)
        .where(
            notebooks.c.account_id == account_id,
            notebooks.c.server_name == server_name,
            notebooks.c.deleted_at.is_(None),
        )
        .values(deleted_at=now)
    )
