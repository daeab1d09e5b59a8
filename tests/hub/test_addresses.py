"""Wherever a deployer puts the hub, its pages load and its links lead where they say."""

import re
from urllib.parse import urlsplit

import aiohttp
import pytest


def put(**traits):
    def change(c):
        origin = c.JupyterHub.bind_url.split("/@")[0]
        del c.JupyterHub["bind_url"]
        for name, value in traits.items():
            c.JupyterHub[name] = value.replace("ORIGIN", origin) if name != "port" else value
        if "bind_url" not in traits:
            c.JupyterHub.ip = "127.0.0.1"
            c.JupyterHub.port = urlsplit(origin).port

    return change


PLACES = {
    "a base_url without slashes": (put(base_url="dev"), "/dev/", ""),
    "a base_url beside a bind_url without a path": (
        put(base_url="/dev/", bind_url="ORIGIN"),
        "/dev/",
        "",
    ),
    "a bind_url with a path": (put(bind_url="ORIGIN/lab/jupyter"), "/lab/jupyter/", ""),
    "neither": (put(), "/", ""),
    "a hub_bind_url": (put(base_url="dev", hub_bind_url="ORIGIN"), "/dev/", ""),
    "a public_url": (put(base_url="dev", public_url="http://lab.org/dev/"), "/dev/", ""),
    "hosts of their own": (
        put(base_url="dev", subdomain_host="http://lab.org:8443"),
        "/dev/",
        "http://gradient--service.lab.org:8443",
    ),
}


@pytest.mark.parametrize("place", PLACES)
async def test_login_leads_to_the_notebooks_and_every_link_of_theirs_opens(hub, place):
    change, base, host = PLACES[place]
    home = await hub(change, keeper=True)
    origin = f"http://127.0.0.1:{home.port}"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        form = await session.get(f"{origin}{base}hub/login")
        said = await session.post(
            f"{origin}{base}hub/login",
            allow_redirects=False,
            data={"username": "anna", "password": "x", "_xsrf": _xsrf(await form.text())},
        )
        assert (said.status, said.headers["Location"]) == (302, f"{base}hub/home")
        page = await (await session.get(f"{origin}{base}hub/home")).text()
        assert f'href="{host}{base}services/gradient/usage"' in page
        ours = {
            url
            for url in re.findall(r'(?:href|src)="([^"#]+)"', page)
            if "/services/" not in url and "logout" not in url
        }
        assert len(ours) > 8
        for url in sorted(ours):
            opened = await session.get(f"{origin}{url}", allow_redirects=False)
            assert opened.status == 200, url
        # The keeper's pages are elsewhere where services have a host of their own.
        frame = await session.get(f"{origin}{base}hub/api/gradient/frame?static=/own/static/")
        top = "".join((await frame.json()).values())
        hub_host, static = (
            ("http://lab.org:8443", "/own/static/") if host else ("", f"{base}hub/gradi")
        )
        assert f'href="{hub_host}{base}hub/home"' in top
        assert f'href="{hub_host}{base}hub/logout"' in top
        assert f'href="{static}' in top
        assert f"{hub_host}{base}hub/static/css/style.min.css" in top


def _xsrf(html):
    return re.search(r'name="_xsrf"\s+value="([^"]+)"', html)[1]


@pytest.mark.parametrize("first", ["/wiki", lambda handler: "/wiki"], ids=["path", "callable"])
async def test_a_deployers_first_page_stays_theirs(hub, first):
    def change(c):
        c.JupyterHub.default_url = first

    home = await hub(change)
    anna = await home.browser("anna")
    assert (await anna.get("/login")).headers["Location"] == "/wiki"
