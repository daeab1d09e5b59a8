"""`gradienthub demo`: a hub one can log in to, which leaves nothing running."""

import time
from contextlib import closing, suppress

import docker
import psutil
import pytest
from conftest import run_demo
from docker.errors import DockerException

from gradienthub.spawners.bridge import default_bridge_address

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

START = {"user_options": {"instance_type": "free-cpu", "shutdown_after": "1h"}}


def wait_ready(demo, session, name, server=""):
    for _ in range(600):
        servers = demo.api(session, "GET", f"/users/{name}").json()["servers"]
        if servers.get(server, {}).get("ready"):
            return servers[server]
        time.sleep(0.2)
    raise AssertionError((demo.data / "hub.log").read_text()[-3000:])


def test_it_names_five_people_an_administrator_and_its_folder(demo):
    for word in ("fay", "gus", "gina", "tom", "tara", "ada", str(demo.data), "for a demo"):
        assert word in demo.banner


def bridge_address():
    """Return the address at which containers reach the hub; None where there is no engine."""
    try:
        with closing(docker.from_env()) as client:
            return default_bridge_address(client.api)
    except (DockerException, OSError):
        return None


def test_it_listens_on_loopback_only(demo):
    addresses = set()
    for child in psutil.Process(demo.process.pid).children(recursive=True):
        # One that ends meanwhile listens nowhere.
        with suppress(psutil.NoSuchProcess):
            addresses |= {
                connection.laddr.ip
                for connection in child.net_connections(kind="tcp")
                if connection.status == psutil.CONN_LISTEN
            }
    assert addresses
    # The Docker bridge's address belongs to this computer too; no network sees it.
    assert addresses <= {"127.0.0.1", "::1", bridge_address()}


def test_a_person_starts_and_stops_a_notebook(demo):
    fay = demo.log_in("fay")
    answer = demo.api(fay, "POST", "/users/fay/server", json=START)
    assert answer.status_code in (201, 202), answer.text
    wait_ready(demo, fay, "fay")
    # The page logs in to the notebook with the hub; its API then takes the same cookies.
    assert fay.get(f"{demo.url}/user/fay/lab", timeout=20).status_code == 200
    assert fay.get(f"{demo.url}/user/fay/api/status", timeout=20).json()["kernels"] == 0
    assert demo.api(fay, "DELETE", "/users/fay/server").status_code in (202, 204)


def test_a_free_person_is_told_why_a_paid_machine_is_not_theirs(demo):
    fay = demo.log_in("fay")
    paid = {"user_options": {"instance_type": "v100", "shutdown_after": "1h"}}
    answer = demo.api(fay, "POST", "/users/fay/server", json=paid)
    assert (answer.status_code, answer.json()["code"]) == (403, "type_not_in_tier")
    assert "V100 is not in tier Free" in answer.json()["message"]


def test_the_administrator_sees_all_servers(demo):
    ada = demo.log_in("ada", demo.admin_password)
    answer = demo.api(ada, "GET", "/gradient/servers")
    assert answer.status_code == 200
    assert answer.json()["settled"] is True


def test_ctrl_c_leaves_nothing_running(demo):
    gus = demo.log_in("gus")
    demo.api(gus, "POST", "/users/gus/server", json=START)
    family = psutil.Process(demo.process.pid).children(recursive=True)
    assert demo.interrupt() == 0
    _gone, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []


@pytest.mark.local_engine
def test_a_hub_that_is_killed_leaves_nothing_and_the_next_demo_starts(tmp_path):
    running = run_demo(tmp_path / "data", "--engine=local")
    fay = running.log_in("fay")
    running.api(fay, "POST", "/users/fay/server", json=START)
    process = psutil.Process(running.process.pid)
    family = process.children(recursive=True)
    (hub,) = process.children()
    hub.kill()
    said, _ = running.process.communicate(timeout=60)
    assert running.process.returncode == 1
    assert "The hub ended by itself. Its log is" in said
    _gone, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    again = run_demo(tmp_path / "data", "--engine=local")
    assert again.interrupt() == 0
