"""Asking running notebooks about their use, each at its own address and with its own token."""

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import aiohttp
from yarl import URL

from ..rules.evidence import UNREAD, answer_from
from ..rules.use import Answer
from .connections import Connections

log = logging.getLogger("gradienthub")

#: Seconds for a notebook's kernels. The other pages have the same time together.
PATIENCE = 5.0
#: How many notebooks are asked at once.
IN_FLIGHT = 50
LARGEST_BODY = 256 * 1024

KERNELS = "api/kernels"
TERMINALS = "api/terminals"
SESSIONS = "api/sessions"
STATUS = "api/status"
#: The server part of our JupyterLab extension, where it is installed.
ACTIVITY = "gradienthub/activity"


@dataclass(frozen=True)
class Address:
    """Where the hub reaches a notebook's server, never the proxy, and the token to show there.

    Whoever runs code in a notebook can read what is sent to it, so the token has to be one that
    opens nothing but this server; its own is.
    """

    url: str
    token: str = field(repr=False)
    #: Whether each request to its server counts as use.
    counts_requests: bool = False


class Notebooks:
    """Asks notebooks; for one event loop. An answer is bounded in time and size."""

    def __init__(self, patience: float = PATIENCE, in_flight: int = IN_FLIGHT) -> None:
        self._patience = patience
        self._turns = asyncio.Semaphore(in_flight)
        self._connections = Connections()
        #: The notebooks whose last answer was none, so that each is logged once.
        self._unknown: set[str] = set()

    async def ask_all(
        self, addresses: Mapping[str, Address], now: datetime
    ) -> dict[str, Answer | None]:
        """Return what each lease's notebook answered; None if its use cannot be told."""
        self._unknown &= {address.url for address in addresses.values()}
        answers = await asyncio.gather(*(self.ask(a, now) for a in addresses.values()))
        return dict(zip(addresses, answers, strict=True))

    async def ask(self, address: Address, now: datetime) -> Answer | None:
        """Ask one notebook. Return its answer or None; never raises, whatever it says."""
        async with self._turns:
            try:
                answer = await self._answer(address, now)
            # What a hostile server can make a client library raise has no end.
            except Exception as error:
                if address.url not in self._unknown:
                    self._unknown.add(address.url)
                    log.info("The use of %s cannot be told: %s", address.url, _why(error))
                return None
        self._unknown.discard(address.url)
        return answer

    async def _answer(self, address: Address, now: datetime) -> Answer:
        kernels, fault = await self._kernels(address)
        # 404: the server has terminals disabled, or not our extension.
        terminals = await self._page(address, TERMINALS, absent=[])
        activity = await self._page(address, ACTIVITY, absent=None)
        status = None
        if address.counts_requests:
            status = await self._page(address, STATUS, absent=None)
        try:
            answer = answer_from(kernels, terminals, activity, [], now, status)
        except ValueError as nothing:
            raise fault or nothing from None
        if not answer.busy:
            return answer
        sessions = await self._page(address, SESSIONS, absent=[])
        return answer_from(kernels, terminals, activity, sessions, now, status)

    async def _kernels(self, address: Address) -> tuple[object, Exception | None]:
        """Return the body, or UNREAD and why. Raises where nobody answers: then nothing can be."""
        try:
            async with asyncio.timeout(self._patience):
                return await self._body(address, KERNELS), None
        except (TimeoutError, aiohttp.ClientConnectionError):
            raise
        except Exception as error:
            return UNREAD, error

    async def _page(self, address: Address, path: str, absent: object) -> object:
        """Return a body; UNREAD where it cannot be read in its share of the time."""
        try:
            async with asyncio.timeout(self._patience / 4):
                return await self._body(address, path, absent=absent)
        # As in `ask`: whatever it makes the client library raise.
        except Exception:
            return UNREAD

    async def _body(self, address: Address, path: str, **absent: object) -> object:
        """Return a JSON body, or the keyword `absent` where the server has no such page."""
        # Without no_track_activity a question would count as use, and keep the notebook alive.
        url = URL(f"{address.url.rstrip('/')}/{path}?no_track_activity=1", encoded=True)
        headers = {"Authorization": f"token {address.token}"}
        async with self._connections.open().get(
            url, headers=headers, allow_redirects=False
        ) as response:
            if response.status == 404 and "absent" in absent:
                return absent["absent"]
            if response.status != 200:
                raise ValueError(f"{path} is answered with {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > LARGEST_BODY:
                    raise ValueError(f"{path} is answered with more than {LARGEST_BODY} bytes")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise ValueError(f"{path} is not answered with JSON") from None

    async def close(self) -> None:
        """Let go of the connections; a later question opens new ones."""
        await self._connections.close()


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    # Only our own words are sure to hold nothing of the notebook's.
    return str(error) if type(error) is ValueError else type(error).__name__
