"""Machines: every instance type with its price, what is free, and who may start it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..ledger.leases import Usual
from ..ledger.offers import Offer
from ..rules.admission import lock
from ..rules.catalog import Runtime
from ..rules.refusal import Refused
from ..settings import Settings
from .form import Attempt, build_view
from .start import span_text
from .stock import Group
from .tier import month_text, storage_text


@dataclass(frozen=True)
class MachinesView:
    """All that the page prints. `usual` are (runtime, how long its starts take).

    `locks` says of each type that may not be started why not and what would help. `per_month` and
    `storage` are what the tier costs and promises, "" for nothing.
    """

    help_url: str
    support_email: str
    as_of: datetime
    problem: Refused | None = None
    groups: tuple[Group, ...] = ()
    locks: Mapping[str, str] = field(default_factory=dict)
    tier: str = ""
    given_by: str = ""
    per_month: str = ""
    storage: str = ""
    running: int = 0
    max_running: int = 0
    usual: tuple[tuple[str, str], ...] = ()


def machines_view(
    settings: Settings, offer: Offer, usual: Sequence[tuple[Runtime, Usual]], now: datetime
) -> MachinesView:
    """Return the page of who got this offer, with how long each runtime usually takes to start."""
    house = settings.house
    form = build_view(house, offer, Attempt(), now)
    return MachinesView(
        help_url=settings.help_url,
        support_email=settings.support_email,
        as_of=now,
        groups=form.groups,
        locks={
            machine.name: refused.text
            for machine in house.catalog.instance_types
            if (refused := lock(machine, offer.allowance, house.tiers, house.catalog.currency))
        },
        tier=form.tier,
        given_by=form.given_by,
        per_month=month_text(offer.allowance.tier, house.catalog.currency),
        storage=storage_text(offer.allowance.tier),
        running=form.running,
        max_running=form.max_running,
        usual=tuple((runtime.title, span_text(seen.median)) for runtime, seen in usual),
    )


def away_view(settings: Settings, problem: Refused, now: datetime) -> MachinesView:
    """Return the page while nothing is known of what is free: the reason alone."""
    return MachinesView(settings.help_url, settings.support_email, now, problem)
