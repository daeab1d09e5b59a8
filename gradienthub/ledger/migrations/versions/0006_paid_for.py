"""What time a hold pays for, and since when; seals of keys

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

from gradienthub.ledger.schema import Moment

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("holds", sa.Column("paid_for", sa.BigInteger(), nullable=True))
    op.add_column("holds", sa.Column("metered_from", Moment(timezone=True), nullable=True))
    op.add_column("idempotency_keys", sa.Column("seal", sa.String(length=64), nullable=True))
