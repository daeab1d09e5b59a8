"""From a hub of another spawner to the first notebook with the old files, on real processes."""

import asyncio
import contextlib
import os
import pwd
import uuid
from pathlib import Path

import docker
import pytest
from hub_process import HubProcess

from gradienthub.cli.init import USUAL_BRIDGE, _bridge
from gradienthub.ledger import Ledger, audit, fleet, outside
from gradienthub.ledger import findings as ledger_findings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class OldHub(HubProcess):
    """A hub of another spawner, which is adopted when it starts again."""

    config = Path(__file__).parent.parent / "adopting_config.py"

    def __init__(self, folder, spawner, **traits):
        super().__init__(folder, spawner=f"{spawner}/old", **traits)
        self.kind = spawner

    async def adopt(self):
        """End the old hub as an administrator does, and start it with one more line."""
        await self.end()
        self._hub["spawner"] = f"{self.kind}/adopt"
        await self.start()
        await self.until(self.settled, "it has looked around")

    async def end(self):
        self._process.terminate()
        await asyncio.to_thread(self._process.wait, 60)

    async def settled(self):
        return (await self.api("GET", "/gradient/servers"))["settled"]

    async def start_server(self, name, **options):
        body = {"instance_type": "free-cpu", "shutdown_after": "1h"} | options if options else None
        await self.api("POST", f"/users/{name}/server", body)
        return await self.until(lambda: self.server_of(name), f"{name}'s server is ready")

    async def server_of(self, name):
        server = (await self.api("GET", f"/users/{name}"))["servers"].get("")
        return server if server and server["ready"] else None

    async def is_stopped(self, name):
        return "" not in (await self.api("GET", f"/users/{name}"))["servers"]

    @contextlib.contextmanager
    def ledger(self):
        ledger = Ledger(f"sqlite:///{self.folder / 'data' / 'gradienthub.sqlite'}")
        try:
            yield ledger
        finally:
            ledger.close()

    @property
    def own_id(self):
        return (self.folder / "data" / "hub_id").read_text().strip()

    def read(self, call, **kwargs):
        with self.ledger() as ledger:
            return ledger.read(call, hub_id=self.own_id, **kwargs)

    def holders(self):
        with self.ledger() as ledger:
            rows = ledger.read(fleet.list_devices, self.own_id)
        return {row["uuid"]: row["holder_kind"] for row in rows}


@pytest.fixture
def engine():
    """The engine, with what this test made taken away at the end."""
    try:
        client = docker.from_env()
        client.images.get("gradienthub/demo:dev")
    except docker.errors.DockerException as away:
        pytest.skip(f"no engine with the tests' image: {away}")
    yield client
    client.close()


@pytest.fixture
async def old_docker(tmp_path, engine):
    word = uuid.uuid4().hex[:8]
    prefix = f"gh-test-{word}"
    hub = OldHub(tmp_path, "docker", prefix=prefix, word=word, hub_ip=_bridge() or USUAL_BRIDGE)
    await hub.start()
    yield hub
    await hub.close()
    for made in engine.containers.list(all=True):
        ours = made.labels.get("gradienthub.hub") == _own_id(hub)
        if ours or made.name.startswith(prefix):
            made.remove(force=True, v=True)
    for volume in engine.volumes.list():
        if volume.name.startswith(prefix):
            volume.remove(force=True)


def _own_id(hub):
    try:
        return hub.own_id
    except OSError:
        return "never adopted"


def container_of(engine, hub, name):
    """The container of ours of this person's notebook."""
    for made in engine.containers.list(filters={"label": f"gradienthub.hub={hub.own_id}"}):
        if f"JUPYTERHUB_USER={name}" in made.attrs["Config"]["Env"]:
            return made
    raise AssertionError(f"{name} has no container")


@pytest.mark.docker
async def test_a_hub_of_dockerspawner_is_adopted_with_one_line(old_docker, engine):
    hub = old_docker
    prefix = hub.traits["prefix"]
    first, second = (f"GPU-{hub.traits['word']}-t4-{n}" for n in range(2))
    for name in ("anna", "bob", "carl"):
        await hub.api("POST", f"/users/{name}")
    await hub.start_server("anna")
    old = engine.containers.get(f"{prefix}-anna")
    write = "mkdir -p /home/gradient/work && echo my thesis > /home/gradient/work/thesis.txt"
    assert old.exec_run(["sh", "-c", write], user="root").exit_code == 0
    await hub.adopt()

    # What runs goes on, and is counted with its device.
    assert await hub.server_of("anna")
    old.reload()
    assert old.status == "running"
    servers = (await hub.api("GET", "/gradient/servers"))["servers"]
    assert [(s["user"], s["lease_id"], s["ready"]) for s in servers] == [("anna", None, True)]
    assert hub.holders()[first] == "outside"
    with hub.ledger() as ledger:
        [row] = ledger.read(outside.list_outside, hub.own_id)
        [finding] = ledger.read(ledger_findings.list_findings, hub.own_id)
    assert (row["name"], row["user_name"], row["devices"]) == (old.name, "anna", [first])
    assert row["memory"] == pytest.approx(0.537, abs=0.001)
    assert finding["why"].startswith(f"anna's notebook ({old.name}) runs outside of GradientHub")

    # Its device is nobody else's.
    await hub.start_server("bob", instance_type="free-t4")
    assert hub.holders()[second] == "lease"
    with pytest.raises(AssertionError, match="All 2 Free T4 are in use"):
        await hub.start_server("carl", instance_type="free-t4")

    # Its owner stops it: nothing is removed, and its device is free.
    await hub.api("DELETE", "/users/anna/server")
    await hub.until(lambda: hub.is_stopped("anna"), "it is stopped")
    old.reload()
    assert old.status == "exited"

    async def is_free():
        return hub.holders()[first] is None

    await hub.until(is_free, "its device is free")
    await hub.start_server("carl", instance_type="free-t4")

    # The first notebook shows the old files, in the old image.
    await hub.start_server("anna", instance_type="free-cpu")
    made = container_of(engine, hub, "anna")
    assert made.attrs["Config"]["Image"] == "gradienthub/demo:dev"
    assert made.attrs["HostConfig"]["Memory"] == 10**9
    said = made.exec_run(["cat", "/notebooks/work/thesis.txt"])
    assert said.output == b"my thesis\n"
    [bound] = hub.read(audit.list_rows, action="volume_bound")
    assert (bound["detail"]["volume"], bound["account_name"]) == (f"{prefix}-user-anna", "anna")
    # Who never had a volume gets none.
    names = [volume.name for volume in engine.volumes.list() if volume.name.startswith(prefix)]
    assert names == [f"{prefix}-user-anna"]


@pytest.mark.docker
async def test_somebody_new_of_an_old_name_does_not_see_the_old_files(old_docker, engine):
    hub = old_docker
    prefix = hub.traits["prefix"]
    engine.volumes.create(f"{prefix}-user-eve")
    await asyncio.sleep(3)  # an engine tells whole seconds
    await hub.api("POST", "/users/eve")
    await hub.adopt()
    await hub.start_server("eve", instance_type="free-cpu")
    made = container_of(engine, hub, "eve")
    assert made.exec_run(["ls", "-A", "/notebooks"]).output == b""
    [row] = hub.read(audit.list_rows, action="volume_refused")
    assert "it may be a former user's" in row["detail"]["why"]
    assert f"gradienthub adopt --bind {prefix}-user-eve=eve" in (hub.folder / "log").read_text()


@pytest.mark.local_engine
async def test_a_hub_of_system_users_keeps_their_homes_with_the_class_that_is_printed(tmp_path):
    me = pwd.getpwuid(os.geteuid()).pw_name
    home = tmp_path / f"home-of-{me}"
    home.mkdir()
    (home / "thesis.txt").write_text("my thesis")
    hub = OldHub(tmp_path, "localprocess")
    await hub.start()
    try:
        await hub.api("POST", f"/users/{me}")
        await hub.start_server(me)
        await hub.adopt()
        assert await hub.server_of(me)
        await hub.api("DELETE", f"/users/{me}/server")
        await hub.until(lambda: hub.is_stopped(me), "it is stopped")
        await hub.start_server(me, instance_type="free-t4")
        assert "lease" in hub.holders().values()
        [server] = (await hub.api("GET", "/gradient/servers"))["servers"]
        assert server["lease_id"]
        contents = f"{server['url']}api/contents/thesis.txt?token={server['token']}"
        assert (await hub.call("GET", contents))["content"] == "my thesis"
        await hub.api("DELETE", f"/users/{me}/server")
        await hub.until(lambda: hub.is_stopped(me), "it is stopped")
        assert not any(hub.holders().values())
    finally:
        await hub.close()


@pytest.mark.local_engine
async def test_a_hub_of_local_processes_is_adopted_with_its_old_homes(tmp_path):
    hub = OldHub(tmp_path, "simple")
    (tmp_path / "homes").mkdir()
    await hub.start()
    try:
        await hub.api("POST", "/users/anna")
        await hub.start_server("anna")
        (tmp_path / "homes" / "anna" / "thesis.txt").write_text("my thesis")
        await hub.adopt()
        # It runs on, outside of what is rented, until its owner stops it.
        assert await hub.server_of("anna")
        with hub.ledger() as ledger:
            [row] = ledger.read(outside.list_outside, hub.own_id)
        assert row["user_name"] == "anna"
        await hub.api("DELETE", "/users/anna/server")
        await hub.until(lambda: hub.is_stopped("anna"), "it is stopped")
        await hub.start_server("anna", instance_type="free-cpu")
        [workspace] = (tmp_path / "data" / "storage" / "notebooks").iterdir()
        assert (workspace / "old-files" / "thesis.txt").read_text() == "my thesis"
        server = next(s for s in (await hub.api("GET", "/gradient/servers"))["servers"])
        contents = f"{server['url']}api/contents/old-files/thesis.txt?token={server['token']}"
        assert (await hub.call("GET", contents))["content"] == "my thesis"
        await hub.api("DELETE", "/users/anna/server")
    finally:
        await hub.close()
