"""Machines: every instance type with its price, what is free, and who may start it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jupyterhub.handlers.base import BaseHandler
from jupyterhub.utils import url_path_join
from tornado import web
from tornado.httputil import url_concat

from ..ledger import LedgerAway, leases
from ..rules.admission import lock
from ..rules.catalog import Runtime
from ..rules.refusal import Refused, ledger_away
from ..spawners.context import HubContext
from ..spawners.form_view import Group, build_view
from ..spawners.offer import Offer, Usual, offer_to
from ..spawners.phases import spoken


@dataclass(frozen=True)
class MachinesView:
    """All that the page prints. `usual` are (runtime, how long its starts take).

    `locks` says of each type that may not be started why not and what would help.
    """

    groups: tuple[Group, ...]
    locks: Mapping[str, str]
    tier: str
    given_by: str
    running: int
    max_running: int
    usual: tuple[tuple[str, str], ...]
    problem: Refused | None
    help_url: str
    support_email: str
    as_of: datetime


class MachinesHandler(BaseHandler):
    """/hub/gradient/machines: what the visitor could start."""

    @web.authenticated
    async def get(self) -> None:
        """The page; without the ledger only the reason why it is empty."""
        context = HubContext.of(self.config)
        view = await machines_view(context, self.current_user)
        if view.problem is not None:
            self.set_status(view.problem.status)
            self.set_header("Retry-After", "60")
        form = url_path_join(self.hub.base_url, "new")
        html = await self.render_template(
            "gradient/machines.html",
            view=view,
            start_urls={
                card.name: url_concat(form, {"instance_type": card.name})
                for group in view.groups
                for card in group.cards
            },
        )
        self.finish(html)


async def machines_view(context: HubContext, user: Any) -> MachinesView:
    """The page for this hub user, now."""
    settings, now = context.settings, context.clock()
    house, ask = settings.house, (settings.help_url, settings.support_email)
    try:
        offer: Offer = await offer_to(context, user, "", own=True)
        tier = offer.allowance.tier
        runtimes = [r for r in house.catalog.runtimes if tier.allows_runtime(r)]
        usual = await context.ledger.aread(_usual, settings.hub_id, runtimes)
    except (Refused, LedgerAway):
        away = ledger_away("What is free cannot be told now")
        return MachinesView((), {}, "", "", 0, 0, (), away, *ask, now)
    form = build_view(house, offer.allowance, offer.taken, offer.running, {}, None, now)
    return MachinesView(
        groups=form.groups,
        locks={
            machine.name: refused.text
            for machine in house.catalog.instance_types
            if (refused := lock(machine, offer.allowance, house.tiers, house.catalog.currency))
        },
        tier=form.tier,
        given_by=form.given_by,
        running=form.running,
        max_running=form.max_running,
        usual=tuple((runtime.title, spoken(found.median)) for runtime, found in usual),
        problem=None,
        help_url=settings.help_url,
        support_email=settings.support_email,
        as_of=now,
    )


def _usual(tx: Any, hub_id: str, runtimes: list[Runtime]) -> list[tuple[Runtime, Usual]]:
    return [
        (runtime, found)
        for runtime in runtimes
        if (found := leases.usual_start(tx, hub_id=hub_id, runtime=runtime.name, image=None))
    ]
