"""The admission of a start: one transaction, and what comes before it and after a refusal."""

import asyncio
import uuid
from datetime import timedelta

from .. import metrics
from ..ledger import LedgerAway, admissions, leases, servers
from ..ledger.admissions import Request
from ..rules.idleness import Reason
from ..rules.lease import Lease
from ..rules.options import parse_options, with_default_type
from ..rules.phase import SlotState
from ..rules.refusal import Refused, ledger_away
from .context import HubContext, groups_of, hub_user
from .contract import EngineSpawner
from .engine import CensusObject, EngineAway
from .run import StopCause

#: How long the hub's own time limit is above ours, so that ours ends a start first, with a reason.
HUB_GRACE = 30.0
#: How often and how far apart a start asks whether its new hub has looked around: 10 s. Where it
#: cannot, because the engine or the ledger is away, the start ends by that.
LOOK_TRIES, LOOK_PAUSE = 200, 0.05
#: At every how many of these tries both are asked: a start says at once which of them is away.
LOOK_ASKS = 20


async def admit(spawner: EngineSpawner) -> None:
    """Admit the start and keep its lease in the spawner's run.

    Raises Refused, in words, also where the engine or the ledger is away.
    """
    context = spawner.context
    options = parse_options(
        with_default_type(spawner.user_options, context.settings.default_instance_type)
    )
    user, lease_id = hub_user(spawner.user), str(uuid.uuid4())
    # Before the row exists: the reconciler must never see it as nobody's.
    context.moving.add(lease_id)
    try:
        await _until_looked(spawner)
        await _end_older(spawner)
        # Groups and title as they are by now.
        request = Request(
            lease_id=lease_id,
            user=user,
            groups=groups_of(spawner.user),
            server_name=spawner.name,
            display_name=spawner.orm_spawner.display_name or "",
            options=options,
            actor=spawner.actor(),
        )
        outcome = await _admitted(spawner, request)
        if isinstance(outcome, Refused):
            raise outcome
        spawner.run.lease, spawner.run.lease_id = outcome, outcome.id
        _note_claim(context, outcome)
    except LedgerAway as away:
        spawner.log.error("%s: the ledger is away: %s", spawner._log_name, away)
        raise ledger_away() from away
    finally:
        if spawner.lease_id != lease_id:
            context.moving.discard(lease_id)
    # Ours ends a start first, with a reason; the hub's is a net below it.
    spawner.start_timeout = round(context.settings.answer_timeout + HUB_GRACE)


def _note_claim(context: HubContext, lease: Lease) -> None:
    """Let the engine know whose the claimed warm server is by now, and count hits and misses."""
    if lease.claim is not None:
        context.engine.claimed[lease.claim.slot_id] = lease.id
        context.note_object(lease.id, lease.claim.object_id)
        context.engine.forget_listing()
        metrics.warm_servers.labels(SlotState.READY).dec()
    elif context.has_pool(lease):
        metrics.warm_starts.labels("miss").inc()


async def _until_looked(spawner: EngineSpawner) -> None:
    """Wait until a hub that has just started knows which devices others hold outside of it.

    Raises LedgerAway, and Refused where the engine is away.
    """
    for tried in range(LOOK_TRIES):
        if spawner.context.looked_outside:
            return
        if tried % LOOK_ASKS == 0:
            await spawner.find_account()
            try:
                await spawner.context.engine.census()
            except EngineAway as away:
                raise engine_away() from away
        await asyncio.sleep(LOOK_PAUSE)


async def _admitted(spawner: EngineSpawner, request: Request) -> Lease | Refused:
    """Ask for admission. Of a start that is cancelled meanwhile nothing is left.

    Its transaction goes on in a thread when nobody waits for it any more: what it admitted is
    ended before the cancellation goes on, or the device would be nobody's for a minute.
    """
    context = spawner.context
    writing = asyncio.ensure_future(
        context.ledger.awrite(admissions.admit_start, request, context.settings, context.clock())
    )
    try:
        return await asyncio.shield(writing)
    except asyncio.CancelledError:
        giving_back = asyncio.ensure_future(_give_back(spawner, writing))
        await asyncio.wait([giving_back])
        raise


async def _give_back(spawner: EngineSpawner, writing: "asyncio.Future[Lease | Refused]") -> None:
    try:
        outcome = await writing
    except LedgerAway:
        return  # what it wrote all the same is the reconciler's
    if isinstance(outcome, Lease):
        reason, actor, note = stopped_by(spawner)
        await spawner.context.stop_asked(outcome.id, reason, actor, note)
        await spawner.context.ended(outcome.id, reason, None)


def stopped_by(spawner: EngineSpawner) -> StopCause:
    """Return who cancelled this start: whoever said so, else the one who asked for it."""
    return spawner.run.stop_cause or StopCause(Reason.USER, spawner.actor())


async def _end_older(spawner: EngineSpawner) -> None:
    """End an older open lease of this notebook whose container the engine calls gone."""
    context = spawner.context
    account = await spawner.find_account()
    if account is None:
        return
    older = await context.ledger.aread(
        leases.find_open, account_id=account.id, server_name=spawner.name
    )
    if older is None:
        return
    # What the ledger could not take is written first: it knows when and why it ended.
    await asyncio.to_thread(context.journal.replay, context.ledger, context.settings.hub_id)
    try:
        found = await context.engine.look(older)
        if found is None:
            await context.ended(older, Reason.LOST, None)
        elif not found.alive:
            corpse = await context.bury(found, "dead, and its notebook starts again")
            await context.ended(older, Reason.CRASHED, corpse)
        elif older not in context.moving:
            await _replace_unknown(spawner, older, found)
    except EngineAway as away:
        raise engine_away() from away


async def _replace_unknown(spawner: EngineSpawner, lease_id: str, found: CensusObject) -> None:
    """Stop what runs of this notebook and cannot be given back, so that it can start again.

    The hub's own database does not know it. Where it can be given back, this start is refused
    and it is given back at once.
    """
    context = spawner.context
    kept = await context.ledger.aread(servers.find_lease_without_server, lease_id)
    if kept is None or any(user.name != spawner.user.name for user in kept.users):
        return  # it is stopping, or the server of another name: admission says so
    if kept.body is not None and kept.body["user"] == spawner.user.name:
        context.wake_settle()
        return
    await context.stop_asked(lease_id, Reason.USER, spawner.actor())
    await context.ended(lease_id, Reason.USER, await context.engine.bury(found))


async def keep_accepted_options(spawner: EngineSpawner) -> None:
    """Keep the options of the last admitted start, so that a start without options does not use
    refused ones.

    The hub saved them before anybody could object; the last admitted ones are put back.
    """
    accepted = None
    try:
        notebook = await spawner.find_notebook(spawner.name)
        accepted = notebook and notebook.options
    except LedgerAway:
        pass
    spawner.orm_spawner.user_options = accepted or {}
    spawner.user.db.commit()


def engine_away() -> Refused:
    """Return the refusal of a start while the engine does not answer."""
    return Refused(
        "engine_away",
        "No notebook can start now: the engine does not answer.",
        "Running notebooks go on. Try again in a minute; your administrator sees this.",
        retry_after=timedelta(seconds=60),
    )
