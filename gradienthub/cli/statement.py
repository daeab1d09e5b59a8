"""gradienthub statement: a month of an account, to read, print or compute with."""

import argparse
import sys

from ..ledger import statements
from ..ledger.accounts import NoSuchAccount
from ..rules.duration import format_duration
from ..rules.entry import Entry, Kind, month_of, parse_month
from ..rules.statement import Statement
from ..views.statement import as_csv, as_json_text
from ..views.tier import statement_text
from .columns import aligned
from .commands import Commands
from .config import UsageFault
from .desk import Desk, on_desk


def add_parser(subparsers: Commands) -> None:
    """Add `gradienthub statement` and its options."""
    parser = subparsers.add_parser(
        "statement",
        help="a month of an account: leases, credits, gaps, total",
        description="A calendar month (UTC) of an account. It ends with its chain head: whoever"
        " keeps it can have it looked up with `gradienthub verify --head`, and a ledger that was"
        " rewritten since does not know it.",
    )
    parser.add_argument("name", metavar="NAME", help="an account's name, or its id if it is closed")
    parser.add_argument(
        "month", metavar="MONTH", nargs="?", help="for example 2026-11 (default: this month)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="for spreadsheets")
    form.add_argument("--json", action="store_true", help="for programs")
    on_desk(parser, _print)


def _print(desk: Desk, args: argparse.Namespace) -> None:
    month = args.month or month_of(desk.now)
    try:
        parse_month(month)
    except ValueError as fault:
        raise UsageFault(str(fault)) from None
    statement = desk.ledger.read(
        statements.read_statement,
        account_id=desk.account_id(args.name),
        month=month,
        currency=desk.currency,
        now=desk.now,
    )
    if args.csv:
        sys.stdout.write(as_csv(statement))
    elif args.json:
        print(as_json_text(statement))
    else:
        print(_text(desk, statement))


def _text(desk: Desk, statement: Statement) -> str:
    rows: list[tuple[str, ...]] = [
        ("NO.", "KIND", "WHAT", "FROM", "UNTIL", "TIME", "AMOUNT", "BALANCE")
    ]
    rows += [_row(desk, entry) for entry in statement.entries]
    title = f"{statement.name}, {statement.month}, {statement.currency}"
    lines = [
        title if statement.over else f"{title} (so far)",
        f"Before: {desk.amount(statement.opening)}",
        *([aligned(rows)] if statement.entries else ["No entries."]),
        f"Credits {desk.amount(statement.total(Kind.CREDIT, Kind.TAKEN, Kind.EXPIRY))},"
        f" charges {desk.amount(statement.total(Kind.CHARGE))},"
        f" after: {desk.amount(statement.closing)}",
    ]
    lines += [
        f"Not observed, not charged: {entry.note}, {entry.until_at:%Y-%m-%d %H:%M} to"
        f" {entry.gap_until:%Y-%m-%d %H:%M} UTC"
        for entry in statement.gaps
    ]
    lines += [
        f"Not reachable, not charged: {entry.note}, {start:%Y-%m-%d %H:%M} to"
        f" {end:%Y-%m-%d %H:%M} UTC"
        for entry in statement.charges
        for start, end in statement.unreachable_times(entry)
    ]
    if statement.running:
        lines.append(f"Running notebooks have used {desk.amount(statement.running)} more so far.")
    if not statement.over and (text := _tier_text(desk, statement)):
        lines.append(text)
    if statement.head:
        lines.append(f"Chain head: {statement.head}")
    return "\n".join(lines)


def _tier_text(desk: Desk, statement: Statement) -> str:
    """Return what the account's tier costs beside the statement; "" for a closed account."""
    try:
        account = desk.account(statement.name)
    except NoSuchAccount:
        return ""
    if account.id != statement.account_id:
        return ""
    return statement_text(desk.allowance(account).tier, statement.currency)


def _row(desk: Desk, entry: Entry) -> tuple[str, ...]:
    charge = entry.kind is Kind.CHARGE
    begin, end = (entry.from_at, entry.until_at) if charge else (entry.at, None)
    return (
        str(entry.seq),
        entry.kind.value,
        f"{entry.note} ({entry.instance_type})" if charge else entry.note,
        f"{begin:%d %H:%M}" if begin else "",
        f"{end:%d %H:%M}" if end else "",
        format_duration(end - begin) if begin and end else "",
        desk.amount(entry.amount),
        desk.amount(entry.balance),
    )
