"""Notebooks: a person's landing page, and what its buttons do."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from jupyterhub import orm
from jupyterhub.handlers.pages import HomeHandler
from jupyterhub.scopes import needs_scope
from jupyterhub.user import User
from jupyterhub.utils import url_escape_path, url_path_join
from tornado import web

from ..ledger import By, LedgerAway, Transaction, accounts, capacity, notebooks
from ..ledger.runs import extend_run, find_newest_run
from ..rules.notebook import find_titled
from ..rules.options import parse_display_name
from ..rules.refusal import Refused, another_lease, ledger_away, shown
from ..settings import Settings
from ..spawners.context import groups_of, hub_user
from ..spawners.refused import StartRefused
from ..views.notebooks import Kept, NotebooksView, ServerSeen, ServerState, notebooks_view
from ..views.stock import Stock
from .base_handler import GradientHandler
from .server_row import active_at, title_of_row, titles_of
from .stopping import delete_server, stop_server, who_asks

#: Seconds in which a look at the running servers must be over; the page shows what is known then.
LOOK = 1.0


class NotebooksHandler(GradientHandler, HomeHandler):
    """/hub/home: the visitor's notebooks."""

    @web.authenticated
    async def get(self) -> None:
        """Render the page.

        A server that died unnoticed is noticed first, if its engine says so soon.
        """
        running = [s for s in list(self.current_user.spawners.values()) if s.ready]
        if running:
            looks = [asyncio.ensure_future(s.poll_and_notify()) for s in running]
            await asyncio.wait(looks, timeout=LOOK)
        await self._show()

    @web.authenticated
    async def post(self) -> None:
        """Handle the page's own buttons: `action`, of the visitor's notebook `server`.

        `lease` is the run that the visitor saw: a page that is old does nothing to a newer one.
        """
        action = self.get_body_argument("action", "")
        server_name = self.get_body_argument("server", "")
        if server_name not in self.current_user.orm_spawners:
            raise web.HTTPError(404, "You have no such notebook")
        if action not in ACTIONS:
            raise web.HTTPError(400, "Nothing to do")
        await self._act(self.current_user.name, server_name, action)

    @needs_scope("servers")
    async def _act(self, user_name: str, server_name: str, action: str) -> None:
        user = self.find_user(user_name)
        lease_id = self.get_body_argument("lease", "")
        try:
            await ACTIONS[action](self, user, user.orm_spawners[server_name], lease_id)
        except Refused as refused:
            self.log.info("Refused to %s a notebook of %s: %s", action, user.name, refused.code)
            await self._show(refused)
        except LedgerAway:
            await self._show(ledger_away("Nothing was changed"))
        else:
            self.redirect(url_path_join(self.hub.base_url, "home"), status=303)

    async def _stop(self, user: User, row: orm.Spawner, lease_id: str) -> None:
        spawner = user.spawners.get(row.name)
        if spawner is not None and spawner.active and lease_id not in ("", spawner.lease_id):
            raise another_lease(title_of_row(row))
        await stop_server(self, user, row.name)

    async def _extend(self, user: User, row: orm.Spawner, lease_id: str) -> None:
        name, title, settings = row.name, title_of_row(row), self.context.settings
        by = By(settings.hub_id, who_asks(self.current_user), self.context.clock())
        account = await self._open_account()

        def extend(tx: Transaction) -> Refused | None:
            run = find_newest_run(tx, account, name, title)
            if run is None:
                return Refused("not_running", f"{shown(title)} is not running.", "Start it first.")
            return extend_run(tx, run, lease_id, settings, by)

        refused = await self.context.ledger.awrite(extend)
        if refused is not None:
            raise refused

    async def _rename(self, user: User, row: orm.Spawner, _lease_id: str) -> None:
        name = parse_display_name(self.get_body_argument("display_name", ""))
        others = {server: title for server, title in titles_of(user).items() if server != row.name}
        if find_titled(name, others) is not None:
            raise Refused(
                "name_taken",
                f"You have a notebook named {shown(name)}.",
                "Choose another name.",
                field="display_name",
            )
        account = await self._open_account()
        await self.context.ledger.awrite(
            notebooks.retitle, account_id=account.id, server_name=row.name, display_name=name
        )
        row.display_name = name
        self.db.commit()

    async def _delete(self, user: User, row: orm.Spawner, _lease_id: str) -> None:
        spawner = user.spawners.get(row.name)
        if spawner is not None and spawner.active:
            raise another_lease(title_of_row(row))
        await delete_server(user, row.name)

    async def _show(self, refused: Refused | None = None) -> None:
        """Render the page, with the words of a refusal on top."""
        user = self.current_user
        if refused is not None:
            self.set_status(refused.status)
            self.copy_headers(StartRefused(refused))
        settings = self.context.settings
        html = await self.render_template(
            "gradient/notebooks.html",
            view=await self._load_view(user),
            refused=refused,
            help_url=settings.help_url,
            support_email=settings.support_email,
            action=url_path_join(self.hub.base_url, "home"),
            auth_state=await user.get_auth_state(),
        )
        self.finish(html)

    async def _open_account(self) -> accounts.Account:
        context = self.context
        return await context.ledger.awrite(
            accounts.account_of,
            hub_id=context.settings.hub_id,
            user=hub_user(self.current_user),
            hub_groups=groups_of(self.current_user),
            now=context.clock(),
        )

    async def _load_view(self, user: User) -> NotebooksView:
        context = self.context
        settings, now = context.settings, context.clock()
        servers = [self._see_server(user, row) for row in user.orm_spawners.values()]
        try:
            account = await self._open_account()
            groups = groups_of(user)
            stock, kept = await context.ledger.aread(
                _read_page, account, groups, servers, settings, now
            )
        except LedgerAway:
            away = ledger_away()
            return notebooks_view(_drop_unused(servers, {}), {}, settings, None, now, away)
        view = notebooks_view(_drop_unused(servers, kept), kept, settings, stock, now)
        return replace(view, groups_unknown_at=account.groups_unknown_at)

    def _see_server(self, user: User, row: orm.Spawner) -> ServerSeen:
        spawner = user.spawners.get(row.name)
        state = ServerState.STOPPED
        if spawner is not None and spawner.active:
            state = {
                "stop": ServerState.STOPPING,
                False: ServerState.RUNNING,
                None: ServerState.RUNNING,
            }.get(spawner.pending, ServerState.STARTING)
        name = url_escape_path(row.name)
        hub = self.hub.base_url
        return ServerSeen(
            name=row.name,
            title=title_of_row(row),
            state=state,
            last_activity=active_at(row),
            open_url=user.server_url(row.name),
            pending_url=url_path_join(hub, "spawn-pending", user.escaped_name, name),
            form_url=url_path_join(hub, "spawn", user.escaped_name, name),
            outside=state != ServerState.STOPPED and bool(getattr(spawner, "outside_id", "")),
        )


def _drop_unused(servers: Iterable[ServerSeen], kept: Mapping[str, Kept]) -> list[ServerSeen]:
    """Leave out the default server that the hub makes for everybody, until it was once started."""
    return [
        s
        for s in servers
        if s.name or s.state != ServerState.STOPPED or kept.get(s.name, Kept(None)).run is not None
    ]


#: What the page's buttons do, by the name that they send.
ACTIONS: Mapping[str, Callable[[NotebooksHandler, User, orm.Spawner, str], Awaitable[None]]] = {
    "stop": NotebooksHandler._stop,
    "extend": NotebooksHandler._extend,
    "rename": NotebooksHandler._rename,
    "delete": NotebooksHandler._delete,
}


def _read_page(
    tx: Transaction,
    account: accounts.Account,
    groups: frozenset[str],
    servers: Iterable[ServerSeen],
    settings: Settings,
    now: datetime,
) -> tuple[Stock, dict[str, Kept]]:
    allowance = accounts.allowance_of(
        tx, account, groups=groups, tiers=settings.house.tiers, rules=settings.tier_rules, now=now
    )
    kept = {}
    for server in servers:
        notebook = notebooks.find(tx, account_id=account.id, server_name=server.name)
        kept[server.name] = Kept(
            find_newest_run(tx, account, server.name, server.title),
            notebook.options if notebook else None,
        )
    return Stock(settings.house, allowance, capacity.read_taken(tx, settings), now), kept
