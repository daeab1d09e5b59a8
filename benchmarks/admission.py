"""Admission: 50 at once with 100,000 past leases, while something else writes all the time."""

import asyncio
import tempfile
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from harness import arguments
from traitlets.config import Config

from gradienthub.ledger import Ledger, admissions, leases, schema
from gradienthub.ledger.accounts import HubUser
from gradienthub.rules.idleness import Reason
from gradienthub.rules.options import parse_options
from gradienthub.rules.refusal import Refused
from gradienthub.settings import GradientHub, Settings

OPTIONS = parse_options({"instance_type": "p5000", "shutdown_after": "1h"})
NOW = datetime.now(UTC)


def settings(folder: Path) -> Settings:
    c = Config()
    c.GradientHub.data_dir = str(folder)
    c.GradientHub.preset = None
    c.GradientHub.instance_types = {
        "p5000": {
            "title": "P5000",
            "gpu_model": "P5000",
            "gpus": 1,
            "cpus": 1,
            "memory": 1,
            "price": 0,
        }
    }
    c.GradientHub.runtimes = {"python": {"title": "Python", "image": "a:1"}}
    c.GradientHub.tiers = {
        "all": {
            "title": "All",
            "max_running": 1000,
            "max_running_free": 1000,
            "shutdown_choices": ["1h"],
            "shutdown_min": "1m",
            "shutdown_max": "7d",
        }
    }
    c.GradientHub.tier_rules = {"default": "all"}
    devices = [{"uuid": f"GPU-{n}", "model": "P5000"} for n in range(600)]
    c.GradientHub.hosts = {"here": {"cpus": 1000, "memory": 10000, "devices": devices}}
    return GradientHub(config=c).resolved()


def request(number: int) -> admissions.Request:
    return admissions.Request(
        lease_id=str(uuid.uuid4()),
        user=HubUser(number, NOW, f"u{number}"),
        groups=frozenset(),
        server_name="",
        display_name="",
        options=OPTIONS,
        actor="bench",
    )


def fill_history(ledger: Ledger, like: str, count: int) -> None:
    """Copies of one ended lease: the tables as they are after a long time."""

    def insert(tx: Any) -> None:
        row = dict(
            tx.execute(schema.leases.select().where(schema.leases.c.id == like)).one()._mapping
        )
        rows = [
            {
                **row,
                "id": f"past-{n}",
                "admitted_at": NOW - timedelta(minutes=n),
                "ended_at": NOW - timedelta(minutes=n),
            }
            for n in range(count)
        ]
        tx.execute(schema.leases.insert(), rows)

    ledger.write(insert)


async def measure(ledger: Ledger, house: Settings, first: int, count: int) -> list[float]:
    """Milliseconds of each of `count` admissions asked for at once, in the lane."""
    taken = []

    def timed(tx: Any, asked: admissions.Request) -> Any:
        return admissions.admit_start(tx, asked, house, datetime.now(UTC))

    async def one(number: int) -> None:
        def run() -> float:
            began = time.perf_counter()
            outcome = ledger.write(timed, request(number))
            assert not isinstance(outcome, Refused), outcome
            return time.perf_counter() - began

        loop = asyncio.get_running_loop()
        taken.append(1000 * await loop.run_in_executor(ledger._writer, run))

    await asyncio.gather(*(one(number) for number in range(first, first + count)))
    return sorted(taken)


async def main() -> None:
    args = arguments(past=100_000, together=50)
    with tempfile.TemporaryDirectory() as folder:
        house = settings(Path(folder))
        ledger = Ledger(house.database_url)
        ledger.upgrade()
        lease = ledger.write(admissions.admit_start, request(0), house, NOW)
        assert not isinstance(lease, Refused)
        ledger.write(leases.end, lease.id, NOW, Reason.USER)
        results = {}
        for label, past in (("empty", 0), ("full", args.past)):
            if past:
                fill_history(ledger, lease.id, past)
            first = 1000 if past else 100
            results[label] = await measure(ledger, house, first, args.together)
        for label, past in (("empty", 0), ("full", args.past)):
            values = results[label]
            print(
                f"admission, {args.together} at once, {past} past leases: "
                f"median {median(values):.2f} ms, p99 {values[-1]:.2f} ms"
            )
        ledger.close()


asyncio.run(main())
