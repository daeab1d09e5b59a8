"""Tokens of servers: none to be read in the hub's database, none that outlives its server."""

import pytest
from jupyterhub import orm
from jupyterhub.crypto import CryptKeeper
from jupyterhub.services.auth import HubAuth

from gradienthub.hub import settle


@pytest.fixture
async def home(hub):
    """A hub with a notebook of Anna's."""
    home = await hub(keeper=True)
    await home.person("anna")
    assert (await home.start_server("anna")).status == 201
    return home


def state_of(home, name="anna"):
    home.app.db.expire_all()
    row = home.app.db.query(orm.Spawner).join(orm.User).filter(orm.User.name == name).one()
    return row.state


def files_with(home, word):
    return [
        file.name
        for file in home.folder.rglob("*")
        if file.is_file() and word.encode() in file.read_bytes()
    ]


async def may_open(home, token, server="anna/"):
    """Whether a single-user server takes it: it asks the hub, as here."""
    auth = HubAuth(api_url=home.url("/api"), api_token=home.token, cache_max_age=0)
    owner = await auth.user_for_token(token, sync=False)
    return bool(owner) and bool(auth.check_scopes({f"access:servers!server={server}"}, owner))


async def test_the_hubs_database_holds_no_token_of_a_server(home):
    token = home.spawner("anna").api_token
    assert token
    assert "token" not in str(state_of(home))
    assert files_with(home, token) == []


async def test_a_hub_that_was_killed_makes_another_token_that_the_running_server_takes(home):
    first = home.spawner("anna").api_token
    await home.kill_and_start()
    await home.settled()
    second = home.spawner("anna").api_token
    assert second not in ("", first)
    assert await may_open(home, second)
    assert not await may_open(home, second, server="anna/other")
    assert (await home.api("GET", "/users", token=second)).status == 403
    assert (await home.api("DELETE", "/users/anna/server", token=second)).status in (403, 404)
    assert await may_open(home, first)
    assert files_with(home, second) == []


async def test_after_a_stop_no_token_of_the_server_opens_anything(home):
    tokens = [home.spawner("anna").api_token]
    for _ in range(2):
        await home.kill_and_start()
        await home.settled()
        tokens.append(home.spawner("anna").api_token)
    assert len(set(tokens)) == 3
    # That of the hub before is gone with it; the server's own lives as long as the server.
    assert [await may_open(home, token) for token in tokens] == [True, False, True]
    assert (await home.api("DELETE", "/users/anna/server")).status == 204
    assert [await may_open(home, token) for token in tokens] == [False] * 3


async def test_with_the_hubs_key_a_restarted_hub_knows_the_servers_own_token(keys, home):
    token = home.spawner("anna").api_token
    assert files_with(home, token) == []
    sealed = state_of(home)["sealed_token"]
    await home.kill_and_start()
    await home.settled()
    assert home.spawner("anna").api_token == token
    assert state_of(home)["sealed_token"] == sealed


async def test_a_key_that_was_changed_costs_nothing_but_a_new_token(keys, home, monkeypatch):
    token = home.spawner("anna").api_token
    await home.kill()
    monkeypatch.setenv("JUPYTERHUB_CRYPT_KEY", "cd" * 32)
    CryptKeeper.clear_instance()
    await home.start()
    await home.settled()
    assert home.spawner("anna").api_token not in ("", token)
    assert await may_open(home, home.spawner("anna").api_token)


async def test_a_token_that_an_older_version_saved_is_taken_out_at_the_start(home):
    token = home.spawner("anna").api_token
    row = home.app.db.query(orm.Spawner).join(orm.User).filter(orm.User.name == "anna").one()
    row.state = {**row.state, "api_token": token}
    home.app.db.commit()
    await home.kill_and_start()
    await home.settled()
    assert "token" not in str(state_of(home))
    assert await may_open(home, home.spawner("anna").api_token)
    assert (await home.api("DELETE", "/users/anna/server")).status == 204
    assert not await may_open(home, token)


async def test_the_keeper_is_told_a_token_that_opens_the_server(home):
    await home.kill_and_start()
    await home.until(lambda: not home.spawner("anna").pending, "the check of the server")
    home.spawner("anna").api_token = ""
    view = await home.api("GET", "/gradient/servers", token=home.keeper_token)
    [server] = view.body["servers"]
    assert await may_open(home, server["token"])
    await settle.settle(home.app, home.context)
    assert home.spawner("anna").api_token == server["token"]
