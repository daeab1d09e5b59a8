"""with_tiers(cls): an authenticator that also records the facts by which a tier is resolved."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from hashlib import sha256
from json import dumps
from typing import Any, Required, TypedDict, TypeGuard, TypeVar
from urllib.parse import urlparse

from jupyterhub.app import JupyterHub
from jupyterhub.auth import Authenticator
from jupyterhub.handlers.base import BaseHandler
from jupyterhub.user import User
from jupyterhub.utils import maybe_future
from tornado import web
from traitlets import Bool, Dict, Set

from ..ledger import LedgerAway, accounts
from ..ledger.accounts import LONGEST_CLAIMS, Subject
from ..rules.groups import Groups, clean_groups, too_many_to_list
from ..rules.identity import SUBJECT_KEYS, names_nobody
from ..rules.tiers import ClaimRule
from ..spawners.base import GradientSpawner
from ..spawners.context import HubContext, groups_of, hub_user
from ..spawners.others import run_hook
from ..spawners.refused import StartRefused
from . import startup

#: Seconds between two tries to write what the ledger could not take.
TRY_AGAIN = 1.0

A = TypeVar("A")
R = TypeVar("R")


class AuthModel(TypedDict, total=False):
    """What an authenticator says of a person. A provider may send groups in any shape.

    Without `auth_state`, or without `groups`, nothing new is said of them.
    """

    name: Required[str]
    admin: bool | None
    groups: object
    auth_state: object


class HookFailure(web.HTTPError):
    """The failure of others' code in a login or a request, as an error page with words."""

    def __init__(self, name: str) -> None:
        super().__init__(503, f"{name} of this hub failed")
        self.jupyterhub_message = (
            f"{name} of this hub failed. Try again in a minute; your administrator can see why in"
            " the hub’s log."
        )


class TiersMixin(Authenticator):
    """Left of any authenticator: records facts at login and refresh, and brings our handlers.

    Changes nothing of what the authenticator decides: groups, admin and auth_state pass as they
    are, with manage_groups and enable_auth_state on or off.
    """

    # What waits for the ledger, by user name; the newest word about a person counts.
    _waiting = Dict()
    _catching_up = Bool(False)
    # Names whose first login is recorded, until the hub has made their user.
    _arriving = Set()

    async def run_post_auth_hook(
        self, handler: BaseHandler | None, auth_model: AuthModel
    ) -> AuthModel | str | None:
        """Run the last step of every login, after the allow checks and the deployer's own hook."""
        hook = super().run_post_auth_hook
        answer: AuthModel | str | None = await self._run_in_words(
            "The post_auth_hook", lambda: hook(handler, auth_model)
        )
        if not answer:
            return answer
        # A deployer's hook may return a bare name, as the hub allows.
        model = AuthModel(name=answer, auth_state=None) if isinstance(answer, str) else answer
        name, groups = model["name"], self._read_groups(model["name"], model)
        await self._record("login", name, model, groups, handler and handler.find_user(name))
        return answer if isinstance(answer, str) else _with_groups(answer, groups)

    async def get_user_groups(self, auth_state: object) -> set[str]:
        """Return the groups that the provider sent, in whatever shape, for OAuthenticator.

        OAuthenticator itself fails at a list of objects, or drops it.
        """
        key = getattr(self, "auth_state_groups_key", "")
        if callable(key):
            return set(clean_groups(await maybe_future(key(auth_state))).names or ())
        value = auth_state
        for part in str(key).split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is None:
            groups: set[str] = await maybe_future(super().get_user_groups(auth_state))
            return groups
        return set(clean_groups(value).names or ())

    async def refresh_user(
        self, user: User, handler: BaseHandler | None = None, **kwargs: object
    ) -> AuthModel | bool | None:
        """Record the facts again whenever the authenticator has new ones.

        Its answer is returned as it is.
        """
        refresh = super().refresh_user
        answer: AuthModel | bool | None = await self._run_in_words(
            "The authenticator’s refresh_user", lambda: refresh(user, handler, **kwargs)
        )
        if not isinstance(answer, Mapping):
            return answer
        groups = self._read_groups(user.name, answer)
        # The name in the answer is the provider's, and no longer the hub's after a rename.
        await self._record("refresh", user.name, answer, groups, user)
        return _with_groups(answer, groups)

    async def _run_in_words(self, name: str, call: Callable[[], Awaitable[R]]) -> R:
        """Run others' code in a login or a request; its failure is an error page with words.

        What refuses on purpose, with a status of its own, is left as it is.
        """
        try:
            result: R = await run_hook(name, self.log, call)
        except StartRefused as refused:
            if isinstance(refused.__cause__, web.HTTPError):
                raise refused.__cause__ from None
            raise HookFailure(name) from refused
        return result

    async def pre_spawn_start(self, user: User, spawner: GradientSpawner) -> None:
        """Call the authenticator's own, which may fail or refuse in words."""
        before = super().pre_spawn_start
        name = "The authenticator’s pre_spawn_start"
        await run_hook(name, self.log, lambda: before(user, spawner))

    async def post_spawn_stop(self, user: User, spawner: GradientSpawner) -> None:
        """Call the authenticator's own; a failure stays in the log, and the stop goes on."""
        after = super().post_spawn_stop
        name = "The authenticator’s post_spawn_stop"
        with suppress(StartRefused):
            await run_hook(name, self.log, lambda: after(user, spawner))

    async def _record(
        self, kind: str, name: str, model: AuthModel, groups: Groups, user: User | None
    ) -> None:
        info, what = self._provider_info(model), f"the {kind} of {name!r}"
        facts = {
            "who": self._subject(info),
            # None leaves the claims of the login before.
            "claims": self._choose_claims(name, info) if "auth_state" in model else None,
            "groups": groups.names,
            "groups_unknown": groups.unknown,
        }
        if user is None:
            self._arriving.add(name)
            await self._write_to_ledger(name, what, accounts.record_login, name=name, **facts)
        else:
            moved = HubContext.of(self.config).settings.moved_providers
            await self._write_to_ledger(
                name,
                what,
                accounts.take_login,
                user=hub_user(user),
                refresh=kind == "refresh",
                moved=moved,
                hub_groups=groups_of(user),
                **facts,
            )

    async def add_user(self, user: User) -> None:
        """Open the account of whoever logs in for the first time, once the hub has their user.

        The hub calls this for each user while it starts too, and for one whom an administrator
        adds: these have no account before they come.
        """
        await maybe_future(super().add_user(user))
        if user.name in self._arriving:
            self._arriving.discard(user.name)
            what = f"the first login of {user.name!r}"
            await self._write_to_ledger(
                f"new {user.id}",
                what,
                accounts.account_of,
                user=hub_user(user),
                hub_groups=groups_of(user),
            )
            # What runs of theirs from before the hub lost its database is given back at once.
            HubContext.of(self.config).wake_settle()

    async def _write_to_ledger(
        self, key: str, what: str, function: Callable[..., object], **values: object
    ) -> None:
        """Write to the ledger: now, or as soon as it is back. A login must not depend on it.

        What is not written now must not be lost: a name that the provider gave to another person
        would go on with the account of the one before.
        """
        context = HubContext.of(self.config)
        values.update(hub_id=context.settings.hub_id, now=context.clock())
        self._waiting.pop(key, None)
        try:
            await context.ledger.awrite(function, **values)
        except LedgerAway as away:
            self.log.warning("The ledger is away; %s is written when it is back: %s", what, away)
            self._waiting[key] = lambda: context.ledger.awrite(function, **values)
            if not self._catching_up:
                self._catching_up = True
                context.soon(self._catch_up())

    async def _catch_up(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(TRY_AGAIN)
                await self._write_what_waits()
        finally:
            self._catching_up = False

    async def _write_what_waits(self) -> None:
        while self._waiting:
            key = next(iter(self._waiting))
            # Taken out first, so that a newer word of the same person is never overtaken.
            write: Callable[[], Awaitable[object]] = self._waiting.pop(key)
            try:
                await write()
            except LedgerAway:
                self._waiting.setdefault(key, write)
                return

    def _provider_info(self, model: AuthModel) -> Mapping[str, object]:
        """Return what the provider says of the person: OAuthenticator's user info, else the
        auth_state."""
        state = model.get("auth_state")
        if not isinstance(state, Mapping):
            return {}
        info = state.get(getattr(self, "user_auth_state_key", ""), state)
        return info if isinstance(info, Mapping) else {}

    def _read_groups(self, name: str, model: AuthModel) -> Groups:
        """Return the groups that the model names, as ledger and hub both get them."""
        key = getattr(self, "auth_state_groups_key", "")
        if too_many_to_list(self._provider_info(model), key if isinstance(key, str) else ""):
            self.log.warning("The provider lists no groups of %r: they are too many", name)
            return Groups(None, unknown=True)
        groups = clean_groups(model.get("groups"))
        if groups.trouble:
            self.log.warning("The groups of %r are not all used: %s", name, groups.trouble)
        return groups

    def _choose_claims(self, name: str, info: Mapping[str, object]) -> dict[str, object]:
        """Return what tier_rules name, and no neighbor of it: a token may lie beside a claim."""
        rules = HubContext.of(self.config).settings.tier_rules.by_claim
        claims = _pick_claims(info, rules, lambda claim, value: True)
        if len(dumps(claims)) > LONGEST_CLAIMS:
            self.log.warning("The claims of %r are long; only what tier_rules match is kept", name)
            values = {(rule.claim, rule.value) for rule in rules}
            claims = _pick_claims(info, rules, lambda claim, value: (claim, value) in values)
        return claims

    def _subject(self, info: Mapping[str, object]) -> Subject:
        """Return the provider and its stable id of this person, which no name or address is."""
        mro = type(self).__mro__
        # What stands right of the mixin; left of it a deployer or MultiAuthenticator adds others.
        provider = mro[mro.index(TiersMixin) + 1].__name__
        # Two providers of one class (generic OAuth, LDAP) may both call somebody "1".
        address = getattr(self, "token_url", "") or getattr(self, "server_address", "") or ""
        if host := urlparse(str(address)).hostname or (str(address) if address else ""):
            provider = f"{provider}@{host}"
        elif scope := str(getattr(self, "url_scope", "") or "").strip("/"):
            provider = f"{provider}@{scope}"
        words = {key: _clean_word(info.get(key)) for key in SUBJECT_KEYS}
        keys = {key: _shorten(word, 255) for key, word in words.items() if word}
        return Subject(_shorten(provider, 64), next(iter(keys.values()), ""), keys)

    async def note_name(self, user: User) -> None:
        """Let the account of a renamed user take the new name."""
        what = f"the new name of {user.name!r}"
        await self._write_to_ledger(
            f"name {user.id}", what, accounts.rename_user, user=hub_user(user)
        )

    async def delete_user(self, user: User) -> object:
        """Close the account of a deleted user: a later one of the same name is somebody new."""
        self._waiting.pop(user.name, None)
        what = f"the deletion of {user.name!r}"
        await self._write_to_ledger(
            f"gone {user.id}", what, accounts.close_user, user=hub_user(user)
        )
        return await maybe_future(super().delete_user(user))

    def get_handlers(self, app: JupyterHub) -> list[tuple[object, ...]]:
        """List our handlers before the hub's own, so that they may replace them.

        The hub calls this once while it starts, inside its loop: the one place where a plugin
        sees the app. So the start-up check and the reconciler begin here.
        """
        handlers = [*super().get_handlers(app)]
        # A part of MultiAuthenticator is asked too, and would put ours below its own prefix.
        if app.authenticator is self:
            handlers += startup.begin(app)
        return handlers


def _pick_claims(
    info: Mapping[str, object],
    rules: Collection[ClaimRule],
    is_wanted: Callable[[str, object], bool],
) -> dict[str, object]:
    """Return the claims at the rules' paths, in the provider's shape, where a rule could match
    them.

    Only words, whole numbers, yes and no, and lists of these: whatever else a provider sends,
    however deep, is not even looked at.
    """
    claims: dict[str, Any] = {}
    for rule in rules:
        *parents, leaf = rule.claim.split(".")
        beside: object = info
        into = claims
        for parent in parents:
            beside = beside.get(parent) if isinstance(beside, Mapping) else None
        value = beside.get(leaf) if isinstance(beside, Mapping) else None
        if isinstance(value, list | tuple | set | frozenset):
            value = [part for part in value if _is_plain(part) and is_wanted(rule.claim, part)]
        elif not (_is_plain(value) and is_wanted(rule.claim, value)):
            continue
        for parent in parents:
            into = into.setdefault(parent, {})
        into[leaf] = value
    return claims


def _is_plain(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and abs(value) < 2**63)


def _clean_word(value: object) -> str:
    """Return a provider's word for a person; empty where it is none: 7, 7.0 and "7" are one.

    What programs write where they have nothing is no word: everybody would be one person.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    word = str(value) if _is_plain(value) and not isinstance(value, bool) else ""
    return "" if names_nobody(word) else word


def _with_groups(model: AuthModel, groups: Groups) -> AuthModel:
    """Return the model with the groups that the ledger gets; the same where nothing differs."""
    if "groups" not in model:
        return model
    before = model["groups"]
    names = None if groups.names is None else list(groups.names)
    if before is None and names is None:
        return model
    if names is not None and _are_names(before) and set(before) == set(names):
        return model
    return {**model, "groups": names}


def _are_names(groups: object) -> TypeGuard[Collection[str]]:
    return isinstance(groups, list | tuple | set | frozenset) and all(
        isinstance(name, str) for name in groups
    )


def _shorten(word: str, length: int) -> str:
    """Return the word as every database takes it; a longer one ends in its hash, to stay itself."""
    word = word.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
    if len(word) <= length:
        return word
    return f"{word[: length - 17]}~{sha256(word.encode()).hexdigest()[:16]}"


_made: dict[type, type] = {}


def with_tiers(authenticator: type[A]) -> type[A]:
    """Add tiers to an authenticator: `c.JupyterHub.authenticator_class = with_tiers(YourClass)`.

    The new class keeps its name behind "Gradient" and reads the old one's configuration. Wrapping
    twice gives the same class.
    """
    if issubclass(authenticator, TiersMixin):
        return authenticator
    made: type[A] | None = _made.get(authenticator)
    if made is None:
        made = _made[authenticator] = type(
            f"Gradient{authenticator.__name__}",
            (TiersMixin, authenticator),
            {"__module__": __name__, "__doc__": f"{authenticator.__name__} with tiers."},
        )
    return made


#: Entry points: name -> class, made on first use, because each loads its provider's module.
_NAMED = {
    "GradientGitHubOAuthenticator": "oauthenticator.github.GitHubOAuthenticator",
    "GradientGoogleOAuthenticator": "oauthenticator.google.GoogleOAuthenticator",
    "GradientGitLabOAuthenticator": "oauthenticator.gitlab.GitLabOAuthenticator",
    "GradientAzureAdOAuthenticator": "oauthenticator.azuread.AzureAdOAuthenticator",
    "GradientGenericOAuthenticator": "oauthenticator.generic.GenericOAuthenticator",
    "GradientSharedPasswordAuthenticator": (
        "jupyterhub.authenticators.shared.SharedPasswordAuthenticator"
    ),
}


def __getattr__(name: str) -> type[Authenticator]:
    if name not in _NAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from traitlets import import_item  # noqa: PLC0415 - only this road needs it

    cls: type[Authenticator] = import_item(_NAMED[name])
    return with_tiers(cls)
