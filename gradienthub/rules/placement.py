"""Hosts, devices, CPUs and memory: which host carries a start, and with which devices."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from pydantic import Field, model_validator

from .catalog import InstanceType, Row, Title


class Device(Row):
    """A physical GPU or MIG slice, known by its UUID wherever it is plugged."""

    uuid: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9:./_=-]{0,127}$")
    model: Title
    out_of_service: bool = False


class Host(Row):
    """A machine that carries notebooks.

    `cpus` and `memory` (GB) are what may be given out before overcommit; a factor of 4 gives each
    CPU out four times. `groups` reserves the host: only their members are placed on it.
    `shared_as` is the host's name across hubs on one database: hubs that write the same word
    share its CPUs and memory (devices are shared by UUID in any case).
    """

    name: Title
    cpus: float = Field(gt=0, le=65536)
    memory: float = Field(gt=0, le=10**6)
    cpu_overcommit: float = Field(default=1.0, ge=0.1, le=100)
    memory_overcommit: float = Field(default=1.0, ge=0.1, le=100)
    groups: tuple[str, ...] = ()
    devices: tuple[Device, ...] = ()
    shared_as: str | None = Field(default=None, max_length=80)
    stage_width: int | None = Field(default=None, ge=1, le=1000)

    @model_validator(mode="after")
    def _devices_are_distinct(self) -> Self:
        uuids = [device.uuid for device in self.devices]
        if len(set(uuids)) != len(uuids):
            raise ValueError("a device's uuid stands twice in devices; name each device once")
        return self

    def open_to(self, groups: Iterable[str]) -> bool:
        """Return whether a person in these groups may be placed here."""
        return not self.groups or not set(self.groups).isdisjoint(groups)


@dataclass(frozen=True)
class Load:
    """What is taken: CPUs and memory (GB) by host, and the devices with a holder.

    `warm_devices` are those on which a warm server waits: free for people, though not the first
    choice, because taking one costs the warm server. `faulty_devices` are out of rent: an empty
    fleet has them no more.
    """

    cpus: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    held_devices: frozenset[str] = frozenset()
    warm_devices: frozenset[str] = frozenset()
    faulty_devices: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Placement:
    """Where a start goes."""

    host: str
    devices: tuple[str, ...]


@dataclass(frozen=True)
class Room:
    """How many starts of one type still fit, of how many on an empty fleet."""

    free: int
    total: int


def free_devices(host: Host, model: str | None, load: Load) -> list[str]:
    """List UUIDs of the host's devices of that model that nobody holds, in declared order, those
    with a warm server last."""
    free = [
        device.uuid
        for device in host.devices
        if device.model == model
        and not device.out_of_service
        and device.uuid not in load.held_devices | load.faulty_devices
    ]
    return sorted(free, key=lambda uuid: uuid in load.warm_devices)


def fits(instance_type: InstanceType, host: Host, load: Load) -> int:
    """Return how many more of this type the host carries."""
    counts = [
        _whole(host.cpus * host.cpu_overcommit - load.cpus.get(host.name, 0), instance_type.cpus),
        _whole(
            host.memory * host.memory_overcommit - load.memory.get(host.name, 0),
            instance_type.memory,
        ),
    ]
    if instance_type.gpus:
        counts.append(len(free_devices(host, instance_type.gpu_model, load)) // instance_type.gpus)
    return max(0, min(counts))


def _whole(free: float, each: float) -> int:
    # A billionth of slack: sums of decimal fractions must not lose the last place to rounding.
    return int(free / each + 1e-9)


def room(
    instance_type: InstanceType, hosts: Sequence[Host], load: Load, groups: Iterable[str]
) -> Room:
    """Return how many starts of this type fit now and at best, for a person in these groups."""
    open_hosts = [host for host in hosts if host.open_to(groups)]
    empty = Load(faulty_devices=load.faulty_devices)
    return Room(
        free=sum(fits(instance_type, host, load) for host in open_hosts),
        total=sum(fits(instance_type, host, empty) for host in open_hosts),
    )


def place(
    instance_type: InstanceType, hosts: Sequence[Host], load: Load, groups: Iterable[str]
) -> Placement | None:
    """Return the host and devices for one start, or None where it fits nowhere.

    A host reserved for the person comes before an open one. GPU types go where the fewest of
    their devices stay free, so that whole hosts remain for multi-GPU types; types without GPU go
    to the host with the fewest devices, then where most CPUs are free.
    """
    candidates = [
        host for host in hosts if host.open_to(groups) and fits(instance_type, host, load) > 0
    ]
    if not candidates:
        return None

    def preference(host: Host) -> tuple[bool, int, float, str]:
        devices = (
            len(free_devices(host, instance_type.gpu_model, load))
            if instance_type.gpus
            else len(host.devices)
        )
        idle_cpus = host.cpus * host.cpu_overcommit - load.cpus.get(host.name, 0)
        return (not host.groups, devices, -idle_cpus, host.name)

    host = min(candidates, key=preference)
    devices = free_devices(host, instance_type.gpu_model, load)[: instance_type.gpus]
    return Placement(host.name, tuple(devices))
