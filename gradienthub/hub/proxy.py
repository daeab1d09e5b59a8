"""The hub's proxy: traefik hears of a route in a tenth of a second instead of a second."""

from typing import Any

#: bcrypt's least. Many rounds slow down who guesses a password that a person has chosen; a token
#: of 128 random bits is not guessed, however fast it is compared.
ROUNDS = 4


def hasten(proxy: Any) -> bool:
    """Let a traefik that the hub starts compare its API's password fast; whether it was done.

    jupyterhub-traefik-proxy asks traefik's API three times whether a route is there, and traefik
    hashes the password for each question, which with bcrypt's usual 12 rounds takes 0.3 s of one
    core: nine tenths of what a route takes. Only a password that nobody has set is touched, because
    only that one is known to be random. To be called before the proxy starts.
    """
    if not type(proxy).__module__.startswith("jupyterhub_traefik_proxy"):
        return False
    set_by_admin = any(
        proxy.trait_has_value(name)
        for name in ("traefik_api_password", "traefik_api_hashed_password")
    )
    if set_by_admin or not proxy.should_start:
        return False
    import bcrypt  # noqa: PLC0415 - comes with jupyterhub-traefik-proxy, and without it is not needed

    password = proxy.traefik_api_password.encode()
    proxy.traefik_api_hashed_password = bcrypt.hashpw(password, bcrypt.gensalt(ROUNDS)).decode()
    return True
