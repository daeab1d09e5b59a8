"""The server part, in a real Jupyter server, asking a real HTTP server in the hub's place."""

import json
from datetime import UTC, datetime, timedelta
from importlib import metadata

import pytest
import requests
from conftest import TOKEN

pytestmark = pytest.mark.slow


def last_activity(server):
    return server.ask("GET", "api/status?no_track_activity=1").json()["last_activity"]


def test_jupyterlab_reads_the_version_of_the_package(prefix):
    shared = prefix / "share" / "jupyter" / "labextensions" / "gradienthub-lab"
    package = json.loads((shared / "package.json").read_text())
    folders = map(str, prefix.glob("lib/*/site-packages"))
    [installed] = metadata.distributions(name="gradienthub-lab", path=folders)
    assert package["version"] == installed.version != "0.0.0"


def test_the_lease_is_handed_on_as_the_hub_tells_it(serve, small_hub):
    server = serve(JUPYTERHUB_USER="anna/../b?c", JUPYTERHUB_SERVER_NAME="my maps")
    answer = server.ask("GET", "gradienthub/lease")
    assert (answer.status_code, answer.json()["machine"]) == (
        200,
        small_hub.answers["GET"][1]["machine"],
    )
    path = "/hub/api/gradient/users/anna%2F..%2Fb%3Fc/servers/my%20maps"
    assert small_hub.asked == [("GET", path)]
    assert small_hub.headers["Authorization"] == f"token {TOKEN}"

    refusal = {
        "status": 409,
        "code": "session_limit",
        "message": "It ends at 18:00.",
        "hint": "Start again then.",
        "field": None,
    }
    small_hub.answers["POST"] = (409, refusal)
    answer = server.ask("POST", "gradienthub/extend")
    assert (answer.status_code, answer.json()) == (409, refusal)
    assert small_hub.asked[-1] == ("POST", f"{path}/extend")
    assert TOKEN not in server.log.read_text()


def test_a_hub_that_is_away_or_talks_nonsense_is_said_to_be_away(serve, small_hub):
    server = serve()
    for status, body in [
        (200, b"<html>"),
        (200, b"[1]"),
        (200, b" " * 100_000 + b"{}"),
        (302, {"status": 302}),
    ]:
        small_hub.answers["GET"] = (status, body)
        answer = server.ask("GET", "gradienthub/lease")
        assert (answer.status_code, answer.json()["code"]) == (503, "hub_away")
    # The token follows nobody elsewhere.
    assert {path for _, path in small_hub.asked} == {"/hub/api/gradient/users/anna/servers/"}


def test_nobody_answering_is_a_503_with_a_hint(serve):
    server = serve(JUPYTERHUB_API_URL="http://127.0.0.1:9/hub/api")
    answer = server.ask("POST", "gradienthub/extend")
    assert answer.status_code == 503
    assert answer.json()["code"] == "hub_away"
    assert answer.json()["hint"]


def test_asking_keeps_nothing_alive_and_a_person_is_remembered(serve):
    server = serve()
    # The first call makes an activity to compare with.
    server.ask("GET", "api/contents")
    before = last_activity(server)
    for path in ("lease", "activity"):
        assert server.ask("GET", f"gradienthub/{path}?no_track_activity=1").ok
    assert server.ask("GET", "gradienthub/activity?no_track_activity=1").json() == {
        "person_at": None
    }
    assert last_activity(server) == before

    before_it = datetime.now(UTC) - timedelta(seconds=1)
    assert server.ask("POST", "gradienthub/activity?no_track_activity=1").status_code == 204
    person_at = server.ask("GET", "gradienthub/activity?no_track_activity=1").json()["person_at"]
    moment = datetime.fromisoformat(person_at)
    assert before_it <= moment <= datetime.now(UTC)
    assert last_activity(server) == before
    # The comparison can fail: without the word, asking is use.
    server.ask("GET", "gradienthub/activity")
    assert last_activity(server) > before


def test_strangers_and_foreign_pages_are_refused(serve, small_hub):
    server = serve()
    for method, path in [
        ("GET", "lease"),
        ("POST", "extend"),
        ("GET", "activity"),
        ("POST", "activity"),
    ]:
        answer = requests.request(method, f"{server.url}gradienthub/{path}", timeout=20)
        assert answer.status_code == 403, path
    # With a person's cookie, but without the page's XSRF token.
    person = requests.Session()
    person.get(f"{server.url}api/status", params={"token": server.token}, timeout=20)
    assert person.get(f"{server.url}gradienthub/lease", timeout=20).status_code == 200
    assert person.post(f"{server.url}gradienthub/extend", timeout=20).status_code == 403
    assert ("POST", "/hub/api/gradient/users/anna/servers//extend") not in small_hub.asked


def test_outside_of_jupyterhub_it_says_so_once_and_does_nothing(serve):
    server = serve(JUPYTERHUB_API_TOKEN=None)
    assert server.ask("GET", "gradienthub/lease").status_code == 404
    assert server.log.read_text().count("not started by a JupyterHub") == 1
