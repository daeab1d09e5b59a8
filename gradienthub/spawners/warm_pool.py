"""The warm pool: fills it behind people, adopts what it finds, destroys what is not wanted.

Belongs to the hub's loop. Every step is a row before it is an engine call, so that a hub that dies
anywhere leaves nothing that the next one does not find.
"""

import asyncio
import logging
import os
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import ClassVar
from weakref import WeakKeyDictionary

from traitlets.config import Config

from .. import metrics
from ..ledger import LedgerAway, objects, warm_slots
from ..ledger import warm_pool as pool_rows
from ..rules.catalog import InstanceType, Runtime
from ..rules.lease import Lease
from ..rules.phase import Phase, SlotState
from ..rules.warm import Pool, Slot, used_by
from .base import GradientSpawner
from .context import HubContext
from .engine import CensusObject, EngineAway
from .run import Run
from .warm_mounts import HelperMounts, MountFault, Mounts

log = logging.getLogger("gradienthub")

#: How often the pool is looked at where nothing wakes it.
LOOK_SECONDS = 10.0
#: A server that has not said that it waits by then never will.
FILL_SECONDS = 120.0
#: How long a pool that cannot be filled is left alone: doubled each time, up to the last.
FIRST_PATIENCE, LAST_PATIENCE = 5.0, 300.0
#: Filling costs a core two seconds, which a page that has just been opened needs to load its
#: JupyterLab and kernel: it begins when nobody has started anything for so long, and
#: after the second time in any case where no start waits for its turn.
QUIET_SECONDS, PATIENT_SECONDS = 6.0, 20.0
QUIET_EVERY = 0.25
#: How long a hub that ends waits for the container of a warm server that it was just starting.
LAST_SECONDS = 10.0


class WarmPool:
    """The warm servers of one hub."""

    _pools: "ClassVar[WeakKeyDictionary[HubContext, WarmPool]]" = WeakKeyDictionary()

    def __init__(self, context: HubContext, spawner: type[GradientSpawner], config: Config) -> None:
        self.context = context
        self._spawner = spawner
        self._config = config
        self._woken = asyncio.Event()
        self._filling: set[str] = set()
        self._given_up: dict[Pool, tuple[float, float]] = {}
        self._started_at = -QUIET_SECONDS
        self._nothing_there = False
        self._said: set[str] = set()
        self._keeping: asyncio.Task[None] | None = None
        self._pools[context] = self
        context.wake_pool = self.wake
        context.somebody_starts = self.somebody_starts

    @classmethod
    def of(cls, context: HubContext) -> "WarmPool":
        """Return the pool of this hub process."""
        return cls._pools[context]

    # -- the loop ---------------------------------------------------------------------------

    async def keep(self) -> None:
        """Run one pass after another. A pass that fails is logged, and the loop goes on."""
        self._keeping = asyncio.current_task()
        while True:
            try:
                await self.look()
            except (LedgerAway, EngineAway) as away:
                log.warning("The warm pool is left as it is: %s", away)
            except Exception:
                log.exception("A pass of the warm pool failed")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), LOOK_SECONDS)
            self._woken.clear()

    async def end(self) -> None:
        """End all warm servers and fill no more, because the hub ends and takes its servers along.

        What could not be ended is logged, and found by the next hub. Never raises.
        """
        on_their_way = set(self._filling)
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        try:
            # The engine's calls of a fill go on in their threads when it is cancelled.
            for _ in range(round(LAST_SECONDS / QUIET_EVERY)):
                on_their_way -= await self._end_all()
                if not on_their_way:
                    break
                await asyncio.sleep(QUIET_EVERY)
        except (LedgerAway, EngineAway) as away:
            log.warning("Warm servers are left to the next hub: %s", away)
        except Exception:
            log.exception("Warm servers are left to the next hub")

    async def _end_all(self) -> set[str]:
        """Destroy what nobody has; return the slots whose server was there."""
        standing = await self.context.ledger.aread(
            pool_rows.read_pool, self.context.settings.hub_id
        )
        there = {found.slot for found in await self._census() if found.slot}
        for slot_id in there.union(slot.id for slot in standing.slots) - set(standing.claimed):
            await self.destroy(slot_id)
        return there

    def wake(self) -> None:
        """Look at once, because something was claimed, evicted or ended."""
        self._woken.set()

    def somebody_starts(self) -> None:
        """Hold filling back for a while: a start goes on or has just answered."""
        self._started_at = time.monotonic()

    async def look(self) -> None:
        """Run one pass: adopt, destroy, and fill up as long as nobody starts a notebook."""
        if not self.context.settings.pools and self._nothing_there:
            return
        if await self.context.engine.census() is None:
            return
        digests = await self._digests()
        await self._quiet()
        await self._sort_out(digests)
        while digests and await self._fill_one(digests):
            await self._count()

    async def _digests(self) -> dict[Pool, str]:
        """Return the digest of each pool that can be filled now."""
        digests = {}
        for pool in self.context.settings.pools:
            try:
                digests[pool] = await self._for(pool).warm_digest()
            except EngineAway:
                raise
            except Exception as error:
                self._say_once(
                    f"No warm servers of {pool.instance_type} with {pool.runtime}: {error}"
                )
        return digests

    def _say_once(self, words: str) -> None:
        if words not in self._said:
            self._said.add(words)
            log.warning("%s", words)

    async def _sort_out(self, digests: Mapping[Pool, str]) -> None:
        """Destroy what is surplus, out of date, dead or nobody's; forget what is gone."""
        ledger, hub_id = self.context.ledger, self.context.settings.hub_id
        await ledger.awrite(pool_rows.let_go_surplus, self.context.settings)
        before = await ledger.aread(pool_rows.read_pool, hub_id)
        current = {(p.instance_type, p.runtime): digest for p, digest in digests.items()}
        census = {found.slot: found for found in await self._census() if found.slot}
        # Read again: a row is written before its container is made.
        after = await ledger.aread(pool_rows.read_pool, hub_id)
        rows = {slot.id: slot for slot in after.slots}
        for slot in before.slots:
            if slot.id in self._filling or slot.id not in rows:
                continue
            found = census.get(slot.id)
            stale = current.get((slot.instance_type, slot.runtime)) != after.digests[slot.id]
            if (
                rows[slot.id].state is not SlotState.READY
                or stale
                or found is None
                or not found.alive
            ):
                await self.destroy(slot.id)
        # What the ledger never knew is somebody's own, whatever its labels say.
        unknown = [f for s, f in census.items() if s not in rows and s not in after.claimed]
        strange = await ledger.aread(objects.find_strangers, hub_id, [f.labelled for f in unknown])
        for found in unknown:
            if found.object_id not in strange:
                await self.destroy(found.slot)
        known = {*rows, *census, *after.claimed, *self._filling}
        await asyncio.to_thread(self._clear_folders, known)
        for slot_id in [s for s in self.context.engine.claimed if s not in known]:
            del self.context.engine.claimed[slot_id]
            self.context.engine.object_ids.pop(slot_id, None)
        self._nothing_there = not known
        await self._count()

    async def _census(self) -> list[CensusObject]:
        self.context.engine.forget_listing()
        return await self.context.engine.census() or []

    def _clear_folders(self, known: set[str]) -> None:
        mounts = self.mounts
        for slot_id in mounts.slots():
            if slot_id not in known:
                try:
                    mounts.clear(slot_id)
                except MountFault as fault:
                    self._say_once(f"The folders of warm server {slot_id} stay: {fault}")

    async def _count(self) -> None:
        there = await self.context.ledger.aread(warm_slots.list_slots, self.context.settings.hub_id)
        for state in SlotState:
            metrics.warm_servers.labels(state).set(sum(s.state is state for s in there))
        metrics.warm_memory_bytes.set(used_by(there))

    # -- filling ----------------------------------------------------------------------------

    async def _fill_one(self, digests: Mapping[Pool, str]) -> bool:
        """Start one more, once nobody starts a notebook; whether there may be another to start."""
        await self._quiet()
        now = time.monotonic()
        pools = {
            pool: digest
            for pool, digest in digests.items()
            if self._given_up.get(pool, (0.0, 0.0))[0] <= now
        }
        slot_id = str(uuid.uuid4())
        self._filling.add(slot_id)
        try:
            slot = await self.context.ledger.awrite(
                pool_rows.add, self.context.settings, pools, slot_id, self.context.clock()
            )
            if slot is None:
                return False
            await self._fill(slot)
        finally:
            self._filling.discard(slot_id)
        return True

    async def _quiet(self) -> None:
        """Return once people who start notebooks would not notice."""
        began = time.monotonic()
        while (now := time.monotonic()) and (
            self.context.stage.busy
            or (now - self._started_at < QUIET_SECONDS and now - began < PATIENT_SECONDS)
        ):
            await asyncio.sleep(QUIET_EVERY)

    async def _fill(self, slot: Slot) -> None:
        pool = next(
            p
            for p in self.context.settings.pools
            if (p.instance_type, p.runtime) == (slot.instance_type, slot.runtime)
        )
        try:
            spawner = self._for(pool, slot)
            waiting = await asyncio.wait_for(spawner.fill(slot.id), FILL_SECONDS)
            kept = await self.context.ledger.awrite(
                warm_slots.note_ready,
                slot.id,
                object_id=waiting.object_id,
                address=" ".join(map(str, waiting.address)),
                used=waiting.used,
                now=self.context.clock(),
            )
            self.context.note_object(slot.id, waiting.object_id)
            self._given_up.pop(pool, None)
        except Exception as error:
            patience = min(2 * self._given_up.get(pool, (0, FIRST_PATIENCE / 2))[1], LAST_PATIENCE)
            self._given_up[pool] = (time.monotonic() + patience, patience)
            log.warning(
                "A warm server of %s with %s could not be started, next try in %.0f s: %s",
                pool.instance_type,
                pool.runtime,
                patience,
                error,
            )
            kept = False
        if not kept:
            await self.destroy(slot.id)

    def _for(self, pool: Pool, slot: Slot | None = None) -> GradientSpawner:
        """Make a spawner for nobody, with this pool's machine and image."""
        settings = self.context.settings
        machine = settings.house.catalog.instance_type(pool.instance_type)
        runtime = settings.house.catalog.runtime(pool.runtime)
        assert machine is not None
        assert runtime is not None
        spawner = self._spawner(user=_Nobody(), config=self._config)
        lease = _lease_of(machine, runtime, slot, self.context)
        spawner.run = Run(lease_id=lease.id, lease=lease)
        return spawner

    # -- destroying -------------------------------------------------------------------------

    async def destroy(self, slot_id: str) -> None:
        """End it on the engine's word, then its folders and its row, unless somebody has it.

        Raises EngineAway and LedgerAway.
        """
        ledger, hub_id = self.context.ledger, self.context.settings.hub_id
        # Whoever calls decided on rows and containers of some moments ago.
        if not await ledger.awrite(pool_rows.let_go, hub_id, slot_id):
            return
        for found in await self._census():
            if found.slot == slot_id:
                await self.context.destroy(found, "a warm server that nobody wants")
        try:
            await asyncio.to_thread(self.mounts.clear, slot_id)
        except MountFault as fault:
            self._say_once(f"The folders of warm server {slot_id} stay: {fault}")
        await ledger.awrite(warm_slots.remove_slot, slot_id, self.context.clock())
        self.context.engine.object_ids.pop(slot_id, None)

    @property
    def mounts(self) -> Mounts:
        """Who binds folders: this hub where it is root, else the helper."""
        settings = self.context.settings
        if settings.mount_helper:
            return HelperMounts(settings.storage_root, settings.mount_helper)
        return Mounts(settings.storage_root)

    @property
    def may_mount(self) -> bool:
        """Whether folders can be bound at all."""
        return bool(self.context.settings.mount_helper) or os.geteuid() == 0


def _lease_of(
    machine: InstanceType, runtime: Runtime, slot: Slot | None, context: HubContext
) -> Lease:
    """Return a lease of nobody, for a spawner that is asked what a start would be made of."""
    now = context.clock()
    return Lease(
        id=slot.id if slot else "",
        hub_id=context.settings.hub_id,
        account_id="",
        account_name="",
        notebook_id="",
        server_name="",
        display_name="",
        instance_type=machine.name,
        price=0,
        currency="",
        tier="",
        tier_given_by="",
        groups=None,
        runtime=runtime.name,
        image=runtime.image,
        custom_image=False,
        interface="lab",
        host=slot.host if slot else "",
        host_key="",
        devices=slot.devices if slot else tuple(map(str, range(machine.gpus))),
        cpus=machine.cpus,
        memory=machine.memory,
        shutdown_after=timedelta(),
        phase=Phase.ADMITTED,
        phase_at=now,
        admitted_at=now,
    )


class _Nobody:
    """The user of a warm server, for configuration that asks for one."""

    #: Where this word turns up in a container's settings, they are somebody's.
    name = "nobody-yet"
    escaped_name = name
    url = base_url = "/user/nobody-yet/"
    groups: tuple[str, ...] = ()


NOBODY = _Nobody.name
