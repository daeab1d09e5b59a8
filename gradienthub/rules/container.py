"""Judge a container's final create arguments against its lease: nothing rented is given unrented.

`judge` sees what docker-py is about to send, after every hook, extra and override, and returns what
may be sent. It knows the settings that take nothing from anybody; every other one that is set is a
finding, so that a setting of a newer engine is not let through because nobody knew it.
"""

import json
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

VISIBLE = "NVIDIA_VISIBLE_DEVICES"
#: What the NVIDIA runtime takes for "no device at all", whatever the image says.
NO_DEVICE = "void"

#: Capabilities that an image needs that starts as root, prepares folders, and then becomes its user
#: (su, gosu, setpriv, docker-stacks). An image that starts as its user needs none.
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID")
#: Each of these opens the kernel, and with it every device of the machine.
NEVER_CAPABILITIES = frozenset({"ALL", "SYS_MODULE", "SYS_RAWIO"})

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
_CANONICAL = {name.lower(): name for name in (*HARMLESS, *JUDGED)}

#: Device files that the ledger rents, or that lead to them.
GPU_FILES = (
    "/dev/nvidia*",
    "/dev/dri",
    "/dev/dri/*",
    "/dev/kfd",
    "/dev/dxg",
    "/dev/accel*",
    "/dev/hl[0-9]*",
    "/dev/habanalabs*",
    "/dev/davinci*",
    "/dev/mem",
    "/dev/kmem",
    "/dev/port",
)
#: Mounting here is one more way to ask the NVIDIA runtime for a device.
DEVICE_MOUNTS = ("/var/run/nvidia-container-devices", "/run/nvidia-container-devices")
#: Whoever has one of these is root on the machine.
ENGINE_SOCKETS = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd",
    "/var/run/containerd",
    "/run/podman",
    "/var/run/podman",
    "/run/crio",
    "/var/run/crio",
    "/run/user",
)
ENGINE_FOLDERS = ("/var/lib/docker", "/var/lib/containerd", "/var/lib/containers")
#: Folders of the machine that are not a data set: they, and what holds them, are findings.
MACHINE_FOLDERS = ("/etc", "/etc/shadow", "/etc/sudoers.d", "/root/.ssh", "/boot")
KERNEL_FOLDERS = ("/dev", "/proc", "/sys")

#: By these a runtime of the engine decides which devices a container gets.
GRANTING = frozenset(
    {
        "DOCKER_RESOURCE_GPU",
        "NVIDIA_IMEX_CHANNELS",
        "NVIDIA_MIG_CONFIG_DEVICES",
        "NVIDIA_MIG_MONITOR_DEVICES",
        "SWARM_RESOURCE_GPU",
    }
)
#: By these a program chooses among the devices that its container has.
CHOOSING = frozenset(
    {
        "CUDA_VISIBLE_DEVICES",
        "GPU_DEVICE_ORDINAL",
        "HIP_VISIBLE_DEVICES",
        "ONEAPI_DEVICE_SELECTOR",
        "ROCR_VISIBLE_DEVICES",
        "TPU_VISIBLE_CHIPS",
        "TPU_VISIBLE_DEVICES",
        "ZE_AFFINITY_MASK",
    }
)
_NOTHING = ("", "void", "none", "-1", "NoDevFiles")

LABELS = "gradienthub."
#: The default period of the kernel's CPU bandwidth, in microseconds.
CPU_PERIOD = 100_000


@dataclass(frozen=True)
class Grant:
    """What one lease gives its container. `memory` (bytes) and `cpus` None: not limited."""

    image: str
    name: str
    labels: Mapping[str, str]
    devices: tuple[str, ...] = ()
    device_requests: tuple[Mapping[str, Any], ...] = ()
    folders: frozenset[str] = frozenset()
    #: Old folders of this person, which may lie among the hub's own.
    adopted: frozenset[str] = frozenset()
    memory: int | None = None
    cpus: float | None = None

    @property
    def visible(self) -> str:
        """The value of NVIDIA_VISIBLE_DEVICES."""
        return ",".join(self.devices) or NO_DEVICE


@dataclass(frozen=True)
class Policy:
    """What an administrator wants of all containers.

    `capabilities` None: as many as the engine gives. `allowed`: names of settings, or
    `name=pattern`, that stand in the configuration on purpose. `closed`: the hub's own folders,
    which no notebook may see. `shm` in bytes; 0 of it or of `pids` leaves it to the engine.
    """

    capabilities: tuple[str, ...] | None = CAPABILITIES
    no_new_privileges: bool = True
    pids: int = 4096
    shm: int = 0
    allowed: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()

    def allows(self, setting: str, value: str) -> bool:
        """Return whether the administrator wrote that this is on purpose."""
        names = {setting, f"{setting}={value}"}
        return any(
            entry in names or ("=" in entry and fnmatchcase(f"{setting}={value}", entry))
            for entry in self.allowed
        )


@dataclass(frozen=True)
class Excess:
    """One thing that the arguments ask for and the lease does not give.

    `never`: no setting allows it, because it would give devices that the ledger rents.
    """

    setting: str
    value: str
    why: str
    never: bool = False

    @property
    def name(self) -> str:
        """The setting with its value, as `allowed_host_settings` takes it."""
        return f"{self.setting}={self.value}" if self.value else self.setting


@dataclass(frozen=True)
class Judged:
    """The arguments that may be sent, and what was taken out of them."""

    arguments: dict[str, Any]
    excess: tuple[Excess, ...]


def judge(
    asked: Mapping[str, Any],
    grant: Grant,
    policy: Policy,
    *,
    image_environment: Iterable[str] = (),
    real: Mapping[str, str] | None = None,
) -> Judged:
    """Return the arguments without what the lease does not give, hardened, with our labels.

    `asked` are keywords of docker-py's `create_container`, `image_environment` the names of the
    variables that the image sets, and `real` the folders behind links among the mounted ones.
    """
    trial = _Trial(grant, policy, real or {})
    arguments = dict(asked)
    host_config = _canonical(arguments.get("host_config") or {})
    if runtime := arguments.pop("runtime", None):
        host_config.setdefault("Runtime", runtime)
    host = trial.host(host_config)
    for place in arguments.get("volumes") or ():
        trial.judge_target("volumes", str(place))
    for name, value in (("image", grant.image), ("name", grant.name)):
        if arguments.get(name) not in (None, value):
            trial.find(name, str(arguments[name]), f"the lease's {name} is {value}", never=True)
        arguments[name] = value
    networks = (arguments.get("networking_config") or {}).get("EndpointsConfig") or {}
    if [network for network in networks if trial.find_network(str(network))]:
        del arguments["networking_config"]
    arguments["environment"] = trial.environment(arguments.get("environment"), image_environment)
    arguments["labels"] = {
        **{k: v for k, v in pairs(arguments.get("labels")).items() if not k.startswith(LABELS)},
        **grant.labels,
    }
    arguments["host_config"] = hardened(host, policy)
    return Judged(arguments, tuple(dict.fromkeys(trial.excess)))


class _Trial:
    """One judgment: what is kept is returned, what is not is noted in `excess`."""

    def __init__(self, grant: Grant, policy: Policy, real: Mapping[str, str]) -> None:
        self.grant, self.policy, self.real = grant, policy, real
        self.excess: list[Excess] = []

    def find(self, setting: str, value: str, why: str, *, never: bool = False) -> bool:
        """Note a finding, unless it is allowed; return whether it was noted."""
        if not never and self.policy.allows(setting, value):
            return False
        self.excess.append(Excess(setting, value, why, never))
        return True

    def host(self, host: Mapping[str, Any]) -> dict[str, Any]:
        """Return the HostConfig without what it must not have."""
        kept: dict[str, Any] = {}
        for name, value in host.items():
            if name in HARMLESS:
                kept[name] = value
            elif name not in JUDGED:
                why = "this version does not know what it gives"
                # An empty list may say something: that no path of the kernel is hidden.
                unset = value in (None, "", False, 0)
                if unset or not self.find(_snake(name), _text(value), why):
                    kept[name] = value
            elif (left := self._judged(name, value)) is not None:
                kept[name] = left
        self._limits(host, kept)
        kept["DeviceRequests"] = [dict(request) for request in self.grant.device_requests] or None
        kept["AutoRemove"] = False
        return kept

    def _judged(self, name: str, value: Any) -> Any:
        """Return what is left of one setting; None: nothing."""
        setting = JUDGED[name]
        if not _set(value) and name != "PidsLimit":
            return value
        match name:
            case "DeviceRequests":
                if _requests(value) != _requests(self.grant.device_requests):
                    self.find(setting, _text(value), _WHY[name], never=True)
                return None
            case "Privileged":
                self.find(setting, "True", _WHY[name], never=True)
                return None
            case "Devices":
                return self._each(setting, value, _device_path, _WHY[name], _is_gpu_file)
            case "DeviceCgroupRules":
                return self._each(setting, value, str, _WHY[name], _opens_gpus)
            case "CapAdd":
                return self._capabilities(setting, map(capability, value), _WHY[name])
            case "CapDrop":
                return [capability(c) for c in value]
            case "Binds":
                binds = _binds(value)
                return [bind for bind in binds if not self._bad_bind(setting, bind)]
            case "Mounts":
                return [mount for mount in value if not self._bad_mount(setting, mount)]
            case "Tmpfs":
                return {
                    place: options
                    for place, options in value.items()
                    if not self.judge_target(setting, place)
                }
            case "SecurityOpt":
                return self._security(setting, value)
            case "Sysctls" | "VolumesFrom":
                return self._each(setting, value, str, _WHY[name])
            case "NetworkMode":
                return None if self.find_network(str(value)) else value
            case "RestartPolicy":
                word = str(_canonical_key(value, "Name") or "")
                return self._keep_unless(word not in ("", "no"), name, value, word)
            case "OomScoreAdj":
                return self._keep_unless(int(value) < 0, name, value)
            case "PidsLimit":
                endless = value is not None and int(value) <= 0 and self.policy.pids != 0
                return self._keep_unless(endless, name, value)
            case "Memory" | "NanoCpus" | "CpuQuota" | "CpuPeriod" | "AutoRemove":
                return value  # held to the lease by `host`
            case _:
                return self._keep_unless(str(value) not in _FINE.get(name, ()), name, value)

    def _capabilities(self, setting: str, asked: Iterable[str], why: str) -> list[str]:
        """Return the capabilities that may be added; the others are findings."""
        keep = set(self.policy.capabilities or ()) - NEVER_CAPABILITIES
        return [
            name
            for name in asked
            if name in keep or not self.find(setting, name, why, never=name in NEVER_CAPABILITIES)
        ]

    def _keep_unless(self, bad: bool, name: str, value: Any, word: str = "") -> Any:
        """Return the value, or None where it is bad and noted."""
        noted = bad and self.find(JUDGED[name], word or _text(value), _WHY[name])
        return None if noted else value

    def _each(self, setting: str, values: Any, text: Any, why: str, never: Any = None) -> Any:
        """Judge each item of a list or mapping, and return those that stay."""
        if isinstance(values, Mapping):
            return {
                k: v
                for k, v in values.items()
                if not self.find(setting, text(k), why, never=bool(never and never(text(k))))
            }
        return [
            v
            for v in values
            if not self.find(setting, text(v), why, never=bool(never and never(text(v))))
        ]

    def _bad_bind(self, setting: str, bind: str) -> bool:
        source, _, rest = bind.partition(":")
        bad = self.judge_target(setting, rest.partition(":")[0])
        return self._bad_source(setting, source) or bad

    def _bad_mount(self, setting: str, mount: Mapping[str, Any]) -> bool:
        mount = {str(key).lower(): value for key, value in mount.items()}
        bad = self.judge_target(setting, str(mount.get("target") or ""))
        kind = mount.get("type") or "volume"
        if kind == "bind":
            return self._bad_source(setting, str(mount.get("source") or "")) or bad
        if kind == "volume":
            # A volume can be a folder of the machine under another name.
            options = _canonical_key(mount.get("volumeoptions") or {}, "DriverConfig") or {}
            asked = _canonical_key(options, "Options") or {}
            device = str(_canonical_key(asked, "device") or "")
            if device.startswith("/"):
                return self._bad_source(setting, device) or bad
        return bad

    def _bad_source(self, setting: str, source: str) -> bool:
        """Return whether a folder of the machine must not be mounted."""
        if not source.startswith("/"):
            return False  # a named volume
        bad = False
        for path in dict.fromkeys((_clean(source), _clean(self.real.get(source, source)))):
            if path in self.grant.folders:
                continue
            closed = () if source in self.grant.adopted else self.policy.closed
            faults = sorted(_source_faults(path, closed), key=lambda fault: not fault[1])
            if faults:
                why, never = faults[0]
                bad = self.find(setting, source, why, never=never) or bad
        return bad

    def judge_target(self, setting: str, place: str) -> bool:
        """Return whether mounting at this place in the container must not be."""
        if any(_inside(_clean(place), there) for there in DEVICE_MOUNTS):
            return self.find(setting, place, "it asks the GPU runtime for devices", never=True)
        return False

    def _security(self, setting: str, options: Iterable[Any]) -> list[str]:
        kept = []
        for option in map(str, options):
            word = option.replace(":", "=", 1).lower()
            if word in ("no-new-privileges", "no-new-privileges=true"):
                continue  # said again by `hardened`, or not wanted
            weak = (
                word.endswith("=unconfined")
                or word in ("label=disable", "no-new-privileges=false")
                or "spc_t" in word
                or (word.startswith("seccomp=") and _lets_all_through(option))
            )
            if weak and word == "no-new-privileges=false" and not self.policy.no_new_privileges:
                continue
            if not weak or not self.find(setting, option[:80], _WHY["SecurityOpt"]):
                kept.append(option)
        return kept

    def find_network(self, network: str) -> bool:
        """Note a network that is shared with the machine or with another container."""
        shared = network == "host" or network.startswith(("container:", "ns:"))
        return shared and self.find("network_mode", network, _WHY["NetworkMode"])

    def _limits(self, host: Mapping[str, Any], kept: dict[str, Any]) -> None:
        """Hold memory and CPUs to what is rented."""
        memory, cpus = self.grant.memory, self.grant.cpus
        if memory is not None:
            asked = int(host.get("Memory") or 0)
            if asked > memory:
                self.find("mem_limit", str(asked), f"the lease gives {memory} bytes", never=True)
            if not 0 < asked <= memory:
                kept["Memory"] = memory
        if cpus is not None:
            period = int(host.get("CpuPeriod") or CPU_PERIOD)
            nano, quota = int(host.get("NanoCpus") or 0), int(host.get("CpuQuota") or 0)
            most = nano / 10**9 or quota / period
            # The quota is a whole number of microseconds.
            if most > cpus + 1e-3:
                setting = "nano_cpus" if nano else "cpu_quota"
                self.find(setting, f"{most:g}", f"the lease gives {cpus:g} CPUs", never=True)
            if not 0 < most <= cpus + 1e-3:
                kept.pop("NanoCpus", None)
                kept["CpuPeriod"], kept["CpuQuota"] = period, int(cpus * period)

    def environment(self, asked: Any, of_image: Iterable[str]) -> dict[str, Any]:
        """Return the variables; those by which devices are given are the lease's own."""
        kept = pairs(asked)
        for name in others_variables(kept, self.grant.devices):
            words = f"{name}={kept.pop(name)}"
            self.find("environment", words, _WHY["environment"], never=True)
        for name in of_image:
            if gives_devices(name):
                kept[name] = NO_DEVICE
        kept[VISIBLE] = self.grant.visible
        return kept


def hardened(host: dict[str, Any], policy: Policy) -> dict[str, Any]:
    """Return the HostConfig with fewer rights than the engine gives by itself."""
    if policy.capabilities is not None:
        dropped, added = set(host.get("CapDrop") or ()), list(host.get("CapAdd") or ())
        own = () if "ALL" in dropped else policy.capabilities
        keep = dict.fromkeys([*(c for c in own if c not in dropped), *added])
        host["CapDrop"], host["CapAdd"] = ["ALL"], sorted(keep)
    if policy.no_new_privileges:
        host["SecurityOpt"] = [*(host.get("SecurityOpt") or ()), "no-new-privileges"]
    if policy.pids and not host.get("PidsLimit"):
        host["PidsLimit"] = policy.pids
    if policy.shm and not host.get("ShmSize") and not host.get("IpcMode"):
        host["ShmSize"] = policy.shm
    return host


def differences(asked: Mapping[str, Any], made: Mapping[str, Any]) -> list[str]:
    """List in which way a container is not the one that was asked for.

    `made` is what the engine says of it. An engine may write more than it was told, so that only
    more rights, other devices, another image and other labels count.
    """
    config, host = made.get("Config") or {}, made.get("HostConfig") or {}
    wanted = asked["host_config"]
    found = []
    labels = config.get("Labels") or {}
    lost = sorted(
        key
        for key, value in asked["labels"].items()
        if key.startswith(LABELS) and labels.get(key, "") != value
    )
    if lost:
        found.append(f"it has not our labels ({', '.join(lost)})")
    image = str(config.get("Image") or "")
    if image != asked["image"] and not image.endswith(f"/{asked['image']}"):
        found.append(f"its image is {image}")
    given = _requests(host.get("DeviceRequests") or ())
    if not given <= _requests(wanted.get("DeviceRequests") or ()):
        found.append("it has other devices")
    if not {_text(d) for d in host.get("Devices") or ()} <= {
        _text(d) for d in wanted.get("Devices") or ()
    }:
        found.append("it has device files of the machine")
    if host.get("Privileged"):
        found.append("it is privileged")
    visible = pairs(config.get("Env")).get(VISIBLE, "")
    if visible != asked["environment"].get(VISIBLE):
        found.append(f"its {VISIBLE} is {visible or 'not set'}")
    return found


# -- words and values ---------------------------------------------------------------------------

_WHY = {
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
_FINE: Mapping[str, tuple[str, ...]] = {
    "PidMode": ("private",),
    "IpcMode": ("private", "shareable", "none"),
    "UTSMode": ("private",),
    "UsernsMode": ("private",),
    "CgroupnsMode": ("private",),
    "Runtime": ("runc", "io.containerd.runc.v2"),
}


def gives_devices(variable: str) -> bool:
    """Return whether a runtime of the engine gives devices by this variable."""
    if variable in CHOOSING:
        return False
    return variable in GRANTING or variable.endswith("_VISIBLE_DEVICES")


def names_only(value: str, devices: Sequence[str]) -> bool:
    """Return whether a variable names nothing but these devices, by id or by number, or none."""
    if value in _NOTHING:
        return True
    return {word.strip() for word in value.split(",")} <= {*devices, *map(str, range(len(devices)))}


def others_variables(environment: Mapping[str, Any], devices: Sequence[str]) -> list[str]:
    """List the variables by which devices are given or chosen that are not these."""
    return [
        name
        for name, value in environment.items()
        if (gives_devices(name) or name in CHOOSING) and not names_only(str(value or ""), devices)
    ]


def capability(word: Any) -> str:
    """Return a capability as the kernel's documentation writes it, without CAP_."""
    return str(word).upper().removeprefix("CAP_")


def pairs(value: Any) -> dict[str, Any]:
    """Return environment or labels as a mapping, also where they are a list of `name=value`."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return {str(key): v for key, v in value.items()}
    return {name: rest for name, _, rest in (str(entry).partition("=") for entry in value)}


def _canonical(host: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings under the engine's own names: it reads them in any case."""
    found: dict[str, Any] = {}
    for name, value in host.items():
        canonical = _CANONICAL.get(str(name).lower(), str(name))
        # Of two spellings the one that asks for something counts.
        if canonical not in found or _set(value):
            found[canonical] = value
    return found


def _canonical_key(value: Any, name: str) -> Any:
    if not isinstance(value, Mapping):
        return None
    return next((v for key, v in value.items() if str(key).lower() == name.lower()), None)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() and n else c.lower() for n, c in enumerate(name))


def _set(value: Any) -> bool:
    return value not in (None, "", False, 0) and value not in ([], {}, ())


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, default=str)


def _requests(requests: Iterable[Any]) -> frozenset[str]:
    """Return what is requested of which driver, one word each."""
    found = set()
    for request in requests:
        row = {str(key).lower(): value for key, value in dict(request).items()}
        driver, ids = row.get("driver") or "", row.get("deviceids") or row.get("device_ids") or ()
        found |= {f"{driver} {one}" for one in ids}
        if row.get("count") or not ids:
            found.add(f"{driver} {row.get('count') or 0} of any")
    return frozenset(found)


def _device_path(device: Any) -> str:
    if isinstance(device, Mapping):
        return str(_canonical_key(device, "PathOnHost") or _text(device))
    return str(device).partition(":")[0]


def _is_gpu_file(path: str) -> bool:
    clean = _clean(path)
    return clean in ("/dev", "/") or any(fnmatchcase(clean, pattern) for pattern in GPU_FILES)


#: Majors of NVIDIA's and of the kernel's own graphics devices, and the ranges from which drivers
#: without a number of their own (nvidia-uvm, nvidia-caps, kfd) get one.
_GPU_MAJORS = (range(195, 196), range(226, 227), range(234, 255), range(261, 262), range(384, 512))


def _opens_gpus(rule: str) -> bool:
    """Return whether a rule like `c 195:* rwm` covers a device that is rented."""
    words = rule.split()
    if len(words) < 2 or words[0] == "a":
        return True
    major = words[1].partition(":")[0]
    if words[0] == "b":
        return False
    return not major.isdigit() or any(int(major) in numbers for numbers in _GPU_MAJORS)


def _binds(value: Any) -> list[str]:
    """Return binds as the engine takes them: `source:target:mode`."""
    if not isinstance(value, Mapping):
        return [str(bind) for bind in value]
    return [
        f"{source}:{bind['bind']}:{bind.get('mode', 'rw')}"
        if isinstance(bind, Mapping)
        else f"{source}:{bind}:rw"
        for source, bind in value.items()
    ]


def _clean(path: str) -> str:
    return "/" + posixpath.normpath(path).lstrip("/") if path.startswith("/") else path


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _source_faults(path: str, closed: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Say why this folder of the machine must not be mounted, and whether ever."""
    if _is_gpu_file(path):
        yield "it holds the machine's devices", True
    elif any(_inside(path, folder) for folder in KERNEL_FOLDERS):
        yield "it shows devices, processes or settings of the machine", False
    if any(_inside(path, place) or _inside(place, path) for place in ENGINE_SOCKETS):
        yield "whoever reaches the engine is root on this machine", True
    elif any(_inside(path, place) or _inside(place, path) for place in ENGINE_FOLDERS):
        yield "it holds the files of all containers", True
    elif any(_inside(place, path) for place in MACHINE_FOLDERS):
        yield "it is a folder of the machine itself", False
    if any(_inside(path, place) or _inside(place, path) for place in closed):
        yield "it holds files of the hub or of other people", False


def _lets_all_through(option: str) -> bool:
    """Return whether a seccomp profile forbids nothing."""
    try:
        profile = json.loads(option.partition("=")[2] or option.partition(":")[2])
    except ValueError:
        return False
    if not isinstance(profile, Mapping):
        return False
    forbids = any(
        str(rule.get("action")) not in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG")
        for rule in profile.get("syscalls") or ()
        if isinstance(rule, Mapping)
    )
    return profile.get("defaultAction") in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG") and not forbids
