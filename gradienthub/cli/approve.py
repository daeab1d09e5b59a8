"""gradienthub approve: what people ask for, and the answer."""

import argparse
from typing import Any

from ..ledger import requests
from .columns import aligned
from .desk import Desk, add_act, span


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
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
    grant = add_act(acts, "grant", _grant, "grant an instance type to a person", "name")
    refuse = add_act(acts, "refuse", _refuse, "refuse a request", "name")
    for act in (grant, refuse):
        act.add_argument("type", metavar="TYPE")
        act.add_argument("--reason", default="", help="what they are told, up to 400 characters")
    grant.add_argument(
        "--expires",
        type=span,
        metavar="30d",
        help="how long it lasts (default: until it is withdrawn)",
    )


def _list(desk: Desk, _args: argparse.Namespace) -> None:
    waiting = desk.ledger.read(requests.waiting, hub_id=desk.hub_id)
    rows = [("ASKED", "NAME", "TYPE", "REASON")]
    rows += [
        (f"{one.asked_at:%Y-%m-%d %H:%M} UTC", one.account_name, one.instance_type, one.reason)
        for one in waiting
    ]
    print(aligned(rows) if waiting else "Nobody waits for an approval.")


def _grant(desk: Desk, args: argparse.Namespace) -> None:
    type_name = desk.type_name(args.type)
    answered = _decide(desk, args, grant=True)
    until = desk.now + args.expires if args.expires else None
    print(
        f"{args.name}: approved for {type_name}"
        f" {f'until {until:%Y-%m-%d %H:%M} UTC' if until else 'until it is withdrawn'}"
        f"{'' if answered else ' (no request waited for it)'}"
    )


def _refuse(desk: Desk, args: argparse.Namespace) -> int:
    answered = _decide(desk, args, grant=False)
    print(f"{args.name}: {'refused' if answered else 'no request waits for'} {args.type}")
    return 0 if answered else 1


def _decide(desk: Desk, args: argparse.Namespace, *, grant: bool) -> bool:
    expires = getattr(args, "expires", None)
    return desk.ledger.write(
        requests.decide,
        desk.account_to_be(args.name) if grant else desk.account(args.name),
        hub_id=desk.hub_id,
        instance_type=args.type,
        grant=grant,
        answer=args.reason,
        expires_at=desk.now + expires if expires else None,
        actor=desk.actor,
        now=desk.now,
    )
