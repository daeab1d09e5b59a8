"""The tables. Every row that belongs to a hub carries its hub_id; times are UTC; money is
integer micro-units.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime on every database; SQLite itself knows no zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database: refuse a naive time, which would be read in the wrong zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


ID = String(36)
HUB = String(36)


def _hub_column(**kw: Any) -> Column[str]:
    return Column("hub_id", HUB, nullable=False, **kw)


# What each hub publishes for its keeper: catalog, tiers, policies; `digest` tells when to re-read.
settings = Table(
    "settings",
    metadata,
    _hub_column(primary_key=True),
    Column("body", JSON, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("published_at", Moment, nullable=False),
)

# Who pays and is capped. `groups` and `claims` are what the identity provider said last.
accounts = Table(
    "accounts",
    metadata,
    Column("id", ID, primary_key=True),
    _hub_column(index=True),
    Column("name", String(255), nullable=False),
    Column("tier", String(48)),
    Column("tier_by", String(255)),
    Column("payment_method", Boolean, nullable=False, default=False),
    Column("groups", JSON, nullable=False, default=list),
    Column("claims", JSON, nullable=False, default=dict),
    Column("facts_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("closed_at", Moment),
)

# Which hub user an account belongs to. The hub reuses user ids on SQLite, so its time of creation
# belongs to the key; the provider's stable subject ("" where it has none) keeps a recycled name
# from inheriting. A row that was replaced stays, with `replaced_at`.
identities = Table(
    "identities",
    metadata,
    Column("id", Integer, primary_key=True),
    _hub_column(),
    Column("hub_user_id", Integer, nullable=False),
    Column("user_created", Moment, nullable=False),
    Column("provider", String(64), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False),
    Column("bound_at", Moment, nullable=False),
    Column("replaced_at", Moment),
)
Index(
    "uq_identities_current",
    identities.c.hub_id,
    identities.c.hub_user_id,
    identities.c.user_created,
    unique=True,
    sqlite_where=identities.c.replaced_at.is_(None),
    postgresql_where=identities.c.replaced_at.is_(None),
)

# What an identity provider said at a login, before the hub has a user for it.
logins = Table(
    "logins",
    metadata,
    _hub_column(primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("provider", String(64), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("groups", JSON),
    Column("claims", JSON, nullable=False),
    Column("at", Moment, nullable=False),
)

approvals = Table(
    "approvals",
    metadata,
    Column("account_id", ID, ForeignKey("accounts.id"), primary_key=True),
    Column("instance_type", String(48), primary_key=True),
    _hub_column(),
    Column("reason", String(400), nullable=False, default=""),
    Column("granted_by", String(255), nullable=False),
    Column("granted_at", Moment, nullable=False),
    Column("expires_at", Moment),
)

# What a person owns. A deleted one keeps its row and its folder; a new one of the same name gets
# a new id and an empty folder. `options` are the last that were admitted.
notebooks = Table(
    "notebooks",
    metadata,
    Column("id", ID, primary_key=True),
    _hub_column(),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False),
    Column("server_name", String(255), nullable=False),
    Column("display_name", String(255), nullable=False, default=""),
    Column("options", JSON),
    Column("created_at", Moment, nullable=False),
    Column("deleted_at", Moment),
)
Index(
    "uq_notebooks_name",
    notebooks.c.account_id,
    notebooks.c.server_name,
    unique=True,
    sqlite_where=notebooks.c.deleted_at.is_(None),
    postgresql_where=notebooks.c.deleted_at.is_(None),
)

hosts = Table(
    "hosts",
    metadata,
    _hub_column(primary_key=True),
    Column("name", String(80), primary_key=True),
    Column("cpus", Float, nullable=False),
    Column("memory", Float, nullable=False),
    Column("groups", JSON, nullable=False),
    Column("declared_at", Moment, nullable=False),
)

devices = Table(
    "devices",
    metadata,
    _hub_column(primary_key=True),
    Column("uuid", String(128), primary_key=True),
    Column("host", String(80), nullable=False),
    Column("model", String(80), nullable=False),
    Column("out_of_service", Boolean, nullable=False),
    Column("declared_at", Moment, nullable=False),
)

# One run of one notebook. Open while `ended_at` is null; the deadlines are columns, so that a
# restart moves none of them.
leases = Table(
    "leases",
    metadata,
    Column("id", ID, primary_key=True),
    _hub_column(),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False),
    Column("notebook_id", ID, ForeignKey("notebooks.id"), nullable=False),
    Column("instance_type", String(48), nullable=False),
    Column("price", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("tier", String(48), nullable=False),
    Column("tier_given_by", String(255), nullable=False),
    Column("runtime", String(48)),
    Column("image", String(255)),
    Column("custom_image", Boolean, nullable=False, default=False),
    Column("interface", String(16), nullable=False),
    Column("host", String(80), nullable=False),
    # Where CPUs and memory are counted: the host of one hub, or one that hubs share.
    Column("host_key", String(128), nullable=False),
    Column("cpus", Float, nullable=False),
    Column("memory", Float, nullable=False),
    Column("shutdown_after", Integer),
    Column("stop_at", Moment),
    Column("session_ends_at", Moment),
    Column("keep_until", Moment),
    Column("phase", String(24), nullable=False),
    Column("phase_at", Moment, nullable=False),
    Column("object_name", String(128)),
    Column("admitted_at", Moment, nullable=False),
    Column("turn_at", Moment),
    Column("started_at", Moment),
    Column("answered_at", Moment),
    Column("confirmed_at", Moment),
    Column("stop_requested_at", Moment),
    Column("ended_at", Moment),
    Column("reason", String(24)),
    Column("stopped_by", String(255)),
    Column("exit_code", Integer),
    Column("out_of_memory", Boolean),
    Column("last_words", Text),
    # The warm server that it claimed; null where it starts cold.
    Column("warm_slot", ID),
)
_open = leases.c.ended_at.is_(None)
Index(
    "uq_leases_open_notebook",
    leases.c.notebook_id,
    unique=True,
    sqlite_where=_open,
    postgresql_where=_open,
)
Index("ix_leases_open", leases.c.host_key, sqlite_where=_open, postgresql_where=_open)
Index("ix_leases_account", leases.c.account_id, leases.c.admitted_at)
Index("ix_leases_started", leases.c.hub_id, leases.c.runtime, leases.c.answered_at)

lease_devices = Table(
    "lease_devices",
    metadata,
    Column("lease_id", ID, ForeignKey("leases.id"), primary_key=True),
    Column("device_uuid", String(128), primary_key=True),
    _hub_column(),
)

# The constraint that gives nothing twice: a device has at most one holder, an open lease or a
# warm slot. The key is the UUID alone, because hubs on one database may share a machine.
device_holders = Table(
    "device_holders",
    metadata,
    Column("device_uuid", String(128), primary_key=True),
    _hub_column(),
    Column("holder_kind", String(8), nullable=False),
    Column("holder_id", ID, nullable=False, index=True),
    Column("since", Moment, nullable=False),
)

# The one acting keeper of a hub.
keepers = Table(
    "keepers",
    metadata,
    _hub_column(primary_key=True),
    Column("holder", String(128), nullable=False),
    Column("expires_at", Moment, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    _hub_column(),
    Column("at", Moment, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("account_id", ID, index=True),
    Column("action", String(32), nullable=False),
    Column("detail", JSON, nullable=False),
)
Index("ix_audit_at", audit.c.hub_id, audit.c.at)

# A warm server: started, pre-imported, nobody's. The row goes with the container, or at once when a
# lease claims it, which then names it in `leases.warm_slot`. `filling`: on its way. `ready`: may be
# claimed. `leaving`: to be destroyed; its device and memory may be another's already, and then
# `lease_id` is the start that waits for it to be gone.
warm_slots = Table(
    "warm_slots",
    metadata,
    Column("id", ID, primary_key=True),
    _hub_column(index=True),
    Column("host", String(80), nullable=False),
    Column("instance_type", String(48), nullable=False),
    Column("runtime", String(48), nullable=False),
    Column("image", String(255)),
    Column("devices", JSON, nullable=False),
    Column("cpus", Float, nullable=False),
    Column("memory", Float, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("state", String(8), nullable=False),
    Column("lease_id", ID),
    Column("object_id", String(128)),
    Column("address", String(255)),
    # Bytes that the waiting program uses, by its own word.
    Column("used", BigInteger),
    Column("created_at", Moment, nullable=False),
    Column("ready_at", Moment),
)

# A hub whose warm pool is paused has a row.
warm_pauses = Table(
    "warm_pauses",
    metadata,
    _hub_column(primary_key=True),
    Column("paused_by", String(255), nullable=False),
    Column("paused_at", Moment, nullable=False),
)
