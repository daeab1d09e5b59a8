"""A deployer's own code in a start fails in each way: words, a trace in the log, nothing left."""

import asyncio
import sys

import pytest
from home import plain
from jupyterhub.auth import DummyAuthenticator
from jupyterhub.spawner import SpawnException
from tornado import web

from gradienthub.rules.refusal import Declined
from gradienthub.spawners import others
from gradienthub.testing import GradientFakeSpawner


def raises(error):
    def hook(*_args):
        if error is SystemExit:
            sys.exit(3)
        raise error

    return hook


def raises_later(error):
    async def hook(*_args):
        await asyncio.sleep(0)
        raises(error)()

    return hook


async def never_ends(*_args):
    await asyncio.sleep(3600)


def hook(name):
    def change(c, code):
        c.Spawner[name] = code

    return change


def environment(c, code):
    c.Spawner.environment = {"X": code}


def in_authenticator(c, code):
    async def start(self, user, spawner):
        result = code(user, spawner)
        return await result if asyncio.iscoroutine(result) else result

    c.JupyterHub.authenticator_class = type(
        "Theirs", (DummyAuthenticator,), {"pre_spawn_start": start}
    )


def in_start(c, code):
    async def start(self):
        result = code(self)
        return await result if asyncio.iscoroutine(result) else result

    c.JupyterHub.spawner_class = type(
        "GradientBroken", (GradientFakeSpawner,), {"start_engine": start}
    )


PLACES = {
    "server_token_scopes": hook("server_token_scopes"),
    "oauth_client_allowed_scopes": hook("oauth_client_allowed_scopes"),
    "pre_spawn_start": in_authenticator,
    "auth_state_hook": hook("auth_state_hook"),
    "group_overrides": hook("group_overrides"),
    "pre_spawn_hook": hook("pre_spawn_hook"),
    "environment": environment,
    "spawner": in_start,
}
ERRORS = [
    ValueError("secret"),
    KeyError("secret"),
    RuntimeError("secret"),
    asyncio.CancelledError(),
    SystemExit,
    OSError(2, "secret"),
]


#: The hub's callables of the environment are never asynchronous.
CASES = [(place, raises) for place in PLACES] + [
    (place, raises_later) for place in PLACES if place != "environment"
]


@pytest.mark.parametrize(
    ("place", "later"), CASES, ids=[f"{place}-{later.__name__}" for place, later in CASES]
)
async def test_code_of_the_deployers_that_fails_is_words_and_leaves_nothing(
    hub, place, later, capfd
):
    failing = []

    def whatever_is_next(*args):
        return failing[-1](*args)

    def changes(c):
        c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 60}
        PLACES[place](c, whatever_is_next)

    home = await hub(changes)
    await home.settled()
    await home.person("anna", "pro", pays=True)
    anna = await home.browser("anna")
    for error in ERRORS:
        failing.append(later(error))
        said = await home.start_server("anna", "t4")
        assert said.status == 502, (error, said)
        assert said.body["code"] == "hook_failed"
        words = said.body["message"]
        assert place in words
        assert "Nothing was charged." in words
        assert "secret" not in words
        form = await anna.post("/spawn", {"instance_type": "t4", "shutdown_after": "1h"})
        # On a slow machine the hub leads on to the pending page after its second.
        assert form.status in (302, 502)
        if form.status == 502:
            assert words.split(".")[0] in plain(form.text)
        await home.until(lambda: not home.spawner("anna").active, "the start has failed")
        pending = await anna.get("/spawn-pending/anna")
        assert pending.status in (200, 502)
        if pending.status == 502:
            assert words.split(".")[0] in plain(pending.text)
        logged = capfd.readouterr().err
        assert "Traceback" in logged
        assert "in raises" in logged or "in hook" in logged
        # No zombie, no lease, no device, no hold.
        assert not home.spawner("anna").active
        assert await home.open_leases() == []
        assert await home.devices_held() == {}
    if place != "spawner":
        fine = {"group_overrides": {}, "environment": "fine"}.get(place, [])
        failing.append(lambda *_args: fine)
        assert (await home.start_server("anna", "t4")).status == 201


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (web.HTTPError(403, "Not on Sundays."), 403, "Not on Sundays. Nothing was charged."),
        (web.HTTPError(429, "Only %s at once.", 2), 429, "Only 2 at once."),
        (web.HTTPError(500, "The project list is away."), 502, "The project list is away."),
        (SpawnException("No project.", reason="r", status_code=422), 422, "No project."),
    ],
)
async def test_a_hook_that_refuses_is_heard_in_its_own_words(hub, error, status, words):
    home = await hub(lambda c: hook("pre_spawn_hook")(c, raises(error)))
    await home.settled()
    await home.person("anna", "pro", pays=True)
    said = await home.start_server("anna", "t4")
    assert (said.status, said.body["code"]) == (status, "hook_refused")
    assert words in said.body["message"]
    anna = await home.browser("anna")
    form = await anna.post("/spawn", {"instance_type": "t4", "shutdown_after": "1h"})
    assert form.status == status
    assert words.split(".")[0] in plain(form.text)


@pytest.mark.parametrize("place", ["server_token_scopes", "oauth_client_allowed_scopes"])
@pytest.mark.parametrize("nonsense", ["words", 7, [7], ["no:such:scope"]])
async def test_scopes_that_are_none_refuse_the_start_and_leave_no_zombie(hub, place, nonsense):
    home = await hub(lambda c: hook(place)(c, lambda _spawner: nonsense))
    await home.settled()
    await home.person("anna", "pro", pays=True)
    said = await home.start_server("anna", "t4")
    assert (said.status, said.body["code"]) == (502, "hook_failed")
    assert not home.spawner("anna").active


async def test_a_hook_that_never_ends_is_given_up_and_said(hub, monkeypatch):
    monkeypatch.setattr(others, "HOOK_SECONDS", 0.05)
    home = await hub(lambda c: hook("pre_spawn_hook")(c, never_ends))
    await home.settled()
    await home.person("anna", "pro", pays=True)
    said = await home.start_server("anna", "t4")
    assert (said.status, said.body["code"]) == (502, "hook_failed")
    assert "took longer" in said.body["message"]


async def test_a_start_that_is_cancelled_in_a_hook_is_cancelled_and_not_failed(hub):
    home = await hub(lambda c: hook("pre_spawn_hook")(c, never_ends))
    await home.settled()
    await home.person("anna", "pro", pays=True)
    start = asyncio.ensure_future(home.start_server("anna", "t4"))
    await home.until(lambda: "anna" in home.app.users and home.spawner("anna").pending == "spawn")
    assert (await home.api("DELETE", "/users/anna/server")).status in (202, 204)
    assert (await start).body["code"] == "start_cancelled"
    assert not home.spawner("anna").active


@pytest.mark.parametrize("error", ERRORS)
async def test_hooks_after_a_stop_may_fail_and_the_stop_goes_on(hub, error):
    home = await hub(lambda c: hook("post_stop_hook")(c, raises(error)))
    await home.settled()
    await home.person("anna", "pro", pays=True)
    assert (await home.start_server("anna", "t4")).status == 201
    assert (await home.api("DELETE", "/users/anna/server")).status == 204
    assert await home.open_leases() == []
    assert not home.spawner("anna").active


@pytest.mark.parametrize("error", [ValueError("secret"), KeyError("x"), SystemExit])
async def test_a_login_whose_hook_fails_is_a_page_with_words(hub, error):
    home = await hub(lambda c: c.Authenticator.update({"post_auth_hook": raises(error)}))
    await home.settled()
    with pytest.raises(AssertionError) as seen:
        await home.browser("anna")
    said = seen.value.args[0]
    assert said.status == 503
    assert "post_auth_hook of this hub failed" in plain(said.text)
    assert "secret" not in said.text


def test_a_refusal_of_a_hooks_own_status_survives_a_copy():
    refused = Declined("hook_refused", "No.", own_status=429)
    made, fields = refused.__reduce__()
    assert made(*fields).status == 429
