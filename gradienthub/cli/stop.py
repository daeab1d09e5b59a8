"""gradienthub stop: stop what runs, also where the hub itself does not know it."""

import argparse

from ..ledger import leases
from ..rules.idleness import Reason
from ..rules.refusal import Refused, shown
from .commands import Commands
from .desk import Desk, on_desk


def add_parser(subparsers: Commands) -> None:
    """Add `gradienthub stop` and its options."""
    parser = subparsers.add_parser(
        "stop",
        help="stop a running notebook by its lease",
        description="Ends the bill of a lease now. The hub stops the notebook at its next pass,"
        " within a minute, also where its own database does not know it. `gradienthub leases"
        " --json` and `gradienthub findings --json` have the id.",
    )
    parser.add_argument("lease", metavar="LEASE")
    parser.add_argument("--reason", default="", help="what its owner is told")
    on_desk(parser, _stop)


def _stop(desk: Desk, args: argparse.Namespace) -> None:
    lease = desk.ledger.read(leases.describe, args.lease)
    if lease is None or lease.hub_id != desk.hub_id:
        raise Refused(
            "not_found",
            f"There is no lease {shown(args.lease)}.",
            "`gradienthub leases --json` has the ids of what runs.",
        )
    asked = desk.ledger.write(leases.note_stop, args.lease, Reason.ADMIN, desk.by, args.reason)
    if asked:
        print(f"{args.lease}: its bill has ended; the hub stops it within a minute")
    else:
        print(f"{args.lease}: it is stopping or has ended already")
