"""Warm servers: slots, who claimed which, the pause

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

from gradienthub.ledger.schema import Moment

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "warm_slots",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("host", sa.String(length=80), nullable=False),
        sa.Column("instance_type", sa.String(length=48), nullable=False),
        sa.Column("runtime", sa.String(length=48), nullable=False),
        sa.Column("image", sa.String(length=255), nullable=True),
        sa.Column("devices", sa.JSON(), nullable=False),
        sa.Column("cpus", sa.Float(), nullable=False),
        sa.Column("memory", sa.Float(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("lease_id", sa.String(length=36), nullable=True),
        sa.Column("object_id", sa.String(length=128), nullable=True),
        sa.Column("address", sa.String(length=255), nullable=True),
        sa.Column("used", sa.BigInteger(), nullable=True),
        sa.Column("created_at", Moment(timezone=True), nullable=False),
        sa.Column("ready_at", Moment(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_warm_slots")),
    )
    with op.batch_alter_table("warm_slots", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_warm_slots_hub_id"), ["hub_id"], unique=False)
    op.create_table(
        "warm_pauses",
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("paused_by", sa.String(length=255), nullable=False),
        sa.Column("paused_at", Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hub_id", name=op.f("pk_warm_pauses")),
    )
    op.add_column("leases", sa.Column("warm_slot", sa.String(length=36), nullable=True))
