"""`gradienthub demo` on a machine where Docker was installed a minute ago."""

import json
import sys

import pytest
from conftest import docker_missing, run_demo
from first_time_engine import FirstTimeEngine, missing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.docker,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(missing()), reason=missing() or "it is all there"),
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    if why := docker_missing():
        pytest.skip(why)
    own = FirstTimeEngine(tmp_path_factory.mktemp("engine"))
    try:
        own.wait()
        own.load_image()
        yield own
    finally:
        own.close()


def test_the_demo_uses_an_engine_that_names_no_gateway(engine, tmp_path):
    (bridge,) = json.loads(engine.ask("docker", "network", "inspect", "bridge"))
    # Engines that name it at once need no care; the rest of the test holds for both.
    named = [pool.get("Gateway") for pool in bridge["IPAM"]["Config"]]
    running = run_demo(tmp_path / "data", "--engine=auto", beside=engine.inside)
    try:
        assert "Notebooks run in Docker containers" in running.banner, named
    finally:
        assert running.interrupt() == 0


NETWORKS = {
    # An engine names no gateway of a network that was made with a subnet alone.
    "subnet": ["--subnet", "10.77.1.0/24"],
    "gateway": ["--subnet", "10.77.2.0/24", "--gateway", "10.77.2.200"],
    "range": ["--subnet", "10.77.3.0/24", "--ip-range", "10.77.3.128/25"],
    "internal": ["--internal", "--subnet", "10.77.4.0/24"],
    "both": ["--subnet", "10.77.5.0/24", "--ipv6", "--subnet", "fd77:5::/64"],
    "plain": [],
}
REACH = """
import docker, json, sys
from docker.utils import kwargs_from_env
from gradienthub.spawners.bridge import reachable_address
client = docker.DockerClient(version="auto", **kwargs_from_env())
networks = {name: client.networks.get(name).attrs for name in sys.argv[1:]}
print(json.dumps({name: reachable_address(seen) for name, seen in networks.items()}))
"""


def test_a_container_of_each_kind_of_network_reaches_the_address_that_is_found(engine):
    for name, options in NETWORKS.items():
        engine.ask("docker", "network", "create", *options, name)
    names = [*NETWORKS, "bridge", "host", "none"]
    found = json.loads(engine.ask(sys.executable, "-c", REACH, *names))
    assert found.pop("none") is None
    for name, address in found.items():
        assert address, f"no address on {name}"
        engine.ask(sys.executable, "-c", CONNECT, name, address)
    assert found["host"] == "127.0.0.1"
    assert found["gateway"] == "10.77.2.200"


CONNECT = """
import socket, sys
import docker
from docker.utils import kwargs_from_env
from gradienthub.cli.demo.engines import IMAGE
network, address = sys.argv[1:]
client = docker.DockerClient(version="auto", **kwargs_from_env())
with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as hub:
    hub.bind((address, 0))
    hub.listen()
    program = f"import socket; socket.create_connection({(address, hub.getsockname()[1])!r}, 10)"
    client.containers.run(
        IMAGE, ["-c", program], entrypoint="python3", network=network, remove=True
    )
"""
