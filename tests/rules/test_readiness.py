"""Whether what answers at a started notebook's address is its own server."""

import pytest

from gradienthub.rules.readiness import (
    NotYet,
    Other,
    Plausible,
    Ready,
    Reply,
    judge_own,
    judge_stranger,
)

MARK = "6.1.1"
FOREIGN = "a web server that is not JupyterHub's"
STATUS = {"started": "2026-11-23T09:00:00Z", "kernels": 0}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(403, MARK),
        Reply(401, MARK),
        Reply(302, MARK, location="/hub/api/oauth2/authorize?client_id=jupyterhub-user-anna"),
        Reply(302, MARK, location="https://hub.example/hub/login?next=%2F"),
    ],
)
def test_a_server_that_turns_strangers_away_in_the_hubs_name_may_see_its_token(reply):
    assert judge_stranger(reply) == Plausible()


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        (Reply(200, server="nginx"), f"{FOREIGN} (Server: nginx, HTTP 200)"),
        (Reply(404, server="nginx"), f"{FOREIGN} (Server: nginx, HTTP 404)"),
        (Reply(200), f"{FOREIGN} (HTTP 200)"),
        (Reply(500, server="gunicorn"), f"{FOREIGN} (Server: gunicorn, HTTP 500)"),
        (
            Reply(403, server="TornadoServer/6.5"),
            "a Jupyter server that was started without the hub (Server: TornadoServer/6.5, HTTP"
            " 403)",
        ),
        (
            Reply(404, server="TornadoServer/6.5"),
            "a Jupyter server that was started without the hub (Server: TornadoServer/6.5, HTTP"
            " 404)",
        ),
        (
            Reply(302, location="/login?next=%2F", server="TornadoServer/6.5"),
            f"{FOREIGN} (Server: TornadoServer/6.5, HTTP 302)",
        ),
        (
            Reply(302, MARK, location="https://evil.example/"),
            "another notebook's server (HTTP 302 at this notebook's address)",
        ),
        (Reply(404, MARK), "another notebook's server (HTTP 404 at this notebook's address)"),
        (
            Reply(200, MARK, body=STATUS),
            "a notebook server that lets everybody in (HTTP 200 without a token)",
        ),
        (
            Reply(200, server="a\x1b[31m" + "b" * 200),
            f"{FOREIGN} (Server: a[31m" + "b" * 34 + ", HTTP 200)",
        ),
    ],
)
def test_what_is_not_its_server_never_sees_the_token_and_is_named(reply, what):
    assert judge_stranger(reply) == Other(what)


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        (None, ""),
        (Reply(502, server="nginx"), f"{FOREIGN} (Server: nginx, HTTP 502)"),
        (Reply(503), f"{FOREIGN} (HTTP 503)"),
        (Reply(503, MARK), "its notebook server, with HTTP 503"),
    ],
)
def test_a_gateway_or_nothing_may_become_its_server(reply, what):
    assert judge_stranger(reply) == NotYet(what)


def test_a_server_that_takes_its_own_token_is_ready():
    assert judge_own(Reply(200, MARK, body=STATUS)) == Ready()


@pytest.mark.parametrize(
    ("reply", "judged"),
    [
        (None, NotYet),
        (Reply(500, MARK), NotYet),
        (Reply(200, MARK, body=None), Other),
        (Reply(200, MARK, body=[]), Other),
        (Reply(200, MARK, body={"hello": 1}), Other),
        (Reply(200, body=STATUS), Other),
        (Reply(403, MARK), Other),
        (Reply(302, MARK, location="/hub/login"), Other),
        (Reply(404, MARK), Other),
    ],
)
def test_a_server_that_does_not_take_it_is_not(reply, judged):
    assert isinstance(judge_own(reply), judged)


def test_a_server_that_cannot_reach_the_hub_says_so():
    said = judge_own(Reply(500, MARK))
    assert isinstance(said, NotYet)
    assert "cannot ask the hub" in said.what
