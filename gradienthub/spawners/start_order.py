"""The one order of a start, for every engine."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from jupyterhub.utils import maybe_future

from .. import metrics
from ..ledger import By, LedgerAway, audit, device_faults, leases, servers, warm_slots
from ..rules.action import Action
from ..rules.device_faults import blamed_devices
from ..rules.disk import means_no_room
from ..rules.idleness import Reason
from ..rules.lease import Lease
from ..rules.phase import Phase
from ..rules.refusal import Refused, disk_full
from ..rules.traits import find_overridden
from ..views.start import GOING_ON
from . import admitting, hooked, spawn_form
from .answering import LOOK_EVERY_WARM, charged_for, until_it_answers
from .engine import EngineAway
from .others import is_interruption, refusal_of
from .record import record_of
from .refused import StartRefused
from .run import StopCause
from .stage import width_of
from .stop_order import StopOrder


class StartOrder(StopOrder):
    """A start is admitted after the deployer's own hook, waits for its turn, and then runs.

    It is written down before each step, so that a crash finds it.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        #: What traits were before the hooks of this start.
        self._configured = hooked.set_values(self)

    async def run_pre_spawn_hook(self) -> None:
        """Run the deployer's hook, then admit the start, then wait for its turn."""
        try:
            await maybe_future(super().run_pre_spawn_hook())
            await self._admit_and_prepare(hooked.set_values(self))
        except asyncio.CancelledError:
            self.run.stop_cause = admitting.stopped_by(self)
            if self.lease is None:
                await admitting.keep_accepted_options(self)
            raise StartRefused(
                Refused("start_cancelled", "The start was cancelled.", "Nothing was charged.")
            ) from None

    async def _admit_and_prepare(self, hooks_left: Mapping[str, object]) -> None:
        self.run.timer = metrics.StartTimer("admitted")
        try:
            await admitting.admit(self)
        except Refused as refused:
            await admitting.keep_accepted_options(self)
            raise StartRefused(refused) from None
        assert self.lease is not None
        with self._failing_as_refused():
            await self.apply_lease(self.lease)
            await self._tell_overridden(self.lease, hooks_left)
            if self.lease.claim is None:
                await self._prepare_cold(self.lease)

    async def _tell_overridden(self, lease: Lease, hooks_left: Mapping[str, object]) -> None:
        """Name in the log and in the audit what a hook set and the lease overrides."""
        before = hooked.with_defaults(self, self._configured, hooks_left)
        self._configured = hooked.set_values(self)
        lost = find_overridden(before, hooks_left, self._configured)
        if not lost:
            return
        context = self.context
        for trait in lost:
            # A hook that does so at every start says nothing new each time.
            if context.tell_once((trait.name, str(trait.wanted)[: hooked.LONGEST])):
                self.log.warning("%s: %s", self._log_name, hooked.in_words(self, trait))
        await context.ledger.awrite(
            audit.record,
            By(context.settings.hub_id, self.actor(), context.clock()),
            Action.OVERRIDDEN,
            account_id=lease.account_id,
            detail={"lease": lease.id, "server": self.name, **hooked.as_detail(lost)},
        )

    async def _prepare_cold(self, lease: Lease) -> None:
        await self._note(Phase.PREPARING)
        await self.prepare(lease)
        await self._note(Phase.WAITING)
        await self._take_turn(lease)

    @contextmanager
    def _failing_as_refused(self) -> Iterator[None]:
        """Turn any failure after admission into a refusal in words, and end the lease as failed."""
        try:
            yield
        except BaseException as error:
            if is_interruption(error):
                raise
            self.run.stop_cause = StopCause(Reason.START_FAILED, "hub")
            if isinstance(error, Refused):
                raise StartRefused(error) from None
            if isinstance(error, LedgerAway):
                raise StartRefused(_given_up()) from error
            if means_no_room(error):
                self.log.error("%s: a disk takes no more: %s", self._log_name, error)
                raise StartRefused(disk_full()) from error
            if isinstance(error, EngineAway):
                self.log.error("%s: the engine is away: %s", self._log_name, error)
                raise StartRefused(admitting.engine_away()) from error
            if isinstance(error, StartRefused):
                raise
            self.log.error("%s: cannot start it", self._log_name, exc_info=error)
            charged = charged_for(self.lease) if self.lease else "Nothing was charged."
            raise StartRefused(refusal_of("The spawner", error, charged)) from error

    async def _run_apply_user_options(self, user_options: object) -> None:
        """Do nothing: options become traits in `apply_lease`, once they are admitted."""

    async def _take_turn(self, lease: Lease) -> None:
        context = self.context
        self.run.width = width_of(await self._configured_width(lease), await context.engine.cores())
        await context.stage.enter(lease.host, lease.id, self.run.width)
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
        self.run.starting = True
        context.somebody_starts()
        try:
            with self._failing_as_refused():
                await self._note(Phase.STARTING, object_name=self.object_label)
                await self._make_way(lease)
                url = await self._start_warm(lease) or await self._start_cold(lease)
                if not await context.ledger.awrite(leases.note_answered, lease.id, context.clock()):
                    raise self._ended_meanwhile(Phase.ANSWERED)
                if self.run.timer is not None:
                    self.run.timer.finish()
                return url
        finally:
            self.run.starting = False
            self.leave_stage()
            context.somebody_starts()
            context.wake_pool()

    async def _start_cold(self, lease: Lease) -> str:
        url = url_of(await self.start_engine())
        await self.see_made()
        self.context.note_object(lease.id, self.made_id)
        await self._note(Phase.ANSWERING, object_id=self.made_id)
        await self._until_it_answers(url, lease)
        return url

    async def _until_it_answers(
        self, url: str, lease: Lease, look_every: float | None = None
    ) -> None:
        """Wait until this lease's own server answers. Raises Refused where it does not."""
        await until_it_answers(self, url, lease, look_every)

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
        """Destroy the warm servers whose device or memory this start has, before it begins."""
        for slot_id in lease.evicts:
            await self._destroy_slot(slot_id)
            await self.context.ledger.awrite(warm_slots.remove_slot, slot_id, self.context.clock())

    async def _destroy_slot(self, slot_id: str) -> None:
        engine = self.context.engine
        engine.forget_listing()
        for found in await engine.census() or []:
            if found.slot == slot_id:
                await self.context.destroy(found, "a warm server in the way of a start")

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
        if self.run.timer is not None:
            self.run.timer.enter(GOING_ON[phase])

    def _ended_meanwhile(self, phase: Phase) -> Refused:
        self.log.warning("%s: its lease may not be %s any more", self._log_name, phase)
        return Refused(
            "start_cancelled", "This start was ended in the meantime.", "Start it again."
        )

    def add_poll_callback(
        self, callback: Callable[..., object], *args: object, **kwargs: object
    ) -> None:
        """Record that the hub calls the server ready. There is no other hook for that."""
        super().add_poll_callback(callback, *args, **kwargs)
        if self.lease_id:
            self.context.soon(self._confirm(self.lease_id, record_of(self)))

    async def _confirm(self, lease_id: str, record: servers.ServerRecord | None) -> None:
        context = self.context
        try:
            await context.ledger.awrite(leases.note_confirmed, lease_id, context.clock())
            if record is not None:
                await context.ledger.awrite(
                    servers.keep_record,
                    hub_id=context.settings.hub_id,
                    lease_id=lease_id,
                    body=record,
                    now=context.clock(),
                )
        except LedgerAway:
            self.log.warning("The ledger is away; lease %s is confirmed later", lease_id)

    async def progress(self) -> AsyncIterator[dict[str, int | str]]:
        """Yield the phases of this start as the hub's progress events."""
        last = None
        for _ in range(36_000):
            event = await spawn_form.progress_event(self)
            if event != last:
                last = event
                yield event
            await asyncio.sleep(0.5)

    async def note_device_fault(self, message: str) -> None:
        """Count a start that failed for its devices' sake against them. Never raises."""
        lease, context = self.lease, self.context
        blamed = blamed_devices(message, lease.devices) if lease else ()
        if not blamed:
            return
        try:
            by = By(context.settings.hub_id, "hub", context.clock())
            out = await context.ledger.awrite(device_faults.note, by, blamed, message)
        except LedgerAway:
            return
        for device in out:
            self.log.error("Device %s failed twice and is out of rent: %s", device, message)


def url_of(address: str | tuple[str, int]) -> str:
    """Return what a spawner's start returned as a URL."""
    if isinstance(address, str):
        return address
    ip, port = address
    return f"http://[{ip}]:{port}" if ":" in ip else f"http://{ip}:{port}"


def _given_up() -> Refused:
    return Refused(
        "ledger_away",
        "The start was given up: the ledger does not answer.",
        "Nothing was charged. Try again in a minute.",
        retry_after=timedelta(seconds=60),
    )
