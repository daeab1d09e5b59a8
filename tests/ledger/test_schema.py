"""The schema: the migrations make what the code declares, on both databases."""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import steps
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from home import NOW
from sqlalchemy import MetaData, create_engine, inspect, text
from sqlalchemy.exc import IntegrityError, StatementError

from gradienthub.ledger import Ledger, database, leases, watches
from gradienthub.ledger.database import VERSION_TABLE
from gradienthub.ledger.schema import accounts, device_holders, metadata
from gradienthub.rules.idleness import Deadlines, Reason

MADE_BY_OLD = Path(__file__).parent / "made_by_0014"
NAIVE = datetime(2026, 11, 23, 9, 0)  # noqa: DTZ001 - the point of a test below


def test_the_migrations_make_exactly_the_schema_that_the_code_declares(ledger):
    with ledger._engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []


def test_an_empty_database_is_brought_to_this_version_and_a_second_time_does_nothing(ledger_url):
    ledger = Ledger(ledger_url)
    current, head = ledger.revision()
    assert current is None
    ledger.upgrade()
    assert ledger.revision() == (head, head)
    ledger.upgrade()
    assert ledger.revision() == (head, head)
    ledger.close()


def test_the_ledger_may_share_a_database_with_the_hub(ledger_url):
    ledger = Ledger(ledger_url)
    with ledger._engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('of the hub')"))
    ledger.upgrade()
    with ledger._engine.connect() as connection:
        kept = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    assert kept == "of the hub"
    ledger.close()


def test_open_leases_of_a_hub_are_found_without_reading_its_past_ones(ledger):
    open_ones = "SELECT id FROM leases WHERE hub_id = 'h' AND ended_at IS NULL"
    with ledger._engine.connect() as connection:
        indexes = {
            one["name"]: one["column_names"] for one in inspect(connection).get_indexes("leases")
        }
        assert indexes["ix_leases_running"] == ["hub_id", "ended_at"]
        if ledger._engine.dialect.name == "sqlite":  # PostgreSQL chooses by what it has counted
            for asked in (open_ones, f"SELECT * FROM gaps WHERE lease_id IN ({open_ones})"):
                plan = connection.execute(text(f"EXPLAIN QUERY PLAN {asked}")).all()
                assert any("ix_leases_running" in row.detail for row in plan), plan


def test_every_table_carries_its_hub(ledger):
    with ledger._engine.connect() as connection:
        found = inspect(connection)
        for table in found.get_table_names():
            if table != VERSION_TABLE:
                columns = {column["name"] for column in found.get_columns(table)}
                assert "hub_id" in columns, table


def test_the_database_itself_gives_a_device_to_one_holder_only(ledger):
    def hold(tx, holder):
        tx.execute(
            device_holders.insert().values(
                device_uuid="GPU-1", hub_id="h", holder_kind="lease", holder_id=holder, since=NOW
            )
        )

    ledger.write(hold, "one")
    with pytest.raises(IntegrityError):
        ledger.write(hold, "two")


def test_a_time_without_a_zone_is_refused(ledger):
    def insert(tx):
        tx.execute(
            accounts.insert().values(
                id="a",
                hub_id="h",
                name="anna",
                payment_method=False,
                groups=[],
                claims={},
                created_at=NAIVE,
            )
        )

    with pytest.raises(StatementError, match="has no time zone"):
        ledger.write(insert)


def test_a_ledger_that_the_old_migrations_made_keeps_open_leases_and_their_devices(ledger_url):
    """A hub of a version before the first release with one notebook running, upgraded meanwhile."""
    _load_made_by_old_migrations(ledger_url)
    ledger = Ledger(ledger_url)
    assert ledger.revision()[0] == "0014"
    ledger.upgrade()
    assert ledger.revision()[0] == ledger.revision()[1]
    (found,) = ledger.read(watches.list_open_watched, "h")
    assert (found.id, found.lease.price, found.lease.account_name, found.known) == (
        "lease",
        510000,
        "anna",
        False,
    )
    assert found.deadlines == Deadlines(timedelta(hours=1), session_ends_at=NOW)
    assert (found.evidence.used_at, found.lease.stop_note) == (NOW, None)
    assert ledger.read(steps.columns_of, "lease")["devices"] == ("GPU-1",)
    ledger.write(watches.save, "h", [found])
    assert ledger.write(leases.end, "lease", NOW, Reason.IDLE)
    assert ledger.read(steps.columns_of, "lease")["used_by"] == "start"
    ledger.close()


def test_the_old_migrations_and_the_one_of_the_first_release_make_the_same_schema(
    ledger_url,
):
    fresh = Ledger(ledger_url)
    _upgrade(fresh, "0014")
    with fresh._engine.connect() as connection:
        one = described(connection)
    with fresh._engine.begin() as connection:
        for table in reversed(_reflected(connection).sorted_tables):
            table.drop(connection)
    fresh.close()
    _load_made_by_old_migrations(ledger_url)
    old = Ledger(ledger_url)
    with old._engine.connect() as connection:
        assert described(connection) == one
    old.close()
    assert len(one) > 30


@pytest.mark.parametrize("revision", ["0001", "0013"])
def test_a_ledger_of_an_older_version_is_refused_with_the_way(ledger_url, revision):
    _load_made_by_old_migrations(ledger_url)
    ledger = Ledger(ledger_url)
    with ledger._engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{revision}'"))
    before = database.way_to(*ledger.revision())
    assert f"its schema {revision} is of before the first release" in before
    assert database.LAST_WITH_STEPS in before
    ledger.close()


def described(connection):
    """The schema by table, with everything that an inspector sees of it."""
    inspector = inspect(connection)
    found = {}
    for table in inspector.get_table_names():
        key = inspector.get_pk_constraint(table)
        found[table] = {
            "columns": {
                one["name"]: (repr(one["type"]), one["nullable"], one["default"])
                for one in inspector.get_columns(table)
            },
            "primary key": (key["name"], key["constrained_columns"]),
            "foreign keys": _by_name(inspector.get_foreign_keys(table)),
            "unique": _by_name(inspector.get_unique_constraints(table)),
            "checks": _by_name(inspector.get_check_constraints(table)),
            "indexes": {
                one["name"]: (
                    one["column_names"],
                    bool(one["unique"]),
                    {key: str(value) for key, value in one.get("dialect_options", {}).items()},
                )
                for one in inspector.get_indexes(table)
            },
        }
    return found


def _reflected(connection):
    tables = MetaData()
    tables.reflect(connection)
    return tables


def _by_name(constraints):
    return {one["name"]: one for one in constraints}


def _load_made_by_old_migrations(url):
    """Load a database that the fourteen migrations of before the first release made.

    It began at 0001, with an account and a running notebook, and took the steps from there.
    """
    engine = create_engine(url)
    dump = (MADE_BY_OLD / f"{engine.dialect.name}.sql").read_text()
    if engine.dialect.name == "sqlite":
        with closing(sqlite3.connect(engine.url.database)) as connection:
            connection.executescript(dump)
    else:
        with engine.begin() as connection:
            connection.exec_driver_sql(dump)
    engine.dispose()


def _upgrade(ledger, revision):
    with ledger._engine.connect() as connection:
        config = database._alembic()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
