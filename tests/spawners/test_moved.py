"""Real containers that are restarted, paused or cut off while a notebook runs in them."""

import contextlib

import docker
import pytest
from jupyterhub import orm
from test_contract import containers  # noqa: F401 - a fixture

pytestmark = [pytest.mark.docker, pytest.mark.slow]


@pytest.fixture
def engine():
    """The engine itself, behind the hub's back."""
    client = docker.from_env()
    yield client
    client.close()


async def anna(containers, engine):  # noqa: F811
    home = containers.home
    lease = await containers.started()
    admin = await home.person("ada")
    return home, admin, engine.containers.get(f"gradient-{lease['id']}")


async def row_of(containers, home, token):  # noqa: F811
    containers.forget()
    (row,) = (await home.api("GET", "/gradient/servers", token=token)).body["servers"]
    return row


async def answers(containers):  # noqa: F811
    with contextlib.suppress(Exception):
        return bool(await containers.ask("anna", "/env"))
    return False


async def test_a_container_restarted_by_hand_is_found_at_its_new_port(containers, engine):  # noqa: F811
    home, admin, container = await anna(containers, engine)
    before = home.spawner("anna").server.port
    container.restart(timeout=1)
    row = await row_of(containers, home, admin)
    port = home.spawner("anna").server.port
    assert f":{port}/" in row["url"]
    assert row["token"]
    assert port != before, "the engine gave the same port again: nothing was tried"
    await home.until(lambda: answers(containers), "its answer")
    (target,) = [r["target"] for r in home.app.proxy.routes.values() if "user" in r["data"]]
    assert target.endswith(f":{port}")
    assert (await home.lease_of("anna"))["ended_at"] is None


async def test_a_hub_restarted_after_its_container_keeps_the_notebook(containers, engine):  # noqa: F811
    home, _, container = await anna(containers, engine)
    await home.kill()
    container.restart(timeout=1)
    await home.start()
    await home.settled()
    await home.until(lambda: home.spawner("anna").ready, "the end of the check")
    await home.until(lambda: answers(containers), "its answer")
    assert (await home.lease_of("anna"))["ended_at"] is None


async def test_a_paused_container_is_alive_and_can_be_stopped(containers, engine):  # noqa: F811
    home, admin, container = await anna(containers, engine)
    container.pause()
    containers.forget()
    assert await home.spawner("anna").poll() is None
    row = await row_of(containers, home, admin)
    # It is where it was: what is shown there is shown to nobody else.
    assert row["ready"]
    container.unpause()
    assert await answers(containers)
    container.pause()
    assert (await home.api("DELETE", "/users/anna/server")).status in (202, 204)
    await home.until(lambda: not home.spawner("anna").active, "the stop")

    async def free():
        return await home.devices_held() == {}

    await home.until(free, "its device")


async def test_a_container_cut_off_from_its_network_is_shown_no_token_until_it_is_back(
    containers,  # noqa: F811
    engine,
):
    home, admin, container = await anna(containers, engine)
    container.reload()
    (name,) = container.attrs["NetworkSettings"]["Networks"]
    network = engine.networks.get(name)
    network.disconnect(container)
    row = await row_of(containers, home, admin)
    assert row["token"] is None
    assert await home.spawner("anna").poll() is None
    network.connect(container)
    row = await row_of(containers, home, admin)
    assert row["token"]
    await home.until(lambda: answers(containers), "its answer")


async def test_a_stopped_server_keeps_no_id_of_a_container(containers, engine):  # noqa: F811
    home, _, _ = await anna(containers, engine)
    assert (await home.api("DELETE", "/users/anna/server")).status in (202, 204)
    await home.until(lambda: not home.spawner("anna").active, "the stop")
    row = home.app.db.query(orm.Spawner).filter_by(name="").first()
    assert "object_id" not in (row.state or {})
    assert "lease_id" not in (row.state or {})
