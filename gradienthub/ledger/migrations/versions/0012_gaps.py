"""Time in which a notebook could not be reached

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

from gradienthub.ledger.schema import Moment

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("leases", sa.Column("reached_at", Moment(timezone=True), nullable=True))
    op.create_table(
        "gaps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("lease_id", sa.String(length=36), nullable=False),
        sa.Column("from_at", Moment(timezone=True), nullable=False),
        sa.Column("until_at", Moment(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["lease_id"], ["leases.id"], name=op.f("fk_gaps_lease_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gaps")),
    )
    op.create_index(op.f("ix_gaps_hub_id"), "gaps", ["hub_id"])
    op.create_index(op.f("ix_gaps_lease_id"), "gaps", ["lease_id"])
    op.create_index(
        "uq_gaps_lasting",
        "gaps",
        ["lease_id"],
        unique=True,
        sqlite_where=sa.text("until_at IS NULL"),
        postgresql_where=sa.text("until_at IS NULL"),
    )
