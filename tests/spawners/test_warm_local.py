"""Warm servers as processes of this machine: the same pool, owned by the hub, ended with it."""

import asyncio
import os
import sys

import psutil
import pytest
from test_contract import SERVER
from test_warm import Warm

from gradienthub.spawners import warm_pool
from gradienthub.spawners.local import GradientLocalSpawner

pytestmark = [pytest.mark.local_engine, pytest.mark.slow]
SCRIPT = f"#!{sys.executable}\n" + SERVER.replace(
    "dict(os.environ)",
    "dict(env=dict(os.environ), argv=sys.argv, path=sys.path, cwd=os.getcwd(),"
    " title=open('/proc/self/cmdline').read().replace(chr(0), ' ').strip(), own=sys.orig_argv,"
    " stdin=os.readlink('/proc/self/fd/0'))",
)


class LocalWarm(Warm):
    """The same, without containers."""

    async def clean(self):
        """No process is left."""
        for found in await self.home.context.engine.census():
            await self.home.context.engine.bury(found)


@pytest.fixture
async def subject(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(warm_pool, "QUIET_SECONDS", 0.05)
    script = tmp_path / "notebook"
    script.write_text(SCRIPT)
    script.chmod(0o755)

    def changes(c):
        c.JupyterHub.spawner_class = GradientLocalSpawner
        c.GradientHub.runtimes = {"python": {"title": "Python 3", "warm": True}}
        c.GradientHub.warm = {"free-cpu": {"python": 1}}
        c.Spawner.cmd = [str(script)]
        c.Spawner.environment = {"GREETING": "hello"}

    made = LocalWarm(await hub(changes), None)
    yield made
    await made.clean()


async def test_a_process_that_waits_becomes_what_a_cold_start_would_be(subject):
    seen = {}
    for which in ("warm", "cold"):
        if which == "cold":
            await subject.pause()
        await subject.waiting(int(which == "warm"))
        lease = await subject.start()
        assert bool(lease["warm_slot"]) is (which == "warm")
        seen[which] = await subject.facts()
        for name in (
            "GRADIENTHUB_LEASE",
            "JUPYTERHUB_API_TOKEN",
            "JPY_API_TOKEN",
            "JUPYTERHUB_SERVICE_URL",
        ):
            assert seen[which]["env"].pop(name)
        assert [f.alive for f in await subject.home.context.engine.census() if f.lease_id] == [True]
        await subject.stop()
        assert [f for f in await subject.home.context.engine.census() if f.lease_id] == []
    # A shell's word for the program that was started, which nothing reads.
    for one in seen.values():
        one["env"].pop("_", None)
    stdin = seen["cold"].pop("stdin"), seen["warm"].pop("stdin")
    assert stdin[1] == "/dev/null"
    assert seen["warm"] == seen["cold"]


async def test_a_process_that_says_nothing_is_replaced_by_a_cold_start(subject):
    (slot,) = await subject.waiting()
    waits = subject.home.context.engine.waiting[slot.id].process
    os.kill(waits.pid, 19)
    lease = await subject.start()
    assert lease["warm_slot"] is None
    assert waits.poll() is not None


async def test_processes_that_wait_end_with_their_hub_and_the_next_hub_starts_others(subject):
    (slot,) = await subject.waiting()
    waits = subject.home.context.engine.waiting[slot.id].process
    lease = await subject.start()
    (second,) = await subject.waiting()
    left = subject.home.context.engine.waiting[second.id].process
    await subject.home.kill_and_start()
    await subject.home.settled()

    async def swept():
        return second.id not in [slot.id for slot in await subject.slots()]

    await subject.until(swept)
    (third,) = await subject.waiting()
    assert third.id not in (slot.id, second.id)
    assert await asyncio.to_thread(left.wait, 10) is not None
    assert psutil.Process(waits.pid).is_running()
    assert subject.home.spawner("anna").ready
    assert (await subject.home.context.engine.look(lease["id"])).alive
    await subject.stop()
    # The hub that was its parent is gone; here it is this process, which has to be told.
    await asyncio.to_thread(waits.wait, 10)
