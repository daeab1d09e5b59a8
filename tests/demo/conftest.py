"""The demo as people run it: a process of its own, ended by Ctrl-C."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
import requests
from docker.errors import DockerException
from ports import free_port

from gradienthub.cli.demo.engines import IMAGE

COMMAND = "import sys; from gradienthub.cli import main; sys.exit(main())"
READY_SECONDS = 110


@dataclass
class Demo:
    """A running demo."""

    process: "subprocess.Popen[str]"
    port: int
    data: Path
    banner: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def password(self) -> str:
        return re.search(r"Password of everybody: (\S+)", self.banner)[1]

    @property
    def admin_password(self) -> str:
        return re.search(r"administrator, password (\S+)", self.banner)[1]

    def interrupt(self) -> int:
        """Ctrl-C; the exit status."""
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(90)
        self.process.stdout.close()
        return status

    def log_in(self, name: str, password: str | None = None) -> requests.Session:
        """A browser-like session, logged in through the page."""
        session = requests.Session()
        session.get(f"{self.url}/hub/login", timeout=10)
        answer = session.post(
            f"{self.url}/hub/login",
            params={"_xsrf": session.cookies.get("_xsrf", path="/hub/")},
            data={"username": name, "password": password or self.password},
            timeout=10,
        )
        assert "/hub/login" not in answer.url, answer.text[:2000]
        return session

    def api(self, session: requests.Session, method: str, path: str, **kwargs):
        """A call of the hub's REST API with the session's cookies, as a page's script makes it."""
        return session.request(
            method,
            f"{self.url}/hub/api{path}",
            headers={"X-XSRFToken": session.cookies.get("_xsrf", path="/hub/")},
            timeout=60,
            **kwargs,
        )


def run_demo(folder: Path, *arguments: str, beside=lambda *words: list(words)) -> Demo:
    """Start a demo and wait until it says its address; `beside` changes its command line."""
    port = free_port()
    own = [f"--port={port}", f"--data={folder}"]
    process = subprocess.Popen(
        beside(sys.executable, "-c", COMMAND, "demo", *own, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    # A demo that hangs must not hang the test: reading its output ends with it.
    watchdog = threading.Timer(READY_SECONDS, process.kill)
    watchdog.start()
    said = ""
    try:
        for line in process.stdout:
            said += line
            if "Ctrl-C stops" in line:
                return Demo(process, port, folder, said)
    finally:
        watchdog.cancel()
    hub_log = folder / "hub.log"
    raise AssertionError(said + (hub_log.read_text()[-3000:] if hub_log.exists() else ""))


def docker_missing() -> str:
    """Why the demo cannot run on Docker here, or nothing."""
    try:
        with closing(docker.from_env()) as client:
            client.images.get(IMAGE)
    except (DockerException, OSError) as error:
        return (
            f"needs a Docker engine with {IMAGE}: run tests/image/build.sh ({type(error).__name__})"
        )
    return ""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("docker", marks=pytest.mark.docker),
        pytest.param("local", marks=pytest.mark.local_engine),
    ],
)
def demo(request, tmp_path_factory):
    """A demo on each engine, shared by the tests of a module."""
    if request.param == "docker" and (why := docker_missing()):
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("demo") / "data"
    running = run_demo(folder, f"--engine={request.param}")
    yield running
    if running.process.poll() is None:
        running.interrupt()
    shutil.rmtree(folder, ignore_errors=True)
