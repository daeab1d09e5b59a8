"""Warm servers on real containers: claimed, equal to cold ones, in nobody's way, and nobody's door.

The server inside is a tiny one that shows what it sees, so that a fill takes half a second. The
engine, the mounts, the claim and the waiting program are the real ones.
"""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import docker
import pytest
from home import own_hosts
from test_contract import IMAGE, docker_answers

from gradienthub.ledger import By, leases, warm_slots
from gradienthub.rules.warm import Slot
from gradienthub.spawners import warm_pool
from gradienthub.spawners.docker import GradientDockerSpawner
from gradienthub.spawners.docker_engine import DockerEngine
from gradienthub.spawners.warm_container import CLAIM_SECONDS
from gradienthub.spawners.warm_pool import WarmPool

#: How many hubs are killed; `make soak` asks for more.
KILLS = int(os.environ.get("GRADIENTHUB_SOAK", "6"))

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root binds folders"),
]

#: Tells everything about itself that a cold and a warm start must have in common.
SERVER = """#!{python}
import glob, json, os, resource, site, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlparse

def owners(folder):
    found = [os.path.join(at, name)
             for at, folders, files in os.walk(folder) for name in folders + files]
    return sorted((os.path.relpath(path, folder), os.lstat(path).st_uid) for path in found)

def title(process):
    return open("/proc/%s/cmdline" % process).read().replace(chr(0), " ").strip()


def facts():
    umask = os.umask(0); os.umask(umask)
    seen = dict(
        path=sys.path, environment=dict(os.environ),
        ids=[os.getuid(), os.geteuid(), os.getgroups()],
        umask=umask, cwd=os.getcwd(), argv=sys.argv, flags=list(sys.flags), name=__name__,
        file=__file__, title=title("self"), program=sys.orig_argv,
        user_site=[site.ENABLE_USER_SITE, site.getusersitepackages()],
        stdin=os.read(0, 1).decode(), executable=sys.executable, prefix=sys.prefix,
        limits=[resource.getrlimit(i) for i in range(16)],
        memory=open("/sys/fs/cgroup/memory/memory.limit_in_bytes").read(),
        cpus=open("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").read(),
        rights=[row for row in open("/proc/self/status")
                if row.startswith(("Cap", "NoNew", "Seccomp"))],
        notebooks=owners("/notebooks"), storage=owners("/storage"),
        writable=[os.access("/notebooks", os.W_OK), os.access("/storage", os.W_OK)],
        descriptors=sorted(os.readlink("/proc/self/fd/" + n).split(":")[0].split("/")[-1]
                           for n in "012"),
    )
    try:
        from jupyter_core import paths
        from jupyter_server.extension.config import ExtensionConfigManager
        seen["jupyter"] = [paths.jupyter_path(), paths.jupyter_config_path(),
                           paths.jupyter_data_dir(), paths.jupyter_runtime_dir()]
        seen["extensions"] = ExtensionConfigManager(
            read_config_path=paths.jupyter_config_path()).get_jpserver_extensions()
        from jupyterhub.services.auth import HubAuth
        seen["hub"] = [HubAuth().base_url, HubAuth().api_url, HubAuth().api_token]
    except ImportError:
        pass
    try:
        import person_own_package
        seen["own"] = person_own_package.__file__
    except ImportError:
        pass
    return seen

class Notebook(BaseHTTPRequestHandler):
    def do_GET(self):
        body, status = b'{"started": "", "kernels": 0}', 200
        if self.path.endswith("/api/status"):
            mine = "token " + os.environ["JUPYTERHUB_API_TOKEN"]
            status = 200 if self.headers["Authorization"] == mine else 403
        else:
            body = json.dumps(facts()).encode()
        self.send_response(status)
        self.send_header("X-JupyterHub-Version", "6")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

with open("/notebooks/written", "a") as file:
    file.write("x")
at = urlparse(os.environ["JUPYTERHUB_SERVICE_URL"])
ThreadingHTTPServer((at.hostname or "0.0.0.0", at.port), Notebook).serve_forever()
"""
SYSTEM, JUPYTER = "/usr/bin/python3", "/opt/notebook/bin/python3"


class Warm:
    """A hub with a warm pool on the real engine."""

    def __init__(self, home: Any, engine: docker.DockerClient) -> None:
        self.home, self.docker = home, engine

    @property
    def pool(self) -> WarmPool:
        """The pool of the hub as it is now."""
        return WarmPool.of(self.home.context)

    async def slots(self) -> list[Slot]:
        """The rows."""
        return await self.home.context.ledger.aread(
            warm_slots.list_slots, self.home.settings.hub_id
        )

    async def until(self, true: Any) -> None:
        """Real containers take seconds on a busy machine."""
        for _ in range(2400):
            outcome = true()
            if asyncio.iscoroutine(outcome):
                outcome = await outcome
            if outcome:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"it does not come true; slots {await self.slots()}")

    async def waiting(self, count: int = 1) -> list[Slot]:
        """The pool, once so many wait."""

        async def so() -> bool:
            there = await self.slots()
            return len(there) == count and all(slot.state == "ready" for slot in there)

        await self.until(so)
        return await self.slots()

    def containers(self, label: str) -> list[Any]:
        """Containers of this hub with that label."""
        mine = f"gradienthub.hub={self.home.settings.hub_id}"
        return self.docker.containers.list(all=True, filters={"label": [mine, label]})

    def container(self, slot_id: str) -> Any:
        """The container of a slot, whatever its name is now."""
        found = self.containers(f"gradienthub.warm={slot_id}")
        return found[0] if found else None

    async def start(
        self, name: str = "anna", instance_type: str = "free-cpu", **options: Any
    ) -> Any:
        """Start somebody's notebook and wait; its lease."""
        await self.home.person(name)
        said = await self.home.start_server(name, instance_type, **options)
        assert said.status in (201, 202), said
        await self.until(lambda: self.home.spawner(name).ready)
        return await self.home.lease_of(name)

    async def stop(self, name: str = "anna") -> None:
        """Stop it."""
        said = await self.home.api("DELETE", f"/users/{name}/server")
        assert said.status in (202, 204), said
        await self.until(lambda: not self.home.spawner(name).active)
        self.home.clock.advance(minutes=1)

    async def facts(self, name: str = "anna") -> dict[str, Any]:
        """What the server says of itself."""
        server = self.home.spawner(name).server
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{server.ip}:{server.port}/facts") as response,
        ):
            seen: dict[str, Any] = await response.json(content_type=None)
            return seen

    async def pause(self) -> None:
        """As `gradienthub warm pause` does."""
        await self.home.context.ledger.awrite(
            warm_slots.pause, By(self.home.settings.hub_id, "ada", self.home.clock())
        )
        self.pool.wake()

    async def clean(self) -> None:
        """Nothing is left: containers, mounts."""
        for found in self.containers("gradienthub.hub"):
            await asyncio.to_thread(found.remove, force=True, v=True)
        root = self.home.settings.storage_root / "warm"
        for mount in sorted(mounts_below(str(root)), reverse=True):
            subprocess.run(["umount", mount], check=True)


def mounts_below(root: str) -> list[str]:
    """Mount points at or below a folder."""
    with open("/proc/self/mountinfo") as rows:
        return [
            m for m in (row.split()[4] for row in rows) if m == root or m.startswith(root + "/")
        ]


@pytest.fixture
async def make(hub: Any, tmp_path: Any, monkeypatch: Any) -> AsyncIterator[Any]:
    """`await make({"free-cpu": {"python": 1}}, python=..., **traits)`: a hub with that pool."""
    if not docker_answers():
        pytest.skip(f"no container engine answers with the image {IMAGE}; tests/image/build.sh")
    monkeypatch.setattr(warm_pool, "QUIET_SECONDS", 0.1)
    made: list[Warm] = []
    client = docker.from_env()

    async def one(
        pools: Any,
        python: str = SYSTEM,
        environment: Any = None,
        spawner: Any = None,
        **traits: Any,
    ) -> Warm:
        script = tmp_path / "bin" / "notebook"
        script.parent.mkdir(exist_ok=True)
        script.write_text(SERVER.replace("{python}", python))
        script.chmod(0o755)

        def changes(c: Any) -> None:
            c.JupyterHub.spawner_class = spawner or GradientDockerSpawner
            # Other hubs have notebooks on this engine.
            c.GradientHub.hosts = own_hosts()
            c.GradientHub.runtimes = {
                "python": {"title": "Python 3", "image": IMAGE, "warm": True},
                "torch": {"title": "PyTorch", "image": IMAGE},
            }
            c.GradientHub.warm = pools
            c.DockerSpawner.read_only_volumes = {str(script.parent): "/opt/tiny"}
            c.Spawner.cmd = ["/opt/tiny/notebook"]
            c.Spawner.args = ["--verbose"]
            c.Spawner.environment = environment or {}
            c.GradientDockerSpawner.device_driver = "environment"

        found = Warm(await hub(changes, **traits), client)
        made.append(found)
        return found

    yield one
    for found in made:
        await found.home.kill()
        await found.clean()
    client.close()


async def test_a_start_claims_the_server_that_waits_and_another_takes_its_place(make):
    subject = await make({"free-cpu": {"python": 1}})
    (slot,) = await subject.waiting()
    waits = subject.container(slot.id)
    assert waits.name == f"gradient-warm-{slot.id}"
    lease = await subject.start()
    assert lease["warm_slot"] == slot.id
    claimed = subject.container(slot.id)
    assert (claimed.id, claimed.name) == (waits.id, f"gradient-{lease['id']}")
    assert lease["object_name"] == claimed.name
    assert (await subject.home.context.engine.look(lease["id"])).object_id == claimed.id
    assert await subject.home.spawner("anna").poll() is None
    (new,) = await subject.waiting()
    assert new.id != slot.id
    await subject.stop()
    assert subject.container(slot.id) is None
    ended = await subject.home.lease_of("anna")
    assert ended["ended_at"] is not None
    root = subject.home.settings.storage_root
    assert (root / "notebooks" / lease["notebook_id"] / "written").read_text() == "x"
    # The claimed server's folders go with it, and the pool's own stay.
    await subject.until(lambda: not (root / "warm" / slot.id).exists())
    assert (root / "warm" / new.id).exists()


@pytest.mark.parametrize("python", [SYSTEM, JUPYTER], ids=["system-python", "jupyter"])
@pytest.mark.parametrize("home_folder", [None, "/notebooks"], ids=["image-home", "own-home"])
async def test_a_warm_start_is_the_cold_one_in_everything_a_person_can_see(
    make, python, home_folder
):
    environment = {"HOME": home_folder} if home_folder else {}
    subject = await make({"free-cpu": {"python": 1}}, python, environment | {"GREETING": "hello"})
    await subject.waiting()
    first = await subject.start()
    assert first["warm_slot"]
    await subject.stop()
    if home_folder:
        own = subject.home.settings.storage_root / "notebooks" / first["notebook_id"]
        packages = own / ".local/lib/python3.11/site-packages"
        packages.mkdir(parents=True)
        (packages / "person_own_package.py").write_text("")
        (own / ".jupyter").mkdir()
    seen = {}
    for which in ("warm", "cold"):
        if which == "cold":
            await subject.pause()
            await subject.waiting(0)
        else:
            await subject.waiting()
        lease = await subject.start()
        assert bool(lease["warm_slot"]) is (which == "warm")
        seen[which] = comparable(await subject.facts())
        await subject.stop()
    assert seen["warm"] == seen["cold"]
    assert seen["warm"]["umask"] == 0o022
    assert seen["warm"]["environment"]["GREETING"] == "hello"
    assert seen["warm"]["title"] == " ".join(seen["warm"]["program"])
    if home_folder and python == SYSTEM:
        assert seen["warm"]["own"].startswith("/notebooks/.local/")


def comparable(seen: dict[str, Any]) -> dict[str, Any]:
    """Without what two cold starts would not have in common either."""
    environment = dict(seen["environment"])
    for name in ("HOSTNAME", "JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN"):
        assert environment.pop(name)
    if hub := seen.get("hub"):
        assert hub.pop()
    return {**seen, "environment": environment}


async def test_own_packages_that_replace_the_servers_make_it_start_cold_in_its_place(make):
    subject = await make({"free-cpu": {"python": 1}}, SYSTEM, {"HOME": "/notebooks"})
    await subject.waiting()
    first = await subject.start()
    await subject.stop()
    own = subject.home.settings.storage_root / "notebooks" / first["notebook_id"]
    packages = own / ".local/lib/python3.11/site-packages"
    packages.mkdir(parents=True)
    (packages / "json.py").write_text("raise ImportError('the standard library comes first')")
    (packages / "ours.pth").write_text("import sys; sys.greeted = True\n")
    (packages / "person_own_package.py").write_text("import sys; assert sys.greeted\n")
    await subject.waiting()
    lease = await subject.start()
    assert lease["warm_slot"]
    assert (await subject.facts())["own"].startswith("/notebooks/.local/")


async def test_nothing_of_a_waiting_server_is_worth_stealing_and_nothing_opens_it(make):
    subject = await make(
        {"free-cpu": {"python": 1}}, JUPYTER, {"S3_KEY": "of the admin", "JUPYTER_TOKEN": "x"}
    )
    (slot,) = await subject.waiting()
    waits = subject.container(slot.id)
    row = waits.attrs
    text = json.dumps(row)
    assert "of the admin" not in text
    names = {entry.split("=")[0] for entry in row["Config"]["Env"]}
    assert not {name for name in names if "TOKEN" in name or name.startswith("JUPYTERHUB")}
    status, output = waits.exec_run(["cat", "/proc/net/tcp", "/proc/net/tcp6"])
    assert status == 0
    # 0A is LISTEN: no socket of it waits for anybody. 127.0.0.11 is the engine's own resolver.
    listening = [line for line in output.decode().splitlines() if " 0A " in line]
    assert not [line for line in listening if " 0B00007F:" not in line]
    # Another person's container has its address, and finds no port, no file, no process.
    await subject.home.person("berta", "pro", pays=True)
    await subject.start("berta", "free-t4", runtime="torch")
    other = subject.docker.containers.get(
        f"gradient-{(await subject.home.lease_of('berta'))['id']}"
    )
    (network,) = row["NetworkSettings"]["Networks"].values()
    address = network["IPAddress"]
    status, output = other.exec_run(["python3", "-c", TRY_THE_DOOR.replace("ADDRESS", address)])
    assert status == 0, output
    assert json.loads(output) == {"open": [], "processes": [], "folders": [], "engine": False}
    # Whoever says that it was claimed does not become it: berta's words change nothing here.
    other.exec_run(["sh", "-c", 'echo \'{"warm": "ready"}\' > /proc/1/fd/1'])
    assert [s.id for s in await subject.waiting()] == [slot.id]
    lease = await subject.start("anna")
    assert lease["warm_slot"] == slot.id


TRY_THE_DOOR = """
import glob, json, os, socket
found = []
for port in [22, 80, 443, 8000, 8081, *range(8880, 8900), *range(32768, 32900)]:
    with socket.socket() as probe:
        probe.settimeout(0.05)
        if probe.connect_ex(("ADDRESS", port)) == 0:
            found.append(port)
processes = [p for p in glob.glob("/proc/[0-9]*/cmdline")
             if p != "/proc/%s/cmdline" % os.getpid() and b"exec(program)" in open(p, "rb").read()]
print(json.dumps({"open": found, "processes": processes,
                  "folders": [p for p in ("/warm", "/notebooks/warm") if os.path.exists(p)],
                  "engine": os.path.exists("/var/run/docker.sock")}))
"""


async def test_a_waiting_server_is_guarded_as_one_that_starts_cold(make):
    subject = await make({"free-cpu": {"python": 1}})
    (slot,) = await subject.waiting()
    waits = subject.container(slot.id).attrs
    assert waits["Config"]["Labels"]["gradienthub.lease"] == ""
    assert "NVIDIA_VISIBLE_DEVICES=void" in waits["Config"]["Env"]
    await subject.pause()
    await subject.waiting(0)
    lease = await subject.start()
    cold = subject.docker.containers.get(f"gradient-{lease['id']}").attrs
    for name in (
        "CapAdd",
        "CapDrop",
        "SecurityOpt",
        "PidsLimit",
        "ShmSize",
        "NetworkMode",
        "DeviceRequests",
        "Privileged",
        "Memory",
        "CpuQuota",
    ):
        assert waits["HostConfig"][name] == cold["HostConfig"][name], name


async def test_a_claim_is_judged_without_asking_the_engine_for_it(make, monkeypatch):
    subject = await make({"free-cpu": {"python": 1}})
    await subject.waiting()
    await subject.home.person("anna")
    calls: list[str] = []
    submit = DockerEngine.submit

    def noting(engine: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        # The pool looks after its servers meanwhile, whoever starts.
        task = asyncio.current_task()
        if task is None or "WarmPool" not in task.get_coro().__qualname__:
            calls.append(method)
        return submit(engine, method, *args, **kwargs)

    monkeypatch.setattr(DockerEngine, "submit", noting)
    said = await subject.home.start_server("anna", "free-cpu")
    monkeypatch.undo()
    assert said.status in (201, 202)
    assert "rename" in calls
    assert not {"inspect_image", "inspect_network", "create_container", "start"} & set(calls)


async def test_strangers_with_a_warm_servers_labels_are_neither_claimed_nor_destroyed(make):
    subject = await make({"free-cpu": {"python": 1}})
    (slot,) = await subject.waiting()
    ours = subject.container(slot.id)
    labels = ours.attrs["Config"]["Labels"]
    strangers = []
    try:
        for other in (slot.id, "11111111-2222-3333-4444-555555555555"):
            strangers.append(
                subject.docker.containers.run(
                    IMAGE,
                    ["sleep", "600"],
                    labels=labels | {"gradienthub.warm": other},
                    detach=True,
                )
            )
        subject.home.context.engine.forget_listing()
        await subject.pool.look()
        lease = await subject.start()
        assert lease["warm_slot"] == slot.id
        look = await subject.home.context.engine.look(lease["id"])
        assert look.object_id == ours.id
        await subject.stop()
        await subject.pool.look()
        for stranger in strangers:
            stranger.reload()
            assert stranger.status == "running"
    finally:
        for stranger in strangers:
            stranger.remove(force=True)


async def test_a_hook_that_asks_for_devices_gets_none_of_a_warm_server_either(make):
    def hook(spawner: Any) -> None:
        spawner.extra_host_config = {"device_requests": [{"Count": -1, "Capabilities": [["gpu"]]}]}

    subject = await make({"free-cpu": {"python": 1}})
    await subject.waiting()
    await subject.home.person("anna")
    subject.home.app.config.Spawner.pre_spawn_hook = hook
    subject.home.spawner("anna").pre_spawn_hook = hook
    said = await subject.home.start_server("anna", "free-cpu")
    assert (said.status, said.body["code"]) == (502, "start_failed")
    assert "device_requests" in said.message


async def test_a_claim_that_gets_no_answer_becomes_a_cold_start_within_a_second(make):
    subject = await make({"free-cpu": {"python": 1}})
    (slot,) = await subject.waiting()
    subject.container(slot.id).pause()
    lease = await subject.start()
    assert lease["warm_slot"] is None
    # The claim's own limit is lost; how long a cold start takes is the machine's business.
    assert CLAIM_SECONDS <= 1.0
    assert subject.container(slot.id) is None
    cold = subject.docker.containers.get(f"gradient-{lease['id']}")
    assert cold.status == "running"
    root = subject.home.settings.storage_root
    assert (root / "notebooks" / lease["notebook_id"] / "written").read_text() == "x"


async def test_a_server_whose_folder_does_not_arrive_never_becomes_anybodys(make, monkeypatch):
    subject = await make({"free-cpu": {"python": 1}})
    (slot,) = await subject.waiting()
    # As where the engine lives in another mount namespace than the hub.
    monkeypatch.setattr(warm_pool.Mounts, "bind", lambda *ids: None)
    lease = await subject.start()
    assert lease["warm_slot"] is None
    assert subject.container(slot.id) is None
    assert (await subject.facts())["notebooks"] == [["written", 1000]]


async def test_people_come_first_and_a_device_has_one_container_at_a_time(make):
    subject = await make({"free-t4": {"python": 2}})
    both = await subject.waiting(2)
    t4s = [device["uuid"] for device in own_hosts()["rack"]["devices"]][:2]
    assert sorted(d for slot in both for d in slot.devices) == t4s
    await subject.home.person("anna", "pro", pays=True)
    lease = await subject.start("anna", "t4x2", runtime="torch")
    assert lease["devices"] == t4s
    assert await subject.home.devices_held() == dict.fromkeys(lease["devices"], lease["id"])
    assert all(subject.container(slot.id) is None for slot in both)
    assert await subject.slots() == []
    await subject.stop()
    assert len(await subject.waiting(2)) == 2


async def test_a_start_that_ends_before_what_is_in_its_way_is_gone_frees_no_device(make):
    subject = await make({"free-t4": {"python": 1}})
    (slot,) = await subject.waiting()
    destroy = subject.home.context.engine.destroy
    reached, go = asyncio.Event(), asyncio.Event()

    async def slowly(found: Any) -> None:
        reached.set()
        await go.wait()
        await destroy(found)

    subject.home.context.engine.destroy = slowly
    await subject.home.person("anna", "pro", pays=True)
    starting = asyncio.ensure_future(subject.home.start_server("anna", "t4x2"))
    await asyncio.wait_for(reached.wait(), 20)
    lease = await subject.home.lease_of("anna")
    await subject.home.context.ledger.awrite(leases.end, lease["id"], subject.home.clock(), None)
    assert await subject.home.devices_held() == {slot.devices[0]: slot.id}
    go.set()
    await starting


@pytest.mark.parametrize("how", ["kill_and_start", "restart"])
async def test_a_restarted_hub_adopts_what_waits_and_what_people_have(make, how):
    subject = await make({"free-cpu": {"python": 1}})
    await subject.waiting()
    lease = await subject.start()
    (waits,) = await subject.waiting()
    await getattr(subject.home, how)()
    await subject.home.settled()
    assert [slot.id for slot in await subject.waiting()] == [waits.id]
    assert subject.home.spawner("anna").ready
    assert (await subject.home.context.engine.look(lease["id"])).alive
    again = await subject.start("berta")
    assert again["warm_slot"] == waits.id
    await subject.stop()
    assert (await subject.home.lease_of("anna"))["ended_at"] is not None


@pytest.mark.parametrize("state", ["filling", "ready"])
async def test_a_hub_that_ends_with_its_servers_leaves_no_warm_one(make, state):
    subject = await make({"free-cpu": {"python": 1}})
    if state == "ready":
        await subject.waiting()
        await subject.start()
        await subject.waiting()
    else:

        async def begun():
            return bool(await subject.slots())

        await subject.until(begun)
    subject.home.app.cleanup_servers = True
    await subject.home.app.cleanup()
    assert await subject.slots() == []
    assert subject.containers("gradienthub.hub") == []


async def test_a_server_made_of_something_else_is_replaced(make):
    subject = await make({"free-cpu": {"python": 1}}, environment={"LANG": "C.UTF-8"})
    (old,) = await subject.waiting()
    await subject.home.kill()
    subject.home._changes_before = subject.home._changes

    def changed(c: Any) -> None:
        subject.home._changes_before(c)
        c.Spawner.environment = {"LANG": "C"}

    subject.home._changes = changed
    await subject.home.start()

    async def gone() -> bool:
        # Its row goes last, once container and folders are gone.
        return old.id not in {slot.id for slot in await subject.slots()}

    await subject.until(gone)
    assert subject.container(old.id) is None
    (new,) = await subject.waiting()
    assert new.id != old.id


async def test_one_that_is_claimed_while_the_pool_is_sorted_out_stays(make):
    subject = await make({"free-cpu": {"python": 1}})
    (slot,) = await subject.waiting()
    lease = await subject.start()
    assert lease["warm_slot"] == slot.id
    # What a pass does that saw it wait, made of something else, a moment before.
    await subject.pool.destroy(slot.id)
    assert subject.container(slot.id).status == "running"
    assert (await subject.facts())["file"]
    await subject.stop()
    assert subject.container(slot.id) is None


async def test_a_hook_that_makes_a_start_different_gets_it_cold(make):
    def hook(spawner: Any) -> None:
        spawner.extra_host_config = {"pids_limit": 99}

    subject = await make({"free-cpu": {"python": 1}})
    (slot,) = await subject.waiting()
    await subject.home.person("anna")
    subject.home.app.config.Spawner.pre_spawn_hook = hook
    subject.home.spawner("anna").pre_spawn_hook = hook
    lease = await subject.start()
    assert lease["warm_slot"] is None
    assert subject.container(slot.id) is None
    made = subject.docker.containers.get(f"gradient-{lease['id']}")
    assert made.attrs["HostConfig"]["PidsLimit"] == 99


async def test_a_paused_pool_is_empty_and_a_resumed_one_is_filled(make):
    subject = await make({"free-cpu": {"python": 1}})
    (slot,) = await subject.waiting()
    await subject.pause()
    await subject.until(lambda: subject.container(slot.id) is None)
    await subject.waiting(0)
    assert (await subject.start())["warm_slot"] is None
    await subject.home.context.ledger.awrite(warm_slots.resume, subject.home.settings.hub_id)
    subject.pool.wake()
    await subject.waiting()


def contents(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file below it with its owner and its text, but what the tiny server writes itself."""
    return {
        str(file.relative_to(folder)): (file.stat().st_uid, file.read_text())
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != "written"
    }


@pytest.mark.timeout(120 + 3 * KILLS)
async def test_hubs_killed_anywhere_leave_no_container_mount_device_or_row(make):
    subject = await make({"free-t4": {"python": 1}}, hosts=own_hosts())
    root = subject.home.settings.storage_root
    lease = await subject.start()
    await subject.stop()
    own = [root / "notebooks" / lease["notebook_id"], root / "accounts" / lease["account_id"]]
    for folder in own:
        (folder / "deep").mkdir()
        (folder / "deep" / "mine").write_text(str(folder))
        os.chown(folder / "deep" / "mine", 1000, 1000)
    before = [contents(folder) for folder in own]
    for number in range(KILLS):
        # From the first millisecond of a fill to the last of a claim.
        starting = None
        if number % 2:
            await subject.waiting()
            starting = asyncio.ensure_future(subject.home.start_server("anna"))
        await asyncio.sleep((number * 37 % 100) / 250)
        await subject.home.kill()
        if starting is not None:
            await asyncio.gather(starting, return_exceptions=True)
        await subject.home.start()
        await subject.home.settled()
        if subject.home.app.users["anna"].spawner.active:
            await subject.stop()
    await subject.pause()
    await subject.waiting(0)
    await subject.until(lambda: subject.containers("gradienthub.hub") == [])
    await subject.until(lambda: mounts_below(str(root / "warm")) == [str(root / "warm")])
    assert await subject.home.devices_held() == {}
    assert await subject.slots() == []
    assert await subject.home.open_leases() == []
    assert [contents(folder) for folder in own] == before
