"""Whether what answers at a started notebook's address is this notebook's own server.

An open port is no proof: custom images bring web servers of their own, and an address may have
become another container's. A single-user server of JupyterHub shows itself in two steps. It turns
away who shows no token, with JupyterHub's mark on its answer; and it takes its own token. Only what
has done the first is shown the token.
"""

from collections.abc import Mapping
from dataclasses import dataclass

#: The question, below the server's own address. It never counts as use of the notebook.
QUESTION = "api/status"
#: On every answer of a single-user server of JupyterHub.
HUB_MARK = "X-JupyterHub-Version"
#: Where single-user servers that do not simply refuse send a visitor without a token.
LOGINS = ("/api/oauth2/authorize", "/hub/login")
#: Statuses of a gateway before a server that is still on its way.
ON_ITS_WAY = (502, 503, 504)


@dataclass(frozen=True)
class Reply:
    """An HTTP answer. `body` is its JSON, None where it is none."""

    status: int
    hub_version: str = ""
    server: str = ""
    location: str = ""
    body: object = None


@dataclass(frozen=True)
class Ready:
    """It is this notebook's own server."""


@dataclass(frozen=True)
class NotYet:
    """Nothing that could be it answers yet; `what` does, in words, or nothing ("")."""

    what: str = ""


@dataclass(frozen=True)
class Plausible:
    """It behaves as a single-user server of JupyterHub: it may be shown its own token."""


@dataclass(frozen=True)
class Other:
    """Something else answers, in words."""

    what: str


def judge_stranger(reply: Reply | None) -> Plausible | NotYet | Other:
    """Judge the answer to the question without a token. None: there was no answer."""
    if reply is None:
        return NotYet()
    if not reply.hub_version:
        what = _other(reply)
        return NotYet(what) if reply.status in ON_ITS_WAY else Other(what)
    if reply.status in (401, 403) or _to_login(reply):
        return Plausible()
    if reply.status >= 500:
        return NotYet(f"its notebook server, with HTTP {reply.status}")
    if reply.status == 200:
        return Other("a notebook server that lets everybody in (HTTP 200 without a token)")
    return Other(f"another notebook's server (HTTP {reply.status} at this notebook's address)")


def judge_own(reply: Reply | None) -> Ready | NotYet | Other:
    """Judge the answer to the question with the server's own token."""
    if reply is None:
        return NotYet()
    if not reply.hub_version:
        return Other(_other(reply))
    if reply.status == 200 and isinstance(reply.body, Mapping) and "started" in reply.body:
        return Ready()
    if reply.status >= 500:
        return NotYet(
            f"its notebook server with HTTP {reply.status}: it cannot ask the hub whose token that"
            " is"
        )
    if reply.status in (401, 403):
        return Other(f"a notebook server that refuses this notebook's token (HTTP {reply.status})")
    return Other(f"a notebook server without {QUESTION} (HTTP {reply.status})")


def _to_login(reply: Reply) -> bool:
    return 300 <= reply.status < 400 and any(login in reply.location for login in LOGINS)


def _other(reply: Reply) -> str:
    if reply.server.startswith("TornadoServer") and reply.status in (401, 403, 404):
        what = "a Jupyter server that was started without the hub"
    else:
        what = "a web server that is not JupyterHub's"
    # The header is somebody else's text: printable and short, or left out.
    name = "".join(c for c in reply.server[:40] if c.isprintable()).strip()
    return f"{what} ({f'Server: {name}, ' if name else ''}HTTP {reply.status})"
