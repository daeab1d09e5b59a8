"""Fakes for an operator's tests and for ours: an engine with named faults, a proxy, a clock.

    engine = FakeEngine.of(hub_id)
    slow = engine.suffer(SlowToStart(user="anna"))   # anna's notebook starts, and does not answer
    await slow.reached()                             # ... now it has come that far
    slow.let_go()                                    # ... and now it answers

Nothing here sleeps: a fault that takes time waits until the test lets it go on.
"""

import asyncio
import contextvars
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar, TypeVar
from urllib.parse import unquote

import jupyterhub
from aiohttp import web
from jupyterhub.proxy import Proxy
from jupyterhub.spawner import Spawner
from traitlets import default
from traitlets.config import Config

from .ledger.leases import Corpse
from .rules.drift import OwnObject
from .rules.lease import Lease
from .rules.refusal import Refused
from .spawners.base import GradientSpawner
from .spawners.context import HubContext
from .spawners.engine import CensusObject, Engine, EngineAway

__all__ = [
    "CreatesLate",
    "DiesAtStart",
    "EngineIsAway",
    "FailsAfterCreate",
    "FailsAtCreate",
    "FakeContainer",
    "FakeEngine",
    "Fault",
    "GradientFakeSpawner",
    "LosesDevice",
    "NeverAnswers",
    "ProxyInMemory",
    "SlowToPrepare",
    "SlowToStart",
    "SlowToStop",
    "SomethingElseAnswers",
    "TestClock",
    "WillNotStop",
]

R = TypeVar("R")

#: A test that waits longer than this for a fault to be reached has a mistake in it.
PATIENCE = 60.0


class TestClock:
    """A clock that stands until it is moved; call it for the time."""

    # pytest takes every class named Test for a collection of tests.
    __test__ = False

    def __init__(self, now: datetime = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)) -> None:
        self._now = now

    def __call__(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        return self._now

    def set(self, now: datetime) -> None:
        """Move to a moment, which may be an earlier one: clocks do jump."""
        self._now = now.astimezone(UTC)

    def advance(self, **span: float) -> datetime:
        """Move on by `advance(hours=1)`, in words of timedelta; the new time."""
        self._now += timedelta(**span)
        return self._now


# -- faults -------------------------------------------------------------------------------------


class Fault:
    """Something that goes wrong at the fake engine, for the notebooks of `user` or for all."""

    def __init__(self, user: str | None = None) -> None:
        self.user = user
        self._reached = asyncio.Event()
        self._going = asyncio.Event()

    async def reached(self) -> None:
        """Wait until it has happened."""
        await asyncio.wait_for(self._reached.wait(), PATIENCE)

    def let_go(self) -> None:
        """Let go on what waits here."""
        self._going.set()

    async def happen(self) -> None:
        """Note that the engine reached it, and wait if the fault takes time.

        The engine calls this.
        """
        self.note()
        await self._going.wait()

    def note(self) -> None:
        """Note that the engine reached it. The engine calls this."""
        self._reached.set()


class SlowToPrepare(Fault):
    """What needs no turn, like a download, takes until `let_go()`; cancelling ends it."""


class FailsAtCreate(Fault):
    """The engine refuses to make the object."""


class CreatesLate(Fault):
    """The engine makes the object only after `let_go()`, also for a caller who gave up."""


class FailsAfterCreate(Fault):
    """The object is made, and then the engine refuses to start it."""


class LosesDevice(Fault):
    """The engine cannot give the device `uuid`, or any where that is empty, to what it starts."""

    def __init__(self, uuid: str = "", user: str | None = None) -> None:
        super().__init__(user)
        self.uuid = uuid


class SlowToStart(Fault):
    """It runs, but answers only after `let_go()`."""


class NeverAnswers(Fault):
    """It runs and never answers."""


class SomethingElseAnswers(Fault):
    """It runs a web server that is not JupyterHub's: `says(request)` is its answer."""

    def __init__(
        self, says: Callable[[web.Request], web.Response], user: str | None = None
    ) -> None:
        super().__init__(user)
        self.says = says


class DiesAtStart(Fault):
    """It starts, says its last words, and exits."""

    exit_code = 3
    last_words = "starting\nModuleNotFoundError: No module named 'jupyterhub'\n"


class SlowToStop(Fault):
    """It is told to stop, and does after `let_go()`."""


class WillNotStop(Fault):
    """The engine cannot stop it, until the fault is healed."""


class EngineIsAway(Fault):
    """The engine does not answer at all, until the fault is healed."""


# -- the engine ---------------------------------------------------------------------------------


@dataclass
class FakeContainer:
    """What the fake engine knows of one object: a small web server of this process."""

    object_id: str
    lease: Lease
    hub_id: str
    user: str
    env: dict[str, str]
    state: str = "created"
    exit_code: int | None = None
    out_of_memory: bool = False
    log: str = ""
    address: tuple[str, int] = ("127.0.0.1", 0)
    answers: bool = True
    #: What a server that is not JupyterHub's answers in its place.
    says: Callable[[web.Request], web.Response] | None = None
    requests: list[str] = field(default_factory=list)
    cpu_seconds: float | None = None
    _runner: web.AppRunner | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs, or is still to be started."""
        return self.state != "exited"

    @property
    def labels(self) -> dict[str, str]:
        """Hub, lease and devices, as every engine of ours labels its objects."""
        return {
            "gradienthub.hub": self.hub_id,
            "gradienthub.lease": self.lease.id,
            "gradienthub.devices": ",".join(self.lease.devices),
        }

    async def listen(self) -> None:
        """Start the server that stands in for a notebook."""
        server = web.Application()
        server.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(
            server, access_log=None, handle_signals=False, shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.address = (str(host), int(port))
        self.state = "running"

    async def _answer(self, request: web.Request) -> web.Response:
        self.requests.append(request.path)
        if not self.answers:
            return web.Response(status=503)
        base = unquote(self.env.get("JUPYTERHUB_SERVICE_PREFIX", "/"))
        if self.says is not None:
            return self.says(request)
        headers = {"X-JupyterHub-Version": jupyterhub.__version__}
        if request.path == f"{base}api":
            return web.json_response({"version": "2.0"}, headers=headers)
        if request.path != f"{base}api/status":
            return web.Response(status=404, headers=headers)
        if request.headers.get("Authorization") != f"token {self.env['JUPYTERHUB_API_TOKEN']}":
            return web.json_response({"message": "Forbidden"}, status=403, headers=headers)
        return web.json_response({"started": "2026-11-23T09:00:00Z", "kernels": 0}, headers=headers)

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


F = TypeVar("F", bound=Fault)


class FakeEngine(Engine):
    """An engine in this process. What it runs outlives the hub, as containers do.

    `objects` is what is there now; `history` every object there ever was, oldest first.
    """

    _engines: ClassVar[dict[str, "FakeEngine"]] = {}

    def __init__(self, hub_id: str) -> None:
        super().__init__()
        self.hub_id = hub_id
        self.objects: dict[str, FakeContainer] = {}
        self.history: list[FakeContainer] = []
        self.faults: list[Fault] = []
        self.cpus: int | None = None
        self._numbers = itertools.count(1)
        self._calls: set[asyncio.Task[object]] = set()

    @classmethod
    def of(cls, hub_id: str) -> "FakeEngine":
        """Return the engine of that hub: the same one for every start of it in this process."""
        return cls._engines.setdefault(hub_id, cls(hub_id))

    # -- what a test does with it -------------------------------------------------------------

    def suffer(self, fault: F) -> F:
        """Let this go wrong from now on."""
        self.faults.append(fault)
        return fault

    def heal(self, fault: Fault) -> None:
        """Let it go wrong no more, and let what waits for it go on."""
        self.faults.remove(fault)
        fault.let_go()

    @asynccontextmanager
    async def suffering(self, fault: F) -> AsyncIterator[F]:
        """Let it go wrong inside the block."""
        self.suffer(fault)
        try:
            yield fault
        finally:
            self.heal(fault)

    def of_user(self, user: str) -> list[FakeContainer]:
        """Return the objects of one user, oldest first."""
        return [container for container in self.objects.values() if container.user == user]

    def devices_in_use(self) -> list[str]:
        """List the devices of all live objects.

        A device that is listed twice was given out twice.
        """
        return sorted(d for o in self.objects.values() if o.alive for d in o.lease.devices)

    async def crash(
        self,
        container: FakeContainer,
        exit_code: int = 1,
        log: str = "",
        out_of_memory: bool = False,
    ) -> None:
        """Let it die by itself and stay as a dead container."""
        await self._run_outside(container.close())
        container.state, container.exit_code = "exited", exit_code
        container.log, container.out_of_memory = log or container.log, out_of_memory

    async def move(self, container: FakeContainer) -> None:
        """Restart it; it is at another address afterwards."""
        await self._run_outside(container.close())
        await self._run_outside(container.listen())

    async def remove(self, container: FakeContainer) -> None:
        """Remove it as somebody else would, dead or alive."""
        await self._run_outside(container.close())
        self.objects.pop(container.object_id, None)

    async def clear(self) -> None:
        """End everything and forget this engine, between tests."""
        for fault in [*self.faults]:
            self.heal(fault)
        for call in [*self._calls]:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        for container in [*self.objects.values()]:
            await self.remove(container)
        self._engines.pop(self.hub_id, None)

    # -- the contract of an engine ------------------------------------------------------------

    async def cpu_seconds(self, found: OwnObject) -> float | None:
        """Return the CPU time that a test gave the object, or None."""
        there = self.objects.get(found.object_id)
        return there.cpu_seconds if there else None

    async def census(self) -> list[CensusObject]:
        """List every object of this hub, dead ones too."""
        self._raise_if_away()
        return [
            CensusObject(
                object_id=container.object_id,
                lease_id=container.lease.id,
                alive=container.alive,
                name=f"gradient-{container.lease.id}",
                exit_code=container.exit_code,
                detail=container.state,
                labels=container.labels,
                where=f"{container.address[1]}",
            )
            for container in self.objects.values()
        ]

    async def bury(self, found: CensusObject) -> Corpse:
        """Stop it if it lives, read its last words, remove it. Safe to call twice."""
        self._raise_if_away()
        return await asyncio.shield(self._run_outside(self._bury(found.object_id)))

    async def _bury(self, object_id: str) -> Corpse:
        there = self.objects.get(object_id)
        if there is None:
            return Corpse()
        if there.alive:
            if slow := self._fault(SlowToStop, there.user):
                await slow.happen()
            if never := self._fault(WillNotStop, there.user):
                never.note()
                raise EngineAway("it does not stop")
            await self.crash(there, exit_code=0)
        self.objects.pop(object_id, None)
        return Corpse(there.exit_code, there.out_of_memory, there.log)

    async def cores(self) -> int | None:
        """Return the `cpus` of this engine, which a test may set."""
        self._raise_if_away()
        return self.cpus

    # -- what its spawner does with it --------------------------------------------------------

    async def prepare(self, user: str) -> None:
        """Wait as a download may."""
        self._raise_if_away()
        if fault := self._fault(SlowToPrepare, user):
            await fault.happen()

    def create(self, lease: Lease, user: str, env: dict[str, str]) -> "asyncio.Task[FakeContainer]":
        """Make the object; the call goes on when its caller does not wait for it any more."""
        return self._run_outside(self._create(lease, user, env))

    async def _create(self, lease: Lease, user: str, env: dict[str, str]) -> FakeContainer:
        self._raise_if_away()
        if fails := self._fault(FailsAtCreate, user):
            fails.note()
            raise Refused("start_failed", "The engine refused the container: no space left.")
        if late := self._fault(CreatesLate, user):
            await late.happen()
        made = FakeContainer(f"fake-{next(self._numbers)}", lease, self.hub_id, user, env)
        self.objects[made.object_id] = made
        self.history.append(made)
        return made

    def start(self, made: FakeContainer) -> "asyncio.Task[tuple[str, int]]":
        """Run it; its address."""
        return self._run_outside(self._start(made))

    async def _start(self, made: FakeContainer) -> tuple[str, int]:
        self._raise_if_away()
        if fault := self._fault(FailsAfterCreate, made.user):
            fault.note()
            raise Refused("start_failed", "The engine refused the container: no such device.")
        lost, devices = self._fault(LosesDevice, made.user), made.lease.devices
        if lost and (uuid := lost.uuid or next(iter(devices), "")) in devices:
            lost.note()
            raise Refused(
                "start_failed",
                "The engine refused the container: nvidia-container-cli: device error:"
                f" {uuid}: unknown device.",
            )
        await made.listen()
        if dies := self._fault(DiesAtStart, made.user):
            await self.crash(made, dies.exit_code, dies.last_words)
            dies.note()
        elif never := self._fault(NeverAnswers, made.user):
            made.answers = False
            never.note()
        elif other := self._fault(SomethingElseAnswers, made.user):
            made.says = other.says
            other.note()
        elif slow := self._fault(SlowToStart, made.user):
            made.answers = False
            self._run_outside(self._answer_later(slow, made))
        return made.address

    async def _answer_later(self, slow: Fault, made: FakeContainer) -> None:
        await slow.happen()
        made.answers = True

    def _fault(self, kind: type[F], user: str) -> F | None:
        for fault in self.faults:
            if isinstance(fault, kind) and fault.user in (None, user):
                return fault
        return None

    def _raise_if_away(self) -> None:
        for fault in self.faults:
            if isinstance(fault, EngineIsAway):
                fault.note()
                raise EngineAway("the fake engine is away")

    def _run_outside(self, work: Coroutine[object, None, R]) -> "asyncio.Task[R]":
        # In an empty context: what a test knows of its caller, the hub that it may kill, is not
        # inherited by what runs at the engine.
        call = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._calls.add(call)
        call.add_done_callback(self._finished)
        return call

    def _finished(self, call: "asyncio.Task[object]") -> None:
        self._calls.discard(call)
        if not call.cancelled():
            call.exception()  # its caller may be gone; an unread failure is not a fault


class GradientFakeSpawner(GradientSpawner, Spawner):
    """Notebooks as small web servers of the hub's own process."""

    _calls: "set[asyncio.Task[object]]"

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._calls = set()

    @default("ip")
    def _loopback(self) -> str:
        return "127.0.0.1"

    @classmethod
    def make_engine(cls, context: HubContext, config: Config) -> FakeEngine:
        """Make the fake engine of this hub."""
        return FakeEngine.of(context.settings.hub_id)

    @property
    def engine(self) -> FakeEngine:
        """The hub's engine, which make_engine made."""
        engine = self.context.engine
        assert isinstance(engine, FakeEngine)
        return engine

    async def apply_lease(self, lease: Lease) -> None:
        """Set nothing: the fake engine is given the lease itself."""

    async def prepare(self, lease: Lease) -> None:
        """Wait as what comes before the turn may."""
        await self.engine.prepare(self.user.name)

    async def start_engine(self) -> tuple[str, int]:
        """Create and run, as two calls: a hub may die between them."""
        assert self.lease is not None
        made = await self._wait_for(self.engine.create(self.lease, self.user.name, self.get_env()))
        try:
            return await self._wait_for(self.engine.start(made))
        except Refused as refused:
            await self.note_device_fault(refused.message)
            raise

    async def find_address(self, found: CensusObject) -> str:
        """Return where its web server listens."""
        host, port = self.engine.objects[found.object_id].address
        return f"http://{host}:{port}"

    async def _wait_for(self, call: "asyncio.Task[R]") -> R:
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return await asyncio.shield(call)

    async def settled_calls(self) -> None:
        """Wait for what a cancelled start left running at the engine."""
        if self._calls:
            await asyncio.wait([*self._calls], timeout=PATIENCE)


# -- beside the hub -----------------------------------------------------------------------------


class ProxyInMemory(Proxy):
    """Routes in a dict, for a hub that is asked directly. `slow` holds up new routes."""

    should_start = False
    slow: ClassVar[Fault | None] = None

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.routes: dict[str, dict[str, object]] = {}

    async def add_route(self, routespec: str, target: str, data: Mapping[str, object]) -> None:
        """Remember it, once `slow` lets it go on."""
        if self.slow is not None and "user" in data:
            await self.slow.happen()
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec: str) -> None:
        """Forget it."""
        self.routes.pop(routespec, None)

    async def get_all_routes(self) -> dict[str, dict[str, object]]:
        """Return all of them."""
        return dict(self.routes)
