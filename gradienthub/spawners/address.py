"""Where a notebook's server is: it is looked up again when the engine may have moved it.

A container that is restarted gets another port or address, and its old one may become another
container's. So an address is trusted only as long as the engine shows the object where it was when
the address was read, and a server's token is shown only to a trusted one.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlparse

import jupyterhub
from jupyterhub.objects import Server
from jupyterhub.spawner import Spawner

from .engine import CensusObject, EngineAway

#: Seconds that a restarted hub waits for the answer of a server that its engine shows alive.
CHECK_SECONDS = 10.0


@dataclass(frozen=True)
class NoAnswer:
    """Stands for the answer of a server that is alive and does not answer."""

    headers: Mapping[str, str] = field(
        default_factory=lambda: {"X-JupyterHub-Version": jupyterhub.__version__}
    )


async def wait_up(
    spawner: Spawner, server: Server, *, timeout: float = 10, http: bool = False, **more: object
) -> object:
    """Wait for a server's answer as JupyterHub does; a restarted hub does not wait for long.

    JupyterHub stops what does not answer its check after a restart, with unsaved cells in it. What
    the engine shows alive (paused, cut off, busy, on its way up again) is kept: it can be stopped
    by its owner, is watched, and costs nothing until it answers.
    """
    answer = Server.wait_up(server, timeout=timeout, http=http, **more)
    if spawner.pending != "check" or not http:
        return await answer
    try:
        return await asyncio.wait_for(answer, min(timeout, CHECK_SECONDS))
    except TimeoutError:
        if not await _is_alive(spawner):
            raise
    spawner.log.warning(
        "%s does not answer; its engine shows it alive, and it is kept", spawner._log_name
    )
    return NoAnswer()


async def _is_alive(spawner: Spawner) -> bool:
    """Return whether its engine shows it, or does not answer.

    Without a census nobody can say so.
    """
    try:
        found = await spawner.context.engine.look(spawner.lease_id)
    except EngineAway:
        return True
    # Without a lease it is none of ours: a warm server has none, either.
    return bool(spawner.lease_id) and found is not None and found.alive


def is_located(spawner: Spawner, found: CensusObject | None) -> bool:
    """Return whether the hub's address of a server is where its engine shows it now."""
    if found is None or not found.alive:
        return False
    return not found.where or found.where == getattr(spawner, "located", None)


async def follow(spawner: Spawner, found: CensusObject) -> bool:
    """Make the hub's address of a server the one that the engine says.

    Return whether it is known to be right. Never raises.
    """
    if not found.alive or is_located(spawner, found):
        return found.alive
    try:
        url = await spawner.find_address(found)
        server: Server | None = spawner.server
        if not url or server is None:
            return False
        moved = _take(server, url)
        # Before the route: a proxy that is away is mended by the hub's own look at all routes.
        spawner.run.located = found.where
        if moved:
            spawner.log.warning("%s is at %s by now", spawner._log_name, server.host)
            spawner.user.db.commit()
            await _route(spawner)
    except Exception as error:
        spawner.log.warning("%s: its address cannot be read: %s", spawner._log_name, error)
        return False
    return True


def _take(server: Server, url: str) -> bool:
    """Make `url` the server's address; False where it was already."""
    parsed = urlparse(url)
    place = (parsed.hostname or "", parsed.port or 80)
    if (server.ip, server.port) == place:
        return False
    server.ip, server.port = place
    return True


async def _route(spawner: Spawner) -> None:
    # A server that starts, stops or is checked gets its route from the hub when that is over.
    if not spawner.pending:
        await spawner.user.settings["app"].proxy.add_user(spawner.user, spawner.name)
