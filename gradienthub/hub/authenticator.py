"""with_tiers(Any): any authenticator, with the facts that a tier is resolved from."""

from collections.abc import Mapping
from json import dumps
from typing import Any
from urllib.parse import urlparse

from jupyterhub.auth import Authenticator

from ..ledger import LedgerAway, accounts
from ..ledger.accounts import LONGEST_CLAIMS, Subject
from ..spawners.context import HubContext, hub_user
from . import startup

#: Where providers put what never changes about a person; the first one found counts.
SUBJECT_KEYS = ("oid", "sub", "id", "user_id", "uid")


class TiersMixin(Authenticator):
    """Left of any authenticator: records facts at login and refresh, and brings our handlers.

    Changes nothing of what the authenticator decides: groups, admin and auth_state pass as they
    are, with manage_groups and enable_auth_state on or off.
    """

    async def run_post_auth_hook(self, handler: Any, auth_model: Any) -> Any:
        """The last step of every login, after the allow checks and the deployer's own hook."""
        model = await super().run_post_auth_hook(handler, auth_model)
        if model:
            await self._record(model)
        return model

    async def refresh_user(self, user: Any, handler: Any = None, **kwargs: Any) -> Any:
        """Facts again whenever the authenticator has new ones; its answer passes as it is."""
        refreshed = await super().refresh_user(user, handler, **kwargs)
        if isinstance(refreshed, dict):
            await self._record({"name": user.name, **refreshed})
        return refreshed

    async def _record(self, model: Mapping[str, Any]) -> None:
        context = HubContext.of(self.config)
        info = self._provider_info(model)
        wanted = {rule.claim.split(".", 1)[0] for rule in context.settings.tier_rules.by_claim}
        claims = {key: info[key] for key in wanted if key in info}
        if len(dumps(claims, default=str)) > LONGEST_CLAIMS:
            self.log.warning("The claims of %r are too large and are not used", model["name"])
            claims = {}
        try:
            await context.ledger.awrite(
                accounts.record_login,
                hub_id=context.settings.hub_id,
                name=model["name"],
                who=self._subject(info),
                groups=model.get("groups"),
                claims=claims,
                now=context.clock(),
            )
        except LedgerAway as away:
            # A login must not depend on the ledger; the facts of the login before still stand.
            self.log.warning("The ledger is away; facts of %r are not stored: %s", model["name"], away)

    def _provider_info(self, model: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the provider said of the person: OAuthenticator's user info, else the auth_state."""
        state = model.get("auth_state")
        if not isinstance(state, Mapping):
            return {}
        info = state.get(getattr(self, "user_auth_state_key", ""), state)
        return info if isinstance(info, Mapping) else {}

    def _subject(self, info: Mapping[str, Any]) -> Subject:
        """The provider and its stable word for this person; a name or an address is neither."""
        provider = next(
            cls.__name__
            for cls in type(self).__mro__
            if cls is not TiersMixin and not issubclass(cls, TiersMixin)
        )
        # Two providers of one class (generic OAuth) may both call somebody "1".
        if host := urlparse(str(getattr(self, "token_url", "") or "")).hostname:
            provider = f"{provider}@{host}"
        subject = next((str(info[key]) for key in SUBJECT_KEYS if info.get(key)), "")
        return Subject(provider[:64], subject[:255])

    async def delete_user(self, user: Any) -> Any:
        """The account of a deleted user is closed: a later one of the same name is somebody new."""
        context = HubContext.of(self.config)
        try:
            await context.ledger.awrite(
                accounts.close_user,
                hub_id=context.settings.hub_id,
                user=hub_user(user),
                now=context.clock(),
            )
        except LedgerAway as away:
            self.log.warning("The ledger is away; %r is closed later: %s", user.name, away)
        result = super().delete_user(user)
        return await result if hasattr(result, "__await__") else result

    def get_handlers(self, app: Any) -> list[Any]:
        """Ours come before the hub's own, so that they may stand in for them.

        The hub calls this once while it starts, inside its loop: the one place where a plugin
        sees the app. So the start-up check and the reconciler begin here.
        """
        handlers = [*super().get_handlers(app)]
        if not hasattr(app, "gradienthub_started"):
            app.gradienthub_started = True
            handlers += startup.begin(app)
        return handlers


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
    "GradientSharedPasswordAuthenticator": "jupyterhub.authenticators.shared.SharedPasswordAuthenticator",
}


def __getattr__(name: str) -> Any:
    if name not in _NAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from traitlets import import_item  # noqa: PLC0415 - only this road needs it

    return with_tiers(import_item(_NAMED[name]))
