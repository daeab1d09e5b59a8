"""How loaded the GPUs of this machine are, where NVML is there to ask."""

import asyncio
import importlib
import logging
from contextlib import suppress
from types import ModuleType

log = logging.getLogger("gradienthub")

PATIENCE = 5.0


class Gpus:
    """Asks NVML for the load of this machine's GPUs. Empty answers, logged once, without it."""

    def __init__(self, nvml: ModuleType | None = None, patience: float = PATIENCE) -> None:
        self._nvml = nvml
        self._patience = patience
        self._asking: asyncio.Task[dict[str, float]] | None = None
        self._away = ""

    async def loads(self) -> dict[str, float]:
        """Return the load in per cent of each GPU that answers, by UUID. Never raises.

        A driver that hangs costs one thread, not one a call: it is asked again when it is back.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(asyncio.to_thread(self._loads))
            # Where it fails after we stopped waiting, nobody else reads why.
            self._asking.add_done_callback(asyncio.Task.exception)
        try:
            async with asyncio.timeout(self._patience):
                loads = await asyncio.shield(self._asking)
        except Exception as error:
            self._note(str(error) or "the NVIDIA driver does not answer in time")
            return {}
        self._away = ""
        return loads

    def _note(self, why: str) -> None:
        if not self._away:
            log.info("The load of GPUs is not known: %s", why)
        self._away = why

    def _loads(self) -> dict[str, float]:
        nvml = self._nvml or importlib.import_module("pynvml")
        nvml.nvmlInit()
        try:
            loads: dict[str, float] = {}
            for index in range(nvml.nvmlDeviceGetCount()):
                # One that fell off the bus, or a driver that has no figure for MIG, hides no other.
                with suppress(nvml.NVMLError):
                    handle = nvml.nvmlDeviceGetHandleByIndex(index)
                    uuid = nvml.nvmlDeviceGetUUID(handle)
                    load = nvml.nvmlDeviceGetUtilizationRates(handle).gpu
                    loads[uuid if isinstance(uuid, str) else uuid.decode()] = float(load)
            return loads
        finally:
            nvml.nvmlShutdown()
