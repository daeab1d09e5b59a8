"""Connections to notebooks' own servers, whose answers may be hostile."""

import aiohttp


class Connections:
    """One client session, opened at the first question; for one event loop.

    No connection, cookie or compressed body is kept or read for a server that nobody trusts.
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> aiohttp.ClientSession:
        """Return the session. It has no time limit of its own: each question brings one."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # A connection is not kept: the next pass is far away, and notebooks are many.
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity"},
                # A compressed answer was not asked for, and could be of any size.
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._session

    async def close(self) -> None:
        """Let go of the connections; a later question opens new ones."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()
