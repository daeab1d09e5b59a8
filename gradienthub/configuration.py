"""configure(c): the one line that makes a JupyterHub a notebook cloud."""

import os
import sys
from pathlib import Path
from typing import TypedDict

from jupyterhub.app import JupyterHub
from jupyterhub.auth import Authenticator
from jupyterhub.utils import random_port
from traitlets import TraitError
from traitlets.config import Config

from .hub import adoption
from .hub.authenticator import with_tiers
from .hub.users_api import CULLER, KEEPER, KEEPER_SCOPES
from .places import keeper_place
from .rules.catalog import ConfigurationFault
from .settings import GradientHub, Settings
from .spawners.others import with_server_scopes
from .spawners.sections import NoSuchClass, configured_class, is_reading

PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
HERE = Path(__file__).parent
TEMPLATES = HERE / "templates"
CULLER_CONFIG = HERE / "service" / "idle_culler_config.py"

#: What a visitor's token may do at the hub when the keeper's pages act for them, as far as the
#: visitor may themselves.
VISITOR_SCOPES = (
    f"access:services!service={KEEPER}",
    "read:servers",
    "start:servers",
    "delete:servers",
)
#: What the small mode's culler may do: see who is active and since when, read the deadlines in
#: the servers' saved state, and stop them. Nothing else.
CULLER_SCOPES = (
    "list:users",
    "read:users:activity",
    "read:servers",
    "admin:server_state",
    "delete:servers",
)


class Role(TypedDict, total=False):
    """A role of JupyterHub's, as a configuration writes it."""

    name: str
    scopes: list[str]
    services: list[str]


def configure(c: Config, *, keeper: bool = True, adopt: bool = False) -> Settings:
    """Wire GradientHub into a JupyterHub configuration; write it as the last line of yours.

    It merges: what you set stays, except that the authenticator is wrapped with tiers. `keeper`
    False is the small mode: jupyterhub-idle-culler stops what is idle, by each notebook's own
    interval, and nobody is warned. `adopt` True takes the settings of DockerSpawner or
    SimpleLocalProcessSpawner over, as `gradienthub adopt` shows them. Returns the resolved
    settings. A wrong setting ends the start with its name, its value and the cure.
    """
    if not is_reading():
        _take_over(c, adopt=adopt)
    try:
        settings = GradientHub(config=c).resolved()
    except (ConfigurationFault, TraitError) as fault:
        raise SystemExit(f"gradienthub: {fault}") from None
    if is_reading():
        return settings
    hub = c.JupyterHub
    _set_default(hub, "spawner_class", "gradient-docker")
    hub.authenticator_class = with_tiers(_load_authenticator(c))
    # The hub's default stops everybody's notebook whenever the hub restarts.
    _set_default(hub, "cleanup_servers", False)
    _set_default(hub, "allow_named_servers", True)
    _add_path(hub, "template_paths", str(TEMPLATES))
    _let_servers_be_asked(hub)
    if keeper:
        _wire_keeper(c, settings)
    else:
        _wire_culler(hub)
    return settings


def _take_over(c: Config, *, adopt: bool) -> None:
    """Take over the settings of a spawner that rents nothing, or end with the line to write."""
    if "spawner_class" not in c.JupyterHub and not adopt:
        return  # a new hub, which has gradient-docker
    spawner = adoption.old_spawner(c)
    if spawner.cls is None or spawner.is_ours:
        return  # what cannot be loaded, the hub itself names
    takeover = adoption.takeover_of(c, spawner) if adopt else None
    if takeover is None:
        raise SystemExit(f"gradienthub: {adoption.refusal_of(c, spawner, adopt=adopt)}")
    adoption.take_over(c, spawner, takeover)
    for note in takeover.notes:
        print(f"gradienthub: {note}", file=sys.stderr)


def _wire_keeper(c: Config, settings: Settings) -> None:
    hub = c.JupyterHub
    place = keeper_place(c, settings.keeper_ip)
    _refuse_our_name(hub, KEEPER, "gradienthub.service")
    _append(
        hub,
        "services",
        {
            "name": KEEPER,
            "url": place.url(settings.keeper_port or random_port()),
            "command": [sys.executable, "-m", "gradienthub.service"],
            "environment": {
                "GRADIENTHUB_DATABASE_URL": settings.database_url,
                "GRADIENTHUB_HUB_ID": settings.hub_id,
                # It ends with this process, however that ends.
                "GRADIENTHUB_HUB_PID": str(os.getpid()),
                # The name under which the proxy knows it need not be one of this machine's own.
                **({} if place.listen else {"GRADIENTHUB_LISTEN": ""}),
                # The hub hands few variables on; these say how to reach a database or a mail
                # server, and where a password file lies.
                **{
                    name: value
                    for name, value in os.environ.items()
                    if name == "HOME" or name.startswith("PG") or name.lower() in PROXIES
                },
            },
            "display": False,
            "oauth_no_confirm": True,
            "oauth_client_allowed_scopes": list(VISITOR_SCOPES),
        },
    )
    _append(
        hub,
        "load_roles",
        {"name": KEEPER, "scopes": list(KEEPER_SCOPES), "services": [KEEPER]},
    )
    _open_to_everybody(hub)


def _open_to_everybody(hub: Config) -> None:
    """Let every user visit the keeper's pages: the scope joins those that users have anyway.

    Defining the role `user` would switch off extra_user_scopes; so ours goes there, unless the
    admin's own role `user` already has done that.
    """
    access = f"access:services!service={KEEPER}"
    role = _find_role(hub, "user")
    if role is not None and "scopes" in role:
        role["scopes"] = [*role["scopes"], access]
    elif "extra_user_scopes" in JupyterHub.class_traits(config=True):
        _add_to_set(hub, "extra_user_scopes", access)
    elif role is not None:
        role["scopes"] = ["self", access]
    else:
        _append(hub, "load_roles", {"name": "user", "scopes": ["self", access]})


def _let_servers_be_asked(hub: Config) -> None:
    """Let a server's token open that server, in an admin's own role `server` too."""
    role = _find_role(hub, "server")
    if role is not None and "scopes" in role:
        role["scopes"] = with_server_scopes(role["scopes"])


def _find_role(hub: Config, name: str) -> Role | None:
    """Return the admin's role of that name, to be added to; the admin's own dict stays as is."""
    if not isinstance(hub["load_roles"], list):
        # Only added to so far: what that makes of the hub's default, which is no role.
        hub["load_roles"] = hub["load_roles"].get_value([])
    hub["load_roles"] = [dict(role) for role in hub["load_roles"]]
    return next((role for role in hub["load_roles"] if role.get("name") == name), None)


def _refuse_our_name(hub: Config, name: str, module: str) -> None:
    """Take out what an earlier call of configure(c) wired; a stranger of our name is a fault."""
    if not isinstance(hub["services"], list):
        hub["services"] = hub["services"].get_value([])
    services = hub["services"]
    for service in services:
        if service.get("name") == name and module not in str(service.get("command")):
            raise SystemExit(
                f"gradienthub: c.JupyterHub.services has a service named {name!r}, which is"
                " GradientHub's own name for one; give yours another name"
            )
    hub["services"] = [service for service in services if service.get("name") != name]
    if _find_role(hub, name) is not None:
        hub["load_roles"] = [role for role in hub["load_roles"] if role.get("name") != name]


def _wire_culler(hub: Config) -> None:
    _refuse_our_name(hub, CULLER, "jupyterhub_idle_culler")
    _append(
        hub,
        "services",
        {
            "name": CULLER,
            "command": [
                sys.executable,
                "-m",
                "jupyterhub_idle_culler",
                f"--config={CULLER_CONFIG}",
            ],
        },
    )
    _append(
        hub,
        "load_roles",
        {"name": CULLER, "scopes": list(CULLER_SCOPES), "services": [CULLER]},
    )


def _load_authenticator(c: Config) -> type[Authenticator]:
    """Load the class that the configuration names: a class, an import path or an entry point."""
    try:
        named = configured_class(c, JupyterHub, "authenticator_class")
    except NoSuchClass as fault:
        raise SystemExit(f"gradienthub: {fault}") from None
    if not (isinstance(named, type) and issubclass(named, Authenticator)):
        raise SystemExit(
            f"gradienthub: c.JupyterHub.authenticator_class = {named!r} is not an Authenticator"
        )
    return named


def _set_default(section: Config, key: str, value: object) -> None:
    if key not in section:
        section[key] = value


def _append(section: Config, key: str, value: object) -> None:
    """Add to a list that may be unset, set, or only extended so far."""
    current = section[key]
    if isinstance(current, list):
        section[key] = [*current, value]
    else:
        current.append(value)


def _add_to_set(section: Config, key: str, value: str) -> None:
    """Add to a set that may be unset, set (also as a list), or only extended so far."""
    current = section[key]
    if isinstance(current, set | frozenset | list | tuple):
        section[key] = {*current, value}
    else:
        current.update({value})


def _add_path(section: Config, key: str, value: str) -> None:
    """Add a folder before the hub's own and behind those of the admin, whose templates win over
    ours."""
    current = section[key]
    if isinstance(current, list):
        section[key] = [*current, value]
    else:
        current.insert(0, value)
