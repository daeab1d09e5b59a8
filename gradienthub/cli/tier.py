"""gradienthub tier: who has which tier and why, and what an administrator grants."""

import argparse
from datetime import datetime

from ..ledger import accounts, grants
from ..ledger.accounts import Account
from ..rules.tiers import Tier
from ..views.tier import month_text, storage_text
from .approve import add_grant
from .columns import aligned
from .commands import Commands
from .desk import Desk, add_act


def add_parser(subparsers: Commands) -> None:
    """Add `gradienthub tier` and what it can do."""
    parser = subparsers.add_parser(
        "tier",
        help="who has which tier and why; grants and approvals",
        description="Who has which tier and why, and what an administrator grants. What is set"
        " here counts from a person's next start; running notebooks keep what they have.",
    )
    acts = parser.add_subparsers(required=True, metavar="ACTION")
    add_act(acts, "list", _list, "everybody with tier, who gave it, payment method and approvals")
    add_act(acts, "show", _show, "one person, with groups and approvals", "name")
    set_ = add_act(acts, "set", _set, "give a person a tier, before groups and claims", "name")
    set_.add_argument("tier", metavar="TIER")
    add_act(acts, "clear", _clear, "leave a person's tier to groups and claims again", "name")
    payment = add_act(acts, "payment", _payment, "record whether there is a payment method", "name")
    payment.add_argument("there", choices=("yes", "no"))
    add_grant(acts, "approve", "approve an instance type for a person")
    withdraw = add_act(acts, "withdraw", _withdraw, "take an approval back", "name")
    withdraw.add_argument("type", metavar="TYPE")


def _list(desk: Desk, _args: argparse.Namespace) -> None:
    rows = [("NAME", "TIER", "GIVEN BY", "PAYMENT METHOD", "APPROVALS")]
    for account in desk.ledger.read(accounts.list_accounts, hub_id=desk.hub_id):
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
        *_terms(allowance.tier, desk.currency),
        ("groups", ", ".join(sorted(account.groups)) or "none that an identity provider named"),
        ("groups in the hub", _hub_groups(account)),
        ("payment method", "yes" if account.payment_method else "no"),
    ]
    if account.tier and account.tier not in desk.settings.house.tiers:
        rows.append(
            (
                "passed over",
                f"tier {account.tier}, set by {account.tier_by}, which is no longer configured",
            )
        )
    approvals = desk.ledger.read(accounts.list_approvals, account)
    rows += [("approval", _approval(approval, desk.now)) for approval in approvals]
    if not approvals:
        rows.append(("approvals", "none"))
    print(account.name)
    print(aligned([(f"  {label}", text) for label, text in rows]))
    guessed = account.hub_groups is None and allowance.given_by == "default"
    if guessed and desk.settings.tier_rules.by_group:
        print("  The groups that only the hub knows count too, and may give another tier.")
    if account.groups_unknown_at is not None:
        print(
            f"  Since {account.groups_unknown_at:%Y-%m-%d %H:%M} UTC the provider says that their"
            " groups are too many to list: those of before count."
        )
    if account.prepared_at is not None:
        print("  They have not logged in yet: the account waits for them.")


def _terms(tier: Tier, currency: str) -> list[tuple[str, str]]:
    """List what the tier costs and promises, where it does."""
    terms = (("price", month_text(tier, currency)), ("storage", storage_text(tier)))
    return [(label, text) for label, text in terms if text]


def _hub_groups(account: Account) -> str:
    if account.hub_groups is None:
        return "unknown until the hub says so, within a minute after their first login"
    return ", ".join(sorted(account.hub_groups)) or "none"


def _approval(approval: accounts.Approval, now: datetime) -> str:
    until = approval.expires_at
    words = [approval.instance_type, f"by {approval.granted_by} on {approval.granted_at:%Y-%m-%d}"]
    if until is not None:
        words.append(f"{'until' if until > now else 'EXPIRED'} {until:%Y-%m-%d %H:%M} UTC")
    if approval.reason:
        words.append(f"“{approval.reason}”")
    return ", ".join(words)


def _set(desk: Desk, args: argparse.Namespace) -> None:
    account, _ = desk.grant(
        args.name, lambda tx, account: grants.set_tier(tx, desk.by, account, args.tier, desk.house)
    )
    before = desk.allowance(account)
    print(f"{account.name}: tier {args.tier}, was {before.tier.name} (given by {before.given_by})")


def _clear(desk: Desk, args: argparse.Namespace) -> None:
    account = desk.account(args.name)
    if account.tier is None:
        print(f"{account.name}: no tier was set for the person; nothing to clear")
        return
    desk.ledger.write(grants.set_tier, desk.by, account, None, desk.house)
    after = desk.allowance(desk.account(args.name))
    print(f"{account.name}: tier {after.tier.name} (given by {after.given_by}), was {account.tier}")


def _payment(desk: Desk, args: argparse.Namespace) -> None:
    there = args.there == "yes"
    account, _ = desk.grant(
        args.name, lambda tx, account: grants.set_payment_method(tx, desk.by, account, there)
    )
    print(f"{account.name}: {'a' if there else 'no'} payment method")


def _withdraw(desk: Desk, args: argparse.Namespace) -> None:
    account = desk.account(args.name)
    gone = desk.ledger.write(grants.withdraw, desk.by, account, args.type)
    print(
        f"{account.name}: {'' if gone else 'had no '}approval for {args.type}"
        f"{' withdrawn' if gone else ''}"
    )
