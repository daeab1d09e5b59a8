"""The Machines page: what the visitor could start, read from the ledger."""

from jupyterhub.user import User
from jupyterhub.utils import url_path_join
from tornado import web
from tornado.httputil import url_concat

from ..ledger import LedgerAway, Transaction, leases
from ..ledger.leases import Usual
from ..rules.catalog import Runtime
from ..rules.refusal import Refused, ledger_away
from ..spawners.context import HubContext
from ..spawners.offer import offer_to
from ..views.machines import MachinesView, away_view, machines_view
from .base_handler import GradientHandler


class MachinesHandler(GradientHandler):
    """/hub/gradient/machines: what the visitor could start."""

    @web.authenticated
    async def get(self) -> None:
        """Render the page; without the ledger only the reason why it is empty."""
        view = await load_view(self.context, self.current_user)
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


async def load_view(context: HubContext, user: User) -> MachinesView:
    """Build the page for this hub user, now."""
    settings, now = context.settings, context.clock()
    try:
        offer = await offer_to(context, user, "", own=True)
        tier = offer.allowance.tier
        runtimes = [r for r in settings.house.catalog.runtimes if tier.allows_runtime(r)]
        usual = await context.ledger.aread(_read_usual, settings.hub_id, runtimes)
    except (Refused, LedgerAway):
        return away_view(settings, ledger_away("What is free cannot be told now"), now)
    return machines_view(settings, offer, usual, now)


def _read_usual(
    tx: Transaction, hub_id: str, runtimes: list[Runtime]
) -> list[tuple[Runtime, Usual]]:
    return [
        (runtime, usual)
        for runtime in runtimes
        if (
            usual := leases.compute_usual_start(tx, hub_id=hub_id, runtime=runtime.name, image=None)
        )
    ]
