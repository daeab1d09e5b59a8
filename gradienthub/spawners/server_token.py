"""A server's own token: kept sealed or not at all, made anew after a restart, revoked at the stop.

The hub saves a spawner's state as plain text in a file. With the hub's keys (JUPYTERHUB_CRYPT_KEY)
the token is kept there encrypted. Without, a hub that restarts makes another token for each server
that runs: it opens that server only, and the server takes it, because it asks the hub what a token
may do.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from jupyterhub import orm
from jupyterhub.crypto import CryptKeeper
from jupyterhub.spawner import Spawner
from jupyterhub.user import User
from jupyterhub.utils import url_escape_path, url_path_join

if TYPE_CHECKING:
    from jupyterhub.app import JupyterHub

log = logging.getLogger("gradienthub")

#: Where in a spawner's state the sealed token stands, and where older versions kept it plain.
SEALED, PLAIN = "sealed_token", "api_token"
#: What a token that is made after a restart is called on its owner's page of tokens.
NOTE = "GradientHub: to ask {} about its use"


def seal(token: str) -> str | None:
    """Return the token encrypted with the hub's keys; None where there is no key."""
    fernet = CryptKeeper.instance().fernet
    if not token or fernet is None:
        return None
    return str(fernet.encrypt(token.encode()).decode())


def unseal(state: Mapping[str, object]) -> str:
    """Return the token in a spawner's state, or "" where none can be read."""
    if plain := state.get(PLAIN):
        return str(plain)
    fernet, sealed = CryptKeeper.instance().fernet, state.get(SEALED)
    if not sealed or fernet is None:
        return ""
    try:
        return str(fernet.decrypt(str(sealed).encode()).decode())
    # A key that was changed, or a state that somebody edited: another token is made.
    except Exception:
        return ""


def drop_plain(app: "JupyterHub") -> int:
    """Take the plain tokens of older versions out of all saved states; how many there were."""
    dropped = 0
    for row in app.db.query(orm.Spawner):
        if PLAIN not in (row.state or {}):
            continue
        # Another dict, or SQLAlchemy would see no change.
        state = dict(row.state)
        if sealed := seal(state.pop(PLAIN) or ""):
            state[SEALED] = sealed
        row.state = state
        dropped += 1
    if dropped:
        app.db.commit()
    return dropped


async def renew_missing(app: "JupyterHub") -> int:
    """Make a token for each running server of ours that has none; how many. Lets others run.

    After a restart of a hub without keys. A server whose owner may not open it gets none.
    """
    made = 0
    for user in list(app.users.values()):
        for spawner in list(user.spawners.values()):
            ours = getattr(spawner, "lease_id", "")
            if ours and not spawner.api_token and spawner.active and not spawner.pending:
                made += _renew(user, spawner)
                # Each is a transaction of the hub's.
                await asyncio.sleep(0)
    return made


def _renew(user: User, spawner: Spawner) -> bool:
    note = NOTE.format(spawner.name or "default")
    # Of a hub that was killed since it made it.
    _delete(user, note)
    try:
        spawner.api_token = user.new_api_token(
            note=note, scopes=[f"access:servers!server={user.name}/{spawner.name}"]
        )
    except ValueError as fault:
        log.warning("%s: no token to ask it about its use: %s", spawner._log_name, fault)
        return False
    return True


def revoke(spawner: Spawner) -> None:
    """Revoke what opens a server that is stopped: its own token and those made after a restart.

    The hub itself revokes only the one that it knows, and after a restart it may know another.
    """
    user = spawner.user
    if user is None:
        return
    base_url = url_path_join(user.base_url, url_escape_path(spawner.name), "/")
    _delete(user, f"Server at {base_url}", NOTE.format(spawner.name or "default"))


def _delete(user: User, *notes: str) -> None:
    tokens = user.db.query(orm.APIToken).filter(
        orm.APIToken.user_id == user.orm_user.id, orm.APIToken.note.in_(notes)
    )
    for token in tokens.all():
        user.db.delete(token)
    user.db.commit()
