"""What the hub's proxy is told before it starts."""

import bcrypt
import pytest
from jupyterhub.proxy import ConfigurableHTTPProxy
from jupyterhub_traefik_proxy.fileprovider import TraefikFileProviderProxy

from gradienthub.hub import proxy


def rounds(traefik):
    return int(traefik.traefik_api_hashed_password.split("$")[2])


def test_a_random_password_is_hashed_with_the_fewest_rounds_and_still_fits():
    traefik = TraefikFileProviderProxy()
    assert proxy.hasten(traefik)
    assert rounds(traefik) == 4
    password = traefik.traefik_api_password
    assert len(password) >= 32
    assert bcrypt.checkpw(password.encode(), traefik.traefik_api_hashed_password.encode())


@pytest.mark.parametrize(
    "traits",
    [
        {"traefik_api_password": "chosen by a person"},
        {"traefik_api_hashed_password": "$2b$12$given"},
        {"should_start": False},
    ],
)
def test_what_an_admin_has_set_stays(traits):
    traefik = TraefikFileProviderProxy(**traits)
    assert not proxy.hasten(traefik)
    if "traefik_api_password" in traits:
        assert rounds(traefik) == 12


def test_another_proxy_is_left_alone():
    assert not proxy.hasten(ConfigurableHTTPProxy())
