"""Durations as people and programs write them: "30m", "6h", "2 d" or seconds."""

import re
from datetime import timedelta

UNITS = {
    "s": timedelta(seconds=1),
    "sec": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_WRITTEN = re.compile(r"([0-9]{1,9}) ?(s|sec|m|min|h|d)?", re.ASCII)
LONGEST = timedelta(days=366)


def parse_duration(value: object) -> timedelta:
    """Parse a duration: "30m", "6h", "2 d" or a whole number of seconds.

    Raises ValueError for anything else: zero, negative, NaN, fractions of a second, over a year.
    """
    span = _read(value)
    if not timedelta(0) < span <= LONGEST:
        raise ValueError("a duration lies between 1 second and 366 days")
    if span.microseconds:
        raise ValueError("a duration is a whole number of seconds")
    return span


def _read(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, bool):
        raise ValueError("a duration is a number with a unit (30m, 6h, 2d) or seconds")
    if isinstance(value, int | float):
        # NaN fails the comparison; an int of 400 digits would overflow as a float.
        if not abs(value) <= 10**9 or value != int(value):
            raise ValueError("a duration in seconds is a whole number")
        return timedelta(seconds=int(value))
    if isinstance(value, str) and (match := _WRITTEN.fullmatch(value.strip())):
        return int(match[1]) * UNITS[match[2] or "s"]
    raise ValueError("a duration is a number with a unit (30m, 6h, 2d) or seconds")


def format_duration(span: timedelta) -> str:
    """Format a duration for people in its two largest units: "6 h", "1 h 30 min", "3 d", "45 s"."""
    seconds = round(span.total_seconds())
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def short_duration(span: timedelta) -> str:
    """Format a duration as options write it, in its largest whole unit: "6h", "90m", "45s"."""
    seconds = round(span.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
