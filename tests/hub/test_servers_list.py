"""GET /hub/api/gradient/servers: what the keeper asks notebooks with."""


async def test_a_servers_own_token_is_told_to_who_may_open_it_anyway_also_after_a_restart(hub):
    home = await hub()
    admin = await home.person("ada")
    await home.person("anna")
    await home.start_server("anna")

    async def told(token=None):
        (server,) = (await home.api("GET", "/gradient/servers", token=token)).body["servers"]
        return server

    # The service of these tests may list all servers, and open none.
    assert "token" not in await told()
    own = home.engine.history[-1].env["JUPYTERHUB_API_TOKEN"]
    assert (await told(admin))["token"] == own
    who = (await home.api("GET", "/user", token=own)).body
    assert {scope for scope in who["scopes"] if scope.startswith("access:")} == {
        "access:servers!server=anna/"
    }
    await home.kill_and_start()
    await home.settled()
    assert (await told(admin))["token"] == own
    await home.api("DELETE", "/users/anna/server")
    await home.settled()
    assert (await home.api("GET", "/user", token=own)).status == 403
