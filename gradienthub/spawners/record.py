"""A server's record: what only the hub's own database knows of a running server.

A hub that loses that database finds the notebook by its label, but not its address, its state and
the token that the server presents. With the record its row is made again as it was. Nothing in it
is a secret: the hub keeps hashes of tokens, and so does this.
"""

from jupyterhub import orm
from jupyterhub.spawner import Spawner

from ..ledger.servers import ClientRecord, ServerRecord

#: What the hub calls the token that it gives a server at its start.
OF_A_SERVER = "Server at"


def record_of(spawner: Spawner) -> ServerRecord | None:
    """Return what makes this server's row again; None where its token is not known any more.

    Reads the hub's database: call it in the hub's loop.
    """
    row, token = spawner.orm_spawner, None
    if spawner.api_token:
        token = orm.APIToken.find(spawner.user.db, spawner.api_token)
    # The notebook's own, and not one that was made after a restart to ask it.
    if row.server is None or token is None or not (token.note or "").startswith(OF_A_SERVER):
        return None
    state = {key: value for key, value in (spawner.get_state() or {}).items() if "token" not in key}
    return {
        "user": spawner.user.name,
        "server": row.name,
        "display_name": row.display_name or "",
        "state": state,
        "address": {
            "proto": row.server.proto,
            "ip": row.server.ip,
            "port": row.server.port,
            "base_url": row.server.base_url,
            "cookie_name": row.server.cookie_name,
        },
        "token": {
            "prefix": token.prefix,
            "hashed": token.hashed,
            "scopes": list(token.scopes or ()),
        },
        "client": _client_of(row),
    }


def _client_of(row: orm.Spawner) -> ClientRecord | None:
    client = row.oauth_client
    if client is None:
        return None
    return {
        "identifier": client.identifier,
        "secret": client.secret,
        "redirect_uri": client.redirect_uri,
        "description": client.description,
        "allowed_scopes": list(client.allowed_scopes or ()),
    }
