"""Evidence of each signal, work of busy notebooks, and extensions by programs

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

from gradienthub.ledger.schema import Moment

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

WATCHES = (
    ("missed_since", Moment(timezone=True)),
    ("unread", sa.JSON()),
    ("reported", sa.JSON()),
    ("worked_at", Moment(timezone=True)),
    ("cpu_seconds", sa.Float()),
    ("cpu_at", Moment(timezone=True)),
    ("cpu_load", sa.Float()),
    ("unknown_after", sa.Integer()),
    ("no_work_after", sa.Integer()),
)


def upgrade() -> None:
    for name, kind in WATCHES:
        op.add_column("watches", sa.Column(name, kind, nullable=True))
    op.add_column("leases", sa.Column("program_extensions", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("leases", "program_extensions")
    for name, _ in reversed(WATCHES):
        op.drop_column("watches", name)
