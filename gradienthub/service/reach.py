"""Asking whether a notebook can be reached at all, without showing a token."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from yarl import URL

from ..ledger.findings import NewFinding
from ..ledger.watches import Watched
from ..rules.readiness import HUB_MARK, QUESTION, Plausible, Reply, judge_stranger
from ..rules.refusal import shown
from .connections import Connections

#: Seconds for one answer.
PATIENCE = 5.0
#: How many notebooks are asked at once.
IN_FLIGHT = 50
#: A notebook that nobody could reach for so long is told to an administrator.
UNREACHABLE_AFTER = timedelta(minutes=3)


@dataclass(frozen=True)
class Reach:
    """The leases whose own servers answered in a pass, and those whose did not.

    `working` are those that did not answer and whose machines work, with since when they do.
    """

    reached: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    working: Mapping[str, datetime] = field(default_factory=dict)

    def with_work(self, since: Mapping[str, datetime]) -> "Reach":
        """Return it with those that work told from those that only do not answer."""
        working = {lease: since[lease] for lease in self.silent if lease in since}
        silent = tuple(lease for lease in self.silent if lease not in working)
        return replace(self, silent=silent, working=working)


def find_at_work(working: Iterable[Watched], now: datetime) -> list[NewFinding]:
    """Return what an administrator is told of notebooks that answer nobody and work."""
    return [
        _unreachable(
            one,
            f"has not answered the hub since {since:%Y-%m-%d %H:%M} UTC, and its machine works;"
            " this time is charged.",
            "Its owner may have cut the hub off, or its server hangs beside a job that runs: ask"
            " them, and look at its container.",
        )
        for one in working
        if (since := one.evidence.unknown_since) and now - since >= UNREACHABLE_AFTER
    ]


def find_unreachable(silent: Iterable[Watched], now: datetime) -> list[NewFinding]:
    """Return what an administrator is told of notebooks that do not answer."""
    return [
        _unreachable(
            one,
            f"runs and has not been reachable since {since:%Y-%m-%d %H:%M} UTC; this time is not"
            " charged.",
            "Look at its container: it may be paused, cut off from its network or hang. Stop it if"
            " it does not come back.",
        )
        for one in silent
        if (since := one.lease.times.unreachable_since) and now - since >= UNREACHABLE_AFTER
    ]


def _unreachable(one: Watched, what: str, cure: str) -> NewFinding:
    who = f"{shown(one.title)} of {shown(one.lease.account_name)}"
    return NewFinding(f"unreachable/{one.id}", "unreachable", f"{who} {what}", cure, one.id)


class Doors:
    """Knocks at notebooks' own addresses; for one event loop."""

    def __init__(self, patience: float = PATIENCE, in_flight: int = IN_FLIGHT) -> None:
        self._patience = patience
        self._turns = asyncio.Semaphore(in_flight)
        self._connections = Connections()

    async def answering(self, urls: Mapping[str, str]) -> frozenset[str]:
        """Return the leases at whose address a single-user server of JupyterHub answers."""
        found = await asyncio.gather(*(self._answers(url) for url in urls.values()))
        return frozenset(lease for lease, there in zip(urls, found, strict=True) if there)

    async def _answers(self, url: str) -> bool:
        async with self._turns:
            try:
                async with asyncio.timeout(self._patience):
                    reply = await self._reply(URL(f"{url.rstrip('/')}/{QUESTION}", encoded=True))
            # What a hostile server can make a client library raise has no end.
            except Exception:
                return False
        return isinstance(judge_stranger(reply), Plausible)

    async def _reply(self, url: URL) -> Reply:
        async with self._connections.open().get(url, allow_redirects=False) as response:
            headers = response.headers
            return Reply(
                response.status, headers.get(HUB_MARK, ""), location=headers.get("Location", "")
            )

    async def close(self) -> None:
        """Let go of the connections; a later question opens new ones."""
        await self._connections.close()
