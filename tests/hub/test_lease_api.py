"""What a program is told of a notebook's lease, and Extend: by whom, of which run, in words."""

from datetime import UTC, datetime, timedelta

import pytest
from kept import LedgerIsAway, looked_at

from gradienthub.ledger import audit
from gradienthub.rules.idleness import Reason, Warned
from gradienthub.rules.use import Use

WHERE = "/gradient/users/anna/servers/"


async def test_the_owner_reads_what_keeps_it_and_what_extending_costs(hub, clock):
    home = await hub()
    token = await home.person("anna", "pro", pays=True)
    await home.start_server("anna", "t4")
    clock.advance(minutes=10)
    lease = await looked_at(
        home, "anna", busy=("sweep.ipynb",), busy_since=clock(), used_by=Use.KERNEL
    )
    said = await home.api("GET", WHERE, token=token)
    assert said.status == 200 and said.headers["Content-Type"] == "application/json"
    body = said.body
    assert (body["lease"], body["state"], body["user"], body["server"]) == (
        lease,
        "running",
        "anna",
        "",
    )
    assert body["keeps_alive"] == ["busy for 0 s: sweep.ipynb"]
    assert body["cost_text"] == "$0.09" and body["stops_at"] is None
    assert body["extend"]["cost_text"] == "$0.51"


async def test_extend_moves_the_idle_stop_and_the_audit_has_who(hub, clock):
    home = await hub()
    token = await home.person("anna", "pro", pays=True)
    await home.start_server("anna", "t4")
    clock.advance(minutes=56)
    warned = Warned(Reason.IDLE, clock() + timedelta(minutes=4), timedelta(minutes=5), clock())
    used = clock() - timedelta(minutes=56)
    lease = await looked_at(home, "anna", used_at=used, warned=warned)
    before = (await home.api("GET", WHERE, token=token)).body
    assert before["warning"]["reason"] == "idle" and before["warning"]["minutes"] == 5
    said = await home.api("POST", f"{WHERE}/extend", {"lease": lease}, token=token)
    assert said.status == 200, said
    assert said.body["warning"] is None
    assert said.body["stops_at"] == (clock() + timedelta(hours=1)).isoformat().replace(
        "+00:00", "Z"
    )
    rows = await home.context.ledger.aread(audit.list_rows, hub_id=home.settings.hub_id)
    assert [row["actor"] for row in rows if row["action"] == "extend"] == ["anna"]


async def test_a_notebooks_own_token_may_and_another_notebooks_may_not(hub):
    home = await hub()
    await home.person("anna", "pro", pays=True)
    await home.start_server("anna")
    await home.start_server("anna", "free-cpu", "other")
    await looked_at(home, "anna")
    await looked_at(home, "anna", "other")
    token = home.spawner("anna").api_token
    assert (await home.api("GET", WHERE, token=token)).status == 200
    assert (await home.api("POST", f"{WHERE}/extend", token=token)).status == 200
    for method, path in (("GET", f"{WHERE}other"), ("POST", f"{WHERE}other/extend")):
        assert (await home.api(method, path, token=token)).status == 404
    rows = await home.context.ledger.aread(audit.list_rows, hub_id=home.settings.hub_id)
    assert [row["actor"] for row in rows if row["action"] == "extend"] == ["anna"]


async def test_strangers_see_nothing_and_admins_all(hub):
    home = await hub()
    await home.person("anna")
    stranger, ada = await home.person("ben"), await home.person("ada")
    await home.start_server("anna")
    await looked_at(home, "anna")
    assert (await home.api("GET", WHERE, token=stranger)).status == 404
    assert (await home.api("POST", f"{WHERE}/extend", token=stranger)).status == 404
    assert (await home.api("GET", WHERE, token="wrong")).status == 403
    assert (await home.api("POST", f"{WHERE}/extend", token="wrong")).status == 403
    assert (await home.api("GET", WHERE, token=ada)).status == 200
    assert (await home.api("POST", f"{WHERE}/extend", token=ada)).status == 200
    # A service that may start for all may extend for all.
    assert (await home.api("POST", f"{WHERE}/extend")).status == 200
    rows = await home.context.ledger.aread(audit.list_rows, hub_id=home.settings.hub_id)
    actors = [row["actor"] for row in rows if row["action"] == "extend"]
    assert sorted(actors) == ["ada", "service tester"]


async def test_a_token_that_may_only_read_does_not_extend(hub):
    home = await hub()
    await home.person("anna")
    await home.start_server("anna")
    await looked_at(home, "anna")
    made = await home.api("POST", "/users/anna/tokens", {"scopes": ["read:servers!user"]})
    token = made.body["token"]
    assert (await home.api("GET", WHERE, token=token)).status == 200
    assert (await home.api("POST", f"{WHERE}/extend", token=token)).status == 403


async def test_an_older_run_is_not_extended_and_a_stopped_one_neither(hub, clock):
    home = await hub()
    token = await home.person("anna")
    assert (await home.api("GET", WHERE, token=token)).body["code"] == "not_found"
    await home.start_server("anna")
    old = await looked_at(home, "anna")
    await home.api("DELETE", "/users/anna/server")
    said = await home.api("POST", f"{WHERE}/extend", token=token)
    assert (said.status, said.body["code"]) == (409, "not_running")
    ended = (await home.api("GET", WHERE, token=token)).body
    assert (ended["state"], ended["reason"], ended["stopped_by"]) == (
        "ended",
        "admin",
        "service tester",
    )
    clock.advance(minutes=1)
    await home.start_server("anna")
    await looked_at(home, "anna")
    said = await home.api("POST", f"{WHERE}/extend", {"lease": old}, token=token)
    assert (said.status, said.body["code"]) == (409, "another_lease")
    assert "since you saw it" in said.body["message"]


async def test_before_the_keeper_looked_extend_promises_nothing(hub, clock):
    # JupyterHub's own word on the activity, by the clock on the wall, is what counts here.
    clock.set(datetime.now(UTC))
    home = await hub()
    token = await home.person("anna")
    await home.start_server("anna")
    said = await home.api("GET", WHERE, token=token)
    assert said.body["extend"]["refused"]["code"] == "cannot_extend"
    assert said.body["stop_why"] == "idle for 1 h"
    said = await home.api("POST", f"{WHERE}/extend", token=token)
    assert (said.status, said.body["code"]) == (409, "cannot_extend")
    assert (await home.lease_of("anna"))["keep_until"] is None


async def test_without_the_ledger_it_says_so_and_when_to_come_back(hub):
    home = await hub()
    token = await home.person("anna")
    ledger, home.context.ledger = home.context.ledger, LedgerIsAway()
    for method, path in (("GET", WHERE), ("POST", f"{WHERE}/extend")):
        said = await home.api(method, path, token=token)
        assert (said.status, said.body["code"]) == (503, "ledger_away")
        assert said.headers["Retry-After"] == "60"
    said = await home.start_server("anna")
    assert (said.status, said.headers["Retry-After"]) == (503, "60")
    home.context.ledger = ledger


@pytest.mark.parametrize(
    "raw",
    [
        b"[]",
        b"{",
        b'{"lease": 1}',
        b'{"lease": "x", "more": 1}',
        b"null",
        b"[" * 90_000,
        b'{"lease": "' + b"x" * 20_000 + b'"}',
        b"\xff\xfe",
    ],
)
async def test_a_hostile_body_is_refused(hub, raw):
    home = await hub()
    token = await home.person("anna")
    said = await home.api("POST", f"{WHERE}/extend", raw=raw, token=token)
    assert (said.status, said.body["code"], said.body["field"]) == (400, "bad_body", "lease")


@pytest.mark.parametrize("server", ["%3Cscript%3E", "..%2f..%2f", "x" * 3000, "%00", "a%2Fb"])
async def test_a_hostile_name_is_just_not_there(hub, server):
    home = await hub()
    token = await home.person("anna")
    for method, path in (("GET", f"{WHERE}{server}"), ("POST", f"{WHERE}{server}/extend")):
        said = await home.api(method, path, token=token)
        assert (said.status, said.body["code"]) == (404, "not_found")
        assert said.headers["Content-Type"] == "application/json" and len(said.text) < 600


async def test_a_program_extends_so_often_until_a_person_does(hub, clock):
    """A notebook's own token extended it for ever."""
    home = await hub()
    await home.person("anna", "pro", pays=True)
    assert (await home.start_server("anna", "t4", "maps")).status == 201
    await looked_at(home, "anna", "maps")
    token, where = home.spawner("anna", "maps").api_token, f"{WHERE}maps"
    for _ in range(8):
        clock.advance(minutes=30)
        assert (await home.api("POST", f"{where}/extend", token=token)).status == 200
    clock.advance(minutes=30)
    kept = (await home.lease_of("anna", "maps"))["keep_until"]
    said = await home.api("POST", f"{where}/extend", token=token)
    assert (said.status, said.body["code"]) == (409, "too_many_extensions")
    assert "extended it 8 times since a person did" in said.body["message"]
    assert said.body["hint"] == "Extend it yourself on the page Notebooks."
    assert (await home.lease_of("anna", "maps"))["keep_until"] == kept
    view = (await home.api("GET", where, token=token)).body
    assert view["extend"]["refused"]["code"] == "too_many_extensions"
    browser = await home.browser("anna")
    lease = (await home.lease_of("anna", "maps"))["id"]
    done = await browser.post("/home", {"server": "maps", "action": "extend", "lease": lease})
    assert done.status == 303
    assert (await home.api("POST", f"{where}/extend", token=token)).status == 200
