"""The notebooks' own network is one, however many make it at the same moment."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import docker
import pytest
from docker.errors import APIError

from gradienthub.spawners import networks
from gradienthub.spawners.networks import NETWORK_LABEL, make_network

pytestmark = pytest.mark.docker


@pytest.fixture
def client():
    try:
        made = docker.APIClient(version="auto")
        made.ping()
    except docker.errors.DockerException as away:
        pytest.skip(f"no engine: {away}")
    yield made
    made.close()


@pytest.fixture
def name(client, monkeypatch):
    named = f"gradienthub-test-{secrets.token_hex(4)}"
    monkeypatch.setattr(networks, "NETWORK", named)
    yield named
    for row in client.networks(names=[named]):
        with suppress(APIError):
            client.remove_network(row["Id"])


def ids(client, name):
    return {row["Id"] for row in client.networks(names=[name]) if row["Name"] == name}


def test_a_network_that_two_hubs_made_at_once_becomes_one_again(client, name):
    """Docker takes two networks of one name, and then no container can join either of them."""
    labels = {NETWORK_LABEL: "notebooks"}
    oldest = client.create_network(name, labels=labels)["Id"]
    for _ in range(2):
        client.create_network(name, labels=labels)
    assert len(ids(client, name)) == 3
    assert make_network(client)["Id"] == oldest
    assert ids(client, name) == {oldest}


def test_somebody_elses_network_of_that_name_stays(client, name):
    client.create_network(name)
    theirs = client.create_network(name)["Id"]
    make_network(client)
    assert theirs in ids(client, name)


def test_starts_at_the_same_moment_make_one_network(client, name):
    def make(_):
        with docker.APIClient(version="auto") as own:
            return make_network(own)["Id"]

    with ThreadPoolExecutor(4) as together:
        made = set(together.map(make, range(4)))
    assert made == ids(client, name)
    assert len(made) == 1
