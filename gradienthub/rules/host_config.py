"""The settings of an engine's HostConfig: what each is called, and what is judged of it."""

import json
from collections.abc import Mapping

from .untrusted import as_list, as_mapping

#: Settings of the engine's HostConfig that take nothing from anybody, whatever they say.
HARMLESS = frozenset(
    {
        "BlkioDeviceReadBps",
        "BlkioDeviceReadIOps",
        "BlkioDeviceWriteBps",
        "BlkioDeviceWriteIOps",
        "BlkioWeight",
        "BlkioWeightDevice",
        "ConsoleSize",
        "CpuCount",
        "CpuPercent",
        "CpuShares",
        "CpusetCpus",
        "CpusetMems",
        "Dns",
        "DnsOptions",
        "DnsSearch",
        "ExtraHosts",
        "GroupAdd",
        "Init",
        "Isolation",
        "KernelMemory",
        "KernelMemoryTCP",
        "Links",
        "LogConfig",
        "MemoryReservation",
        "MemorySwap",
        "MemorySwappiness",
        "PortBindings",
        "ReadonlyRootfs",
        "ShmSize",
        "StorageOpt",
        "Ulimits",
        "VolumeDriver",
    }
)
#: Settings that are judged by their value: as the engine writes them, and as docker-py does.
JUDGED = {
    "AutoRemove": "auto_remove",
    "Binds": "volumes",
    "CapAdd": "cap_add",
    "CapDrop": "cap_drop",
    "CgroupParent": "cgroup_parent",
    "CgroupnsMode": "cgroupns",
    "CpuPeriod": "cpu_period",
    "CpuQuota": "cpu_quota",
    "DeviceCgroupRules": "device_cgroup_rules",
    "DeviceRequests": "device_requests",
    "Devices": "devices",
    "IpcMode": "ipc_mode",
    "Memory": "mem_limit",
    "Mounts": "mounts",
    "NanoCpus": "nano_cpus",
    "NetworkMode": "network_mode",
    "OomKillDisable": "oom_kill_disable",
    "OomScoreAdj": "oom_score_adj",
    "PidMode": "pid_mode",
    "PidsLimit": "pids_limit",
    "Privileged": "privileged",
    "PublishAllPorts": "publish_all_ports",
    "RestartPolicy": "restart_policy",
    "Runtime": "runtime",
    "SecurityOpt": "security_opt",
    "Sysctls": "sysctls",
    "Tmpfs": "tmpfs",
    "UTSMode": "uts_mode",
    "UsernsMode": "userns_mode",
    "VolumesFrom": "volumes_from",
}
#: Of these, the settings of several entries, each of which is judged.
LISTS = frozenset(
    {
        "Binds",
        "CapAdd",
        "CapDrop",
        "DeviceCgroupRules",
        "Devices",
        "Mounts",
        "SecurityOpt",
        "Sysctls",
        "Tmpfs",
        "VolumesFrom",
    }
)
_CANONICAL = {name.lower(): name for name in (*HARMLESS, *JUDGED)}

#: Why a setting is a finding, by the engine's own name of it.
WHY = {
    "DeviceRequests": "devices come with a lease, each to one notebook",
    "Devices": "it opens a device file of the machine to every notebook",
    "DeviceCgroupRules": "it opens devices of the machine to every notebook",
    "Privileged": "it opens every device of the machine to every notebook",
    "Runtime": "another runtime may give devices that nobody rents",
    "CapAdd": "it gives more rights on the machine than a notebook needs",
    "SecurityOpt": "it takes a guard of the engine away",
    "Sysctls": "it changes the kernel's settings",
    "VolumesFrom": "it shows the files of another container",
    "NetworkMode": "it shares the network of the machine or of another container",
    "PidMode": "it shows the processes of the machine or of another container",
    "IpcMode": "it shares memory with the machine or with another container",
    "UTSMode": "it shares the machine's name",
    "UsernsMode": "it shares the machine's users",
    "CgroupnsMode": "it shows the machine's control groups",
    "CgroupParent": "it takes the container out of the engine's own limits",
    "RestartPolicy": "the engine would start a notebook again that has ended",
    "OomKillDisable": "a notebook that eats its memory would hang the machine",
    "OomScoreAdj": "the kernel would end others before this notebook",
    "PidsLimit": "one notebook could use up the machine's processes",
    "PublishAllPorts": "it opens every port of an image to the machine's network",
    "environment": "by this variable devices are given or chosen that the lease does not give",
}
#: Values of a setting that are no finding.
FINE: Mapping[str, tuple[str, ...]] = {
    "PidMode": ("private",),
    "IpcMode": ("private", "shareable", "none"),
    "UTSMode": ("private",),
    "UsernsMode": ("private",),
    "CgroupnsMode": ("private",),
    "Runtime": ("runc", "io.containerd.runc.v2"),
}


def canonical(host: Mapping[str, object]) -> dict[str, object]:
    """Return the settings under the engine's own names: it reads them in any case."""
    settings: dict[str, object] = {}
    for name, value in host.items():
        own_name = _CANONICAL.get(str(name).lower(), str(name))
        # Of two spellings the one that asks for something counts.
        if own_name not in settings or is_set(value):
            settings[own_name] = value
    return settings


def key_of(value: object, name: str) -> object:
    """Return what stands under a key in any case; None without such a key."""
    keys = as_mapping(value)
    return next((v for key, v in keys.items() if str(key).lower() == name.lower()), None)


def snake(name: str) -> str:
    """Return an engine's name of a setting as docker-py writes it."""
    return "".join(f"_{c.lower()}" if c.isupper() and n else c.lower() for n, c in enumerate(name))


def is_set(value: object) -> bool:
    """Return whether a value asks for anything."""
    return value not in (None, "", False, 0) and value not in ([], {}, ())


def text_of(value: object) -> str:
    """Write a value in one line."""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, default=str)


def requests_of(requests: object) -> frozenset[str]:
    """Return what is requested of which driver, one word each."""
    words = set()
    for request in as_list(requests):
        row = {str(key).lower(): value for key, value in as_mapping(request).items()}
        driver, ids = (
            row.get("driver") or "",
            as_list(row.get("deviceids") or row.get("device_ids")),
        )
        words |= {f"{driver} {device}" for device in ids}
        if row.get("count") or not ids:
            words.add(f"{driver} {row.get('count') or 0} of any")
    return frozenset(words)


def device_path(device: object) -> str:
    """Return the machine's path of a device file."""
    if isinstance(device, Mapping):
        return str(key_of(device, "PathOnHost") or text_of(device))
    return str(device).partition(":")[0]


def binds_of(value: object) -> list[str]:
    """Return binds as the engine takes them: `source:target:mode`."""
    if not isinstance(value, Mapping):
        return [str(bind) for bind in as_list(value)]
    return [
        f"{source}:{bind['bind']}:{bind.get('mode', 'rw')}"
        if isinstance(bind, Mapping)
        else f"{source}:{bind}:rw"
        for source, bind in value.items()
    ]


def capability(word: object) -> str:
    """Return a capability as the kernel's documentation writes it, without CAP_."""
    return str(word).upper().removeprefix("CAP_")
