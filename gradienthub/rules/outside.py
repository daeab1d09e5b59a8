"""Servers that run without a lease: begun before a hub was adopted. What they have is not free."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from .container import CPU_PERIOD, pairs
from .placement import Host

#: Stands for every device of the machine, in what a container asks of its engine.
ALL = "all"
#: What a runtime hook reads as no device.
NONE_WORDS = frozenset({"", "void", "none"})


@dataclass(frozen=True)
class Outside:
    """A server without a lease. `asked` are device names, or ALL; memory is GB; 0: not known.

    `user` and `server` are the hub's names of it; `user` is empty where the hub has no such server.
    """

    object_id: str
    name: str
    user: str = ""
    server: str = ""
    asked: tuple[str, ...] = ()
    cpus: float = 0
    memory: float = 0
    began_at: datetime | None = None
    #: Where it reaches its hub.
    hub_url: str = ""


@dataclass(frozen=True)
class Placed:
    """Where it is counted, and the declared devices that it has."""

    seen: Outside
    host: Host
    devices: tuple[str, ...]


def read_container(detail: Mapping[str, Any]) -> Outside | None:
    """Read what an engine tells of a container; None where it is no notebook of JupyterHub."""
    config, host = detail.get("Config") or {}, detail.get("HostConfig") or {}
    variables = pairs(config.get("Env"))
    if not {"JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN"} & variables.keys():
        return None
    quota, period = host.get("CpuQuota") or 0, host.get("CpuPeriod") or CPU_PERIOD
    return Outside(
        object_id=str(detail["Id"]),
        name=str(detail.get("Name", "")).lstrip("/"),
        user=variables.get("JUPYTERHUB_USER", ""),
        server=variables.get("JUPYTERHUB_SERVER_NAME", ""),
        asked=tuple(_asked(host, variables)),
        cpus=(host.get("NanoCpus") or 0) / 10**9 or max(0, quota) / period,
        memory=max(0, host.get("Memory") or 0) / 10**9,
        began_at=_moment((detail.get("State") or {}).get("StartedAt")),
        hub_url=variables.get("JUPYTERHUB_API_URL", ""),
    )


def _asked(host: Mapping[str, Any], variables: Mapping[str, str]) -> Iterable[str]:
    for request in host.get("DeviceRequests") or ():
        if request.get("Driver") not in ("", None, "nvidia", "cdi"):
            continue
        yield from request.get("DeviceIDs") or ([ALL] if request.get("Count") else [])
    for device in host.get("Devices") or ():
        if "nvidia" in str(device.get("PathOnHost", "")):
            yield ALL
    named = variables.get("NVIDIA_VISIBLE_DEVICES", "")
    for word in (part.strip() for part in named.split(",")):
        # Images say "all" of themselves; without the runtime that reads it, it gives nothing.
        if word not in NONE_WORDS and (word != ALL or host.get("Runtime") == "nvidia"):
            yield word


def _moment(said: Any) -> datetime | None:
    try:
        # Engines write nanoseconds, which Python cuts off itself.
        return datetime.fromisoformat(str(said))
    except ValueError:
        return None


def devices_held(asked: Iterable[str], declared: Sequence[str]) -> tuple[str, ...]:
    """Find which declared devices a container has.

    A number says nothing of UUIDs: then it may be any. Runtimes take the beginning of a UUID too.
    """
    held: set[str] = set()
    for word in asked:
        bare = word.rpartition("=")[2]
        if bare == ALL or bare.split(":")[0].isdigit():
            return tuple(declared)
        held |= {uuid for uuid in declared if bare and uuid.rpartition("=")[2].startswith(bare)}
    return tuple(uuid for uuid in declared if uuid in held)


def join_known(found: Iterable[Outside], known: Mapping[str, tuple[str, str]]) -> list[Outside]:
    """Name whose each of an engine's is at this hub, and add those that only the hub knows.

    `known`: object id -> (user, server) of servers that the hub calls running.
    """
    named = []
    for one in found:
        user, server = known.get(one.object_id, ("", ""))
        named.append(replace(one, user=user, server=server))
    seen = {one.object_id for one in named}
    return named + [
        Outside(object_id, object_id, user, server)
        for object_id, (user, server) in known.items()
        if object_id not in seen
    ]


def in_words(placed: Placed) -> str:
    """Say what runs outside, and what it has."""
    seen = placed.seen
    whose = f"{seen.user}'s notebook {seen.server}".strip() if seen.user else "A notebook"
    known = [*placed.devices]
    known += [f"{seen.cpus:g} CPUs"] if seen.cpus else []
    known += [f"{seen.memory:g} GB"] if seen.memory else []
    has = f"; nobody else can have its {', '.join(known)} meanwhile" if known else ""
    return (
        f"{whose} ({seen.name[:60]}) runs outside of GradientHub: it began before, and is neither"
        f" billed nor stopped{has}"
    )


def place_outside(seen: Iterable[Outside], hosts: Sequence[Host], hub_url: str) -> list[Placed]:
    """Find the host that each is counted on: that of its devices, else the first.

    Another hub's notebook counts only where it has a device, which nobody else can have meanwhile:
    how two hubs share a machine is what their hosts say.
    """
    if not hosts:
        return []
    placed = []
    for one in seen:
        found = ((host, devices_held(one.asked, [d.uuid for d in host.devices])) for host in hosts)
        host, devices = next(((h, d) for h, d in found if d), (hosts[0], ()))
        if devices or one.user or one.hub_url.rstrip("/") == hub_url.rstrip("/"):
            placed.append(Placed(one, host, devices))
    return placed
