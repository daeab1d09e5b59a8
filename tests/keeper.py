"""A keeper in the test's process: its real loop over a real hub, with notebooks that say what the
test wants them to say, and a clock that the test moves.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from home import Home

from gradienthub.ledger import Ledger, audit, findings, watches
from gradienthub.ledger.watches import Watched
from gradienthub.rules.idleness import Warn
from gradienthub.rules.use import Answer, Use
from gradienthub.service.context import KeeperContext
from gradienthub.service.evidence import Address
from gradienthub.service.holder import me
from gradienthub.service.hub_client import HubClient
from gradienthub.service.lookout import Lookout
from gradienthub.service.watch import Pass, Watch


class Says:
    """What the notebooks say; by internal address. Nothing was used since its start otherwise."""

    def __init__(self) -> None:
        self.by_url: dict[str, Answer | None] = {}
        self.default: Answer | None = Answer()
        self.asked: list[Address] = []

    async def ask(self, address: Address, now: datetime) -> Answer | None:
        """What the notebook there says."""
        self.asked.append(address)
        return self.by_url.get(address.url, self.default)

    async def ask_all(
        self, addresses: Mapping[str, Address], now: datetime
    ) -> dict[str, Answer | None]:
        """What they all say."""
        return {lease: await self.ask(address, now) for lease, address in addresses.items()}


class Keeping:
    """A keeper of `home`, pass by pass."""

    def __init__(self, home: Home, *, api_url: str | None = None) -> None:
        self.home = home
        self.says = Says()
        self.closed = False
        self.told: list[tuple[str, str]] = []
        self.gpu: dict[str, float] = {}
        self.monotonic_drift = timedelta(0)
        self.ledger = Ledger(home.settings.database_url)
        self.context = KeeperContext(
            ledger=self.ledger,
            hub_id=home.settings.hub_id,
            prefix="/@/space%20word/services/gradient/",
            hub_prefix="/@/space%20word/hub/",
            api_url=api_url or home.url("/api"),
            token=home.keeper_token,
            clock=home.clock,
        )
        self.hub = HubClient(self.context.api_url, self.context.token)
        self.watch = Watch(
            self.context,
            self.hub,
            Lookout(self.context, self.says, self._loads),
            me(),
            self._tell,
            wrong=list,
            monotonic=self._monotonic,
            sleep=self._sleep,
        )

    def _monotonic(self) -> float:
        return (self.home.clock() - self.monotonic_drift).timestamp()

    async def _sleep(self, seconds: float) -> None:
        # What was begun goes on in the time that passes here at once.
        for task in [*self.watch.stops.tasks.values()]:
            await task
        self.home.clock.advance(seconds=seconds)

    async def loop_once(self) -> None:
        """A pass, and the pause until the next with what the keeper does in it."""
        await self.one_pass()
        await self.watch.pause(self.context.published.policy.interval)
        for task in [*self.watch.stops.tasks.values(), *self.watch.outbox.tasks]:
            await task

    async def _tell(self, one: Watched, verdict: Any) -> None:
        self.told.append((one.title, "warn" if isinstance(verdict, Warn) else "stop"))

    async def _loads(self) -> Mapping[str, float]:
        return self.gpu

    async def one_pass(self, **advance: float) -> Pass:
        """Move the clock, look once, and wait for the stops that were begun."""
        if advance:
            self.home.clock.advance(**advance)
        done = await self.watch.safe_pass()
        for task in [*self.watch.stops.tasks.values()]:
            await task
        for told in [*self.watch.outbox.tasks]:
            await told
        return done

    async def passes(self, span: timedelta, step: timedelta = timedelta(seconds=30)) -> None:
        """Pass after pass for a span of the test's time."""
        end = self.home.clock() + span
        while self.home.clock() < end:
            ahead = min(step, end - self.home.clock())
            await self.one_pass(seconds=ahead.total_seconds())

    def used(self, name: str, server: str = "", *, busy: tuple[str, ...] = ()) -> None:
        """The notebook says it was used right now, or is busy until it says something else."""
        url = self.home.spawner(name, server).server.url
        self.says.by_url[url] = Answer(busy, self.home.clock(), Use.KERNEL)

    def silent(self, name: str, server: str = "") -> None:
        """The notebook does not answer, or nothing sensible."""
        self.says.by_url[self.home.spawner(name, server).server.url] = None

    async def watched(self, lease_id: str) -> Watched:
        """What is known of a lease."""
        found = await self.ledger.aread(watches.find_watched, lease_id)
        assert found is not None
        return found

    async def findings(self) -> list[str]:
        """The kinds of what is wrong now."""
        rows = await self.ledger.aread(findings.list_findings, self.context.hub_id)
        return sorted(row["kind"] for row in rows)

    async def audit(self, action: str = "") -> list[dict[str, Any]]:
        """Audit rows of an action, or of all, the newest first."""
        rows = await self.ledger.aread(audit.list_rows, hub_id=self.context.hub_id, limit=1000)
        return [row for row in rows if action in ("", row["action"])]

    async def close(self) -> None:
        """Let go of everything. Safe to call twice."""
        if self.closed:
            return
        self.closed = True
        await self.watch.close()
        await self.hub.close()
        self.ledger.close()
