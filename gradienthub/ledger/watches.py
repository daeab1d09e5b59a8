"""Watches: what the keeper knows of open leases, and what Extend changes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, select, update

from ..rules.idleness import (
    Deadlines,
    Ending,
    Evidence,
    Reason,
    Use,
    Warned,
    ending,
    extend,
)
from ..rules.refusal import Refused, shown
from ..rules.tiers import Tier
from . import audit
from .schema import accounts, leases, notebooks, watches

COLUMNS = [
    *leases.c,
    accounts.c.name.label("account_name"),
    notebooks.c.server_name,
    notebooks.c.display_name,
    *[column.label(f"watch_{column.name}") for column in watches.c],
]


@dataclass(frozen=True)
class Watched:
    """An answered, open lease and what the keeper knows of it.

    `lease` has all columns of the lease, `account_name`, `server_name` and `display_name`.
    `known` is false before the first pass that saw it. `would_stop_at` is set in a dry run.
    """

    lease: Mapping[str, Any]
    deadlines: Deadlines
    evidence: Evidence
    warned: Warned | None = None
    gpu_load: float | None = None
    stop_tries: int = 0
    would_stop_at: datetime | None = None
    known: bool = False

    @property
    def id(self) -> str:
        """The lease's id."""
        return str(self.lease["id"])

    @property
    def title(self) -> str:
        """The notebook's name for people."""
        return str(self.lease["display_name"] or self.lease["server_name"] or "default")

    def ending(self, grace: timedelta) -> Ending | None:
        """When and why it stops as things stand."""
        return ending(self.evidence, self.deadlines, self.warned, grace)


def _query() -> Select[Any]:
    return (
        select(*COLUMNS)
        .join(notebooks, notebooks.c.id == leases.c.notebook_id)
        .join(accounts, accounts.c.id == leases.c.account_id)
        .outerjoin(watches, watches.c.lease_id == leases.c.id)
    )


def open_watched(tx: Connection, hub_id: str) -> list[Watched]:
    """The answered, open leases of a hub whose stop was not asked for yet, oldest first."""
    rows = tx.execute(
        _query()
        .where(
            leases.c.hub_id == hub_id,
            leases.c.ended_at.is_(None),
            leases.c.answered_at.is_not(None),
            leases.c.stop_requested_at.is_(None),
        )
        .order_by(leases.c.admitted_at, leases.c.id)
    )
    return [_watched(row) for row in rows]


def listed(
    tx: Connection,
    hub_id: str,
    *,
    account_id: str | None = None,
    ended: bool = False,
    limit: int = 1000,
) -> list[Watched]:
    """A hub's open leases, or also those that ended, the newest first; of one account or of all.

    Of one that never answered nothing but `lease` means anything.
    """
    query = _query().where(leases.c.hub_id == hub_id)
    if account_id is not None:
        query = query.where(leases.c.account_id == account_id)
    if not ended:
        query = query.where(leases.c.ended_at.is_(None))
    rows = tx.execute(query.order_by(leases.c.admitted_at.desc(), leases.c.id).limit(limit))
    return [_watched(row) for row in rows]


def watched(tx: Connection, lease_id: str) -> Watched | None:
    """One lease, open or ended; None if there is none or it never answered."""
    row = tx.execute(
        _query().where(leases.c.id == lease_id, leases.c.answered_at.is_not(None))
    ).first()
    return _watched(row) if row else None


def _watched(row: Row[Any]) -> Watched:
    columns = dict(row._mapping)
    watch = {
        name.removeprefix("watch_"): columns.pop(name)
        for name in list(columns)
        if name.startswith("watch_")
    }
    after = columns["shutdown_after"]
    deadlines = Deadlines(
        shutdown_after=None if after is None else timedelta(seconds=after),
        stop_at=columns["stop_at"],
        session_ends_at=columns["session_ends_at"],
        keep_until=columns["keep_until"],
    )
    if watch["lease_id"] is None:
        return Watched(columns, deadlines, Evidence(used_at=columns["answered_at"]))
    warned = watch["warned_reason"] and Warned(
        Reason(watch["warned_reason"]),
        watch["warned_stops_at"],
        timedelta(seconds=watch["warned_level"]),
        watch["warned_at"],
    )
    evidence = Evidence(
        used_at=watch["used_at"],
        used_by=Use(watch["used_by"]),
        busy=tuple(watch["busy"]),
        busy_since=watch["busy_since"],
        looked_at=watch["looked_at"],
        unknown_since=watch["unknown_since"],
        reported_at=watch["reported_at"],
    )
    return Watched(
        columns, deadlines, evidence, warned or None, watch["gpu_load"], watch["stop_tries"],
        watch["would_stop_at"], known=True,
    )  # fmt: skip


def save(tx: Connection, hub_id: str, seen: Iterable[Watched]) -> None:
    """Write what a pass learned. Leases that ended meanwhile keep what they had."""
    rows = {one.id: {"key": one.id, **_columns(one)} for one in seen}
    if not rows:
        return
    known = set(tx.execute(select(watches.c.lease_id).where(watches.c.hub_id == hub_id)).scalars())
    old = [row for lease_id, row in rows.items() if lease_id in known]
    new = [lease_id for lease_id in rows if lease_id not in known]
    if old:
        tx.execute(
            update(watches)
            .where(watches.c.lease_id == bindparam("key"))
            .values({name: bindparam(name) for name in old[0] if name != "key"}),
            old,
        )
    still_open = set(
        tx.execute(
            select(leases.c.id).where(leases.c.hub_id == hub_id, leases.c.ended_at.is_(None))
        ).scalars()
    )
    made = [
        {"lease_id": lease_id, "hub_id": hub_id}
        | {name: value for name, value in rows[lease_id].items() if name != "key"}
        for lease_id in new
        if lease_id in still_open
    ]
    if made:
        tx.execute(watches.insert(), made)


def _columns(one: Watched) -> dict[str, Any]:
    evidence, warned = one.evidence, one.warned
    return {
        "used_at": evidence.used_at,
        "used_by": evidence.used_by.value,
        "busy": list(evidence.busy),
        "busy_since": evidence.busy_since,
        "looked_at": evidence.looked_at,
        "unknown_since": evidence.unknown_since,
        "reported_at": evidence.reported_at,
        "gpu_load": one.gpu_load,
        "warned_reason": warned.reason.value if warned else None,
        "warned_stops_at": warned.stops_at if warned else None,
        "warned_level": round(warned.level.total_seconds()) if warned else None,
        "warned_at": warned.at if warned else None,
        "stop_tries": one.stop_tries,
        "would_stop_at": one.would_stop_at,
    }


def extend_lease(
    tx: Connection,
    lease_id: str,
    *,
    tiers: Mapping[str, Tier],
    actor: str,
    grace: timedelta,
    now: datetime,
) -> Watched | Refused:
    """Extend a running lease; who did it goes into the audit. The caller checks who may."""
    found = watched(tx, lease_id)
    if found is None or found.lease["ended_at"] or found.lease["stop_requested_at"]:
        return Refused(
            "not_running",
            f"{shown(found.title) if found else 'It'} is not running.",
            "Start it again; its files are kept.",
        )
    tier = tiers.get(found.lease["tier"])
    end = found.ending(grace)
    given = extend(end, found.deadlines, tier.shutdown_max if tier else None, now)
    if isinstance(given, Refused):
        return given
    tx.execute(
        update(leases)
        .where(leases.c.id == lease_id)
        .values(keep_until=given.keep_until, stop_at=given.stop_at)
    )
    audit.record(
        tx, hub_id=found.lease["hub_id"], actor=actor, account_id=found.lease["account_id"],
        action="extend",
        detail={"lease": lease_id, "keep_until": given.keep_until and given.keep_until.isoformat(),
                "stop_at": given.stop_at and given.stop_at.isoformat()},
        now=now,
    )  # fmt: skip
    return watched(tx, lease_id) or found
