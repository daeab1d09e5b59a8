"""Runs: the newest lease of a notebook with its watch, and Extend of the run that was seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from ..rules.notebook import title_of
from ..rules.refusal import Refused, another_lease, nobody_watches
from ..settings import Settings
from . import accounts, leases, watches
from .watches import Watched


@dataclass(frozen=True)
class Known:
    """A notebook's newest lease, with the names that `lease_view` needs, and its watch.

    `watched` is None where the lease never answered.
    """

    lease: Mapping[str, Any]
    watched: Watched | None


def known_of(
    tx: Connection, account: accounts.Account, server_name: str, display_name: str
) -> Known | None:
    """The running or else the newest lease of an account's notebook, or None."""
    lease = leases.last_of(tx, account_id=account.id, server_name=server_name)
    if lease is None:
        return None
    names = {
        "account_name": account.name,
        "server_name": server_name,
        "display_name": display_name,
    }
    return Known({**lease, **names}, watches.watched(tx, lease["id"]))


def extend_known(
    tx: Connection,
    known: Known,
    lease_id: str,
    settings: Settings,
    actor: str,
    now: datetime,
    program: bool = False,
) -> Refused | None:
    """Extend the lease that the asker saw (`lease_id`; empty: whichever runs); None if done.

    `program`: a token asks, and no person's cookie.
    """
    newest = str(known.lease["id"])
    title = title_of(known.lease["display_name"], known.lease["server_name"])
    if lease_id and lease_id != newest:
        return another_lease(title)
    watched = known.watched
    if watched is not None and watched.lease["ended_at"] is None and not watched.known:
        return nobody_watches(title)
    extended = watches.extend_lease(
        tx,
        newest,
        tiers=settings.house.tiers,
        actor=actor,
        grace=settings.policy.grace,
        now=now,
        program=program,
    )
    return extended if isinstance(extended, Refused) else None
