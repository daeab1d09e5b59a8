"""What a class calls on itself is there.

mypy cannot see it: JupyterHub's, DockerSpawner's and Tornado's classes carry no types, so that
whatever a subclass of theirs calls on itself is Any.
"""

import ast
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Iterator

import pytest
from jupyterhub.auth import DummyAuthenticator

import gradienthub
from gradienthub.hub.authenticator import with_tiers

#: Programs, which run when they are imported.
PROGRAMS = ("__main__", "jupyterhub_config", "idle_culler_config")


def own_classes() -> Iterator[type]:
    for found in pkgutil.walk_packages(gradienthub.__path__, "gradienthub."):
        if "migrations" in found.name or found.name.endswith(PROGRAMS):
            continue
        module = importlib.import_module(found.name)
        for thing in vars(module).values():
            if inspect.isclass(thing) and thing.__module__ == found.name:
                yield thing
    yield with_tiers(DummyAuthenticator)


CLASSES = list(dict.fromkeys(own_classes()))
#: The others are parts of these, and call what the whole has.
WHOLE = [cls for cls in CLASSES if not any(o is not cls and cls in o.__mro__ for o in CLASSES)]


def source_of(cls: type) -> str:
    """Return its source; nothing for one that is made while the program runs."""
    try:
        return textwrap.dedent(inspect.getsource(cls))
    except (OSError, TypeError):
        return ""


def calls_on_itself(cls: type) -> Iterator[str]:
    for node in ast.walk(ast.parse(source_of(cls))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "self"
        ):
            yield node.func.attr


def is_assigned(cls: type, name: str) -> bool:
    return any(
        word in source_of(part)
        for part in cls.__mro__
        for word in (f"self.{name} =", f"self.{name}:", f"\n    {name}:")
    )


@pytest.mark.parametrize("cls", WHOLE, ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_a_class_has_what_it_calls_on_itself(cls):
    missing = {
        f"{part.__name__} calls self.{name}"
        for part in cls.__mro__
        if part.__module__.startswith("gradienthub")
        for name in calls_on_itself(part)
        if not hasattr(cls, name) and not is_assigned(cls, name)
    }
    assert not missing
