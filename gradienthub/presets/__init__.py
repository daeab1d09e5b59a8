"""The tables to start from, as data: machines, prices, runtimes and tiers of two products."""

import tomllib
from importlib.resources import files
from typing import Any

NAMES = ("gradient", "azure")


def load(name: str) -> dict[str, Any]:
    """Return a preset's tables as settings take them.

    Raises ValueError naming the presets there are.
    """
    if name not in NAMES:
        raise ValueError(f"there is no preset {name!r}; known are {', '.join(NAMES)}")
    return tomllib.loads((files(__package__) / f"{name}.toml").read_text())


def traits() -> dict[str, dict[str, list[str]]]:
    """Read what every trait of the hub's classes does here: class -> trait -> fate, why, cure."""
    table: dict[str, dict[str, list[str]]] = tomllib.loads(
        (files(__package__) / "traits.toml").read_text()
    )
    return table
