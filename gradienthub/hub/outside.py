"""Servers that another spawner started and that still run: listed, counted and reported."""

from collections.abc import Mapping

from jupyterhub.app import JupyterHub

from ..ledger import capacity, findings, outside
from ..rules.outside import Outside, in_words, join_hubs_servers, place_outside
from ..spawners.context import HubContext
from .server_row import list_servers

SOURCE = "outside"


async def note_outside(app: JupyterHub, context: HubContext) -> None:
    """Write down what runs without a lease. Nothing of it is stopped or removed.

    Raises LedgerAway and EngineAway.
    """
    settings, now = context.settings, context.clock()
    seen = join_hubs_servers(await context.engine.outside(), _known_servers(app))
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
    standing = [
        findings.NewFinding(
            f"{SOURCE}/{server.seen.object_id}", SOURCE, in_words(server), _cure_for(server.seen)
        )
        for server in placed
    ]
    new = await context.ledger.awrite(
        findings.report, hub_id=settings.hub_id, source=SOURCE, wrong=standing, now=now
    )
    for finding in new:
        app.log.warning("%s; %s", finding.why, finding.repair)
    context.knows_outside = bool(placed)
    context.looked_outside = True


def _known_servers(app: JupyterHub) -> Mapping[str, tuple[str, str]]:
    """Map object id -> (user, server), of servers that the hub calls running without a lease."""
    return {
        object_id: (spawner.user.name, spawner.name)
        for spawner in list_servers(app)
        if spawner.active and (object_id := spawner.outside_id)
    }


def _cure_for(seen: Outside) -> str:
    if seen.user:
        return "its owner or an administrator stops it, and starts it anew from the form"
    return f"end it at its engine when its owner is done: docker stop {seen.name[:80]}"
