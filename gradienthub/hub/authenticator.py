"""with_tiers(Any): any authenticator, with the facts that a tier is resolved from."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from hashlib import sha256
from json import dumps
from typing import Any
from urllib.parse import urlparse

from jupyterhub.auth import Authenticator
from traitlets import Bool, Dict

from ..ledger import LedgerAway, accounts
from ..ledger.accounts import LONGEST_CLAIMS, Subject
from ..rules.tiers import ClaimRule
from ..spawners.context import HubContext, hub_user
from . import startup

#: Where providers put what never changes about a person; the first one found counts.
SUBJECT_KEYS = ("oid", "sub", "id", "user_id", "uid")
#: Characters of all group names together; a person in a thousand groups stays below it.
LONGEST_GROUPS = 64_000
#: Seconds between two tries to write what the ledger could not take.
TRY_AGAIN = 1.0


class TiersMixin(Authenticator):
    """Left of any authenticator: records facts at login and refresh, and brings our handlers.

    Changes nothing of what the authenticator decides: groups, admin and auth_state pass as they
    are, with manage_groups and enable_auth_state on or off.
    """

    # What waits for the ledger, by user name; the newest word about a person counts.
    _waiting = Dict()
    _catching_up = Bool(False)

    async def run_post_auth_hook(self, handler: Any, auth_model: Any) -> Any:
        """The last step of every login, after the allow checks and the deployer's own hook."""
        model = await super().run_post_auth_hook(handler, auth_model)
        if model:
            # A deployer's hook may return a bare name, as the hub allows.
            said = model if isinstance(model, Mapping) else {"name": model, "auth_state": None}
            name = said["name"]
            await self._record("login", name, said, handler and handler.find_user(name))
        return model

    async def refresh_user(self, user: Any, handler: Any = None, **kwargs: Any) -> Any:
        """Facts again whenever the authenticator has new ones; its answer passes as it is."""
        refreshed = await super().refresh_user(user, handler, **kwargs)
        if isinstance(refreshed, Mapping):
            # The name in the answer is the provider's, and no longer the hub's after a rename.
            await self._record("refresh", user.name, refreshed, user)
        return refreshed

    async def _record(self, what: str, name: str, said: Mapping[str, Any], user: Any) -> None:
        facts, what = self._facts(name, said), f"the {what} of {name!r}"
        if user is None:
            await self._tell(name, what, accounts.record_login, name=name, **facts)
        else:
            await self._tell(name, what, accounts.take_login, user=hub_user(user), **facts)

    async def _tell(self, key: str, what: str, function: Callable[..., Any], **values: Any) -> None:
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
            write: Callable[[], Awaitable[Any]] = self._waiting.pop(key)
            try:
                await write()
            except LedgerAway:
                self._waiting.setdefault(key, write)
                return

    def _facts(self, name: str, said: Mapping[str, Any]) -> dict[str, Any]:
        """What the ledger keeps of an auth model; None where it says nothing new."""
        info = self._provider_info(said)
        claims = self._claims(name, info) if "auth_state" in said else None
        return {"who": self._subject(info), "groups": self._groups(name, said), "claims": claims}

    def _provider_info(self, model: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the provider said of the person: OAuthenticator's user info, else the auth_state."""
        state = model.get("auth_state")
        if not isinstance(state, Mapping):
            return {}
        info = state.get(getattr(self, "user_auth_state_key", ""), state)
        return info if isinstance(info, Mapping) else {}

    def _groups(self, name: str, model: Mapping[str, Any]) -> list[str] | None:
        groups = model.get("groups")
        if groups is None:
            return None
        if not isinstance(groups, Collection) or isinstance(groups, str | bytes):
            self.log.warning("The groups of %r are not a list and are not used", name)
            return []
        names = sorted({group for group in groups if isinstance(group, str)})
        if sum(map(len, names)) > LONGEST_GROUPS:
            self.log.warning("The groups of %r are too many and are not used", name)
            return []
        return names

    def _claims(self, name: str, info: Mapping[str, Any]) -> dict[str, Any]:
        """What tier_rules name, and no neighbour of it: a token may lie beside a claim."""
        rules = HubContext.of(self.config).settings.tier_rules.by_claim
        claims = _named(info, rules, lambda claim, value: True)
        if len(dumps(claims)) > LONGEST_CLAIMS:
            self.log.warning("The claims of %r are long; only what tier_rules match is kept", name)
            values = {(rule.claim, rule.value) for rule in rules}
            claims = _named(info, rules, lambda claim, value: (claim, value) in values)
        return claims

    def _subject(self, info: Mapping[str, Any]) -> Subject:
        """The provider and its stable word for this person; a name or an address is neither."""
        mro = type(self).__mro__
        # What stands right of the mixin; left of it a deployer or MultiAuthenticator adds others.
        provider = mro[mro.index(TiersMixin) + 1].__name__
        # Two providers of one class (generic OAuth) may both call somebody "1".
        if host := urlparse(str(getattr(self, "token_url", "") or "")).hostname:
            provider = f"{provider}@{host}"
        words = (info.get(key) for key in SUBJECT_KEYS)
        usable = (str(w) for w in words if _plain(w) and not isinstance(w, bool) and w != "")
        subject = next(usable, "")
        return Subject(_bounded(provider, 64), _bounded(subject, 255))

    async def note_name(self, user: Any) -> None:
        """The account of a renamed user takes the new name."""
        what = f"the new name of {user.name!r}"
        await self._tell(f"name {user.id}", what, accounts.account_of, user=hub_user(user))

    async def delete_user(self, user: Any) -> Any:
        """The account of a deleted user is closed: a later one of the same name is somebody new."""
        self._waiting.pop(user.name, None)
        what = f"the deletion of {user.name!r}"
        await self._tell(f"gone {user.id}", what, accounts.close_user, user=hub_user(user))
        result = super().delete_user(user)
        return await result if hasattr(result, "__await__") else result

    def get_handlers(self, app: Any) -> list[Any]:
        """Ours come before the hub's own, so that they may stand in for them.

        The hub calls this once while it starts, inside its loop: the one place where a plugin
        sees the app. So the start-up check and the reconciler begin here.
        """
        handlers = [*super().get_handlers(app)]
        # A part of MultiAuthenticator is asked too, and would put ours below its own prefix.
        if app.authenticator is self:
            handlers += startup.begin(app)
        return handlers


def _named(
    info: Mapping[str, Any],
    rules: Collection[ClaimRule],
    wanted: Callable[[str, Any], bool],
) -> dict[str, Any]:
    """The claims at the rules' paths, in the provider's shape, where a rule could match them.

    Only words, whole numbers, yes and no, and lists of these: whatever else a provider sends,
    however deep, is not even looked at.
    """
    claims: dict[str, Any] = {}
    for rule in rules:
        *parents, leaf = rule.claim.split(".")
        beside: Any = info
        into = claims
        for parent in parents:
            beside = beside.get(parent) if isinstance(beside, Mapping) else None
        found = beside.get(leaf) if isinstance(beside, Mapping) else None
        if isinstance(found, list | tuple | set | frozenset):
            found = [value for value in found if _plain(value) and wanted(rule.claim, value)]
        elif not (_plain(found) and wanted(rule.claim, found)):
            continue
        for parent in parents:
            into = into.setdefault(parent, {})
        into[leaf] = found
    return claims


def _plain(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and abs(value) < 2**63)


def _bounded(word: str, length: int) -> str:
    """The word as every database takes it; a longer one ends in its hash, to stay itself."""
    word = word.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
    if len(word) <= length:
        return word
    return f"{word[: length - 17]}~{sha256(word.encode()).hexdigest()[:16]}"


_made: dict[type, type] = {}


def with_tiers(authenticator: type) -> type:
    """The same authenticator with tiers: `c.JupyterHub.authenticator_class = with_tiers(MyOne)`.

    The new class keeps its name behind "Gradient" and reads the old one's configuration. Wrapping
    twice gives the same class.
    """
    if issubclass(authenticator, TiersMixin):
        return authenticator
    if authenticator not in _made:
        _made[authenticator] = type(
            f"Gradient{authenticator.__name__}",
            (TiersMixin, authenticator),
            {"__module__": __name__, "__doc__": f"{authenticator.__name__} with tiers."},
        )
    return _made[authenticator]


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


def __getattr__(name: str) -> Any:
    if name not in _NAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from traitlets import import_item  # noqa: PLC0415 - only this road needs it

    return with_tiers(import_item(_NAMED[name]))
