"""What every engine promises, asked of each of them through a real hub.

The fake engine, processes of this machine, and real containers answer the same questions, so that
what the other tests see of the fake one is true of all. The server inside is a tiny one, so that
a start takes milliseconds.
"""

import asyncio
import json
import os
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import docker
import pytest
from home import Home, own_hosts
from jupyterhub.spawner import SimpleLocalProcessSpawner

from gradienthub.rules.idleness import Reason
from gradienthub.spawners.base import GradientSpawner
from gradienthub.spawners.docker import GradientDockerSpawner
from gradienthub.spawners.docker_engine import DockerEngine
from gradienthub.spawners.engine import CensusObject, EngineAway
from gradienthub.spawners.local import GradientLocalSpawner, LocalEngine
from gradienthub.testing import EngineIsAway

IMAGE = "gradienthub/demo:dev"
WORDS = "Segmentation fault, or so"
#: Stands in for jupyterhub-singleuser: answers, shows its environment, dies when it is told to.
SERVER = """
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlparse

class Notebook(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/die":
            print("Segmentation fault, or so", file=sys.stderr, flush=True)
            os._exit(3)
        if self.path == "/work":
            while time.process_time() < 2:
                pass
        if self.path == "/eat":
            self.eaten = [bytearray(os.urandom(1 << 20)) for _ in range(2000)]
        body, status = json.dumps(dict(os.environ)).encode(), 200
        if self.path.endswith("/api/status"):
            mine = "token " + os.environ["JUPYTERHUB_API_TOKEN"]
            status = 200 if self.headers["Authorization"] == mine else 403
            body = b'{"started": "", "kernels": 0}'
        self.send_response(status)
        self.send_header("X-JupyterHub-Version", "6")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

at = urlparse(os.environ["JUPYTERHUB_SERVICE_URL"])
open(os.path.join(os.getcwd(), "written"), "w").close()
ThreadingHTTPServer((at.hostname or "0.0.0.0", at.port), Notebook).serve_forever()
"""


class Subject:
    """One engine under a hub."""

    def __init__(self, home: Home) -> None:
        self.home = home

    @property
    def engine(self) -> Any:
        """The engine that the hub asks."""
        return self.home.context.engine

    @staticmethod
    def changes(c: Any) -> None:
        """What an operator writes to have this engine."""

    async def started(self, name: str = "anna", instance_type: str = "free-t4") -> dict[str, Any]:
        """Start somebody's notebook; its lease."""
        await self.home.person(name)
        said = await self.home.start_server(name, instance_type)
        assert said.status == 201, said
        await self.home.until(lambda: self.home.spawner(name).ready)
        lease = await self.home.lease_of(name)
        assert lease is not None
        return lease

    async def ask(self, name: str, path: str) -> Any:
        """A request to the server itself."""
        server = self.home.spawner(name).server
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{server.ip}:{server.port}{path}") as response,
        ):
            return await response.json(content_type=None)

    async def environment(self, name: str) -> dict[str, str]:
        """What the server sees."""
        seen: dict[str, str] = await self.ask(name, "/env")
        return seen

    async def crash(self, name: str) -> None:
        """It dies by itself, with exit code 3 and its last words."""
        with pytest.raises(aiohttp.ClientError):
            await self.ask(name, "/die")

    async def found(self, lease_id: str, what: Any) -> CensusObject | None:
        """What a look at the lease says, once `what` holds of it."""
        seen: list[CensusObject | None] = [None]

        async def so() -> bool:
            self.forget()
            seen[0] = await self.engine.look(lease_id)
            return bool(what(seen[0]))

        await self.home.until(so, "what the engine was to say")
        return seen[0]

    async def work(self, name: str) -> None:
        """It uses two seconds of CPU time in all."""
        await self.ask(name, "/work")

    def forget(self) -> None:
        """A listing that answers many polls is not waited for."""

    async def take_away(self) -> None:
        """The engine does not answer any more. Processes of this machine cannot be away."""
        raise NotImplementedError

    async def clean(self) -> None:
        """Nothing is left after the test."""


class Fake(Subject):
    """The engine of gradienthub.testing."""

    async def environment(self, name: str) -> dict[str, str]:
        """What its server would see."""
        (found,) = self.engine.of_user(name)
        return {**found.env, "NVIDIA_VISIBLE_DEVICES": ",".join(found.lease.devices) or "void"}

    async def work(self, name: str) -> None:
        """What a test gives it."""
        (found,) = self.engine.of_user(name)
        found.cpu_seconds = 2.5

    async def crash(self, name: str) -> None:
        """It dies by itself."""
        (found,) = self.engine.of_user(name)
        await self.engine.crash(found, 3, f"{WORDS}\n")

    async def take_away(self) -> None:
        """The named fault."""
        self.engine.suffer(EngineIsAway())


class Local(Subject):
    """Processes of this machine."""

    @staticmethod
    def changes(c: Any) -> None:
        """As the documentation has it, with the tiny server."""
        c.JupyterHub.spawner_class = GradientLocalSpawner
        c.Spawner.cmd = [sys.executable, "-c", SERVER]

    async def clean(self) -> None:
        """No process is left."""
        for found in await self.engine.census():
            await self.engine.bury(found)


class Docker(Subject):
    """Real containers."""

    @staticmethod
    def changes(c: Any) -> None:
        """As the documentation has it, with the tiny server."""
        c.JupyterHub.spawner_class = GradientDockerSpawner
        # Other hubs have notebooks on this engine, and what these have is not free.
        c.GradientHub.hosts = own_hosts()
        c.GradientHub.runtimes = {
            "python": {"title": "Python 3", "image": IMAGE},
            "torch": {"title": "PyTorch", "image": "127.0.0.1:1/absent:1"},
        }
        c.Spawner.cmd = ["python3", "-c", SERVER]
        c.DockerSpawner.extra_create_kwargs = {"labels": {"room": "4", "gradienthub.hub": "x"}}

    def forget(self) -> None:
        """The next look asks the engine."""
        self.engine.forget_listing()

    async def take_away(self) -> None:
        """Another address, where no engine listens; this one's connections are closed."""
        await self.engine.close()
        self.home.context.engine = DockerEngine(
            self.home.settings.hub_id, {"base_url": "unix:///nowhere.sock", "timeout": 2}
        )

    def inspect(self, lease_id: str) -> dict[str, Any]:
        """What Docker says of the container."""
        client = docker.from_env()
        try:
            row: dict[str, Any] = client.api.inspect_container(f"gradient-{lease_id}")
            return row
        finally:
            client.close()

    async def clean(self) -> None:
        """No container of this hub is left."""
        client = docker.from_env()
        label = f"gradienthub.hub={self.home.settings.hub_id}"
        for container in client.containers.list(all=True, filters={"label": label}):
            await asyncio.to_thread(container.remove, force=True, v=True)
        client.close()


def docker_answers() -> bool:
    """Whether an engine answers and has the image."""
    try:
        client = docker.from_env()
    except docker.errors.DockerException:
        return False
    try:
        client.images.get(IMAGE)
    except (docker.errors.DockerException, OSError):
        return False
    finally:
        client.close()
    return True


ENGINES = [
    Fake,
    pytest.param(Local, marks=pytest.mark.local_engine),
    pytest.param(Docker, marks=pytest.mark.docker),
]


def with_command(kind: type[Subject], *command: str) -> Any:
    """The operator's lines for an engine, with another command for its servers."""

    def changes(c: Any) -> None:
        kind.changes(c)
        c.Spawner.cmd = list(command)

    return changes


async def under_test(kind: type[Subject], hub: Any, changes: Any = None) -> AsyncIterator[Any]:
    """One engine under a hub, which leaves nothing behind."""
    if kind is Docker and not docker_answers():
        pytest.skip(f"no container engine answers with the image {IMAGE}; tests/image/build.sh")
    subject = kind(await hub(changes or kind.changes))
    yield subject
    await subject.clean()


@pytest.fixture(params=ENGINES, ids=["fake", "local", "docker"])
async def subject(request: pytest.FixtureRequest, hub: Any) -> AsyncIterator[Subject]:
    """Each engine in turn."""
    async for one in under_test(request.param, hub):
        yield one


@pytest.fixture
async def local(hub: Any) -> AsyncIterator[Local]:
    """Processes of this machine."""
    async for one in under_test(Local, hub):
        yield one


@pytest.fixture
async def containers(request: pytest.FixtureRequest, hub: Any) -> AsyncIterator[Docker]:
    """Real containers, with the command that a test may name instead of the tiny server."""
    command = getattr(request, "param", None)
    changes = with_command(Docker, *command) if command else None
    async for one in under_test(Docker, hub, changes):
        yield one


# -- every engine -------------------------------------------------------------------------------


async def test_the_census_shows_what_runs_by_its_lease(subject):
    lease = await subject.started()
    await subject.started("berta", "free-cpu")
    census = await subject.engine.census()
    assert len(census) == 2
    found = next(seen for seen in census if seen.lease_id == lease["id"])
    assert found.alive
    assert found.name == lease["object_name"] == f"gradient-{lease['id']}"
    assert await subject.home.spawner("anna").poll() is None


async def test_a_look_says_gone_only_of_what_is_gone(subject):
    lease = await subject.started()
    assert (await subject.engine.look(lease["id"])).alive
    assert await subject.engine.look("somebody-else") is None
    assert (await subject.home.api("DELETE", "/users/anna/server")).status == 204
    assert await subject.engine.look(lease["id"]) is None
    assert await subject.engine.census() == []
    await subject.home.until(lambda: not subject.home.app.users["anna"].spawner.active)
    assert await subject.home.devices_held() == {}


@pytest.mark.parametrize("subject", [ENGINES[0], ENGINES[2]], ids=["fake", "docker"], indirect=True)
async def test_an_engine_that_is_away_says_so_and_never_gone(subject):
    lease = await subject.started()
    await subject.take_away()
    with pytest.raises(EngineAway):
        await subject.engine.census()
    with pytest.raises(EngineAway):
        await subject.engine.look(lease["id"])
    assert await subject.home.spawner("anna").poll() is None
    assert list((await subject.home.devices_held()).values()) == [lease["id"]]
    said = await subject.home.start_server("anna", server="other")
    assert said.status in (409, 503), said


async def test_what_died_is_seen_dead_with_its_exit_code_and_buried_with_its_last_words(subject):
    lease = await subject.started()
    await subject.crash("anna")
    found = await subject.found(lease["id"], lambda seen: seen is not None and not seen.alive)
    assert found.exit_code == 3
    corpse = await subject.engine.bury(found)
    assert (corpse.exit_code, corpse.out_of_memory) == (3, False)
    assert corpse.last_words.rstrip().endswith(WORDS)
    assert await subject.engine.look(lease["id"]) is None


async def test_a_crash_ends_the_lease_with_exit_code_and_last_words(subject):
    lease = await subject.started()
    await subject.crash("anna")
    await subject.found(lease["id"], lambda seen: seen is None or not seen.alive)
    assert await subject.home.spawner("anna").poll_and_notify() == 3
    lease = await subject.home.lease_of("anna")
    assert (lease["reason"], lease["exit_code"]) == ("crashed", 3)
    assert lease["last_words"].rstrip().endswith(WORDS)
    assert await subject.home.devices_held() == {}
    assert await subject.engine.census() == []


async def test_burying_twice_is_safe_also_at_once(subject):
    lease = await subject.started()
    found = await subject.engine.look(lease["id"])
    first, second = await asyncio.gather(subject.engine.bury(found), subject.engine.bury(found))
    assert (await subject.engine.bury(found)).last_words is not None
    assert first is not None
    assert second is not None
    assert await subject.engine.look(lease["id"]) is None


async def test_a_server_sees_its_own_devices_and_no_others(subject):
    anna, berta = await subject.started("anna"), await subject.started("berta")
    await subject.started("carla", "free-cpu")
    seen = {
        name: (await subject.environment(name))["NVIDIA_VISIBLE_DEVICES"]
        for name in ("anna", "berta", "carla")
    }
    assert seen == {"anna": anna["devices"][0], "berta": berta["devices"][0], "carla": "void"}
    assert anna["devices"] != berta["devices"]


async def test_a_second_start_is_a_new_object_never_the_old_one_resumed(subject):
    first = await subject.started()
    before = await subject.engine.look(first["id"])
    await subject.home.api("DELETE", "/users/anna/server")
    subject.home.clock.advance(minutes=1)
    second = await subject.started()
    after = await subject.engine.look(second["id"])
    assert second["notebook_id"] == first["notebook_id"]
    assert before.object_id != after.object_id
    assert [seen.lease_id for seen in await subject.engine.census()] == [second["id"]]


@pytest.mark.parametrize("how", ["kill_and_start", "restart"])
async def test_a_restarted_hub_takes_on_what_runs(subject, how):
    lease = await subject.started()
    before = await subject.engine.look(lease["id"])
    await getattr(subject.home, how)()
    await subject.home.settled()
    assert subject.home.spawner("anna").ready
    assert (await subject.engine.look(lease["id"])).object_id == before.object_id
    assert (await subject.home.lease_of("anna"))["ended_at"] is None
    assert (await subject.home.api("DELETE", "/users/anna/server")).status == 204
    assert await subject.engine.census() == []
    assert await subject.home.devices_held() == {}


async def test_what_runs_for_nobody_goes_on_until_a_stop_of_it_is_asked_for(subject):
    lease = await subject.started()
    await subject.home.kill()
    (subject.home.folder / "jupyterhub.sqlite").unlink()
    await subject.home.start()
    await subject.home.until(lambda: subject.home.context.settled)
    subject.forget()
    assert (await subject.engine.look(lease["id"])).alive
    assert list((await subject.home.devices_held()).values()) == [lease["id"]]
    await subject.home.context.stop_asked(lease["id"], Reason.ADMIN, "ada")
    await subject.home.settled()
    assert await subject.engine.census() == []
    assert await subject.home.devices_held() == {}
    assert await subject.home.open_leases() == []
    assert (await subject.engine.look(lease["id"])) is None


async def test_the_cpu_time_of_a_notebook_grows_when_it_works_and_is_told_with_its_moment(subject):
    lease = await subject.started()
    found = await subject.engine.look(lease["id"])
    before = await subject.engine.cpu_seconds(found) or 0.0
    assert before < 2
    await subject.work("anna")
    after = await subject.engine.cpu_seconds(found)
    assert 1.9 <= after < before + 4
    # The list of servers never waits for the engine: it tells what was read last.
    rows: list[Any] = []

    async def told() -> bool:
        said = await subject.home.api("GET", "/gradient/servers")
        rows[:] = [row for row in said.body["census"] if row["lease_id"] == lease["id"]]
        return (rows[0]["cpu_seconds"] or 0) > 1.9

    await subject.home.until(told, "a reading")
    assert rows[0]["cpu_at"]


async def test_the_engine_says_how_many_cores_starts_share(subject):
    cores = await subject.engine.cores()
    assert cores is None or cores >= 1


# -- processes of this machine ------------------------------------------------------------------


@pytest.mark.local_engine
async def test_a_process_works_in_the_notebooks_own_folder(local):
    lease = await local.started()
    seen = await local.environment("anna")
    root = local.home.settings.storage_root
    workspace = root / "notebooks" / lease["notebook_id"]
    assert seen["HOME"] == str(workspace)
    assert seen["GRADIENT_STORAGE"] == str(root / "accounts" / lease["account_id"])
    for folder in (workspace, Path(seen["GRADIENT_STORAGE"])):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.local_engine
async def test_a_process_without_a_device_is_told_of_none_whatever_the_configuration_says(hub):
    def changes(c):
        Local.changes(c)
        c.Spawner.environment = {
            "CUDA_VISIBLE_DEVICES": "0",
            "HIP_VISIBLE_DEVICES": "0",
            "HABANA_VISIBLE_DEVICES": "all",
            "GREETING": "hello",
        }

    local = Local(await hub(changes))
    await local.started("anna", "free-cpu")
    seen = await local.environment("anna")
    assert seen["GREETING"] == "hello"
    told = {name: value for name, value in seen.items() if name.endswith("_VISIBLE_DEVICES")}
    assert told == {
        "CUDA_VISIBLE_DEVICES": "",
        "NVIDIA_VISIBLE_DEVICES": "void",
        "ROCR_VISIBLE_DEVICES": "",
    }
    await local.clean()


@pytest.mark.local_engine
async def test_what_a_dead_server_left_running_is_ended_with_it(local):
    lease = await local.started()
    server = local.engine.children[lease["id"]]
    kernel = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import time; time.sleep(600)",
        env={
            **os.environ,
            "GRADIENTHUB_LEASE": lease["id"],
            "GRADIENTHUB_HUB": local.home.settings.hub_id,
        },
    )
    await local.crash("anna")
    await asyncio.to_thread(server.wait, 10)
    found = await local.engine.look(lease["id"])
    assert not found.alive
    await local.engine.bury(found)
    assert await asyncio.wait_for(kernel.wait(), 60) != 0


@pytest.mark.local_engine
async def test_a_process_that_will_not_hear_is_killed(hub, monkeypatch):
    monkeypatch.setattr("gradienthub.spawners.local.TERM_SECONDS", 0.3)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVER
    local = Local(await hub(with_command(Local, sys.executable, "-c", deaf)))
    lease = await local.started()
    assert (await local.home.api("DELETE", "/users/anna/server")).status == 204
    ended = await local.home.lease_of("anna")
    assert (ended["id"], ended["exit_code"]) == (lease["id"], -9)


@pytest.mark.local_engine
async def test_another_hubs_processes_are_not_seen(local):
    lease = await local.started()
    other = LocalEngine("another-hub", local.engine.log_dir)
    assert lease["id"] not in [seen.lease_id for seen in await other.census()]


# -- real containers ----------------------------------------------------------------------------


@pytest.mark.docker
async def test_a_container_has_its_limits_labels_and_init_and_is_not_removed_by_itself(containers):
    lease = await containers.started("anna")
    row = containers.inspect(lease["id"])
    host, labels = row["HostConfig"], row["Config"]["Labels"]
    assert host["Memory"] == 2 * 10**9
    assert (host["NanoCpus"] or 10**9 * host["CpuQuota"] // host["CpuPeriod"]) == 10**9
    assert host["Init"] is True
    assert host["AutoRemove"] is False
    assert labels["gradienthub.hub"] == containers.home.settings.hub_id
    assert labels["gradienthub.lease"] == lease["id"]
    assert labels["gradienthub.notebook"] == lease["notebook_id"]
    assert json.loads(labels["gradienthub.devices"]) == lease["devices"]
    # The administrator's own labels stay, but none of them stands in for ours.
    assert labels["room"] == "4"


@pytest.mark.docker
async def test_devices_are_asked_of_the_engine_by_uuid(containers):
    lease = await containers.started("anna")
    (asked,) = containers.inspect(lease["id"])["HostConfig"]["DeviceRequests"]
    assert asked["DeviceIDs"] == lease["devices"]
    assert asked["Capabilities"] == [["gpu"]]
    without = await containers.started("berta", "free-cpu")
    assert not containers.inspect(without["id"])["HostConfig"]["DeviceRequests"]


@pytest.mark.docker
async def test_a_container_gets_the_notebooks_own_folders_and_may_write_there(containers):
    lease = await containers.started("anna")
    root = containers.home.settings.storage_root
    workspace = root / "notebooks" / lease["notebook_id"]
    storage = root / "accounts" / lease["account_id"]
    mounts = {m["Destination"]: m["Source"] for m in containers.inspect(lease["id"])["Mounts"]}
    assert mounts == {"/notebooks": str(workspace), "/storage": str(storage)}
    for folder in (workspace, storage):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        if os.geteuid() == 0:
            assert (folder.stat().st_uid, folder.stat().st_gid) == (1000, 1000)
    assert (workspace / "written").exists()
    assert containers.inspect(lease["id"])["Config"]["WorkingDir"] == "/notebooks"


@pytest.mark.docker
async def test_a_container_that_eats_its_memory_is_ended_as_such(containers):
    lease = await containers.started("anna", "free-cpu")
    with pytest.raises(aiohttp.ClientError):
        await containers.ask("anna", "/eat")
    await containers.found(lease["id"], lambda seen: seen is None or not seen.alive)
    await containers.home.spawner("anna").poll_and_notify()
    row = await containers.home.lease_of("anna")
    assert (row["reason"], row["exit_code"], row["out_of_memory"]) == ("crashed", 137, True)


@pytest.mark.docker
async def test_a_container_that_somebody_renamed_is_still_its_leases(containers):
    lease = await containers.started()
    client = docker.from_env()
    try:
        await asyncio.to_thread(client.api.rename, f"gradient-{lease['id']}", f"x-{lease['id']}")
        containers.forget()
        assert await containers.home.spawner("anna").poll() is None
        assert (await containers.home.api("DELETE", "/users/anna/server")).status == 204
        containers.forget()
        assert await containers.engine.census() == []
        assert (await containers.home.lease_of("anna"))["ended_at"] is not None
    finally:
        client.close()


@pytest.mark.docker
async def test_a_container_that_somebody_removed_by_hand_ends_its_lease(containers):
    lease = await containers.started()
    client = docker.from_env()
    await asyncio.to_thread(
        client.api.remove_container, f"gradient-{lease['id']}", force=True, v=True
    )
    client.close()
    containers.forget()
    assert await containers.home.spawner("anna").poll_and_notify() == 0
    assert (await containers.home.lease_of("anna"))["reason"] == "crashed"
    assert await containers.home.devices_held() == {}


@pytest.mark.docker
@pytest.mark.parametrize(
    "containers",
    [["python3", "-c", "raise SystemExit('no notebook here')"]],
    indirect=True,
    ids=["dies"],
)
async def test_a_container_that_dies_at_its_start_is_refused_with_its_last_words(containers):
    await containers.home.person("anna")
    said = await containers.home.start_server("anna")
    assert (said.status, said.body["code"]) == (502, "start_failed")
    assert "died" in said.message
    row = await containers.home.lease_of("anna")
    assert (row["reason"], row["exit_code"]) == ("start_failed", 1)
    assert "no notebook here" in row["last_words"]
    assert await containers.engine.census() == []
    assert await containers.home.devices_held() == {}


@pytest.mark.docker
async def test_an_image_that_is_not_to_be_had_is_refused_by_name_and_nothing_is_left(containers):
    await containers.home.person("anna", "pro")
    said = await containers.home.start_server("anna", runtime="torch")
    assert (said.status, said.body["code"]) == (502, "start_failed")
    assert "127.0.0.1:1/absent:1" in said.message
    assert await containers.engine.census() == []
    assert await containers.home.devices_held() == {}


# -- any other spawner --------------------------------------------------------------------------


class PlainSpawner(GradientSpawner, SimpleLocalProcessSpawner):
    """What an operator writes for a spawner that we know no census of."""

    async def apply_lease(self, lease: Any) -> None:
        """What the lease means for it."""
        self.mem_limit, self.cpu_limit = int(lease.memory * 1e9), lease.cpus


@pytest.mark.local_engine
async def test_a_spawner_without_a_census_starts_stops_and_crashes_by_its_own_word(hub):
    def changes(c):
        c.JupyterHub.spawner_class = PlainSpawner
        c.Spawner.cmd = [sys.executable, "-c", SERVER]
        # A shell's background jobs ignore SIGINT, and so do these where the tests are one.
        c.Spawner.interrupt_timeout = 1

    subject = Subject(await hub(changes))
    lease = await subject.started()
    assert await subject.engine.census() is None
    assert await subject.home.spawner("anna").poll() is None
    token = await subject.home.person("anna")
    assert (await subject.home.api("DELETE", "/users/anna/server", token=token)).status == 204
    assert (await subject.home.lease_of("anna"))["reason"] == "user"
    assert await subject.home.devices_held() == {}
    subject.home.clock.advance(minutes=1)
    again = await subject.started()
    assert again["id"] != lease["id"]
    process = subject.home.spawner("anna").proc
    await subject.crash("anna")
    await asyncio.to_thread(process.wait, 10)
    assert await subject.home.spawner("anna").poll_and_notify() == 3
    assert (await subject.home.lease_of("anna"))["reason"] == "crashed"
    assert await subject.home.devices_held() == {}
