"""Nobody's files are lost because the engine sees another folder, or the image may not write."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import docker
import pytest
from docker.errors import APIError, ImageNotFound

from gradienthub.rules.folders_seen import Outcome, judge_end, judge_refusal
from gradienthub.spawners import trials
from gradienthub.spawners.folders_tried import OURS, try_folder
from gradienthub.spawners.trials import TRIAL_LABEL, new_trial, remove_left_behind

IMAGE = "gradienthub/demo:dev"
LABELED = {"label": TRIAL_LABEL}


@pytest.fixture
def client():
    try:
        made = docker.APIClient(version="auto")
        made.inspect_image(IMAGE)
    except docker.errors.DockerException as away:
        pytest.skip(f"no engine with the tests' image: {away}")
    yield made
    made.close()


def tried(client, root, owner=1000, user=None, image=IMAGE):
    trial = try_folder(client, Path(root), image=image, owner=owner, user=user)
    assert not any(path.name.startswith(".trial") for path in Path(root).glob(".*"))
    for left in getattr(client, "containers", lambda **_: [])(all=True, filters=LABELED):
        assert str(root) not in str(left["Mounts"])
    return trial


@pytest.mark.docker
def test_a_folder_that_the_engine_sees_is_kept(client, tmp_path):
    trial = tried(client, tmp_path)
    assert trial.seen is Outcome.KEPT, trial
    assert not trial.is_fault


@pytest.mark.docker
@pytest.mark.skipif(os.geteuid() != 0, reason="gives folders away")
def test_an_image_that_runs_as_somebody_else_cannot_save(client, tmp_path):
    trial = tried(client, tmp_path, owner=4321)
    assert trial.seen is Outcome.UNWRITABLE
    assert "cannot write to folders of uid 4321" in trial.says
    assert "folder_owner" in trial.cure
    assert tried(client, tmp_path, owner=4321, user="4321").seen is Outcome.KEPT


@pytest.mark.docker
def test_a_folder_that_only_the_hub_sees_is_named(client, tmp_path, monkeypatch):
    """The hub's own mount namespace has what the engine's has not: here by another path."""
    elsewhere = tmp_path / "only-the-hub"
    elsewhere.mkdir()

    def moved(*args, **kwargs):
        kwargs["mounts"][0]["Source"] = kwargs["mounts"][0]["Source"].replace("only-the", "not-any")
        return docker.APIClient.create_host_config(client, *args, **kwargs)

    monkeypatch.setattr(client, "create_host_config", moved)
    trial = tried(client, elsewhere)
    assert trial.seen is Outcome.UNSEEN
    assert "does not see" in trial.says
    assert "at the same path" in trial.cure
    assert not (tmp_path / "not-any-hub").exists()


@pytest.mark.docker
def test_an_image_that_is_not_there_yet_says_nothing(client, tmp_path):
    assert tried(client, tmp_path, image="acme/nothing:1").seen is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (
            APIError("x", explanation="invalid mount config: bind source path does not exist: /x"),
            Outcome.UNSEEN,
        ),
        (
            APIError("x", explanation="error while mounting: no such file or directory"),
            Outcome.UNSEEN,
        ),
        (APIError("x", explanation="exec: /bin/sh: no such file or directory"), Outcome.UNKNOWN),
        (ImageNotFound("x"), Outcome.UNKNOWN),
        (ConnectionError(), Outcome.UNKNOWN),
    ],
)
def test_what_an_engine_says_instead_is_understood(tmp_path, error, seen):
    def create_container(*args, **kwargs):
        raise error

    refusing = SimpleNamespace(
        create_container=create_container, create_host_config=lambda **kwargs: {}
    )
    assert tried(refusing, tmp_path, owner=os.geteuid()).seen is seen


def test_a_hub_that_cannot_write_there_itself_cannot_tell(tmp_path):
    gone = tmp_path / "gone"
    trial = try_folder(None, gone, image=IMAGE, owner=1, user=None)
    assert trial.seen is Outcome.UNKNOWN
    assert "cannot write" in trial.says


def test_a_container_that_wrote_elsewhere_did_not_see_the_folder():
    assert judge_end(0, came_back=False) is Outcome.UNSEEN
    assert judge_end(127, came_back=False) is Outcome.UNKNOWN
    assert judge_end(None, came_back=False) is Outcome.UNKNOWN
    assert judge_refusal("Mounts denied: /x is not shared") is Outcome.UNSEEN


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare"), reason="makes a mount namespace"
)
def test_check_says_that_the_engine_of_a_hub_in_a_container_does_not_see_its_folder(
    client, tmp_path
):
    """A hub in a container has a folder of its own at the path that it names to the engine."""
    config = tmp_path / "jupyterhub_config.py"
    config.write_text(
        "from gradienthub import configure\nc = get_config()\n"
        f"c.GradientHub.data_dir = {str(tmp_path / 'data')!r}\n"
        "c.GradientHub.preset = 'gradient'\n"
        f"c.GradientHub.runtimes = {{'python': {{'image': {IMAGE!r}}}}}\n"
        "c.JupyterHub.authenticator_class = 'dummy'\n"
        "configure(c)\n"
    )
    (tmp_path / "data").mkdir()
    program = "import sys; from gradienthub.cli import main; sys.exit(main())"
    inside = (
        f"mount -t tmpfs none {tmp_path / 'data'} &&"
        f" exec {sys.executable} -c '{program}' check -f {config}"
    )
    said = subprocess.run(
        ["unshare", "--mount", "sh", "-c", inside], capture_output=True, text=True, check=False
    ).stdout
    assert "the engine does not see" in said, said
    assert "-v /srv/gradienthub:/srv/gradienthub" in said


@pytest.fixture
def make_container(client):
    made = []

    def make(**words):
        made.append(client.create_container(IMAGE, ["true"], **words)["Id"])
        return made[-1]

    yield make
    for each in made:
        with suppress(APIError):
            client.remove_container(each, force=True)


@pytest.mark.docker
def test_what_a_killed_trial_left_behind_is_removed_and_nothing_else(
    client, make_container, monkeypatch, tmp_path
):
    """A hub or an engine that is killed in the middle of a trial removes nothing itself."""
    trial = new_trial()
    left = make_container(**trial)
    others = {
        make_container(labels={TRIAL_LABEL: "1"}),
        make_container(labels=trial["labels"], name=f"{trial['name']}-copied"),
    }
    listing = client.containers
    # Other tests' trials go on beside this one.
    monkeypatch.setattr(
        client,
        "containers",
        lambda **words: [row for row in listing(**words) if row["Id"] in {left, *others}],
    )
    assert remove_left_behind(client) == [], "it may still go on"
    monkeypatch.setattr(trials, "LEFT_BEHIND", -60.0)
    assert remove_left_behind(client) == [trial["name"]]
    there = {row["Id"] for row in client.containers(all=True, filters=LABELED)}
    assert others <= there
    assert left not in there

    folder = tmp_path / ".trial-of-somebody-killed"
    folder.mkdir()
    (folder / OURS).write_text("x")
    kept = tmp_path / ".trial-with-other-files"
    kept.mkdir()
    (kept / "thesis").write_text("x")
    assert try_folder(client, tmp_path, image=IMAGE, owner=1000, user=None).seen is Outcome.KEPT
    assert not folder.exists()
    assert (kept / "thesis").exists()
