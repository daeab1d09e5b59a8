"""START AND STOP: the mixin that every engine's spawner stands behind, and the engines.

Lives in the hub process. Decides nothing: `rules/` does. Engines are strangers to each other and
to the ledger: `.importlinter` names the few modules that know it. What a spawner of yours builds on
is named here.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import GradientSpawner, Lease
    from .docker import GradientDockerSpawner
    from .engine import CensusObject, Corpse, Engine, EngineAway, PollEngine
    from .local import GradientLocalSpawner

__all__ = [
    "CensusObject",
    "Corpse",
    "Engine",
    "EngineAway",
    "GradientDockerSpawner",
    "GradientLocalSpawner",
    "GradientSpawner",
    "Lease",
    "PollEngine",
]

#: Loaded when somebody asks: the Docker engine needs docker-py, the local one psutil.
_MODULES = {
    "GradientDockerSpawner": "docker",
    "GradientLocalSpawner": "local",
    "GradientSpawner": "base",
    "Lease": "base",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES.get(name, 'engine')}", __name__), name)
