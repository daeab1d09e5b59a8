"""Real containers under a real hub, for those who attack it."""

import sys
from pathlib import Path

import pytest

# What every engine promises is asked with the same small server.
sys.path.insert(0, str(Path(__file__).parent.parent / "spawners"))

from test_contract import Docker


@pytest.fixture
async def make(hub):
    """`await make(changes)`: a hub on the real engine, whose containers are gone afterwards."""
    made = []

    async def make_one(changes=None, **traits):
        def all_changes(c):
            Docker.changes(c)
            # On a busy machine a start's answer is waited for.
            c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 100}
            if changes:
                changes(c)

        made.append(Docker(await hub(all_changes, **traits)))
        return made[-1]

    yield make_one
    for subject in made:
        await subject.home.kill()
        await subject.clean()
