"""Read what the hub itself knows of its servers: which there are, their names, their last use."""

from datetime import UTC, datetime

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from jupyterhub.user import User

from ..rules.notebook import UNNAMED, title_of
from ..spawners.base import GradientSpawner


def list_servers(app: JupyterHub) -> list[GradientSpawner]:
    """List our servers that this hub process has loaded."""
    return [
        spawner
        for user in list(app.users.values())
        for spawner in list(user.spawners.values())
        if isinstance(spawner, GradientSpawner)
    ]


def title_of_row(row: orm.Spawner) -> str:
    """Return what people call the notebook of a server's row."""
    return title_of(row.display_name, row.name)


def titles_of(user: User) -> dict[str, str]:
    """Return what a user's notebooks are called, by server name.

    The notebook without a name is among them before it is first started: its title is its own.
    """
    return {"": UNNAMED} | {row.name: title_of_row(row) for row in user.orm_spawners.values()}


def active_at(row: orm.Spawner) -> datetime | None:
    """Return when the hub itself saw a server used last; the hub's times are naive UTC."""
    return row.last_activity.replace(tzinfo=UTC) if row.last_activity else None
