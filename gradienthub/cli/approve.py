"""gradienthub approve: what people ask for, and the answer."""

import argparse

from ..ledger import grants, requests
from ..ledger.grants import Decision
from .columns import aligned
from .commands import Commands
from .desk import Desk, add_act, span


def add_parser(subparsers: Commands) -> None:
    """Add `gradienthub approve` and what it can do."""
    parser = subparsers.add_parser(
        "approve",
        help="requests for instance types that need an approval",
        description="People ask for an instance type that needs an approval, with a reason. A grant"
        " counts from their next start and needs no request; what is granted is listed by"
        " `gradienthub tier show` and taken back by `gradienthub tier withdraw`.",
    )
    acts = parser.add_subparsers(required=True, metavar="ACTION")
    add_act(acts, "list", _list, "requests that wait for an answer, the oldest first")
    add_grant(acts, "grant", "grant an instance type to a person")
    refuse = add_act(acts, "refuse", _refuse, "refuse a request", "name")
    _add_type_and_reason(refuse)


def add_grant(acts: Commands, word: str, says: str) -> None:
    """Add the act that grants an instance type, under the word that it has in this command."""
    grant = add_act(acts, word, _grant, says, "name")
    _add_type_and_reason(grant)
    grant.add_argument(
        "--expires",
        type=span,
        metavar="30d",
        help="how long it lasts (default: until it is withdrawn)",
    )


def _add_type_and_reason(act: argparse.ArgumentParser) -> None:
    act.add_argument("type", metavar="TYPE")
    act.add_argument("--reason", default="", help="what they are told, up to 400 characters")


def _list(desk: Desk, _args: argparse.Namespace) -> None:
    waiting = desk.ledger.read(requests.list_waiting, hub_id=desk.hub_id)
    rows = [("ASKED", "NAME", "TYPE", "REASON")]
    rows += [
        (
            f"{request.asked_at:%Y-%m-%d %H:%M} UTC",
            request.account_name,
            request.instance_type,
            request.reason,
        )
        for request in waiting
    ]
    print(aligned(rows) if waiting else "Nobody waits for an approval.")


def _grant(desk: Desk, args: argparse.Namespace) -> None:
    decision = Decision(args.type, True, args.reason, args.expires)
    account, answered = desk.grant(
        args.name, lambda tx, account: grants.decide(tx, desk.by, account, decision, desk.house)
    )
    until = desk.now + args.expires if args.expires else None
    print(
        f"{account.name}: approved for {args.type}"
        f" {f'until {until:%Y-%m-%d %H:%M} UTC' if until else 'until it is withdrawn'}"
        f"{'' if answered else ' (no request waited for it)'}"
    )
    machine = desk.house.catalog.instance_type(args.type)
    if machine is not None and not machine.needs_approval:
        print(f"  {args.type} needs no approval at present.")
    tier = desk.allowance(account).tier
    if machine is not None and not tier.allows_type(machine):
        print(f"  Their tier {tier.name} does not have {args.type}; an approval does not add it.")


def _refuse(desk: Desk, args: argparse.Namespace) -> None:
    decision = Decision(args.type, False, args.reason)
    account = desk.account(args.name)
    desk.ledger.write(grants.decide, desk.by, account, decision, desk.house)
    print(f"{args.name}: refused {args.type}")
