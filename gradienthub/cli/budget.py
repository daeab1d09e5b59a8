"""gradienthub budget: what a person or a group may spend a month."""

import argparse

from ..ledger import Transaction, grants, limits, usage
from .columns import aligned
from .commands import Commands
from .config import UsageFault
from .desk import Desk, add_act, money


def add_parser(subparsers: Commands) -> None:
    """Add `gradienthub budget` and what it can do."""
    parser = subparsers.add_parser(
        "budget",
        help="what a person or a group may spend a month",
        description="Budgets of a calendar month (UTC). A soft one warns, a hard one refuses starts"
        " and stops notebooks, with warnings, before it is spent. Every budget that a person is"
        " under must allow a start: their own and those of all their groups.",
    )
    acts = parser.add_subparsers(required=True, metavar="ACTION")
    add_act(acts, "list", _list, "every budget and what this month has cost")
    set_ = add_act(acts, "set", _set, "set a budget; what is not given is removed")
    set_.add_argument("--soft", type=money, metavar="AMOUNT", help="warn from here on")
    set_.add_argument("--hard", type=money, metavar="AMOUNT", help="spend no more than this")
    clear = add_act(acts, "clear", _clear, "remove a budget")
    for act in (set_, clear):
        whose = act.add_mutually_exclusive_group(required=True)
        whose.add_argument("--user", metavar="NAME")
        whose.add_argument("--group", metavar="GROUP")


def _set(desk: Desk, args: argparse.Namespace) -> None:
    if args.soft is None and args.hard is None:
        raise UsageFault("Give --soft, --hard or both; `gradienthub budget clear` removes one")
    _put(desk, args, args.soft, args.hard)
    amounts = [
        f"{word} {desk.amount(amount)}"
        for word, amount in (("soft", args.soft), ("hard", args.hard))
        if amount is not None
    ]
    print(f"{args.user or args.group}: {', '.join(amounts)} a month")


def _clear(desk: Desk, args: argparse.Namespace) -> None:
    _put(desk, args, None, None)
    print(f"{args.user or args.group}: no budget")


def _put(desk: Desk, args: argparse.Namespace, soft: int | None, hard: int | None) -> None:
    def put(tx: Transaction, scope: str) -> None:
        grants.set_budget(tx, desk.by, scope, soft, hard, desk.house)

    if args.group:
        desk.ledger.write(put, usage.group_scope(args.group))
    else:
        desk.grant(args.user, lambda tx, account: put(tx, usage.account_scope(account.id)))


def _list(desk: Desk, _args: argparse.Namespace) -> None:
    rows = [("OF", "SOFT", "HARD", "CHARGED THIS MONTH", "SET BY")]
    for budget in desk.ledger.read(limits.list_budgets, hub_id=desk.hub_id, now=desk.now):
        rows.append(
            (
                f"group {budget.group}"
                if budget.group is not None
                else budget.user or budget.scope,
                "-" if budget.soft is None else desk.amount(budget.soft),
                "-" if budget.hard is None else desk.amount(budget.hard),
                desk.amount(budget.charged),
                budget.set_by,
            )
        )
    print(aligned(rows) if len(rows) > 1 else "No budget is set.")
