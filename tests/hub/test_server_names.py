"""A server that may not be made is refused in our words and shape, on the form and by REST."""

import pytest
from home import plain

FREE = {"instance_type": "free-cpu", "shutdown_after": "1h"}


@pytest.mark.parametrize("name", ["Maps", "a--b", "maps-", "1st", "x" * 31, "a_b", "ümlaut"])
async def test_a_name_that_is_no_slug_is_refused_with_what_one_is(hub, name):
    home = await hub()
    await home.settled()
    await home.person("anna", "pro")
    said = await home.api("POST", f"/users/anna/servers/{name}", {"user_options": FREE})
    assert (said.status, said.body["code"], said.body["field"]) == (400, "bad_name", "server_name")
    assert "lower-case" in said.body["hint"]
    assert name not in home.app.users["anna"].orm_spawners
    anna = await home.browser("anna")
    for answer in (
        await anna.get(f"/spawn/anna/{name}"),
        await anna.post(f"/spawn/anna/{name}", FREE),
    ):
        assert answer.status == 400
        assert "cannot be a server" in plain(answer.text)


@pytest.mark.parametrize("limit", [1, lambda handler: 1], ids=["number", "callable"])
async def test_the_deployers_limit_on_named_servers_is_said_in_our_shape(hub, limit):
    def change(c):
        c.JupyterHub.named_server_limit_per_user = limit

    home = await hub(change)
    await home.settled()
    await home.person("anna", "pro")
    assert (await home.start_server("anna", "free-cpu", "one")).status == 201
    said = await home.start_server("anna", "free-cpu", "two")
    assert (said.status, said.body["code"]) == (409, "too_many_notebooks")
    anna = await home.browser("anna")
    form = await anna.post("/new", FREE | {"display_name": "Two"})
    assert form.status == 409
    assert "this hub allows 1" in plain(form.text)


async def test_a_limit_that_fails_is_words(hub):
    def change(c):
        c.JupyterHub.named_server_limit_per_user = lambda handler: {}["nobody"]

    home = await hub(change)
    await home.settled()
    await home.person("anna", "pro")
    said = await home.start_server("anna", "free-cpu", "one")
    assert (said.status, said.body["code"]) == (502, "hook_failed")


async def test_a_hub_that_is_full_says_so_in_our_shape(hub):
    home = await hub(lambda c: c.JupyterHub.update({"active_server_limit": 1}))
    await home.settled()
    await home.person("anna", "pro")
    await home.person("bob", "pro")
    assert (await home.start_server("anna", "free-cpu")).status == 201
    said = await home.start_server("bob", "free-cpu")
    assert (said.status, said.body["code"]) == (429, "hub_busy")
    bob = await home.browser("bob")
    assert (await bob.post("/spawn", FREE)).status == 429
