"""Read a trait from a configuration before there is an object, as traitlets will read it then."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from jupyterhub.traitlets import EntryPointType
from traitlets import Undefined, import_item
from traitlets.config import Config, Configurable
from traitlets.config.loader import LazyConfigValue

_reading: ContextVar[bool] = ContextVar("reading", default=False)


class NoSuchClass(Exception):
    """A configuration names a class that cannot be loaded; the words say why, and what is known."""


@contextmanager
def reading() -> Iterator[None]:
    """Let configure(c) change nothing meanwhile: a configuration is read as its author wrote it."""
    token = _reading.set(True)
    try:
        yield
    finally:
        _reading.reset(token)


def is_reading() -> bool:
    """Return whether a configuration is only read."""
    return _reading.get()


def configured(config: Config, cls: type[Configurable], name: str) -> Any:
    """Return the value that a trait of `cls` will have; None where only the hub knows.

    The sections of parent classes count, and the nearest class wins. A class whose body says
    `name = value` has no such trait any more: no section sets it.
    """
    trait = cls.class_traits().get(name)
    if trait is None:
        return getattr(cls, name, None)
    value = trait.default()
    for section in cls.section_names():
        if section in config and name in config[section]:
            value = set_value(config[section][name], value)
    return None if value is Undefined else value


def configured_class(config: Config, app: type[Configurable], name: str) -> Any:
    """Load the class that a configuration names, by entry point or import path, as the hub does.

    What is set and is no word is returned as it is. Raises NoSuchClass.
    """
    named = configured(config, app, name)
    if not isinstance(named, str):
        return named
    trait = app.class_traits()[name]
    assert isinstance(trait, EntryPointType)
    known = trait.load_entry_points()
    try:
        return known[named.lower()].load() if named.lower() in known else import_item(named)
    except (ImportError, AttributeError, ValueError) as error:
        raise NoSuchClass(
            f"c.{app.__name__}.{name} = {named!r} cannot be loaded ({error}); known names are"
            f" {', '.join(sorted(known))}"
        ) from None


def set_value(value: Any, before: object = None) -> Any:
    """Resolve what `c.X.y.append(...)` leaves in a configuration; other values are themselves."""
    return value.get_value(before) if isinstance(value, LazyConfigValue) else value


def section_of(config: Config, cls: type[Configurable], name: str) -> str:
    """Name the section that sets this trait, or else the class that declares it."""
    setting = [s for s in cls.section_names() if s in config and name in config[s]]
    if setting:
        return setting[-1]
    declaring = [c.__name__ for c in cls.__mro__ if name in vars(c)]
    return declaring[-1] if declaring else cls.__name__
