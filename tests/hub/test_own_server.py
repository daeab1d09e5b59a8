"""A start is ready only when this lease's own server takes its own token; else it says why."""

import jupyterhub
import pytest
from aiohttp import web

from gradienthub.spawners import answering
from gradienthub.testing import NeverAnswers, SomethingElseAnswers

MARK = {"X-JupyterHub-Version": jupyterhub.__version__}
STATUS = {"started": "2026-11-23T09:00:00Z", "kernels": 0}


@pytest.fixture
async def home(hub, monkeypatch):
    """A hub that soon believes that what answers will not make way."""
    monkeypatch.setattr(answering, "OTHERS_MAY_ANSWER", 0.05)
    home = await hub(settings={"answer_timeout": 1.0})
    await home.person("anna", "pro", pays=True)
    return home


class Witness:
    """Answers like something else, and remembers what it was shown."""

    def __init__(self, answer):
        self.answer = answer
        self.shown = []

    def __call__(self, request):
        self.shown.append(request.headers.get("Authorization"))
        return self.answer(request)


def nginx(request):
    return web.Response(text="<h1>Welcome</h1>", headers={"Server": "nginx"})


def nginx_that_says_no(request):
    return web.Response(status=403, headers={"Server": "nginx"})


def lab_without_the_hub(request):
    return web.json_response({}, status=404, headers={"Server": "TornadoServer/6.5"})


def lab_with_a_password(request):
    return web.json_response({}, status=403, headers={"Server": "TornadoServer/6.5"})


def lab_that_lets_all_in(request):
    return web.json_response(STATUS, headers={"Server": "TornadoServer/6.5"})


def another_notebook(request):
    return web.Response(status=404, headers=MARK)


def hub_server_that_lets_all_in(request):
    return web.json_response(STATUS, headers=MARK)


def login_of_somebody_else(request):
    return web.Response(status=302, headers={"Location": "https://evil.example/login"})


OTHERS = {
    nginx: "a web server that is not JupyterHub's (Server: nginx, HTTP 200)",
    nginx_that_says_no: "a web server that is not JupyterHub's (Server: nginx, HTTP 403)",
    lab_without_the_hub: "a Jupyter server that was started without the hub",
    lab_with_a_password: "a Jupyter server that was started without the hub",
    lab_that_lets_all_in: "a web server that is not JupyterHub's",
    another_notebook: "another notebook's server",
    hub_server_that_lets_all_in: "a notebook server that lets everybody in",
    login_of_somebody_else: "a web server that is not JupyterHub's",
}


@pytest.mark.parametrize("other", OTHERS, ids=lambda f: f.__name__)
async def test_an_image_that_serves_something_else_is_refused_by_name_and_costs_nothing(
    home, other
):
    witness = Witness(other)
    async with home.engine.suffering(SomethingElseAnswers(witness)):
        said = await home.start_server("anna", "t4")
    assert (said.status, said.body["code"]) == (502, "start_failed")
    assert OTHERS[other] in said.message
    assert "Nothing was charged" in said.message
    assert witness.shown
    assert set(witness.shown) == {None}
    lease = await home.lease_of("anna")
    assert (lease["answered_at"], lease["reason"]) == (None, "start_failed")
    assert await home.devices_held() == {}
    assert home.engine.objects == {}


async def test_a_page_that_makes_way_for_the_server_is_waited_for(home, monkeypatch):
    monkeypatch.setattr(answering, "OTHERS_MAY_ANSWER", 30.0)
    seen = []

    def loading(request):
        (container,) = home.engine.of_user("anna")
        seen.append(request.path)
        if len(seen) > 3:
            container.says = None
        return web.Response(text="Loading ...", headers={"Server": "nginx"})

    async with home.engine.suffering(SomethingElseAnswers(loading)):
        said = await home.start_server("anna", "t4")
    assert said.status == 201
    assert (await home.lease_of("anna"))["answered_at"]


async def test_a_server_that_refuses_its_own_token_is_not_ready(home):
    def revoked(request):
        return web.json_response({}, status=403, headers=MARK)

    async with home.engine.suffering(SomethingElseAnswers(revoked)):
        said = await home.start_server("anna", "t4")
    assert said.status == 502
    assert "refuses this notebook's token" in said.message


async def test_a_server_that_cannot_ask_the_hub_says_so_at_the_time_limit(home):
    def cut_off(request):
        status = 500 if "Authorization" in request.headers else 403
        return web.json_response({}, status=status, headers=MARK)

    async with home.engine.suffering(SomethingElseAnswers(cut_off)):
        said = await home.start_server("anna", "t4")
    assert said.status == 502
    assert "did not answer within" in said.message
    assert "cannot ask the hub" in said.message


async def test_a_gateway_without_a_server_behind_it_is_named_at_the_time_limit(home):
    async with home.engine.suffering(NeverAnswers()):
        said = await home.start_server("anna", "t4")
    assert said.status == 502
    assert "HTTP 503" in said.message


async def test_a_custom_image_that_serves_something_else_on_a_paid_machine_is_charged(home):
    witness = Witness(nginx)

    async with home.engine.suffering(SomethingElseAnswers(witness)):
        said = await home.start_server("anna", "t4", image="ghcr.io/acme/web:1")
    assert said.status == 502
    assert "is charged, as the image is your own" in said.message
