"""gradienthub tier: who has which tier and why, and what an administrator grants."""

import argparse
import difflib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from ..ledger import Ledger, accounts
from ..ledger.accounts import Account, NoSuchAccount
from ..rules.duration import parse_duration
from ..rules.tiers import Allowance
from ..settings import Settings
from . import config
from .columns import aligned

Act = Callable[["Desk", argparse.Namespace], None]


class Desk:
    """The ledger and settings of one hub, with who acts and when."""

    def __init__(self, ledger: Ledger, settings: Settings, now: datetime) -> None:
        self.ledger = ledger
        self.settings = settings
        self.hub_id = settings.hub_id
        self.actor = f"cli {config.os_user()}"
        self.now = now

    def account(self, name: str) -> Account:
        """The open account of that name. Raises NoSuchAccount with what to do."""
        try:
            return self.ledger.read(accounts.find, hub_id=self.hub_id, name=name)
        except NoSuchAccount:
            raise NoSuchAccount(self._no_account(name)) from None

    def _no_account(self, name: str) -> str:
        everyone = self.ledger.read(accounts.everyone, hub_id=self.hub_id)
        near = difflib.get_close_matches(name, [account.name for account in everyone], n=3)
        return (
            f"{name!r} has no account at this hub"
            + (f" (similar: {', '.join(near)})" if near else "")
            + "; an account is made when somebody first opens their notebooks after a login, or"
            " when an administrator starts one for them. To give a tier before that, name one of"
            " their groups in c.GradientHub.tier_rules"
        )

    def allowance(self, account: Account) -> Allowance:
        """What the account may do now, by all that the ledger knows."""
        return self.ledger.read(
            accounts.allowance_of,
            account,
            groups=frozenset(),
            tiers=self.settings.house.tiers,
            rules=self.settings.tier_rules,
            now=self.now,
        )

    def tier_name(self, name: str) -> str:
        """The name of a tier there is. Raises UsageFault with those there are."""
        if name not in self.settings.house.tiers:
            raise config.UsageFault(
                f"There is no tier {name!r}; known are {', '.join(self.settings.house.tiers)}"
            )
        return name

    def type_name(self, name: str) -> str:
        """The name of an instance type there is. Raises UsageFault with those there are."""
        catalog = self.settings.house.catalog
        if catalog.instance_type(name) is None:
            known = ", ".join(t.name for t in catalog.instance_types)
            raise config.UsageFault(f"There is no instance type {name!r}; known are {known}")
        return name


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """`gradienthub tier` and what it can do."""
    parser = subparsers.add_parser(
        "tier",
        help="who has which tier and why; grants and approvals",
        description="Who has which tier and why, and what an administrator grants. What is set"
        " here counts from a person's next start; running notebooks keep what they have.",
    )
    acts = parser.add_subparsers(required=True, metavar="ACTION")
    _act(acts, "list", _list, "everybody with tier, who gave it, payment method and approvals")
    _act(acts, "show", _show, "one person, with groups and approvals", "name")
    set_ = _act(acts, "set", _set, "give a person a tier, before groups and claims", "name")
    set_.add_argument("tier", metavar="TIER")
    _act(acts, "clear", _clear, "leave a person's tier to groups and claims again", "name")
    payment = _act(acts, "payment", _payment, "record whether there is a payment method", "name")
    payment.add_argument("there", choices=("yes", "no"))
    approve = _act(acts, "approve", _approve, "approve an instance type for a person", "name")
    approve.add_argument("type", metavar="TYPE")
    approve.add_argument("--reason", default="", help="kept with it, up to 400 characters")
    approve.add_argument(
        "--expires",
        type=_span,
        metavar="30d",
        help="how long it lasts (default: until it is withdrawn)",
    )
    withdraw = _act(acts, "withdraw", _withdraw, "take an approval back", "name")
    withdraw.add_argument("type", metavar="TYPE")


def _act(
    acts: "argparse._SubParsersAction[Any]", word: str, act: Act, says: str, *names: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = acts.add_parser(word, help=says, description=says)
    for name in names:
        parser.add_argument(name, metavar=name.upper())
    config.add_config_option(parser)
    parser.set_defaults(run=run, act=act)
    return parser


def _span(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def run(args: argparse.Namespace) -> int:
    """Do the action against the hub's ledger; a running hub sees it at once."""
    hub = config.load(args.config)
    with config.open_ledger(hub) as ledger:
        args.act(Desk(ledger, hub.settings, datetime.now(UTC)), args)
    return 0


def _list(desk: Desk, _args: argparse.Namespace) -> None:
    rows = [("NAME", "TIER", "GIVEN BY", "PAYMENT METHOD", "APPROVALS")]
    for account in desk.ledger.read(accounts.everyone, hub_id=desk.hub_id):
        allowance = desk.allowance(account)
        rows.append(
            (
                account.name,
                allowance.tier.name,
                allowance.given_by,
                "yes" if account.payment_method else "no",
                ", ".join(sorted(allowance.approvals)) or "-",
            )
        )
    print(aligned(rows) if len(rows) > 1 else "Nobody has an account at this hub yet.")
    print(
        f"\nTiers: {', '.join(desk.settings.house.tiers)}"
        f" (default {desk.settings.tier_rules.default})"
    )


def _show(desk: Desk, args: argparse.Namespace) -> None:
    account = desk.account(args.name)
    allowance = desk.allowance(account)
    rows = [
        ("tier", f"{allowance.tier.name} ({allowance.tier.title}), given by {allowance.given_by}"),
        ("groups", ", ".join(sorted(account.groups)) or "none that an identity provider named"),
        ("payment method", "yes" if account.payment_method else "no"),
    ]
    if account.tier and account.tier not in desk.settings.house.tiers:
        rows.append(
            (
                "passed over",
                f"tier {account.tier}, set by {account.tier_by}, which is no longer configured",
            )
        )
    approvals = desk.ledger.read(accounts.approvals_of, account)
    rows += [("approval", _approval(approval, desk.now)) for approval in approvals]
    if not approvals:
        rows.append(("approvals", "none"))
    print(account.name)
    print(aligned([(f"  {label}", text) for label, text in rows]))
    if desk.settings.tier_rules.by_group and allowance.given_by == "default":
        print("  Groups that only the hub knows count at a start too, and may give another tier.")


def _approval(approval: accounts.Approval, now: datetime) -> str:
    until = approval.expires_at
    words = [approval.instance_type, f"by {approval.granted_by} on {approval.granted_at:%Y-%m-%d}"]
    if until is not None:
        words.append(f"{'until' if until > now else 'EXPIRED'} {until:%Y-%m-%d %H:%M} UTC")
    if approval.reason:
        words.append(f"“{approval.reason}”")
    return ", ".join(words)


def _set(desk: Desk, args: argparse.Namespace) -> None:
    tier = desk.tier_name(args.tier)
    account = desk.account(args.name)
    before = desk.allowance(account)
    _set_tier(desk, account, tier)
    print(f"{account.name}: tier {tier}, was {before.tier.name} (given by {before.given_by})")


def _clear(desk: Desk, args: argparse.Namespace) -> None:
    account = desk.account(args.name)
    if account.tier is None:
        print(f"{account.name}: no tier was set for the person; nothing to clear")
        return
    _set_tier(desk, account, None)
    after = desk.allowance(desk.account(args.name))
    print(f"{account.name}: tier {after.tier.name} (given by {after.given_by}), was {account.tier}")


def _set_tier(desk: Desk, account: Account, tier: str | None) -> None:
    desk.ledger.write(
        accounts.set_tier, account, hub_id=desk.hub_id, tier=tier, actor=desk.actor, now=desk.now
    )


def _payment(desk: Desk, args: argparse.Namespace) -> None:
    account = desk.account(args.name)
    there = args.there == "yes"
    desk.ledger.write(
        accounts.set_payment_method,
        account,
        hub_id=desk.hub_id,
        there=there,
        actor=desk.actor,
        now=desk.now,
    )
    print(f"{account.name}: {'a' if there else 'no'} payment method")


def _approve(desk: Desk, args: argparse.Namespace) -> None:
    type_name = desk.type_name(args.type)
    account = desk.account(args.name)
    expires_at = desk.now + args.expires if args.expires else None
    desk.ledger.write(
        accounts.approve,
        account,
        hub_id=desk.hub_id,
        instance_type=type_name,
        reason=args.reason,
        expires_at=expires_at,
        actor=desk.actor,
        now=desk.now,
    )
    until = f"until {expires_at:%Y-%m-%d %H:%M} UTC" if expires_at else "until it is withdrawn"
    print(f"{account.name}: approved for {type_name} {until}")
    wanted = desk.settings.house.catalog.instance_type(type_name)
    if wanted is not None and not wanted.needs_approval:
        print(f"  {type_name} needs no approval at present.")
    tier = desk.allowance(account).tier
    if wanted is not None and not tier.allows_type(wanted):
        print(f"  Their tier {tier.name} does not have {type_name}; an approval does not add it.")


def _withdraw(desk: Desk, args: argparse.Namespace) -> None:
    account = desk.account(args.name)
    # Not `type_name`: an approval outlives its instance type, and must be withdrawable then.
    gone = desk.ledger.write(
        accounts.withdraw,
        account,
        hub_id=desk.hub_id,
        instance_type=args.type,
        actor=desk.actor,
        now=desk.now,
    )
    print(
        f"{account.name}: {'' if gone else 'had no '}approval for {args.type}"
        f"{' withdrawn' if gone else ''}"
    )
