"""Notebooks and Machines in a browser: fresh without a reload, one click to extend, for all."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from kept import looked_at

from gradienthub.rules.idleness import Reason, Warned
from gradienthub.rules.use import Use
from gradienthub.testing import DiesAtStart, SlowToPrepare

axe = pytest.importorskip("axe_playwright_python")

pytestmark = pytest.mark.browser
AXE = (Path(axe.__file__).parent / "axe.min.js").read_text()
#: What the interval does every five seconds, a window that is looked at again does at once.
LOOK_AGAIN = "document.dispatchEvent(new Event('visibilitychange'))"
T4 = {"instance_type": "t4", "shutdown_after": "1h"}


@pytest.fixture
async def mira(hub):
    """A hub with mira's notebook Maps, and her cookies to start more: (home, browser)."""
    home = await hub()
    await home.person("mira", "flat", pays=True)
    browser = await home.browser("mira")
    await started(home, browser, "Maps", **T4)
    return home, browser


async def started(home, browser, name, **options):
    options = {"instance_type": "free-cpu", "shutdown_after": "1h", **options}
    await browser.post("/new", {**options, "display_name": name})
    await home.until(lambda: home.spawner("mira", name.lower()).ready)


async def warn(home, clock, name="maps"):
    used = clock()
    clock.advance(minutes=56)
    told = Warned(Reason.IDLE, used + timedelta(hours=1), timedelta(minutes=5), clock())
    await looked_at(home, "mira", name, used_at=used, used_by=Use.KERNEL, warned=told)


async def everything(home, browser, clock):
    """A page with every state: warned, busy, starting, stopped, crashed, did not start."""
    await started(home, browser, "Busy")
    await started(home, browser, "Idle")
    await started(home, browser, "Stopped", instance_type="t4")
    await started(home, browser, "Crashed")
    await browser.post("/home", {"server": "stopped", "action": "stop"})
    (found,) = [
        one
        for one in home.engine.of_user("mira")
        if one.lease.id == (home.spawner("mira", "crashed").lease_id)
    ]
    await home.engine.crash(found, 137, "loading\nKilled", out_of_memory=True)
    await browser.get("/home")
    slow, dies = (home.engine.suffer(kind("mira")) for kind in (SlowToPrepare, DiesAtStart))
    await browser.post("/new", {**T4, "display_name": "Never"})
    home.engine.heal(slow)
    await home.until(lambda: home.spawner("mira", "never")._failed)
    home.engine.heal(dies)
    await warn(home, clock)
    await looked_at(
        home, "mira", "busy", busy=("sweep.ipynb",), busy_since=clock(), used_by=Use.KERNEL
    )
    await looked_at(home, "mira", "idle", used_at=clock() - timedelta(minutes=5))
    slow = home.engine.suffer(SlowToPrepare("mira"))
    await browser.post("/new", {**T4, "display_name": "Starting"})
    return slow


async def faults(page):
    """What axe finds serious or critical, in a line each."""
    await page.evaluate(AXE)
    found = await page.evaluate("axe.run()")
    return [
        f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:160]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


async def fits(page, width):
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_the_list_follows_without_a_reload_and_says_what_changed(mira, window, clock):
    home, browser = mira
    page = await window(home, "mira")
    await page.evaluate("window.mine = true")
    await warn(home, clock)
    await page.evaluate(LOOK_AGAIN)
    await page.get_by_text("Extending keeps it until").wait_for()
    assert "Maps stops in 4 min: idle for 1 h." in await page.inner_text("#news")
    await browser.post("/home", {"server": "maps", "action": "stop"})
    await page.evaluate(LOOK_AGAIN)
    await page.get_by_text("Not running, 1").wait_for()
    assert await page.inner_text("#news") == "Maps: stopped."
    assert "UTC" not in await page.inner_text("#live")
    assert await page.evaluate("window.mine") and page.faults == []


async def test_it_asks_again_by_itself_and_counts_down_between(mira, window, clock):
    home, _ = mira
    await warn(home, clock)
    page = await window(home, "mira")
    first = await page.inner_text("[data-until]")
    assert first in ("4:00", "3:59")
    await page.wait_for_function("document.querySelector('[data-until]').textContent < '3:59'")
    async with page.expect_response("**/hub/home", timeout=9000) as answer:
        pass
    assert (await answer.value).status == 200
    assert page.faults == []


async def test_extend_is_one_click(mira, window, clock):
    home, _ = mira
    await warn(home, clock)
    page = await window(home, "mira")
    await page.click("text=Extend 1 h")
    await page.get_by_text("Extended until").wait_for()
    kept = (await home.lease_of("mira", "maps"))["keep_until"]
    assert kept == clock() + timedelta(hours=1)
    assert page.faults == []


async def test_focus_open_menus_and_typed_text_stay(mira, window, clock):
    home, _ = mira
    page = await window(home, "mira")
    await page.click("#more-maps-open")
    await page.fill("#name-maps", "Half a na")
    await page.evaluate("document.getElementById('name-maps').setSelectionRange(2, 4)")
    await warn(home, clock)
    await page.evaluate(LOOK_AGAIN)
    await page.get_by_text("Extending keeps it until").wait_for()
    assert await page.input_value("#name-maps") == "Half a na"
    assert await page.evaluate("document.activeElement.id") == "name-maps"
    assert await page.evaluate("document.activeElement.selectionStart") == 2
    await page.keyboard.type("X")
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="HaX a na").wait_for()
    assert page.faults == []


async def test_focus_goes_along_when_a_notebook_changes_lists(mira, window):
    home, browser = mira
    page = await window(home, "mira")
    await page.focus("#more-maps-open")
    await browser.post("/home", {"server": "maps", "action": "stop"})
    await page.evaluate(LOOK_AGAIN)
    await page.get_by_text("Not running, 1").wait_for()
    assert await page.evaluate("document.activeElement.id") == "more-maps-open"


async def test_a_hub_that_is_away_is_said_and_forgotten_when_it_is_back(mira, window):
    home, _ = mira
    page = await window(home, "mira")
    await page.route("**/hub/home", lambda route: route.abort())
    for _ in range(2):
        await page.evaluate(LOOK_AGAIN)
    await page.get_by_text("The hub does not answer.").locator("visible=true").first.wait_for()
    assert await page.is_visible("#nb-maps")
    await page.unroute("**/hub/home")
    await page.evaluate(LOOK_AGAIN)
    await page.locator("#away").wait_for(state="hidden")
    assert page.faults == []


async def test_while_the_hub_is_away_nothing_is_counted_down(mira, window, clock):
    home, _ = mira
    await warn(home, clock)
    page = await window(home, "mira")
    assert await page.locator("#nb-maps [data-until]").count() == 1
    await page.route("**/hub/home", lambda route: route.abort())
    for _ in range(2):
        await page.evaluate(LOOK_AGAIN)
    await page.get_by_text("The hub does not answer.").locator("visible=true").first.wait_for()
    # That stop may hold no more; it says of when it is instead.
    assert await page.locator("[data-until]").count() == 0
    assert "Stops in" not in await page.inner_text("#nb-maps")
    assert "As of" in await page.inner_text("#nb-maps")
    await page.unroute("**/hub/home")
    await page.evaluate(LOOK_AGAIN)
    await page.locator("#nb-maps [data-until]").wait_for()
    assert "Stops in" in await page.inner_text("#nb-maps")
    assert page.faults == []


async def test_it_all_works_without_script(mira, window, clock):
    home, _ = mira
    await warn(home, clock)
    page = await window(home, "mira", java_script_enabled=False)
    await page.click("text=Extend 1 h")
    assert "Extended until" in await page.inner_text("main")
    await page.click("#more-maps-open")
    await page.fill("#name-maps", "Atlas")
    await page.click("#rename-maps")
    await page.click("#stop-maps")
    await page.click("#restart-maps")
    await home.until(lambda: home.spawner("mira", "maps").ready)
    await page.goto(home.url("/home"))
    assert "Running, 1" in await page.inner_text("main")
    assert await page.inner_text("#nb-maps-title") == "Atlas"
    await page.goto(home.url("/gradient/machines"))
    await page.click("[aria-label='Start T4']")
    assert await page.is_checked("[name=instance_type][value=t4]")


@pytest.mark.slow
async def test_everybody_can_use_every_state_of_both_pages(mira, window, clock):
    home, browser = mira
    slow = await everything(home, browser, clock)
    for scheme in ("light", "dark"):
        for width in (1280, 360):
            page = await window(home, "mira", width=width, color_scheme=scheme)
            words = await page.inner_text("#live")
            for there in (
                "Stops in",
                "Kept alive, busy",
                "Idle for 5 min",
                "Starting",
                "Stopped",
                "Crashed",
                "Did not start",
            ):
                assert there in words, there
            for path in ("/home", "/gradient/machines"):
                await page.goto(home.url(path))
                assert await faults(page) == [], (scheme, width, path)
                await fits(page, width)
            if shots := os.environ.get("GRADIENTHUB_TEST_PICTURES"):
                await page.screenshot(path=f"{shots}/machines-{scheme}-{width}.png", full_page=True)
            await page.goto(home.url("/home"))
            if shots:
                await page.screenshot(path=f"{shots}/home-{scheme}-{width}.png", full_page=True)
            await page.click("#more-stopped-open")
            await page.click("#delete-stopped-open")
            assert await faults(page) == [], (scheme, width, "menus open")
            await fits(page, width)
            assert page.faults == []
    home.engine.heal(slow)


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_use_the_empty_page(hub, window, scheme, width):
    home = await hub()
    page = await window(home, "anna", width=width, color_scheme=scheme)
    assert "No notebooks yet" in await page.inner_text("main")
    assert await faults(page) == []
    await fits(page, width)
