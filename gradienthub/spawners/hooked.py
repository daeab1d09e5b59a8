"""What hooks set on a spawner, and what the admitted lease makes of it."""

from collections.abc import Iterable, Mapping
from typing import Any

from jupyterhub.spawner import Spawner

from ..rules.refusal import shown
from ..rules.traits import Overridden

#: Traits that hold a program of the deployer's which runs before admission.
HOOKS = ("pre_spawn_hook", "auth_state_hook", "group_overrides")
#: Longest value in a log line or an audit row.
LONGEST = 80


def set_values(spawner: Spawner) -> dict[str, Any]:
    """Read every configurable trait that has a value, without making a default of any other."""
    names = spawner.trait_names(config=True)
    return {
        name: _kept(spawner._trait_values[name]) for name in names if name in spawner._trait_values
    }


def with_defaults(
    spawner: Spawner, values: Mapping[str, Any], names: Iterable[str]
) -> dict[str, Any]:
    """Add what these traits are where nobody sets them: reading one makes its default a value."""
    traits = spawner.traits()
    return {name: traits[name].default(spawner) for name in names if name not in values} | {
        **values
    }


def hooks_of(spawner: Spawner) -> str:
    """Name the programs that may have set a trait."""
    names = [name for name in HOOKS if getattr(spawner, name, None)]
    return " or ".join([*names, "the authenticator's pre_spawn_start"])


def in_words(spawner: Spawner, found: Overridden) -> str:
    """Say it in one sentence."""
    return (
        f"A hook ({hooks_of(spawner)}) set {found.name} to {_value(found.wanted)}; the admitted"
        f" {_value(found.used)} is used"
    )


def as_detail(found: Iterable[Overridden]) -> Mapping[str, str]:
    """Say all of one start for its audit row."""
    return {
        one.name: f"a hook set {_value(one.wanted)}; the admitted {_value(one.used)} is used"
        for one in found
    }


def _kept(value: Any) -> Any:
    # A hook may change a mapping in place.
    return dict(value) if isinstance(value, dict) else value


def _value(value: Any) -> str:
    # What is inside of a mapping may be a secret.
    if isinstance(value, (dict, list)):
        return f"{len(value)} entries"
    return shown(str(value), LONGEST)
