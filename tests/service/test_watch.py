"""The keeper over a real hub: who is kept, warned and stopped, and what each bad day does to it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from home import RUNTIMES, Home
from keeper import Keeping

from gradienthub.ledger import By, LedgerAway
from gradienthub.ledger.watches import Watched, extend_lease
from gradienthub.rules.idleness import Reason, Warn
from gradienthub.rules.refusal import Refused
from gradienthub.rules.use import Answer, Effort
from gradienthub.service.hub_client import HubClient, HubServer, Stopped
from gradienthub.service.lookout import _with_load, update
from gradienthub.spawners.context import HubContext
from gradienthub.views.lease_view import watched_view
from gradienthub.views.messages import warning_message

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
Make = Callable[..., Awaitable[tuple[Home, Keeping]]]


@pytest.fixture
async def keeping(hub: Callable[..., Awaitable[Home]]) -> AsyncIterator[Make]:
    """A factory of a hub and a keeper of it, with bob's notebook running."""
    made: list[Keeping] = []

    async def make(**traits: Any) -> tuple[Home, Keeping]:
        home = await hub(keeper=True, **traits)
        await home.settled()
        keeper = Keeping(home)
        made.append(keeper)
        await home.person("bob", "pro")
        assert (await home.start_server("bob")).status == 201
        return home, keeper

    yield make
    for keeper in made:
        await keeper.close()


async def state(home: Home, name: str = "bob", server: str = "") -> dict[str, Any]:
    lease = await home.lease_of(name, server)
    assert lease is not None
    return lease


async def test_an_idle_notebook_is_warned_three_times_and_stopped_at_its_interval(keeping):
    home, keeper = await keeping()
    began = (await state(home))["answered_at"]
    await keeper.passes(HOUR + MINUTE)
    lease = await state(home)
    assert lease["reason"] == "idle"
    assert lease["stopped_by"] == "keeper"
    late = lease["stop_requested_at"] - began - HOUR
    assert timedelta(0) <= late <= timedelta(seconds=30)
    assert lease["used_at"] == began
    assert lease["used_by"] == "start"
    why = f"idle for 1 h, not used since its start {began:%H:%M} UTC on {began.day} Nov"
    assert lease["stop_note"] == why
    assert [row["detail"]["note"] for row in await keeper.audit("stop")] == [why]
    token = await home.person("bob")
    seen = (await home.api("GET", "/gradient/users/bob/servers/", token=token)).body
    assert (seen["reason"], seen["reason_short"], seen["reason_why"]) == ("idle", "idle", why)
    assert seen["reason_cure"] == "Its files are kept; start it again."
    page = await (await home.browser("bob")).get("/home")
    assert "idle for 1 h, not used since its start" in page.text
    assert "Reason given" not in page.text
    assert [word for _, word in keeper.told] == ["warn", "warn", "warn", "stop"]
    assert len(await keeper.audit("warn")) == 3
    await home.nothing_is_taken()


async def test_the_audit_keeps_all_or_as_many_days_as_the_settings_say(keeping):
    home, keeper = await keeping()
    await home.api("DELETE", "/users/bob/server")
    await keeper.passes(2 * HOUR)
    home.clock.advance(days=400)
    for _ in range(30):
        await keeper.one_pass(seconds=30)
    assert {"start", "stop"} <= {row["action"] for row in await keeper.audit()}


async def test_the_keeper_prunes_the_audit_but_not_what_the_money_needs(keeping):
    home, keeper = await keeping(audit_days=30)
    await home.api("DELETE", "/users/bob/server")
    await keeper.one_pass(days=29)
    assert {"start", "stop"} <= {row["action"] for row in await keeper.audit()}
    await keeper.one_pass(days=2)
    left = {row["action"] for row in await keeper.audit()}
    assert "stop" not in left and {"start", "tier"} <= left


async def test_a_clock_that_was_just_set_prunes_nothing(keeping):
    home, keeper = await keeping(audit_days=30)
    await home.api("DELETE", "/users/bob/server")
    await keeper.one_pass()
    home.clock.advance(days=400)
    keeper.monotonic_drift += timedelta(days=400)
    await keeper.one_pass()
    assert "stop" in {row["action"] for row in await keeper.audit()}


async def test_a_busy_kernel_outlives_its_interval_however_silent_it_is(keeping):
    home, keeper = await keeping()
    keeper.used("bob", busy=("sweep.ipynb",))
    await keeper.passes(5 * HOUR, 10 * MINUTE)
    assert (await state(home))["ended_at"] is None
    assert keeper.told == []
    keeper.used("bob")
    fell_idle = home.clock()
    await keeper.passes(HOUR + MINUTE)
    lease = await state(home)
    assert lease["reason"] == "idle"
    assert lease["used_by"] == "kernel"
    assert abs(lease["used_at"] - fell_idle) <= 10 * MINUTE


async def test_a_session_limit_ends_a_busy_notebook_after_its_warnings(keeping):
    home, keeper = await keeping()
    await home.person("eve", "free")
    assert (await home.start_server("eve")).status == 201
    keeper.used("eve", busy=("a",))
    ends = (await state(home, "eve"))["session_ends_at"]
    await keeper.passes(ends - home.clock() - 20 * MINUTE, HOUR)
    await keeper.passes(21 * MINUTE)
    lease = await state(home, "eve")
    assert lease["reason"] == "session_limit"
    assert timedelta(0) <= lease["stop_requested_at"] - ends <= timedelta(seconds=30)
    warned = [row["detail"]["reason"] for row in await keeper.audit("warn")]
    assert warned.count("session_limit") == 3


async def test_extend_moves_the_stop_and_the_next_warnings(keeping):
    home, keeper = await keeping()
    await keeper.passes(HOUR - 10 * MINUTE)
    assert len(keeper.told) == 1
    lease_id = (await state(home))["id"]
    given = await home.context.ledger.awrite(
        extend_lease,
        lease_id,
        By(home.settings.hub_id, "bob", home.clock()),
        tiers=home.settings.house.tiers,
        grace=MINUTE,
    )
    assert not isinstance(given, Refused)
    extended = home.clock()
    await keeper.passes(HOUR - 2 * MINUTE)
    assert (await state(home))["ended_at"] is None
    assert [word for _, word in keeper.told] == ["warn", "warn", "warn"]
    await keeper.passes(3 * MINUTE)
    lease = await state(home)
    assert lease["reason"] == "idle"
    assert timedelta(0) <= lease["stop_requested_at"] - extended - HOUR <= MINUTE
    assert len(await keeper.audit("extend")) == 1


@pytest.mark.parametrize("interval", [1, 5, 30, 600])
async def test_a_stop_comes_within_a_second_of_its_time_whatever_the_interval(keeping, interval):
    """An idle notebook stopped up to two passes late: its end met a later pass by milliseconds."""
    home, keeper = await keeping(keeper_interval=interval)
    began = (await state(home))["answered_at"]
    home.clock.advance(hours=1, seconds=-75)
    while (await state(home))["stop_requested_at"] is None:
        await keeper.loop_once()
        assert home.clock() - began < HOUR + 11 * MINUTE
    lease = await state(home)
    assert lease["reason"] == "idle"
    told = datetime.fromisoformat((await keeper.audit("warn"))[0]["detail"]["stops_at"])
    assert timedelta(0) <= lease["stop_requested_at"] - told <= timedelta(seconds=1)
    assert told - began - HOUR <= timedelta(seconds=interval)


async def test_two_ends_between_two_passes_are_both_met(keeping):
    home, keeper = await keeping(keeper_interval=600)
    await home.person("eve", "free")
    home.clock.advance(seconds=90)
    assert (await home.start_server("eve")).status == 201
    ends = (await state(home, "eve"))["session_ends_at"]
    home.clock.advance(seconds=(ends - home.clock()).total_seconds() - 700)
    keeper.used("eve", busy=("a",))
    keeper.used("bob", busy=("b",))
    await keeper.loop_once()
    await keeper.loop_once()
    late = (await state(home, "eve"))["stop_requested_at"] - ends
    assert timedelta(0) <= late <= timedelta(seconds=1)
    assert (await state(home))["stop_requested_at"] is None


async def test_extend_pressed_while_a_stop_waits_for_its_turn_is_kept(keeping):
    home, keeper = await keeping()
    await keeper.passes(HOUR - 30 * timedelta(seconds=1))
    for _ in range(20):
        await keeper.watch.stops.turns.acquire()
    home.clock.advance(seconds=30)
    await keeper.watch.safe_pass()
    assert len(keeper.watch.stops.tasks) == 1
    given = await home.context.ledger.awrite(
        extend_lease,
        (await state(home))["id"],
        By(home.settings.hub_id, "bob", home.clock()),
        tiers=home.settings.house.tiers,
        grace=MINUTE,
    )
    assert not isinstance(given, Refused)
    for _ in range(20):
        keeper.watch.stops.turns.release()
    await asyncio.gather(*keeper.watch.stops.tasks.values())
    assert (await state(home))["stop_requested_at"] is None


async def test_a_notebook_whose_use_cannot_be_read_is_warned_and_stopped_after_three_intervals(
    keeping,
):
    """It ran on to a hard end, which paid tiers do not have."""
    home, keeper = await keeping()
    await keeper.one_pass(seconds=30)
    lost = home.clock() + timedelta(seconds=30)
    keeper.silent("bob")
    await keeper.passes(MINUTE)
    await keeper.passes(2 * HOUR + 30 * MINUTE, 10 * MINUTE)
    await keeper.passes(28 * MINUTE)
    lease = await state(home)
    assert lease["stop_requested_at"] is None
    assert [word for _, word in keeper.told] == ["warn", "warn"]
    assert await keeper.findings() == ["blind"]
    seen = watched_view(
        await keeper.watched(lease["id"]),
        home.settings.house.catalog,
        home.settings.house.tiers,
        MINUTE,
        home.clock(),
    )
    assert seen.stop_reason == "unknown_use"
    assert f"could not be read since {lost:%H:%M} UTC" in seen.warning.why
    await keeper.passes(2 * MINUTE)
    lease = await state(home)
    assert lease["reason"] == "unknown_use"
    assert timedelta(0) <= lease["stop_requested_at"] - lost - 3 * HOUR <= timedelta(seconds=30)
    assert [word for _, word in keeper.told] == ["warn", "warn", "warn", "stop"]


@pytest.mark.parametrize("never", [0, None])
async def test_unknown_use_has_no_end_where_the_deployer_says_so(keeping, never):
    home, keeper = await keeping(unknown_intervals=never)
    await keeper.one_pass()
    keeper.silent("bob")
    await keeper.passes(9 * HOUR, 10 * MINUTE)
    assert (await state(home))["stop_requested_at"] is None
    assert await keeper.findings() == ["blind"]
    assert keeper.told == []


async def test_a_keeper_that_begins_anew_keeps_the_clock_of_unknown_use(keeping):
    home, keeper = await keeping()
    keeper.silent("bob")
    await keeper.passes(2 * HOUR, 10 * MINUTE)
    await keeper.close()
    second = Keeping(home)
    second.says = second.watch.lookout.asker = keeper.says
    try:
        await second.passes(HOUR + 12 * MINUTE, MINUTE)
    finally:
        await second.close()
    assert (await state(home))["reason"] == "unknown_use"


@pytest.mark.parametrize("counts", [True, False])
async def test_requests_are_asked_for_where_the_runtime_says_that_they_count(keeping, counts):
    python = {"title": "Python 3", "image": "acme/python:1", "counts_requests": counts}
    home, keeper = await keeping(runtimes=RUNTIMES | {"python": python})
    await keeper.passes(HOUR - 10 * MINUTE, 10 * MINUTE)
    assert {address.counts_requests for address in keeper.says.asked} == {counts}
    lease = await state(home)
    seen = watched_view(
        await keeper.watched(lease["id"]),
        home.settings.house.catalog,
        home.settings.house.tiers,
        MINUTE,
        home.clock(),
    )
    assert seen.counts_requests is counts
    assert seen.warning.why == "idle for 1 h" + (", without a request to it" if counts else "")
    _, body = warning_message(
        seen, Warn(Reason.IDLE, seen.warning.stops_at, 15 * MINUTE, seen.warning.why)
    )
    assert ("an open tab keeps it running" in body) is counts


async def works(home: Home, keeper: Keeping, cpu_each_pass: float, span: timedelta) -> None:
    """Pass after pass with so many seconds of CPU time between each two."""
    end = home.clock() + span
    while home.clock() < end and home.engine.of_user("bob"):
        (found,) = home.engine.of_user("bob")
        found.cpu_seconds = (found.cpu_seconds or 1.0) + cpu_each_pass
        await keeper.one_pass(seconds=60)
        await asyncio.sleep(0)


async def test_a_cell_that_waits_for_input_is_warned_and_stopped_after_three_intervals(keeping):
    """It was busy for ever, with its GPU."""
    home, keeper = await keeping()
    keeper.used("bob", busy=("ask.ipynb",))
    began = home.clock()
    await works(home, keeper, 0.2, 3 * HOUR - 2 * MINUTE)
    lease = await state(home)
    assert lease["stop_requested_at"] is None
    assert await keeper.findings() == ["no_work"]
    seen = watched_view(
        await keeper.watched(lease["id"]),
        home.settings.house.catalog,
        home.settings.house.tiers,
        MINUTE,
        home.clock(),
    )
    assert seen.stop_reason == "no_work"
    assert "without work for 2 h" in seen.keeps_alive[0]
    assert 0 < seen.cpu_load < 1
    await works(home, keeper, 0.2, 6 * MINUTE)
    lease = await state(home)
    assert lease["reason"] == "no_work"
    assert 3 * HOUR <= lease["stop_requested_at"] - began <= 3 * HOUR + 3 * MINUTE
    assert [word for _, word in keeper.told] == ["warn", "warn", "warn", "stop"]


async def test_a_busy_loop_is_work_and_goes_on(keeping):
    home, keeper = await keeping()
    keeper.used("bob", busy=("loop.ipynb",))
    await works(home, keeper, 60.0, 5 * HOUR)
    assert (await state(home))["stop_requested_at"] is None
    assert keeper.told == []
    assert await keeper.findings() == []


async def test_work_on_the_gpu_alone_is_work(keeping):
    home, keeper = await keeping()
    keeper.used("bob", busy=("train.ipynb",))
    keeper.gpu = {next(iter(await home.devices_held())): 40.0}
    await works(home, keeper, 0.1, 4 * HOUR)
    assert (await state(home))["stop_requested_at"] is None


async def test_each_gpu_that_cannot_be_told_is_unknown_by_itself(keeping):
    """A lease of a GPU by its CDI name and of a MIG slice, which has no load of its own."""
    home, keeper = await keeping(busy_gpu_percent=20)
    one = await keeper.watched((await state(home))["id"])
    devices = ("nvidia.com/gpu=GPU-1", "MIG-2", "GPU-lost")
    one = replace(one, lease=replace(one.lease, devices=devices))
    policy = home.settings.policy

    answer = Answer()

    def load(**loads: float) -> Watched:
        given = {name.replace("_", "-"): load for name, load in loads.items()}
        return update(one, answer, _with_load(Effort(), one, given), policy, home.clock())

    assert load(GPU_1=70.0).evidence.busy == ("GPU 70 %",)
    assert load(GPU_1=3.0, GPU_other=99.0).evidence.busy == ()
    assert load(GPU_other=99.0).gpu_load is None
    assert load().evidence.unknown_since is None
    # What counts as busy is work, also below work_percent.
    busy = replace(one.evidence, busy=("a",), worked_at=home.clock() - HOUR)
    one, answer = replace(one, evidence=busy), Answer(busy=("a",))
    policy = policy.model_copy(update={"busy_gpu_percent": 2})
    assert load(GPU_1=3.0).evidence.worked_at == home.clock()
    assert load(GPU_1=1.0).evidence.worked_at == home.clock() - HOUR


async def test_busy_is_busy_where_no_engine_tells_cpu_time_or_the_deployer_says_so(keeping):
    home, keeper = await keeping()
    keeper.used("bob", busy=("ask.ipynb",))
    await keeper.passes(9 * HOUR, 10 * MINUTE)
    assert (await state(home))["stop_requested_at"] is None
    assert keeper.told == []


@pytest.mark.parametrize("never", [0, None])
async def test_no_work_has_no_end_where_the_deployer_says_so(keeping, never):
    home, keeper = await keeping(no_work_intervals=never)
    keeper.used("bob", busy=("ask.ipynb",))
    await works(home, keeper, 0.2, 4 * HOUR)
    assert (await state(home))["stop_requested_at"] is None
    assert await keeper.findings() == ["no_work"]


async def test_a_silent_job_keeps_a_notebook_where_cpu_time_counts(keeping):
    home, keeper = await keeping(busy_cpu_percent=50)
    await works(home, keeper, 50.0, 3 * HOUR)
    lease = await state(home)
    assert lease["stop_requested_at"] is None
    assert (await keeper.watched(lease["id"])).evidence.busy == ("CPU 83 %",)
    await works(home, keeper, 0.2, HOUR + 3 * MINUTE)
    assert (await state(home))["reason"] == "idle"


async def test_unknown_use_is_not_idle_and_becomes_a_finding(keeping):
    home, keeper = await keeping()
    await keeper.one_pass()
    keeper.silent("bob")
    await keeper.passes(2 * HOUR, 5 * MINUTE)
    assert (await state(home))["ended_at"] is None
    assert await keeper.findings() == ["blind"]
    keeper.used("bob")
    await keeper.one_pass(seconds=30)
    assert await keeper.findings() == []


async def test_a_keeper_that_was_away_moves_no_deadline_and_warns_before_it_stops(keeping):
    home, keeper = await keeping()
    await keeper.one_pass()
    began = (await state(home))["answered_at"]
    await keeper.close()
    home.clock.advance(hours=3)
    second = Keeping(home)
    try:
        await second.one_pass()
        assert second.told == [("Default notebook", "warn")]
        assert (await state(home))["ended_at"] is None
        await second.passes(2 * MINUTE)
    finally:
        await second.close()
    lease = await state(home)
    assert lease["reason"] == "idle"
    assert lease["used_at"] == began
    assert lease["stop_requested_at"] - began <= 3 * HOUR + 90 * timedelta(seconds=1)


async def test_a_keeper_killed_in_between_stops_at_the_same_wall_clock_time(keeping):
    home, keeper = await keeping()
    began = (await state(home))["answered_at"]
    await keeper.passes(HOUR - 3 * MINUTE)
    # Killed: it says nothing to anybody. Its row stays, and the next one knows that it is dead.
    second = Keeping(home)
    second.watch.gone = keeper.watch.me
    try:
        await second.passes(4 * MINUTE)
    finally:
        await second.close()
    late = (await state(home))["stop_requested_at"] - began - HOUR
    assert timedelta(0) <= late <= timedelta(seconds=30)
    assert [word for _, word in keeper.told + second.told] == ["warn", "warn", "warn", "stop"]


async def test_of_two_keepers_one_acts_and_the_other_takes_over(keeping):
    home, keeper = await keeping()
    await keeper.one_pass()
    second = Keeping(home)
    try:
        assert (await second.one_pass()).trouble == "waiting"
        assert not second.context.acting
        assert (await keeper.one_pass(seconds=30)).trouble == ""
        # The first is heard no more: its turn runs out.
        assert (await second.one_pass(seconds=120)).trouble == ""
        assert (await keeper.one_pass()).trouble == "waiting"
    finally:
        await second.close()


async def test_nothing_is_concluded_while_the_hub_is_not_settled(keeping):
    home, keeper = await keeping()
    await keeper.one_pass()
    HubContext.of(home.config).settled = False
    home.clock.advance(hours=9)
    assert (await keeper.one_pass()).trouble == "hub_not_settled"
    assert keeper.told == []


async def test_a_dry_run_writes_down_what_it_would_stop_and_stops_nothing(keeping):
    home, keeper = await keeping(keeper_dry_run=True)
    began = (await state(home))["answered_at"]
    await keeper.passes(3 * HOUR, 10 * MINUTE)
    lease = await state(home)
    assert lease["ended_at"] is None
    assert keeper.told == []
    assert len(await keeper.audit("would_stop")) == 1
    would = (await keeper.watched(lease["id"])).would_stop_at
    assert would - began == HOUR
    keeper.used("bob")
    await keeper.one_pass(seconds=30)
    assert (await keeper.watched(lease["id"])).would_stop_at is None


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_clock_set_by_an_hour_stops_nothing_before_its_time(keeping, hours):
    home, keeper = await keeping()
    await keeper.passes(30 * MINUTE)
    home.clock.advance(hours=hours)
    keeper.monotonic_drift = timedelta(hours=hours)
    await keeper.passes(29 * MINUTE)
    assert (await state(home))["ended_at"] is None
    assert [word for _, word in keeper.told][-1:] in (["warn"], [])
    await keeper.passes(3 * MINUTE)
    assert (await state(home))["reason"] == "idle"


async def test_a_clock_that_was_set_is_a_finding_and_nothing_is_stopped_at_once(keeping):
    home, keeper = await keeping()
    await home.person("eve", "free")
    assert (await home.start_server("eve")).status == 201
    await keeper.one_pass()
    home.clock.advance(hours=13)
    keeper.monotonic_drift = timedelta(hours=13)
    await keeper.one_pass()
    assert await keeper.findings() == ["clock_set"]
    assert (await state(home, "eve"))["ended_at"] is None
    await keeper.passes(2 * MINUTE)
    assert (await state(home, "eve"))["reason"] == "session_limit"
    assert await keeper.findings() == []


async def test_a_loaded_gpu_keeps_a_notebook_where_that_is_wished(keeping):
    home, keeper = await keeping(busy_gpu_percent=20)
    device = next(iter(await home.devices_held()))
    keeper.gpu = {device: 93.0}
    await keeper.passes(3 * HOUR, 10 * MINUTE)
    lease = await state(home)
    assert lease["ended_at"] is None
    seen = await keeper.watched(lease["id"])
    assert seen.gpu_load == 93.0
    assert seen.evidence.busy == ("GPU 93 %",)
    keeper.gpu = {device: 3.0}
    await keeper.passes(HOUR + 2 * MINUTE)
    assert (await state(home))["reason"] == "idle"


async def test_work_that_begins_while_a_stop_waits_for_its_turn_is_not_stopped(keeping):
    home, keeper = await keeping()
    await keeper.passes(HOUR - 30 * timedelta(seconds=1))
    for _ in range(20):
        await keeper.watch.stops.turns.acquire()
    home.clock.advance(seconds=30)
    await keeper.watch.safe_pass()
    assert len(keeper.watch.stops.tasks) == 1
    home.clock.advance(minutes=3)
    keeper.used("bob", busy=("late.ipynb",))
    for _ in range(20):
        keeper.watch.stops.turns.release()
    await asyncio.gather(*keeper.watch.stops.tasks.values())
    assert (await state(home))["stop_requested_at"] is None


async def test_a_server_started_anew_between_look_and_stop_runs_on(keeping):
    home, keeper = await keeping()
    old = (await keeper.hub.view()).servers[0]
    assert (await home.api("DELETE", "/users/bob/server")).status in (202, 204)
    await home.until(lambda: not home.spawner("bob").active)
    home.clock.advance(seconds=1)
    assert (await home.start_server("bob")).status == 201
    done = await keeper.hub.stop(old, Reason.IDLE)
    assert done.outcome == "moot"
    assert "started anew" in done.why
    assert (await state(home))["stop_requested_at"] is None


async def test_a_server_deleted_or_renamed_between_look_and_stop_harms_nobody(keeping):
    home, keeper = await keeping()
    assert (await home.start_server("bob", "free-cpu", "second")).status == 201
    old = next(s for s in (await keeper.hub.view()).servers if s.server == "second")
    assert (await home.api("DELETE", "/users/bob/servers/second")).status in (202, 204)
    await home.until(lambda: not home.spawner("bob", "second").active)
    renamed = await home.api("PATCH", "/users/bob/servers/second", {"name": "third"})
    assert renamed.status == 200, renamed
    home.clock.advance(seconds=1)
    assert (await home.start_server("bob", "free-cpu", "third")).status == 201
    assert (await keeper.hub.stop(old, Reason.IDLE)).outcome == "moot"
    assert (await home.api("DELETE", "/users/bob/server", {"remove": False})).status in (202, 204)
    assert len((await keeper.hub.view()).servers) == 1


async def test_an_engine_that_will_not_stop_is_a_finding(keeping):
    home, keeper = await keeping()
    await keeper.passes(HOUR - MINUTE)

    async def fails(server: HubServer, reason: Any, why: str) -> Stopped:
        return Stopped("failed", "the hub answered 500")

    real, keeper.hub.stop = keeper.hub.stop, fails
    await keeper.passes(4 * MINUTE)
    assert await keeper.findings() == ["will_not_stop"]
    keeper.hub.stop = real
    await keeper.passes(MINUTE)
    assert (await state(home))["reason"] == "idle"
    assert await keeper.findings() == []


async def test_a_notebook_is_asked_with_its_own_token_which_only_the_keeper_is_told(keeping):
    home, keeper = await keeping()
    await keeper.one_pass()
    assert {address.token for address in keeper.says.asked} == {home.spawner("bob").api_token}
    said = await home.api("GET", "/gradient/servers")
    assert said.status == 200
    assert "token" not in said.body["servers"][0]
    view = await keeper.hub.view()
    assert home.spawner("bob").api_token not in repr(view)


async def test_only_the_keeper_may_give_a_reason(keeping):
    home, _ = await keeping()
    token = await home.person("bob")
    body = {"reason": "budget", "why": "fun\nwith\x00lines"}
    said = await home.api("DELETE", "/users/bob/server", body, token=token)
    assert said.status in (202, 204), said
    lease = await state(home)
    assert lease["reason"] == "user"
    assert lease["stop_note"] == "fun with lines"


@pytest.mark.parametrize("body", [[1], {"reason": "because"}, {"lease": 7}, {"why": "x" * 401}])
async def test_a_senseless_stop_is_refused_in_words_and_stops_nothing(keeping, body):
    home, _ = await keeping()
    said = await home.api("DELETE", "/users/bob/server", body)
    assert said.status == 400
    assert said.body["code"] == "bad_body"
    assert (await state(home))["stop_requested_at"] is None


async def test_the_ledger_away_decides_nothing_and_the_loop_goes_on(keeping, monkeypatch):
    _, keeper = await keeping()
    await keeper.one_pass()

    async def away(*args: Any, **kwargs: Any) -> Any:
        raise LedgerAway("gone")

    with monkeypatch.context() as patch:
        patch.setattr(keeper.ledger, "aread", away)
        assert (await keeper.one_pass(seconds=30)).trouble == "ledger_away"
        assert keeper.context.trouble == "ledger_away"
    assert (await keeper.one_pass(seconds=30)).trouble == ""


# -- a hub that is no help ------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def serving(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]):
    """The API address of something in a hub's place."""
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/hub/api"
    finally:
        await runner.cleanup()


async def test_stops_begin_one_a_turn_of_the_hub_so_that_nobody_waits_for_all_of_them():
    began: list[str] = []
    turn, all_begun = asyncio.Semaphore(0), asyncio.Event()

    async def busy(request: web.Request) -> web.Response:
        began.append(request.method)
        if request.method == "GET":
            assert "token" not in request.headers["Authorization"]
            await turn.acquire()
        elif began.count("DELETE") == 3:
            all_begun.set()
        else:
            # A stop that takes long keeps no other from its turn.
            await all_begun.wait()
        return web.Response(status=204)

    async with serving(busy) as api:
        client = HubClient(api, "a-token")
        server = HubServer(user="bob", server="", lease_id="x", ready=True, pending=None, url=None)
        stops = [asyncio.ensure_future(client.stop(server, Reason.IDLE)) for _ in range(3)]
        for number in range(1, 4):
            while began.count("GET") < number:
                await asyncio.sleep(0.005)
            assert began.count("DELETE") <= number - 1
            turn.release()
        assert [one.outcome for one in await asyncio.gather(*stops)] == ["done"] * 3
        await client.close()


async def _slow(request: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return web.Response()


async def _html(request: web.Request) -> web.Response:
    return web.Response(text="<html>Bad gateway</html>", content_type="text/html")


async def _teapot(request: web.Request) -> web.Response:
    return web.Response(status=502)


async def _senseless(request: web.Request) -> web.Response:
    return web.json_response({"hub_id": 7, "settled": "perhaps", "servers": "all"})


async def _elsewhere(request: web.Request) -> web.Response:
    raise web.HTTPFound("http://127.0.0.1:1/")


async def _huge(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    try:
        while True:
            await answer.write(b" " * 2**20)
    except ConnectionError:
        return answer


async def _stranger(request: web.Request) -> web.Response:
    return web.Response(text=json.dumps({"hub_id": "other", "settled": True, "servers": []}))


@pytest.mark.parametrize(
    ("handler", "trouble"),
    [
        (_slow, "hub_away"),
        (_html, "hub_away"),
        (_teapot, "hub_away"),
        (_senseless, "hub_away"),
        (_elsewhere, "hub_away"),
        (_huge, "hub_away"),
        (_stranger, "other_hub"),
    ],
)
async def test_a_hub_that_is_no_help_stops_no_loop_and_no_notebook(
    keeping, monkeypatch, handler, trouble
):
    monkeypatch.setattr("gradienthub.service.hub_client.VIEW_SECONDS", 0.3)
    monkeypatch.setattr("gradienthub.service.hub_client.LONGEST_VIEW", 2**22)
    home, _ = await keeping()
    async with serving(handler) as api:
        lost = Keeping(home, api_url=api)
        assert (await lost.one_pass()).trouble == trouble
        home.clock.advance(hours=9)
        assert (await lost.one_pass()).trouble == trouble
        assert lost.told == []
        server = HubServer(user="bob", server="", lease_id="x", ready=True, pending=None, url=None)
        if handler in (_slow, _teapot, _elsewhere):
            monkeypatch.setattr("gradienthub.service.hub_client.STOP_SECONDS", 0.3)
            assert (await lost.hub.stop(server, Reason.IDLE)).outcome == "failed"
        await lost.close()
    assert (await state(home))["ended_at"] is None


async def test_a_hub_that_is_down_is_waited_for(keeping):
    home, keeper = await keeping()
    await keeper.one_pass()
    lost = Keeping(home, api_url="http://127.0.0.1:1/hub/api")
    lost.watch.gone = keeper.watch.me
    assert (await lost.one_pass(hours=9)).trouble == "hub_away"
    await lost.close()
    assert Answer() == keeper.says.default
