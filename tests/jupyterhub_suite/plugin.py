"""A pytest plugin that makes the hub of JupyterHub's own tests one with `configure(c)`.

Load it before `jupyterhub.tests`: pytest -p plugin --pyargs jupyterhub.tests.test_api
With GRADIENTHUB_TEST_STOCK_HUB=1 the hub stays as JupyterHub made it: what fails then too is the
fault of this file.
"""

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import aiohttp
from aiohttp import web
from home import small_tables
from jupyterhub.spawner import Spawner
from jupyterhub.tests import mocking
from ports import free_port
from traitlets.config import Config
from yarl import URL

from gradienthub.configuration import configure
from gradienthub.hub import startup
from gradienthub.rules.lease import Lease
from gradienthub.spawners.base import GradientSpawner
from gradienthub.spawners.context import HubContext
from gradienthub.testing import ProxyInMemory

#: Of the hub's address, what stands before every path; JupyterHub's own tests have the same.
BASE = "/@/space%20word/"
HOP_BY_HOP = ("connection", "content-length", "keep-alive", "transfer-encoding", "host")


class ForwardingProxy(ProxyInMemory):
    """A proxy of this process: requests go where the longest matching route says."""

    _runner: web.ServerRunner | None = None
    _session: aiohttp.ClientSession | None = None
    should_start = True

    async def start(self) -> None:
        """Listen on the hub's public address."""
        # Without a router of its own: names of servers hold anything, also line ends.
        server = web.Server(self._forward)
        self._runner = web.ServerRunner(server, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", urlparse(self.public_url).port).start()
        self._session = aiohttp.ClientSession(
            auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )

    async def stop(self) -> None:
        """Listen no more."""
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _forward(self, request: web.BaseRequest) -> web.StreamResponse:
        target = self._target(unquote(request.raw_path.partition("?")[0]))
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP]
        headers.append(("Host", request.headers["Host"]))
        assert self._session is not None
        async with self._session.request(
            request.method,
            URL(target + request.raw_path, encoded=True),
            headers=headers,
            data=await request.read() or None,
            allow_redirects=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        ) as answer:
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            for key, value in answer.headers.items():
                if key.lower() not in HOP_BY_HOP:
                    response.headers.add(key, value)
            # Who has gone away, as somebody who looked at the progress, is not told the rest.
            with suppress(ConnectionError, aiohttp.ClientPayloadError):
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
        return response

    def _target(self, path: str) -> str:
        """Return where the longest route leads that `path` lies under; both decoded."""
        fitting = [spec for spec in self.routes if f"{path}/".startswith(unquote(spec))]
        return str(self.routes[max(fitting, key=len)]["target"]).rstrip("/")


class GradientMock(GradientSpawner):
    """What makes a mock spawner of JupyterHub's one of ours."""

    async def apply_lease(self, lease: Lease) -> None:
        """Set nothing: a mock has no machine, image or folder."""

    async def _until_it_answers(self, *args: Any) -> None:
        """Leave it to the hub: the mock's server knows no token to show that it is its own."""


def ours(mock: type) -> type:
    """Return the mock spawner with ours on its left."""
    return type(mock.__name__, (GradientMock, mock), {"__module__": mock.__module__})


def configuration() -> Config:
    """Return a deployer's configuration, ended with configure(c)."""
    c = Config()
    small_tables(c)
    c.GradientHub.default_instance_type = "free-cpu"
    c.GradientHub.tiers = {
        name: {**row, "max_running": 50, "max_running_free": None}
        for name, row in c.GradientHub.tiers.items()
    }
    c.GradientHub.hosts = {"rack": {"cpus": 10_000, "memory": 10_000, "stage_width": 50}}
    c.GradientHub.answer_timeout = 20
    c.GradientHub.data_dir = tempfile.mkdtemp(prefix="gradienthub-suite-")
    # Their whole servers refuse to run for root, as whom a machine of tests often runs.
    (Path(c.GradientHub.data_dir) / "jupyter_server_config.py").write_text(
        "c.ServerApp.allow_root = True"
    )
    c.Spawner.environment = {"JUPYTER_CONFIG_PATH": c.GradientHub.data_dir}
    port = free_port()
    c.JupyterHub.bind_url = f"http://127.0.0.1:{port}{BASE}"
    c.JupyterHub.proxy_class = ForwardingProxy
    c.JupyterHub.spawner_class = mocking.MockSpawner
    c.JupyterHub.authenticator_class = mocking.MockPAMAuthenticator
    c.JupyterHub.cleanup_servers = True
    c.JupyterHub.services, c.JupyterHub.load_roles = [], []
    c.Authenticator.allow_all = True
    if STOCK:
        return c
    configure(c, keeper=False)
    # It is not started: nothing here is idle for long.
    c.JupyterHub.services = [
        {"name": service["name"], "api_token": "the small mode's culler"}
        for service in c.JupyterHub.services
    ]
    return c


async def _keep_collecting(_context: HubContext) -> None:
    """Many hubs come and go in this process."""


STOCK = bool(os.environ.get("GRADIENTHUB_TEST_STOCK_HUB"))

startup.spare_long_pauses = _keep_collecting
_init, _initialize = mocking.MockHub.__init__, mocking.MockHub.initialize


def _with_configuration(self: Any, *args: Any, **kwargs: Any) -> None:
    if "config" not in kwargs:
        HubContext.put(None)
        kwargs["config"] = configuration()
    _init(self, *args, **kwargs)


async def _with_its_own_first_page(self: Any, argv: Any = None) -> None:
    await _initialize(self, argv)
    # Its tests know where people land by default; ours land on their notebooks.
    self.tornado_settings["default_url"] = ""
    # A start is answered with 201 or 202 by how long it takes; theirs are to be 201 on any machine.
    self.tornado_settings |= {"slow_spawn_timeout": 60, "slow_stop_timeout": 60}


def _replace_mocks() -> None:
    mocking.MockHub.__init__ = _with_configuration
    mocking.MockHub.initialize = _with_its_own_first_page
    for name, mock in [] if STOCK else list(vars(mocking).items()):
        if (
            isinstance(mock, type)
            and issubclass(mock, Spawner)
            and mock.__module__ == mocking.__name__
        ):
            setattr(mocking, name, ours(mock))


_replace_mocks()


def pytest_runtest_logreport(report: Any) -> None:
    """Write down how each test ended, for those who started this pytest."""
    if report.when == "call" or report.outcome != "passed":
        with Path(os.environ["GRADIENTHUB_TEST_OUTCOMES"]).open("a") as file:
            words = "" if report.passed else str(report.longrepr)[-1500:]
            # Some parameters hold colons too.
            name = report.nodeid.partition("::")[2]
            file.write(json.dumps([name, report.outcome, words]) + "\n")
