"""What the spawn form shows: what a person may start, what it costs, and why not.

`build_view` is a function of values; templates print the view and decide nothing.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..ledger.offers import Offer
from ..rules.admission import House
from ..rules.catalog import InstanceType, Runtime
from ..rules.duration import format_duration, parse_duration, short_duration
from ..rules.metering import bill
from ..rules.money import format_rounded
from ..rules.options import INTERFACES, Interval
from ..rules.refusal import Refused
from ..rules.tiers import Allowance, Tier
from ..rules.use import REQUESTS_COUNT
from .cost import Cost, Selection, cost_of
from .form_fields import FIELDS, Entries, stop_at_of
from .stock import Group, Stock, gpu_text

INTERFACE_TITLES = {"lab": "JupyterLab", "notebook": "Notebook"}
#: Refusals after which the same start may be admitted a moment later.
RETRIED = frozenset(
    {
        "too_many_running",
        "still_stopping",
        "start_cancelled",
        "start_failed",
        "no_capacity",
        "ledger_away",
        "engine_away",
    }
)


@dataclass(frozen=True)
class RuntimeCard:
    """One runtime that the tier allows."""

    name: str
    title: str
    description: str
    note: str
    checked: bool


@dataclass(frozen=True)
class CustomImage:
    """The person's own image, where the tier allows any."""

    checked: bool
    image: str
    patterns: str


@dataclass(frozen=True)
class Choice:
    """One segment of a segmented control; `cost` stands below it."""

    value: str
    label: str
    checked: bool
    cost: str = ""


@dataclass(frozen=True)
class WayOn:
    """A start that may be admitted instead, or the same one again."""

    name: str
    label: str
    note: str
    next_free: datetime | None = None


@dataclass(frozen=True)
class Notice:
    """Why nothing was started: what, why, what to do now."""

    message: str
    hint: str
    code: str
    status: int
    field: str | None
    alternatives: tuple[WayOn, ...]
    again: WayOn | None


@dataclass(frozen=True)
class FormPage:
    """Whose form it is, for which notebook, and where help is to be had."""

    user_name: str = ""
    server_name: str = ""
    title: str = "New notebook"
    #: Whether the notebook gets its name here; False where the address names it.
    naming: bool = True
    #: Whether a name must be typed, because the notebook without one runs.
    name_required: bool = False
    help_url: str = ""
    support_email: str = ""


@dataclass(frozen=True)
class Attempt:
    """What the form is filled with, why that was refused, and what a link's words came to."""

    values: Entries = field(default_factory=dict)
    refused: Refused | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FormView:
    """All that the form's templates print."""

    page: FormPage
    as_of: datetime
    display_name: str
    entries: tuple[tuple[str, str], ...]
    notice: Notice | None
    tier: str = ""
    given_by: str = ""
    running: int = 0
    max_running: int = 0
    groups: tuple[Group, ...] = ()
    runtimes: tuple[RuntimeCard, ...] = ()
    custom: CustomImage | None = None
    interfaces: tuple[Choice, ...] = ()
    intervals: tuple[Choice, ...] = ()
    interval_required: bool = False
    stop_at: str = ""
    stop_at_utc: datetime | None = None
    utc_offset: str = "0"
    cost: Cost | None = None
    notes: tuple[str, ...] = ()

    @property
    def full(self) -> bool:
        """Whether another start would be one too many."""
        return 0 < self.max_running <= self.running

    @property
    def can_start(self) -> bool:
        """Whether any machine can be started."""
        return any(not card.disabled for group in self.groups for card in group.cards)


def build_view(
    house: House, offer: Offer, attempt: Attempt, now: datetime, page: FormPage | None = None
) -> FormView:
    """Return the form of whom this is offered, filled with what they typed. Never raises."""
    values, allowance = attempt.values, offer.allowance
    tier = allowance.tier
    stock = Stock(house, allowance, offer.taken, now)
    groups = stock.groups(values.get("instance_type", ""), attempt.refused)
    machine = stock.checked_machine(groups)
    interval, stop_at = _interval(values, tier), stop_at_of(values)
    if stop_at is not None and stop_at <= now:
        stop_at = None
    selection = Selection(machine, interval, stop_at) if machine else None
    return FormView(
        page=page or FormPage(),
        as_of=now,
        display_name=values.get("display_name", ""),
        entries=_entries(values),
        notice=_notice(attempt.refused, stock, values) if attempt.refused else None,
        tier=tier.title,
        given_by=allowance.given_by,
        running=offer.running,
        max_running=tier.max_running,
        groups=groups,
        runtimes=_runtimes(house, allowance, values),
        custom=_custom(tier, values),
        interfaces=_interfaces(values),
        intervals=_intervals(tier, interval, machine, house.catalog.currency, now),
        interval_required=tier.shutdown_required,
        stop_at=values.get("stop_at", ""),
        stop_at_utc=stop_at,
        utc_offset=values.get("utc_offset") or "0",
        cost=cost_of(selection, tier, offer.funds, now) if selection else None,
        notes=attempt.notes,
    )


def away_view(values: Entries, refused: Refused, now: datetime, page: FormPage) -> FormView:
    """Return the form while nothing is known of the person: refusal and entries, no start."""
    return FormView(
        page=page,
        as_of=now,
        display_name=values.get("display_name", ""),
        entries=_entries(values),
        notice=Notice(refused.message, refused.hint, refused.code, refused.status, None, (), None),
    )


def _entries(values: Entries) -> tuple[tuple[str, str], ...]:
    return tuple((key, values[key]) for key in FIELDS if values.get(key))


# -- runtime, interval, end time ----------------------------------------------------------------


def _runtimes(house: House, allowance: Allowance, values: Entries) -> tuple[RuntimeCard, ...]:
    default = allowance.default_runtime(house.catalog)
    wanted = values.get("runtime") or (default.name if default else "")
    return tuple(
        RuntimeCard(
            name=runtime.name,
            title=runtime.title,
            description=runtime.description,
            note=". ".join([*(["Needs a GPU"] if runtime.needs_gpu else []), *_use_note(runtime)]),
            checked=not _wants_image(values) and runtime.name == wanted,
        )
        for runtime in house.catalog.runtimes
        if allowance.tier.allows_runtime(runtime)
    )


def _use_note(runtime: Runtime) -> list[str]:
    """Return what to know of a runtime whose applications have no kernel."""
    return [REQUESTS_COUNT] if runtime.counts_requests else []


def _wants_image(values: Entries) -> bool:
    return values.get("runtime") == "custom" or (
        bool(values.get("image")) and not values.get("runtime")
    )


def _interfaces(values: Entries) -> tuple[Choice, ...]:
    chosen = values.get("interface") or "lab"
    return tuple(Choice(name, INTERFACE_TITLES[name], chosen == name) for name in INTERFACES)


def _custom(tier: Tier, values: Entries) -> CustomImage | None:
    if not tier.custom_images:
        return None
    patterns = "" if "*" in tier.custom_images else ", ".join(tier.custom_images)
    return CustomImage(_wants_image(values), values.get("image", ""), patterns)


def _interval(values: Entries, tier: Tier) -> timedelta | Interval:
    """Return the interval typed if the tier has it; else the tier's default."""
    typed = values.get("shutdown_after")
    if typed == "never" and not tier.shutdown_required:
        return Interval.NEVER
    try:
        span = parse_duration(typed)
    except ValueError:
        span = timedelta(0)
    if tier.allows_interval(span):
        return span
    if tier.shutdown_default is not None:
        return tier.shutdown_default
    return Interval.UNSET if tier.shutdown_required else Interval.NEVER


def _intervals(
    tier: Tier,
    interval: timedelta | Interval,
    machine: InstanceType | None,
    currency: str,
    now: datetime,
) -> tuple[Choice, ...]:
    def cost(span: timedelta) -> str:
        return format_rounded(bill(machine.price, [(now, now + span)]), currency) if machine else ""

    spans = set(tier.shutdown_choices)
    if isinstance(interval, timedelta):
        spans.add(interval)
    choices = [
        Choice(
            value=short_duration(span),
            label=format_duration(span),
            checked=span == interval,
            cost=cost(span),
        )
        for span in sorted(spans)
    ]
    if not tier.shutdown_required:
        choices.append(Choice("never", "Never", interval is Interval.NEVER))
    return tuple(choices)


# -- refusals -----------------------------------------------------------------------------------


def _notice(refused: Refused, stock: Stock, values: Entries) -> Notice:
    catalog = stock.house.catalog
    wanted = catalog.instance_type(values.get("instance_type", ""))
    others = [catalog.instance_type(name) for name in refused.alternatives]
    again = None
    if wanted and refused.code in RETRIED:
        again = _way_on(wanted, stock, "Try {title} again, {price}")
    return Notice(
        message=refused.message,
        hint=refused.hint,
        code=refused.code,
        status=refused.status,
        field=refused.field,
        alternatives=tuple(
            _way_on(other, stock, "Start on {title}, {price}")
            for other in others[:3]
            if other is not None
        ),
        again=again,
    )


def _way_on(to: InstanceType, stock: Stock, label: str) -> WayOn:
    there = stock.room(to)
    return WayOn(
        name=to.name,
        label=label.format(title=to.title, price=stock.price_text(to)),
        note=f"{there.free} of {there.total} free. {gpu_text(to)}." if there.free else "",
        next_free=None if there.free else stock.next_free(to),
    )
