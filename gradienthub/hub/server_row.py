"""Read the hub's own row of a server: what it is called, and when the hub saw it used."""

from datetime import UTC, datetime
from typing import Any

from ..rules.notebook import UNNAMED, title_of


def title_of_row(row: Any) -> str:
    """Return what people call the notebook of a server's row."""
    return title_of(row.display_name, row.name)


def titles_of(user: Any) -> dict[str, str]:
    """Return what a user's notebooks are called, by server name.

    The notebook without a name is among them before it is first started: its title is its own.
    """
    return {"": UNNAMED} | {row.name: title_of_row(row) for row in user.orm_spawners.values()}


def active_at(row: Any) -> datetime | None:
    """Return when the hub itself saw a server used last; the hub's times are naive UTC."""
    return row.last_activity.replace(tzinfo=UTC) if row.last_activity else None
