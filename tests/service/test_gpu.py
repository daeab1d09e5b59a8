"""The load of GPUs: known where NVML is there, and harmless where it is not."""

import asyncio
import logging
import sys
import threading
from types import SimpleNamespace

import pytest

from gradienthub.service.gpu import Gpus


class NVMLError(Exception):
    """What every call of NVML raises."""


class Driver:
    """The part of pynvml that we use; a load of None is a GPU without a figure."""

    NVMLError = NVMLError

    def __init__(self, loads, *, as_bytes=False):
        self.all = list(loads.items())
        self.as_bytes = as_bytes
        self.open = 0
        self.hangs = threading.Event()
        self.hangs.set()
        self.asked = 0

    def nvmlInit(self):
        self.asked += 1
        self.open += 1
        self.hangs.wait(20)

    def nvmlShutdown(self):
        self.open -= 1

    def nvmlDeviceGetCount(self):
        return len(self.all)

    def nvmlDeviceGetHandleByIndex(self, index):
        return self.all[index]

    def nvmlDeviceGetUUID(self, handle):
        return handle[0].encode() if self.as_bytes else handle[0]

    def nvmlDeviceGetUtilizationRates(self, handle):
        if handle[1] is None:
            raise NVMLError("Not Supported")
        return SimpleNamespace(gpu=handle[1], memory=99)


@pytest.mark.parametrize("as_bytes", [False, True])
async def test_each_gpu_that_has_a_figure_says_its_load(as_bytes):
    driver = Driver({"GPU-1": 0, "GPU-mig": None, "GPU-2": 97}, as_bytes=as_bytes)
    assert await Gpus(driver).loads() == {"GPU-1": 0.0, "GPU-2": 97.0}
    assert driver.open == 0


@pytest.fixture
def log(caplog):
    """Our log, from INFO on."""
    caplog.set_level(logging.INFO, "gradienthub")
    return caplog


async def test_without_a_driver_nothing_is_known_and_said_once(log):
    class Absent(Driver):
        def nvmlInit(self):
            raise NVMLError("Driver Not Loaded")

    gpus = Gpus(Absent({}))
    assert [await gpus.loads(), await gpus.loads()] == [{}, {}]
    assert log.messages == ["The load of GPUs is not known: Driver Not Loaded"]


async def test_without_pynvml_nothing_is_known(log, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert await Gpus().loads() == {}
    assert len(log.messages) == 1


async def test_a_driver_that_hangs_costs_one_thread_and_is_asked_again_when_it_is_back(log):
    driver = Driver({"GPU-1": 50})
    driver.hangs.clear()
    gpus = Gpus(driver, patience=0.3)
    for _ in range(2):
        assert await gpus.loads() == {}
    assert driver.asked == 1
    driver.hangs.set()
    while driver.open:
        await asyncio.sleep(0)
    assert await gpus.loads() == {"GPU-1": 50.0}
    assert len(log.messages) == 1
