"""Telling owners of warnings and stops by mail or chat, as the operator's file says."""

from ..ledger.findings import NewFinding
from ..ledger.watches import Watched
from ..rules.idleness import Stop, Warn
from ..views.lease_view import watched_view
from ..views.messages import recipient, stopped_message, warning_message
from .context import KeeperContext
from .notify import Notifier


class Teller:
    """Writes and sends messages; `url` is the Notebooks page as people reach it, "" if unknown."""

    def __init__(self, context: KeeperContext, url: str = "") -> None:
        self._context = context
        self._url = url
        self._notifier = Notifier("")

    async def tell(self, one: Watched, verdict: Warn | Stop) -> None:
        """Tell the owner of a lease that it is going to stop, or is stopped."""
        published = self._context.published
        if published is None:
            return
        policy = published.policy
        if policy.notify_file != self._notifier.path:
            await self._notifier.close()
            self._notifier = Notifier(policy.notify_file)
        view = watched_view(
            one, published.catalog, published.tiers, policy.grace, self._context.clock()
        )
        title, body = (
            warning_message(view, verdict, self._url)
            if isinstance(verdict, Warn)
            else stopped_message(view, verdict, self._url)
        )
        who = recipient(one.lease.account_name, one.claims)
        await self._notifier.send(who, title, body)

    def wrong(self) -> list[NewFinding]:
        """Find targets that no message reaches."""
        return self._notifier.found()

    async def close(self) -> None:
        """Give up what waits."""
        await self._notifier.close()
