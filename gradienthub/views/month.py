"""Month: what was used and charged in a month, as charts, lines and days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..ledger.usage import Day
from ..rules.entry import month_start, next_month
from ..rules.money import MICRO, format_rounded
from .chart import TONES, Chart, Scale, chart

HOURS = Scale("h", lambda day: day.seconds / 3600, lambda hours: f"{hours:.3g} h")


@dataclass(frozen=True)
class MachineUse:
    """A machine's line beside the charts; money is micro-units."""

    title: str
    tone: int
    seconds: float
    charged: int


@dataclass(frozen=True)
class MonthUse:
    """A month's charts, lines and the days that they are made of."""

    cost: Chart | None
    hours: Chart | None
    machines: tuple[MachineUse, ...]
    days: tuple[tuple[str, MachineUse], ...]
    charged: int
    seconds: float


def month_use(
    used: Sequence[Day], now: datetime, titles: Mapping[str, str], currency: str
) -> MonthUse:
    """Return what was used in the month of `now`."""
    first, end = month_start(now).date(), next_month(now).date()
    cost: dict[str, int] = {}
    spans: dict[str, float] = {}
    for use in used:
        cost[use.instance_type] = cost.get(use.instance_type, 0) + use.charged
        spans[use.instance_type] = spans.get(use.instance_type, 0.0) + use.seconds
    ranked = sorted(cost, key=lambda name: (-cost[name], -spans[name], name))
    tones = {name: min(rank, TONES) for rank, name in enumerate(ranked, 1)}
    names = dict(titles)

    def line(name: str, seconds: float, charged: int) -> MachineUse:
        return MachineUse(names.get(name, name), tones[name], seconds, charged)

    return MonthUse(
        cost=chart(used, first, end, _money(currency), tones, names),
        hours=chart(used, first, end, HOURS, tones, names),
        machines=tuple(line(name, spans[name], cost[name]) for name in ranked),
        days=tuple(
            (f"{use.day:%-d %b}", line(use.instance_type, use.seconds, use.charged)) for use in used
        ),
        charged=sum(cost.values()),
        seconds=sum(spans.values()),
    )


def _money(currency: str) -> Scale:
    return Scale(
        currency,
        lambda day: day.charged / MICRO,
        lambda units: format_rounded(round(units * MICRO), currency),
    )
