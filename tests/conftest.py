"""Fixtures for all rooms: both databases, and a real JupyterHub inside the test's process."""

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from home import NOW, Home, make_empty_databases, small_tables, tagging_factory
from prometheus_client import REGISTRY
from sqlalchemy import create_engine, make_url, text
from traitlets.config import Config

from gradienthub.hub import settle
from gradienthub.ledger import Ledger, accounts, admissions
from gradienthub.rules.lease import Lease
from gradienthub.rules.options import parse_options
from gradienthub.rules.refusal import Refused
from gradienthub.settings import GradientHub, Settings
from gradienthub.spawners import answering
from gradienthub.spawners.context import HubContext
from gradienthub.testing import ProxyInMemory, TestClock

POSTGRESQL = "GRADIENTHUB_TEST_POSTGRESQL"
CHROMIUM = os.environ.get("GRADIENTHUB_TEST_CHROMIUM") or shutil.which("chromium")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with real processes first: none of them is left alone at the end of a parallel run."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def settings_in() -> Callable[..., Settings]:
    """`settings_in(folder, **traits of c.GradientHub)`: settings of the small tables."""

    def make(folder: Path, **traits: Any) -> Settings:
        c = Config()
        small_tables(c)
        c.GradientHub.data_dir = str(folder)
        for name, value in traits.items():
            c.GradientHub[name] = value
        return GradientHub(config=c).resolved()

    return make


@pytest.fixture
def make_settings(settings_in: Callable[..., Settings], tmp_path: Path) -> Callable[..., Settings]:
    """Settings of the small tables; keywords are further traits of c.GradientHub."""
    return partial(settings_in, tmp_path / "data")


@pytest.fixture
def ask() -> Callable[..., Lease | Refused]:
    """`ask(ledger, settings, "anna", "t4")`: one start, admitted or refused."""

    def start(
        ledger: Ledger,
        settings: Settings,
        name: str,
        instance_type: str = "free-t4",
        server: str = "",
        groups: Iterable[str] = (),
        at: datetime = NOW,
    ) -> Lease | Refused:
        request = admissions.Request(
            lease_id=str(uuid.uuid4()),
            user=accounts.HubUser(id=sum(map(ord, name)), created=NOW, name=name),
            groups=frozenset(groups),
            server_name=server,
            display_name="",
            options=parse_options({"instance_type": instance_type, "shutdown_after": "1h"}),
            actor=name,
        )
        return ledger.write(admissions.admit_start, request, settings, at)

    return start


# -- databases ----------------------------------------------------------------------------------


def _emptied(url: str) -> str:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return url


@pytest.fixture(scope="session")
def worker_database(worker_id: str) -> Iterator[str]:
    """The URL of a PostgreSQL database that no other process of this run empties."""
    named = os.environ.get(POSTGRESQL)
    if not named:
        pytest.skip(
            f"{POSTGRESQL} is not set: the URL of a PostgreSQL database it may empty, of a user who"
            " may create others"
        )
    if worker_id == "master":
        yield named
        return
    url = make_url(named)
    own = f"{url.database}_{worker_id}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'DROP DATABASE IF EXISTS "{own}"'))
        connection.execute(text(f'CREATE DATABASE "{own}"'))
        yield url.set(database=own).render_as_string(hide_password=False)
        connection.execute(text(f'DROP DATABASE "{own}" WITH (FORCE)'))
    engine.dispose()


@pytest.fixture
def postgresql_url(worker_database: str) -> str:
    """An empty PostgreSQL database, where the environment names one that may be emptied."""
    return _emptied(worker_database)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, on each of both."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """An open ledger with this version's schema, on each of both databases."""
    made = Ledger(ledger_url)
    made.upgrade()
    yield made
    made.close()


# -- a hub in this process ----------------------------------------------------------------------


@pytest.fixture
def clock() -> TestClock:
    """A clock that the test moves."""
    return TestClock(NOW)


@pytest.fixture(scope="session")
def empty_databases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both databases of a hub that nobody has used yet."""
    return make_empty_databases(tmp_path_factory.mktemp("empty"))


@pytest.fixture
async def hub(
    tmp_path: Path, empty_databases: Path, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., Awaitable[Home]]]:
    """A factory of hubs: `await hub(changes=f, settings={...}, **traits of c.GradientHub)`.

    `changes(c)` is the operator's configuration before configure(c); `settings` replaces fields
    of the resolved settings, for values no operator could set. `keeper` wires the keeper instead
    of the small mode's culler; neither is started.
    """
    # Who is dead is seen at once, and an unsettled hub tries again at once.
    monkeypatch.setattr(answering, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(settle, "FIRST_TRIES", 0.02)
    asyncio.get_running_loop().set_task_factory(tagging_factory)
    homes: list[Home] = []

    async def make(
        changes: Callable[[Config], None] | None = None,
        settings: dict[str, Any] | None = None,
        *,
        keeper: bool = False,
        **traits: Any,
    ) -> Home:
        folder = tmp_path / f"hub{len(homes)}"
        folder.mkdir()
        home = Home(folder, empty_databases, clock, changes, settings or {}, traits, keeper=keeper)
        homes.append(home)
        return await home.start()

    yield make
    for home in homes:
        await home.close()
    HubContext.put(None)
    ProxyInMemory.slow = None


@pytest.fixture(autouse=True)
def _registry_as_before() -> Iterator[None]:
    """Prometheus' registry belongs to the process: what a test's hub adds to it goes again."""
    before = set(REGISTRY._collector_to_names)
    yield
    for collector in set(REGISTRY._collector_to_names) - before:
        REGISTRY.unregister(collector)


# -- a browser ----------------------------------------------------------------------------------


@pytest.fixture
async def window() -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """A factory of pages in windows of their own, logged in: `await window(home, "anna")`."""
    playwright = pytest.importorskip("playwright.async_api")
    if not CHROMIUM:
        pytest.skip("needs Chromium: install it, or name it in GRADIENTHUB_TEST_CHROMIUM")
    async with playwright.async_playwright() as engine:
        # --no-sandbox: a test machine is often root in a container, where Chromium's cannot work.
        browser = await engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

        async def make(home: Home, name: str, width: int = 1280, **options: Any) -> Any:
            context = await browser.new_context(
                viewport={"width": width, "height": 900},
                locale="en-GB",
                **{"timezone_id": "Europe/Berlin", **options},
            )
            page = await context.new_page()
            page.faults = []
            page.on("pageerror", lambda error: page.faults.append(str(error)))
            await page.goto(home.url("/login"))
            await page.fill("#username_input", name)
            await page.fill("#password_input", "any")
            await page.click("#login_submit")
            await page.wait_for_url("**/hub/home")
            return page

        yield make
        await browser.close()
