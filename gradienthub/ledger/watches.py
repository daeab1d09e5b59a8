"""Watches: what the keeper knows of open leases, and what Extend changes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import and_, bindparam, or_, select, update

from ..rules.action import Action
from ..rules.idleness import Deadlines, Ending, Reason, Warned, ending, extend, refuse_program
from ..rules.lease import Lease
from ..rules.notebook import title_of
from ..rules.refusal import Refused, shown
from ..rules.services import BEFORE_NAME
from ..rules.tiers import Tier
from ..rules.use import Evidence, Use
from . import audit, gaps
from .by import By
from .database import Transaction
from .findings import NewFinding
from .lease_rows import LeaseQuery, LeaseRow, last_lease, lease_from, lease_query, leases_from
from .schema import accounts, lease_devices, leases, watches

#: The columns of a watch, by names that are not those of its lease; the last ones of `_query`.
WATCH = {column.name: column.label(f"watch_{column.name}") for column in watches.c}
#: Where its last warning stands among them, and the other kind's: reason, stop, level, moment.
WARNED, OTHER = (
    slice(first, first + 4) for first in map([*WATCH].index, ("warned_reason", "other_reason"))
)


@dataclass(frozen=True)
class Watched:
    """A lease and what the keeper knows of it; it decides on answered, open ones only.

    `claims` are what the identity provider says of its owner. `known` is false before the first
    pass that saw it. `would_stop_at` is set in a dry run.
    """

    lease: Lease
    deadlines: Deadlines
    evidence: Evidence
    claims: Mapping[str, object] = field(default_factory=dict)
    warned: Warned | None = None
    gpu_load: float | None = None
    stop_tries: int = 0
    would_stop_at: datetime | None = None
    known: bool = False

    @property
    def id(self) -> str:
        """The lease's id."""
        return self.lease.id

    @property
    def title(self) -> str:
        """The notebook's name for people."""
        return self.lease.title

    def paid_until(self, money_ends_at: datetime | None) -> "Watched":
        """Return the same with the end of its money; None: nothing ends it."""
        return replace(self, deadlines=replace(self.deadlines, money_ends_at=money_ends_at))

    def watched_by(self, unknown: float | None, no_work: float | None) -> "Watched":
        """Return the same with ends of so many intervals for unknown use and for no work."""
        return replace(self, deadlines=self.deadlines.watched_by(unknown, no_work))

    def ending(self, grace: timedelta) -> Ending | None:
        """Return when and why it stops as things stand."""
        return ending(self.evidence, self.deadlines, self.warned, grace)


def _query() -> LeaseQuery:
    return (
        lease_query()
        .add_columns(accounts.c.claims.label("account_claims"), *WATCH.values())
        .outerjoin(watches, watches.c.lease_id == leases.c.id)
    )


def list_open_watched(tx: Transaction, hub_id: str) -> list[Watched]:
    """Return the answered, open leases of a hub whose stop was not asked for yet, oldest first."""
    rows = tx.execute(
        _query()
        .where(
            leases.c.hub_id == hub_id,
            leases.c.ended_at.is_(None),
            leases.c.answered_at.is_not(None),
            leases.c.stop_requested_at.is_(None),
        )
        .order_by(leases.c.admitted_at, leases.c.id)
    ).all()
    held: dict[str, list[str]] = {}
    for device in tx.execute(
        select(lease_devices)
        .join(leases, leases.c.id == lease_devices.c.lease_id)
        .where(leases.c.hub_id == hub_id, leases.c.ended_at.is_(None))
        .order_by(lease_devices.c.device_uuid)
    ):
        held.setdefault(device.lease_id, []).append(device.device_uuid)
    lost = gaps.list_gaps_of_open(tx, hub_id)
    return [
        _watched(row, lease_from(row, devices=held.get(row.id, ()), lost=lost.get(row.id, ())))
        for row in rows
    ]


def find_watched(tx: Transaction, lease_id: str) -> Watched | None:
    """Return one lease, open or ended; None if there is none or it never answered."""
    row = tx.execute(
        _query().where(leases.c.id == lease_id, leases.c.answered_at.is_not(None))
    ).first()
    return _whole(tx, [row])[0] if row else None


def list_watched(
    tx: Transaction,
    hub_id: str,
    *,
    account_id: str | None,
    state: str = "",
    before: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> list[Watched]:
    """List the leases of an account, or of all (None), the newest first. `state` is "open", "ended"
    or "".

    `before` is (admitted_at, id) of the last one of the page before.
    """
    query = _query().where(leases.c.hub_id == hub_id)
    if account_id is not None:
        query = query.where(leases.c.account_id == account_id)
    if state == "open":
        query = query.where(leases.c.ended_at.is_(None))
    elif state == "ended":
        query = query.where(leases.c.ended_at.is_not(None))
    if before is not None:
        at, last = before
        query = query.where(
            or_(leases.c.admitted_at < at, and_(leases.c.admitted_at == at, leases.c.id < last))
        )
    rows = tx.execute(
        query.order_by(leases.c.admitted_at.desc(), leases.c.id.desc()).limit(limit)
    ).all()
    return _whole(tx, rows)


def find_last_watched(tx: Transaction, *, account_id: str, server_name: str) -> Watched | None:
    """Return the newest lease of a notebook, whatever became of it, or None."""
    row = tx.execute(last_lease(_query(), account_id, server_name)).first()
    return _whole(tx, [row])[0] if row else None


def find_any_lease(tx: Transaction, hub_id: str, lease_id: str) -> Watched | None:
    """Return one lease of this hub, whatever became of it, or None."""
    row = tx.execute(_query().where(leases.c.hub_id == hub_id, leases.c.id == lease_id)).first()
    return _whole(tx, [row])[0] if row else None


def _whole(tx: Transaction, rows: Sequence[LeaseRow]) -> list[Watched]:
    """Make values of rows of `_query`, with their devices, gaps and what was not charged."""
    return [_watched(row, lease) for row, lease in zip(rows, leases_from(tx, rows), strict=True)]


def _watched(row: LeaseRow, lease: Lease) -> Watched:
    values = row[-len(WATCH) :]
    watch = dict(zip(WATCH, values, strict=True))
    claims = row.account_claims or {}
    if watch["lease_id"] is None:
        started = Evidence(used_at=lease.answered_at or lease.admitted_at)
        return Watched(lease, lease.deadlines, started, claims)
    deadlines = replace(
        lease.deadlines,
        money_ends_at=watch["money_ends_at"],
        unknown_after=watch["unknown_after"],
        no_work_after=watch["no_work_after"],
    )
    evidence = Evidence(
        used_at=watch["used_at"],
        used_by=Use(watch["used_by"]),
        busy=tuple(watch["busy"]),
        busy_since=watch["busy_since"],
        looked_at=watch["looked_at"],
        unknown_since=watch["unknown_since"],
        reported_at=watch["reported_at"],
        missed_since=watch["missed_since"],
        unread=tuple(watch["unread"] or ()),
        reported={key: datetime.fromisoformat(at) for key, at in (watch["reported"] or {}).items()},
        worked_at=watch["worked_at"],
        cpu_seconds=watch["cpu_seconds"],
        cpu_at=watch["cpu_at"],
        cpu_load=watch["cpu_load"],
    )
    return Watched(
        lease,
        deadlines,
        evidence,
        claims,
        warned=_warned(*values[WARNED], other=_warned(*values[OTHER])),
        gpu_load=watch["gpu_load"],
        stop_tries=watch["stop_tries"],
        would_stop_at=watch["would_stop_at"],
        known=True,
    )


def _warned(
    reason: str | None,
    stops_at: datetime,
    level: timedelta,
    at: datetime,
    *,
    other: Warned | None = None,
) -> Warned | None:
    return None if reason is None else Warned(Reason(reason), stops_at, level, at, other)


def _warned_columns(name: str, warned: Warned | None) -> dict[str, object]:
    return {
        f"{name}_reason": warned and warned.reason.value,
        f"{name}_stops_at": warned and warned.stops_at,
        f"{name}_level": warned and warned.level,
        f"{name}_at": warned and warned.at,
    }


def find_hanging_stops(tx: Transaction, hub_id: str, before: datetime) -> list[NewFinding]:
    """Find leases whose stop was asked for before that moment and that are not ended yet."""
    rows = tx.execute(
        _query().where(
            leases.c.hub_id == hub_id,
            leases.c.ended_at.is_(None),
            leases.c.stop_requested_at < before,
        )
    )
    return [
        NewFinding(
            f"stop_hangs/{row.id}",
            "stop_hangs",
            f"{shown(title_of(row.display_name, row.server_name))} of"
            f" {shown(row.account_name)} was asked to stop and has not ended; it costs nothing"
            " since, and still holds its machine.",
            "The hub goes on trying. Look at the engine of its host, and at the hub's log.",
            row.id,
        )
        for row in rows
    ]


def list_stopped_by_services(tx: Transaction, hub_id: str, since: datetime) -> list[Watched]:
    """List what other services of the hub stopped since then, without a word to its owner."""
    rows = tx.execute(
        _query().where(
            leases.c.hub_id == hub_id,
            leases.c.stop_requested_at >= since,
            leases.c.stopped_by.startswith(BEFORE_NAME, autoescape=True),
            leases.c.reason == Reason.ADMIN.value,
            leases.c.stop_note.is_(None),
            leases.c.answered_at.is_not(None),
        )
    )
    return [_watched(row, lease_from(row)) for row in rows]


def save(tx: Transaction, hub_id: str, seen: Iterable[Watched]) -> None:
    """Write what a pass learned. Leases that ended meanwhile keep what they had."""
    rows = {watch.id: _columns(watch) for watch in seen}
    if not rows:
        return
    known = set(tx.execute(select(watches.c.lease_id).where(watches.c.hub_id == hub_id)).scalars())
    if old := [{"key": lease_id, **row} for lease_id, row in rows.items() if lease_id in known]:
        tx.execute(update(watches).where(watches.c.lease_id == bindparam("key")), old)
    # Locked: a lease that ends now would delete its watch before it is made, and leave it for ever.
    still_open = tx.execute(
        select(leases.c.id)
        .where(leases.c.id.in_(rows.keys() - known), leases.c.ended_at.is_(None))
        .with_for_update(read=True)
    ).scalars()
    if new := [{"lease_id": id_, "hub_id": hub_id, **rows[id_]} for id_ in still_open]:
        tx.execute(watches.insert(), new)


def _columns(watch: Watched) -> dict[str, object]:
    evidence, warned = watch.evidence, watch.warned
    return {
        **_warned_columns("warned", warned),
        **_warned_columns("other", warned and warned.other),
        "used_at": evidence.used_at,
        "used_by": evidence.used_by.value,
        "busy": list(evidence.busy),
        "busy_since": evidence.busy_since,
        "looked_at": evidence.looked_at,
        "unknown_since": evidence.unknown_since,
        "reported_at": evidence.reported_at,
        "missed_since": evidence.missed_since,
        "unread": list(evidence.unread),
        "reported": {key: at.isoformat() for key, at in evidence.reported.items()},
        "worked_at": evidence.worked_at,
        "cpu_seconds": evidence.cpu_seconds,
        "cpu_at": evidence.cpu_at,
        "cpu_load": evidence.cpu_load,
        "unknown_after": watch.deadlines.unknown_after,
        "no_work_after": watch.deadlines.no_work_after,
        "gpu_load": watch.gpu_load,
        "stop_tries": watch.stop_tries,
        "would_stop_at": watch.would_stop_at,
        "money_ends_at": watch.deadlines.money_ends_at,
    }


def extend_lease(
    tx: Transaction,
    lease_id: str,
    by: By,
    *,
    tiers: Mapping[str, Tier],
    grace: timedelta,
    program: bool = False,
) -> Watched | Refused:
    """Extend a running lease; who did it goes into the audit. The caller checks who may.

    `program`: it is asked for with a token, which a tier may bound until a person asks.
    """
    run = find_watched(tx, lease_id)
    if run is None or run.lease.ended_at or run.lease.stop_requested_at:
        return Refused(
            "not_running",
            f"{shown(run.title) if run else 'It'} is not running.",
            "Start it again; its files are kept.",
        )
    tier = tiers.get(run.lease.tier)
    longest = tier.shutdown_max if tier else None
    deadlines = extend(run.ending(grace), run.deadlines, longest, by.now)
    if isinstance(deadlines, Refused):
        return deadlines
    most = tier.program_extensions if tier else None
    if program and (refused := refuse_program(run.lease.program_extensions, most)):
        return refused
    _write_extension(tx, by, run.lease, deadlines, program)
    return find_watched(tx, lease_id) or run


def _write_extension(
    tx: Transaction, by: By, lease: Lease, deadlines: Deadlines, program: bool
) -> None:
    """Write the new deadlines of a lease, and in the audit who asked for them."""
    tx.execute(
        update(leases)
        .where(leases.c.id == lease.id)
        .values(
            keep_until=deadlines.keep_until,
            stop_at=deadlines.stop_at,
            program_extensions=lease.program_extensions + 1 if program else 0,
        )
    )
    audit.record(
        tx,
        by,
        Action.EXTEND,
        account_id=lease.account_id,
        detail={
            "lease": lease.id,
            "keep_until": deadlines.keep_until and deadlines.keep_until.isoformat(),
            "stop_at": deadlines.stop_at and deadlines.stop_at.isoformat(),
        }
        | ({"program": True} if program else {}),
    )
