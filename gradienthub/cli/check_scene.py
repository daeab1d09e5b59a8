"""What the checks of `gradienthub check` judge, as plain values; `look` fills them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypedDict

from jupyterhub.app import JupyterHub
from traitlets.config import Config

from ..hub.authenticator import TiersMixin
from ..rules.folders_seen import FolderTrial
from ..rules.health import Health
from ..rules.lease import Lease
from ..service.notify import FileSeen
from ..spawners.docker import GradientDockerSpawner
from ..spawners.engine import CensusObject, Stranger
from ..spawners.sections import NoSuchClass, configured_class, section_of
from . import nvml
from .config import HubConfig


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


class EngineInfo(TypedDict, total=False):
    """What `docker info` says, as far as it is read."""

    ServerVersion: str
    SystemTime: str
    Name: str
    NCPU: int
    MemTotal: int
    Runtimes: Mapping[str, object]
    CDISpecDirs: list[str]
    SecurityOptions: list[str] | None


@dataclass(frozen=True)
class EngineSeen:
    """What the engine answered. `away`: why it did not; `census` None: it has none."""

    away: str = ""
    remote: bool = False
    info: EngineInfo = field(default_factory=EngineInfo)
    images: Mapping[str, bool] = field(default_factory=dict)
    #: What a throw-away container of each image could do with the folder of people's files.
    trials: tuple[FolderTrial, ...] = ()
    census: tuple[CensusObject, ...] | None = None
    #: How many containers on it are of other hubs.
    strangers: int = 0
    #: Those with this hub's labels that are not its own, by name or by what the engine says.
    copies: tuple[Stranger, ...] = ()
    #: The containers' network as the engine knows it; None where it has none of that name.
    network: Mapping[str, object] | None = None
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
    devices: tuple[Mapping[str, object], ...] = ()
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
    #: What the file sets by itself, without what configure(c) adds; None where it did not say.
    written: Config | None = None
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
        named: type = configured_class(hub.config, JupyterHub, name)
    except NoSuchClass as fault:
        faults.append(str(fault))
        return None
    return named
