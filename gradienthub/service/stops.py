"""Stops under way: a few at once, each decided again when its turn comes."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from ..ledger import LedgerAway, watches
from ..ledger.watches import Watched
from ..rules.idleness import SOFT, Reason, Stop
from ..settings import Published
from ..views.reasons import explain
from .context import KeeperContext
from .decisions import judge
from .hub_client import HubClient, HubServer
from .lookout import Lookout
from .tell import Outbox

log = logging.getLogger("gradienthub")

#: Stops under way at once. The hub needs about 22 ms of its one thread for each.
STOPS_AT_ONCE = 20
#: An answer older than this is asked again before an idle notebook is stopped.
FRESH = timedelta(seconds=10)


class Stops:
    """Stops notebooks by the hub, and counts for each how often that failed."""

    def __init__(
        self, context: KeeperContext, hub: HubClient, lookout: Lookout, outbox: Outbox
    ) -> None:
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.turns = asyncio.Semaphore(STOPS_AT_ONCE)
        self._context = context
        self._hub = hub
        self._lookout = lookout
        self._outbox = outbox
        #: Failed stops since a pass took them over, by lease.
        self._failed: dict[str, int] = {}

    def begin(self, watched: Watched, server: HubServer, stop: Stop, published: Published) -> None:
        """Begin to stop a notebook, unless its stop is under way."""
        if watched.id in self.tasks:
            return
        task = asyncio.ensure_future(self._stop(watched, server, stop, published))
        self.tasks[watched.id] = task
        task.add_done_callback(lambda _: self.tasks.pop(watched.id, None))

    def count_failures(self, leases: Iterable[Watched]) -> list[Watched]:
        """Take the failed stops over into what is known of these leases."""
        return [
            replace(watched, stop_tries=self._failed.pop(watched.id, watched.stop_tries))
            for watched in leases
        ]

    async def _stop(
        self, watched: Watched, server: HubServer, stop: Stop, published: Published
    ) -> None:
        async with self.turns:
            verdict = await self._judge_again(watched, server, stop, published)
            if verdict is None:
                return
            log.info("Stopping %s of %s: %s", watched.title, server.user, verdict.why)
            result = await self._hub.stop(server, verdict.reason, verdict.why)
        if result.outcome == "failed":
            self._failed[watched.id] = watched.stop_tries + 1
            log.warning("%s of %s did not stop: %s", watched.title, server.user, result.why)
            return
        if result.outcome != "moot":
            self._outbox.send(watched, verdict)

    async def _judge_again(
        self, watched: Watched, server: HubServer, stop: Stop, published: Published
    ) -> Stop | None:
        """Return the stop, explained, if it is still due after it waited for its turn.

        Meanwhile the notebook may have been used, extended, given money or stopped.
        """
        now = self._context.clock()
        try:
            known = await self._context.ledger.aread(watches.find_watched, watched.id)
        except LedgerAway:
            return None
        if known is None or known.lease.ended_at or known.lease.stop_requested_at:
            return None
        looked_at = known.evidence.looked_at
        fresh = looked_at is not None and now - looked_at <= FRESH
        if stop.reason is Reason.NO_WORK and not fresh:
            return None  # it may work by now, which only the next pass is told
        if stop.reason in SOFT and not fresh:
            known = await self._lookout.look_again(known, server, published, now)
        verdict = judge(known, published.policy, now)
        return explain(verdict, known.evidence) if isinstance(verdict, Stop) else None

    def close(self) -> None:
        """Give up what waits. Stops under way are the hub's by now."""
        for task in self.tasks.values():
            task.cancel()
