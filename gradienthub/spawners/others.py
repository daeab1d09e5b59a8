"""A deployer's own code in a start: hooks and callables. Whatever it does becomes words."""

import asyncio
import concurrent.futures
import functools
import inspect
import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jupyterhub import orm
from jupyterhub.scopes import _check_scopes_exist, get_scopes_for
from jupyterhub.spawner import Spawner, SpawnException
from tornado import web
from traitlets import validate
from traitlets.config import LoggingConfigurable
from traitlets.utils.bunch import Bunch

from ..rules.refusal import Declined, Refused
from .refused import StartRefused

#: Seconds that a hook of the deployer's may take. A start that waits for one holds nothing yet.
HOOK_SECONDS = 600.0
#: What asks a notebook about its use, and what a notebook reports its activity with.
SERVER_SCOPES = ("users:activity!user", "access:servers!server")


@contextmanager
def words_for(name: str, log: logging.Logger) -> Iterator[None]:
    """Turn whatever the code named `name` raises into a refusal; its trace goes to the log.

    A start that is really cancelled stays cancelled. A hook that raises CancelledError or calls
    exit() is a hook that failed: the hub would go on with half a start, or end.
    """
    try:
        yield
    except BaseException as error:
        if is_interruption(error):
            raise
        log.error("%s failed", name, exc_info=error)
        raise StartRefused(refusal_of(name, error)) from error


async def run_hook(name: str, log: logging.Logger, call: Callable[[], object]) -> Any:
    """Call a deployer's function and wait for what it returns, however it is written.

    Its coroutine is awaited here and not in a task of its own: a task that calls exit() ends the
    loop, and the hub with it.
    """
    with words_for(name, log):
        async with asyncio.timeout(HOOK_SECONDS):
            result = call()
            if isinstance(result, concurrent.futures.Future):
                return await asyncio.wrap_future(result)
            return await result if inspect.isawaitable(result) else result


def refusal_of(name: str, error: BaseException, charged: str = "Nothing was charged.") -> Refused:
    """Say that a deployer's code failed; where it meant to refuse, in its own words and status."""
    if isinstance(error, StartRefused):
        return error.refused
    if isinstance(error, Refused):
        return error
    if isinstance(error, web.HTTPError) and (words := _meant_for_people(error)):
        status = error.status_code if 400 <= error.status_code < 500 else 502
        return Declined("hook_refused", words, charged, own_status=status)
    what = "took longer than ten minutes" if isinstance(error, TimeoutError) else "failed"
    return Refused(
        "hook_failed",
        f"{name} of this hub {what} ({type(error).__name__}).",
        f"{charged} Your administrator can see why in the hub’s log.",
    )


def _meant_for_people(error: web.HTTPError) -> str:
    words = getattr(error, "jupyterhub_message", "") or ""
    html = getattr(error, "jupyterhub_html_message", "") or ""
    if isinstance(error, SpawnException):
        words = words or error.message or ""
        html = html or error.message_html or ""
    words = words or re.sub(r"<[^>]*>", " ", html)
    if not words and error.log_message:
        try:
            words = error.log_message % error.args if error.args else error.log_message
        except (TypeError, ValueError):
            words = error.log_message
    return " ".join(str(words or "").split())[:400]


def is_interruption(error: BaseException) -> bool:
    """Return whether this is the process or the task being stopped, and nobody's failure."""
    task = asyncio.current_task() if isinstance(error, asyncio.CancelledError) else None
    cancelled = task is not None and task.cancelling() > 0
    return cancelled or isinstance(error, KeyboardInterrupt | GeneratorExit)


if TYPE_CHECKING:
    from jupyterhub.spawner import Spawner as _Base
else:
    # JupyterHub wants start, stop and poll of each class that inherits its Spawner.
    _Base = LoggingConfigurable


class GuardedSpawner(_Base):
    """Left of the hub's Spawner: a deployer's hooks and callables fail in words."""

    #: What the callables of scopes raised. The hub asks them before it can tidy up after a failure,
    #: so that it is kept until it can.
    _scopes_fault: StartRefused | None = None

    @validate("pre_spawn_hook", "post_stop_hook", "auth_state_hook", "group_overrides")
    def _guard_hook(self, proposal: Bunch) -> object:
        hook, name = proposal["value"], f"The {proposal['trait'].name}"
        if not callable(hook):
            return hook

        @functools.wraps(hook, updated=())
        async def guarded(*args: object) -> object:
            return await run_hook(name, self.log, lambda: hook(*args))

        return guarded

    @validate("server_token_scopes")
    def _guard_scopes(self, proposal: Bunch) -> object:
        asked = proposal["value"]
        if not asked:
            return asked  # the role `server`, which configure(c) has completed

        async def guarded(spawner: Spawner) -> list[str]:
            call = (lambda: asked(spawner)) if callable(asked) else (lambda: asked)
            with self._fault_kept(), words_for("The server_token_scopes", self.log):
                return with_server_scopes(
                    checked_scopes(await run_hook("The server_token_scopes", self.log, call))
                )
            return [*SERVER_SCOPES]

        return guarded

    async def _get_oauth_client_allowed_scopes(self) -> list[str]:
        """Ask for them as the hub does; a failure is told once the hub can tidy up after it."""
        with self._fault_kept(), words_for("The oauth_client_allowed_scopes", self.log):
            scopes = checked_scopes(await super()._get_oauth_client_allowed_scopes())
            if callable(self.oauth_client_allowed_scopes):  # type: ignore[has-type]
                # The hub writes the trait into the server's environment, and a function has no
                # place there.
                self.oauth_client_allowed_scopes = scopes
            return scopes
        return []

    @contextmanager
    def _fault_kept(self) -> Iterator[None]:
        try:
            yield
        except StartRefused as fault:
            self._scopes_fault = self._scopes_fault or fault

    async def run_auth_state_hook(self, auth_state: object) -> None:
        """Run the deployer's hook; the first moment at which a start may fail."""
        fault, self._scopes_fault = self._scopes_fault, None
        if fault is not None:
            raise fault
        self._refuse_without_access()
        await super().run_auth_state_hook(auth_state)

    def _refuse_without_access(self) -> None:
        """Refuse a server whose own token does not open it: nobody could, and the keeper neither.

        The hub gives a token no more than its owner has.
        """
        token = orm.APIToken.find(self.user.db, self.api_token)
        groups = {group.name for group in self.user.groups}
        if token and not opens(get_scopes_for(token), self.user.name, self.name, groups):
            raise StartRefused(
                Refused(
                    "not_allowed",
                    "The roles of this notebook’s owner lack access:servers, so that it could"
                    " neither be opened nor asked about its use.",
                    "Nothing was charged. Ask your administrator for a role with the scope self.",
                )
            )

    async def apply_group_overrides(self) -> None:
        """Apply them as the hub does."""
        with words_for("The group_overrides", self.log):
            await super().apply_group_overrides()

    def get_env(self) -> dict[str, str]:
        """Return the hub's environment; a callable in it may fail."""
        with words_for("A callable of the environment", self.log):
            env: dict[str, str] = super().get_env()
        return env


def opens(scopes: Iterable[str], user: str, server: str, groups: Collection[str]) -> bool:
    """Return whether expanded scopes open this server."""
    wanted = {"", f"user={user}", f"server={user}/{server}", *(f"group={g}" for g in groups)}
    parts = (scope.partition("!") for scope in scopes)
    return any(name == "access:servers" and filter_ in wanted for name, _, filter_ in parts)


def checked_scopes(scopes: object) -> list[str]:
    """Return scopes that somebody's code gave as a list. Raises where they are no scopes."""
    if isinstance(scopes, str) or not isinstance(scopes, Iterable):
        raise TypeError(f"scopes are a list of words, not {type(scopes).__name__}")
    checked = [*scopes]
    if not all(isinstance(scope, str) for scope in checked):
        raise TypeError("scopes are a list of words")
    _check_scopes_exist(checked)
    return checked


def with_server_scopes(scopes: Iterable[str]) -> list[str]:
    """Return a server token's scopes with those that its use is known by."""
    asked = [*scopes]
    return [*asked, *(scope for scope in SERVER_SCOPES if not _is_in(scope, asked))]


def _is_in(scope: str, scopes: list[str]) -> bool:
    wider = {scope, scope.partition("!")[0], "inherit", "all"}
    if scope.startswith("access:servers"):
        wider.add("access:servers!user")
    return bool(wider.intersection(scopes))
