"""Who asks the keeper: people with cookies, programs with tokens; and what their hub scopes allow.

| what | who may |
|---|---|
| one's own leases, usage, audit; extend one's own | whoever may visit the service |
| everybody's leases, the fleet, findings, the audit | `read:servers` for all |
| extend another's | `start:servers` for all |
| credits, budgets, approvals | an admin with `read:servers` for all; a service with `admin:users` |
| stop another's | the visitor's own token is shown to the hub, which decides |
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Concatenate, NotRequired, ParamSpec, TypedDict, TypeVar

from jupyterhub.services.auth import HubOAuth, HubOAuthenticated
from tornado import web

from ..ledger import By, LedgerAway, Transaction
from ..rules.refusal import Refused, error_body, ledger_away
from ..settings import Published
from .context import KeeperContext

log = logging.getLogger("gradienthub")
P = ParamSpec("P")
R = TypeVar("R")
SAFE = ("GET", "HEAD", "OPTIONS")


class HubModel(TypedDict):
    """The hub's model of a user or a service, as far as it is read."""

    name: str
    kind: NotRequired[str]
    admin: NotRequired[bool]
    scopes: NotRequired[list[str]]
    groups: NotRequired[list[str]]


@dataclass(frozen=True)
class Visitor:
    """Who asks, by the hub's word on their token."""

    name: str
    kind: str
    admin: bool
    scopes: frozenset[str]
    #: Of the hub; what the identity provider said is with the account.
    groups: frozenset[str] = frozenset()

    def is_user(self, name: str) -> bool:
        """Return whether they are the hub's user of that name; a service may be called like
        a user."""
        return self.kind == "user" and self.name == name

    @property
    def sees_all(self) -> bool:
        """Everybody's leases, the fleet and the audit."""
        return "read:servers" in self.scopes

    @property
    def extends_all(self) -> bool:
        """Another's notebook."""
        return "start:servers" in self.scopes

    @property
    def runs_money(self) -> bool:
        """Credits, budgets, tiers and approvals."""
        if self.kind == "service":
            return "admin:users" in self.scopes
        return self.admin and self.sees_all

    @property
    def actor(self) -> str:
        """Their name in the audit."""
        return self.name if self.kind == "user" else f"service {self.name}"


def visitor_of(model: HubModel) -> Visitor:
    """Return the visitor of a hub's user or service model."""
    return Visitor(
        name=model["name"],
        kind=model.get("kind", "user"),
        admin=bool(model.get("admin")),
        scopes=frozenset(model.get("scopes", ())),
        groups=frozenset(model.get("groups", ())),
    )


def log_request(handler: web.RequestHandler) -> None:
    """Log one line a request, without the query, where codes and tokens may be."""
    request, status = handler.request, handler.get_status()
    level = logging.INFO if status < 400 else logging.WARNING
    took = 1000 * request.request_time()
    log.log(level, "%s %s %s %.0f ms", status, request.method, request.path[:200], took)


class KeeperHandler(HubOAuthenticated, web.RequestHandler):
    """A handler with its visitor. Refusals are raised as they are; subclasses print them."""

    visitor: Visitor

    @property
    def hub_auth(self) -> HubOAuth:
        """The hub's word on tokens."""
        auth: HubOAuth = self.settings["hub_auth"]
        return auth

    @property
    def context(self) -> KeeperContext:
        """What this keeper shares."""
        context: KeeperContext = self.settings["context"]
        return context

    @property
    def by(self) -> By:
        """Who acts, at which hub, and when, for the audit."""
        return By(self.context.hub_id, self.visitor.actor, self.context.clock())

    @property
    def by_token(self) -> bool:
        """Whether a token asks, as programs do, and no person's cookie."""
        return "Authorization" in self.request.headers or "token" in self.request.arguments

    @property
    def published(self) -> Published:
        """The hub's settings. Refused while they were not read yet."""
        if self.context.published is None:
            raise Refused(
                "keeper_starting",
                "The keeper starts.",
                "Try again in a moment.",
                retry_after=timedelta(seconds=5),
            )
        return self.context.published

    async def prepare(self) -> None:
        """Find out who asks, without holding up the loop, and check forged changes."""
        # Theirs asks the hub synchronously; everything here serves one loop.
        model = await self.hub_auth.get_user(self, sync=False)
        if model and not self.hub_auth.check_scopes(self.hub_scopes or set(), model):
            raise web.HTTPError(403, "Your token may not visit this service.")
        if not model:
            self.unknown()
            return
        self.visitor = visitor_of(model)
        if self.request.method not in SAFE:
            self.hub_auth.check_xsrf_cookie(self)

    def unknown(self) -> None:
        """Refuse a visitor who has not logged in."""
        raise web.HTTPError(401, "Log in, or send a token of the hub.")

    def get_current_user(self) -> HubModel | None:
        """Return the model that prepare() found."""
        model: HubModel | None = getattr(self, "_cached_hub_user", None)
        return model

    def set_default_headers(self) -> None:
        """Set headers: no page of ours is shown in a frame of another site, and no cache
        keeps it."""
        self.set_header("Content-Security-Policy", "frame-ancestors 'none'")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store")
        self.clear_header("Server")

    async def read(
        self, function: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Read the ledger. Refuses in words if it is away."""
        try:
            return await self.context.ledger.aread(function, *args, **kwargs)
        except LedgerAway as away:
            raise ledger_away("Nothing can be shown now") from away

    async def record(
        self, function: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Write to the ledger. Refuses in words if it is away."""
        try:
            return await self.context.ledger.awrite(function, *args, **kwargs)
        except LedgerAway as away:
            raise ledger_away("Nothing was changed") from away

    def need(self, allowed: bool, what: str) -> None:
        """Refuse a visitor who may not."""
        if not allowed:
            raise Refused(
                "not_allowed",
                f"You may not {what}.",
                "Ask an administrator, or use a token that may.",
            )

    def refused_of(self, status: int, **kwargs: object) -> Refused:
        """Turn a failure of a request into a refusal, without internal details."""
        error = _error_of(kwargs)
        if isinstance(error, Refused):
            return error
        if status >= 500:
            return Refused("failed", "The keeper could not do this.", "Its log says why.")
        codes = {401: "not_logged_in", 403: "not_allowed", 404: "not_found", 405: "bad_method"}
        reason = error.log_message if isinstance(error, web.HTTPError) else None
        words = reason or {404: "There is no such page.", 405: "It cannot be done this way."}.get(
            status, "The request makes no sense."
        )
        return Refused(codes.get(status, "bad_body"), words)

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log an exception, but no refusal, which is not a fault of ours."""
        if not isinstance(value, Refused):
            super().log_exception(typ, value, tb)

    def send_error(self, status_code: int = 500, **kwargs: object) -> None:
        """Send an error. A refusal has its own status."""
        error = _error_of(kwargs)
        status = error.status if isinstance(error, Refused) else status_code
        super().send_error(status, **kwargs)

    def write_error(self, status_code: int, **kwargs: object) -> None:
        """Write the one JSON shape of an error."""
        refused = self.refused_of(status_code, **kwargs)
        if refused.retry_after is not None:
            self.set_header("Retry-After", str(round(refused.retry_after.total_seconds())))
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(error_body(refused, status=status_code)))


def _error_of(kwargs: Mapping[str, object]) -> object:
    """Return the exception among what Tornado tells of a failure."""
    raised = kwargs.get("exc_info")
    return raised[1] if isinstance(raised, tuple) else None
