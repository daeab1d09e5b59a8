"""gradienthub leases: what runs, for whom, since when, at what cost, and when it stops."""

import argparse
import json

from ..ledger import watches
from ..rules.duration import format_duration
from ..rules.phase import LeaseState
from ..views.lease_view import LeaseView, watched_view
from .columns import aligned
from .commands import Commands
from .desk import Desk, on_desk
from .health import say_if_old

MOST = 1000


def add_parser(subparsers: Commands) -> None:
    """Add `gradienthub leases` and its options."""
    parser = subparsers.add_parser(
        "leases",
        help="what runs, for whom, at what cost, and when it stops",
        description="Every open lease of the hub, the newest first: who has which machine since"
        " when, what it has cost, and what keeps it alive or when it stops. What its use is, is"
        " as the keeper saw it at its last pass.",
    )
    on_desk(parser, _print)
    parser.add_argument("--user", metavar="USER", help="only theirs")
    parser.add_argument(
        "--all", action="store_true", help=f"also those that ended; the newest {MOST}"
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def _print(desk: Desk, args: argparse.Namespace) -> None:
    leases = desk.ledger.read(
        watches.list_watched,
        desk.hub_id,
        account_id=desk.account(args.user).id if args.user else None,
        state="" if args.all else "open",
        limit=MOST,
    )
    if not args.all:
        say_if_old(desk)
    house, grace = desk.house, desk.settings.policy.grace
    views = [watched_view(lease, house.catalog, house.tiers, grace, desk.now) for lease in leases]
    if args.json:
        print(json.dumps([view.model_dump(mode="json") for view in views], indent=2))
    elif views:
        header = ("USER", "NOTEBOOK", "TYPE", "STATE", "SINCE", "COST", "STOPS")
        print(aligned([header, *(_row(view) for view in views)]))
    else:
        print("Nothing has run yet." if args.all else "Nothing runs.")


def _row(view: LeaseView) -> tuple[str, ...]:
    begun = view.answered_at or view.admitted_at
    until = view.ended_at or view.stop_requested_at or view.now
    return (
        view.user,
        view.notebook,
        view.instance_type,
        view.state,
        f"{begun:%Y-%m-%d %H:%M} UTC ({format_duration(until - begun)})",
        view.cost_text,
        _stops(view),
    )


def _stops(view: LeaseView) -> str:
    if view.reason:
        return f"{view.reason}, by {view.stopped_by}" if view.stopped_by else view.reason
    if view.state == LeaseState.STARTING:
        return "-"
    kept = "; ".join(view.keeps_alive)
    if view.stops_at is None:
        return f"never: {kept}"
    left = view.stops_at - view.now
    when = f"in {format_duration(left)}" if left.total_seconds() > 0 else "due"
    # Where it is idle, what keeps it says what stops it.
    return f"{when}: {kept if view.stop_reason == 'idle' else f'{view.stop_why}; {kept}'}"
