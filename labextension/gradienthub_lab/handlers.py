"""The addresses under this server's base_url, for our frontend and for the hub's keeper.

Nobody's question counts as activity of the server if it is asked with `?no_track_activity=1`, as in
all of jupyter_server; the frontend and the keeper do so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

from .hub import Answer, Hub


@dataclass
class Presence:
    """When a person last used keyboard or pointer in a browser on this server; in memory only."""

    person_at: datetime | None = None


class _QuietHandler(APIHandler):
    """Leaves the query of an address out of the log: a token may stand there."""

    def _request_summary(self) -> str:
        return f"{self.request.method} {self.request.path} ({self.request.remote_ip})"


class _HubHandler(_QuietHandler):
    """Hands on what the hub says of this server's lease."""

    auth_resource = "gradienthub"

    def initialize(self, hub: Hub) -> None:
        self.hub = hub

    async def hand_on(self, answer: Answer) -> None:
        self.set_status(answer.status)
        await self.finish(json.dumps(answer.body))


class LeaseHandler(_HubHandler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        """The lease as the hub tells it: 200, 404 without one, 503 with the hub away."""
        await self.hand_on(await self.hub.lease())


class ExtendHandler(_HubHandler):
    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Move the idle stop; a refusal says why and what to do."""
        await self.hand_on(await self.hub.extend())


class ActivityHandler(_QuietHandler):
    """A browser says that a person is there; the keeper asks when that was."""

    auth_resource = "gradienthub"

    def initialize(self, presence: Presence) -> None:
        self.presence = presence

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """`{"person_at": ISO 8601 in UTC, or null}`."""
        person_at = self.presence.person_at
        await self.finish(json.dumps({"person_at": person_at and person_at.isoformat()}))

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Somebody uses keyboard or pointer now."""
        self.presence.person_at = datetime.now(timezone.utc)
        self.set_status(204)
        await self.finish()
