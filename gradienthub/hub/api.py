"""The hub's REST calls on servers and users, held to our rules; and /hub/api/gradient/servers."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Literal

from jupyterhub import orm
from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.apihandlers.users import UserAPIHandler, UserServerAPIHandler
from jupyterhub.scopes import Scope, needs_scope
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from tornado import web

from ..ledger import LedgerAway, leases
from ..rules.idleness import Deadlines, Reason, Stop, cull
from ..rules.options import parse_display_name, parse_options, with_default_type
from ..rules.refusal import Refused, error_body, shown
from ..spawners import server_token
from ..spawners.address import follow, is_located
from ..spawners.context import HubContext
from ..spawners.effort import CpuReading
from ..spawners.engine import EngineAway, Found
from ..spawners.refused import StartRefused
from .counted import CountedNotebooks
from .evidence import another_lease
from .server_names import NamesServers
from .stopping import (
    asked_by,
    finish_interrupted,
    forget_server,
    start_under_way,
    started_since,
    until_checked,
    until_interrupted,
)

#: The small mode's culler service.
CULLER = "gradient-idle-culler"
#: The keeper: the managed service at /services/gradient/.
KEEPER = "gradient"
#: What it may do with its own token: read which servers run, be told each one's own token to ask
#: it about its use, and stop those that are due. It starts nothing and reads no user. Its own token
#: is never shown to a notebook, where whoever runs code could read it.
KEEPER_SCOPES = ("read:servers", "access:servers", "delete:servers")
#: Seconds that the list of servers waits for addresses that are looked up again.
LOCATE_SECONDS = 3.0
#: Bytes of a request body on a server; its longest honest one is well below 2,000.
LONGEST_BODY = 16_384
PATCH_KEYS = ("name", "display_name", "user_options")
#: JupyterHub's own keys of a start. A body without any of them is the options themselves.
START_KEYS = ("display_name", "user_options")


#: How long a DELETE that removes its server waits for that, and how often it looks.
REMOVAL_SECONDS, REMOVAL_STEP = 5.0, 0.02


class ServerGone(Exception):
    """A named server that was to be stopped is not there any more."""


class StopBody(BaseModel):
    """The body of a DELETE on a server: the hub's `remove`, and ours."""

    model_config = ConfigDict(extra="forbid")

    remove: bool = False
    lease: str = Field(default="", max_length=36)
    why: str = Field(default="", max_length=400)
    reason: Literal["", "idle", "unknown_use", "no_work", "session_limit", "stop_at", "budget"] = ""

    @field_validator("why")
    @classmethod
    def _printable(cls, why: str) -> str:
        return "".join(c if c.isprintable() else " " for c in why).strip()


class GradientAPIHandler(APIHandler):
    """An API handler whose refusals have one JSON shape."""

    @property
    def context(self) -> HubContext:
        """What this hub process shares."""
        return HubContext.of(self.config)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A refusal with code, hint and field beside the hub's own status and message."""
        error = (kwargs.get("exc_info") or (None, None))[1]
        super().write_error(status_code, **kwargs)
        body = None
        if isinstance(error, StartRefused):
            body = error_body(error.refused)
        elif isinstance(error, web.HTTPError) and status_code == 429:
            # The hub's own limits on servers that run, or start at once.
            body = error_body(Refused("hub_busy", str(error.log_message or error.reason)))
        if body is not None:
            self._write_buffer: list[bytes] = []
            self.write(json.dumps(body))

    def refuse(self, refused: Refused) -> StartRefused:
        """A Refused as the exception that Tornado answers with."""
        return StartRefused(refused)


class GradientServerAPIHandler(
    CountedNotebooks, NamesServers, GradientAPIHandler, UserServerAPIHandler
):
    """POST, PUT, PATCH, DELETE on a server. Bodies are parsed before anything is stored."""

    _found: Any = None

    def find_user(self, name: str) -> Any:
        """The hub's user, asked of its database once a request: ours and theirs both need it."""
        if self._found is None or self._found.name != name:
            self._found = super().find_user(name)
        return self._found

    def get_json_body(self) -> Any:
        """The body as JSON of a bounded size."""
        if len(self.request.body) > LONGEST_BODY:
            raise self.refuse(
                Refused(
                    "bad_body",
                    f"The body has {len(self.request.body)} bytes.",
                    f"At most {LONGEST_BODY} are taken.",
                )
            )
        try:
            body = super().get_json_body()
        except RecursionError:
            raise self.refuse(Refused("bad_body", "The body is nested too deeply.")) from None
        except web.HTTPError as error:
            raise self.refuse(
                Refused("bad_body", "The body is not JSON.", "Send a JSON object.")
            ) from error
        if self.request.method == "PATCH":
            return self._patch_body(body)
        return body

    def get_server_json_body(self) -> dict[str, Any]:
        """The hub's form of the body, its options parsed and its name checked."""
        given = self.get_json_body()
        # An empty list or a zero is no request either: it would start with the saved options.
        if given is not None and not isinstance(given, dict):
            raise self.refuse(
                Refused("bad_body", "The body is not a JSON object.",
                        'Send for example {"user_options": {"instance_type": "c3"}}.')
            )  # fmt: skip
        if given and not given.keys().isdisjoint(START_KEYS):
            self._only(given, START_KEYS, "does not belong beside user_options")
        body: dict[str, Any] = super().get_server_json_body()
        return self._checked(body)

    def _only(self, body: dict[str, Any], known: tuple[str, ...], why: str) -> None:
        for key in body:
            if key not in known:
                raise self.refuse(
                    Refused("unknown_option", f"{shown(key)} {why}.",
                            f"Known keys: {', '.join(known)}.", field=shown(key, 40))
                )  # fmt: skip

    def _patch_body(self, body: Any) -> dict[str, Any]:
        if not isinstance(body, dict) or not body:
            raise self.refuse(
                Refused("bad_body", "The body is not a JSON object with something to change.",
                        f"Known keys: {', '.join(PATCH_KEYS)}.")
            )  # fmt: skip
        self._only(body, PATCH_KEYS, "cannot be changed")
        if "name" in body and not isinstance(body["name"], str):
            raise self.refuse(Refused("bad_name", "name is not text.", field="name"))
        if "user_options" in body and not isinstance(body["user_options"], dict):
            raise self.refuse(
                Refused("bad_body", "user_options is not an object.", field="user_options")
            )
        return self._checked(body)

    def _checked(self, body: dict[str, Any]) -> dict[str, Any]:
        try:
            if body.get("display_name"):
                body["display_name"] = parse_display_name(body["display_name"])
            if body.get("user_options") is not None:
                given = with_default_type(
                    body["user_options"], self.context.settings.default_instance_type
                )
                body["user_options"] = parse_options(given).as_json()
        except Refused as refused:
            raise self.refuse(refused) from None
        return body

    @needs_scope("start:servers")
    async def post(self, user_name: str, server_name: str = "") -> None:
        """Start. A refused start of a new named server leaves no server behind."""
        user = self.find_user(user_name)
        known = user is not None and (not server_name or server_name in user.orm_spawners)
        try:
            await super().post(user_name, server_name)
        except web.HTTPError:
            if user is not None and not known:
                forget_server(self, user, server_name)
            raise
        except asyncio.CancelledError:
            # The start was cancelled by a DELETE while this request waited for it; the request
            # itself was not, and deserves an answer.
            own_image = user is not None and "image" in user.spawners[server_name].user_options
            raise self.refuse(
                Refused(
                    "start_cancelled",
                    "The start was cancelled.",
                    "On a paid machine an image of your own is charged from its container's start."
                    if own_image
                    else "Nothing was charged.",
                )
            ) from None

    @needs_scope("delete:servers")
    async def delete(self, user_name: str, server_name: str = "") -> None:
        """Stop; who asks, and so why, is written with the lease.

        The body may name the `lease` that is meant, so that a server started anew since is not
        stopped by mistake, and say `why` to the owner. Only the keeper gives a `reason`.
        """
        body = self._stop_body()
        user = self.find_user(user_name)
        spawner = user and user.spawners.get(server_name)
        if spawner is not None and hasattr(spawner, "expect_stop"):
            try:
                await until_checked(spawner)
            except Refused as refused:
                raise self.refuse(refused) from None
            if body.lease and spawner.active and body.lease != spawner.lease_id:
                raise self.refuse(another_lease(server_name or "default"))
            spawner.expect_stop(*await self._why(user, spawner, body), body.why)
        try:
            await super().delete(user_name, server_name)
        except ServerGone:
            # The interrupted start, or another request, has removed it meanwhile.
            self.set_header("Content-Type", "text/plain")
            self.set_status(204)
            return
        if body.remove and self.get_status() == 204 and not await self._removed(user, server_name):
            self.set_status(202)

    async def _removed(self, user: Any, server_name: str) -> bool:
        """Wait a while until the server's row is gone; return whether it is.

        The hub removes it behind its answer, and our mark in the ledger takes it longer: whoever
        was told 204 would find the server there, counted against their limit.
        """
        for _ in range(round(REMOVAL_SECONDS / REMOVAL_STEP)):
            if server_name not in user.orm_spawners:
                return True
            await asyncio.sleep(REMOVAL_STEP)
        return False

    async def stop_single_user(self, user: Any, server_name: str = "") -> Any:
        """Stop; an interrupted start is first let tidy up after itself.

        JupyterHub calls it a second after the interruption, and fails where that takes longer.
        """
        # To ask the hub for a spawner makes one.
        if server_name not in user.spawners:
            raise ServerGone
        spawner = user.spawners[server_name]
        start = start_under_way(spawner)
        if await until_interrupted(spawner, self.slow_stop_timeout):
            if server_name not in user.spawners or started_since(spawner, start):
                raise ServerGone
            return await super().stop_single_user(user, server_name)
        # Answered with "on its way"; whoever removes the server waits for this.
        return finish_interrupted(self.settings["app"], user, spawner)

    def _stop_body(self) -> "StopBody":
        given = self.get_json_body() if self.request.body else {}
        try:
            return StopBody.model_validate(given or {})
        except ValidationError as fault:
            error = fault.errors()[0]
            field = ".".join(str(part) for part in error["loc"])
            raise self.refuse(
                Refused("bad_body", f"{shown(field or 'The body')}: {error['msg']}.",
                        "Known keys: remove, lease, why, reason.", field=field or None)
            ) from None  # fmt: skip

    async def _why(self, user: Any, spawner: Any, body: "StopBody") -> tuple[Reason, str]:
        reason, who = asked_by(self.current_user, user)
        if who == f"service {KEEPER}" and body.reason:
            return Reason(body.reason), "keeper"
        if who == f"service {CULLER}":
            return await self._culled(spawner), who
        return reason, who

    async def _culled(self, spawner: Any) -> Reason:
        """Which of a lease's deadlines the culler found passed: a hard end, or idleness."""
        try:
            row = await self.context.ledger.aread(leases.describe, spawner.lease_id)
        except LedgerAway:
            row = None
        if row is None:
            return Reason.IDLE
        hard = Deadlines(None, stop_at=row["stop_at"], session_ends_at=row["session_ends_at"])
        verdict = cull(None, hard, self.context.clock())
        return verdict.reason if isinstance(verdict, Stop) else Reason.IDLE


class GradientUserAPIHandler(GradientAPIHandler, UserAPIHandler):
    """PATCH and DELETE on a user.

    A renamed user's account is renamed at once. Before a deletion their notebooks are stopped,
    named ones too: the hub stops the default server only and then fails half-way, with the account
    closed and the default notebook marked as deleted, while the user and the named server stay.
    """

    @needs_scope("admin:users")
    async def patch(self, user_name: str) -> None:
        """Change; the keeper knows people by name, and the old name may be given to another."""
        user = self.find_user(user_name)
        await super().patch(user_name)
        if user is not None and user.name != user_name:
            await self.authenticator.note_name(user)

    @needs_scope("delete:users")
    async def delete(self, user_name: str) -> None:
        """Stop all that runs, then delete."""
        user = self.find_user(user_name)
        if user is not None and user.name != self.current_user.name:
            for name, spawner in list(user.spawners.items()):
                if spawner.active and not spawner.pending:
                    spawner.expect_stop(Reason.ADMIN, self.current_user.name)
                    await self.stop_single_user(user, name)
                if spawner.pending:
                    raise self.refuse(
                        Refused(
                            "still_stopping",
                            f"The notebook {shown(name or 'default')} of {shown(user.name)} still"
                            " starts or stops.",
                            "Try again in a moment.",
                        )
                    )
        await super().delete(user_name)


class ServersHandler(GradientAPIHandler):
    """GET: the hub's live servers and the engine's census, cheap, for the keeper and admins."""

    @needs_scope("read:servers")
    async def get(self) -> None:
        """`settled` is false until hub, engine and ledger were compared after a start; that of a
        server, while the hub still checks whether it runs.

        With access:servers for all, each server's own token comes too: it opens that server only,
        which its owner's code may read, so that nothing larger has to be shown to it. It comes only
        with an address at which the engine shows that very server.
        """
        if self.parsed_scopes["read:servers"] != Scope.ALL:
            raise web.HTTPError(403, "This needs read:servers for all users.")
        with_tokens = self.parsed_scopes.get("access:servers") == Scope.ALL
        context = self.context
        if with_tokens:
            await server_token.renew_missing(self.settings["app"])
        try:
            census = await context.engine.census()
            away = None
            cpu = context.engine.readings.latest(census or [], context.clock)
        except EngineAway as error:
            census, away, cpu = None, shown(str(error), 200), {}
        located = await located_servers(self.settings["app"], census, away=bool(away))
        self.write(
            json.dumps(
                {
                    "hub_id": context.settings.hub_id,
                    "settled": context.settled,
                    "servers": [
                        server
                        | ({"token": (sure and spawner.api_token) or None} if with_tokens else {})
                        for user, spawner, sure in located
                        if (server := _server(user, spawner))
                    ],
                    "census": census
                    and [
                        {
                            "object": found.name,
                            "lease_id": found.lease_id,
                            "alive": found.alive,
                            "exit_code": found.exit_code,
                            "detail": found.detail,
                            **_cpu(cpu.get(found.lease_id)),
                        }
                        for found in census
                    ],
                    "engine_away": away,
                }
            )
        )


def _cpu(reading: CpuReading | None) -> dict[str, Any]:
    """Return an object's CPU time and when it was read; null where it is not known."""
    return {
        "cpu_seconds": reading and reading.seconds,
        "cpu_at": reading and reading.at.isoformat(),
    }


async def located_servers(
    app: Any, census: Sequence[Found] | None, *, away: bool
) -> list[tuple[Any, Any, bool]]:
    """(user, spawner, whether the engine shows it at its address) of all servers.

    What has moved since its address was read is looked up, for LOCATE_SECONDS at most.
    """
    objects = {found.lease_id: found for found in census or () if found.lease_id}
    servers = [
        (user, spawner)
        for user in list(app.users.values())
        for spawner in list(user.spawners.values())
    ]
    moved = [
        asyncio.ensure_future(follow(spawner, found))
        for _, spawner in servers
        if (found := objects.get(getattr(spawner, "lease_id", "")))
        and found.alive
        and not spawner.pending
        and not is_located(spawner, found)
    ]
    if moved:
        await asyncio.wait(moved, timeout=LOCATE_SECONDS)
    if census is None:
        return [(user, spawner, not away) for user, spawner in servers]
    return [
        (user, spawner, is_located(spawner, objects.get(getattr(spawner, "lease_id", ""))))
        for user, spawner in servers
    ]


def _server(user: Any, spawner: Any) -> dict[str, Any] | None:
    """A server that is active; None for one that is not."""
    row: orm.Spawner = spawner.orm_spawner
    # The hub's own `active` and `ready` each ask these again, which for thousands of servers is
    # most of this request's time.
    pending, server = spawner.pending, spawner.server
    if not pending and server is None:
        return None
    ready = not pending
    return {
        "user": user.name,
        "server": spawner.name,
        "lease_id": getattr(spawner, "lease_id", "") or None,
        "ready": ready,
        "settled": pending != "check",
        "pending": pending or None,
        "url": server.url if ready else None,
        "last_activity": row.last_activity.isoformat() + "Z" if row.last_activity else None,
    }


def handlers() -> list[tuple[str, type]]:
    """Routes below /hub; the first three stand before the hub's own of the same address."""
    return [
        (r"/api/users/([^/]+)", GradientUserAPIHandler),
        (r"/api/users/([^/]+)/server", GradientServerAPIHandler),
        (r"/api/users/([^/]+)/servers/([^/]*)", GradientServerAPIHandler),
        (r"/api/gradient/servers", ServersHandler),
    ]
