"""The schema of the first release, made in one step

Revision ID: 0014
Revises:

Versions before the first release made it in fourteen steps; a database that took all of them has
this revision. Its schema stands in `tests/ledger/`, as those steps made it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("tier", sa.String(length=48), nullable=True),
        sa.Column("tier_by", sa.String(length=255), nullable=True),
        sa.Column("payment_method", sa.Boolean(), nullable=False),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.Column("claims", sa.JSON(), nullable=False),
        sa.Column("facts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("groups_unknown_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("hub_groups", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_why", sa.String(length=16), nullable=True),
        sa.Column("merged_into", sa.String(length=36), nullable=True),
        sa.Column("prepared_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
    )
    op.create_index(op.f("ix_accounts_hub_id"), "accounts", ["hub_id"], unique=False)
    op.create_table(
        "adopted_volumes",
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("volume", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("folder", sa.String(length=80), nullable=False),
        sa.Column("server_name", sa.String(length=255), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hub_id", "volume", name=op.f("pk_adopted_volumes")),
    )
    op.create_index(
        op.f("ix_adopted_volumes_account_id"), "adopted_volumes", ["account_id"], unique=False
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=True),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_account_id"), "audit", ["account_id"], unique=False)
    op.create_index("ix_audit_at", "audit", ["hub_id", "at"], unique=False)
    op.create_table(
        "budgets",
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("scope", sa.String(length=300), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("soft", sa.BigInteger(), nullable=True),
        sa.Column("hard", sa.BigInteger(), nullable=True),
        sa.Column("set_by", sa.String(length=255), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("warned", sa.String(length=7), nullable=True),
        sa.PrimaryKeyConstraint("hub_id", "scope", "currency", name=op.f("pk_budgets")),
    )
    op.create_table(
        "device_faults",
        sa.Column("device_uuid", sa.String(length=128), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("why", sa.String(length=400), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_out_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("device_uuid", name=op.f("pk_device_faults")),
    )
    op.create_table(
        "device_holders",
        sa.Column("device_uuid", sa.String(length=128), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("holder_kind", sa.String(length=8), nullable=False),
        sa.Column("holder_id", sa.String(length=36), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("device_uuid", name=op.f("pk_device_holders")),
    )
    op.create_index(
        op.f("ix_device_holders_holder_id"), "device_holders", ["holder_id"], unique=False
    )
    op.create_table(
        "devices",
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("uuid", sa.String(length=128), nullable=False),
        sa.Column("host", sa.String(length=80), nullable=False),
        sa.Column("model", sa.String(length=80), nullable=False),
        sa.Column("out_of_service", sa.Boolean(), nullable=False),
        sa.Column("declared_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hub_id", "uuid", name=op.f("pk_devices")),
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
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("mended_at", sa.DateTime(timezone=True), nullable=True),
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
    op.create_table(
        "hosts",
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("cpus", sa.Float(), nullable=False),
        sa.Column("memory", sa.Float(), nullable=False),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.Column("declared_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hub_id", "name", name=op.f("pk_hosts")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("result", sa.String(length=255), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seal", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("hub_id", "actor", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_table(
        "keepers",
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("holder", sa.String(length=128), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("passed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pass_seconds", sa.Float(), nullable=True),
        sa.Column("trouble", sa.String(length=24), nullable=True),
        sa.Column("trouble_since", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("hub_id", name=op.f("pk_keepers")),
    )
    op.create_table(
        "logins",
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("groups", sa.JSON(), nullable=True),
        sa.Column("claims", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("keys", sa.JSON(), nullable=True),
        sa.Column("groups_unknown", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("hub_id", "name", name=op.f("pk_logins")),
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
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hub_id", "object_id", name=op.f("pk_outside_servers")),
    )
    op.create_index(
        op.f("ix_outside_servers_host_key"), "outside_servers", ["host_key"], unique=False
    )
    op.create_table(
        "past_slots",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("object_id", sa.String(length=128), nullable=True),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_past_slots")),
    )
    op.create_index(op.f("ix_past_slots_hub_id"), "past_slots", ["hub_id"], unique=False)
    op.create_table(
        "settings",
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hub_id", name=op.f("pk_settings")),
    )
    op.create_table(
        "usage",
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("scope", sa.String(length=300), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("instance_type", sa.String(length=48), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("leases", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("charged", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "hub_id", "scope", "day", "instance_type", "currency", name=op.f("pk_usage")
        ),
    )
    op.create_table(
        "warm_pauses",
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("paused_by", sa.String(length=255), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hub_id", name=op.f("pk_warm_pauses")),
    )
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
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_warm_slots")),
    )
    op.create_index(op.f("ix_warm_slots_hub_id"), "warm_slots", ["hub_id"], unique=False)
    op.create_table(
        "approval_requests",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("instance_type", sa.String(length=48), nullable=False),
        sa.Column("reason", sa.String(length=400), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.String(length=255), nullable=True),
        sa.Column("granted", sa.Boolean(), nullable=True),
        sa.Column("answer", sa.String(length=400), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_approval_requests_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_requests")),
    )
    op.create_index(
        "uq_approval_requests_waiting",
        "approval_requests",
        ["account_id", "instance_type"],
        unique=True,
        sqlite_where=sa.text("decided_at IS NULL"),
        postgresql_where=sa.text("decided_at IS NULL"),
    )
    op.create_table(
        "approvals",
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("instance_type", sa.String(length=48), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("reason", sa.String(length=400), nullable=False),
        sa.Column("granted_by", sa.String(length=255), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_approvals_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", "instance_type", name=op.f("pk_approvals")),
    )
    op.create_table(
        "balances",
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("head", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_balances_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", "currency", name=op.f("pk_balances")),
    )
    op.create_index(op.f("ix_balances_hub_id"), "balances", ["hub_id"], unique=False)
    op.create_table(
        "credits",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("unspent", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=400), nullable=False),
        sa.Column("given_by", sa.String(length=255), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("welcome", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_credits_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credits")),
    )
    op.create_index(op.f("ix_credits_account_id"), "credits", ["account_id"], unique=False)
    op.create_index(
        "ix_credits_due",
        "credits",
        ["hub_id", "expires_at"],
        unique=False,
        sqlite_where=sa.text("unspent > 0 AND expires_at IS NOT NULL"),
        postgresql_where=sa.text("unspent > 0 AND expires_at IS NOT NULL"),
    )
    op.create_index(
        "uq_credits_welcome",
        "credits",
        ["account_id"],
        unique=True,
        sqlite_where=sa.text("welcome"),
        postgresql_where=sa.text("welcome"),
    )
    op.create_table(
        "entries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("lease_id", sa.String(length=36), nullable=True),
        sa.Column("credit_id", sa.String(length=36), nullable=True),
        sa.Column("instance_type", sa.String(length=48), nullable=True),
        sa.Column("price", sa.BigInteger(), nullable=True),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("until_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gap_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("billed", sa.BigInteger(), nullable=False),
        sa.Column("overrun", sa.BigInteger(), nullable=False),
        sa.Column("forgiven", sa.BigInteger(), nullable=False),
        sa.Column("closes", sa.Boolean(), nullable=False),
        sa.Column("note", sa.String(length=400), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_entries_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entries")),
    )
    op.create_index(op.f("ix_entries_lease_id"), "entries", ["lease_id"], unique=False)
    op.create_index(
        "ix_entries_month", "entries", ["account_id", "currency", "month", "seq"], unique=False
    )
    op.create_index(
        "ix_entries_overrun",
        "entries",
        ["hub_id", "at"],
        unique=False,
        sqlite_where=sa.text("overrun > 0"),
        postgresql_where=sa.text("overrun > 0"),
    )
    op.create_index(
        "uq_entries_closed",
        "entries",
        ["lease_id"],
        unique=True,
        sqlite_where=sa.text("closes"),
        postgresql_where=sa.text("closes"),
    )
    op.create_index("uq_entries_seq", "entries", ["account_id", "currency", "seq"], unique=True)
    op.create_table(
        "identities",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("hub_user_id", sa.Integer(), nullable=False),
        sa.Column("user_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("bound_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("name", sa.String(length=255), server_default="", nullable=False),
        sa.Column("missing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("before_id", sa.String(length=36), nullable=True),
        sa.Column("apart_from", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_identities_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identities")),
    )
    op.create_index(op.f("ix_identities_account_id"), "identities", ["account_id"], unique=False)
    op.create_index(
        "uq_identities_current",
        "identities",
        ["hub_id", "hub_user_id", "user_created"],
        unique=True,
        sqlite_where=sa.text("replaced_at IS NULL"),
        postgresql_where=sa.text("replaced_at IS NULL"),
    )
    op.create_table(
        "notebooks",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("server_name", sa.String(length=255), nullable=False),
        sa.Column("display_name", sa.String(length=255), nullable=False),
        sa.Column("options", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_notebooks_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notebooks")),
    )
    op.create_index(
        "uq_notebooks_name",
        "notebooks",
        ["account_id", "server_name"],
        unique=True,
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "subjects",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("bound_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_subjects_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subjects")),
    )
    op.create_index(op.f("ix_subjects_account_id"), "subjects", ["account_id"], unique=False)
    op.create_index(
        "uq_subjects_current",
        "subjects",
        ["hub_id", "subject", "provider", "key"],
        unique=True,
        sqlite_where=sa.text("replaced_at IS NULL"),
        postgresql_where=sa.text("replaced_at IS NULL"),
    )
    op.create_table(
        "leases",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("notebook_id", sa.String(length=36), nullable=False),
        sa.Column("instance_type", sa.String(length=48), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("tier", sa.String(length=48), nullable=False),
        sa.Column("tier_given_by", sa.String(length=255), nullable=False),
        sa.Column("groups", sa.JSON(), nullable=True),
        sa.Column("runtime", sa.String(length=48), nullable=True),
        sa.Column("image", sa.String(length=255), nullable=True),
        sa.Column("custom_image", sa.Boolean(), nullable=False),
        sa.Column("interface", sa.String(length=16), nullable=False),
        sa.Column("host", sa.String(length=80), nullable=False),
        sa.Column("host_key", sa.String(length=128), nullable=False),
        sa.Column("cpus", sa.Float(), nullable=False),
        sa.Column("memory", sa.Float(), nullable=False),
        sa.Column("shutdown_after", sa.Integer(), nullable=True),
        sa.Column("stop_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("session_ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("keep_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("program_extensions", sa.Integer(), nullable=True),
        sa.Column("phase", sa.String(length=24), nullable=False),
        sa.Column("phase_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("object_name", sa.String(length=128), nullable=True),
        sa.Column("object_id", sa.String(length=128), nullable=True),
        sa.Column("admitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("turn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reached_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stop_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=24), nullable=True),
        sa.Column("stopped_by", sa.String(length=255), nullable=True),
        sa.Column("stop_note", sa.String(length=400), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_by", sa.String(length=16), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("out_of_memory", sa.Boolean(), nullable=True),
        sa.Column("last_words", sa.Text(), nullable=True),
        sa.Column("warm_slot", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_leases_account_id")),
        sa.ForeignKeyConstraint(
            ["notebook_id"], ["notebooks.id"], name=op.f("fk_leases_notebook_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leases")),
    )
    op.create_index("ix_leases_account", "leases", ["account_id", "admitted_at"], unique=False)
    op.create_index("ix_leases_admitted", "leases", ["hub_id", "admitted_at"], unique=False)
    op.create_index(
        "ix_leases_open",
        "leases",
        ["host_key"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "ix_leases_running",
        "leases",
        ["hub_id"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "ix_leases_started", "leases", ["hub_id", "runtime", "answered_at"], unique=False
    )
    op.create_index(
        "uq_leases_open_notebook",
        "leases",
        ["notebook_id"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "gaps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("lease_id", sa.String(length=36), nullable=False),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["lease_id"], ["leases.id"], name=op.f("fk_gaps_lease_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gaps")),
    )
    op.create_index(op.f("ix_gaps_hub_id"), "gaps", ["hub_id"], unique=False)
    op.create_index(op.f("ix_gaps_lease_id"), "gaps", ["lease_id"], unique=False)
    op.create_index(
        "uq_gaps_lasting",
        "gaps",
        ["lease_id"],
        unique=True,
        sqlite_where=sa.text("until_at IS NULL"),
        postgresql_where=sa.text("until_at IS NULL"),
    )
    op.create_table(
        "holds",
        sa.Column("lease_id", sa.String(length=36), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("billed", sa.BigInteger(), nullable=False),
        sa.Column("credit_limit", sa.BigInteger(), nullable=True),
        sa.Column("charge_overrun", sa.Boolean(), nullable=False),
        sa.Column("paid_for", sa.BigInteger(), nullable=True),
        sa.Column("metered_from", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_holds_account_id")),
        sa.ForeignKeyConstraint(["lease_id"], ["leases.id"], name=op.f("fk_holds_lease_id")),
        sa.PrimaryKeyConstraint("lease_id", name=op.f("pk_holds")),
    )
    op.create_index(op.f("ix_holds_account_id"), "holds", ["account_id"], unique=False)
    op.create_table(
        "lease_devices",
        sa.Column("lease_id", sa.String(length=36), nullable=False),
        sa.Column("device_uuid", sa.String(length=128), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["lease_id"], ["leases.id"], name=op.f("fk_lease_devices_lease_id")
        ),
        sa.PrimaryKeyConstraint("lease_id", "device_uuid", name=op.f("pk_lease_devices")),
    )
    op.create_table(
        "server_records",
        sa.Column("lease_id", sa.String(length=36), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["lease_id"], ["leases.id"], name=op.f("fk_server_records_lease_id")
        ),
        sa.PrimaryKeyConstraint("lease_id", name=op.f("pk_server_records")),
    )
    op.create_table(
        "watches",
        sa.Column("lease_id", sa.String(length=36), nullable=False),
        sa.Column("hub_id", sa.String(length=36), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_by", sa.String(length=16), nullable=False),
        sa.Column("busy", sa.JSON(), nullable=False),
        sa.Column("busy_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unknown_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("missed_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unread", sa.JSON(), nullable=True),
        sa.Column("reported", sa.JSON(), nullable=True),
        sa.Column("worked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cpu_seconds", sa.Float(), nullable=True),
        sa.Column("cpu_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cpu_load", sa.Float(), nullable=True),
        sa.Column("gpu_load", sa.Float(), nullable=True),
        sa.Column("unknown_after", sa.Integer(), nullable=True),
        sa.Column("no_work_after", sa.Integer(), nullable=True),
        sa.Column("warned_reason", sa.String(length=24), nullable=True),
        sa.Column("warned_stops_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("warned_level", sa.Integer(), nullable=True),
        sa.Column("warned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("other_reason", sa.String(length=24), nullable=True),
        sa.Column("other_stops_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("other_level", sa.Integer(), nullable=True),
        sa.Column("other_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stop_tries", sa.Integer(), nullable=False),
        sa.Column("would_stop_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("money_ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["lease_id"], ["leases.id"], name=op.f("fk_watches_lease_id")),
        sa.PrimaryKeyConstraint("lease_id", name=op.f("pk_watches")),
    )
    # ### end Alembic commands ###
