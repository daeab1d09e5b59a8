"""gradienthub usage: what was used and charged, by user, group, machine and day."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta

from ..ledger import statements, usage
from ..ledger.usage import Used
from ..rules.entry import month_start
from ..rules.money import format_amount, plain_amount
from ..views.statement import escape_formula, table_csv
from .columns import aligned
from .commands import Commands
from .config import UsageFault
from .desk import Desk, on_desk

BY = ("user", "group", "type", "day")


def add_parser(subparsers: Commands) -> None:
    """Add `gradienthub usage` and its options."""
    parser = subparsers.add_parser(
        "usage",
        help="what was used and charged, by user, group, type or day",
        description="Hours and charges of the days named (UTC). A running notebook counts once it"
        " is stopped or its month is over. Who is in two groups counts in both.",
    )
    parser.add_argument("--by", choices=BY, default="user", help="default: user")
    parser.add_argument(
        "--from", dest="first", type=_day, metavar="DATE", help="default: the first of this month"
    )
    parser.add_argument("--to", type=_day, metavar="DATE", help="that day included; default: today")
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--user", metavar="NAME", help="of this account alone (with type or day)")
    whose.add_argument("--group", metavar="GROUP", help="of this group alone (with type or day)")
    parser.add_argument(
        "--overruns",
        action="store_true",
        help="instead: charges whose notebook ran on without money held for it",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="for spreadsheets")
    form.add_argument("--json", action="store_true", help="for programs")
    on_desk(parser, _print)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a date; write for example 2026-11-23"
        ) from None


def _print(desk: Desk, args: argparse.Namespace) -> None:
    first = args.first or month_start(desk.now).date()
    last = args.to or desk.now.date()
    if last < first:
        raise UsageFault(f"--to {last} is before --from {first}")
    if args.overruns:
        _overruns(desk, args)
        return
    if (args.user or args.group) and args.by in ("user", "group"):
        raise UsageFault("--user and --group go with --by type and --by day")
    rows = _rows(desk, args, first, last + timedelta(days=1))
    if args.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    elif args.csv:
        sys.stdout.write(
            table_csv(
                (args.by, "leases", "hours", "charged", "currency"),
                [[*_cells(escape_formula(row.what), row, ""), desk.currency] for row in rows],
            )
        )
    else:
        _table(desk, args.by, rows, f"{first} to {last}")


def _rows(desk: Desk, args: argparse.Namespace, first: date, end: date) -> Sequence[Used]:
    period = usage.Period(desk.hub_id, desk.currency, first, end)
    if args.by == "user":
        return desk.ledger.read(usage.by_user, period)
    if args.by == "group":
        return desk.ledger.read(usage.by_group, period)
    scope = usage.HUB
    if args.user:
        scope = usage.account_scope(desk.account_id(args.user))
    elif args.group:
        scope = usage.group_scope(args.group)
    if args.by == "type":
        return desk.ledger.read(usage.by_type, period, scope)
    days = desk.ledger.read(usage.by_day, period, scope)
    return [
        Used(f"{day.day} {day.instance_type}", day.leases, day.seconds, day.charged) for day in days
    ]


def _cells(what: str, row: Used, currency: str) -> tuple[str, str, str, str]:
    return (
        what,
        str(row.leases),
        f"{row.seconds / 3600:.2f}",
        format_amount(row.charged, currency) if currency else plain_amount(row.charged),
    )


def _table(desk: Desk, by: str, rows: Sequence[Used], span: str) -> None:
    if not rows:
        print(f"Nothing was used, {span}.")
        return
    header = (by.upper(), "LEASES", "HOURS", "CHARGED")
    print(aligned([header, *(_cells(row.what, row, desk.currency) for row in rows)]))
    # A person in two groups would be added twice.
    if by != "group":
        total = desk.amount(sum(row.charged for row in rows))
        print(f"\n{span}: {sum(row.seconds for row in rows) / 3600:.2f} hours, {total}")


def _overruns(desk: Desk, args: argparse.Namespace) -> None:
    since = month_start(desk.now) if args.first is None else _midnight(desk, args.first)
    overruns = desk.ledger.read(statements.list_overruns, hub_id=desk.hub_id, since=since)
    rows = [("USER", "NOTEBOOK", "UNTIL", "OVERRUN", "FORGIVEN", "LEASE")]
    rows += [
        (
            overrun.name,
            overrun.entry.note,
            f"{overrun.entry.until_at:%Y-%m-%d %H:%M} UTC",
            format_amount(overrun.entry.overrun, overrun.entry.currency),
            format_amount(overrun.entry.forgiven, overrun.entry.currency),
            overrun.entry.lease_id or "",
        )
        for overrun in overruns
    ]
    print(aligned(rows) if overruns else "Nothing ran on without money held for it.")


def _midnight(desk: Desk, day: date) -> datetime:
    return desk.now.replace(
        year=day.year, month=day.month, day=day.day, hour=0, minute=0, second=0, microsecond=0
    )
