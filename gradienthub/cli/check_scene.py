"""What `gradienthub check` looks at: configuration, engine, ledger, folders, programs, clocks.

Everything that asks the outside world is here, and becomes plain values; what they mean is for
`checks`. Whatever does not answer becomes a value too: looking never fails.
"""

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlparse
from urllib.request import urlopen

from docker.errors import DockerException, NotFound
from jupyterhub.app import JupyterHub
from jupyterhub.proxy import ConfigurableHTTPProxy

from ..hub.authenticator import TiersMixin
from ..ledger import Ledger, LedgerAway, fleet, keepers, leases, objects
from ..ledger.clock import database_time
from ..places import API_URLS, EVERYWHERE, proxy_is_elsewhere
from ..rules.catalog import ConfigurationFault
from ..rules.folders_seen import FolderTrial
from ..rules.health import Health
from ..rules.lease import Lease
from ..service.notify import FileSeen, look_at
from ..settings import Settings
from ..spawners.docker import HUB_LABEL, DockerEngine, GradientDockerSpawner, user_of
from ..spawners.engine import CensusObject, Engine, EngineAway, Stranger
from ..spawners.networks import NETWORK, neighbors_reach
from ..spawners.sections import NoSuchClass, configured_class, section_of
from ..spawners.warm_mounts import HelperMounts, MountFault
from . import config, nvml
from .config import HubConfig
from .health import health_of

#: An engine that takes longer for one answer is not one to start notebooks on.
ENGINE_SECONDS = 10
GPU_HOOK = "nvidia-container-runtime-hook"
MOUNTS = Path("/proc/self/mountinfo")
#: Folders of storage_root below which people's are.
LEVELS = ("notebooks", "accounts", "warm")


@dataclass(frozen=True)
class Wiring:
    """The classes that the hub will use; a class that cannot be loaded is None, with its fault."""

    spawner: type | None
    authenticator: type | None
    proxy: type | None
    faults: tuple[str, ...] = ()

    @property
    def engine(self) -> str:
        """Which engine: docker, local, or another."""
        if self.spawner is None:
            return "other"
        if issubclass(self.spawner, GradientDockerSpawner):
            return "docker"
        # Named and not imported: the local engine needs psutil, a Docker hub does not.
        names = {cls.__name__ for cls in self.spawner.__mro__}
        return "local" if "GradientLocalSpawner" in names else "other"

    @property
    def wrapped(self) -> bool:
        """Whether logins are seen by the tiers."""
        return self.authenticator is not None and issubclass(self.authenticator, TiersMixin)


@dataclass(frozen=True)
class EngineSeen:
    """What the engine answered. `away`: why it did not; `census` None: it has none."""

    away: str = ""
    remote: bool = False
    info: Mapping[str, Any] = field(default_factory=dict)
    images: Mapping[str, bool] = field(default_factory=dict)
    #: What a throw-away container of each image could do with the folder of people's files.
    trials: tuple[FolderTrial, ...] = ()
    census: tuple[CensusObject, ...] | None = None
    #: How many containers on it are of other hubs.
    strangers: int = 0
    #: Those with this hub's labels that are not its own, by name or by what the engine says.
    copies: tuple[Stranger, ...] = ()
    #: The containers' network as the engine knows it; None where it has none of that name.
    network: Mapping[str, Any] | None = None
    #: Whether one container of it reaches another, by a try; None where nothing was tried.
    neighbors_reach: bool | None = None
    #: The program by which an engine of this machine hands out GPUs, where PATH has it.
    gpu_hook: str | None = None
    skew: timedelta | None = None


@dataclass(frozen=True)
class LedgerSeen:
    """What the database answered. `absent`: the hub makes it at its first start."""

    where: str
    away: str = ""
    absent: bool = False
    revision: str | None = None
    head: str | None = None
    file_system: str | None = None
    skew: timedelta | None = None
    open_leases: tuple[Lease, ...] = ()
    devices: tuple[Mapping[str, Any], ...] = ()
    #: Holders that are no open lease of this hub: holder id -> its lease, or None if unknown.
    strange_holders: Mapping[str, Lease | None] = field(default_factory=dict)
    #: Objects of the census that this hub never made: object id -> why that is known.
    copies: Mapping[str, str] = field(default_factory=dict)
    #: Whether the keeper looks, and how much it found; None where none has looked yet.
    health: Health | None = None

    @property
    def current(self) -> bool:
        """Whether it answers with this version's schema."""
        return not self.away and not self.absent and self.revision == self.head


@dataclass(frozen=True)
class Folder:
    """A folder the hub writes to; one that is missing is judged by where it will be made."""

    path: Path
    exists: bool
    writable: bool
    free: int
    #: The number of its file system.
    device: int = 0
    #: The levels of people's folders that others on this machine may enter.
    open_levels: tuple[Path, ...] = ()
    mount_options: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Program:
    """A program the hub will start: where PATH has it, and where this Python's folder has it."""

    name: str
    on_path: str | None
    beside_python: str | None
    script_of: str = ""


@dataclass(frozen=True)
class Scene:
    """Everything the checks judge, at one moment, for the user who asks."""

    hub: HubConfig
    wiring: Wiring
    engine: EngineSeen
    ledger: LedgerSeen
    gpus: nvml.Inventory
    data_dir: Folder
    storage_root: Folder
    proxy_program: Program | None
    host_names: frozenset[str]
    uid: int
    user: str
    now: datetime
    waiting_ends: int = 0
    #: Files and folders of hub and ledger that others on the machine may read.
    readable_by_others: tuple[Path, ...] = ()
    #: None where no notify_file is set.
    notify: FileSeen | None = None
    #: What the proxy answered to a question for the keeper; None where none answered at all.
    keeper_answer: int | None = None
    #: The folder of a SQLite ledger that is not in data_dir; None where it is, or is none.
    ledger_folder: Folder | None = None
    #: Why the mount helper cannot be used; empty where it can, or none is configured.
    helper_fault: str = ""

    @property
    def device_driver(self) -> str | None:
        """How containers get their GPUs; None where the engine is not Docker."""
        spawner = self.wiring.spawner
        if self.wiring.engine != "docker" or spawner is None:
            return None
        return str(self.hub.value(spawner, "device_driver"))

    @property
    def declares_devices(self) -> bool:
        """Whether any host has devices."""
        return any(host.devices for host in self.hub.settings.house.hosts)

    def dotted(self, name: str) -> str:
        """Spell a spawner's trait by the section that sets it, or else by the class that has it."""
        assert self.wiring.spawner is not None  # only asked for where the engine is known
        return f"c.{section_of(self.hub.config, self.wiring.spawner, name)}.{name}"


def look(hub: HubConfig, gpus: nvml.Inventory | None = None) -> Scene:
    """Look at everything once. Blocks for seconds where an engine or a database is away."""
    settings = hub.settings
    wiring = wiring_of(hub)
    engine = engine_seen(hub, wiring)
    return Scene(
        hub=hub,
        wiring=wiring,
        engine=engine,
        ledger=ledger_seen(hub, engine.census or ()),
        gpus=nvml.discover() if gpus is None else gpus,
        data_dir=folder(settings.data_dir),
        storage_root=storage_folder(settings.storage_root),
        ledger_folder=_ledger_folder(settings),
        proxy_program=proxy_program(hub, wiring),
        host_names=frozenset({"local", "localhost", socket.gethostname(), socket.getfqdn()}),
        uid=os.geteuid(),
        user=config.os_user(),
        now=datetime.now(UTC),
        waiting_ends=_lines(settings.data_dir / "journal.jsonl"),
        readable_by_others=_readable_by_others(hub),
        notify=look_at(settings.policy.notify_file) if settings.policy.notify_file else None,
        helper_fault=_helper_fault(settings),
        keeper_answer=_keeper_answer(hub, wiring),
    )


def _keeper_answer(hub: HubConfig, wiring: Wiring) -> int | None:
    """Ask for the keeper as people do, through the proxy; nobody answers before the hub runs."""
    bind = urlparse(str(hub.value(JupyterHub, "bind_url") or ""))
    api = urlparse(str(wiring.proxy and _api_url(hub, wiring.proxy)))
    host = bind.hostname or ""
    if proxy_is_elsewhere(hub.config):
        host = api.hostname or host
    if bind.scheme not in ("http", "https"):
        return None
    base = bind.path if bind.path.strip("/") else str(hub.value(JupyterHub, "base_url") or "/")
    path = "/".join(
        part for part in (base.strip("/"), "services/gradient/api/v1/openapi.json") if part
    )
    port = bind.port or (443 if bind.scheme == "https" else 80)
    name = "127.0.0.1" if host in EVERYWHERE else host
    try:
        with urlopen(f"{bind.scheme}://{name}:{port}/{path}", timeout=5) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except (OSError, ValueError):
        return None


def _api_url(hub: HubConfig, proxy: type[Any]) -> str:
    traits = proxy.class_traits()
    return next((str(hub.value(proxy, key) or "") for key in API_URLS if key in traits), "")


def _helper_fault(settings: Settings) -> str:
    if settings.mount_helper is None:
        return ""
    try:
        HelperMounts(settings.storage_root, settings.mount_helper).prepare()
    except MountFault as fault:
        return str(fault)
    return ""


# -- configuration ----------------------------------------------------------------------------


def wiring_of(hub: HubConfig) -> Wiring:
    """Return the classes named by the configuration, found as the hub finds them."""
    faults: list[str] = []
    return Wiring(
        spawner=_class(hub, "spawner_class", faults),
        authenticator=_class(hub, "authenticator_class", faults),
        proxy=_class(hub, "proxy_class", faults),
        faults=tuple(faults),
    )


def _class(hub: HubConfig, name: str, faults: list[str]) -> type | None:
    try:
        found: type = configured_class(hub.config, JupyterHub, name)
    except NoSuchClass as fault:
        faults.append(str(fault))
        return None
    return found


# -- engine -----------------------------------------------------------------------------------


def engine_seen(hub: HubConfig, wiring: Wiring) -> EngineSeen:
    """Ask the engine that the configuration names."""
    if wiring.engine == "docker":
        return asyncio.run(_docker_seen(hub, wiring))
    if wiring.engine == "local":
        return asyncio.run(_local_seen(hub))
    return EngineSeen()


async def _docker_seen(hub: HubConfig, wiring: Wiring) -> EngineSeen:
    assert wiring.spawner is not None  # its engine is docker
    assert issubclass(wiring.spawner, GradientDockerSpawner)
    try:
        options = wiring.spawner.client_options(hub.config)
        options["timeout"] = min(options["timeout"], ENGINE_SECONDS)
    except DockerException as error:
        return EngineSeen(away=f"DOCKER_HOST and its TLS variables do not fit: {error}")
    remote = _is_remote(str(options.get("base_url") or ""))
    engine = DockerEngine(hub.settings.hub_id, options)
    try:
        asked = datetime.now(UTC)
        info = await engine.ask("info")
        answered = datetime.now(UTC)
        census = tuple(await engine.census())
        everybody = await engine.ask("containers", all=True, filters={"label": HUB_LABEL})
        images = {image: await _has_image(engine, image) for image in images_of(hub)}
        network = await _network(engine, str(hub.value(wiring.spawner, "network_name")))
        return EngineSeen(
            remote=remote,
            info=info,
            images=images,
            network=network,
            neighbors_reach=await _neighbors_reach(engine, images, network),
            trials=await _trials(hub, wiring.spawner, engine, images),
            census=census,
            strangers=len(everybody) - len(census) - len(engine.strangers()),
            copies=tuple(engine.strangers()),
            gpu_hook=None if remote else shutil.which(GPU_HOOK),
            skew=_skew(info.get("SystemTime"), asked, answered),
        )
    except EngineAway as away:
        return EngineSeen(away=str(away) or "it does not answer", remote=remote)
    except TypeError as error:  # docker-py's word for an option it does not have
        return EngineSeen(away=f"engine_options do not fit: {error}", remote=remote)
    finally:
        await engine.close()


async def _network(engine: DockerEngine, name: str) -> Mapping[str, Any] | None:
    try:
        row: Mapping[str, Any] = await engine.ask("inspect_network", name)
    except NotFound:
        return None
    return row


async def _neighbors_reach(
    engine: DockerEngine, images: Mapping[str, bool], network: Mapping[str, Any] | None
) -> bool | None:
    """Try it where the network is the notebooks' own, with an image that is here."""
    image = next((image for image, there in images.items() if there), None)
    if image is None or network is None or network.get("Name") != NETWORK:
        return None
    return await asyncio.wrap_future(
        engine.submit_to("warm", lambda client: neighbors_reach(client, image, NETWORK))
    )


async def _trials(
    hub: HubConfig,
    spawner: type[GradientDockerSpawner],
    engine: DockerEngine,
    images: Mapping[str, bool],
) -> tuple[FolderTrial, ...]:
    """Let a container of each image that is there use the folder of people's files, as it is.

    Where the hub has not made it yet, the folder above stands for it. None are tried by a user
    who could not give folders away: that is a finding of its own.
    """
    owner = hub.value(spawner, "folder_owner")
    place = folder(hub.settings.storage_root)
    if not place.writable or os.geteuid() not in (0, owner):
        return ()
    there = next(p for p in (place.path, *place.path.parents) if _exists(p))
    extra = hub.value(spawner, "extra_create_kwargs")
    user = None if callable(extra) else user_of(extra)
    return tuple(
        [
            await engine.try_folder(there, image, owner, user)
            for image, is_there in images.items()
            if is_there
        ]
    )


async def _has_image(engine: DockerEngine, image: str) -> bool:
    try:
        await engine.ask("inspect_image", image)
    except NotFound:
        return False
    return True


def images_of(hub: HubConfig) -> list[str]:
    """Return the images of all runtimes, each once."""
    runtimes = hub.settings.house.catalog.runtimes
    return list(dict.fromkeys(runtime.image for runtime in runtimes if runtime.image))


def _is_remote(address: str) -> bool:
    parsed = urlparse(address)
    if parsed.scheme in ("tcp", "http", "https", "ssh"):
        return parsed.hostname not in ("localhost", "127.0.0.1", "::1")
    return False


def _skew(said: Any, asked: datetime, answered: datetime) -> timedelta | None:
    """Return how far the other clock is ahead of ours, which read `asked` before and `answered`
    after."""
    try:
        theirs = datetime.fromisoformat(str(said))
    except ValueError:
        return None
    if theirs.tzinfo is None:
        return None
    return theirs - (asked + (answered - asked) / 2)


async def _local_seen(hub: HubConfig) -> EngineSeen:
    from ..spawners.local import LocalEngine  # noqa: PLC0415 - needs psutil

    engine: Engine = LocalEngine(hub.settings.hub_id, hub.settings.data_dir / "logs")
    return EngineSeen(census=tuple(await engine.census() or ()))


# -- ledger -----------------------------------------------------------------------------------


def ledger_seen(hub: HubConfig, census: Sequence[CensusObject] = ()) -> LedgerSeen:
    """Ask the database, also which of the census are its own; a SQLite file is not made."""
    url = hub.settings.database_url
    file = config.sqlite_file(url)
    where = str(file) if file else _without_password(url)
    file_system = file_system_of(file) if file else None
    if file is not None and not file.exists():
        return LedgerSeen(where, absent=True, file_system=file_system)
    try:
        with config.open_ledger(hub, at_any_schema=True) as ledger:
            return _read_ledger(ledger, hub, where, file_system, census)
    except (LedgerAway, ConfigurationFault) as away:
        return LedgerSeen(where, away=str(away), file_system=file_system)


def _without_password(url: str) -> str:
    parsed = urlparse(url)
    return parsed._replace(netloc=parsed.netloc.rsplit("@", 1)[-1], query="").geturl()


def _read_ledger(
    ledger: Ledger,
    hub: HubConfig,
    where: str,
    file_system: str | None,
    census: Sequence[CensusObject],
) -> LedgerSeen:
    revision, head = ledger.revision()
    if revision != head:
        return LedgerSeen(where, revision=revision, head=head, file_system=file_system)
    hub_id = hub.settings.hub_id
    asked = datetime.now(UTC)
    theirs = ledger.read(database_time)
    answered = datetime.now(UTC)
    open_leases = ledger.read(leases.open_details, hub_id)
    devices = ledger.read(fleet.device_list, hub_id)
    mine = {lease.id for lease in open_leases}
    strange = {
        row["holder_id"]: ledger.read(leases.describe, row["holder_id"])
        for row in devices
        if row["holder_kind"] == "lease" and row["holder_id"] not in mine
    }
    return LedgerSeen(
        where,
        revision=revision,
        head=head,
        file_system=file_system,
        skew=theirs - (asked + (answered - asked) / 2) if theirs else None,
        open_leases=tuple(open_leases),
        devices=tuple(devices),
        strange_holders=strange,
        copies=ledger.read(objects.strangers, hub_id, [found.labelled for found in census]),
        health=health_of(hub, ledger, datetime.now(UTC))
        if ledger.read(keepers.has_looked, hub_id)
        else None,
    )


# -- folders and programs ---------------------------------------------------------------------


def folder(path: Path) -> Folder:
    """Return a folder, or the nearest one above it that exists."""
    there = next((p for p in (path, *path.parents) if _exists(p)), Path("/"))
    space = shutil.disk_usage(there)
    return Folder(
        path=path,
        exists=there == path,
        writable=os.access(there, os.W_OK | os.X_OK, effective_ids=True),
        free=space.free,
        device=there.stat().st_dev,
    )


def _ledger_folder(settings: Settings) -> Folder | None:
    file = config.sqlite_file(settings.database_url)
    return None if file is None or file.parent == settings.data_dir else folder(file.parent)


def storage_folder(root: Path) -> Folder:
    """Return the folder of people's files, with what others on this machine may do there."""
    return replace(
        folder(root),
        open_levels=tuple(place for place in (root / name for name in LEVELS) if _is_open(place)),
        mount_options=mount_options_of(root),
    )


def _is_open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def mount_options_of(path: Path, mounts: Path = MOUNTS) -> frozenset[str]:
    """Return the options of the mount that carries `path`; none where the kernel does not say."""
    row = _mount_of(path, mounts)
    return frozenset(row[0].split(" ")[5].split(",")) if row else frozenset()


def file_system_of(path: Path, mounts: Path = MOUNTS) -> str | None:
    """Return the type of the file system that carries `path`, or None where the kernel does not
    say."""
    row = _mount_of(path, mounts)
    return row[1].split(" ")[0] if row else None


def _mount_of(path: Path, mounts: Path) -> tuple[str, str] | None:
    """Return the kernel's row of the mount that carries `path`, before and after its separator."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return None
    found: tuple[int, str, str] | None = None
    resolved = path.resolve()
    for line in lines:
        # "36 35 98:0 /root /mount/point options optional-fields - type source options"
        before, _, after = line.partition(" - ")
        point = Path(before.split(" ")[4].replace("\\040", " "))
        length = len(point.parts)
        # Of two mounts on one point the later line is the one that is seen.
        if resolved.is_relative_to(point) and (found is None or length >= found[0]):
            found = (length, before, after)
    return found and found[1:]


def proxy_program(hub: HubConfig, wiring: Wiring) -> Program | None:
    """Return the program of the proxy that the hub will start; None where it starts none."""
    proxy = wiring.proxy
    if proxy is None or not hub.value(proxy, "should_start"):
        return None
    if issubclass(proxy, ConfigurableHTTPProxy):
        command = hub.value(proxy, "command") or ["configurable-http-proxy"]
        return _program(command if isinstance(command, str) else command[0])
    if proxy.__module__.startswith("jupyterhub_traefik_proxy"):
        return _program("traefik")
    return None


def _program(name: str) -> Program:
    beside = shutil.which(name, path=str(Path(sys.executable).parent))
    on_path = shutil.which(name)
    return Program(name, on_path, beside, script_of=_interpreter(on_path or beside))


def _interpreter(path: str | None) -> str:
    """Return what runs a script, by its first line; nothing for a program of its own."""
    if path is None:
        return ""
    with open(path, "rb") as file:
        first = file.readline(200)
    return first[2:].decode("utf-8", "replace").strip() if first.startswith(b"#!") else ""


def _readable_by_others(hub: HubConfig) -> tuple[Path, ...]:
    """Return the folder of data, the ledger's file and the hub's, where others may read them."""
    settings = hub.settings
    hub_url = hub.config.JupyterHub.get("db_url", "sqlite:///jupyterhub.sqlite")
    files = [config.sqlite_file(settings.database_url), config.sqlite_file(str(hub_url))]
    places = [settings.data_dir, *(file for file in files if file is not None)]
    return tuple(place for place in places if _mode(place) & 0o007)


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _lines(path: Path) -> int:
    try:
        return sum(1 for line in path.read_text().splitlines() if line)
    except OSError:
        return 0
