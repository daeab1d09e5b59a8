"""What script adds to the pages: the hub's figures of each choice, the reader's zone, a start that
is followed. And what a narrow window, a dark one and one without script show.
"""

import pytest

from gradienthub.testing import DiesAtStart, SlowToPrepare, SlowToStart

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
async def mira(hub):
    """A hub, and in it mira, of tier pro with a payment method."""
    home = await hub()
    await home.person("mira", "pro", pays=True)
    return home


async def test_figures_follow_every_choice_and_are_the_hubs(mira, window):
    page = await window(mira, "mira")
    await page.goto(mira.url("/new"))
    bar = page.locator(".gh-bar")
    await page.check("[name=instance_type][value=t4]")
    await bar.get_by_text("$0.51/h").wait_for()
    assert "T4" in await bar.inner_text() and "–" in await bar.inner_text()
    await page.click("label:has([name=shutdown_after][value='6h'])")
    await bar.get_by_text("$3.06").wait_for()
    assert "No upper limit" in await bar.inner_text()
    await page.check("[name=instance_type][value=t4x2]")
    await bar.get_by_text("$6.12").wait_for()
    below = await page.inner_text("label:has([name=shutdown_after][value='30m']) small")
    assert below == "$0.51"
    # Without script the same entries give the same figures.
    browser = await mira.browser("mira")
    entries = {"instance_type": "t4x2", "shutdown_after": "6h", "step": "quote"}
    said = await browser.post("/new", entries)
    assert said.text.count("<dd>$6.12</dd>") == 1
    assert page.faults == []


async def test_what_is_typed_and_chosen_stays_while_figures_come(mira, window):
    page = await window(mira, "mira")
    await page.goto(mira.url("/new"))
    await page.fill("[name=display_name]", "Maps <b>of</b> Rome")
    await page.check("[name=instance_type][value=t4]")
    await page.locator(".gh-bar").get_by_text("$0.51/h").wait_for()
    assert await page.input_value("[name=display_name]") == "Maps <b>of</b> Rome"
    assert await page.is_checked("[name=instance_type][value=t4]")
    focused = await page.evaluate("document.activeElement.value")
    assert focused == "t4"
    assert page.faults == []


async def test_figures_of_earlier_choices_are_called_so_while_the_hub_is_away(mira, window):
    page = await window(mira, "mira")
    await page.goto(mira.url("/new"))
    await page.check("[name=instance_type][value=t4]")
    await page.locator(".gh-bar").get_by_text("$0.51/h").wait_for()
    assert await page.locator("[data-old]").is_hidden()

    async def lost(route):
        await route.abort()

    await page.route("**/new", lost)
    await page.check("[name=instance_type][value=t4x2]")
    await page.get_by_text("these figures are of the choices before").wait_for()
    await page.unroute("**/new", lost)
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await page.locator(".gh-bar").get_by_text("$1.02/h").wait_for()
    assert await page.locator("[data-old]").is_hidden()


async def test_times_are_the_readers_and_the_end_time_is_sent_as_such(mira, window):
    page = await window(mira, "mira")
    await page.goto(mira.url("/new?opt-stop_at=2099-07-01T10:00:00Z"))
    assert await page.input_value("[name=stop_at]") == "2099-07-01T12:00"
    assert await page.input_value("[name=utc_offset]") == "120"
    await page.fill("[name=stop_at]", "2099-12-01T12:00")
    assert await page.input_value("[name=utc_offset]") == "60"
    zone = await page.inner_text("#stop-at-help")
    assert "CET" in zone or "CEST" in zone
    assert "UTC" not in await page.inner_text("main")
    assert page.faults == []


async def test_what_is_free_is_kept_fresh(mira, window):
    page = await window(mira, "mira")
    await page.goto(mira.url("/new"))
    t4 = page.locator("[data-type=t4]")
    assert "2 of 2 free" in await t4.inner_text()
    for name in ("anna", "ben"):
        await mira.person(name)
        await mira.start_server(name)
    # What the interval does every ten seconds, a window that is looked at again does at once.
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await t4.get_by_text("None of 2 free. The next is free by").wait_for()
    assert await page.locator("[name=instance_type][value=t4]").is_disabled()
    assert page.faults == []


async def test_a_refused_form_comes_back_and_its_way_on_starts(mira, window):
    for name in ("anna", "ben"):
        await mira.person(name)
        await mira.start_server(name)
    page = await window(mira, "mira")
    await page.goto(mira.url("/new"))
    await page.fill("[name=display_name]", "Maps")
    # Somebody was faster: the page still calls it free.
    await page.evaluate("document.querySelector('[value=free-t4]').disabled = false")
    await page.check("[name=instance_type][value=free-t4]")
    await page.click("label:has([name=shutdown_after][value='1h'])")
    await page.click(".gh-bar button")
    await page.get_by_text("All 2 Free T4 are in use.").first.wait_for()
    assert await page.input_value("[name=display_name]") == "Maps"
    assert await page.is_checked("[name=shutdown_after][value='1h']")
    await page.check("[name=instance_type][value=free-cpu]")
    slow = mira.engine.suffer(SlowToStart("mira"))
    await page.click(".gh-bar button")
    await page.wait_for_url("**/spawn-pending/mira/maps")
    assert page.faults == []
    slow.let_go()


async def test_the_pending_page_follows_its_start_to_the_notebook(mira, window):
    page = await window(mira, "mira")
    prepares = mira.engine.suffer(SlowToPrepare("mira"))
    starts = mira.engine.suffer(SlowToStart("mira"))
    browser = await mira.browser("mira")
    await browser.post(
        "/new", {"instance_type": "t4", "shutdown_after": "1h", "display_name": "Maps"}
    )
    await page.goto(mira.url("/spawn-pending/mira/maps"))
    await page.get_by_text("Phase 2 of 6: get the runtime").wait_for()
    mira.engine.heal(prepares)
    await page.get_by_text("Phase 5 of 6: wait until it answers").wait_for()
    starts.let_go()
    await page.wait_for_url("**/user/mira/maps/**")
    assert page.faults == []


async def test_the_pending_page_shows_a_failure_by_itself(mira, window):
    page = await window(mira, "mira")
    prepares = mira.engine.suffer(SlowToPrepare("mira"))
    mira.engine.suffer(DiesAtStart("mira"))
    browser = await mira.browser("mira")
    await browser.post(
        "/new", {"instance_type": "t4", "shutdown_after": "1h", "display_name": "Maps"}
    )
    await page.goto(mira.url("/spawn-pending/mira/maps"))
    mira.engine.heal(prepares)
    await page.get_by_text("Did not start: Maps").wait_for()
    assert "No module named" in await page.inner_text("main")
    await page.click("text=Try again")
    assert await page.is_checked("[name=instance_type][value=t4]")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/new?foo=1", "/home", "/spawn-pending/mira/maps"])
async def test_a_phone_shows_every_page_without_scrolling_sideways(mira, window, path, scheme):
    slow = mira.engine.suffer(SlowToStart("mira"))
    browser = await mira.browser("mira")
    await browser.post(
        "/new", {"instance_type": "t4", "shutdown_after": "1h", "display_name": "Wide" * 15}
    )
    page = await window(mira, "mira", width=360, color_scheme=scheme)
    await page.goto(mira.url(path.replace("maps", ("wide" * 15)[:30])))
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    dark = await page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every((c) => c < 60)"
    )
    assert dark == (scheme == "dark")
    slow.let_go()


async def test_the_whole_form_is_reached_by_keyboard_and_without_script(mira, window):
    page = await window(mira, "mira", java_script_enabled=False)
    await page.goto(mira.url("/new"))
    await page.focus("[name=display_name]")
    await page.keyboard.type("Maps")
    await page.keyboard.press("Tab")  # to the machines: Free-CPU is chosen
    for _ in range(3):
        await page.keyboard.press("ArrowDown")
    assert await page.is_checked("[name=instance_type][value=t4]")
    await page.focus("[name=shutdown_after][value='1h']")
    await page.keyboard.press("Space")
    await page.click("button[value=quote]")
    assert "$0.51" in await page.inner_text(".gh-bar")
    slow = mira.engine.suffer(SlowToStart("mira"))
    await page.focus("[name=display_name]")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/spawn-pending/mira/maps")
    slow.let_go()
    await mira.until(lambda: mira.spawner("mira", "maps").ready)
    await page.goto(mira.url("/home"))
    await page.click("button[value=stop]")
    assert "Not running, 1" in await page.inner_text("main")
