"""Whatever row of money is altered by SQL, the proof names it."""

from datetime import date, datetime, timedelta

import pytest
import steps
from bank import HOUR, HUB, MINUTE, usd
from sqlalchemy import JSON, BigInteger, Boolean, Date, Float, Integer, String, select
from sqlalchemy.exc import IntegrityError

from gradienthub.ledger import audit, credits, idempotency, usage, verify
from gradienthub.ledger.schema import Moment, metadata
from gradienthub.rules.phase import Phase

#: Tables without a row that money depends on, and why.
NOT_MONEY_TABLES = {
    "settings": "what the hub publishes, with its own digest; a lease keeps its terms",
    "accounts": "who may start what; what a lease costs is in its own row",
    "identities": "whose login is which account",
    "logins": "what a provider said last",
    "approvals": "who may start what",
    "approval_requests": "who asks to start what",
    "notebooks": "names and folders",
    "hosts": "what is declared",
    "devices": "what is declared",
    "lease_devices": "which device; a price is of the lease",
    "device_holders": "which device",
    "keepers": "who acts",
    "watches": "evidence of use",
    "findings": "what is wrong",
    "audit": "the second record itself: where it and the first differ, the lease is named",
    "warm_slots": "servers that nobody pays for",
    "warm_pauses": "servers that nobody pays for",
    "subjects": "whose login is which account",
    "server_records": "what the hub's own database knows",
    "device_faults": "which devices are for rent",
    "past_slots": "servers that nobody pays for",
    "adopted_volumes": "names of folders",
    "outside_servers": "what runs without a lease",
}
#: Columns of the tables of money that no amount follows from, and why.
NOT_MONEY = {
    "leases": {
        **dict.fromkeys(
            [
                "notebook_id",
                "tier_given_by",
                "runtime",
                "image",
                "interface",
                "host",
                "host_key",
                "cpus",
                "memory",
                "phase",
                "phase_at",
                "object_name",
                "object_id",
                "admitted_at",
                "turn_at",
                "confirmed_at",
                "reason",
                "stopped_by",
                "stop_note",
                "used_at",
                "used_by",
                "exit_code",
                "out_of_memory",
                "last_words",
                "warm_slot",
                "reached_at",
                "program_extensions",
                "object_id",
            ],
            "what ran where, and how it ended",
        ),
        **dict.fromkeys(
            ["shutdown_after", "stop_at", "session_ends_at", "keep_until"],
            "when it is stopped; it is billed for when it was",
        ),
    },
    "gaps": {"id": "only their order counts", "hub_id": "its lease says whose money it is"},
    "balances": {},
    "entries": {},
    "credits": {},
    "holds": {},
    "budgets": {},
    "usage": {},
    "idempotency_keys": {},
}


def test_each_table_is_one_of_money_or_says_why_not():
    assert set(metadata.tables) == set(NOT_MONEY) | set(NOT_MONEY_TABLES)


@pytest.fixture(params=["the audit is kept", "the audit is pruned"])
def rich(bank, request):
    """A bank in which each kind of row is there."""
    write = bank.ledger.write
    for name in ("ann", "bob"):
        bank.credit(name, usd(50))
    ann = bank.account("ann").id
    write(credits.welcome, hub_id=HUB, account_id=ann, currency="USD", amount=usd(7), now=bank.now)
    bank.credit("ann", usd(5), expires_in=30 * 24 * HOUR)
    bank.credit("ann", usd(1), expires_in=HOUR / 2)
    for scope in (usage.account_scope(ann), usage.group_scope("lab")):
        bank.budget(scope, soft=usd(0.1), hard=usd(40))
    write(idempotency.once, bank.by, "one", {"amount": "5"}, lambda: "a-credit")
    stopped = bank.start("ann", "t4", "stopped", groups=("lab",))
    crashed = bank.start("ann", "c1", "crashed")
    bank.run(10 * MINUTE, stopped, crashed)
    bank.reach(silent=[stopped])
    bank.run(5 * MINUTE, stopped, crashed)
    bank.reach([stopped])
    bank.run(25 * MINUTE, stopped, crashed)
    bank.stop(stopped)
    bank.later(2 * MINUTE)
    bank.end(crashed)
    failed = bank.ask("bob", "t4", "failed", image="ghcr.io/acme/x:1")
    write(steps.reach, failed.id, Phase.ANSWERING, bank.now)
    bank.later(3 * MINUTE)
    bank.stop(failed.id)
    bank.start("ann", "t4", "running", groups=("lab", "bio"))
    bank.start("bob", "t4", "also running")
    bank.run(20 * MINUTE)
    bank.ask("bob", "t4", "starting")
    bank.start("ann", "free-cpu", "free")
    if request.param == "the audit is pruned":
        write(audit.prune, hub_id=HUB, since=None, before=bank.now + HOUR)
    assert bank.faults() == []
    return bank


def matters(table, column, row):
    """Whether an amount follows from this column in this row."""
    if table.name == "entries" and column.name == "id":
        # Entries of others stand between; only their order counts.
        return False
    if table.name != "leases":
        return True
    answered, over = row.answered_at is not None, row.ended_at is not None
    if column.name == "started_at":
        return over and not answered
    if column.name == "seen_at":
        # Of one that runs it is an observation: it says what a crash would cost.
        return over and answered and row.stop_requested_at is None
    if column.name in ("answered_at", "stop_requested_at", "ended_at") and not row.price:
        return over
    if column.name == "answered_at" and not over:
        return answered
    return not (column.name in ("stop_requested_at", "ended_at") and not answered and not over)


def other(column, value, others):
    """Another value that the column may have."""
    if column.foreign_keys or column.name in ("lease_id", "credit_id", "account_id"):
        return next((one for one in others if one != value), "another")
    match column.type:
        case Boolean():
            return not value
        case BigInteger():
            # Of a hold's time, in microseconds, less would not be a micro-unit.
            return (value or 0) + 7_000_000
        case Integer():
            return (value or 0) + 7
        case Float():
            return (value or 0) + 100
        case Moment() if column.table.name == "gaps" and column.name == "from_at":
            # Before the first answer nothing was billed anyway.
            return value + 5 * MINUTE
        case Moment():
            return (value or datetime.fromisoformat("2026-11-23T18:00+00:00")) - 17 * MINUTE
        case Date():
            return (value or date(2026, 11, 1)) + timedelta(days=1)
        case JSON():
            return ["another"]
        case String():
            return "2026-01" if column.name in ("month", "warned") else "EUR"
    raise AssertionError(column.type)


def test_any_column_of_any_row_of_money_that_is_altered_is_named(rich):
    unnamed, altered = [], 0
    leases = metadata.tables["leases"]
    ids = {
        "leases": rich.ledger.read(lambda tx: tx.execute(select(leases.c.id)).scalars().all()),
        "accounts": [rich.account(name).id for name in ("ann", "bob")],
    }
    for name, not_money in NOT_MONEY.items():
        table = metadata.tables[name]
        rows = rich.ledger.read(lambda tx, table=table: tx.execute(select(table)).all())
        assert rows, name
        for row in rows:
            key = [column == getattr(row, column.name) for column in table.primary_key]
            for column in table.columns:
                if column.name in not_money or not matters(table, column, row):
                    continue
                others = ids["leases" if column.name == "lease_id" else "accounts"]
                value = other(column, getattr(row, column.name), others)
                try:
                    faults = rich.ledger.write(faults_with, rich, table, key, column, value)
                except IntegrityError:
                    continue
                altered += 1
                if not faults:
                    unnamed.append(f"{name}.{column.name} of {row._asdict()}")
    assert altered > 300
    assert unnamed == []
    assert rich.faults() == []


def faults_with(tx, bank, table, key, column, value):
    """What the proof says with this value there, which is taken back."""
    with tx.begin_nested() as savepoint:
        tx.execute(table.update().where(*key).values({column: value}))
        found = verify.verify_money(tx, hub_id=HUB, now=bank.now).faults
        savepoint.rollback()
    return found


def test_any_row_of_money_that_is_removed_is_named(rich):
    def faults_without(tx, table, key):
        with tx.begin_nested() as savepoint:
            tx.execute(table.delete().where(*key))
            found = verify.verify_money(tx, hub_id=HUB, now=rich.now).faults
            savepoint.rollback()
        return found

    unnamed = []
    for name in ("entries", "gaps", "balances", "credits", "holds", "budgets", "usage"):
        table = metadata.tables[name]
        for row in rich.ledger.read(lambda tx, table=table: tx.execute(select(table)).all()):
            key = [column == getattr(row, column.name) for column in table.primary_key]
            if not rich.ledger.write(faults_without, table, key):
                unnamed.append(f"{name} {row._asdict()}")
    assert unnamed == []


def test_usage_of_a_group_that_is_altered_is_named_with_its_day_and_machine(rich):
    table = metadata.tables["usage"]
    rich.ledger.write(
        lambda tx: tx.execute(table.update().where(table.c.scope.like("group:%")).values(charged=0))
    )
    assert any(
        fault.startswith("usage of group:lab, 2026-11-23, t4, USD is kept as")
        and "its entries give 1 leases" in fault
        for fault in rich.faults()
    )


def test_the_price_of_a_running_lease_that_is_altered_is_named(rich):
    table = metadata.tables["leases"]
    rich.ledger.write(
        lambda tx: tx.execute(table.update().where(table.c.ended_at.is_(None)).values(price=1))
    )
    faults = rich.faults()
    assert any("is not what its start was: its price was altered" in fault for fault in faults)
