"""The cost of what is chosen on the form, before it is started: each figure with its reason."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ..rules.catalog import InstanceType
from ..rules.duration import format_duration
from ..rules.funds import Funds, refusal
from ..rules.metering import Quote, quote
from ..rules.money import format_price, format_rounded
from ..rules.options import Interval
from ..rules.tiers import Tier


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
class Selection:
    """What is chosen on the form: a machine, the idle interval, and an end time."""

    machine: InstanceType
    interval: timedelta | Interval
    stop_at: datetime | None

    @property
    def span(self) -> timedelta | None:
        """The idle interval; None where nothing stops it when idle."""
        return self.interval if isinstance(self.interval, timedelta) else None


def cost_of(selection: Selection, tier: Tier, funds: Funds, now: datetime) -> Cost:
    """Return what a start of this selection can cost, and whether it can be paid."""
    machine = selection.machine
    limit = tier.session_limit_of(machine)
    q = quote(
        machine.price,
        funds,
        now,
        shutdown_after=selection.span,
        session_limit=limit,
        stop_at=selection.stop_at,
    )
    at_most = _at_most(q, machine, limit, now)
    no = refusal(machine.price, machine.title, funds)
    return Cost(
        title=machine.title,
        price=format_price(machine.price, funds.currency),
        walk_away=_walk_away(q, selection, at_most, now),
        at_most=at_most,
        funds=_funds_figure(funds, q),
        unpaid=no.text if no else "",
    )


def _walk_away(q: Quote, selection: Selection, at_most: Figure, now: datetime) -> Figure:
    """Return what it costs if nobody uses it from its start."""
    span = selection.span
    if q.if_you_walk_away is not None and span is not None:
        price = format_price(q.per_hour, q.currency)
        # A hard end that comes first has its own reason.
        by_idleness = q.idle_stop == now + span
        note = f"{format_duration(span)} × {price}" if by_idleness else at_most.note
        return Figure(format_rounded(q.if_you_walk_away, q.currency), note, q.idle_stop)
    if selection.interval is Interval.UNSET:
        return Figure("–", "choose when it stops")
    return Figure(at_most.text, "nothing stops it when idle", at_most.moment)


def _at_most(q: Quote, machine: InstanceType, limit: timedelta | None, now: datetime) -> Figure:
    """Return what it can cost at most, and which end that is."""
    if q.at_most is None:
        if machine.free:
            return Figure(format_rounded(0, q.currency), "it costs nothing")
        price = format_price(machine.price, q.currency)
        return Figure("No upper limit", f"while it is in use, {price}")
    if q.money_ends is not None and q.ends_by == q.money_ends:
        note = "your money ends then"
    elif limit is not None and q.ends_by == now + limit:
        note = f"session limit of {format_duration(limit)}"
    else:
        note = "the end time you chose"
    return Figure(format_rounded(q.at_most, q.currency), note, q.ends_by)


def _funds_figure(funds: Funds, q: Quote) -> Figure | None:
    if funds.available is None:
        return None
    note = (
        ""
        if q.left_after is None or not q.per_hour
        else f"{format_rounded(q.left_after, q.currency)} if you walk away now"
    )
    return Figure(f"{format_rounded(funds.available, q.currency)} left", note, q.money_ends)
