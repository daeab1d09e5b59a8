"""Values that others wrote, taken as what they ought to be: an engine's JSON, a configuration."""

from collections.abc import Iterable, Mapping
from typing import SupportsInt


def as_mapping(value: object) -> Mapping[str, object]:
    """Return a mapping; what is none is taken for an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: object) -> list[object]:
    """Return the items of a list or the keys of a mapping; a word alone, of an empty one none."""
    if not value:
        return []
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return [value]
    return list(value)


def as_whole(value: object) -> int:
    """Return a whole number; what is none is taken for 0."""
    try:
        return int(value) if isinstance(value, str | SupportsInt) else 0
    except (ValueError, OverflowError):
        return 0
