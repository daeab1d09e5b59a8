"""Statements: one account's month among 10^6 past leases, a year's report, and the keeper's tick.

SQLite unless `--url` names a PostgreSQL database, which is emptied first.
"""

import argparse
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import Connection, create_engine, text
from traitlets.config import Config

from gradienthub.ledger import (
    By,
    Ledger,
    accounts,
    admissions,
    grants,
    holds,
    leases,
    statements,
    usage,
)
from gradienthub.ledger.accounts import HubUser
from gradienthub.ledger.schema import entries as entry_table
from gradienthub.ledger.schema import leases as lease_table
from gradienthub.ledger.schema import usage as usage_table
from gradienthub.rules.idleness import Reason
from gradienthub.rules.options import parse_options
from gradienthub.rules.phase import Phase
from gradienthub.rules.refusal import Refused
from gradienthub.settings import GradientHub, Settings

ACCOUNTS = 1000
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
OPTIONS = parse_options({"instance_type": "c1", "shutdown_after": "1h"})


def settings(folder: Path) -> Settings:
    c = Config()
    c.GradientHub.data_dir, c.GradientHub.hub_id = str(folder), "bench"
    c.GradientHub.preset = None
    c.GradientHub.instance_types = {"c1": {"title": "C1", "cpus": 1, "memory": 1, "price": "0.5"}}
    c.GradientHub.runtimes = {"python": {"title": "Python", "image": "a:1"}}
    c.GradientHub.tiers = {
        "all": {
            "title": "All",
            "max_running": 1000,
            "credit_limit": "1000",
            "shutdown_choices": ["1h"],
            "shutdown_min": "1m",
            "shutdown_max": "7d",
        }
    }
    c.GradientHub.tier_rules = {"default": "all"}
    c.GradientHub.hosts = {"here": {"cpus": 10000, "memory": 100000}}
    return GradientHub(config=c).resolved()


def start(ledger: Ledger, house: Settings, number: int, at: datetime) -> str:
    """A lease of that person's that answers at once."""
    request = admissions.Request(
        lease_id=str(uuid.uuid4()),
        user=HubUser(number, NOW, f"u{number}"),
        groups=frozenset(),
        server_name=f"n{at:%d%H%M}",
        display_name="",
        options=OPTIONS,
        actor="bench",
    )

    def admit(tx: Connection) -> str:
        tx.execute(text("UPDATE accounts SET payment_method = true"))
        lease = admissions.admit_start(tx, request, house, at)
        if isinstance(lease, Refused):
            account = accounts.find(tx, hub_id="bench", name=f"u{number}")
            grants.set_payment_method(tx, By("bench", "bench", at), account, True)
            lease = admissions.admit_start(tx, request, house, at)
        assert not isinstance(lease, Refused), lease
        leases.note_phase(tx, lease.id, Phase.STARTING, at)
        leases.note_answered(tx, lease.id, at)
        return lease.id

    return ledger.write(admit)


def fill(ledger: Ledger, like: str, account_ids: list[str], past: int) -> None:
    """Copies of one ended lease and its entry, spread over accounts and months."""

    def insert(tx: Connection) -> None:
        tx.execute(text("CREATE TEMPORARY TABLE n (n INTEGER, account_id VARCHAR(36))"))
        tx.execute(
            text("INSERT INTO n VALUES (:n, :account_id)"),
            [{"n": n, "account_id": account_ids[n % len(account_ids)]} for n in range(past)],
        )
        _copy(
            tx,
            lease_table,
            f"id = '{like}'",
            {"id": "'past-' || n.n", "account_id": "n.account_id"},
        )
        # Twelve months of each account in the order of its chain.
        each = past // len(account_ids)
        place = f"(n.n / {len(account_ids)})"
        month = f"(1 + 11 * {place} / {each})"
        _copy(
            tx,
            entry_table,
            f"lease_id = '{like}'",
            {
                "id": "1000 + n.n",
                "account_id": "n.account_id",
                "lease_id": "'past-' || n.n",
                "seq": f"10 + {place}",
                "month": f"CASE WHEN {month} < 10 THEN '2026-0' ELSE '2026-' END || {month}",
            },
        )
        first = NOW.date() - timedelta(days=365)
        scopes = ["hub", *(usage.account_scope(one) for one in account_ids)]
        rows = [
            {
                "hub_id": "bench",
                "scope": scope,
                "day": first + timedelta(days=day),
                "instance_type": f"t{kind}",
                "currency": "USD",
                "leases": 1,
                "seconds": 60.0,
                "charged": 100,
            }
            for number, scope in enumerate(scopes)
            for day in range(365)
            for kind in (range(20) if scope == "hub" else [number % 20])
        ]
        for at in range(0, len(rows), 10_000):
            tx.execute(usage_table.insert(), rows[at : at + 10_000])

    ledger.write(insert)
    with ledger._engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))


def _copy(tx: Connection, table: Any, like: str, changed: dict[str, str]) -> None:
    names = [f'"{column.name}"' for column in table.columns]
    values = [changed.get(c.name, f'"{table.name}"."{c.name}"') for c in table.columns]
    tx.execute(
        text(
            f'INSERT INTO "{table.name}" ({", ".join(names)}) SELECT {", ".join(values)}'
            f' FROM "{table.name}", n WHERE "{table.name}".{like}'
        )
    )


def timed(times: int, call: Callable[[], Any]) -> tuple[float, float]:
    """(median, slowest) milliseconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - began))
    return median(taken), max(taken)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--past", type=int, default=1_000_000)
    parser.add_argument("--running", type=int, default=500)
    parser.add_argument("--url", default="", help="a PostgreSQL database, which is emptied")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.url:
            with create_engine(args.url).begin() as tx:
                tx.execute(text("DROP SCHEMA public CASCADE"))
                tx.execute(text("CREATE SCHEMA public"))
        house = settings(Path(folder))
        ledger = Ledger(args.url or house.database_url)
        ledger.upgrade()
        like = start(ledger, house, 0, NOW - timedelta(hours=2))
        ledger.write(holds.tick, hub_id="bench", seen=[like], now=NOW - timedelta(hours=1))
        by = By("bench", "x", NOW - timedelta(hours=1))
        ledger.write(leases.note_stop, like, Reason.USER, by)
        ledger.write(leases.end, like, NOW - timedelta(hours=1), None)
        running = [start(ledger, house, n, NOW) for n in range(1, args.running + 1)]
        everyone = ledger.read(accounts.list_accounts, hub_id="bench")
        where = "PostgreSQL" if args.url else "SQLite"
        minute = 0

        def tick() -> None:
            nonlocal minute
            minute += 1
            now = NOW + timedelta(minutes=minute)
            ledger.write(holds.tick, hub_id="bench", seen=running, now=now)

        before = timed(10, tick)
        fill(ledger, like, [account.id for account in everyone][:ACCOUNTS], args.past)
        after = timed(10, tick)
        account_id = everyone[7].id

        def statement() -> None:
            found = ledger.read(
                statements.read_statement,
                account_id=account_id,
                month="2026-06",
                currency="USD",
                now=NOW,
            )
            assert found.entries or args.past < 100_000

        first, end = NOW.date() - timedelta(days=365), NOW.date() + timedelta(days=1)
        span = usage.Period("bench", "USD", first, end)
        rows = [
            (f"statement of one account among {args.past} leases", timed(20, statement)),
            ("a year by day and type", timed(5, lambda: ledger.read(usage.by_day, span))),
            (
                f"a year by user, {len(everyone)} users",
                timed(5, lambda: ledger.read(usage.by_user, span)),
            ),
            (f"tick, {len(running)} running, no past", before),
            (f"tick, {len(running)} running, {args.past} past leases", after),
        ]
        for label, (middle, slowest) in rows:
            print(f"{label}, {where}: median {middle:.1f} ms, slowest {slowest:.1f} ms")
        ledger.close()


main()
