"""Settle: after a start and every minute, hub, engine and ledger are made to agree."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from jupyterhub import orm
from jupyterhub.app import JupyterHub

from ..ledger import LedgerAway, device_faults, fleet, leases, objects, warm_slots
from ..ledger import findings as ledger_findings
from ..ledger.database import way_to
from ..rules.catalog import ConfigurationFault
from ..rules.drift import Finding, Repair, findings
from ..rules.idleness import Reason
from ..rules.refusal import shown
from ..spawners import server_token
from ..spawners.base import GradientSpawner
from ..spawners.context import HubContext
from ..spawners.engine import CensusObject, EngineAway, Stranger
from . import disk
from .giving_back import give_back, revoke_tokens
from .outside import note_outside
from .people import note_people
from .server_row import list_servers, title_of_row
from .stopping import stop_for_hub

#: What the findings in the ledger say of each repair.
IN_WORDS = {
    Repair.END_LEASE: "end the lease and free its devices",
    Repair.REMOVE_OBJECT: "stop and remove it",
    Repair.END_BOTH: "stop and remove it, then end its lease",
    Repair.REAP: "keep the end of its log, remove it, end its lease",
    Repair.STOP_SERVER: "stop the server",
    Repair.GIVE_BACK: "give it back when its owner logs in; `gradienthub stop LEASE` ends it",
}
#: How often a hub that is not settled yet tries again.
FIRST_TRIES = 1.0


async def keep_settled(app: JupyterHub, context: HubContext, *, prepared: bool = True) -> None:
    """Run one pass after another. Each kind of failure is logged once, and the loop goes on.

    `prepared` False: the ledger was away when the hub started and is prepared first.
    """
    awake = asyncio.Event()
    context.wake_settle = awake.set
    if dropped := server_token.drop_plain(app):
        app.log.info("Took the plain tokens of %s servers out of the hub's database", dropped)
    while True:
        try:
            if not prepared:
                await asyncio.to_thread(prepare_ledger, context)
                prepared = True
            if waiting := await asyncio.to_thread(
                context.journal.replay, context.ledger, context.settings.hub_id
            ):
                app.log.info("Wrote %s stops and ends that had waited for the ledger", waiting)
            await _report(context, "disk", await asyncio.to_thread(disk.findings, context))
            await context.show_counts()
            await settle(app, context)
            await server_token.renew_missing(app)
            context.settled = True
            await context.engine.remove_left_behind()
        except (LedgerAway, EngineAway) as away:
            app.log.warning("Not settled: %s", away)
        except Exception:
            app.log.exception("A pass of the reconciler failed")
        pause = context.settings.reconcile_interval if context.settled else FIRST_TRIES
        with suppress(TimeoutError):
            await asyncio.wait_for(awake.wait(), pause)
        awake.clear()


def prepare_ledger(context: HubContext) -> None:
    """Create an empty ledger.

    An older one stops the start, because the admin decides when to upgrade.
    """
    current, head = context.ledger.revision()
    if current is None:
        context.ledger.upgrade()
    elif current != head:
        raise ConfigurationFault(
            f"The ledger's schema is {current}, this version needs {head}; {way_to(current, head)}"
        )
    context.ledger.write(fleet.publish, context.settings, context.clock())
    context.engine.claimed |= context.ledger.read(warm_slots.map_claims, context.settings.hub_id)
    context.engine.object_ids |= context.ledger.read(
        objects.list_object_ids, context.settings.hub_id
    )


async def settle(app: JupyterHub, context: HubContext) -> list[Finding]:
    """Run one pass: compare, repair, and return the findings.

    The ledger is read first and the hub last, so that what starts in between is the hub's.
    """
    await note_people(app, context)
    before = _list_running(app)
    open_leases, not_lost = await context.ledger.aread(
        leases.list_open_and_surviving, context.settings.hub_id
    )
    census = await _ask_census(context)
    await note_outside(app, context)
    if census is None:
        return []
    # Ended, not only unknown: a ledger restored from yesterday must not stop what runs today.
    ended = await context.ledger.aread(leases.find_ended, before & _list_running(app))
    served = hub_leases(app, context)
    # What the hub serves is the hub's, also where a ledger was restored from yesterday.
    strange = await _find_strangers(context, [c for c in census if c.lease_id not in served])
    census = [seen for seen in census if seen.object_id not in strange]
    # A warm server that nobody has claimed is the pool's.
    theirs = [seen for seen in census if seen.lease_id or not seen.slot]
    repairs = findings(open_leases, theirs, hub_leases(app, context), ended, not_lost)
    for finding in repairs:
        app.log.warning("Lease %s: %s; %s", finding.lease_id, finding.why, finding.repair.value)
    await _report(context, "engine", [])
    await _report(context, "check", _find_hanging(app))
    out = await context.ledger.aread(device_faults.find_faults, context.settings.hub_id)
    await _report(context, "device", out)
    others = [_finding_of_stranger(stranger) for stranger in strange.values()]
    await _report(context, "hub", [*others, *map(_finding_of_repair, repairs)])
    if repairs:
        left = await _repair_all(app, context, repairs, census)
        await _report(context, "hub", [*others, *map(_finding_of_repair, left)])
    _finish_stops(app, context, {lease.id for lease in open_leases if lease.stop_requested_at})
    revoke_tokens(app, frozenset(lease.id for lease in open_leases))
    return repairs


async def _ask_census(context: HubContext) -> list[CensusObject] | None:
    """Return the engine's census; that it is away is a finding while it lasts.

    Raises EngineAway.
    """
    try:
        return await context.engine.census()
    except EngineAway as away:
        finding = ledger_findings.NewFinding(
            "engine_away", "engine_away", str(away), "ask again; notebooks that run go on"
        )
        await _report(context, "engine", [finding])
        raise


async def _find_strangers(
    context: HubContext, census: Iterable[CensusObject]
) -> dict[str, Stranger]:
    """Find objects with our labels that are not ours, by names, ids and the ledger."""
    seen = {labelled.object_id: labelled for labelled in census}
    strange = await context.ledger.aread(
        objects.find_strangers,
        context.settings.hub_id,
        [container.labelled for container in seen.values()],
    )
    return {stranger.object_id: stranger for stranger in context.engine.strangers()} | {
        object_id: Stranger(object_id, seen[object_id].name, why, seen[object_id].lease_id)
        for object_id, why in strange.items()
    }


def _finding_of_stranger(stranger: Stranger) -> ledger_findings.NewFinding:
    return ledger_findings.NewFinding(
        key=f"stranger/{stranger.object_id}",
        kind="stranger",
        why=f"{stranger.name} has labels of this hub and is not one of ours: {stranger.why}",
        repair="see whose it is; it is counted for nobody, and only you may remove it",
    )


async def _report(
    context: HubContext, source: str, new: Iterable[ledger_findings.NewFinding]
) -> None:
    await context.ledger.awrite(
        ledger_findings.report,
        hub_id=context.settings.hub_id,
        source=source,
        wrong=[*new],
        now=context.clock(),
    )


def _finding_of_repair(finding: Finding) -> ledger_findings.NewFinding:
    return ledger_findings.NewFinding(
        key="/".join((finding.repair.value, finding.lease_id, finding.object_id or "")),
        kind=finding.repair.value,
        why=finding.why,
        repair=IN_WORDS[finding.repair],
        lease_id=finding.lease_id,
    )


def _finish_stops(app: JupyterHub, context: HubContext, asked: set[str]) -> None:
    """Stop the servers whose stop was asked for and that the hub still calls running.

    A hub that died during a stop leaves the stop in the ledger, where the bill has ended, and the
    server in its own database, so that the next hub takes it on; it would run on for nothing.
    """
    for spawner in _list_steady(app):
        if spawner.lease_id in asked:
            app.log.warning("Lease %s: its stop was interrupted; stopping", spawner.lease_id)
            # Before the stop has begun: nobody else begins one meanwhile.
            spawner._stop_pending = True
            context.soon(stop_for_hub(app, spawner))


async def _stop_server(app: JupyterHub, lease_id: str) -> None:
    """Stop the server of a lease that is ended, if it still runs and nobody else stops it."""
    for spawner in _list_steady(app):
        if spawner.lease_id == lease_id:
            spawner.expect_stop(Reason.HUB, "hub")
            await stop_for_hub(app, spawner)


async def _repair_all(
    app: JupyterHub, context: HubContext, repairs: list[Finding], census: list[CensusObject]
) -> list[Finding]:
    """Try all repairs at once, and return those that are not mended.

    What stops slowly or not at all must not be what the others wait behind.
    """
    by_id = {seen.object_id: seen for seen in census}
    mended = await asyncio.gather(
        *(_try_repair(app, context, f, by_id.get(f.object_id or "")) for f in repairs)
    )
    return [finding for finding, well in zip(repairs, mended, strict=True) if not well]


async def _try_repair(
    app: JupyterHub, context: HubContext, finding: Finding, seen: CensusObject | None
) -> bool:
    """Try the repair. Return whether it is mended."""
    try:
        return await _repair(app, context, finding, seen)
    except EngineAway as away:
        app.log.warning("Lease %s is repaired later: %s", finding.lease_id, away)
        return False
    except Exception:
        # Of one notebook, so that the others are repaired all the same.
        app.log.exception("Lease %s cannot be repaired", finding.lease_id)
        return False


async def _repair(
    app: JupyterHub, context: HubContext, finding: Finding, seen: CensusObject | None
) -> bool:
    """Carry the repair out; return whether it is mended."""
    if finding.repair is Repair.STOP_SERVER:
        await _stop_server(app, finding.lease_id)
        return True
    if finding.repair is Repair.GIVE_BACK:
        return await give_back(app, context, finding.lease_id)
    corpse = None
    if seen is not None:
        corpse = await context.bury(seen, finding.why)
    else:
        # The listing is up to a second old; only a fresh look may say gone.
        again = await context.engine.look(finding.lease_id)
        if again is not None:
            return True
    if finding.repair is not Repair.REMOVE_OBJECT:
        await context.ended(finding.lease_id, finding.reason, corpse)
    return True


def _list_steady(app: JupyterHub) -> list[GradientSpawner]:
    """List the servers that run and are neither starting nor stopping."""
    return [s for s in list_servers(app) if s.lease_id and s.active and not s.pending]


def _list_running(app: JupyterHub) -> frozenset[str]:
    return frozenset(spawner.lease_id for spawner in _list_steady(app))


def hub_leases(app: JupyterHub, context: HubContext) -> frozenset[str]:
    """Return the leases of servers that the hub calls active, or is starting or stopping right now.

    A server that the hub has not checked yet after its own start counts, by its saved state.
    """
    served = set(context.moving)
    served |= {spawner.lease_id for spawner in list_servers(app) if spawner.active}
    if not context.settled or list_checked(app):
        for row in app.db.query(orm.Spawner).filter(orm.Spawner.server_id.is_not(None)):
            served.add((row.state or {}).get("lease_id", ""))
    return frozenset(served - {""})


def list_checked(app: JupyterHub) -> list[GradientSpawner]:
    """List the servers from before the hub's start that it still checks."""
    return [spawner for spawner in list_servers(app) if spawner.pending == "check"]


def _find_hanging(app: JupyterHub) -> list[ledger_findings.NewFinding]:
    """Tell an administrator of servers that a restarted hub still waits for."""
    return [
        ledger_findings.NewFinding(
            f"still_checking/{spawner.lease_id}",
            "still_checking",
            f"{shown(title_of_row(spawner.orm_spawner))} of {shown(spawner.user.name)} has not"
            " answered since the hub started; until it does or is given up, it is neither watched"
            " nor stopped.",
            "All others are watched. Look at its container; Stop ends it once the hub has given"
            " it up.",
            spawner.lease_id,
        )
        for spawner in list_checked(app)
        if spawner.lease_id
    ]
