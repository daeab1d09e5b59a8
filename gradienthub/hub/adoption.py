"""Adopting a hub that had another spawner: its configuration read as values, and taken over."""

from collections.abc import Mapping
from dataclasses import dataclass

from dockerspawner import DockerSpawner
from jupyterhub.app import JupyterHub
from jupyterhub.spawner import SimpleLocalProcessSpawner
from traitlets.config import Config, Configurable

from .. import presets
from ..rules.adoption import (
    Old,
    Takeover,
    own_class,
    take_over_docker,
    take_over_simple,
)
from ..spawners.base import GradientSpawner
from ..spawners.sections import NoSuchClass, configured, configured_class, set_value

#: The tables from which a configuration starts that names none.
USUAL_PRESET = "gradient"


@dataclass(frozen=True)
class OldSpawner:
    """The spawner that a configuration names. `cls` is None where it cannot be loaded here."""

    named: str
    cls: type[Configurable] | None

    @property
    def name(self) -> str:
        """Return the class's own name."""
        return self.cls.__name__ if self.cls else self.named.rpartition(".")[2]

    @property
    def module(self) -> str:
        """Return where a configuration file imports it from."""
        if self.cls is None:
            return self.named.rpartition(".")[0] or self.named
        # DockerSpawner's module lies inside of its package, which exports it.
        module = self.cls.__module__
        package = module.partition(".")[0]
        return package if package in ("dockerspawner", "kubespawner") else module

    @property
    def is_ours(self) -> bool:
        """Return whether it admits already."""
        return self.cls is not None and issubclass(self.cls, GradientSpawner)

    @property
    def is_docker(self) -> bool:
        """Return whether it is DockerSpawner itself, which is taken over whole."""
        return self.cls is DockerSpawner

    @property
    def is_simple(self) -> bool:
        """Return whether everybody's processes run as the hub's user."""
        return self.cls is SimpleLocalProcessSpawner


def old_spawner(config: Config) -> OldSpawner:
    """Find the spawner that a configuration names, as the hub would."""
    named = configured(config, JupyterHub, "spawner_class")
    if isinstance(named, type):
        return OldSpawner(named.__name__, named)
    try:
        cls = configured_class(config, JupyterHub, "spawner_class")
    except NoSuchClass:
        cls = None
    return OldSpawner(str(named), cls if isinstance(cls, type) else None)


def old_of(config: Config, spawner: OldSpawner) -> Old:
    """Collect what an old configuration sets, by its nearest sections."""
    preset = config.GradientHub.get("preset", USUAL_PRESET)
    tables = presets.load(preset) if preset else presets.EMPTY
    tier = tables["tiers"].get(str(tables["tier_rules"].get("default")), {})
    return Old(
        spawner=spawner.name,
        traits=_traits(config, spawner),
        services=_list(config, "services"),
        roles=_list(config, "load_roles"),
        ours=frozenset(config.GradientHub),
        default_runtime=str(tier.get("default_runtime") or "python"),
        other_runtimes=tuple(tables["runtimes"]),
    )


def _traits(config: Config, spawner: OldSpawner) -> dict[str, object]:
    if spawner.cls is None:
        sections = ["Spawner", spawner.name]
    else:
        sections = spawner.cls.section_names()
    traits: dict[str, object] = {}
    for section in sections:
        if section in config:
            for name, value in config[section].items():
                traits[name] = set_value(value, traits.get(name))
    aliases = getattr(spawner.cls, "_deprecated_aliases", {})
    for old, (new, _since) in aliases.items():
        if old in traits:
            traits.setdefault(new, traits[old])
    return traits


def _list(config: Config, name: str) -> list[Mapping[str, object]]:
    return [row for row in set_value(config.JupyterHub.get(name, []), []) if isinstance(row, dict)]


def takeover_of(config: Config, spawner: OldSpawner) -> Takeover | None:
    """Work out what takes an old configuration's place; None where only a class of one's own does.

    Nothing is changed.
    """
    old = old_of(config, spawner)
    if spawner.is_docker:
        return take_over_docker(old)
    if spawner.is_simple:
        template = old.traits.get("home_dir_template") or "/tmp/{username}"
        return take_over_simple(old, str(template))
    return None


def take_over(config: Config, spawner: OldSpawner, takeover: Takeover) -> None:
    """Change a configuration so that the hub is a GradientHub that does the same.

    What c.GradientHub or c.GradientDockerSpawner say already stays.
    """
    assert spawner.cls is not None  # there is a takeover
    aliases = getattr(spawner.cls, "_deprecated_aliases", {})
    drops = {*takeover.drops, *(old for old, (new, _) in aliases.items() if new in takeover.drops)}
    for section in spawner.cls.section_names():
        for name in drops & set(config.get(section, {})):
            del config[section][name]
    for section, traits in takeover.settings.items():
        for name, value in traits.items():
            if section == "JupyterHub" or name not in config[section]:
                config[section][name] = value
    for key, gone in (("services", takeover.services), ("load_roles", takeover.roles)):
        if gone:
            left = [row for row in _list(config, key) if row.get("name") not in gone]
            config.JupyterHub[key] = left


def lines_for(config: Config, spawner: OldSpawner) -> list[str]:
    """Spell what to write for the spawner, without configure(c) itself."""
    takeover = takeover_of(config, spawner)
    if takeover is not None:
        return takeover.lines
    if spawner.cls is not None and issubclass(spawner.cls, DockerSpawner):
        return [
            f"from {spawner.module} import {spawner.name}",
            "from gradienthub.spawners.docker import GradientDockerSpawner",
            "",
            "",
            f"class Gradient{spawner.name}(GradientDockerSpawner, {spawner.name}):",
            '    """Rented; what it overrides must call super()."""',
            "",
            "",
            f"c.JupyterHub.spawner_class = Gradient{spawner.name}",
        ]
    return own_class(spawner.module, spawner.name, limits="LocalProcess" not in spawner.name)


def refusal_of(config: Config, spawner: OldSpawner, *, adopt: bool) -> str:
    """Say why configure(c) does not go on with this spawner, with the lines to write."""
    begin = f"c.JupyterHub.spawner_class is {spawner.name}, which rents nothing. "
    if takeover_of(config, spawner) is not None and not adopt:
        return (
            begin + "`gradienthub adopt -f FILE` shows what stays and what changes; to have its"
            " settings taken over, write\n\n    configure(c, adopt=True)\n"
        )
    lines = "\n".join(f"    {line}".rstrip() for line in lines_for(config, spawner))
    return begin + f"Write before configure(c):\n\n{lines}\n"
