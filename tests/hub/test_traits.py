"""What a deployer set is kept, ours, or without effect, and every trait has its line."""

import pytest
from dockerspawner import DockerSpawner, SwarmSpawner, SystemUserSpawner
from jupyterhub.app import JupyterHub
from jupyterhub.auth import (
    Authenticator,
    DummyAuthenticator,
    LocalAuthenticator,
    NullAuthenticator,
    PAMAuthenticator,
)
from jupyterhub.authenticators.shared import SharedPasswordAuthenticator
from jupyterhub.proxy import ConfigurableHTTPProxy
from jupyterhub.spawner import LocalProcessSpawner, SimpleLocalProcessSpawner, Spawner
from oauthenticator.oauth2 import OAuthenticator
from traitlets.config import Config

from gradienthub.hub import traits
from gradienthub.ledger import audit
from gradienthub.rules.traits import Fate, Overridden, find_overridden, table_of
from gradienthub.spawners.docker import GradientDockerSpawner
from gradienthub.spawners.docker_engine import client_options
from gradienthub.spawners.local import GradientLocalSpawner
from gradienthub.spawners.sections import configured
from gradienthub.testing import GradientFakeSpawner

CLASSES = (
    Spawner,
    LocalProcessSpawner,
    SimpleLocalProcessSpawner,
    DockerSpawner,
    SwarmSpawner,
    SystemUserSpawner,
    Authenticator,
    LocalAuthenticator,
    PAMAuthenticator,
    DummyAuthenticator,
    NullAuthenticator,
    SharedPasswordAuthenticator,
    OAuthenticator,
    JupyterHub,
)


class Ours(GradientDockerSpawner):
    """A deployer's subclass."""


def fates(config, spawner=GradientDockerSpawner, authenticator=DummyAuthenticator):
    return {t.dotted: t.row.fate for t in traits.set_traits(config, spawner, authenticator)}


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_trait_of_the_installed_classes_has_a_line(cls):
    lacking = set(cls.class_own_traits(config=True)) - set(traits.table().get(cls.__name__, {}))
    assert not lacking, f"write their lines under [{cls.__name__}] in presets/traits.toml"


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_no_line_is_of_a_trait_that_there_is_not(cls):
    assert set(traits.table().get(cls.__name__, {})) <= set(cls.class_traits(config=True))


def test_what_has_no_effect_says_what_to_write():
    for section, rows in traits.table().items():
        for name, row in rows.items():
            assert row.why, (section, name)
            assert row.fate is Fate.KEPT or row.cure, (section, name)
    with pytest.raises(ValueError, match=r"\[X\] y has no effect and no cure"):
        table_of({"X": {"y": ["none", "why"]}})


def test_the_most_copied_docker_configuration_is_judged_line_by_line():
    c = Config()
    c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"
    c.DockerSpawner.image = "quay.io/jupyterhub/singleuser"
    c.DockerSpawner.allowed_images = ["a", "b"]
    c.DockerSpawner.network_name = "jupyterhub"
    c.DockerSpawner.notebook_dir = "/home/jovyan/work"
    c.DockerSpawner.volumes = {"jupyterhub-user-{username}": "/home/jovyan/work"}
    c.DockerSpawner.remove = True
    c.Spawner.start_timeout = 300
    c.Spawner.options_from_form = lambda form: {}
    assert fates(c) == {
        "c.JupyterHub.spawner_class": Fate.KEPT,
        "c.DockerSpawner.image": Fate.OURS,
        "c.DockerSpawner.allowed_images": Fate.NONE,
        "c.DockerSpawner.network_name": Fate.KEPT,
        "c.DockerSpawner.notebook_dir": Fate.OURS,
        "c.DockerSpawner.volumes": Fate.KEPT,
        "c.DockerSpawner.remove": Fate.OURS,
        "c.Spawner.start_timeout": Fate.OURS,
        "c.Spawner.options_from_form": Fate.NONE,
    }


def test_traits_are_judged_by_the_class_that_the_hub_uses():
    c = Config()
    c.Spawner.mem_limit = "2G"
    c.Spawner.notebook_dir = "~/work"
    assert fates(c, GradientLocalSpawner) == {
        "c.Spawner.mem_limit": Fate.NONE,
        "c.Spawner.notebook_dir": Fate.OURS,
    }
    # A class of the deployer's own is started where it says.
    assert fates(c, GradientFakeSpawner)["c.Spawner.notebook_dir"] is Fate.KEPT


def test_a_section_of_another_class_and_a_misspelled_trait_have_no_effect():
    c = Config()
    c.KubeSpawner.image = "acme/gpu"
    c.KubeSpawner.namespace = "lab"
    c.Ours.pull_polici = "always"
    c.Ours.pull_policy = "always"
    c.GitHubOAuthenticator.client_id = "x"
    found = {t.dotted: t for t in traits.set_traits(c, Ours, DummyAuthenticator)}
    assert "the hub uses Ours, which is no KubeSpawner" in found["c.KubeSpawner.image"].sentence
    assert found["c.KubeSpawner.image"].row.cure == "c.Ours.image"
    assert found["c.KubeSpawner.namespace"].row.cure == "remove the line"
    assert "has no such trait" in found["c.Ours.pull_polici"].sentence
    assert found["c.Ours.pull_policy"].row.fate is Fate.KEPT
    assert found["c.GitHubOAuthenticator.client_id"].row.fate is Fate.NONE


def test_parts_of_a_multi_authenticator_have_sections_of_their_own():
    class MultiAuthenticator(Authenticator):
        """Like the package's."""

    c = Config()
    c.GitHubOAuthenticator.client_id = "x"
    assert fates(c, authenticator=MultiAuthenticator) == {}


def test_what_is_added_to_a_list_is_a_trait_that_is_set():
    c = Config()
    c.Spawner.args.append("--debug")
    c.Spawner.pre_spawn_hook = print
    assert [(t.dotted, t.judged) for t in traits.set_traits(c, Ours, None)] == [
        ("c.Spawner.args", True),
        ("c.Spawner.pre_spawn_hook", False),
    ]


@pytest.mark.parametrize("section", ["DockerSpawner", "GradientDockerSpawner", "Ours"])
def test_the_engine_of_a_subclass_is_reached_as_any_parents_section_says(section):
    c = Config()
    name = "client_kwargs" if section == "DockerSpawner" else "engine_options"
    c[section][name] = {"base_url": "tcp://10.0.0.7:2376"}
    assert client_options(c, Ours)["base_url"] == "tcp://10.0.0.7:2376"


def test_the_nearest_class_wins_as_in_traitlets():
    c = Config()
    c.Spawner.http_timeout = 1
    c.Ours.http_timeout = 3
    c.DockerSpawner.http_timeout = 2
    assert configured(c, Ours, "http_timeout") == Ours(config=c).http_timeout == 3


def test_a_class_that_has_a_plain_value_in_a_traits_place_is_read_as_it_will_be():
    class Plain(Ours):
        http_timeout = 7

    c = Config()
    c.Spawner.http_timeout = 1
    assert configured(c, Plain, "http_timeout") == Plain(config=c).http_timeout == 7


# -- hooks ----------------------------------------------------------------------------------------


def test_only_what_a_hook_changed_and_the_lease_overrides_is_named():
    before = {"image": "a", "cmd": None, "args": [1]}
    hooked = {"image": "b", "cmd": ["x"], "args": [1]}
    used = {"image": "c", "cmd": ["x"], "args": [2]}
    assert find_overridden(before, hooked, used) == [Overridden("image", "b", "c")]


async def rows_of(home):
    hub_id = home.settings.hub_id
    return await home.context.ledger.aread(audit.list_rows, hub_id=hub_id, action="overridden")


@pytest.mark.parametrize("hook", ["pre_spawn_hook", "auth_state_hook", "group_overrides"])
async def test_a_hook_that_sets_what_the_lease_overrides_is_named_in_log_and_audit(
    hub, capfd, hook
):
    def changes(c):
        if hook == "pre_spawn_hook":
            c.Spawner.pre_spawn_hook = lambda spawner: setattr(spawner, "start_timeout", 1234)
        elif hook == "auth_state_hook":
            c.Spawner.auth_state_hook = lambda s, _state: setattr(s, "start_timeout", 1234)
        else:
            c.Spawner.group_overrides = {
                "01-pros": {"groups": ["pros"], "spawner_override": {"start_timeout": 1234}}
            }
            c.JupyterHub.load_groups = {"pros": {"users": ["anna"]}}

    home = await hub(changes)
    await home.person("anna")
    for _ in range(2):
        assert (await home.start_server("anna", "free-cpu")).status == 201
        assert (await home.api("DELETE", "/users/anna/server")).status == 204
    log = capfd.readouterr().err
    said = [line for line in log.splitlines() if "set start_timeout to" in line]
    assert len(said) == 1
    assert hook in said[0]
    used = round(home.settings.answer_timeout + 30)
    assert f"“1234”; the admitted “{used}” is used" in said[0]
    rows = await rows_of(home)
    assert len(rows) == 2
    assert rows[0]["detail"]["start_timeout"].startswith("a hook set “1234”")
    assert rows[0]["account_name"] == "anna"


async def test_a_hook_that_sets_what_is_kept_is_not_named(hub):
    home = await hub(lambda c: c.Spawner.update({"pre_spawn_hook": _asks_for_more_time}))
    await home.person("anna")
    assert (await home.start_server("anna", "free-cpu")).status == 201
    assert await rows_of(home) == []


def _asks_for_more_time(spawner):
    spawner.http_timeout = 99
    spawner.environment = {"A": "B"}
    assert spawner.start_timeout
    assert spawner.default_url is not None


async def test_the_hub_says_at_its_start_which_traits_it_does_not_use(hub, capfd):
    def changes(c):
        c.Spawner.options_form = "<input>"
        c.Spawner.start_timeout = 17
        c.JupyterHub.log_level = "WARN"

    await hub(changes)
    said = capfd.readouterr().err
    assert "c.Spawner.options_form has no effect: the form offers" in said
    assert "c.Spawner.start_timeout is not used: GradientHub ends a start itself" in said
    assert "Instead: c.GradientHub.answer_timeout, in seconds." in said
    assert "log_level" not in said


def test_a_misspelled_section_and_a_misspelled_setting_of_ours_have_no_effect():
    c = Config()
    c.Dockerspawner.pull_policy = "always"
    c.GradientHub.runtime = {}
    c.GradientHub.runtimes = {}
    assert fates(c) == {
        "c.Dockerspawner.pull_policy": Fate.NONE,
        "c.GradientHub.runtime": Fate.NONE,
    }


def test_a_trait_that_a_class_body_replaced_has_the_value_of_the_body():
    class Outside(ConfigurableHTTPProxy):
        should_start = False

    c = Config()
    c.Proxy.should_start = True
    assert configured(c, Outside, "should_start") is False
