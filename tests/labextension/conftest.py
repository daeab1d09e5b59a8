"""The extension as an image has it: a wheel, installed under a prefix, with a hub to ask."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests
from ports import free_port

SOURCE = Path(__file__).parents[2] / "labextension"
TOKEN = "the-server's-own-token"
READY_SECONDS = 180


@pytest.fixture(scope="session")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prefix into which pip has installed the built wheel, and nothing else."""
    folder = tmp_path_factory.mktemp("labextension")
    # A copy: a build leaves its folders beside the source.
    source = shutil.copytree(SOURCE, folder / "source")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    wheels = folder / "wheels"
    subprocess.run([*pip, "wheel", "--no-deps", f"--wheel-dir={wheels}", source], check=True)
    (wheel,) = wheels.glob("gradienthub_lab-*.whl")
    prefix = folder / "prefix"
    subprocess.run([*pip, "install", "--no-deps", f"--prefix={prefix}", wheel], check=True)
    return prefix


# -- a hub --------------------------------------------------------------------------------------


def a_lease(**changes: Any) -> dict[str, Any]:
    """What the hub says of a lease that runs and stops in 42 minutes."""
    now = datetime.now(UTC)
    lease = {
        "lease": "6f1c",
        "notebook": "Attention maps",
        "state": "running",
        "instance_type": "p5000",
        "machine_title": "P5000",
        "machine": "P5000 · 16 GB GPU · 8 vCPU · 30 GB",
        "price": 780_000,
        "currency": "USD",
        "price_text": "$0.78/h",
        "cost": 2_600_000,
        "cost_text": "$2.60",
        "answered_at": (now - timedelta(hours=3, minutes=20)).isoformat(),
        "now": now.isoformat(),
        "shutdown_after": 3600,
        "stops_at": (now + timedelta(minutes=42, seconds=30)).isoformat(),
        "stop_reason": "idle",
        "stop_short": "idle",
        "stop_why": "Nothing has run for 18 min; it stops after 1 h without use.",
        "keeps_alive": [],
        "warning": None,
        "extend": {
            "until": (now + timedelta(minutes=60)).isoformat(),
            "cost_text": "$0.30",
            "refused": None,
        },
    }
    return lease | changes


def warned(minutes: int, seconds_left: float) -> dict[str, Any]:
    """A lease about whose stop the hub warns."""
    now = datetime.now(UTC)
    stops_at = (now + timedelta(seconds=seconds_left)).isoformat()
    lease = a_lease()
    warning = {
        "minutes": minutes,
        "stops_at": stops_at,
        "reason": "idle",
        "why": lease["stop_why"],
        "given_at": now.isoformat(),
    }
    return lease | {"stops_at": stops_at, "warning": warning}


@dataclass
class SmallHub:
    """A hub's answers, and what it was asked: pairs of method and path, and the last headers."""

    url: str = ""
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    headers: Any = None


@pytest.fixture
def small_hub() -> Iterator[SmallHub]:
    """A real HTTP server in the place of the hub's API; `answers[method]` is status and body."""
    hub = SmallHub(answers={"GET": (200, a_lease()), "POST": (200, a_lease())})

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            hub.asked.append((self.command, self.path))
            hub.headers = self.headers
            status, body = hub.answers[self.command]
            if isinstance(body, dict) and "now" in body:
                body = body | {"now": datetime.now(UTC).isoformat()}
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            if 300 <= status < 400:
                self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}/hub/api"
    yield hub
    server.shutdown()
    thread.join()
    server.server_close()


# -- a notebook server --------------------------------------------------------------------------


@dataclass
class NotebookServer:
    """A running server; `url` ends in a slash, `root` is the folder of its files."""

    url: str
    token: str
    root: Path
    log: Path

    def ask(self, method: str, path: str) -> requests.Response:
        """As somebody who holds this server's token."""
        headers = {"Authorization": f"token {self.token}"}
        return requests.request(method, self.url + path, headers=headers, timeout=20)


@pytest.fixture
def serve(
    prefix: Path, small_hub: SmallHub, tmp_path: Path
) -> Iterator[Callable[..., NotebookServer]]:
    """`serve("jupyterlab", JUPYTERHUB_SERVER_NAME="maps")`: a server as the hub would start it."""
    processes = []

    def start(module: str = "jupyter_server", **changes: str | None) -> NotebookServer:
        root = tmp_path / "work"
        root.mkdir()
        log = tmp_path / "server.log"
        environment = {
            **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
            "HOME": str(tmp_path),
            "JUPYTER_PATH": str(prefix / "share/jupyter"),
            "JUPYTER_CONFIG_PATH": str(prefix / "etc/jupyter"),
            "PYTHONPATH": str(next(prefix.glob("lib/python*/site-packages"))),
            "JUPYTERHUB_API_URL": small_hub.url,
            "JUPYTERHUB_API_TOKEN": TOKEN,
            "JUPYTERHUB_USER": "anna",
            "JUPYTERHUB_SERVER_NAME": "",
            **changes,
        }
        port = free_port()
        base_url = "/user/anna/maps/"
        command = [sys.executable, "-m", module, "--no-browser", "--allow-root"]
        settings = {
            "ip": "127.0.0.1",
            "port": port,
            "port_retries": 0,
            "base_url": base_url,
            "root_dir": root,
            "log_level": "DEBUG",
        }
        command += [f"--ServerApp.{name}={value}" for name, value in settings.items()]
        command.append("--IdentityProvider.token=browser-token")
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={name: value for name, value in environment.items() if value is not None},
            )
        processes.append(process)
        server = NotebookServer(f"http://127.0.0.1:{port}{base_url}", "browser-token", root, log)
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                if server.ask("GET", "api/status").ok:
                    return server
            except requests.ConnectionError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)

    yield start
    for process in processes:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            # A kernel that is only starting may hold up the server's own end.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)
