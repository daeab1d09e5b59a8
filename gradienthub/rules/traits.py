"""What becomes of a trait that a deployer set: kept, ours, or without effect, and what to write."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

#: Sections whose traits are ours to explain. A proxy's or another program's traits are its own.
OWN_SECTION = "its own class says what it does"


class Fate(StrEnum):
    """What a trait does on a hub with GradientHub."""

    KEPT = "kept"
    OURS = "ours"
    NONE = "none"

    @property
    def words(self) -> str:
        """Name it for a person who configured the trait."""
        return {"kept": "yours", "ours": "ours", "none": "without effect"}[self.value]


@dataclass(frozen=True)
class TraitFate:
    """One line of the table: the fate, why, and what to write in place of it."""

    fate: Fate
    why: str
    cure: str = ""


Table = Mapping[str, Mapping[str, TraitFate]]


@dataclass(frozen=True)
class SetTrait:
    """A trait that this configuration sets, by section and name, and what becomes of it.

    `judged` is False where the value is a callable: only a start shows what that does.
    """

    section: str
    name: str
    row: TraitFate
    judged: bool = True

    @property
    def dotted(self) -> str:
        """Spell it as a configuration file does."""
        return f"c.{self.section}.{self.name}"

    @property
    def sentence(self) -> str:
        """Say what becomes of it, with the cure where there is one."""
        says = {
            Fate.KEPT: f"{self.dotted} is yours: {self.row.why}",
            Fate.OURS: f"{self.dotted} is not used: {self.row.why}",
            Fate.NONE: f"{self.dotted} has no effect: {self.row.why}",
        }[self.row.fate]
        return f"{says}. Instead: {self.row.cure}." if self.row.cure else f"{says}."


def table_of(raw: Mapping[str, Mapping[str, Sequence[str]]]) -> Table:
    """Build the table from its data. Raises ValueError naming a line that cannot be right."""
    table: dict[str, dict[str, TraitFate]] = {}
    for section, lines in raw.items():
        for name, (fate, why, *cure) in lines.items():
            if fate == "none" and not cure:
                raise ValueError(f"[{section}] {name} has no effect and no cure")
            table.setdefault(section, {})[name] = TraitFate(Fate(fate), why, *cure)
    return table


def find_row(table: Table, classes: Iterable[str], name: str) -> TraitFate | None:
    """Find the row of the nearest class that has one; `classes` go from a class to its parents."""
    return next((table[cls][name] for cls in classes if name in table.get(cls, {})), None)


def judge_trait(
    table: Table,
    *,
    section: str,
    name: str,
    callable_: bool,
    classes: Sequence[str],
    declared: bool,
) -> SetTrait:
    """Say what becomes of one set trait.

    `classes` are the class that the hub uses and its parents, nearest first. A section that is
    none of them is read by nobody. `declared`: the class has the trait.
    """
    used = classes[0]
    if section not in classes:
        cure = f"c.{used}.{name}" if declared else "remove the line"
        row = TraitFate(Fate.NONE, f"the hub uses {used}, which is no {section}", cure)
        return SetTrait(section, name, row, judged=not callable_)
    row_ = find_row(table, classes, name)
    if row_ is None and not declared:
        row_ = TraitFate(
            Fate.NONE, f"{used} has no such trait", "correct the name, or remove the line"
        )
    row_ = row_ or TraitFate(Fate.KEPT, OWN_SECTION)
    return SetTrait(section, name, row_, judged=not callable_)


@dataclass(frozen=True)
class Overridden:
    """A trait that a hook set and that the admitted lease overrides."""

    name: str
    wanted: object
    used: object


def find_overridden(
    before: Mapping[str, object], hooked: Mapping[str, object], used: Mapping[str, object]
) -> list[Overridden]:
    """List what hooks set in vain: changed since `before`, and something else after the lease.

    A trait that a mapping lacks has its default there, which nobody set.
    """
    return [
        Overridden(name, value, used.get(name))
        for name, value in hooked.items()
        if before.get(name) != value and used.get(name) != value
    ]
