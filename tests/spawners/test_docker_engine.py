"""What the hub's loop and its starts wait for at a Docker engine; no engine is needed."""

import threading
from types import SimpleNamespace

import docker
import pytest

from gradienthub.spawners.docker import DockerEngine, GradientDockerSpawner


class Client:
    """Stands for docker-py's client, and knows in which thread it was made."""

    def __init__(self, base_url, **_options):
        self.base_url, self.thread = base_url, threading.current_thread().name

    def info(self):
        return {"NCPU": 4}

    def close(self):
        pass


@pytest.fixture
async def engine(monkeypatch):
    monkeypatch.setattr(docker, "APIClient", Client)
    made = DockerEngine("hub", {"base_url": "tcp://elsewhere:2376"})
    yield made
    await made.close()


async def test_a_spawner_makes_no_client_on_the_hubs_loop_and_has_the_engines_own(engine):
    """To make one asks the engine for its version, and an engine that hangs would hang the hub."""
    assert await engine.cores() == 4
    client = GradientDockerSpawner.client.fget(SimpleNamespace(engine=engine))
    assert client.thread.startswith("docker-look")
    assert client.base_url == "tcp://elsewhere:2376"
