"""gradienthub account: who has which account, and what an administrator does about that."""

import argparse
import json
from datetime import UTC, datetime

from ..ledger import account_acts, account_bindings, account_merge
from . import prepare
from .columns import aligned
from .commands import Commands
from .config import UsageFault
from .desk import Desk, add_act, add_change, make_changes


def add_parser(subparsers: Commands) -> None:
    """Add `gradienthub account` and what it can do."""
    parser = subparsers.add_parser(
        "account",
        help="who has which account; prepare, bind, unbind and merge them",
        description="An account belongs to a person: to the subject that the identity provider"
        " names, and to the hub's user. Here you see who has which, prepare accounts before a"
        " first login, and put right what a new user table or a new directory mixed up.",
    )
    acts = parser.add_subparsers(required=True, metavar="ACTION")
    listed = add_act(acts, "list", _list, "every account with its users and subjects")
    listed.add_argument("--all", action="store_true", help="also those that are closed")
    listed.add_argument("--json", action="store_true", help="for programs")

    prepare.add_acts(acts)
    _add_binding(acts)


def _add_binding(acts: Commands) -> None:
    bind = add_change(acts, "bind", _bind, "give a name the account back that it had before")
    bind.add_argument("name", nargs="?", metavar="NAME")
    bind.add_argument("--to", default="", metavar="ACCOUNT", help="which, by its id")
    bind.add_argument("--all", action="store_true", help="every account that has no user")
    bind.add_argument(
        "--closed-since",
        type=_moment,
        metavar="TIME",
        help="every account that a login closed since then: they are the same people",
    )

    unbind = add_change(acts, "unbind", _unbind, "take a name off an account, or undo a bind")
    unbind.add_argument("name", nargs="?", metavar="NAME")
    unbind.add_argument(
        "--bound-since", type=_moment, metavar="TIME", help="undo every bind since then"
    )

    merge = add_change(acts, "merge", _merge, "move one account into another, and close it")
    merge.add_argument("gone", metavar="ACCOUNT", help="the account that ends, by name or id")
    merge.add_argument("into", metavar="INTO", help="the account that stays, by name or id")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; write 2026-11-27T16:00Z (UTC without a zone)"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _list(desk: Desk, args: argparse.Namespace) -> None:
    listed = desk.ledger.read(account_acts.list_accounts, desk.hub_id, closed=args.all)
    if args.json:
        print(json.dumps(listed, indent=2, default=datetime.isoformat))
        return
    header = ("NAME", "STATE", "USERS", "SUBJECTS", "ACCOUNT")
    rows = [
        (
            row["name"],
            row["state"],
            ", ".join(map(_user, row["users"])) or "-",
            ", ".join(map(_subject, row["subjects"])) or "-",
            row["id"],
        )
        for row in listed
    ]
    print(aligned([header, *rows]) if rows else "Nobody has an account at this hub yet.")


def _user(user: account_acts.ListedUser) -> str:
    return f"{user['name'] or '?'} (id {user['id']}{', gone' if user['missing_since'] else ''})"


def _subject(word: account_acts.ListedSubject) -> str:
    return f"{word['key'] or 'subject'} {word['subject']} at {word['provider'] or 'any provider'}"


def _bind(desk: Desk, args: argparse.Namespace) -> None:
    if sum(map(bool, (args.name, args.all, args.closed_since))) != 1:
        raise UsageFault("Name one person, or give --all or --closed-since TIME")
    if args.all:
        make_changes(desk, args, account_bindings.bind_all)
    elif args.closed_since:
        make_changes(desk, args, account_bindings.bind_closed, args.closed_since)
    else:
        make_changes(desk, args, account_bindings.bind, args.name, to=args.to)


def _unbind(desk: Desk, args: argparse.Namespace) -> None:
    if bool(args.name) == bool(args.bound_since):
        raise UsageFault("Name one person, or give --bound-since TIME")
    if args.name:
        make_changes(desk, args, account_bindings.unbind, args.name)
    else:
        make_changes(desk, args, account_bindings.unbind_since, args.bound_since)


def _merge(desk: Desk, args: argparse.Namespace) -> None:
    gone, into = desk.account_id(args.gone), desk.account_id(args.into)
    make_changes(desk, args, account_merge.merge, gone, into)
    root = desk.settings.storage_root / "accounts"
    if not args.json:
        print(
            f"The storage folder is moved by you, on the machine that has it: what is in"
            f" {root / gone} belongs into {root / into}; each notebook keeps its own folder."
        )
