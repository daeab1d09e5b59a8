"""Which objects of the engine are ours

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

from gradienthub.ledger.schema import Moment

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("leases", sa.Column("object_id", sa.String(length=128), nullable=True))

    op.create_table(
        "past_slots",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("object_id", sa.String(length=128), nullable=True),
        sa.Column("gone_at", Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_past_slots")),
    )
    with op.batch_alter_table("past_slots", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_past_slots_hub_id"), ["hub_id"], unique=False)
