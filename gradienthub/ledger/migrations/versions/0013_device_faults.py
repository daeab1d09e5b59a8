"""Devices whose starts fail, and which are out of rent

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

from gradienthub.ledger.schema import Moment

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "device_faults",
        sa.Column("device_uuid", sa.String(length=128), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("why", sa.String(length=400), nullable=False),
        sa.Column("last_at", Moment(timezone=True), nullable=False),
        sa.Column("taken_out_at", Moment(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("device_uuid", name=op.f("pk_device_faults")),
    )
