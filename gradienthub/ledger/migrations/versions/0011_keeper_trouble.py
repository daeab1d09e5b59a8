"""Why a keeper decides nothing, and since when

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

from gradienthub.ledger.schema import Moment

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("keepers", sa.Column("trouble", sa.String(length=24), nullable=True))
    op.add_column("keepers", sa.Column("trouble_since", Moment(timezone=True), nullable=True))
