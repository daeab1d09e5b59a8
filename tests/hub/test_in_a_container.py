"""The hub of the how-to on Docker Compose, in a container, to the first notebook and its files."""

import asyncio
import secrets
import sys
import time
import uuid
from pathlib import Path

import aiohttp
import docker
import pytest

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]

IMAGE = "gradienthub/demo:dev"
ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "docs" / "howto" / "compose" / "jupyterhub_config.py"
#: What a test adds: a proxy that needs no program, a service that may ask, an image that is here.
MORE = """
load_subconfig({config!r})
c = get_config()
c.JupyterHub.proxy_class = "gradienthub.testing.ProxyInMemory"
c.GradientHub.runtimes = {{"python": {{"title": "Python", "image": {image!r}}}}}
c.GradientHub.hosts = {{"local": {{"cpus": 4, "memory": 8}}}}
c.JupyterHub.services.append({{"name": "tester", "api_token": {token!r}}})
c.JupyterHub.load_roles.append({{"name": "tester", "services": ["tester"],
    "scopes": ["admin:users", "admin:servers", "access:servers"]}})
"""


@pytest.fixture
def engine():
    try:
        client = docker.from_env()
        client.images.get(IMAGE)
    except docker.errors.DockerException as away:
        pytest.skip(f"no engine with the tests' image: {away}")
    yield client
    client.close()


@pytest.fixture
def network(engine):
    made = engine.networks.create(f"gh-test-{uuid.uuid4().hex[:8]}")
    yield made
    for container in engine.networks.get(made.id).containers:
        container.remove(force=True, v=True)
    made.remove()


class InContainer:
    """A hub in a container of the tests' image, which runs this Python and this package."""

    def __init__(self, engine, network, data, volumes):
        self.token = secrets.token_hex(16)
        config = data / "test_config.py"
        config.write_text(MORE.format(config=str(CONFIG), image=IMAGE, token=self.token))
        python = {
            path: {"bind": path, "mode": "ro"} for path in {str(ROOT), sys.prefix, sys.base_prefix}
        }
        self.container = engine.containers.run(
            IMAGE,
            detach=True,
            user="0",
            entrypoint=[sys.executable, "-m", "jupyterhub"],
            command=["-f", str(config)],
            working_dir=str(data),
            network=network.name,
            hostname="hub",
            name=f"hub-of-{network.name}",
            networking_config={network.name: engine.api.create_endpoint_config(aliases=["hub"])},
            volumes={
                "/var/run/docker.sock": {"bind": "/var/run/docker.sock", "mode": "rw"},
                **python,
                **volumes,
            },
            environment={
                "GRADIENTHUB_DATA": str(data),
                "GRADIENTHUB_NETWORK": network.name,
                "USER_PASSWORD": secrets.token_hex(8),
                "PYTHONPATH": str(ROOT),
                "ADMIN_PASSWORD": secrets.token_hex(32),
                "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            },
        )
        self.container.reload()
        self.network = network.name

    @property
    def log(self):
        return self.container.logs().decode(errors="replace")

    async def call(self, method, path, body=None, status=(200, 201, 202, 204)):
        self.container.reload()
        address = self.container.attrs["NetworkSettings"]["Networks"][self.network]["IPAddress"]
        headers = {"Authorization": f"token {self.token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, f"http://{address}:8081/hub/api{path}", json=body) as answer,
        ):
            text = await answer.text()
            assert answer.status in status, (text, self.log[-2000:])
            return await answer.json() if text else None

    async def until(self, ask, what):
        deadline = time.monotonic() + 120
        while True:
            assert self.container.status in ("created", "running"), self.log[-3000:]
            try:
                if found := await ask():
                    return found
            except aiohttp.ClientError:
                pass
            assert time.monotonic() < deadline, (what, self.log[-3000:])
            await asyncio.sleep(0.5)


def skip_unless_it_runs(engine):
    try:
        engine.containers.run(
            IMAGE,
            user="0",
            remove=True,
            entrypoint=[sys.executable, "-c"],
            command=["import jupyterhub, docker, psutil"],
            volumes={p: {"bind": p, "mode": "ro"} for p in {sys.prefix, sys.base_prefix}},
        )
    except docker.errors.DockerException as fault:
        pytest.skip(f"this Python does not run in the tests' image: {fault}")


async def test_a_hub_in_compose_keeps_the_files_of_its_first_notebook(engine, network, tmp_path):
    skip_unless_it_runs(engine)
    data = {str(tmp_path): {"bind": str(tmp_path), "mode": "rw"}}
    hub = InContainer(engine, network, tmp_path, data)
    await hub.until(lambda: hub.call("GET", "/"), "the hub is up")
    await hub.call("POST", "/users/anna")
    options = {"instance_type": "free-cpu", "shutdown_after": "1h"}
    await hub.call("POST", "/users/anna/server", options)

    async def is_ready():
        server = (await hub.call("GET", "/users/anna"))["servers"].get("")
        return server and server["ready"]

    await hub.until(is_ready, "the notebook is ready")
    notebooks = engine.containers.list(filters={"label": "gradienthub.lease"})
    [made] = [n for n in notebooks if network.name in n.attrs["NetworkSettings"]["Networks"]]
    assert made.exec_run(["sh", "-c", "echo kept > /notebooks/thesis.txt"]).exit_code == 0
    [workspace] = (tmp_path / "storage" / "notebooks").iterdir()
    assert (workspace / "thesis.txt").read_text() == "kept\n"
    await hub.call("DELETE", "/users/anna/server")


async def test_a_start_that_would_lose_files_is_refused_in_words(engine, network, tmp_path):
    """The hub's folder is a volume, which the engine knows by another path."""
    skip_unless_it_runs(engine)
    inside = Path(f"/srv/{network.name}")
    volume = engine.volumes.create(network.name)
    data = tmp_path / "config"
    data.mkdir()
    mounts = {
        str(data): {"bind": str(data), "mode": "rw"},
        volume.name: {"bind": str(data / "storage"), "mode": "rw"},
    }
    try:
        hub = InContainer(engine, network, data, mounts)
        await hub.until(lambda: hub.call("GET", "/"), "the hub is up")
        await hub.call("POST", "/users/anna")
        options = {"instance_type": "free-cpu", "shutdown_after": "1h"}
        (data / "storage").rmdir()  # what the engine made to mount on, seen from its machine
        said = await hub.call("POST", "/users/anna/server", options, status=(502,))
        assert "nobody's files would be kept" in said["message"]
        assert "the engine does not see" in hub.log
        assert not inside.exists()
    finally:
        for container in engine.networks.get(network.id).containers:
            container.remove(force=True, v=True)
        volume.remove(force=True)
