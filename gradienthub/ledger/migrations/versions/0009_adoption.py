"""Adopting a hub: whose an old volume is, servers that run without a lease

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

from gradienthub.ledger.schema import Moment

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "adopted_volumes",
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("volume", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("folder", sa.String(length=80), nullable=False),
        sa.Column("server_name", sa.String(length=255), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("at", Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hub_id", "volume", name=op.f("pk_adopted_volumes")),
    )
    op.create_index(
        op.f("ix_adopted_volumes_account_id"), "adopted_volumes", ["account_id"], unique=False
    )
    op.create_table(
        "outside_servers",
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("object_id", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("user_name", sa.String(length=255), nullable=False),
        sa.Column("server_name", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=80), nullable=False),
        sa.Column("host_key", sa.String(length=160), nullable=False),
        sa.Column("cpus", sa.Float(), nullable=False),
        sa.Column("memory", sa.Float(), nullable=False),
        sa.Column("devices", sa.JSON(), nullable=False),
        sa.Column("began_at", Moment(timezone=True), nullable=True),
        sa.Column("seen_at", Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hub_id", "object_id", name=op.f("pk_outside_servers")),
    )
    op.create_index(
        op.f("ix_outside_servers_host_key"), "outside_servers", ["host_key"], unique=False
    )
