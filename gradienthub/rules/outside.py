"""Servers that run without a lease: begun before a hub was adopted. What they have is not free."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from .container import CPU_PERIOD
from .environment import pairs
from .placement import Host
from .untrusted import as_list, as_mapping, as_whole

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


def read_container(detail: Mapping[str, object]) -> Outside | None:
    """Read what an engine tells of a container; None where it is no notebook of JupyterHub."""
    config, host = as_mapping(detail.get("Config")), as_mapping(detail.get("HostConfig"))
    variables = {name: str(value) for name, value in pairs(config.get("Env")).items()}
    if not {"JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN"} & variables.keys():
        return None
    quota, period = as_whole(host.get("CpuQuota")), as_whole(host.get("CpuPeriod")) or CPU_PERIOD
    return Outside(
        object_id=str(detail["Id"]),
        name=str(detail.get("Name", "")).lstrip("/"),
        user=variables.get("JUPYTERHUB_USER", ""),
        server=variables.get("JUPYTERHUB_SERVER_NAME", ""),
        asked=tuple(_asked_devices(host, variables)),
        cpus=as_whole(host.get("NanoCpus")) / 10**9 or max(0, quota) / period,
        memory=max(0, as_whole(host.get("Memory"))) / 10**9,
        began_at=_moment(as_mapping(detail.get("State")).get("StartedAt")),
        hub_url=variables.get("JUPYTERHUB_API_URL", ""),
    )


def _asked_devices(host: Mapping[str, object], variables: Mapping[str, str]) -> Iterable[str]:
    for request in map(as_mapping, as_list(host.get("DeviceRequests"))):
        if request.get("Driver") not in ("", None, "nvidia", "cdi"):
            continue
        ids = map(str, as_list(request.get("DeviceIDs")))
        yield from list(ids) or ([ALL] if request.get("Count") else [])
    for device in map(as_mapping, as_list(host.get("Devices"))):
        if "nvidia" in str(device.get("PathOnHost", "")):
            yield ALL
    named = variables.get("NVIDIA_VISIBLE_DEVICES", "")
    for word in (part.strip() for part in named.split(",")):
        # Images say "all" of themselves; without the runtime that reads it, it gives nothing.
        if word not in NONE_WORDS and (word != ALL or host.get("Runtime") == "nvidia"):
            yield word


def _moment(word: object) -> datetime | None:
    try:
        # Engines write nanoseconds, which Python cuts off itself.
        return datetime.fromisoformat(str(word))
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


def join_hubs_servers(
    containers: Iterable[Outside], servers: Mapping[str, tuple[str, str]]
) -> list[Outside]:
    """Name whose each of an engine's is at this hub, and add those that only the hub knows.

    `servers`: object id -> (user, server) of those that the hub calls running.
    """
    named = []
    for container in containers:
        user, server = servers.get(container.object_id, ("", ""))
        named.append(replace(container, user=user, server=server))
    seen = {container.object_id for container in named}
    return named + [
        Outside(object_id, object_id, user, server)
        for object_id, (user, server) in servers.items()
        if object_id not in seen
    ]


def in_words(placed: Placed) -> str:
    """Say what runs outside, and what it has."""
    seen = placed.seen
    whose = f"{seen.user}'s notebook {seen.server}".strip() if seen.user else "A notebook"
    parts = [*placed.devices]
    parts += [f"{seen.cpus:g} CPUs"] if seen.cpus else []
    parts += [f"{seen.memory:g} GB"] if seen.memory else []
    has = f"; nobody else can have its {', '.join(parts)} meanwhile" if parts else ""
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
    for server in seen:
        held = ((h, devices_held(server.asked, [d.uuid for d in h.devices])) for h in hosts)
        host, devices = next(((h, d) for h, d in held if d), (hosts[0], ()))
        if devices or server.user or server.hub_url.rstrip("/") == hub_url.rstrip("/"):
            placed.append(Placed(server, host, devices))
    return placed
