"""Report the hub's users and their groups to the ledger, so that all who read it agree."""

import asyncio
from datetime import UTC, datetime

from jupyterhub import orm
from jupyterhub.app import JupyterHub

from ..ledger import hub_users
from ..ledger.hub_users import UserWithGroups
from ..rules.identity import HubUser
from ..spawners.context import HubContext

#: Users read at once: about 10 ms of the hub's loop.
AT_ONCE = 250


async def note_people(app: JupyterHub, context: HubContext) -> None:
    """Tell the ledger which users the hub has and their groups, where that has changed.

    An account whose users are all gone becomes a finding, and what it runs is kept.
    """
    seen = await _read_users(app)
    hub_id = context.settings.hub_id
    changes = await context.ledger.aread(hub_users.compare_users, hub_id, seen)
    if changes or not context.people_told:
        await context.ledger.awrite(hub_users.note_changes, hub_id, changes, context.clock())
        context.people_told = True


async def _read_users(app: JupyterHub) -> list[UserWithGroups]:
    """Return every user of the hub. Others have their turn in between: there may be thousands."""
    seen: list[UserWithGroups] = []
    last = 0
    while True:
        rows = (
            app.db.query(orm.User.id, orm.User.created, orm.User.name)
            .filter(orm.User.id > last)
            .order_by(orm.User.id)
            .limit(AT_ONCE)
            .all()
        )
        if not rows:
            return seen
        in_groups = orm.user_group_map.c
        groups: dict[int, set[str]] = {}
        for user_id, name in (
            app.db.query(in_groups.user_id, orm.Group.name)
            .join(orm.Group, orm.Group.id == in_groups.group_id)
            .filter(in_groups.user_id > last, in_groups.user_id <= rows[-1].id)
        ):
            groups.setdefault(user_id, set()).add(name)
        seen += [
            UserWithGroups(
                HubUser(row.id, _make_aware(row.created), row.name),
                frozenset(groups.get(row.id, ())),
            )
            for row in rows
        ]
        last = rows[-1].id
        await asyncio.sleep(0)


def _make_aware(created: datetime) -> datetime:
    return created.replace(tzinfo=UTC) if created.tzinfo is None else created.astimezone(UTC)
