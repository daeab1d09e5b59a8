"""Time in which nobody could reach a notebook is a gap, whatever hub and keeper did meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from home import Home
from keeper import Keeping

from gradienthub.ledger import findings, gaps, verify
from gradienthub.rules.use import Answer
from gradienthub.testing import EngineIsAway


@pytest.fixture
async def keeping(hub: Callable[..., Awaitable[Home]]) -> Any:
    """A hub, its keeper, and anna's paid notebook."""
    made: list[Keeping] = []

    async def make() -> tuple[Home, Keeping, Any, str]:
        home = await hub(keeper=True)
        await home.settled()
        keeper = Keeping(home)
        made.append(keeper)
        await home.person("anna", "pro", pays=True)
        assert (await home.start_server("anna", "t4", shutdown_after="6h")).status == 201
        (container,) = home.engine.objects.values()
        await keeper.one_pass()
        return home, keeper, container, container.lease.id

    yield make
    for keeper in made:
        await keeper.close()


async def gaps_of(home, lease):
    found = await home.context.ledger.aread(gaps.list_gaps, [lease])
    return [(start, end) for start, end in found.get(lease, ())]


async def adds_up(home):
    proved = await home.context.ledger.aread(
        verify.verify_money, hub_id=home.settings.hub_id, now=home.clock()
    )
    assert proved.faults == ()


def falls_silent(keeper, container):
    """It answers nobody: its use cannot be told, and no server is at its address."""
    container.answers = False
    keeper.says.default = None


def answers_again(keeper, container):
    container.answers = True
    keeper.says.default = Answer()


async def test_a_notebook_that_hangs_is_a_gap_from_its_last_answer_to_its_next(keeping):
    home, keeper, container, lease = await keeping()
    await keeper.one_pass(minutes=2)
    last = home.clock()
    falls_silent(keeper, container)
    await keeper.one_pass(minutes=1)
    assert await gaps_of(home, lease) == [(last, None)]
    await keeper.one_pass(minutes=5)
    assert "unreachable" in await keeper.findings()
    answers_again(keeper, container)
    await keeper.one_pass(minutes=4)
    again = home.clock()
    assert await gaps_of(home, lease) == [(last, again)]
    assert "unreachable" not in await keeper.findings()
    await keeper.one_pass(minutes=3)
    assert await gaps_of(home, lease) == [(last, again)]
    await home.api("DELETE", "/users/anna/server")
    await adds_up(home)


async def test_a_notebook_whose_use_cannot_be_told_but_that_answers_has_no_gap(keeping):
    home, keeper, _, lease = await keeping()
    keeper.silent("anna")
    await keeper.one_pass(minutes=5)
    assert await gaps_of(home, lease) == []


async def test_another_server_at_its_address_does_not_count_as_reached(keeping):
    home, keeper, container, lease = await keeping()
    keeper.says.default = None
    container.env["JUPYTERHUB_SERVICE_PREFIX"] = "/user/eve/"
    await keeper.one_pass(minutes=1)
    assert [end for _, end in await gaps_of(home, lease)] == [None]


async def test_a_container_that_was_restarted_between_two_passes_has_no_gap(keeping):
    home, keeper, container, lease = await keeping()
    await home.engine.move(container)
    await keeper.one_pass(seconds=30)
    assert await gaps_of(home, lease) == []
    assert keeper.says.asked[-1].url == home.spawner("anna").server.url


async def test_a_hub_and_a_keeper_that_restart_meanwhile_change_nothing(keeping, hub):
    home, keeper, container, lease = await keeping()
    last = home.clock()
    falls_silent(keeper, container)
    await keeper.one_pass(minutes=1)
    await keeper.close()
    await home.kill_and_start()
    await home.settled()
    home.clock.advance(minutes=7)
    second = Keeping(home)
    second.watch.gone = keeper.watch.me
    try:
        falls_silent(second, container)
        await second.one_pass()
        answers_again(second, container)
        await second.one_pass(minutes=1)
        assert await gaps_of(home, lease) == [(last, home.clock())]
    finally:
        await second.close()


async def test_an_engine_that_is_away_is_no_gap_where_notebooks_go_on(keeping):
    home, keeper, _, lease = await keeping()
    asked = len(keeper.says.asked)
    async with home.engine.suffering(EngineIsAway()):
        await keeper.one_pass(minutes=5)
    # Nobody could say whose address it is, so that no token was shown there.
    assert len(keeper.says.asked) == asked
    assert await gaps_of(home, lease) == []


async def test_the_owner_is_told_since_when_it_cannot_be_reached(keeping):
    home, keeper, container, _ = await keeping()
    falls_silent(keeper, container)
    await keeper.one_pass(minutes=2)
    browser = await home.browser("anna")
    page = await browser.get("/home")
    assert "not reachable since" in page.text.lower()
    assert "not charged" in page.text


async def test_who_hides_from_the_hub_and_works_is_charged(keeping):
    """Its owner let it answer nobody who shows no token, and had the machine for nothing."""
    home, keeper, container, lease = await keeping()
    container.cpu_seconds = 1.0
    await keeper.one_pass(minutes=2)
    falls_silent(keeper, container)
    for _ in range(5):
        container.cpu_seconds += 60.0
        await keeper.one_pass(minutes=1)
        await asyncio.sleep(0)
    last = (await gaps_of(home, lease))[-1:]
    assert all(end is not None and end - start <= timedelta(minutes=1) for start, end in last)
    (why,) = [
        row["why"]
        for row in await home.context.ledger.aread(findings.list_findings, home.settings.hub_id)
        if row["kind"] == "unreachable"
    ]
    assert "its machine works; this time is charged" in why
    # When its work is over, what is left is free again.
    for _ in range(4):
        await keeper.one_pass(minutes=1)
        await asyncio.sleep(0)
    assert (await gaps_of(home, lease))[-1][1] is None
    await home.api("DELETE", "/users/anna/server")
    await adds_up(home)


async def test_a_loaded_gpu_is_work_too(keeping):
    home, keeper, container, lease = await keeping()
    falls_silent(keeper, container)
    keeper.gpu = {container.lease.devices[0]: 90.0}
    for _ in range(3):
        await keeper.one_pass(minutes=1)
    assert await gaps_of(home, lease) == []
