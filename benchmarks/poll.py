"""How long another user's poll takes while a stop takes ten seconds.

The stopping container ignores SIGTERM, so that the engine waits its ten seconds. With DockerSpawner
every call of every user waits behind that. Measured on the spawners themselves, in one process.
"""

import asyncio
import tempfile
import time
from types import SimpleNamespace

import docker
from dockerspawner import DockerSpawner
from harness import IMAGE, show

from gradienthub.spawners.docker_engine import DockerEngine
from gradienthub.spawners.labels import HUB_LABEL, LEASE_LABEL

DEAF = ["python3", "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"]


def container(client: docker.DockerClient, name: str) -> str:
    """A running container that does not hear SIGTERM, labelled as ours."""
    made = client.containers.run(
        IMAGE,
        DEAF,
        detach=True,
        entrypoint="",
        name=f"bench-{name}",
        labels={HUB_LABEL: "bench", LEASE_LABEL: name},
    )
    return str(made.id)


async def theirs(stopping: str, other: str) -> float:
    spawner = DockerSpawner(user=SimpleNamespace(name="bench", url="/"), hub=SimpleNamespace())
    stop = asyncio.ensure_future(spawner.docker("stop", stopping))
    await asyncio.sleep(0.2)
    began = time.monotonic()
    await spawner.docker("inspect_container", other)
    taken = time.monotonic() - began
    await stop
    return taken


async def ours(stopping: str) -> float:
    engine = DockerEngine("bench", {"timeout": 60})
    found = await engine.look(stopping)
    assert found is not None
    stop = asyncio.ensure_future(engine.bury(found))
    await asyncio.sleep(1.2)  # the listing is too old by now: this poll really asks the engine
    began = time.monotonic()
    await engine.look("other-ours")
    taken = time.monotonic() - began
    await stop
    await engine.close()
    return taken


async def main() -> None:
    client = docker.from_env()
    names = ("other-ours", "deaf-ours", "other-theirs", "deaf-theirs")
    ids = {name: container(client, name) for name in names}
    try:
        with tempfile.TemporaryDirectory():
            mine = await ours("deaf-ours")
            other = await theirs(ids["deaf-theirs"], ids["other-theirs"])
        show("another user's poll while a stop takes 10 s", mine, other)
    finally:
        for found in client.containers.list(all=True, filters={"name": "bench-"}):
            found.remove(force=True)


asyncio.run(main())
