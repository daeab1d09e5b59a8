"""Adopting a hub: an old configuration becomes settings; an old volume is only its person's."""

from datetime import UTC, datetime, timedelta

import pytest

from gradienthub.rules.adoption import (
    Old,
    OldVolume,
    Whose,
    culler_names,
    is_personal,
    judge_volume,
    own_class,
    parse_adopted,
    take_over_docker,
)
from gradienthub.rules.catalog import ConfigurationFault

SINCE = datetime(2024, 5, 1, 12, 0, 0, 300_000, tzinfo=UTC)
ME, HER = "my-account", "her-account"
WORK = "/home/jovyan/work"


def test_the_most_copied_docker_configuration_becomes_lines_that_do_the_same():
    taken = take_over_docker(
        Old(
            "DockerSpawner",
            {
                "image": "quay.io/jupyterhub/singleuser:5",
                "cmd": "start-singleuser.sh",
                "notebook_dir": WORK,
                "volumes": {"jupyterhub-user-{username}": WORK},
                "network_name": "jupyterhub-network",
                "remove": True,
                "debug": True,
            },
            other_runtimes=("python", "r"),
        )
    )
    assert taken.lines == [
        "c.JupyterHub.spawner_class = 'gradient-docker'",
        "c.GradientHub.runtimes = {\n    'python': {'title': 'quay.io/jupyterhub/singleuser:5',"
        " 'description': '', 'image': 'quay.io/jupyterhub/singleuser:5'},\n    'r': None,\n}",
        "c.GradientDockerSpawner.adopted_volumes = {'jupyterhub-user-{username}': 'work'}",
    ]
    assert set(taken.drops) == {"image", "notebook_dir", "volumes", "remove"}
    assert taken.notes == ()


def test_each_allowed_image_becomes_a_runtime_and_the_usual_one_the_default():
    old = Old(
        "DockerSpawner",
        {"image": "acme/b:1", "allowed_images": {"Fast": "acme/a:1", "Big Data": "acme/b:1"}},
    )
    runtimes = take_over_docker(old).settings["GradientHub"]["runtimes"]
    assert {name: (r["title"], r["image"]) for name, r in runtimes.items()} == {
        "python": ("Big Data", "acme/b:1"),
        "fast": ("Fast", "acme/a:1"),
    }
    listed = Old("DockerSpawner", {"allowed_images": ["acme/a:1", "other/a:1"]})
    assert list(take_over_docker(listed).settings["GradientHub"]["runtimes"]) == ["python", "a-1"]


@pytest.mark.parametrize("allowed", ["*", lambda spawner: []])
def test_images_that_no_table_can_list_are_told(allowed):
    [note] = take_over_docker(Old("DockerSpawner", {"allowed_images": allowed})).notes
    assert "allowed_images is" in note


def test_limits_become_a_free_instance_type_of_that_size():
    taken = take_over_docker(Old("DockerSpawner", {"mem_limit": "2G", "cpu_limit": 1.5}))
    assert taken.settings["GradientHub"]["instance_types"]["standard"] == {
        "title": "Standard",
        "cpus": 1.5,
        "memory": 2.147,
        "price": "0",
    }
    one = take_over_docker(Old("DockerSpawner", {"mem_limit": 512 * 1024**2}))
    assert "look the row" in one.notes[0]
    called = take_over_docker(Old("DockerSpawner", {"mem_limit": lambda spawner: "1G"}))
    assert "GradientHub" not in called.settings
    assert "callables" in called.notes[0]


def test_what_is_configured_already_is_not_written_again():
    ours = frozenset({"runtimes", "instance_types"})
    taken = take_over_docker(Old("DockerSpawner", {"image": "a", "mem_limit": "1G"}, ours=ours))
    assert "GradientHub" not in taken.settings
    assert "see that it has a" in taken.notes[0]


@pytest.mark.parametrize(
    ("volumes", "notebook_dir", "adopted", "left"),
    [
        ({"u-{username}": WORK}, None, {"u-{username}": "work"}, None),
        (
            {"u-{username}": {"bind": WORK, "mode": "ro"}},
            WORK,
            {"u-{username}": {"folder": "work", "mode": "ro"}},
            None,
        ),
        (
            {"/srv/{raw_username}": "/data", "shared": "/data/shared"},
            "/data",
            {"/srv/{raw_username}": "data"},
            {"shared": "/data/shared"},
        ),
        # Not seen in the file browser before, so that its path may matter to programs.
        ({"conda-{username}": "/opt/conda/envs"}, WORK, None, None),
        (
            {"a-{username}": "/x/work", "b-{username}": "/x/y/work"},
            "/x",
            {"a-{username}": "work", "b-{username}": "work-2"},
            None,
        ),
        # HOME stays HOME.
        ({"u-{username}": "/home/jovyan"}, None, {"u-{username}": "old-files"}, None),
        ({"{broken": WORK}, WORK, None, None),
    ],
)
def test_volumes_that_people_saw_are_adopted_and_others_stay(volumes, notebook_dir, adopted, left):
    traits = {"volumes": volumes} | ({"notebook_dir": notebook_dir} if notebook_dir else {})
    spawner = take_over_docker(Old("DockerSpawner", traits)).settings.get(
        "GradientDockerSpawner", {}
    )
    assert spawner.get("adopted_volumes") == adopted
    assert spawner.get("volumes") == left


def test_a_command_in_one_word_becomes_a_list():
    spaced = take_over_docker(Old("DockerSpawner", {"cmd": "start.sh --x"}))
    assert spaced.settings["GradientDockerSpawner"] == {"cmd": ["start.sh", "--x"]}
    extra = {"command": "start-singleuser.sh", "user": "root"}
    old = take_over_docker(Old("DockerSpawner", {"extra_create_kwargs": extra}))
    assert old.settings["GradientDockerSpawner"] == {
        "cmd": ["start-singleuser.sh"],
        "extra_create_kwargs": {"user": "root"},
    }


def test_all_gpus_for_every_notebook_are_named():
    old = Old("DockerSpawner", {"extra_host_config": {"device_requests": [{}], "shm_size": "1g"}})
    [note] = take_over_docker(old).notes
    assert "device_requests" in note


def test_a_culler_is_known_however_its_command_is_written():
    services = [
        {"name": "a", "command": ["python3", "-m", "jupyterhub_idle_culler", "--timeout=60"]},
        {"name": "b", "command": "jupyterhub-idle-culler --timeout=60"},
        {"name": "c", "command": ["python", "/srv/cull_idle_servers.py"]},
        {"name": "d", "url": "http://127.0.0.1:1"},
    ]
    assert culler_names(services) == ("a", "b", "c")
    roles = [
        {"name": "cull", "services": ["a", "b", "c"]},
        {"name": "x", "services": ["a", "d"]},
        {"name": "u"},
    ]
    taken = take_over_docker(Old("DockerSpawner", {}, services=services, roles=roles))
    assert (taken.services, taken.roles) == (("a", "b", "c"), ("cull",))


# -- whose a volume is ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "made", "whose"),
    [
        (ME, None, Whose.THEIRS),
        (HER, SINCE + timedelta(days=1), Whose.ANOTHERS),
        (None, SINCE + timedelta(days=1), Whose.TAKE),
        # An engine tells whole seconds.
        (None, SINCE.replace(microsecond=0), Whose.TAKE),
        (None, SINCE - timedelta(seconds=3), Whose.UNSURE),
        (None, None, Whose.UNSURE),
    ],
)
def test_somebody_new_of_an_old_name_does_not_get_the_old_volume(owner, made, whose):
    found = judge_volume(owner=owner, account_id=ME, made=made, user_since=SINCE)
    assert found is whose


def test_a_template_is_personal_where_it_names_its_person():
    assert is_personal("jupyterhub-user-{username}")
    assert is_personal("/home/{raw_username}")
    assert not is_personal("shared-{servername}")
    assert not is_personal("{broken")


def test_adopted_volumes_are_parsed_once():
    value = {"u-{username}": "old", "shared": {"folder": "all", "mode": "ro"}}
    assert parse_adopted("c.X.adopted_volumes", value) == (
        OldVolume("u-{username}", "old"),
        OldVolume("shared", "all", read_only=True),
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"u": "a/b"}, "one folder in the workspace"),
        ({"u": ".."}, "one folder"),
        ({"u": ""}, "one folder"),
        ({"u": None}, "one folder"),
        ({"u": {"bind": "/x"}}, "one folder"),
        ({"u": {"folder": "x", "mode": "rx"}}, "mode 'rx'"),
        ({"": "x"}, "no volume's name"),
        ({"u": "x", "v": "x"}, "x stands twice"),
    ],
)
def test_a_wrong_folder_stops_the_start_with_its_cure(value, words):
    with pytest.raises(ConfigurationFault, match=words) as fault:
        parse_adopted("c.X.adopted_volumes", value)
    assert str(fault.value).startswith("c.X.adopted_volumes")


def test_the_class_for_a_spawner_of_ones_own_is_python():
    lines = "\n".join(own_class("systemdspawner", "SystemdSpawner", limits=True))
    compile(lines, "config", "exec")
    assert "class GradientSystemdSpawner(GradientSpawner, SystemdSpawner):" in lines
    assert "self.mem_limit" in lines
    assert "mem_limit" not in "\n".join(own_class("x", "Y", limits=False))
