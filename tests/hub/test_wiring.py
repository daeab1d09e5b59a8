"""A line after configure(c) that undoes it stops the hub's start with a cure."""

import asyncio
import gc
from types import SimpleNamespace

import pytest
from home import FREEZE
from traitlets.config import Config

from gradienthub.hub.frame import TEMPLATES
from gradienthub.hub.users_api import CULLER, KEEPER, KEEPER_SCOPES
from gradienthub.hub.wiring import wiring_faults
from gradienthub.testing import GradientFakeSpawner


def app(**changes):
    wired = {
        "config": Config(),
        "spawner_class": GradientFakeSpawner,
        "allow_named_servers": True,
        "template_paths": [str(TEMPLATES)],
        "services": [{"name": KEEPER}],
        "load_roles": [{"name": KEEPER, "services": [KEEPER], "scopes": list(KEEPER_SCOPES)}],
    }
    return SimpleNamespace(**(wired | changes))


def test_what_configure_wired_is_right():
    assert wiring_faults(app()) == []
    assert wiring_faults(app(services=[{"name": CULLER}], load_roles=[])) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"services": []}, "no keeper"),
        ({"services": [{"name": "mine"}]}, "no keeper"),
        ({"services": [{"name": KEEPER}, {"name": CULLER}]}, "both"),
        ({"load_roles": []}, "no access:servers and no delete:servers and no read:servers"),
        (
            {"load_roles": [{"name": "x", "services": [KEEPER], "scopes": ["read:servers"]}]},
            "no access:servers and no delete:servers,",
        ),
        (
            {
                "services": [
                    {"name": KEEPER},
                    {"name": "cull", "command": ["python", "-m", "jupyterhub_idle_culler"]},
                ]
            },
            "stock idle culler",
        ),
        ({"template_paths": ["/srv/gradienthub-theme"]}, "lacks GradientHub's templates"),
        ({"template_paths": [str(TEMPLATES / "hub")]}, "lacks GradientHub's templates"),
    ],
)
def test_what_undoes_it_is_said_with_its_cure(changes, words):
    faults = wiring_faults(app(**changes))
    assert len(faults) == 1
    assert words in faults[0]
    assert ";" in faults[0]


async def test_a_settled_hub_takes_what_it_loaded_out_of_the_collectors_rounds():
    settling = SimpleNamespace(settled=False)
    there = len(gc.get_objects())
    try:
        freezing = asyncio.ensure_future(FREEZE(settling))
        await asyncio.sleep(0)
        assert gc.get_freeze_count() == 0
        settling.settled = True
        await freezing
        assert gc.get_freeze_count() > there / 2
        assert len(gc.get_objects()) < there / 2
    finally:
        gc.unfreeze()
