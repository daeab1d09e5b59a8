"""The hub, as a notebook server knows it: by its environment."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tornado.httpclient import HTTPError, HTTPRequest
from tornado.httputil import HTTPHeaders
from tornado.simple_httpclient import SimpleAsyncHTTPClient

CONNECT_SECONDS = 3.0
# An Extend waits for the hub's ledger, which may be busy for a moment.
ANSWER_SECONDS = 10.0
# A lease is about 1.5 KB.
MAX_ANSWER_BYTES = 64 * 1024

log = logging.getLogger("gradienthub_lab")


@dataclass(frozen=True)
class Answer:
    """What the hub said, to be handed on: an HTTP status and a JSON object."""

    status: int
    body: dict[str, Any]


@dataclass(frozen=True)
class Hub:
    """Where the lease of this server is, and the server's own token to ask for it."""

    address: str
    token: str = field(repr=False)

    async def lease(self) -> Answer:
        """The lease, its price, deadlines and warning; never raises."""
        return await self._ask("GET", self.address)

    async def extend(self) -> Answer:
        """The lease with a later stop, or the hub's refusal; never raises."""
        return await self._ask("POST", f"{self.address}/extend")

    async def _ask(self, method: str, url: str) -> Answer:
        request = HTTPRequest(
            url,
            method=method,
            headers=HTTPHeaders(
                {"Authorization": f"token {self.token}", "Accept": "application/json"}
            ),
            body=b"" if method == "POST" else None,
            connect_timeout=CONNECT_SECONDS,
            request_timeout=ANSWER_SECONDS,
            # The token goes where the environment says, and nowhere else.
            follow_redirects=False,
        )
        client = SimpleAsyncHTTPClient(force_instance=True, max_body_size=MAX_ANSWER_BYTES)
        try:
            response = await client.fetch(request, raise_error=False)
        # Whatever keeps the hub from answering ends here: refused, timed out, cut off, too long.
        except (OSError, HTTPError, ValueError) as error:
            log.debug("gradienthub_lab: no answer of the hub: %s", type(error).__name__)
            return HUB_AWAY
        finally:
            client.close()
        try:
            body = json.loads(response.body or b"")
        except ValueError:
            return HUB_AWAY
        # A proxy before the hub answers 502 in HTML; who sends us elsewhere is not the hub.
        if not isinstance(body, dict) or 300 <= response.code < 400:
            return HUB_AWAY
        return Answer(response.code, body)


HUB_AWAY = Answer(
    503,
    {
        "status": 503,
        "code": "hub_away",
        "message": "The hub does not answer, so price and time left are not known.",
        "hint": "Your notebook keeps running. Save your work; this is asked again by itself.",
    },
)


def hub_of(environ: Mapping[str, str]) -> Hub | None:
    """The hub that started this server, or None outside of JupyterHub."""
    url = environ.get("JUPYTERHUB_API_URL", "").rstrip("/")
    user = environ.get("JUPYTERHUB_USER", "")
    token = environ.get("JUPYTERHUB_API_TOKEN", "")
    if not (url and user and token):
        return None
    # The default server has no name, and its address ends in a slash.
    server = environ.get("JUPYTERHUB_SERVER_NAME", "")
    return Hub(
        f"{url}/gradient/users/{quote(user, safe='')}/servers/{quote(server, safe='')}", token
    )
