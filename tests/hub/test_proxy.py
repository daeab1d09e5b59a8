"""What the hub's proxy is told before it starts."""

import bcrypt
from jupyterhub.proxy import ConfigurableHTTPProxy
from jupyterhub_traefik_proxy.fileprovider import TraefikFileProviderProxy

from gradienthub.hub import proxy


def rounds(traefik):
    return int(traefik.traefik_api_hashed_password.split("$")[2])


def test_a_random_password_is_hashed_with_the_fewest_rounds_and_still_fits():
    traefik = TraefikFileProviderProxy()
    assert proxy.prepare(traefik)
    assert rounds(traefik) == 4
    password = traefik.traefik_api_password
    assert len(password) >= 32
    assert bcrypt.checkpw(password.encode(), traefik.traefik_api_hashed_password.encode())


def test_a_password_that_an_admin_has_set_stays_as_it_is_hashed():
    traefik = TraefikFileProviderProxy(traefik_api_password="chosen by a person")
    proxy.prepare(traefik)
    assert rounds(traefik) == 12
    given = TraefikFileProviderProxy(traefik_api_hashed_password="$2b$12$given")
    proxy.prepare(given)
    assert given.traefik_api_hashed_password == "$2b$12$given"


def test_another_proxy_or_one_that_somebody_else_starts_is_left_alone():
    elsewhere = TraefikFileProviderProxy()
    elsewhere.should_start = False
    assert not proxy.prepare(elsewhere)
    assert not proxy.prepare(ConfigurableHTTPProxy())


async def test_the_password_of_a_killed_hub_does_not_shut_the_next_one_out(tmp_path):
    files = {
        "dynamic_config_file": str(tmp_path / "rules.toml"),
        "static_config_file": str(tmp_path / "traefik.toml"),
    }
    killed = TraefikFileProviderProxy(**files)
    proxy.prepare(killed)
    await killed._setup_traefik_dynamic_config()
    following = TraefikFileProviderProxy(**files)
    proxy.prepare(following)
    await following._setup_traefik_dynamic_config()
    rules = (tmp_path / "rules.toml").read_text()
    assert following.traefik_api_hashed_password in rules
    assert killed.traefik_api_hashed_password not in rules
