"""A notebook that was restarted under the hub's feet is found again at its new address."""

from urllib.parse import urlparse

from gradienthub.ledger import findings
from gradienthub.spawners import address
from gradienthub.testing import EngineIsAway


async def started(hub, **settings):
    home = await hub(settings=settings)
    admin = await home.person("ada")
    await home.person("anna")
    assert (await home.start_server("anna")).status == 201
    (container,) = home.engine.objects.values()
    return home, admin, container


async def listed(home, token):
    (row,) = (await home.api("GET", "/gradient/servers", token=token)).body["servers"]
    return row


def port_of(url):
    return urlparse(url).port


def route(home):
    (target,) = [r["target"] for r in home.app.proxy.routes.values() if "user" in r["data"]]
    return port_of(target)


async def test_a_container_that_was_restarted_is_reached_at_its_new_port_by_everybody(hub):
    home, admin, container = await started(hub)
    before = container.address[1]
    assert (await listed(home, admin))["token"]
    await home.engine.move(container)
    now = container.address[1]
    assert now != before
    row = await listed(home, admin)
    assert (port_of(row["url"]), bool(row["token"])) == (now, True)
    assert home.spawner("anna").server.port == now
    assert route(home) == now
    # The hub's own database has it too.
    assert home.spawner("anna").orm_spawner.server.port == now


async def test_the_hubs_own_look_is_enough(hub):
    home, _, container = await started(hub)
    await home.engine.move(container)
    assert await home.spawner("anna").poll() is None
    assert home.spawner("anna").server.port == route(home) == container.address[1]


async def test_a_hub_that_restarts_after_the_container_did_keeps_it(hub):
    home, admin, container = await started(hub)
    await home.kill()
    await home.engine.move(container)
    await home.start()
    await home.settled()
    await home.until(lambda: home.spawner("anna").ready)
    assert container.alive
    assert port_of((await listed(home, admin))["url"]) == container.address[1]
    assert (await home.lease_of("anna"))["ended_at"] is None


async def test_a_hub_that_restarts_does_not_kill_what_is_alive_and_does_not_answer(
    hub, monkeypatch
):
    monkeypatch.setattr(address, "CHECK_SECONDS", 0.2)
    home, _, container = await started(hub)
    await home.kill()
    container.answers = False
    await home.start()
    await home.settled()
    await home.until(lambda: home.spawner("anna").ready)
    assert container.alive
    lease = await home.lease_of("anna")
    assert (lease["ended_at"], lease["stop_requested_at"]) == (None, None)
    # Its owner can stop it.
    assert (await home.api("DELETE", "/users/anna/server")).status == 204
    await home.nothing_is_taken()


async def test_a_token_is_not_shown_where_the_engine_does_not_show_its_server(hub, monkeypatch):
    home, admin, container = await started(hub)
    await home.engine.move(container)

    async def nowhere(_found):
        return ""

    spawner = home.spawner("anna")
    monkeypatch.setattr(spawner, "find_address", nowhere)
    row = await listed(home, admin)
    assert (row["token"], row["ready"]) == (None, True)
    monkeypatch.undo()
    assert (await listed(home, admin))["token"]


async def test_a_token_is_not_shown_while_the_engine_is_away(hub):
    home, admin, container = await started(hub)
    async with home.engine.suffering(EngineIsAway()):
        row = await listed(home, admin)
        assert (row["token"], port_of(row["url"])) == (None, container.address[1])
    assert (await listed(home, admin))["token"]


async def test_an_address_that_cannot_be_read_leaves_the_old_one_and_kills_nothing(
    hub, monkeypatch
):
    home, _, container = await started(hub)
    before = container.address[1]
    await home.engine.move(container)

    async def breaks(_found):
        raise RuntimeError("no such network")

    monkeypatch.setattr(home.spawner("anna"), "find_address", breaks)
    assert await home.spawner("anna").poll() is None
    assert home.spawner("anna").server.port == before
    assert container.alive


async def test_one_hanging_notebook_does_not_keep_the_others_from_being_watched(hub, monkeypatch):
    """With an http_timeout of ten minutes, and an engine for which nobody can say alive."""
    monkeypatch.setattr(address, "CHECK_SECONDS", 60.0)

    def patient(c):
        c.Spawner.http_timeout = 600
        c.JupyterHub.init_spawners_timeout = 1

    home = await hub(patient)
    admin = await home.person("ada")
    for name in ("anna", "berta"):
        await home.person(name)
        assert (await home.start_server(name)).status == 201
    (hanging,) = home.engine.of_user("anna")
    await home.kill()
    hanging.answers = False
    await home.start()
    await home.until(lambda: home.context.settled)
    said = (await home.api("GET", "/gradient/servers", token=admin)).body
    assert said["settled"]
    rows = {row["user"]: row for row in said["servers"]}
    assert (rows["anna"]["settled"], rows["anna"]["pending"]) == (False, "check")
    assert (rows["berta"]["settled"], rows["berta"]["ready"]) == (True, True)
    assert rows["berta"]["token"]
    found = await home.context.ledger.aread(findings.list_findings, home.settings.hub_id)
    (finding,) = [one for one in found if one["kind"] == "still_checking"]
    assert "anna" in finding["why"]
    assert (await home.lease_of("anna"))["ended_at"] is None
