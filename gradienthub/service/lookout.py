"""Looking at running notebooks: how each is used, whether it is reachable, how hard it works."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from .. import metrics
from ..ledger.watches import Watched
from ..rules.unanswered import worked_since
from ..rules.use import Answer, Effort, learn, weigh
from ..settings import KeeperPolicy, Published
from .context import KeeperContext
from .evidence import Address
from .hub_client import HubServer, HubView
from .reach import Doors, Reach


class Asker(Protocol):
    """Asks notebooks about their use (`evidence.Notebooks`)."""

    async def ask(self, address: Address, now: datetime) -> Answer | None:
        """Ask the notebook there. Return None if it says nothing, or nothing sensible."""

    async def ask_all(
        self, addresses: Mapping[str, Address], now: datetime
    ) -> Mapping[str, Answer | None]:
        """Ask many, by lease."""


#: Reads the load of GPUs in percent by UUID.
Loads = Callable[[], Awaitable[Mapping[str, float]]]


class Lookout:
    """Asks notebooks, knocks where none answers, and reads their machines' load."""

    def __init__(self, context: KeeperContext, asker: Asker, loads: Loads) -> None:
        self.asker = asker
        self._context = context
        self._loads = loads
        self._doors = Doors()

    async def look(
        self, running: Sequence[Watched], view: HubView, published: Published
    ) -> tuple[list[Watched], Reach]:
        """Return what is known after asking them all, and which could be reached."""
        servers, policy = view.steady(), published.policy
        # Without a token its address is not known to be its own, and it is not asked.
        answers = await self.asker.ask_all(
            {
                watched.id: _address(watched, servers[watched.id], published)
                for watched in running
                if servers[watched.id].token
            },
            self._context.clock(),
        )
        urls = {watched.id: servers[watched.id].url or "" for watched in running}
        reach = await self._reach(urls, answers)
        for answer in answers.values():
            metrics.count_look(answer)
        loads, efforts = await self._loads(), view.efforts()
        now = self._context.clock()
        looked = [
            update(
                watched,
                answers.get(watched.id),
                _with_load(efforts.get(watched.id, Effort()), watched, loads),
                policy,
                now,
            )
            for watched in running
        ]
        return looked, reach.with_work(_at_work(running, looked, policy, now))

    async def look_again(
        self, watched: Watched, server: HubServer, published: Published, now: datetime
    ) -> Watched:
        """Return what is known after asking that notebook alone about its use."""
        answer = None
        if server.token:
            answer = await self.asker.ask(_address(watched, server, published), now)
        return replace(watched, evidence=learn(watched.evidence, answer, now))

    async def _reach(self, urls: Mapping[str, str], answers: Mapping[str, Answer | None]) -> Reach:
        """Return which could be reached: those that told their use, or whose server answers at all.

        Each is asked twice, so that one lost answer is no gap.
        """
        quiet = {lease: url for lease, url in urls.items() if answers.get(lease) is None}
        answering = await self._doors.answering(quiet)
        again = {lease: url for lease, url in quiet.items() if lease not in answering}
        answering |= await self._doors.answering(again) if again else frozenset()
        silent = quiet.keys() - answering
        return Reach(tuple(urls.keys() - silent), tuple(silent))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._doors.close()


def _address(watched: Watched, server: HubServer, published: Published) -> Address:
    """Return where a notebook is asked, and whether its requests count."""
    runtime = published.catalog.runtime(watched.lease.runtime or "")
    return Address(
        server.url or "", server.token or "", runtime is not None and runtime.counts_requests
    )


def _with_load(effort: Effort, watched: Watched, loads: Mapping[str, float]) -> Effort:
    """Return the effort with the load of the busiest of its GPUs; None where none is known."""
    # A device may be declared by its CDI name, which ends in its UUID.
    devices = [device.rsplit("=", 1)[-1] for device in watched.lease.devices]
    load = max((loads[device] for device in devices if device in loads), default=None)
    return replace(effort, gpu_percent=load)


def update(
    watched: Watched, answer: Answer | None, effort: Effort, policy: KeeperPolicy, now: datetime
) -> Watched:
    """Update a lease after a look: its notebook's answer, its CPU time and its GPU's load.

    Each of them may be missing, and says nothing then; the others count.
    """
    evidence = weigh(watched.evidence, effort, policy.work_percent, now)
    busy = [
        f"{name} {percent:.0f} %"
        for name, percent, least in (
            ("GPU", effort.gpu_percent, policy.busy_gpu_percent),
            ("CPU", evidence.cpu_load, policy.busy_cpu_percent),
        )
        if percent is not None and 0 < least <= percent
    ]
    if busy and evidence.worked_at:
        evidence = replace(evidence, worked_at=now)  # what counts as busy is work
    if answer and busy:
        answer = replace(answer, busy=(*answer.busy, *busy))
    return replace(watched, evidence=learn(evidence, answer, now), gpu_load=effort.gpu_percent)


def _at_work(
    before: Sequence[Watched], after: Sequence[Watched], policy: KeeperPolicy, now: datetime
) -> dict[str, datetime]:
    """Return the leases whose machines work, with since when."""
    working = {}
    for known, looked in zip(before, after, strict=True):
        since = worked_since(
            known.evidence, looked.evidence, looked.gpu_load, policy.work_percent, now
        )
        if since is not None:
            working[known.id] = since
    return working
