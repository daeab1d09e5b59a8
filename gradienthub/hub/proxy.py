"""A traefik that the hub starts: it hears of a route at once, and starts after a hub was killed."""

from jupyterhub.proxy import Proxy

#: bcrypt's least. Many rounds slow down who guesses a password that a person has chosen; a token
#: of 128 random bits is not guessed, however fast it is compared.
ROUNDS = 4
#: What jupyterhub-traefik-proxy calls the middleware that asks for its API's password.
ASKS_FOR_PASSWORD = "auth_api"


def prepare(proxy: Proxy) -> bool:
    """Prepare the proxy before it starts. Return whether it is one that can be prepared.

    Another proxy than traefik, and a traefik that somebody else starts, are left alone.
    """
    traefik = type(proxy).__module__.startswith("jupyterhub_traefik_proxy")
    if not traefik or not proxy.should_start:
        return False
    _forget_old_password(proxy)
    set_by_admin = any(
        proxy.trait_has_value(name)
        for name in ("traefik_api_password", "traefik_api_hashed_password")
    )
    if not set_by_admin:
        _compare_fast(proxy)
    return True


def _forget_old_password(proxy: Proxy) -> None:
    """Remove the password from the rules that a killed hub left, because theirs would win.

    A new hub with a new password is then never let in, and gives up.
    """
    http = proxy.dynamic_config.get("http", {})
    http.get("middlewares", {}).pop(ASKS_FOR_PASSWORD, None)


def _compare_fast(proxy: Proxy) -> None:
    """Let traefik compare a random password with bcrypt's fewest rounds.

    jupyterhub-traefik-proxy asks traefik's API three times whether a route is there, and traefik
    hashes the password for each question, which with bcrypt's usual 12 rounds takes 0.3 s of one
    core: nine tenths of what a route takes.
    """
    import bcrypt  # noqa: PLC0415 - comes with jupyterhub-traefik-proxy, and without it is not needed

    password = proxy.traefik_api_password.encode()
    proxy.traefik_api_hashed_password = bcrypt.hashpw(password, bcrypt.gensalt(ROUNDS)).decode()
