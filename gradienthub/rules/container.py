"""Judge a container's final create arguments against its lease: nothing rented is given unrented.

`judge` sees what docker-py is about to send, after every hook, extra and override, and returns what
may be sent. It knows the settings that take nothing from anybody; every other one that is set is a
finding, so that a setting of a newer engine is not let through because nobody knew it.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .environment import NO_DEVICE, VISIBLE, gives_devices, others_variables, pairs
from .host_config import (
    FINE,
    HARMLESS,
    JUDGED,
    LISTS,
    WHY,
    binds_of,
    canonical,
    capability,
    device_path,
    is_set,
    key_of,
    requests_of,
    snake,
    text_of,
)
from .machine_files import (
    DEVICE_MOUNTS,
    clean_path,
    is_gpu_file,
    is_inside,
    opens_gpus,
    source_faults,
)
from .untrusted import as_list, as_mapping, as_whole

#: Capabilities that an image needs that starts as root, prepares folders, and then becomes its user
#: (su, gosu, setpriv, docker-stacks). An image that starts as its user needs none.
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID")
#: Each of these opens the kernel, and with it every device of the machine.
NEVER_CAPABILITIES = frozenset({"ALL", "SYS_MODULE", "SYS_RAWIO"})

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
    device_requests: tuple[Mapping[str, object], ...] = ()
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

    arguments: dict[str, object]
    excess: tuple[Excess, ...]


def judge(
    asked: Mapping[str, object],
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
    host_config = canonical(as_mapping(arguments.get("host_config")))
    if runtime := arguments.pop("runtime", None):
        host_config.setdefault("Runtime", runtime)
    host = trial.judge_host(host_config)
    for place in as_list(arguments.get("volumes")):
        trial.judge_target("volumes", str(place))
    for name, value in (("image", grant.image), ("name", grant.name)):
        if arguments.get(name) not in (None, value):
            trial.find(name, str(arguments[name]), f"the lease's {name} is {value}", never=True)
        arguments[name] = value
    networks = as_mapping(arguments.get("networking_config")).get("EndpointsConfig")
    if [network for network in as_list(networks) if trial.find_network(str(network))]:
        del arguments["networking_config"]
    arguments["environment"] = trial.judge_environment(
        arguments.get("environment"), image_environment
    )
    arguments["labels"] = {
        **{k: v for k, v in pairs(arguments.get("labels")).items() if not k.startswith(LABELS)},
        **grant.labels,
    }
    arguments["host_config"] = harden(host, policy)
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

    def judge_host(self, host: Mapping[str, object]) -> dict[str, object]:
        """Return the HostConfig without what it must not have."""
        kept: dict[str, object] = {}
        for name, value in host.items():
            if name in HARMLESS:
                kept[name] = value
            elif name not in JUDGED:
                why = "this version does not know what it gives"
                # An empty list may say something: that no path of the kernel is hidden.
                unset = value in (None, "", False, 0)
                if unset or not self.find(snake(name), text_of(value), why):
                    kept[name] = value
            elif (left := self._judge_setting(name, value)) is not None:
                kept[name] = left
        self._hold_limits(host, kept)
        kept["DeviceRequests"] = [dict(request) for request in self.grant.device_requests] or None
        kept["AutoRemove"] = False
        return kept

    def _judge_setting(self, name: str, value: object) -> object:
        """Return what is left of one setting; None: nothing."""
        if not is_set(value) and name != "PidsLimit":
            return value
        if name in LISTS:
            return self._judge_list(name, value)
        match name:
            case "DeviceRequests":
                if requests_of(value) != requests_of(self.grant.device_requests):
                    self.find(JUDGED[name], text_of(value), WHY[name], never=True)
                return None
            case "Privileged":
                self.find(JUDGED[name], "True", WHY[name], never=True)
                return None
            case "NetworkMode":
                return None if self.find_network(str(value)) else value
            case "RestartPolicy":
                word = str(key_of(value, "Name") or "")
                return self._keep_unless(word not in ("", "no"), name, value, word)
            case "OomScoreAdj":
                return self._keep_unless(as_whole(value) < 0, name, value)
            case "PidsLimit":
                endless = value is not None and as_whole(value) <= 0 and self.policy.pids != 0
                return self._keep_unless(endless, name, value)
            case "Memory" | "NanoCpus" | "CpuQuota" | "CpuPeriod" | "AutoRemove":
                return value  # held to the lease by `judge_host`
            case _:
                return self._keep_unless(str(value) not in FINE.get(name, ()), name, value)

    def _judge_list(self, name: str, value: object) -> object:
        """Return those entries of one setting that may stay."""
        setting = JUDGED[name]
        match name:
            case "Devices":
                return self._each(name, value, device_path, is_gpu_file)
            case "DeviceCgroupRules":
                return self._each(name, value, str, opens_gpus)
            case "CapAdd":
                return self._capabilities(map(capability, as_list(value)))
            case "CapDrop":
                return [capability(word) for word in as_list(value)]
            case "Binds":
                return [bind for bind in binds_of(value) if not self._bad_bind(setting, bind)]
            case "Mounts":
                # One alone is its own list: a mount is a mapping.
                mounts = [value] if isinstance(value, Mapping) else as_list(value)
                return [mount for mount in mounts if not self._bad_mount(setting, mount)]
            case "Tmpfs":
                places = value if isinstance(value, Mapping) else dict.fromkeys(as_list(value), "")
                return {
                    place: options
                    for place, options in places.items()
                    if not self.judge_target(setting, str(place))
                }
            case "SecurityOpt":
                return self._security(setting, as_list(value))
            case _:
                return self._each(name, value)

    def _capabilities(self, asked: Iterable[str]) -> list[str]:
        """Return the capabilities that may be added; the others are findings."""
        keep = set(self.policy.capabilities or ()) - NEVER_CAPABILITIES
        return [
            name
            for name in asked
            if name in keep
            or not self.find("cap_add", name, WHY["CapAdd"], never=name in NEVER_CAPABILITIES)
        ]

    def _keep_unless(self, bad: bool, name: str, value: object, word: str = "") -> object:
        """Return the value, or None where it is bad and noted."""
        noted = bad and self.find(JUDGED[name], word or text_of(value), WHY[name])
        return None if noted else value

    def _each(
        self,
        name: str,
        values: object,
        text: Callable[[object], str] = str,
        never: Callable[[str], bool] = lambda _: False,
    ) -> object:
        """Judge each item of a list or mapping, and return those that stay."""
        stay = [
            item
            for item in as_list(values)
            if not self.find(JUDGED[name], text(item), WHY[name], never=never(text(item)))
        ]
        return {item: values[item] for item in stay} if isinstance(values, Mapping) else stay

    def _bad_bind(self, setting: str, bind: str) -> bool:
        source, _, rest = bind.partition(":")
        bad = self.judge_target(setting, rest.partition(":")[0])
        return self._bad_source(setting, source) or bad

    def _bad_mount(self, setting: str, mount: object) -> bool:
        if not isinstance(mount, Mapping):
            return self.find(setting, text_of(mount), "it is no docker.types.Mount", never=True)
        mount = {str(key).lower(): value for key, value in mount.items()}
        bad = self.judge_target(setting, str(mount.get("target") or ""))
        kind = mount.get("type") or "volume"
        if kind == "bind":
            return self._bad_source(setting, str(mount.get("source") or "")) or bad
        if kind == "volume":
            # A volume can be a folder of the machine under another name.
            options = key_of(key_of(mount.get("volumeoptions"), "DriverConfig"), "Options")
            device = str(key_of(options, "device") or "")
            if device.startswith("/"):
                return self._bad_source(setting, device) or bad
        return bad

    def _bad_source(self, setting: str, source: str) -> bool:
        """Return whether a folder of the machine must not be mounted."""
        if not source.startswith("/"):
            return False  # a named volume
        bad = False
        for path in dict.fromkeys((clean_path(source), clean_path(self.real.get(source, source)))):
            if path in self.grant.folders:
                continue
            closed = () if source in self.grant.adopted else self.policy.closed
            faults = sorted(source_faults(path, closed), key=lambda fault: not fault[1])
            if faults:
                why, never = faults[0]
                bad = self.find(setting, source, why, never=never) or bad
        return bad

    def judge_target(self, setting: str, place: str) -> bool:
        """Return whether mounting at this place in the container must not be."""
        if any(is_inside(clean_path(place), there) for there in DEVICE_MOUNTS):
            return self.find(setting, place, "it asks the GPU runtime for devices", never=True)
        return False

    def _security(self, setting: str, options: Iterable[object]) -> list[str]:
        kept = []
        for option in map(str, options):
            word = option.replace(":", "=", 1).lower()
            if word in ("no-new-privileges", "no-new-privileges=true"):
                continue  # said again by `harden`, or not wanted
            weak = (
                word.endswith("=unconfined")
                or word in ("label=disable", "no-new-privileges=false")
                or "spc_t" in word
                or (word.startswith("seccomp=") and _lets_all_through(option))
            )
            if weak and word == "no-new-privileges=false" and not self.policy.no_new_privileges:
                continue
            if not weak or not self.find(setting, option[:80], WHY["SecurityOpt"]):
                kept.append(option)
        return kept

    def find_network(self, network: str) -> bool:
        """Note a network that is shared with the machine or with another container."""
        shared = network == "host" or network.startswith(("container:", "ns:"))
        return shared and self.find("network_mode", network, WHY["NetworkMode"])

    def _hold_limits(self, host: Mapping[str, object], kept: dict[str, object]) -> None:
        """Hold memory and CPUs to what is rented."""
        memory, cpus = self.grant.memory, self.grant.cpus
        if memory is not None:
            asked = as_whole(host.get("Memory"))
            if asked > memory:
                self.find("mem_limit", str(asked), f"the lease gives {memory} bytes", never=True)
            if not 0 < asked <= memory:
                kept["Memory"] = memory
        if cpus is not None:
            period = as_whole(host.get("CpuPeriod")) or CPU_PERIOD
            nano, quota = as_whole(host.get("NanoCpus")), as_whole(host.get("CpuQuota"))
            most = nano / 10**9 or quota / period
            # The quota is a whole number of microseconds.
            if most > cpus + 1e-3:
                setting = "nano_cpus" if nano else "cpu_quota"
                self.find(setting, f"{most:g}", f"the lease gives {cpus:g} CPUs", never=True)
            if not 0 < most <= cpus + 1e-3:
                kept.pop("NanoCpus", None)
                kept["CpuPeriod"], kept["CpuQuota"] = period, int(cpus * period)

    def judge_environment(self, asked: object, of_image: Iterable[str]) -> dict[str, object]:
        """Return the variables; those by which devices are given are the lease's own."""
        kept = pairs(asked)
        for name in others_variables(kept, self.grant.devices):
            words = f"{name}={kept.pop(name)}"
            self.find("environment", words, WHY["environment"], never=True)
        for name in of_image:
            if gives_devices(name):
                kept[name] = NO_DEVICE
        kept[VISIBLE] = self.grant.visible
        return kept


def harden(host: dict[str, object], policy: Policy) -> dict[str, object]:
    """Return the HostConfig with fewer rights than the engine gives by itself."""
    if policy.capabilities is not None:
        dropped = set(as_list(host.get("CapDrop")))
        added = [str(name) for name in as_list(host.get("CapAdd"))]
        own = () if "ALL" in dropped else policy.capabilities
        keep = dict.fromkeys([*(c for c in own if c not in dropped), *added])
        host["CapDrop"], host["CapAdd"] = ["ALL"], sorted(keep)
    if policy.no_new_privileges:
        host["SecurityOpt"] = [*as_list(host.get("SecurityOpt")), "no-new-privileges"]
    if policy.pids and not host.get("PidsLimit"):
        host["PidsLimit"] = policy.pids
    if policy.shm and not host.get("ShmSize") and not host.get("IpcMode"):
        host["ShmSize"] = policy.shm
    return host


def differences(asked: Mapping[str, object], made: Mapping[str, object]) -> list[str]:
    """List in which way a container is not the one that was asked for.

    `made` is what the engine says of it. An engine may write more than it was told, so that only
    more rights, other devices, another image and other labels count.
    """
    config, host = as_mapping(made.get("Config")), as_mapping(made.get("HostConfig"))
    wanted = as_mapping(asked["host_config"])
    faults = []
    labels = as_mapping(config.get("Labels"))
    lost = sorted(
        key
        for key, value in as_mapping(asked["labels"]).items()
        if key.startswith(LABELS) and labels.get(key, "") != value
    )
    if lost:
        faults.append(f"it has not our labels ({', '.join(lost)})")
    image = str(config.get("Image") or "")
    if image != asked["image"] and not image.endswith(f"/{asked['image']}"):
        faults.append(f"its image is {image}")
    if not requests_of(host.get("DeviceRequests")) <= requests_of(wanted.get("DeviceRequests")):
        faults.append("it has other devices")
    if not set(map(text_of, as_list(host.get("Devices")))) <= set(
        map(text_of, as_list(wanted.get("Devices")))
    ):
        faults.append("it has device files of the machine")
    if host.get("Privileged"):
        faults.append("it is privileged")
    visible = pairs(config.get("Env")).get(VISIBLE, "")
    if visible != as_mapping(asked["environment"]).get(VISIBLE):
        faults.append(f"its {VISIBLE} is {visible or 'not set'}")
    return faults


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
