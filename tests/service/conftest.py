"""A hub whose keeper serves, with money in it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from home import TIERS, Answer, Home, _json
from jupyterhub.services.auth import HubOAuth
from keeper import Keeping
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from gradienthub.hub.users_api import KEEPER
from gradienthub.service.site import application

PREFIX = "/@/space%20word/services/gradient/"
PREPAID = {
    "prepaid": {
        "title": "Prepaid",
        "max_running": 3,
        "funding": "prepaid",
        "shutdown_choices": ["30m", "1h"],
        "shutdown_min": "5m",
        "shutdown_max": "12h",
    },
}

Make = Callable[..., Awaitable[SimpleNamespace]]


@pytest.fixture
async def bank(hub: Callable[..., Awaitable[Home]]) -> AsyncIterator[Make]:
    """A hub whose keeper serves; ada is an admin, bob and eve are prepaid, bob has $20."""
    close: list[Callable[[], Any]] = []

    async def make(changes: Callable[..., None] | None = None) -> SimpleNamespace:
        home = await hub(changes, keeper=True, tiers=TIERS | PREPAID)
        await home.settled()
        keeper = Keeping(home)
        close.append(keeper.close)
        await keeper.context.refresh()
        auth = HubOAuth(
            api_url=home.url("/api"),
            api_token=home.keeper_token,
            base_url=PREFIX,
            hub_prefix="/@/space%20word/hub/",
            oauth_client_id=f"service-{KEEPER}",
            access_scopes={f"access:services!service={KEEPER}"},
            cache_max_age=1,
        )
        server = HTTPServer(application(keeper.context, auth))
        sockets, port = bind_unused_port()
        server.add_socket(sockets)
        session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        close.extend((_stop(server), session.close))
        tokens = {
            name: await home.person(name, "prepaid", pays=True) for name in ("ada", "bob", "eve")
        }

        async def ask(
            method: str, path: str, name: str, body: Any = None, **headers: str
        ) -> Answer:
            async with session.request(
                method,
                f"http://127.0.0.1:{port}{PREFIX}api/v1/{path}",
                headers={"Authorization": f"token {tokens[name]}"} | headers,
                data=body if isinstance(body, str) else None if body is None else json.dumps(body),
            ) as response:
                said = await response.text()
                return Answer(response.status, _json(said), response.headers, said)

        async def page(
            path: str, name: str, form: dict[str, str] | None = None, **headers: str
        ) -> Answer:
            async with session.request(
                "POST" if form else "GET",
                f"http://127.0.0.1:{port}{PREFIX}{path}",
                data=form,
                headers={"Authorization": f"token {tokens[name]}"} | headers,
                allow_redirects=False,
            ) as response:
                return Answer(response.status, None, response.headers, await response.text())

        given = await ask(
            "POST", "accounts/bob/credits", "ada", {"amount": "20", "reason": "Course"}
        )
        assert given.status == 200, given
        return SimpleNamespace(
            home=home, keeper=keeper, ask=ask, page=page, given=given.body, port=port, tokens=tokens
        )

    yield make
    for one in reversed(close):
        await one()


def _stop(server: HTTPServer) -> Callable[[], Awaitable[None]]:
    async def stop() -> None:
        server.stop()
        await server.close_all_connections()

    return stop
