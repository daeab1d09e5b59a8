"""The schema: the migrations make what the code declares, on both databases."""

from datetime import datetime, timedelta

import pytest
import steps
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from home import NOW
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError, StatementError

from gradienthub.ledger import Ledger, database, leases, watches
from gradienthub.ledger.database import VERSION_TABLE
from gradienthub.ledger.schema import accounts, device_holders, metadata
from gradienthub.rules.idleness import Deadlines, Reason

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
                id="a", hub_id="h", name="anna", payment_method=False, groups=[], claims={},
                created_at=NAIVE,
            )
        )  # fmt: skip

    with pytest.raises(StatementError, match="has no time zone"):
        ledger.write(insert)


def test_an_upgrade_from_the_first_version_keeps_open_leases_and_their_devices(ledger_url):
    """A hub of version 0.1 with one notebook running, upgraded while it runs."""
    ledger = Ledger(ledger_url)
    _upgrade(ledger, "0001")
    when = {"at": NOW.isoformat()} if ledger.sqlite else {"at": NOW}
    with ledger._engine.begin() as connection:
        for row in OF_VERSION_1:
            connection.execute(text(row), when)
    assert ledger.revision()[0] == "0001"
    ledger.upgrade()
    assert ledger.revision()[0] == ledger.revision()[1] != "0001"
    (found,) = ledger.read(watches.open_watched, "h")
    assert (found.id, found.lease.price, found.lease.account_name, found.known) == (
        "lease", 510000, "anna", False)  # fmt: skip
    assert found.deadlines == Deadlines(timedelta(hours=1), session_ends_at=NOW)
    assert (found.evidence.used_at, found.lease.stop_note) == (NOW, None)
    assert ledger.read(steps.columns_of, "lease")["devices"] == ("GPU-1",)
    ledger.write(watches.save, "h", [found])
    assert ledger.write(leases.end, "lease", NOW, Reason.IDLE)
    assert ledger.read(steps.columns_of, "lease")["used_by"] == "start"
    ledger.close()


#: `:at` is a moment; all else is as version 0.1 wrote it.
OF_VERSION_1 = [
    "INSERT INTO accounts (id, hub_id, name, payment_method, groups, claims, created_at)"
    " VALUES ('account', 'h', 'anna', false, '[]', '{}', :at)",
    "INSERT INTO notebooks (id, hub_id, account_id, server_name, display_name, created_at)"
    " VALUES ('notebook', 'h', 'account', '', '', :at)",
    "INSERT INTO leases (id, hub_id, account_id, notebook_id, instance_type, price, currency, tier,"
    " tier_given_by, custom_image, interface, host, host_key, cpus, memory, shutdown_after,"
    " session_ends_at, phase, phase_at, admitted_at, answered_at)"
    " VALUES ('lease', 'h', 'account', 'notebook', 't4', 510000, 'USD', 'free', 'default', false,"
    " 'lab', 'rack', 'h/rack', 2, 4, 3600, :at, 'running', :at, :at, :at)",
    "INSERT INTO lease_devices (lease_id, device_uuid, hub_id) VALUES ('lease', 'GPU-1', 'h')",
    "INSERT INTO device_holders (device_uuid, hub_id, holder_kind, holder_id, since)"
    " VALUES ('GPU-1', 'h', 'lease', 'lease', :at)",
    "INSERT INTO keepers (hub_id, holder, expires_at) VALUES ('h', 'somebody', :at)",
]


def _upgrade(ledger, revision):
    with ledger._engine.connect() as connection:
        config = database._alembic()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
