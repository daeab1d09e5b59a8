"""A JupyterLab tab that nobody touches keeps no notebook alive, and neither does the keeper."""

import asyncio
import os
import shutil
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from hub_process import NODE_PROXY, PATIENCE, HubProcess

from gradienthub.rules.use import Evidence, learn
from gradienthub.service.evidence import Notebooks

playwright = pytest.importorskip("playwright.async_api")

CHROMIUM = os.environ.get("GRADIENTHUB_TEST_CHROMIUM") or shutil.which("chromium")
#: Longer than two polls of each of JupyterLab's parts.
TWO_POLLS = timedelta(seconds=21)
NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    "cells": [
        {
            "cell_type": "code",
            "id": "a",
            "metadata": {},
            "source": "1 + 1",
            "outputs": [],
            "execution_count": None,
        }
    ],
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.local_engine,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not CHROMIUM, reason="needs Chromium: install it, or name it in GRADIENTHUB_TEST_CHROMIUM"
    ),
]


@pytest.fixture(params=["traefik", "node"])
async def hub(request, tmp_path):
    """A hub behind each of both proxies."""
    if request.param == "node" and not NODE_PROXY:
        pytest.skip(
            "needs Node's proxy: npm install -g configurable-http-proxy, or name it in"
            " GRADIENTHUB_TEST_NODE_PROXY"
        )
    running = HubProcess(tmp_path, request.param)
    await running.start()
    yield running
    await running.close()


@asynccontextmanager
async def tab(hub, name, address):
    """JupyterLab in a browser, with a notebook that ran one cell, and a terminal."""
    content = {"type": "notebook", "format": "json", "content": NOTEBOOK}
    await hub.call("PUT", f"{address.url}api/contents/x.ipynb", content)
    async with playwright.async_playwright() as engine:
        browser = await engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        await page.goto(f"{hub.public}/hub/login?next=/user/{name}/lab/tree/x.ipynb")
        await page.fill("#username_input", name)
        await page.fill("#password_input", "any")
        await page.click("#login_submit")
        await page.wait_for_selector(".jp-Notebook")

        async def kernel_is_idle():
            kernels = await hub.call("GET", f"{address.url}api/kernels?no_track_activity=1")
            return any(k["connections"] and k["execution_state"] == "idle" for k in kernels)

        await hub.until(kernel_is_idle, "the notebook's kernel is idle")
        await page.evaluate("jupyterapp.commands.execute('notebook:run-cell')")
        await page.wait_for_selector(".jp-OutputArea-output")
        await page.evaluate("jupyterapp.commands.execute('terminal:create-new')")
        await page.wait_for_selector(".jp-Terminal")
        await hub.until(kernel_is_idle, "the notebook's kernel is idle again")
        yield page
        await browser.close()


async def test_neither_an_untouched_tab_nor_looks_count_as_use(hub):
    seen, looked = await hub.notebook("mira"), await hub.notebook("ben")
    session = {"path": "x", "name": "x", "type": "notebook", "kernel": {"name": "python3"}}
    await hub.call("POST", f"{looked.url}api/sessions", session)
    await hub.call("POST", f"{looked.url}api/terminals")
    notebooks = Notebooks(patience=30)
    async with tab(hub, "mira", seen):
        polls = 0
        moved = await hub.last_activity("mira")
        said = quiet = None
        # JupyterLab polls every ten seconds, its parts at moments of their own. What the last
        # clicks set in motion is over by the first poll; then come two more of each, and a look
        # each second.
        now = began = datetime.now(UTC)
        while polls < 3 or now - began < TWO_POLLS:
            now = datetime.now(UTC)
            answers = await notebooks.ask_all({"mira": seen, "ben": looked}, now)
            if polls == 0:
                said, began = answers, now
                quiet = await hub.last_activity("ben")
            await asyncio.sleep(1)
            latest = await hub.last_activity("mira")
            # Several requests are one poll.
            if _moment(latest) - _moment(moved) > timedelta(seconds=4):
                polls += 1
                moved = latest
    await notebooks.close()
    for name in ("mira", "ben"):
        known = learn(Evidence(began - timedelta(hours=1)), said[name], began)
        later = learn(known, answers[name], now)
        assert (later.used_at, later.busy, later.unknown_since) == (known.used_at, (), None), name
        assert later.looked_at - known.looked_at >= TWO_POLLS
    assert await hub.last_activity("ben") == quiet
    # The hub sees more: a look through Node's proxy is activity to it, through traefik none.
    await hub.call("GET", f"{hub.public}/user/ben/api/kernels?no_track_activity=1")
    if hub.proxy == "node":

        async def has_moved():
            return await hub.last_activity("ben") > quiet

        await hub.until(has_moved, "the hub counts a look through the proxy")


def _moment(text):
    return datetime.fromisoformat(text)
