"""gradienthub init, and the production configuration at the top of the repository."""

import itertools
import re
import stat
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from gradienthub.cli import check_scene, init
from gradienthub.cli.config import load
from gradienthub.cli.nvml import Gpu, Inventory
from gradienthub.settings import GradientHub

PRODUCTION = Path(__file__).parents[2] / "jupyterhub_config.py"
P5000 = Gpu("GPU-aaa", "Quadro P5000", 16)
H200 = [Gpu(f"GPU-h{number}", "NVIDIA H200", 140) for number in range(2)]
SLICE = Gpu("MIG-1", "NVIDIA A100-SXM4-40GB MIG 1g.5gb", 5)


def machine(*gpus: Gpu, proxy: str = "traefik", is_root: bool = False) -> init.Machine:
    return init.Machine(16, 64.0, Inventory(gpus), "172.17.0.1", proxy, is_root)


def secret(size: int) -> str:
    return "s" * (size + 3)


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A rendered configuration, written and loaded as the hub does."""
    monkeypatch.chdir(tmp_path)

    def write(text: str):
        file = tmp_path / "jupyterhub_config.py"
        file.write_text(text)
        return load(file)

    return write


@pytest.mark.parametrize("preset", ["gradient", "azure"])
@pytest.mark.parametrize("engine", ["docker", "local"])
@pytest.mark.parametrize("proxy", list(init.PROXY))
def test_what_init_writes_is_a_configuration_that_starts(written, preset, engine, proxy):
    hub = written(init.render(preset, engine, machine(P5000, proxy=proxy), secret))
    assert hub.config.GradientHub.preset == preset
    assert hub.config.JupyterHub.spawner_class == f"gradient-{engine}"
    (host,) = hub.settings.house.hosts
    assert (host.cpus, host.memory) == (16, 64.0)
    assert [device.uuid for device in host.devices] == ["GPU-aaa"]


def test_the_hub_listens_where_containers_reach_it(written):
    hub = written(init.render("gradient", "docker", machine(), secret))
    assert hub.config.JupyterHub.hub_ip == "172.17.0.1"


def test_every_gpu_that_is_found_can_be_rented(written):
    hub = written(init.render("gradient", "docker", machine(P5000, *H200, SLICE), secret))
    (host,) = hub.settings.house.hosts
    rented = {row.gpu_model: row for row in hub.settings.house.catalog.instance_types}
    assert {device.model for device in host.devices} <= rented.keys()
    own = rented["NVIDIA H200"]
    assert (own.name, own.title, own.gpus, own.gpu_memory) == ("h200", "H200", 1, 140)
    # Four GPUs share the machine.
    assert (own.cpus, own.memory) == (4, 16)
    assert rented[SLICE.name].name == "a100-sxm4-40gb-mig-1g.5gb"


def test_a_hub_that_is_root_lets_local_notebooks_start(written):
    text = init.render("gradient", "local", machine(is_root=True), secret)
    assert written(text).config.Spawner.args == ["--allow-root"]
    assert "--allow-root" not in init.render("gradient", "local", machine(), secret)


def test_both_passwords_are_long_enough_for_the_hub(written):
    hub = written(init.render("gradient", "docker", machine(), lambda n: "x" * n + str(n)))
    given = hub.config.SharedPasswordAuthenticator
    assert len(given.user_password) >= 8
    assert len(given.admin_password) >= 32
    assert given.user_password != given.admin_password


@pytest.mark.skipif(
    "gradient-docker" not in entry_points(group="jupyterhub.spawners").names,
    reason="gradienthub is not installed, only on the path: pip install --editable .",
)
def test_the_short_names_in_it_lead_to_our_classes(written):
    hub = written(init.render("gradient", "docker", machine(), secret))
    found = check_scene.wiring_of(hub)
    assert found.faults == ()
    assert found.engine == "docker"
    assert found.wrapped


def test_the_file_is_for_its_owner_only_and_says_what_comes_next(command, tmp_path):
    file = tmp_path / "config.py"
    said = command("init", "--output", str(file))
    assert said.code == 0, said.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert f"gradienthub check -f {file}" in said.out


def test_a_file_that_is_there_is_kept_unless_forced(command, tmp_path):
    file = tmp_path / "config.py"
    file.write_text("precious")
    file.chmod(0o644)
    said = command("init", "--output", str(file))
    assert said.code == 1
    assert "--force" in said.err
    assert file.read_text() == "precious"
    assert command("init", "--output", str(file), "--force", "--preset", "azure").code == 0
    assert 'preset = "azure"' in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_place_that_cannot_be_written_is_one_sentence(command, tmp_path):
    said = command("init", "--output", str(tmp_path / "absent" / "config.py"))
    assert said.code == 1
    assert "No such file or directory" in said.err


def headings(text: str) -> list[str]:
    return re.findall(r"^# -- (.+?) -+$", text, re.MULTILINE)


def test_the_production_configuration_resolves(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    hub = load(PRODUCTION)
    assert hub.settings.hub_id == "notebooks"
    assert hub.settings.database_url.startswith("postgresql+psycopg://")
    assert not any(tmp_path.iterdir())


def test_the_production_configuration_is_wired(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    hub = load(PRODUCTION)
    # The class itself: the short name needs an installed package.
    hub.config.JupyterHub.spawner_class = "gradienthub.spawners.docker.GradientDockerSpawner"
    found = check_scene.wiring_of(hub)
    assert found.authenticator.__name__ == "GradientGitHubOAuthenticator"
    assert found.proxy.__name__ == "TraefikFileProviderProxy"
    assert found.wrapped


def test_both_configurations_have_the_same_parts_in_the_same_order():
    short = init.render("gradient", "docker", machine(), secret)
    assert headings(short) == headings(PRODUCTION.read_text())


def test_both_configurations_are_narrow_enough_to_read():
    texts = [PRODUCTION.read_text()]
    texts += [
        init.render(preset, engine, machine(P5000, *H200, SLICE, proxy=proxy), secret)
        for preset, engine, proxy in itertools.product(
            ("gradient", "azure"), ("docker", "local"), init.PROXY
        )
    ]
    for line in itertools.chain.from_iterable(text.splitlines() for text in texts):
        assert len(line) <= 100, line


def test_settings_named_in_the_configurations_exist():
    for text in (PRODUCTION.read_text(), init.TEXT):
        for name in re.findall(r"c\.GradientHub\.(\w+)", text):
            assert name in GradientHub.class_trait_names(), name
