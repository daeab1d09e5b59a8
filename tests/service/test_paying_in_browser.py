"""The money's story in a browser: new, quote, start, cost, warned, stopped, statement."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from gradienthub.ledger import verify

axe = pytest.importorskip("axe_playwright_python")

pytestmark = [pytest.mark.browser, pytest.mark.slow]
AXE = (Path(axe.__file__).parent / "axe.min.js").read_text()
PREFIX = "/@/space%20word/services/gradient/"
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def story(bank, window):
    """`await story("bob")`: a keeper with money, and that person's window to both processes."""

    async def make(name):
        at = await bank()
        page = await window(at.home, name)

        # In one address space as behind the hub's proxy; the keeper knows whose window it is.
        async def fetch(route):
            path = route.request.url.split(PREFIX, 1)[1]
            said = await route.fetch(
                url=f"http://127.0.0.1:{at.port}{PREFIX}{path}",
                headers={"Authorization": f"token {at.tokens[name]}"},
            )
            await route.fulfill(response=said)

        await page.route(f"**{PREFIX}**", fetch)
        return at, page

    return make


async def shoot(page, name):
    if folder := os.environ.get("GRADIENTHUB_TEST_PICTURES"):
        await page.screenshot(path=f"{folder}/paying-{name}.png", full_page=True)


async def look_again(page):
    """What the page does by itself every few seconds."""
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


async def test_new_quote_start_cost_warned_stopped_statement(story):
    at, page = await story("eve")
    home, keeper, clock = at.home, at.keeper, at.home.clock
    usage = home.url("/").replace("/hub/", "/services/gradient/") + "usage"

    # New: the form says that there is no money for it, before anything is pressed.
    await page.goto(home.url("/new"))
    await page.check("[name=instance_type][value=t4]", force=True)
    await page.check("[name=shutdown_after][value='1h']", force=True)
    await page.wait_for_selector("#start:not(.is-asking)")
    told = await page.inner_text("#start")
    assert "your credit has $0.00 left" in told and "$0.00 left" in told, told
    await page.click(".gh-bar button.btn-primary")
    await page.wait_for_selector("[role=alert]")
    assert "no_credit" in await page.inner_text("[role=alert]")
    await shoot(page, "1-refused")
    given = {"amount": "0.17", "reason": "A taste"}
    assert (await at.ask("POST", "accounts/eve/credits", "ada", given)).status == 200

    # The quote, before the start: by the hour, at most what there is, and when that ends it.
    await page.goto(home.url("/new"))
    await page.check("[name=instance_type][value=t4]", force=True)
    await page.check("[name=shutdown_after][value='1h']", force=True)
    await page.fill("[name=display_name]", "Thesis")
    await page.wait_for_selector("#start:not(.is-asking)")
    quoted = await page.inner_text("#start")
    assert "your money ends then, ends at" in quoted and "1 h ×" not in quoted, quoted
    assert "$0.17 left" in quoted and "<$0.01 if you walk away now" in quoted, quoted
    most = (await page.inner_text(".gh-bar")).split("At most")[1]
    assert most.strip().startswith("$0.17"), most
    await shoot(page, "2-quote")
    await page.click(".gh-bar button.btn-primary")
    await home.until(lambda: home.spawner("eve", "thesis").ready)
    lease = await home.lease_of("eve", "thesis")

    # It runs: its cost so far, and what is held for it.
    await page.goto(home.url("/home"))
    clock.advance(minutes=10)
    keeper.used("eve", "thesis")
    await keeper.one_pass()
    await look_again(page)
    await page.get_by_text("$0.09").first.wait_for()
    await page.goto(usage)
    words = await page.inner_text("main")
    assert "$0.51/h" in words and "Running notebooks have cost $0.09" in words, words

    # The money ends after 20 minutes; it is warned of, and stopped before.
    await page.goto(home.url("/home"))
    clock.advance(minutes=6)
    keeper.used("eve", "thesis")
    await keeper.one_pass()
    await look_again(page)
    await page.get_by_text("add credit", exact=False).first.wait_for()
    await shoot(page, "3-warned")
    for _ in range(10):
        keeper.used("eve", "thesis")
        await keeper.one_pass(seconds=30)
        if not home.spawner("eve", "thesis").active:
            break
    ended = await home.lease_of("eve", "thesis")
    assert (ended["id"], ended["reason"]) == (lease["id"], "budget")
    await look_again(page)
    await page.get_by_text("the budget was used up", exact=False).first.wait_for()
    await shoot(page, "4-stopped")

    # The statement: what was given, and the bill of just that time, never more than there was.
    ran = ended["stop_requested_at"] - ended["answered_at"]
    bill = round(510_000 * ran / timedelta(hours=1))
    assert 18 * MINUTE < ran <= 20 * MINUTE and bill <= 170_000
    month = f"{clock():%Y-%m}"
    await page.goto(usage)
    await page.click(f"a[href$='statements/{month}']")
    words = await page.inner_text("main")
    assert "Credit: A taste" in words and f"-${bill / 10**6:.6f}".rstrip("0") in words, words
    assert f"${(170_000 - bill) / 10**6:.6f}".rstrip("0") in words
    await shoot(page, "5-statement")
    proved = await keeper.ledger.aread(
        verify.verify_money, hub_id=home.settings.hub_id, now=clock()
    )
    assert list(proved.faults) == []
    assert page.faults == []


async def test_the_charts_are_drawn_in_the_pages_tones_and_everybody_can_read_them(story):
    at, page = await story("bob")
    for machine in ("t4", "c1"):
        assert (await at.home.start_server("bob", machine, shutdown_after="1h")).status == 201
        at.home.clock.advance(hours=3)
        await at.home.api("DELETE", "/users/bob/server")
        at.home.clock.advance(days=-1)
    usage = at.home.url("/").replace("/hub/", "/services/gradient/") + "usage"
    # Nobody extended its hold; the credit covers it, and the stop charged all that it ran.
    runs = (await at.ask("GET", "leases", "bob")).body["items"]
    assert [run["cost"] for run in runs] == [1_530_000, 60_000]
    for width, scheme in ((1280, "light"), (360, "dark")):
        await page.set_viewport_size({"width": width, "height": 900})
        await page.emulate_media(color_scheme=scheme)
        await page.goto(usage)
        await page.wait_for_function(
            "[...document.querySelectorAll('canvas')].every(Chart.getChart)"
        )
        drawn = await page.evaluate(
            "[...document.querySelectorAll('canvas')].map(c => Chart.getChart(c)).map(c =>"
            " c.data.datasets.map((d, at) => [d.label, d.data.length,"
            " c.getDatasetMeta(at).data[0].options.backgroundColor]))"
        )
        assert [[one[:2] for one in chart] for chart in drawn] == [[["T4", 30], ["C1", 30]]] * 2
        tones = [one[2] for one in drawn[0]]
        keys = await page.evaluate(
            "[...document.querySelectorAll('.gh-key rect')].map(r => getComputedStyle(r).fill)"
        )
        assert tones == keys and len(set(keys)) == 2, (tones, keys)
        await page.evaluate(AXE)
        told = await page.evaluate("axe.run()")
        assert [v["id"] for v in told["violations"] if v["impact"] in ("serious", "critical")] == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        await shoot(page, f"usage-{width}-{scheme}")
    assert page.faults == []
