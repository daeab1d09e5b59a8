"""Offers: what a person may start now, and how far a start on its way has come."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ..rules.funds import Funds
from ..rules.lease import Lease
from ..rules.tiers import Allowance
from ..settings import Settings
from . import accounts, capacity, credits, holds, leases, notebooks
from .accounts import HubUser
from .capacity import Taken
from .database import Transaction
from .leases import Usual


@dataclass(frozen=True)
class Offer:
    """What a person may start now: who they are to us, what is held, what they may still spend,
    what they chose last."""

    allowance: Allowance
    taken: Taken
    running: int
    last_options: Mapping[str, object] | None
    funds: Funds


@dataclass(frozen=True)
class StartSeen:
    """A start on its way: its lease (None before admission), its place in line, what is usual, and
    how much of its image is here while it downloads."""

    lease: Lease | None
    place: int
    usual: Usual | None
    download: str = ""


def open_account(
    tx: Transaction,
    user: HubUser,
    groups: frozenset[str],
    settings: Settings,
    now: datetime,
    own: bool,
) -> accounts.Account:
    """Return the account, with the credit of a new one: the form already shows it.

    Unless `own`, nothing is opened: who never came is an account that nobody has.
    """
    if not own and accounts.look_up(tx, hub_id=settings.hub_id, user=user) is None:
        return accounts.Account("", user.name, None, None, False, frozenset(), {})
    return credits.open_account(tx, user, groups, settings, now)


def offer_of(
    tx: Transaction,
    account: accounts.Account,
    groups: frozenset[str],
    server_name: str,
    settings: Settings,
    now: datetime,
) -> Offer:
    taken = capacity.read_taken(tx, settings)
    notebook = notebooks.find(tx, account_id=account.id, server_name=server_name)
    allowance = accounts.allowance_of(
        tx, account, groups=groups, tiers=settings.house.tiers, rules=settings.tier_rules, now=now
    )
    return Offer(
        allowance=allowance,
        taken=taken,
        running=sum(lease.account_id == account.id for lease in taken.leases),
        last_options=notebook.options if notebook else None,
        funds=holds.compute_funds(
            tx,
            hub_id=settings.hub_id,
            account_id=account.id,
            groups=allowance.groups,
            tier=allowance.tier,
            currency=settings.house.catalog.currency,
            now=now,
        ),
    )


def start_seen(tx: Transaction, lease_id: str, hub_id: str) -> StartSeen:
    lease = leases.describe(tx, lease_id)
    if lease is None:
        return StartSeen(None, 0, None)
    usual = leases.compute_usual_start(
        tx,
        hub_id=hub_id,
        runtime=lease.runtime,
        image=lease.image,
        warm=lease.warm_slot is not None,
    )
    return StartSeen(lease, leases.count_starts_before(tx, lease_id), usual)
