"""What a chart of days shows. Chart.js draws it, and a table beside it says the same."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta

from ..ledger.usage import Day

#: Machines that have a tone of their own; the rest share the last one.
TONES = 4


@dataclass(frozen=True)
class Series:
    """One machine's bars, one a day: `values` in the chart's unit, `words` the same for people."""

    title: str
    tone: int
    values: tuple[float, ...]
    words: tuple[str, ...]


@dataclass(frozen=True)
class Chart:
    """Stacked bars. `unit` is "h" or a currency's code; `says` is it in a sentence."""

    unit: str
    days: tuple[str, ...]
    series: tuple[Series, ...]
    says: str

    @property
    def data(self) -> dict[str, object]:
        """What the page's script reads."""
        return asdict(self)


@dataclass(frozen=True)
class Scale:
    """What a bar's height means: its unit, the value of a day's line, and that in words."""

    unit: str
    value: Callable[[Day], float]
    word: Callable[[float], str]


def chart(
    used: Sequence[Day],
    first: date,
    end: date,
    scale: Scale,
    tones: dict[str, int],
    titles: dict[str, str],
) -> Chart | None:
    """Return the chart of what was used from `first` to before `end`; None where all is nothing.

    `tones` has each machine's, and with it their order.
    """
    value, word = scale.value, scale.word
    by_machine: dict[str, dict[date, float]] = {}
    sums: dict[date, float] = {}
    for use in used:
        if value(use) > 0:
            days = by_machine.setdefault(use.instance_type, {})
            days[use.day] = days.get(use.day, 0.0) + value(use)
            sums[use.day] = sums.get(use.day, 0.0) + value(use)
    if not sums:
        return None
    month = [first + timedelta(days=n) for n in range((end - first).days)]
    highest = max(sums, key=lambda day: sums[day])
    return Chart(
        unit=scale.unit,
        days=tuple(f"{day:%-d %b}" for day in month),
        series=tuple(
            Series(
                titles.get(name, name),
                tones[name],
                tuple(by_machine[name].get(day, 0.0) for day in month),
                tuple(word(by_machine[name].get(day, 0.0)) for day in month),
            )
            for name in sorted(by_machine, key=lambda name: (tones[name], name))
        ),
        says=f"The highest is {highest:%-d %B} with {word(sums[highest])}.",
    )
