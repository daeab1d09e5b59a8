"""Asking whether a notebook can be reached at all, without showing a token."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from yarl import URL

from ..rules.readiness import HUB_MARK, QUESTION, Plausible, Reply, judge_stranger
from .connections import Connections

#: Seconds for one answer.
PATIENCE = 5.0
#: How many notebooks are asked at once.
IN_FLIGHT = 50


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


class Doors:
    """Knocks at notebooks' own addresses; for one event loop."""

    def __init__(self, patience: float = PATIENCE, in_flight: int = IN_FLIGHT) -> None:
        self._patience = patience
        self._turns = asyncio.Semaphore(in_flight)
        self._connections = Connections()

    async def answering(self, urls: Mapping[str, str]) -> frozenset[str]:
        """Return the leases at whose address a single-user server of JupyterHub answers."""
        answers = await asyncio.gather(*(self._answers(url) for url in urls.values()))
        return frozenset(lease for lease, answered in zip(urls, answers, strict=True) if answered)

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
