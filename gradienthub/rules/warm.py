"""Warm servers: which one a start may have, which ones make way for people, which ones to add."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from .catalog import InstanceType, Row
from .phase import SlotState
from .placement import Host, Load, Placement, fits, place


class Pool(Row):
    """So many servers wait for starts of this instance type and runtime."""

    instance_type: str
    runtime: str
    count: int = Field(ge=1, le=100)


@dataclass(frozen=True)
class Slot:
    """A warm server: where it waits, and for what. `used`: bytes that it uses while it waits."""

    id: str
    host: str
    instance_type: str
    runtime: str
    image: str | None
    devices: tuple[str, ...]
    cpus: float
    memory: float
    state: SlotState
    used: int = 0


@dataclass(frozen=True)
class Kind:
    """What a start asks for, and what a warm server must be made of to serve it."""

    machine: InstanceType
    runtime: str | None
    image: str | None

    def matches(self, slot: Slot) -> bool:
        """Return whether the warm server is of this kind, also where its type was changed since."""
        machine = self.machine
        return (slot.instance_type, slot.runtime, slot.image, slot.cpus, slot.memory) == (
            machine.name,
            self.runtime,
            self.image,
            machine.cpus,
            machine.memory,
        ) and len(slot.devices) == machine.gpus


@dataclass(frozen=True)
class WarmChoice:
    """Where a start goes, which warm server it claims (None: a cold start), which make way."""

    placement: Placement
    claims: str | None
    evicts: tuple[str, ...]


def choose(
    placement: Placement,
    kind: Kind,
    slots: Sequence[Slot],
    *,
    hosts: Sequence[Host],
    load: Load,
    groups: Iterable[str],
) -> WarmChoice:
    """Return the warm server for an admitted start, else its `placement`; people first in either
    case.

    `load` is what leases hold, without warm servers. Those whose machine does not fit any more
    beside the start, or whose device it takes, make way.
    """
    wanted, groups = kind.machine, frozenset(groups)
    open_hosts = {
        host.name for host in hosts if host.open_to(groups) and fits(wanted, host, load) > 0
    }
    waiting = [
        slot
        for slot in slots
        if slot.state == SlotState.READY
        and kind.matches(slot)
        and slot.host in open_hosts
        and (load.held_devices | load.faulty_devices).isdisjoint(slot.devices)
    ]
    # The one that has waited longest: `slots` are oldest first.
    claimed = waiting[0] if waiting else None
    if claimed is not None:
        placement = Placement(claimed.host, claimed.devices)
    others = [slot for slot in slots if slot is not claimed and slot.state != SlotState.LEAVING]
    after = _with(load, placement.host, wanted.cpus, wanted.memory, placement.devices)
    return WarmChoice(placement, claimed.id if claimed else None, _in_the_way(others, hosts, after))


def _in_the_way(slots: Iterable[Slot], hosts: Sequence[Host], load: Load) -> tuple[str, ...]:
    """List slots whose machine does not fit beside what people have. The newest make way first."""
    named = {host.name: host for host in hosts}
    leaving = []
    for slot in slots:
        host = named.get(slot.host)
        shape = InstanceType(name="slot", title="slot", cpus=slot.cpus, memory=slot.memory, price=0)
        if (
            host is None
            or fits(shape, host, load) < 1
            or not load.held_devices.isdisjoint(slot.devices)
        ):
            leaving.append(slot.id)
        else:
            load = _with(load, slot.host, slot.cpus, slot.memory, slot.devices)
    return tuple(leaving)


def held(slots: Iterable[Slot], load: Load) -> Load:
    """Return what leases and warm servers hold together."""
    for slot in slots:
        load = _with(load, slot.host, slot.cpus, slot.memory, slot.devices)
    return load


def _with(load: Load, host: str, cpus: float, memory: float, devices: Iterable[str]) -> Load:
    return Load(
        cpus={**load.cpus, host: load.cpus.get(host, 0) + cpus},
        memory={**load.memory, host: load.memory.get(host, 0) + memory},
        held_devices=load.held_devices | frozenset(devices),
        warm_devices=load.warm_devices,
        faulty_devices=load.faulty_devices,
    )


@dataclass(frozen=True)
class Fill:
    """One more warm server, and where."""

    pool: Pool
    placement: Placement


def next_fill(
    pools: Iterable[Pool],
    slots: Sequence[Slot],
    types: Mapping[str, InstanceType],
    hosts: Sequence[Host],
    load: Load,
    most_memory: float,
) -> Fill | None:
    """Return the pool that lacks most of its servers, where one fits beside people and within the
    bound.

    `most_memory` (GB) bounds what all waiting servers use; a new one is taken to use as much as
    the largest there is.
    """
    if used_by(slots) + _each(slots) > most_memory * 10**9:
        return None
    everything = held(slots, load)
    lacking = []
    for pool in pools:
        here = sum(_of(pool, slot) for slot in slots if slot.state != SlotState.LEAVING)
        if here < pool.count:
            lacking.append((here / pool.count, pool))
    for _, pool in sorted(lacking, key=lambda pair: pair[0]):
        # Nobody's groups: on a reserved host a warm server could wait for ever.
        placement = place(types[pool.instance_type], hosts, everything, ())
        if placement is not None:
            return Fill(pool, placement)
    return None


def surplus(pools: Iterable[Pool], slots: Sequence[Slot]) -> tuple[str, ...]:
    """List slots that no pool wants any more, the newest of each pool first."""
    wanted = {(pool.instance_type, pool.runtime): pool.count for pool in pools}
    leaving = []
    for slot in slots:
        key = (slot.instance_type, slot.runtime)
        left = wanted.get(key, 0)
        if slot.state == SlotState.LEAVING:
            continue
        if left == 0:
            leaving.append(slot.id)
        else:
            wanted[key] = left - 1
    return tuple(leaving)


#: Bytes that a waiting server is taken to use before one has said so: JupyterLab, measured.
USUAL_USE = 150 * 10**6


def used_by(slots: Iterable[Slot]) -> int:
    """Sum the bytes that they use while they wait."""
    return sum(slot.used or USUAL_USE for slot in slots)


def _each(slots: Iterable[Slot]) -> int:
    return max((slot.used for slot in slots if slot.used), default=USUAL_USE)


def _of(pool: Pool, slot: Slot) -> bool:
    return (pool.instance_type, pool.runtime) == (slot.instance_type, slot.runtime)
