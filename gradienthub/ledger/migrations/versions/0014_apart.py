"""Users that an administrator took off an account stay apart from it

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("identities", sa.Column("apart_from", sa.String(length=36), nullable=True))


def downgrade() -> None:
    op.drop_column("identities", "apart_from")
