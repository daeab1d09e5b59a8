"""The spawn form in the hub: its view with what the ledger knows now, and as HTML."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Protocol

from jinja2 import Environment, PackageLoader
from jupyterhub.user import User

from ..rules.refusal import Refused
from ..views.form import Attempt, FormPage, FormView, away_view, build_view
from ..views.form_fields import Entries, entries_of, prefill
from ..views.start import phases, summary
from .context import HubContext
from .offer import offer_to, start_seen


class Server(Protocol):
    """What the form asks of a spawner."""

    name: str
    user: User
    lease_id: str

    @property
    def context(self) -> HubContext:
        """What this hub process shares."""


async def load_view(
    spawner: Server,
    values: Entries | None = None,
    refused: Refused | None = None,
    *,
    query: Mapping[str, str] | None = None,
    page: FormPage | None = None,
    own: bool = False,
) -> FormView:
    """Return the form of the spawner's owner now. `values` None: what was admitted last, then
    `query`.

    `own`: its owner looks at it.
    """
    context = spawner.context
    settings, now = context.settings, context.clock()
    page = page or FormPage(user_name=spawner.user.name, server_name=spawner.name)
    page = replace(page, help_url=settings.help_url, support_email=settings.support_email)
    try:
        offer = await offer_to(context, spawner.user, page.server_name, own=own)
    except Refused as away:
        return away_view(values or query or {}, refused or away, now, page)
    notes: list[str] = []
    if values is None:
        linked, notes = prefill(query or {}, settings.house, offer.allowance, now)
        values = {**entries_of(offer.last_options), **linked}
    return build_view(settings.house, offer, Attempt(values, refused, tuple(notes)), now, page)


@cache
def environment() -> Environment:
    """Return the templates without a hub: for the fields alone, and for tests."""
    return Environment(
        loader=PackageLoader("gradienthub", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


async def render_fields(spawner: Server) -> str:
    """Return the fields alone as HTML, for a form that is not ours: the hub's own spawn page."""
    view = await load_view(spawner)
    return environment().get_template("gradient/fields.html").render(view=view)


async def progress_event(spawner: Server) -> dict[str, int | str]:
    """Return how far the start has come, as the hub's progress events have it. Never raises."""
    context = spawner.context
    try:
        seen = await start_seen(context, spawner.lease_id)
    except Refused:
        return {"progress": 0, "message": "The ledger does not answer; the start goes on."}
    progress, message = summary(
        phases(seen.lease, seen.place, context.clock(), download=seen.download)
    )
    return {"progress": progress, "message": message}
