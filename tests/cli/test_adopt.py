"""gradienthub adopt, and configure(c) with another spawner's class."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gradienthub.cli import main
from gradienthub.cli.adoption_plan import pattern_of
from gradienthub.cli.config import load
from gradienthub.ledger import outside
from gradienthub.rules.outside import Outside, Placed

OLD = """
c = get_config()
c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"
c.DockerSpawner.container_image = "acme/old:1"
c.DockerSpawner.mem_limit = "2G"
c.DockerSpawner.volumes = {"jupyterhub-user-{username}": "/home/jovyan/work"}
c.Spawner.cmd = "start-singleuser.sh --debug"
c.GradientDockerSpawner.engine_options = {"base_url": "tcp://127.0.0.1:9", "timeout": 1}
c.JupyterHub.services = [
    {"name": "cull", "command": "jupyterhub-idle-culler --timeout=60"}, {"name": "mine"}]
c.JupyterHub.load_roles = [{"name": "culler", "scopes": [], "services": ["cull"]}]
"""
ADOPT = "\nfrom gradienthub import configure\nconfigure(c, adopt=True)\n"
PLAIN = "\nfrom gradienthub import configure\nconfigure(c)\n"


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "jupyterhub_config.py"


def printed(capsys, *words):
    code = main(["adopt", *words])
    return code, capsys.readouterr().out


@pytest.mark.parametrize("last", ["", PLAIN, ADOPT], ids=["as it was", "refused", "adopted"])
def test_an_old_configuration_is_told_whole_and_nothing_is_changed(file, capsys, last):
    file.write_text(OLD + last)
    code, out = printed(capsys)
    assert code == 0
    assert "DockerSpawner. It can be taken over with one line." in out
    assert "c.DockerSpawner.mem_limit: the instance type's memory" in out
    assert "    from gradienthub import configure\n\n    configure(c, adopt=True)" in out
    kept = [line for line in out.splitlines() if "the lines below take it over" in line]
    assert any("c.DockerSpawner.volumes" in line for line in kept)
    assert any("c.JupyterHub.spawner_class" in line for line in kept)
    assert "c.GradientDockerSpawner.adopted_volumes = {'jupyterhub-user-{username}': 'work'}" in out
    assert "c.DockerSpawner.container_image" in out
    assert "the service 'cull' of c.JupyterHub.services" in out
    assert "The engine does not answer" in out
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_programs_read_the_plan_as_json(file, capsys):
    file.write_text(OLD)
    _, out = printed(capsys, "--json")
    plan = json.loads(out)
    assert plan["one_line"] == "configure(c, adopt=True)"
    assert {"name": "c.DockerSpawner.mem_limit", "fate": "ours"}.items() <= {
        k: v for row in plan["traits"] if row["name"].endswith("mem_limit") for k, v in row.items()
    }.items()


def test_the_lines_that_are_printed_do_what_the_one_line_does(file, capsys):
    file.write_text(OLD)
    _, out = printed(capsys)
    lines = re.search(r"instead:\n\n(.*?)\n\nand remove", out, re.DOTALL)[1]
    lines = "\n".join(line[4:] for line in lines.splitlines())
    culled = OLD.replace('{"name": "cull", "command": "jupyterhub-idle-culler --timeout=60"}, ', "")
    file.write_text(culled + lines)
    by_lines = load(file).config
    file.write_text(OLD + ADOPT)
    by_one = load(file).config
    assert by_lines.GradientHub.runtimes == by_one.GradientHub.runtimes
    assert by_lines.GradientHub.instance_types == by_one.GradientHub.instance_types
    for name in ("adopted_volumes", "cmd"):
        assert by_lines.GradientDockerSpawner[name] == by_one.GradientDockerSpawner[name]
    assert by_one.JupyterHub.spawner_class == "gradient-docker"


def test_one_more_line_takes_dockerspawners_class_over(file):
    file.write_text(OLD + ADOPT)
    hub = load(file)
    runtime = hub.settings.house.catalog.runtime("python")
    assert runtime.image == "acme/old:1"
    assert [r.name for r in hub.settings.house.catalog.runtimes] == ["python"]
    assert hub.settings.house.catalog.instance_type("standard").memory == 2.147
    assert hub.config.GradientDockerSpawner.cmd == ["start-singleuser.sh", "--debug"]
    assert "volumes" not in hub.config.DockerSpawner
    assert "container_image" not in hub.config.DockerSpawner
    names = [service["name"] for service in hub.config.JupyterHub.services]
    assert names == ["mine", "gradient"]
    assert "culler" not in [role["name"] for role in hub.config.JupyterHub.load_roles]


def test_what_our_own_sections_say_is_not_taken_over(file):
    own = (
        "\nc.GradientHub.runtimes = {'python': {'image': 'acme/new:2'}}"
        "\nc.GradientDockerSpawner.adopted_volumes = {'x-{username}': 'x'}"
    )
    file.write_text(OLD + own + ADOPT)
    hub = load(file)
    assert hub.settings.house.catalog.runtime("python").image == "acme/new:2"
    assert hub.config.GradientDockerSpawner.adopted_volumes == {"x-{username}": "x"}


@pytest.mark.parametrize(
    ("spawner", "adopt", "words"),
    [
        ('"dockerspawner.DockerSpawner"', False, "configure(c, adopt=True)"),
        ('"simple"', False, "configure(c, adopt=True)"),
        ('"localprocess"', True, "class GradientLocalProcessSpawner(GradientSpawner, "),
        (
            '"dockerspawner.SystemUserSpawner"',
            True,
            "class GradientSystemUserSpawner(GradientDockerSpawner, SystemUserSpawner)",
        ),
        ("None", True, "class GradientLocalProcessSpawner(GradientSpawner, "),
    ],
)
def test_a_spawner_that_rents_nothing_is_refused_with_the_lines_to_write(
    file, capsys, spawner, adopt, words
):
    line = f"c.JupyterHub.spawner_class = {spawner}\n" if spawner != "None" else ""
    file.write_text(f"c = get_config()\n{line}" + (ADOPT if adopt else PLAIN))
    assert main(["check", "-f", str(file)]) == 1
    said = capsys.readouterr().err
    assert "rents nothing" in said
    assert words in said


def test_a_simple_local_hub_keeps_its_homes(file):
    file.write_text('c = get_config()\nc.JupyterHub.spawner_class = "simple"\n' + ADOPT)
    assert load(file).config.GradientLocalSpawner.adopted_volumes == {
        "/tmp/{username}": "old-files"
    }


def test_a_tljh_like_hub_is_told_its_own_class(file, capsys):
    file.write_text(
        'c = get_config()\nc.JupyterHub.spawner_class = "systemdspawner.SystemdSpawner"\n'
        'c.SystemdSpawner.mem_limit = "1G"\nc.SystemdSpawner.slice = "x"\n'
    )
    _, out = printed(capsys)
    assert "It becomes a class of your own" in out
    assert "    class GradientSystemdSpawner(GradientSpawner, SystemdSpawner):" in out
    assert "c.SystemdSpawner.mem_limit: the instance type says it" in out
    assert "c.SystemdSpawner.slice: your class starts the unit" in out
    assert "in their home folder" in out


def test_an_error_in_the_file_is_named(file, capsys):
    file.write_text("c = get_config()\n1 / 0\n")
    assert main(["adopt", "-f", str(file)]) == 1
    said = capsys.readouterr().err
    assert "line 2: ZeroDivisionError" in said
    assert "run this where the hub runs, with its environment" in said
    assert main(["adopt", "-f", str(Path("nowhere.py"))]) == 1


@pytest.mark.parametrize("value", ["{'u-{username}': '../x'}", "{'u-{username}': 'a/b'}"])
def test_a_wrong_folder_is_named_by_check(file, capsys, value):
    file.write_text(
        f"c = get_config()\nc.GradientDockerSpawner.adopted_volumes = {value}\n" + PLAIN
    )
    assert main(["check", "-f", str(file)]) == 1
    assert "c.GradientDockerSpawner.adopted_volumes[" in capsys.readouterr().out


def test_users_are_found_in_names_of_volumes():
    pattern = pattern_of("jupyterhub-user-{username}")
    assert pattern.fullmatch("jupyterhub-user-anna-2elee")["user"] == "anna-2elee"
    assert pattern_of("{prefix}-{username}-{servername}").fullmatch("jupyter-anna-")["user"]
    assert pattern_of("/home/{username}") is None
    assert pattern_of("shared") is None


# -- whose a volume is ----------------------------------------------------------------------------


def test_an_administrator_says_whose_an_old_volume_is(hub):
    hub.start_once()
    hub.account("anna", 1)
    hub.account("eve", 2)
    assert "anna's for good" in hub.run("adopt", "--bind", "old-1=anna").out
    again = hub.run("adopt", "--bind", "old-1=eve")
    assert again.code == 1
    assert "it is another account's" in again.out
    assert "nobody has it now" in hub.run("adopt", "--unbind", "old-1").out
    assert hub.run("adopt", "--bind", "old-1=eve").code == 0
    nobody = hub.run("adopt", "--bind", "old-2=nobody")
    assert nobody.code == 1
    assert "has no account at this hub" in nobody.out
    assert hub.run("adopt", "--bind", "old-2").code == 2


def test_a_volume_at_the_place_of_the_workspace_is_named_by_check(file, capsys):
    file.write_text(
        "c = get_config()\nc.DockerSpawner.volumes = {'u-{username}': '/notebooks/'}\n" + PLAIN
    )
    assert main(["check", "-f", str(file)]) == 1
    said = capsys.readouterr().out
    assert "volumes puts u-{username} at /notebooks/" in said
    assert "adopted_volumes = {'u-{username}'" in said


def test_devices_say_which_server_outside_has_one(hub):
    hub.start_once()
    rack = hub.load().settings.house.hosts[0]
    old = Outside("c" * 64, "jupyter-anna", "anna", asked=("GPU-1",))
    hub.ledger.write(
        outside.replace,
        hub_id="this-hub",
        placed=[Placed(old, rack, ("GPU-1",))],
        host_keys={"rack": "this-hub/rack"},
        now=datetime(2026, 11, 23, 9, 0, tzinfo=UTC),
    )
    assert "outside server jupyter-anna of anna" in hub.run("devices").out
