"""The whole story in a real browser: log in, choose, start, run a cell, stop."""

import os
import shutil

import pytest

playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = os.environ.get("GRADIENTHUB_TEST_CHROMIUM") or shutil.which("chromium")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not CHROMIUM, reason="needs Chromium: install it, or name it in GRADIENTHUB_TEST_CHROMIUM"
    ),
]


@pytest.fixture
def browser():
    with playwright.sync_playwright() as engine:
        # --no-sandbox: a test machine is often root in a container, where Chromium's cannot work.
        running = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


def log_in(page, demo, name):
    page.goto(f"{demo.url}/hub/login")
    page.fill("#username_input", name)
    page.fill("#password_input", demo.password)
    page.click("#login_submit")
    page.wait_for_url("**/hub/home")


def choose(page, machine, interval="1h", name=""):
    page.fill("[name=display_name]", name)
    page.check(f"[name=instance_type][value={machine}]")
    page.check(f"[name=shutdown_after][value='{interval}']", force=True)


def press_start(page):
    page.click(".gh-bar button.btn-primary")


def test_a_person_logs_in_chooses_starts_runs_a_cell_and_stops(demo, browser):
    page = browser.new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    log_in(page, demo, "gina")
    page.click("text=New notebook >> nth=0")
    choose(page, "p5000", name="Attention maps")
    bar = page.locator(".gh-bar")
    page.wait_for_selector("#start:not(.is-asking)")  # the hub has answered to both choices
    assert "$0.78/h" in bar.inner_text()
    assert "$0.78" in bar.inner_text().split("walk away", 1)[1]
    press_start(page)
    page.wait_for_url("**/spawn-pending/gina/attention-maps*")
    assert "Starting Attention maps" in page.inner_text("h1")
    page.wait_for_url("**/user/gina/attention-maps/lab**", timeout=90_000)
    assert faults == []

    # Where time is short a style sheet of JupyterLab's may fail to load, and it asks.
    dialog = page.locator(".jp-Dialog", has_text="Error Loading Theme")
    page.add_locator_handler(dialog, dialog.get_by_role("button").last.click)
    page.click(".jp-LauncherCard[data-category='Notebook'] >> nth=0", timeout=60_000)
    cell = page.locator(".jp-Notebook .jp-Cell .cm-content").first
    cell.wait_for(timeout=60_000)
    # JupyterLab drops what is run before the kernel is there.
    page.get_by_text("| Idle").wait_for(timeout=60_000)
    cell.click()
    # Inserted at once: typing would fight with the editor's own closing of quotes and brackets.
    page.keyboard.insert_text("import os; print(6 * 7, os.environ['NVIDIA_VISIBLE_DEVICES'])")
    page.keyboard.press("Shift+Enter")
    output = page.locator(".jp-OutputArea-output", has_text="42 GPU-demo-")
    output.wait_for(timeout=60_000)

    page.goto(f"{demo.url}/hub/home")
    assert "Attention maps" in page.inner_text("main")
    page.click("button:has-text('Stop')")
    page.wait_for_selector("text=Not running", timeout=60_000)
    page.close()


def test_a_refusal_keeps_what_was_typed_and_offers_a_way_on(demo, browser):
    page = browser.new_page()
    log_in(page, demo, "tom")
    holder = demo.log_in("tara")
    held = {"user_options": {"instance_type": "v100", "shutdown_after": "1h"}}
    page.goto(f"{demo.url}/hub/spawn")
    choose(page, "v100", name="Speech demo")
    # Somebody else is faster.
    answer = demo.api(holder, "POST", "/users/tara/server", json=held)
    assert answer.status_code in (201, 202), answer.text
    press_start(page)
    page.wait_for_selector("[role=alert]")
    said = page.inner_text("[role=alert]")
    assert "The only V100 is in use" in said
    assert "no_capacity" in said
    assert page.input_value("[name=display_name]") == "Speech demo"
    demo.api(holder, "DELETE", "/users/tara/server")
    page.close()


def test_everything_can_be_read_and_done_without_script(demo, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    log_in(page, demo, "tom")
    page.goto(f"{demo.url}/hub/spawn")
    choose(page, "c3", interval="3h", name="No script")
    page.click("button[value=quote]")
    assert "$0.054" in page.inner_text("main") or "$0.05" in page.inner_text("main")
    assert page.input_value("[name=display_name]") == "No script"
    press_start(page)
    page.wait_for_url("**/spawn-pending/tom/no-script*")
    assert page.locator("noscript").count() >= 1
    page.click("button:has-text('Stop')")
    page.wait_for_url("**/hub/**")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone(demo, browser, scheme):
    context = browser.new_context(viewport={"width": 360, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    log_in(page, demo, "fay")
    for path in ("/hub/home", "/hub/spawn"):
        page.goto(f"{demo.url}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
    context.close()


def test_a_link_fills_in_the_form_and_starts_nothing(demo, browser):
    page = browser.new_page()
    log_in(page, demo, "gus")
    page.goto(f"{demo.url}/hub/spawn?opt-instance_type=p4000&opt-shutdown_after=3h")
    assert page.is_checked("[name=instance_type][value=p4000]")
    assert page.is_checked("[name=shutdown_after][value='3h']")
    session = demo.log_in("gus")
    assert demo.api(session, "GET", "/users/gus").json()["servers"] == {}
    page.close()
