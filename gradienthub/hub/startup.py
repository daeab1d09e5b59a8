"""What happens once while the hub starts: the check, the schema, the handlers, the reconciler."""

import asyncio
import gc
import os
from contextlib import suppress
from pathlib import Path

from jupyterhub.app import JupyterHub

from .. import metrics
from ..ledger import LedgerAway
from ..rules.catalog import ConfigurationFault
from ..spawners.context import HubContext
from ..spawners.warm_pool import WarmPool
from . import charging, disk, frame, pages, proxy, quiet_log, servers_api, settle, traits, users_api
from .wiring import wiring_faults, wiring_warnings

#: Seconds between two looks whether the hub is settled.
SETTLED_EVERY = 0.5


def begin(app: JupyterHub) -> list[tuple[object, ...]]:
    """Prepare the hub and return our handlers. A wrong configuration stops the start with name,
    value and cure.

    Runs while nothing is served yet, so it may block.
    """
    try:
        faults = wiring_faults(app)
        if faults:
            raise ConfigurationFault("\n".join(faults))
        context = app.spawner_class.context_of(app.config)
        prepared = _prepare_ledger(app, context)
    except ConfigurationFault as fault:
        app.log.critical("GradientHub cannot start:\n%s", fault)
        app.exit(1)
    for trait in traits.lost_traits(app.config, app.spawner_class, app.authenticator_class):
        app.log.warning("%s", trait.sentence)
    for sentence in [*wiring_warnings(app), *frame.arrange_hub(app)]:
        app.log.warning("%s", sentence)
    quiet_log.leave_out_queries()
    close_to_others(app)
    proxy.prepare(app.proxy)
    context.looked_outside = False
    context.soon(settle.keep_settled(app, context, prepared=prepared))
    if any(service.get("name") == users_api.CULLER for service in app.services):
        # Without a keeper nobody else would.
        context.soon(charging.keep_charged(app, context))
    context.soon(disk.try_folders(app, context))
    context.soon(metrics.measure_loop_lag("hub"))
    context.soon(spare_long_pauses(context))
    pool = WarmPool(context, app.spawner_class, app.config)
    context.soon(pool.keep())
    end_pool_with_servers(app, pool)
    return [*users_api.handlers(), *servers_api.handlers(), *frame.handlers(), *pages.handlers()]


def end_pool_with_servers(app: JupyterHub, pool: WarmPool) -> None:
    """Let a hub that stops its servers as it ends stop the warm ones too.

    JupyterHub has no hook for its end; `cleanup` is what it awaits then, before it cancels tasks.
    """
    stop_the_rest = app.cleanup

    async def cleanup() -> None:
        if not app.cleanup_servers:
            await stop_the_rest()
            return
        await asyncio.gather(stop_the_rest(), pool.end())

    app.cleanup = cleanup


def close_to_others(app: JupyterHub) -> None:
    """Let nobody but its owner and group read the hub's SQLite file, which JupyterHub makes
    readable to all. Logs what it changes."""
    name = str(app.db_url).partition("sqlite:///")[2].partition("?")[0]
    file = Path(name) if name else None
    if file is None or not file.is_file():
        return
    seen = file.stat()
    if seen.st_mode & 0o007 and seen.st_uid == os.geteuid():
        with suppress(OSError):
            file.chmod(seen.st_mode & 0o770)
            app.log.info("Others on this machine may not read %s any more", file)


async def spare_long_pauses(context: HubContext) -> None:
    """Leave what a settled hub has loaded out of garbage collection, whose pauses grow with it.

    Half a million objects, nearly all of them modules that stay: a full round over them took
    0.16 to 0.2 s each few hundred requests, in which nobody was answered.
    """
    while not context.settled:
        await asyncio.sleep(SETTLED_EVERY)
    gc.collect()
    gc.freeze()


def _prepare_ledger(app: JupyterHub, context: HubContext) -> bool:
    """Prepare the ledger; return whether it answered. Without it a hub serves what runs."""
    try:
        settle.prepare_ledger(context)
    except LedgerAway as away:
        app.log.error("The ledger is away; no notebook starts until it answers: %s", away)
        return False
    return True
