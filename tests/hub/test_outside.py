"""A server that another spawner started is shown as it is, and its owner may end it."""

import asyncio

import pytest
from home import plain
from jupyterhub.spawner import Spawner

from gradienthub.ledger import findings, outside
from gradienthub.rules.idleness import Reason
from gradienthub.spawners.local import GradientLocalSpawner


@pytest.fixture
async def outsider(hub, monkeypatch):
    """A hub with anna's server, as if the spawner before this one had started it."""
    home = await hub()
    await home.person("anna")
    assert (await home.start_server("anna", "free-t4")).status == 201
    await home.settled()
    spawner = home.spawner("anna")
    await home.context.ended(spawner.lease_id, Reason.LOST, None)
    await home.engine.clear()
    spawner.load_state({"object_id": "old-1"})
    stopped = asyncio.Event()

    async def poll(_self):
        return 0 if stopped.is_set() else None

    async def stop(_self, now=False):
        stopped.set()

    monkeypatch.setattr(Spawner, "poll", poll)
    monkeypatch.setattr(Spawner, "stop", stop)
    home.stopped = stopped
    return home


async def test_its_owner_sees_that_it_runs_outside_and_stops_it(outsider):
    home = outsider
    await home.settled()
    assert home.spawner("anna").active
    browser = await home.browser("anna")
    page = plain((await browser.get("/home")).text)
    assert "Runs outside" in page
    assert "it is not billed, and nothing stops it when idle" in page
    ledger, hub_id = home.context.ledger, home.settings.hub_id
    [row] = await ledger.aread(outside.list_outside, hub_id)
    assert (row["user_name"], row["server_name"]) == ("anna", "")
    [finding] = await ledger.aread(findings.list_findings, hub_id)
    assert finding["kind"] == "outside"
    said = await browser.post("/home", {"action": "stop", "server": "", "lease": ""})
    assert said.status == 303, said
    await home.until(lambda: not home.spawner("anna").active, "its end")
    await home.until(home.stopped.is_set, "the stop")
    await home.settled()
    assert await ledger.aread(outside.list_outside, hub_id) == []
    assert await ledger.aread(findings.list_findings, hub_id) == []


async def test_an_administrator_may_stop_it(outsider):
    assert (await outsider.api("DELETE", "/users/anna/server")).status in (202, 204)
    await outsider.until(outsider.stopped.is_set, "the stop")


async def test_what_another_kind_of_spawner_started_is_not_taken_for_dead(monkeypatch):
    """Its state says nothing to this spawner; but something answers where the hub says it is."""
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    spawner = GradientLocalSpawner()
    address = type("Address", (), {"ip": "127.0.0.1", "port": port})()
    monkeypatch.setattr(GradientLocalSpawner, "server", address)
    monkeypatch.setattr(GradientLocalSpawner, "_log_name", "anna")
    spawner.load_state({"unit_name": "jupyter-anna.service"})
    assert await spawner.poll() is None
    assert await spawner.poll() is None
    assert spawner.outside_id == "anna"
    await spawner.stop()  # cannot, and says so
    server.close()
    await server.wait_closed()
    assert await spawner.poll() == 0
    spawner.load_state({})
    assert await spawner.poll() == 0
