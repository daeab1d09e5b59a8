"""Settle: after a start and every minute, hub, engine and ledger are made to agree."""

import asyncio
from typing import Any

from jupyterhub import orm

from ..ledger import LedgerAway, fleet, leases, slots
from ..rules.catalog import ConfigurationFault
from ..rules.drift import Finding, Repair, findings
from ..spawners.context import HubContext
from ..spawners.engine import EngineAway, Found

#: How often a hub that is not settled yet tries again.
FIRST_TRIES = 1.0


async def keep_settled(app: Any, context: HubContext, *, prepared: bool = True) -> None:
    """The loop. A pass that fails is logged once a failure, and the loop goes on.

    `prepared` False: the ledger was away when the hub started and is prepared first.
    """
    while True:
        try:
            if not prepared:
                await asyncio.to_thread(prepare_ledger, context)
                prepared = True
            if waiting := await asyncio.to_thread(
                context.journal.replay, context.ledger, context.settings.hub_id
            ):
                app.log.info("Wrote %s stops and ends that had waited for the ledger", waiting)
            await settle(app, context)
            context.settled = context.settled or not _checking(app)
        except (LedgerAway, EngineAway) as away:
            app.log.warning("Not settled: %s", away)
        except Exception:
            app.log.exception("A pass of the reconciler failed")
        await asyncio.sleep(context.settings.reconcile_interval if context.settled else FIRST_TRIES)


def prepare_ledger(context: HubContext) -> None:
    """An empty ledger is made; an older one stops the start, because upgrading is the admin's."""
    current, head = context.ledger.revision()
    if current is None:
        context.ledger.upgrade()
    elif current != head:
        raise ConfigurationFault(
            f"The ledger's schema is {current}, this version needs {head}; back the database up,"
            " then run `gradienthub upgrade-db`"
        )
    context.ledger.write(fleet.publish, context.settings, context.clock())
    context.engine.claimed |= context.ledger.read(slots.claimed, context.settings.hub_id)


async def settle(app: Any, context: HubContext) -> list[Finding]:
    """One pass: compare, repair, and return what was found.

    The ledger is read first and the hub last, so that what starts in between is the hub's.
    """
    open_leases = await context.ledger.aread(leases.open_of_hub, context.settings.hub_id)
    census = await context.engine.census()
    if census is None:
        return []
    # A warm server that nobody has claimed is the pool's.
    theirs = [seen for seen in census if seen.lease_id or not seen.slot]
    found = findings(open_leases, theirs, hub_leases(app, context))
    objects = {seen.object_id: seen for seen in census}
    for finding in found:
        app.log.warning("Lease %s: %s; %s", finding.lease_id, finding.why, finding.repair.value)
    # At once: what stops slowly or not at all must not be what the others wait behind.
    await asyncio.gather(
        *(_try_repair(app, context, f, objects.get(f.object_id or "")) for f in found)
    )
    _finish_stops(app, context, {lease.lease_id for lease in open_leases if lease.stop_asked})
    return found


def _finish_stops(app: Any, context: HubContext, asked: set[str]) -> None:
    """Stop the servers whose stop was asked for and that the hub still calls running.

    A hub that died during a stop leaves the stop in the ledger, where the bill has ended, and the
    server in its own database, so that the next hub takes it on; it would run on for nothing.
    """
    for user in list(app.users.values()):
        for spawner in list(user.spawners.values()):
            if getattr(spawner, "lease_id", "") in asked and spawner.active and not spawner.pending:
                app.log.warning("Lease %s: its stop was interrupted; stopping", spawner.lease_id)
                # Set before anything is awaited, as the hub does: nobody else stops it meanwhile.
                spawner._stop_pending = True
                context.soon(_stop(app, user, spawner))


async def _stop(app: Any, user: Any, spawner: Any) -> None:
    try:
        await app.proxy.delete_user(user, spawner.name)
        await user.stop(spawner.name)
    finally:
        spawner._stop_pending = False


async def _try_repair(app: Any, context: HubContext, finding: Finding, seen: Found | None) -> None:
    try:
        await _repair(context, finding, seen)
    except EngineAway as away:
        app.log.warning("Lease %s is repaired later: %s", finding.lease_id, away)


async def _repair(context: HubContext, finding: Finding, seen: Found | None) -> None:
    corpse = None
    if seen is not None:
        corpse = await context.engine.bury(seen)
    else:
        # The listing is up to a second old; only a fresh look may say gone.
        again = await context.engine.look(finding.lease_id)
        if again is not None:
            return
    if finding.repair is not Repair.REMOVE_OBJECT:
        await context.ended(finding.lease_id, finding.reason, corpse)


def hub_leases(app: Any, context: HubContext) -> frozenset[str]:
    """Leases of servers that the hub calls active, or is starting or stopping right now.

    A server that the hub has not checked yet after its own start counts, by its saved state.
    """
    mine = set(context.moving)
    for user in list(app.users.values()):
        for spawner in list(user.spawners.values()):
            lease_id = getattr(spawner, "lease_id", "")
            if lease_id and spawner.active:
                mine.add(lease_id)
    if not context.settled:
        for row in app.db.query(orm.Spawner).filter(orm.Spawner.server_id.is_not(None)):
            mine.add((row.state or {}).get("lease_id", ""))
    return frozenset(mine - {""})


def _checking(app: Any) -> bool:
    """Whether the hub still checks servers that ran before it started."""
    return any(
        spawner.pending == "check"
        for user in list(app.users.values())
        for spawner in list(user.spawners.values())
    )
