"""Whether a start failed for its device's sake, by the engine's own words."""

import re
from collections.abc import Sequence

#: So many failures of a device in a row take it out of rent.
FAILURES = 2

#: What the NVIDIA runtime, its hook, CDI and the engine say when a device cannot be given.
_DEVICE = re.compile(
    r"nvidia-container-(cli|runtime|runtime-hook|toolkit)|\bnvml\b|nvidia driver|libnvidia"
    r"|libcuda|unknown device|device error|\bXid\b|fallen off the bus|gpu is lost|no devices found"
    r"|unresolvable CDI|CDI device|inject(ing)? CDI|could not select device driver"
    r"|gathering device information|/dev/(nvidia|kfd|dri)|/proc/driver/nvidia"
    r"|cuda(_| )?error|no cuda-capable device",
    re.IGNORECASE,
)
#: Where the engine says one of these, it is not the device, whatever else is in its words.
_NOT_DEVICE = re.compile(
    r"no such image|manifest unknown|port is already allocated|no space left"
    r"|exec format error|executable file not found|pull access denied",
    re.IGNORECASE,
)


def blamed_devices(message: str, devices: Sequence[str]) -> tuple[str, ...]:
    """Return those of a start's devices that the engine blames for its failure.

    All of them, where it blames the devices and names none of these.
    """
    named = tuple(device for device in devices if _names(message, device))
    if not _DEVICE.search(message):
        return ()
    if named or not _NOT_DEVICE.search(message) or "nvidia" in message.lower():
        return named or tuple(devices)
    return ()


def _names(message: str, device: str) -> bool:
    """Return whether the words name it: by its UUID, or its CDI name without the kind."""
    short = device.rpartition("=")[2]
    return bool(re.search(rf"(?<![\w-]){re.escape(short)}(?![\w-])", message)) and len(short) > 3
