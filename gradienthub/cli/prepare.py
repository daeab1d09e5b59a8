"""gradienthub account prepare and import: accounts made before their owners' first login."""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..ledger import By, Transaction, account_acts, grants
from ..ledger.account_acts import Change
from ..ledger.grants import Transfer
from ..rules.identity import names_nobody
from ..rules.money import parse_amount
from ..rules.refusal import Refused
from .commands import Commands
from .config import UsageFault
from .desk import Desk, add_change, make_changes, money

COLUMNS = ("name", "tier", "credit", "subject", "provider", "payment_method")
LONGEST_FILE = 5_000_000


def add_acts(acts: Commands) -> None:
    """Add what prepares accounts to `gradienthub account`."""
    prepare = add_change(acts, "prepare", _prepare, "make an account before a first login", "name")
    prepare.add_argument("--tier", default="", help="their tier, before groups and claims")
    prepare.add_argument("--credit", type=money, metavar="AMOUNT", help="credit to begin with")
    prepare.add_argument(
        "--subject",
        default="",
        help="only a login of this subject of the provider takes it, under whatever user name",
    )
    prepare.add_argument("--provider", default="", help="which provider, as `list` names it")
    import_ = add_change(acts, "import", _import, "prepare accounts from a CSV file")
    import_.add_argument(
        "file",
        type=Path,
        metavar="FILE.csv",
        help=f"with a first line that names its columns, of {', '.join(COLUMNS)}",
    )


@dataclass(frozen=True)
class Wanted:
    """An account to prepare, with what it begins with."""

    name: str
    tier: str = ""
    credit: int | None = None
    subject: str = ""
    provider: str = ""
    payment_method: bool | None = None


def _prepare(desk: Desk, args: argparse.Namespace) -> None:
    wanted = Wanted(args.name, args.tier, args.credit, args.subject, args.provider)
    if not wanted.name.strip() or len(wanted.name) > 255:
        raise UsageFault("A user name has 1 to 255 characters")
    if wanted.tier:
        grants.require_tier(wanted.tier, desk.house)
    make_changes(desk, args, _make, desk, wanted)
    if wanted.name != wanted.name.lower() and not args.json:
        print(f"  Most hubs write user names in lower case: is it {wanted.name.lower()}?")


def _make(tx: Transaction, by: By, desk: Desk, wanted: Wanted) -> list[Change]:
    account, made = account_acts.prepare(
        tx, by, wanted.name, subject=wanted.subject, provider=wanted.provider
    )
    done = ["waits for the first login"] if made else ["has an account already"]
    if wanted.tier and wanted.tier != account.tier:
        grants.set_tier(tx, by, account, wanted.tier, desk.house)
        done.append(f"tier {wanted.tier}")
    if wanted.payment_method is not None and wanted.payment_method != account.payment_method:
        grants.set_payment_method(tx, by, account, wanted.payment_method)
        done.append(f"{'a' if wanted.payment_method else 'no'} payment method")
    if wanted.credit is not None:
        # Once, however often a file is imported or a command is repeated.
        transfer = Transfer(wanted.credit, "To begin with", key=f"prepared {account.id}")
        done.append(_give_once(tx, by, account.id, transfer, desk))
    return [Change(account.id, account.name, ", ".join(done))]


def _give_once(tx: Transaction, by: By, account_id: str, transfer: Transfer, desk: Desk) -> str:
    """Give the credit to begin with, unless there was one; return what came of it, in words."""
    try:
        credit = grants.give_credit(tx, by, account_id, transfer, desk.house)
    except Refused as refused:
        if refused.code != "key_used":
            raise
        # Of another amount, or by a version that wrote down otherwise what it was asked for.
        return "a credit to begin with was given before, and no other is"
    given = "given" if credit.given_at == by.now else "was given before"
    return f"{desk.amount(transfer.amount)} {given}"


def _import(desk: Desk, args: argparse.Namespace) -> None:
    wanted, faults = _read(desk, args.file)
    if faults:
        raise UsageFault(
            f"{args.file}: nothing was imported; "
            + "; ".join(faults[:20])
            + (f"; and {len(faults) - 20} more" if len(faults) > 20 else "")
        )

    def make_all(tx: Transaction, by: By) -> list[Change]:
        changes = []
        for line, account in wanted:
            try:
                changes += _make(tx, by, desk, account)
            except Refused as refused:
                raise UsageFault(f"{args.file}: line {line}: {refused.text}") from None
        return changes

    make_changes(desk, args, make_all)


def _read(desk: Desk, path: Path) -> tuple[list[tuple[int, Wanted]], list[str]]:
    """Return the accounts of a CSV file with their lines, and what is wrong, by line."""
    try:
        if path.stat().st_size > LONGEST_FILE:
            raise UsageFault(f"{path} has more than {LONGEST_FILE // 10**6} MB; split it")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageFault(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageFault(f"{path} cannot be read as text in UTF-8: {error}") from None
    reader = csv.DictReader(text.splitlines(), strict=True)
    header = [name.strip().lower() for name in reader.fieldnames or ()]
    unknown = [name for name in header if name not in COLUMNS]
    if "name" not in header or unknown or len(set(header)) != len(header):
        fault = f"unknown: {', '.join(unknown)}" if unknown else f"it is {', '.join(header) or '-'}"
        raise UsageFault(
            f"{path}: the first line names the columns, name and any of"
            f" {', '.join(COLUMNS[1:])}, each once; {fault}"
        )
    reader.fieldnames = header
    wanted: list[tuple[int, Wanted]] = []
    faults: list[str] = []
    seen: dict[str, int] = {}
    for line, row, fault in _rows(reader):
        if fault:
            faults.append(f"line {line}: {fault}")
            continue
        try:
            account = _wanted(desk, row)
        except (ValueError, Refused) as error:
            faults.append(f"line {line}: {error}")
            continue
        if account.name in seen:
            faults.append(f"line {line}: {account.name} is in line {seen[account.name]} already")
        seen.setdefault(account.name, line)
        wanted.append((line, account))
    return wanted, faults


def _rows(reader: "csv.DictReader[str]") -> Iterator[tuple[int, dict[str, str], str]]:
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, {}, str(error)
            return
        extra = None in row or any(value is None for value in row.values())
        fault = "it has another number of columns than the first line" if extra else ""
        cells = {} if extra else {key: value.strip() for key, value in row.items()}
        if extra or any(cells.values()):
            yield reader.line_num, cells, fault


def _wanted(desk: Desk, row: dict[str, str]) -> Wanted:
    """Parse one line of the table. Raises ValueError with what is wrong."""
    name, tier = row["name"], row.get("tier", "")
    if not name or len(name) > 255 or "\0" in name:
        raise ValueError("a user name has 1 to 255 characters")
    if tier:
        grants.require_tier(tier, desk.house)
    if row.get("subject") and names_nobody(row["subject"]):
        raise ValueError(f"{row['subject']!r} is nobody's subject; leave the cell empty")
    payment = row.get("payment_method", "").lower()
    if payment not in ("", "yes", "no"):
        raise ValueError(f"payment_method is yes, no or empty, and not {payment!r}")
    return Wanted(
        name=name,
        tier=tier,
        credit=parse_amount(row["credit"] or "0") or None if "credit" in row else None,
        subject=row.get("subject", ""),
        provider=row.get("provider", ""),
        payment_method=None if not payment else payment == "yes",
    )
