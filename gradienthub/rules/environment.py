"""A container's environment: the variables by which devices are given to it, or chosen in it."""

from collections.abc import Mapping, Sequence

from .untrusted import as_list

VISIBLE = "NVIDIA_VISIBLE_DEVICES"
#: What the NVIDIA runtime takes for "no device at all", whatever the image says.
NO_DEVICE = "void"

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
_MEANS_NONE = ("", "void", "none", "-1", "NoDevFiles")


def pairs(value: object) -> dict[str, object]:
    """Return environment or labels as a mapping, also where they are a list of `name=value`."""
    if isinstance(value, Mapping):
        return {str(key): v for key, v in value.items()}
    return {name: rest for name, _, rest in (str(entry).partition("=") for entry in as_list(value))}


def gives_devices(variable: str) -> bool:
    """Return whether a runtime of the engine gives devices by this variable."""
    if variable in CHOOSING:
        return False
    return variable in GRANTING or variable.endswith("_VISIBLE_DEVICES")


def names_only(value: str, devices: Sequence[str]) -> bool:
    """Return whether a variable names nothing but these devices, by id or by number, or none."""
    if value in _MEANS_NONE:
        return True
    return {word.strip() for word in value.split(",")} <= {*devices, *map(str, range(len(devices)))}


def others_variables(environment: Mapping[str, object], devices: Sequence[str]) -> list[str]:
    """List the variables by which devices are given or chosen that are not these."""
    return [
        name
        for name, value in environment.items()
        if (gives_devices(name) or name in CHOOSING) and not names_only(str(value or ""), devices)
    ]
