"""Telling owners of warnings and stops by mail or chat, as the operator's file says."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ..ledger.findings import NewFinding
from ..ledger.watches import Watched
from ..rules.idleness import Stop, Warn
from ..views.lease_view import watched_view
from ..views.messages import recipient, stopped_message, warning_message
from .context import KeeperContext
from .notify import Notifier

log = logging.getLogger("gradienthub")

#: Tells a lease's owner of a warning or a stop.
Tell = Callable[[Watched, Warn | Stop], Awaitable[None]]


class Outbox:
    """Sends messages beside everything else; one that fails is logged."""

    def __init__(self, tell: Tell) -> None:
        self.tasks: set[asyncio.Future[None]] = set()
        self._tell = tell

    def send(self, watched: Watched, verdict: Warn | Stop) -> None:
        """Begin to tell the owner of a lease that it is going to stop, or is stopped."""
        task = asyncio.ensure_future(self._tell(watched, verdict))
        self.tasks.add(task)
        task.add_done_callback(self._note_end)

    def _note_end(self, task: "asyncio.Future[None]") -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("A message was not sent", exc_info=error)

    def close(self) -> None:
        """Give up what is not sent."""
        for task in self.tasks:
            task.cancel()


class Teller:
    """Writes and sends messages; `url` is the Notebooks page as people reach it, "" if unknown."""

    def __init__(self, context: KeeperContext, url: str = "") -> None:
        self._context = context
        self._url = url
        self._notifier = Notifier("")

    async def tell(self, watched: Watched, verdict: Warn | Stop) -> None:
        """Tell the owner of a lease that it is going to stop, or is stopped."""
        published = self._context.published
        if published is None:
            return
        policy = published.policy
        if policy.notify_file != self._notifier.path:
            await self._notifier.close()
            self._notifier = Notifier(policy.notify_file)
        view = watched_view(
            watched, published.catalog, published.tiers, policy.grace, self._context.clock()
        )
        title, body = (
            warning_message(view, verdict, self._url)
            if isinstance(verdict, Warn)
            else stopped_message(view, verdict, self._url)
        )
        who = recipient(watched.lease.account_name, watched.claims)
        await self._notifier.send(who, title, body)

    def wrong(self) -> list[NewFinding]:
        """Find targets that no message reaches."""
        return self._notifier.findings()

    async def close(self) -> None:
        """Give up what waits."""
        await self._notifier.close()
