"""What `gradienthub adopt` tells: an old configuration and its engine, as plain values."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NotRequired, TypedDict, TypeVar

from docker.errors import DockerException
from dockerspawner import DockerSpawner
from jupyterhub.app import JupyterHub
from jupyterhub.auth import Authenticator
from traitlets.config import Config, Configurable

from ..hub import adoption, traits
from ..ledger import LedgerAway, volumes
from ..rules.adoption import PERSONAL, Takeover, culler_names, parse_adopted
from ..rules.catalog import ConfigurationFault
from ..rules.outside import Outside
from ..rules.traits import SetTrait
from ..rules.untrusted import as_mapping
from ..spawners.base import GradientSpawner
from ..spawners.docker import GradientDockerSpawner
from ..spawners.docker_engine import DockerEngine, client_options
from ..spawners.engine import EngineAway
from ..spawners.sections import NoSuchClass, configured, configured_class
from . import config as configs

T = TypeVar("T")

ENGINE_SECONDS = 10
#: Stands for a hub whose ledger and id are not made yet.
NO_HUB = "gradienthub-adopt"
OWN_CLASS_NOTE = (
    "Everybody's server starts as before, as their own system user and in their home folder, so"
    " that old files are where they were. Nothing enforces GPUs; limits are what your spawner"
    " enforces."
)
SIMPLE_NOTE = (
    "Everybody's processes run as the hub's own user, as before. Old homes are linked into each"
    " notebook's workspace."
)


@dataclass(frozen=True)
class TraitTold:
    """One trait that the configuration sets."""

    name: str
    fate: str
    why: str
    instead: str
    judged: bool


@dataclass(frozen=True)
class EngineVolume:
    """An old volume of the engine that a template names; `account` is whose it is by the ledger."""

    name: str
    user: str
    made: str | None
    account: str | None = None


class VolumeRow(TypedDict):
    """A volume as the engine lists it."""

    Name: str
    CreatedAt: NotRequired[str]


@dataclass(frozen=True)
class AdoptionPlan:
    """All that is told. `one_line` is empty where only lines of one's own do."""

    file: str
    spawner: str
    verdict: str
    traits: tuple[TraitTold, ...]
    one_line: str
    lines: tuple[str, ...]
    remove: tuple[str, ...]
    notes: tuple[str, ...]
    running: tuple[Outside, ...] = ()
    volumes: tuple[EngineVolume, ...] = ()
    engine_away: str = ""
    steps: tuple[str, ...] = field(default=())


def plan_of(config: Config, path: Path) -> AdoptionPlan:
    """Read a configuration that was run without configure(c), and look at its engine."""
    spawner = adoption.old_spawner(config)
    takeover = None if spawner.is_ours else adoption.takeover_of(config, spawner)
    is_docker = spawner.cls is not None and issubclass(spawner.cls, DockerSpawner)
    running, old_volumes, away = _engine(config) if is_docker else ((), (), "")
    notes = list(takeover.notes if takeover else ())
    if takeover is None and not spawner.is_ours and not is_docker:
        notes.append(OWN_CLASS_NOTE)
        notes += _culler_notes(config, spawner)
    if spawner.is_simple:
        notes.append(SIMPLE_NOTE)
    return AdoptionPlan(
        file=str(path),
        spawner=spawner.name,
        verdict=_verdict(spawner, takeover),
        traits=tuple(_fate_of(trait) for trait in _set_traits(config, spawner)),
        one_line="configure(c, adopt=True)" if takeover else "",
        lines=tuple(_all_lines(config, spawner)),
        remove=tuple(_to_remove(config, spawner, takeover)),
        notes=tuple(notes),
        running=running,
        volumes=old_volumes,
        engine_away=away,
        steps=tuple(_steps(path, bool(running))),
    )


def _verdict(spawner: adoption.OldSpawner, takeover: Takeover | None) -> str:
    if spawner.is_ours:
        return "It is GradientHub's already; `gradienthub check` judges it."
    if takeover is not None:
        return "It can be taken over with one line."
    return "It becomes a class of your own, with GradientSpawner on its left."


def _set_traits(config: Config, spawner: adoption.OldSpawner) -> list[SetTrait]:
    return traits.set_traits(config, _future_class(spawner), _authenticator(config))


def _future_class(spawner: adoption.OldSpawner) -> type[Configurable]:
    """Make the class that the hub will use, to judge its traits."""
    cls = spawner.cls
    if cls is None:
        # Not installed here; the table may know it by name.
        return type(spawner.name, (GradientSpawner,), {})
    if spawner.is_ours:
        return cls
    if spawner.is_docker:
        return GradientDockerSpawner
    if spawner.is_simple:
        from ..spawners.local import GradientLocalSpawner  # noqa: PLC0415 - needs psutil

        return GradientLocalSpawner
    base = GradientDockerSpawner if issubclass(cls, DockerSpawner) else GradientSpawner
    return type(f"Gradient{spawner.name}", (base, cls), {})


def _authenticator(config: Config) -> type[Authenticator] | None:
    try:
        named = configured_class(config, JupyterHub, "authenticator_class")
    except NoSuchClass:
        return None
    return named if isinstance(named, type) else None


def _fate_of(trait: SetTrait) -> TraitTold:
    row = trait.row
    return TraitTold(trait.dotted, row.fate.words, row.why, row.cure, trait.judged)


def _all_lines(config: Config, spawner: adoption.OldSpawner) -> list[str]:
    if spawner.is_ours:
        return []
    lines = adoption.lines_for(config, spawner)
    imports = [line for line in lines if line.startswith("from ")]
    others = [line for line in lines if not line.startswith("from ")]
    return ["from gradienthub import configure", *imports, *others, "configure(c)"]


def _to_remove(
    config: Config, spawner: adoption.OldSpawner, takeover: Takeover | None
) -> list[str]:
    gone = []
    if takeover is not None and spawner.cls is not None:
        written = {f"c.{s}.{n}" for s, names in takeover.settings.items() for n in names}
        for section in spawner.cls.section_names():
            for name in config.get(section, {}):
                dotted = f"c.{section}.{name}"
                if name in takeover.drops and dotted not in written:
                    gone.append(dotted)
    old = adoption.old_of(config, spawner)
    cullers = takeover.services if takeover else culler_names(old.services)
    gone += [f"the service {name!r} of c.JupyterHub.services" for name in cullers]
    gone += [
        f"the role {name!r} of c.JupyterHub.load_roles"
        for name in (takeover.roles if takeover else ())
    ]
    return gone


def _culler_notes(config: Config, spawner: adoption.OldSpawner) -> list[str]:
    names = culler_names(adoption.old_of(config, spawner).services)
    if not names:
        return []
    return [f"The service {', '.join(names)} stops notebooks at one limit for all; remove it."]


def _steps(path: Path, runs: bool) -> list[str]:
    steps = [
        "Keep a copy of the configuration and of the hub's database.",
        f"Write the lines, then `gradienthub check -f {path}` until it names no fault.",
        "Restart the hub. Who is logged in stays logged in.",
    ]
    if runs:
        steps.append("What runs now goes on; let its owners stop it when they are done.")
    steps += [
        "Start a notebook of your own: old files are in its file browser.",
        "Volumes that are not given by themselves, because a name may have been somebody else's:"
        f" gradienthub adopt -f {path} --bind VOLUME=USER, or --bind-all.",
    ]
    return steps


# -- the engine -----------------------------------------------------------------------------------


def _engine(config: Config) -> tuple[tuple[Outside, ...], tuple[EngineVolume, ...], str]:
    running, away = _running(config)
    old, volumes_away = volumes_of(config)
    return running, tuple(old), away or volumes_away


def _running(config: Config) -> tuple[tuple[Outside, ...], str]:
    async def look(engine: DockerEngine) -> list[Outside]:
        return await engine.outside()

    running, away = _ask(config, look)
    return tuple(running or ()), away


def volumes_of(config: Config) -> tuple[list[EngineVolume], str]:
    """List the engine's volumes that the configuration's templates name; and why it is away."""
    spawner = adoption.old_spawner(config)
    takeover = None if spawner.is_ours else adoption.takeover_of(config, spawner)
    adopted: Mapping[str, object] = {}
    if takeover is not None:
        adopted = as_mapping(
            takeover.settings.get("GradientDockerSpawner", {}).get("adopted_volumes")
        )
    elif spawner.cls is not None and issubclass(spawner.cls, GradientDockerSpawner):
        adopted = configured(config, spawner.cls, "adopted_volumes") or {}
    patterns = [
        pattern
        for volume in parse_adopted("adopted_volumes", adopted)
        if volume.personal and (pattern := pattern_of(volume.template))
    ]
    if not patterns:
        return [], ""

    async def look(engine: DockerEngine) -> list[VolumeRow]:
        rows: list[VolumeRow] = (await engine.ask("volumes"))["Volumes"] or []
        return rows

    rows, away = _ask(config, look)
    accounts_of = _bound(config)
    old = []
    for row in rows or ():
        match = next((m for p in patterns if (m := p.fullmatch(row["Name"]))), None)
        if match:
            name = row["Name"]
            user = _unescaped(match["user"])
            old.append(EngineVolume(name, user, row.get("CreatedAt"), accounts_of.get(name)))
    return sorted(old, key=lambda volume: volume.name), away


def pattern_of(template: str) -> "re.Pattern[str] | None":
    """Turn a template of volumes into what finds them, with the user's name as a group."""
    if template.startswith("/"):
        return None
    parts = re.split(r"\{(\w+)\}", template)
    text, seen = "", False
    for number, part in enumerate(parts):
        if number % 2 == 0:
            text += re.escape(part)
        elif part in PERSONAL and not seen:
            text, seen = text + "(?P<user>.+)", True
        else:
            text += ".*"
    return re.compile(text) if seen else None


def _unescaped(name: str) -> str:
    """Read a name that DockerSpawner has escaped: what is no letter or digit is -xx."""
    try:
        raw = re.sub(rb"-([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), name.encode())
        return raw.decode()
    except UnicodeDecodeError:
        return name


def _ask(config: Config, look: Callable[[DockerEngine], Awaitable[T]]) -> tuple[T | None, str]:
    """Return what a look at the engine gives; or None and why it is away."""

    async def ask() -> tuple[T | None, str]:
        try:
            options = client_options(config, GradientDockerSpawner)
        except DockerException as error:
            return None, str(error)
        engine = DockerEngine(NO_HUB, {**options, "timeout": ENGINE_SECONDS})
        try:
            return await look(engine), ""
        except (EngineAway, TypeError) as away:
            return None, str(away) or "it does not answer"
        finally:
            await engine.close()

    return asyncio.run(ask())


def _bound(config: Config) -> dict[str, str]:
    """Map each volume to its account's name, where there is a ledger already."""
    try:
        hub = configs.HubConfig(Path(), config, configs.settings_of(config))
        with configs.open_ledger(hub) as ledger:
            owners = ledger.read(volumes.list_owners, hub.settings.hub_id)
    except (ConfigurationFault, LedgerAway):
        return {}
    return {volume: owner or "a closed account" for volume, owner in owners.items()}
