"""GET /hub/api/gradient/servers: what the hub serves and what the engine runs, for the keeper."""

import asyncio
import json
from collections.abc import Sequence
from typing import NotRequired, TypedDict

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from jupyterhub.scopes import Scope, needs_scope
from tornado import web

from ..rules.refusal import shown
from ..spawners import server_token
from ..spawners.address import follow, is_located
from ..spawners.base import GradientSpawner
from ..spawners.effort import CpuReading
from ..spawners.engine import CensusObject, EngineAway
from .server_row import list_servers
from .users_api import GradientAPIHandler

#: Seconds that the list of servers waits for addresses that are looked up again.
LOCATE_SECONDS = 3.0


class ServersHandler(GradientAPIHandler):
    """GET: the hub's live servers and the engine's census, cheap, for the keeper and admins."""

    @needs_scope("read:servers")
    async def get(self) -> None:
        """List servers and census. `settled` is false until hub, engine and ledger were compared
        after a start; that of a server, while the hub still checks whether it runs.

        With access:servers for all, each server's own token comes too: it opens that server only,
        which its owner's code may read, so that nothing larger has to be shown to it. It comes only
        with an address at which the engine shows that very server.
        """
        if self.parsed_scopes["read:servers"] != Scope.ALL:
            raise web.HTTPError(403, "This needs read:servers for all users.")
        with_tokens = self.parsed_scopes.get("access:servers") == Scope.ALL
        context = self.context
        if with_tokens:
            await server_token.renew_missing(self.settings["app"])
        try:
            census = await context.engine.census()
            away = None
            cpu = context.engine.readings.latest(census or [], context.clock)
        except EngineAway as error:
            census, away, cpu = None, shown(str(error), 200), {}
        located = await locate_servers(self.settings["app"], census, away=away is not None)
        servers = []
        for spawner, sure in located:
            if server := _describe_server(spawner):
                if with_tokens:
                    server["token"] = (sure and spawner.api_token) or None
                servers.append(server)
        body = {
            "hub_id": context.settings.hub_id,
            "settled": context.settled,
            "servers": servers,
            "census": None
            if census is None
            else [_describe_object(seen, cpu.get(seen.lease_id)) for seen in census],
            "engine_away": away,
        }
        self.write(json.dumps(body))


class ServerRow(TypedDict):
    """An active server, as the hub has it now. `token` opens that server only."""

    user: str
    server: str
    lease_id: str | None
    ready: bool
    settled: bool
    pending: str | None
    url: str | None
    last_activity: str | None
    token: NotRequired[str | None]


def _describe_object(seen: CensusObject, reading: CpuReading | None) -> dict[str, object]:
    """Describe an object of the engine. Its CPU time is null if it is not known."""
    return {
        "object": seen.name,
        "lease_id": seen.lease_id,
        "alive": seen.alive,
        "exit_code": seen.exit_code,
        "detail": seen.detail,
        "cpu_seconds": reading and reading.seconds,
        "cpu_at": reading and reading.at.isoformat(),
    }


async def locate_servers(
    app: JupyterHub, census: Sequence[CensusObject] | None, *, away: bool
) -> list[tuple[GradientSpawner, bool]]:
    """List (spawner, whether the engine shows it at its address) of all servers.

    What has moved since its address was read is looked up, for LOCATE_SECONDS at most.
    """
    objects = {seen.lease_id: seen for seen in census or () if seen.lease_id}
    servers = list_servers(app)
    moved = [
        asyncio.ensure_future(follow(spawner, seen))
        for spawner in servers
        if (seen := objects.get(spawner.lease_id))
        and seen.alive
        and not spawner.pending
        and not is_located(spawner, seen)
    ]
    if moved:
        await asyncio.wait(moved, timeout=LOCATE_SECONDS)
    if census is None:
        return [(spawner, not away) for spawner in servers]
    return [(spawner, is_located(spawner, objects.get(spawner.lease_id))) for spawner in servers]


def _describe_server(spawner: GradientSpawner) -> ServerRow | None:
    """Describe a server that is active; None for one that is not."""
    row: orm.Spawner = spawner.orm_spawner
    # The hub's own `active` and `ready` each ask these again, which for thousands of servers is
    # most of this request's time.
    pending, server = spawner.pending, spawner.server
    if not pending and server is None:
        return None
    ready = not pending
    return {
        "user": spawner.user.name,
        "server": spawner.name,
        "lease_id": spawner.lease_id or None,
        "ready": ready,
        "settled": pending != "check",
        "pending": pending or None,
        "url": server.url if ready and server else None,
        "last_activity": row.last_activity.isoformat() + "Z" if row.last_activity else None,
    }


def handlers() -> list[tuple[str, type]]:
    """List the routes below /hub."""
    return [(r"/api/gradient/servers", ServersHandler)]
