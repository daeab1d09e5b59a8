"""gradienthub audit: who did what to whom."""

import argparse
import json
import shlex
import sys
from datetime import UTC, datetime

from ..ledger import audit
from ..rules.duration import parse_duration
from ..views.audit_words import words_of
from .columns import aligned
from .commands import Commands
from .config import UsageFault
from .desk import Desk, on_desk
from .desk import run as work_at_desk

#: For one release: `log` was the name of this command, and `audit` that of `verify`.
OLD_NAME = "log"


def add_parser(subparsers: Commands) -> None:
    """Add `gradienthub audit` and its options, and `gradienthub log`, its old name."""
    parser = subparsers.add_parser(
        "audit",
        help="who did what to whom: starts, stops, refusals, grants",
        description="Prints the audit, the newest row first: every start, stop, extension, refusal"
        " and grant, with who did it. `gradienthub verify` checks the money.",
    )
    _add_options(parser)
    # What only the old `audit` took. Without help, it is not shown.
    parser.add_argument("name", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--head", help=argparse.SUPPRESS)
    parser.set_defaults(run=run)
    old = subparsers.add_parser(OLD_NAME, description="The old name of `gradienthub audit`.")
    _add_options(old)
    old.set_defaults(run=_run_by_old_name, old_name=True)


def _add_options(parser: argparse.ArgumentParser) -> None:
    on_desk(parser, _print)
    parser.add_argument("--user", metavar="USER", help="only what was done to this user")
    parser.add_argument("--action", metavar="WORD", help="only this: start, stop, refused, ...")
    parser.add_argument(
        "--since",
        type=_moment,
        metavar="WHEN",
        help="not before this: a span until now (2d, 6h) or a moment (2026-11-23, UTC)",
    )
    parser.add_argument(
        "--limit",
        type=_count,
        default=100,
        metavar="ROWS",
        help="maximum number of rows (default 100)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _moment(text: str) -> datetime:
    try:
        return datetime.now(UTC) - parse_duration(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r}: write a span like 2d or 6h, or a moment like 2026-11-23 or"
            " 2026-11-23T14:00+01:00"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r}: write a number from 1 to 100000")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Print the rows; 0 even where there are none. Raises UsageFault for the old use."""
    if args.name is not None or args.head is not None:
        words = [args.name, *(("--head", args.head) if args.head is not None else ())]
        command = shlex.join(["gradienthub", "verify", *(word for word in words if word)])
        raise UsageFault(
            f"gradienthub audit prints who did what; what checks the money is `{command}` now"
        )
    if not (args.user or args.action or args.since or sys.stdout.isatty()):
        # A job of a night that meant the old `audit` would succeed from now on, whatever is wrong.
        print(
            "gradienthub: `audit` prints who did what; `gradienthub verify` checks the money.",
            file=sys.stderr,
        )
    return work_at_desk(args)


def _run_by_old_name(args: argparse.Namespace) -> int:
    print("gradienthub: `log` is `gradienthub audit` now.", file=sys.stderr)
    return work_at_desk(args)


def _print(desk: Desk, args: argparse.Namespace) -> None:
    rows = desk.ledger.read(
        audit.list_rows,
        hub_id=desk.hub_id,
        account_id=desk.account(args.user).id if args.user else None,
        action=args.action,
        between=(args.since, None),
        limit=args.limit,
    )
    if args.json:
        print(json.dumps(rows, indent=2, default=datetime.isoformat))
    elif rows:
        print(aligned([("AT", "WHO", "DID", "TO", "DETAIL"), *(_row(row) for row in rows)]))
    else:
        print("Nothing that fits is in the audit.")


def _row(row: audit.AuditRow) -> tuple[str, ...]:
    words = (f"{key}={value}" for key, value in words_of(row["detail"]))
    return (
        f"{row['at']:%Y-%m-%d %H:%M:%S} UTC",
        row["actor"],
        row["action"],
        row["account_name"] or "-",
        " ".join(words),
    )
