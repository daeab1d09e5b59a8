"""Servers that another spawner started and that still run: found, counted, and told of."""

from collections.abc import Mapping
from typing import Any

from ..ledger import capacity, findings, outside
from ..rules.outside import in_words, join_hubs_servers, place_outside
from ..spawners.context import HubContext

SOURCE = "outside"


async def note_outside(app: Any, context: HubContext) -> None:
    """Write down what runs without a lease. Nothing of it is stopped or removed.

    Raises LedgerAway and EngineAway.
    """
    settings, now = context.settings, context.clock()
    seen = join_hubs_servers(await context.engine.outside(), _known(app))
    placed = place_outside(seen, settings.house.hosts, str(app.hub.api_url))
    if not placed and not context.knows_outside:
        return  # nothing before, and nothing now
    await context.ledger.awrite(
        outside.replace,
        hub_id=settings.hub_id,
        placed=placed,
        host_keys={
            host.name: capacity.host_key(settings.hub_id, host) for host in settings.house.hosts
        },
        now=now,
    )
    found = [
        findings.NewFinding(
            f"{SOURCE}/{one.seen.object_id}", SOURCE, in_words(one), _cure(one.seen)
        )
        for one in placed
    ]
    new = await context.ledger.awrite(
        findings.report, hub_id=settings.hub_id, source=SOURCE, wrong=found, now=now
    )
    for one in new:
        app.log.warning("%s; %s", one.why, one.repair)
    context.knows_outside = bool(placed)
    context.looked_outside = True


def _known(app: Any) -> Mapping[str, tuple[str, str]]:
    """Map object id -> (user, server), of servers that the hub calls running without a lease."""
    return {
        object_id: (user.name, spawner.name)
        for user in list(app.users.values())
        for spawner in list(user.spawners.values())
        if spawner.active and (object_id := getattr(spawner, "outside_id", ""))
    }


def _cure(seen: Any) -> str:
    if seen.user:
        return "its owner or an administrator stops it, and starts it anew from the form"
    return f"end it at its engine when its owner is done: docker stop {seen.name[:80]}"
