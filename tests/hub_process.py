"""A real hub as a process, with real notebooks of this machine."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
from ports import free_port

from gradienthub.service.evidence import Address

CONFIG = Path(__file__).with_name("hub_process_config.py")
TESTS = Path(__file__).parent
NODE_PROXY = os.environ.get("GRADIENTHUB_TEST_NODE_PROXY") or shutil.which(
    "configurable-http-proxy"
)
#: Seconds that other processes get for what they do.
PATIENCE = 240


class HubProcess:
    """A hub and a proxy, as processes; requests to both. It may be killed and started again.

    `proxy`: traefik, node, or memory: none, and the hub is asked directly. `spawner` and
    `poll_interval` are the hub's, `hub_ip` is where its notebooks reach it, `environment` is added
    to its own, and `traits` are c.GradientHub's.
    """

    config = CONFIG

    def __init__(
        self,
        folder,
        proxy="memory",
        *,
        spawner="gradient-local",
        hub_ip="127.0.0.1",
        poll_interval=30,
        environment=None,
        **traits,
    ):
        self.folder, self.proxy, self.traits = folder, proxy, traits
        self.token = secrets.token_hex(16)
        self.port = free_port()
        self.hub_port = self.port if proxy == "memory" else free_port()
        self.hub_url = f"http://{hub_ip}:{self.hub_port}"
        self.public = self.hub_url if proxy == "memory" else f"http://127.0.0.1:{self.port}"
        self._hub = {"spawner": spawner, "hub_ip": hub_ip, "poll_interval": poll_interval}
        self._environment = environment or {}
        self._proxy_port = free_port()
        self._session = aiohttp.ClientSession(headers={"Authorization": f"token {self.token}"})

    async def start(self):
        own_bin = str(Path(sys.executable).parent)
        asked = {
            "folder": str(self.folder),
            "proxy": self.proxy,
            "token": self.token,
            "port": self.port,
            "hub_port": self.hub_port,
            "proxy_port": self._proxy_port,
            **self._hub,
            "traits": self.traits,
            "node_proxy": NODE_PROXY,
        }
        environment = (
            os.environ
            | self._environment
            | {
                "GRADIENTHUB_TEST_HUB": json.dumps(asked),
                "PATH": f"{own_bin}{os.pathsep}{os.environ['PATH']}",
                "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}",
            }
        )
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", f"--config={self.config}"],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        await self.until(self._is_up, "the hub is up")

    async def _is_up(self):
        assert self._process.poll() is None, (self.folder / "log").read_text()[-3000:]
        try:
            async with self._session.get(f"{self.public}/hub/health") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    @property
    def hub_id(self):
        return (self.folder / "hub_id").read_text().strip()

    async def until(self, true, what):
        """Wait for what other processes do."""
        deadline = time.monotonic() + PATIENCE
        while not (found := await true()):
            assert time.monotonic() < deadline, f"not within {PATIENCE} s: {what}"
            await asyncio.sleep(0.2)
        return found

    async def call(self, method, url, body=None):
        async with self._session.request(method, url, json=body) as answer:
            text = await answer.text()
            assert answer.status < 300, (method, url, text)
            return json.loads(text) if text else None

    async def api(self, method, path, body=None):
        """Past the proxy: under one of the two, requests through it count as activity."""
        return await self.call(method, f"{self.hub_url}/hub/api{path}", body)

    async def notebook(self, name, **options):
        """A notebook of somebody new, running: where and how it is asked."""
        await self.api("POST", f"/users/{name}")
        chosen = {"instance_type": "free-cpu", "shutdown_after": "1h"} | options
        await self.api("POST", f"/users/{name}/server", chosen)

        async def is_ready():
            servers = (await self.api("GET", "/gradient/servers"))["servers"]
            return next((s for s in servers if s["user"] == name and s["ready"]), None)

        server = await self.until(is_ready, f"{name}'s notebook is ready")
        return Address(f"http://127.0.0.1:{server['url'].split(':')[2]}", server["token"])

    async def last_activity(self, name):
        """What the hub believes."""
        return (await self.api("GET", f"/users/{name}"))["servers"][""]["last_activity"]

    async def kill(self):
        """kill -9; its servers and its keeper are left to themselves."""
        self._process.kill()
        await asyncio.to_thread(self._process.wait)

    async def close(self):
        await self._session.close()
        for sign in (signal.SIGINT, signal.SIGKILL):
            if self._process.poll() is None:
                self._process.send_signal(sign)
                try:
                    await asyncio.to_thread(self._process.wait, 60)
                except subprocess.TimeoutExpired:
                    continue
