"""What the hub's loop and its starts wait for at a Docker engine; no engine is needed."""

import asyncio
import threading
from types import SimpleNamespace

import docker
import pytest

from gradienthub.rules.folders_seen import FolderTrial, Outcome
from gradienthub.spawners import docker_engine
from gradienthub.spawners.docker import GradientDockerSpawner
from gradienthub.spawners.docker_engine import DockerEngine
from gradienthub.spawners.labels import HUB_LABEL, LEASE_LABEL


class Client:
    """Stands for docker-py's client, and knows in which thread it was made."""

    volumes = {"dated": {"CreatedAt": "2026-11-20T10:00:00Z"}, "undated": {"Name": "undated"}}

    def __init__(self, base_url, **_options):
        self.base_url, self.thread = base_url, threading.current_thread().name

    def info(self):
        return {"NCPU": 4}

    def inspect_volume(self, name):
        return self.volumes[name]

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


async def test_a_start_does_not_wait_for_the_trial_of_another_image(engine, monkeypatch, tmp_path):
    """The shell of a hostile image may sleep until the trial is given up."""
    tried, goes_on = [], threading.Event()

    def try_folder(_client, root, *, image, owner, user):
        tried.append(image)
        if image == "hostile":
            goes_on.wait(120)
        return FolderTrial(Outcome.KEPT, str(root), image, owner, str(user))

    monkeypatch.setattr(docker_engine, "try_folder", try_folder)
    hostile = [
        asyncio.ensure_future(engine.try_folder(tmp_path, "hostile", 1000, None)) for _ in range(6)
    ]
    try:
        other = engine.try_folder(tmp_path, "python", 1000, None)
        assert (await asyncio.wait_for(other, 30)).image == "python"
    finally:
        goes_on.set()
    assert {trial.image for trial in await asyncio.gather(*hostile)} == {"hostile"}
    assert sorted(tried) == ["hostile", "python"]


async def test_a_volume_whose_driver_tells_no_date_has_no_known_age(engine):
    assert await engine.volume_age("dated") is not None
    assert await engine.volume_age("undated") is None


@pytest.mark.parametrize("ours", [True, False], ids=["made-by-us", "made-otherwise"])
async def test_gone_is_said_only_by_a_listing_that_began_after_the_question(
    engine, monkeypatch, ours
):
    """A listing on its way may be older than the container that somebody asks for."""
    rows, begun, goes_on = [], threading.Event(), threading.Event()

    def containers(_client, **_filters):
        seen = list(rows)
        begun.set()
        assert goes_on.wait(60)
        return seen

    monkeypatch.setattr(Client, "containers", containers, raising=False)
    poll = asyncio.ensure_future(engine.census())
    await asyncio.to_thread(begun.wait, 60)
    labels = {HUB_LABEL: "hub", LEASE_LABEL: "l"}
    rows.append({"Id": "c", "Names": ["/gradient-l"], "State": "running", "Labels": labels})
    if ours:
        engine.forget_listing()
    look = asyncio.ensure_future(engine.look("l"))
    await asyncio.sleep(0)
    goes_on.set()
    assert await poll == []
    assert (await look).object_id == "c"
    # Nor is what was on its way taken for fresh by those who ask next.
    assert [seen.object_id for seen in await engine.census()] == ["c"]
