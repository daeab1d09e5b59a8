"""The desk of an administrator: ledger and settings of one hub, with who acts and when."""

import argparse
import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from ..ledger import By, Ledger, account_acts, accounts, statements
from ..ledger.accounts import Account, NoSuchAccount
from ..rules.duration import parse_duration
from ..rules.money import format_amount, parse_amount
from ..rules.tiers import Allowance
from ..settings import Settings
from . import config

Act = Callable[["Desk", argparse.Namespace], int | None]


class Desk:
    """The ledger and settings of one hub, with who acts and when."""

    def __init__(self, ledger: Ledger, settings: Settings, now: datetime) -> None:
        self.ledger = ledger
        self.settings = settings
        self.hub_id = settings.hub_id
        self.actor = f"cli {config.os_user()}"
        self.now = now
        self.currency = settings.house.catalog.currency

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

    def account_to_be(self, name: str) -> Account:
        """Return the account of that name, prepared for its owner's first login if there is none.

        What is prepared is said, with the names that are near: it may be a slip of the finger.
        """
        try:
            return self.ledger.read(accounts.find, hub_id=self.hub_id, name=name)
        except NoSuchAccount:
            pass
        if not name.strip() or len(name) > 255:
            raise config.UsageFault("A user name has 1 to 255 characters")
        near = self._near(name)
        account, made = self.ledger.write(account_acts.prepare, self.by, name)
        if made:
            print(
                f"{name} has not logged in yet: an account waits for them"
                + (f" (similar: {', '.join(near)}; `gradienthub account merge`)" if near else "")
            )
        return account

    def _near(self, name: str) -> list[str]:
        everyone = self.ledger.read(accounts.everyone, hub_id=self.hub_id)
        return difflib.get_close_matches(name, [account.name for account in everyone], n=3)

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
            tiers=self.settings.house.tiers,
            rules=self.settings.tier_rules,
            now=self.now,
        )

    def tier_name(self, name: str) -> str:
        """Return the name of a tier there is. Raises UsageFault with those there are."""
        if name not in self.settings.house.tiers:
            raise config.UsageFault(
                f"There is no tier {name!r}; known are {', '.join(self.settings.house.tiers)}"
            )
        return name

    def type_name(self, name: str) -> str:
        """Return the name of an instance type there is. Raises UsageFault with those there are."""
        catalog = self.settings.house.catalog
        if catalog.instance_type(name) is None:
            known = ", ".join(t.name for t in catalog.instance_types)
            raise config.UsageFault(f"There is no instance type {name!r}; known are {known}")
        return name

    def account_id(self, name: str) -> str:
        """Return the id of an account by name or id, also of one that is closed.

        Raises NoSuchAccount.
        """
        found = self.ledger.read(statements.account_ids, hub_id=self.hub_id, name=name)
        if not found:
            raise NoSuchAccount(self._no_account(name))
        return found[0]


def add_act(
    acts: "argparse._SubParsersAction[Any]", word: str, act: Act, says: str, *names: str
) -> argparse.ArgumentParser:
    """Add a sub-command that works at the desk. `names` are its positional arguments."""
    parser: argparse.ArgumentParser = acts.add_parser(word, help=says, description=says)
    for name in names:
        parser.add_argument(name, metavar=name.upper())
    on_desk(parser, act)
    return parser


def on_desk(parser: argparse.ArgumentParser, act: Act) -> None:
    """Let a parser's command work at the desk."""
    config.add_config_option(parser)
    parser.set_defaults(run=run, act=act)


@contextmanager
def open_desk(hub: config.HubConfig) -> Iterator[Desk]:
    """Open the hub's ledger, and act as who runs this command."""
    with config.open_ledger(hub) as ledger:
        yield Desk(ledger, hub.settings, datetime.now(UTC))


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
    """Parse an argument that is an amount of money in currency units into micro-units; more
    than 0."""
    try:
        amount = parse_amount(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not amount:
        raise argparse.ArgumentTypeError("the amount must be more than 0")
    return amount
