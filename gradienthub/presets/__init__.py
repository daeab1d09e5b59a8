"""The tables to start from, as data: machines, prices, runtimes and tiers of two products."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import NotRequired, TypedDict, cast

NAMES = ("gradient", "azure")
#: The keys of a row as they are written, before anybody has checked them.
TableRow = Mapping[str, object]


class Preset(TypedDict):
    """The tables of a preset. `new_account_credit` is in currency units; none is nothing."""

    currency: str
    new_account_credit: NotRequired[str]
    instance_types: Mapping[str, TableRow]
    runtimes: Mapping[str, TableRow]
    tiers: Mapping[str, TableRow]
    tier_rules: TableRow


EMPTY = Preset(currency="USD", instance_types={}, runtimes={}, tiers={}, tier_rules={})


def load(name: str) -> Preset:
    """Return a preset's tables as settings take them.

    Raises ValueError naming the presets there are.
    """
    if name not in NAMES:
        raise ValueError(f"there is no preset {name!r}; known are {', '.join(NAMES)}")
    return cast(Preset, tomllib.loads((files(__package__) / f"{name}.toml").read_text()))


def traits() -> dict[str, dict[str, list[str]]]:
    """Read what every trait of the hub's classes does here: class -> trait -> fate, why, cure."""
    table: dict[str, dict[str, list[str]]] = tomllib.loads(
        (files(__package__) / "traits.toml").read_text()
    )
    return table
