"""Stop a notebook from a page: what DELETE on its server does, also while it starts."""

import asyncio
import time
from datetime import timedelta

from jupyterhub.app import JupyterHub
from jupyterhub.handlers.base import BaseHandler
from jupyterhub.services.service import Service
from jupyterhub.user import User

from ..rules.idleness import Reason
from ..rules.refusal import Refused
from ..spawners.base import GradientSpawner

#: A cancelled start tidies up after itself; longer than this a page does not wait for it.
PATIENCE = 10.0
STEP = 0.1


def who_asks(who: User | Service) -> str:
    """Return a person or a service of the hub as the audit names them; of a token, its owner."""
    return f"service {who.name}" if getattr(who, "kind", "user") == "service" else str(who.name)


def attribute_stop(who: User | Service, owner: User) -> tuple[Reason, str]:
    """Return why a notebook of `owner` stops when `who` asks for it, and who that is."""
    own = getattr(who, "kind", "user") == "user" and who.name == owner.name
    return (Reason.USER if own else Reason.ADMIN), who_asks(who)


async def wait_until_checked(spawner: GradientSpawner) -> None:
    """Wait until a hub that has just started knows whether this server still runs.

    JupyterHub takes a stop meanwhile for the end of a start, and fails. Raises Refused
    `still_checking` where it takes longer than PATIENCE: then the engine is away or busy.
    """
    for _ in range(round(PATIENCE / STEP)):
        if spawner.pending != "check":
            return
        await asyncio.sleep(STEP)
    raise Refused(
        "still_checking",
        "The hub has just started and still asks whether this notebook runs.",
        "Nothing was done. Try again in a few seconds.",
        retry_after=timedelta(seconds=5),
    )


async def stop_server(handler: BaseHandler, user: User, server_name: str) -> None:
    """Stop a server on behalf of the handler's visitor. Safe to call if it does not run.

    Raises Refused as `wait_until_checked` does.
    """
    spawner = user.spawners.get(server_name)
    if spawner is not None:
        await wait_until_checked(spawner)
    if spawner is None or spawner.pending == "stop" or not spawner.active:
        return
    spawner.expect_stop(*attribute_stop(handler.current_user, user))
    if spawner.pending:
        await _cancel(spawner)
    elif await spawner.poll_and_notify() is not None:
        return  # it had died, and the hub has noticed now
    # Cancelled in a hook it is stopped already; cancelled later its engine object still runs.
    if spawner.active and not spawner.pending:
        await handler.stop_single_user(user, server_name)


async def _cancel(spawner: GradientSpawner) -> None:
    start = spawner._spawn_future
    if start is not None:
        start.cancel()
    await wait_until_interrupted(spawner, PATIENCE)


async def wait_until_interrupted(spawner: GradientSpawner, patience: float) -> bool:
    """Wait until an interrupted start, or the end of one, has tidied up after itself.

    Return False where it takes longer than `patience` seconds. A later start of the same server
    is not waited for.
    """
    deadline = time.monotonic() + patience
    if (start := start_under_way(spawner)) is not None:
        # Its flags are down before it is over: it calls itself not pending while it still stops.
        await asyncio.wait([start], timeout=patience)
        return start.done()
    while spawner.pending:
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(min(STEP, patience))
    return True


def start_under_way(spawner: GradientSpawner) -> asyncio.Future[object] | None:
    """Return the start that is under way, or that still tidies up; None if there is none.

    JupyterHub keeps the future of a failed start, for its pages.
    """
    start: asyncio.Future[object] | None = spawner._spawn_future
    return None if start is None or start.done() else start


def has_started_since(spawner: GradientSpawner, start: asyncio.Future[object] | None) -> bool:
    """Return whether a start other than `start` is under way."""
    return start_under_way(spawner) not in (None, start)


def finish_interrupted(app: JupyterHub, spawner: GradientSpawner) -> asyncio.Future[None]:
    """Stop a server whose interrupted start takes long to tidy up, once it has.

    Return the future of that; JupyterHub removes the server after it, where that was asked.
    """
    start = start_under_way(spawner)
    stopping = spawner.pending == "stop"
    # Set before this returns: the server is on its way down, and nobody starts it meanwhile.
    spawner._stop_pending = True
    ending = asyncio.ensure_future(_finish_interrupted(app, spawner, start, stopping))
    spawner._stop_future = ending
    return ending


async def _finish_interrupted(
    app: JupyterHub,
    spawner: GradientSpawner,
    start: asyncio.Future[object] | None,
    stopping: bool,
) -> None:
    """Stop the server after the end of `start`, which stops what it began itself.

    Two stops at once would be two ends: the later one takes the address of a start in between.
    """
    try:
        if start is not None:
            await asyncio.wait([start])
        while start is None and stopping and spawner._stop_pending:
            await asyncio.sleep(STEP)
        if spawner.active and not has_started_since(spawner, start):
            await stop_for_hub(app, spawner)
    finally:
        if not has_started_since(spawner, start):
            spawner._stop_future = None
            spawner._stop_pending = False


async def delete_server(user: User, server_name: str) -> None:
    """Delete a named server if it is stopped; its notebook is marked, its folder kept."""
    row = user.orm_spawners.get(server_name)
    spawner = user.spawners[server_name] if row is not None and server_name else None
    if spawner is None or spawner.active:
        return
    await user._delete_spawner(spawner)
    forget_server(user, server_name)


def forget_server(user: User, server_name: str) -> None:
    """Remove the row of a server that does not run, as if it had never been made.

    One that another request starts or stops right now stays.
    """
    row, spawner = user.orm_spawners.get(server_name), user.spawners.get(server_name)
    if spawner is not None and spawner.active:
        return
    if server_name and row is not None and row.server is None:
        user.spawners.pop(server_name, None)
        user.db.delete(row)
        user.db.commit()


async def stop_for_hub(app: JupyterHub, spawner: GradientSpawner) -> None:
    """Stop a running server for the hub itself, after `expect_stop` has noted the reason."""
    # Set before anything is awaited, as the hub does: nobody else stops it meanwhile.
    spawner._stop_pending = True
    try:
        await app.proxy.delete_user(spawner.user, spawner.name)
        await spawner.user.stop(spawner.name)
    finally:
        spawner._stop_pending = False
