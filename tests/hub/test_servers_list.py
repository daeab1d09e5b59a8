"""GET /hub/api/gradient/servers: what the keeper asks notebooks with."""

ONLY_HERS = {"access:servers!server=anna/"}


async def test_a_servers_own_token_is_told_to_who_may_open_it_anyway_also_after_a_restart(
    keys, hub
):
    """With the hub's key: it is the same one after the restart."""
    home, admin, own = await with_a_notebook(hub)
    # The service of these tests may list all servers, and open none.
    assert "token" not in await told(home)
    assert (await told(home, admin))["token"] == own
    assert await opens(home, own) == ONLY_HERS
    await home.kill_and_start()
    await home.settled()
    assert "token" not in await told(home)
    assert (await told(home, admin))["token"] == own
    await home.api("DELETE", "/users/anna/server")
    await home.settled()
    assert (await home.api("GET", "/user", token=own)).status == 403


async def test_without_the_hubs_key_another_token_is_told_after_a_restart(hub):
    """No token can be kept without one: a new one opens the same server, and no other."""
    home, admin, own = await with_a_notebook(hub)
    assert (await told(home, admin))["token"] == own
    await home.kill_and_start()
    await home.settled()
    assert "token" not in await told(home)
    new = (await told(home, admin))["token"]
    assert new not in ("", own)
    assert await opens(home, new) == await opens(home, own) == ONLY_HERS
    await home.api("DELETE", "/users/anna/server")
    await home.settled()
    for token in (own, new):
        assert (await home.api("GET", "/user", token=token)).status == 403


async def with_a_notebook(hub):
    """(a hub with a notebook of Anna's, an administrator's token, that server's own token)."""
    home = await hub()
    admin = await home.person("ada")
    await home.person("anna")
    await home.start_server("anna")
    return home, admin, home.engine.history[-1].env["JUPYTERHUB_API_TOKEN"]


async def told(home, token=None):
    """Return the one server of the list."""
    (server,) = (await home.api("GET", "/gradient/servers", token=token)).body["servers"]
    return server


async def opens(home, token):
    """Return what a token may open."""
    who = (await home.api("GET", "/user", token=token)).body
    return {scope for scope in who["scopes"] if scope.startswith("access:")}
