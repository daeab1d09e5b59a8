"""Roles and scopes of a deployer's: what we rely on is there, and nothing of theirs is lost."""

import pytest
from home import plain
from jupyterhub import orm
from jupyterhub.scopes import get_scopes_for
from traitlets.config import Config

from gradienthub.configuration import configure
from gradienthub.hub.users_api import KEEPER
from gradienthub.spawners.others import opens, with_server_scopes

VISIT = f"access:services!service={KEEPER}"


def role(name, *scopes):
    return lambda c: c.JupyterHub.load_roles.append({"name": name, "scopes": [*scopes]})


def token_scopes(scopes):
    return lambda c: setattr(c.Spawner, "server_token_scopes", scopes)


async def later(_spawner):
    return ["read:users!user"]


@pytest.mark.parametrize(
    ("change", "theirs"),
    [
        (lambda c: None, "users:activity!user=anna"),
        (token_scopes(["users:activity!user"]), "users:activity!user=anna"),
        (token_scopes(["read:users!user"]), "read:users!user=anna"),
        (token_scopes(lambda spawner: ["read:users!user"]), "read:users!user=anna"),
        (token_scopes(later), "read:users!user=anna"),
        (token_scopes([]), "users:activity!user=anna"),
        (token_scopes(lambda spawner: {"access:servers!server"}), "access:servers!server=anna/"),
        (role("server", "users:activity!user", "read:users!user"), "read:users!user=anna"),
    ],
)
async def test_a_notebooks_token_opens_it_whatever_scopes_a_deployer_gave_it(hub, change, theirs):
    home = await hub(change, keeper=True)
    await home.settled()
    await home.person("anna", "pro")
    assert (await home.start_server("anna")).status == 201
    token = orm.APIToken.find(home.app.db, home.spawner("anna").api_token)
    scopes = get_scopes_for(token)
    assert {"access:servers!server=anna/", "users:activity!user=anna"} <= scopes
    assert theirs in scopes
    # It opens nothing else.
    assert not {s for s in scopes if s.startswith("access:") and s != "access:servers!server=anna/"}
    seen = await home.api("GET", "/user", token=home.spawner("anna").api_token)
    assert seen.status == 200


async def test_extra_scopes_of_users_stay_beside_the_visit_to_the_keeper(hub):
    def change(c):
        c.JupyterHub.extra_user_scopes = {"read:hub"}

    home = await hub(change, keeper=True)
    token = await home.person("anna")
    mine = await home.api("GET", "/user", token=token)
    assert {"read:hub", VISIT, "access:servers!user=anna"} <= set(mine.body["scopes"])


@pytest.mark.parametrize("written", ["set", "list", "update", "nothing"])
def test_extra_user_scopes_may_be_written_in_each_way(tmp_path, written):
    c = Config()
    c.GradientHub.data_dir = str(tmp_path)
    if written == "update":
        c.JupyterHub.extra_user_scopes.update({"read:hub"})
    elif written != "nothing":
        c.JupyterHub.extra_user_scopes = {"set": set, "list": list}[written](["read:hub"])
    configure(c)
    found = c.JupyterHub.extra_user_scopes
    found = found if isinstance(found, set) else found.get_value(set())
    assert found == ({VISIT} if written == "nothing" else {"read:hub", VISIT})
    assert [r["name"] for r in c.JupyterHub.load_roles] == [KEEPER]


async def test_who_may_not_open_their_own_notebook_is_refused_before_it_costs(hub, capfd):
    home = await hub(role("user", "read:users!user", "servers!user"), keeper=True)
    assert "The role 'user' of c.JupyterHub.load_roles lacks access:servers" in (
        capfd.readouterr().err
    )
    await home.settled()
    await home.person("anna", "pro")
    said = await home.start_server("anna")
    assert (said.status, said.body["code"]) == (403, "not_allowed")
    assert "access:servers" in said.body["message"]
    assert not home.spawner("anna").active
    anna = await home.browser("anna")
    form = await anna.post("/spawn", {"instance_type": "free-t4", "shutdown_after": "1h"})
    assert "access:servers" in plain(form.text)


def test_scopes_of_a_server_are_added_only_where_nothing_wider_is_there():
    assert with_server_scopes(["inherit"]) == ["inherit"]
    assert with_server_scopes(["access:servers", "users:activity"]) == [
        "access:servers",
        "users:activity",
    ]
    assert with_server_scopes([]) == ["users:activity!user", "access:servers!server"]


@pytest.mark.parametrize(
    ("scope", "does"),
    [
        ("access:servers", True),
        ("access:servers!server=anna/maps", True),
        ("access:servers!server=anna/", False),
        ("access:servers!user=anna", True),
        ("access:servers!user=bob", False),
        ("access:servers!group=lab", True),
        ("access:servers!group=other", False),
        ("read:servers", False),
    ],
)
def test_which_scopes_open_a_server(scope, does):
    assert opens({scope}, "anna", "maps", {"lab"}) == does


def test_configure_twice_is_configure_once(tmp_path):
    c = Config()
    c.GradientHub.data_dir = str(tmp_path)
    configure(c)
    configure(c)
    assert [service["name"] for service in c.JupyterHub.services] == [KEEPER]
    assert [r["name"] for r in c.JupyterHub.load_roles] == [KEEPER]


def test_a_service_of_our_name_stops_the_start_with_its_cure(tmp_path):
    c = Config()
    c.GradientHub.data_dir = str(tmp_path)
    c.JupyterHub.services = [{"name": "gradient", "url": "http://127.0.0.1:9999"}]
    with pytest.raises(SystemExit, match="give yours another name"):
        configure(c)
