"""Ask a started notebook's address whether its own server answers there."""

import json

import aiohttp
from yarl import URL

from ..rules.readiness import (
    HUB_MARK,
    QUESTION,
    NotYet,
    Other,
    Plausible,
    Ready,
    Reply,
    judge_own,
    judge_stranger,
)

#: Bytes of an answer that are read; an honest one has 200.
LONGEST = 16_384
#: Seconds for a connection and for a whole answer.
LIMITS = aiohttp.ClientTimeout(total=5, sock_connect=1)


class Probe:
    """Asks one address, with one token, as often as needed. Use it as a context."""

    def __init__(self, url: str, token: str) -> None:
        self._url = URL(f"{url.rstrip('/')}/{QUESTION}", encoded=True)
        self._token = token
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> "Probe":
        self._session = aiohttp.ClientSession(
            timeout=LIMITS,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity"},
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self) -> Ready | NotYet | Other:
        """Ask what answers there.

        The token is shown only to what first behaved as its own server.
        """
        met = judge_stranger(await self._reply({}))
        if not isinstance(met, Plausible):
            return met
        return judge_own(await self._reply({"Authorization": f"token {self._token}"}))

    async def _reply(self, headers: dict[str, str]) -> Reply | None:
        try:
            async with self._session.get(
                self._url, headers=headers, allow_redirects=False
            ) as response:
                answered = response.headers
                return Reply(
                    status=response.status,
                    hub_version=answered.get(HUB_MARK, ""),
                    server=answered.get("Server", ""),
                    location=answered.get("Location", ""),
                    body=_parsed(await _start_of(response.content)),
                )
        # What a hostile server can make a client library raise has no end.
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None


async def _start_of(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > LONGEST:
            break
    return bytes(body)


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
