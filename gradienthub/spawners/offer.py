"""Ask the ledger what a person may start, and how far a start is: for the form and its pages.

Raises nothing but Refused `ledger_away`, so that a page always has words.
"""

from dataclasses import replace

from jupyterhub.user import User

from ..ledger import LedgerAway, offers
from ..ledger.offers import Offer, StartSeen
from ..rules.refusal import ledger_away
from .context import HubContext, groups_of, hub_user


async def offer_to(
    context: HubContext, user: User, server_name: str, *, own: bool = False
) -> Offer:
    """Return what this hub user may start as the notebook of that server name.

    `own`: they themselves look, which opens their account where they have none. Who looks at
    somebody who never came opens nothing, and sees what a new account would be offered.
    """
    now, who = context.clock(), hub_user(user)
    groups = groups_of(user)
    try:
        account = await context.ledger.awrite(
            offers.open_account, who, groups, context.settings, now, own
        )
        return await context.ledger.aread(
            offers.offer_of, account, groups, server_name, context.settings, now
        )
    except LedgerAway as away:
        raise ledger_away() from away


async def start_seen(context: HubContext, lease_id: str) -> StartSeen:
    """Return how far the start of this lease has come; an empty id is one that waits for
    admission."""
    if not lease_id:
        return StartSeen(None, 0, None)
    try:
        seen = await context.ledger.aread(offers.start_seen, lease_id, context.settings.hub_id)
    except LedgerAway as away:
        raise ledger_away() from away
    return replace(seen, download=str(context.downloads.get(lease_id, "")))
