"""The life of a lease: the hub killed at each of its moments, cancelled starts, stops, crashes.

The hub is killed as kill -9 does it: nothing of it goes on and nothing is tidied up, while what
the engine was told to do goes on. A second hub then starts on the same data.
"""

import asyncio
import threading
from datetime import timedelta

import pytest
import steps
from home import HOSTS, HubExited

from gradienthub.hub import settle, stopping
from gradienthub.ledger import Ledger, LedgerAway, admissions, leases
from gradienthub.testing import (
    PATIENCE,
    CreatesLate,
    DiesAtStart,
    EngineIsAway,
    Fault,
    GradientFakeSpawner,
    NeverAnswers,
    ProxyInMemory,
    SlowToPrepare,
    SlowToStart,
    SlowToStop,
    WillNotStop,
)


class HeldAt(GradientFakeSpawner):
    """A spawner that waits once it has written down that it came to phase `at`."""

    at = ""
    fault: Fault

    async def _note(self, phase, *names, **more):
        await super()._note(phase, *names, **more)
        if phase == type(self).at:
            await self.fault.happen()


def held_at(phase):
    """(changes to the configuration, the fault that is reached when a start comes to `phase`)."""

    class Held(HeldAt):
        at = phase
        fault = Fault()

    def changes(c):
        c.JupyterHub.spawner_class = Held

    return changes, Held.fault


@pytest.fixture
def away(monkeypatch):
    """A switch: the ledger's database does not answer while it is on."""
    real = Ledger._transaction
    state = {"away": False}

    def transaction(self, write):
        if state["away"]:
            raise LedgerAway("the database does not answer")
        return real(self, write)

    monkeypatch.setattr(Ledger, "_transaction", transaction)
    return lambda on: state.update(away=on)


async def test_a_whole_life_on_each_database(hub, ledger_url, clock):
    home = await hub(database_url=ledger_url, hub_id="a-hub")
    token = await home.person("zoë")
    assert (await home.start_server("zoë")).status == 201
    await home.is_consistent()
    await home.kill_and_start()
    await home.settled()
    await home.is_consistent()
    clock.advance(minutes=10)
    said = await home.api("DELETE", "/users/zo%C3%AB/server", token=token)
    assert said.status == 204
    await home.nothing_is_taken()
    lease = await home.lease_of("zoë")
    assert (lease["reason"], lease["stopped_by"]) == ("user", "zoë")
    assert lease["ended_at"] - lease["answered_at"] == timedelta(minutes=10)


# -- killed while it starts ---------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["preparing", "waiting", "turn", "starting", "answering"])
async def test_a_hub_killed_during_a_start_frees_its_device_and_leaves_no_container(hub, phase):
    changes, fault = held_at(phase)
    home = await hub(changes)
    await home.person("anna")
    asking = asyncio.create_task(home.start_server("anna"))
    await fault.reached()
    assert (await home.lease_of("anna"))["phase"] == phase
    assert len(await home.devices_held()) == 1
    await home.kill()
    asking.cancel()
    await home.start()
    await home.settled()
    await home.nothing_is_taken()
    lease = await home.lease_of("anna")
    assert (lease["reason"], lease["answered_at"]) == ("start_failed", None)
    fault.let_go()
    assert (await home.start_server("anna")).status == 201
    await home.is_consistent()


@pytest.mark.parametrize("kind", [SlowToPrepare, CreatesLate, SlowToStart])
async def test_a_hub_killed_while_the_engine_is_at_work_leaves_nothing(hub, kind):
    home = await hub()
    await home.person("anna")
    fault = home.engine.suffer(kind())
    asking = asyncio.create_task(home.start_server("anna"))
    await fault.reached()
    await home.kill()
    asking.cancel()
    await home.start()
    # What the engine had been told before goes on without the hub that told it.
    home.engine.heal(fault)
    await home.settled()
    await home.until(lambda: not home.engine._calls)
    await home.settled()
    await home.nothing_is_taken()


async def test_a_server_that_answered_when_the_hub_was_killed_is_taken_on(hub):
    home = await hub()
    await home.person("anna")
    ProxyInMemory.slow = Fault()
    asking = asyncio.create_task(home.start_server("anna"))
    await ProxyInMemory.slow.reached()
    before = await home.lease_of("anna")
    assert before["answered_at"] and not before["confirmed_at"]
    await home.kill()
    asking.cancel()
    ProxyInMemory.slow = None
    await home.start()
    await home.settled()
    after = await home.lease_of("anna")
    assert (after["id"], after["ended_at"]) == (before["id"], None)
    assert home.spawner("anna").ready
    assert len(home.engine.history) == 1

    async def confirmed():
        return (await home.lease_of("anna"))["confirmed_at"] is not None

    await home.until(confirmed, "the confirmation")
    await home.is_consistent()


# -- killed while it runs -----------------------------------------------------------------------


@pytest.mark.parametrize("how", ["kill_and_start", "restart"])
async def test_a_running_server_outlives_the_hub_with_its_lease_and_deadlines(hub, clock, how):
    home = await hub()
    await home.person("anna")
    await home.start_server("anna")
    before, state = await home.lease_of("anna"), home.spawner("anna").get_state()
    clock.advance(hours=1)
    await getattr(home, how)()
    await home.settled()
    assert home.spawner("anna").ready
    assert home.spawner("anna").get_state() == state
    after = await home.lease_of("anna")
    for kept in ("id", "devices", "answered_at", "session_ends_at", "shutdown_after"):
        assert after[kept] == before[kept]
    assert after["ended_at"] is None
    await home.is_consistent()
    assert (await home.api("DELETE", "/users/anna/server")).status == 204
    await home.nothing_is_taken()
    assert (await home.lease_of("anna"))["reason"] == "admin"


async def test_a_server_that_died_while_no_hub_was_there_is_ended_with_its_last_words(hub):
    home = await hub()
    await home.person("anna")
    await home.start_server("anna")
    await home.kill()
    (container,) = home.engine.of_user("anna")
    await home.engine.crash(container, 137, "CUDA error: out of memory\n", out_of_memory=True)
    await home.start()
    await home.settled()
    await home.nothing_is_taken()
    lease = await home.lease_of("anna")
    assert (lease["reason"], lease["exit_code"], lease["out_of_memory"]) == ("crashed", 137, True)
    assert lease["last_words"] == "CUDA error: out of memory\n"


async def test_a_server_whose_container_somebody_removed_is_ended(hub):
    home = await hub()
    await home.person("anna")
    await home.start_server("anna")
    await home.kill()
    await home.engine.remove(home.engine.of_user("anna")[0])
    await home.start()
    await home.settled()
    await home.nothing_is_taken()


async def test_an_engine_that_is_away_when_the_hub_starts_makes_it_forget_nothing(hub):
    home = await hub()
    await home.person("anna")
    await home.start_server("anna")
    before = await home.lease_of("anna")
    fault = home.engine.suffer(EngineIsAway())
    await home.kill_and_start()
    await fault.reached()
    await home.until(lambda: not settle.list_checked(home.app))
    assert not home.context.settled
    assert home.spawner("anna").active
    assert (await home.lease_of("anna"))["ended_at"] is None
    assert set((await home.devices_held()).values()) == {before["id"]}
    home.engine.heal(fault)
    await home.settled()
    assert (await home.lease_of("anna"))["id"] == before["id"]
    await home.is_consistent()


async def test_an_engine_that_is_away_while_it_runs_makes_the_hub_forget_nothing(hub):
    home = await hub()
    await home.person("anna")
    await home.start_server("anna")
    async with home.engine.suffering(EngineIsAway()):
        assert await home.spawner("anna").poll() is None
        await home.spawner("anna").poll_and_notify()
        assert (await home.api("GET", "/users/anna/server")).body["ready"] is True
        servers = (await home.api("GET", "/gradient/servers")).body
        assert servers["census"] is None
        assert servers["engine_away"] == "“the fake engine is away”"
    await home.settled()
    await home.is_consistent()


# -- killed while it stops ----------------------------------------------------------------------


async def test_a_stop_that_a_kill_interrupted_is_finished_by_the_next_hub(hub, clock):
    home = await hub()
    token = await home.person("anna")
    await home.start_server("anna")
    fault = home.engine.suffer(SlowToStop())
    asking = asyncio.create_task(home.api("DELETE", "/users/anna/server", token=token))
    await fault.reached()
    stopped_at = clock()
    await home.kill()
    asking.cancel()
    home.engine.faults.clear()
    clock.advance(minutes=5)
    await home.start()
    await home.settled()
    await home.until(lambda: home.engine.objects == {}, "the end of the container")
    await home.settled()
    await home.nothing_is_taken()
    lease = await home.lease_of("anna")
    assert (lease["reason"], lease["stopped_by"]) == ("user", "anna")
    assert lease["stop_requested_at"] == stopped_at


async def test_an_end_that_a_kill_kept_from_the_ledger_is_written_by_the_next_hub(hub):
    home = await hub()
    token = await home.person("anna")
    await home.start_server("anna")
    reached = asyncio.Event()

    async def never(*_args):
        reached.set()
        await asyncio.Event().wait()

    home.context.ended = never
    asking = asyncio.create_task(home.api("DELETE", "/users/anna/server", token=token))
    await asyncio.wait_for(reached.wait(), PATIENCE)
    assert home.engine.objects == {}
    assert len(await home.devices_held()) == 1
    await home.kill()
    asking.cancel()
    await home.start()
    await home.settled()
    await home.nothing_is_taken()
    assert (await home.lease_of("anna"))["reason"] == "user"


# -- cancelled starts ---------------------------------------------------------------------------


async def test_a_start_cancelled_in_line_answers_409_and_frees_its_device(hub):
    home = await hub(hosts={"rack": HOSTS["rack"] | {"stage_width": 1}})
    await home.person("anna")
    token = await home.person("berta")
    slow = home.engine.suffer(SlowToStart(user="anna"))
    first = asyncio.create_task(home.start_server("anna"))
    await slow.reached()
    second = asyncio.create_task(home.start_server("berta"))

    async def waiting():
        rows = await home.open_leases()
        return [row["phase"] for row in rows if row["phase"] == "waiting"]

    await home.until(waiting, "the wait for a turn")
    assert len(await home.devices_held()) == 2
    assert (await home.api("DELETE", "/users/berta/server", token=token)).status == 204
    said = await second
    assert (said.status, said.body["code"]) == (409, "start_cancelled")
    assert said.message == "The start was cancelled. Nothing was charged."
    lease = await home.lease_of("berta")
    assert (lease["reason"], lease["stopped_by"]) == ("user", "berta")
    assert set((await home.devices_held()).values()) == {(await home.lease_of("anna"))["id"]}
    slow.let_go()
    assert (await first).status == 201
    await home.is_consistent()


def impatient(c):
    """A hub that answers a DELETE soon, whether all is over or not."""
    c.JupyterHub.tornado_settings = {"slow_stop_timeout": 0.3}


class HeldUp:
    """Holds up one function of the ledger, until a test lets it go on, in its thread."""

    def __init__(self, monkeypatch, module, name):
        self.reached, self.go = threading.Event(), threading.Event()
        own = getattr(module, name)

        def wait(*args, **kwargs):
            self.reached.set()
            self.go.wait(20)
            return own(*args, **kwargs)

        monkeypatch.setattr(module, name, wait)


async def test_a_start_cancelled_in_its_first_moment_leaves_no_lease_and_no_device(
    hub, monkeypatch
):
    home = await hub()
    token = await home.person("anna")
    held = HeldUp(monkeypatch, admissions, "admit_start")
    asking = asyncio.create_task(home.start_server("anna"))
    await home.until(held.reached.is_set)
    stopping = asyncio.create_task(home.api("DELETE", "/users/anna/server", token=token))
    await home.until(lambda: home.spawner("anna").run.stop_cause, "the stop")
    # The interruption has come: the transaction goes on all the same.
    await asyncio.sleep(0.1)
    held.go.set()
    said = await asking
    assert (said.status, said.body["code"]) == (409, "start_cancelled")
    assert (await stopping).status == 204
    # At once, not at the reconciler's next look.
    await home.nothing_is_taken()
    lease = await home.lease_of("anna")
    assert (lease["reason"], lease["stopped_by"], lease["answered_at"]) == ("user", "anna", None)
    assert home.context.moving == set()
    monkeypatch.undo()
    assert (await home.start_server("anna")).status == 201


@pytest.mark.parametrize(
    "slow", [leases.note_phase, leases.note_stop, leases.end], ids=lambda f: f.__name__
)
async def test_deleting_a_starting_server_whose_end_takes_long_is_on_its_way_and_no_500(
    hub, monkeypatch, slow
):
    home = await hub(impatient)
    token = await home.person("anna")
    fault = home.engine.suffer(SlowToStart())
    asking = asyncio.create_task(home.start_server("anna"))
    await fault.reached()
    held = HeldUp(monkeypatch, leases, slow.__name__)
    said = await home.api("DELETE", "/users/anna/server", token=token)
    assert said.status in (202, 204), said
    held.go.set()
    home.engine.heal(fault)
    await asking
    await home.until(lambda: not home.spawner("anna").active, "the end")
    await home.settled()
    await home.nothing_is_taken()


async def test_deleting_a_server_that_waits_in_line_and_ends_slowly_is_no_500(hub, monkeypatch):
    home = await hub(impatient)
    token = await home.person("anna")
    fault = home.engine.suffer(SlowToPrepare())
    asking = asyncio.create_task(home.start_server("anna"))
    await fault.reached()
    held = HeldUp(monkeypatch, leases, "end")
    said = await home.api("DELETE", "/users/anna/server", token=token)
    assert said.status == 202
    # A second one, and a start, say the same as for any server that stops.
    assert (await home.api("DELETE", "/users/anna/server", token=token)).status == 202
    assert (await home.start_server("anna")).status == 400
    held.go.set()
    assert (await asking).status == 409
    await home.until(lambda: not home.spawner("anna").active and not home.spawner("anna").pending)
    home.engine.heal(fault)
    await home.nothing_is_taken()
    assert (await home.start_server("anna")).status == 201


async def test_a_start_that_tidies_up_after_a_stop_is_not_stopped_a_second_time(hub):
    began, tidied, stopping, stopped = (asyncio.Event() for _ in range(4))
    under_way, most = 0, 0

    async def before(spawner):
        if not began.is_set():
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                await tidied.wait()

    async def after(spawner):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        stopping.set()
        await stopped.wait()
        under_way -= 1

    def hooked(c):
        impatient(c)
        c.Spawner.pre_spawn_hook, c.Spawner.post_stop_hook = before, after

    home = await hub(hooked)
    token = await home.person("anna")
    asking = asyncio.create_task(home.start_server("anna"))
    await began.wait()
    # The deployer's hook takes longer than the hub waits for the stop, and then the end does.
    assert (await home.api("DELETE", "/users/anna/server", token=token)).status == 202
    tidied.set()
    await stopping.wait()
    # Long enough for whoever waits in steps to look again.
    await asyncio.sleep(0.3)
    stopped.set()
    assert (await asking).status == 409
    # At once: nobody who still stops the one before takes the address of this one.
    assert (await home.start_server("anna")).status == 201
    assert most == 1


async def test_a_start_cancelled_during_a_download_ends_at_once(hub):
    home = await hub()
    token = await home.person("anna")
    fault = home.engine.suffer(SlowToPrepare())
    asking = asyncio.create_task(home.start_server("anna"))
    await fault.reached()
    assert (await home.api("DELETE", "/users/anna/server", token=token)).status == 204
    assert (await asking).status == 409
    await home.nothing_is_taken()
    home.engine.heal(fault)
    assert (await home.start_server("anna")).status == 201


async def test_a_device_is_not_free_before_the_container_of_a_cancelled_start_is_gone(hub):
    home = await hub()
    token = await home.person("anna")
    fault = home.engine.suffer(CreatesLate())
    asking = asyncio.create_task(home.start_server("anna"))
    await fault.reached()
    stopping = asyncio.create_task(home.api("DELETE", "/users/anna/server", token=token))
    assert (await asking).status == 409
    await home.until(lambda: home.spawner("anna").pending == "stop", "the stop")
    assert len(await home.devices_held()) == 1
    home.engine.heal(fault)
    said = await stopping
    assert said.status in (202, 204)
    await home.until(lambda: not home.spawner("anna").active)
    await home.settled()
    assert len(home.engine.history) == 1
    await home.nothing_is_taken()
    assert (await home.lease_of("anna"))["reason"] == "user"


async def test_a_start_cancelled_while_the_server_comes_up_removes_it(hub):
    home = await hub()
    token = await home.person("anna")
    fault = home.engine.suffer(SlowToStart())
    asking = asyncio.create_task(home.start_server("anna"))
    await fault.reached()
    assert (await home.api("DELETE", "/users/anna/server", token=token)).status == 204
    assert (await asking).status == 409
    await home.nothing_is_taken()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (OSError(28, "No space left on device"), 503, "disk_full"),
        (OSError(13, "Permission denied"), 502, "hook_failed"),
    ],
    ids=["full", "denied"],
)
async def test_a_start_whose_folders_cannot_be_made_leaves_nothing(
    hub, monkeypatch, error, status, code
):
    home = await hub()
    await home.person("anna")

    async def no_folders(_spawner, _lease):
        raise error

    monkeypatch.setattr(GradientFakeSpawner, "apply_lease", no_folders)
    said = await home.start_server("anna")
    assert (said.status, said.body["code"]) == (status, code)
    await home.nothing_is_taken()
    assert (await home.lease_of("anna"))["reason"] == "start_failed"


# -- turns --------------------------------------------------------------------------------------


async def test_a_stop_waits_until_a_hub_that_has_just_started_knows_what_runs(hub, monkeypatch):
    home = await hub()
    token = await home.person("anna")
    await home.start_server("anna")
    spawner = home.spawner("anna")
    monkeypatch.setattr(spawner, "_check_pending", True)
    stop = asyncio.create_task(home.api("DELETE", "/users/anna/server", token=token))
    await asyncio.sleep(0.2)
    assert not stop.done()
    spawner._check_pending = False
    assert (await stop).status == 204
    # It lasts: the engine is away. Nothing is stopped, and both ways say so in the same words.
    home.clock.advance(minutes=5)
    await home.start_server("anna")
    monkeypatch.setattr(stopping, "PATIENCE", 0.2)
    monkeypatch.setattr(home.spawner("anna"), "_check_pending", True)
    refused = await home.api("DELETE", "/users/anna/server", token=token)
    assert (refused.status, refused.body["code"]) == (503, "still_checking")
    assert refused.headers["Retry-After"] == "5"
    home.spawner("anna")._check_pending = False
    assert home.spawner("anna").ready
    assert (await home.lease_of("anna"))["stop_requested_at"] is None


async def test_starts_take_their_turns_in_the_order_they_were_asked_for(hub):
    home = await hub(hosts={"rack": {"cpus": 64, "memory": 256, "stage_width": 1, "devices": []}})
    names = ["anna", "berta", "carla", "dora"]
    faults = {}
    for name in names:
        await home.person(name)
        faults[name] = home.engine.suffer(SlowToStart(user=name))
    asking = [asyncio.create_task(home.start_server("anna", "free-cpu"))]
    await faults["anna"].reached()
    for number, name in enumerate(names[1:], start=1):
        asking.append(asyncio.create_task(home.start_server(name, "free-cpu")))
        await home.until(
            lambda number=number: sum(map(len, home.context.stage._waiting.values())) == number
        )
    for number, name in enumerate(names):
        await faults[name].reached()
        assert [made.user for made in home.engine.history] == names[: number + 1]
        faults[name].let_go()
    assert [(await one).status for one in asking] == [201] * 4


async def test_as_many_start_at_once_as_the_host_is_wide(hub):
    home = await hub(hosts={"rack": {"cpus": 64, "memory": 256, "stage_width": 3, "devices": []}})
    names = [f"user{number}" for number in range(7)]
    await home.api("POST", "/users", {"usernames": names})
    slow = home.engine.suffer(SlowToStart())
    asking = [asyncio.create_task(home.start_server(name, "free-cpu")) for name in names]
    await home.until(lambda: len(home.engine.objects) == 3)
    await home.until(lambda: sum(map(len, home.context.stage._waiting.values())) == 4)
    assert len(home.engine.objects) == 3
    home.engine.heal(slow)
    assert {(await one).status for one in asking} == {201}


# -- starts that fail ---------------------------------------------------------------------------


async def test_a_server_that_dies_at_its_start_is_refused_with_its_last_words(hub):
    home = await hub()
    await home.person("anna")
    home.engine.suffer(DiesAtStart())
    said = await home.start_server("anna")
    assert (said.status, said.body["code"]) == (502, "start_failed")
    assert "It started and died before it answered." in said.message
    assert "ModuleNotFoundError: No module named 'jupyterhub'" in said.message
    await home.nothing_is_taken()
    lease = await home.lease_of("anna")
    assert (lease["reason"], lease["exit_code"]) == ("start_failed", 3)
    assert "ModuleNotFoundError" in lease["last_words"]


async def test_a_server_that_never_answers_is_given_up_and_removed(hub):
    home = await hub(settings={"answer_timeout": 0.3})
    await home.person("anna")
    home.engine.suffer(NeverAnswers())
    said = await home.start_server("anna")
    assert (said.status, said.body["code"]) == (502, "start_failed")
    assert "did not answer within 0 s" in said.message
    await home.nothing_is_taken()
    lease = await home.lease_of("anna")
    assert (lease["reason"], lease["answered_at"]) == ("start_failed", None)


async def test_a_custom_image_that_failed_three_times_in_an_hour_is_refused(hub, clock):
    home = await hub(settings={"answer_timeout": 0.1})
    await home.person("anna", "pro")
    fault = home.engine.suffer(NeverAnswers())
    for _ in range(3):
        assert (await home.start_server("anna", image="ghcr.io/acme/x")).status == 502
    said = await home.start_server("anna", image="ghcr.io/acme/x")
    assert (said.status, said.body["code"]) == (409, "image_failing")
    home.engine.heal(fault)
    clock.advance(hours=1, seconds=1)
    assert (await home.start_server("anna", image="ghcr.io/acme/x")).status == 201


async def test_a_failed_start_gives_its_turn_to_the_next(hub):
    home = await hub(hosts={"rack": {"cpus": 64, "memory": 256, "stage_width": 1, "devices": []}})
    for name in ("anna", "berta"):
        await home.person(name)
    home.engine.suffer(DiesAtStart(user="anna"))
    first, second = await asyncio.gather(
        home.start_server("anna", "free-cpu"), home.start_server("berta", "free-cpu")
    )
    assert (first.status, second.status) == (502, 201)


# -- crashes ------------------------------------------------------------------------------------


async def test_a_crash_ends_the_lease_with_exit_code_and_last_words(hub):
    home = await hub()
    await home.person("anna")
    await home.start_server("anna")
    await home.until(lambda: home.spawner("anna").ready)
    (container,) = home.engine.of_user("anna")
    await home.engine.crash(container, 139, "Segmentation fault\n")
    assert await home.spawner("anna").poll_and_notify() == 139
    await home.until(lambda: not home.app.users["anna"].spawners[""].active)
    await home.nothing_is_taken()
    lease = await home.lease_of("anna")
    assert (lease["reason"], lease["exit_code"], lease["last_words"]) == (
        "crashed",
        139,
        "Segmentation fault\n",
    )
    assert lease["stop_requested_at"] is None


async def test_a_server_that_exits_with_0_is_gone_too(hub):
    home = await hub()
    await home.person("anna")
    await home.start_server("anna")
    await home.until(lambda: home.spawner("anna").ready)
    await home.engine.crash(home.engine.of_user("anna")[0], 0, "shutting down\n")
    assert await home.spawner("anna").poll_and_notify() == 0
    await home.nothing_is_taken()


@pytest.mark.parametrize("error", [EngineIsAway, None], ids=["the engine is away", "a bug"])
async def test_a_poll_never_raises_and_an_error_is_no_death(hub, monkeypatch, error):
    home = await hub()
    await home.person("anna")
    await home.start_server("anna")
    if error is not None:
        home.engine.suffer(error())
    else:
        monkeypatch.setattr(home.engine, "look", None)
    assert await home.spawner("anna").poll() is None


# -- who stopped it -----------------------------------------------------------------------------


async def test_a_stop_says_who_asked_for_it(hub, clock):
    home = await hub()
    anna, ada = await home.person("anna"), await home.person("ada")
    for token, reason, actor in (
        (anna, "user", "anna"),
        (ada, "admin", "ada"),
        (home.token, "admin", "service tester"),
        (home.culler_token, "idle", "service gradient-idle-culler"),
    ):
        clock.advance(minutes=1)
        assert (await home.start_server("anna")).status == 201
        await home.until(lambda: home.spawner("anna").ready)
        said = await home.api("DELETE", "/users/anna/server", token=token)
        assert said.status == 204, said
        lease = await home.lease_of("anna")
        assert (lease["reason"], lease["stopped_by"]) == (reason, actor)
        await home.nothing_is_taken()


@pytest.mark.parametrize(
    ("options", "hours", "reason"),
    [
        ({}, 13, "session_limit"),
        ({"stop_at": "2026-11-23T10:00:00Z"}, 2, "stop_at"),
        ({}, 2, "idle"),
    ],
)
async def test_a_stop_by_the_culler_says_which_deadline_passed(hub, clock, options, hours, reason):
    home = await hub()
    await home.person("anna")
    await home.start_server("anna", **options)
    await home.until(lambda: home.spawner("anna").ready)
    clock.advance(hours=hours)
    await home.api("DELETE", "/users/anna/server", token=home.culler_token)
    assert (await home.lease_of("anna"))["reason"] == reason


async def test_a_hub_that_shuts_down_with_its_servers_says_so(hub):
    def changes(c):
        c.JupyterHub.cleanup_servers = True

    home = await hub(changes)
    await home.person("anna")
    await home.start_server("anna")
    await home.until(lambda: home.spawner("anna").ready)
    await home.restart()
    await home.settled()
    lease = await home.lease_of("anna")
    assert (lease["reason"], lease["stopped_by"]) == ("hub", "hub")
    await home.nothing_is_taken()


async def test_a_hub_that_shuts_down_leaves_servers_running_unless_told_otherwise(hub):
    home = await hub()
    await home.person("anna")
    await home.start_server("anna")
    await home.shut_down()
    assert [found.alive for found in home.engine.objects.values()] == [True]


@pytest.mark.parametrize("servers", [[""], ["work"], ["", "work", "play"]], ids=str)
async def test_deleting_a_user_ends_all_their_running_servers(hub, servers):
    home = await hub()
    await home.person("anna", "flat")
    for server in servers:
        assert (await home.start_server("anna", "free-cpu", server)).status == 201
    account = await home.account_id("anna")
    said = await home.api("DELETE", "/users/anna")
    assert said.status == 204, said
    assert (await home.api("GET", "/users/anna")).status == 404
    await home.nothing_is_taken()
    for server in servers:
        lease = await home.context.ledger.aread(
            leases.find_last, account_id=account, server_name=server
        )
        # Their notebooks are marked as deleted, so that no later one of the name is the same.
        assert lease is None


async def test_a_user_whose_notebook_starts_is_not_deleted_by_half(hub):
    home = await hub()
    await home.person("anna")
    slow = home.engine.suffer(SlowToStart())
    asking = asyncio.create_task(home.start_server("anna"))
    await slow.reached()
    said = await home.api("DELETE", "/users/anna")
    assert (said.status, said.body["code"]) == (409, "still_stopping")
    slow.let_go()
    assert (await asking).status == 201
    assert await home.account_id("anna")
    await home.is_consistent()


# -- stops that take time -----------------------------------------------------------------------


async def test_what_will_not_stop_keeps_its_device_until_the_reconciler_ends_it(hub):
    home = await hub()
    token = await home.person("anna")
    await home.start_server("anna")
    await home.until(lambda: home.spawner("anna").ready)
    fault = home.engine.suffer(WillNotStop())
    said = await home.api("DELETE", "/users/anna/server", token=token)
    assert said.status == 204
    lease = await home.lease_of("anna")
    assert (lease["ended_at"], lease["reason"]) == (None, "user")
    assert set((await home.devices_held()).values()) == {lease["id"]}
    again = await home.start_server("anna")
    assert (again.status, again.body["code"]) == (409, "still_stopping")
    home.engine.heal(fault)
    await home.settled()
    await home.nothing_is_taken()
    lease = await home.lease_of("anna")
    assert (lease["reason"], lease["stopped_by"]) == ("user", "anna")
    assert (await home.start_server("anna")).status == 201


async def test_one_container_that_will_not_stop_does_not_keep_others_from_being_repaired(hub):
    home = await hub()
    for name in ("anna", "berta"):
        await home.person(name)
        await home.start_server(name)
        await home.until(lambda name=name: home.spawner(name).ready)
    fault = home.engine.suffer(WillNotStop())
    for name in ("anna", "berta"):
        await home.api("DELETE", f"/users/{name}/server")
    fault.user = "anna"
    await settle.settle(home.app, home.context)
    open_ids = {row["id"] for row in await home.open_leases()}
    assert open_ids == {(await home.lease_of("anna"))["id"]}
    home.engine.heal(fault)
    await home.settled()
    await home.nothing_is_taken()


async def test_a_slow_stop_delays_nobody_elses_poll_start_or_stop(hub):
    home = await hub()
    for name in ("anna", "berta"):
        await home.person(name)
        await home.start_server(name, "free-cpu")
        await home.until(lambda name=name: home.spawner(name).ready)
    fault = home.engine.suffer(SlowToStop(user="anna"))
    slow = asyncio.create_task(home.api("DELETE", "/users/anna/server"))
    await fault.reached()
    assert await asyncio.wait_for(home.spawner("berta").poll(), PATIENCE) is None
    assert (await home.api("DELETE", "/users/berta/server")).status == 204
    assert (await home.start_server("berta")).status == 201
    assert not slow.done()
    fault.let_go()
    assert (await slow).status == 204


async def test_a_restart_while_the_old_container_still_stops_is_refused_with_409(hub):
    home = await hub()
    await home.person("anna")
    await home.start_server("anna")
    await home.until(lambda: home.spawner("anna").ready)
    home.engine.suffer(WillNotStop())
    await home.api("DELETE", "/users/anna/server")
    said = await home.start_server("anna")
    assert (said.status, said.body["code"]) == (409, "still_stopping")
    assert said.headers["Retry-After"] == "10"


# -- the ledger away ----------------------------------------------------------------------------


async def test_while_the_ledger_is_away_no_start_is_admitted_and_running_ones_go_on(hub, away):
    home = await hub()
    await home.person("anna")
    await home.person("berta")
    await home.start_server("anna")
    await home.until(lambda: home.spawner("anna").ready)
    away(True)
    said = await home.start_server("berta")
    assert (said.status, said.body["code"]) == (503, "ledger_away")
    assert "Try again in a minute" in said.message
    assert await home.spawner("anna").poll() is None
    assert (await home.api("GET", "/users/anna/server")).body["ready"] is True
    away(False)
    await home.is_consistent()


async def test_a_stop_while_the_ledger_is_away_works_and_is_written_later(hub, away, clock):
    home = await hub()
    token = await home.person("anna")
    await home.start_server("anna")
    await home.until(lambda: home.spawner("anna").ready)
    away(True)
    said = await home.api("DELETE", "/users/anna/server", token=token)
    assert said.status == 204
    stopped_at = clock()
    assert home.engine.objects == {}
    away(False)
    assert (await home.lease_of("anna"))["ended_at"] is None
    clock.advance(minutes=10)
    await asyncio.to_thread(home.context.journal.replay, home.context.ledger, home.settings.hub_id)
    lease = await home.lease_of("anna")
    assert (lease["reason"], lease["stopped_by"]) == ("user", "anna")
    assert lease["stop_requested_at"] == lease["ended_at"] == stopped_at
    await home.nothing_is_taken()


async def test_a_start_after_the_ledger_came_back_keeps_why_the_one_before_ended(hub, away, clock):
    home = await hub()
    token = await home.person("anna")
    await home.start_server("anna")
    await home.until(lambda: home.spawner("anna").ready)
    before = await home.lease_of("anna")
    away(True)
    await home.api("DELETE", "/users/anna/server", token=token)
    stopped_at = clock()
    away(False)
    clock.advance(minutes=10)
    assert (await home.start_server("anna")).status == 201
    row = await home.context.ledger.aread(steps.columns_of, before["id"])
    assert (row["reason"], row["ended_at"]) == ("user", stopped_at)


async def test_what_the_journal_kept_outlives_the_hub(hub, away):
    home = await hub()
    token = await home.person("anna")
    await home.start_server("anna")
    await home.until(lambda: home.spawner("anna").ready)
    away(True)
    await home.api("DELETE", "/users/anna/server", token=token)
    await home.kill()
    away(False)
    await home.start()
    await home.settled()
    lease = await home.lease_of("anna")
    assert (lease["reason"], lease["stopped_by"]) == ("user", "anna")
    await home.nothing_is_taken()


async def test_a_start_given_up_because_the_ledger_went_away_leaves_nothing(hub, away):
    changes, fault = held_at("starting")
    home = await hub(changes)
    await home.person("anna")
    asking = asyncio.create_task(home.start_server("anna"))
    await fault.reached()
    away(True)
    fault.let_go()
    said = await asking
    assert (said.status, said.body["code"]) == (503, "ledger_away")
    assert home.engine.objects == {}
    away(False)
    await home.kill_and_start()
    await home.settled()
    await home.nothing_is_taken()


async def test_a_stop_that_can_be_written_nowhere_still_stops(hub, away, monkeypatch):
    home = await hub()
    await home.person("anna")
    await home.start_server("anna")
    await home.until(lambda: home.spawner("anna").ready)

    def full(_text):
        raise OSError(28, "No space left on device")

    away(True)
    with monkeypatch.context() as patched:
        patched.setattr(home.context.journal, "_write", full)
        assert (await home.api("DELETE", "/users/anna/server")).status == 204
    assert home.engine.objects == {}
    away(False)
    await home.settled()
    await home.nothing_is_taken()


async def test_a_server_is_not_renamed_while_the_ledger_is_away(hub, away):
    home = await hub()
    token = await home.person("anna")
    await home.api("PUT", "/users/anna/servers/old", {}, token=token)
    away(True)
    said = await home.api("PATCH", "/users/anna/servers/old", {"name": "new"}, token=token)
    assert (said.status, said.body["code"]) == (503, "ledger_away")
    assert set(home.app.users["anna"].orm_spawners) == {"", "old"}


# -- names --------------------------------------------------------------------------------------


async def test_a_renamed_server_keeps_its_notebook(hub):
    home = await hub()
    token = await home.person("anna")
    await home.start_server("anna", server="old")
    await home.until(lambda: home.spawner("anna", "old").ready)
    before = await home.lease_of("anna", "old")
    await home.api("DELETE", "/users/anna/servers/old", token=token)
    said = await home.api("PATCH", "/users/anna/servers/old", {"name": "new"}, token=token)
    assert said.status == 200, said
    assert (await home.start_server("anna", server="new")).status == 201
    assert (await home.lease_of("anna", "new"))["notebook_id"] == before["notebook_id"]


async def test_a_deleted_server_of_the_same_name_starts_with_an_empty_notebook(hub):
    home = await hub()
    token = await home.person("anna")
    await home.start_server("anna", server="work")
    await home.until(lambda: home.spawner("anna", "work").ready)
    before = await home.lease_of("anna", "work")
    said = await home.api("DELETE", "/users/anna/servers/work", {"remove": True}, token=token)
    assert said.status in (202, 204), said
    await home.until(lambda: "work" not in home.app.users["anna"].orm_spawners)
    assert (await home.start_server("anna", server="work")).status == 201
    assert (await home.lease_of("anna", "work"))["notebook_id"] != before["notebook_id"]


async def test_a_user_who_was_deleted_and_made_again_inherits_nothing(hub):
    home = await hub()
    await home.person("anna", "flat", pays=True)
    await home.start_server("anna")
    await home.until(lambda: home.spawner("anna").ready)
    before = await home.lease_of("anna")
    number = home.app.users["anna"].id
    await home.api("DELETE", "/users/anna")
    await home.person("anna")
    assert home.app.users["anna"].id == number  # SQLite gives ids out again
    assert (await home.start_server("anna")).status == 201
    after = await home.lease_of("anna")
    assert after["account_id"] != before["account_id"]
    assert after["notebook_id"] != before["notebook_id"]
    assert after["tier"] == "free"


async def test_a_renamed_user_keeps_account_and_notebooks(hub):
    home = await hub()
    await home.person("anna", "pro")
    await home.start_server("anna")
    await home.until(lambda: home.spawner("anna").ready)
    before = await home.lease_of("anna")
    await home.api("DELETE", "/users/anna/server")
    assert (await home.api("PATCH", "/users/anna", {"name": "anne"})).status == 200
    assert (await home.start_server("anne")).status == 201
    after = await home.lease_of("anne")
    assert after["account_id"] == before["account_id"]
    assert after["notebook_id"] == before["notebook_id"]
    assert after["tier"] == "pro"


# -- the hub's own start ------------------------------------------------------------------------


async def test_a_ledger_of_another_version_stops_the_hub_with_the_cure(hub, capfd):
    home = await hub()
    url = home.settings.database_url
    await home.kill()
    older = Ledger(url)
    older.write(lambda tx: tx.exec_driver_sql("UPDATE gradienthub_version SET version_num = '0'"))
    older.close()
    with pytest.raises(HubExited):
        await home.start()
    said = capfd.readouterr().err
    assert "back the database up" in said
    assert "gradienthub upgrade-db" in said


# -- what ends by itself ------------------------------------------------------------------------


MENU = "[I 2026-11-27 12:00:00.1 ServerApp] Shutting down on /api/shutdown request.\n"


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (MENU, "somebody chose Shut Down in its menu"),
        (
            "[I 2026 ServerApp] No kernels for 600 seconds; shutting down.\n",
            "idle limit of its own",
        ),
        ("bye\n", "it ended by itself"),
    ],
)
async def test_a_server_that_ends_itself_in_order_is_not_called_a_crash(hub, log, said):
    home = await hub()
    await home.person("anna")
    await home.start_server("anna")
    (found,) = home.engine.objects.values()
    await home.engine.crash(found, exit_code=0, log=log)
    await home.spawner("anna").poll_and_notify()
    lease = await home.lease_of("anna")
    assert (lease["reason"], lease["exit_code"]) == ("ended_itself", 0)
    page = (await (await home.browser("anna")).get("/home")).text
    assert said in page
    assert "It ended by itself, in order; saved files are safe." in page
    assert "Crashed" not in page
    assert "unsaved cells are lost" not in page


async def test_what_ended_in_order_while_the_hub_was_away_is_not_called_a_crash_either(hub):
    home = await hub()
    await home.person("anna")
    await home.start_server("anna")
    (found,) = home.engine.objects.values()
    await home.kill()
    await home.engine.crash(found, exit_code=0, log=MENU)
    await home.start()
    await home.settled()
    assert (await home.lease_of("anna"))["reason"] == "ended_itself"


async def test_one_that_ran_out_of_memory_crashed_whatever_its_exit_code_is(hub):
    home = await hub()
    await home.person("anna")
    await home.start_server("anna")
    (found,) = home.engine.objects.values()
    await home.engine.crash(found, exit_code=0, out_of_memory=True)
    await home.spawner("anna").poll_and_notify()
    assert (await home.lease_of("anna"))["reason"] == "crashed"
