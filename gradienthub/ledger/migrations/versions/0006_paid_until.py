"""Until when a hold pays

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
    op.add_column("holds", sa.Column("paid_until", Moment(timezone=True), nullable=True))
