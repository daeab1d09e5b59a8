"""Runs: the newest lease of a notebook with its watch, and Extend of the run that was seen."""

from dataclasses import replace

from ..rules.refusal import Refused, another_lease, nobody_watches
from ..settings import Settings
from . import accounts, watches
from .by import By
from .database import Transaction
from .watches import Watched


def find_newest_run(
    tx: Transaction, account: accounts.Account, server_name: str, display_name: str
) -> Watched | None:
    """Return the running or else the newest lease of an account's notebook, or None.

    The hub knows the notebook's names, which the ledger learns with the next start.
    """
    run = watches.find_last_watched(tx, account_id=account.id, server_name=server_name)
    if run is None:
        return None
    return replace(
        run,
        lease=replace(
            run.lease,
            account_name=account.name,
            server_name=server_name,
            display_name=display_name,
        ),
    )


def extend_run(
    tx: Transaction,
    run: Watched,
    lease_id: str,
    settings: Settings,
    by: By,
    program: bool = False,
) -> Refused | None:
    """Extend the lease that the asker saw (`lease_id`; empty: whichever runs); None if done.

    `program`: a token asks, and no person's cookie.
    """
    lease = run.lease
    if lease_id and lease_id != lease.id:
        return another_lease(lease.title)
    if lease.answered_at and lease.ended_at is None and not run.known:
        return nobody_watches(lease.title)
    extended = watches.extend_lease(
        tx,
        lease.id,
        by,
        tiers=settings.house.tiers,
        grace=settings.policy.grace,
        program=program,
    )
    return extended if isinstance(extended, Refused) else None
