"""Files and folders of the machine that a container must not have, and why."""

import posixpath
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

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

#: Majors of NVIDIA's and of the kernel's own graphics devices, and the ranges from which drivers
#: without a number of their own (nvidia-uvm, nvidia-caps, kfd) get one.
_GPU_MAJORS = (range(195, 196), range(226, 227), range(234, 255), range(261, 262), range(384, 512))


def is_gpu_file(path: str) -> bool:
    """Return whether a path is, or holds, a device file that is rented or leads to one."""
    clean = clean_path(path)
    return clean in ("/dev", "/") or any(fnmatchcase(clean, pattern) for pattern in GPU_FILES)


def opens_gpus(rule: str) -> bool:
    """Return whether a rule like `c 195:* rwm` covers a device that is rented."""
    words = rule.split()
    if len(words) < 2 or words[0] == "a":
        return True
    major = words[1].partition(":")[0]
    if words[0] == "b":
        return False
    return not major.isdigit() or any(int(major) in numbers for numbers in _GPU_MAJORS)


def clean_path(path: str) -> str:
    """Return an absolute path without `..` and doubled slashes; a name as it is."""
    return "/" + posixpath.normpath(path).lstrip("/") if path.startswith("/") else path


def is_inside(path: str, folder: str) -> bool:
    """Return whether a path is a folder, or below it."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def source_faults(path: str, closed: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Say why this folder of the machine must not be mounted, and whether ever."""
    if is_gpu_file(path):
        yield "it holds the machine's devices", True
    elif any(is_inside(path, folder) for folder in KERNEL_FOLDERS):
        yield "it shows devices, processes or settings of the machine", False
    if any(is_inside(path, place) or is_inside(place, path) for place in ENGINE_SOCKETS):
        yield "whoever reaches the engine is root on this machine", True
    elif any(is_inside(path, place) or is_inside(place, path) for place in ENGINE_FOLDERS):
        yield "it holds the files of all containers", True
    elif any(is_inside(place, path) for place in MACHINE_FOLDERS):
        yield "it is a folder of the machine itself", False
    if any(is_inside(path, place) or is_inside(place, path) for place in closed):
        yield "it holds files of the hub or of other people", False
