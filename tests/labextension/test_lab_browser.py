"""The frontend in a real JupyterLab and a real browser; only the hub is a small one."""

import json
import os
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import a_lease, warned

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

CHROMIUM = os.environ.get("GRADIENTHUB_TEST_CHROMIUM") or shutil.which("chromium")
# Where pictures of what people see are kept, for a look at them.
PICTURES = os.environ.get("GRADIENTHUB_TEST_PICTURES")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not CHROMIUM, reason="needs Chromium: install it, or name it in GRADIENTHUB_TEST_CHROMIUM"
    ),
]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as engine:
        # --no-sandbox: a test machine is often root in a container, where Chromium's cannot work.
        running = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def open_page(browser):
    """`open_page(server, "lab")`: that address; errors of its scripts are in `faults`."""
    contexts = []

    def open_it(server, path):
        context = browser.new_context(viewport={"width": 1280, "height": 760}, locale="en-GB")
        contexts.append(context)
        page = context.new_page()
        page.faults = []
        page.on("pageerror", lambda error: page.faults.append(f"{error} {error.stack}"))
        page.on(
            "console",
            lambda said: "gradienthub" in said.text and page.faults.append(said.text),
        )
        page.set_default_timeout(60_000)
        page.goto(f"{server.url}{path}?token={server.token}")
        return page

    yield open_it
    for context in contexts:
        context.close()


def picture(page, name):
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png")


def change(page, text):
    """Type at the start of the open file, without saving it."""
    page.locator(".jp-FileEditor .cm-content:visible").click()
    page.keyboard.press("Control+Home")
    page.keyboard.insert_text(text)


def use_theme(page, theme):
    page.click("text=Settings >> nth=0")
    page.click(".lm-Menu-itemLabel:text-is('Theme')")
    page.click(f".lm-Menu-itemLabel:text-is('{theme}')")
    light = "false" if "Dark" in theme else "true"
    page.locator(f"body[data-jp-theme-light='{light}']").wait_for(state="attached")


def test_price_and_time_left_are_in_the_status_bar_and_extend_behind_it(
    serve, small_hub, open_page
):
    server = serve("jupyterlab")
    page = open_page(server, "lab")
    item = page.locator(".gh-Status")
    expect(item).to_have_text("P5000 · $0.78/h · stops in 42 min: idle", timeout=60_000)
    assert "$2.60 so far" in item.get_attribute("title")
    expect(page.locator(".gh-Banner")).to_be_hidden()

    item.click()
    panel = page.get_by_role("dialog")
    expect(panel).to_contain_text("P5000 · 16 GB GPU · 8 vCPU · 30 GB")
    expect(panel).to_contain_text("Attention maps")
    extend = panel.get_by_role("button", name=re.compile(r"Extend until .*\(at most \$0\.30\)"))
    picture(page, "panel-light")
    message, hint = "Its session ends at 18:00.", "Start it again after that."
    small_hub.answers["POST"] = (409, {"code": "session_limit", "message": message, "hint": hint})
    extend.click()
    expect(panel).to_contain_text(f"{message} {hint}")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    # Kept alive instead: the next answer is shown without a reload.
    small_hub.answers["GET"] = (
        200,
        a_lease(stops_at=None, stop_reason=None, stop_short="", keeps_alive=["sweep.ipynb"]),
    )
    expect(item).to_have_text("P5000 · $0.78/h · kept by sweep.ipynb", timeout=30_000)
    # The hub does not know the lease: nothing is shown.
    small_hub.answers["GET"] = (404, {"status": 404, "code": "no_lease", "message": "", "hint": ""})
    expect(item).to_be_hidden(timeout=30_000)
    assert page.faults == []


def test_a_warning_offers_extend_and_stays_dismissed_until_the_next(serve, small_hub, open_page):
    small_hub.answers["GET"] = (200, warned(15, 14 * 60 + 30))
    page = open_page(serve("jupyterlab"), "lab")
    banner = page.locator(".gh-Banner")
    expect(banner.get_by_role("alert")).to_contain_text("This notebook stops at", timeout=60_000)
    expect(banner.get_by_role("alert")).to_contain_text("Nothing has run for 18 min")
    expect(banner.get_by_role("timer")).to_have_text("14 min left")
    picture(page, "banner-light")
    use_theme(page, "JupyterLab Dark")
    picture(page, "banner-dark")

    banner.get_by_role("button", name="Dismiss this warning").click()
    expect(banner).to_be_hidden()
    small_hub.answers["GET"] = (200, warned(5, 4 * 60 + 30))
    expect(banner).to_be_visible(timeout=20_000)
    extend = banner.get_by_role("button", name="Extend until")
    # Reached and pressed by keyboard alone.
    extend.focus()
    picture(page, "banner-dark-focus")
    before = len(small_hub.asked)
    small_hub.answers["GET"] = (200, a_lease())
    page.keyboard.press("Enter")
    expect(banner).to_be_hidden()
    assert ("POST", "/hub/api/gradient/users/anna/servers//extend") in small_hub.asked[before:]
    assert page.faults == []


def test_the_warning_can_be_answered_while_jupyterlab_asks_something_itself(
    serve, small_hub, open_page
):
    server = serve("jupyterlab")
    (server.root / "mine.txt").write_text("one\n")
    page = open_page(server, "lab/tree/mine.txt")
    page.locator(".lm-TabBar-tab.lm-mod-current:has-text('mine.txt')").wait_for()
    change(page, "typed ")
    small_hub.answers["GET"] = (200, warned(5, 4 * 60 + 30))
    banner = page.locator(".gh-Banner")
    expect(banner).to_be_visible(timeout=60_000)
    # Closing a file with changes asks what to do with them.
    page.locator(".lm-TabBar-tab.lm-mod-current .lm-TabBar-tabCloseIcon").click()
    asking = page.locator(".jp-Dialog")
    expect(asking).to_be_visible()
    picture(page, "banner-above-dialog")
    banner.get_by_role("button", name="Save all").click()
    expect(banner.get_by_role("status")).to_contain_text("Saved mine.txt.")
    assert (server.root / "mine.txt").read_text() == "typed one\n"
    small_hub.answers["GET"] = (200, a_lease())
    banner.get_by_role("button", name="Extend until").click()
    expect(banner).to_be_hidden()
    # What JupyterLab asked still waits for its answer.
    expect(asking).to_be_visible()
    assert page.faults == []


def test_while_the_hub_is_silent_it_says_since_when_and_counts_nothing_down(
    serve, small_hub, open_page
):
    small_hub.answers["GET"] = (200, warned(5, 4 * 60 + 30))
    page = open_page(serve("jupyterlab"), "lab")
    banner, item = page.locator(".gh-Banner"), page.locator(".gh-Status")
    expect(banner.get_by_role("timer")).to_have_text("4 min left", timeout=60_000)
    expect(item).to_contain_text("stops in 4 min")
    small_hub.answers["GET"] = (503, {"status": 503, "message": "", "code": "", "hint": ""})
    expect(item).to_have_text(
        re.compile(r"^P5000 · \$0\.78/h · no word from the hub since \d\d:\d\d$"), timeout=30_000
    )
    expect(banner.get_by_role("timer")).to_have_text("")
    expect(banner.get_by_role("alert")).to_contain_text("no word from the hub since")
    expect(banner.get_by_role("alert")).to_contain_text("was to stop at")
    picture(page, "hub-silent")
    item.click()
    panel = page.get_by_role("dialog")
    expect(panel).to_contain_text(re.compile(r"no word from the hub since \d\d:\d\d"))
    expect(panel).not_to_contain_text(", in ")
    page.keyboard.press("Escape")
    small_hub.answers["GET"] = (200, a_lease())
    expect(item).to_have_text("P5000 · $0.78/h · stops in 42 min: idle", timeout=60_000)
    assert page.faults == []


def test_everything_is_saved_before_a_stop_and_what_cannot_be_is_named(serve, small_hub, open_page):
    server = serve("jupyterlab")
    (server.root / "mine.txt").write_bytes(b"one\r\n")
    (server.root / "taken.txt").write_text("one\n")
    page = open_page(server, "lab/tree/taken.txt")
    for name in ("taken.txt", "mine.txt"):
        page.locator(f".jp-DirListing-item[title^='Name: {name}']").dblclick()
        page.locator(f".lm-TabBar-tab.lm-mod-current:has-text('{name}')").wait_for()
        change(page, "typed ")
    page.locator(".lm-TabBar-tab.jp-mod-dirty >> nth=1").wait_for()
    # Changed by somebody else meanwhile: to overwrite it unasked would lose their work.
    (server.root / "taken.txt").write_text("theirs\n")
    later = (datetime.now(UTC) + timedelta(minutes=1)).timestamp()
    os.utime(server.root / "taken.txt", (later, later))
    # Nobody warned: somebody set an end time a minute from now.
    now = datetime.now(UTC)
    soon = (now + timedelta(seconds=60)).isoformat()
    small_hub.answers["GET"] = (
        200,
        a_lease(
            stops_at=soon,
            stop_reason="stop_at",
            stop_short="at the time you set",
            stop_why="You set this end.",
        ),
    )
    outcome = page.locator(".gh-Banner").get_by_role("status")
    expect(outcome).to_contain_text("Saved mine.txt.", timeout=30_000)
    expect(outcome).to_contain_text("Could not save taken.txt (it was changed on disk meanwhile).")
    assert (server.root / "mine.txt").read_bytes() == b"typed one\r\n"
    assert (server.root / "taken.txt").read_text() == "theirs\n"
    assert page.get_by_role("dialog").count() == 0
    picture(page, "saved-light")


def test_a_person_who_types_is_told_to_the_server_and_a_script_is_not(serve, open_page):
    server = serve("jupyterlab")
    page = open_page(server, "lab")
    expect(page.locator(".gh-Status")).to_be_visible(timeout=60_000)
    activity = "gradienthub/activity?no_track_activity=1"
    page.evaluate("window.dispatchEvent(new KeyboardEvent('keydown', {key: 'a'}))")
    page.evaluate("fetch('api/status')")
    assert server.ask("GET", activity).json() == {"person_at": None}
    with page.expect_response("**/gradienthub/activity**") as told:
        page.keyboard.press("Shift")
    assert told.value.status == 204
    assert "no_track_activity=1" in told.value.url
    assert server.ask("GET", activity).json()["person_at"]
    # Not a second time within the minute.
    posted = []
    page.on("request", lambda request: posted.append(request.url))
    page.keyboard.press("Shift")
    page.wait_for_timeout(500)
    assert [url for url in posted if "gradienthub/activity" in url] == []


@pytest.mark.parametrize("path", ["tree", "notebooks/maps.ipynb"])
def test_notebook_7_shows_the_same(serve, small_hub, open_page, path):
    small_hub.answers["GET"] = (200, warned(1, 55))
    server = serve("notebook")
    # It names its kernel, or Notebook would ask for one in a dialog.
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    empty = {"cells": [], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (server.root / "maps.ipynb").write_text(json.dumps(empty))
    page = open_page(server, path)
    expect(page.locator(".gh-Status")).to_contain_text("P5000 · $0.78/h", timeout=60_000)
    expect(page.locator(".gh-Banner")).to_contain_text(
        re.compile("Everything is saved|Saved maps.ipynb")
    )
    picture(page, f"notebook-{path.split('/')[0]}")
    page.locator(".gh-Status").click()
    expect(page.get_by_role("dialog")).to_contain_text("Attention maps")
    # Notebook 7.6 throws an error of its own at every start, with or without us.
    assert [fault for fault in page.faults if "gradienthub" in fault] == []


def test_without_a_hub_the_application_is_untouched(serve, open_page):
    page = open_page(serve("jupyterlab", JUPYTERHUB_API_TOKEN=None), "lab")
    with page.expect_response("**/gradienthub/lease**") as asked:
        pass
    assert asked.value.status == 404
    assert "no_track_activity=1" in asked.value.url
    page.locator(".jp-Launcher").wait_for()
    expect(page.locator(".gh-Status")).to_be_hidden()
    assert [fault for fault in page.faults if "404" not in fault] == []
