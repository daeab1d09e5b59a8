"""The schema: the migrations make what the code declares, on both databases."""

from datetime import datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from home import NOW
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError, StatementError

from gradienthub.ledger import Ledger
from gradienthub.ledger.database import VERSION_TABLE
from gradienthub.ledger.schema import accounts, device_holders, metadata

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
