"""A pass over many idle servers, against jupyterhub-idle-culler; and the hub's price of one view.

Both stop servers whose stop takes 100 ms, at a real hub with an in-memory proxy: what is measured
is who asks and stops, and what that costs the hub, not containers. The notebooks are answered for
by one stub process.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from harness import TOKEN, Hub, arguments, hub, show
from sqlalchemy import update
from traitlets.config import Config

from gradienthub.ledger import Ledger, admissions, fleet
from gradienthub.ledger.accounts import HubUser
from gradienthub.ledger.schema import leases
from gradienthub.rules.options import parse_options
from gradienthub.service.context import KeeperContext
from gradienthub.service.evidence import Notebooks
from gradienthub.service.holder import me
from gradienthub.service.hub_client import HubClient
from gradienthub.service.lookout import Lookout
from gradienthub.service.watch import Watch
from gradienthub.settings import GradientHub

HERE = Path(__file__).parent
HUB_ID = "bench"


@contextlib.contextmanager
def notebooks() -> Iterator[int]:
    """The port of a process that answers for all notebooks."""
    process = subprocess.Popen(
        [sys.executable, HERE / "stub_notebooks.py"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


@contextlib.asynccontextmanager
async def filled(which: str, port: int, count: int) -> AsyncIterator[Hub]:
    """A hub with so many running servers."""
    async with hub(which, notebooks=port, proxy="memory", hub_id=HUB_ID) as running:
        names = [f"u{number}" for number in range(count)]
        for first in range(0, count, 100):
            await running.add_users(names[first : first + 100])
        turns = asyncio.Semaphore(20)

        async def start(name: str) -> None:
            async with turns:
                await running.start(name)

        await asyncio.gather(*(start(name) for name in names))
        yield running


class Lag:
    """The slowest answer to a request that costs the hub nothing, beside what is measured."""

    def __init__(self, running: Hub) -> None:
        where = urlsplit(running.api)
        self._command = [
            sys.executable,
            str(HERE / "lag.py"),
            where.hostname or "",
            str(where.port),
            where.path,
        ]
        self.worst = 0.0

    async def __aenter__(self) -> "Lag":
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        said, _ = await self._process.communicate(b"")
        self.worst = float(said)


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def nobody_told(*_: Any) -> None:
    """No mail is sent."""


async def no_gpu() -> dict[str, float]:
    """No GPU is asked."""
    return {}


async def ours(port: int, count: int) -> tuple[float, float, int]:
    """(seconds, worst lag, passes) until the keeper has stopped all of them."""
    async with filled("ours", port, count) as running:
        ledger = Ledger(f"sqlite:///{running.folder}/data/gradienthub.sqlite")
        long_ago = datetime.now(UTC) - timedelta(hours=9)
        ledger.write(lambda tx: tx.execute(update(leases).values(answered_at=long_ago)))
        context = KeeperContext(ledger, HUB_ID, "/", "/hub/", running.api, TOKEN)
        client, looks = HubClient(running.api, TOKEN), Notebooks()
        watch = Watch(context, client, Lookout(context, looks, no_gpu), me(), nobody_told)
        await watch.run_pass()  # the warning that every idle stop has
        await asyncio.sleep(1.1)
        async with Lag(running) as lag:
            began = time.monotonic()
            await watch.run_pass()
            while watch.stops.tasks:
                await asyncio.gather(*watch.stops.tasks.values())
            seconds = time.monotonic() - began
        left = len((await client.view()).servers)
        await watch.close()
        await client.close()
        await looks.close()
        ledger.close()
        if left:
            raise RuntimeError(f"{left} servers still run")
        return seconds, lag.worst, count


async def theirs(port: int, count: int) -> tuple[float, float]:
    """(seconds, worst lag) until the stock culler has stopped all of them."""
    async with filled("theirs", port, count) as running:
        environment = os.environ | {
            "JUPYTERHUB_API_TOKEN": TOKEN,
            "JUPYTERHUB_API_URL": running.api,
        }
        await asyncio.sleep(2)  # none has been active for longer than its timeout, which is 1 s
        began = time.monotonic()
        culler = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=1", "--cull-every=3600"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            async with Lag(running) as lag:
                while await _running(running):
                    await asyncio.sleep(0.5)
            return time.monotonic() - began, lag.worst
        finally:
            culler.kill()
            culler.wait()


async def _running(running: Hub) -> bool:
    _, users = await running.call("GET", "/users?state=active&limit=1")
    return bool(users)


async def view(port: int, count: int) -> tuple[float, float]:
    """Seconds of the hub's CPU for one view of so many servers: ours, and paging GET /users."""
    async with filled("ours", port, count) as running:
        client = HubClient(running.api, TOKEN)
        taken = []
        for look in (client.view, partial(_paged, running)):
            await look()
            before = cpu(running.pid)
            for _ in range(10):
                await look()
            taken.append((cpu(running.pid) - before) / 10)
        await client.close()
        return taken[0], taken[1]


async def _paged(running: Hub) -> None:
    offset: int | None = 0
    accept = {"Accept": "application/jupyterhub-pagination+json", "Authorization": f"token {TOKEN}"}
    async with aiohttp.ClientSession(headers=accept) as session:
        while offset is not None:
            where = f"{running.api}/users?state=ready&limit=200&offset={offset}"
            async with session.get(where) as answer:
                body = await answer.json()
            following = body["_pagination"]["next"]
            offset = following and following["offset"]


@contextlib.contextmanager
def stub_hub(port: int, leases_there: list[str]) -> Iterator[str]:
    """The API address of a process in a hub's place."""
    environment = os.environ | {"NOTEBOOKS": str(port), "LEASES": json.dumps(leases_there)}
    process = subprocess.Popen(
        [sys.executable, HERE / "stub_hub.py"], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/hub/api"
    finally:
        process.kill()
        process.wait()


def idle_ledger(folder: str, count: int) -> tuple[Ledger, list[str]]:
    """A ledger in which so many notebooks have been idle for hours."""
    c = Config()
    c.GradientHub.preset = None
    c.GradientHub.data_dir = folder
    c.GradientHub.hub_id = HUB_ID
    c.GradientHub.keeper_warnings = ["1s"]
    c.GradientHub.instance_types = {"bench": {"title": "Bench", "cpus": 1, "memory": 1, "price": 0}}
    c.GradientHub.runtimes = {"python": {"title": "Python", "image": "a:1"}}
    c.GradientHub.tiers = {
        "all": {
            "title": "All",
            "shutdown_choices": ["1h"],
            "shutdown_min": "1m",
            "shutdown_max": "7d",
        }
    }
    c.GradientHub.tier_rules = {"default": "all"}
    c.GradientHub.hosts = {"here": {"cpus": 10000, "memory": 10000}}
    settings = GradientHub(config=c).resolved()
    ledger = Ledger(settings.database_url)
    ledger.upgrade()
    now = datetime.now(UTC)
    ledger.write(fleet.publish, settings, now)
    options = parse_options({"instance_type": "bench", "shutdown_after": "1h"})
    ids = []
    for number in range(count):
        asked = admissions.Request(
            lease_id=str(uuid.uuid4()),
            user=HubUser(number, now, f"u{number}"),
            groups=frozenset(),
            server_name="",
            display_name="",
            options=options,
            actor="bench",
        )
        ledger.write(admissions.admit_start, asked, settings, now)
        ids.append(asked.lease_id)
    ledger.write(lambda tx: tx.execute(update(leases).values(answered_at=now - timedelta(hours=9))))
    return ledger, ids


async def ours_alone(port: int, count: int) -> float:
    """Seconds of the keeper's pass until all are stopped, at a hub that costs nothing."""
    with tempfile.TemporaryDirectory() as folder:
        ledger, ids = idle_ledger(folder, count)
        with stub_hub(port, ids) as api:
            context = KeeperContext(ledger, HUB_ID, "/", "/hub/", api, TOKEN)
            client, looks = HubClient(api, TOKEN), Notebooks()
            watch = Watch(context, client, Lookout(context, looks, no_gpu), me(), nobody_told)
            await watch.run_pass()
            await asyncio.sleep(1.1)
            began = time.monotonic()
            await watch.run_pass()
            while watch.stops.tasks:
                await asyncio.gather(*watch.stops.tasks.values())
            seconds = time.monotonic() - began
            if left := len((await client.view()).servers):
                raise RuntimeError(f"{left} servers still run")
            await watch.close()
            await client.close()
            await looks.close()
        ledger.close()
    return seconds


async def theirs_alone(port: int, count: int) -> float:
    """Seconds of the stock culler, at the same hub; its start is not counted."""
    with stub_hub(port, [str(number) for number in range(count)]) as api:
        environment = os.environ | {"JUPYTERHUB_API_TOKEN": TOKEN, "JUPYTERHUB_API_URL": api}
        culler = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=1", "--cull-every=3600"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        client = HubClient(api, TOKEN)
        began = None
        try:
            while there := len((await client.view()).servers):
                if there < count and began is None:
                    began = time.monotonic() - 0.1
                await asyncio.sleep(0.05)
            return time.monotonic() - (began or 0)
        finally:
            culler.kill()
            culler.wait()
            await client.close()


async def main() -> None:
    told = arguments(servers=500, view=2000)
    with notebooks() as port:
        show(
            f"a pass over {told.servers} idle servers, stub hub",
            await ours_alone(port, told.servers),
            await theirs_alone(port, told.servers),
        )
        mine, lag, _ = await ours(port, told.servers)
        other, their_lag = await theirs(port, told.servers)
        show(f"a pass over {told.servers} idle servers, real hub", mine, other)
        show("  worst answer of the hub meanwhile", lag, their_lag)
        show(f"hub CPU for one view of {told.view} servers", *await view(port, told.view))


asyncio.run(main())
