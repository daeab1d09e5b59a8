"""Other services that stop notebooks: refused at the start, warned of, or told as such."""

import pytest
from home import plain
from keeper import Keeping
from test_wiring import app

from gradienthub.hub.users_api import KEEPER
from gradienthub.hub.wiring import wiring_faults, wiring_warnings
from gradienthub.ledger import findings
from gradienthub.rules.services import is_culler, may_stop, service_of


@pytest.mark.parametrize(
    "command",
    [
        ["python", "-m", "jupyterhub_idle_culler"],
        ["jupyterhub-idle-culler", "--timeout=60"],
        ["/opt/conda/bin/jupyterhub-idle-culler"],
        ["python3", "/srv/jupyterhub/cull_idle_servers.py", "--timeout=60"],
        ["sh", "-c", "exec jupyterhub-idle-culler --timeout=60"],
        ["env", "A=b", "python3", "-u", "cull-idle-servers.py"],
        "python3 -m jupyterhub_idle_culler --timeout=3600",
        "/usr/local/bin/CULL_IDLE.sh",
        ("bash", "-lc", "python -c 'import jupyterhub_idle_culler as i; i.main()'"),
    ],
)
def test_a_hub_with_a_stock_culler_however_it_is_written_does_not_start(command):
    assert is_culler(command)
    faults = wiring_faults(app(services=[{"name": KEEPER}, {"name": "mine", "command": command}]))
    assert len(faults) == 1
    assert "'mine' is a stock idle culler" in faults[0]


@pytest.mark.parametrize(
    "command", [None, "", [], ["python", "-m", "dashboard"], "idle.sh", ["announce", "--cull=no"]]
)
def test_other_services_are_left_alone(command):
    services = [{"name": KEEPER}, {"name": "mine", "command": command}]
    assert wiring_faults(app(services=services)) == []


@pytest.mark.parametrize(
    ("scopes", "stopping"),
    [
        (["delete:servers"], ["delete:servers"]),
        (["admin:servers", "read:users"], ["admin:servers"]),
        (["servers!group=lab"], ["servers!group=lab"]),
        (["read:servers", "access:servers", "list:users"], []),
    ],
)
def test_a_service_that_may_stop_is_a_warning_with_its_scopes(scopes, stopping):
    assert may_stop(scopes) == stopping
    here = app()
    here.services = [*here.services, {"name": "theirs"}]
    here.load_roles = [*here.load_roles, {"name": "r", "services": ["theirs"], "scopes": scopes}]
    said = wiring_warnings(here)
    assert len(said) == bool(stopping)
    assert all("'theirs' may stop" in sentence and "; " in sentence for sentence in said)


def test_a_service_with_all_rights_is_a_warning():
    here = app()
    here.services = [*here.services, {"name": "theirs", "admin": True}]
    assert "the role admin" in wiring_warnings(here)[0]


def test_only_a_service_is_called_one():
    assert service_of("service cull") == "cull"
    assert service_of("servicedesk") == ""
    assert service_of(None) == ""


async def test_a_stop_by_a_service_is_told_as_that_and_is_a_finding_where_it_came_too_soon(hub):
    home = await hub(keeper=True)
    await home.settled()
    keeper = Keeping(home)
    await home.person("anna", "pro")
    assert (await home.start_server("anna")).status == 201
    await keeper.one_pass()
    home.clock.advance(minutes=10)
    assert (await home.api("DELETE", "/users/anna/server")).status == 204
    anna = await home.browser("anna")
    assert "by the service “tester”" in plain((await anna.get("/home")).text)
    lease = await home.lease_of("anna")
    assert (lease["reason"], lease["stopped_by"]) == ("admin", "service tester")
    await keeper.one_pass()
    (found,) = await home.context.ledger.aread(findings.list_findings, home.settings.hub_id)
    assert found["kind"] == "service_stop"
    assert "the service “tester” stopped 1 notebook" in found["why"]
    assert "anna" in found["why"]
    # A day later it is history.
    await keeper.one_pass(hours=25)
    assert await home.context.ledger.aread(findings.list_findings, home.settings.hub_id) == []
    await keeper.close()


@pytest.mark.parametrize(
    ("minutes", "body"),
    [(10, {"why": "The rack is moved."}), (61, None)],
    ids=["says why", "idle for longer than its interval"],
)
async def test_a_stop_by_a_service_that_has_a_reason_is_no_finding(hub, minutes, body):
    home = await hub(keeper=True)
    await home.settled()
    keeper = Keeping(home)
    await home.person("anna", "flat")
    assert (await home.start_server("anna", "free-cpu")).status == 201
    await keeper.one_pass()
    home.clock.advance(minutes=minutes)
    assert (await home.api("DELETE", "/users/anna/server", body)).status == 204
    await keeper.one_pass()
    assert await home.context.ledger.aread(findings.list_findings, home.settings.hub_id) == []
    await keeper.close()
