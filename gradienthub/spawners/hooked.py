"""What hooks set on a spawner, and what the admitted lease makes of it."""

from collections.abc import Iterable, Mapping

from jupyterhub.spawner import Spawner

from ..rules.refusal import shown
from ..rules.traits import Overridden

#: Traits that hold a program of the deployer's which runs before admission.
HOOKS = ("pre_spawn_hook", "auth_state_hook", "group_overrides")
#: Longest value in a log line or an audit row.
LONGEST = 80


def set_values(spawner: Spawner) -> dict[str, object]:
    """Read every configurable trait that has a value, without making a default of any other."""
    names = spawner.trait_names(config=True)
    return {
        name: _kept(spawner._trait_values[name]) for name in names if name in spawner._trait_values
    }


def with_defaults(
    spawner: Spawner, values: Mapping[str, object], names: Iterable[str]
) -> dict[str, object]:
    """Add what these traits are where nobody sets them: reading one makes its default a value."""
    traits = spawner.traits()
    return {name: traits[name].default(spawner) for name in names if name not in values} | {
        **values
    }


def hooks_of(spawner: Spawner) -> str:
    """Name the programs that may have set a trait."""
    names = [name for name in HOOKS if getattr(spawner, name, None)]
    return " or ".join([*names, "the authenticator's pre_spawn_start"])


def in_words(spawner: Spawner, trait: Overridden) -> str:
    """Say it in one sentence."""
    return (
        f"A hook ({hooks_of(spawner)}) set {trait.name} to {_value(trait.wanted)}; the admitted"
        f" {_value(trait.used)} is used"
    )


def as_detail(traits: Iterable[Overridden]) -> Mapping[str, str]:
    """Say all of one start for its audit row."""
    return {
        trait.name: f"a hook set {_value(trait.wanted)}; the admitted {_value(trait.used)} is used"
        for trait in traits
    }


def _kept(value: object) -> object:
    # A hook may change a mapping in place.
    return dict(value) if isinstance(value, dict) else value


def _value(value: object) -> str:
    # What is inside of a mapping may be a secret.
    if isinstance(value, (dict, list)):
        return f"{len(value)} entries"
    return shown(str(value), LONGEST)
