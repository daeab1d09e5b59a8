"""Charging without a keeper: the hub extends holds and stops notebooks whose money is used up.

Where a keeper runs, the keeper does this, and warns before.
"""

import asyncio
from datetime import datetime

from jupyterhub.app import JupyterHub

from ..ledger import LedgerAway, holds
from ..rules.idleness import Reason
from ..spawners.base import GradientSpawner
from ..spawners.context import HubContext
from ..spawners.engine import EngineAway
from .server_row import list_servers
from .stopping import stop_for_hub

#: Seconds between two passes, far below the time that a hold pays for.
TICK = 60.0


async def keep_charged(app: JupyterHub, context: HubContext) -> None:
    """Run one pass after another. A pass that fails is logged, and the loop goes on."""
    while True:
        await asyncio.sleep(TICK)
        try:
            await charge(app, context)
        except (LedgerAway, EngineAway) as away:
            app.log.warning("No hold was extended: %s", away)
        except Exception:
            app.log.exception("A pass of charging failed")


async def charge(app: JupyterHub, context: HubContext) -> dict[str, datetime]:
    """Run one pass: extend the holds of what is alive, and stop what has no money left."""
    serving = [spawner for spawner in list_servers(app) if spawner.lease_id]
    money_ends = await context.ledger.awrite(
        holds.tick,
        hub_id=context.settings.hub_id,
        seen=await _live_leases(context, serving),
        now=context.clock(),
    )
    for spawner in serving:
        ends = money_ends.get(spawner.lease_id)
        if ends is not None and ends <= context.clock() and spawner.ready and not spawner.pending:
            app.log.info("Lease %s: the money for it ends; stopping", spawner.lease_id)
            spawner.expect_stop(Reason.BUDGET, "hub")
            context.soon(stop_for_hub(app, spawner))
    return money_ends


async def _live_leases(context: HubContext, serving: list[GradientSpawner]) -> list[str]:
    """Return the leases that the engine shows alive; without a census, those the hub serves."""
    census = await context.engine.census()
    if census is None:
        return [spawner.lease_id for spawner in serving if spawner.ready]
    return [container.lease_id for container in census if container.alive]
