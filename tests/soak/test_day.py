"""A scripted day: people start and stop, while hub, keeper and engine are killed at random.

GRADIENTHUB_SOAK is how many kills, GRADIENTHUB_SOAK_SEED which day. `make soak` asks for 200.
"""

import asyncio
import os
import random
import signal
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from docker.errors import DockerException
from home import HOSTS, T4
from hub_process import HubProcess
from private_engine import IMAGE, LABELED, SILENT, PrivateEngine, missing
from sqlalchemy import select

from gradienthub.ledger import (
    By,
    Ledger,
    account_acts,
    account_bindings,
    accounts,
    gaps,
    grants,
    keepers,
    verify,
)
from gradienthub.ledger.schema import device_holders, entries, leases

KILLS = int(os.environ.get("GRADIENTHUB_SOAK", "5"))
SEED = int(os.environ.get("GRADIENTHUB_SOAK_SEED", "1"))
PEOPLE = [f"person{n}" for n in range(4)]
MACHINES = ("t4", "t4", "c1", "t4x2", "free-cpu")
#: What people run: some bring an image that forges our labels, or one that never answers.
RUNTIMES = ("python",) * 8 + ("labeled", "silent")
#: Seconds between two looks of the observer, and how much later others see what has happened.
LOOK, SLACK = 0.25, timedelta(seconds=3)
#: How long a server may be dead until the hub sees it, and who stops it meanwhile pays for that.
POLL = timedelta(seconds=5)
#: A notebook's port, and how the kernel's table writes that somebody listens.
PORT, LISTEN = 8888, "0A"
TIER = {
    "title": "Day", "max_running": 3, "max_running_free": None, "funding": "prepaid",
    "shutdown_choices": ["15s", "1h"], "shutdown_min": "10s", "shutdown_max": "1h",
    "shutdown_default": "15s",
    "session_limit": "40s",
}  # fmt: skip
TRAITS = {
    "tiers": {"day": TIER}, "tier_rules": {"default": "day"}, "new_account_credit": "500",
    "runtimes": {
        "python": {"title": "Python 3", "image": IMAGE},
        "labeled": {"title": "Forged labels", "image": LABELED},
        "silent": {"title": "Never answers", "image": SILENT},
    }, "keeper_interval": 1,
    "keeper_warnings": ["6s", "3s"], "reconcile_interval": 3, "answer_timeout": 40,
    "hosts": {"rack": HOSTS["rack"] | {"stage_width": 3, "devices": [
        {"uuid": f"GPU-t4-{n}", "model": T4} for n in range(3)]}},
}  # fmt: skip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.docker,
    pytest.mark.timeout(240 + 30 * KILLS),
    pytest.mark.skipif(bool(missing()), reason=missing() or "it is all there"),
]


#: `ask(method, path, body)` of the hub: (status, body).
Ask = Callable[..., Awaitable[tuple[int, Any]]]


@dataclass
class Run:
    """One lease as its owner saw it: when its start was asked for, when it was seen ready, when
    its stop was first asked for, when that was answered."""

    asked: datetime
    ready: datetime
    stop: datetime | None = None
    stopped: datetime | None = None


@dataclass
class Seen:
    """What was seen from outside, with the moments of whoever saw it."""

    runs: dict[str, Run] = field(default_factory=dict)
    #: When each look at all containers began and ended; none while the engine is away.
    looks: list[tuple[datetime, datetime]] = field(default_factory=list)
    #: The first and the last look in which a lease's container listened.
    listening: dict[str, tuple[int, int]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


class People:
    """Who rents, by REST, and tries again whatever happens."""

    def __init__(self, hub: HubProcess, seen: Seen, dice: random.Random) -> None:
        self.hub, self.seen, self.dice = hub, seen, dice
        self.over = False
        # Nobody's clock: an answer that never comes is asked for again.
        self.session = aiohttp.ClientSession(
            headers={"Authorization": f"token {hub.token}"},
            timeout=aiohttp.ClientTimeout(total=30),
        )

    async def ask(self, method, path, body=None):
        """(status, body) as soon as somebody answers."""
        while True:
            try:
                url = f"{self.hub.hub_url}/hub/api{path}"
                async with self.session.request(method, url, json=body) as answer:
                    if answer.status < 500:
                        said = await answer.read()
                        return answer.status, (await answer.json()) if said else None
                    self.seen.counts[f"answer {answer.status}"] += 1
            except (aiohttp.ClientError, TimeoutError, OSError):
                self.seen.counts["no answer"] += 1
            await asyncio.sleep(0.3)

    async def lives(self, name):
        """Start, work, stop, and again, until the day is over."""
        while not self.over:
            asked = now()
            chosen = {
                "instance_type": self.dice.choice(MACHINES), "shutdown_after": "15s",
                "runtime": self.dice.choice(RUNTIMES),
            }  # fmt: skip
            status, said = await self.ask("POST", f"/users/{name}/server", chosen)
            refusal = f" {said.get('code', said)}" if said and status >= 400 else ""
            self.seen.counts[f"start {status}{refusal}"] += 1
            if status >= 400:
                # Who gave a broken image a try looks at its words before the next one.
                await asyncio.sleep(2 + self.dice.random())
            lease = await self.ready(name)
            if lease:
                self.seen.counts[f"ready {chosen['runtime']}"] += 1
                self.seen.runs[lease] = run = Run(asked, now())
                await asyncio.sleep(self.dice.random() * 5)
                if self.dice.random() < 0.3:
                    # The keeper's: idle after its interval.
                    await self.until_gone(name, 20)
                run.stop = now()
            await self.stops(name, lease)
            if lease:
                run.stopped = now()

    async def server(self, name):
        """What the hub says of the server."""
        _, body = await self.ask("GET", "/gradient/servers")
        return next((s for s in body["servers"] if s["user"] == name), None)

    async def ready(self, name):
        """The lease of the server that is ready; None where none comes."""
        for _ in range(120):
            server = await self.server(name)
            if server is None:
                return None
            if server["ready"]:
                return server["lease_id"]
            await asyncio.sleep(0.3)
        return None

    async def until_gone(self, name, seconds):
        """Wait for somebody else to stop it."""
        for _ in range(int(seconds / 0.5)):
            if await self.server(name) is None:
                return
            await asyncio.sleep(0.5)

    async def stops(self, name, lease):
        """Stop that lease's server, or whatever runs, until there is none."""
        body = {"lease": lease} if lease else None
        while await self.server(name) is not None:
            status, _ = await self.ask("DELETE", f"/users/{name}/server", body)
            self.seen.counts[f"stop {status}"] += 1
            if status in (404, 409) and lease:
                return
            await asyncio.sleep(0.3)


class Observer:
    """When each container listened, by the kernel's word, whatever hub, ledger and network say."""

    def __init__(self, engine: PrivateEngine, seen: Seen) -> None:
        self.engine, self.seen = engine, seen
        #: Lease -> the first process of its container, once it runs.
        self.processes: dict[str, int] = {}

    async def watch(self):
        """Until it is cancelled."""
        while True:
            began = now()
            try:
                self.processes |= await asyncio.to_thread(self._new_processes)
            except (DockerException, OSError):
                # Of one that runs since a moment nothing would be known.
                await asyncio.sleep(LOOK)
                continue
            number = len(self.seen.looks)
            for lease, process in self.processes.items():
                if listens(process):
                    first, _ = self.seen.listening.get(lease, (number, number))
                    self.seen.listening[lease] = (first, number)
            self.seen.looks.append((began, now()))
            await asyncio.sleep(LOOK)

    def _new_processes(self):
        rows = []
        for row in self.engine.containers():
            lease = row["Labels"].get("gradienthub.lease")
            # By label and name: a stranger may have copied either.
            if row["State"] == "running" and row["Names"] == [f"/gradient-{lease}"]:
                rows.append((lease, row["Id"]))
        return {
            lease: self.engine.process_of(container)
            for lease, container in rows if lease and lease not in self.processes
        }  # fmt: skip


def listens(process):
    """Whether anything in its network namespace listens on a notebook's port."""
    for table in ("tcp", "tcp6"):
        try:
            rows = Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]
        except OSError:  # it has ended
            return False
        for row in rows:
            _, local, _, state, *_ = row.split()
            if state == LISTEN and int(local.rpartition(":")[2], 16) == PORT:
                return True
    return False


class Killer:
    """kill -9, a moment of nothing, and a start, in any order."""

    def __init__(
        self, hub: HubProcess, engine: PrivateEngine, ledger: Ledger, ask: Ask, dice: random.Random
    ) -> None:
        self.hub, self.engine, self.ledger, self.ask, self.dice = hub, engine, ledger, ask, dice
        self.table_is_back = True

    async def kills(self, seen):
        """As many as were asked for."""
        for _ in range(KILLS):
            await asyncio.sleep(self.dice.random() * 6)
            victims = self.dice.choice(
                [("hub",), ("hub",), ("keeper",), ("keeper",), ("engine",), ("engine",),
                 ("hub", "engine"), ("hub", "keeper"), ("users",)]
            )  # fmt: skip
            for victim in victims:
                await getattr(self, f"kill_{victim}")()
                seen.counts[f"kill {victim}"] += 1
            await asyncio.sleep(self.dice.random() * 2)
            for victim in self.dice.sample(victims, len(victims)):
                if victim == "hub":
                    await self.hub.start()
                elif victim == "users":
                    await self.start_without_users()
                elif victim == "engine":
                    await self.engine.restart(keeps=self.dice.random() < 0.5)

    async def kill_hub(self):
        await self.hub.kill()

    async def kill_users(self):
        """Kill the hub and lose its user table, or find again the one that was lost before."""
        await self.hub.kill()
        table = self.hub.folder / "jupyterhub.sqlite"
        lost = self.hub.folder / "lost"
        lost.mkdir(exist_ok=True)
        found = sorted(lost.iterdir())
        self.table_is_back = bool(found)
        for part in self.hub.folder.glob("jupyterhub.sqlite*"):
            part.rename(lost.with_name("last") if found else lost / part.name)
        for part in found:
            part.rename(table.with_name(part.name))

    async def start_without_users(self):
        """Start the hub, bind its names as an administrator does, and make its users."""
        await self.hub.start()
        if not self.table_is_back:
            await self.hub.until(self._everybody_is_bound, "everybody's account waits for them")
        for name in PEOPLE:
            await self.ask("POST", f"/users/{name}")

    async def _everybody_is_bound(self):
        """Bind who has no user any more; the hub tells the ledger of that in its first pass."""
        by = By(self.hub.hub_id, "cli ada", now())
        await self.ledger.awrite(account_bindings.bind_all, by)
        listing = await self.ledger.aread(account_acts.list_accounts, self.hub.hub_id)
        return {"prepared"} == {row["state"] for row in listing}

    async def kill_engine(self):
        await asyncio.to_thread(self.engine.kill)

    async def kill_keeper(self):
        holder = await self.ledger.aread(keepers.find_keeper, self.hub.hub_id)
        pid = int(holder["holder"].split(":")[-2]) if holder else 0
        # A number that a keeper had is another process's once it is dead.
        if pid and psutil.pid_exists(pid) and "gradienthub.service" in _command(pid):
            os.kill(pid, signal.SIGKILL)


def _command(pid):
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ""


def now():
    return datetime.now(UTC)


@pytest.fixture
async def hub(tmp_path, engine):
    running = HubProcess(
        tmp_path, spawner="gradient-docker", hub_ip=engine.address, poll_interval=POLL.seconds,
        environment={"DOCKER_HOST": engine.url}, **TRAITS,
    )  # fmt: skip
    await running.start()
    yield running
    await running.close()


@pytest.fixture
async def day(hub, engine):
    found = Day(hub, engine, random.Random(SEED))
    yield found
    await found.close()


async def test_what_is_billed_is_what_was_seen_and_nothing_is_left(day):
    await day.passes()
    assert [row["Id"] for row in day.engine.containers()] == [day.stranger]
    hub, seen, ledger = day.hub, day.seen, day.ledger
    await hub.close()
    print(dict(sorted(seen.counts.items())), f"{len(seen.listening)} containers were seen")

    assert not seen.counts["answer 500"]
    assert ledger.read(lambda tx: tx.execute(select(device_holders)).all()) == []
    # A hub that ends while it still starts its keeper leaves one that sees so itself.
    await hub.until(day.no_process_is_left, "every keeper has ended")
    assert ledger.read(verify.verify_money, hub_id=hub.hub_id, now=now()).faults == ()
    rows = ledger.read(lambda tx: tx.execute(select(leases)).mappings().all())
    assert len(rows) >= len(seen.runs) > 0
    charged = ledger.read(
        lambda tx: Counter({
            lease: sum(amounts) for lease, amounts in _by_lease(tx).items()
        })
    )  # fmt: skip
    lost = ledger.read(gaps.list_gaps, [row["id"] for row in rows])
    closed = {row["id"]: closed_form(row, lost) for row in rows}
    assert {k: v for k, v in closed.items() if v} == {k: -v for k, v in charged.items() if v}
    for row in rows:
        fits_what_was_seen(row, seen)
    total = sum(closed.values())
    print(f"{len(rows)} leases, {len(seen.runs)} seen ready, {total} micro-units")
    assert total > 0


class Day:
    """All of them together, on one hub and one engine."""

    def __init__(self, hub, engine, dice):
        self.hub, self.engine, self.seen = hub, engine, Seen()
        self.ledger = Ledger(f"sqlite:///{hub.folder / 'gradienthub.sqlite'}")
        self.people = People(hub, self.seen, dice)
        self.killer = Killer(hub, engine, self.ledger, self.people.ask, dice)
        self.stranger = ""

    async def passes(self):
        """Until all were killed, everybody has stopped and the engine is empty."""
        # Of an image with our labels, and with this hub's own: it is not ours, whatever it says.
        labels = {"gradienthub.hub": self.hub.hub_id, "gradienthub.lease": str(uuid.uuid4())}
        self.stranger = await asyncio.to_thread(self.engine.run_stranger, labels)
        async with asyncio.TaskGroup() as together:
            observer = together.create_task(Observer(self.engine, self.seen).watch())
            await self._may_pay()
            lives = [together.create_task(self.people.lives(name)) for name in PEOPLE]
            await self.killer.kills(self.seen)
            # A slow machine may kill each hub before anybody's notebook is ready.
            await self.hub.until(self._somebody_worked, "somebody's notebook was ready")
            self.people.over = True
            await asyncio.wait(lives)
            for name in PEOPLE:
                await self.people.stops(name, None)
            try:
                await self.hub.until(self._nothing_is_open, "every lease and container has ended")
            except AssertionError as error:
                error.add_note(await self._what_is_left())
                raise
            observer.cancel()

    async def _may_pay(self):
        for name in PEOPLE:
            await self.people.ask("POST", f"/users/{name}")
            # Refused without a payment method; the account is there from then on.
            status, said = await self.people.ask(
                "POST", f"/users/{name}/server", {"instance_type": "c1", "shutdown_after": "15s"}
            )
            assert (status, said["code"]) == (402, "payment_method_required"), said
            account = await self.ledger.aread(accounts.find, hub_id=self.hub.hub_id, name=name)
            by = By(self.hub.hub_id, "tester", now())
            await self.ledger.awrite(grants.set_payment_method, by, account, True)

    async def no_process_is_left(self):
        """Whether no keeper of any of the day's hubs runs."""
        return not [p for p in psutil.process_iter() if self.hub.hub_id in _environment(p)]

    async def _somebody_worked(self):
        return bool(self.seen.runs)

    async def _nothing_is_open(self):
        left = {row["Id"] for row in self.engine.containers()}
        return not await self.ledger.aread(_open_leases) and left <= {self.stranger}

    async def _what_is_left(self):
        open_ids = set(await self.ledger.aread(_open_leases))
        rows = await self.ledger.aread(lambda tx: tx.execute(select(leases)).mappings().all())
        containers = [
            (row["Names"], row["Labels"], row["Status"]) for row in self.engine.containers()
        ]
        log = (self.hub.folder / "log").read_text(errors="replace")[-6000:]
        return f"{[dict(r) for r in rows if r['id'] in open_ids]}\n{containers}\n{log}"

    async def close(self):
        await self.people.session.close()
        self.ledger.close()


def _open_leases(tx):
    return tx.execute(select(leases.c.id).where(leases.c.ended_at.is_(None))).scalars().all()


def _by_lease(tx):
    found = {}
    for lease, amount in tx.execute(
        select(entries.c.lease_id, entries.c.amount).where(entries.c.lease_id.is_not(None))
    ):
        found.setdefault(lease, []).append(amount)
    return found


def _environment(process):
    try:
        return process.environ().get("GRADIENTHUB_HUB_ID", "")
    except psutil.Error:
        return ""


def observed(row):
    """From the first answer to the request to stop, or to when it was last seen alive."""
    if row["answered_at"] is None:
        return None
    end = row["stop_requested_at"] or row["seen_at"] or row["answered_at"]
    return row["answered_at"], max(row["answered_at"], min(end, row["ended_at"]))


def closed_form(row, gaps):
    """Its price an hour for that time without its gaps, rounded half up to a micro-unit."""
    if (interval := observed(row)) is None:
        return 0
    start, end = interval
    # The ports of a container are gone with its engine: nobody could reach it, though it listens.
    lost = sum(
        (
            max(min(until or end, end) - max(since, start), timedelta(0))
            for since, until in gaps.get(row["id"], ())
        ),
        timedelta(0),
    )
    hours = Fraction((end - start - lost) // timedelta(microseconds=1), 3600 * 10**6)
    return int(row["price"] * hours + Fraction(1, 2))


def fits_what_was_seen(row, seen):
    """Nobody pays for a time at which nothing listened, nor uses one for nothing."""
    if (interval := observed(row)) is None:
        return
    start, end = interval
    inside = [n for n, (began, ended) in enumerate(seen.looks) if start <= began and ended <= end]
    first, last = seen.listening.get(row["id"], (len(seen.looks), -1))
    # It may begin and end within a look.
    assert len([n for n in inside if n < first]) < 2, dict(row)
    # Dead, it is billed until the hub sees that; who stops it before that pays until then.
    late = [n for n in inside if n > last and seen.looks[n][1] <= end - POLL - SLACK]
    assert late == [] or row["id"] not in seen.listening, dict(row)
    run = seen.runs.get(row["id"])
    if run is None:
        return
    assert start <= run.ready, (dict(row), run)
    if row["reason"] == "user" and run.stop is not None and run.stopped is not None:
        assert run.stop <= end <= run.stopped + SLACK, (dict(row), run)
