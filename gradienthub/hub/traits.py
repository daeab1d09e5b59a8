"""The traits that a configuration sets, each with what becomes of it on this hub."""

from collections.abc import Iterator
from functools import cache

from jupyterhub.app import JupyterHub
from traitlets.config import Config, Configurable

from .. import presets
from ..rules.traits import Fate, SetTrait, Table, judge_trait, table_of
from ..settings import GradientHub
from ..spawners.sections import set_value

#: Words at the end of class names that say whose a section is, where no class in use has it.
KINDS = {"spawner": "spawner", "authenticator": "authenticator"}


@cache
def table() -> Table:
    """Read the table of all traits once."""
    return table_of(presets.traits())


def set_traits(
    config: Config,
    spawner: type[Configurable] | None,
    authenticator: type[Configurable] | None,
    hub: type[Configurable] = JupyterHub,
) -> list[SetTrait]:
    """List every trait of hub, spawner and authenticator that the configuration sets.

    Sections of parent classes count, as traitlets has it. Traits of proxies and services' programs
    are left out, and those of GradientHub itself where there are such: they are what they say.
    """
    return [
        *_of_kind(config, "hub", hub),
        *_of_kind(config, "spawner", spawner),
        *_of_kind(config, "authenticator", authenticator),
        *_list_misspelled(config),
    ]


def _list_misspelled(config: Config) -> list[SetTrait]:
    """List what stands in GradientHub's own section and is no trait of it."""
    ours = _of_kind(config, "ours", GradientHub)
    return [trait for trait in ours if trait.row.fate is Fate.NONE]


def lost_traits(
    config: Config,
    spawner: type[Configurable] | None,
    authenticator: type[Configurable] | None,
    hub: type[Configurable] = JupyterHub,
) -> list[SetTrait]:
    """List those that the configuration sets in vain: ours, or without effect."""
    return [
        trait
        for trait in set_traits(config, spawner, authenticator, hub)
        if trait.row.fate is not Fate.KEPT
    ]


def _of_kind(config: Config, kind: str, cls: type[Configurable] | None) -> Iterator[SetTrait]:
    if cls is None:
        return
    classes = [parent.__name__ for parent in cls.__mro__]
    # It hands logins to parts with sections of their own.
    many = "MultiAuthenticator" in classes
    declared = set(cls.class_traits(config=True))
    for section in config:
        if section not in classes and (many or _kind_of(section) != kind):
            continue
        for name, value in config[section].items():
            yield judge_trait(
                table(),
                section=section,
                name=name,
                callable_=_is_hook(set_value(value)),
                classes=classes,
                declared=name in declared,
            )


def _is_hook(value: object) -> bool:
    # A class is callable too; what it does is read, not called.
    return callable(value) and not isinstance(value, type)


def _kind_of(section: str) -> str | None:
    # Traitlets minds capitals; c.Dockerspawner is read by nobody.
    return next((kind for end, kind in KINDS.items() if section.lower().endswith(end)), None)
