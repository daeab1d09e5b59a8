"""A cap on named notebooks by tier, said in words wherever a new one is made."""

import asyncio
from typing import Any

import pytest
from home import TIERS

NEW = {"instance_type": "free-t4", "runtime": "python", "shutdown_after": "1h"}
#: Two named notebooks in the tier "free".
TWO = TIERS | {"free": TIERS["free"] | {"max_notebooks": 2}}


@pytest.fixture
async def anna(hub: Any) -> Any:
    """A hub where anna has two of two named notebooks: (home, her token)."""
    home = await hub(tiers=TWO)
    token = await home.person("anna", "free")
    for name in ("one", "two"):
        assert (await home.api("PUT", f"/users/anna/servers/{name}", token=token)).status == 201
    return home, token


def refused(said: Any) -> None:
    assert (said.status, said.body["code"]) == (409, "too_many_notebooks"), said
    assert "There are 2 named notebooks already, and tier Free" in said.body["message"]
    assert said.body["hint"].startswith("Delete one that is not needed any more")


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("asker", ["anna", "the service"])
async def test_one_notebook_too_many_is_refused_in_words_and_not_made(anna, method, asker):
    home, token = anna
    said = await home.api(
        method,
        "/users/anna/servers/three",
        {"user_options": NEW},
        token=token if asker == "anna" else None,
    )
    refused(said)
    assert "three" not in home.app.users["anna"].orm_spawners
    await home.nothing_is_taken()


async def test_the_form_refuses_one_notebook_too_many_with_its_entries_kept(anna):
    home, _ = anna
    browser = await home.browser("anna")
    said = await browser.post("/new", {**NEW, "display_name": "Third one"})
    assert said.status == 409
    assert "There are 2 named notebooks already" in said.text
    assert 'value="Third one"' in said.text
    assert "Delete one there, then try again." in said.text
    there = await browser.get("/spawn/anna/three")
    assert there.status == 409
    assert "There are 2 named notebooks already" in there.text
    assert set(home.app.users["anna"].orm_spawners) - {""} == {"one", "two"}


async def test_those_that_exist_and_the_default_one_start_as_before(anna):
    home, token = anna
    assert (await home.start_server("anna", "free-cpu", "two")).status == 201
    assert (await home.api("DELETE", "/users/anna/servers/two", token=token)).status in (202, 204)
    await home.until(lambda: not home.spawner("anna", "two").active)
    assert (await home.start_server("anna", "free-cpu")).status == 201


async def test_a_deleted_notebook_makes_room(anna):
    home, token = anna
    gone = await home.api("DELETE", "/users/anna/servers/one", {"remove": True}, token=token)
    assert gone.status == 204
    assert (await home.api("PUT", "/users/anna/servers/three", token=token)).status == 201


async def test_renaming_makes_no_notebook_more(anna):
    home, token = anna
    said = await home.api("PATCH", "/users/anna/servers/one", {"name": "uno"}, token=token)
    assert said.status == 200, said


async def test_many_requests_at_once_do_not_pass_the_cap(hub):
    home = await hub(tiers=TWO)
    token = await home.person("anna", "free")
    answers = await asyncio.gather(
        *(home.api("PUT", f"/users/anna/servers/n{n}", token=token) for n in range(8))
    )
    assert sorted(said.status for said in answers) == [201] * 2 + [409] * 6
    assert len(set(home.app.users["anna"].orm_spawners) - {""}) == 2


async def test_the_hubs_own_limit_holds_as_well(hub):
    def changes(c: Any) -> None:
        c.JupyterHub.named_server_limit_per_user = 1

    home = await hub(changes)
    token = await home.person("anna", "free")
    assert (await home.api("PUT", "/users/anna/servers/one", token=token)).status == 201
    said = await home.api("POST", "/users/anna/servers/two", {"user_options": NEW}, token=token)
    assert (said.status, said.body["code"]) == (409, "too_many_notebooks")
    assert "You have 1 named notebooks, and this hub allows 1" in said.body["message"]
    browser = await home.browser("anna")
    form = await browser.post("/new", {**NEW, "display_name": "Second"})
    assert form.status == 409
    assert "You have 1 named notebooks, and this hub allows 1" in form.text
