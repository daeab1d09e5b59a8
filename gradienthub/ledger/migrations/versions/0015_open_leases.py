"""Open leases of a hub are found without reading the past ones

SQLite chose the index of all leases of a hub, because both matched one column of a query.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

OPEN = sa.text("ended_at IS NULL")


def upgrade() -> None:
    op.drop_index("ix_leases_running", table_name="leases")
    op.create_index(
        "ix_leases_running",
        "leases",
        ["hub_id", "ended_at"],
        unique=False,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
