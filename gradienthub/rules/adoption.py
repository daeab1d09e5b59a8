"""Adopting a hub: what an old DockerSpawner's traits become here, and whose an old volume is."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from string import Formatter

from .catalog import ConfigurationFault
from .untrusted import as_list, as_mapping

#: Names in a template that make what it names one person's.
PERSONAL = frozenset({"username", "raw_username", "safe_username"})
#: Where the images of Jupyter have their HOME, and a server starts that is told no folder.
USUAL_HOME = "/home/jovyan"
#: The folder that shows old files, where the old place has no name of its own.
OLD_FILES = "old-files"
#: An engine tells the second in which a volume was made, a hub's database may cut fractions.
TOLERANCE = timedelta(seconds=2)
UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
#: Keys of extra_host_config that give a container what only a lease may.
PAST_THE_LEDGER = ("device_requests", "devices", "privileged", "runtime")
#: Programs that stop idle servers at one limit for all.
CULLER = re.compile(r"idle[-_]culler|cull[-_]idle")


# -- old volumes --------------------------------------------------------------------------------


@dataclass(frozen=True)
class OldVolume:
    """An old volume or host folder, by its template, as a folder of everybody's workspace."""

    template: str
    folder: str
    read_only: bool = False

    @property
    def personal(self) -> bool:
        """Return whether each person has one of their own."""
        return is_personal(self.template)


def is_personal(template: str) -> bool:
    """Return whether a volume's template names its person."""
    try:
        fields = {name for _, name, _, _ in Formatter().parse(template) if name}
    except ValueError:
        return False  # a stray brace: DockerSpawner leaves such a name as it is
    return bool(fields & PERSONAL)


def parse_adopted(trait: str, value: Mapping[str, object]) -> tuple[OldVolume, ...]:
    """Parse `adopted_volumes`. Raises ConfigurationFault with name, value and cure."""
    volumes = []
    for template, asked in value.items():
        mode: object = "rw"
        where = asked
        if isinstance(asked, Mapping):
            mode, where = asked.get("mode", "rw"), asked.get("folder")
        if not isinstance(template, str) or not template:
            raise ConfigurationFault(f"{trait}: {template!r} is no volume's name or folder's path")
        if not _is_plain_name(where):
            raise ConfigurationFault(
                f"{trait}[{template!r}] = {where!r}: write the name of one folder in the workspace,"
                f' without "/", for example "{OLD_FILES}"'
            )
        if mode not in ("rw", "ro"):
            raise ConfigurationFault(f'{trait}[{template!r}]: mode {mode!r}; write "rw" or "ro"')
        volumes.append(OldVolume(template, str(where), mode == "ro"))
    folders = [volume.folder for volume in volumes]
    if twice := {name for name in folders if folders.count(name) > 1}:
        raise ConfigurationFault(
            f"{trait}: {', '.join(sorted(twice))} stands twice; name each once"
        )
    return tuple(volumes)


def _is_plain_name(where: object) -> bool:
    return (
        isinstance(where, str)
        and bool(re.fullmatch(r"[^/\x00-\x1f]{1,80}", where))
        and where not in (".", "..")
    )


class Whose(StrEnum):
    """Whose an old volume is."""

    THEIRS = "theirs"  # the ledger says so already
    TAKE = "take"  # nobody's yet, and made by this very user
    ANOTHERS = "anothers"  # the ledger says that it is another account's
    UNSURE = "unsure"  # it may be a former user's of the same name


def judge_volume(
    *, owner: str | None, account_id: str, made: datetime | None, user_since: datetime
) -> Whose:
    """Say whether an old volume that is named like a user is that user's.

    Names are given again. A volume that is older than the hub's user was made by somebody before,
    and where nobody knows its age an administrator has to say whose it is.
    """
    if owner is not None:
        return Whose.THEIRS if owner == account_id else Whose.ANOTHERS
    if made is not None and made >= user_since - TOLERANCE:
        return Whose.TAKE
    return Whose.UNSURE


# -- an old configuration -----------------------------------------------------------------------


@dataclass(frozen=True)
class Old:
    """What an old configuration sets.

    `traits` are those of its spawner, by name. `ours` are the names that c.GradientHub sets.
    `default_runtime` and `other_runtimes` are the preset's.
    """

    spawner: str
    traits: Mapping[str, object]
    services: Sequence[Mapping[str, object]] = ()
    roles: Sequence[Mapping[str, object]] = ()
    ours: frozenset[str] = frozenset()
    default_runtime: str = "python"
    other_runtimes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Takeover:
    """What takes its place: settings by section, the old traits that go, and what to know.

    `services` and `roles` are names of those that go.
    """

    settings: Mapping[str, Mapping[str, object]]
    drops: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """Spell the settings as lines of a configuration file."""
        return [
            f"c.{section}.{name} = {_spell(value)}"
            for section, traits in self.settings.items()
            for name, value in traits.items()
        ]


@dataclass
class _Making:
    hub: dict[str, object] = field(default_factory=dict)
    spawner: dict[str, object] = field(default_factory=dict)
    drops: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def take_over_docker(old: Old, section: str = "GradientDockerSpawner") -> Takeover:
    """Turn the traits of a DockerSpawner into settings that do the same here."""
    making = _Making()
    _images(old, making)
    _limits(old, making)
    _volumes(old, making)
    _command(old, making)
    _passthrough(old, making)
    settings: dict[str, Mapping[str, object]] = {"JupyterHub": {"spawner_class": "gradient-docker"}}
    if making.hub:
        settings["GradientHub"] = making.hub
    if making.spawner:
        settings[section] = making.spawner
    return _replace_cullers(old, settings, making)


def take_over_simple(old: Old, home: str) -> Takeover:
    """Turn the traits of a SimpleLocalProcessSpawner, whose people have homes of this template."""
    making = _Making(spawner={"adopted_volumes": {home: OLD_FILES}})
    making.drops += [n for n in ("home_dir_template", "notebook_dir") if n in old.traits]
    settings: dict[str, Mapping[str, object]] = {
        "JupyterHub": {"spawner_class": "gradient-local"},
        "GradientLocalSpawner": making.spawner,
    }
    return _replace_cullers(old, settings, making)


def _replace_cullers(
    old: Old, settings: Mapping[str, Mapping[str, object]], making: _Making
) -> Takeover:
    cullers = culler_names(old.services)
    if cullers:
        making.notes.append(
            f"The service {', '.join(cullers)} stops notebooks at one limit for all; the keeper"
            " takes its place, at each notebook's own interval."
        )
    roles = tuple(
        str(role.get("name"))
        for role in old.roles
        if role.get("services") and set(as_list(role["services"])) <= set(cullers)
    )
    return Takeover(settings, tuple(making.drops), tuple(making.notes), cullers, roles)


def culler_names(services: Iterable[Mapping[str, object]]) -> tuple[str, ...]:
    """Name the services that run a stock idle culler, however its command is written."""
    return tuple(
        str(service.get("name"))
        for service in services
        if CULLER.search(str(service.get("command") or ""))
    )


def _images(old: Old, making: _Making) -> None:
    image, allowed = old.traits.get("image"), old.traits.get("allowed_images")
    making.drops += [name for name in ("image", "allowed_images") if name in old.traits]
    if callable(allowed):
        making.notes.append(
            "allowed_images is a callable: write one row of c.GradientHub.runtimes for each image"
            " it may answer, and the tiers that may use it."
        )
        allowed = None
    if allowed == "*":
        making.notes.append(
            'allowed_images is "*": give the tiers that may bring any image custom_images = ["*"].'
        )
        allowed = None
    if isinstance(allowed, Mapping):
        titles = {str(title): str(each) for title, each in allowed.items()}
    else:
        titles = {str(each): str(each) for each in as_list(allowed)}
    images: dict[str, str] = {}
    if isinstance(image, str) and image:
        images[image] = next((t for t, i in titles.items() if i == image and t != i), image)
    for title, each in titles.items():
        images.setdefault(each, title)
    if not images:
        return
    if "runtimes" in old.ours:
        making.notes.append(
            f"c.GradientHub.runtimes is yours already; see that it has {', '.join(images)}."
        )
        return
    runtimes: dict[str, object] = {}
    for each, title in images.items():
        # The first is what a start without a choice gets, under the name that all tiers know.
        name = _slug(title, runtimes) if runtimes else old.default_runtime
        runtimes[name] = {"title": title[:80], "description": "", "image": each}
    runtimes |= dict.fromkeys(name for name in old.other_runtimes if name not in runtimes)
    making.hub["runtimes"] = runtimes


def _slug(title: str, taken: Iterable[str]) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", title.rpartition("/")[2].lower()).strip("-")[:40] or "image"
    return _number(name.strip("-"), taken)


def _number(name: str, taken: Iterable[object]) -> str:
    """Return the name, with the first free number behind it where it is taken."""
    free, number, others = name, 2, set(taken)
    while free in others:
        free, number = f"{name}-{number}", number + 1
    return free


def _limits(old: Old, making: _Making) -> None:
    limits = {name: old.traits[name] for name in ("cpu_limit", "mem_limit") if name in old.traits}
    limits = {name: value for name, value in limits.items() if value not in (None, 0, "0")}
    making.drops += limits
    if not limits or "instance_types" in old.ours:
        return
    if any(callable(value) for value in limits.values()):
        making.notes.append(
            f"{' and '.join(limits)} may be callables: write one row of"
            " c.GradientHub.instance_types for each size, and tiers that may rent it."
        )
        return
    cpus, memory = limits.get("cpu_limit", 1), _bytes(limits.get("mem_limit", 2 * UNITS["G"]))
    making.hub["instance_types"] = {
        "standard": {
            "title": "Standard",
            "cpus": float(str(cpus)),
            "memory": round(memory / 10**9, 3),
            "price": "0",
        }
    }
    if len(limits) == 1:
        making.notes.append(
            "Only one of cpu_limit and mem_limit was set; an instance type has both: look the row"
            ' "standard" over.'
        )


def _bytes(value: object) -> float:
    text = str(value).strip().upper()
    if text[-1:] in UNITS:
        return float(text[:-1]) * UNITS[text[-1]]
    return float(text)


def _volumes(old: Old, making: _Making) -> None:
    volumes = old.traits.get("volumes")
    if not isinstance(volumes, Mapping) or not volumes:
        return
    shown_at = _parts(old.traits.get("notebook_dir") or USUAL_HOME)
    adopted: dict[str, object] = {}
    left = dict(volumes)
    for template, target in volumes.items():
        bind = target.get("bind", "") if isinstance(target, Mapping) else target
        mode = target.get("mode", "rw") if isinstance(target, Mapping) else "rw"
        place = _parts(bind)
        shorter = min(len(place), len(shown_at))
        seen = place[:shorter] == shown_at[:shorter]
        is_home = place == _parts(USUAL_HOME)
        if not is_personal(str(template)) or not seen:
            continue  # what is shared, or was never in the file browser, stays where it was
        folder = _unique(OLD_FILES if is_home or not place else place[-1], adopted)
        adopted[str(template)] = folder if mode == "rw" else {"folder": folder, "mode": "ro"}
        if is_home:
            making.notes.append(
                f"{template} was HOME: it stays mounted there, so that settings and packages in it"
                f" are found, and is shown as {folder} in the file browser."
            )
        else:
            del left[template]
    if not adopted:
        return
    making.spawner["adopted_volumes"] = adopted
    if left != dict(volumes):
        if left:
            making.spawner["volumes"] = left
        making.drops.append("volumes")
    if "notebook_dir" in old.traits:
        making.drops.append("notebook_dir")


def _parts(path: object) -> list[str]:
    return [part for part in str(path).split("/") if part not in ("", "~", ".")]


def _unique(name: str, adopted: Mapping[str, object]) -> str:
    taken = (v["folder"] if isinstance(v, Mapping) else v for v in adopted.values())
    return _number(name or OLD_FILES, taken)


def _command(old: Old, making: _Making) -> None:
    extra = as_mapping(old.traits.get("extra_create_kwargs"))
    command = extra.get("command")
    cmd = old.traits.get("cmd") if command is None else command
    if isinstance(cmd, str) and " " in cmd.strip():
        making.spawner["cmd"] = cmd.split()
        making.drops.append("cmd")
        making.notes.append(f"cmd {cmd!r} is one word to the engine; it becomes a list.")
    elif command is not None:
        making.spawner["cmd"] = as_list(command)
        making.drops.append("cmd")
    if command is not None:
        making.spawner["extra_create_kwargs"] = {k: v for k, v in extra.items() if k != "command"}
        making.drops.append("extra_create_kwargs")


def _passthrough(old: Old, making: _Making) -> None:
    """Drop what the lease says anyway, and name what a lease must not be given past the ledger."""
    always = ("remove", "name_template", "notebook_dir", "default_url", "start_timeout")
    making.drops += [n for n in always if n in old.traits and n not in making.drops]
    extra = as_mapping(old.traits.get("extra_host_config"))
    if granting := [key for key in PAST_THE_LEDGER if extra.get(key)]:
        making.notes.append(
            f"extra_host_config has {', '.join(granting)}: every notebook would have all GPUs, past"
            " the ledger. Remove it; declare the GPUs in c.GradientHub.hosts, and leases bring"
            " their own."
        )


def _spell(value: object) -> str:
    if isinstance(value, Mapping) and len(repr(value)) > 60:
        rows = "".join(f"    {key!r}: {each!r},\n" for key, each in value.items())
        return "{\n" + rows + "}"
    return repr(value)


# -- local spawners -----------------------------------------------------------------------------

OWN_CLASS = '''\
from {module} import {spawner}
from gradienthub.spawners.base import GradientSpawner


class Gradient{spawner}(GradientSpawner, {spawner}):
    """Everybody's notebook as before, in their home folder; admitted, billed and stopped."""

    async def apply_lease(self, lease):
{limits}        self.environment = {{
            **self.environment,
            "CUDA_VISIBLE_DEVICES": ",".join(lease.devices),
            "GRADIENT_INSTANCE_TYPE": lease.instance_type,
        }}


c.JupyterHub.spawner_class = Gradient{spawner}'''

LIMITS = """\
        self.mem_limit, self.cpu_limit = int(lease.memory * 10**9), float(lease.cpus)
"""


def own_class(module: str, spawner: str, *, limits: bool) -> list[str]:
    """Write the class by which a spawner that is not ours is rented, as lines of a file."""
    text = OWN_CLASS.format(module=module, spawner=spawner, limits=LIMITS if limits else "")
    return text.splitlines()
