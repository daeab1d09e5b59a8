"""A real JupyterHub inside the test's process, on the fake engine of gradienthub.testing.

`Home` is such a hub with the small tables below, configured by the product's own configure(c).
Ask it over HTTP (`api`, `browser`), look into its ledger (`lease_of`, `devices_held`), kill it as
kill -9 would (`kill`), and start it again on the same data (`start`).
"""

import asyncio
import contextvars
import json
import re
import secrets
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from jupyterhub.app import JupyterHub
from jupyterhub.httpclient import JupyterHubHTTPClient
from jupyterhub.orm import new_session_factory
from ports import free_port
from traitlets.config import Config

from gradienthub.configuration import configure
from gradienthub.hub import settle, startup
from gradienthub.hub.users_api import CULLER, KEEPER
from gradienthub.ledger import By, Ledger, accounts, fleet, grants, leases
from gradienthub.ledger.grants import Decision
from gradienthub.rules.lease import Lease
from gradienthub.settings import GradientHub, Settings
from gradienthub.spawners.context import HubContext, hub_user
from gradienthub.testing import FakeEngine, GradientFakeSpawner, ProxyInMemory, TestClock

NOW = TestClock()()
#: Where the keeper takes people back after their login at the hub.
CALLBACK = f"/@/space%20word/services/{KEEPER}/oauth_callback"

T4, A100 = "Toy T4", "Toy A100"
INSTANCE_TYPES: dict[str, Any] = {
    "free-cpu": {"title": "Free CPU", "cpus": 1, "memory": 1, "price": 0},
    "free-t4": {
        "title": "Free T4",
        "gpu_model": T4,
        "gpus": 1,
        "gpu_memory": 16,
        "cpus": 1,
        "memory": 2,
        "price": 0,
    },
    "c1": {"title": "C1", "cpus": 1, "memory": 1, "price": "0.02"},
    "t4": {
        "title": "T4",
        "gpu_model": T4,
        "gpus": 1,
        "gpu_memory": 16,
        "cpus": 2,
        "memory": 4,
        "price": "0.51",
    },
    "t4x2": {
        "title": "T4 x2",
        "gpu_model": T4,
        "gpus": 2,
        "gpu_memory": 16,
        "cpus": 4,
        "memory": 8,
        "price": "1.02",
    },
    "a100": {
        "title": "A100",
        "gpu_model": A100,
        "gpus": 1,
        "gpu_memory": 80,
        "cpus": 8,
        "memory": 16,
        "price": "3.40",
        "needs_approval": True,
    },
}
RUNTIMES: dict[str, Any] = {
    "python": {"title": "Python 3", "image": "acme/python:1"},
    "torch": {"title": "PyTorch", "image": "acme/torch:2"},
}
_INTERVALS = {"shutdown_choices": ["30m", "1h", "6h"], "shutdown_min": "5m", "shutdown_max": "12h"}
TIERS: dict[str, Any] = {
    "free": {
        **_INTERVALS,
        "title": "Free",
        "instance_types": ["free"],
        "max_running": 1,
        "session_limit": "12h",
        "shutdown_default": "1h",
        "runtimes": ["python"],
    },
    "pro": {
        **_INTERVALS,
        "title": "Pro",
        "order": 1,
        "max_running": 3,
        "max_running_free": 2,
        "default_runtime": "python",
        "custom_images": ["ghcr.io/acme/*"],
    },
    "flat": {
        **_INTERVALS,
        "title": "Flat",
        "order": 2,
        "max_running": 50,
        "max_running_free": None,
        "shutdown_required": False,
    },
}
HOSTS: dict[str, Any] = {
    "rack": {
        "cpus": 64,
        "memory": 256,
        "stage_width": 50,
        "devices": [
            {"uuid": "GPU-t4-0", "model": T4},
            {"uuid": "GPU-t4-1", "model": T4},
            {"uuid": "GPU-a100", "model": A100},
        ],
    },
}

#: In the devices' names of hubs on an engine that they share with other hubs' notebooks.
OWN = secrets.token_hex(4)


def own_hosts(word: str = OWN) -> dict[str, Any]:
    """HOSTS with devices that no other program's tests give to a container of theirs."""
    rack = HOSTS["rack"]
    devices = [
        device | {"uuid": device["uuid"].replace("GPU-", f"GPU-{word}-")}
        for device in rack["devices"]
    ]
    return {"rack": rack | {"devices": devices}}


def small_tables(c: Config) -> None:
    """A catalog small enough to hold in mind: two T4, one A100, three tiers."""
    c.GradientHub.preset = None
    c.GradientHub.instance_types = INSTANCE_TYPES
    c.GradientHub.runtimes = RUNTIMES
    c.GradientHub.tiers = TIERS
    c.GradientHub.tier_rules = {"default": "free", "by_group": {"pros": "pro", "flats": "flat"}}
    c.GradientHub.hosts = HOSTS


_life: contextvars.ContextVar["Life | None"] = contextvars.ContextVar("life", default=None)


@dataclass(eq=False)
class Life:
    """One life of a hub, from its start to its death, with the tasks that are its own."""

    tasks: "set[asyncio.Task[Any]]" = field(default_factory=set)


def tagging_factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **kwargs: Any) -> Any:
    """Tasks know which life of a hub made them, so that a kill takes exactly those."""
    task = asyncio.Task(coroutine, loop=loop, **kwargs)
    context = kwargs.get("context")
    life = context.get(_life) if context is not None else _life.get()
    if life is not None:
        life.tasks.add(task)
        task.add_done_callback(life.tasks.discard)
    return task


#: What a hub that has its process for itself does. Here many come and go in one process, and each
#: is garbage afterwards.
FREEZE = startup.spare_long_pauses


async def _keep_collecting(_context: HubContext) -> None:
    """In place of FREEZE."""


startup.spare_long_pauses = _keep_collecting


class HubInProcess(JupyterHub):
    """JupyterHub as it is, without signals, without a configuration file, in the test's loop."""

    def init_signal(self) -> None:
        """Signals are pytest's."""

    def load_config_file(self, *args: Any, **kwargs: Any) -> None:
        """The configuration is given."""

    def _stop_event_loop(self) -> None:
        """The loop is the test's."""


class Dead:
    """What a killed hub finds where its ledger, engine or journal was: nothing goes on."""

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            raise asyncio.CancelledError(f"{name} of a killed hub")

        return call


class HubExited(Exception):
    """The hub did not want to start, and said why in its log."""


@dataclass(frozen=True)
class Answer:
    """What the hub said."""

    status: int
    body: Any
    headers: Any
    text: str = ""

    @property
    def message(self) -> str:
        """The words of an error."""
        return str(self.body["message"])


def make_empty_databases(folder: Path) -> Path:
    """The hub's and the ledger's databases, empty: making them takes longer than a hub's start."""
    new_session_factory(f"sqlite:///{folder / 'jupyterhub.sqlite'}").kw["bind"].dispose()
    ledger = Ledger(f"sqlite:///{folder / 'gradienthub.sqlite'}")
    ledger.upgrade()
    ledger.close()
    return folder


def _by_name(lease: Lease) -> dict[str, Any]:
    """All that a lease has, by name; its devices as JSON has them."""
    return vars(lease) | {"devices": list(lease.devices)}


class Home:
    """A hub in this process, with what a test asks of it."""

    def __init__(
        self,
        folder: Path,
        empty: Path,
        clock: TestClock,
        changes: Callable[[Config], None] | None,
        settings_changes: dict[str, Any],
        traits: dict[str, Any],
        *,
        keeper: bool = False,
    ) -> None:
        self.folder = folder
        self.clock = clock
        self._changes = changes
        self._settings_changes = settings_changes
        self._traits = traits
        self._keeper = keeper
        (folder / "data").mkdir()
        shutil.copy(empty / "jupyterhub.sqlite", folder)
        shutil.copy(empty / "gradienthub.sqlite", folder / "data")
        self.port = free_port()
        self.token = secrets.token_hex(16)
        self.culler_token = secrets.token_hex(16)
        self.keeper_token = secrets.token_hex(16)
        self.app: HubInProcess
        self.context: HubContext
        self.config: Config
        self._life: Life | None = None
        self._session: aiohttp.ClientSession | None = None
        self._browsers: list[Browser] = []
        self._orphans: list[subprocess.Popen[bytes]] = []

    # -- its life -----------------------------------------------------------------------------

    def configuration(self) -> Config:
        """The operator's configuration, ended with configure(c)."""
        c = Config()
        small_tables(c)
        for name, value in self._traits.items():
            c.GradientHub[name] = value
        c.GradientHub.data_dir = str(self.folder / "data")
        hub = c.JupyterHub
        hub.spawner_class = GradientFakeSpawner
        hub.authenticator_class = "dummy"
        hub.proxy_class = ProxyInMemory
        hub.db_url = f"sqlite:///{self.folder / 'jupyterhub.sqlite'}"
        hub.cookie_secret = b"a cookie secret of 32 bytes only"
        # Characters that a wrong join or a missing quote in a URL would trip over.
        hub.bind_url = f"http://127.0.0.1:{self.port}/@/space%20word/"
        hub.hub_port = self.port
        hub.last_activity_interval = 0
        hub.log_level = 30
        hub.services = [{"name": "tester", "api_token": self.token}]
        hub.load_roles = [
            {
                "name": "tester",
                "services": ["tester"],
                "scopes": [
                    "admin:users",
                    "admin:servers",
                    "admin:groups",
                    "tokens",
                    "read:servers",
                    "read:metrics",
                ],
            },
        ]
        c.Authenticator.allow_all = True
        c.Authenticator.admin_users = {"ada"}
        if self._changes is not None:
            self._changes(c)
        configure(c, keeper=self._keeper)
        tokens = {CULLER: self.culler_token, KEEPER: self.keeper_token}
        # Neither is started for each test; what acts as they do uses their tokens. Without an
        # address nobody waits for them, and people may log in at the keeper all the same.
        c.JupyterHub.services = [
            {key: value for key, value in service.items() if key.startswith(("name", "oauth_"))}
            | {"api_token": tokens[name]}
            | ({"oauth_redirect_uri": CALLBACK} if name == KEEPER else {})
            if (name := service["name"]) in tokens
            else service
            for service in c.JupyterHub.services
        ]
        return c

    async def start(self) -> "Home":
        """Start it, for the first time or again on the same data."""
        self.config = self.configuration()
        settings = replace(GradientHub(config=self.config).resolved(), **self._settings_changes)
        HubContext.put(HubContext(settings, self.clock))
        HubInProcess.clear_instance()
        self._life = Life()
        inside = contextvars.copy_context()
        inside.run(_life.set, self._life)
        await asyncio.get_running_loop().create_task(self._start(), context=inside)
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self

    async def _start(self) -> None:
        self.context = HubContext.of(self.config)
        self.app = HubInProcess.instance(config=self.config)
        try:
            await self.app.initialize([])
            await self.app.start()
        except SystemExit as exit_:
            # The loop would end with it, and the test with the loop.
            raise HubExited(exit_.code) from exit_

    async def kill(self) -> None:
        """End it as kill -9 would: nothing of it runs on, and it tidies nothing up."""
        if self._life is None:
            return
        context, app = self.context, self.app
        ledger, engine = context.ledger, context.engine
        for name in ("ledger", "engine", "journal"):
            setattr(context, name, Dead())
        for name in ("commit", "flush", "delete", "add", "query", "execute"):
            setattr(app.db, name, getattr(Dead(), name))
        self._stop_listening(app)
        for _ in range(20):
            mine = [task for task in self._life.tasks if not task.done()]
            if not mine:
                break
            for task in mine:
                task.cancel()
            await asyncio.wait(mine, timeout=0.1)
        if JupyterHubHTTPClient.initialized():
            await JupyterHubHTTPClient.instance().close()
        await engine.close()
        # A killed hub's notebooks are init's children. Here they stay this process's, to be reaped.
        self._orphans += getattr(engine, "children", {}).values()
        await asyncio.to_thread(ledger.close)
        for name in ("commit", "flush", "delete", "add", "query", "execute"):
            delattr(app.db, name)
        app.db.rollback()
        app.db.close()
        app.session_factory.kw["bind"].dispose()
        self._life = None
        HubContext.put(None)
        HubInProcess.clear_instance()

    @staticmethod
    def _stop_listening(app: HubInProcess) -> None:
        if app.http_server is not None:
            app.http_server.stop()
            # As the kernel does it: closed at once, whatever was still to be said.
            for connection in [*app.http_server._connections]:
                connection.stream.close()
        if app.metrics_collector is not None:
            app.metrics_collector.stop()
        for callback in app._periodic_callbacks.values():
            callback.stop()
        for user in app.users.values():
            for spawner in user.spawners.values():
                spawner.stop_polling()

    async def shut_down(self) -> None:
        """End it in order, as SIGTERM does."""
        await self.app.cleanup()
        await self.kill()

    async def restart(self) -> "Home":
        """A second process on the same data and engine, after an end in order."""
        await self.shut_down()
        return await self.start()

    async def kill_and_start(self) -> "Home":
        """A second process on the same data and engine, after kill -9."""
        await self.kill()
        return await self.start()

    async def close(self) -> None:
        """The end of the test."""
        for browser in self._browsers:
            await browser.close()
        if self._session is not None:
            await self._session.close()
        engine = self.engine
        await self.kill()
        await engine.clear()
        for orphan in self._orphans:
            orphan.kill()
            await asyncio.to_thread(orphan.wait)

    async def settled(self) -> None:
        """Wait until hub, engine and ledger were compared after a start, and nothing is left.

        A stop that the comparison has begun is waited for too: it is no finding any more.
        """
        for _ in range(3000):
            if self.context.settled and not await settle.settle(self.app, self.context):
                await self.until(self._no_server_stops, "the end of the stops that go on")
                return
            await asyncio.sleep(0.02)
        raise AssertionError("it does not settle")

    def _no_server_stops(self) -> bool:
        return not any(
            spawner.pending == "stop"
            for user in self.app.users.values()
            for spawner in user.spawners.values()
        )

    @property
    def engine(self) -> FakeEngine:
        """The fake engine, which outlives every hub."""
        return FakeEngine.of(self.settings.hub_id)

    @property
    def settings(self) -> Settings:
        """What the configuration resolved to."""
        return self.context.settings

    # -- asking it ----------------------------------------------------------------------------

    def url(self, path: str) -> str:
        """An address below /hub."""
        return f"http://127.0.0.1:{self.port}/@/space%20word/hub{path}"

    async def api(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """A call of the hub's REST API with a token, the service's unless another is given."""
        assert self._session is not None
        content = raw if raw is not None else None if body is None else json.dumps(body).encode()
        async with self._session.request(
            method,
            self.url(f"/api{path}"),
            data=content,
            headers={"Authorization": f"token {token or self.token}"},
            allow_redirects=False,
        ) as response:
            said = await response.text()
            return Answer(response.status, _json(said), response.headers, said)

    async def person(
        self,
        name: str,
        tier: str | None = None,
        *,
        pays: bool = False,
        approved: tuple[str, ...] = (),
    ) -> str:
        """Make a user, give what is named, and return a token of theirs."""
        where = f"/users/{quote(name, safe='')}"
        made = await self.api("POST", where)
        assert made.status in (201, 409), made
        await self.grant(name, tier, pays=pays, approved=approved)
        return str((await self.api("POST", f"{where}/tokens", {})).body["token"])

    async def grant(
        self,
        name: str,
        tier: str | None = None,
        *,
        pays: bool = False,
        approved: tuple[str, ...] = (),
    ) -> None:
        """Tier, payment method and approvals, as an administrator records them."""
        ledger, hub_id, now = self.context.ledger, self.settings.hub_id, self.clock()
        user = hub_user(self.app.users[name])
        account = await ledger.awrite(accounts.account_of, hub_id=hub_id, user=user, now=now)
        by, house = By(hub_id, "ada", now), self.settings.house
        if tier:
            await ledger.awrite(grants.set_tier, by, account, tier, house)
        if pays:
            await ledger.awrite(grants.set_payment_method, by, account, True)
        for instance_type in approved:
            decision = Decision(instance_type, grant=True, reason="a test")
            await ledger.awrite(grants.decide, by, account, decision, house)

    async def start_server(
        self, name: str, instance_type: str = "free-t4", server: str = "", **options: Any
    ) -> Answer:
        """POST a start as the service and wait for the answer."""
        where = f"/users/{quote(name, safe='')}/" + (f"servers/{server}" if server else "server")
        chosen = {"instance_type": instance_type, "shutdown_after": "1h", **options}
        return await self.api("POST", where, {"user_options": chosen})

    async def browser(self, name: str) -> "Browser":
        """Log in as a browser does."""
        browser = Browser(self)
        self._browsers.append(browser)
        await browser.log_in(name)
        return browser

    # -- what it knows ------------------------------------------------------------------------

    def spawner(self, name: str, server: str = "") -> Any:
        """The hub's spawner of that server, as it is now."""
        return self.app.users[name].spawners[server]

    async def account_id(self, name: str) -> str:
        """The account of a user."""
        account = await self.context.ledger.aread(
            accounts.find, hub_id=self.settings.hub_id, name=name
        )
        return account.id

    async def lease_of(self, name: str, server: str = "") -> dict[str, Any] | None:
        """The newest lease of a user's notebook, open or ended."""
        lease = await self.context.ledger.aread(
            leases.find_last, account_id=await self.account_id(name), server_name=server
        )
        return lease and _by_name(lease)

    async def open_leases(self) -> list[dict[str, Any]]:
        """All leases that are not ended."""
        found = await self.context.ledger.aread(leases.list_open_leases, self.settings.hub_id)
        return [_by_name(lease) for lease in found]

    async def devices_held(self) -> dict[str, str]:
        """Device -> the lease that holds it."""
        rows = await self.context.ledger.aread(fleet.list_devices, self.settings.hub_id)
        return {row["uuid"]: row["holder_id"] for row in rows if row["holder_id"]}

    async def until(self, true: Callable[[], Any], what: str = "it") -> None:
        """Let the hub work until something is so."""
        for _ in range(6000):
            outcome = true()
            if isinstance(outcome, Awaitable):
                outcome = await outcome
            if outcome:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{what} does not come true")

    async def nothing_is_taken(self) -> None:
        """No lease, no device, no object, no active server: as if nobody had asked."""
        assert await self.open_leases() == []
        assert await self.devices_held() == {}
        assert self.engine.objects == {}
        active = [s for u in self.app.users.values() for s in u.spawners.values() if s.active]
        assert active == []

    async def is_consistent(self) -> None:
        """Hub, engine and ledger say the same, and no device is held by nothing or twice."""
        open_ids = {row["id"] for row in await self.open_leases()}
        held = await self.devices_held()
        live = {found.lease.id for found in self.engine.objects.values() if found.alive}
        serving = {
            s.lease_id for u in self.app.users.values() for s in u.spawners.values() if s.active
        }
        in_use = self.engine.devices_in_use()
        assert set(held.values()) <= open_ids, "a device is held by a lease that is ended"
        assert len(in_use) == len(set(in_use)), "a device is used twice"
        assert set(in_use) <= set(held), "a live container has a device that the ledger calls free"
        assert live == open_ids == serving


class Browser:
    """A browser: cookies, and the token against forged posts."""

    def __init__(self, home: Home) -> None:
        self.home = home
        # By name alone: aiohttp's own jar does not find cookies of a path with a quoted space.
        self.cookies: dict[str, str] = {}
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())

    @property
    def xsrf(self) -> str:
        """The token that a form of ours carries."""
        return self.cookies["_xsrf"]

    async def log_in(self, name: str) -> None:
        """The hub's login form."""
        await self.get("/login")
        said = await self.post("/login", {"username": name, "password": "any"})
        assert said.status == 302, said

    async def get(self, path: str, **headers: str) -> Answer:
        """Open a page; redirects are not followed."""
        return await self.ask("GET", path, headers=headers)

    async def post(self, path: str, form: dict[str, Any], *, xsrf: bool = True) -> Answer:
        """Send a form, with the token in it unless told otherwise."""
        return await self.ask("POST", path, data={**form, **({"_xsrf": self.xsrf} if xsrf else {})})

    async def ask(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **kwargs: Any
    ) -> Answer:
        """Any request with this browser's cookies."""
        kept = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        async with self._session.request(
            method,
            self.home.url(path),
            headers={**(headers or {}), **({"Cookie": kept} if kept else {})},
            allow_redirects=False,
            **kwargs,
        ) as response:
            for name, cookie in response.cookies.items():
                self.cookies[name] = cookie.value
            said = await response.text()
            return Answer(response.status, _json(said), response.headers, said)

    async def close(self) -> None:
        """Close it."""
        await self._session.close()


def _json(said: str) -> Any:
    try:
        return json.loads(said)
    except ValueError:
        return None


def plain(html: str) -> str:
    """The words of a page, for a look at what a person reads."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
