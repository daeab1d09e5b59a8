"""A device whose starts fail is offered to nobody, until an administrator puts it back."""

from home import HOSTS, T4

from gradienthub.hub import settle
from gradienthub.ledger import By, device_faults, findings
from gradienthub.testing import FailsAfterCreate, FailsAtCreate, LosesDevice

ONE = {"rack": HOSTS["rack"] | {"devices": [{"uuid": "GPU-t4-0", "model": T4}]}}


async def kinds(home):
    await settle.settle(home.app, home.context)
    rows = await home.context.ledger.aread(findings.list_findings, home.settings.hub_id)
    return [row["kind"] for row in rows]


async def put_back(home, uuid):
    return await home.context.ledger.awrite(
        device_faults.put_back, By(home.settings.hub_id, "ada", home.clock()), uuid
    )


async def test_after_two_failed_starts_a_device_is_out_of_rent_and_the_next_is_given(hub):
    home = await hub()
    await home.person("anna")
    lost = home.engine.suffer(LosesDevice("GPU-t4-0"))
    for _ in range(2):
        assert (await home.start_server("anna")).body["code"] == "start_failed"
    # The third has the other one.
    assert (await home.start_server("anna")).status == 201
    assert set(await home.devices_held()) == {"GPU-t4-1"}
    assert "device_out" in await kinds(home)
    home.engine.heal(lost)
    await home.api("DELETE", "/users/anna/server")
    assert await put_back(home, "GPU-t4-0")
    assert "device_out" not in await kinds(home)
    assert (await home.start_server("anna")).status == 201
    assert set(await home.devices_held()) == {"GPU-t4-0"}


async def test_where_none_is_left_people_are_told_that_none_is_there(hub):
    home = await hub(hosts=ONE)
    await home.person("anna")
    home.engine.suffer(LosesDevice())
    for _ in range(2):
        await home.start_server("anna")
    said = await home.start_server("anna")
    assert said.status in (503, 403), said
    assert "in use" not in said.message


async def test_one_failure_is_forgotten_by_a_start_that_answers(hub):
    home = await hub(hosts=ONE)
    await home.person("anna")
    for _ in range(3):
        async with home.engine.suffering(LosesDevice()):
            assert (await home.start_server("anna")).body["code"] == "start_failed"
        assert (await home.start_server("anna")).status == 201
        await home.api("DELETE", "/users/anna/server")
    assert "device_out" not in await kinds(home)


async def test_what_fails_for_another_reason_is_not_held_against_a_device(hub):
    home = await hub(hosts=ONE)
    await home.person("anna")
    for fault in (FailsAtCreate, FailsAtCreate, FailsAfterCreate, FailsAfterCreate):
        async with home.engine.suffering(fault()):
            assert (await home.start_server("anna")).body["code"] == "start_failed"
    assert (await home.start_server("anna")).status == 201


async def test_a_start_without_a_device_takes_none_out(hub):
    home = await hub()
    await home.person("anna")
    home.engine.suffer(LosesDevice())
    assert (await home.start_server("anna", "free-cpu")).status == 201
    assert "device_out" not in await kinds(home)
