"""The keeper's memory: watches, findings, its last pass; who stopped a lease with which words

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

from gradienthub.ledger.schema import Moment

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "watches",
        sa.Column("lease_id", sa.String(length=36), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("used_at", Moment(timezone=True), nullable=False),
        sa.Column("used_by", sa.String(length=16), nullable=False),
        sa.Column("busy", sa.JSON(), nullable=False),
        sa.Column("busy_since", Moment(timezone=True), nullable=True),
        sa.Column("looked_at", Moment(timezone=True), nullable=True),
        sa.Column("unknown_since", Moment(timezone=True), nullable=True),
        sa.Column("reported_at", Moment(timezone=True), nullable=True),
        sa.Column("gpu_load", sa.Float(), nullable=True),
        sa.Column("warned_reason", sa.String(length=24), nullable=True),
        sa.Column("warned_stops_at", Moment(timezone=True), nullable=True),
        sa.Column("warned_level", sa.Integer(), nullable=True),
        sa.Column("warned_at", Moment(timezone=True), nullable=True),
        sa.Column("other_reason", sa.String(length=24), nullable=True),
        sa.Column("other_stops_at", Moment(timezone=True), nullable=True),
        sa.Column("other_level", sa.Integer(), nullable=True),
        sa.Column("other_at", Moment(timezone=True), nullable=True),
        sa.Column("stop_tries", sa.Integer(), nullable=False),
        sa.Column("would_stop_at", Moment(timezone=True), nullable=True),
        sa.Column("money_ends_at", Moment(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["lease_id"], ["leases.id"], name=op.f("fk_watches_lease_id")),
        sa.PrimaryKeyConstraint("lease_id", name=op.f("pk_watches")),
    )
    op.create_table(
        "findings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("lease_id", sa.String(length=36), nullable=True),
        sa.Column("why", sa.String(length=400), nullable=False),
        sa.Column("repair", sa.String(length=400), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("first_at", Moment(timezone=True), nullable=False),
        sa.Column("last_at", Moment(timezone=True), nullable=False),
        sa.Column("mended_at", Moment(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_findings")),
    )
    op.create_index(
        "uq_findings_standing",
        "findings",
        ["hub_id", "source", "key"],
        unique=True,
        sqlite_where=sa.text("mended_at IS NULL"),
        postgresql_where=sa.text("mended_at IS NULL"),
    )
    op.add_column("keepers", sa.Column("passed_at", Moment(timezone=True), nullable=True))
    op.add_column("keepers", sa.Column("pass_seconds", sa.Float(), nullable=True))
    op.add_column("leases", sa.Column("stop_note", sa.String(length=400), nullable=True))
    op.add_column("leases", sa.Column("used_at", Moment(timezone=True), nullable=True))
    op.add_column("leases", sa.Column("used_by", sa.String(length=16), nullable=True))
    op.create_index("ix_leases_admitted", "leases", ["hub_id", "admitted_at"])


def downgrade() -> None:
    op.drop_index("ix_leases_admitted", "leases")
    for column in ("used_by", "used_at", "stop_note"):
        op.drop_column("leases", column)
    for column in ("pass_seconds", "passed_at"):
        op.drop_column("keepers", column)
    op.drop_table("findings")
    op.drop_table("watches")
