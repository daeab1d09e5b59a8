"""What the keeper asks of the hub: who runs, and to stop them."""

import asyncio
from dataclasses import dataclass
from urllib.parse import quote

import aiohttp
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from ..rules.idleness import Reason
from ..rules.refusal import shown
from ..rules.use import Effort

#: Seconds for the list of servers; a hub that takes longer is overloaded and is asked again later.
VIEW_SECONDS = 20
#: Seconds for a stop; the hub itself answers "on its way" after ten.
STOP_SECONDS = 60
#: Bytes of the list; ten thousand servers and their containers have a fifth of that.
LONGEST_VIEW = 32 * 2**20
#: Characters of the sentence with a stop: the hub refuses more.
LONGEST_WHY = 400


class HubAway(Exception):
    """The hub does not answer, or not as a hub does."""


class HubServer(BaseModel):
    """A server the hub calls active.

    `settled` is false while a hub that was restarted still checks whether it runs. It has a `token`
    only where the engine shows it at its address.
    """

    user: str
    server: str
    lease_id: str | None
    ready: bool
    settled: bool = True
    pending: str | None
    url: str | None
    #: The server's own, which opens nothing but that server.
    token: str | None = Field(default=None, repr=False)


class InCensus(BaseModel):
    """An object of the engine, as the hub's census has it."""

    lease_id: str
    alive: bool
    #: The CPU time that it had used at that moment.
    cpu_seconds: float | None = None
    cpu_at: AwareDatetime | None = None


class HubView(BaseModel):
    """What the hub says runs. Nothing may be concluded while `settled` is false, and nothing of a
    server while its own is.

    `census` is None where the engine has none, or is away.
    """

    hub_id: str
    settled: bool
    servers: list[HubServer]
    census: list[InCensus] | None = None
    engine_away: str | None = None

    def alive(self) -> list[str]:
        """Return the leases that are seen alive: by the engine, else by the hub."""
        if self.census is None:
            return [s.lease_id for s in self.servers if s.lease_id and s.ready]
        return [seen.lease_id for seen in self.census if seen.alive]

    def efforts(self) -> dict[str, Effort]:
        """Return what the engine tells of the work of each lease."""
        return {
            seen.lease_id: Effort(seen.cpu_seconds, seen.cpu_at)
            for seen in self.census or ()
            if seen.alive and seen.lease_id
        }

    def steady(self) -> dict[str, HubServer]:
        """Return the servers that have a lease, by it.

        A server that the hub starts, stops or checks right now is left to the hub.
        """
        return {
            server.lease_id: server
            for server in self.servers
            if server.lease_id and server.ready and server.settled and server.url
        }


@dataclass(frozen=True)
class Stopped:
    """How a stop went: `done`, on its `way`, `moot` (stopped or started anew), or `failed`."""

    outcome: str
    why: str = ""


class HubClient:
    """The hub's REST API with the keeper's token. Close it when done."""

    def __init__(self, api_url: str, token: str) -> None:
        self._api = api_url.rstrip("/")
        self._headers = {"Authorization": f"token {token}"}
        self._session: aiohttp.ClientSession | None = None
        self._turns = asyncio.Lock()

    async def view(self) -> HubView:
        """Return what runs on the hub. Raises HubAway."""
        try:
            status, body = await self._ask("GET", "/gradient/servers", VIEW_SECONDS)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise HubAway(f"the hub does not answer: {type(error).__name__}") from error
        if status != 200:
            raise HubAway(f"the hub answered {status} to the list of servers")
        try:
            return HubView.model_validate_json(body)
        except ValidationError as fault:
            raise HubAway("the hub's list of servers makes no sense") from fault

    async def stop(self, server: HubServer, reason: Reason, why: str = "") -> Stopped:
        """Stop the lease's server, and no later one of the same name. Never raises.

        `why` is the sentence that was decided; the hub writes it with the lease.
        """
        path = f"/users/{quote(server.user, safe='')}/servers/{quote(server.server, safe='')}"
        body = {"lease": server.lease_id, "reason": reason.value, "why": why[:LONGEST_WHY]}
        try:
            await self._turn()
            status, text = await self._ask("DELETE", path, STOP_SECONDS, body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Stopped("failed", f"the hub does not answer: {type(error).__name__}")
        if status in (200, 202, 204):
            return Stopped("way" if status == 202 else "done")
        # 404: gone with its user; 409: started anew; 400: it was stopped already.
        if status in (400, 404, 409):
            return Stopped("moot", shown(text[:200].decode(errors="replace"), 200))
        return Stopped("failed", f"the hub answered {status}")

    async def _turn(self) -> None:
        """Return once the hub's loop came round, one caller after the other.

        Each stop has the hub compute for some tens of milliseconds. A batch begun at once would
        keep everybody else waiting for all of it; begun one a turn, it takes as long, and nobody
        waits for more than a stop or two.
        """
        async with self._turns:
            # Without the token: comparing it is most of what this request would cost the hub.
            await self._ask("GET", "/health", VIEW_SECONDS, headers={"Authorization": ""})

    async def _ask(
        self,
        method: str,
        path: str,
        seconds: float,
        body: dict[str, str | None] | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=self._headers, cookie_jar=aiohttp.DummyCookieJar()
            )
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with self._session.request(
            method,
            self._api + path,
            json=body,
            headers=headers,
            timeout=timeout,
            allow_redirects=False,
        ) as answer:
            return answer.status, await _bounded(answer.content)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            # aiohttp closes its transports in the next turns of the loop.
            await asyncio.sleep(0)


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_chunked(2**16):
        body += chunk
        if len(body) > LONGEST_VIEW:
            raise aiohttp.ClientPayloadError("the answer is too long")
    return bytes(body)
