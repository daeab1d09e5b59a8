"""The keeper is where the proxy finds it: beside a local one, else where the hub is found."""

import socket

import pytest
from traitlets.config import Config

from gradienthub.configuration import configure
from gradienthub.hub.frame import TEMPLATES
from gradienthub.hub.wiring import wiring_faults
from gradienthub.places import KeeperAddress, keeper_place
from gradienthub.service.app import environment


def config(hub=None, **sections):
    c = Config()
    c.JupyterHub.update(hub or {})
    for name, values in sections.items():
        c[name].update(values)
    return c


ELSEWHERE = {"should_start": False, "api_url": "http://proxy:8001"}
HERE = {"should_start": False, "api_url": "http://127.0.0.1:8001"}


@pytest.mark.parametrize(
    ("c", "keeper_ip", "place"),
    [
        (config(), "", KeeperAddress("127.0.0.1", "127.0.0.1")),
        (config({"hub_ip": "0.0.0.0"}), "", KeeperAddress("127.0.0.1", "127.0.0.1")),
        (config(ConfigurableHTTPProxy=HERE), "", KeeperAddress("127.0.0.1", "127.0.0.1")),
        (
            config({"hub_connect_ip": "hub"}, ConfigurableHTTPProxy=ELSEWHERE),
            "",
            KeeperAddress("hub", ""),
        ),
        (
            config({"hub_ip": "10.0.0.2"}, ConfigurableHTTPProxy=ELSEWHERE),
            "",
            KeeperAddress("10.0.0.2", ""),
        ),
        (
            config(
                {"hub_ip": "0.0.0.0", "hub_connect_url": "http://jhub:8081"},
                ConfigurableHTTPProxy=ELSEWHERE,
            ),
            "",
            KeeperAddress("jhub", ""),
        ),
        (
            config({"hub_bind_url": "http://10.0.0.3:8081"}, ConfigurableHTTPProxy=ELSEWHERE),
            "",
            KeeperAddress("10.0.0.3", ""),
        ),
        (
            config({"hub_ip": ""}, ConfigurableHTTPProxy=ELSEWHERE),
            "",
            KeeperAddress(socket.gethostname(), ""),
        ),
        (
            config(
                TraefikConsulProxy={"should_start": False, "traefik_api_url": "http://traefik:8099"}
            ),
            "",
            KeeperAddress(socket.gethostname(), ""),
        ),
        (config(), "hub.lan", KeeperAddress("hub.lan", "")),
        (
            config({"hub_connect_ip": "hub"}, ConfigurableHTTPProxy=ELSEWHERE),
            "127.0.0.1",
            KeeperAddress("127.0.0.1", "127.0.0.1"),
        ),
    ],
)
def test_the_keeper_is_where_its_proxy_finds_it(c, keeper_ip, place):
    assert keeper_place(c, keeper_ip) == place


def test_an_address_with_colons_is_written_as_one():
    assert KeeperAddress("fd00::2", "").url(9000) == "http://[fd00::2]:9000"


def test_a_keeper_of_a_proxy_elsewhere_listens_to_others_and_is_announced_by_name(tmp_path):
    c = config({"hub_connect_ip": "hub"}, ConfigurableHTTPProxy=ELSEWHERE)
    c.GradientHub.data_dir = str(tmp_path)
    c.GradientHub.keeper_port = 9000
    configure(c)
    (service,) = c.JupyterHub.services
    assert service["url"] == "http://hub:9000"
    given = environment(
        {
            "JUPYTERHUB_API_TOKEN": "t",
            "JUPYTERHUB_API_URL": "http://127.0.0.1:8081/hub/api",
            "JUPYTERHUB_SERVICE_PREFIX": "/services/gradient/",
            "JUPYTERHUB_SERVICE_URL": service["url"],
            **service["environment"],
        }
    )
    assert (given.host, given.port) == ("", 9000)


@pytest.mark.parametrize(
    ("trait", "words"),
    [
        ({"internal_ssl": True}, "internal_ssl"),
        ({"hub_bind_url": "http+unix://%2Fsrv%2Fhub.sock"}, "socket file"),
        ({"hub_bind_url": "unix+http://%2Fsrv%2Fhub.sock"}, "socket file"),
    ],
)
def test_what_the_keeper_cannot_speak_to_stops_the_start_with_its_cure(tmp_path, trait, words):
    c = config(trait, GradientHub={"data_dir": str(tmp_path)})
    configure(c)
    hub = c.JupyterHub
    app = type(
        "App",
        (),
        {
            "spawner_class": object,
            "allow_named_servers": True,
            **trait,
            "template_paths": [str(TEMPLATES)],
            "services": hub.services,
            "load_roles": hub.load_roles,
        },
    )
    found = [fault for fault in wiring_faults(app) if words in fault]
    assert len(found) == 1
    assert "; " in found[0]
