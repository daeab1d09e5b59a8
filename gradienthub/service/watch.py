"""Watch: one pass looks at every running notebook, learns, decides, warns and stops."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from .. import metrics
from ..ledger import (
    By,
    LedgerAway,
    Transaction,
    audit,
    findings,
    holds,
    keepers,
    reachability,
    watches,
)
from ..ledger.findings import NewFinding
from ..ledger.watches import Watched
from ..rules.action import Action
from ..rules.use import shift_moments
from ..settings import KeeperPolicy
from . import bystanders
from .clock_jumps import ClockJumps
from .context import KeeperContext
from .decisions import Decisions, decide_all
from .hub_client import HubAway, HubClient, HubView
from .lookout import Lookout
from .reach import Reach
from .stops import Stops
from .tell import Outbox, Tell
from .wakes import Wakes
from .watch_findings import find_slow_pass, find_troubled, find_unreachable

log = logging.getLogger("gradienthub")

#: A stop that is not over by then is told to an administrator.
STOP_HANGS_AFTER = timedelta(minutes=5)
#: Seconds between two looks at what ends, at least; more where each takes long.
WAKE_APART = 1.0
SHORTEST_SLEEP = 0.05


@dataclass(frozen=True)
class Pass:
    """What one pass did."""

    looked: int = 0
    warned: int = 0
    stopping: int = 0
    seconds: float = 0.0
    #: Why nothing was decided: see KeeperContext.trouble.
    trouble: str = ""


@dataclass
class Watch:
    """The keeper's loop over one hub. `me` names this process in the keeper's row.

    Between two passes it wakes for each end that is due, and looks at what ends only.
    """

    context: KeeperContext
    hub: HubClient
    lookout: Lookout
    me: str
    tell: Tell
    #: What else is wrong: messages that reach nobody.
    wrong: Callable[[], list[NewFinding]] = list
    #: A dead process whose row need not expire first.
    gone: str = ""
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    outbox: Outbox = field(init=False)
    stops: Stops = field(init=False)
    _wakes: Wakes = field(default_factory=Wakes)
    _jumps: ClockJumps = field(default_factory=ClockJumps)
    _overrun: str = ""
    #: Until when the audit is pruned, as far as `audit_days` says.
    _pruned_until: datetime | None = None

    def __post_init__(self) -> None:
        """Make what goes on beside the passes."""
        self.outbox = Outbox(self.tell)
        self.stops = Stops(self.context, self.hub, self.lookout, self.outbox)

    async def keep(self) -> None:
        """Pass after pass, until cancelled. Whatever fails is logged, and the next pass comes."""
        while True:
            done = await self.safe_pass()
            published = self.context.published
            interval = published.policy.interval if published else 2.0
            metrics.observe_pass(done.seconds, interval)
            self._overrun = (
                f"A pass took {done.seconds:.0f} s and is due each {interval:g} s"
                if done.seconds > interval
                else ""
            )
            if self._overrun:
                log.warning("%s", self._overrun)
            # Trouble is asked about sooner, so that its end is noticed within seconds.
            pause = min(interval, 5.0) if done.trouble else interval
            await self.pause(max(SHORTEST_SLEEP, pause - done.seconds))

    async def pause(self, seconds: float) -> None:
        """Wait for the next pass, and stop in time what ends before it."""
        until, apart = self.monotonic() + seconds, 0.0
        while (left := until - self.monotonic()) > 0:
            ahead = max(apart, self._wakes.seconds_ahead(self.context.clock()))
            await self.sleep(min(left, ahead))
            if ahead < left:
                done = await self.safe_pass(only_due=True)
                apart = max(WAKE_APART, 10 * done.seconds)

    async def safe_pass(self, only_due: bool = False) -> Pass:
        """Run one pass. Never raises: what is away becomes the context's `trouble`.

        `only_due`: look only at leases whose end has come.
        """
        started = self.monotonic()
        try:
            done = await self.run_pass(only_due)
        except LedgerAway as away:
            done = Pass(trouble="ledger_away")
            self._say(done.trouble, f"the ledger is away: {away}")
        except HubAway as away:
            done = Pass(trouble="hub_away")
            self._say(done.trouble, str(away))
        except Exception:
            done = Pass(trouble="failed")
            log.exception("A pass failed")
        if self.context.trouble and not done.trouble:
            log.info("The keeper decides again")
        await self._note_trouble(done.trouble)
        return replace(done, seconds=self.monotonic() - started)

    async def _note_trouble(self, trouble: str) -> None:
        """Keep why nothing is decided, for the pages of this process and for commands of others."""
        context = self.context
        if trouble != context.trouble or (trouble and context.trouble_since is None):
            context.trouble_since = context.clock() if trouble else None
        context.trouble = trouble
        metrics.show_keeper_trouble(trouble)
        if trouble and context.acting:
            with suppress(LedgerAway):
                await context.ledger.awrite(
                    keepers.note_trouble, context.hub_id, self.me, trouble, context.clock()
                )

    def _say(self, trouble: str, words: str) -> None:
        """Log each kind of trouble once, not at each try."""
        if self.context.trouble != trouble:
            log.warning("Nothing is decided: %s", words)

    async def run_pass(self, only_due: bool = False) -> Pass:
        """Look at everything once, or at what is due. Raises LedgerAway or HubAway."""
        context, started = self.context, self.monotonic()
        ended = self._wakes.take_due(context.clock())
        await context.refresh()
        published = context.published
        if published is None:
            return Pass(trouble="starting")
        policy = published.policy
        if not await self._acts(policy):
            return Pass(trouble="waiting")
        view = await self.hub.view()
        if trouble := self._not_ours_yet(view):
            return Pass(trouble=trouble)
        running, servers = await self._running(view, policy), view.steady()
        # After the clock was set, all of them have to be written anew.
        only_due = only_due and not self._jumps.latest
        looked, reach = await self.lookout.look(
            [w for w in running if w.id in servers and (w.id in ended or not only_due)],
            view,
            published,
        )
        now, may_stop = context.clock(), self._jumps.is_steady(self.monotonic())
        decisions = decide_all(self.stops.count_failures(looked), policy, now, may_stop=may_stop)
        # A pass that looked at few knows nothing of the others.
        wrong = None if only_due else await self._find_wrong(decisions, reach, policy, now)
        if not only_due:
            self._wakes.forget()
        self._wakes.note(decisions.known, policy, now)
        seconds = self.monotonic() - started
        await context.ledger.awrite(self._remember, decisions, reach, wrong, now, seconds)
        if not only_due:
            await self._prune_audit(policy, now)
        for watched, warn in decisions.warnings:
            metrics.count_warning(warn.reason)
            self.outbox.send(watched, warn)
        for watched, stop in decisions.stops:
            self.stops.begin(watched, servers[watched.id], stop, published)
        return Pass(len(looked), len(decisions.warnings), len(self.stops.tasks))

    async def _prune_audit(self, policy: KeeperPolicy, now: datetime) -> None:
        """Delete some of the audit's rows that are older than the configuration keeps them."""
        # A clock that was set may be years ahead, and what is deleted does not come back.
        if policy.audit_days is None or self._jumps.latest:
            return
        self._pruned_until = await self.context.ledger.awrite(
            audit.prune,
            hub_id=self.context.hub_id,
            since=self._pruned_until,
            before=now - timedelta(days=policy.audit_days),
        )

    def _not_ours_yet(self, view: HubView) -> str:
        """Return the trouble of a hub that is another's, or does not know its own servers yet."""
        if view.hub_id != self.context.hub_id:
            log.error(
                "The hub is %s, this keeper is %s's; check hub_id", view.hub_id, self.context.hub_id
            )
            return "other_hub"
        if not view.settled:
            self._say("hub_not_settled", "the hub still checks its servers after its start")
            return "hub_not_settled"
        return ""

    async def _running(self, view: HubView, policy: KeeperPolicy) -> list[Watched]:
        """Return every open lease with when its money ends. Extends the holds.

        Evidence moves with the clock if somebody set that since the last pass.
        """
        context = self.context
        money_ends = await context.ledger.awrite(
            holds.tick, hub_id=context.hub_id, seen=view.alive(), now=context.clock()
        )
        known = await context.ledger.aread(watches.list_open_watched, context.hub_id)
        if jump := self._jumps.compare(context.clock(), self.monotonic()):
            known = [replace(w, evidence=shift_moments(w.evidence, jump)) for w in known]
        return [
            watched.paid_until(money_ends.get(watched.id)).watched_by(
                policy.unknown_intervals, policy.no_work_intervals
            )
            for watched in known
        ]

    async def _acts(self, policy: KeeperPolicy) -> bool:
        """Return whether this process acts for the hub. Extends its turn."""
        now = self.context.clock()
        # Longer than a pass and its pause take on a bad day, short enough to be waited for.
        until = now + timedelta(seconds=max(60.0, 3 * policy.interval))
        acts = await self.context.ledger.awrite(
            keepers.take, self.context.hub_id, self.me, now=now, until=until, gone=self.gone
        )
        if acts != self.context.acting:
            log.info("This keeper %s", "acts" if acts else "waits: another one acts for the hub")
        self.context.acting = acts
        return acts

    async def _find_wrong(
        self, decisions: Decisions, reach: Reach, policy: KeeperPolicy, now: datetime
    ) -> list[NewFinding]:
        """Return all that is wrong after a look at everything. Raises LedgerAway."""
        ledger, hub_id = self.context.ledger, self.context.hub_id
        hanging = await ledger.aread(watches.find_hanging_stops, hub_id, now - STOP_HANGS_AFTER)
        stopped = await ledger.aread(
            watches.list_stopped_by_services, hub_id, now - bystanders.TOLD_FOR
        )
        return [
            *find_troubled(decisions.known, policy, now),
            *self._jumps.findings(),
            *find_slow_pass(self._overrun),
            *find_unreachable(decisions.known, reach, now),
            *hanging,
            *bystanders.find_early_stops(stopped, policy),
            *self.wrong(),
        ]

    def _remember(
        self,
        tx: Transaction,
        decisions: Decisions,
        reach: Reach,
        wrong: list[NewFinding] | None,
        now: datetime,
        seconds: float,
    ) -> None:
        """Write all that a pass learned; `wrong` None: it looked at few."""
        hub_id = self.context.hub_id
        reachability.note_reach(
            tx,
            hub_id=hub_id,
            reached=reach.reached,
            silent=reach.silent,
            working=reach.working,
            now=now,
        )
        watches.save(tx, hub_id, decisions.known)
        if wrong is not None:
            findings.report(tx, hub_id=hub_id, source="keeper", wrong=wrong, now=now)
            keepers.note_pass(tx, hub_id, self.me, now, seconds)
        by = By(hub_id, "keeper", now)
        for watched, warn in decisions.warnings:
            detail = {"reason": warn.reason.value, "stops_at": warn.stops_at.isoformat()}
            _record(tx, by, Action.WARN, watched, detail)
        for watched, stop in decisions.would_stop:
            _record(tx, by, Action.WOULD_STOP, watched, {"reason": stop.why})

    async def close(self) -> None:
        """Let another keeper act at once. Stops under way are the hub's by now."""
        self.stops.close()
        self.outbox.close()
        await self.lookout.close()
        try:
            await self.context.ledger.awrite(keepers.release, self.context.hub_id, self.me)
        except LedgerAway:
            log.info("The ledger is away; this keeper's turn runs out by itself")


def _record(
    tx: Transaction, by: By, action: Action, watched: Watched, detail: dict[str, str]
) -> None:
    detail = {"lease": watched.id} | detail
    audit.record(tx, by, action, account_id=watched.lease.account_id, detail=detail)
