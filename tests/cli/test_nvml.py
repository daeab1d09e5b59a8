"""What NVML says, as devices to declare."""

from types import SimpleNamespace
from typing import Any

import pytest
from traitlets.config import Config

from gradienthub.cli.nvml import Gpu, Inventory, bare_uuid, declaration, discover
from gradienthub.settings import GradientHub


class NVMLError(Exception):
    """What every call of NVML raises."""


class NVMLError_LibraryNotFound(NVMLError):
    """No driver is installed."""


GIB = 2**30


class Card:
    """A GPU of the fake driver: `slices` of None is a GPU without MIG mode."""

    def __init__(
        self, uuid: str, name: str, memory: int, slices: "list[Card | None] | None" = None
    ) -> None:
        self.uuid, self.name, self.memory, self.slices = uuid, name, memory, slices
        self.lost = False


class FakeNvml:
    """The part of pynvml that we use, over cards that a test declares."""

    NVMLError = NVMLError

    def __init__(self, *cards: Card, as_bytes: bool = False) -> None:
        self.cards = cards
        self.as_bytes = as_bytes
        self.open = 0

    def _said(self, text: str) -> Any:
        return text.encode() if self.as_bytes else text

    def nvmlInit(self) -> None:
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:
        if self.cards[index].lost:
            raise NVMLError("GPU is lost")
        return self.cards[index]

    def nvmlDeviceGetMigMode(self, card: Card) -> list[int]:
        if card.slices is None:
            raise NVMLError("Not Supported")
        return [1, 1]

    def nvmlDeviceGetMaxMigDeviceCount(self, card: Card) -> int:
        assert card.slices is not None
        return max(7, len(card.slices))

    def nvmlDeviceGetMigDeviceHandleByIndex(self, card: Card, index: int) -> Card:
        assert card.slices is not None
        found = card.slices[index] if index < len(card.slices) else None
        if found is None:
            raise NVMLError("Not Found")
        return found

    def nvmlDeviceGetUUID(self, card: Card) -> Any:
        return self._said(card.uuid)

    def nvmlDeviceGetName(self, card: Card) -> Any:
        return self._said(card.name)

    def nvmlDeviceGetMemoryInfo(self, card: Card) -> SimpleNamespace:
        return SimpleNamespace(total=card.memory)


P5000 = Card("GPU-aaa", "Quadro P5000", 16 * GIB - 10**8)


def test_gpus_are_found_with_uuid_name_and_memory():
    nvml = FakeNvml(P5000, Card("GPU-bbb", "NVIDIA H200", 140 * GIB))
    assert discover(nvml) == Inventory(
        (Gpu("GPU-aaa", "Quadro P5000", 16), Gpu("GPU-bbb", "NVIDIA H200", 140))
    )
    assert nvml.open == 0


def test_older_releases_answer_in_bytes():
    assert discover(FakeNvml(P5000, as_bytes=True)).gpus == (Gpu("GPU-aaa", "Quadro P5000", 16),)


def test_of_a_gpu_in_mig_mode_the_slices_are_the_devices():
    name = "NVIDIA A100-SXM4-40GB MIG 1g.5gb"
    slices = [Card("MIG-1", name, 5 * GIB), None, Card("MIG-2", name, 5 * GIB)]
    card = Card("GPU-ccc", "NVIDIA A100-SXM4-40GB", 40 * GIB, slices)
    found = discover(FakeNvml(card, P5000))
    assert [gpu.uuid for gpu in found.gpus] == ["MIG-1", "MIG-2", "GPU-aaa"]
    assert found.gpus[0].is_slice
    assert found.gpus[0].name == name


def test_mig_mode_without_slices_is_odd():
    found = discover(FakeNvml(Card("GPU-ccc", "NVIDIA A100", 40 * GIB, [])))
    assert found.gpus == ()
    assert "without slices" in found.skipped[0]


def test_a_gpu_that_fell_off_the_bus_does_not_hide_the_others():
    lost = Card("GPU-ddd", "Quadro P5000", 16 * GIB)
    lost.lost = True
    found = discover(FakeNvml(lost, P5000))
    assert [gpu.uuid for gpu in found.gpus] == ["GPU-aaa"]
    assert found.skipped == ("GPU 0 does not answer: GPU is lost",)


def test_no_driver_is_said_and_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setattr("gradienthub.cli.nvml.DRIVER_PAGE", tmp_path / "absent")

    class Nothing(FakeNvml):
        def nvmlInit(self) -> None:
            raise NVMLError_LibraryNotFound("NVML Shared Library Not Found")

    assert discover(Nothing()) == Inventory(away="no NVIDIA driver here")


def test_a_broken_driver_is_not_called_absent():
    class Broken(FakeNvml):
        def nvmlInit(self) -> None:
            raise NVMLError("Driver/library version mismatch")

    assert "version mismatch" in discover(Broken()).away


@pytest.mark.parametrize(
    ("name", "known", "model"),
    [
        ("Quadro P5000", ["Quadro P5000"], "Quadro P5000"),
        ("Tesla V100-SXM2-16GB", ["Tesla V100", "Tesla T4"], "Tesla V100"),
        ("NVIDIA A100-SXM4-40GB", ["A100", "A100-SXM4-40GB"], "A100-SXM4-40GB"),
        ("NVIDIA L40S", ["NVIDIA L40"], "NVIDIA L40S"),
        ("NVIDIA H200", [], "NVIDIA H200"),
    ],
)
def test_the_model_to_declare_is_the_catalog_s_word(name, known, model):
    assert Gpu("GPU-1", name, 16).model(known) == model


def test_a_slice_is_never_declared_as_its_whole_gpu():
    name = "NVIDIA A100-SXM4-40GB MIG 1g.5gb"
    assert Gpu("MIG-1", name, 5).model(["NVIDIA A100-SXM4-40GB"]) == name


def test_what_is_printed_is_what_the_setting_takes():
    gpus = [Gpu("GPU-aaa", "Tesla V100-SXM2-16GB", 16), Gpu("MIG-1", 'An "odd" name', 5)]
    text = declaration("local", {"cpus": 16, "memory": 64.5}, gpus, ["Tesla V100"])
    c = Config()
    exec(text, {"c": c})
    (host,) = GradientHub(config=c, hub_id="x").resolved().house.hosts
    assert (host.name, host.cpus, host.memory) == ("local", 16, 64.5)
    assert [(d.uuid, d.model) for d in host.devices] == [
        ("GPU-aaa", "Tesla V100"),
        ("MIG-1", 'An "odd" name'),
    ]


def test_a_machine_without_gpus_is_declared_without_devices():
    c = Config()
    exec(declaration("local", {"cpus": 2, "memory": 4}, [], []), {"c": c})
    assert c.GradientHub.hosts == {"local": {"cpus": 2, "memory": 4, "devices": []}}


def test_other_hosts_are_not_forgotten():
    text = declaration("a", {"cpus": 2, "memory": 4}, [], [], others=["b"])
    assert '# "b": as it is' in text


def test_a_cdi_name_has_the_uuid_in_it():
    text = declaration("a", {}, [Gpu("GPU-1", "T4", 16)], [], cdi=True)
    assert '"uuid": "nvidia.com/gpu=GPU-1"' in text
    assert bare_uuid("nvidia.com/gpu=GPU-1") == bare_uuid("GPU-1") == "GPU-1"
