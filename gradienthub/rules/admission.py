"""Whether a start is admitted, and as what: the decision inside one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from .catalog import Catalog, InstanceType, Runtime
from .duration import LONGEST, format_duration
from .funds import Funds, hold_for, refusal
from .metering import Interval as Span
from .money import format_price
from .options import Interface, Interval, StartOptions
from .placement import Host, Load, Placement, fits, place, room
from .refusal import Refused, shown
from .tiers import Allowance, Tier, cheapest_with
from .unanswered import silent_until
from .warm import Kind, Slot, WarmChoice, choose

#: A custom image that started and never answered this often within an hour is refused.
IMAGE_FAILURES = 3
RETRY_SOON = timedelta(seconds=60)


@dataclass(frozen=True)
class OpenLease:
    """What admission needs of a lease that is not ended."""

    id: str
    account_id: str
    notebook_id: str
    title: str
    instance_type: str
    price: int
    hard_end: datetime | None
    stopping: bool = False


@dataclass(frozen=True)
class House:
    """What is configured: the catalog, the tiers, the hosts."""

    catalog: Catalog
    tiers: Mapping[str, Tier]
    hosts: Sequence[Host]


@dataclass(frozen=True)
class Entitled:
    """Options a person may use, every default filled in."""

    instance_type: InstanceType
    runtime: Runtime | None
    image: str | None
    shutdown_after: timedelta | None
    stop_at: datetime | None
    interface: Interface

    @property
    def runtime_name(self) -> str | None:
        """The runtime's name; None with an image of the person's own."""
        return self.runtime.name if self.runtime else None

    @property
    def custom_image(self) -> bool:
        """Whether the image is the person's own choice."""
        return self.runtime is None


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What a start meets: its account, what is open and taken, and what may still be spent.

    `leases` are all open leases that share these hosts, the oldest first. `notebook_id` is None for
    a new notebook, `funds` where nothing limits them. `image_failures` counts how often this custom
    image did not answer within the last hour; `silent_starts` are when starts of the account had
    paid machines and never answered.
    """

    account_id: str
    notebook_id: str | None = None
    leases: Sequence[OpenLease] = ()
    load: Load
    slots: Sequence[Slot] = ()
    funds: Funds | None = None
    image_failures: int = 0
    silent_starts: Iterable[Span] = ()

    @property
    def own(self) -> list[OpenLease]:
        """The account's open leases."""
        return [lease for lease in self.leases if lease.account_id == self.account_id]


@dataclass(frozen=True)
class Plan:
    """An admitted start: what it gets and by which tier, at which price, until when, what it
    reserves, and which warm servers it claims or takes the place of."""

    entitled: Entitled
    allowance: Allowance
    choice: WarmChoice
    price: int
    currency: str
    session_ends_at: datetime | None
    hold: int = 0

    @property
    def placement(self) -> Placement:
        """Where it goes, with which devices."""
        return self.choice.placement


def entitle(
    options: StartOptions, allowance: Allowance, house: House, now: datetime
) -> Entitled | Refused:
    """Return the options with defaults filled in, or why this person may not have them.

    Everything except what others hold: so it can be asked before anything is stored.
    """
    try:
        instance_type = _instance_type(options, allowance, house)
        runtime, image = _runtime(options, allowance, house.catalog, instance_type)
        return Entitled(
            instance_type=instance_type,
            runtime=runtime,
            image=image,
            shutdown_after=_shutdown_after(options, allowance.tier),
            stop_at=_stop_at(options, now),
            interface=options.interface,
        )
    except Refused as refused:
        return refused


def lock(
    instance_type: InstanceType,
    allowance: Allowance,
    tiers: Mapping[str, Tier],
    currency: str = "USD",
) -> Refused | None:
    """Return why this person may not rent the type, or None: tier, way to pay, approval."""
    tier = allowance.tier
    if not tier.allows_type(instance_type):
        needed = cheapest_with(instance_type, tiers.values())
        return Refused(
            "type_not_in_tier",
            f"{instance_type.title} is not in tier {tier.title} (from {allowance.given_by}).",
            f"It needs tier {needed.title}: ask your administrator."
            if needed
            else "No tier has it: ask your administrator.",
            field="instance_type",
        )
    if not instance_type.free and tier.funding == "none":
        return Refused(
            "tier_cannot_pay",
            f"{instance_type.title} costs {format_price(instance_type.price, currency)}, and tier"
            f" {tier.title} is for free machines.",
            "Ask your administrator for another tier, or choose a free machine.",
            field="instance_type",
        )
    if not instance_type.free and not allowance.payment_method:
        return Refused(
            "payment_method_required",
            f"{instance_type.title} costs {format_price(instance_type.price, currency)},"
            " and your account has no payment method.",
            "Ask your administrator to record one, or choose a free machine.",
            field="instance_type",
        )
    if instance_type.needs_approval and instance_type.name not in allowance.approvals:
        return Refused(
            "approval_required",
            f"{instance_type.title} needs an approval, and you have none.",
            "Ask your administrator for it, with a reason.",
            field="instance_type",
        )
    return None


def _instance_type(options: StartOptions, allowance: Allowance, house: House) -> InstanceType:
    found = house.catalog.instance_type(options.instance_type)
    if found is None:
        offered = [t.name for t in house.catalog.instance_types if allowance.tier.allows_type(t)]
        raise Refused(
            "unknown_instance_type",
            f"There is no instance type {shown(options.instance_type)}.",
            _yours(offered),
            field="instance_type",
        )
    if refused := lock(found, allowance, house.tiers, house.catalog.currency):
        raise refused
    return found


def _runtime(
    options: StartOptions, allowance: Allowance, catalog: Catalog, machine: InstanceType
) -> tuple[Runtime | None, str | None]:
    tier = allowance.tier
    if options.image is not None:
        if not tier.allows_image(options.image):
            raise Refused(
                "image_not_allowed",
                f"The image {shown(options.image)} is not allowed in tier {tier.title}.",
                f"Choose a runtime, or an image like {', '.join(tier.custom_images)}."
                if tier.custom_images
                else "Choose a runtime: this tier has no custom images.",
                field="image",
            )
        return None, options.image
    if options.runtime is None:
        found = allowance.default_runtime(catalog)
    else:
        found = catalog.runtime(options.runtime)
    allowed = [r.name for r in catalog.runtimes if tier.allows_runtime(r)]
    if found is None:
        name = options.runtime or tier.default_runtime
        raise Refused(
            "unknown_runtime",
            f"There is no runtime {shown(name)}." if name else "There is no runtime to start with.",
            _yours(allowed),
            field="runtime",
        )
    if found.name not in allowed:
        raise Refused(
            "runtime_not_in_tier",
            f"{found.title} is not in tier {tier.title}.",
            _yours(allowed),
            field="runtime",
        )
    if found.needs_gpu and not machine.gpus:
        raise Refused(
            "bad_option",
            f"{found.title} needs a GPU, and {machine.title} has none.",
            "Choose a machine with a GPU, or another runtime.",
            field="runtime",
        )
    return found, found.image


def _yours(names: Sequence[str]) -> str:
    if not names:
        return "Your tier has none: ask your administrator."
    return f"Yours are: {', '.join(names[:20])}{', …' if names[20:] else ''}."


def _shutdown_after(options: StartOptions, tier: Tier) -> timedelta | None:
    wanted = options.shutdown_after
    choices = ", ".join(format_duration(choice) for choice in tier.shutdown_choices)
    if wanted is Interval.UNSET:
        if tier.shutdown_default is None and tier.shutdown_required:
            raise Refused(
                "interval_required",
                "No shutdown interval was chosen.",
                f"Choose after how much idleness it stops: {choices}.",
                field="shutdown_after",
            )
        return tier.shutdown_default
    if wanted is Interval.NEVER:
        if tier.shutdown_required:
            raise Refused(
                "interval_not_allowed",
                f"A notebook of tier {tier.title} must stop when idle.",
                f"Choose after how much idleness it stops: {choices}.",
                field="shutdown_after",
            )
        return None
    assert isinstance(wanted, timedelta)  # the two other members are handled above
    if not tier.allows_interval(wanted):
        raise Refused(
            "interval_not_allowed",
            f"A shutdown interval of {format_duration(wanted)} is not allowed in tier"
            f" {tier.title}.",
            f"Choose between {format_duration(tier.shutdown_min)} and"
            f" {format_duration(tier.shutdown_max)}.",
            field="shutdown_after",
        )
    return wanted


def _stop_at(options: StartOptions, now: datetime) -> datetime | None:
    if options.stop_at is not None and options.stop_at <= now:
        raise Refused(
            "bad_stop_at",
            f"The end time {options.stop_at:%Y-%m-%d %H:%M} UTC is not in the future.",
            "Choose a later one, or leave it out.",
            field="stop_at",
        )
    if options.stop_at is not None and options.stop_at > now + LONGEST:
        raise Refused(
            "bad_stop_at",
            f"The end time {options.stop_at:%Y-%m-%d %H:%M} UTC is more than {LONGEST.days} days"
            " away.",
            "Choose an earlier one, or leave it out.",
            field="stop_at",
        )
    return options.stop_at


def admit(
    entitled: Entitled,
    allowance: Allowance,
    house: House,
    situation: Situation,
    now: datetime,
) -> Plan | Refused:
    """Plan the start, or say why not."""
    machine = entitled.instance_type
    if refused := _refusal(entitled, allowance, situation, now):
        return refused
    placement = place(machine, house.hosts, situation.load, allowance.host_groups)
    if placement is None:
        return _no_capacity(machine, allowance, house, situation, now)
    limit = allowance.tier.session_limit_of(machine)
    return Plan(
        entitled=entitled,
        allowance=allowance,
        choice=choose(
            placement,
            Kind(machine, entitled.runtime_name, entitled.image),
            situation.slots,
            hosts=house.hosts,
            load=situation.load,
            groups=allowance.host_groups,
        ),
        price=machine.price,
        currency=house.catalog.currency,
        session_ends_at=now + limit if limit else None,
        hold=hold_for(machine.price),
    )


def _refusal(
    entitled: Entitled, allowance: Allowance, situation: Situation, now: datetime
) -> Refused | None:
    """Return why the start is refused before room is looked for."""
    machine = entitled.instance_type
    if refused := _still_open(situation):
        return refused
    if entitled.custom_image and situation.image_failures >= IMAGE_FAILURES:
        return _image_failing(entitled.image or "", situation.image_failures)
    if refused := _cap(machine, allowance, situation.own):
        return refused
    if machine.price and (free_at := silent_until(situation.silent_starts, now)):
        return _never_answering(free_at, now)
    if situation.funds is None:
        return None
    return refusal(machine.price, machine.title, situation.funds)


def _still_open(situation: Situation) -> Refused | None:
    """Refuse a second lease of one notebook; the caller has ended those that the engine lost."""
    for lease in situation.leases:
        if lease.notebook_id != situation.notebook_id:
            continue
        if lease.stopping:
            return Refused(
                "still_stopping",
                f"{shown(lease.title)} is still stopping.",
                "Its machine is free once the engine says so: try again in a moment.",
                retry_after=timedelta(seconds=10),
            )
        return Refused(
            "still_stopping",
            f"{shown(lease.title)} runs already.",
            "It is the server of another user name of yours, or from before the hub lost its"
            " database: reload the list of your notebooks in a minute, or stop it there.",
            retry_after=timedelta(seconds=60),
        )
    return None


def _image_failing(image: str, failures: int) -> Refused:
    return Refused(
        "image_failing",
        f"The image {shown(image)} started {failures} times within an hour and never answered.",
        "It needs jupyterhub-singleuser 6 inside. Read its log, correct it, or choose a runtime.",
        field="image",
    )


def _never_answering(free_at: datetime, now: datetime) -> Refused:
    return Refused(
        "never_answering",
        "Your last starts on paid machines had their machine and never answered, and cost nothing.",
        f"The next is possible at {free_at:%H:%M} UTC on {free_at:%-d %b}. Look for a"
        " configuration or a start-up file in your notebook's folder that hangs; on a free"
        " machine you can look at it now. An administrator can see the end of each start's"
        " log.",
        retry_after=free_at - now,
    )


def _cap(
    instance_type: InstanceType, allowance: Allowance, own: Sequence[OpenLease]
) -> Refused | None:
    tier = allowance.tier
    if len(own) >= tier.max_running:
        return _too_many(own, f"{len(own)} of {tier.max_running} notebooks of tier {tier.title}")
    free = [lease for lease in own if lease.price == 0]
    most_free = tier.max_running_free
    if instance_type.free and most_free is not None and len(free) >= most_free:
        return _too_many(free, f"{len(free)} of {most_free} free notebooks")
    return None


def _too_many(running: Sequence[OpenLease], what: str) -> Refused:
    names = ", ".join(shown(lease.title) for lease in running[:5])
    return Refused(
        "too_many_running",
        f"{what} are in use: {names}.",
        "One of them is stopping: wait a moment."
        if any(lease.stopping for lease in running)
        else "Stop one first.",
    )


def _no_capacity(
    wanted: InstanceType,
    allowance: Allowance,
    house: House,
    situation: Situation,
    now: datetime,
) -> Refused:
    load, own = situation.load, situation.own
    total = room(wanted, house.hosts, load, allowance.host_groups).total
    ends = next_free(wanted, house, situation.leases, load=load, groups=allowance.host_groups)
    # A free type is no way out for who has all the free notebooks they may have.
    others = [
        t for t in alternatives(wanted, allowance, house, load) if _cap(t, allowance, own) is None
    ]
    if total == 0:
        message = f"No host here carries {wanted.title}."
    elif total == 1:
        message = f"The only {wanted.title} is in use."
    else:
        message = f"All {total} {wanted.title} are in use."
    hints = []
    if total and ends and ends <= now:
        hints.append("The next is being freed: try again in a moment.")
    elif total and ends:
        hints.append(f"The next is free by {ends:%H:%M} UTC{_day(ends, now)} at the latest.")
    elif total:
        hints.append("No end is known: try again in a while.")
    if others:
        titles = ", ".join(t.title for t in others[:3])
        hints.append(f"{titles} {'is' if len(others) == 1 else 'are'} free now.")
    return Refused(
        "no_capacity",
        message,
        " ".join(hints) or "Ask your administrator.",
        field="instance_type",
        retry_after=_retry_after(ends, now) if total else None,
        alternatives=tuple(t.name for t in others),
    )


def _retry_after(ends: datetime | None, now: datetime) -> timedelta:
    if ends is None:
        return RETRY_SOON
    return max(RETRY_SOON, min(ends - now, timedelta(hours=1)))


def _day(moment: datetime, now: datetime) -> str:
    return "" if moment.date() == now.date() else f" on {moment:%a %d %b}"


def next_free(
    wanted: InstanceType,
    house: House,
    everybody: Sequence[OpenLease],
    *,
    load: Load | None = None,
    groups: Iterable[str] = (),
) -> datetime | None:
    """Return the latest moment by which a machine like this is free again, or None where no end is
    known.

    Only a lease whose end makes room for `wanted` counts, wherever it runs: it has at least as many
    devices of the same model, and each host that may carry it is open to `groups` and has the CPUs
    and memory by then. `load` is what is taken now.
    """
    groups = frozenset(groups)
    make_room = {
        held.name
        for held in house.catalog.instance_types
        if _makes_room(held, wanted, house.hosts, load or Load(), groups)
    }
    return min(
        (
            lease.hard_end
            for lease in everybody
            if lease.hard_end and lease.instance_type in make_room
        ),
        default=None,
    )


def _makes_room(
    held: InstanceType,
    wanted: InstanceType,
    hosts: Sequence[Host],
    load: Load,
    groups: frozenset[str],
) -> bool:
    """Return whether the end of a lease of `held`, on whichever host, makes room for `wanted`."""
    if wanted.gpus and (held.gpu_model != wanted.gpu_model or held.gpus < wanted.gpus):
        return False
    sites = [host for host in hosts if fits(held, host, Load())]
    return bool(sites) and all(
        host.open_to(groups)
        # Devices are compared above, so none is held here.
        and fits(
            wanted,
            host,
            Load(
                cpus={host.name: load.cpus.get(host.name, 0) - held.cpus},
                memory={host.name: load.memory.get(host.name, 0) - held.memory},
            ),
        )
        for host in sites
    )


def alternatives(
    wanted: InstanceType, allowance: Allowance, house: House, load: Load
) -> list[InstanceType]:
    """List types that this person could start now instead: GPU for GPU, the nearest price first."""
    free = [
        t
        for t in house.catalog.instance_types
        if t.name != wanted.name
        and lock(t, allowance, house.tiers) is None
        and bool(t.gpus) == bool(wanted.gpus)
        and room(t, house.hosts, load, allowance.host_groups).free
    ]
    return sorted(free, key=lambda t: (abs(t.price - wanted.price), t.price))
