"""The Notebooks page: what it says in each state, what its buttons do, and to which run."""

import html
import re
from datetime import timedelta

import pytest
from home import plain
from kept import LedgerIsAway, looked_at

from gradienthub.ledger import By, leases
from gradienthub.rules.idleness import Reason, Warned
from gradienthub.rules.use import Use
from gradienthub.testing import SlowToStart
from gradienthub.views.notebooks import countdown

T4 = {"instance_type": "t4", "shutdown_after": "1h", "interface": "notebook"}


@pytest.fixture
async def mira(hub):
    """A hub with mira's notebook Maps running on a T4: (home, her browser)."""
    home = await hub()
    await home.person("mira", "pro", pays=True)
    browser = await home.browser("mira")
    await browser.post("/new", {**T4, "display_name": "Maps"})
    await home.until(lambda: home.spawner("mira", "maps").ready)
    return home, browser


async def words_of(browser):
    return read((await browser.get("/home")).text)


def read(text):
    """A page as it is read: no space before a stop, a comma or a colon."""
    return re.sub(r" ([.,:])", r"\1", html.unescape(plain(text)))


async def warned(home, clock, reason=Reason.IDLE, minutes=5):
    """An hour is nearly over, and the keeper has said so."""
    used = clock()
    clock.advance(minutes=60 - minutes)
    told = Warned(reason, clock() + timedelta(minutes=minutes), timedelta(minutes=minutes), clock())
    return await looked_at(home, "mira", "maps", used_at=used, used_by=Use.KERNEL, warned=told)


async def test_a_busy_notebook_says_what_keeps_it(mira, clock):
    home, browser = mira
    since = clock()
    clock.advance(hours=2)
    await looked_at(home, "mira", "maps", busy=("sweep <b>.ipynb", "python3"), busy_since=since)
    page = await browser.get("/home")
    words = read(page.text)
    assert "Kept alive, busy for 2 h: sweep <b>.ipynb, python3." in words
    assert "Stops 1 h after it falls idle." in words
    assert "sweep <b>" not in page.text
    assert "$1.02 so far" in words


async def test_an_idle_one_says_since_when_and_when_it_stops(mira, clock):
    home, browser = mira
    used = clock()
    clock.advance(minutes=20)
    await looked_at(home, "mira", "maps", used_at=used, used_by=Use.TERMINAL)
    words = await words_of(browser)
    assert f"Idle for 20 min of 1 h, last terminal output {used:%H:%M} UTC." in words
    assert f"stops at {used + timedelta(hours=1):%H:%M} UTC: idle for 1 h." in words
    assert "Extend 1 h" in words


async def test_one_that_does_not_answer_is_not_called_idle(mira, clock):
    home, browser = mira
    since = clock()
    clock.advance(minutes=20)
    await looked_at(home, "mira", "maps", used_at=since, unknown_since=since)
    words = await words_of(browser)
    assert "Its use cannot be told for 20 min" in words and "not taken for idle" in words
    assert "If it stays idle" not in words


async def test_one_that_does_not_answer_says_when_that_ends_it(mira, clock):
    home, browser = mira
    since = clock()
    clock.advance(minutes=20)
    await looked_at(
        home,
        "mira",
        "maps",
        used_at=since,
        looked_at=since,
        unknown_since=since,
        missed_since=since + timedelta(minutes=1),
        unread=("1 of 2 kernels",),
    )
    words = await words_of(browser)
    ends = since + timedelta(hours=3, minutes=1)
    assert "The use of 1 of 2 kernels cannot be told for 20 min." in words
    assert f"If that stays so, it stops at {ends:%H:%M} UTC." in words


async def test_busy_without_work_is_shown_as_that_with_its_end_and_its_warning(mira, clock):
    home, browser = mira
    since = clock()
    clock.advance(hours=2)
    waits = {
        "busy": ("ask.ipynb",),
        "busy_since": since,
        "worked_at": since,
        "cpu_load": 0.4,
        "cpu_seconds": 9.0,
        "cpu_at": clock(),
    }
    await looked_at(home, "mira", "maps", **waits)
    words = await words_of(browser)
    assert "Kept alive, busy for 2 h: ask.ipynb, without work for 2 h. CPU 0%." in words
    ends = since + timedelta(hours=3)
    assert f"If it does not work, it stops at {ends:%H:%M} UTC." in words
    clock.advance(minutes=55)
    told = Warned(Reason.NO_WORK, ends, timedelta(minutes=5), clock())
    await looked_at(home, "mira", "maps", **waits, warned=told)
    words = await words_of(browser)
    assert "Stops in 5:00" in words
    assert f"busy without work since {since:%H:%M} UTC" in words
    assert "A cell may wait for input, or hang." in words


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (Reason.UNKNOWN_USE, "its use could not be read for too long"),
        (Reason.NO_WORK, "it was busy without work for too long"),
    ],
)
async def test_a_soft_stop_says_afterwards_what_it_was_for(mira, clock, reason, said):
    home, browser = mira
    home.spawner("mira", "maps").expect_stop(reason, "keeper")
    await home.app.users["mira"].stop("maps")
    assert f"Stopped at {clock():%H:%M} UTC: {said}" in await words_of(browser)


async def test_a_warning_counts_down_and_extend_is_the_first_button(mira, clock):
    home, browser = mira
    await warned(home, clock)
    page = await browser.get("/home")
    words = read(page.text)
    for there in (
        "Stops in 5:00",
        f"at {clock() + timedelta(minutes=5):%H:%M} UTC: idle since",
        f"Extending keeps it until {clock() + timedelta(hours=1):%H:%M} UTC, for at most $0.51",
    ):
        assert there in words, there
    assert re.findall(r'btn-primary" id="([^"]+)"', page.text) == [
        "new",
        "extend-maps",
        "new-first",
    ]


async def test_extend_is_one_click_and_only_of_the_run_that_was_seen(mira, clock):
    home, browser = mira
    lease = await warned(home, clock)
    said = await browser.post("/home", {"server": "maps", "action": "extend", "lease": "older"})
    assert said.status == 409
    assert "was started anew since you saw it" in said.text and "another_lease" in said.text
    assert (await home.lease_of("mira", "maps"))["keep_until"] is None
    for _ in range(2):  # a double click
        said = await browser.post("/home", {"server": "maps", "action": "extend", "lease": lease})
        assert (said.status, said.headers["Location"].endswith("/hub/home")) == (303, True)
    kept = (await home.lease_of("mira", "maps"))["keep_until"]
    assert kept == clock() + timedelta(hours=1)
    words = await words_of(browser)
    assert "Stops in" not in words and "Extended until" in words


async def test_a_session_limit_says_that_nothing_extends_it(hub, clock):
    home = await hub()
    browser = await home.browser("anna")
    await browser.post(
        "/new", {"instance_type": "free-t4", "shutdown_after": "6h", "display_name": "Maps"}
    )
    await home.until(lambda: home.spawner("anna", "maps").ready)
    end = clock() + timedelta(hours=12)
    clock.advance(hours=11, minutes=55)
    told = Warned(Reason.SESSION_LIMIT, end, timedelta(minutes=5), clock())
    await looked_at(home, "anna", "maps", busy=("a.ipynb",), busy_since=clock(), warned=told)
    words = await words_of(browser)
    assert "Stops in 5:00" in words
    assert "It cannot be kept longer: its tier's session limit." in words
    assert "extend-maps" not in (await browser.get("/home")).text


async def test_an_old_page_does_not_stop_the_next_run(mira):
    home, browser = mira
    said = await browser.post("/home", {"server": "maps", "action": "stop", "lease": "an-older"})
    assert (said.status, home.spawner("mira", "maps").ready) == (409, True)
    lease = home.spawner("mira", "maps").lease_id
    for _ in range(2):
        said = await browser.post("/home", {"server": "maps", "action": "stop", "lease": lease})
        assert said.status == 303
    assert (await home.lease_of("mira", "maps"))["reason"] == "user"
    said = await browser.post("/home", {"server": "maps", "action": "extend", "lease": lease})
    assert said.status == 409 and "is not running" in said.text


async def test_stopped_for_idleness_says_when_it_was_used_last(mira, clock):
    home, browser = mira
    used = clock()
    await warned(home, clock, minutes=0)
    home.spawner("mira", "maps").expect_stop(Reason.IDLE, "service gradient")
    await home.app.users["mira"].stop("maps")
    words = await words_of(browser)
    used_words = f"idle for 1 h, last kernel activity {used:%H:%M} UTC"
    assert f"Stopped at {clock():%H:%M} UTC: {used_words}" in words
    assert "T4: 2 of 2 free now." in words


async def test_an_administrators_words_are_shown_as_words(mira, clock):
    home, browser = mira
    lease = home.spawner("mira", "maps").lease_id
    await home.context.ledger.awrite(
        leases.note_stop,
        lease,
        Reason.ADMIN,
        By(home.settings.hub_id, "ops", clock()),
        "New driver on <b>gpu-04</b>.",
    )
    await home.app.users["mira"].stop("maps")
    page = await browser.get("/home")
    words = read(page.text)
    assert "by admin ops" in words and "Reason given: “New driver on <b>gpu-04</b>.”" in words
    assert "<b>gpu" not in page.text


async def test_restart_starts_the_same_again_in_one_click(mira):
    home, browser = mira
    before = await home.lease_of("mira", "maps")
    await browser.post("/home", {"server": "maps", "action": "stop"})
    home.clock.advance(minutes=1)
    page = await browser.get("/home")
    action = re.search(r'action="[^"]*/hub(/spawn/mira/maps)"(.*?)</form>', page.text, re.DOTALL)
    entries = dict(re.findall(r'name="(\w+)" value="([^"]*)"', action[2]))
    del entries["_xsrf"]
    for _ in range(2):  # a double click
        said = await browser.post(action[1], entries)
        assert said.status == 302 and "/maps" in said.headers["Location"]
    await home.until(lambda: home.spawner("mira", "maps").ready)
    after = await home.lease_of("mira", "maps")
    assert after["id"] != before["id"]
    same = ("instance_type", "runtime", "interface", "shutdown_after", "notebook_id")
    assert [after[name] for name in same] == [before[name] for name in same]
    assert len(home.engine.history) == 2


async def test_a_restart_that_is_refused_shows_the_way_on_with_its_values(mira):
    home, browser = mira
    await browser.post("/home", {"server": "maps", "action": "stop"})
    for name in ("anna", "ben"):
        await home.person(name)
        await home.start_server(name)
    words = await words_of(browser)
    assert "T4: None of 2 free. The next is free by" in words
    said = await browser.post("/spawn/mira/maps", T4)
    assert said.status == 503
    assert "All 2 T4 are in use." in read(said.text)
    assert re.search(r'name="shutdown_after" value="1h"[^>]*checked', said.text)


async def test_both_interfaces_are_offered_and_the_chosen_one_first(mira):
    _, browser = mira
    text = (await browser.get("/home")).text
    openings = re.findall(r'href="([^"]+)">(Open \w+)<', text)
    assert [(url.rsplit("/", 1)[1], title) for url, title in openings] == [
        ("tree", "Open Notebook"),
        ("lab", "Open Lab"),
    ]


async def test_renaming_is_checked_and_kept(mira):
    home, browser = mira
    await browser.post(
        "/new", {"instance_type": "free-cpu", "shutdown_after": "1h", "display_name": "Other"}
    )
    for bad in ("", "x" * 61, "a\u202eb", "oTHER"):
        said = await browser.post(
            "/home", {"server": "maps", "action": "rename", "display_name": bad}
        )
        assert said.status in (400, 409), bad
    said = await browser.post(
        "/home", {"server": "maps", "action": "rename", "display_name": " Köln  <i>maps "}
    )
    assert said.status == 303
    assert "Köln <i>maps" in await words_of(browser)
    token = (await home.api("POST", "/users/mira/tokens", {})).body["token"]
    said = await home.api("GET", "/gradient/users/mira/servers/maps", token=token)
    assert said.body["notebook"] == "Köln <i>maps"


async def test_the_default_notebook_can_be_renamed_and_keeps_its_name(hub):
    home = await hub()
    browser = await home.browser("anna")
    await browser.post("/spawn", {"instance_type": "free-cpu", "shutdown_after": "1h"})
    await home.until(lambda: home.spawner("anna").ready)
    await browser.post("/home", {"server": "", "action": "rename", "display_name": "First"})
    await browser.post("/home", {"server": "", "action": "stop"})
    await browser.post("/spawn/anna", {"instance_type": "free-cpu", "shutdown_after": "1h"})
    await home.until(lambda: home.spawner("anna").ready)
    assert "First" in await words_of(browser)


async def test_without_the_ledger_the_page_and_stop_work_and_the_rest_says_so(mira):
    home, browser = mira
    ledger, home.context.ledger = home.context.ledger, LedgerIsAway()
    page = await browser.get("/home")
    assert page.status == 200 and "the ledger does not answer" in page.text
    for action in ("extend", "rename"):
        said = await browser.post(
            "/home", {"server": "maps", "action": action, "display_name": "New"}
        )
        assert (said.status, said.headers["Retry-After"]) == (503, "60")
    said = await browser.post("/home", {"server": "maps", "action": "stop"})
    assert said.status == 303 and not home.spawner("mira", "maps").active
    home.context.ledger = ledger


async def test_a_start_on_its_way_can_be_watched_and_stopped(hub):
    home = await hub()
    browser = await home.browser("anna")
    slow = home.engine.suffer(SlowToStart("anna"))
    await browser.post(
        "/new", {"instance_type": "free-t4", "shutdown_after": "1h", "display_name": "Maps"}
    )
    words = await words_of(browser)
    assert "Starting" in words and "Will stop after 1 h idle." in words and "Watch" in words
    slow.let_go()


@pytest.mark.parametrize("action", ["", "restart", "__class__", "_show", "stop;"])
async def test_no_other_action_exists(mira, action):
    _, browser = mira
    assert (await browser.post("/home", {"server": "maps", "action": action})).status == 400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(252, "4:12"), (59.6, "1:00"), (0, "0:00"), (-5, "0:00"), (3852, "1:04:12")],
)
def test_the_countdown_is_minutes_and_seconds(seconds, text):
    assert countdown(timedelta(seconds=seconds)) == text
