"""Settle: after a start and every minute, hub, engine and ledger are made to agree."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from jupyterhub import orm

from ..ledger import LedgerAway, device_faults, fleet, leases, objects, warm_slots
from ..ledger import findings as ledger_findings
from ..ledger.database import way_to
from ..rules.catalog import ConfigurationFault
from ..rules.drift import Finding, Repair, findings
from ..rules.idleness import Reason
from ..rules.refusal import shown
from ..spawners import server_token
from ..spawners.context import HubContext
from ..spawners.engine import CensusObject, EngineAway, Stranger
from . import disk
from .giving_back import give_back, revoke_tokens
from .outside import note_outside
from .people import note_people
from .server_row import title_of_row
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


async def keep_settled(app: Any, context: HubContext, *, prepared: bool = True) -> None:
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


async def settle(app: Any, context: HubContext) -> list[Finding]:
    """Run one pass: compare, repair, and return the findings.

    The ledger is read first and the hub last, so that what starts in between is the hub's.
    """
    await note_people(app, context)
    before = _running(app)
    open_leases, not_lost = await context.ledger.aread(
        leases.list_open_and_surviving, context.settings.hub_id
    )
    census = await _census(context)
    await note_outside(app, context)
    if census is None:
        return []
    # Ended, not only unknown: a ledger restored from yesterday must not stop what runs today.
    ended = await context.ledger.aread(leases.find_ended, before & _running(app))
    mine = hub_leases(app, context)
    # What the hub serves is the hub's, also where a ledger was restored from yesterday.
    strange = await _find_strangers(context, [seen for seen in census if seen.lease_id not in mine])
    census = [seen for seen in census if seen.object_id not in strange]
    # A warm server that nobody has claimed is the pool's.
    theirs = [seen for seen in census if seen.lease_id or not seen.slot]
    found = findings(open_leases, theirs, hub_leases(app, context), ended, not_lost)
    by_id = {seen.object_id: seen for seen in census}
    for finding in found:
        app.log.warning("Lease %s: %s; %s", finding.lease_id, finding.why, finding.repair.value)
    await _report(context, "engine", [])
    await _report(context, "check", _find_hanging(app))
    out = await context.ledger.aread(device_faults.find_faults, context.settings.hub_id)
    await _report(context, "device", out)
    others = [_stranger_in_words(stranger) for stranger in strange.values()]
    await _report(context, "hub", [*others, *map(_in_words, found)])
    if found:
        # At once: what stops slowly or not at all must not be what the others wait behind.
        mended = await asyncio.gather(
            *(_try_repair(app, context, f, by_id.get(f.object_id or "")) for f in found)
        )
        left = [_in_words(f) for f, well in zip(found, mended, strict=True) if not well]
        await _report(context, "hub", [*others, *left])
    _finish_stops(app, context, {lease.id for lease in open_leases if lease.stop_requested_at})
    revoke_tokens(app.db, frozenset(lease.id for lease in open_leases))
    return found


async def _census(context: HubContext) -> list[CensusObject] | None:
    """Return the engine's census; that it is away is a finding while it lasts.

    Raises EngineAway.
    """
    try:
        return await context.engine.census()
    except EngineAway as away:
        one = ledger_findings.NewFinding(
            "engine_away", "engine_away", str(away), "ask again; notebooks that run go on"
        )
        await _report(context, "engine", [one])
        raise


async def _find_strangers(
    context: HubContext, census: Iterable[CensusObject]
) -> dict[str, Stranger]:
    """Find objects with our labels that are not ours, by names, ids and the ledger."""
    seen = {found.object_id: found for found in census}
    strange = await context.ledger.aread(
        objects.find_strangers, context.settings.hub_id, [found.labelled for found in seen.values()]
    )
    return {one.object_id: one for one in context.engine.strangers()} | {
        object_id: Stranger(object_id, seen[object_id].name, why, seen[object_id].lease_id)
        for object_id, why in strange.items()
    }


def _stranger_in_words(stranger: Stranger) -> ledger_findings.NewFinding:
    return ledger_findings.NewFinding(
        key=f"stranger/{stranger.object_id}",
        kind="stranger",
        why=f"{stranger.name} has labels of this hub and is not one of ours: {stranger.why}",
        repair="see whose it is; it is counted for nobody, and only you may remove it",
    )


async def _report(
    context: HubContext, source: str, found: Iterable[ledger_findings.NewFinding]
) -> None:
    await context.ledger.awrite(
        ledger_findings.report,
        hub_id=context.settings.hub_id,
        source=source,
        wrong=[*found],
        now=context.clock(),
    )


def _in_words(finding: Finding) -> ledger_findings.NewFinding:
    return ledger_findings.NewFinding(
        key="/".join((finding.repair.value, finding.lease_id, finding.object_id or "")),
        kind=finding.repair.value,
        why=finding.why,
        repair=IN_WORDS[finding.repair],
        lease_id=finding.lease_id,
    )


def _finish_stops(app: Any, context: HubContext, asked: set[str]) -> None:
    """Stop the servers whose stop was asked for and that the hub still calls running.

    A hub that died during a stop leaves the stop in the ledger, where the bill has ended, and the
    server in its own database, so that the next hub takes it on; it would run on for nothing.
    """
    for user, spawner in _quiet(app):
        if spawner.lease_id in asked:
            app.log.warning("Lease %s: its stop was interrupted; stopping", spawner.lease_id)
            # Before the stop has begun: nobody else begins one meanwhile.
            spawner._stop_pending = True
            context.soon(stop_for_hub(app, user, spawner))


async def _stop_server(app: Any, lease_id: str) -> None:
    """Stop the server of a lease that is ended, if it still runs and nobody else stops it."""
    for user, spawner in list(_quiet(app)):
        if spawner.lease_id == lease_id:
            spawner.expect_stop(Reason.HUB, "hub")
            await stop_for_hub(app, user, spawner)


async def _try_repair(
    app: Any, context: HubContext, finding: Finding, seen: CensusObject | None
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
    app: Any, context: HubContext, finding: Finding, seen: CensusObject | None
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


def _quiet(app: Any) -> Iterator[tuple[Any, Any]]:
    """List (user, spawner) of the servers that run and are neither starting nor stopping."""
    for user in list(app.users.values()):
        for spawner in list(user.spawners.values()):
            if getattr(spawner, "lease_id", "") and spawner.active and not spawner.pending:
                yield user, spawner


def _running(app: Any) -> frozenset[str]:
    return frozenset(spawner.lease_id for _, spawner in _quiet(app))


def hub_leases(app: Any, context: HubContext) -> frozenset[str]:
    """Return the leases of servers that the hub calls active, or is starting or stopping right now.

    A server that the hub has not checked yet after its own start counts, by its saved state.
    """
    mine = set(context.moving)
    for user in list(app.users.values()):
        for spawner in list(user.spawners.values()):
            lease_id = getattr(spawner, "lease_id", "")
            if lease_id and spawner.active:
                mine.add(lease_id)
    if not context.settled or any(_checked(app)):
        for row in app.db.query(orm.Spawner).filter(orm.Spawner.server_id.is_not(None)):
            mine.add((row.state or {}).get("lease_id", ""))
    return frozenset(mine - {""})


def _checked(app: Any) -> Iterator[tuple[Any, Any]]:
    """List (user, spawner) of servers from before the hub's start that it still checks."""
    for user in list(app.users.values()):
        for spawner in list(user.spawners.values()):
            if spawner.pending == "check":
                yield user, spawner


def _find_hanging(app: Any) -> list[ledger_findings.NewFinding]:
    """Tell an administrator of servers that a restarted hub still waits for."""
    return [
        ledger_findings.NewFinding(
            f"still_checking/{spawner.lease_id}",
            "still_checking",
            f"{shown(title_of_row(spawner.orm_spawner))} of {shown(user.name)} has not answered"
            " since the hub started; until it does or is given up, it is neither watched nor"
            " stopped.",
            "All others are watched. Look at its container; Stop ends it once the hub has given"
            " it up.",
            spawner.lease_id,
        )
        for user, spawner in _checked(app)
        if getattr(spawner, "lease_id", "")
    ]
