"""What the hub finds wrong: repaired, and told in the ledger."""

import asyncio
from datetime import timedelta

import pytest

from gradienthub.hub import settle
from gradienthub.ledger import findings, leases
from gradienthub.rules.drift import Repair
from gradienthub.rules.idleness import Reason
from gradienthub.spawners.engine import EngineAway
from gradienthub.testing import EngineIsAway, SlowToStart, SlowToStop, WillNotStop


@pytest.fixture
async def home(hub):
    """A settled hub, whose own passes are so far apart that only the test's happen."""
    home = await hub(reconcile_interval=3600)
    await home.until(lambda: home.context.settled)
    return home


async def running(home, name="anna"):
    await home.person(name)
    await home.start_server(name)
    await home.until(lambda: home.spawner(name).ready)
    return (await home.lease_of(name))["id"]


async def told(home, **kwargs):
    return await home.context.ledger.aread(findings.list_findings, home.settings.hub_id, **kwargs)


async def end_elsewhere(home, lease_id):
    """As somebody else at the ledger would: another process, or a restored backup."""
    await home.context.ledger.awrite(leases.end, lease_id, home.clock(), Reason.LOST)


async def test_a_pass_that_finds_nothing_tells_nothing(home):
    await running(home)
    assert await settle.settle(home.app, home.context) == []
    assert await told(home, standing=False) == []


async def test_a_server_whose_lease_was_ended_elsewhere_is_stopped_through_the_hub(home):
    lease_id = await running(home)
    await end_elsewhere(home, lease_id)
    (finding,) = await settle.settle(home.app, home.context)
    assert (finding.repair, finding.lease_id) == (Repair.STOP_SERVER, lease_id)
    await home.nothing_is_taken()
    assert not [route for route in await home.app.proxy.get_all_routes() if "/user/" in route]
    assert (await home.lease_of("anna"))["reason"] == "lost"
    assert await settle.settle(home.app, home.context) == []
    assert (await home.start_server("anna")).status == 201


async def test_a_start_or_a_stop_on_its_way_is_not_taken_for_such_a_server(home):
    lease_id = await running(home)
    slow = home.engine.suffer(SlowToStop())
    stopping = asyncio.create_task(home.api("DELETE", "/users/anna/server"))
    await slow.reached()
    await end_elsewhere(home, lease_id)
    await home.person("berta")
    late = home.engine.suffer(SlowToStart("berta"))
    starting = asyncio.create_task(home.start_server("berta"))
    await late.reached()
    assert await settle.settle(home.app, home.context) == []
    home.engine.heal(slow)
    home.engine.heal(late)
    await stopping
    assert (await starting).status == 201
    await home.until(lambda: home.spawner("berta").ready)
    assert home.spawner("berta").active


async def test_a_lease_that_is_taken_while_a_pass_reads_the_ledger_is_not_stopped(home):
    """The pass has read the open leases, and a whole start happens before it asks the hub."""
    census = home.engine.census

    async def after_a_start():
        home.engine.census = census
        await running(home)
        return await census()

    home.engine.census = after_a_start
    assert await settle.settle(home.app, home.context) == []
    assert home.spawner("anna").active


async def test_what_was_repaired_is_told_once_as_mended(home):
    lease_id = await running(home)
    await end_elsewhere(home, lease_id)
    await settle.settle(home.app, home.context)
    assert await told(home) == []
    (row,) = await told(home, standing=False)
    assert (row["source"], row["kind"], row["lease_id"], row["times"]) == (
        "hub",
        "stop_server",
        lease_id,
        1,
    )
    assert (row["why"], row["repair"]) == (
        "the hub calls it running, but its lease is ended",
        "stop the server",
    )
    assert row["first_at"] == row["mended_at"] == home.clock()
    await settle.settle(home.app, home.context)
    assert len(await told(home, standing=False)) == 1


async def test_what_cannot_be_repaired_yet_stands_and_is_counted_until_it_is(home, clock):
    lease_id = await running(home)
    fault = home.engine.suffer(WillNotStop())
    await home.api("DELETE", "/users/anna/server")
    for _ in range(3):
        clock.advance(minutes=1)
        await settle.settle(home.app, home.context)
    (row,) = await told(home)
    assert (row["kind"], row["lease_id"], row["mended_at"]) == ("end_both", lease_id, None)
    assert row["last_at"] - row["first_at"] == timedelta(minutes=2)
    times = row["times"]
    home.engine.heal(fault)
    await settle.settle(home.app, home.context)
    assert await told(home) == []
    (row,) = await told(home, standing=False)
    assert row["mended_at"] == clock()
    assert row["times"] == times + 1
    await home.nothing_is_taken()


async def test_an_engine_that_is_away_is_a_finding_while_it_lasts_and_mends_no_other(home):
    await running(home)
    stuck = home.engine.suffer(WillNotStop())
    await home.api("DELETE", "/users/anna/server")
    await settle.settle(home.app, home.context)
    async with home.engine.suffering(EngineIsAway()):
        for _ in range(2):
            with pytest.raises(EngineAway):
                await settle.settle(home.app, home.context)
        assert {(row["source"], row["kind"]): row["times"] for row in await told(home)} == {
            ("engine", "engine_away"): 2,
            ("hub", "end_both"): 2,
        }
        (away, _) = await told(home)
        assert away["why"] == "the fake engine is away"
    await settle.settle(home.app, home.context)
    assert [row["kind"] for row in await told(home)] == ["end_both"]
    home.engine.heal(stuck)
    await settle.settle(home.app, home.context)
    assert await told(home) == []


async def test_the_loop_tells_of_an_engine_that_is_away_when_the_hub_starts(hub):
    home = await hub()
    await running(home)
    fault = home.engine.suffer(EngineIsAway())
    await home.kill_and_start()
    await fault.reached()

    async def is_told():
        return [row["kind"] for row in await told(home)] == ["engine_away"]

    await home.until(is_told, "the finding")
    home.engine.heal(fault)
    await home.settled()
    assert await told(home) == []
    assert home.spawner("anna").active
