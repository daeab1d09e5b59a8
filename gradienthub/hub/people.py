"""People: what the ledger is told of the hub's own users, so that all who ask it say the same."""

from datetime import UTC
from typing import Any

from jupyterhub import orm

from ..ledger import hub_users
from ..ledger.hub_users import Seen
from ..rules.identity import HubUser
from ..spawners.context import HubContext


async def note_people(app: Any, context: HubContext) -> None:
    """Tell the ledger which users the hub has and their groups, where that has changed.

    An account whose users are all gone is told as a finding, and what it runs is kept.
    """
    seen = _users(app.db)
    hub_id = context.settings.hub_id
    found = await context.ledger.aread(hub_users.changes, hub_id, seen)
    if found or not context.people_told:
        await context.ledger.awrite(hub_users.note, hub_id, found, context.clock())
        context.people_told = True


def _users(db: Any) -> list[Seen]:
    """Every user of the hub: two queries without an object each, because there may be thousands."""
    groups: dict[int, set[str]] = {}
    for user_id, name in (
        db.query(orm.User.id, orm.Group.name)
        .join(orm.user_group_map, orm.user_group_map.c.user_id == orm.User.id)
        .join(orm.Group, orm.Group.id == orm.user_group_map.c.group_id)
    ):
        groups.setdefault(user_id, set()).add(name)
    return [
        Seen(HubUser(id_, _aware(created), name), frozenset(groups.get(id_, ())))
        for id_, created, name in db.query(orm.User.id, orm.User.created, orm.User.name)
    ]


def _aware(created: Any) -> Any:
    return created.replace(tzinfo=UTC) if created.tzinfo is None else created.astimezone(UTC)
