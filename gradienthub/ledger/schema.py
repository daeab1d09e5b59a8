"""The tables. Every row that belongs to a hub carries its hub_id; times are UTC; money is
integer micro-units.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Date,
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
    false,
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
        """Convert for the database. Refuse a naive time, which would be read in the wrong zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert from the database, to UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Span(TypeDecorator[timedelta]):
    """A span of time, stored in whole seconds."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: timedelta | None, dialect: Dialect) -> int | None:
        """Convert for the database."""
        return None if value is None else round(value.total_seconds())

    def process_result_value(self, value: int | None, dialect: Dialect) -> timedelta | None:
        """Convert from the database."""
        return None if value is None else timedelta(seconds=value)


ID = String(36)
HUB = String(36)


def _hub_column(*, primary_key: bool = False, index: bool | None = None) -> Column[str]:
    return Column("hub_id", HUB, nullable=False, primary_key=primary_key, index=index)


def _index_where(
    name: str, *columns: Column[object], where: ColumnElement[bool], unique: bool = False
) -> None:
    """Index only the rows that meet a condition, on every database."""
    Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


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
    # Since when the provider says that the groups are too many to list: those of before count.
    Column("groups_unknown_at", Moment),
    # The groups that the hub itself knows, as it said last; null where it never said.
    Column("hub_groups", JSON),
    Column("created_at", Moment, nullable=False),
    Column("closed_at", Moment),
    # A word of rules/identity.py's `Closed`; null where it is open.
    Column("closed_why", String(16)),
    Column("merged_into", ID),
    # An administrator made it before its owner's first login, which takes it.
    Column("prepared_at", Moment),
)

# Which hub users an account belongs to: one, or several where one person has several names. The
# hub reuses user ids on SQLite, so its time of creation belongs to the key. `provider` and
# `subject` are what its last login said. A row that was replaced stays, with `replaced_at`;
# `missing_since` is set while the hub has no such user.
identities = Table(
    "identities",
    metadata,
    Column("id", Integer, primary_key=True),
    _hub_column(),
    Column("hub_user_id", Integer, nullable=False),
    Column("user_created", Moment, nullable=False),
    Column("provider", String(64), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("bound_at", Moment, nullable=False),
    Column("replaced_at", Moment),
    Column("name", String(255), nullable=False, default="", server_default=""),
    Column("missing_since", Moment),
    # The account that this hub user had before, where a command or a login took it off that; where
    # it was a command, no login brings it back to that one.
    Column("before_id", ID),
    Column("apart_from", ID),
)
_index_where(
    "uq_identities_current",
    identities.c.hub_id,
    identities.c.hub_user_id,
    identities.c.user_created,
    unique=True,
    where=identities.c.replaced_at.is_(None),
)

# The words of identity providers that name an account: one account each while they count. `key` is
# where the provider puts it ("sub", "oid"), empty where that is not known.
subjects = Table(
    "subjects",
    metadata,
    Column("id", Integer, primary_key=True),
    _hub_column(),
    Column("provider", String(64), nullable=False),
    Column("key", String(16), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("bound_at", Moment, nullable=False),
    Column("replaced_at", Moment),
)
_index_where(
    "uq_subjects_current",
    subjects.c.hub_id,
    subjects.c.subject,
    subjects.c.provider,
    subjects.c.key,
    unique=True,
    where=subjects.c.replaced_at.is_(None),
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
    # Every stable word of the login by its key.
    Column("keys", JSON),
    Column("groups_unknown", Boolean, nullable=False, default=False, server_default=false()),
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
_index_where(
    "uq_notebooks_name",
    notebooks.c.account_id,
    notebooks.c.server_name,
    unique=True,
    where=notebooks.c.deleted_at.is_(None),
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
    # Whose budgets it counts for, as they were at its start; null before there was a bill.
    Column("groups", JSON),
    Column("runtime", String(48)),
    Column("image", String(255)),
    Column("custom_image", Boolean, nullable=False, default=False),
    Column("interface", String(16), nullable=False),
    Column("host", String(80), nullable=False),
    # Where CPUs and memory are counted: the host of one hub, or one that hubs share.
    Column("host_key", String(128), nullable=False),
    Column("cpus", Float, nullable=False),
    Column("memory", Float, nullable=False),
    Column("shutdown_after", Span),
    Column("stop_at", Moment),
    Column("session_ends_at", Moment),
    Column("keep_until", Moment),
    # How often programs extended it since a person did.
    Column("program_extensions", Integer),
    Column("phase", String(24), nullable=False),
    Column("phase_at", Moment, nullable=False),
    Column("object_name", String(128)),
    # The engine's id of it, once it is made: a name can be another's later, an id cannot.
    Column("object_id", String(128)),
    Column("admitted_at", Moment, nullable=False),
    Column("turn_at", Moment),
    Column("started_at", Moment),
    Column("answered_at", Moment),
    Column("confirmed_at", Moment),
    # When it was last known to be alive: one that is found dead is billed until then.
    Column("seen_at", Moment),
    # When its own server last answered the keeper: what is not reachable later begins there.
    Column("reached_at", Moment),
    Column("stop_requested_at", Moment),
    Column("ended_at", Moment),
    Column("reason", String(24)),
    Column("stopped_by", String(255)),
    # What the one who stopped it wrote to its owner, and its last use as it was known then.
    Column("stop_note", String(400)),
    Column("used_at", Moment),
    Column("used_by", String(16)),
    Column("exit_code", Integer),
    Column("out_of_memory", Boolean),
    Column("last_words", Text),
    # The warm server that it claimed; null where it starts cold.
    Column("warm_slot", ID),
)
_open = leases.c.ended_at.is_(None)
_index_where("uq_leases_open_notebook", leases.c.notebook_id, unique=True, where=_open)
_index_where("ix_leases_open", leases.c.host_key, where=_open)
# Both columns: by one alone SQLite takes an index of all leases of the hub, past ones too.
_index_where("ix_leases_running", leases.c.hub_id, leases.c.ended_at, where=_open)
Index("ix_leases_account", leases.c.account_id, leases.c.admitted_at)
Index("ix_leases_admitted", leases.c.hub_id, leases.c.admitted_at)
Index("ix_leases_started", leases.c.hub_id, leases.c.runtime, leases.c.answered_at)

# What the hub's own database knows of a running server: with it, a hub that lost that database
# makes the server's row again. Tokens are hashed as the hub stores them.
server_records = Table(
    "server_records",
    metadata,
    Column("lease_id", ID, ForeignKey("leases.id"), primary_key=True),
    _hub_column(),
    Column("body", JSON, nullable=False),
    Column("at", Moment, nullable=False),
)

# Time in which a notebook was not reachable: from when it last was until it was again (null while
# that lasts). It costs nothing.
gaps = Table(
    "gaps",
    metadata,
    Column("id", Integer, primary_key=True),
    _hub_column(index=True),
    Column("lease_id", ID, ForeignKey("leases.id"), nullable=False, index=True),
    Column("from_at", Moment, nullable=False),
    Column("until_at", Moment),
)
_index_where("uq_gaps_lasting", gaps.c.lease_id, unique=True, where=gaps.c.until_at.is_(None))

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

# Starts that failed in a row for a device's sake, and since when it is out of rent. The key is the
# UUID alone, as with its holder.
device_faults = Table(
    "device_faults",
    metadata,
    Column("device_uuid", String(128), primary_key=True),
    _hub_column(),
    Column("failures", Integer, nullable=False),
    Column("why", String(400), nullable=False),
    Column("last_at", Moment, nullable=False),
    Column("taken_out_at", Moment),
)

# The one acting keeper of a hub, and its last pass.
keepers = Table(
    "keepers",
    metadata,
    _hub_column(primary_key=True),
    Column("holder", String(128), nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("passed_at", Moment),
    Column("pass_seconds", Float),
    # Why it decides nothing, and since when; null where it does.
    Column("trouble", String(24)),
    Column("trouble_since", Moment),
)

# What the keeper knows of an open lease: evidence of use, the last warning of an
# idle stop and of a hard end (the later is `warned_`, the `other_` before it), stops that failed.
watches = Table(
    "watches",
    metadata,
    Column("lease_id", ID, ForeignKey("leases.id"), primary_key=True),
    _hub_column(),
    Column("used_at", Moment, nullable=False),
    Column("used_by", String(16), nullable=False),
    Column("busy", JSON, nullable=False),
    Column("busy_since", Moment),
    Column("looked_at", Moment),
    Column("unknown_since", Moment),
    Column("reported_at", Moment),
    # The first look that did not tell all of its use, and what it did not tell.
    Column("missed_since", Moment),
    Column("unread", JSON),
    # Its own word for each of its signals, as moments of ISO 8601.
    Column("reported", JSON),
    Column("worked_at", Moment),
    Column("cpu_seconds", Float),
    Column("cpu_at", Moment),
    Column("cpu_load", Float),
    Column("gpu_load", Float),
    # Spans after which unknown use, and being busy without work, end it; null: never.
    Column("unknown_after", Span),
    Column("no_work_after", Span),
    Column("warned_reason", String(24)),
    Column("warned_stops_at", Moment),
    Column("warned_level", Span),
    Column("warned_at", Moment),
    Column("other_reason", String(24)),
    Column("other_stops_at", Moment),
    Column("other_level", Span),
    Column("other_at", Moment),
    Column("stop_tries", Integer, nullable=False),
    Column("would_stop_at", Moment),
    Column("money_ends_at", Moment),
)

# What is wrong, once each while it lasts. `key` names the thing and the fault; a finding that is
# gone keeps its row with `mended_at`, so that it can be counted and read later.
findings = Table(
    "findings",
    metadata,
    Column("id", Integer, primary_key=True),
    _hub_column(),
    Column("key", String(255), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("source", String(16), nullable=False),
    Column("lease_id", ID),
    Column("why", String(400), nullable=False),
    Column("repair", String(400), nullable=False),
    Column("times", Integer, nullable=False),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
    Column("mended_at", Moment),
)
_standing = findings.c.mended_at.is_(None)
_index_where(
    "uq_findings_standing",
    findings.c.hub_id,
    findings.c.source,
    findings.c.key,
    unique=True,
    where=_standing,
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

# -- money --------------------------------------------------------------------------------------

# What an account has in a currency, and the end of its chain of entries: kept beside them so that
# a start need not add them up. `gradienthub verify` does.
balances = Table(
    "balances",
    metadata,
    Column("account_id", ID, ForeignKey("accounts.id"), primary_key=True),
    Column("currency", String(3), primary_key=True),
    _hub_column(index=True),
    Column("amount", BigInteger, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("head", String(64), nullable=False),
)

# One line of an account's ledger; rows are only ever added, never pruned. `hash` covers the row and
# the hash before it (rules/entry.py). `lease_id` has no foreign key: a lease must never be what
# keeps an entry from being written.
entries = Table(
    "entries",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    _hub_column(),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("at", Moment, nullable=False),
    Column("month", String(7), nullable=False),
    Column("kind", String(12), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("balance", BigInteger, nullable=False),
    Column("lease_id", ID, index=True),
    Column("credit_id", ID),
    Column("instance_type", String(48)),
    Column("price", BigInteger),
    Column("from_at", Moment),
    Column("until_at", Moment),
    Column("gap_until", Moment),
    Column("billed", BigInteger, nullable=False),
    Column("overrun", BigInteger, nullable=False),
    Column("forgiven", BigInteger, nullable=False),
    Column("closes", Boolean, nullable=False),
    Column("note", String(400), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("hash", String(64), nullable=False),
)
Index("uq_entries_seq", entries.c.account_id, entries.c.currency, entries.c.seq, unique=True)
Index(
    "ix_entries_month",
    entries.c.account_id,
    entries.c.currency,
    entries.c.month,
    entries.c.seq,
)
# A lease is closed once, whoever tries again.
_index_where("uq_entries_closed", entries.c.lease_id, unique=True, where=entries.c.closes.is_(True))
_index_where("ix_entries_overrun", entries.c.hub_id, entries.c.at, where=entries.c.overrun > 0)

# Money given once. `unspent` is what no charge has used up; it follows from the entries.
credits = Table(
    "credits",
    metadata,
    Column("id", ID, primary_key=True),
    _hub_column(),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("currency", String(3), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("unspent", BigInteger, nullable=False),
    Column("reason", String(400), nullable=False),
    Column("given_by", String(255), nullable=False),
    Column("given_at", Moment, nullable=False),
    Column("expires_at", Moment),
    # The credit that every new account gets: at most one.
    Column("welcome", Boolean, nullable=False),
)
_due = (credits.c.unspent > 0) & credits.c.expires_at.is_not(None)
_index_where("ix_credits_due", credits.c.hub_id, credits.c.expires_at, where=_due)
_index_where(
    "uq_credits_welcome", credits.c.account_id, unique=True, where=credits.c.welcome.is_(True)
)

# Money reserved for an open paid lease, beyond what its entries have; gone with its last entry.
# The terms are those of its start: null `credit_limit` is no limit (a prepaid account has 0).
holds = Table(
    "holds",
    metadata,
    Column("lease_id", ID, ForeignKey("leases.id"), primary_key=True),
    _hub_column(),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("currency", String(3), nullable=False),
    Column("amount", BigInteger, nullable=False),
    # What its entries have of its time, so that an open lease need not look them up.
    Column("billed", BigInteger, nullable=False),
    Column("credit_limit", BigInteger),
    Column("charge_overrun", Boolean, nullable=False),
    # Microseconds of metered time that entries and hold pay for, which the rounded amount does not
    # say. Null before the lease answers.
    Column("paid_for", BigInteger),
    # When its lease first answered: a second record, so that the proof sees a change of the first.
    Column("metered_from", Moment),
)

# A month's limit of an account or group (`scope`: "account:<id>" or "group:<name>").
budgets = Table(
    "budgets",
    metadata,
    _hub_column(primary_key=True),
    Column("scope", String(300), primary_key=True),
    Column("currency", String(3), primary_key=True),
    Column("soft", BigInteger),
    Column("hard", BigInteger),
    Column("set_by", String(255), nullable=False),
    Column("set_at", Moment, nullable=False),
    # The month in which its soft limit was last told to be passed.
    Column("warned", String(7)),
)

# What people ask an administrator for: an approval of an instance type.
approval_requests = Table(
    "approval_requests",
    metadata,
    Column("id", ID, primary_key=True),
    _hub_column(),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False),
    Column("instance_type", String(48), nullable=False),
    Column("reason", String(400), nullable=False),
    Column("asked_at", Moment, nullable=False),
    Column("decided_at", Moment),
    Column("decided_by", String(255)),
    Column("granted", Boolean),
    Column("answer", String(400)),
)
_waiting = approval_requests.c.decided_at.is_(None)
_index_where(
    "uq_approval_requests_waiting",
    approval_requests.c.account_id,
    approval_requests.c.instance_type,
    unique=True,
    where=_waiting,
)

# What was used, a day and instance type: of the hub, each account and each group (`scope`). Kept
# with the entries, so that a year's report and a month's budget need not read them.
usage = Table(
    "usage",
    metadata,
    _hub_column(primary_key=True),
    Column("scope", String(300), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("instance_type", String(48), primary_key=True),
    Column("currency", String(3), primary_key=True),
    Column("leases", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("charged", BigInteger, nullable=False),
)

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

# Warm servers that are gone, for a time: an engine that was asked for one may make it late, and
# only what the ledger knows is ours.
past_slots = Table(
    "past_slots",
    metadata,
    Column("id", ID, primary_key=True),
    _hub_column(index=True),
    Column("object_id", String(128)),
    Column("gone_at", Moment, nullable=False),
)

# A hub whose warm pool is paused has a row.
warm_pauses = Table(
    "warm_pauses",
    metadata,
    _hub_column(primary_key=True),
    Column("paused_by", String(255), nullable=False),
    Column("paused_at", Moment, nullable=False),
)

# What a request did under its sender's key, so that a retry does not do it again.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    _hub_column(primary_key=True),
    Column("actor", String(255), primary_key=True),
    Column("key", String(80), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("result", String(255), nullable=False),
    Column("at", Moment, nullable=False),
    # The hash of all of it, by which the proof sees a change; null in rows of older versions.
    Column("seal", String(64)),
)

# An old volume of a hub that was adopted, and whose it is for good: names of people are given
# again, so that a name alone says nothing. `folder`: what shows it in the workspace; empty: any.
adopted_volumes = Table(
    "adopted_volumes",
    metadata,
    _hub_column(primary_key=True),
    Column("volume", String(255), primary_key=True),
    Column("account_id", ID, nullable=False, index=True),
    Column("folder", String(80), nullable=False),
    Column("server_name", String(255), nullable=False),
    Column("by", String(255), nullable=False),
    Column("at", Moment, nullable=False),
)

# A server that runs without a lease of ours: it began before this hub was adopted. What it has is
# not given to anybody else. The row goes when the engine says that it is gone.
outside_servers = Table(
    "outside_servers",
    metadata,
    _hub_column(primary_key=True),
    Column("object_id", String(128), primary_key=True),
    Column("name", String(255), nullable=False),
    # Whose it is at the hub; empty where the hub has no such server.
    Column("user_name", String(255), nullable=False),
    Column("server_name", String(255), nullable=False),
    Column("host", String(80), nullable=False),
    Column("host_key", String(160), nullable=False, index=True),
    Column("cpus", Float, nullable=False),
    # GB.
    Column("memory", Float, nullable=False),
    Column("devices", JSON, nullable=False),
    Column("began_at", Moment),
    Column("seen_at", Moment, nullable=False),
)
