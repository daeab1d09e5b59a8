"""Own clocks: limits that an image or the operator's command line sets on its server or kernels.

They end a notebook's server or its kernels behind the hub's back, at their own times, and without
the hub's warnings.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import SupportsFloat

from .duration import format_duration

#: Setting -> what it does, for each class that has it under that name.
CLOCKS = {
    "shutdown_no_activity_timeout": (
        ("ServerApp", "NotebookApp", "SingleUserNotebookApp", "LabApp"),
        "ends the whole server",
    ),
    "cull_idle_timeout": (
        (
            "MappingKernelManager",
            "AsyncMappingKernelManager",
            "MultiKernelManager",
            "AsyncMultiKernelManager",
            "ServerKernelManager",
        ),
        "ends idle kernels, with all that is in their memory",
    ),
    "cull_inactive_timeout": (("TerminalManager",), "ends idle terminals"),
}


def own_clocks(config: Mapping[str, object], arguments: Iterable[str] = ()) -> tuple[str, ...]:
    """Return a sentence for each limit that is on, from Jupyter's merged configuration and from a
    command line.
    """
    limits = _read_config(config) | _read_arguments(arguments)
    return tuple(
        f"{owner}.{name} = {seconds:g}: after {format_duration(timedelta(seconds=seconds))} without"
        f" activity it {CLOCKS[name][1]}"
        for (owner, name), seconds in sorted(limits.items())
    )


def _read_config(config: Mapping[str, object]) -> dict[tuple[str, str], float]:
    limits = {}
    for name, (owners, _) in CLOCKS.items():
        for owner in owners:
            section = config.get(owner)
            if isinstance(section, Mapping) and (seconds := _seconds(section.get(name))):
                limits[owner, name] = seconds
    return limits


def _read_arguments(arguments: Iterable[str]) -> dict[tuple[str, str], float]:
    """Read the settings of a command line: `--ServerApp.shutdown_no_activity_timeout=600`, or in
    two words."""
    limits = {}
    words = [word for argument in arguments for word in str(argument).split()]
    for word, following in zip(words, [*words, ""][1:], strict=True):
        flag, is_, value = word.lstrip("-").partition("=")
        owner, _, name = flag.rpartition(".")
        if name in CLOCKS and owner in CLOCKS[name][0] and word.startswith("-"):
            seconds = _seconds(value if is_ else following)
            if seconds:
                limits[owner, name] = seconds
    return limits


def _seconds(value: object) -> float:
    """Parse seconds. Return zero for what is none, or switches the limit off."""
    try:
        seconds = float(value) if isinstance(value, str | SupportsFloat) else 0.0
    except (ValueError, OverflowError):
        return 0.0
    return seconds if 0 < seconds < timedelta.max.total_seconds() else 0.0
