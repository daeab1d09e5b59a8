"""A hostile image and a hostile neighbor, from real containers: nothing that they try succeeds."""

import json
import os
import subprocess
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import docker
import pytest
from home import TIERS
from hostile import ATTACKS, EXECS, FORK_BOMB, NEVER_EXECS, hostile_image, run_inside
from test_contract import IMAGE, docker_answers

from gradienthub.hub import settle
from gradienthub.ledger import findings
from gradienthub.spawners.warm_pool import WarmPool

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not docker_answers(), reason=f"no engine with {IMAGE}"),
]


@pytest.fixture
def engine():
    """The engine itself, past the hub."""
    with closing(docker.from_env()) as client:
        yield client


@contextmanager
def image_of(subject, **parts):
    """A hostile image that knows this hub, as the runtime "python"."""
    with hostile_image(IMAGE, hub_id=subject.home.settings.hub_id, **parts) as tag:
        yield tag


async def start_image(subject, name, tag, instance_type="free-cpu"):
    """Start somebody's notebook of an image of their own; its lease and its container."""
    await subject.home.person(name, "pro", pays=True)
    said = await subject.home.start_server(name, instance_type, image=tag)
    assert said.status == 201, said
    await subject.home.until(lambda: subject.home.spawner(name).ready)
    return await subject.home.lease_of(name)


def any_image(c):
    images = ["gradienthub/hostile:*"]
    c.GradientHub.tiers = TIERS | {"pro": TIERS["pro"] | {"custom_images": images}}
    c.DockerSpawner.pull_policy = "never"


async def told(subject):
    """The findings that stand."""
    home = subject.home
    subject.forget()
    await settle.settle(home.app, home.context)
    rows = await home.context.ledger.aread(findings.list_findings, home.settings.hub_id)
    # Other hubs may have notebooks on this engine.
    return [(row["kind"], row["why"]) for row in rows if row["kind"] != "outside"]


# -- a hostile image ----------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["root", "gradient"])
@pytest.mark.parametrize("entrypoint", [EXECS, NEVER_EXECS], ids=["execs", "never-execs"])
async def test_a_hostile_image_gets_no_device_no_label_and_no_right(make, engine, user, entrypoint):
    subject = await make(any_image)
    with image_of(subject, user=user, entrypoint=entrypoint) as tag:
        lease = await start_image(subject, "anna", tag)
        row = subject.inspect(lease["id"])
        labels, host = row["Config"]["Labels"], row["HostConfig"]
        assert labels["gradienthub.warm"] == ""
        assert labels["gradienthub.lease"] == lease["id"]
        assert json.loads(labels["gradienthub.devices"]) == []
        assert labels["gradienthub.notebook"] == lease["notebook_id"]
        seen = await subject.environment("anna")
        assert seen["NVIDIA_VISIBLE_DEVICES"] == "void"
        assert seen["HABANA_VISIBLE_DEVICES"] == "void"
        assert not host["DeviceRequests"]
        # Its own ports are not opened; only the notebook's is, to this machine alone.
        assert row["NetworkSettings"]["Ports"]["9999/tcp"] is None
        (binding,) = row["NetworkSettings"]["Ports"]["8888/tcp"]
        assert binding["HostIp"] == "127.0.0.1"
        # The pool does not take it for one of its own, and neither does the reconciler.
        assert await told(subject) == []
        await WarmPool.of(subject.home.context).look()
        assert engine.containers.get(row["Id"]).status == "running"
        # It stops within the engine's patience, whatever it thinks of signals.
        assert (await subject.home.api("DELETE", "/users/anna/server")).status in (202, 204)
        await subject.home.until(lambda: not subject.home.spawner("anna").active)
        assert await subject.home.open_leases() == []


async def test_a_rented_device_is_the_only_one_that_a_hostile_image_has(make):
    subject = await make(any_image)
    with image_of(subject) as tag:
        lease = await start_image(subject, "anna", tag, "free-t4")
        (request,) = subject.inspect(lease["id"])["HostConfig"]["DeviceRequests"]
        assert request["DeviceIDs"] == lease["devices"]
        seen = await subject.environment("anna")
        assert seen["NVIDIA_VISIBLE_DEVICES"] == lease["devices"][0]


async def test_an_image_that_starts_as_root_and_becomes_its_user_works(make, engine):
    """As docker-stacks and many others do; the capabilities that are kept are for these."""
    steps = (
        "export PATH=$PATH:/usr/sbin:/sbin; useradd -m -u 4321 worker"
        " && chown worker /notebooks /storage"
        ' && exec setpriv --reuid worker --regid worker --clear-groups "$@"'
    )
    subject = await make(any_image)
    with image_of(subject, entrypoint=["/bin/sh", "-c", steps, "entry"]) as tag:
        lease = await start_image(subject, "anna", tag)
        container = engine.containers.get(f"gradient-{lease['id']}")
        rows = container.top(ps_args="-o pid,uid,args")["Processes"]
        assert [uid for _, uid, words in rows if words.startswith("python3")] == ["4321"]
        root = subject.home.settings.storage_root / "notebooks" / lease["notebook_id"]
        assert (root / "written").exists()
        assert (await subject.home.api("DELETE", "/users/anna/server")).status in (202, 204)


async def test_an_image_that_says_nothing_of_what_it_starts_is_refused_for_that(make, engine):
    def its_own_command(c):
        any_image(c)
        for section in ("Spawner", "DockerSpawner", "GradientDockerSpawner"):
            c[section].pop("cmd", None)

    subject = await make(its_own_command)
    await subject.home.person("anna", "pro", pays=True)
    tag, entry = "gradienthub/hostile:says-nothing", 'ENTRYPOINT ["jupyterhub-singleuser"]'
    try:
        for changes, says in ((None, "no CMD and no ENTRYPOINT"), ([entry], "")):
            engine.api.import_image_from_data(bytes(1024), *tag.split(":"), changes=changes)
            said = await subject.home.start_server("anna", "free-cpu", image=tag)
            assert (said.status, said.body["code"]) == (502, "start_failed")
            if says:
                assert says in said.message and "extra_host_config" not in said.message
            else:
                # It was asked to start what the image names, which is not in this one.
                assert "jupyterhub-singleuser" in said.message
        assert await subject.engine.census() == []
    finally:
        engine.images.remove(tag, force=True)


# -- a hostile neighbor -------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["root", "gradient"])
async def test_nothing_that_a_hostile_neighbor_tries_succeeds(make, engine, user):
    subject = await make(any_image)
    victim = await subject.started("berta", "free-cpu")
    token = subject.home.spawner("berta").api_token
    address = _address(subject.inspect(victim["id"]))
    with image_of(subject, user=user) as tag:
        lease = await start_image(subject, "anna", tag)
        container = engine.containers.get(f"gradient-{lease['id']}")
        root = str(subject.home.settings.storage_root)
        ports = json.dumps([8888, 22, 80])
        assert json.loads(run_inside(container, ATTACKS, address, ports, root)) == []
        # Also not past the machine's own address, at the port where the hub finds it.
        published = subject.inspect(victim["id"])["NetworkSettings"]["Ports"]["8888/tcp"][0]
        gateway = _gateway(subject.inspect(lease["id"]))
        ports = json.dumps([int(published["HostPort"])])
        assert json.loads(run_inside(container, ATTACKS, gateway, ports, root)) == []
        # What it could read of itself has no word of the neighbor.
        everything = container.exec_run(["sh", "-c", "env; cat /proc/*/environ"])[1]
        assert token.encode() not in everything
        assert (await subject.ask("berta", "/env"))["JUPYTERHUB_API_TOKEN"] == token


def _address(row: Any) -> str:
    (network,) = row["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])


def _gateway(row: Any) -> str:
    (network,) = row["NetworkSettings"]["Networks"].values()
    return str(network["Gateway"])


async def test_the_same_neighbor_wins_on_the_default_bridge_with_the_engines_own_rights(
    make, engine
):
    """The attacks are real ones: without our defaults they succeed."""

    def weak(c):
        any_image(c)
        c.DockerSpawner.network_name = "bridge"
        c.GradientDockerSpawner.capabilities = ["engine"]
        c.GradientDockerSpawner.no_new_privileges = False

    subject = await make(weak)
    victim = await subject.started("berta", "free-cpu")
    address = _address(subject.inspect(victim["id"]))
    with image_of(subject, user="gradient") as tag:
        lease = await start_image(subject, "anna", tag)
        container = engine.containers.get(f"gradient-{lease['id']}")
        won = run_inside(container, ATTACKS, address, "[8888]", "/nowhere")
        assert "reaches a neighbor" in won
        assert "becomes root by a set-uid shell" in won
        won = run_inside(container, ATTACKS, address, "[8888]", "/nowhere", user="root")
        assert "sees frames of the network" in won


async def test_hub_and_world_are_reached_from_the_notebooks_own_network(make, engine):
    subject = await make()
    lease = await subject.started("anna", "free-cpu")
    container = engine.containers.get(f"gradient-{lease['id']}")
    # As the hub at the default bridge's address is, whichever network a container is on.
    bridge = engine.networks.get("bridge").attrs["IPAM"]["Config"][0].get("Gateway", "172.17.0.1")
    with subprocess.Popen(
        ["python3", "-m", "http.server", "0", "--bind", bridge],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as hub:
        try:
            assert hub.stdout is not None
            port = hub.stdout.readline().split(b" port ")[1].split()[0].decode()
            ask = f"import socket; socket.create_connection(('{bridge}', {port}), 5); print('ok')"
            assert container.exec_run(["python3", "-c", ask])[1].strip() == b"ok"
        finally:
            hub.terminate()
            hub.stdout.close()
    resolved = container.exec_run(["cat", "/etc/resolv.conf"])[1]
    assert b"nameserver" in resolved


async def test_a_fork_bomb_ends_in_its_own_container(make, engine):
    def few(c):
        any_image(c)
        c.GradientDockerSpawner.pids_limit = 200

    subject = await make(few)
    await subject.started("berta", "free-cpu")
    with image_of(subject) as tag:
        lease = await start_image(subject, "anna", tag)
        container = engine.containers.get(f"gradient-{lease['id']}")
        assert int(run_inside(container, FORK_BOMB)) < 200
    assert await subject.environment("berta")


# -- strangers ----------------------------------------------------------------------------------


async def test_strangers_with_our_labels_are_never_removed_and_never_counted(make, engine):
    """An administrator's own containers: of a hostile image, and of a committed notebook."""
    subject = await make()
    home = subject.home
    lease = await subject.started("anna", "free-t4")
    notebook = engine.containers.get(f"gradient-{lease['id']}")
    committed = notebook.commit("gradienthub/hostile", "committed")
    hub_id = home.settings.hub_id
    slot = "11111111-2222-3333-4444-555555555555"
    with ExitStack() as stack:
        stack.callback(engine.images.remove, committed.id, force=True)
        tag = stack.enter_context(image_of(subject, lease="", slot=slot))
        cases = [
            (committed.id, None, {}),
            (tag, None, {}),
            # Somebody who copies the very names.
            (tag, f"gradient-warm-{slot}", {}),
            (IMAGE, None, {"gradienthub.hub": hub_id}),
            (
                IMAGE,
                "gradient-of-nobody",
                {"gradienthub.hub": hub_id, "gradienthub.lease": "of-nobody"},
            ),
        ]
        strangers = []
        for image, name, labels in cases:
            made = engine.containers.run(
                image,
                entrypoint=["sleep", "600"],
                command=[],
                name=name,
                labels=labels,
                detach=True,
                environment={"NVIDIA_VISIBLE_DEVICES": "void"},
            )
            stack.callback(made.remove, force=True)
            strangers.append(made)
        subject.forget()
        # Whose lease it is, is known by the one container that we made.
        assert (await subject.engine.look(lease["id"])).object_id == notebook.id
        assert await home.spawner("anna").poll() is None
        kinds = await told(subject)
        assert [kind for kind, _ in kinds] == ["stranger"] * len(cases), kinds
        await WarmPool.of(home.context).look()
        # The notebook ends, and so does nothing else. Then its very name is free.
        assert (await home.api("DELETE", "/users/anna/server")).status == 204
        impostor = engine.containers.run(
            committed.id,
            entrypoint=["sleep", "600"],
            command=[],
            detach=True,
            name=f"gradient-{lease['id']}",
        )
        stack.callback(impostor.remove, force=True)
        await home.kill_and_start()
        await home.settled()
        assert [kind for kind, _ in await told(subject)] == ["stranger"] * (len(cases) + 1)
        await WarmPool.of(home.context).look()
        for stranger in (*strangers, impostor):
            stranger.reload()
            assert stranger.status == "running", stranger.name
        assert await home.open_leases() == []
    assert await told(subject) == []
