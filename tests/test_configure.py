"""configure(c): one line that merges with what is there."""

import os

import pytest
from jupyterhub.auth import DummyAuthenticator
from traitlets.config import Config

from gradienthub import configure, with_tiers
from gradienthub.hub.authenticator import TiersMixin
from gradienthub.hub.users_api import CULLER, KEEPER


@pytest.fixture
def c(tmp_path):
    config = Config()
    config.GradientHub.data_dir = str(tmp_path)
    return config


def listed(value):
    """A list of the configuration, set or only added to so far."""
    return value if isinstance(value, list) else value.get_value([])


def test_one_line_is_enough(c):
    configure(c)
    assert c.JupyterHub.spawner_class == "gradient-docker"
    assert issubclass(c.JupyterHub.authenticator_class, TiersMixin)
    assert c.JupyterHub.cleanup_servers is False
    assert [service["name"] for service in listed(c.JupyterHub.services)] == [KEEPER]


def test_what_the_admin_set_stays(c):
    c.JupyterHub.spawner_class = "gradient-local"
    c.JupyterHub.cleanup_servers = True
    c.JupyterHub.template_paths = ["/mine"]
    c.JupyterHub.services = [{"name": "mine"}]
    c.JupyterHub.load_roles = [{"name": "mine"}]
    configure(c)
    assert c.JupyterHub.spawner_class == "gradient-local"
    assert c.JupyterHub.cleanup_servers is True
    assert c.JupyterHub.template_paths[0] == "/mine"
    assert [service["name"] for service in listed(c.JupyterHub.services)] == ["mine", KEEPER]
    roles = [role["name"] for role in listed(c.JupyterHub.load_roles)]
    assert roles == ["mine", KEEPER]


@pytest.mark.parametrize(
    "named", [DummyAuthenticator, "dummy", "jupyterhub.auth.DummyAuthenticator"]
)
def test_the_authenticator_is_wrapped_however_it_is_named(c, named):
    c.JupyterHub.authenticator_class = named
    configure(c)
    assert c.JupyterHub.authenticator_class is with_tiers(DummyAuthenticator)


@pytest.mark.parametrize("named", ["no-such-authenticator", dict])
def test_an_authenticator_that_is_none_ends_the_start(c, named):
    c.JupyterHub.authenticator_class = named
    with pytest.raises(SystemExit, match="authenticator_class"):
        configure(c)


def test_a_wrong_setting_ends_the_start_with_its_name_and_cure(c):
    c.GradientHub.tier_rules = {"default": "gold"}
    with pytest.raises(SystemExit, match=r"tier_rules\.default = 'gold'"):
        configure(c)


def test_a_wrong_type_ends_the_start(c):
    c.GradientHub.answer_timeout = "soon"
    with pytest.raises(SystemExit, match="answer_timeout"):
        configure(c)


def test_the_keeper_gets_three_words_and_no_more_scopes_than_it_needs(c, monkeypatch):
    monkeypatch.setattr(os, "environ", {"PGPASSFILE": "/srv/pgpass", "AWS_SECRET": "x"})
    settings = configure(c)
    service = listed(c.JupyterHub.services)[0]
    assert service["environment"] == {
        "PGPASSFILE": "/srv/pgpass",
        "GRADIENTHUB_DATABASE_URL": settings.database_url,
        "GRADIENTHUB_HUB_ID": settings.hub_id,
        "GRADIENTHUB_HUB_PID": str(os.getpid()),
    }
    roles = {role["name"]: role["scopes"] for role in listed(c.JupyterHub.load_roles)}
    assert set(roles[KEEPER]) == {"read:servers", "access:servers", "delete:servers"}
    # The role `user` is the hub's own still, with one scope more.
    assert "user" not in roles
    added = c.JupyterHub.extra_user_scopes.get_value(set())
    assert added == {"access:services!service=gradient"}


@pytest.mark.parametrize("added", [False, True])
def test_an_own_role_for_users_keeps_its_scopes_and_lets_them_visit_the_keeper(c, added):
    role = {"name": "user", "scopes": ["self", "read:hub"]}
    if added:
        c.JupyterHub.load_roles.append(role)
    else:
        c.JupyterHub.load_roles = [role]
    configure(c)
    roles = {role["name"]: role["scopes"] for role in listed(c.JupyterHub.load_roles)}
    assert roles["user"] == ["self", "read:hub", "access:services!service=gradient"]
    assert len(listed(c.JupyterHub.load_roles)) == 2


def test_the_keeper_listens_where_it_is_told(c):
    c.GradientHub.keeper_port = 8123
    configure(c)
    assert listed(c.JupyterHub.services)[0]["url"] == "http://127.0.0.1:8123"


def test_the_small_mode_has_the_culler_and_no_keeper(c):
    configure(c, keeper=False)
    assert [service["name"] for service in listed(c.JupyterHub.services)] == [CULLER]


def test_the_cullers_role_is_the_least_it_needs(c):
    configure(c, keeper=False)
    scopes = listed(c.JupyterHub.load_roles)[0]["scopes"]
    assert set(scopes) == {
        "list:users",
        "read:users:activity",
        "read:servers",
        "admin:server_state",
        "delete:servers",
    }


def test_the_public_names_stay_what_they_are_whatever_was_imported_first():
    # A module named like the function would take its place once anybody imported it.
    import gradienthub.configuration  # noqa: PLC0415
    import gradienthub.hub.authenticator  # noqa: PLC0415

    assert callable(gradienthub.configure)
    assert callable(gradienthub.with_tiers)
