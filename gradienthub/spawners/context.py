"""HubContext: the one set of things that all spawners and handlers of a hub process share."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Hashable
from datetime import UTC
from typing import ClassVar

from jupyterhub.user import User
from traitlets.config import Config

from .. import metrics
from ..clock import Clock, system_clock
from ..ledger import By, Ledger, LedgerAway, counts, leases
from ..ledger.accounts import HubUser
from ..ledger.journal import Journal
from ..ledger.leases import Corpse
from ..rules.idleness import Reason
from ..rules.lease import Lease
from ..settings import GradientHub, Settings
from .download import Download
from .engine import CensusObject, Engine, PollEngine
from .stage import Stage

log = logging.getLogger("gradienthub")

#: Facts that are logged once; what a hook makes up anew for each start must not fill the memory.
MOST_FACTS = 1000


class HubContext:
    """Settings, ledger, stage, engine and clock of one hub process."""

    _of_process: ClassVar["HubContext | None"] = None
    _making: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, settings: Settings, clock: Clock = system_clock) -> None:
        self.settings = settings
        self.clock = clock
        self.ledger = Ledger(settings.database_url)
        self.journal = Journal(settings.data_dir / "journal.jsonl")
        self.stage = Stage()
        self.engine: Engine = PollEngine()
        #: Leases whose spawner is between admission and its end: the reconciler leaves them alone.
        self.moving: set[str] = set()
        #: False until hub, engine and ledger were compared once after a start.
        self.settled = False
        #: False until the ledger was told once which users the hub has.
        self.people_told = False
        #: Called when the reconciler may have something to do before its next pass.
        self.wake_settle: Callable[[], None] = lambda: None
        #: Whether the ledger may have rows of servers without a lease; True until we have looked.
        self.knows_outside = True
        #: False in a hub that has not looked yet what runs outside: no device is given meanwhile.
        self.looked_outside = True
        #: Downloads going on, by lease: only shown, so that a restart may forget them.
        self.downloads: dict[str, Download] = {}
        #: Called when a start or an end may have left the warm pool something to do.
        self.wake_pool: Callable[[], None] = lambda: None
        #: Called when a start begins and when it answers: the pool keeps quiet meanwhile.
        self.somebody_starts: Callable[[], None] = lambda: None
        self._tasks: set[asyncio.Task[object]] = set()
        self._told: set[Hashable] = set()

    @classmethod
    def of(cls, config: Config) -> "HubContext":
        """Return this process's context, made of `config` on the first call."""
        with cls._making:
            if cls._of_process is None:
                cls._of_process = cls(GradientHub(config=config).resolved())
            return cls._of_process

    @classmethod
    def put(cls, context: "HubContext | None") -> None:
        """Set or clear this process's context; for tests and for a second hub in one process."""
        cls._of_process = context

    def tell_once(self, fact: Hashable) -> bool:
        """Return whether this fact is to be logged: once in a run of the hub, and not too many."""
        new = fact not in self._told and len(self._told) < MOST_FACTS
        if new:
            self._told.add(fact)
        return new

    def soon(self, coroutine: Awaitable[object]) -> None:
        """Run a coroutine beside what is going on; its failure is logged once."""
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[object]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("A background task failed", exc_info=error)

    async def stop_asked(self, lease_id: str, reason: Reason, actor: str, note: str = "") -> None:
        """Write that a stop was asked for; into the journal where the ledger is away."""
        now = self.clock()
        try:
            by = By(self.settings.hub_id, actor, now)
            await self.ledger.awrite(leases.note_stop, lease_id, reason, by, note)
        except LedgerAway as away:
            log.warning("The ledger is away; the stop of lease %s is kept: %s", lease_id, away)
            await asyncio.to_thread(self.journal.stop, lease_id, reason, actor, now, note)

    async def ended(self, lease_id: str, reason: Reason | None, corpse: Corpse | None) -> None:
        """Write that the engine said gone; into the journal where the ledger is away."""
        now = self.clock()
        try:
            if await self.ledger.awrite(leases.end, lease_id, now, reason, corpse):
                await self._count_stop(lease_id)
        except LedgerAway as away:
            log.warning("The ledger is away; the end of lease %s is kept: %s", lease_id, away)
            await asyncio.to_thread(self.journal.end, lease_id, now, reason, corpse)
        self.moving.discard(lease_id)
        self.engine.object_ids.pop(lease_id, None)
        self.wake_pool()

    async def bury(self, found: CensusObject, why: str) -> Corpse:
        """End an object and read its last words; the log says which, and why. Raises EngineAway."""
        log.info("Ending %s (%s): %s", found.object_id, found.name, why)
        return await self.engine.bury(found)

    async def destroy(self, found: CensusObject, why: str) -> None:
        """End an object at once; the log says which, and why. Raises EngineAway."""
        log.info("Destroying %s (%s): %s", found.object_id, found.name, why)
        await self.engine.destroy(found)

    def note_object(self, holder: str, object_id: str | None) -> None:
        """Record the object of a lease or warm server.

        Another one with the same labels is a stranger from now on.
        """
        if object_id:
            self.engine.object_ids[holder] = object_id

    def has_pool(self, lease: Lease) -> bool:
        """Return whether warm servers of this lease's machine and runtime are configured."""
        return any(
            (pool.instance_type, pool.runtime) == (lease.instance_type, lease.runtime)
            for pool in self.settings.pools
        )

    async def _count_stop(self, lease_id: str) -> None:
        # By the reason in the ledger: who asked for the stop may have been the keeper.
        lease = await self.ledger.aread(leases.describe, lease_id)
        if lease is not None:
            metrics.stops.labels(lease.reason).inc()

    async def show_counts(self) -> None:
        """Set the metrics of what the ledger holds. Raises LedgerAway."""
        counted = await self.ledger.aread(counts.count_all, self.settings.hub_id)
        types = {machine.name for machine in self.settings.house.catalog.instance_types}
        metrics.show_keeper_pass(counted.passed_at)
        metrics.show_ledger(counted.leases, counted.devices, counted.findings, types)

    async def close(self) -> None:
        """Let go of everything; for tests and for a hub that shuts down."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.engine.close()
        await asyncio.to_thread(self.ledger.close)


def hub_user(user: User) -> HubUser:
    """Describe a hub user as the ledger knows them. The hub's times are naive UTC."""
    return HubUser(id=user.id, created=user.created.replace(tzinfo=UTC), name=user.name)


def groups_of(user: User) -> frozenset[str]:
    """Return the names of the groups that the hub itself knows of its user now."""
    return frozenset(group.name for group in user.groups)
