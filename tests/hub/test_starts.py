"""Starting a notebook through the real hub: what is admitted, what is refused, in which words."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote

import pytest

from gradienthub.ledger import audit
from gradienthub.testing import (
    EngineIsAway,
    FailsAfterCreate,
    FailsAtCreate,
    GradientFakeSpawner,
    SlowToStart,
)

START = {"instance_type": "free-t4", "shutdown_after": "1h"}
NAMES = ["ann@example.org", "50%off", "~tilde", "dot.dot", "zoë", "名前", "a+b c", "quo'te\""]


async def test_a_start_by_rest_gives_a_lease_with_its_devices(hub):
    home = await hub()
    await home.person("anna")
    said = await home.api("POST", "/users/anna/server", {"user_options": START})
    assert said.status == 201, said
    lease = await home.lease_of("anna")
    assert (lease["instance_type"], lease["price"], lease["tier"]) == ("free-t4", 0, "free")
    assert lease["shutdown_after"] == timedelta(hours=1)
    assert await home.devices_held() == {lease["devices"][0]: lease["id"]}
    (container,) = home.engine.of_user("anna")
    assert container.lease.devices == tuple(lease["devices"])
    await home.until(lambda: home.spawner("anna").ready)
    server = (await home.api("GET", "/users/anna/server")).body
    assert server["ready"] is True
    await home.is_consistent()


async def test_the_hub_keeps_the_lease_and_its_deadlines_with_the_server(hub):
    home = await hub()
    await home.person("anna")
    await home.start_server("anna")
    lease = await home.lease_of("anna")
    state = home.spawner("anna").orm_spawner.state
    assert state["lease_id"] == lease["id"]
    assert state["deadlines"] == {
        "shutdown_after": 3600.0,
        "stop_at": None,
        "session_ends_at": lease["session_ends_at"].isoformat(),
    }


async def test_a_ready_server_is_confirmed_in_its_lease(hub):
    home = await hub()
    await home.person("anna")
    await home.start_server("anna")

    async def confirmed():
        return (await home.lease_of("anna"))["confirmed_at"] is not None

    await home.until(confirmed, "the confirmation")
    assert (await home.lease_of("anna"))["phase"] == "running"


async def test_price_and_limits_of_a_running_lease_are_those_of_its_start(hub):
    home = await hub()
    await home.person("anna", "pro", pays=True)
    await home.start_server("anna", "t4")
    before = await home.lease_of("anna")
    types = [
        t.model_copy(update={"price": t.price * 9})
        for t in home.settings.house.catalog.instance_types
    ]
    catalog = home.settings.house.catalog.model_copy(update={"instance_types": tuple(types)})
    house = replace(home.settings.house, catalog=catalog)
    home.context.settings = replace(home.settings, house=house)
    assert (await home.lease_of("anna"))["price"] == before["price"] == 510_000


@pytest.mark.parametrize("name", NAMES)
async def test_a_user_of_any_name_starts_and_stops(hub, name):
    home = await hub()
    token = await home.person(name)
    where = f"/users/{quote(name, safe='')}"
    for server in ("server", "servers/work"):
        said = await home.api("POST", f"{where}/{server}", {"user_options": START}, token=token)
        assert said.status == 201, said
        await home.is_consistent()
        said = await home.api("DELETE", f"{where}/{server}", token=token)
        assert said.status == 204, said
        await home.nothing_is_taken()


async def test_an_admin_and_a_service_start_for_others_and_the_audit_says_so(hub):
    home = await hub()
    admin = await home.person("ada")
    await home.person("anna")
    await home.person("berta")
    await home.api("POST", "/users/anna/server", {"user_options": START}, token=admin)
    await home.api("POST", "/users/berta/server", {"user_options": START})
    rows = await home.context.ledger.aread(audit.list_rows, hub_id=home.settings.hub_id)
    starts = {row["account_id"]: row["actor"] for row in rows if row["action"] == "start"}
    assert starts[await home.account_id("anna")] == "ada"
    assert starts[await home.account_id("berta")] == "service tester"


async def test_a_person_cannot_start_for_another(hub):
    home = await hub()
    token = await home.person("anna")
    await home.person("berta")
    said = await home.api("POST", "/users/berta/server", {"user_options": START}, token=token)
    assert said.status == 404  # the hub does not even say that berta exists
    await home.nothing_is_taken()


# -- many at once -------------------------------------------------------------------------------


async def test_of_fifty_starts_at_once_for_two_devices_two_run_and_all_others_hear_why(hub):
    def patient(c):
        # A busy machine needs more than the 10 s after which the hub answers 202.
        c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 60}

    home = await hub(patient)
    names = [f"user{number}" for number in range(50)]
    await home.api("POST", "/users", {"usernames": names})
    said = await asyncio.gather(*(home.start_server(name) for name in names))
    assert sorted(answer.status for answer in said) == [201] * 2 + [503] * 48
    refused = [answer for answer in said if answer.status == 503]
    assert {answer.message for answer in refused} == {
        "All 2 Free T4 are in use. The next is free by 21:00 UTC at the latest."
    }
    assert {answer.headers["Retry-After"] for answer in refused} == {"3600"}
    assert {answer.body["code"] for answer in refused} == {"no_capacity"}
    assert len(home.engine.history) == 2
    assert home.engine.devices_in_use() == ["GPU-t4-0", "GPU-t4-1"]
    await home.is_consistent()


async def test_starts_of_one_person_at_once_do_not_pass_their_cap(hub):
    home = await hub()
    token = await home.person("anna", "pro", pays=True)
    said = await asyncio.gather(
        *(
            home.api(
                "POST",
                f"/users/anna/servers/n{number}",
                {"user_options": {"instance_type": "c1", "shutdown_after": "1h"}},
                token=token,
            )
            for number in range(8)
        )
    )
    assert sorted(answer.status for answer in said) == [201] * 3 + [409] * 5
    refused = next(answer for answer in said if answer.status == 409)
    assert refused.body["code"] == "too_many_running"
    assert refused.message.startswith("3 of 3 notebooks of tier Pro are in use: ")
    assert refused.message.endswith("Stop one first.")
    await home.is_consistent()


async def test_asking_twice_for_one_server_at_once_starts_it_once(hub):
    home = await hub()
    await home.person("anna")
    said = await asyncio.gather(*(home.start_server("anna") for _ in range(3)))
    assert {answer.status for answer in said} <= {201, 202}
    await home.until(lambda: home.spawner("anna").ready)
    assert len(home.engine.history) == 1
    await home.is_consistent()


# -- bad input, by every road -------------------------------------------------------------------

LONG = "x" * 5000
MILLION = "x" * 1_000_000

#: class of input -> (options, status, code), for what no tier could allow: each road says so.
MALFORMED = {
    "no type": [
        ({}, 400, "no_instance_type"),
        ({"instance_type": None}, 400, "no_instance_type"),
        ({"instance_type": ""}, 400, "no_instance_type"),
        ({"shutdown_after": "1h"}, 400, "no_instance_type"),
    ],
    "unknown keys": [
        (START | {"gpu": 8}, 400, "unknown_option"),
        (START | {"image_tag": "x"}, 400, "unknown_option"),
        (START | {"": ""}, 400, "unknown_option"),
        (START | {"price": 0}, 400, "unknown_option"),
        (START | {"INSTANCE_TYPE": "a100"}, 400, "unknown_option"),
        (START | {"\ud800": 1}, 400, "unknown_option"),
        (START | {LONG: LONG}, 400, "unknown_option"),
    ],
    "wrong types": [
        (START | {"instance_type": 7}, 400, "bad_option"),
        (START | {"instance_type": ["free-t4"]}, 400, "bad_option"),
        (START | {"instance_type": {"name": "free-t4"}}, 400, "bad_option"),
        (START | {"instance_type": True}, 400, "bad_option"),
        (START | {"runtime": 1}, 400, "bad_option"),
        (START | {"interface": ["lab"]}, 400, "bad_option"),
        (START | {"interface": "vscode"}, 400, "bad_option"),
        (START | {"interface": ""}, 400, "bad_option"),
        (START | {"stop_at": 5}, 400, "bad_stop_at"),
        (START | {"stop_at": "tomorrow"}, 400, "bad_stop_at"),
        (START | {"stop_at": "2026-11-24T18:00"}, 400, "bad_stop_at"),
        (START | {"stop_at": "0001-01-01T00:00:00+23:59"}, 400, "bad_stop_at"),
    ],
    "long and unprintable text": [
        (START | {"instance_type": LONG}, 400, "bad_option"),
        (START | {"runtime": LONG}, 400, "bad_option"),
        (START | {"instance_type": "free-t4\0"}, 400, "bad_option"),
        (START | {"instance_type": "free-t4\nt4"}, 400, "bad_option"),
        (START | {"instance_type": "\ud800"}, 400, "bad_option"),
        (START | {"instance_type": MILLION}, 400, "bad_body"),
        (START | {"shutdown_after": MILLION}, 400, "bad_body"),
    ],
    "nested junk": [
        (START | {"runtime": {"a": [{"b": {"c": []}}] * 50}}, 400, "bad_option"),
        (START | {"shutdown_after": [[[[]]]]}, 400, "bad_interval"),
        (START | {"image": {"$ne": 1}}, 400, "bad_option"),
    ],
    "images with options or shell characters": [
        ({"instance_type": "free-t4", "image": image}, 400, "bad_image")
        for image in (
            "--privileged",
            "-v /:/host",
            "ghcr.io/acme/x; rm -rf /",
            "$(id)",
            "`id`",
            "a b",
            "ghcr.io/acme/x\u00e9",
            "../../etc",
            "GHCR.io/Acme/X",
            "x|y",
            "a@sha256:12",
            "x" * 256,
            "ghcr.io/acme/x&&y",
            "{username}",
            "ghcr.io/acme/x:",
            "http://evil/x",
        )
    ]
    + [(START | {"image": "ghcr.io/acme/x", "runtime": "python"}, 400, "bad_option")],
    "intervals that are none": [
        (START | {"shutdown_after": value}, 400, "bad_interval")
        for value in (
            0,
            -1,
            -3600,
            0.5,
            float("nan"),
            float("inf"),
            -float("inf"),
            1e300,
            10**400,
            True,
            "",
            "0",
            "0h",
            "-1h",
            "1 fortnight",
            "1h30m",
            "h",
            "1.5h",
            "NaN",
            "١h",
            "99999999999d",
            400 * 86400,
            [],
            {},
        )
    ],
}

#: class of input -> (options, status, code), for what this person may not have, or nobody now.
REFUSED = {
    "types that are not offered": [
        ({"instance_type": "nope"}, 400, "unknown_instance_type"),
        ({"instance_type": "free"}, 400, "unknown_instance_type"),
        ({"instance_type": "*"}, 400, "unknown_instance_type"),
        ({"instance_type": "../t4"}, 400, "unknown_instance_type"),
        ({"instance_type": "{0.__class__}"}, 400, "unknown_instance_type"),
        ({"instance_type": "%s%n"}, 400, "unknown_instance_type"),
    ],
    "runtimes and images of other tiers": [
        (START | {"runtime": "nope"}, 400, "unknown_runtime"),
        (START | {"runtime": "torch"}, 403, "runtime_not_in_tier"),
        ({"instance_type": "free-t4", "image": "ghcr.io/acme/x"}, 403, "image_not_allowed"),
        ({"instance_type": "free-t4", "image": "evil.example/x"}, 403, "image_not_allowed"),
    ],
    "intervals beyond the tier": [
        (START | {"shutdown_after": "13h"}, 403, "interval_not_allowed"),
        (START | {"shutdown_after": "1m"}, 403, "interval_not_allowed"),
        (START | {"shutdown_after": 1}, 403, "interval_not_allowed"),
        (START | {"shutdown_after": None}, 403, "interval_not_allowed"),
        (START | {"stop_at": "2020-01-01T00:00:00Z"}, 400, "bad_stop_at"),
    ],
    "types of a higher tier": [
        ({"instance_type": "t4"}, 403, "type_not_in_tier"),
        ({"instance_type": "a100"}, 403, "type_not_in_tier"),
    ],
}


def _classes(table):
    return [pytest.param(cases, id=name.replace(" ", "-")) for name, cases in table.items()]


async def _roads(home):
    """(who, token) of everybody who may start anna's servers."""
    return {
        "the owner": await home.person("anna"),
        "an admin": await home.person("ada"),
        "a service": home.token,
    }


def _body(options):
    # Lone surrogates as JSON writes them; NaN and Infinity as Python's writer does.
    return json.dumps({"user_options": options}).encode()


@pytest.mark.parametrize("cases", _classes(MALFORMED))
async def test_malformed_options_are_refused_by_name_on_every_road_and_take_nothing(hub, cases):
    home = await hub()
    roads = await _roads(home)
    assert (await home.api("PUT", "/users/anna/servers/kept", {})).status == 201
    for options, status, code in cases:
        for who, token in roads.items():
            for method, server in (
                ("POST", "server"),
                ("POST", "servers/fresh"),
                ("PUT", "servers/fresh"),
                ("PATCH", "servers/kept"),
            ):
                said = await home.api(
                    method, f"/users/anna/{server}", raw=_body(options), token=token
                )
                case = f"{method} {server} by {who}: {str(options)[:120]} -> {said.text[:300]}"
                assert said.status == status, case
                assert said.body["code"] == code, case
                assert len(said.text) < 2000, case
    assert set(home.app.users["anna"].orm_spawners) == {"", "kept"}
    assert not home.app.users["anna"].orm_spawners["kept"].user_options
    await home.nothing_is_taken()
    assert home.engine.history == []


@pytest.mark.parametrize("cases", _classes(REFUSED))
async def test_what_a_person_may_not_have_is_refused_also_when_an_admin_asks(hub, cases):
    home = await hub()
    roads = await _roads(home)
    for options, status, code in cases:
        for who, token in roads.items():
            for server in ("server", "servers/fresh"):
                said = await home.api(
                    "POST", f"/users/anna/{server}", raw=_body(options), token=token
                )
                case = f"{server} by {who}: {options} -> {said.text[:300]}"
                assert (said.status, said.body["code"]) == (status, code), case
                assert said.body["hint"], case
    assert set(home.app.users["anna"].orm_spawners) == {""}
    await home.nothing_is_taken()
    assert home.engine.history == []


@pytest.mark.parametrize("cases", _classes(REFUSED))
async def test_options_that_were_only_saved_are_judged_when_they_are_used(hub, cases):
    home = await hub()
    token = await home.person("anna")
    assert (await home.api("PUT", "/users/anna/servers/kept", {}, token=token)).status == 201
    for options, status, code in cases:
        saved = await home.api("PATCH", "/users/anna/servers/kept", raw=_body(options), token=token)
        assert saved.status == 200, saved
        said = await home.api("POST", "/users/anna/servers/kept", token=token)
        assert (said.status, said.body["code"]) == (status, code), said
    await home.nothing_is_taken()


@pytest.mark.parametrize(
    "raw",
    [
        b"[]",
        b"[1, 2]",
        b'"free-t4"',
        b"0",
        b"false",
        b"7",
        b"{",
        b"\xff\xfe",
        b"not json",
        b'{"user_options": []}',
        b'{"user_options": "free-t4"}',
        b'{"user_options": 0}',
        b'{"display_name": 7}',
        b'{"display_name": ["x"]}',
        b'{"display_name": "\\u0000"}',
        b'{"display_name": "' + b"x" * 300 + b'"}',
        b"[" * 8000,
        b"[" * 200_000,
        b'{"user_options": {"instance_type": ' + b"[" * 7000 + b"]" * 7000 + b"}}",
        b'{"user_options": {"instance_type": ' + b'{"a":' * 2000 + b"1" + b"}" * 2000 + b"}}",
        b'{"user_options": {"shutdown_after": ' + b"9" * 5000 + b"}}",
    ],
    ids=lambda raw: repr(raw[:40]),
)
async def test_a_body_that_is_no_request_is_refused_and_takes_nothing(hub, raw):
    home = await hub()
    token = await home.person("anna")
    await home.api("PUT", "/users/anna/servers/kept", {}, token=token)
    for method, server in (
        ("POST", "server"),
        ("POST", "servers/fresh"),
        ("PUT", "servers/fresh"),
        ("PATCH", "servers/kept"),
    ):
        said = await home.api(method, f"/users/anna/{server}", raw=raw, token=token)
        assert said.status == 400, (method, server, said)
        assert said.message
        assert len(said.text) < 2000
    assert set(home.app.users["anna"].orm_spawners) == {"", "kept"}
    await home.nothing_is_taken()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"state": {"lease_id": "x"}},
        {"name": 7},
        {"name": None},
        {"name": "Not A Slug"},
        {"name": "x" * 200},
        {"name": "../x"},
        {"user_options": None, "started": 1},
    ],
    ids=str,
)
async def test_a_change_of_what_cannot_be_changed_is_refused(hub, body):
    home = await hub()
    token = await home.person("anna")
    await home.api("PUT", "/users/anna/servers/kept", {}, token=token)
    said = await home.api("PATCH", "/users/anna/servers/kept", body, token=token)
    assert said.status == 400, said
    assert set(home.app.users["anna"].orm_spawners) == {"", "kept"}


async def test_a_name_that_is_taken_is_refused(hub):
    home = await hub()
    token = await home.person("anna")
    for name in ("one", "two"):
        assert (await home.api("PUT", f"/users/anna/servers/{name}", {}, token=token)).status == 201
    said = await home.api("PUT", "/users/anna/servers/one", {}, token=token)
    assert said.status == 409
    said = await home.api("PATCH", "/users/anna/servers/one", {"name": "two"}, token=token)
    assert said.status == 409
    assert set(home.app.users["anna"].orm_spawners) == {"", "one", "two"}


async def test_a_server_that_was_removed_is_gone_when_its_answer_comes(hub, monkeypatch):
    home = await hub(changes=lambda c: c.JupyterHub.update({"named_server_limit_per_user": 1}))
    token = await home.person("anna")
    delete = GradientFakeSpawner.delete_forever

    async def slowly(self):
        await asyncio.sleep(0.2)
        await delete(self)

    monkeypatch.setattr(GradientFakeSpawner, "delete_forever", slowly)
    for name in ("one", "two"):
        body = {"user_options": {"instance_type": "free-cpu"}}
        said = await home.api("POST", f"/users/anna/servers/{name}", body, token=token)
        assert said.status == 201, said
        await home.until(lambda name=name: home.spawner("anna", name).ready)
        said = await home.api(
            "DELETE", f"/users/anna/servers/{name}", {"remove": True}, token=token
        )
        assert said.status == 204, said
        assert name not in home.app.users["anna"].orm_spawners


@pytest.mark.parametrize("remove", [False, True])
async def test_a_stop_that_meets_a_server_removed_meanwhile_is_done(hub, remove):
    """Two requests at once stopped a start of a new name: one's answer was a bare 500."""
    home = await hub()
    token = await home.person("anna", "pro")
    slow = home.engine.suffer(SlowToStart(user="anna"))
    body = {"user_options": {"instance_type": "free-cpu", "shutdown_after": "1h"}}
    where = "/users/anna/servers/new"
    start = asyncio.create_task(home.api("POST", where, body, token=token))
    await slow.reached()
    stops = [
        home.api("DELETE", where, {"remove": True} if remove else None, token=token)
        for _ in range(6)
    ]
    answers = [said.status for said in await asyncio.gather(*stops)]
    assert set(answers) <= {202, 204, 404}, answers
    await start
    home.engine.heal(slow)
    await home.until(lambda: not any(o.alive for o in home.engine.objects.values()))


async def test_a_refused_second_start_of_a_new_name_leaves_the_first_alone(hub):
    home = await hub()
    token = await home.person("anna", "pro")
    body = {"user_options": {"instance_type": "free-cpu", "shutdown_after": "1h"}}
    starts = [home.api("POST", "/users/anna/servers/new", body, token=token) for _ in range(8)]
    answers = sorted(said.status for said in await asyncio.gather(*starts))
    assert answers.count(201) + answers.count(202) >= 1, answers
    assert max(answers) < 500, answers
    await home.until(lambda: home.spawner("anna", "new").ready)
    assert "new" in home.app.users["anna"].orm_spawners
    assert len(home.engine.of_user("anna")) == 1
    await home.is_consistent()


# -- what a refused start leaves ----------------------------------------------------------------


async def test_options_of_a_refused_start_are_not_what_the_next_start_uses(hub):
    home = await hub()
    token = await home.person("anna", "pro", pays=True)
    await home.start_server("anna", "t4", interface="notebook")
    await home.api("DELETE", "/users/anna/server")
    refused = await home.api(
        "POST", "/users/anna/server", {"user_options": {"instance_type": "a100"}}, token=token
    )
    assert refused.status in (400, 403)
    said = await home.api("POST", "/users/anna/server", token=token)
    assert said.status == 201, said
    lease = await home.lease_of("anna")
    assert (lease["instance_type"], lease["interface"]) == ("t4", "notebook")


async def test_after_a_first_start_that_was_refused_nothing_is_saved(hub):
    home = await hub()
    token = await home.person("anna")
    refused = await home.start_server("anna", "t4")
    assert refused.status == 403
    assert not home.app.users["anna"].orm_spawners[""].user_options
    said = await home.api("POST", "/users/anna/server", token=token)
    assert (said.status, said.body["code"]) == (400, "no_instance_type")


async def test_a_start_without_options_gets_the_machine_that_the_deployer_named(hub):
    home = await hub(default_instance_type="free-cpu")
    token = await home.person("anna")
    said = await home.api("POST", "/users/anna/server", token=token)
    assert said.status == 201, said
    lease = await home.lease_of("anna")
    assert (lease["instance_type"], lease["shutdown_after"]) == ("free-cpu", timedelta(hours=1))
    await home.api("DELETE", "/users/anna/server", token=token)
    # Half of the options is a start without a machine too; who names one gets that.
    for given, machine in (({"interface": "notebook"}, "free-cpu"), (START, "free-t4")):
        home.clock.advance(seconds=1)
        said = await home.api("POST", "/users/anna/server", {"user_options": given}, token=token)
        assert said.status == 201, said
        assert (await home.lease_of("anna"))["instance_type"] == machine
        await home.api("DELETE", "/users/anna/server", token=token)


async def test_the_deployers_machine_is_refused_to_who_may_not_have_it(hub):
    home = await hub(default_instance_type="a100")
    token = await home.person("anna")
    said = await home.api("POST", "/users/anna/server", token=token)
    assert (said.status, said.body["code"]) == (403, "type_not_in_tier")


async def test_options_saved_by_an_older_version_are_refused_by_name_and_then_forgotten(hub):
    home = await hub()
    token = await home.person("anna")
    row = home.app.users["anna"].orm_spawners[""]
    row.user_options = {"profile": "gpu", "instance_type": "free-t4"}
    home.app.db.commit()
    said = await home.api("POST", "/users/anna/server", token=token)
    assert (said.status, said.body["code"], said.body["field"]) == (
        400,
        "unknown_option",
        "“profile”",
    )
    assert "saved by another version" in said.message
    assert (await home.start_server("anna")).status == 201


async def test_a_refused_start_is_in_the_audit_and_nowhere_else(hub):
    home = await hub()
    token = await home.person("anna")
    await home.api(
        "POST",
        "/users/anna/servers/fresh",
        {"user_options": {"instance_type": "a100"}},
        token=token,
    )
    (row,) = [
        row
        for row in await home.context.ledger.aread(audit.list_rows, hub_id=home.settings.hub_id)
        if row["action"] == "refused"
    ]
    assert row["actor"] == "anna"
    assert row["detail"]["code"] == "type_not_in_tier"
    assert row["detail"]["options"]["instance_type"] == "a100"
    assert await home.lease_of("anna", "fresh") is None
    assert (await home.api("GET", "/users/anna/servers/fresh")).status == 404
    assert home.app.proxy.routes.keys() == {"/@/space%20word/"}
    await home.nothing_is_taken()


async def test_a_paid_machine_needs_a_payment_method_and_some_an_approval(hub):
    home = await hub()
    await home.person("anna", "pro")
    said = await home.start_server("anna", "t4")
    assert (said.status, said.body["code"]) == (402, "payment_method_required")
    assert "0.51" in said.message
    await home.grant("anna", pays=True)
    said = await home.start_server("anna", "a100")
    assert (said.status, said.body["code"]) == (403, "approval_required")
    await home.nothing_is_taken()
    await home.grant("anna", approved=("a100",))
    assert (await home.start_server("anna", "a100")).status == 201


async def test_a_custom_image_starts_only_where_the_tier_names_it(hub):
    home = await hub()
    await home.person("anna", "pro")
    refused = await home.start_server("anna", image="evil.example/x")
    assert (refused.status, refused.body["code"]) == (403, "image_not_allowed")
    assert "ghcr.io/acme/*" in refused.message
    assert (await home.start_server("anna", image="ghcr.io/acme/train:1.4")).status == 201
    assert home.engine.of_user("anna")[0].lease.image == "ghcr.io/acme/train:1.4"


async def test_where_no_device_is_free_the_answer_says_when_and_what_else(hub):
    home = await hub()
    await home.person("anna", "flat", pays=True, approved=("a100",))
    await home.person("berta")
    assert (await home.start_server("anna", "t4x2", stop_at="2026-11-23T10:30:00Z")).status == 201
    refused = await home.start_server("berta")
    assert refused.status == 503
    assert refused.message == (
        "All 2 Free T4 are in use. The next is free by 10:30 UTC at the latest."
    )
    assert refused.body["retry_after"] == int(refused.headers["Retry-After"]) == 3600
    mine = await home.start_server("anna", "t4", "second")
    assert mine.body["alternatives"] == ["a100"]
    assert mine.message.endswith("A100 is free now.")


async def test_a_refusal_has_one_shape(hub):
    home = await hub()
    await home.person("anna")
    said = await home.start_server("anna", "t4")
    assert said.body == {
        "status": 403,
        "code": "type_not_in_tier",
        "message": "T4 is not in tier Free (from default). It needs tier Pro: ask your"
        " administrator.",
        "hint": "It needs tier Pro: ask your administrator.",
        "field": "instance_type",
        "alternatives": [],
    }


@pytest.mark.parametrize("fault", [FailsAtCreate, FailsAfterCreate])
async def test_where_the_engine_refuses_the_object_nothing_is_left(hub, fault):
    home = await hub()
    await home.person("anna")
    home.engine.suffer(fault())
    said = await home.start_server("anna")
    assert (said.status, said.body["code"]) == (502, "start_failed")
    assert said.message.startswith("The engine refused the container:")
    await home.nothing_is_taken()
    lease = await home.lease_of("anna")
    assert (lease["reason"], lease["answered_at"]) == ("start_failed", None)


async def test_where_the_engine_is_away_a_start_is_refused_with_a_hint_and_nothing_is_held(hub):
    home = await hub()
    await home.person("anna")
    async with home.engine.suffering(EngineIsAway()):
        said = await home.start_server("anna")
    assert (said.status, said.body["code"]) == (503, "engine_away")
    assert said.headers["Retry-After"] == "60"
    await home.settled()
    await home.nothing_is_taken()


async def test_a_new_server_that_was_refused_leaves_no_row_and_an_older_one_stays(hub):
    home = await hub()
    token = await home.person("anna")
    await home.api("PUT", "/users/anna/servers/kept", {"display_name": "Kept"}, token=token)
    for server in ("kept", "fresh"):
        said = await home.api(
            "POST",
            f"/users/anna/servers/{server}",
            {"user_options": {"instance_type": "t4"}},
            token=token,
        )
        assert said.status == 403
    assert set(home.app.users["anna"].orm_spawners) == {"", "kept"}
    listed = (await home.api("GET", "/users/anna?include_stopped_servers=1")).body["servers"]
    assert "fresh" not in listed


# -- the browser's roads ------------------------------------------------------------------------


async def test_a_start_from_the_form_is_the_same_start(hub):
    home = await hub()
    browser = await home.browser("anna")
    form = {
        "instance_type": "free-t4",
        "runtime": "python",
        "shutdown_after": "30m",
        "interface": "notebook",
        "image": "",
        "stop_at": "",
        "utc_offset": "60",
    }
    said = await browser.post("/spawn/anna", form)
    assert said.status == 302, said
    await home.until(lambda: home.spawner("anna").ready)
    lease = await home.lease_of("anna")
    assert (lease["shutdown_after"], lease["interface"]) == (timedelta(minutes=30), "notebook")


@pytest.mark.parametrize(
    "path",
    [
        "/spawn?instance_type=free-t4&shutdown_after=1h",
        "/spawn/anna?instance_type=free-t4&shutdown_after=1h",
        "/spawn/anna?opt-instance_type=free-t4",
        "/spawn/anna/work?instance_type=free-t4&shutdown_after=1h",
        "/spawn/anna?x=1",
        "/spawn/anna?_xsrf=1",
    ],
)
async def test_a_link_from_another_site_never_starts_a_machine(hub, path):
    home = await hub()
    browser = await home.browser("anna")
    said = await browser.get(path, **{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
    assert said.status < 500, said
    await home.nothing_is_taken()
    assert home.engine.history == []


async def test_a_form_that_another_site_sends_never_starts_a_machine(hub):
    home = await hub()
    browser = await home.browser("anna")
    said = await browser.post(
        "/spawn/anna", {"instance_type": "free-t4", "shutdown_after": "1h"}, xsrf=False
    )
    assert said.status == 403
    await home.nothing_is_taken()
