"""The layers, the public names, and the help of every setting, as a machine reads them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from traitlets import Float, Integer

import gradienthub
from gradienthub import spawners, testing
from gradienthub.settings import GradientHub
from gradienthub.spawners.base import GradientSpawner
from gradienthub.spawners.docker import GradientDockerSpawner
from gradienthub.spawners.local import GradientLocalSpawner

ROOT = Path(__file__).parent.parent
SETTINGS = [
    pytest.param(owner, trait, id=f"{owner.__name__}.{name}")
    for owner, traits in (
        (GradientHub, GradientHub.class_traits(config=True)),
        *(
            (spawner, spawner.class_own_traits(config=True))
            for spawner in (GradientSpawner, GradientDockerSpawner, GradientLocalSpawner)
        ),
    )
    for name, trait in sorted(traits.items())
]
#: A number without one of these words is a number of what?
UNITS = re.compile(
    r"\b(seconds|minutes|hours|GB|bytes|how many|user id|port|per cent)\b", re.IGNORECASE
)


def test_imports_point_one_way():
    # In a process of its own: it sets logging up for the whole of one, and turns ours off.
    said = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr


def test_the_public_names_are_there():
    assert set(gradienthub.__all__) == {"__version__", "configure", "with_tiers"}
    assert set(spawners.__all__) == {
        "CensusObject",
        "Corpse",
        "Engine",
        "EngineAway",
        "GradientDockerSpawner",
        "GradientLocalSpawner",
        "GradientSpawner",
        "Lease",
        "PollEngine",
    }
    for name in spawners.__all__:
        assert getattr(spawners, name).__name__ == name
    for name in testing.__all__:
        assert getattr(testing, name).__module__ == "gradienthub.testing"
    with pytest.raises(AttributeError):
        spawners.nothing_like_this  # noqa: B018
    assert callable(gradienthub.configure)
    assert callable(gradienthub.with_tiers)
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", gradienthub.__version__)
    with pytest.raises(AttributeError):
        gradienthub.nothing_like_this  # noqa: B018


def test_the_types_of_the_public_names_reach_a_configuration():
    said = subprocess.run(
        [sys.executable, "-m", "mypy", "tests/typed_configuration.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr


def test_naming_the_package_does_not_load_a_hub_an_engine_or_a_database():
    code = (
        "import sys, gradienthub, gradienthub.spawners\n"
        "heavy = 'jupyterhub', 'docker', 'sqlalchemy', 'traitlets'\n"
        "print([module for module in heavy if module in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert said.stdout.strip() == "[]", said.stderr


@pytest.mark.parametrize(("owner", "trait"), SETTINGS)
def test_a_setting_says_what_it_does_its_unit_and_its_default(owner, trait):
    text = " ".join(trait.help.split())
    assert len(text) > 40
    assert text.endswith("."), "its help is whole sentences"
    assert re.search(r"\bDefault (\S+|\S+ \S+)[:,]", text), "its help says the default, and why"
    if isinstance(trait, Integer | Float):
        assert UNITS.search(text), "its help says the unit"


def test_there_are_settings_to_be_looked_at():
    assert len(SETTINGS) > 15
