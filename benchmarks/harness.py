"""A hub of its own for one measurement: ours or plain DockerSpawner, same image and proxy."""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

IMAGE = "gradienthub/demo:dev"
CONFIG = Path(__file__).with_name("hub_config.py")
TOKEN = "a-token-of-the-benchmark-0123456789"
OURS = {"user_options": {"instance_type": "bench", "shutdown_after": "1h"}}


def free_port() -> int:
    """A port that was free a moment ago."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Hub:
    """A running hub and its REST API; `which` is "ours" or "theirs"."""

    def __init__(
        self, which: str, session: aiohttp.ClientSession, port: int, folder: Path, pid: int
    ) -> None:
        self.which, self._session = which, session
        self.folder, self.pid = folder, pid
        self.url = f"http://127.0.0.1:{port}"
        self.api = f"{self.url}/hub/api"

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """(status, JSON or text) of one API call."""
        async with self._session.request(
            method, self.api + path, data=None if body is None else json.dumps(body)
        ) as answer:
            text = await answer.text()
            with contextlib.suppress(ValueError):
                return answer.status, json.loads(text)
            return answer.status, text

    async def add_users(self, names: Iterable[str]) -> None:
        """Make the users that the measurement starts for."""
        await self.call("POST", "/users", {"usernames": list(names)})

    async def start(self, name: str, server: str = "") -> float:
        """Seconds from the request until the hub calls the server ready."""
        path = f"/users/{name}/servers/{server}" if server else f"/users/{name}/server"
        began = time.monotonic()
        status, body = await self.call("POST", path, OURS if self.which == "ours" else {})
        if status >= 400:
            raise RuntimeError(f"{name}: {status} {body}")
        while status == 202:
            await asyncio.sleep(0.05)
            _, model = await self.call("GET", f"/users/{name}")
            found = model["servers"].get(server)
            if found is None:
                raise RuntimeError(f"{name}: the start failed")
            if found["ready"]:
                break
        return time.monotonic() - began

    async def until_warm(self, count: int) -> None:
        """Wait until so many warm servers wait for a start."""
        for _ in range(400):
            async with self._session.get(f"{self.api}/../metrics") as answer:
                text = await answer.text()
            if f'gradienthub_warm_servers{{state="ready"}} {float(count)}' in text:
                return
            await asyncio.sleep(0.1)
        raise RuntimeError(f"the pool is not filled:\n{text[-500:]}")

    async def stop(self, name: str, server: str = "") -> float:
        """Seconds from the request until the hub has forgotten the server."""
        path = f"/users/{name}/servers/{server}" if server else f"/users/{name}/server"
        began = time.monotonic()
        await self.call("DELETE", path)
        while True:
            _, model = await self.call("GET", f"/users/{name}")
            if server not in model["servers"]:
                return time.monotonic() - began
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def hub(which: str, **settings: Any) -> AsyncIterator[Hub]:
    """Start a hub, wait until it serves, and end it with everything it started."""
    folder = Path(tempfile.mkdtemp(prefix="gradienthub-bench-"))
    port = free_port()
    told = {
        "which": which,
        "port": port,
        "hub_port": free_port(),
        "proxy_port": free_port(),
        "token": TOKEN,
        "folder": str(folder),
        "image": IMAGE,
        **settings,
    }
    environment = os.environ | {
        "BENCH": json.dumps(told),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    with (folder / "hub.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", f"--config={CONFIG}"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    # Token calls must not carry the hub's cookies, or it asks for their XSRF token.
    session = aiohttp.ClientSession(
        headers={"Authorization": f"token {TOKEN}"},
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=600),
        connector=aiohttp.TCPConnector(limit=200),
    )
    running = Hub(which, session, port, folder, process.pid)
    try:
        await _until_up(running, process, folder)
        yield running
    except RuntimeError:
        lines = (folder / "hub.log").read_text().splitlines()
        print(*[row for row in lines if "/metrics" not in row][-80:], sep="\n", file=sys.stderr)
        raise
    finally:
        await session.close()
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()
        if which == "ours":
            _remove_warm(folder / "data")
        shutil.rmtree(folder, ignore_errors=True)


def _remove_warm(data: Path) -> None:
    """The pool outlives its hub, which would adopt it at its next start."""
    if not (data / "hub_id").exists():
        return  # it was given its name, and has no pool
    label = f"label=gradienthub.hub={(data / 'hub_id').read_text()}"
    found = subprocess.check_output(["docker", "ps", "-aq", "-f", label], text=True).split()
    if found:
        subprocess.run(["docker", "rm", "-f", *found], check=True, stdout=subprocess.DEVNULL)
    if (warm := data / "storage" / "warm").exists():
        subprocess.run(["umount", "-R", str(warm)], check=False)


async def _until_up(running: Hub, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    for _ in range(400):
        with contextlib.suppress(aiohttp.ClientError, OSError):
            status, _body = await running.call("GET", "/")
            if status == 200:
                return
        if process.poll() is not None:
            break
        await asyncio.sleep(0.2)
    raise RuntimeError((folder / "hub.log").read_text()[-3000:])


def show(name: str, ours: float, theirs: float, unit: str = "s") -> None:
    """One result line."""
    print(f"{name}: {ours:.3f} {unit}, {theirs:.3f} {unit}, {ours / theirs:.3f}", flush=True)


def spread(values: list[float]) -> str:
    """Least, median and most of a list of seconds."""
    return f"{min(values):.2f} / {median(values):.2f} / {max(values):.2f} s"


def arguments(**defaults: Any) -> argparse.Namespace:
    """The script's numbers, each as an option."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--proxy", choices=("traefik", "node"), default="traefik")
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    return parser.parse_args()
