"""Notebooks: a person's landing page, what runs first, with its cost and when and why it stops."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from jupyterhub.handlers.pages import HomeHandler
from jupyterhub.scopes import needs_scope
from jupyterhub.utils import url_escape_path, url_path_join
from tornado import web

from ..ledger import LedgerAway, accounts, leases
from ..rules.admission import House
from ..rules.catalog import Catalog
from ..rules.duration import format_duration
from ..rules.idleness import Reason
from ..rules.metering import bill
from ..rules.money import format_price, format_rounded
from ..rules.refusal import Refused
from ..rules.tiers import Allowance
from ..spawners.context import HubContext, hub_user
from ..spawners.form import INTERFACE_TITLES, availability
from ..spawners.offer import Taken, ledger_away
from .stopping import delete_server, stop_server

#: Seconds in which a look at the running servers must be over; the page shows what is known then.
LOOK = 1.0
WORDS = {
    "running": ("run", "run", "Running"),
    "starting": ("start", "start", "Starting"),
    "stopping": ("off", "stop", "Stopping"),
    "stopped": ("off", "stop", "Stopped"),
    "crashed": ("fail", "fail", "Crashed"),
    "unstarted": ("fail", "fail", "Did not start"),
    "new": ("off", "stop", "Never started"),
}


@dataclass(frozen=True)
class ServerSeen:
    """A server as the hub knows it; `state` is running, starting, stopping or stopped."""

    name: str
    title: str
    state: str
    last_activity: datetime | None
    open_url: str
    pending_url: str
    form_url: str


@dataclass(frozen=True)
class NotebookRow:
    """One notebook on the page."""

    server_name: str
    title: str
    state: str
    tone: str
    icon: str
    word: str
    at: datetime | None
    at_word: str
    why: str
    machine: str
    runtime: str
    interval: str
    active_at: datetime | None
    idle_stop: datetime | None
    hard_end: datetime | None
    hard_end_why: str
    cost: str
    cost_note: str
    last_words: str
    open_url: str
    pending_url: str
    form_url: str


@dataclass(frozen=True)
class NotebooksView:
    """All that the page prints. Without the ledger: `problem`, and what the hub alone knows."""

    running: tuple[NotebookRow, ...]
    stopped: tuple[NotebookRow, ...]
    tier: str
    given_by: str
    max_running: int
    spending: str
    free_now: str
    problem: Refused | None
    as_of: datetime


Lease = Mapping[str, Any]


def notebooks_view(
    servers: Iterable[ServerSeen],
    last: Mapping[str, Lease],
    house: House,
    allowance: Allowance | None,
    taken: Taken | None,
    now: datetime,
    problem: Refused | None = None,
) -> NotebooksView:
    """The page of these servers, each with its newest lease, for this person, now."""
    currency = house.catalog.currency
    rows = [
        (last.get(server.name), notebook_row(server, last.get(server.name), house.catalog, now))
        for server in servers
    ]
    rows.sort(key=lambda pair: _order(*pair), reverse=True)
    open_rows = [(lease, row) for lease, row in rows if row.state != "stopped"]
    spending = sum(
        lease["price"]
        for lease, row in open_rows
        if lease and row.state == "running" and lease["answered_at"]
    )
    return NotebooksView(
        running=tuple(row for _, row in open_rows),
        stopped=tuple(row for _, row in rows if row.state == "stopped"),
        tier=allowance.tier.title if allowance else "",
        given_by=allowance.given_by if allowance else "",
        max_running=allowance.tier.max_running if allowance else 0,
        spending=format_price(spending, currency),
        free_now=_free_now(house, allowance, taken, now) if allowance and taken else "",
        problem=problem,
        as_of=now,
    )


def _order(lease: Lease | None, row: NotebookRow) -> tuple[bool, datetime]:
    began = row.at or (lease["admitted_at"] if lease else None)
    return row.state == "running", began or datetime.min.replace(tzinfo=UTC)


def notebook_row(
    server: ServerSeen, lease: Lease | None, catalog: Catalog, now: datetime
) -> NotebookRow:
    """One notebook: what the hub says it does, and what its newest lease says about why."""
    kind = server.state
    if kind == "stopped":
        kind = _end_of(lease)
    tone, icon, word = WORDS[kind]
    at, at_word, why = _when_and_why(kind, lease, now)
    machine, runtime = _machine(lease, catalog)
    live = server.state == "running"
    span = timedelta(seconds=lease["shutdown_after"]) if lease and lease["shutdown_after"] else None
    hard_end, hard_end_why = _hard_end(lease) if live else (None, "")
    active = _active(server, lease) if live else None
    idle_stop = active + span if active and span else None
    if idle_stop and hard_end and hard_end <= idle_stop:
        idle_stop = None
    cost, cost_note = _cost(lease, server.state, catalog.currency, now)
    return NotebookRow(
        server_name=server.name, title=server.title, state=server.state, tone=tone, icon=icon,
        word=word, at=at, at_word=at_word, why=why, machine=machine, runtime=runtime,
        interval=format_duration(span) if span else "", active_at=active, idle_stop=idle_stop,
        hard_end=hard_end, hard_end_why=hard_end_why, cost=cost, cost_note=cost_note,
        last_words=(lease["last_words"] or "").strip()
        if lease and kind in ("crashed", "unstarted") else "",
        open_url=server.open_url, pending_url=server.pending_url, form_url=server.form_url,
    )  # fmt: skip


def _active(server: ServerSeen, lease: Lease | None) -> datetime | None:
    """When it was used last: its start counts, what came before does not."""
    moments = (server.last_activity, lease["answered_at"] if lease else None)
    return max((moment for moment in moments if moment), default=None)


def _end_of(lease: Lease | None) -> str:
    if lease is None:
        return "new"
    if lease["reason"] == Reason.CRASHED:
        return "crashed"
    if lease["reason"] == Reason.START_FAILED:
        return "unstarted"
    return "stopped"


def _when_and_why(
    kind: str, lease: Lease | None, now: datetime
) -> tuple[datetime | None, str, str]:
    if lease is None:
        return None, "", ""
    if kind == "running":
        since = lease["answered_at"]
        return since, "since", format_duration(now - since) if since else ""
    if kind == "starting":
        return lease["admitted_at"], "since", ""
    ended = lease["stop_requested_at"] or lease["ended_at"]
    return ended, "at" if ended and ended.date() == now.date() else "on", _reason(lease)


def _reason(lease: Lease) -> str:
    after = lease["shutdown_after"]
    span = f" for {format_duration(timedelta(seconds=after))}" if after else ""
    died = "out of memory" if lease["out_of_memory"] else "its server ended by itself"
    code = "" if lease["exit_code"] is None else f" (exit code {lease['exit_code']})"
    by = lease["stopped_by"] or ""
    words: dict[str, str] = {
        Reason.USER: f"by {by}" if by else "by its owner",
        Reason.IDLE: f"idle{span}",
        Reason.SESSION_LIMIT: "the tier’s session limit was reached",
        Reason.STOP_AT: "its end time was reached",
        Reason.BUDGET: "the budget was used up",
        Reason.CRASHED: died + code,
        Reason.START_FAILED: "nothing was charged",
        Reason.LOST: "its server was gone",
        Reason.ADMIN: f"by {by}" if by else "by an administrator",
        Reason.HUB: "by the hub",
    }
    return words.get(lease["reason"] or "", "")


def _machine(lease: Lease | None, catalog: Catalog) -> tuple[str, str]:
    if lease is None:
        return "", ""
    machine = catalog.instance_type(lease["instance_type"])
    parts = [machine.title if machine else lease["instance_type"]]
    if machine and machine.gpu_memory:
        parts.append(f"{machine.gpu_memory * machine.gpus:g} GB GPU")
    parts += [f"{lease['cpus']:g} vCPU", f"{lease['memory']:g} GB"]
    runtime = catalog.runtime(lease["runtime"] or "")
    interface = INTERFACE_TITLES.get(lease["interface"], lease["interface"])
    name = runtime.title if runtime else lease["image"] or lease["runtime"] or ""
    return " · ".join(parts), " · ".join(part for part in (name, interface) if part)


def _hard_end(lease: Lease | None) -> tuple[datetime | None, str]:
    if lease is None:
        return None, ""
    ends = [
        (end, why)
        for end, why in (
            (lease["stop_at"], "the end time you chose"),
            (lease["session_ends_at"], "the tier’s session limit"),
        )
        if end
    ]
    return min(ends, default=(None, ""))


def _cost(lease: Lease | None, state: str, currency: str, now: datetime) -> tuple[str, str]:
    if lease is None:
        return "", ""
    currency = lease["currency"]
    begun = lease["answered_at"]
    ended = lease["stop_requested_at"] or lease["ended_at"] or now
    amount = format_rounded(bill(lease["price"], [(begun, ended)]) if begun else 0, currency)
    price = format_price(lease["price"], currency)
    if state == "running":
        return f"{amount} so far", price
    if state == "starting":
        return f"{amount} so far", f"then {price}"
    if begun is None:
        return amount, "never ready"
    return amount, f"ran {format_duration(max(ended - begun, timedelta(0)))}"


def _free_now(house: House, allowance: Allowance, taken: Taken, now: datetime) -> str:
    free = [
        f"{note.removesuffix(' free')} {machine.title}"
        for machine in house.catalog.instance_types
        if machine.free
        for state, note, _ in [availability(machine, house, allowance, taken, now)]
        if state == "free"
    ]
    return ", ".join(free[:3])


class NotebooksHandler(HomeHandler):
    """/hub/home: the visitor's notebooks."""

    @property
    def context(self) -> HubContext:
        """What this hub process shares."""
        return HubContext.of(self.config)

    @web.authenticated
    async def get(self) -> None:
        """The page; a server that died unnoticed is noticed first, if its engine says so soon."""
        user = self.current_user
        running = [s for s in list(user.spawners.values()) if s.ready]
        if running:
            looks = [asyncio.ensure_future(s.poll_and_notify()) for s in running]
            await asyncio.wait(looks, timeout=LOOK)
        html = await self.render_template(
            "home.html",
            view=await self._view(user),
            action=url_path_join(self.hub.base_url, "home"),
            auth_state=await user.get_auth_state(),
        )
        self.finish(html)

    @web.authenticated
    def post(self) -> Any:
        """The page's own buttons: `action` stop or delete, of the visitor's notebook `server`."""
        action = self.get_body_argument("action", "")
        server_name = self.get_body_argument("server", "")
        if server_name not in self.current_user.orm_spawners:
            raise web.HTTPError(404, "You have no such notebook")
        if action not in ("stop", "delete"):
            raise web.HTTPError(400, "Nothing to do")
        return self._act(self.current_user.name, server_name, action)

    @needs_scope("delete:servers")
    async def _act(self, user_name: str, server_name: str, action: str) -> None:
        user = self.find_user(user_name)
        if action == "stop":
            await stop_server(self, user, server_name)
        else:
            try:
                await delete_server(self, user, server_name)
            except LedgerAway as away:
                raise web.HTTPError(503, "The ledger does not answer; try again.") from away
        self.redirect(url_path_join(self.hub.base_url, "home"), status=303)

    async def _view(self, user: Any) -> NotebooksView:
        context = self.context
        settings, now = context.settings, context.clock()
        servers = [self._seen(user, row) for row in user.orm_spawners.values()]
        try:
            account = await context.ledger.awrite(
                accounts.account_of, hub_id=settings.hub_id, user=hub_user(user), now=now
            )
            groups = frozenset(group.name for group in user.groups)
            allowance, taken, last = await context.ledger.aread(
                _read, account, groups, [s.name for s in servers], settings, now
            )
        except LedgerAway:
            away = ledger_away()
            return notebooks_view(_real(servers, {}), {}, settings.house, None, None, now, away)
        return notebooks_view(_real(servers, last), last, settings.house, allowance, taken, now)

    def _seen(self, user: Any, row: Any) -> ServerSeen:
        spawner = user.spawners.get(row.name)
        state = "stopped"
        if spawner is not None and spawner.active:
            state = {"stop": "stopping", False: "running", None: "running"}.get(
                spawner.pending, "starting"
            )
        name = url_escape_path(row.name)
        hub = self.hub.base_url
        active = row.last_activity
        return ServerSeen(
            name=row.name,
            title=str(row.display_name or row.name or "Default notebook"),
            state=state,
            last_activity=active.replace(tzinfo=UTC) if active else None,
            open_url=user.server_url(row.name),
            pending_url=url_path_join(hub, "spawn-pending", user.escaped_name, name),
            form_url=url_path_join(hub, "spawn", user.escaped_name, name),
        )


def _real(servers: Iterable[ServerSeen], last: Mapping[str, Lease]) -> list[ServerSeen]:
    """Without the default server that the hub makes for everybody, until it was once started."""
    return [s for s in servers if s.name or s.state != "stopped" or s.name in last]


def _read(
    tx: Any,
    account: accounts.Account,
    groups: frozenset[str],
    names: list[str],
    settings: Any,
    now: datetime,
) -> tuple[Allowance, Taken, dict[str, Lease]]:
    allowance = accounts.allowance_of(
        tx, account, groups=groups, tiers=settings.house.tiers, rules=settings.tier_rules, now=now
    )
    last: dict[str, Lease] = {
        name: row
        for name in names
        if (row := leases.last_of(tx, account_id=account.id, server_name=name)) is not None
    }
    return allowance, leases.taken(tx, settings), last
