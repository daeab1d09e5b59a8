"""Subjects name accounts; accounts are prepared, linked, bound and merged

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

from gradienthub.ledger.schema import Moment

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CURRENT = sa.text("replaced_at IS NULL")


def upgrade() -> None:
    op.add_column("accounts", sa.Column("groups_unknown_at", Moment(timezone=True), nullable=True))
    op.add_column("accounts", sa.Column("hub_groups", sa.JSON(), nullable=True))
    op.add_column("accounts", sa.Column("closed_why", sa.String(length=16), nullable=True))
    op.add_column("accounts", sa.Column("merged_into", sa.String(length=36), nullable=True))
    op.add_column("accounts", sa.Column("prepared_at", Moment(timezone=True), nullable=True))
    op.add_column(
        "identities",
        sa.Column("name", sa.String(length=255), nullable=False, server_default=""),
    )
    op.add_column("identities", sa.Column("missing_since", Moment(timezone=True), nullable=True))
    op.add_column("identities", sa.Column("before_id", sa.String(length=36), nullable=True))
    op.create_index("ix_identities_account_id", "identities", ["account_id"])
    op.add_column("logins", sa.Column("keys", sa.JSON(), nullable=True))
    op.add_column(
        "logins",
        sa.Column("groups_unknown", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "subjects",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("bound_at", Moment(timezone=True), nullable=False),
        sa.Column("replaced_at", Moment(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_subjects_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subjects")),
    )
    op.create_index("ix_subjects_account_id", "subjects", ["account_id"])
    op.create_index(
        "uq_subjects_current",
        "subjects",
        ["hub_id", "subject", "provider", "key"],
        unique=True,
        sqlite_where=CURRENT,
        postgresql_where=CURRENT,
    )
    op.create_table(
        "server_records",
        sa.Column("lease_id", sa.String(length=36), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("at", Moment(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["lease_id"], ["leases.id"], name=op.f("fk_server_records_lease_id")
        ),
        sa.PrimaryKeyConstraint("lease_id", name=op.f("pk_server_records")),
    )
    _say_why_accounts_are_closed()
    _let_subjects_name_accounts()


def _say_why_accounts_are_closed() -> None:
    """A closed account lost its hub user to another person, or its hub user was deleted."""
    op.execute("UPDATE accounts SET closed_why = 'deleted' WHERE closed_at IS NOT NULL")
    op.execute(
        "UPDATE accounts SET closed_why = 'replaced' WHERE closed_at IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM identities WHERE identities.account_id = accounts.id"
        " AND identities.replaced_at IS NULL)"
    )


def _let_subjects_name_accounts() -> None:
    """Of several accounts of one subject, the open one has it, else the newest.

    Which key a subject came from was not kept, so that its key is empty.
    """
    tx = op.get_bind()
    rows = tx.execute(
        sa.text(
            "SELECT i.hub_id, i.provider, i.subject, i.account_id, i.bound_at FROM identities i"
            " JOIN accounts a ON a.id = i.account_id WHERE i.subject <> ''"
            " ORDER BY a.closed_at IS NOT NULL, i.replaced_at IS NOT NULL, i.bound_at DESC, i.id"
        )
    ).all()
    taken = set()
    for row in rows:
        word = (row.hub_id, row.provider, row.subject)
        current = word not in taken
        taken.add(word)
        tx.execute(
            sa.text(
                "INSERT INTO subjects (hub_id, provider, key, subject, account_id, bound_at,"
                " replaced_at) VALUES (:hub, :provider, '', :subject, :account, :at, :replaced)"
            ),
            {
                "hub": row.hub_id,
                "provider": row.provider,
                "subject": row.subject,
                "account": row.account_id,
                "at": row.bound_at,
                "replaced": None if current else row.bound_at,
            },
        )


def downgrade() -> None:
    op.drop_table("server_records")
    op.drop_table("subjects")
    op.drop_index("ix_identities_account_id", "identities")
    for table, columns in (
        ("logins", ("groups_unknown", "keys")),
        ("identities", ("before_id", "missing_since", "name")),
        (
            "accounts",
            ("prepared_at", "merged_into", "closed_why", "hub_groups", "groups_unknown_at"),
        ),
    ):
        for column in columns:
            op.drop_column(table, column)
