"""Make leases of their rows."""

from collections.abc import Iterable, Sequence
from sys import intern
from typing import Any, TypeAlias

from sqlalchemy import Row, Select, func, select

from ..rules.idleness import Reason
from ..rules.lease import Lease
from ..rules.metering import Gap
from ..rules.phase import Phase
from ..rules.use import Use
from . import gaps
from .batches import split_ids
from .database import Transaction
from .schema import accounts, entries, lease_devices, leases
from .schema import notebooks as notebook_table

#: What a row of `lease_query` begins with, in its order. Interned, as the names of parameters are:
#: Python finds these by identity, and compares all others letter by letter.
NAMES = tuple(
    intern(str(name)) for name in (*leases.c.keys(), "account_name", "server_name", "display_name")
)
PHASES = {phase.value: phase for phase in Phase}

#: A row of `lease_query`, and a query that begins with its columns. SQLAlchemy knows the types of
#: the first columns of a row only, and these have forty.
LeaseRow: TypeAlias = Row[*tuple[Any, ...]]
LeaseQuery: TypeAlias = Select[*tuple[Any, ...]]


def lease_query() -> LeaseQuery:
    """Select all columns of leases and the names that `lease_from` needs."""
    return (
        select(
            *leases.c,
            accounts.c.name.label("account_name"),
            notebook_table.c.server_name,
            notebook_table.c.display_name,
        )
        .join(notebook_table, notebook_table.c.id == leases.c.notebook_id)
        .join(accounts, accounts.c.id == leases.c.account_id)
    )


def leases_from(tx: Transaction, rows: Sequence[LeaseRow]) -> list[Lease]:
    """Return the leases of these rows of `lease_query`, with what other tables have of them."""
    ids = [row.id for row in rows]
    devices, lost, forgiven = _devices_of(tx, ids), gaps.list_gaps(tx, ids), _forgiven_of(tx, ids)
    return [
        lease_from(
            row,
            devices=devices.get(row.id, ()),
            lost=lost.get(row.id, ()),
            forgiven=forgiven.get(row.id, 0),
        )
        for row in rows
    ]


def lease_from(
    row: LeaseRow,
    *,
    devices: Iterable[str] = (),
    lost: tuple[Gap, ...] = (),
    forgiven: int = 0,
) -> Lease:
    """Make the lease of a row of `lease_query`: the only place that does."""
    # By place: a keeper makes hundreds at once, and a look-up by name takes as long as the rest.
    columns = dict(zip(NAMES, row, strict=False))
    columns["groups"] = None if columns["groups"] is None else tuple(columns["groups"])
    columns["phase"] = PHASES.get(columns["phase"]) or _phase_of(row)
    columns["reason"] = Reason(columns["reason"]) if columns["reason"] else None
    columns["used_by"] = Use(columns["used_by"]) if columns["used_by"] else None
    columns["program_extensions"] = columns["program_extensions"] or 0
    return Lease(**columns, devices=tuple(devices), gaps=lost, forgiven=forgiven)


def row_of(lease: Lease) -> dict[str, object]:
    """Return the columns of a lease, as `lease_from` reads them."""
    row: dict[str, object] = {column.key: getattr(lease, column.key) for column in leases.c}
    return row | {"groups": None if lease.groups is None else list(lease.groups)}


def _phase_of(row: LeaseRow) -> Phase:
    """Return what the moments of a row say, whose word for its phase is another version's."""
    moments = (
        (row.ended_at, Phase.ENDED),
        (row.stop_requested_at, Phase.STOPPING),
        (row.confirmed_at, Phase.RUNNING),
        (row.answered_at, Phase.ANSWERED),
        (row.started_at, Phase.ANSWERING),
        (row.turn_at, Phase.TURN),
    )
    return next((phase for at, phase in moments if at is not None), Phase.ADMITTED)


def _devices_of(tx: Transaction, lease_ids: Sequence[str]) -> dict[str, list[str]]:
    had: dict[str, list[str]] = {}
    for ids in split_ids(lease_ids):
        for row in tx.execute(
            select(lease_devices)
            .where(lease_devices.c.lease_id.in_(ids))
            .order_by(lease_devices.c.device_uuid)
        ):
            had.setdefault(row.lease_id, []).append(row.device_uuid)
    return had


def _forgiven_of(tx: Transaction, lease_ids: Sequence[str]) -> dict[str, int]:
    forgiven: dict[str, int] = {}
    for ids in split_ids(lease_ids):
        rows = tx.execute(
            select(entries.c.lease_id, func.sum(entries.c.forgiven))
            .where(entries.c.lease_id.in_(ids))
            .group_by(entries.c.lease_id)
        )
        forgiven |= {lease_id: int(amount) for lease_id, amount in rows}
    return forgiven


def last_lease(query: LeaseQuery, account_id: str, server_name: str) -> LeaseQuery:
    """Return a query of leases for the newest one of a notebook only."""
    return (
        query.where(
            notebook_table.c.account_id == account_id,
            notebook_table.c.server_name == server_name,
            notebook_table.c.deleted_at.is_(None),
        )
        .order_by(leases.c.admitted_at.desc())
        .limit(1)
    )
