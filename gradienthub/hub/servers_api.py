"""GET /hub/api/gradient/servers: what the hub serves and what the engine runs, for the keeper."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from jupyterhub import orm
from jupyterhub.scopes import Scope, needs_scope
from tornado import web

from ..rules.refusal import shown
from ..spawners import server_token
from ..spawners.address import follow, is_located
from ..spawners.effort import CpuReading
from ..spawners.engine import CensusObject, EngineAway
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
        self.write(
            json.dumps(
                {
                    "hub_id": context.settings.hub_id,
                    "settled": context.settled,
                    "servers": [
                        server
                        | ({"token": (sure and spawner.api_token) or None} if with_tokens else {})
                        for user, spawner, sure in located
                        if (server := _server(user, spawner))
                    ],
                    "census": census
                    and [
                        {
                            "object": found.name,
                            "lease_id": found.lease_id,
                            "alive": found.alive,
                            "exit_code": found.exit_code,
                            "detail": found.detail,
                            **_cpu(cpu.get(found.lease_id)),
                        }
                        for found in census
                    ],
                    "engine_away": away,
                }
            )
        )


def _cpu(reading: CpuReading | None) -> dict[str, Any]:
    """Return an object's CPU time and when it was read; null where it is not known."""
    return {
        "cpu_seconds": reading and reading.seconds,
        "cpu_at": reading and reading.at.isoformat(),
    }


async def locate_servers(
    app: Any, census: Sequence[CensusObject] | None, *, away: bool
) -> list[tuple[Any, Any, bool]]:
    """List (user, spawner, whether the engine shows it at its address) of all servers.

    What has moved since its address was read is looked up, for LOCATE_SECONDS at most.
    """
    objects = {found.lease_id: found for found in census or () if found.lease_id}
    servers = [
        (user, spawner)
        for user in list(app.users.values())
        for spawner in list(user.spawners.values())
    ]
    moved = [
        asyncio.ensure_future(follow(spawner, found))
        for _, spawner in servers
        if (found := objects.get(getattr(spawner, "lease_id", "")))
        and found.alive
        and not spawner.pending
        and not is_located(spawner, found)
    ]
    if moved:
        await asyncio.wait(moved, timeout=LOCATE_SECONDS)
    if census is None:
        return [(user, spawner, not away) for user, spawner in servers]
    return [
        (user, spawner, is_located(spawner, objects.get(getattr(spawner, "lease_id", ""))))
        for user, spawner in servers
    ]


def _server(user: Any, spawner: Any) -> dict[str, Any] | None:
    """Describe a server that is active; None for one that is not."""
    row: orm.Spawner = spawner.orm_spawner
    # The hub's own `active` and `ready` each ask these again, which for thousands of servers is
    # most of this request's time.
    pending, server = spawner.pending, spawner.server
    if not pending and server is None:
        return None
    ready = not pending
    return {
        "user": user.name,
        "server": spawner.name,
        "lease_id": getattr(spawner, "lease_id", "") or None,
        "ready": ready,
        "settled": pending != "check",
        "pending": pending or None,
        "url": server.url if ready else None,
        "last_activity": row.last_activity.isoformat() + "Z" if row.last_activity else None,
    }


def handlers() -> list[tuple[str, type]]:
    """List the routes below /hub."""
    return [(r"/api/gradient/servers", ServersHandler)]
