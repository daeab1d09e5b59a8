"""A start on its way, as page and as JSON; and a start that failed, with what to do now."""

import asyncio
import json
import math
from dataclasses import asdict, dataclass, replace
from datetime import timedelta

from jupyterhub.handlers.pages import SpawnPendingHandler
from jupyterhub.scopes import needs_scope
from jupyterhub.user import User
from jupyterhub.utils import url_escape_path, url_path_join
from tornado import web

from ..ledger import LedgerAway, accounts, leases
from ..ledger.offers import StartSeen
from ..rules.catalog import Catalog
from ..rules.duration import format_duration
from ..rules.lease import Lease
from ..rules.money import format_price, format_rounded
from ..rules.refusal import Refused
from ..spawners.base import GradientSpawner
from ..spawners.context import HubContext, hub_user
from ..spawners.offer import start_seen
from ..spawners.refused import StartRefused
from ..views.form import INTERFACE_TITLES
from ..views.start import Step, phases, seconds_since_admission, usual_text
from .base_handler import GradientHandler
from .server_row import title_of_row
from .stopping import stop_server
from .users_api import GradientAPIHandler

#: Seconds; an answer that a proxy on the way has given up is of no use.
LONGEST_WAIT = 20.0


@dataclass(frozen=True)
class Failure:
    """Why a start failed, in public words. `code` is empty where it is none of ours."""

    message: str
    hint: str
    code: str
    status: int


@dataclass(frozen=True)
class StartView:
    """All that the pending page prints. `state`: starting, stopping, checking or failed."""

    state: str
    title: str
    machine: str = ""
    price: str = ""
    nothing: str = ""
    steps: tuple[Step, ...] = ()
    elapsed: float = 0.0
    usual: str = ""
    idle_stop: str = ""
    patience: str = ""
    json_url: str = ""
    form_url: str = ""
    help_url: str = ""
    support_email: str = ""
    failure: Failure | None = None


def failure_of(error: BaseException | None) -> Failure:
    """Turn an exception of a start into public words.

    What is not meant for people stays in the log.
    """
    if isinstance(error, StartRefused):
        refused = error.refused
        return Failure(refused.message, refused.hint, refused.code, refused.status)
    if isinstance(error, TimeoutError):
        return Failure("It did not start in time.", "Try again in a minute.", "", 500)
    status = error.status_code if isinstance(error, web.HTTPError) else 500
    message = getattr(error, "jupyterhub_message", None)
    if not message and isinstance(error, web.HTTPError) and status < 500:
        message = getattr(error, "message", "") or error.log_message
    if message:
        return Failure(str(message), "", "", status)
    return Failure(
        "The hub could not start it.",
        "Your administrator can see why in the hub’s log. Try again, or ask there.",
        "",
        status,
    )


def describe_machine(lease: Lease, catalog: Catalog) -> str:
    """Return a lease's machine, runtime and interface in one line: "P5000 · Quadro P5000 · ..."."""
    machine = catalog.instance_type(lease.instance_type)
    runtime = catalog.runtime(lease.runtime or "")
    parts = [machine.title if machine else lease.instance_type]
    if machine and machine.gpu_model:
        many = f"{machine.gpus} × " if machine.gpus > 1 else ""
        parts.append(f"{many}{machine.gpu_model}")
    parts += [
        f"{lease.cpus:g} vCPU",
        f"{lease.memory:g} GB RAM",
        runtime.title if runtime else lease.image or lease.runtime or "",
        INTERFACE_TITLES.get(lease.interface, lease.interface),
    ]
    return " · ".join(part for part in parts if part)


class GradientSpawnPendingHandler(GradientHandler, SpawnPendingHandler):
    """/hub/spawn-pending/...: a start with its phases, or why it failed. Starts nothing."""

    @web.authenticated
    @needs_scope("servers")
    async def get(self, user_name: str, server_name: str = "") -> None:
        """Render the page of a server that starts, stops or did not start.

        Redirect to one that runs.
        """
        user, spawner = self._find_server(user_name, server_name)
        if spawner.ready:
            self.redirect(self.get_next_url(default=user.server_url(server_name)))
        elif spawner._failed:
            await self._show_failed(user, spawner)
        elif spawner.pending:
            await self._show_pending(user, spawner)
        else:
            html = await self.render_template(
                "not_running.html",
                user=self.current_user,
                server_name=title_of_row(spawner.orm_spawner) if server_name else "",
                spawn_url=self.address_of("spawn", user, server_name),
                auth_state=await user.get_auth_state(),
            )
            self.finish(html)

    @web.authenticated
    async def post(self, user_name: str, server_name: str = "") -> None:
        """Handle the page's own button: stop this notebook, also while it starts."""
        await self._post(user_name, server_name)

    @needs_scope("delete:servers")
    async def _post(self, user_name: str, server_name: str) -> None:
        user, _ = self._find_server(user_name, server_name)
        try:
            await stop_server(self, user, server_name)
        except Refused as refused:
            raise StartRefused(refused) from None
        self.redirect(url_path_join(self.hub.base_url, "home"), status=303)

    def _find_server(self, user_name: str, server_name: str) -> tuple[User, GradientSpawner]:
        user = self.find_owner(user_name)
        if server_name and server_name not in user.orm_spawners:
            raise web.HTTPError(404, f"{user.name} has no such server {server_name}")
        return user, user.spawners[server_name]

    async def _show_pending(self, user: User, spawner: GradientSpawner) -> None:
        context, now = self.context, self.context.clock()
        state = {"stop": "stopping", "check": "checking"}.get(spawner.pending, "starting")
        view = self._build_view(state, user, spawner)
        if state == "starting":
            seen = await _see_start(context, spawner)
            catalog = context.settings.house.catalog
            view = replace(
                view,
                steps=tuple(phases(seen.lease, seen.place, now, download=seen.download)),
                elapsed=seconds_since_admission(seen.lease, now),
                usual=usual_text(seen.usual).removeprefix("Usually "),
                nothing=format_rounded(0, catalog.currency),
                patience=format_duration(timedelta(seconds=context.settings.answer_timeout)),
            )
            if seen.lease is not None:
                after = seen.lease.shutdown_after
                view = replace(
                    view,
                    machine=describe_machine(seen.lease, catalog),
                    price=format_price(seen.lease.price, seen.lease.currency),
                    idle_stop=format_duration(after) if after else "",
                )
        await self._show(view)

    async def _show_failed(self, user: User, spawner: GradientSpawner) -> None:
        failure = failure_of(spawner._spawn_future.exception())
        self.log.info("Showing why %s did not start: %s", spawner._log_name, failure.message)
        view = replace(self._build_view("failed", user, spawner), failure=failure)
        if failure.code in ("", "start_failed"):
            view = await self._with_last_try(view, user, spawner.name)
        self.set_status(failure.status)
        await self._show(view)

    async def _with_last_try(self, view: StartView, user: User, server_name: str) -> StartView:
        """Add to the page how far the failed start came, if it was admitted at all."""
        context, now = self.context, self.context.clock()
        try:
            account = await context.ledger.aread(
                accounts.look_up, hub_id=context.settings.hub_id, user=hub_user(user)
            )
            if account is None:
                return view
            lease = await context.ledger.aread(
                leases.find_last, account_id=account.id, server_name=server_name
            )
        except LedgerAway:
            return view
        if lease is None or lease.answered_at is not None:
            return view
        return replace(
            view,
            steps=tuple(phases(lease, 0, now, failed=True)),
            machine=describe_machine(lease, context.settings.house.catalog),
        )

    def _build_view(self, state: str, user: User, spawner: GradientSpawner) -> StartView:
        settings = self.context.settings
        return StartView(
            state=state,
            title=title_of_row(spawner.orm_spawner),
            # Ends with a slash for the default notebook, whose name is empty.
            json_url=url_path_join(self.hub.base_url, "api/gradient/starts", user.escaped_name)
            + "/"
            + url_escape_path(spawner.name),
            form_url=self.address_of("spawn", user, spawner.name),
            help_url=settings.help_url,
            support_email=settings.support_email,
        )

    async def _show(self, view: StartView) -> None:
        html = await self.render_template(
            "gradient/pending.html", start=view, action=self.request.uri
        )
        self.finish(html)


async def _see_start(context: HubContext, spawner: GradientSpawner) -> StartSeen:
    """Return how far the start has come; nothing of it while the ledger is away."""
    try:
        return await start_seen(context, spawner.lease_id)
    except Refused:
        return StartSeen(None, 0, None)


class StartPhasesHandler(GradientAPIHandler):
    """GET /hub/api/gradient/starts/{user}/{server}: what the pending page shows, for its script."""

    @needs_scope("read:servers")
    async def get(self, user_name: str, server_name: str = "") -> None:
        """Answer `ready` with the notebook's address, or `failed` with the words of the refusal.

        With `?wait=SECONDS` the answer comes once the start has ended, at the latest after so many.
        """
        wait = self._read_wait()
        user = self.find_user(user_name)
        if user is None or (server_name and server_name not in user.orm_spawners):
            raise web.HTTPError(404, "No such notebook")
        spawner, context = user.spawners[server_name], self.context
        if wait and spawner.pending == "spawn" and spawner._spawn_future:
            await asyncio.wait([spawner._spawn_future], timeout=wait)
        seen = await _see_start(context, spawner)
        failed = None
        if spawner._failed:
            failed = asdict(failure_of(spawner._spawn_future.exception()))
        now = context.clock()
        self.write(
            json.dumps(
                {
                    "ready": bool(spawner.ready),
                    "pending": spawner.pending or None,
                    "url": user.server_url(server_name) if spawner.ready else None,
                    "failed": failed,
                    "elapsed": seconds_since_admission(seen.lease, now),
                    "usual": usual_text(seen.usual),
                    "phases": [
                        asdict(phase)
                        for phase in phases(seen.lease, seen.place, now, download=seen.download)
                    ],
                }
            )
        )

    def _read_wait(self) -> float:
        asked = self.get_argument("wait", "0")
        try:
            wait = float(asked)
        except ValueError:
            wait = math.nan
        if not 0 <= wait <= LONGEST_WAIT:
            raise web.HTTPError(
                400, f"wait is {asked!r}; it is a number of seconds from 0 to {LONGEST_WAIT:g}"
            )
        return wait
