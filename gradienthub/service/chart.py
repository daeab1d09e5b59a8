"""A bar chart of days as plain numbers; the template draws it and the table beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from ..ledger.usage import Day

#: Heights of the drawing, its units: the bars stand between TOP and FLOOR.
TOP, FLOOR = 10.0, 190.0
#: The left edge of the first day, in percent; what is left of it is for the axis.
LEFT = 12.0
#: Lines above the floor.
LINES = 4
#: Machines that have a tone of their own; the rest share the last one.
TONES = 4


@dataclass(frozen=True)
class Bar:
    """One machine on one day: `x` and `width` in percent, `y` and `height` in units."""

    x: float
    width: float
    y: float
    height: float
    tone: int
    title: str


@dataclass(frozen=True)
class Mark:
    """A word beside an axis: `at` is percent on the days' axis, units on the other."""

    at: float
    word: str


@dataclass(frozen=True)
class Chart:
    """Bars with their axes; `says` is it in a sentence."""

    bars: tuple[Bar, ...]
    lines: tuple[Mark, ...]
    days: tuple[Mark, ...]
    says: str


def chart(
    used: Sequence[Day],
    first: date,
    end: date,
    value: Callable[[Day], float],
    word: Callable[[float], str],
    tones: dict[str, int],
    titles: dict[str, str],
) -> Chart | None:
    """What was used from `first` to before `end`, machines stacked; None where all is nothing.

    `value` is what a bar's height means, `word` that in words; `tones` has each machine's.
    """
    shown = [one for one in used if value(one) > 0]
    if not shown:
        return None
    sums: dict[date, float] = {}
    for one in shown:
        sums[one.day] = sums.get(one.day, 0.0) + value(one)
    top = step_above(max(sums.values()) / LINES) * LINES
    slot = (100 - LEFT) / (end - first).days
    bars, floors = [], dict.fromkeys(sums, FLOOR)
    for one in sorted(shown, key=lambda one: (one.day, tones[one.instance_type])):
        height = value(one) / top * (FLOOR - TOP)
        floors[one.day] -= height
        machine = titles.get(one.instance_type, one.instance_type)
        bars.append(
            Bar(
                x=round(LEFT + slot * ((one.day - first).days + 0.15), 2),
                width=round(slot * 0.7, 2), y=round(floors[one.day], 2), height=round(height, 2),
                tone=tones[one.instance_type],
                title=f"{one.day:%-d %b}, {machine}: {word(value(one))}",
            )
        )  # fmt: skip
    highest = max(sums, key=lambda day: sums[day])
    marks = [first + timedelta(days=n) for n in range((end - first).days) if n % 7 == 0]
    return Chart(
        bars=tuple(bars),
        lines=tuple(
            Mark(FLOOR - (FLOOR - TOP) * n / LINES, word(top * n / LINES)) for n in range(LINES + 1)
        ),
        days=tuple(
            Mark(round(LEFT + slot * ((day - first).days + 0.5), 2), f"{day:%-d}") for day in marks
        ),
        says=f"The highest is {highest:%-d %B} with {word(sums[highest])}.",
    )


def step_above(least: float) -> float:
    """The smallest of 1, 2, 5, 10, 20, 50 … hundredths that is not below `least`."""
    size = 0.01
    while True:
        for times in (1, 2, 5):
            if size * times >= least:
                return size * times
        size *= 10
