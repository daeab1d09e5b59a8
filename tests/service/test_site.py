"""What the keeper serves: REST v1 to programs, Fleet and Audit to people; who may see what."""

import os
import re
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from home import Answer, Home, _json
from jupyterhub.services.auth import HubOAuth
from keeper import Keeping
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from gradienthub.hub.users_api import KEEPER
from gradienthub.ledger import By, LedgerAway, findings, warm_pool, warm_slots
from gradienthub.ledger.findings import NewFinding
from gradienthub.rules.action import Action
from gradienthub.rules.warm import Pool
from gradienthub.service import operations
from gradienthub.service.openapi import document
from gradienthub.service.site import OPERATIONS, application
from gradienthub.views.audit_words import ACTION_WORDS

PREFIX = "/@/space%20word/services/gradient/"
HOUR = timedelta(hours=1)
CHROMIUM = os.environ.get("GRADIENTHUB_TEST_CHROMIUM") or shutil.which("chromium")


#: What stands out of the window to the right.
TOO_WIDE = """document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll("main *")].filter((e) =>
    e.getBoundingClientRect().right > innerWidth).map((e) => e.outerHTML.slice(0, 200))"""


class Site:
    """The keeper's site beside a hub, and requests to it."""

    def __init__(self, home: Home, keeper: Keeping) -> None:
        self.home, self.keeper = home, keeper
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        auth = HubOAuth(
            api_url=home.url("/api"),
            api_token=home.keeper_token,
            base_url=PREFIX,
            hub_prefix="/@/space%20word/hub/",
            oauth_client_id=f"service-{KEEPER}",
            access_scopes={f"access:services!service={KEEPER}"},
            cache_max_age=1,
        )
        self.application = application(keeper.context, auth)
        sockets, self.port = bind_unused_port()
        self.server = HTTPServer(self.application)
        self.server.add_socket(sockets)

    async def ask(self, method: str, path: str, token: str | None = None, **kwargs: Any) -> Answer:
        """Any request below the prefix."""
        headers = {"Authorization": f"token {token}"} if token else {}
        url = f"http://127.0.0.1:{self.port}/@/space%20word/services/gradient/{path}"
        async with self._session.request(
            method,
            url,
            headers=headers | kwargs.pop("headers", {}),
            allow_redirects=False,
            **kwargs,
        ) as response:
            said = await response.text()
            return Answer(response.status, _json(said), response.headers, said)

    async def get(self, path: str, token: str | None = None) -> Answer:
        """REST v1."""
        return await self.ask("GET", f"api/v1/{path}", token)

    async def close(self) -> None:
        self.server.stop()
        await self._session.close()


Make = Callable[..., Awaitable[SimpleNamespace]]


@pytest.fixture
async def site(hub: Callable[..., Awaitable[Home]]) -> AsyncIterator[Make]:
    """A hub, its keeper and its site; bob runs a notebook, ada is an admin, eve is somebody."""
    made: list[Any] = []

    async def make(**traits: Any) -> SimpleNamespace:
        home = await hub(keeper=True, **traits)
        await home.settled()
        keeper = Keeping(home)
        served = Site(home, keeper)
        made.extend((served, keeper))
        tokens = {name: await home.person(name, "pro") for name in ("ada", "bob", "eve")}
        assert (await home.start_server("bob")).status == 201
        await keeper.one_pass()
        lease = await home.lease_of("bob")
        assert lease is not None
        return SimpleNamespace(home=home, keeper=keeper, site=served, lease=lease["id"], **tokens)

    yield make
    for one in made:
        await one.close()


async def test_a_person_sees_their_own_and_nothing_of_others(site):
    at = await site()
    mine = await at.site.get("leases", at.bob)
    assert [row["lease"] for row in mine.body["items"]] == [at.lease]
    assert mine.body["items"][0]["state"] == "running"
    assert (await at.site.get("leases", at.eve)).body == {"items": [], "next": None}
    assert (await at.site.get(f"leases/{at.lease}", at.bob)).body["stop_reason"] == "idle"
    foreign = await at.site.get(f"leases/{at.lease}", at.eve)
    assert (foreign.status, foreign.body["code"]) == (404, "not_found")
    assert (await at.site.get("me", at.bob)).body["tier"] == "pro"
    for path in ("leases?user=bob", "leases?all=1", "devices", "findings", "audit?all=1"):
        refused = await at.site.get(path, at.eve)
        assert (refused.status, refused.body["code"]) == (403, "not_allowed"), path


async def test_an_admin_sees_all(site):
    at = await site()
    listed = await at.site.get("leases?all=1", at.ada)
    assert [row["user"] for row in listed.body["items"]] == ["bob"], listed
    held = (await at.site.get("devices", at.ada)).body["items"]
    assert [row["holder"] for row in held if row["holder"]] == [at.lease]
    assert (await at.site.get("leases?user=bob", at.ada)).body["items"]
    assert (await at.site.get("leases?user=nobody", at.ada)).body["code"] == "not_found"


async def test_extend_is_the_owners_and_the_admins(site):
    at = await site()
    at.home.clock.advance(minutes=30)
    await at.keeper.one_pass()
    path = f"api/v1/leases/{at.lease}/extend"
    assert (await at.site.ask("POST", path, at.eve)).status == 404
    before = (await at.site.get(f"leases/{at.lease}", at.bob)).body["stops_at"]
    given = await at.site.ask("POST", path, at.bob)
    assert given.status == 200, given
    assert given.body["stops_at"] > before
    assert (await at.site.ask("POST", path, at.ada)).status == 200
    actors = [row["actor"] for row in await at.keeper.audit("extend")]
    assert actors == ["ada", "bob"]
    await at.home.api("DELETE", "/users/bob/server")
    ended = await at.site.ask("POST", path, at.bob)
    assert (ended.status, ended.body["code"]) == (409, "not_running")


async def test_a_servers_own_token_and_a_stranger_may_not_visit(site):
    at = await site()
    own = at.home.spawner("bob").api_token
    for token in (own, "nonsense", None):
        said = await at.site.get("me", token)
        assert said.status in (401, 403), (token, said)
        assert said.body["code"] in ("not_logged_in", "not_allowed")


async def test_lists_are_paged_without_losing_or_repeating(site):
    at = await site()
    for _ in range(4):
        at.home.clock.advance(minutes=1)
        await at.home.api("DELETE", "/users/bob/server")
        at.home.clock.advance(minutes=1)
        assert (await at.home.start_server("bob")).status == 201
    seen: list[str] = []
    after = ""
    while True:
        page = (await at.site.get(f"leases?limit=2&after={after}", at.bob)).body
        seen += [row["lease"] for row in page["items"]]
        if not (after := page["next"]):
            break
    assert len(seen) == len(set(seen)) == 5
    audit = (await at.site.get("audit?limit=3", at.bob)).body
    assert len(audit["items"]) == 3
    older = (await at.site.get(f"audit?limit=200&after={audit['next']}", at.bob)).body["items"]
    assert max(row["id"] for row in older) < min(row["id"] for row in audit["items"])


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("leases?limit=0", "bad_query"),
        ("leases?limit=9999", "bad_query"),
        ("leases?limit=many", "bad_query"),
        ("leases?colour=red", "bad_query"),
        ("leases?after=%21%21", "bad_query"),
        ("leases?after=bm90LWEtdGltZXx4", "bad_query"),
        ("audit?after=LTE", "bad_query"),
        ("leases?state=asleep", "bad_query"),
        ("leases/%3Cscript%3E", "not_found"),
        ("nothing", "not_found"),
        ("leases/" + "x" * 500, "not_found"),
        ("leases/%00", "not_found"),
    ],
)
async def test_nonsense_is_refused_in_one_shape(site, path, code):
    at = await site()
    said = await at.site.get(path, at.bob)
    assert said.body["code"] == code, said
    assert said.body["status"] == said.status
    assert 400 <= said.status < 500
    assert set(said.body) >= {"status", "code", "message", "hint", "field"}


async def test_a_wrong_method_says_which_are_known(site):
    at = await site()
    said = await at.site.ask("PUT", "api/v1/leases", at.bob)
    assert (said.status, said.body["code"]) == (405, "bad_method")
    assert said.headers["Allow"] == "GET"


async def test_a_cookie_without_the_token_against_forgery_changes_nothing(site):
    at = await site()
    auth: HubOAuth = at.site.application.settings["hub_auth"]
    cookie = {"Cookie": f"{auth.cookie_name}=forged"}
    said = await at.site.ask("POST", f"api/v1/leases/{at.lease}/extend", headers=cookie)
    assert said.status in (401, 403)
    assert await at.keeper.audit("extend") == []


async def test_the_ledger_away_and_a_keeper_that_starts_are_said(site, monkeypatch):
    at = await site()

    async def away(*args: Any, **kwargs: Any) -> Any:
        raise LedgerAway("gone")

    with monkeypatch.context() as patch:
        patch.setattr(at.keeper.ledger, "aread", away)
        said = await at.site.get("leases", at.bob)
        assert (said.status, said.body["code"]) == (503, "ledger_away")
        assert int(said.headers["Retry-After"]) > 0
        page = await at.site.ask("GET", "fleet", at.ada)
        assert page.status == 503
        assert "Nothing can be shown now: the ledger does not answer" in page.text
    at.keeper.context.published = None
    said = await at.site.get("catalog", at.bob)
    assert (said.status, said.body["code"]) == (503, "keeper_starting")


async def test_a_fault_of_ours_says_nothing_of_its_inside(site, monkeypatch):
    at = await site()

    async def fails(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr(at.keeper.ledger, "aread", fails)
    said = await at.site.get("leases", at.bob)
    assert (said.status, said.body["code"]) == (500, "failed")
    assert "secret" not in said.text


async def test_the_fleet_shows_who_has_what_and_stops_with_a_reason(site):
    at = await site()
    page = await at.site.ask("GET", "fleet", at.ada)
    assert page.status == 200
    assert "Nothing is wrong" in page.text
    assert at.lease in page.text
    assert "1 of 3" in page.text
    assert (await at.site.ask("GET", "fleet", at.eve)).status == 403
    no_reason = await at.site.ask("POST", "fleet", at.ada, data={"lease": at.lease})
    assert no_reason.status == 400
    assert "needs a reason" in no_reason.text
    form = {"lease": at.lease, "why": "New driver on <rack>"}
    stopped = await at.site.ask("POST", "fleet", at.ada, data=form)
    assert stopped.status == 303, stopped.text
    lease = await at.home.lease_of("bob")
    assert (lease["reason"], lease["stopped_by"]) == ("admin", "ada")
    assert lease["stop_note"] == "New driver on <rack>"
    # The same page a second later: what ran then runs no more.
    at.home.clock.advance(seconds=1)
    assert (await at.home.start_server("bob")).status == 201
    late = await at.site.ask("POST", "fleet", at.ada, data=form)
    assert late.status == 409
    assert (await at.home.lease_of("bob"))["stop_requested_at"] is None


async def test_the_fleet_shows_the_warm_servers_and_who_paused_them(site):
    at = await site()
    ledger, settings, now = at.keeper.ledger, at.home.settings, at.home.clock()
    assert "Warm servers" not in (await at.site.ask("GET", "fleet", at.ada)).text
    pool = {Pool(instance_type="free-t4", runtime="python", count=1): "digest"}
    slot = await ledger.awrite(warm_pool.add, settings, pool, str(uuid.uuid4()), now)
    assert slot is not None
    page = (await at.site.ask("GET", "fleet", at.ada)).text
    row = page[page.index("Warm servers") :]
    assert "0 of 1 starts of the last day had one." in row
    assert re.search(r">Starting</td>.*>-</td>", row)
    await ledger.awrite(
        warm_slots.note_ready, slot.id, object_id="x", address="", used=61_000_000, now=now
    )
    row = (await at.site.ask("GET", "fleet", at.ada)).text.partition("Warm servers")[2]
    assert re.search(r">Waits</td>.*>61 MB</td>.*>" + slot.devices[0], row)
    await ledger.awrite(warm_slots.pause, By(settings.hub_id, "<ada>", now))
    row = (await at.site.ask("GET", "fleet", at.ada)).text.partition("Warm servers")[2]
    assert "Paused by &lt;ada&gt; since" in row
    assert ">Ends</td>" in row


async def test_people_see_in_the_audit_what_touched_them(site):
    at = await site()
    await at.home.api("DELETE", "/users/bob/server", {"why": "<b>too loud</b>"}, token=at.ada)
    page = await at.site.ask("GET", "audit", at.bob)
    assert page.status == 200
    assert "ada" in page.text
    assert "&lt;b&gt;too loud&lt;/b&gt;" in page.text
    assert "<b>too loud" not in page.text
    assert "too loud" not in (await at.site.ask("GET", "audit", at.eve)).text
    assert (await at.site.ask("GET", "audit?user=bob", at.eve)).status == 403
    everybody = await at.site.ask("GET", "audit?all=1&action=stop", at.ada)
    for action in Action:
        option = rf'<option value="{action}" [^>]*>{ACTION_WORDS[action]}</option>'
        assert re.search(option, everybody.text), action
    assert "too loud" in everybody.text
    assert re.search(r">bob</td>", everybody.text)


@pytest.mark.slow
@pytest.mark.browser
async def test_axe_finds_nothing_serious_on_fleet_and_audit_and_nothing_is_wider_than_a_phone(site):
    axe = pytest.importorskip("axe_playwright_python")
    playwright = pytest.importorskip("playwright.async_api")
    if not CHROMIUM:
        pytest.skip("needs Chromium: install it, or name it in GRADIENTHUB_TEST_CHROMIUM")
    script = (Path(axe.__file__).parent / "axe.min.js").read_text()
    at = await site()
    found = NewFinding("x", "blind", "Something is “wrong”.", "Mend it.")
    report = {"hub_id": at.home.settings.hub_id, "source": "keeper", "wrong": [found]}
    await at.keeper.ledger.awrite(findings.report, **report, now=at.home.clock())
    await at.keeper.ledger.awrite(
        warm_pool.add,
        at.home.settings,
        {Pool(instance_type="free-t4", runtime="python", count=1): "digest"},
        str(uuid.uuid4()),
        at.home.clock(),
    )
    async with playwright.async_playwright() as engine:
        browser = await engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for width, scheme in ((1280, "light"), (360, "dark"), (360, "light"), (1280, "dark")):
            context = await browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme
            )
            page = await context.new_page()

            # The styles and scripts are the hub's; the pages the keeper's, with ada's token.
            async def fetch(route: Any) -> None:
                path = route.request.url.split("/@/space%20word/", 1)[1]
                if path.startswith("hub/"):
                    said = await route.fetch(url=at.home.url(path.removeprefix("hub")))
                else:
                    said = await route.fetch(headers={"Authorization": f"token {at.ada}"})
                await route.fulfill(response=said)

            await page.route("**/*", fetch)
            for path in ("fleet", "audit?all=1", "audit"):
                await page.goto(f"http://127.0.0.1:{at.site.port}{PREFIX}{path}")
                await page.evaluate(script)
                told = await page.evaluate("axe.run()")
                serious = [
                    (v["id"], v["nodes"][0]["html"])
                    for v in told["violations"]
                    if v["impact"] in ("serious", "critical")
                ]
                assert serious == [], (path, width, scheme)
                wide = await page.evaluate(TOO_WIDE)
                assert wide == [], (path, width)
                if folder := os.environ.get("GRADIENTHUB_TEST_PICTURES"):
                    name = f"{path.split('?')[0]}-{width}-{scheme}.png"
                    await page.screenshot(path=f"{folder}/{name}", full_page=True)
        await browser.close()


async def test_somebody_not_logged_in_is_led_to_the_hub_and_back(site):
    at = await site()
    said = await at.site.ask("GET", "fleet")
    assert said.status == 302
    assert "/hub/api/oauth2/authorize" in said.headers["Location"]


def test_the_document_names_every_operation_with_its_answer_and_who_may():
    told = document(OPERATIONS)
    assert told["openapi"] == "3.1.0"
    for operation in OPERATIONS:
        call = told["paths"][f"/{operation.path}"][operation.method.lower()]
        assert operation.who in call["description"]
        assert "$ref" in str(call["responses"]["200"])
    names = re.findall(r"#/components/schemas/([\w-]+)", str(told))
    assert set(names) <= set(told["components"]["schemas"])


async def test_what_openapi_promises_is_what_is_answered(site):
    at = await site()
    put = await at.site.ask("PUT", "api/v1/openapi.json", at.bob)
    assert (put.status, put.headers["Allow"]) == (405, "GET")
    told = (await at.site.ask("GET", "api/v1/openapi.json", at.bob)).body
    for operation in operations.OPERATIONS:
        if operation.method != "GET" or "{" in operation.path:
            continue
        said = await at.site.get(operation.path, at.ada)
        assert said.status == 200, (operation.path, said)
        operation.answer.model_validate(said.body)
        assert f"/{operation.path}" in told["paths"]
