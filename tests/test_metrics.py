"""A real hub moves its metrics, and nothing but words of the catalog and the code is a label."""

import asyncio
from datetime import timedelta

import aiohttp
import pytest
import steps
from home import NOW, T4
from jupyterhub.services.auth import HubAuth
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from tornado import web
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from gradienthub import metrics
from gradienthub.ledger import By, fleet, leases
from gradienthub.ledger.counts import count_all
from gradienthub.ledger.findings import NewFinding, report
from gradienthub.rules.idleness import Reason
from gradienthub.rules.use import Answer
from gradienthub.service.metrics_handler import MetricsHandler


def value(name, **labels):
    """A sample of this process now; 0 where it has none yet."""
    return REGISTRY.get_sample_value(f"gradienthub_{name}", labels) or 0


async def scraped(url, token):
    """(status, {sample name and labels: value}) of an endpoint."""
    headers = {"Authorization": f"token {token}"} if token else {}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        families = text_string_to_metric_families(await answer.text()) if answer.ok else ()
        samples = [sample for family in families for sample in family.samples]
        return answer.status, {(s.name, *sorted(s.labels.items())): s.value for s in samples}


async def test_a_start_a_refusal_and_a_stop_move_the_metrics_of_a_hub(hub):
    home = await hub()
    await home.settled()
    await home.person("anna")
    before = {
        phase: value("start_seconds_count", phase=phase)
        for phase in ("admitted", "preparing", "waiting", "starting", "answering", "all")
    }
    refused = value("refusals_total", code="type_not_in_tier")
    unknown = value("refusals_total", code="unknown_instance_type")
    stopped = value("stops_total", reason="user")
    assert (await home.start_server("anna", "a100")).status == 403
    assert (await home.start_server("anna", "nothing")).status == 400
    assert (await home.start_server("anna")).status == 201
    await home.context.show_counts()
    assert value("leases", instance_type="free-t4", state="running") == 1
    assert value("devices", state="leased", model=T4) == 1
    assert value("devices", state="free", model=T4) == 1
    for phase, count in before.items():
        assert value("start_seconds_count", phase=phase) == count + 1, phase
    assert value("refusals_total", code="type_not_in_tier") == refused + 1
    assert value("refusals_total", code="unknown_instance_type") == unknown + 1

    token = await home.person("anna")
    assert (await home.api("DELETE", "/users/anna/server", token=token)).status == 204
    assert value("stops_total", reason="user") == stopped + 1
    await home.context.show_counts()
    assert value("leases", instance_type="free-t4", state="running") == 0
    assert value("devices", state="free", model=T4) == 2

    status, seen = await scraped(home.url("/metrics"), home.token)
    assert status == 200
    key = ("gradienthub_stops_total", ("reason", "user"))
    assert seen[key] == stopped + 1
    assert "anna" not in str([key for key in seen if key[0].startswith("gradienthub_")])


async def test_a_refusal_on_the_form_counts_once(hub):
    home = await hub()
    await home.person("anna")
    browser = await home.browser("anna")
    before = value("refusals_total", code="type_not_in_tier")
    await browser.post("/spawn/anna", {"instance_type": "a100", "shutdown_after": "1h"})
    assert value("refusals_total", code="type_not_in_tier") == before + 1


async def test_a_refused_start_times_no_phase(hub):
    home = await hub()
    await home.person("anna")
    before = value("start_seconds_count", phase="admitted")
    assert (await home.start_server("anna", "a100")).status == 403
    assert value("start_seconds_count", phase="admitted") == before


async def test_two_hubs_in_one_process_share_their_metrics(hub):
    first = await hub()
    await first.kill()
    second = await hub()
    assert (await scraped(second.url("/metrics"), second.token))[0] == 200


async def test_the_lag_of_the_loop_is_measured(monkeypatch):
    monkeypatch.setattr(metrics, "LAG_EVERY", 0.001)
    before = value("loop_lag_seconds_count", process="keeper")
    task = asyncio.create_task(metrics.measure_loop_lag("keeper"))
    while value("loop_lag_seconds_count", process="keeper") < before + 2:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


def test_a_pass_that_is_longer_than_its_interval_is_an_overrun():
    passes, overruns = value("pass_seconds_count"), value("pass_overruns_total")
    metrics.observe_pass(29.0, 30.0)
    metrics.observe_pass(31.0, 30.0)
    assert value("pass_seconds_count") == passes + 2
    assert value("pass_overruns_total") == overruns + 1


@pytest.mark.parametrize(
    ("answer", "result"), [(None, "unknown"), (Answer(), "idle"), (Answer(busy=("k",)), "busy")]
)
def test_looks_are_counted_by_what_they_saw(answer, result):
    before = value("looks_total", result=result)
    metrics.count_look(answer)
    assert value("looks_total", result=result) == before + 1


def test_warnings_are_counted_by_reason():
    before = value("warnings_total", reason="idle")
    metrics.count_warning(Reason.IDLE)
    assert value("warnings_total", reason="idle") == before + 1


def test_types_that_left_the_catalog_are_one_label():
    metrics.show_ledger({("old", "running"): 2, ("older", "running"): 1}, {}, {}, ["t4"])
    assert value("leases", instance_type="other", state="running") == 3
    samples = [sample for family in metrics.leases.collect() for sample in family.samples]
    assert {sample.labels["instance_type"] for sample in samples} == {"t4", "other"}


def test_counts_are_of_what_the_ledger_holds(ledger, make_settings, ask):
    settings = make_settings(hub_id="this-hub")
    ledger.write(fleet.publish, settings, NOW)
    running, stopping = (ask(ledger, settings, name) for name in ("anna", "ben"))
    ended = ask(ledger, settings, "dora", "free-cpu")
    for lease in (running, stopping):
        ledger.write(steps.answer, lease.id, NOW)
    later = NOW + timedelta(minutes=1)
    ledger.write(leases.note_stop, stopping.id, Reason.USER, By("this-hub", "ben", later))
    ledger.write(leases.end, ended.id, later, Reason.USER)
    found = [NewFinding("a", "notify", "", ""), NewFinding("b", "notify", "", "")]
    ledger.write(report, hub_id="this-hub", source="keeper", wrong=found, now=NOW)
    ledger.write(report, hub_id="this-hub", source="keeper", wrong=found[:1], now=later)
    seen = ledger.read(count_all, "this-hub")
    assert seen.leases == {("free-t4", "running"): 1, ("free-t4", "stopping"): 1}
    assert seen.devices == {("leased", T4): 2, ("free", "Toy A100"): 1}
    assert seen.findings == {"notify": 1}
    assert ledger.read(count_all, "another-hub").leases == {}


@pytest.fixture
async def endpoint(hub):
    """(a hub, the address of a keeper's endpoint beside it)."""
    home = await hub()
    auth = HubAuth(api_url=home.url("/api"), api_token=home.token, cache_max_age=0)
    routes = [("/gradient/metrics", MetricsHandler, {"hub_auth": auth})]
    socket, port = bind_unused_port()
    server = HTTPServer(web.Application(routes, log_function=lambda handler: None))
    server.add_socket(socket)
    yield home, f"http://127.0.0.1:{port}/gradient/metrics"
    server.stop()
    await server.close_all_connections()


async def test_the_keepers_metrics_are_for_tokens_that_may_read_metrics(endpoint):
    home, url = endpoint
    metrics.observe_pass(1.0, 30.0)
    status, seen = await scraped(url, home.token)
    assert status == 200 and seen[("gradienthub_pass_seconds_count",)] >= 1
    assert (await scraped(url, await home.person("anna")))[0] == 403
    assert (await scraped(url, "nonsense"))[0] == 403
    assert (await scraped(url, None))[0] == 403
