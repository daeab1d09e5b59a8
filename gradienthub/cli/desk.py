"""The desk of an administrator: ledger and settings of one hub, with who acts and when."""

import argparse
import difflib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Concatenate, ParamSpec, TypeVar

from ..ledger import By, Ledger, Transaction, account_acts, accounts, statements
from ..ledger.account_acts import Change, Rehearsed
from ..ledger.accounts import Account, NoSuchAccount
from ..rules.duration import parse_duration
from ..rules.money import format_amount, parse_amount
from ..rules.tiers import Allowance
from . import config
from .commands import Commands

Act = Callable[["Desk", argparse.Namespace], int | None]
P = ParamSpec("P")
R = TypeVar("R")


class Desk:
    """The ledger and configuration of one hub, with who acts and when."""

    def __init__(self, ledger: Ledger, hub: config.HubConfig, now: datetime) -> None:
        self.ledger = ledger
        self.hub = hub
        self.settings = hub.settings
        self.hub_id = hub.settings.hub_id
        self.actor = f"cli {config.os_user()}"
        self.now = now
        self.house = hub.settings.house
        self.currency = self.house.catalog.currency

    @property
    def by(self) -> By:
        """Who acts, at which hub, and when."""
        return By(self.hub_id, self.actor, self.now)

    def amount(self, micros: int) -> str:
        """Format an amount of money for people, exactly."""
        return format_amount(micros, self.currency)

    def account(self, name: str) -> Account:
        """Return the open account of that name. Raises NoSuchAccount with what to do."""
        try:
            return self.ledger.read(accounts.find, hub_id=self.hub_id, name=name)
        except NoSuchAccount:
            raise NoSuchAccount(self._no_account(name)) from None

    def grant(self, name: str, act: Callable[[Transaction, Account], R]) -> tuple[Account, R]:
        """Do an act for the account of that name, prepared for a first login if there is none.

        What is prepared is said, with the names that are near: it may be a slip of the finger.
        """
        if not name.strip() or len(name) > 255:
            raise config.UsageFault("A user name has 1 to 255 characters")

        def work(tx: Transaction) -> tuple[Account, bool, R]:
            account, made = account_acts.prepare(tx, self.by, name)
            return account, made, act(tx, account)

        account, made, result = self.ledger.write(work)
        if made:
            near = ", ".join(self._near(name))
            print(
                f"{name} has not logged in yet: an account waits for them"
                + (f" (similar: {near}; `gradienthub account merge`)" if near else "")
            )
        return account, result

    def _near(self, name: str) -> list[str]:
        everyone = self.ledger.read(accounts.list_accounts, hub_id=self.hub_id)
        names = [account.name for account in everyone if account.name != name]
        return difflib.get_close_matches(name, names, n=3)

    def _no_account(self, name: str) -> str:
        near = self._near(name)
        return (
            f"{name!r} has no account at this hub"
            + (f" (similar: {', '.join(near)})" if near else "")
            + "; an account is made at a first login, or before it by `gradienthub account prepare`"
        )

    def allowance(self, account: Account) -> Allowance:
        """Return what the account may do now, by all that the ledger knows."""
        return self.ledger.read(
            accounts.allowance_of,
            account,
            tiers=self.house.tiers,
            rules=self.settings.tier_rules,
            now=self.now,
        )

    def account_id(self, name: str) -> str:
        """Return the id of an account by name or id, also of one that is closed.

        Raises NoSuchAccount.
        """
        ids = self.ledger.read(statements.account_ids, hub_id=self.hub_id, name=name)
        if not ids:
            raise NoSuchAccount(self._no_account(name))
        return ids[0]


def add_act(acts: Commands, word: str, act: Act, says: str, *names: str) -> argparse.ArgumentParser:
    """Add a sub-command that works at the desk. `names` are its positional arguments."""
    parser = acts.add_parser(word, help=says, description=says)
    for name in names:
        parser.add_argument(name, metavar=name.upper())
    on_desk(parser, act)
    return parser


def add_change(
    acts: Commands, word: str, act: Act, says: str, *names: str
) -> argparse.ArgumentParser:
    """Add an act like `add_act` that can be rehearsed, and says what it changed also as JSON."""
    parser = add_act(acts, word, act, says, *names)
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be done, and do nothing"
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    return parser


def make_changes(
    desk: Desk,
    args: argparse.Namespace,
    act: Callable[Concatenate[Transaction, By, P], list[Change]],
    *what: P.args,
    **more: P.kwargs,
) -> None:
    """Do it in one transaction and print what was done; with --dry-run nothing is kept."""

    def work(tx: Transaction) -> list[Change]:
        changes = act(tx, desk.by, *what, **more)
        if args.dry_run:
            raise Rehearsed(changes)
        return changes

    try:
        changes = desk.ledger.write(work)
    except Rehearsed as rehearsed:
        changes = rehearsed.outcome
    if args.json:
        report = {"dry_run": args.dry_run, "changes": [asdict(change) for change in changes]}
        print(json.dumps(report, indent=2))
        return
    for change in changes:
        print(f"{change.name} ({change.account_id}): {change.what}")
    if not changes:
        print("There is nothing to do.")
    elif args.dry_run:
        print("A dry run: nothing was changed.")


def on_desk(parser: argparse.ArgumentParser, act: Act) -> None:
    """Let a parser's command work at the desk."""
    config.add_config_option(parser)
    parser.set_defaults(run=run, act=act)


@contextmanager
def open_desk(hub: config.HubConfig) -> Iterator[Desk]:
    """Open the hub's ledger, and act as who runs this command."""
    with config.open_ledger(hub) as ledger:
        yield Desk(ledger, hub, datetime.now(UTC))


def run(args: argparse.Namespace) -> int:
    """Do the action against the hub's ledger; a running hub sees it at once."""
    with open_desk(config.load(args.config)) as desk:
        return args.act(desk, args) or 0


def span(text: str) -> timedelta:
    """Parse an argument that is a duration."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def money(text: str) -> int:
    """Parse an argument that is an amount of money in currency units into micro-units."""
    try:
        return parse_amount(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
