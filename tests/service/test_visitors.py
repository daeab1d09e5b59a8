"""Who asks the keeper: a browser that logs in at the hub, groups of the hub, a name given on."""

import asyncio
import base64
import json
import os
import re
import shutil
from dataclasses import replace
from http.cookies import SimpleCookie
from pathlib import Path

import aiohttp
import pytest
from home import RUNTIMES
from test_site import PREFIX, site  # noqa: F401 - a fixture
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from yarl import URL

from gradienthub.ledger import LedgerAway
from gradienthub.rules.refusal import Refused
from gradienthub.service.api import Paging, decode_cursor, decode_time_cursor, encode_cursor
from gradienthub.service.pages import hub_refused
from gradienthub.service.site import application

SECRET = "5f" * 16
HOW_TO = Path(__file__).parents[2] / "docs" / "howto" / "rest.md"


class Window:
    """A browser's cookies at the hub and at the keeper, which are one site to it."""

    def __init__(self, at, browser):
        self.at, self.browser = at, browser

    async def ask(self, method, url, **kwargs):
        """A request below the hub or below the keeper; the answer's cookies are kept."""
        if url.startswith(PREFIX):
            kept = "; ".join(f"{name}={value}" for name, value in self.browser.cookies.items())
            headers = {"Cookie": kept, **kwargs.pop("headers", {})}
            path = url.removeprefix(PREFIX)
            said = await self.at.site.ask(method, path, headers=headers, **kwargs)
            for line in said.headers.getall("Set-Cookie", ()):
                for name, cookie in SimpleCookie(line).items():
                    self.browser.cookies[name] = cookie.value
            return said
        return await self.browser.ask(method, url.removeprefix("/@/space%20word/hub"), **kwargs)

    async def open(self, path):
        """A page of the keeper, over the hub's login where that is asked for."""
        url = PREFIX + path
        for _ in range(6):
            said = await self.ask("GET", url)
            if said.status != 302:
                return said
            url = said.headers["Location"]
        raise AssertionError(f"led in circles: {url}")


@pytest.fixture
def window(site):  # noqa: F811
    """`await window("ada")`: (the site, a browser logged in at the hub alone)."""

    async def make(name, **traits):
        at = await site(**traits)
        return at, Window(at, await at.home.browser(name))

    return make


async def test_a_browser_comes_over_the_hubs_login_and_an_admin_sees_the_fleet(window):
    at, ada = await window("ada")
    page = await ada.open("fleet")
    assert page.status == 200, page.text
    assert at.lease in page.text


async def test_a_form_of_the_page_stops_and_a_forged_one_does_not(window):
    at, ada = await window("ada")
    await ada.open("fleet")
    form = {"lease": at.lease, "why": "New driver"}
    for forged in ({}, {"_xsrf": "made up"}):
        said = await ada.ask("POST", f"{PREFIX}fleet", data=form | forged)
        assert said.status == 401
        assert "Open it again" in said.text
        assert (await at.home.lease_of("bob"))["stop_requested_at"] is None
    said = await ada.ask("POST", f"{PREFIX}fleet", data=form | {"_xsrf": ada.browser.xsrf})
    assert said.status == 303, said.text
    assert (await at.home.lease_of("bob"))["stopped_by"] == "ada"


async def test_a_cookie_may_read_rest_and_needs_the_word_against_forgery_to_change(window):
    at, bob = await window("bob")
    assert (await bob.open("audit")).status == 200
    path = f"{PREFIX}api/v1/leases/{at.lease}"
    # A script's request: the hub asks for the word even to read.
    script = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
    assert (await bob.ask("GET", path)).status == 200
    assert (await bob.ask("GET", path, headers=script)).status == 401
    assert (await bob.ask("POST", f"{path}/extend")).status == 401
    assert await at.keeper.audit("extend") == []
    given = {"X-XSRFToken": bob.browser.xsrf}
    assert (await bob.ask("GET", path, headers=script | given)).status == 200
    assert (await bob.ask("POST", f"{path}/extend", headers=given)).status == 200


async def test_a_person_of_no_rights_is_told_so_and_not_led_in_circles(window):
    _, eve = await window("eve")
    said = await eve.open("fleet")
    assert said.status == 403
    assert "You may not see the fleet" in said.text


async def test_a_group_of_the_hub_gives_its_tier_here_too(site):  # noqa: F811
    at = await site()
    await at.home.api("POST", "/groups/flats")
    # gil was here before and has an account; nat comes for the first time.
    for name in ("gil", "nat"):
        await at.home.api("POST", f"/users/{name}")
        await at.home.api("POST", "/groups/flats/users", {"users": [name]})
    await at.home.grant("gil")
    for name, account in (("gil", True), ("nat", False)):
        token = (await at.home.api("POST", f"/users/{name}/tokens", {})).body["token"]
        me = (await at.site.get("me", token)).body
        assert (me["tier"], me["given_by"], bool(me["account"])) == ("flat", "group flats", account)
        types = (await at.site.get("catalog", token)).body["instance_types"]
        locked = {row["name"]: row["locked"] and row["locked"]["code"] for row in types}
        assert locked["free-t4"] is None and locked["t4"] == "payment_method_required"


async def test_somebody_who_gets_a_name_that_was_given_up_sees_nothing_of_who_had_it(site):  # noqa: F811
    at = await site()
    renamed = await at.home.api("PATCH", "/users/bob", {"name": "bert"})
    assert renamed.status == 200
    at.home.clock.advance(hours=1)
    assert (await at.home.api("POST", "/users/bob")).status == 201
    token = (await at.home.api("POST", "/users/bob/tokens", {})).body["token"]
    assert (await at.site.get(f"leases/{at.lease}", token)).status == 404
    assert (await at.site.get("leases", token)).body["items"] == []


async def test_a_service_that_is_called_like_a_person_is_not_that_person(site):  # noqa: F811
    def named_bob(c):
        c.JupyterHub.services = [*c.JupyterHub.services, {"name": "bob", "api_token": SECRET}]
        access = ["access:services!service=gradient"]
        c.JupyterHub.load_roles += [{"name": "bob", "services": ["bob"], "scopes": access}]

    at = await site(changes=named_bob)
    assert (await at.site.get("leases", SECRET)).body["items"] == []
    assert (await at.site.get("leases?user=bob", SECRET)).status == 403
    assert (await at.site.get(f"leases/{at.lease}", SECRET)).status == 404
    assert (await at.site.get("audit", SECRET)).body["items"] == []
    assert (await at.site.get("me", SECRET)).body["account"] is None


#: The table of scopes, as tokens of an admin's: what each opens.
VISIT = "access:services!service=gradient"
OPENED = [
    ([VISIT], {"sees": 404, "lists": 403, "extends": 404, "stops": 403}),
    ([VISIT, "read:servers"], {"sees": 200, "lists": 200, "extends": 403, "stops": 403}),
    (
        [VISIT, "read:servers", "start:servers"],
        {"sees": 200, "lists": 200, "extends": 200, "stops": 403},
    ),
    (
        [VISIT, "read:servers", "delete:servers"],
        {"sees": 200, "lists": 200, "extends": 403, "stops": 303},
    ),
    (
        [VISIT, "read:servers!group=pros", "start:servers!group=pros"],
        {"sees": 404, "lists": 403, "extends": 404, "stops": 403},
    ),
]


@pytest.mark.parametrize(("scopes", "opened"), OPENED)
async def test_scopes_open_what_the_table_says(site, scopes, opened):  # noqa: F811
    at = await site()
    assert (await at.home.api("POST", "/groups/pros")).status == 201
    made = await at.home.api("POST", "/users/ada/tokens", {"scopes": scopes})
    token = made.body["token"]
    lease = f"api/v1/leases/{at.lease}"
    for path in ("leases?all=1", "leases?user=bob", "devices", "findings", "audit?all=1"):
        assert (await at.site.get(path, token)).status == opened["lists"], path
    assert (await at.site.ask("GET", "fleet", token)).status == opened["lists"]
    assert (await at.site.ask("GET", lease, token)).status == opened["sees"]
    assert (await at.site.ask("POST", f"{lease}/extend", token)).status == opened["extends"]
    form = {"lease": at.lease, "why": "New driver"}
    assert (await at.site.ask("POST", "fleet", token, data=form)).status == opened["stops"]
    stopped = (await at.home.lease_of("bob"))["stop_requested_at"] is not None
    assert stopped == (opened["stops"] == 303)


async def test_a_token_that_may_not_visit_is_refused(site):  # noqa: F811
    at = await site()
    made = await at.home.api("POST", "/users/ada/tokens", {"scopes": ["read:servers"]})
    said = await at.site.get("leases", made.body["token"])
    assert (said.status, said.body["code"]) == (403, "not_allowed")


@pytest.mark.parametrize(
    ("status", "text", "code", "message", "hint"),
    [
        (
            409,
            '{"code": "another_lease", "message": "Another run. Look.", "hint": "Look."}',
            "another_lease",
            "Another run.",
            "Look.",
        ),
        (503, '{"code": "ledger_away", "message": "Away."}', "ledger_away", "Away.", ""),
        (403, '{"status": 403, "message": "Forbidden"}', "not_allowed", "Forbidden", ""),
        (400, '{"message": "ada is pending spawn"}', "still_stopping", "ada is pending spawn", ""),
        (404, "", "not_found", "The hub answered 404.", ""),
        (502, "<html>", "hub_away", "The hub answered 502.", ""),
        (500, "[1]", "failed", "The hub answered 500.", ""),
        (500, '{"code": ["x"], "message": {}}', "failed", "The hub answered 500.", ""),
    ],
)
def test_the_hubs_no_keeps_its_words(status, text, code, message, hint):
    refused = hub_refused(status, text)
    assert (refused.code, refused.message, refused.hint) == (code, message, hint)


async def test_runtimes_of_the_local_engine_have_no_image(site):  # noqa: F811
    at = await site(runtimes=RUNTIMES | {"here": {"title": "Here"}})
    told = (await at.site.get("catalog", at.bob)).body["runtimes"]
    assert {row["name"]: row["image"] for row in told}["here"] is None


async def test_going_back_after_the_login_leads_on(window):
    at, ada = await window("ada")
    led = await ada.ask("GET", f"{PREFIX}fleet")
    led = await ada.ask("GET", led.headers["Location"])
    callback = led.headers["Location"]
    assert (await ada.ask("GET", callback)).status == 302
    again = await ada.ask("GET", callback)
    assert again.status == 302 and again.headers["Location"] == PREFIX
    stranger = await at.site.ask("GET", callback.removeprefix(PREFIX))
    assert stranger.status == 403
    assert "Not possible" in stranger.text and "Traceback" not in stranger.text


@pytest.mark.parametrize(
    "after",
    [
        "0001-01-01T00:00:00+14:00|" + "a" * 36,
        "9999-12-31T23:59:59-14:00|" + "a" * 36,
        "2026-11-23T09:00:00|" + "a" * 36,
        "2026-11-23T09:00:00+00:00|a\0",
        "x|y",
        "|",
        # As an older version made them.
        "2026-11-23T09:00:00+00:00|" + "a" * 36,
        "17",
        "anna",
        # As we make them.
        json.dumps(["0001-01-01T00:00:00+14:00", "a" * 36]),
        json.dumps(["9999-12-31T23:59:59-14:00", "a" * 36]),
        json.dumps(["2026-11-23T09:00:00", "a" * 36]),
        json.dumps(["2026-11-23T09:00:00+00:00", "a\0"]),
        json.dumps(["2026-11-23T09:00:00+00:00", "a" * 36, ""]),
        json.dumps([{}, []]),
        "[" * 2000,
        "{}",
        "null",
        '["x", ""]',
    ],
)
def test_a_cursor_that_somebody_made_up_is_refused(after):
    word = base64.urlsafe_b64encode(after.encode()).decode().rstrip("=")
    with pytest.raises(Refused) as refused:
        decode_time_cursor(word)
    assert refused.value.code == "bad_query"
    assert "is not where a page ended. Send `next` of the page before" in refused.value.text


@pytest.mark.parametrize(
    "name", ["auth0|64af1", "|", '"', "\\", "[1]", "ö \N{PARTY POPPER}", "\N{PARTY POPPER}" * 255]
)
def test_a_page_may_end_at_any_name(name):
    after = encode_cursor(name, 7)
    assert decode_cursor(Paging(after=after).after, 2) == [name, "7"]


async def test_the_audit_of_a_day_and_the_state_without_a_ledger(site, monkeypatch):  # noqa: F811
    at = await site()
    today = {
        row["action"] for row in (await at.site.get("audit?day=2026-11-23", at.bob)).body["items"]
    }
    assert "start" in today
    for day in ("2026-11-22", "2026-11-24"):
        assert (await at.site.get(f"audit?day={day}", at.bob)).body["items"] == []
        assert "Nothing yet" in (await at.site.ask("GET", f"audit?day={day}", at.bob)).text
    assert (await at.site.get("audit?day=9999-12-31", at.bob)).status == 200
    assert (await at.site.get("audit?day=yesterday", at.bob)).body["code"] == "bad_query"
    assert "start" in (await at.site.ask("GET", "audit?day=yesterday", at.bob)).text

    async def away(*args, **kwargs):
        raise LedgerAway("gone")

    monkeypatch.setattr(at.keeper.ledger, "aread", away)
    state = await at.site.get("state", at.bob)
    assert (state.status, state.body["trouble"]) == (200, "ledger_away")


async def test_any_base_url_is_served(site):  # noqa: F811
    at = await site()
    there = replace(at.keeper.context, prefix="/a+b.c/services/gradient/")
    sockets, port = bind_unused_port()
    server = HTTPServer(application(there, at.site.application.settings["hub_auth"]))
    server.add_socket(sockets)
    token = {"Authorization": f"token {at.bob}"}
    async with aiohttp.ClientSession(headers=token) as session:
        for path in ("", "audit", "api/v1/leases"):
            where = URL(f"http://127.0.0.1:{port}/a+b.c/services/gradient/{path}", encoded=True)
            async with session.get(where) as answer:
                assert answer.status == 200, path
    server.stop()


async def test_a_page_that_is_not_there_is_a_page(site):  # noqa: F811
    at = await site()
    page = await at.site.ask("GET", "nothing")
    assert page.status == 404
    assert "There is no such page" in page.text and page.body is None
    call = await at.site.ask("GET", "api/v2/leases")
    assert (call.status, call.body["code"]) == (404, "not_found")


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
async def test_the_examples_of_the_how_to_do_what_they_say(site):  # noqa: F811
    at = await site()
    examples = re.findall(r"```bash\n(curl .+?)```", HOW_TO.read_text(), re.DOTALL)
    assert len(examples) == 5
    where = {
        "HUB": f"http://127.0.0.1:{at.site.port}/@/space%20word",
        "LEASE": at.lease,
        "TOKEN": at.bob,
    }
    for example in examples:
        ran = await asyncio.create_subprocess_shell(
            example, env=os.environ | where, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await ran.communicate()
        assert ran.returncode == 0, example
        assert json.loads(said), example
    assert [row["actor"] for row in await at.keeper.audit("extend")] == ["bob"]
