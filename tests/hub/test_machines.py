"""The Machines page: price, what is free, and why not, with the way to it."""

import html
import re

from home import TIERS, plain
from kept import LedgerIsAway


async def test_every_machine_is_there_with_price_and_what_is_free(hub):
    home = await hub()
    await home.person("mira", "pro", pays=True)
    await home.start_server("mira", "t4")
    mira = await home.browser("mira")
    page = await mira.get("/gradient/machines")
    words = html.unescape(plain(page.text))
    for there in (
        "Free CPU",
        "Multi-GPU",
        "Toy T4 · 16 GB",
        "2 × Toy T4 · 32 GB",
        "1 of 2 free",
        "$0.51/h",
        "8 vCPU · 16 GB RAM",
        "Running 1 of 3",
        "with Python 3",
    ):
        assert there in words, there
    a100 = page.text.split('data-type="a100"')[1].split("</li>")[0]
    assert "needs an approval, and you have none. Ask" in a100, "why not, and what would help"
    starts = re.findall(r'href="([^"]+)" aria-label="Start ([^"]+)"', page.text)
    assert dict((title, url.split("hub")[1]) for url, title in starts)["T4"] == (
        "/new?instance_type=t4"
    )
    assert "A100" not in dict((title, url) for url, title in starts)
    form = await mira.get("/new?instance_type=t4")
    assert re.search(r'name="instance_type" value="t4"[^>]*checked', form.text)


async def test_who_may_not_start_it_is_told_what_would_help(hub):
    home = await hub()
    anna = await home.browser("anna")
    page = await anna.get("/gradient/machines")
    t4 = page.text.split('data-type="t4"')[1].split("</li>")[0]
    assert "Locked" in t4 and "Pro" in t4 and "Start" not in t4


async def test_what_is_taken_says_when_it_is_free(hub):
    home = await hub()
    for name in ("ben", "cleo"):
        await home.person(name)
        await home.start_server(name)
    anna = await home.browser("anna")
    page = await anna.get("/gradient/machines")
    card = html.unescape(plain(page.text.split('data-type="free-t4"')[1].split("</li>")[0]))
    assert "None of 2 free. The next is free by" in card


async def test_without_the_ledger_it_says_so(hub):
    home = await hub()
    anna = await home.browser("anna")
    ledger, home.context.ledger = home.context.ledger, LedgerIsAway()
    page = await anna.get("/gradient/machines")
    home.context.ledger = ledger
    assert (page.status, page.headers["Retry-After"]) == (503, "60")
    assert "the ledger does not answer" in page.text


async def test_it_is_for_people_who_are_logged_in(hub):
    home = await hub()
    anna = await home.browser("anna")
    anna.cookies.clear()
    said = await anna.get("/gradient/machines")
    assert said.status == 302 and "/login" in said.headers["Location"]


async def test_what_the_tier_costs_a_month_and_its_storage_are_shown(hub):
    terms = {"price_per_month": "8", "storage": 0.5}
    home = await hub(tiers=TIERS | {"free": TIERS["free"] | terms})
    anna = await home.browser("anna")
    words = html.unescape(plain((await anna.get("/gradient/machines")).text))
    assert "Tier's price $8.00 a month" in words and "Storage 0.5 GB" in words
