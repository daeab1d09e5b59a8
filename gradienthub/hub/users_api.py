"""The hub's REST calls on servers and users, held to our rules."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any, TypedDict, cast

from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.apihandlers.users import UserAPIHandler, UserServerAPIHandler
from jupyterhub.scopes import needs_scope
from jupyterhub.user import User
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from tornado import web

from ..ledger import LedgerAway, leases
from ..rules.idleness import DECIDED, Reason, Stop, cull
from ..rules.options import parse_display_name, parse_options, with_default_type
from ..rules.refusal import Refused, another_lease, error_body, shown
from ..spawners.base import GradientSpawner
from ..spawners.refused import StartRefused
from .base_handler import GradientHandler
from .named_servers import ChecksNamedServers
from .server_row import title_of_row
from .stopping import (
    attribute_stop,
    finish_interrupted,
    forget_server,
    has_started_since,
    start_under_way,
    wait_until_checked,
    wait_until_interrupted,
)

#: The small mode's culler service.
CULLER = "gradient-idle-culler"
#: The keeper: the managed service at /services/gradient/.
KEEPER = "gradient"
#: What it may do with its own token: read which servers run, be told each one's own token to ask
#: it about its use, and stop those that are due. It starts nothing and reads no user. Its own token
#: is never shown to a notebook, where whoever runs code could read it.
KEEPER_SCOPES = ("read:servers", "access:servers", "delete:servers")
#: Bytes of a request body on a server; its longest honest one is well below 2,000.
LONGEST_BODY = 16_384
PATCH_KEYS = ("name", "display_name", "user_options")
#: JupyterHub's own keys of a start. A body without any of them is the options themselves.
START_KEYS = ("display_name", "user_options")
#: How long a DELETE that removes its server waits for that, and how often it looks.
REMOVAL_SECONDS, REMOVAL_STEP = 5.0, 0.02


class ServerBody(TypedDict, total=False):
    """The body of a request on a server, before it is checked."""

    name: object
    display_name: object
    user_options: object


class ServerGone(Exception):
    """A named server that was to be stopped is not there any more."""


class StopBody(BaseModel):
    """The body of a DELETE on a server: the hub's `remove`, and ours."""

    model_config = ConfigDict(extra="forbid")

    remove: bool = False
    lease: str = Field(default="", max_length=36)
    why: str = Field(default="", max_length=400)
    reason: str = ""

    @field_validator("reason")
    @classmethod
    def _check_reason(cls, reason: str) -> str:
        if reason and reason not in DECIDED:
            raise ValueError(f"it is none of {', '.join(sorted(DECIDED))}")
        return reason

    @field_validator("why")
    @classmethod
    def _clean_why(cls, why: str) -> str:
        return "".join(c if c.isprintable() else " " for c in why).strip()


class GradientAPIHandler(GradientHandler, APIHandler):
    """An API handler whose refusals have one JSON shape."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Write a refusal with code, hint and field beside the hub's own status and message."""
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


class GradientServerAPIHandler(ChecksNamedServers, GradientAPIHandler, UserServerAPIHandler):
    """POST, PUT, PATCH, DELETE on a server. Bodies are parsed before anything is stored."""

    _user: User | None = None

    def find_user(self, name: str) -> User | None:
        """Return the hub's user, asked of its database once a request: ours and theirs both need
        it."""
        if self._user is None or self._user.name != name:
            self._user = super().find_user(name)
        return self._user

    def get_json_body(self) -> object:
        """Return the body as JSON of a bounded size."""
        if len(self.request.body) > LONGEST_BODY:
            raise self.refuse(
                "bad_body",
                f"The body has {len(self.request.body)} bytes.",
                f"At most {LONGEST_BODY} are taken.",
            )
        try:
            body = super().get_json_body()
        except RecursionError:
            raise self.refuse("bad_body", "The body is nested too deeply.") from None
        except web.HTTPError as error:
            raise self.refuse("bad_body", "The body is not JSON.", "Send a JSON object.") from error
        if self.request.method == "PATCH":
            return self._parse_patch(body)
        return body

    def get_server_json_body(self) -> ServerBody:
        """Return the hub's form of the body, its options parsed and its name checked."""
        sent = self.get_json_body()
        # An empty list or a zero is no request either: it would start with the saved options.
        if sent is not None and not isinstance(sent, dict):
            raise self.refuse(
                "bad_body",
                "The body is not a JSON object.",
                'Send for example {"user_options": {"instance_type": "c3"}}.',
            )
        if sent and not sent.keys().isdisjoint(START_KEYS):
            self._refuse_unknown(sent, START_KEYS, "does not belong beside user_options")
        return self._parse_values(super().get_server_json_body())

    def _refuse_unknown(self, sent: Iterable[str], known: tuple[str, ...], why: str) -> None:
        for key in sent:
            if key not in known:
                raise self.refuse(
                    "unknown_option",
                    f"{shown(key)} {why}.",
                    f"Known keys: {', '.join(known)}.",
                    field=shown(key, 40),
                )

    def _parse_patch(self, body: object) -> ServerBody:
        if not isinstance(body, dict) or not body:
            raise self.refuse(
                "bad_body",
                "The body is not a JSON object with something to change.",
                f"Known keys: {', '.join(PATCH_KEYS)}.",
            )
        self._refuse_unknown(body, PATCH_KEYS, "cannot be changed")
        if "name" in body and not isinstance(body["name"], str):
            raise self.refuse("bad_name", "name is not text.", field="name")
        if "user_options" in body and not isinstance(body["user_options"], dict):
            raise self.refuse("bad_body", "user_options is not an object.", field="user_options")
        return self._parse_values(cast("ServerBody", body))

    def _parse_values(self, body: ServerBody) -> ServerBody:
        try:
            if display_name := body.get("display_name"):
                body["display_name"] = parse_display_name(display_name)
            if (options := body.get("user_options")) is not None:
                options = with_default_type(options, self.context.settings.default_instance_type)
                body["user_options"] = parse_options(options).as_json()
        except Refused as refused:
            raise StartRefused(refused) from None
        return body

    @needs_scope("start:servers")
    async def post(self, user_name: str, server_name: str = "") -> None:
        """Start the server. A refused start of a new named server leaves none behind."""
        user = self.find_user(user_name)
        is_new = user is not None and server_name and server_name not in user.orm_spawners
        try:
            await super().post(user_name, server_name)
        except web.HTTPError:
            if is_new:
                forget_server(user, server_name)
            raise
        except asyncio.CancelledError:
            # The start was cancelled by a DELETE while this request waited for it; the request
            # itself was not, and deserves an answer.
            own_image = user is not None and "image" in user.spawners[server_name].user_options
            raise self.refuse(
                "start_cancelled",
                "The start was cancelled.",
                "On a paid machine an image of your own is charged from its container's start."
                if own_image
                else "Nothing was charged.",
            ) from None

    @needs_scope("delete:servers")
    async def delete(self, user_name: str, server_name: str = "") -> None:
        """Stop the server, and write with the lease who asks and why.

        The body may name the `lease` that is meant, so that a server started anew since is not
        stopped by mistake, and say `why` to the owner. Only the keeper gives a `reason`.
        """
        body = self._parse_stop()
        user = self.find_user(user_name)
        spawner = user and user.spawners.get(server_name)
        if isinstance(spawner, GradientSpawner):
            try:
                await wait_until_checked(spawner)
            except Refused as refused:
                raise StartRefused(refused) from None
            if body.lease and spawner.active and body.lease != spawner.lease_id:
                raise StartRefused(another_lease(title_of_row(spawner.orm_spawner)))
            spawner.expect_stop(*await self._find_reason(user, spawner, body), body.why)
        try:
            await super().delete(user_name, server_name)
        except ServerGone:
            # The interrupted start, or another request, has removed it meanwhile.
            self.set_header("Content-Type", "text/plain")
            self.set_status(204)
            return
        if body.remove and self.get_status() == 204:
            await self._await_removal(user, server_name)

    async def _await_removal(self, user: User, server_name: str) -> None:
        """Wait a while until the server's row is gone; answer 202 where that takes longer.

        The hub removes it behind its answer, and our mark in the ledger takes it longer: whoever
        was told 204 would find the server there, counted against their limit.
        """
        for _ in range(round(REMOVAL_SECONDS / REMOVAL_STEP)):
            if server_name not in user.orm_spawners:
                return
            await asyncio.sleep(REMOVAL_STEP)
        self.set_status(202)

    async def stop_single_user(
        self, user: User, server_name: str = ""
    ) -> asyncio.Future[None] | None:
        """Stop a server once its interrupted start has tidied up after itself.

        JupyterHub calls it a second after the interruption, and fails where that takes longer.
        """
        # To ask the hub for a spawner makes one.
        if server_name not in user.spawners:
            raise ServerGone
        spawner = user.spawners[server_name]
        start = start_under_way(spawner)
        if await wait_until_interrupted(spawner, self.slow_stop_timeout):
            if server_name not in user.spawners or has_started_since(spawner, start):
                raise ServerGone
            future: asyncio.Future[None] | None = await super().stop_single_user(user, server_name)
            return future
        # Answered with "on its way"; whoever removes the server waits for this.
        return finish_interrupted(self.settings["app"], spawner)

    def _parse_stop(self) -> StopBody:
        sent = self.get_json_body() if self.request.body else {}
        try:
            return StopBody.model_validate(sent or {})
        except ValidationError as fault:
            error = fault.errors()[0]
            field = ".".join(str(part) for part in error["loc"])
            raise self.refuse(
                "bad_body",
                f"{shown(field or 'The body')}: {error['msg']}.",
                "Known keys: remove, lease, why, reason.",
                field=field or None,
            ) from None

    async def _find_reason(
        self, user: User, spawner: GradientSpawner, body: StopBody
    ) -> tuple[Reason, str]:
        reason, who = attribute_stop(self.current_user, user)
        if who == f"service {KEEPER}" and body.reason:
            return Reason(body.reason), "keeper"
        if who == f"service {CULLER}":
            return await self._find_deadline(spawner), who
        return reason, who

    async def _find_deadline(self, spawner: GradientSpawner) -> Reason:
        """Return which deadline of the lease the culler acts on: a hard end, or idleness."""
        try:
            lease = await self.context.ledger.aread(leases.describe, spawner.lease_id)
        except LedgerAway:
            lease = None
        if lease is None:
            return Reason.IDLE
        verdict = cull(None, lease.deadlines, self.context.clock())
        return verdict.reason if isinstance(verdict, Stop) else Reason.IDLE


class GradientUserAPIHandler(GradientAPIHandler, UserAPIHandler):
    """PATCH and DELETE on a user.

    A renamed user's account is renamed at once. Before a deletion their notebooks are stopped,
    named ones too: the hub stops the default server only and then fails half-way, with the account
    closed and the default notebook marked as deleted, while the user and the named server stay.
    """

    @needs_scope("admin:users")
    async def patch(self, user_name: str) -> None:
        """Change the user, and the account's name at once: another may get the old one."""
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
                title = title_of_row(spawner.orm_spawner)
                if spawner.active and not spawner.pending:
                    spawner.expect_stop(Reason.ADMIN, self.current_user.name)
                    await self.stop_single_user(user, name)
                if spawner.pending:
                    raise self.refuse(
                        "still_stopping",
                        f"The notebook {shown(title)} of {shown(user.name)} still starts or stops.",
                        "Try again in a moment.",
                    )
        await super().delete(user_name)


def handlers() -> list[tuple[str, type]]:
    """List the routes below /hub.

    The first three stand before the hub's own of the same address.
    """
    return [
        (r"/api/users/([^/]+)", GradientUserAPIHandler),
        (r"/api/users/([^/]+)/server", GradientServerAPIHandler),
        (r"/api/users/([^/]+)/servers/([^/]*)", GradientServerAPIHandler),
    ]
