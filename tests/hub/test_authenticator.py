"""Who a person is to us: any authenticator with tiers, what it tells the ledger, and rule 5 of
identity: somebody new never inherits.
"""

import copy
import logging
import pwd
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import entry_points
from typing import Any

import pytest
from home import Browser, Home
from jupyterhub.auth import Authenticator, DummyAuthenticator, PAMAuthenticator
from jupyterhub.authenticators.shared import SharedPasswordAuthenticator
from jupyterhub.crypto import CryptKeeper
from oauth_provider import Provider
from oauthenticator.generic import GenericOAuthenticator
from oauthenticator.github import GitHubOAuthenticator
from sqlalchemy import select
from traitlets.config import Config
from yarl import URL

import gradienthub
from gradienthub.clock import system_clock
from gradienthub.hub import authenticator as module
from gradienthub.hub import wiring
from gradienthub.hub.authenticator import TiersMixin, with_tiers
from gradienthub.ledger import Ledger, accounts, audit, database, findings
from gradienthub.ledger.accounts import HubUser, NoSuchAccount, Subject
from gradienthub.ledger.schema import accounts as every
from gradienthub.ledger.schema import identities, logins, notebooks
from gradienthub.settings import Settings
from gradienthub.spawners.context import HubContext, hub_user

#: A tier by group, by a claim, and by a claim further inside.
RULES: dict[str, Any] = {
    "default": "free",
    "by_group": {"pros": "pro"},
    "by_claim": [
        {"claim": "plan", "value": "flat", "tier": "flat"},
        {"claim": "realm.roles", "value": "gpu", "tier": "pro"},
    ],
}


@pytest.fixture
def clock() -> Callable[[], datetime]:
    """The hub stamps its users with the real time, and logins are compared with that."""
    return system_clock


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    """An identity provider on loopback."""
    async with Provider() as provider:
        yield provider


@pytest.fixture
def auth_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The key with which the hub encrypts auth_state, for hubs that enable it."""
    CryptKeeper.clear_instance()
    monkeypatch.setenv("JUPYTERHUB_CRYPT_KEY", secrets.token_hex(32))
    yield
    CryptKeeper.clear_instance()


# -- a person at a browser, and what the house then knows -----------------------------------------


class Visitor(Browser):
    """A browser that goes to the provider and back as a person's does."""

    async def __aenter__(self) -> "Visitor":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def sign_in(self, below: str = "") -> int:
        """Hub, provider, callback; the status of the callback, which is 302 for a success."""
        away = await self.get(f"{below}/oauth_login")
        assert away.status == 302, away.text
        to_provider = URL(away.headers["Location"], encoded=True)
        async with self._session.get(to_provider, allow_redirects=False) as response:
            assert response.status == 302, await response.text()
            back = response.headers["Location"]
        assert back.startswith(self.home.url(f"{below}/oauth_callback"))
        return (await self.get(back.removeprefix(self.home.url("")))).status

    async def open(self, page: str = "/token") -> tuple[int, str]:
        """Status of a page of the hub, and where it sends the visitor on to."""
        said = await self.get(page)
        return said.status, said.headers.get("Location", "")


async def sign_in(home: Home) -> None:
    """Whoever sits at the provider's browser signs in, and leaves."""
    async with Visitor(home) as visitor:
        assert await visitor.sign_in() == 302


async def end(home: Home) -> None:
    """The hub ends in order; its data may be changed before it starts again."""
    # A connection that was kept alive to the hub before would wait for an answer for ever.
    assert home._session is not None
    await home._session.close()
    home._session = None
    await home.shut_down()


async def restart(home: Home) -> None:
    """The hub starts again on the same data, with what the configuration says now."""
    await end(home)
    await home.start()


async def refresh(home: Home, visitor: Visitor, name: str) -> tuple[int, str]:
    """The visitor comes back after the time for which the hub believes a login."""
    home.app.users[name]._auth_refreshed = None
    return await visitor.open()


@dataclass(frozen=True)
class Standing:
    """What the house knows and grants of somebody."""

    account: str
    tier: str
    given_by: str
    groups: frozenset[str]
    claims: dict[str, Any]
    approvals: frozenset[str]
    notebooks: frozenset[str]
    provider: str
    subject: str


async def standing(home: Home, name: str) -> Standing:
    """What admission would find of this hub user, now."""
    user = home.app.users[name]
    groups = frozenset(group.name for group in user.groups)
    return await home.context.ledger.awrite(
        _standing, home.settings, hub_user(user), groups, home.clock()
    )


def _standing(
    tx: Any, settings: Settings, user: HubUser, groups: frozenset[str], now: datetime
) -> Standing:
    account = accounts.account_of(tx, hub_id=settings.hub_id, user=user, now=now)
    allowance = accounts.allowance_of(
        tx,
        account,
        groups=groups,
        tiers=settings.house.tiers,
        rules=settings.tier_rules,
        now=now,
    )
    identity = tx.execute(
        select(identities).where(
            identities.c.account_id == account.id,
            identities.c.hub_user_id == user.id,
            identities.c.replaced_at.is_(None),
        )
    ).one()
    mine = select(notebooks.c.id).where(notebooks.c.account_id == account.id)
    return Standing(
        account=account.id,
        tier=allowance.tier.name,
        given_by=allowance.given_by,
        groups=account.groups,
        claims=dict(account.claims),
        approvals=allowance.approvals,
        notebooks=frozenset(tx.execute(mine).scalars()),
        provider=identity.provider,
        subject=identity.subject,
    )


async def with_possessions(home: Home, name: str) -> Standing:
    """Somebody with a tier of their own, an approval and a notebook; nothing runs any more."""
    await home.grant(name, "pro", approved=("a100",))
    assert (await home.start_server(name)).status == 201
    assert (await home.api("DELETE", f"/users/{name}/server")).status == 204
    has = await standing(home, name)
    assert (has.tier, has.given_by) == ("pro", "ada")
    assert has.approvals and has.notebooks
    return has


async def inherits_nothing(home: Home, name: str, before: Standing) -> Standing:
    """Assert it, also by a start: the notebook and so its folder is another."""
    has = await standing(home, name)
    assert has.account != before.account
    assert (has.tier, has.given_by) == ("free", "default")
    assert (has.approvals, has.notebooks) == (frozenset(), frozenset())
    assert (await home.start_server(name)).status == 201
    lease = await home.lease_of(name)
    assert lease is not None
    assert lease["notebook_id"] not in before.notebooks
    assert (await home.api("DELETE", f"/users/{name}/server")).status == 204
    return has


async def lose_the_user_table(home: Home) -> None:
    """The hub's own database is gone; the ledger and what the engine runs are not."""
    await end(home)
    (home.folder / "jupyterhub.sqlite").unlink()
    await home.start()


async def open_accounts(home: Home) -> list[str]:
    """Ids of all accounts that are not closed."""
    everyone = await home.context.ledger.aread(accounts.list_accounts, hub_id=home.settings.hub_id)
    return [account.id for account in everyone]


def client_of(provider: Provider, c: Config) -> dict[str, Any]:
    """What an operator writes into the section of an authenticator at this provider."""
    return provider.traits | {"oauth_callback_url": f"{c.JupyterHub.bind_url}hub/oauth_callback"}


def generic(provider: Provider, **more: Any) -> Callable[[Config], None]:
    """The configuration of a hub behind this provider."""

    def changes(c: Config) -> None:
        c.JupyterHub.authenticator_class = "gradient-generic-oauth"
        c.GenericOAuthenticator.username_claim = "preferred_username"
        for name, value in (client_of(provider, c) | more).items():
            c.GenericOAuthenticator[name] = value

    return changes


class Scripted(Authenticator):
    """An authenticator that says what the test wrote down."""

    said: Any = None
    refreshed: Any = True

    async def authenticate(self, handler: Any, data: dict[str, str]) -> Any:
        """What was written, or the bare name."""
        return copy.deepcopy(self.said) or data["username"]

    async def refresh_user(self, user: Any, handler: Any = None, **kwargs: Any) -> Any:
        """What was written."""
        return self.refreshed


def scripted(**said: Any) -> type[Scripted]:
    """A class of its own for each test, so that none leaves its words to the next."""
    return type("Scripted", (Scripted,), said)


def behind(cls: type[Authenticator], **traits: Any) -> Callable[[Config], None]:
    """The configuration of a hub with this authenticator."""

    def changes(c: Config) -> None:
        c.JupyterHub.authenticator_class = cls
        for name, value in traits.items():
            c.Authenticator[name] = value

    return changes


# -- every authenticator ------------------------------------------------------------------------


async def test_dummy_logins_get_an_account_with_the_default_tier(hub):
    home = await hub(tier_rules=RULES)
    await home.browser("anna")
    has = await standing(home, "anna")
    assert (has.provider, has.subject) == ("DummyAuthenticator", "")
    assert (has.tier, has.given_by) == ("free", "default")


async def test_a_shared_password_lets_people_in_and_the_admin_by_the_other(hub):
    def changes(c: Config) -> None:
        c.JupyterHub.authenticator_class = "gradient-shared-password"
        c.SharedPasswordAuthenticator.user_password = "for everybody"
        c.SharedPasswordAuthenticator.admin_password = "for the administrator, and longer"

    home = await hub(changes)
    browser = Browser(home)
    try:
        await browser.get("/login")
        wrong = await browser.post("/login", {"username": "anna", "password": "guessed"})
        assert wrong.status == 403
        right = await browser.post("/login", {"username": "anna", "password": "for everybody"})
        assert right.status == 302
    finally:
        await browser.close()
    has = await standing(home, "anna")
    assert (has.provider, has.subject) == ("SharedPasswordAuthenticator", "")


def test_pam_with_tiers_reads_the_section_of_pam():
    made = with_tiers(PAMAuthenticator)
    assert (made.__name__, made.__mro__[1:3]) == (
        "GradientPAMAuthenticator",
        (TiersMixin, PAMAuthenticator),
    )
    assert made(config=Config({"PAMAuthenticator": {"service": "sshd"}})).service == "sshd"


async def test_system_users_log_in_by_pam_with_tiers(hub, monkeypatch):
    # The wire to libpam is the one thing that is not there in a test.
    monkeypatch.setattr("jupyterhub.auth.pamela.authenticate", lambda *a, **kw: None)
    monkeypatch.setattr("jupyterhub.auth.pamela.check_account", lambda *a, **kw: None)
    monkeypatch.setattr("jupyterhub.auth.pamela.open_session", lambda *a, **kw: None)
    home = await hub(behind(PAMAuthenticator, admin_users=set()))
    name = pwd.getpwall()[0].pw_name
    await home.browser(name)
    assert (await standing(home, name)).provider == "PAMAuthenticator"


def test_wrapping_twice_changes_nothing():
    once = with_tiers(DummyAuthenticator)
    assert with_tiers(once) is once is with_tiers(DummyAuthenticator)


def test_a_deployers_own_subclass_keeps_its_tiers():
    class Ours(with_tiers(GitHubOAuthenticator)):
        pass

    assert with_tiers(Ours) is Ours


def test_every_entry_point_is_its_authenticator_with_tiers():
    mine = {
        point.name: point.load()
        for point in entry_points(group="jupyterhub.authenticators")
        if point.name.startswith("gradient-")
    }
    assert {name: cls.__name__ for name, cls in mine.items()} == {
        "gradient-github": "GradientGitHubOAuthenticator",
        "gradient-google": "GradientGoogleOAuthenticator",
        "gradient-gitlab": "GradientGitLabOAuthenticator",
        "gradient-azuread": "GradientAzureAdOAuthenticator",
        "gradient-generic-oauth": "GradientGenericOAuthenticator",
        "gradient-shared-password": "GradientSharedPasswordAuthenticator",
    }
    for cls in mine.values():
        assert issubclass(cls, TiersMixin)
        assert getattr(module, cls.__name__) is cls
    assert mine["gradient-shared-password"] is gradienthub.with_tiers(SharedPasswordAuthenticator)


def test_a_name_that_no_entry_point_has_is_an_attribute_error():
    with pytest.raises(AttributeError, match="GradientMyspaceOAuthenticator"):
        module.GradientMyspaceOAuthenticator  # noqa: B018 - looking is the test


# -- the providers ------------------------------------------------------------------------------

PROVIDERS = {
    "gradient-github": (
        "GitHubOAuthenticator",
        {"login": "anna", "id": 4711, "email": "anna@acme.example"},
        "4711",
    ),
    "gradient-google": (
        "GoogleOAuthenticator",
        {"email": "anna", "verified_email": True, "id": "1040302"},
        "1040302",
    ),
    "gradient-gitlab": ("GitLabOAuthenticator", {"username": "anna", "id": 12}, "12"),
    "gradient-azuread": (
        "AzureAdOAuthenticator",
        {"name": "anna", "oid": "6f1c-oid", "sub": "pairwise-sub"},
        "6f1c-oid",
    ),
    "gradient-generic-oauth": (
        "GenericOAuthenticator",
        {"preferred_username": "anna", "sub": "b7e9"},
        "b7e9",
    ),
}


@pytest.mark.parametrize("keeps_auth_state", [False, True], ids=["no auth state", "auth state"])
@pytest.mark.parametrize("entry_point", PROVIDERS)
async def test_people_of_each_provider_sign_in_and_their_claims_give_a_tier(
    hub, provider, auth_state, entry_point, keeps_auth_state
):
    section, info, subject = PROVIDERS[entry_point]
    name = "anna"
    if entry_point == "gradient-google":
        name = info["email"] = "anna@acme.example"

    def changes(c: Config) -> None:
        c.JupyterHub.authenticator_class = entry_point
        c.Authenticator.enable_auth_state = keeps_auth_state
        for trait, value in client_of(provider, c).items():
            # AzureAD reads the id token; it has a userdata_url all the same.
            c[section][trait] = value
        if section == "GenericOAuthenticator":
            c[section].username_claim = "preferred_username"

    home = await hub(changes, tier_rules=RULES)
    provider.person("anna", **info, plan="flat", shoe_size=39, address={"city": "Bonn"})
    await sign_in(home)

    has = await standing(home, name)
    assert has.provider == f"{section}@127.0.0.1"
    assert has.subject == subject
    assert has.claims == {"plan": "flat"}, "only what the tier rules name is kept"
    assert (has.tier, has.given_by) == ("flat", "claim plan")
    kept = await home.app.users[name].get_auth_state()
    assert (kept is not None) is keeps_auth_state
    if kept:
        assert kept["access_token"] in provider.secrets


async def test_the_sign_in_proves_itself_with_pkce_and_the_clients_secret(hub, provider):
    provider.person("anna", preferred_username="anna", sub="1")
    home = await hub(generic(provider, client_secret="another"))
    async with Visitor(home) as visitor:
        # The provider's refusal; no session, no user, no account.
        assert await visitor.sign_in() != 302
        assert (await visitor.open())[1].split("?")[0].endswith("/hub/login")
    assert "anna" not in home.app.users
    assert await open_accounts(home) == []


async def test_the_wrapped_class_reads_its_own_section_too(hub, provider):
    def changes(c: Config) -> None:
        generic(provider)(c)
        c.GradientGenericOAuthenticator.username_claim = "nickname"

    home = await hub(changes)
    provider.person("anna", preferred_username="no", nickname="anna", sub="1")
    await sign_in(home)
    assert (await standing(home, "anna")).subject == "1"


async def test_two_providers_of_one_class_are_two_providers(hub, provider):
    async with Provider("127.0.0.2") as second:
        one = with_tiers(GenericOAuthenticator)(token_url=f"{provider.url}/token")
        other = with_tiers(GenericOAuthenticator)(token_url=f"{second.url}/token")
    assert one._subject({"sub": "1"}) != other._subject({"sub": "1"})


def test_providers_with_long_addresses_stay_different_ones():
    long = "https://" + "login." * 12
    one = with_tiers(GenericOAuthenticator)(token_url=f"{long}alpha.example/token")
    other = with_tiers(GenericOAuthenticator)(token_url=f"{long}beta.example/token")
    assert len(one._subject({}).provider) == 64
    assert one._subject({}) != other._subject({})


# -- facts ----------------------------------------------------------------------------------------


async def test_a_refresh_brings_new_facts(hub, provider, auth_state):
    home = await hub(generic(provider, enable_auth_state=True), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1", plan="flat")
    async with Visitor(home) as visitor:
        await visitor.sign_in()
        assert (await standing(home, "anna")).tier == "flat"
        provider.person("anna", preferred_username="anna", sub="1", realm={"roles": ["gpu"]})
        assert await refresh(home, visitor, "anna") == (200, "")
    has = await standing(home, "anna")
    assert has.claims == {"realm": {"roles": ["gpu"]}}
    assert (has.tier, has.given_by) == ("pro", "claim realm.roles")
    assert has.subject == "1"


async def test_an_expired_token_is_renewed_and_the_facts_still_come(hub, provider, auth_state):
    home = await hub(generic(provider, enable_auth_state=True), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1")
    async with Visitor(home) as visitor:
        await visitor.sign_in()
        provider.expire_access_tokens()
        provider.person("anna", preferred_username="anna", sub="1", plan="flat")
        assert (await refresh(home, visitor, "anna"))[0] == 200
    assert "token: refresh_token" in provider.asked
    assert (await standing(home, "anna")).tier == "flat"


async def test_whoever_signed_out_at_the_provider_signs_in_again_and_keeps_their_facts(
    hub, provider, auth_state
):
    home = await hub(generic(provider, enable_auth_state=True), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1", plan="flat")
    async with Visitor(home) as visitor:
        await visitor.sign_in()
        before = await standing(home, "anna")
        provider.revoke_everything()
        status, where = await refresh(home, visitor, "anna")
        assert (status, where.split("?")[0].rsplit("/", 1)[1]) == (302, "login")
        assert await standing(home, "anna") == before
        await visitor.sign_in()
    assert await standing(home, "anna") == before


async def test_without_auth_state_the_facts_of_the_login_stand(hub, provider):
    home = await hub(generic(provider), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1", plan="flat")
    async with Visitor(home) as visitor:
        await visitor.sign_in()
        asked = len(provider.asked)
        provider.person("anna", preferred_username="anna", sub="1")
        assert (await refresh(home, visitor, "anna"))[0] == 200
    assert len(provider.asked) == asked, "nothing to refresh with"
    assert (await standing(home, "anna")).tier == "flat"


async def test_a_login_that_no_longer_has_a_claim_takes_its_tier_away(hub, provider):
    home = await hub(generic(provider), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1", plan="flat")
    await sign_in(home)
    assert (await standing(home, "anna")).tier == "flat"
    provider.person("anna", preferred_username="anna", sub="1")
    await sign_in(home)
    has = await standing(home, "anna")
    assert (has.claims, has.tier, has.given_by) == ({}, "free", "default")


async def test_a_refresh_of_groups_alone_leaves_claims_and_subject_as_they_are(hub):
    said = {"name": "anna", "auth_state": {"sub": "1", "plan": "flat"}}
    cls = scripted(said=said, refreshed={"groups": ["readers"]})
    home = await hub(behind(cls, manage_groups=False), tier_rules=RULES)
    browser = await home.browser("anna")
    home.app.users["anna"]._auth_refreshed = None
    assert (await browser.get("/token")).status == 200
    has = await standing(home, "anna")
    assert has.groups == {"readers"}
    assert (has.claims, has.subject, has.tier) == ({"plan": "flat"}, "1", "flat")


async def test_a_refresh_of_a_renamed_user_is_theirs_and_not_of_their_old_name(
    hub, provider, auth_state
):
    home = await hub(generic(provider, enable_auth_state=True), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1")
    async with Visitor(home) as visitor:
        await visitor.sign_in()
        await home.api("PATCH", "/users/anna", {"name": "annabel"})
        provider.person("anna", preferred_username="anna", sub="1", plan="flat")
        assert (await refresh(home, visitor, "annabel"))[0] == 200
    assert (await standing(home, "annabel")).tier == "flat"


async def test_a_claim_is_kept_without_its_neighbours(hub):
    token = secrets.token_hex(16)
    state = {"realm": {"roles": ["gpu"], "token": token}, "access_token": token}
    home = await hub(behind(scripted(said={"name": "anna", "auth_state": state})), tier_rules=RULES)
    await home.browser("anna")
    assert (await standing(home, "anna")).claims == {"realm": {"roles": ["gpu"]}}


# -- the model passes as it is ------------------------------------------------------------------


@pytest.fixture
async def house(make_settings: Callable[..., Settings]) -> AsyncIterator[HubContext]:
    """What an authenticator finds around itself, without a hub."""
    context = HubContext(make_settings(tier_rules=RULES))
    context.ledger.upgrade()
    HubContext.put(context)
    yield context
    HubContext.put(None)
    await context.close()


MODELS = {
    "a bare name": "Anna",
    "a name alone": {"name": "Anna"},
    "with groups": {"name": "Anna", "groups": ["b", "a"], "admin": True},
    "with None for groups": {"name": "Anna", "groups": None, "admin": False},
    "with no groups": {"name": "Anna", "groups": []},
    "with a set of groups": {"name": "Anna", "groups": {"b", "a"}},
    "with everything": {
        "name": "Anna",
        "admin": None,
        "groups": ["a"],
        "roles": [{"name": "x"}],
        "auth_state": {"plan": "flat", "realm": {"roles": ("gpu",)}, "bytes": b"\0"},
        "user_info": {"mail": "anna@acme.example"},
        "unknown": object,
    },
}


@pytest.mark.parametrize("managed", [False, True], ids=["groups by the hub", "groups managed"])
@pytest.mark.parametrize("words", MODELS)
async def test_the_hub_gets_what_the_authenticator_said(house, words, managed):
    traits = {"allow_all": True, "manage_groups": managed}
    cls = scripted(said=MODELS[words])
    alone = await cls(**traits).get_authenticated_user(None, {"username": "x"})
    tiered = await with_tiers(cls)(**traits).get_authenticated_user(None, {"username": "x"})
    assert tiered == alone
    assert tiered["name"] == "anna"


async def test_the_deployers_hook_comes_first_and_its_word_is_recorded(house):
    async def renames(authenticator: Any, handler: Any, model: dict[str, Any]) -> dict[str, Any]:
        return {**model, "name": "renamed", "groups": ["pros"]}

    made = with_tiers(scripted())(allow_all=True, post_auth_hook=renames)
    model = await made.get_authenticated_user(None, {"username": "anna"})
    assert model["name"] == "renamed"
    rows = await house.ledger.aread(lambda tx: tx.execute(select(logins)).all())
    assert [(row.name, row.groups) for row in rows] == [("renamed", ["pros"])]


@pytest.mark.parametrize("said", [None, "bare"])
async def test_a_hook_that_returns_no_model_is_treated_as_the_hub_does(house, said):
    made = with_tiers(scripted())(allow_all=True, post_auth_hook=lambda *_: said)
    assert await made.get_authenticated_user(None, {"username": "anna"}) == said


async def test_whoever_is_not_allowed_leaves_no_facts(house):
    made = with_tiers(scripted())(allowed_users={"ada"})
    assert await made.get_authenticated_user(None, {"username": "mallory"}) is None
    assert await house.ledger.aread(lambda tx: tx.execute(select(logins)).all()) == []


@dataclass
class FakeUser:
    """A hub user, as far as a refresh looks at one."""

    id: int
    name: str
    created: datetime
    groups: tuple = ()


@pytest.mark.parametrize(
    "said", [True, False, {}, {"admin": True}, {"name": "x", "groups": ["a"], "auth_state": None}]
)
async def test_what_a_refresh_says_passes_as_it_is(house, said):
    user = FakeUser(1, "anna", system_clock().replace(tzinfo=None))
    made = with_tiers(scripted(refreshed=said))()
    before = copy.deepcopy(said)
    assert await made.refresh_user(user, None) is said
    assert said == before


# -- groups ---------------------------------------------------------------------------------------


async def test_managed_groups_reach_the_hub_and_give_a_tier(hub, provider):
    changes = generic(provider, manage_groups=True)
    home = await hub(changes, tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1", groups=["pros", "readers"])
    await sign_in(home)
    assert {group.name for group in home.app.users["anna"].groups} == {"pros", "readers"}
    has = await standing(home, "anna")
    assert has.groups == {"pros", "readers"}
    assert (has.tier, has.given_by) == ("pro", "group pros")

    provider.person("anna", preferred_username="anna", sub="1", groups=["readers"])
    await sign_in(home)
    assert {group.name for group in home.app.users["anna"].groups} == {"readers"}
    assert (await standing(home, "anna")).tier == "free"


async def test_none_for_groups_leaves_them_to_the_administrator(hub):
    cls = scripted(said={"name": "anna", "groups": ["pros"]})
    home = await hub(behind(cls, manage_groups=True), tier_rules=RULES)
    await home.browser("anna")
    cls.said = {"name": "anna", "groups": None}
    await home.browser("anna")
    assert {group.name for group in home.app.users["anna"].groups} == {"pros"}
    has = await standing(home, "anna")
    assert (has.groups, has.tier) == ({"pros"}, "pro")


async def test_groups_that_an_administrator_gives_in_the_hub_give_a_tier(hub):
    home = await hub(tier_rules=RULES)
    await home.browser("anna")
    await home.api("POST", "/groups/pros", {"users": ["anna"]})
    has = await standing(home, "anna")
    assert (has.groups, has.tier, has.given_by) == (frozenset(), "pro", "group pros")


async def test_managed_groups_without_a_word_of_groups_stay_the_hubs_own_fault(hub):
    home = await hub(behind(scripted(said={"name": "anna"}), manage_groups=True))
    browser = Browser(home)
    try:
        await browser.get("/login")
        said = await browser.post("/login", {"username": "anna", "password": "any"})
    finally:
        await browser.close()
    assert said.status == 500, "as without tiers: the hub says what is wrong in its log"


async def test_a_tier_of_ones_own_beats_group_and_claim_and_says_who_gave_it(hub, provider):
    home = await hub(generic(provider, manage_groups=True), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1", groups=["pros"], plan="flat")
    await sign_in(home)
    has = await standing(home, "anna")
    assert (has.tier, has.given_by) == ("pro", "group pros"), "a group beats a claim"
    await home.grant("anna", "free")
    has = await standing(home, "anna")
    assert (has.tier, has.given_by) == ("free", "ada")
    await sign_in(home)
    assert (await standing(home, "anna")).given_by == "ada", "a login takes nothing away"


# -- rule 5: somebody new never inherits ----------------------------------------------------------


async def test_a_user_who_is_deleted_and_made_again_inherits_nothing(hub, provider):
    home = await hub(generic(provider), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1")
    await sign_in(home)
    before, old_id = await with_possessions(home, "anna"), home.app.users["anna"].id
    assert (await home.api("DELETE", "/users/anna")).status == 204
    assert await open_accounts(home) == []
    await sign_in(home)
    assert home.app.users["anna"].id == old_id, "the hub reuses the id, or this shows nothing"
    await inherits_nothing(home, "anna", before)


async def test_a_user_whom_an_administrator_makes_in_place_of_a_deleted_one_inherits_nothing(
    hub, provider
):
    home = await hub(generic(provider), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1", plan="flat")
    await sign_in(home)
    before = await with_possessions(home, "anna")
    await home.api("DELETE", "/users/anna")
    assert (await home.api("POST", "/users/anna")).status == 201
    has = await inherits_nothing(home, "anna", before)
    assert (has.claims, has.provider, has.subject) == ({}, "", "")


async def test_a_login_row_that_a_deleted_user_left_is_nobodys(hub):
    home = await hub(tier_rules=RULES)
    await home.context.ledger.awrite(
        accounts.record_login,
        hub_id=home.settings.hub_id,
        name="anna",
        who=Subject("GitHubOAuthenticator@github.com", "1"),
        groups=["pros"],
        claims={"plan": "flat"},
        now=home.clock() - timedelta(minutes=2),
    )
    await home.api("POST", "/users/anna")
    has = await standing(home, "anna")
    assert (has.groups, has.claims, has.provider, has.tier) == (frozenset(), {}, "", "free")


async def test_a_renamed_user_keeps_what_they_have(hub, provider):
    home = await hub(generic(provider), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1")
    await sign_in(home)
    before = await with_possessions(home, "anna")
    assert (await home.api("PATCH", "/users/anna", {"name": "annabel"})).status == 200
    assert await standing(home, "annabel") == before
    assert (await home.start_server("annabel")).status == 201
    lease = await home.lease_of("annabel")
    assert lease is not None and lease["notebook_id"] in before.notebooks


@pytest.mark.parametrize("made_by", ["an administrator", "a login"])
async def test_whoever_gets_a_renamed_users_old_name_inherits_nothing(
    hub, provider, auth_state, made_by
):
    home = await hub(generic(provider, enable_auth_state=True), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1", plan="flat")
    async with Visitor(home) as visitor:
        await visitor.sign_in()
        before = await with_possessions(home, "anna")
        # Facts were taken this very minute.
        assert (await refresh(home, visitor, "anna"))[0] == 200
    assert (await home.api("PATCH", "/users/anna", {"name": "annabel"})).status == 200
    if made_by == "a login":
        provider.person("other", preferred_username="anna", sub="2")
        await sign_in(home)
    else:
        assert (await home.api("POST", "/users/anna")).status == 201
    has = await inherits_nothing(home, "anna", before)
    assert has.claims == {}
    assert (await standing(home, "annabel")).account == before.account


async def test_a_name_that_the_provider_gave_to_another_person_inherits_nothing(hub, provider):
    home = await hub(generic(provider), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1", plan="flat")
    await sign_in(home)
    before = await with_possessions(home, "anna")
    provider.person("another anna", preferred_username="anna", sub="2")
    await sign_in(home)
    has = await inherits_nothing(home, "anna", before)
    assert (has.subject, has.claims) == ("2", {})
    assert await open_accounts(home) == [has.account], "the old account is closed"


async def test_the_same_name_at_a_second_provider_inherits_nothing(hub, provider):
    home = await hub(generic(provider), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1", plan="flat")
    await sign_in(home)
    before = await with_possessions(home, "anna")
    async with Provider("127.0.0.2") as second:
        home._changes = generic(second)
        await restart(home)
        second.person("anna", preferred_username="anna", sub="1")
        await sign_in(home)
        has = await inherits_nothing(home, "anna", before)
    assert has.provider == "GenericOAuthenticator@127.0.0.2"


async def test_the_same_name_at_another_kind_of_provider_inherits_nothing(hub, provider):
    home = await hub(generic(provider), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1")
    await sign_in(home)
    before = await with_possessions(home, "anna")
    home._changes = behind(DummyAuthenticator)
    await restart(home)
    await home.browser("anna")
    await inherits_nothing(home, "anna", before)


async def test_an_answer_without_a_subject_does_not_open_the_door_to_another_person(hub):
    cls = scripted(said={"name": "anna", "auth_state": {"sub": "1"}})
    home = await hub(behind(cls), tier_rules=RULES)
    await home.browser("anna")
    before = await with_possessions(home, "anna")
    cls.said = {"name": "anna"}
    await home.browser("anna")
    assert (await standing(home, "anna")).account == before.account, "nothing says it is another"
    cls.said = {"name": "anna", "auth_state": {"sub": "2"}}
    await home.browser("anna")
    await inherits_nothing(home, "anna", before)


async def test_the_first_login_of_a_user_whom_an_administrator_made_is_theirs(hub, provider):
    home = await hub(generic(provider), tier_rules=RULES)
    await home.person("anna", "pro")
    before = await standing(home, "anna")
    provider.person("anna", preferred_username="anna", sub="1")
    await sign_in(home)
    has = await standing(home, "anna")
    assert (has.account, has.tier, has.subject) == (before.account, "pro", "1")


async def test_the_same_person_keeps_everything_over_logins_and_restarts(hub, provider):
    home = await hub(generic(provider), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1")
    await sign_in(home)
    before = await with_possessions(home, "anna")
    await restart(home)
    await sign_in(home)
    assert await standing(home, "anna") == before


async def test_a_deletion_that_the_hub_gave_up_half_way_is_undone_by_the_next_login(hub, provider):
    home = await hub(generic(provider), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1")
    await sign_in(home)
    before = await with_possessions(home, "anna")
    # The hub asks the authenticator first, and may fail at a running server afterwards.
    await home.app.authenticator.delete_user(home.app.users["anna"])
    with pytest.raises(NoSuchAccount):
        await home.account_id("anna")
    await sign_in(home)
    assert await standing(home, "anna") == before
    assert await home.account_id("anna") == before.account


async def test_a_hub_whose_user_table_is_new_finds_everybodys_account(hub, provider):
    home = await hub(generic(provider), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1001")
    await sign_in(home)
    before = await with_possessions(home, "anna")
    await lose_the_user_table(home)
    await sign_in(home)
    assert await standing(home, "anna") == before
    assert await open_accounts(home) == [before.account]
    assert (await home.start_server("anna")).status == 201
    lease = await home.lease_of("anna")
    assert lease is not None and lease["notebook_id"] in before.notebooks


async def test_a_creation_time_without_its_fraction_is_still_the_same_user(hub):
    home = await hub(tier_rules=RULES)
    await home.browser("anna")
    before = await with_possessions(home, "anna")
    await end(home)
    users = sqlite3.connect(home.folder / "jupyterhub.sqlite", isolation_level=None)
    users.execute("UPDATE users SET created = substr(created, 1, 19) || '.000000'")
    users.close()
    await home.start()
    assert home.app.users["anna"].created.microsecond == 0
    assert await standing(home, "anna") == before
    await home.browser("anna")
    assert await standing(home, "anna") == before


async def test_a_scope_that_adds_a_claim_does_not_close_accounts(hub):
    cls = scripted(said={"name": "anna", "auth_state": {"id": 7}})
    home = await hub(behind(cls), tier_rules=RULES)
    await home.browser("anna")
    before = await with_possessions(home, "anna")
    for state in ({"id": 7, "sub": "x"}, {"sub": "x"}, {"id": "7", "sub": "y"}):
        cls.said = {"name": "anna", "auth_state": state}
        await home.browser("anna")
        has = await standing(home, "anna")
        assert (has.account, has.notebooks) == (before.account, before.notebooks), state


async def test_one_subject_under_two_names_has_one_account_and_one_limit(hub):
    cls = scripted(said={"name": "eve", "auth_state": {"id": 7}})
    home = await hub(behind(cls), tier_rules=RULES)
    await home.browser("eve")
    cls.said = {"name": "eve-lee", "auth_state": {"id": 7}}
    await home.browser("eve-lee")
    one, other = await standing(home, "eve"), await standing(home, "eve-lee")
    assert one.account == other.account
    assert (await home.start_server("eve", server="one")).status == 201
    refused = await home.start_server("eve-lee", server="two")
    assert refused.status == 409, refused
    (finding,) = await home.context.ledger.aread(findings.list_findings, home.settings.hub_id)
    assert finding["kind"] == "linked_names"
    assert "eve, eve-lee" in finding["why"] and "purse" in finding["why"]


@pytest.mark.parametrize(
    "nobody",
    [0, -1, "0", " ", "null", "None", "00000000-0000-0000-0000-000000000000", '""', "-"],
    ids=repr,
)
async def test_two_people_whose_provider_knows_no_subject_do_not_share_one_account(hub, nobody):
    """A provider that sent 0 for everybody gave the second one the first one's purse and files."""
    cls = scripted(said={"name": "anna", "auth_state": {"id": nobody}})
    home = await hub(behind(cls), tier_rules=RULES)
    await home.browser("anna")
    cls.said = {"name": "mallory", "auth_state": {"id": nobody}}
    await home.browser("mallory")
    anna, mallory = await standing(home, "anna"), await standing(home, "mallory")
    assert anna.account != mallory.account
    assert (anna.subject, mallory.subject) == ("", "")
    await home.browser("mallory")
    assert (await standing(home, "mallory")).account == mallory.account


async def test_a_refresh_that_names_somebody_else_each_time_opens_and_closes_nothing(hub):
    cls = scripted(said={"name": "anna", "auth_state": {"sub": "1", "plan": "flat"}})
    home = await hub(behind(cls), tier_rules=RULES)
    browser = await home.browser("anna")
    before = await standing(home, "anna")
    for number in range(2, 5):
        cls.refreshed = {"auth_state": {"sub": str(number), "realm": {"roles": ["gpu"]}}}
        home.app.users["anna"]._auth_refreshed = None
        assert (await browser.get("/token")).status == 200
        assert await standing(home, "anna") == before, "another's facts are not theirs either"
    rows = await home.context.ledger.aread(audit.list_rows, hub_id=home.settings.hub_id)
    assert [row["action"] for row in rows].count("subject_refused") == 1, "once an hour is enough"


async def test_a_user_whom_an_administrator_adds_and_deletes_leaves_no_account(hub):
    home = await hub(tier_rules=RULES)
    assert (await home.api("POST", "/users/ghost")).status == 201
    ada = await home.browser("ada")
    assert (await ada.get("/spawn/ghost")).status == 200
    assert (await ada.get("/api/gradient/availability/ghost")).status == 200
    assert (await ada.get("/api/gradient/users/ghost/servers/")).status == 404
    assert (await home.api("PATCH", "/users/ghost", {"name": "ghost2"})).status == 200
    assert (await home.api("DELETE", "/users/ghost2")).status == 204
    everyone = await home.context.ledger.aread(lambda tx: tx.execute(select(every.c.name)).all())
    assert [name for (name,) in everyone] == ["ada"]


async def test_who_has_logged_in_has_an_account_before_any_page(hub):
    home = await hub(tier_rules=RULES)
    await home.browser("anna")
    assert len(await open_accounts(home)) == 1


# -- the ledger is away ---------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that is locked is away at once, and is tried again at once."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.02)
    monkeypatch.setattr(module, "TRY_AGAIN", 0.02)


@contextmanager
def ledger_away(home: Home) -> Iterator[None]:
    """Another process holds the ledger's write lock for longer than anybody waits."""
    holder = sqlite3.connect(home.context.ledger.url.database or "", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


async def caught_up(home: Home) -> None:
    """The ledger is back, and what waited is written."""
    await home.until(lambda: not home.app.authenticator._catching_up, "catching up")


async def test_people_log_in_while_the_ledger_is_away_and_the_log_says_so(
    hub, provider, impatient, caplog
):
    home = await hub(generic(provider), tier_rules=RULES)
    home.app.log.addHandler(caplog.handler)
    provider.person("anna", preferred_username="anna", sub="1", plan="flat")
    async with Visitor(home) as visitor:
        with ledger_away(home):
            assert await visitor.sign_in() == 302
            assert (await visitor.open())[0] == 200
            [said] = [r for r in caplog.records if "the login of 'anna'" in r.getMessage()]
            assert said.levelno == logging.WARNING
            assert "The ledger is away" in said.getMessage()
        await caught_up(home)
    has = await standing(home, "anna")
    assert (has.subject, has.tier) == ("1", "flat"), "the facts come when the ledger is back"


async def test_a_refresh_while_the_ledger_is_away_keeps_the_session_and_comes_later(
    hub, provider, auth_state, impatient
):
    home = await hub(generic(provider, enable_auth_state=True), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1")
    async with Visitor(home) as visitor:
        await visitor.sign_in()
        provider.person("anna", preferred_username="anna", sub="1", plan="flat")
        with ledger_away(home):
            assert (await refresh(home, visitor, "anna"))[0] == 200
        await caught_up(home)
    assert (await standing(home, "anna")).tier == "flat"


async def test_another_person_who_logs_in_while_the_ledger_is_away_inherits_nothing(
    hub, provider, impatient
):
    home = await hub(generic(provider), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1")
    await sign_in(home)
    before = await with_possessions(home, "anna")
    provider.person("another anna", preferred_username="anna", sub="2")
    with ledger_away(home):
        await sign_in(home)
    await caught_up(home)
    await inherits_nothing(home, "anna", before)


async def test_the_newest_of_two_logins_that_waited_counts(hub, provider, impatient):
    home = await hub(generic(provider), tier_rules=RULES)
    with ledger_away(home):
        provider.person("anna", preferred_username="anna", sub="1")
        await sign_in(home)
        provider.person("another anna", preferred_username="anna", sub="2")
        await sign_in(home)
    await caught_up(home)
    assert (await standing(home, "anna")).subject == "2"


async def test_a_user_deleted_while_the_ledger_is_away_is_closed_later_and_leaves_nothing(
    hub, provider, impatient
):
    home = await hub(generic(provider), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1")
    await sign_in(home)
    before = await with_possessions(home, "anna")
    with ledger_away(home):
        assert (await home.api("DELETE", "/users/anna")).status == 204
        provider.person("another anna", preferred_username="anna", sub="2", plan="flat")
        await sign_in(home)
    await caught_up(home)
    has = await standing(home, "anna")
    assert (has.subject, has.tier, has.notebooks) == ("2", "flat", frozenset())
    assert await open_accounts(home) == [has.account]
    assert has.account != before.account


async def test_a_login_that_waited_does_not_overtake_a_newer_one(
    hub, provider, impatient, monkeypatch
):
    monkeypatch.setattr(module, "TRY_AGAIN", 3600)
    home = await hub(generic(provider), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1")
    with ledger_away(home):
        await sign_in(home)
    provider.person("another anna", preferred_username="anna", sub="2")
    await sign_in(home)
    before = await standing(home, "anna")
    await home.app.authenticator._write_what_waits()
    assert await standing(home, "anna") == before
    assert before.subject == "2"


async def test_a_login_that_waited_ends_with_its_user(hub, provider, impatient, monkeypatch):
    monkeypatch.setattr(module, "TRY_AGAIN", 3600)
    home = await hub(generic(provider), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1", plan="flat")
    with ledger_away(home):
        await sign_in(home)
    assert (await home.api("DELETE", "/users/anna")).status == 204
    await home.api("POST", "/users/anna")
    await home.app.authenticator._write_what_waits()
    has = await standing(home, "anna")
    assert (has.claims, has.subject) == ({}, ""), "whoever an administrator makes is somebody new"


# -- hostile words --------------------------------------------------------------------------------


def nested(depth: int) -> Any:
    """A list in a list in a list."""
    deep: Any = "gpu"
    for _ in range(depth):
        deep = [deep]
    return deep


def circular() -> dict[str, Any]:
    """A dict that holds itself."""
    wheel: dict[str, Any] = {}
    wheel["roles"] = wheel
    return wheel


class Unspeakable:
    """An object that cannot be written, printed or compared."""

    def __repr__(self) -> str:
        raise RuntimeError("no word for it")

    __str__ = __repr__
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")


HOSTILE: dict[str, Any] = {
    "a huge word": {"plan": "x" * 10_000_000},
    "a huge number": {"plan": 10**6000, "sub": 10**6000},
    "a list without end": {"realm": {"roles": ["x"] * 1_000_000}},
    "nested deeper than Python goes": {
        "plan": nested(100_000),
        "realm": {"roles": nested(100_000)},
    },
    "a circle": {"realm": circular(), "plan": circular()},
    "bytes": {"plan": b"\xff", "realm": {"roles": [b"gpu"]}, "sub": b"1"},
    "things that are not JSON": {"plan": Unspeakable(), "realm": {"roles": {object()}}},
    "not a number": {"plan": float("nan"), "realm": {"roles": [float("inf")]}},
    "a list where a dict is expected": {"realm": ["roles"]},
    "a dict where a word is expected": {"plan": {"flat": "flat"}, "sub": {"a": 1}},
    "half a character": {"plan": "\ud800", "sub": "\udfff", "realm": {"roles": ["\ud83d"]}},
    "the end of a C string": {"plan": "fl\0at", "sub": "\0", "realm": {"roles": ["\0"]}},
    "a subject without end": {"sub": "s" * 1_000_000},
    "a state that is no dict": ["plan", "flat"],
}


@pytest.mark.parametrize("words", HOSTILE)
async def test_hostile_claims_give_nothing_and_do_not_break_a_login(hub, words):
    cls = scripted()
    home = await hub(behind(cls), tier_rules=RULES)

    async def authenticate(self: Any, handler: Any, data: dict[str, str]) -> dict[str, Any]:
        return {"name": data["username"], "auth_state": HOSTILE[words]}

    cls.authenticate = authenticate  # no deep copy: some of these cannot be copied
    await home.browser("mallory")
    has = await standing(home, "mallory")
    assert (has.tier, has.given_by) == ("free", "default")
    assert len(str(has.claims)) < 10_000
    assert (await home.start_server("mallory")).status == 201


@pytest.mark.parametrize("words", ["half a character", "the end of a C string", "a huge word"])
async def test_hostile_words_of_a_provider_do_not_break_a_sign_in(hub, provider, words):
    home = await hub(generic(provider), tier_rules=RULES)
    provider.person("mallory", **{"preferred_username": "mallory", "sub": "3"} | HOSTILE[words])
    await sign_in(home)
    assert (await standing(home, "mallory")).tier == "free"


@pytest.mark.parametrize(
    "groups",
    ["pros", b"pros", 7, ["pros", 3, None, b"pros", {"a": 1}], ["g" * 1000] * 10, object()],
    ids=["word", "bytes", "number", "mixed", "long words", "object"],
)
async def test_groups_of_a_wrong_shape_do_not_break_a_login(house, groups):
    made = with_tiers(scripted(said={"name": "anna", "groups": groups}))(allow_all=True)
    assert await made.get_authenticated_user(None, {"username": "x"})
    [row] = await house.ledger.aread(lambda tx: tx.execute(select(logins)).all())
    words = [g for g in groups if isinstance(g, str)] if isinstance(groups, list) else []
    # No database of a hub takes the name of a group that is longer.
    assert row.groups == sorted({word for word in words if len(word) <= 255})


async def test_groups_without_end_are_unknown_to_ledger_and_hub(house, caplog):
    groups = [f"group-{i}" for i in range(100_000)]
    made = with_tiers(scripted(said={"name": "anna", "groups": groups}))(allow_all=True)
    model = await made.get_authenticated_user(None, {"username": "x"})
    assert model["groups"] is None, "the hub leaves them as they are"
    [row] = await house.ledger.aread(lambda tx: tx.execute(select(logins)).all())
    assert (row.groups, row.groups_unknown) == (None, True)


async def test_groups_that_are_objects_reach_hub_and_ledger_by_name(hub, provider):
    """Such a login answered 500 for ever, and the ledger had dropped the groups already."""
    home = await hub(generic(provider, manage_groups=True), tier_rules=RULES)
    lab = [{"name": "pros"}, {"displayName": "readers", "id": "9-9"}, ["nested"], 7, None]
    provider.person("anna", preferred_username="anna", sub="1", groups=lab)
    await sign_in(home)
    names = {"pros", "readers", "nested"}
    assert {group.name for group in home.app.users["anna"].groups} == names
    has = await standing(home, "anna")
    assert (has.groups, has.given_by) == (names, "group pros")


async def test_objects_from_a_callable_of_the_deployer_are_read_too(hub, provider):
    changes = generic(
        provider, manage_groups=True, auth_state_groups_key=lambda state: [{"name": "pros"}, "x"]
    )
    home = await hub(changes, tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1")
    await sign_in(home)
    assert (await standing(home, "anna")).groups == {"pros", "x"}


async def test_objects_at_a_refresh_do_not_break_the_session(hub):
    cls = scripted(said={"name": "anna", "groups": ["readers"]})
    cls.refreshed = {"groups": [{"name": "pros"}]}
    home = await hub(behind(cls, manage_groups=True), tier_rules=RULES)
    browser = await home.browser("anna")
    home.app.users["anna"]._auth_refreshed = None
    assert (await browser.get("/token")).status == 200
    assert {group.name for group in home.app.users["anna"].groups} == {"pros"}
    assert (await standing(home, "anna")).groups == {"pros"}


@pytest.mark.parametrize("words", [{"_claim_names": {"groups": "src1"}}, {"hasgroups": True}])
async def test_groups_that_are_too_many_to_list_stay_as_they_were(hub, provider, words):
    home = await hub(generic(provider, manage_groups=True), tier_rules=RULES)
    provider.person("anna", preferred_username="anna", sub="1", groups=["pros"])
    await sign_in(home)
    provider.person("anna", preferred_username="anna", sub="1", **words)
    await sign_in(home)
    assert {group.name for group in home.app.users["anna"].groups} == {"pros"}
    has = await standing(home, "anna")
    assert (has.groups, has.tier) == ({"pros"}, "pro")
    account = await home.context.ledger.aread(
        accounts.find, hub_id=home.settings.hub_id, name="anna"
    )
    assert account.groups_unknown_at is not None
    async with Visitor(home) as visitor:
        await visitor.sign_in()
        page = (await visitor.get("/home")).text
    assert "your login lists no groups, because they are too many" in page


async def test_a_member_of_two_hundred_groups_still_has_the_tier_of_one(hub):
    # As many as an Azure id token carries: longer than what is kept of ordinary claims.
    roles = [f"{i:08d}-aaaa-bbbb-cccc-0123456789ab" for i in range(400)] + ["gpu"]
    cls = scripted(said={"name": "anna", "auth_state": {"realm": {"roles": roles}}})
    home = await hub(behind(cls), tier_rules=RULES)
    await home.browser("anna")
    has = await standing(home, "anna")
    assert (has.tier, has.given_by) == ("pro", "claim realm.roles")
    assert has.claims == {"realm": {"roles": ["gpu"]}}


async def test_a_name_longer_than_any_database_takes_does_not_become_anothers(house):
    made = with_tiers(scripted(said={"name": "x" * 300, "auth_state": {"plan": "flat"}}))()
    made.allow_all = True
    for _ in range(2):
        assert await made.get_authenticated_user(None, {"username": "x"})
    assert await house.ledger.aread(lambda tx: tx.execute(select(logins)).all()) == []


@pytest.mark.parametrize(
    ("info", "subject"),
    [
        # What many programs write where they have nothing.
        ({"id": 0}, ""),
        ({"id": 7.0}, "7"),
        ({"id": 7.5, "sub": "a"}, "a"),
        ({"id": 1}, "1"),
        ({"sub": "", "id": 5}, "5"),
        ({"sub": True, "id": 5}, "5"),
        ({"sub": None}, ""),
        ({"sub": "a", "oid": "b"}, "b"),
        ({"name": "anna", "email": "anna@acme.example"}, ""),
    ],
    ids=str,
)
def test_the_subject_is_the_providers_stable_word_and_never_a_name(info, subject):
    assert with_tiers(DummyAuthenticator)()._subject(info).subject == subject


def test_each_stable_word_is_kept_with_the_key_that_it_came_from():
    who = with_tiers(DummyAuthenticator)()._subject({"id": 7, "sub": "x", "oid": None, "uid": ""})
    assert (who.subject, who.keys) == ("x", {"sub": "x", "id": "7"})


def test_two_long_subjects_stay_two():
    made = with_tiers(DummyAuthenticator)()
    one, other = (made._subject({"sub": "s" * 300 + end}).subject for end in "ab")
    assert one != other
    assert len(one) == len(other) == 255


# -- MultiAuthenticator -----------------------------------------------------------------------


class MultiAuthenticator(Authenticator):
    """What jupyterhub-multiauthenticator does: its parts handle the logins, below a prefix."""

    parts: list[Authenticator] = []

    def get_handlers(self, app: Any) -> list[Any]:
        """The handlers of the parts, each below its own address."""
        return [
            (f"/part{number}{route[0]}", *route[1:])
            for number, part in enumerate(self.parts)
            for route in part.get_handlers(app)
        ]


def test_multiauthenticator_is_named_as_a_way_past_the_tiers_with_the_cure():
    for authenticator in (MultiAuthenticator, with_tiers(MultiAuthenticator)):
        [fault] = wiring.bypasses(authenticator)
        assert "MultiAuthenticator" in fault
        assert "with_tiers(GitHubOAuthenticator)" in fault
    assert wiring.bypasses(with_tiers(GitHubOAuthenticator)) == []


async def test_each_part_of_the_real_multiauthenticator_records_its_own_people(hub, provider):
    real = pytest.importorskip(
        "multiauthenticator.multiauthenticator",
        reason="needs the package jupyterhub-multiauthenticator",
    )
    assert wiring.bypasses(with_tiers(real.MultiAuthenticator))

    def changes(c: Config) -> None:
        c.JupyterHub.authenticator_class = real.MultiAuthenticator
        c.MultiAuthenticator.authenticators = [
            {
                "authenticator_class": with_tiers(GitHubOAuthenticator),
                "url_prefix": "/github",
                "config": client_of(provider, c)
                | {"oauth_callback_url": f"{c.JupyterHub.bind_url}hub/github/oauth_callback"},
            },
            {"authenticator_class": with_tiers(DummyAuthenticator), "url_prefix": "/dummy"},
        ]

    home = await hub(changes, tier_rules=RULES)
    provider.person("anna", login="anna", id=4711, email="anna@acme.example", plan="flat")
    async with Visitor(home) as visitor:
        assert await visitor.sign_in("/github") == 302
    has = await standing(home, "github:anna")
    assert (has.provider, has.subject) == ("GitHubOAuthenticator@127.0.0.1", "4711")
    assert (has.tier, has.given_by) == ("flat", "claim plan")


def test_a_class_around_ours_is_not_taken_for_the_provider():
    class Prefixed:
        """Stands left of a part, as MultiAuthenticator's wrapper does."""

    part = type("Part", (Prefixed, with_tiers(GitHubOAuthenticator)), {})
    assert part()._subject({}).provider == "GitHubOAuthenticator@github.com"


async def test_wrapped_parts_do_not_take_the_houses_pages_below_their_prefix(hub):
    class Multi(MultiAuthenticator):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.parts = [with_tiers(DummyAuthenticator)(parent=self)]

    home = await hub(behind(Multi))
    said = await home.api("GET", "/gradient/servers")
    assert said.status == 200, "at its own address, and nowhere else"


# -- no secret reaches the ledger -----------------------------------------------------------------


def stored_bytes(home: Home) -> bytes:
    """Every byte in the data folder: the ledger with its write-ahead log, the journal."""
    files = [path for path in home.settings.data_dir.rglob("*") if path.is_file()]
    assert any(path.suffix == ".sqlite" for path in files)
    return b"".join(path.read_bytes() for path in files)


async def test_no_token_and_no_secret_of_a_sign_in_reaches_the_ledger(
    hub, provider, auth_state, impatient
):
    home = await hub(generic(provider, enable_auth_state=True), tier_rules=RULES)
    plan = "a-plan-that-is-a-claim"
    provider.person("anna", preferred_username="anna", sub="subject-of-anna", plan=plan)
    async with Visitor(home) as visitor:
        await visitor.sign_in()
        provider.expire_access_tokens()
        await refresh(home, visitor, "anna")
        with ledger_away(home):
            await refresh(home, visitor, "anna")
        await caught_up(home)
    await with_possessions(home, "anna")
    kept = await home.app.users["anna"].get_auth_state()
    assert {kept["access_token"], kept["refresh_token"], kept["id_token"]} <= {*provider.secrets}
    stored = stored_bytes(home)
    assert plan.encode() in stored and b"subject-of-anna" in stored, "or the scan sees nothing"
    for secret in provider.secrets:
        assert secret.encode() not in stored


async def test_a_whole_auth_state_that_a_rule_looks_into_does_not_reach_the_ledger(hub):
    secret = secrets.token_hex(16)
    state = {
        "access_token": secret,
        "plan": {"flat": secret},
        "realm": {"roles": ["a-role-that-is-a-claim", {"token": secret}], "password": secret},
    }
    home = await hub(behind(scripted(said={"name": "anna", "auth_state": state})), tier_rules=RULES)
    await home.browser("anna")
    await standing(home, "anna")
    stored = stored_bytes(home)
    assert b"a-role-that-is-a-claim" in stored
    assert secret.encode() not in stored


# -- both databases ------------------------------------------------------------------------------


def test_facts_and_identity_are_the_same_on_every_database(ledger: Ledger):
    at = system_clock()
    user = HubUser(1, at, "anna")
    who = Subject("GitHubOAuthenticator@github.com", "1")

    def login(subject: Subject, groups: Any, claims: Any, seconds: int) -> accounts.Account:
        now = at + timedelta(seconds=seconds)
        ledger.write(
            accounts.record_login,
            hub_id="h",
            name="anna",
            who=subject,
            groups=groups,
            claims=claims,
            now=now,
        )
        return ledger.write(accounts.account_of, hub_id="h", user=user, now=now)

    first = login(who, ["pros"], {"plan": "flat"}, 1)
    assert (first.groups, first.claims) == ({"pros"}, {"plan": "flat"})
    second = login(who, None, None, 2)
    assert second == first, "None says nothing new"
    third = login(who, [], {}, 3)
    assert (third.id, third.groups, third.claims) == (first.id, frozenset(), {})
    other = login(Subject(who.provider, "2"), None, {}, 4)
    assert other.id != first.id
    again = ledger.write(accounts.account_of, hub_id="h", user=user, now=at)
    assert again == other, "a login is taken once"
    namesake = HubUser(1, at + timedelta(minutes=1), "anna")
    assert ledger.write(accounts.account_of, hub_id="h", user=namesake, now=at).id != other.id
