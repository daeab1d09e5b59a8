"""What happens once while the hub starts: the check, the schema, the handlers, the reconciler."""

import asyncio
import gc
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator

from .. import metrics
from ..ledger import LedgerAway
from ..rules.catalog import ConfigurationFault
from ..spawners.context import HubContext
from ..spawners.warm import WarmPool
from . import api, charging, disk, frame, pages, proxy, quiet_log, settle, traits
from .spawner_class import class_faults

#: Seconds between two looks whether the hub is settled.
SETTLED_EVERY = 0.5


def begin(app: Any) -> list[Any]:
    """Our handlers; a hub that cannot be right is stopped here with name, value and cure.

    Runs while nothing is served yet, so it may block.
    """
    try:
        faults = wiring_faults(app)
        if faults:
            raise ConfigurationFault("\n".join(faults))
        context = app.spawner_class.context_of(app.config)
        prepared = _prepared(app, context)
    except ConfigurationFault as fault:
        app.log.critical("GradientHub cannot start:\n%s", fault)
        app.exit(1)
    for trait in traits.lost_traits(app.config, app.spawner_class, app.authenticator_class):
        app.log.warning("%s", trait.sentence)
    for sentence in frame.arrange_hub(app):
        app.log.warning("%s", sentence)
    quiet_log.leave_out_queries()
    close_to_others(app)
    proxy.prepare(app.proxy)
    context.looked_outside = False
    context.soon(settle.keep_settled(app, context, prepared=prepared))
    if any(service.get("name") == api.CULLER for service in app.services):
        # Without a keeper nobody else would.
        context.soon(charging.keep_charged(app, context))
    context.soon(disk.try_folders(app, context))
    context.soon(metrics.measure_loop_lag("hub"))
    context.soon(spare_long_pauses(context))
    pool = WarmPool(context, app.spawner_class, app.config)
    context.soon(pool.keep())
    end_pool_with_servers(app, pool)
    return [*api.handlers(), *frame.handlers(), *pages.handlers()]


def end_pool_with_servers(app: Any, pool: WarmPool) -> None:
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


def close_to_others(app: Any) -> None:
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
    """Once the hub is settled, take what it has loaded out of the garbage collector's rounds.

    Half a million objects, nearly all of them modules that stay: a full round over them took
    0.16 to 0.2 s each few hundred requests, in which nobody was answered.
    """
    while not context.settled:
        await asyncio.sleep(SETTLED_EVERY)
    gc.collect()
    gc.freeze()


def _prepared(app: Any, context: HubContext) -> bool:
    """Whether the ledger is ready; a hub whose ledger is away starts and serves what runs."""
    try:
        settle.prepare_ledger(context)
    except LedgerAway as away:
        app.log.error("The ledger is away; no notebook starts until it answers: %s", away)
        return False
    return True


def wiring_faults(app: Any) -> list[str]:
    """What another line of the configuration undid after `configure(c)`, each with its cure."""
    faults: list[str] = []
    faults += class_faults(app.spawner_class)
    if not app.allow_named_servers:
        faults.append(
            "c.JupyterHub.allow_named_servers is False, and every notebook but one is a named"
            " server; remove that line"
        )
    if any("gradienthub" in str(path) for path in app.template_paths) is False:
        faults.append(
            "c.JupyterHub.template_paths lacks GradientHub's templates; write configure(c) as the"
            " last line of the configuration"
        )
    names = [str(service.get("name")) for service in app.services]
    if api.KEEPER in names and api.CULLER in names:
        faults.append(
            "The keeper and the small mode's culler are both among c.JupyterHub.services, and the"
            " culler would stop without warning; call configure(c) once"
        )
    elif api.KEEPER not in names and api.CULLER not in names:
        faults.append(
            f"c.JupyterHub.services has no keeper ({api.KEEPER!r}), so that nothing would stop what"
            " is idle; write configure(c) as the last line of the configuration"
        )
    faults += _missing_scopes(app, names)
    cullers = [
        str(service.get("name"))
        for service in app.services
        if "jupyterhub_idle_culler" in str(service.get("command"))
        and service.get("name") != api.CULLER
    ]
    if cullers:
        faults.append(
            f"The service {cullers[0]!r} is a stock idle culler: it stops notebooks at its own"
            " limit, not at theirs; remove it from c.JupyterHub.services"
        )
    return faults


def _missing_scopes(app: Any, services: list[str]) -> list[str]:
    """What the keeper cannot do because a later line replaced the roles."""
    if api.KEEPER not in services:
        return []
    held = {
        scope
        for role in app.load_roles
        if api.KEEPER in role.get("services", ())
        for scope in role.get("scopes", ())
    }
    missing = sorted(set(api.KEEPER_SCOPES) - held)
    if not missing:
        return []
    return [
        f"c.JupyterHub.load_roles gives the keeper no {' and no '.join(missing)}, so that it cannot"
        " see or stop notebooks; write configure(c) as the last line of the configuration"
    ]


def bypasses(authenticator: type[Authenticator]) -> list[str]:
    """Configurations in which people log in past our mixin, each with its cure."""
    if any(cls.__name__ == "MultiAuthenticator" for cls in authenticator.__mro__):
        return [
            "MultiAuthenticator hands logins to its parts, so that tiers on the outside see none of"
            " them; wrap each part instead: with_tiers(GitHubOAuthenticator)"
        ]
    return []
