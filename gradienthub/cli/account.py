"""gradienthub account: who has which account, and what an administrator does about that."""

import argparse
import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..ledger import account_acts, account_bindings, account_merge, accounts, credits, idempotency
from ..ledger.account_acts import Change, Rehearsed
from ..rules.identity import names_nobody
from ..rules.money import parse_amount
from ..rules.refusal import Refused
from .columns import aligned
from .config import UsageFault
from .desk import Desk, add_act, money

COLUMNS = ("name", "tier", "credit", "subject", "provider", "payment_method")
LONGEST_FILE = 5_000_000


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
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

    prepare = add_act(acts, "prepare", _prepare, "make an account before a first login", "name")
    prepare.add_argument("--tier", metavar="TIER", help="their tier, before groups and claims")
    prepare.add_argument("--credit", type=money, metavar="AMOUNT", help="credit to begin with")
    prepare.add_argument(
        "--subject",
        default="",
        help="only a login of this subject of the provider takes it, under whatever user name",
    )
    prepare.add_argument("--provider", default="", help="which provider, as `list` names it")

    import_ = add_act(acts, "import", _import, "prepare accounts from a CSV file")
    import_.add_argument(
        "file",
        type=Path,
        metavar="FILE.csv",
        help=f"with a first line that names its columns, of {', '.join(COLUMNS)}",
    )

    bind = add_act(acts, "bind", _bind, "give a name the account back that it had before")
    bind.add_argument("name", nargs="?", metavar="NAME")
    bind.add_argument("--to", default="", metavar="ACCOUNT", help="which, by its id")
    bind.add_argument("--all", action="store_true", help="every account that has no user")
    bind.add_argument(
        "--closed-since",
        type=_moment,
        metavar="TIME",
        help="every account that a login closed since then: they are the same people",
    )

    unbind = add_act(acts, "unbind", _unbind, "take a name off an account, or undo a bind")
    unbind.add_argument("name", nargs="?", metavar="NAME")
    unbind.add_argument(
        "--bound-since", type=_moment, metavar="TIME", help="undo every bind since then"
    )

    merge = add_act(acts, "merge", _merge, "move one account into another, and close it")
    merge.add_argument("gone", metavar="ACCOUNT", help="the account that ends, by name or id")
    merge.add_argument("into", metavar="INTO", help="the account that stays, by name or id")
    for act in (prepare, import_, bind, unbind, merge):
        act.add_argument(
            "--dry-run", action="store_true", help="say what would be done, and do nothing"
        )
        act.add_argument("--json", action="store_true", help="for programs")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; write 2026-11-27T16:00Z (UTC without a zone)"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _do(desk: Desk, args: argparse.Namespace, work: Callable[[Any], list[Change]]) -> None:
    """Do it in one transaction and print what was done; with --dry-run nothing is kept."""

    def rehearse(tx: Any) -> list[Change]:
        raise Rehearsed(work(tx))

    try:
        changes = desk.ledger.write(rehearse if args.dry_run else work)
    except Rehearsed as rehearsed:
        changes = rehearsed.outcome
    if args.json:
        found = {"dry_run": args.dry_run, "changes": [asdict(change) for change in changes]}
        print(json.dumps(found, indent=2))
        return
    for change in changes:
        print(f"{change.name} ({change.account_id}): {change.what}")
    if not changes:
        print("There is nothing to do.")
    elif args.dry_run:
        print("A dry run: nothing was changed.")


def _list(desk: Desk, args: argparse.Namespace) -> None:
    found = desk.ledger.read(account_acts.listing, desk.hub_id, closed=args.all)
    if args.json:
        print(json.dumps(found, indent=2, default=datetime.isoformat))
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
        for row in found
    ]
    print(aligned([header, *rows]) if rows else "Nobody has an account at this hub yet.")


def _user(user: dict[str, Any]) -> str:
    return f"{user['name'] or '?'} (id {user['id']}{', gone' if user['missing_since'] else ''})"


def _subject(word: dict[str, str]) -> str:
    return f"{word['key'] or 'subject'} {word['subject']} at {word['provider'] or 'any provider'}"


def _bind(desk: Desk, args: argparse.Namespace) -> None:
    if sum(map(bool, (args.name, args.all, args.closed_since))) != 1:
        raise UsageFault("Name one person, or give --all or --closed-since TIME")
    if args.all:
        _do(desk, args, lambda tx: account_bindings.bind_all(tx, desk.by))
    elif args.closed_since:
        _do(desk, args, lambda tx: account_bindings.bind_closed(tx, desk.by, args.closed_since))
    else:
        _do(desk, args, lambda tx: account_bindings.bind(tx, desk.by, args.name, to=args.to))


def _unbind(desk: Desk, args: argparse.Namespace) -> None:
    if bool(args.name) == bool(args.bound_since):
        raise UsageFault("Name one person, or give --bound-since TIME")
    if args.name:
        _do(desk, args, lambda tx: account_bindings.unbind(tx, desk.by, args.name))
    else:
        _do(desk, args, lambda tx: account_bindings.unbind_since(tx, desk.by, args.bound_since))


def _merge(desk: Desk, args: argparse.Namespace) -> None:
    gone, into = desk.account_id(args.gone), desk.account_id(args.into)
    _do(desk, args, lambda tx: account_merge.merge(tx, desk.by, gone, into))
    root = desk.settings.storage_root / "accounts"
    if not args.json:
        print(
            f"The storage folder is moved by you, on the machine that has it: what is in"
            f" {root / gone} belongs into {root / into}; each notebook keeps its own folder."
        )


# -- prepare --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """An account to prepare, with what it begins with."""

    name: str
    tier: str = ""
    credit: int = 0
    subject: str = ""
    provider: str = ""
    payment_method: bool | None = None


def _prepare(desk: Desk, args: argparse.Namespace) -> None:
    tier = desk.tier_name(args.tier) if args.tier else ""
    wanted = Wanted(args.name, tier, args.credit or 0, args.subject, args.provider)
    if not wanted.name.strip() or len(wanted.name) > 255:
        raise UsageFault("A user name has 1 to 255 characters")
    _do(desk, args, lambda tx: _make(tx, desk, wanted))
    if wanted.name != wanted.name.lower() and not args.json:
        print(f"  Most hubs write user names in lower case: is it {wanted.name.lower()}?")


def _make(tx: Any, desk: Desk, wanted: Wanted) -> list[Change]:
    account, made = account_acts.prepare(
        tx, desk.by, wanted.name, subject=wanted.subject, provider=wanted.provider
    )
    who: dict[str, Any] = {"hub_id": desk.hub_id, "actor": desk.actor, "now": desk.now}
    done = ["waits for the first login"] if made else ["has an account already"]
    if wanted.tier and wanted.tier != account.tier:
        accounts.set_tier(tx, account, tier=wanted.tier, **who)
        done.append(f"tier {wanted.tier}")
    if wanted.payment_method is not None and wanted.payment_method != account.payment_method:
        accounts.set_payment_method(tx, account, there=wanted.payment_method, **who)
        done.append(f"{'a' if wanted.payment_method else 'no'} payment method")
    if wanted.credit:
        terms: dict[str, Any] = {**who, "account_id": account.id, "currency": desk.currency}
        # Once, however often a file is imported or a command is repeated.
        said = {"account": account.id, "amount": wanted.credit, "what": "prepared"}
        given: list[str] = []

        def give() -> str:
            given.append("given")
            return credits.give(
                tx, amount=wanted.credit, reason="To begin with", expires_at=None, **terms
            )

        idempotency.once(
            tx,
            give,
            key=f"prepared {account.id}",
            said=said,
            hub_id=desk.hub_id,
            actor=desk.actor,
            now=desk.now,
        )
        amount = desk.amount(wanted.credit)
        done.append(f"{amount} given" if given else f"{amount} was given before")
    return [Change(account.id, account.name, ", ".join(done))]


def _import(desk: Desk, args: argparse.Namespace) -> None:
    wanted, faults = _read(desk, args.file)
    if faults:
        raise UsageFault(
            f"{args.file}: nothing was imported; "
            + "; ".join(faults[:20])
            + (f"; and {len(faults) - 20} more" if len(faults) > 20 else "")
        )

    def work(tx: Any) -> list[Change]:
        changes = []
        for line, one in wanted:
            try:
                changes += _make(tx, desk, one)
            except Refused as refused:
                raise UsageFault(f"{args.file}: line {line}: {refused.text}") from None
        return changes

    _do(desk, args, work)


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
        said = f"unknown: {', '.join(unknown)}" if unknown else f"it is {', '.join(header) or '-'}"
        raise UsageFault(
            f"{path}: the first line names the columns, name and any of"
            f" {', '.join(COLUMNS[1:])}, each once; {said}"
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
            one = _wanted(desk, row)
        except ValueError as error:
            faults.append(f"line {line}: {error}")
            continue
        if one.name in seen:
            faults.append(f"line {line}: {one.name} is in line {seen[one.name]} already")
        seen.setdefault(one.name, line)
        wanted.append((line, one))
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
        desk.tier_name(tier)
    if row.get("subject") and names_nobody(row["subject"]):
        raise ValueError(f"{row['subject']!r} is nobody's subject; leave the cell empty")
    payment = row.get("payment_method", "").lower()
    if payment not in ("", "yes", "no"):
        raise ValueError(f"payment_method is yes, no or empty, and not {payment!r}")
    return Wanted(
        name=name,
        tier=tier,
        credit=parse_amount(row["credit"]) if row.get("credit") else 0,
        subject=row.get("subject", ""),
        provider=row.get("provider", ""),
        payment_method=None if not payment else payment == "yes",
    )
