"""The hub's pages as a browser sees them: the form, a start on its way, the notebooks."""

import asyncio
import html
import re
from datetime import timedelta
from urllib.parse import quote

import pytest
from home import plain

from gradienthub.hub import charging, pages
from gradienthub.ledger import LedgerAway
from gradienthub.spawners import spawn_form
from gradienthub.testing import DiesAtStart, FailsAtCreate, SlowToPrepare, SlowToStart, SlowToStop

FREE = {"instance_type": "free-t4", "shutdown_after": "1h"}
T4 = {"instance_type": "t4", "shutdown_after": "1h"}


class LedgerIsAway:
    """A ledger whose database does not answer."""

    async def awrite(self, *args, **kwargs):
        raise LedgerAway("no connection")

    aread = awrite

    def close(self):
        """Nothing is open."""


def checked(page, name):
    """The value of the radio button of that name that is checked."""
    for tag in re.findall(r"<input[^>]*>", page):
        if f'name="{name}"' in tag and re.search(r"\bchecked\b", tag):
            return html.unescape(re.search(r'value="([^"]*)"', tag)[1])
    return None


def field(page, name):
    """The value of the input of that name."""
    tag = next(tag for tag in re.findall(r"<input[^>]*>", page) if f'name="{name}"' in tag)
    return html.unescape(re.search(r'value="([^"]*)"', tag)[1])


async def served(home, name):
    """Names of the servers that the hub has rows of."""
    return sorted(home.app.users[name].orm_spawners)


# -- the form -----------------------------------------------------------------------------------


async def test_the_form_shows_tier_machines_and_what_they_cost(hub):
    home = await hub()
    anna = await home.browser("anna")
    said = await anna.get("/spawn")
    assert said.status == 200
    words = plain(said.text)
    for there in (
        "Tier Free",
        "Running 0 of 1",
        "Free T4 $0.00/h",
        "2 of 2 free",
        "It needs tier Pro",
        "If you walk away now $0.00",
    ):
        assert there in words, there
    assert checked(said.text, "instance_type") == "free-cpu"
    assert checked(said.text, "runtime") == "python"
    assert checked(said.text, "shutdown_after") == "1h"


@pytest.mark.parametrize("path", ["/spawn", "/new", "/home", "/spawn/anna/maps", "/not-running"])
async def test_our_pages_need_no_script(hub, path):
    home = await hub()
    anna = await home.browser("anna")
    if path == "/not-running":
        path = "/user/anna/"
    said = await anna.get(path)
    assert "requires JavaScript" not in said.text
    for tag in re.findall(r"<script[^>]*>([^<]*)", said.text):
        assert tag == "", "inline script"
    for there in re.findall(r'(?:src|href)="([^"#]+)"', said.text):
        assert there.startswith("/@/space%20word/"), there


async def test_a_link_fills_the_form_in_and_starts_nothing(hub):
    home = await hub()
    await home.person("anna", "pro", pays=True)
    anna = await home.browser("anna")
    said = await anna.get(
        "/spawn/anna/maps?opt-instance_type=t4&runtime=torch&shutdown_after=6h&interface=notebook"
    )
    assert said.status == 200
    assert checked(said.text, "instance_type") == "t4"
    assert checked(said.text, "runtime") == "torch"
    assert checked(said.text, "shutdown_after") == "6h"
    assert checked(said.text, "interface") == "notebook"
    assert await served(home, "anna") == [""]
    await home.nothing_is_taken()


@pytest.mark.parametrize(
    "query",
    [
        "?foo=1",
        "?opt-=1",
        "?instance_type=%00%ff%fe",
        "?opt-image=--privileged",
        "?_xsrf=1&x[]=2",
        "?instance_type=" + "a" * 4000,
        "?stop_at=0001-01-01T00:00",
        "?runtime=%3Cscript%3E",
        "?display_name=" + quote("<img src=x>"),
    ],
)
async def test_a_hostile_link_is_a_form_with_a_note(hub, query):
    home = await hub()
    anna = await home.browser("anna")
    said = await anna.get("/new" + query)
    assert said.status == 200
    assert "<img src=x>" not in said.text and "<script>" not in said.text
    if "display_name" not in query:
        assert "The link filled in what it could, and started nothing." in said.text
    await home.nothing_is_taken()


async def test_a_form_starts_a_named_notebook_and_goes_to_its_start(hub):
    home = await hub()
    anna = await home.browser("anna")
    said = await anna.post("/spawn", {**FREE, "display_name": "  Attention   maps, 2nd "})
    assert said.status == 302
    assert said.headers["Location"].endswith("/hub/spawn-pending/anna/attention-maps-2nd")
    await home.until(lambda: home.spawner("anna", "attention-maps-2nd").ready)
    row = home.app.users["anna"].orm_spawners["attention-maps-2nd"]
    assert row.display_name == "Attention maps, 2nd"
    assert (await home.lease_of("anna", "attention-maps-2nd"))["instance_type"] == "free-t4"


async def test_a_form_without_a_name_starts_the_default_notebook(hub):
    home = await hub()
    anna = await home.browser("anna")
    said = await anna.post("/spawn", {**FREE, "display_name": ""})
    assert said.headers["Location"].endswith("/hub/spawn-pending/anna")
    await home.until(lambda: home.spawner("anna").ready)
    assert (await anna.get("/spawn")).headers["Location"].endswith("/user/anna/")


async def test_one_more_notebook_needs_a_name_once_the_default_one_runs(hub):
    home = await hub()
    await home.person("anna", "pro")
    anna = await home.browser("anna")
    await anna.post("/spawn", FREE)
    await home.until(lambda: home.spawner("anna").ready)
    page = await anna.get("/new")
    assert page.status == 200 and "this one needs one" in page.text
    said = await anna.post("/new", {**FREE, "display_name": " "})
    assert said.status == 400 and "Give it a name." in said.text
    said = await anna.post("/new", {**FREE, "display_name": "two"})
    assert said.status == 302


async def test_names_that_make_one_address_get_addresses_of_their_own(hub):
    home = await hub()
    await home.person("anna", "flat")
    anna = await home.browser("anna")
    long = "x" * 40
    for name, server in (
        ("Maps!", "maps"),
        ("Maps?", "maps-2"),
        ("maps.", "maps-3"),
        ("日本", "notebook"),
        ("中国", "notebook-2"),
        (long, "x" * 30),
        (long + "!", "x" * 28 + "-2"),
    ):
        said = await anna.post("/new", {**FREE, "instance_type": "free-cpu", "display_name": name})
        assert said.status == 302, plain(said.text)
        assert said.headers["Location"].endswith(f"/spawn-pending/anna/{server}")


async def test_a_name_that_is_taken_is_refused_with_the_entries_kept(hub):
    home = await hub()
    await home.person("anna", "pro")
    anna = await home.browser("anna")
    await anna.post("/new", {**FREE, "display_name": "Maps"})
    await home.until(lambda: home.spawner("anna", "maps").ready)
    said = await anna.post("/new", {**FREE, "display_name": "MAPS", "shutdown_after": "6h"})
    assert said.status == 409
    assert "name_taken" in said.text
    assert field(said.text, "display_name") == "MAPS"
    assert checked(said.text, "shutdown_after") == "6h"
    assert await served(home, "anna") == ["", "maps"]


async def test_new_names_and_renames_are_taken_by_the_same_rule(hub):
    home = await hub()
    await home.person("anna", "pro")
    anna = await home.browser("anna")
    await anna.post("/new", {**FREE, "display_name": "default"})
    await home.until(lambda: home.spawner("anna", "default").ready)
    for taken in ("DEFAULT notebook", "Default"):
        said = await anna.post("/new", {**FREE, "display_name": taken})
        assert (said.status, "name_taken" in said.text) == (409, True)
    rename = {"server": "default", "action": "rename"}
    said = await anna.post("/home", {**rename, "display_name": "Default Notebook"})
    assert (said.status, "You have a notebook named" in said.text) == (409, True)
    said = await anna.post("/home", {**rename, "display_name": "DEFAULT"})
    assert said.status in (302, 303)
    assert await served(home, "anna") == ["", "default"]


async def test_pressing_start_twice_starts_once(hub):
    home = await hub()
    anna = await home.browser("anna")
    slow = home.engine.suffer(SlowToStart("anna"))
    first = await anna.post("/new", {**FREE, "display_name": "Maps"})
    second = await anna.post("/new", {**FREE, "display_name": "Maps"})
    assert first.status == second.status == 302
    assert first.headers["Location"] == second.headers["Location"]
    slow.let_go()
    await home.until(lambda: home.spawner("anna", "maps").ready)
    assert len(home.engine.history) == 1


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"instance_type": "t4"}, 403, "type_not_in_tier"),
        ({"instance_type": "nonesuch"}, 400, "unknown_instance_type"),
        ({"instance_type": ""}, 400, "no_instance_type"),
        ({"runtime": "torch"}, 403, "runtime_not_in_tier"),
        ({"runtime": "custom", "image": ""}, 400, "bad_image"),
        ({"runtime": "custom", "image": "--privileged"}, 400, "bad_image"),
        ({"shutdown_after": "99h"}, 403, "interval_not_allowed"),
        ({"stop_at": "2020-01-01T00:00"}, 400, "bad_stop_at"),
        ({"evil": "<script>"}, 400, "unknown_option"),
        ({"display_name": "x" * 61}, 400, "bad_name"),
    ],
)
async def test_a_refusal_is_the_form_again_with_its_words_and_status(hub, change, status, code):
    home = await hub(help_url="https://help.example.org/gpu", support_email="gpu@example.org")
    anna = await home.browser("anna")
    said = await anna.post("/new", {**FREE, "display_name": "My <b>maps</b>", **change})
    assert said.status == status, plain(said.text)
    assert f'<span class="gh-mono">{code}</span> ({status})' in said.text
    assert "https://help.example.org/gpu" in said.text and "gpu@example.org" in said.text
    if "display_name" not in change:
        assert field(said.text, "display_name") == "My <b>maps</b>"
    assert "<b>maps</b>" not in said.text and "<script>" not in said.text
    assert await served(home, "anna") == [""], "a refused start left a server"
    await home.nothing_is_taken()


async def test_a_refusal_after_a_slow_hook_is_still_said_on_the_form(hub, monkeypatch):
    monkeypatch.setattr(pages, "AT_ONCE", 0.01)
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow_hook(spawner):
        asked.set()
        await go_on.wait()

    home = await hub(lambda c: c.Spawner.update(pre_spawn_hook=slow_hook))
    anna = await home.browser("anna")
    answer = asyncio.ensure_future(anna.post("/new", {**T4, "display_name": "Maps"}))
    await asked.wait()
    await asyncio.sleep(0.05)
    assert not answer.done()
    go_on.set()
    assert (await answer).status == 403
    assert await served(home, "anna") == [""]


async def test_no_capacity_says_when_to_come_back_and_what_is_free(hub):
    home = await hub()
    for name in ("anna", "ben"):
        await home.person(name)
        assert (await home.start_server(name)).status == 201
    await home.person("mira", "pro", pays=True)
    mira = await home.browser("mira")
    said = await mira.post("/new", {**T4, "instance_type": "free-t4", "display_name": "Maps"})
    assert said.status == 503
    assert int(said.headers["Retry-After"]) >= 60
    words = plain(said.text)
    assert "All 2 Free T4 are in use." in words
    assert "Try Free T4 again, $0.00/h" in words
    assert "The next is free by 21:00 UTC at the latest." in words
    assert checked(said.text, "instance_type") == "free-t4"
    assert await served(home, "mira") == [""]


async def test_a_way_on_starts_with_the_other_entries_as_they_were(hub):
    home = await hub()
    await home.person("mira", "pro", pays=True)
    mira = await home.browser("mira")
    said = await mira.post(
        "/new", {**T4, "display_name": "Maps", "interface": "notebook", "instead": "c1"}
    )
    assert said.status == 302
    await home.until(lambda: home.spawner("mira", "maps").ready)
    lease = await home.lease_of("mira", "maps")
    assert (lease["instance_type"], lease["interface"]) == ("c1", "notebook")


async def test_figures_are_updated_without_script_and_without_a_start(hub):
    home = await hub()
    await home.person("mira", "pro", pays=True)
    mira = await home.browser("mira")
    said = await mira.post("/new", {**T4, "shutdown_after": "6h", "step": "quote"})
    assert said.status == 200
    assert "If you walk away now $3.06" in plain(said.text)
    await home.nothing_is_taken()
    assert await served(home, "mira") == [""]


async def test_the_next_form_is_filled_in_with_what_was_admitted_last(hub):
    home = await hub()
    await home.person("mira", "pro", pays=True)
    mira = await home.browser("mira")
    await mira.post("/new", {**T4, "display_name": "Maps", "runtime": "torch"})
    await home.until(lambda: home.spawner("mira", "maps").ready)
    await home.api("DELETE", "/users/mira/servers/maps")
    refused = await mira.post("/spawn/mira/maps", {**T4, "instance_type": "a100"})
    assert refused.status == 403
    said = await mira.get("/spawn/mira/maps")
    assert "<h1>Start Maps</h1>" in said.text
    assert checked(said.text, "instance_type") == "t4"
    assert checked(said.text, "runtime") == "torch"
    assert await served(home, "mira") == ["", "maps"]


async def test_an_end_time_is_read_in_the_zone_of_the_browser(hub):
    home = await hub()
    anna = await home.browser("anna")
    said = await anna.post("/spawn", {**FREE, "stop_at": "2026-11-23T18:00", "utc_offset": "60"})
    assert said.status == 302
    await home.until(lambda: home.spawner("anna").ready)
    assert f"{(await home.lease_of('anna'))['stop_at']:%H:%M %Z}" == "17:00 UTC"


async def test_a_forged_form_starts_nothing(hub):
    home = await hub()
    anna = await home.browser("anna")
    said = await anna.post("/spawn", FREE, xsrf=False)
    assert said.status == 403
    await home.nothing_is_taken()


@pytest.mark.parametrize("path", ["/spawn/ben", "/spawn/ben/maps", "/spawn-pending/ben"])
async def test_nobody_sees_or_starts_what_is_somebody_elses(hub, path):
    home = await hub()
    await home.person("ben")
    anna = await home.browser("anna")
    assert (await anna.get(path)).status in (403, 404)
    assert (await anna.post(path, FREE)).status in (403, 404)
    await home.nothing_is_taken()


async def test_an_admin_starts_for_somebody_with_their_tier(hub):
    home = await hub()
    await home.person("ben")
    ada = await home.browser("ada")
    assert "For ben, who pays for it." in (await ada.get("/spawn/ben")).text
    said = await ada.post("/spawn/ben", {**FREE, "instance_type": "t4"})
    assert (said.status, "Free" in said.text) == (403, True)
    said = await ada.post("/spawn/ben", FREE)
    assert said.status == 302
    await home.until(lambda: home.spawner("ben").ready)
    assert (await home.lease_of("ben"))["account_id"] == await home.account_id("ben")


async def test_while_the_ledger_is_away_the_form_keeps_its_entries_and_has_no_start(hub):
    home = await hub()
    anna = await home.browser("anna")
    ledger, home.context.ledger = home.context.ledger, LedgerIsAway()
    try:
        for said in (await anna.get("/new"), await anna.post("/new", FREE)):
            assert said.status == 503
            assert "ledger_away" in said.text
            assert "gh-bar" not in said.text
        assert field(said.text, "instance_type") == "free-t4"
        home_page = await anna.get("/home")
        assert home_page.status == 200
        assert "the ledger does not answer" in home_page.text
    finally:
        home.context.ledger = ledger


# -- a start on its way -------------------------------------------------------------------------


async def test_the_pending_page_shows_the_phases_and_refreshes_itself(hub, clock):
    home = await hub()
    anna = await home.browser("anna")
    slow = home.engine.suffer(SlowToStart("anna"))
    await anna.post("/new", {**FREE, "display_name": "Maps"})
    await slow.reached()
    clock.advance(seconds=18)
    page = await anna.get("/spawn-pending/anna/maps")
    assert page.status == 200
    assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in page.text
    words = plain(page.text)
    for there in (
        "Starting Maps",
        "Phase 5 of 6: wait until it answers",
        "Elapsed 18 s",
        "Free T4 · Toy T4 · 1 vCPU · 2 GB RAM · Python 3 · JupyterLab",
        "it stops by itself after 1 h idle",
    ):
        assert there in words, there
    slow.let_go()
    await home.until(lambda: home.spawner("anna", "maps").ready)
    there = await anna.get("/spawn-pending/anna/maps")
    assert there.headers["Location"].endswith("/user/anna/maps/")


async def test_what_is_usual_is_said_once_it_is_known(hub, clock):
    home = await hub()
    await home.person("anna")
    slow = home.engine.suffer(SlowToStart("anna"))
    for _ in range(2):
        anna = await home.browser("anna")
        await anna.post("/spawn", FREE)
        await home.until(lambda: home.spawner("anna").lease_id)
        page = plain((await anna.get("/spawn-pending/anna")).text)
        clock.advance(seconds=31)
        home.engine.heal(slow)
        await home.until(lambda: home.spawner("anna").ready)
        await home.api("DELETE", "/users/anna/server")
        slow = home.engine.suffer(SlowToStart("anna"))
    assert "Usual 31 s" in page


async def test_the_start_as_json_follows_it_for_who_may_see_it(hub):
    home = await hub()
    token = await home.person("anna")
    stranger = await home.person("ben")
    slow = home.engine.suffer(SlowToStart("anna"))
    anna = await home.browser("anna")
    await anna.post("/spawn", FREE)
    await slow.reached()
    said = await home.api("GET", "/gradient/starts/anna/", token=token)
    assert said.status == 200
    assert [p["name"] for p in said.body["phases"] if p["state"] == "now"] == ["answering"]
    assert (said.body["ready"], said.body["failed"], said.body["pending"]) == (False, None, "spawn")
    assert (await home.api("GET", "/gradient/starts/anna/", token=stranger)).status == 404
    assert (await home.api("GET", "/gradient/starts/anna/nonesuch", token=token)).status == 404
    still = await home.api("GET", "/gradient/starts/anna/?wait=0.1", token=token)
    assert still.body["pending"] == "spawn"
    waits = asyncio.ensure_future(home.api("GET", "/gradient/starts/anna/?wait=20", token=token))
    slow.let_go()
    said = await waits
    assert said.body["ready"] and said.body["url"].endswith("/user/anna/")
    for wrong in ("nan", "-1", "21", "soon"):
        said = await home.api("GET", f"/gradient/starts/anna/?wait={wrong}", token=token)
        assert said.status == 400
        assert f"wait is '{wrong}'" in said.body["message"]


@pytest.mark.parametrize("fault", [SlowToPrepare, SlowToStart])
async def test_the_pages_button_stops_this_notebook_while_it_starts(hub, fault):
    home = await hub()
    await home.person("anna", "pro", pays=True)
    anna = await home.browser("anna")
    await anna.post("/new", {**FREE, "display_name": "Other"})
    await home.until(lambda: home.spawner("anna", "other").ready)
    slow = home.engine.suffer(fault("anna"))
    await anna.post("/new", {**T4, "display_name": "Maps"})
    await slow.reached()
    said = await anna.post("/spawn-pending/anna/maps", {"action": "stop"})
    assert said.status == 303 and said.headers["Location"].endswith("/hub/home")
    lease = await home.lease_of("anna", "maps")
    assert lease["ended_at"] is not None
    assert (lease["reason"], lease["stopped_by"]) == ("user", "anna")
    assert home.spawner("anna", "other").ready
    assert len(home.engine.objects) == 1
    home.engine.heal(slow)


async def test_a_failed_start_says_why_how_far_it_came_and_a_way_on(hub):
    home = await hub(support_email="gpu@example.org")
    anna = await home.browser("anna")
    slow = home.engine.suffer(SlowToPrepare("anna"))
    home.engine.suffer(DiesAtStart("anna"))
    await anna.post("/new", {**FREE, "display_name": "Maps"})
    home.engine.heal(slow)
    await home.until(lambda: home.spawner("anna", "maps")._failed)
    page = await anna.get("/spawn-pending/anna/maps")
    assert page.status == 502
    words = plain(page.text)
    for there in (
        "Did not start: Maps",
        "No module named 'jupyterhub'",
        "Nothing was charged",
        "Try again",
        "start_failed",
        "gpu@example.org",
        "It came as far as phase 5 of 6",
    ):
        assert there in html.unescape(words), there
    assert 'href="/@/space%20word/hub/spawn/anna/maps"' in page.text
    assert 'http-equiv="refresh"' not in page.text
    token = (await home.api("POST", "/users/anna/tokens", {})).body["token"]
    said = await home.api("GET", "/gradient/starts/anna/maps", token=token)
    assert said.body["failed"]["code"] == "start_failed"


async def test_a_start_that_fails_at_once_says_so_on_the_form(hub, monkeypatch):
    monkeypatch.setattr(pages, "AT_ONCE", 20.0)
    home = await hub()
    anna = await home.browser("anna")
    home.engine.suffer(FailsAtCreate("anna"))
    said = await anna.post("/new", {**FREE, "display_name": "Maps"})
    assert said.status == 502
    assert "no space left" in said.text
    assert "Try Free T4 again, $0.00/h" in said.text
    assert await served(home, "anna") == [""]
    await home.nothing_is_taken()


async def test_a_stop_on_its_way_is_shown_as_one(hub):
    home = await hub()
    anna = await home.browser("anna")
    await anna.post("/spawn", FREE)
    await home.until(lambda: home.spawner("anna").ready)
    slow = home.engine.suffer(SlowToStop("anna"))
    stopping = asyncio.ensure_future(home.app.users["anna"].stop(""))
    await slow.reached()
    page = await anna.get("/spawn-pending/anna")
    assert "Stopping Default notebook" in page.text
    home.engine.heal(slow)
    await stopping


async def test_a_link_to_a_stopped_notebook_leads_to_its_form(hub):
    home = await hub()
    anna = await home.browser("anna")
    said = await anna.get("/user/anna/lab")
    assert said.status == 424
    assert "This notebook is not running" in said.text
    assert "/hub/spawn/anna" in said.text
    said = await anna.get("/spawn-pending/anna")
    assert (said.status, "is not running" in said.text) == (200, True)


async def test_the_hubs_own_form_and_progress_have_our_words(hub):
    home = await hub()
    await home.person("anna")
    fields = await home.spawner("anna").get_options_form()
    assert 'name="instance_type" value="free-t4"' in fields and "<form" not in fields
    assert await spawn_form.progress_event(home.spawner("anna")) == {
        "progress": 2,
        "message": "Get a machine. Your tier, your limits and what is free are checked.",
    }
    ledger, home.context.ledger = home.context.ledger, LedgerIsAway()
    home.spawner("anna").run.lease_id = "some-lease"
    event = await spawn_form.progress_event(home.spawner("anna"))
    home.context.ledger = ledger
    assert event["progress"] == 0 and "ledger" in event["message"]


# -- notebooks ----------------------------------------------------------------------------------


async def test_somebody_new_is_shown_what_is_free_now(hub):
    home = await hub()
    anna = await home.browser("anna")
    words = plain((await anna.get("/home")).text)
    assert "No notebooks yet" in words
    assert "Free of charge and free now: 64 Free CPU, 2 of 2 Free T4." in words


async def test_running_notebooks_come_first_with_cost_and_end(hub, clock):
    home = await hub()
    await home.person("mira", "pro", pays=True)
    mira = await home.browser("mira")
    await mira.post("/new", {**T4, "display_name": "Old"})
    await home.until(lambda: home.spawner("mira", "old").ready)
    for _ in range(9):
        clock.advance(minutes=10)
        await charging.charge(home.app, home.context)
    await mira.post("/home", {"server": "old", "action": "stop"})
    await home.until(lambda: not home.spawner("mira", "old").active)
    await mira.post("/new", {**T4, "display_name": "New <i>one</i>", "shutdown_after": "6h"})
    await home.until(lambda: home.spawner("mira", "new-i-one-i").ready)
    clock.advance(minutes=30)
    page = await mira.get("/home")
    words = html.unescape(plain(page.text))
    assert words.index("New <i>one</i>") < words.index("Old")
    assert "<i>one</i>" not in page.text
    for there in (
        "Running, 1 of 3",
        "$0.26 so far",
        "Spending now $0.51/h",
        "idle for 6 h",
        "Not running, 1",
        "$0.77 ran 1 h 30 min",
        "by you",
        "Restart",
    ):
        assert there in words, there


async def test_a_crash_and_a_failed_start_say_what_happened(hub):
    home = await hub()
    await home.person("mira", "pro", pays=True)
    mira = await home.browser("mira")
    await mira.post("/new", {**T4, "display_name": "Crashy"})
    await home.until(lambda: home.spawner("mira", "crashy").ready)
    (found,) = home.engine.of_user("mira")
    await home.engine.crash(found, 137, "line 1\nKilled <b>it</b>", out_of_memory=True)
    page = await mira.get("/home")
    words = html.unescape(plain(page.text))
    for there in (
        "Crashed",
        "out of memory (exit code 137)",
        "The end of its log",
        "Killed <b>it</b>",
    ):
        assert there in words, there
    assert "<b>it</b>" not in page.text


async def test_a_stopped_notebook_can_be_deleted_and_a_running_one_cannot(hub):
    home = await hub()
    anna = await home.browser("anna")
    await anna.post("/new", {**FREE, "display_name": "Maps"})
    await home.until(lambda: home.spawner("anna", "maps").ready)
    await anna.post("/home", {"server": "maps", "action": "delete"})
    assert home.spawner("anna", "maps").ready
    await anna.post("/home", {"server": "maps", "action": "stop"})
    await anna.post("/home", {"server": "maps", "action": "delete"})
    assert await served(home, "anna") == [""]
    await home.nothing_is_taken()


@pytest.mark.parametrize(
    ("posted", "status"),
    [
        ({"server": "nonesuch", "action": "stop"}, 404),
        ({"server": "", "action": "format"}, 400),
        ({"server": "", "action": "stop"}, 303),
        ({"server": "", "action": "delete"}, 303),
    ],
)
async def test_the_notebooks_page_does_nothing_else(hub, posted, status):
    home = await hub()
    anna = await home.browser("anna")
    assert (await anna.post("/home", posted)).status == status
    assert (await anna.post("/home", posted, xsrf=False)).status == 403
    assert await served(home, "anna") == [""]


# -- beside the pages ---------------------------------------------------------------------------


async def test_what_is_free_is_told_to_the_person_it_is_for(hub, clock):
    home = await hub()
    token = await home.person("anna")
    await home.person("ben")
    await home.start_server("ben")
    said = await home.api("GET", "/gradient/availability", token=token)
    assert said.status == 200
    assert said.body["types"]["free-t4"] == {
        "state": "free",
        "note": "1 of 2 free",
        "next_free": None,
    }
    assert said.body["types"]["t4"]["state"] == "locked"
    await home.person("cleo")
    await home.start_server("cleo")
    said = await home.api("GET", "/gradient/availability/anna", token=token)
    t4 = said.body["types"]["free-t4"]
    assert t4["state"] == "none"
    assert t4["next_free"] == (clock() + timedelta(hours=12)).isoformat()
    assert (await home.api("GET", "/gradient/availability/ben", token=token)).status == 404
    assert (await home.api("GET", "/gradient/availability", token="wrong")).status == 403
    assert (await home.api("GET", "/gradient/availability")).status == 403


async def test_our_assets_are_served_and_nothing_beside_them(hub):
    home = await hub()
    anna = await home.browser("anna")
    said = await anna.get("/gradient/static/gradient.css")
    assert (said.status, said.headers["Content-Type"]) == (200, "text/css")
    assert (await anna.get("/gradient/static/form.js?v=1")).status == 200
    for path in ("../pages.py", "..%2f..%2fsettings.py", "%2e%2e/settings.py", "nonesuch.js"):
        assert (await anna.get(f"/gradient/static/{path}")).status in (403, 404)


async def test_the_hubs_own_pages_carry_our_bar(hub):
    home = await hub()
    ada = await home.browser("ada")
    for path in ("/token", "/admin"):
        said = await ada.get(path)
        assert said.status == 200
        words = plain(said.text)
        for there in ("Notebooks", "New notebook", "Admin", "Log out"):
            assert there in words, (path, there)
