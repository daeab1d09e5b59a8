"""Other services of a hub: which cull idle notebooks, which may stop them, and what they did."""

import re
from collections.abc import Iterable, Sequence

#: jupyterhub-idle-culler, jupyterhub_idle_culler, cull_idle_servers.py, and copies of these.
CULLER = re.compile(r"idle[-_.]?cull|cull[-_.]?idle", re.IGNORECASE)
#: Scopes that let their holder stop another's notebook, by themselves or by what they imply.
STOPPING = frozenset({"delete:servers", "servers", "admin:servers", "delete:users", "admin:users"})
#: How the audit names a service that acts.
BEFORE_NAME = "service "


def is_culler(command: object) -> bool:
    """Return whether a service's command, a list or a line for a shell, runs an idle culler."""
    if isinstance(command, str):
        return bool(CULLER.search(command))
    if isinstance(command, Sequence):
        return any(is_culler(part) for part in command)
    return False


def may_stop(scopes: Iterable[str]) -> list[str]:
    """List the scopes by which their holder may stop notebooks of others."""
    return sorted(scope for scope in scopes if scope.partition("!")[0] in STOPPING)


def service_of(stopped_by: str | None) -> str:
    """Return the name of the service that asked for a stop; "" where it was none."""
    name = stopped_by or ""
    return name.removeprefix(BEFORE_NAME) if name.startswith(BEFORE_NAME) else ""
