"""A running notebook and its engine: an engine that restarts or ends, a server that hangs, memory
that runs out, and a hub that lost its database."""

import asyncio
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import psutil
import pytest
from hub_process import HubProcess
from private_engine import IMAGE, missing, unmount_below

from gradienthub.ledger import Ledger, account_bindings, findings, leases, warm_slots
from gradienthub.ledger.by import By
from gradienthub.rules.idleness import Reason
from gradienthub.rules.last_words import ended_by
from gradienthub.rules.phase import SlotState

pytestmark = [
    pytest.mark.slow,
    pytest.mark.docker,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(missing()), reason=missing() or "it is all there"),
]
#: Seconds between two looks of the hub.
POLL = 1
TRAITS = {
    "runtimes": {"python": {"title": "Python 3", "image": IMAGE, "warm": True}},
    "keeper_interval": 1,
    "reconcile_interval": 2,
}


class Rented:
    """A hub on the engine, and one notebook of anna's."""

    def __init__(self, hub, engine):
        self.hub, self.engine = hub, engine
        self.ledger = Ledger(f"sqlite:///{hub.folder / 'gradienthub.sqlite'}")

    async def start(self):
        """Start it; the lease's id, once it is ready."""
        asked = {"instance_type": "free-cpu", "shutdown_after": "1h"}
        await self.hub.api("POST", "/users/anna/server", asked)

        async def is_ready():
            server = await self.server()
            return server if server and server["ready"] else None

        return (await self.hub.until(is_ready, "the notebook is ready"))["lease_id"]

    async def refusal_of_start(self):
        """Why a start is refused."""
        url = f"{self.hub.hub_url}/hub/api/users/anna/server"
        asked = {"instance_type": "free-cpu", "shutdown_after": "1h"}
        headers = {"Authorization": f"token {self.hub.token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(url, json=asked) as answer,
        ):
            assert answer.status == 409
            return (await answer.json())["message"]

    async def server(self):
        """What the hub says of it now, or None."""
        servers = (await self.hub.api("GET", "/gradient/servers"))["servers"]
        return next((row for row in servers if row["user"] == "anna"), None)

    async def lease(self, lease_id):
        return await self.ledger.aread(leases.describe, lease_id)

    async def ended(self, lease_id):
        async def has_ended():
            lease = await self.lease(lease_id)
            return lease if lease.ended_at else None

        return await self.hub.until(has_ended, "the lease has ended")

    async def reached(self, lease_id, seconds=0):
        """Wait until the keeper has reached it, and for so many seconds since now."""
        asked = datetime.now(UTC)

        async def is_reached():
            lease = await self.lease(lease_id)
            assert lease.ended_at is None, lease
            at = lease.reached_at
            return lease if at and at > asked + timedelta(seconds=seconds) else None

        return await self.hub.until(is_reached, "the keeper has reached the notebook")

    async def logged(self, words, times):
        """Wait until the hub's log has those words so many times."""
        log = self.hub.folder / "log"

        async def is_logged():
            return log.read_text(errors="replace").count(words) >= times

        await self.hub.until(is_logged, f"{words!r} is logged {times} times")

    async def is_there(self, lease_id):
        """Whether its container is."""
        lease = await self.lease(lease_id)
        return lease.object_id in {row["Id"] for row in self.engine.containers()}

    async def process(self, lease_id):
        """The number of its server, which the container's first process has started."""
        lease = await self.lease(lease_id)
        return psutil.Process(self.engine.process_of(lease.object_id)).children()[0].pid

    async def eat_memory(self, lease_id):
        """Run a program inside that wants more memory than there is."""
        lease, words = await self.lease(lease_id), ["python3", "-c", "bytearray(3 << 30)"]
        await asyncio.to_thread(self.engine.run_inside, lease.object_id, words)

    async def answers(self):
        """Whether the notebook itself answers whoever has its token."""
        server = await self.server()
        url = f"{server['url'].rstrip('/')}/api/status"
        headers = {"Authorization": f"token {server['token']}"}
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
            return answer.status == 200

    async def kinds(self):
        """The kinds of what is wrong, as administrators are told."""
        rows = await self.ledger.aread(findings.list_findings, self.hub.hub_id)
        return {row["kind"] for row in rows}


@pytest.fixture
async def rent(tmp_path, engine):
    made = []

    async def one(**traits):
        hub = HubProcess(
            tmp_path,
            spawner="gradient-docker",
            hub_ip=engine.address,
            poll_interval=POLL,
            environment={"DOCKER_HOST": engine.url},
            **TRAITS,
            **traits,
        )
        made.append(Rented(hub, engine))
        await hub.start()
        await hub.api("POST", "/users/anna")
        return made[-1]

    yield one
    for rented in made:
        rented.ledger.close()
        await rented.hub.close()
    unmount_below(tmp_path)


async def test_a_notebook_outlives_an_engine_that_keeps_containers_and_nobody_pays_for_the_gap(
    rent, engine
):
    await asyncio.to_thread(engine.end)
    await engine.restart(keeps=True)
    rented = await rent()
    lease_id = await rented.start()
    process = await rented.process(lease_id)
    before = await rented.reached(lease_id)
    await asyncio.to_thread(engine.end)
    # The ports that it publishes are gone with it. Polls and comparisons meet no engine.
    await rented.logged("cannot ask the engine", 3)
    await rented.logged("Not settled", 2)
    server = await rented.server()
    assert (server["lease_id"], server["ready"]) == (lease_id, True)
    await engine.restart(keeps=True)
    lease = await rented.reached(lease_id, 3 * POLL)
    assert (lease.ended_at, lease.stop_requested_at) == (None, None)
    ((begins, ends),) = lease.gaps
    assert before.reached_at <= begins < ends <= lease.reached_at
    assert await rented.process(lease_id) == process
    assert await rented.answers()
    await rented.hub.api("DELETE", "/users/anna/server")
    assert (await rented.ended(lease_id)).reason is Reason.ADMIN


async def test_an_engine_that_ends_takes_its_notebooks_along_and_the_next_start_has_its_files(
    rent, engine
):
    rented = await rent()
    lease_id = await rented.start()
    await rented.reached(lease_id)
    await asyncio.to_thread(engine.end)
    over = datetime.now(UTC)
    await engine.restart(keeps=False)
    lease = await rented.ended(lease_id)
    assert (lease.reason, lease.out_of_memory) == (Reason.ENDED_ITSELF, False)
    assert "told to stop from outside of the hub" in ended_by(lease.last_words)
    assert lease.seen_at <= over, "nobody pays for longer"
    assert not await rented.is_there(lease_id)
    assert await rented.server() is None
    again = await rented.start()
    assert again != lease_id
    assert await rented.answers()


async def test_a_server_that_hangs_is_a_gap_and_can_still_be_stopped(rent):
    rented = await rent()
    lease_id = await rented.start()
    await rented.reached(lease_id)
    process = await rented.process(lease_id)
    os.kill(process, signal.SIGSTOP)

    async def has_gap():
        return (await rented.lease(lease_id)).gaps

    await rented.hub.until(has_gap, "it is not reachable")
    assert (await rented.server())["ready"], "what is alive is not stopped for that"
    os.kill(process, signal.SIGCONT)

    async def is_over():
        ((_, until),) = (await rented.lease(lease_id)).gaps
        return until

    await rented.hub.until(is_over, "it is reachable again")
    os.kill(process, signal.SIGSTOP)
    await rented.hub.api("DELETE", "/users/anna/server")
    lease = await rented.ended(lease_id)
    assert lease.reason is Reason.ADMIN
    assert not await rented.is_there(lease_id)


async def test_memory_that_runs_out_ends_a_kernel_alone_and_a_server_in_words(rent):
    rented = await rent()
    lease_id = await rented.start()
    process = await rented.process(lease_id)
    await rented.eat_memory(lease_id)
    await rented.reached(lease_id, 3 * POLL)
    assert await rented.process(lease_id) == process
    assert await rented.answers()
    # From now on the machine takes the server and not the one that eats.
    Path(f"/proc/{process}/oom_score_adj").write_text("1000")
    await rented.eat_memory(lease_id)
    lease = await rented.ended(lease_id)
    assert (lease.reason, lease.out_of_memory) == (Reason.CRASHED, True)


async def test_a_claimed_warm_server_is_given_back_after_the_hub_lost_its_database(rent):
    rented = await rent(warm={"free-cpu": {"python": 1}})

    async def waits():
        slots = await rented.ledger.aread(warm_slots.list_slots, rented.hub.hub_id)
        return [slot for slot in slots if slot.state is SlotState.READY]

    await rented.hub.until(waits, "a warm server waits")
    lease_id = await rented.start()
    assert (await rented.lease(lease_id)).warm_slot
    process = await rented.process(lease_id)
    await rented.hub.kill()
    for part in rented.hub.folder.glob("jupyterhub.sqlite*"):
        part.unlink()
    await rented.hub.start()

    async def is_named():
        return "give_back" in await rented.kinds()

    await rented.hub.until(is_named, "the hub says that it can be given back")
    assert (await rented.lease(lease_id)).ended_at is None
    by = By(rented.hub.hub_id, "cli ada", datetime.now(UTC))
    await rented.ledger.awrite(account_bindings.bind_all, by)
    await rented.hub.api("POST", "/users/anna")
    # Her program asks for what runs already: from then on it is known whose it is.
    assert "runs already" in await rented.refusal_of_start()

    async def is_back():
        server = await rented.server()
        return server and server["ready"] and server["lease_id"] == lease_id

    await rented.hub.until(is_back, "it is anna's again")
    assert await rented.process(lease_id) == process
    assert await rented.answers()
    await rented.hub.api("DELETE", "/users/anna/server")
    assert (await rented.ended(lease_id)).reason is Reason.ADMIN
    assert not await rented.is_there(lease_id)
