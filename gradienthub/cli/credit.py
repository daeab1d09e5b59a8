"""gradienthub credit: money given to accounts, payments recorded, what is left."""

import argparse
from datetime import timedelta

from ..ledger import credits, grants, idempotency, statements
from ..ledger.grants import Transfer
from .columns import aligned
from .commands import Commands
from .desk import Desk, add_act, money, span


def add_parser(subparsers: Commands) -> None:
    """Add `gradienthub credit` and what it can do."""
    parser = subparsers.add_parser(
        "credit",
        help="give credit, record a payment, see what is left",
        description="Money given to accounts. Amounts are in the hub's currency. A payment is a"
        " credit without an expiry: what is owed is paid by it first.",
    )
    acts = parser.add_subparsers(required=True, metavar="ACTION")
    give = add_act(acts, "give", _give, "give credit, or record a payment", "name")
    take = add_act(acts, "take", _take, "take back what was given by mistake", "name")
    for act in (give, take):
        act.add_argument("amount", metavar="AMOUNT", type=money, help="for example 50 or 12.50")
        act.add_argument("--reason", required=True, help="on the statement, up to 400 characters")
        act.add_argument(
            "--key",
            type=_key,
            default="",
            metavar="KEY",
            help="of your choice, for example an invoice's number: run again with the same key,"
            " it is not done again",
        )
    give.add_argument(
        "--expires", type=span, metavar="90d", help="how long it lasts (default: for ever)"
    )
    add_act(acts, "show", _show, "an account's balance and credits", "name")


def _give(desk: Desk, args: argparse.Namespace) -> None:
    account, credit = desk.grant(
        args.name,
        lambda tx, account: grants.give_credit(
            tx, desk.by, account.id, _transfer(args, args.expires), desk.house
        ),
    )
    until = f" until {credit.expires_at:%Y-%m-%d %H:%M} UTC" if credit.expires_at else ""
    print(f"{account.name}: {desk.amount(args.amount)} given{until}; {_has(desk, account.id)}")


def _take(desk: Desk, args: argparse.Namespace) -> None:
    account_id = desk.account_id(args.name)
    desk.ledger.write(grants.take_credit, desk.by, account_id, _transfer(args), desk.house)
    print(f"{args.name}: {desk.amount(args.amount)} taken back; {_has(desk, account_id)}")


def _transfer(args: argparse.Namespace, lasts: timedelta | None = None) -> Transfer:
    return Transfer(args.amount, args.reason, lasts=lasts, key=args.key)


def _key(text: str) -> str:
    if len(text) > idempotency.LONGEST_KEY:
        raise argparse.ArgumentTypeError(f"a key has at most {idempotency.LONGEST_KEY} characters")
    return text


def _has(desk: Desk, account_id: str) -> str:
    standing = desk.ledger.read(
        statements.read_standing, account_id=account_id, currency=desk.currency, now=desk.now
    )
    balance = f"balance {desk.amount(standing.balance)}"
    if not standing.running:
        return balance
    return f"{balance}, running notebooks have used {desk.amount(standing.running)} of it"


def _show(desk: Desk, args: argparse.Namespace) -> None:
    account_id = desk.account_id(args.name)
    print(f"{args.name}: {_has(desk, account_id)}")
    rows = [("GIVEN", "AMOUNT", "LEFT", "EXPIRES", "BY", "REASON")]
    rows += [
        (
            f"{credit.given_at:%Y-%m-%d}",
            desk.amount(credit.amount),
            desk.amount(credit.unspent),
            f"{credit.expires_at:%Y-%m-%d}" if credit.expires_at else "-",
            credit.given_by,
            credit.reason,
        )
        for credit in desk.ledger.read(credits.list_credits, account_id)
        if credit.currency == desk.currency
    ]
    print(aligned(rows) if len(rows) > 1 else "No credit was given yet.")
