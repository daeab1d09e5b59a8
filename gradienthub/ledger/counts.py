"""How many leases, devices and findings there are, for metrics."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from ..rules.lease import state_of
from . import fleet, keepers
from .database import Transaction
from .schema import findings, leases


@dataclass(frozen=True)
class Counts:
    """Open leases by (instance type, state), devices by (state, model), findings by kind."""

    leases: Mapping[tuple[str, str], int]
    devices: Mapping[tuple[str, str], int]
    findings: Mapping[str, int]
    #: When the keeper last looked at everything.
    passed_at: datetime | None = None


def count_all(tx: Transaction, hub_id: str) -> Counts:
    """Return what a hub has now; a device of it that another hub holds is leased."""
    open_leases = tx.execute(
        select(
            leases.c.instance_type,
            leases.c.answered_at,
            leases.c.stop_requested_at,
            leases.c.ended_at,
        ).where(leases.c.hub_id == hub_id, leases.c.ended_at.is_(None))
    )
    kinds = tx.execute(
        select(findings.c.kind, func.count())
        .where(findings.c.hub_id == hub_id, findings.c.mended_at.is_(None))
        .group_by(findings.c.kind)
    )
    return Counts(
        Counter(
            (
                row.instance_type,
                state_of(row.answered_at, row.stop_requested_at, row.ended_at),
            )
            for row in open_leases
        ),
        Counter(
            (_state(row["holder_kind"], row["out_of_service"]), row["model"])
            for row in fleet.list_devices(tx, hub_id)
        ),
        {row[0]: row[1] for row in kinds},
        (keepers.find_keeper(tx, hub_id) or {}).get("passed_at"),
    )


def _state(holder_kind: str | None, out_of_service: bool) -> str:
    # Who has it counts more: a device may be taken out of service under a running notebook.
    if holder_kind is not None:
        return "leased" if holder_kind == "lease" else holder_kind
    return "out_of_service" if out_of_service else "free"
