"""Hooks, extras and overrides that ask the engine for more than a lease gives, on a real engine."""

from contextlib import closing
from typing import Any

import docker
import pytest
from docker.errors import APIError
from dockerspawner import DockerSpawner
from test_contract import IMAGE, docker_answers

from gradienthub.spawners import docker_engine, judged
from gradienthub.spawners.docker import GradientDockerSpawner

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.skipif(not docker_answers(), reason=f"no engine with {IMAGE}"),
]
ALL_GPUS = [
    {"Driver": "", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {}}
]


def hook(spawner: Any) -> None:
    """What a deployer copied from somewhere."""
    spawner.extra_host_config = {"device_requests": ALL_GPUS}


def with_hook(c):
    c.Spawner.pre_spawn_hook = hook


async def refused(subject, name="anna", instance_type="free-cpu"):
    """The refusal of a start, which left nothing behind."""
    await subject.home.person(name)
    said = await subject.home.start_server(name, instance_type)
    assert (said.status, said.body["code"]) == (502, "start_failed"), said
    assert "Nothing was charged" in said.message
    subject.forget()
    assert await subject.engine.census() == []
    assert await subject.home.open_leases() == []
    return said.message


async def test_a_hook_that_asks_for_all_devices_is_refused_with_what_to_change(make):
    subject = await make(with_hook)
    words = await refused(subject)
    assert "device_requests" in words
    assert "spawner.extra_host_config, which a hook or an override sets" in words
    assert "no setting allows it" in words
    assert "device_requests" in await refused(subject, "berta", "free-t4")


async def test_a_notebook_without_a_lease_of_a_device_has_none_where_such_a_hook_is_dropped(make):
    def changes(c):
        with_hook(c)
        c.GradientDockerSpawner.unrented = "drop"

    subject = await make(changes)
    lease = await subject.started("anna", "free-cpu")
    assert not subject.inspect(lease["id"])["HostConfig"]["DeviceRequests"]
    assert (await subject.environment("anna"))["NVIDIA_VISIBLE_DEVICES"] == "void"
    lease = await subject.started("berta", "free-t4")
    (request,) = subject.inspect(lease["id"])["HostConfig"]["DeviceRequests"]
    assert request["DeviceIDs"] == lease["devices"]


@pytest.mark.parametrize(
    ("traits", "says"),
    [
        ({"extra_host_config": lambda _spawner: {"privileged": True}}, "privileged"),
        ({"extra_host_config": {"runtime": "nvidia"}}, "runtime"),
        ({"extra_host_config": {"device_requests": 7}}, "cannot be sent"),
        ({"extra_create_kwargs": {"host_config": {"privileged": True}}}, "privileged"),
        ({"extra_create_kwargs": {"runtime": "nvidia"}}, "runtime"),
        ({"extra_create_kwargs": {"image": "another/image:1"}}, "image"),
        ({"environment": {"NVIDIA_VISIBLE_DEVICES": "all"}}, "c.DockerSpawner.environment"),
        ({"volumes": {"/var/run/docker.sock": "/s"}}, "c.DockerSpawner.volumes"),
        ({"network_name": "host", "use_internal_ip": True}, "c.DockerSpawner.network_name"),
        ({"network_name": "host"}, "cannot be sent"),
    ],
)
async def test_what_a_configuration_asks_beside_the_lease_is_refused(make, traits, says):
    subject = await make(lambda c: c.DockerSpawner.update(traits))
    assert says in await refused(subject)


async def test_what_an_administrator_allows_on_purpose_is_given(make):
    def changes(c):
        c.DockerSpawner.extra_host_config = {
            "ipc_mode": "shareable",
            "sysctls": {"net.ipv4.ip_unprivileged_port_start": "80"},
        }
        c.GradientDockerSpawner.allowed_host_settings = ["sysctls=net.ipv4.ip_unprivileged*"]

    subject = await make(changes)
    lease = await subject.started("anna", "free-cpu")
    made = subject.inspect(lease["id"])["HostConfig"]
    assert made["Sysctls"] == {"net.ipv4.ip_unprivileged_port_start": "80"}
    assert made["IpcMode"] == "shareable"


async def test_a_container_is_hardened_and_on_a_network_of_its_own(make):
    subject = await make()
    lease = await subject.started("anna", "free-t4")
    made = subject.inspect(lease["id"])["HostConfig"]
    assert made["CapDrop"] == ["ALL"]
    assert "NET_RAW" not in made["CapAdd"]
    assert made["SecurityOpt"] == ["no-new-privileges"]
    assert made["PidsLimit"] == 4096
    # Half of the machine's memory, as on a machine of one's own.
    assert made["ShmSize"] == 10**9
    assert made["NetworkMode"] == "gradienthub-notebooks"


async def test_a_hub_in_a_container_that_asks_at_internal_addresses_is_served_as_before(
    make, monkeypatch
):
    monkeypatch.setattr(judged, "IN_CONTAINER", ("/",))
    subject = await make(lambda c: c.DockerSpawner.update({"use_internal_ip": True}))
    lease = await subject.started("anna", "free-cpu")
    assert subject.inspect(lease["id"])["HostConfig"]["NetworkMode"] == "bridge"


async def test_where_the_network_cannot_be_made_notebooks_start_and_the_log_says_so(
    make, monkeypatch, capsys
):
    def refuse(_client):
        raise APIError("no", explanation="could not find an available address pool")

    monkeypatch.setattr(docker_engine, "make_network", refuse)
    subject = await make()
    lease = await subject.started("anna", "free-cpu")
    assert subject.inspect(lease["id"])["HostConfig"]["NetworkMode"] == "bridge"
    assert "could not find an available address pool" in capsys.readouterr().err
    monkeypatch.undo()
    lease = await subject.started("berta", "free-cpu")
    assert subject.inspect(lease["id"])["HostConfig"]["NetworkMode"] == "gradienthub-notebooks"


# -- subclasses ---------------------------------------------------------------------------------


class LosesLabels(GradientDockerSpawner):
    """Makes its containers with a client of its own."""

    async def create_object(self) -> Any:
        with closing(docker.APIClient()) as client:
            return client.create_container(
                self.image,
                command=await self.get_command(),
                name=self.container_name,
                environment=self.get_env(),
                ports=[self.port],
                host_config=client.create_host_config(port_bindings={self.port: ("127.0.0.1",)}),
            )


class LosesNameToo(LosesLabels):
    """Nothing but the server's own token says whose it is."""

    async def create_object(self) -> Any:
        self.object_name = f"own-name-{self.lease_id}"
        return await super().create_object()


class StartsItToo(LosesLabels):
    """And starts it past our door."""

    async def start_object(self) -> None:
        with closing(docker.APIClient()) as client:
            client.start(self.object_id)


class ReturnsAnothers(GradientDockerSpawner):
    """Says that somebody's own container is the one that it made."""

    stranger = ""

    async def create_object(self) -> Any:
        return {"Id": self.stranger}


class FindsItsNameTaken(GradientDockerSpawner):
    """Somebody has a container of the very name that this start is to have."""

    async def prepare(self, lease: Any) -> None:
        await super().prepare(lease)
        with closing(docker.APIClient()) as client:
            client.create_container(IMAGE, ["sleep", "600"], name=self.object_label)


class AsksThroughOurDoor(GradientDockerSpawner):
    """Has labels of its own, and asks where it should."""

    async def create_object(self) -> Any:
        return await self.docker(
            "create_container",
            self.image,
            command=await self.get_command(),
            name=self.container_name,
            environment=self.get_env(),
            ports=[self.port],
            labels={"gradienthub.lease": "another"},
            host_config=self.client.create_host_config(
                port_bindings={self.port: ("127.0.0.1",)}, binds=self.volume_binds
            ),
            working_dir=self.container_home,
        )


def of_class(cls):
    def changes(c):
        c.JupyterHub.spawner_class = cls

    return changes


@pytest.mark.parametrize("cls", [LosesLabels, LosesNameToo, StartsItToo])
async def test_a_container_that_lost_our_labels_is_removed_by_its_id_and_refused(make, cls):
    subject = await make(of_class(cls))
    words = await refused(subject)
    assert "not the one that was asked for" in words
    assert "super().create_object()" in words
    lease = await subject.home.lease_of("anna")
    with closing(docker.from_env()) as client:
        names = [c.name for c in client.containers.list(all=True)]
    assert not [name for name in names if lease["id"] in name]


async def test_somebodys_own_container_is_never_removed_for_a_subclass(make):
    subject = await make(of_class(ReturnsAnothers))
    with closing(docker.from_env()) as client:
        stranger = client.containers.create(IMAGE, ["sleep", "1000"])
        try:
            ReturnsAnothers.stranger = stranger.id
            assert "not the one that was asked for" in await refused(subject)
            stranger.reload()
            assert stranger.status == "created"
        finally:
            stranger.remove(force=True)


async def test_a_stranger_with_the_name_of_a_start_is_never_removed_for_it(make):
    subject = await make(of_class(FindsItsNameTaken))
    assert "is in the way" in await refused(subject)
    lease = await subject.home.lease_of("anna")
    with closing(docker.from_env()) as client:
        stranger = client.containers.get(f"gradient-{lease['id']}")
        stranger.remove(force=True)


async def test_a_subclass_that_asks_through_our_door_gets_our_labels_and_guards(make):
    subject = await make(of_class(AsksThroughOurDoor))
    lease = await subject.started("anna", "free-cpu")
    row = subject.inspect(lease["id"])
    assert row["Config"]["Labels"]["gradienthub.lease"] == lease["id"]
    assert row["HostConfig"]["CapDrop"] == ["ALL"]


def test_the_subclasses_here_are_plain_dockerspawners_too():
    assert issubclass(LosesLabels, DockerSpawner)
