"""The stage: first come, first served, and never more at once than the host is wide."""

import asyncio

import pytest

from gradienthub.spawners.stage import Stage, width_of


@pytest.fixture
def stage():
    return Stage()


async def in_line(stage, *names, host="rack", width=1):
    """Tasks that entered in this order, each waiting or on."""
    tasks = {}
    for name in names:
        tasks[name] = asyncio.create_task(stage.enter(host, name, width))
        await asyncio.sleep(0)
    return tasks


async def on(stage, tasks):
    """Who has a turn now, once everybody who was called has heard it."""
    await asyncio.sleep(0)
    return [name for name in tasks if stage.holds(name)]


@pytest.mark.parametrize(
    ("configured", "cores", "width"),
    [(None, None, 2), (None, 1, 2), (None, 2, 2), (None, 16, 16), (1, 16, 1), (5, None, 5)],
)
def test_a_host_is_as_wide_as_configured_or_as_it_has_cores(configured, cores, width):
    assert width_of(configured, cores) == width


async def test_a_turn_on_an_idle_host_is_given_at_once(stage):
    await asyncio.wait_for(stage.enter("rack", "a", 1), 20)
    assert stage.holds("a")


async def test_turns_are_given_in_the_order_of_coming(stage):
    tasks = await in_line(stage, *"abcde")
    seen = []
    for _ in range(5):
        (turn,) = [name for name in await on(stage, tasks) if name not in seen]
        seen.append(turn)
        stage.leave("rack", turn, 1)
    assert seen == list("abcde")
    assert await on(stage, tasks) == []


async def test_never_more_at_once_than_the_width(stage):
    tasks = await in_line(stage, *"abcde", width=2)
    assert await on(stage, tasks) == ["a", "b"]
    stage.leave("rack", "b", 2)
    assert await on(stage, tasks) == ["a", "c"]
    stage.leave("rack", "a", 2)
    stage.leave("rack", "c", 2)
    assert await on(stage, tasks) == ["d", "e"]


async def test_a_newcomer_does_not_pass_those_who_wait(stage):
    tasks = await in_line(stage, "a", "b")
    stage.leave("rack", "a", 1)
    late = await in_line(stage, "c")
    assert await on(stage, tasks | late) == ["b"]


async def test_a_wider_host_calls_several_at_once(stage):
    tasks = await in_line(stage, *"abcd")
    stage.leave("rack", "a", 3)
    assert await on(stage, tasks) == ["b", "c", "d"]


async def test_hosts_have_lines_of_their_own(stage):
    first = await in_line(stage, "a", "b", host="one")
    second = await in_line(stage, "c", "d", host="two")
    assert await on(stage, first | second) == ["a", "c"]


async def test_leaving_twice_or_without_a_turn_changes_nothing(stage):
    tasks = await in_line(stage, *"abc")
    stage.leave("rack", "a", 1)
    stage.leave("rack", "a", 1)
    stage.leave("rack", "nobody", 1)
    stage.leave("elsewhere", "a", 1)
    assert await on(stage, tasks) == ["b"]


async def test_who_gives_up_while_waiting_gives_the_place_to_the_next(stage):
    tasks = await in_line(stage, *"abc")
    tasks["b"].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks["b"]
    stage.leave("rack", "a", 1)
    assert await on(stage, tasks) == ["c"]


async def test_a_turn_that_comes_in_the_moment_of_giving_up_is_handed_on(stage):
    tasks = await in_line(stage, *"abc")
    stage.leave("rack", "a", 1)
    tasks["b"].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks["b"]
    assert await on(stage, tasks) == ["c"]


async def test_when_all_who_waited_gave_up_the_next_to_come_goes_on_at_once(stage):
    tasks = await in_line(stage, *"abc")
    for name in "bc":
        tasks[name].cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    stage.leave("rack", "a", 1)
    await asyncio.wait_for(stage.enter("rack", "d", 1), 20)
    assert stage.holds("d")
