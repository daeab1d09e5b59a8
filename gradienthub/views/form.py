"""What the spawn form shows: what a person may start, what it costs, and why not.

`build_view` is a function of values; templates print the view and decide nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from ..ledger.capacity import Taken
from ..rules.admission import House, lock, next_free
from ..rules.catalog import InstanceType, Runtime
from ..rules.duration import format_duration, parse_duration, short_duration
from ..rules.funds import Funds, refusal
from ..rules.idleness import REQUESTS_COUNT
from ..rules.metering import Quote, bill, quote
from ..rules.money import format_price, format_rounded
from ..rules.options import INTERFACES, Interval
from ..rules.placement import room
from ..rules.refusal import Refused
from ..rules.tiers import Allowance, Tier
from .form_fields import FIELDS, Entries, stop_at_of

KINDS = {"free": "Free", "cpu": "CPU", "gpu": "GPU", "multi-gpu": "Multi-GPU"}
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
class Card:
    """One machine. `state` free can be chosen; locked and none say in `note` why not."""

    name: str
    title: str
    description: str
    price: int
    price_text: str
    gpu_text: str
    host_text: str
    state: Literal["free", "locked", "none"]
    note: str
    next_free: datetime | None
    disabled: bool
    checked: bool
    refused: bool


@dataclass(frozen=True)
class Group:
    """Machines of one kind."""

    kind: str
    title: str
    note: str
    cards: tuple[Card, ...]


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
class Figure:
    """An amount with its reason, and the moment it is about."""

    text: str
    note: str
    moment: datetime | None = None


@dataclass(frozen=True)
class Cost:
    """What the chosen start can cost; every figure is `rules.metering.quote`."""

    title: str
    price: str
    walk_away: Figure
    at_most: Figure
    #: What may still be spent, and what will be left of it; None where nothing limits it.
    funds: Figure | None
    #: Why it cannot be paid now, or nothing.
    unpaid: str


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
class FormView:
    """All that the form's templates print."""

    page: FormPage
    display_name: str
    tier: str
    given_by: str
    running: int
    max_running: int
    groups: tuple[Group, ...]
    runtimes: tuple[RuntimeCard, ...]
    custom: CustomImage | None
    interfaces: tuple[Choice, ...]
    intervals: tuple[Choice, ...]
    interval_required: bool
    stop_at: str
    stop_at_utc: datetime | None
    utc_offset: str
    cost: Cost | None
    notice: Notice | None
    notes: tuple[str, ...]
    as_of: datetime
    can_start: bool
    entries: tuple[tuple[str, str], ...]

    @property
    def full(self) -> bool:
        """Whether another start would be one too many."""
        return 0 < self.max_running <= self.running


def build_view(
    house: House,
    allowance: Allowance,
    taken: Taken,
    running: int,
    values: Entries,
    refused: Refused | None,
    now: datetime,
    *,
    page: FormPage | None = None,
    notes: Sequence[str] = (),
    funds: Funds | None = None,
) -> FormView:
    """Return the form of this person now, with these entries, after this refusal. Never raises."""
    page, funds = page or FormPage(), funds or Funds()
    tier, currency = allowance.tier, house.catalog.currency
    groups = _groups(house, allowance, taken, values, refused, now)
    chosen = _chosen_type(house, groups)
    interval = _interval(values, tier)
    stop_at = stop_at_of(values)
    if stop_at is not None and stop_at <= now:
        stop_at = None
    return FormView(
        page=page,
        display_name=values.get("display_name", ""),
        tier=tier.title,
        given_by=allowance.given_by,
        running=running,
        max_running=tier.max_running,
        groups=groups,
        runtimes=_runtimes(house, allowance, values),
        custom=_custom(tier, values),
        interfaces=tuple(
            Choice(name, INTERFACE_TITLES[name], (values.get("interface") or "lab") == name)
            for name in INTERFACES
        ),
        intervals=_intervals(tier, interval, chosen, currency, now),
        interval_required=tier.shutdown_required,
        stop_at=values.get("stop_at", ""),
        stop_at_utc=stop_at,
        utc_offset=values.get("utc_offset") or "0",
        cost=_cost(chosen, currency, tier, interval, stop_at, now, funds) if chosen else None,
        notice=_notice(refused, house, allowance, taken, values) if refused else None,
        notes=tuple(notes),
        as_of=now,
        can_start=any(not card.disabled for group in groups for card in group.cards),
        entries=_entries(values),
    )


def away_view(values: Entries, refused: Refused, now: datetime, page: FormPage) -> FormView:
    """Return the form while nothing is known of the person: refusal and entries, no start."""
    return FormView(
        page=page,
        display_name=values.get("display_name", ""),
        tier="",
        given_by="",
        running=0,
        max_running=0,
        groups=(),
        runtimes=(),
        custom=None,
        interfaces=(),
        intervals=(),
        interval_required=False,
        stop_at="",
        stop_at_utc=None,
        utc_offset="0",
        cost=None,
        notice=Notice(refused.message, refused.hint, refused.code, refused.status, None, (), None),
        notes=(),
        as_of=now,
        can_start=False,
        entries=_entries(values),
    )


def _entries(values: Entries) -> tuple[tuple[str, str], ...]:
    return tuple((key, values[key]) for key in FIELDS if values.get(key))


# -- machines -----------------------------------------------------------------------------------


def _groups(
    house: House,
    allowance: Allowance,
    taken: Taken,
    values: Entries,
    refused: Refused | None,
    now: datetime,
) -> tuple[Group, ...]:
    cards = [
        (t.kind, _card(t, house, allowance, taken, values, refused, now))
        for t in house.catalog.instance_types
    ]
    if not any(card.checked for _, card in cards) and not refused:
        first = next((card.name for _, card in cards if not card.disabled), None)
        cards = [(kind, replace(card, checked=card.name == first)) for kind, card in cards]
    return tuple(
        Group(kind, title, _group_note(kind, allowance.tier), mine)
        for kind, title in KINDS.items()
        if (mine := tuple(card for k, card in cards if k == kind))
    )


def _card(
    instance_type: InstanceType,
    house: House,
    allowance: Allowance,
    taken: Taken,
    values: Entries,
    refused: Refused | None,
    now: datetime,
) -> Card:
    state, note, free_at = availability(instance_type, house, allowance, taken, now)
    wanted = values.get("instance_type") == instance_type.name
    is_refused = wanted and refused is not None and refused.field == "instance_type"
    return Card(
        name=instance_type.name,
        title=instance_type.title,
        description=instance_type.description,
        price=instance_type.price,
        price_text=format_price(instance_type.price, house.catalog.currency),
        gpu_text=_gpu_text(instance_type),
        host_text=f"{instance_type.cpus:g} vCPU · {instance_type.memory:g} GB RAM",
        state=state,
        note=note,
        next_free=free_at,
        # A taken machine that was asked for stays, so that it can be asked for again.
        disabled=state == "locked" or (state == "none" and not wanted),
        checked=wanted and state != "locked",
        refused=is_refused,
    )


def availability(
    instance_type: InstanceType, house: House, allowance: Allowance, taken: Taken, now: datetime
) -> tuple[Literal["free", "locked", "none"], str, datetime | None]:
    """Return (state, why, when the next is free at the latest) of a machine for this person."""
    if refused := lock(instance_type, allowance, house.tiers, house.catalog.currency):
        by_tier = refused.code == "type_not_in_tier"
        return "locked", refused.hint if by_tier else refused.message, None
    there = room(instance_type, house.hosts, taken.load, allowance.host_groups)
    if there.free:
        of = f" of {there.total}" if instance_type.gpus else ""
        return "free", f"{there.free}{of} free", None
    if not there.total:
        return "none", "No host here carries it.", None
    none = "The only one is in use." if there.total == 1 else f"None of {there.total} free."
    free_at = next_free(
        instance_type, house, taken.leases, load=taken.load, groups=allowance.host_groups
    )
    if free_at is None or free_at <= now:
        return "none", f"{none} No end is known.", None
    return "none", none, free_at


def _gpu_text(instance_type: InstanceType) -> str:
    if not instance_type.gpus:
        return "No GPU"
    many = f"{instance_type.gpus} × " if instance_type.gpus > 1 else ""
    memory = instance_type.gpu_memory * instance_type.gpus
    return f"{many}{instance_type.gpu_model}" + (f" · {memory:g} GB" if memory else "")


def _group_note(kind: str, tier: Tier) -> str:
    if kind == "free":
        most = tier.max_running_free
        at_once = "" if most is None else " One at a time." if most == 1 else f" {most} at a time."
        return f"No charge and no payment method.{at_once}"
    return {
        "cpu": "No GPU.",
        "gpu": "One whole GPU, yours alone while the notebook runs.",
        "multi-gpu": "Several GPUs on one host, yours alone while the notebook runs.",
    }[kind]


def _chosen_type(house: House, groups: Sequence[Group]) -> InstanceType | None:
    for group in groups:
        for card in group.cards:
            if card.checked:
                return house.catalog.instance_type(card.name)
    return None


# -- runtime, interval, end time ----------------------------------------------------------------


def _runtimes(house: House, allowance: Allowance, values: Entries) -> tuple[RuntimeCard, ...]:
    default = allowance.default_runtime(house.catalog)
    wanted = values.get("runtime") or (default.name if default else "")
    return tuple(
        RuntimeCard(
            name=runtime.name,
            title=runtime.title,
            description=runtime.description,
            note=". ".join(
                [*(["Needs a GPU"] if runtime.needs_gpu else []), *_what_is_use(runtime)]
            ),
            checked=not _wants_image(values) and runtime.name == wanted,
        )
        for runtime in house.catalog.runtimes
        if allowance.tier.allows_runtime(runtime)
    )


def _what_is_use(runtime: Runtime) -> list[str]:
    """Return what to know of a runtime whose applications have no kernel."""
    return [REQUESTS_COUNT] if runtime.counts_requests else []


def _wants_image(values: Entries) -> bool:
    return values.get("runtime") == "custom" or (
        bool(values.get("image")) and not values.get("runtime")
    )


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
    chosen: InstanceType | None,
    currency: str,
    now: datetime,
) -> tuple[Choice, ...]:
    def cost(span: timedelta) -> str:
        return format_rounded(bill(chosen.price, [(now, now + span)]), currency) if chosen else ""

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


# -- cost ---------------------------------------------------------------------------------------


def _cost(
    chosen: InstanceType,
    currency: str,
    tier: Tier,
    interval: timedelta | Interval,
    stop_at: datetime | None,
    now: datetime,
    funds: Funds,
) -> Cost:
    span = interval if isinstance(interval, timedelta) else None
    price = format_price(chosen.price, currency)
    limit = tier.session_limit_of(chosen)
    q = quote(
        chosen.price,
        currency,
        now,
        shutdown_after=span,
        session_limit=limit,
        stop_at=stop_at,
        funds=funds,
    )
    at_most = _at_most(q, chosen, currency, limit, now)
    if q.if_you_walk_away is not None and span is not None:
        walk_away = Figure(
            format_rounded(q.if_you_walk_away, currency),
            # A hard end that comes first has its own reason.
            f"{format_duration(span)} × {price}" if q.idle_stop == now + span else at_most.note,
            q.idle_stop,
        )
    elif interval is Interval.UNSET:
        walk_away = Figure("–", "choose when it stops")
    else:
        walk_away = Figure(at_most.text, "nothing stops it when idle", at_most.moment)
    no = refusal(chosen.price, chosen.title, funds)
    return Cost(
        chosen.title,
        price,
        walk_away,
        at_most,
        _funds_figure(funds, q, currency),
        no.text if no else "",
    )


def _at_most(
    q: Quote, chosen: InstanceType, currency: str, limit: timedelta | None, now: datetime
) -> Figure:
    """Return what it can cost at most, and which end that is."""
    if q.at_most is None:
        if chosen.free:
            return Figure(format_rounded(0, currency), "it costs nothing")
        price = format_price(chosen.price, currency)
        return Figure("No upper limit", f"while it is in use, {price}")
    if q.money_ends is not None and q.ends_by == q.money_ends:
        note = "your money ends then"
    elif limit is not None and q.ends_by == now + limit:
        note = f"session limit of {format_duration(limit)}"
    else:
        note = "the end time you chose"
    return Figure(format_rounded(q.at_most, currency), note, q.ends_by)


def _funds_figure(funds: Funds, q: Quote, currency: str) -> Figure | None:
    if funds.available is None:
        return None
    note = (
        ""
        if q.left_after is None or not q.per_hour
        else f"{format_rounded(q.left_after, currency)} if you walk away now"
    )
    return Figure(f"{format_rounded(funds.available, currency)} left", note, q.money_ends)


# -- refusals -----------------------------------------------------------------------------------


def _notice(
    refused: Refused, house: House, allowance: Allowance, taken: Taken, values: Entries
) -> Notice:
    wanted = house.catalog.instance_type(values.get("instance_type", ""))
    others = [house.catalog.instance_type(name) for name in refused.alternatives]
    again = None
    if wanted and refused.code in RETRIED:
        again = _way_on(wanted, house, allowance, taken, "Try {title} again, {price}")
    return Notice(
        message=refused.message,
        hint=refused.hint,
        code=refused.code,
        status=refused.status,
        field=refused.field,
        alternatives=tuple(
            _way_on(other, house, allowance, taken, "Start on {title}, {price}")
            for other in others[:3]
            if other is not None
        ),
        again=again,
    )


def _way_on(
    to: InstanceType, house: House, allowance: Allowance, taken: Taken, label: str
) -> WayOn:
    price = format_price(to.price, house.catalog.currency)
    there = room(to, house.hosts, taken.load, allowance.host_groups)
    return WayOn(
        name=to.name,
        label=label.format(title=to.title, price=price),
        note=f"{there.free} of {there.total} free. {_gpu_text(to)}." if there.free else "",
        next_free=None
        if there.free
        else next_free(to, house, taken.leases, load=taken.load, groups=allowance.host_groups),
    )
