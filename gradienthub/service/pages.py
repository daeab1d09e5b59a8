"""The keeper's pages: Fleet for admins, Audit for everybody. They act with the visitor's token."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlencode

import aiohttp
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader

from .._version import __version__
from ..ledger import Transaction, audit, findings, fleet, keepers, warm_slots, watches
from ..ledger.watches import Watched
from ..rules.refusal import STATUS, Refused, shown
from ..views.audit_words import ACTION_WORDS, put_into_words
from ..views.fleet import FleetRows, FleetView, fleet_view
from .api import decode_number_cursor, encode_cursor, is_id
from .frame import Frame
from .operations import account_of, own_account, within
from .visitor import SAFE, KeeperHandler

TEMPLATES = Path(__file__).parent.parent / "templates"
#: Seconds for the hub to stop what an administrator stops; it answers "on its way" after ten.
STOP_SECONDS = 30
#: Rows on a page of the audit.
AUDIT_ROWS = 50


class PageHandler(KeeperHandler):
    """A page; failures are pages too."""

    frame: Frame | None = None

    def unknown(self) -> None:
        """Redirect to the hub's login and back, or refuse a form, whose content would be lost on
        the way."""
        if self.request.method not in SAFE:
            raise Refused(
                "not_logged_in",
                "You are not logged in here any more, or the page is too old.",
                "Nothing was done. Open it again.",
            )
        self.redirect(self.get_login_url())

    async def prepare(self) -> None:
        """Find out who asks, and ask the hub for the frame of their page."""
        await super().prepare()
        visitor = getattr(self, "visitor", None)
        if visitor is None or visitor.kind != "user" or self._finished:
            return
        part = self.request.path.removeprefix(self.context.prefix).split("/")[0]
        self.frame = await self.context.frames.ask(
            visitor.name, PARTS.get(part, part), self.hub_auth.get_token(self) or ""
        )

    @property
    def titles(self) -> dict[str, str]:
        """Machines' titles by name."""
        return {machine.name: machine.title for machine in self.published.catalog.instance_types}

    def page(self, template: str, **values: object) -> str:
        """Return the HTML of a template."""
        context = self.context
        return str(
            ENVIRONMENT.get_template(template).render(
                base_url=context.hub_prefix,
                service_url=context.prefix,
                static_url=lambda path: f"{context.hub_prefix}static/{path}",
                gradient_static=context.static_url,
                gradient_framed="service/framed.html" if self.frame else "",
                frame=self.frame and self.frame.pieces(),
                version_hash=__version__,
                visitor=getattr(self, "visitor", None),
                user=getattr(self, "visitor", None),
                logout_url=f"{context.hub_prefix}logout",
                xsrf=self.xsrf_token.decode() if hasattr(self, "visitor") else "",
                now=context.clock(),
                help_url=context.published.help_url if context.published else "",
                support_email=context.published.support_email if context.published else "",
                **values,
            )
        )

    def write_error(self, status_code: int, **kwargs: object) -> None:
        """Render a refusal in words, with a way on."""
        refused = self.refused_of(status_code, **kwargs)
        if refused.retry_after is not None:
            self.set_header("Retry-After", str(round(refused.retry_after.total_seconds())))
        self.finish(self.page("service/refused.html", here="", refused=refused))


class FrontHandler(PageHandler):
    """The service's own address leads to what its visitor may see."""

    async def get(self) -> None:
        """Redirect to *Fleet* if the visitor may see it, else to *Audit*."""
        self.redirect(f"{self.context.prefix}{'fleet' if self.visitor.sees_all else 'audit'}")


class FleetHandler(PageHandler):
    """Every device, who has it, since when and how busy; and Stop with a reason."""

    async def get(self) -> None:
        """Render the page."""
        self.need(self.visitor.sees_all, "see the fleet")
        self.finish(
            self.page(
                "service/fleet.html",
                here="fleet",
                view=await self._view(),
                titles=self.titles,
                said=self._outcome(),
            )
        )

    async def _view(self) -> FleetView:
        published, context = self.published, self.context
        now = context.clock()
        rows: FleetRows = await self.read(_read_fleet, context.hub_id, now)
        return fleet_view(published, rows, context.facts(rows.keeper.get("passed_at")), now)

    def _outcome(self) -> str:
        words = {"stopped": "It is stopped.", "stopping": "It is on its way to its stop."}
        return words.get(self.get_query_argument("said", ""), "")

    async def post(self) -> None:
        """Stop a notebook with a reason that its owner sees; the hub decides who may."""
        self.need(self.visitor.sees_all, "see the fleet")
        lease = self.get_body_argument("lease", "")[:60]
        why = self.get_body_argument("why", "")[:400].strip()
        if not why:
            raise Refused(
                "reason_required",
                "A stop of another's notebook needs a reason.",
                "Its owner sees it.",
                field="why",
            )
        watched = None
        if is_id(lease):
            watched = await self.read(watches.find_any_lease, self.context.hub_id, lease)
        if watched is None:
            raise Refused("not_found", f"There is no lease {shown(lease)}.")
        status = await self._stop(watched, why)
        outcome = "stopping" if status == 202 else "stopped"
        self.redirect(f"{self.context.prefix}fleet?{urlencode({'said': outcome})}", status=303)

    async def _stop(self, watched: Watched, why: str) -> int:
        """DELETE at the hub's API with the visitor's own token; its status."""
        names = (watched.lease.account_name, watched.lease.server_name)
        where = "/".join(quote(name, safe="") for name in names)
        where = where.replace("/", "/servers/", 1)
        headers = {"Authorization": f"token {self.hub_auth.get_token(self)}"}
        timeout = aiohttp.ClientTimeout(total=STOP_SECONDS)
        try:
            async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
                url = f"{self.context.api_url.rstrip('/')}/users/{where}"
                body = {"lease": watched.id, "why": why}
                async with session.delete(url, json=body) as answer:
                    status, text = answer.status, await answer.text(errors="replace")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Refused(
                "hub_away",
                "The hub does not answer.",
                "Try again in a moment.",
                retry_after=timedelta(seconds=10),
            ) from error
        if status >= 400:
            raise hub_refused(status, text)
        return status


def hub_refused(status: int, text: str) -> Refused:
    """Return what the hub answered instead of stopping, in its own words where it has any."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    body = answer if isinstance(answer, dict) else {}
    by_status = {400: "still_stopping", 403: "not_allowed", 404: "not_found"}
    code = body.get("code")
    if not isinstance(code, str) or code not in STATUS:
        code = by_status.get(status, "hub_away" if status in (502, 503, 504) else "failed")
    hint = str(body.get("hint") or "")[:400]
    message = str(body.get("message") or f"The hub answered {status}.")[:400]
    # The hub's message has its hint in it already, for those who read nothing else.
    return Refused(code, message.removesuffix(hint).strip(), hint)


def _read_fleet(tx: Transaction, hub_id: str, now: datetime) -> FleetRows:
    return FleetRows(
        fleet.list_devices(tx, hub_id),
        watches.list_watched(tx, hub_id, account_id=None, state="open", limit=5000),
        findings.list_findings(tx, hub_id, standing=False),
        keepers.find_keeper(tx, hub_id) or {},
        warm_slots.read_overview(tx, hub_id, now),
    )


class AuditHandler(PageHandler):
    """What touched the visitor's notebooks; for those who may, everybody's."""

    async def get(self) -> None:
        """Render the page."""
        self.published  # noqa: B018 - refused while the keeper starts
        chosen, day = self._chosen(), self._day()
        user, everybody = chosen["user"], bool(chosen["all"])
        if user and not self.visitor.is_user(user):
            self.need(self.visitor.sees_all, "see what touched another")
        account = await (account_of(self, user) if user else own_account(self))
        rows = await self.read(
            audit.list_rows,
            hub_id=self.context.hub_id,
            action=chosen["action"] or None,
            limit=AUDIT_ROWS,
            account_id=None if everybody else account.id if account else "-",
            before=decode_number_cursor(self.get_query_argument("after", "")),
            between=within(day),
        )
        older = ""
        if len(rows) == AUDIT_ROWS:
            filters = {name: value for name, value in chosen.items() if value}
            older = urlencode(filters | {"after": encode_cursor(rows[-1]["id"])})
        self.finish(
            self.page(
                "service/audit.html",
                here="audit",
                rows=[put_into_words(row) for row in rows],
                chosen=chosen,
                actions=ACTION_WORDS,
                older=older,
                everybody=everybody,
            )
        )

    def _chosen(self) -> dict[str, str]:
        """Return the filters of the address; empty where none is set."""
        user = self.get_query_argument("user", "")[:255].strip()
        everybody = self.visitor.sees_all and self.get_query_argument("all", "") == "1" and not user
        action, day = self.get_query_argument("action", ""), self._day()
        return {
            "user": user,
            "all": "1" if everybody else "",
            "action": action if action in ACTION_WORDS else "",
            "day": day.isoformat() if day else "",
        }

    def _day(self) -> date | None:
        try:
            return date.fromisoformat(self.get_query_argument("day", ""))
        except ValueError:
            return None


def page_routes(prefix: str) -> list[tuple[str, type]]:
    """Return the pages."""
    return [
        (prefix, FrontHandler),
        (rf"{prefix}fleet", FleetHandler),
        (rf"{prefix}audit", AuditHandler),
    ]


#: The entry of the bar under which a page stands, where that is not its address.
PARTS = {"statements": "usage"}
ENVIRONMENT = Environment(
    loader=ChoiceLoader(
        [
            PrefixLoader({"templates": FileSystemLoader(TEMPLATES / "hub")}),
            FileSystemLoader(TEMPLATES),
        ]
    ),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
