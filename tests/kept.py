"""What the keeper writes, written by a test: evidence and warnings; and a ledger that is away."""

from dataclasses import replace

from gradienthub.ledger import LedgerAway, watches
from gradienthub.rules.use import Evidence


class LedgerIsAway:
    """Nothing can be asked."""

    async def aread(self, *args, **kwargs):
        raise LedgerAway("no")

    awrite = aread


async def looked_at(home, name, server="", **evidence):
    """The keeper has looked: its evidence of that notebook, as its own pass would write it."""
    lease = await home.lease_of(name, server)
    seen = await home.context.ledger.aread(watches.find_watched, lease["id"])
    warned = evidence.pop("warned", None)
    # Three intervals for unknown use and for no work, as by default.
    seen = seen.watched_by(3, 3)
    evidence = {"used_at": home.clock(), "looked_at": home.clock(), **evidence}
    seen = replace(seen, evidence=Evidence(**evidence), warned=warned)
    await home.context.ledger.awrite(watches.save, home.settings.hub_id, [seen])
    return lease["id"]
