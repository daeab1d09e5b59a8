"""GradientSpawner: the one order of a start and of a stop, for every engine."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from jupyterhub.spawner import Spawner
from jupyterhub.utils import maybe_future
from traitlets import Unicode, default

from .. import metrics
from ..ledger import (
    LedgerAway,
    accounts,
    admissions,
    audit,
    device_faults,
    leases,
    notebooks,
    servers,
    warm_slots,
)
from ..ledger.admissions import Request
from ..ledger.leases import Claim, Lease
from ..rules.action import Action
from ..rules.device_faults import blamed_devices
from ..rules.disk import means_no_room
from ..rules.folders_seen import FolderTrial
from ..rules.idleness import Reason
from ..rules.last_words import telling_line
from ..rules.options import options_from_form, parse_options, with_default_type
from ..rules.ownership import lease_name
from ..rules.phase import Phase, SlotState
from ..rules.readiness import NotYet, Other, Ready
from ..rules.refusal import Refused, disk_full, ledger_away, shown
from ..rules.traits import overridden
from ..views.start import GOING_ON
from . import form, hooked, server_token
from .address import follow, wait_up
from .context import HubContext, groups_of, hub_user
from .engine import CensusObject, Corpse, Engine, EngineAway, Waiting
from .others import GuardedSpawner, is_interruption, refusal_of
from .probe import Probe
from .record import record_of
from .refused import StartRefused
from .stage import width_of

__all__ = ["Claim", "GradientSpawner", "Lease", "url_of"]

#: How long the hub's own time limit is above ours, so that ours ends a start first, with a reason.
HUB_GRACE = 30.0
FIRST_PROBE = 0.02
SLOWEST_PROBE = 0.25
#: How often a server that does not answer yet is looked up at its engine.
LOOK_EVERY = 1.0
#: The same for a warm server, which either answers at once or is to be replaced at once.
LOOK_EVERY_WARM = 0.25
#: Seconds in which what answers may still make way for the server: some images show a page of their
#: own while it starts.
OTHERS_MAY_ANSWER = 10.0
BURY_TRIES = 3
#: How long a server of another kind of spawner has to take a connection.
LISTEN_SECONDS = 2.0
#: How often and how far apart a start asks whether its new hub has looked around: 10 s. Where it
#: cannot, because the engine or the ledger is away, the start ends by that.
LOOK_TRIES, LOOK_PAUSE = 200, 0.05
#: At every how many of these tries both are asked: a start says at once which of them is away.
LOOK_ASKS = 20


class GradientSpawner(GuardedSpawner, Spawner):
    """Put left of an engine's spawner: `class GradientXSpawner(GradientSpawner, XSpawner)`.

    A start is admitted in `run_pre_spawn_hook`, after the deployer's own hook, waits there for
    its turn, and is written down before each step of `start`. A stop ends the bill at once and
    frees devices when the engine says gone.

    An engine's spawner overrides `apply_lease` (the lease as this engine's traits) and
    `make_engine` (its census), and may override `prepare` (what needs no turn, like a download)
    and `start_engine`.
    """

    lease_id = Unicode(help="The open lease of this server; empty where there is none.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: What traits were before the hooks of this start.
        self._configured = hooked.set_values(self)

    lease: Lease | None = None
    #: Where the engine showed its object when the hub's address of it was read.
    located = ""
    _stop_reason: tuple[Reason, str, str] | None = None
    _starting = False
    #: Whether the hub's saved state is of a server without a lease: another spawner started it.
    _began_outside = False
    #: By what this engine knows that server; empty where another kind of spawner started it.
    _outside_object = ""
    _width: int | None = None
    _corpse: Corpse | None = None
    _timer: metrics.StartTimer | None = None

    # -- what an engine's spawner overrides -------------------------------------------------

    @classmethod
    def make_engine(cls, context: HubContext, config: Any) -> Engine:
        """The engine's census; the base has none, and then poll() is the only word."""
        return Engine()

    @classmethod
    async def try_folders(cls, context: HubContext, config: Any) -> list[FolderTrial]:
        """Try whether notebooks of this engine can keep files; nothing where that is certain."""
        return []

    async def apply_lease(self, lease: Lease) -> None:
        """Set this engine's traits (image, limits, devices, folders, labels) from the lease."""

    async def prepare(self, lease: Lease) -> None:
        """What a start needs before its turn, without a time limit; cancellable."""

    async def start_engine(self) -> str | tuple[str, int]:
        """Start it and return its address: the engine spawner's own start()."""
        return await super().start()  # type: ignore[no-any-return]

    async def find_address(self, found: CensusObject) -> str:
        """Return where the object is reached now; empty where it is not."""
        return ""

    # -- what an engine's spawner overrides to have warm servers -----------------------------

    async def warm_digest(self) -> str:
        """What a warm server of this machine and runtime is made of: image, options, our code.

        Raises ValueError in words where the configuration allows none.
        """
        raise ValueError(f"{type(self).__name__} has no warm servers")

    async def fill(self, slot_id: str) -> Waiting:
        """Start a warm server, and return once it waits."""
        raise NotImplementedError

    async def claim(self, lease: Lease, claim: Claim) -> tuple[str, int]:
        """Make the warm server this lease's; its address. Whatever it raises means a cold start."""
        raise NotImplementedError

    @property
    def server(self) -> Any:
        """The hub's address of it, which a restarted hub does not give up while it is alive."""
        found = Spawner.server.fget(self)
        if found is not None and "wait_up" not in vars(found):
            found.wait_up = partial(wait_up, self, found)
        return found

    @server.setter
    def server(self, server: Any) -> None:
        Spawner.server.fset(self, server)

    @default("options_form")
    def _has_a_form(self) -> str:
        # The hub's pages ask only whether there is one; get_options_form renders it.
        return "gradient"

    def get_env(self) -> dict[str, str]:
        """The hub's environment, with activity reported often enough for short intervals."""
        env: dict[str, str] = super().get_env()
        env.setdefault("JUPYTERHUB_ACTIVITY_INTERVAL", "60")
        return env

    # -- a start ----------------------------------------------------------------------------

    @property
    def context(self) -> HubContext:
        """What all spawners of this process share. Cheap after the first call."""
        return self.context_of(self.config)

    @classmethod
    def context_of(cls, config: Any) -> HubContext:
        """The process's context, with this spawner's engine in it."""
        context = HubContext.of(config)
        if type(context.engine) is Engine:
            context.engine = cls.make_engine(context, config)
        return context

    async def run_pre_spawn_hook(self) -> None:
        """The deployer's hook, then admission, then the wait for a turn."""
        try:
            await maybe_future(super().run_pre_spawn_hook())
            await self._admit_and_prepare(hooked.set_values(self))
        except asyncio.CancelledError:
            self._stop_reason = self._stopped_by()
            if self.lease is None:
                await self._keep_accepted_options()
            raise StartRefused(
                Refused("start_cancelled", "The start was cancelled.", "Nothing was charged.")
            ) from None

    async def _admit_and_prepare(self, hooks_left: Mapping[str, Any]) -> None:
        self._timer = metrics.StartTimer("admitted")
        try:
            await self._admit()
        except Refused as refused:
            await self._keep_accepted_options()
            raise StartRefused(refused) from None
        assert self.lease is not None
        with self._failures_said():
            await self.apply_lease(self.lease)
            await self._tell_overridden(self.lease, hooks_left)
            if self.lease.claim is None:
                await self._prepare_cold(self.lease)

    def _stopped_by(self) -> tuple[Reason, str, str]:
        """Who cancelled this start: whoever said so, else the one who asked for it."""
        return self._stop_reason or (Reason.USER, self._actor(), "")

    async def _tell_overridden(self, lease: Lease, hooks_left: Mapping[str, Any]) -> None:
        """Name in the log and in the audit what a hook set and the lease overrides."""
        before = hooked.with_defaults(self, self._configured, hooks_left)
        self._configured = hooked.set_values(self)
        found = overridden(before, hooks_left, self._configured)
        if not found:
            return
        context = self.context
        for one in found:
            # A hook that does so at every start says nothing new each time.
            if context.tell_once((one.name, str(one.wanted)[: hooked.LONGEST])):
                self.log.warning("%s: %s", self._log_name, hooked.in_words(self, one))
        await context.ledger.awrite(
            audit.record,
            hub_id=context.settings.hub_id,
            actor=self._actor(),
            account_id=lease.account_id,
            action=Action.OVERRIDDEN,
            detail={"lease": lease.id, "server": self.name, **hooked.as_detail(found)},
            now=context.clock(),
        )

    async def _prepare_cold(self, lease: Lease) -> None:
        await self._note(Phase.PREPARING)
        await self.prepare(lease)
        await self._note(Phase.WAITING)
        await self._take_turn(lease)

    @contextmanager
    def _failures_said(self) -> Iterator[None]:
        """What goes wrong after admission ends the lease as failed, and is said in words."""
        try:
            yield
        except BaseException as error:
            if is_interruption(error):
                raise
            self._stop_reason = (Reason.START_FAILED, "hub", "")
            if isinstance(error, Refused):
                raise StartRefused(error) from None
            if isinstance(error, LedgerAway):
                raise StartRefused(_given_up()) from error
            if means_no_room(error):
                self.log.error("%s: a disk takes no more: %s", self._log_name, error)
                raise StartRefused(disk_full()) from error
            if isinstance(error, EngineAway):
                self.log.error("%s: the engine is away: %s", self._log_name, error)
                raise StartRefused(_engine_away()) from error
            if isinstance(error, StartRefused):
                raise
            self.log.error("%s: cannot start it", self._log_name, exc_info=error)
            charged = _charged(self.lease) if self.lease else "Nothing was charged."
            raise StartRefused(refusal_of("The spawner", error, charged)) from error

    async def _run_apply_user_options(self, user_options: Any) -> None:
        """Options become traits in `apply_lease`, once they are admitted; nothing to do here."""

    async def _admit(self) -> None:
        context = self.context
        options = parse_options(
            with_default_type(self.user_options, context.settings.default_instance_type)
        )
        user = hub_user(self.user)
        lease_id = str(uuid.uuid4())
        # Before the row exists: the reconciler must never see it as nobody's.
        context.moving.add(lease_id)
        try:
            await self._until_looked()
            await self._end_older()
            outcome = await self._admitted(
                Request(
                    lease_id=lease_id,
                    user=user,
                    groups=groups_of(self.user),
                    server_name=self.name,
                    display_name=self.orm_spawner.display_name or "",
                    options=options,
                    actor=self._actor(),
                )
            )
            if isinstance(outcome, Refused):
                raise outcome
            self.lease, self.lease_id = outcome, outcome.id
            if outcome.claim is not None:
                context.engine.claimed[outcome.claim.slot_id] = outcome.id
                context.note_object(outcome.id, outcome.claim.object_id)
                context.engine.forget_listing()
                metrics.warm_servers.labels(SlotState.READY).dec()
            elif context.has_pool(outcome):
                metrics.warm_starts.labels("miss").inc()
        except LedgerAway as away:
            self.log.error("%s: the ledger is away: %s", self._log_name, away)
            raise ledger_away() from away
        finally:
            if self.lease_id != lease_id:
                context.moving.discard(lease_id)
        # Ours ends a start first, with a reason; the hub's is a net below it.
        self.start_timeout = round(context.settings.answer_timeout + HUB_GRACE)

    async def _until_looked(self) -> None:
        """Wait until a hub that has just started knows which devices others hold outside of it.

        Raises LedgerAway, and Refused where the engine is away.
        """
        for tried in range(LOOK_TRIES):
            if self.context.looked_outside:
                return
            if tried % LOOK_ASKS == 0:
                await self._account()
                try:
                    await self.context.engine.census()
                except EngineAway as away:
                    raise _engine_away() from away
            await asyncio.sleep(LOOK_PAUSE)

    async def _admitted(self, request: Request) -> Lease | Refused:
        """Ask for admission. Of a start that is cancelled meanwhile nothing is left.

        Its transaction goes on in a thread when nobody waits for it any more: what it admitted is
        ended before the cancellation goes on, or the device would be nobody's for a minute.
        """
        context = self.context
        writing = asyncio.ensure_future(
            context.ledger.awrite(
                admissions.admit_start, request, context.settings, context.clock()
            )
        )
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            giving_back = asyncio.ensure_future(self._give_back(writing))
            await asyncio.wait([giving_back])
            raise

    async def _give_back(self, writing: "asyncio.Future[Lease | Refused]") -> None:
        try:
            outcome = await writing
        except LedgerAway:
            return  # what it wrote all the same is the reconciler's
        if isinstance(outcome, Lease):
            reason, actor, note = self._stopped_by()
            await self.context.stop_asked(outcome.id, reason, actor, note)
            await self.context.ended(outcome.id, reason, None)

    async def _account(self) -> accounts.Account | None:
        """Return the account of this server's user, None before there is one. Raises LedgerAway."""
        context = self.context
        return await context.ledger.aread(
            accounts.look_up, hub_id=context.settings.hub_id, user=hub_user(self.user)
        )

    async def _notebook(self, server_name: str) -> notebooks.Notebook | None:
        """Return the notebook of that server name; None where it never ran. Raises LedgerAway."""
        account = await self._account()
        if account is None:
            return None
        return await self.context.ledger.aread(
            notebooks.find, account_id=account.id, server_name=server_name
        )

    async def _end_older(self) -> None:
        """An older open lease of this notebook is ended where the engine says it is gone."""
        context = self.context
        account = await self._account()
        if account is None:
            return
        older = await context.ledger.aread(
            leases.open_of_notebook, account_id=account.id, server_name=self.name
        )
        if older is None:
            return
        # What the ledger could not take is written first: it knows when and why it ended.
        await asyncio.to_thread(context.journal.replay, context.ledger, context.settings.hub_id)
        try:
            if await context.engine.census() is None:
                # No census: the hub itself says that nothing runs, or it would not start this.
                await context.ended(older, Reason.LOST, None)
                return
            found = await context.engine.look(older)
            if found is None:
                await context.ended(older, Reason.LOST, None)
            elif not found.alive:
                corpse = await context.bury(found, "dead, and its notebook starts again")
                await context.ended(older, Reason.CRASHED, corpse)
            elif older not in context.moving:
                await self._replace_unknown(older, found)
        except EngineAway as away:
            raise _engine_away() from away

    async def _replace_unknown(self, lease_id: str, found: CensusObject) -> None:
        """Stop what runs of this notebook and cannot be given back, so that it can start again.

        The hub's own database does not know it. Where it can be given back, this start is refused
        and it is given back at once.
        """
        context = self.context
        kept = await context.ledger.aread(servers.kept, lease_id)
        if kept is None or any(user.name != self.user.name for user in kept.users):
            return  # it is stopping, or the server of another name: admission says so
        if kept.body is not None and kept.body["user"] == self.user.name:
            context.wake_settle()
            return
        await context.stop_asked(lease_id, Reason.USER, self._actor())
        await context.ended(lease_id, Reason.USER, await context.engine.bury(found))

    async def _keep_accepted_options(self) -> None:
        """A refused start's options must not be what the next option-less start uses.

        The hub saved them before anybody could object; the last admitted ones are put back.
        """
        accepted = None
        try:
            found = await self._notebook(self.name)
            accepted = found and found.options
        except LedgerAway:
            pass
        self.orm_spawner.user_options = accepted or {}
        self.user.db.commit()

    async def _take_turn(self, lease: Lease) -> None:
        context = self.context
        self._width = width_of(await self._configured_width(lease), await context.engine.cores())
        await context.stage.enter(lease.host, lease.id, self._width)
        await self._note(Phase.TURN)

    async def _configured_width(self, lease: Lease) -> int | None:
        settings = self.context.settings
        host = next((h for h in settings.house.hosts if h.name == lease.host), None)
        return (host and host.stage_width) or settings.stage_width

    async def start(self) -> str:
        """Start the engine's object, and return once our own probe had an answer."""
        lease, context = self.lease, self.context
        if lease is None:
            raise StartRefused(
                Refused(
                    "start_failed",
                    "This start was not admitted.",
                    "A spawner class must not override run_pre_spawn_hook without super().",
                )
            )
        self._starting = True
        context.somebody_starts()
        try:
            with self._failures_said():
                await self._note(Phase.STARTING, object_name=self.object_label)
                await self._make_way(lease)
                url = await self._start_warm(lease) or await self._start_cold(lease)
                if not await context.ledger.awrite(leases.note_answered, lease.id, context.clock()):
                    raise self._ended_meanwhile(Phase.ANSWERED)
                if self._timer is not None:
                    self._timer.answered()
                return url
        finally:
            self._starting = False
            self._leave_stage()
            context.somebody_starts()
            context.wake_pool()

    async def _start_cold(self, lease: Lease) -> str:
        url = url_of(await self.start_engine())
        await self.see_made()
        self.context.note_object(lease.id, self.made_id)
        await self._note(Phase.ANSWERING, object_id=self.made_id)
        await self._until_it_answers(url, lease)
        return url

    async def _start_warm(self, lease: Lease) -> str:
        """Claim the warm server that admission gave; empty where there is none, or it is spoiled.

        Whatever goes wrong, the person gets a cold start: the warm server is destroyed first,
        because it may hold the same devices.
        """
        claim = lease.claim
        if claim is None:
            return ""
        began = time.monotonic()
        try:
            url = url_of(await self.claim(lease, claim))
            await self._until_it_answers(url, lease, LOOK_EVERY_WARM)
        except Exception as error:
            metrics.warm_starts.labels("failed").inc()
            self.log.warning("%s: a warm server was spoiled: %s", self._log_name, error)
            await self.settled_calls()
            await self._destroy_slot(claim.slot_id)
            await self.context.ledger.awrite(
                warm_slots.note_spoiled, lease.id, self.context.clock()
            )
            self.context.engine.object_ids.pop(lease.id, None)
            await self._prepare_cold(lease)
            await self._note(Phase.STARTING, object_name=self.object_label)
            return ""
        metrics.warm_starts.labels("hit").inc()
        metrics.warm_claim_seconds.observe(time.monotonic() - began)
        waited = self.context.clock() - claim.waits_since
        metrics.warm_age_seconds.observe(max(0.0, waited.total_seconds()))
        return url

    async def _make_way(self, lease: Lease) -> None:
        """Warm servers whose device or memory this start has are gone before it begins."""
        for slot_id in lease.evicts:
            await self._destroy_slot(slot_id)
            await self.context.ledger.awrite(warm_slots.gone, slot_id, self.context.clock())

    async def _destroy_slot(self, slot_id: str) -> None:
        engine = self.context.engine
        engine.forget_listing()
        for found in await engine.census() or []:
            if found.slot == slot_id:
                await self.context.destroy(found, "a warm server in the way of a start")

    @property
    def outside_id(self) -> str:
        """Return by what the engine knows a server that runs outside; empty where none does."""
        if self.lease_id or not self._began_outside:
            return ""
        return self._outside_object or str(self._log_name)

    @property
    def object_label(self) -> str:
        """The name under which the engine knows this lease's object."""
        return lease_name(self.lease_id)

    async def _until_it_answers(
        self, url: str, lease: Lease, look_every: float | None = None
    ) -> None:
        """Probe until this lease's own server answers its own token.

        Raises Refused where it died, takes too long, or something else answers in its place.
        """
        began = looked = time.monotonic()
        deadline = began + self.context.settings.answer_timeout
        pause = FIRST_PROBE
        other_since: float | None = None
        async with Probe(url.rstrip("/") + self.server.base_url, self.api_token) as probe:
            while True:
                said = await probe.ask()
                now = time.monotonic()
                match said:
                    case Ready():
                        return
                    case Other():
                        other_since = other_since or now
                        if now - other_since >= OTHERS_MAY_ANSWER:
                            raise await self._not_its_server(lease, said)
                    case NotYet():
                        other_since = None
                if now >= deadline:
                    break
                await asyncio.sleep(pause)
                pause = min(pause * 1.3, SLOWEST_PROBE)
                if time.monotonic() - looked > (look_every or LOOK_EVERY):
                    looked = time.monotonic()
                    await self._raise_if_dead(lease)
        if isinstance(said, Other):
            raise await self._not_its_server(lease, said)
        words = await self._last_words(lease)
        instead = f" What answers is {said.what}." if said.what else ""
        raise Refused(
            "start_failed",
            f"It started, but did not answer within {self.context.settings.answer_timeout:.0f} s."
            f"{instead}{words}",
            f"{_charged(lease)} Try again, or choose another runtime.",
        )

    async def _not_its_server(self, lease: Lease, said: Other) -> Refused:
        words = await self._last_words(lease)
        return Refused(
            "start_failed",
            f"It started, but what answers at its port is {said.what}.{words}",
            f"{_charged(lease)} A custom image needs jupyterhub-singleuser 6 inside, and must start"
            " it at the port and address that the hub gives.",
        )

    async def _raise_if_dead(self, lease: Lease) -> None:
        try:
            if await self.context.engine.census() is None:
                dead = await self._own_poll() is not None
            else:
                found = await self.context.engine.look(lease.id)
                dead = found is None or not found.alive
        except EngineAway:
            return  # unknown is not dead; the deadline decides
        if dead:
            words = await self._last_words(lease)
            raise Refused(
                "start_failed",
                f"It started and died before it answered.{words}",
                f"{_charged(lease)} A custom image needs jupyterhub-singleuser 6 inside.",
            )

    async def _last_words(self, lease: Lease) -> str:
        """The end of its log as part of a sentence; the object is gone afterwards."""
        try:
            found = await self.context.engine.look(lease.id)
            if found is None:
                return ""
            self._corpse = await self.context.bury(found, "it did not answer")
        except EngineAway:
            return ""
        said = telling_line(self._corpse.last_words)
        return f" Its last words: {shown(said, 300)}." if said else ""

    def _leave_stage(self) -> None:
        if self.lease is not None and self._width is not None:
            self.context.stage.leave(self.lease.host, self.lease.id, self._width)

    async def see_made(self) -> None:
        """See that what was made is what was asked for. Raises Refused where it is not."""

    @property
    def made_id(self) -> str | None:
        """The engine's id of what was made for this lease; None where the engine has none."""
        return None

    async def _note(
        self, phase: Phase, object_name: str | None = None, object_id: str | None = None
    ) -> None:
        """Write down how far the start has come, before the step, so that a crash finds it.

        Raises Refused where the lease may not take this step.
        """
        context = self.context
        taken = await context.ledger.awrite(
            leases.note_phase, self.lease_id, phase, context.clock(), object_name, object_id
        )
        if not taken:
            raise self._ended_meanwhile(phase)
        if self._timer is not None:
            self._timer.enter(GOING_ON[phase])

    def _ended_meanwhile(self, phase: Phase) -> Refused:
        self.log.warning("%s: its lease may not be %s any more", self._log_name, phase)
        return Refused(
            "start_cancelled", "This start was ended in the meantime.", "Start it again."
        )

    def add_poll_callback(self, callback: Any, *args: Any, **kwargs: Any) -> None:
        """The hub calls this once it has found the server ready: there is no hook for that."""
        super().add_poll_callback(callback, *args, **kwargs)
        if self.lease_id:
            self.context.soon(self._confirm(self.lease_id, record_of(self)))

    async def _confirm(self, lease_id: str, record: dict[str, Any] | None) -> None:
        context = self.context
        try:
            await context.ledger.awrite(leases.note_confirmed, lease_id, context.clock())
            if record is not None:
                await context.ledger.awrite(
                    servers.keep,
                    hub_id=context.settings.hub_id,
                    lease_id=lease_id,
                    body=record,
                    now=context.clock(),
                )
        except LedgerAway:
            self.log.warning("The ledger is away; lease %s is confirmed later", lease_id)

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """The phases of this start as the hub's progress events."""
        said = None
        for _ in range(36_000):
            event = await form.progress_event(self)
            if event != said:
                said = event
                yield event
            await asyncio.sleep(0.5)

    async def note_device_fault(self, message: str) -> None:
        """Count a start that failed for its devices' sake against them. Never raises."""
        lease, context = self.lease, self.context
        blamed = blamed_devices(message, lease.devices) if lease else ()
        if not blamed:
            return
        try:
            out = await context.ledger.awrite(
                device_faults.note,
                hub_id=context.settings.hub_id,
                uuids=blamed,
                why=message,
                now=context.clock(),
            )
        except LedgerAway:
            return
        for device in out:
            self.log.error("Device %s failed twice and is out of rent: %s", device, message)

    # -- a stop -----------------------------------------------------------------------------

    def expect_stop(self, reason: Reason, actor: str, note: str = "") -> None:
        """Say why the stop that comes next is asked for; the first reason counts.

        `note` is what its owner is told by whoever stops it.
        """
        self._stop_reason = self._stop_reason or (reason, actor, note)

    async def poll(self) -> Any:
        """None while it runs, else why not. Never raises: an error is not a death certificate."""
        if not self.lease_id:
            return await self._poll_outside()
        if self._starting:
            return None
        try:
            if await self.context.engine.census() is None:
                return await self._own_poll()
            found = await self.context.engine.look(self.lease_id)
        except Exception as error:  # the hub takes a raising poll for a death
            self.log.warning("%s: cannot ask the engine: %s", self._log_name, error)
            return None
        if found is None:
            return 0
        if not found.alive:
            return found.exit_code or 0
        await follow(self, found)
        return None

    async def _poll_outside(self) -> Any:
        """Ask for a server that began before this hub was adopted: it has no lease, and runs on."""
        if not self._began_outside:
            return 0
        known = self._outside_object
        try:
            status = await super().poll()
        except Exception as error:  # as above
            self.log.warning("%s: cannot ask for what runs outside: %s", self._log_name, error)
            return None
        # Another kind of spawner may have started it, of which this one knows nothing.
        if status is not None and not known and await self._listens():
            self._began_outside = True
            return None
        return status

    async def _listens(self) -> bool:
        """Return whether something takes connections where the hub says that this server is."""
        if self.server is None:
            return False
        try:
            opening = asyncio.open_connection(self.server.ip or "127.0.0.1", self.server.port)
            _reader, writer = await asyncio.wait_for(opening, LISTEN_SECONDS)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    async def _own_poll(self) -> Any:
        """The spawner's own word, where there is no census."""
        with self._lease_kept():
            return await super().poll()

    @contextmanager
    def _lease_kept(self) -> Iterator[None]:
        """LocalProcessSpawner clears its state when it sees its process dead, and with it ours.

        The lease is open until it is ended; without its id nobody would end it.
        """
        names = (
            "lease",
            "lease_id",
            "_kept_deadlines",
            "_stop_reason",
            "_width",
            "_corpse",
            "located",
        )
        kept = {name: getattr(self, name) for name in names}
        try:
            yield
        finally:
            for name, value in kept.items():
                setattr(self, name, value)

    async def stop(self, now: bool = False) -> None:
        """Billing ends here; devices are freed once the engine says gone."""
        self._starting = False
        lease_id = self.lease_id
        if not lease_id:
            await self._stop_outside(now)
            return
        reason, actor, note = self._stop_reason or (Reason.HUB, "hub", "")
        await self.context.stop_asked(lease_id, reason, actor, note)
        await self._finish(lease_id, reason, alive_too=True)

    async def _stop_outside(self, now: bool) -> None:
        """Stop a server without a lease, as far as this spawner knows it."""
        stranger = self._began_outside and not self._outside_object
        if stranger and await self._listens() and await super().poll() is not None:
            self.log.error(
                "%s: another kind of spawner started it, and only that could stop it. The hub"
                " forgets it now; end it on its machine",
                self._log_name,
            )
            return
        await super().stop(now)

    async def run_post_stop_hook(self) -> None:
        """The deployer's hook, then what is left to do. Fires twice, or for what never started."""
        try:
            await maybe_future(super().run_post_stop_hook())
        finally:
            self._starting = False
            self._leave_stage()
            server_token.revoke(self)
            if lease_id := self.lease_id:
                reason = self._stop_reason[0] if self._stop_reason else Reason.CRASHED
                if self._stop_reason:
                    await self.context.stop_asked(lease_id, *self._stop_reason)
                await self._finish(lease_id, reason, alive_too=reason is not Reason.CRASHED)

    async def _finish(self, lease_id: str, reason: Reason, *, alive_too: bool) -> None:
        """Remove the object and end the lease, on the engine's word. Never raises.

        A stop that raises is forgotten by the hub, and nobody would free the device. Where the
        engine will not say gone, the lease stays open and the reconciler goes on with it.
        """
        context = self.context
        corpse = self._corpse
        for attempt in range(BURY_TRIES):
            try:
                await self.settled_calls()
                if await context.engine.census() is None:
                    with self._lease_kept():
                        await super().stop()
                    if await self._own_poll() is None:
                        raise EngineAway("it still runs")
                    await context.ended(lease_id, reason, corpse)
                    return
                found: CensusObject | None = await context.engine.look(lease_id)
                if found is not None and found.alive and not alive_too:
                    break
                if found is not None:
                    corpse = await context.bury(found, f"its lease ends: {reason.value}")
                await context.ended(lease_id, reason, corpse)
                return
            except Exception as error:
                self.log.warning("%s: cannot end it: %s", self._log_name, error)
                if attempt + 1 < BURY_TRIES:
                    await asyncio.sleep(0.2 * 2**attempt)
        context.moving.discard(lease_id)
        self.log.error("%s: lease %s is left to the reconciler", self._log_name, lease_id)

    async def settled_calls(self) -> None:
        """Wait for engine calls of a cancelled start, which go on in their threads."""

    # -- state ------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """What the hub keeps: the lease, its deadlines for a culler that reads states, its token.

        The server is asked about its use with the token, which is kept encrypted or not at all.
        """
        state: dict[str, Any] = super().get_state()
        if self.lease_id:
            state["lease_id"] = self.lease_id
            if self._sealed is None or self._sealed[0] != self.api_token:
                self._sealed = (self.api_token, server_token.seal(self.api_token))
            if sealed := self._sealed[1]:
                state[server_token.SEALED] = sealed
            if self.lease is not None:
                deadlines = self.lease.deadlines
                state["deadlines"] = {
                    "shutdown_after": deadlines.shutdown_after
                    and deadlines.shutdown_after.total_seconds(),
                    "stop_at": deadlines.stop_at and deadlines.stop_at.isoformat(),
                    "session_ends_at": deadlines.session_ends_at
                    and deadlines.session_ends_at.isoformat(),
                }
            elif self._kept_deadlines:
                state["deadlines"] = self._kept_deadlines
        return state

    _kept_deadlines: dict[str, Any] | None = None
    #: The token and what it is sealed as, which would be another text each time.
    _sealed: tuple[str, str | None] | None = None

    def load_state(self, state: dict[str, Any]) -> None:
        """A restarted hub finds its lease again; a stopped server has none."""
        super().load_state(state)
        self.lease_id = state.get("lease_id", "")
        self.api_token = server_token.unseal(state)
        self._kept_deadlines = state.get("deadlines")
        self._began_outside = bool(state) and not self.lease_id
        self._outside_object = str(getattr(self, "object_id", "") or getattr(self, "pid", "") or "")

    def clear_state(self) -> None:
        """Before each start and after each stop."""
        super().clear_state()
        self.lease, self.lease_id, self._kept_deadlines = None, "", None
        self._began_outside, self.located = False, ""
        # What an earlier start left must not be told of the next one.
        self._stop_reason, self._width, self._corpse = None, None, None

    # -- names, options, folders ------------------------------------------------------------

    async def delete_forever(self) -> None:
        """The server or its user is deleted: the notebook is marked, its folder is kept."""
        context = self.context
        try:
            if account := await self._account():
                await context.ledger.awrite(
                    notebooks.delete,
                    account_id=account.id,
                    server_name=self.name,
                    now=context.clock(),
                )
        finally:
            await maybe_future(super().delete_forever())

    async def rename(self, old_name: str, new_name: str) -> None:
        """The hub renames the server; the notebook and its folder stay the same."""
        await maybe_future(super().rename(old_name, new_name))
        context = self.context
        try:
            found = await self._notebook(old_name)
            if found is not None:
                await context.ledger.awrite(notebooks.rename, found.id, server_name=new_name)
        except LedgerAway as away:
            raise StartRefused(ledger_away("No notebook can be renamed now")) from away

    def folders(self, lease: Lease) -> tuple[Path, Path]:
        """(the notebook's workspace, its account's storage), named by our ids."""
        root = self.context.settings.storage_root
        return (
            root / "notebooks" / lease.notebook_id,
            root / "accounts" / lease.account_id,
        )

    def options_from_form(self, formdata: dict[str, list[Any]]) -> dict[str, Any]:
        """The posted form as options, parsed once here so that nonsense is never stored."""
        try:
            return parse_options(options_from_form(formdata)).as_json()
        except Refused as refused:
            raise StartRefused(refused) from None

    def options_from_query(self, query: dict[str, list[Any]]) -> dict[str, Any]:
        """A link never starts a machine: it prefills the form, which our own handler renders."""
        raise StartRefused(
            Refused("bad_option", "A link only fills in the form.", "Look it over and press Start.")
        )

    async def get_options_form(self) -> str:
        """The spawn form; JupyterHub takes an empty one for "start at once"."""
        return await form.render_fields(self)

    def _actor(self) -> str:
        who = getattr(self.handler, "current_user", None)
        name = getattr(who, "name", None)
        if name is None:
            return "hub"
        return f"service {name}" if getattr(who, "kind", "user") == "service" else str(name)


def url_of(address: str | tuple[str, int]) -> str:
    """Return what a spawner's start returned as a URL."""
    if isinstance(address, str):
        return address
    ip, port = address
    return f"http://[{ip}]:{port}" if ":" in ip else f"http://{ip}:{port}"


def _charged(lease: Lease) -> str:
    """What a start costs that never answered: a paid machine runs for whoever brings the image."""
    if lease.price and lease.runtime is None:
        return "The time since its container started is charged, as the image is your own."
    return "Nothing was charged."


def _given_up() -> Refused:
    return Refused(
        "ledger_away",
        "The start was given up: the ledger does not answer.",
        "Nothing was charged. Try again in a minute.",
        retry_after=timedelta(seconds=60),
    )


def _engine_away() -> Refused:
    return Refused(
        "engine_away",
        "No notebook can start now: the engine does not answer.",
        "Running notebooks go on. Try again in a minute; your administrator sees this.",
        retry_after=timedelta(seconds=60),
    )
