"""Watch: one pass looks at every running notebook, learns, decides, warns and stops."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from .. import metrics
from ..ledger import By, LedgerAway, audit, findings, gaps, holds, keepers, watches
from ..ledger.findings import NewFinding
from ..ledger.watches import Watched
from ..rules.action import Action
from ..rules.duration import format_duration
from ..rules.idleness import (
    SOFT,
    Keep,
    Reason,
    Stop,
    Warn,
    decide,
    is_blind,
    is_without_work,
    next_end,
)
from ..rules.refusal import shown
from ..rules.unanswered import worked_since
from ..rules.use import Answer, Effort, learn, shift_moments, weigh
from ..settings import KeeperPolicy
from ..views.reasons import explain
from . import bystanders
from .context import KeeperContext
from .evidence import Address
from .hub_client import HubAway, HubClient, HubServer, HubView
from .reach import Doors, Reach, find_at_work, find_unreachable

log = logging.getLogger("gradienthub")

#: Stops under way at once. The hub needs about 22 ms of its one thread for each.
STOPS_AT_ONCE = 20
#: After so many failed stops of one notebook an administrator is told.
TRIES_UNTIL_FINDING = 3
#: A stop that is not over by then is told to an administrator.
STOP_HANGS_AFTER = timedelta(minutes=5)
#: A wall clock that moves otherwise than time did by more than this was set.
JUMP = timedelta(seconds=30)
#: Seconds without stops after the clock was set: time servers may correct it again.
STEADY_SECONDS = 60.0
#: Seconds after an end at which it is looked at, because a sleep may be shorter than asked for.
WAKE_AFTER = 0.01
#: Seconds between two looks at what ends, at least; more where each takes long.
WAKE_APART = 1.0
SHORTEST_SLEEP = 0.05
#: An answer older than this is asked again before an idle notebook is stopped.
FRESH = timedelta(seconds=10)


class Looks(Protocol):
    """Who asks notebooks about their use (`evidence.Notebooks`)."""

    async def ask(self, address: Address, now: datetime) -> Answer | None:
        """Ask the notebook there. Return None if it says nothing, or nothing sensible."""

    async def ask_all(
        self, addresses: Mapping[str, Address], now: datetime
    ) -> Mapping[str, Answer | None]:
        """Ask many, by lease."""


#: (Watched, Warn or Stop) to be told to the owner by mail or chat; returns what failed.
Tell = Callable[[Watched, Warn | Stop], Awaitable[None]]
#: Load of GPUs in percent by UUID.
Loads = Callable[[], Awaitable[Mapping[str, float]]]


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
    looks: Looks
    me: str
    tell: Tell
    loads: Loads
    #: What else is wrong: messages that reach nobody.
    wrong: Callable[[], list[NewFinding]] = list
    #: A dead process whose row need not expire first.
    gone: str = ""
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    doors: Doors = field(default_factory=Doors)
    stops: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(STOPS_AT_ONCE))
    _clock_seen: tuple[datetime, float] | None = None
    _steady_at: float = float("-inf")
    _jumped: str = ""
    _overrun: str = ""
    #: Failed stops since the last pass, by lease; the pass writes them down.
    _failed: dict[str, int] = field(default_factory=dict)
    #: When each lease ends as the last pass left it: its next end, by lease.
    _ends: dict[str, datetime] = field(default_factory=dict)
    #: Until when the audit is pruned, as far as `audit_days` says.
    _pruned_until: datetime | None = None
    _tasks: set["asyncio.Task[Any]"] = field(default_factory=set)

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
            now, nearest = self.context.clock(), min(self._ends.values(), default=None)
            ahead = (nearest - now).total_seconds() + WAKE_AFTER if nearest else left
            ahead = max(apart, ahead)
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
            done = await self.one_pass(only_due)
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

    async def one_pass(self, only_due: bool = False) -> Pass:
        """Look at everything once, or at what is due. Raises LedgerAway or HubAway."""
        context, started = self.context, self.monotonic()
        ended = self._take_due(context.clock())
        await context.refresh()
        if context.published is None:
            return Pass(trouble="starting")
        policy = context.published.policy
        if not await self._acts(policy):
            return Pass(trouble="waiting")
        view = await self.hub.view()
        if trouble := self._not_ours_yet(view):
            return Pass(trouble=trouble)
        running = await self._running(view, policy)
        servers = {
            lease: server
            for lease, server in view.by_lease().items()
            if server.ready and server.settled and server.url
        }
        # After the clock was set, all of them have to be written anew.
        only_due = only_due and not self._jumped
        watched = [
            one for one in running if one.id in servers and (one.id in ended or not only_due)
        ]
        learned, reach = await self._look(watched, servers, view.efforts(), policy)
        now = context.clock()
        seen, warns, due = self._decided(learned, policy, now)
        # A pass that looked at few knows nothing of the others.
        wrong = None if only_due else await self._find_wrong(seen, reach, policy, now)
        if not only_due:
            self._ends = {}
        self._note_ends(seen, policy, now)
        seconds = self.monotonic() - started
        await context.ledger.awrite(
            self._remember, seen, running, warns, wrong, policy, now, seconds, reach
        )
        if not only_due:
            await self._prune_audit(policy, now)
        for one, warn in warns:
            metrics.warned(warn.reason)
            self._soon(self.tell(one, warn))
        for one, stop in due:
            self._begin_stop(one, servers[one.id], stop, policy)
        return Pass(len(learned), len(warns), len(self.stops))

    async def _prune_audit(self, policy: KeeperPolicy, now: datetime) -> None:
        """Delete some of the audit's rows that are older than the configuration keeps them."""
        # A clock that was set may be years ahead, and what is deleted does not come back.
        if policy.audit_days is None or self._jumped:
            return
        self._pruned_until = await self.context.ledger.awrite(
            audit.prune,
            hub_id=self.context.hub_id,
            since=self._pruned_until,
            before=now - timedelta(days=policy.audit_days),
        )

    def _not_ours_yet(self, view: HubView) -> str:
        """Return the trouble of a hub that is another's, or does not know its own servers yet; or
        none."""
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
        """Return every open lease with when its money ends. Extends the holds."""
        context = self.context
        money_ends = await context.ledger.awrite(
            holds.tick, hub_id=context.hub_id, seen=view.alive(), now=context.clock()
        )
        known = await context.ledger.aread(watches.open_watched, context.hub_id)
        return [
            one.paid_until(money_ends.get(one.id)).watched_by(
                policy.unknown_intervals, policy.no_work_intervals
            )
            for one in self._after_a_jump(known)
        ]

    async def _look(
        self,
        running: list[Watched],
        servers: Mapping[str, HubServer],
        efforts: Mapping[str, Effort],
        policy: KeeperPolicy,
    ) -> tuple[list[Watched], Reach]:
        """Return what is known after asking them all, and who could be reached.

        A server that the hub starts, stops or checks right now, or does not know, is the hub's.
        """
        # Without a token its address is not known to be its own, and it is not asked.
        answers = await self.looks.ask_all(
            {
                one.id: self._address(one, servers[one.id])
                for one in running
                if servers[one.id].token
            },
            self.context.clock(),
        )
        urls = {one.id: servers[one.id].url or "" for one in running}
        reach = await self._reach(urls, answers)
        for answer in answers.values():
            metrics.looked(answer)
        loads = await self.loads()
        now = self.context.clock()
        learned = [
            _learn(one, answers.get(one.id), efforts.get(one.id, Effort()), loads, policy, now)
            for one in running
        ]
        return learned, reach.with_work(_at_work(running, learned, policy, now))

    async def _reach(self, urls: Mapping[str, str], answers: Mapping[str, Answer | None]) -> Reach:
        """Return who could be reached: those that told their use, or whose server answers at all.

        Each is asked twice, so that one lost answer is no gap.
        """
        quiet = {lease: url for lease, url in urls.items() if answers.get(lease) is None}
        there = await self.doors.answering(quiet)
        again = {lease: url for lease, url in quiet.items() if lease not in there}
        there |= await self.doors.answering(again) if again else frozenset()
        silent = quiet.keys() - there
        return Reach(tuple(urls.keys() - silent), tuple(silent))

    def _address(self, one: Watched, server: HubServer) -> Address:
        """Return where a notebook is asked, and whether its requests count."""
        published = self.context.published
        name = one.lease.runtime or ""
        runtime = published.catalog.runtime(name) if published else None
        return Address(
            server.url or "", server.token or "", runtime is not None and runtime.counts_requests
        )

    async def _acts(self, policy: KeeperPolicy) -> bool:
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

    # -- time -------------------------------------------------------------------------------

    def _after_a_jump(self, running: list[Watched]) -> list[Watched]:
        """Return what is known, moved with the clock if somebody set it since the last pass."""
        wall, steady = self.context.clock(), self.monotonic()
        before, self._clock_seen = self._clock_seen, (wall, steady)
        if before is None:
            return running
        by = (wall - before[0]) - timedelta(seconds=steady - before[1])
        if self.monotonic() > self._steady_at:
            self._jumped = ""
        if abs(by) <= JUMP:
            return running
        self._steady_at = steady + STEADY_SECONDS
        way = "forward" if by > timedelta(0) else "back"
        self._jumped = f"The clock of this machine was set {way} by {format_duration(abs(by))}"
        log.warning("%s; nothing is stopped for %.0f s", self._jumped, STEADY_SECONDS)
        return [replace(one, evidence=shift_moments(one.evidence, by)) for one in running]

    # -- decide -----------------------------------------------------------------------------

    def _decided(
        self, learned: Iterable[Watched], policy: KeeperPolicy, now: datetime
    ) -> tuple[list[Watched], list[tuple[Watched, Warn]], list[tuple[Watched, Stop]]]:
        """Return (what is known then, who is warned, who is stopped)."""
        seen, warns, due = [], [], []
        for one in learned:
            verdict = _verdict(one, policy, now)
            if policy.dry_run:
                would = one.would_stop_at or now if isinstance(verdict, Stop) else None
                seen.append(replace(one, would_stop_at=would, warned=None))
                continue
            tries = self._failed.pop(one.id, one.stop_tries)
            after = replace(one, stop_tries=tries, would_stop_at=None)
            if isinstance(verdict, Warn):
                after = replace(after, warned=verdict.remember(one.warned, now))
                warns.append((after, verdict))
            if isinstance(verdict, Stop) and self.monotonic() >= self._steady_at:
                due.append((after, verdict))
            seen.append(after)
        return seen, warns, due

    def _take_due(self, now: datetime) -> set[str]:
        """Return the leases whose end has come. They are due once: later passes see them anyway."""
        due = {lease for lease, at in self._ends.items() if at <= now}
        self._ends = {lease: at for lease, at in self._ends.items() if lease not in due}
        return due

    def _note_ends(self, seen: Iterable[Watched], policy: KeeperPolicy, now: datetime) -> None:
        """Remember when to wake for the next end of each lease. A dry run ends nothing."""
        if policy.dry_run:
            return
        for one in seen:
            at = next_end(one.evidence, one.deadlines, one.warned, policy.grace, now)
            if at:
                self._ends[one.id] = at

    async def _find_wrong(
        self, seen: Sequence[Watched], reach: Reach, policy: KeeperPolicy, now: datetime
    ) -> list[NewFinding]:
        """Return all that is wrong after a look at everything. Raises LedgerAway."""
        ledger, hub_id = self.context.ledger, self.context.hub_id
        hanging = await ledger.aread(watches.hanging_stops, hub_id, now - STOP_HANGS_AFTER)
        stopped = await ledger.aread(watches.stopped_by_services, hub_id, now - bystanders.TOLD_FOR)
        return [
            *self._wrong(seen, policy, now),
            *find_unreachable([one for one in seen if one.id in reach.silent], now),
            *find_at_work([one for one in seen if one.id in reach.working], now),
            *hanging,
            *bystanders.find_early_stops(stopped, policy),
            *self.wrong(),
        ]

    def _wrong(
        self, seen: Iterable[Watched], policy: KeeperPolicy, now: datetime
    ) -> list[NewFinding]:
        found = []
        for one in seen:
            who = f"{shown(one.title)} of {shown(one.lease.account_name)}"
            if is_blind(one.evidence, one.deadlines, now):
                found.append(_blind(one, who, policy, now))
            idle = is_without_work(one.evidence, now)
            if idle and one.deadlines.shutdown_after and idle > one.deadlines.shutdown_after:
                found.append(_without_work(one, who, idle, policy))
            if one.stop_tries >= TRIES_UNTIL_FINDING:
                found.append(
                    NewFinding(
                        f"will_not_stop/{one.id}",
                        "will_not_stop",
                        f"{who} did not stop in {one.stop_tries} tries.",
                        "The keeper goes on trying. Look at the engine and at the hub's log.",
                        one.id,
                    )
                )
        if self._jumped:
            found.append(
                NewFinding(
                    "clock",
                    "clock_set",
                    f"{self._jumped}.",
                    "Idle times were moved with it. Keep the clock by NTP.",
                )
            )
        if self._overrun:
            found.append(
                NewFinding(
                    "overrun",
                    "slow_pass",
                    f"{self._overrun}.",
                    "Raise keeper_interval, or look for what is slow: hub, ledger or notebooks.",
                )
            )
        return found

    def _remember(
        self,
        tx: Any,
        seen: list[Watched],
        before: list[Watched],
        warns: list[tuple[Watched, Warn]],
        wrong: list[NewFinding] | None,
        policy: KeeperPolicy,
        now: datetime,
        seconds: float,
        reach: Reach,
    ) -> None:
        """Write all that a pass learned in one transaction; `wrong` None: it looked at few."""
        hub_id = self.context.hub_id
        gaps.note(
            tx,
            hub_id=hub_id,
            reached=reach.reached,
            silent=reach.silent,
            working=reach.working,
            now=now,
        )
        watches.save(tx, hub_id, seen)
        if wrong is not None:
            findings.report(tx, hub_id=hub_id, source="keeper", found=wrong, now=now)
            keepers.passed(tx, hub_id, self.me, now, seconds)
        for one, warn in warns:
            self._record(
                tx,
                one,
                Action.WARN,
                warn.reason.value,
                now,
                {"stops_at": warn.stops_at.isoformat()},
            )
        already = {one.id for one in before if one.would_stop_at}
        for one in seen:
            if one.would_stop_at and one.id not in already:
                verdict = _verdict(one, policy, now)
                why = verdict.why if isinstance(verdict, Stop) else ""
                self._record(tx, one, Action.WOULD_STOP, why, now, {})

    def _record(
        self,
        tx: Any,
        one: Watched,
        action: Action,
        reason: str,
        now: datetime,
        more: dict[str, Any],
    ) -> None:
        audit.record(
            tx,
            By(self.context.hub_id, "keeper", now),
            action,
            account_id=one.lease.account_id,
            detail={"lease": one.id, "reason": reason} | more,
        )

    # -- stop -------------------------------------------------------------------------------

    def _begin_stop(
        self, one: Watched, server: HubServer, stop: Stop, policy: KeeperPolicy
    ) -> None:
        if one.id in self.stops:
            return
        task = asyncio.ensure_future(self._stop(one, server, stop, policy))
        self.stops[one.id] = task
        task.add_done_callback(lambda _: self.stops.pop(one.id, None))

    async def _stop(
        self, one: Watched, server: HubServer, stop: Stop, policy: KeeperPolicy
    ) -> None:
        async with self._slots:
            verdict = await self._still(one, server, stop, policy)
            if verdict is None:
                return
            log.info("Stopping %s of %s: %s", one.title, server.user, verdict.why)
            result = await self.hub.stop(server, verdict.reason, verdict.why)
        if result.outcome == "failed":
            self._failed[one.id] = one.stop_tries + 1
            log.warning("%s of %s did not stop: %s", one.title, server.user, result.why)
            return
        if result.outcome != "moot":
            self._soon(self.tell(one, verdict))

    async def _still(
        self, one: Watched, server: HubServer, stop: Stop, policy: KeeperPolicy
    ) -> Stop | None:
        """Return the stop, explain, if it is still due after it waited for its turn.

        Meanwhile the notebook may have been used, extended, given money or stopped.
        """
        now = self.context.clock()
        try:
            known = await self.context.ledger.aread(watches.watched, one.id)
        except LedgerAway:
            return None
        if known is None or known.lease.ended_at or known.lease.stop_requested_at:
            return None
        looked = known.evidence.looked_at
        fresh = looked is not None and now - looked <= FRESH
        if stop.reason is Reason.NO_WORK and not fresh:
            return None  # it may work by now, which only the next pass is told
        if stop.reason in SOFT and not fresh:
            answer = None
            if server.token:
                answer = await self.looks.ask(self._address(one, server), now)
            known = replace(known, evidence=learn(known.evidence, answer, now))
        verdict = _verdict(known, policy, now)
        return explain(verdict, known.evidence) if isinstance(verdict, Stop) else None

    # -- around -----------------------------------------------------------------------------

    def _soon(self, coroutine: Awaitable[None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._told)

    def _told(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("A message was not sent", exc_info=error)

    async def close(self) -> None:
        """Let another keeper act at once. Stops under way are the hub's by now."""
        for task in [*self.stops.values(), *self._tasks]:
            task.cancel()
        await self.doors.close()
        try:
            await self.context.ledger.awrite(keepers.release, self.context.hub_id, self.me)
        except LedgerAway:
            log.info("The ledger is away; this keeper's turn runs out by itself")


def _learn(
    one: Watched,
    answer: Answer | None,
    effort: Effort,
    loads: Mapping[str, float],
    policy: KeeperPolicy,
    now: datetime,
) -> Watched:
    """Update a lease after a look: its notebook's answer, its CPU time, and loads by GPU.

    Each of them may be missing, and says nothing then; the others count.
    """
    # A device may be declared by its CDI name, which ends in its UUID.
    devices = [device.rsplit("=", 1)[-1] for device in one.lease.devices]
    load = max((loads[device] for device in devices if device in loads), default=None)
    effort = replace(effort, gpu_percent=load)
    evidence = weigh(one.evidence, effort, policy.work_percent, now)
    busy = [
        f"{name} {percent:.0f} %"
        for name, percent, least in (
            ("GPU", load, policy.busy_gpu_percent),
            ("CPU", evidence.cpu_load, policy.busy_cpu_percent),
        )
        if percent is not None and 0 < least <= percent
    ]
    if busy and evidence.worked_at:
        evidence = replace(evidence, worked_at=now)  # what counts as busy is work
    if answer and busy:
        answer = replace(answer, busy=(*answer.busy, *busy))
    return replace(one, evidence=learn(evidence, answer, now), gpu_load=load)


def _at_work(
    before: Iterable[Watched], after: Iterable[Watched], policy: KeeperPolicy, now: datetime
) -> dict[str, datetime]:
    """Return the leases whose machines work, with since when."""
    found = {}
    for one, learned in zip(before, after, strict=True):
        since = worked_since(
            one.evidence, learned.evidence, learned.gpu_load, policy.work_percent, now
        )
        if since is not None:
            found[one.id] = since
    return found


def _blind(one: Watched, who: str, policy: KeeperPolicy, now: datetime) -> NewFinding:
    """Return the finding of a notebook whose use is unknown for longer than its interval."""
    since = format_duration(now - (one.evidence.unknown_since or now))
    what = ", ".join(one.evidence.unread) or "its use"
    return NewFinding(
        f"blind/{one.id}",
        "blind",
        f"{who} has not told {what} for {since}, longer than its idle interval.",
        f"{_end_of(one, policy)} Look at it, and stop it if it hangs.",
        one.id,
    )


def _without_work(one: Watched, who: str, idle: timedelta, policy: KeeperPolicy) -> NewFinding:
    """Return the finding of a notebook that is busy and does nothing for more than its interval."""
    return NewFinding(
        f"no_work/{one.id}",
        "no_work",
        f"{who} is busy without work for {format_duration(idle)}:"
        f" {shown(', '.join(one.evidence.busy), 200)}.",
        f"{_end_of(one, policy)} A cell may wait for input, or hang: ask its owner.",
        one.id,
    )


def _end_of(one: Watched, policy: KeeperPolicy) -> str:
    end = one.ending(policy.grace)
    return f"It stops at {end.at:%Y-%m-%d %H:%M} UTC." if end else "Nothing ends it."


def _verdict(one: Watched, policy: KeeperPolicy, now: datetime) -> Keep | Warn | Stop:
    """Decide what happens to it now.

    A dry run warns nobody, so its idle stops wait for no warning.
    """
    if not policy.dry_run:
        return decide(one.evidence, one.deadlines, one.warned, policy.warnings, now)
    end = one.ending(policy.grace)
    if end and now >= end.at:
        return Stop(end.reason, end.why)
    return Keep("dry run")
