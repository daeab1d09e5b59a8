"""gradienthub verify: derive all money again, and name what does not add up."""

import argparse
import sys

from ..ledger import statements, verify
from .columns import aligned
from .commands import Commands
from .config import UsageFault
from .desk import Desk, on_desk
from .health import health_of


def add_parser(subparsers: Commands) -> None:
    """Add `gradienthub verify` and its options."""
    parser = subparsers.add_parser(
        "verify",
        help="derive every balance and statement again; name what does not add up",
        description="Derives every balance, statement, credit and usage from entries and leases"
        " again, and the entries from each other. Changes nothing. Exit code 1 where something does"
        " not add up: each altered or missing row is named.",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="of this account alone")
    parser.add_argument(
        "--head",
        metavar="HASH",
        help="a chain head that a statement of NAME printed: is it still in the chain?",
    )
    on_desk(parser, _verify)


def _verify(desk: Desk, args: argparse.Namespace) -> int:
    account_id = desk.account_id(args.name) if args.name else None
    if args.head is not None:
        if account_id is None:
            raise UsageFault("Say whose statement it is: gradienthub verify NAME --head HASH")
        return _head(desk, args, account_id)
    proof = desk.ledger.read(
        verify.verify_money, hub_id=desk.hub_id, now=desk.now, account_id=account_id
    )
    looked = (
        f"{proof.chains} accounts, {proof.entries} entries, {proof.leases} leases"
        f" ({desk.now:%Y-%m-%d %H:%M} UTC)"
    )
    if not proof.faults:
        print(f"Everything adds up: {looked}.")
        _say_what_is_not_in_it(desk)
        return 0
    rows = [(fault.name, fault.currency, fault.what) for fault in proof.faults]
    print(aligned([("ACCOUNT", "IN", "WHAT IS WRONG"), *rows]))
    print(f"\n{len(rows)} faults in {looked}.")
    _say_what_is_not_in_it(desk)
    return 1


def _say_what_is_not_in_it(desk: Desk) -> None:
    """Say on standard error where nobody looks: what runs was not seen since."""
    trouble = health_of(desk.hub, desk.ledger, desk.now).trouble
    if trouble is not None:
        print(
            "This proves what is written. What runs, or was out of reach, is not seen now:"
            f" {trouble.why} {trouble.cure}",
            file=sys.stderr,
        )


def _head(desk: Desk, args: argparse.Namespace, account_id: str) -> int:
    # Every account that had the name: a statement may be of one that is closed.
    ids = desk.ledger.read(statements.account_ids, hub_id=desk.hub_id, name=args.name)
    for owner in [account_id, *ids]:
        entry = desk.ledger.read(verify.find_head, account_id=owner, head=args.head)
        if entry is not None:
            print(f"It is the hash of entry {entry.seq}, {entry.month}, of {args.name}.")
            return 0
    print(
        f"No entry of {args.name} has this hash: it is not of this account, or the ledger was"
        " rewritten since the statement was printed."
    )
    return 1
