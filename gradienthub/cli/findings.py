"""gradienthub findings: what hub and keeper find wrong while they run."""

import argparse
import json
from datetime import datetime

from ..ledger import findings
from ..rules.duration import format_duration
from ..rules.health import Trouble
from .columns import aligned
from .commands import Commands
from .desk import Desk, on_desk
from .health import health_of

MOST = 200


def add_parser(subparsers: Commands) -> None:
    """Add `gradienthub findings` and its options."""
    parser = subparsers.add_parser(
        "findings",
        help="what hub and keeper find wrong while they run",
        description="What hub and keeper found wrong and has not mended, the newest first, with"
        " what mends it. `gradienthub check` looks for itself; this says what they saw, and"
        " first of all where nobody looks. Exit code 1 where something stands or nobody looks.",
    )
    on_desk(parser, _print)
    parser.add_argument("--all", action="store_true", help="also what is mended")
    parser.add_argument("--json", action="store_true", help="for programs")


def _print(desk: Desk, args: argparse.Namespace) -> int:
    """Print them; 1 where one stands."""
    rows = desk.ledger.read(findings.list_findings, desk.hub_id, standing=not args.all, limit=MOST)
    state = health_of(desk.hub, desk.ledger, desk.now)
    if state.trouble is not None:
        rows = [_as_row(state.trouble), *rows]
    if args.json:
        print(json.dumps(rows, indent=2, default=datetime.isoformat))
        return 0 if state.well else 1
    if state.trouble is not None or not rows:
        print(state.headline)
    if rows:
        header = ("KIND", "SINCE", "SEEN", "STATE", "WHAT", "WHAT TO DO")
        print(aligned([header, *(_row(row, desk.now) for row in rows)]))
    for note in state.notes:
        print(note)
    return 0 if state.well else 1


def _as_row(trouble: Trouble) -> findings.FindingRow:
    """Return why nobody looks as the first of the findings."""
    return {
        "id": None,
        "kind": trouble.kind,
        "source": "keeper",
        "key": trouble.kind,
        "lease_id": None,
        "why": trouble.why,
        "repair": trouble.cure,
        "times": 1,
        "first_at": trouble.since,
        "last_at": trouble.since,
        "mended_at": None,
    }


def _row(row: findings.FindingRow, now: datetime) -> tuple[str, ...]:
    first, mended = row["first_at"], row["mended_at"]
    return (
        row["kind"],
        f"{first:%Y-%m-%d %H:%M} UTC ({format_duration((mended or now) - first)})"
        if first
        else "-",
        f"{row['times']} times" if row["times"] > 1 else "once",
        "mended" if mended else "stands",
        row["why"],
        row["repair"],
    )
