"""Alembic's entry: migrate over the connection that Ledger.upgrade hands in."""

from alembic import context

from gradienthub.ledger.database import VERSION_TABLE
from gradienthub.ledger.schema import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    # SQLite cannot alter a column in place; Alembic then copies the table.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
