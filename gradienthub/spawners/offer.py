"""What the ledger knows of a person before a start, and of a start on its way: for the form.

Reads only, and raises nothing but Refused `ledger_away`, so that a page always has words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ..ledger import LedgerAway, accounts, capacity, credits, holds, leases, notebooks
from ..ledger.accounts import HubUser
from ..ledger.capacity import Taken
from ..ledger.leases import Usual
from ..rules.funds import Funds
from ..rules.refusal import ledger_away
from ..rules.tiers import Allowance
from ..settings import Settings
from .context import HubContext, groups_of, hub_user

__all__ = ["Offer", "StartSeen", "Taken", "Usual", "offer_to", "start_seen"]


@dataclass(frozen=True)
class Offer:
    """What a person may start now: who they are to us, what is held, what they may still spend,
    what they chose last."""

    allowance: Allowance
    taken: Taken
    running: int
    last_options: Mapping[str, Any] | None
    funds: Funds


@dataclass(frozen=True)
class StartSeen:
    """A start on its way: its lease (None before admission), its place in line, what is usual, and
    how much of its image is here while it downloads."""

    row: Mapping[str, Any] | None
    place: int
    usual: Usual | None
    download: str = ""


async def offer_to(context: HubContext, user: Any, server_name: str, *, own: bool = False) -> Offer:
    """Return what this hub user may start as the notebook of that server name.

    `own`: they themselves look, which opens their account where they have none. Who looks at
    somebody who never came opens nothing, and sees what a new account would be offered.
    """
    now, who = context.clock(), hub_user(user)
    groups = groups_of(user)
    try:
        account = await context.ledger.awrite(_account, who, groups, context.settings, now, own)
        return await context.ledger.aread(
            _offer, account, groups, server_name, context.settings, now
        )
    except LedgerAway as away:
        raise ledger_away() from away


def _account(
    tx: Any, user: HubUser, groups: frozenset[str], settings: Settings, now: datetime, own: bool
) -> accounts.Account:
    """The account, with the credit of a new one: the form already shows it."""
    hub_id = settings.hub_id
    if not own and accounts.look_up(tx, hub_id=hub_id, user=user) is None:
        return accounts.Account("", user.name, None, None, False, frozenset(), {})
    account = accounts.account_of(tx, hub_id=hub_id, user=user, now=now, hub_groups=groups)
    credits.welcome(
        tx,
        hub_id=hub_id,
        account_id=account.id,
        currency=settings.house.catalog.currency,
        amount=settings.new_account_credit,
        now=now,
    )
    return account


def _offer(
    tx: Any,
    account: accounts.Account,
    groups: frozenset[str],
    server_name: str,
    settings: Settings,
    now: datetime,
) -> Offer:
    taken = capacity.taken(tx, settings)
    notebook = notebooks.find(tx, account_id=account.id, server_name=server_name)
    allowance = accounts.allowance_of(
        tx, account, groups=groups, tiers=settings.house.tiers, rules=settings.tier_rules, now=now
    )
    return Offer(
        allowance=allowance,
        taken=taken,
        running=sum(lease.account_id == account.id for lease in taken.leases),
        last_options=notebook.options if notebook else None,
        funds=holds.funds_of(
            tx,
            hub_id=settings.hub_id,
            account_id=account.id,
            groups=allowance.groups,
            tier=allowance.tier,
            currency=settings.house.catalog.currency,
            now=now,
        ),
    )


async def start_seen(context: HubContext, lease_id: str) -> StartSeen:
    """How far the start of this lease has come; an empty id is one that waits for admission."""
    if not lease_id:
        return StartSeen(None, 0, None)
    try:
        seen = await context.ledger.aread(_start_seen, lease_id, context.settings.hub_id)
    except LedgerAway as away:
        raise ledger_away() from away
    return replace(seen, download=str(context.downloads.get(lease_id, "")))


def _start_seen(tx: Any, lease_id: str, hub_id: str) -> StartSeen:
    row = leases.describe(tx, lease_id)
    if row is None:
        return StartSeen(None, 0, None)
    usual = leases.usual_start(
        tx,
        hub_id=hub_id,
        runtime=row["runtime"],
        image=row["image"],
        warm=row["warm_slot"] is not None,
    )
    return StartSeen(row, leases.place_in_stage(tx, lease_id), usual)
