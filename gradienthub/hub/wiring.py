"""What other lines of the configuration took from configure(c), and other services that stop."""

from collections.abc import Iterator
from pathlib import Path

from jupyterhub.app import JupyterHub
from jupyterhub.auth import Authenticator

from ..rules.services import is_culler, may_stop
from . import users_api
from .frame import TEMPLATES
from .spawner_class import class_faults, value_faults

#: What a person needs to start a notebook, to open it, and to have it asked about its use.
USER_SCOPES = ("servers", "access:servers", "users:activity")


def wiring_faults(app: JupyterHub) -> list[str]:
    """List what other lines of the configuration undid after configure(c), each with its cure."""
    faults = [*class_faults(app.spawner_class)]
    faults = faults or [*value_faults(app.spawner_class, app.config)]
    if not app.allow_named_servers:
        faults.append(
            "c.JupyterHub.allow_named_servers is False, and every notebook but one is a named"
            " server; remove that line"
        )
    if TEMPLATES.resolve() not in {Path(path).resolve() for path in app.template_paths}:
        faults.append(
            "c.JupyterHub.template_paths lacks GradientHub's templates; write configure(c) as the"
            " last line of the configuration"
        )
    names = [str(service.get("name")) for service in app.services]
    if users_api.KEEPER in names and users_api.CULLER in names:
        faults.append(
            "The keeper and the small mode's culler are both among c.JupyterHub.services, and the"
            " culler would stop without warning; call configure(c) once"
        )
    elif users_api.KEEPER not in names and users_api.CULLER not in names:
        faults.append(
            f"c.JupyterHub.services has no keeper ({users_api.KEEPER!r}), so that nothing would"
            " stop what is idle; write configure(c) as the last line of the configuration"
        )
    faults += [*_find_missing_of_keeper(app, names), *_find_missing_of_server(app)]
    faults += _find_unreachable(app)
    faults += [
        f"The service {service.get('name')!r} is a stock idle culler: it stops notebooks at its own"
        " limit, not at theirs; remove it from c.JupyterHub.services"
        for service in app.services
        if service.get("name") != users_api.CULLER and is_culler(service.get("command"))
    ]
    return faults


def _find_unreachable(app: JupyterHub) -> Iterator[str]:
    """Say what of the hub's own addresses the keeper and our probes cannot speak to."""
    if getattr(app, "internal_ssl", False):
        yield (
            "c.JupyterHub.internal_ssl is True, and the keeper and warm servers have no"
            " certificates: nothing would be warned or stopped; remove that line, and where the"
            " network between hub and engine is not yours alone, encrypt it below them"
        )
    bind = str(getattr(app, "hub_bind_url", "") or "")
    if bind.startswith(("unix+http", "http+unix")) and not getattr(app, "hub_connect_url", ""):
        yield (
            "c.JupyterHub.hub_bind_url is a socket file, which neither the keeper nor a notebook in"
            " a container reaches; bind an address, for example http://127.0.0.1:8081"
        )


def wiring_warnings(app: JupyterHub) -> list[str]:
    """List what is allowed and surprises people: other services that stop, users who may less."""
    return [*_find_stopping(app), *_find_weak_users(app)]


def _find_stopping(app: JupyterHub) -> Iterator[str]:
    for service in app.services:
        name = str(service.get("name"))
        if name in (users_api.KEEPER, users_api.CULLER):
            continue
        held = may_stop(_scopes_of(app, name))
        if service.get("admin"):
            held.append("the role admin")
        if held:
            yield (
                f"The service {name!r} may stop everybody's notebooks ({', '.join(held)}), whatever"
                " their own intervals say; take that from it unless it is meant to. Each stop by it"
                " is told as its own"
            )


def _find_weak_users(app: JupyterHub) -> Iterator[str]:
    for role in app.load_roles:
        if role.get("name") != "user" or "scopes" not in role:
            continue
        scopes = {scope.partition("!")[0] for scope in role["scopes"]}
        missing = [] if scopes & {"self", "inherit"} else sorted({*USER_SCOPES} - scopes)
        if missing:
            yield (
                f"The role 'user' of c.JupyterHub.load_roles lacks {', '.join(missing)}: who has no"
                ' other role that brings them can start or open nothing; add the scope "self", or'
                " use c.JupyterHub.extra_user_scopes to add to what users have"
            )


def _find_missing_of_server(app: JupyterHub) -> list[str]:
    """Say what a server's own token cannot do because another line replaced its role."""
    for role in app.load_roles:
        if role.get("name") == "server" and "scopes" in role:
            scopes = {str(scope) for scope in role["scopes"]}
            if not scopes & {"access:servers!server", "access:servers", "inherit"}:
                return [
                    "The role 'server' of c.JupyterHub.load_roles lacks access:servers!server, so"
                    " that no notebook could be asked about its use; write configure(c) as the last"
                    " line of the configuration"
                ]
    return []


def _find_missing_of_keeper(app: JupyterHub, services: list[str]) -> list[str]:
    """Say what the keeper cannot do because another line replaced its role."""
    if users_api.KEEPER not in services:
        return []
    missing = sorted(set(users_api.KEEPER_SCOPES) - _scopes_of(app, users_api.KEEPER))
    if not missing:
        return []
    return [
        f"c.JupyterHub.load_roles gives the keeper no {' and no '.join(missing)}, so that it cannot"
        " see or stop notebooks; write configure(c) as the last line of the configuration"
    ]


def _scopes_of(app: JupyterHub, service: str) -> set[str]:
    return {
        scope
        for role in app.load_roles
        if service in role.get("services", ())
        for scope in role.get("scopes", ())
    }


def bypasses(authenticator: type[Authenticator]) -> list[str]:
    """List how people would log in past our mixin, each with its cure."""
    if any(cls.__name__ == "MultiAuthenticator" for cls in authenticator.__mro__):
        return [
            "MultiAuthenticator hands logins to its parts, so that tiers on the outside see none of"
            " them; wrap each part instead: with_tiers(GitHubOAuthenticator)"
        ]
    return []
