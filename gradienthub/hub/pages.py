"""The hub's pages as ours: the spawn form, a start on its way, the notebooks, and their assets."""

import asyncio
import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from jupyterhub.handlers.pages import SpawnHandler
from jupyterhub.handlers.static import CacheControlStaticFilesHandler
from jupyterhub.scopes import needs_scope
from jupyterhub.user import User
from tornado import web
from tornado.httputil import url_concat

from ..rules.notebook import find_titled
from ..rules.options import options_from_form, parse_display_name, parse_options, slug_of
from ..rules.refusal import Refused, shown
from ..spawners.base import GradientSpawner
from ..spawners.offer import offer_to
from ..spawners.refused import StartRefused
from ..spawners.spawn_form import load_view
from ..views.form import FormPage, FormView, Notice
from ..views.stock import Stock
from . import lease_api
from .machines_page import MachinesHandler
from .named_servers import ChecksNamedServers
from .notebooks import NotebooksHandler
from .server_row import titles_of
from .starts import GradientSpawnPendingHandler, StartPhasesHandler, failure_of
from .stopping import forget_server
from .users_api import GradientAPIHandler

STATIC = Path(__file__).parent.parent / "static"
#: Words of the page's address that are not about the start.
PAGE_WORDS = ("next", "_xsrf")
LONGEST_SLUG = 30
#: Seconds in which what fails is said on the form itself, as the hub has it.
AT_ONCE = 1.0
#: Seconds that the form waits for an admission at most, where the deployer's hook is slow.
ADMISSION = 10.0
STEP = 0.1


class GradientSpawnHandler(ChecksNamedServers, SpawnHandler):
    """/hub/spawn...: the form. A link fills it in; only its own POST starts something."""

    #: Whether the form is for one more notebook: then one that runs is no reason to go there.
    one_more = False

    @needs_scope("servers")
    async def _get(self, user_name: str, server_name: str, display_name: str) -> None:
        """Render the form.

        The hub's get() calls this with its scope checked; it makes and starts nothing.
        """
        user = self.find_owner(user_name)
        if server_name:
            try:
                await self._check_named_server_request(user, server_name, server_name)
            except StartRefused as error:
                await self._show_refusal(user, server_name, {}, error)
                return
        if self._go_there(user, server_name):
            return
        query = {
            key: values[-1].decode("utf8", "replace")
            for key, values in self.request.query_arguments.items()
            if key not in PAGE_WORDS and values
        }
        await self._show_form(user, server_name, query=query)

    @needs_scope("servers")
    async def _post(self, user_name: str, server_name: str, display_name: str) -> None:
        """Start the server, or say why not. The hub's post() calls this with its scope checked."""
        user = self.find_owner(user_name)
        entries = {
            key: values[0].decode("utf8", "replace")
            for key, values in self.request.body_arguments.items()
            if key != "_xsrf" and values
        }
        if entries.pop("step", "start") == "quote":
            await self._show_form(user, server_name, entries)
            return
        if instead := entries.pop("instead", ""):
            entries["instance_type"] = instead
        try:
            await self._start(user, server_name, entries)
        except Refused as refused:
            await self._show_refusal(user, server_name, entries, StartRefused(refused))
        except StartRefused as error:
            await self._show_refusal(user, server_name, entries, error)
        except web.HTTPError as error:
            self.copy_headers(error)
            self.log.warning("Not started for %s: %s", user.name, error)
            await self._show_form(user, server_name, entries, error=error)

    async def _start(self, user: User, server_name: str, entries: Mapping[str, str]) -> None:
        options = parse_options(options_from_form({k: [v] for k, v in entries.items()})).as_json()
        display_name = titles_of(user).get(server_name, server_name)
        if not server_name:
            server_name, display_name = self._choose_name(user, entries, options)
        is_new = server_name not in user.orm_spawners
        if server_name:
            await self._check_named_server_request(user, server_name, display_name)
        if self._go_there(user, server_name, even_one_more=True):
            return
        spawner = user.get_or_create_spawner(server_name, display_name, replace_failed=True)
        try:
            await self._wrap_spawn_single_user(
                user,
                server_name,
                display_name,
                spawner,
                self._get_pending_url(user, server_name),
                options,
            )
        except web.HTTPError:
            if is_new:
                # Refused before it ever was: the name is free for the next try.
                forget_server(user, server_name)
            raise

    def _choose_name(
        self, user: User, entries: Mapping[str, str], options: Mapping[str, object]
    ) -> tuple[str, str]:
        """Return (server name, display name) of the notebook that the form named.

        Raises Refused.
        """
        typed = entries.get("display_name", "").strip()
        if not typed:
            if self.one_more and _runs(user, "") and not _is_starting(user, "", options):
                raise Refused(
                    "bad_name",
                    "This notebook has no name, and the one without a name is in use.",
                    "Give it a name.",
                    field="display_name",
                )
            return "", ""
        name = parse_display_name(typed)
        taken = find_titled(name, titles_of(user))
        if taken is not None:
            if _is_starting(user, taken, options):
                return taken, name  # the button was pressed twice
            raise Refused(
                "name_taken",
                f"You have a notebook named {shown(name)}.",
                "Choose another name, or start that one from your notebooks.",
                field="display_name",
            )
        return _free_slug(slug_of(name), user.orm_spawners), name

    def _go_there(self, user: User, server_name: str, even_one_more: bool = False) -> bool:
        """Redirect to a notebook that runs or is on its way. Return whether it does."""
        spawner = user.spawners.get(server_name)
        if spawner is None or not spawner.active:
            return False
        if self.one_more and not even_one_more:
            return False
        if spawner.ready:
            self.redirect(self.get_next_url(user, default=user.server_url(server_name)))
        else:
            self.redirect(self._get_pending_url(user, server_name))
        return True

    async def _wrap_spawn_single_user(
        self,
        user: User,
        server_name: str,
        display_name: str,
        spawner: GradientSpawner,
        pending_url: str,
        options: Mapping[str, object] | None = None,
    ) -> None:
        """Start it, and go to its pending page once it is admitted.

        The hub goes there after a second in any case; but a refusal belongs on the form, with
        its entries, however busy the hub is.
        """
        if spawner._spawn_future and spawner._spawn_future.done():
            spawner._spawn_future = None  # an explicit start: the failure before is forgotten
        start = asyncio.ensure_future(
            self.spawn_single_user(user, server_name, display_name, options=options)
        )
        # Who fails later says so on the pending page; nobody else asks this task for its outcome.
        start.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.wait([start], timeout=AT_ONCE)
        for _ in range(round(ADMISSION / STEP)):
            if start.done() or user.spawners[server_name].lease_id:
                break
            await asyncio.wait([start], timeout=STEP)
        if start.done() and (error := start.exception()):
            if isinstance(error, web.HTTPError):
                raise error
            self.log.error("Cannot start %s", spawner._log_name, exc_info=error)
            raise web.HTTPError(500, f"Unhandled error starting {spawner._log_name}")
        self.redirect(pending_url)

    async def _show_refusal(
        self, user: User, server_name: str, entries: Mapping[str, str], error: StartRefused
    ) -> None:
        self.copy_headers(error)
        self.log.info("Refused a start of %s: %s", user.name, error.refused.code)
        await self._show_form(user, server_name, entries, refused=error.refused)

    async def _show_form(
        self,
        user: User,
        server_name: str,
        entries: Mapping[str, str] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        refused: Refused | None = None,
        error: web.HTTPError | None = None,
    ) -> None:
        view = await load_view(
            user.spawner,
            entries,
            refused,
            query=query,
            page=self._describe_page(user, server_name),
            own=user is self.current_user,
        )
        if error is not None:
            view = _with_failure(view, error)
        if view.notice is not None:
            self.set_status(view.notice.status)
        action = self.request.path
        if after := self.get_argument("next", ""):
            action = url_concat(action, {"next": after})
        html = await self.render_template(
            "gradient/form.html",
            view=view,
            action=action,
            for_user=user,
            spawner=user.spawner,
            auth_state=await user.get_auth_state(),
        )
        self.finish(html)

    def _describe_page(self, user: User, server_name: str) -> FormPage:
        notebook = titles_of(user).get(server_name, server_name)
        title = f"Start {notebook}" if server_name else "New notebook"
        return FormPage(
            user_name=user.name,
            server_name=server_name,
            title=title,
            naming=not server_name,
            name_required=self.one_more and _runs(user, ""),
        )

    def _get_pending_url(self, user: User, server_name: str) -> str:
        return self.address_of("spawn-pending", user, server_name)


class NewNotebookHandler(GradientSpawnHandler):
    """/hub/new: the form for one more notebook, whatever runs already."""

    one_more = True


def _runs(user: User, server_name: str) -> bool:
    spawner = user.spawners.get(server_name)
    return spawner is not None and bool(spawner.active)


def _is_starting(user: User, server_name: str, options: Mapping[str, object]) -> bool:
    """Return whether a start with these very options is under way."""
    spawner = user.spawners.get(server_name)
    return (
        spawner is not None
        and spawner.pending == "spawn"
        and spawner.orm_spawner.user_options == options
    )


def _free_slug(slug: str, taken: Collection[str]) -> str:
    if slug not in taken:
        return slug
    number = 2
    while True:
        suffix = f"-{number}"
        candidate = slug[: LONGEST_SLUG - len(suffix)].rstrip("-") + suffix
        if candidate not in taken:
            return candidate
        number += 1


def _with_failure(view: FormView, error: web.HTTPError) -> FormView:
    failure = failure_of(error)
    notice = Notice(failure.message, failure.hint, failure.code, failure.status, None, (), None)
    return replace(view, notice=notice)


class AvailabilityHandler(GradientAPIHandler):
    """GET /hub/api/gradient/availability[/{user}]: what is free now, for the form's script."""

    async def get(self, user_name: str | None = None) -> None:
        """Show the machines of the named person, else of the visitor."""
        who = self.current_user
        if user_name is None and getattr(who, "kind", None) == "user":
            user_name = who.name
        if user_name is None:
            raise web.HTTPError(403, "This needs a person.")
        await self._get(user_name)

    @needs_scope("read:servers")
    async def _get(self, user_name: str) -> None:
        user = self.find_user(user_name)
        if user is None:
            raise web.HTTPError(404, "No such user")
        house, now = self.context.settings.house, self.context.clock()
        try:
            offer = await offer_to(self.context, user, "", own=user is self.current_user)
        except Refused as refused:
            raise StartRefused(refused) from None
        stock = Stock(house, offer.allowance, offer.taken, now)
        types = {}
        for machine in house.catalog.instance_types:
            state, note, free_at = stock.availability(machine)
            types[machine.name] = {
                "state": state,
                "note": note,
                "next_free": free_at and free_at.isoformat(),
            }
        self.write(json.dumps({"as_of": now.isoformat(), "types": types}))


class GradientStaticHandler(CacheControlStaticFilesHandler):
    """/hub/gradient/static/...: our style sheet and scripts."""


def handlers() -> list[tuple[object, ...]]:
    """List the routes below /hub. Those of the hub's own addresses stand before its handlers."""
    return [
        *lease_api.handlers(),
        (r"/home", NotebooksHandler),
        (r"/new", NewNotebookHandler),
        (r"/gradient/machines", MachinesHandler),
        (r"/spawn", GradientSpawnHandler),
        (r"/spawn/([^/]+)", GradientSpawnHandler),
        (r"/spawn/([^/]+)/([^/]+)", GradientSpawnHandler),
        (r"/spawn-pending/([^/]+)", GradientSpawnPendingHandler),
        (r"/spawn-pending/([^/]+)/([^/]+)", GradientSpawnPendingHandler),
        (r"/api/gradient/starts/([^/]+)/([^/]*)", StartPhasesHandler),
        (r"/api/gradient/availability", AvailabilityHandler),
        (r"/api/gradient/availability/([^/]+)", AvailabilityHandler),
        (r"/gradient/static/(.*)", GradientStaticHandler, {"path": str(STATIC)}),
    ]
