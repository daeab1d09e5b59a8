"""The keeper as the hub's service, over real notebooks, with intervals of seconds."""

import asyncio
import os
import signal
from datetime import UTC, datetime, timedelta

import pytest
import steps
from home import TIERS
from hub_process import HubProcess

from gradienthub.ledger import By, Ledger, audit, keepers
from gradienthub.ledger.watches import extend_lease
from gradienthub.rules.tiers import Tier

pytestmark = [pytest.mark.slow, pytest.mark.local_engine, pytest.mark.timeout(600)]

SECOND = timedelta(seconds=1)
#: How late a stop may come here: four other processes may have the machine at the same time.
LATE = timedelta(minutes=2)
SHORT = {"shutdown_choices": ["20s", "1h"], "shutdown_min": "10s", "shutdown_default": "20s"}
QUICK = {
    "keeper_interval": 1,
    "keeper_warnings": ["8s", "4s"],
    "reconcile_interval": 2,
    "tiers": TIERS | {"flat": TIERS["flat"] | SHORT | {"session_limit": "60s"}},
    "tier_rules": {"default": "flat", "by_group": {}},
}


@pytest.fixture
async def hub(tmp_path):
    running = HubProcess(tmp_path, **QUICK)
    await running.start()
    yield running
    await running.close()


class Seen:
    """The ledger beside the hub."""

    def __init__(self, hub):
        self.hub = hub
        self.hub_id = hub.hub_id
        self.ledger = Ledger(f"sqlite:///{hub.folder / 'gradienthub.sqlite'}")

    async def lease_of(self, name):
        servers = (await self.hub.api("GET", "/gradient/servers"))["servers"]
        found = [server["lease_id"] for server in servers if server["user"] == name]
        assert found, f"{name}'s notebook has ended already"
        return found[0]

    async def end_of(self, lease_id):
        async def ended():
            row = self.ledger.read(steps.columns_of, lease_id)
            return row if row["ended_at"] else None

        return await self.hub.until(ended, "the notebook is stopped")

    def warnings(self, lease_id):
        rows = self.ledger.read(audit.list_rows, hub_id=self.hub_id, limit=1000)
        return [r for r in rows if r["action"] == "warn" and r["detail"]["lease"] == lease_id]

    def keeper_pid(self):
        holder = self.ledger.read(keepers.find_keeper, self.hub_id)
        return int(holder["holder"].split(":")[-2]) if holder else None


async def busy(hub, address, seconds):
    """A kernel that computes in silence, with nobody connected."""
    kernel = await hub.call("POST", f"{address.url}api/kernels", {"name": "python3"})
    where = f"{address.url.replace('http', 'ws', 1)}api/kernels/{kernel['id']}/channels"
    headers = {"Authorization": f"token {address.token}"}
    async with hub._session.ws_connect(where, headers=headers) as socket:
        await socket.send_json(
            {
                "header": {
                    "msg_id": "1",
                    "username": "",
                    "session": "s",
                    "msg_type": "execute_request",
                    "version": "5.3",
                },
                "parent_header": {},
                "metadata": {},
                "channel": "shell",
                "content": {
                    "code": f"import time; time.sleep({seconds})",
                    "silent": True,
                    "store_history": False,
                    "user_expressions": {},
                    "allow_stdin": False,
                },
            }
        )

        async def is_busy():
            models = await hub.call("GET", f"{address.url}api/kernels?no_track_activity=1")
            return any(model["execution_state"] == "busy" for model in models)

        await hub.until(is_busy, "the kernel is busy")


async def test_idle_stops_busy_lives_until_its_limit_and_extend_moves(hub):
    seen = Seen(hub)
    # Each is asked for its lease, and kept busy or extended, before the next one starts: on a busy
    # machine a start takes longer than the interval of the one before.
    address = await hub.notebook("busy", shutdown_after="20s")
    ids = {"busy": await seen.lease_of("busy")}
    await busy(hub, address, 300)
    await hub.notebook("longer", shutdown_after="20s")
    ids["longer"] = await seen.lease_of("longer")
    given = seen.ledger.write(
        extend_lease,
        ids["longer"],
        By(hub.hub_id, "longer", datetime.now(UTC)),
        tiers={"flat": Tier.model_validate({"name": "flat", **QUICK["tiers"]["flat"]})},
        grace=4 * SECOND,
    )
    await hub.notebook("idle", shutdown_after="20s")
    ids["idle"] = await seen.lease_of("idle")
    idle = await seen.end_of(ids["idle"])
    assert idle["reason"] == "idle"
    # Its interval, and a pass; how long a pass takes is the machine's business.
    assert timedelta(0) <= idle["stop_requested_at"] - idle["used_at"] - 20 * SECOND < LATE
    assert 1 <= len(seen.warnings(ids["idle"])) <= 2
    longer = await seen.end_of(ids["longer"])
    assert longer["reason"] == "idle"
    assert timedelta(0) <= longer["stop_requested_at"] - given.deadlines.keep_until < LATE
    limited = await seen.end_of(ids["busy"])
    assert limited["reason"] == "session_limit"
    assert timedelta(0) <= limited["stop_requested_at"] - limited["session_ends_at"] < LATE
    assert 1 <= len(seen.warnings(ids["busy"])) <= 2


async def test_a_keeper_and_then_the_hub_are_killed_and_the_stop_comes_when_it_was_due(hub):
    seen = Seen(hub)
    await hub.notebook("anna", shutdown_after="20s")
    lease_id = await seen.lease_of("anna")
    first = await hub.until(_now(seen.keeper_pid), "a keeper acts")
    os.kill(first, signal.SIGKILL)
    await hub.kill()
    await asyncio.to_thread(hub._process.wait)
    await hub.start()

    async def acts():
        pid = seen.keeper_pid()
        return pid if pid != first else None

    assert await hub.until(acts, "another keeper acts")
    lease = await seen.end_of(lease_id)
    assert lease["reason"] == "idle"
    late = lease["stop_requested_at"] - lease["used_at"] - 20 * SECOND
    # It was away for a while, and gives the least warning if it could give none.
    assert timedelta(0) <= late < LATE


def _now(call):
    async def ask():
        return call()

    return ask
