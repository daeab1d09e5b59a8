"""The GPUs of this machine, as NVML names them, and the words that declare them."""

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from types import ModuleType

#: The kernel module's own page: it is there with the driver, whatever Python has installed.
DRIVER_PAGE = Path("/proc/driver/nvidia/version")
CDI_KIND = "nvidia.com/gpu="


@dataclass(frozen=True)
class Gpu:
    """A physical GPU or MIG slice; memory is GB as the vendor counts it (2^30 bytes)."""

    uuid: str
    name: str
    memory: int

    @property
    def is_slice(self) -> bool:
        """Whether it is a MIG slice of a larger GPU."""
        return self.uuid.startswith("MIG-")

    def model(self, known: Iterable[str]) -> str:
        """Return the model to declare: the catalog's word for it where it has one, else NVML's.

        A catalog says "Tesla V100", NVML "Tesla V100-SXM2-16GB"; devices and instance types meet
        only where both use one word. A slice is never its whole GPU.
        """
        plain = self.name.removeprefix("NVIDIA ")
        matches = [
            word
            for word in known
            if self.name == word
            or plain == word.removeprefix("NVIDIA ")
            or (not self.is_slice and _begins(plain, word.removeprefix("NVIDIA ")))
        ]
        return max(matches, key=len, default=self.name)


def _begins(name: str, word: str) -> bool:
    return name.startswith(word) and name[len(word) : len(word) + 1] in ("-", " ")


@dataclass(frozen=True)
class Inventory:
    """What NVML found. `away`: why it found nothing, in a sentence; `skipped`: what it left out."""

    gpus: tuple[Gpu, ...] = ()
    away: str = ""
    skipped: tuple[str, ...] = ()


def discover(nvml: ModuleType | None = None) -> Inventory:
    """List every GPU of this machine, and every slice of a GPU in MIG mode. Never raises."""
    if nvml is None:
        try:
            nvml = importlib.import_module("pynvml")
        except ImportError:
            return Inventory(away=_without_nvml())
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return Inventory(away=_no_driver(error))
    skipped: list[str] = []
    try:
        gpus = [
            gpu
            for index in range(nvml.nvmlDeviceGetCount())
            for gpu in _gpus_at(nvml, index, skipped)
        ]
    except nvml.NVMLError as error:
        return Inventory(away=f"the NVIDIA driver does not say which GPUs it has: {error}")
    finally:
        nvml.nvmlShutdown()
    return Inventory(tuple(gpus), skipped=tuple(skipped))


def _without_nvml() -> str:
    if DRIVER_PAGE.exists():
        return "an NVIDIA driver is here, but not pynvml: pip install 'gradienthub[nvml]'"
    return "no NVIDIA driver here"


def _no_driver(error: Exception) -> str:
    absent = ("NVMLError_LibraryNotFound", "NVMLError_DriverNotLoaded")
    if type(error).__name__ in absent and not DRIVER_PAGE.exists():
        return "no NVIDIA driver here"
    return f"the NVIDIA driver does not answer: {error}; nvidia-smi says more, a reboot often helps"


def _gpus_at(nvml: ModuleType, index: int, skipped: list[str]) -> Iterator[Gpu]:
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        if not _in_mig_mode(nvml, handle):
            yield _gpu(nvml, handle)
            return
        name = _text(nvml.nvmlDeviceGetName(handle))
        slices = list(_slices(nvml, handle))
    except nvml.NVMLError as error:
        # One GPU that fell off the bus must not hide the others.
        skipped.append(f"GPU {index} does not answer: {error}")
        return
    yield from slices
    if not slices:
        skipped.append(
            f"GPU {index} ({name}) is in MIG mode without slices, so that nothing can use it;"
            " make some with nvidia-smi mig -cgi, or leave MIG mode"
        )


def _in_mig_mode(nvml: ModuleType, handle: object) -> bool:
    try:
        current, _pending = nvml.nvmlDeviceGetMigMode(handle)
    except nvml.NVMLError:
        return False  # not supported: every GPU before the A100
    return bool(current)


def _slices(nvml: ModuleType, handle: object) -> Iterator[Gpu]:
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            part = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
        except nvml.NVMLError:
            continue  # this place holds no slice
        yield _gpu(nvml, part)


def _gpu(nvml: ModuleType, handle: object) -> Gpu:
    total = nvml.nvmlDeviceGetMemoryInfo(handle).total
    return Gpu(
        uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
        name=_text(nvml.nvmlDeviceGetName(handle)),
        memory=round(total / 2**30),
    )


def _text(value: str | bytes) -> str:
    # Older releases of pynvml answer in bytes.
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def declaration(
    host: str,
    row: Mapping[str, object],
    gpus: Sequence[Gpu],
    models: Iterable[str],
    *,
    cdi: bool = False,
    others: Sequence[str] = (),
) -> str:
    """Return the statement `c.GradientHub.hosts = ...` that declares this machine with these
    devices.

    `row` holds the host's other keys; `others` are hosts whose rows have to stay beside it.
    """
    known = list(models)
    prefix = CDI_KIND if cdi else ""
    devices = [
        f'            {{"uuid": {dumps(prefix + gpu.uuid)}, "model": {dumps(gpu.model(known))}}},'
        for gpu in gpus
    ]
    lines = [
        "c.GradientHub.hosts = {",
        f"    {dumps(host)}: {{",
        *(f"        {dumps(key)}: {dumps(value)}," for key, value in row.items()),
        *(['        "devices": [', *devices, "        ],"] if gpus else ['        "devices": [],']),
        "    },",
        *(f"    # {dumps(other)}: as it is" for other in others),
        "}",
    ]
    return "\n".join(lines)


def bare_uuid(declared: str) -> str:
    """Return the UUID in a declared device's name, which may be a CDI name."""
    return declared.rsplit("=", 1)[-1]
