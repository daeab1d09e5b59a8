"""Adoption: a running notebook that the hub's own database does not know is given back."""

from datetime import UTC

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from jupyterhub.user import User
from jupyterhub.utils import utcnow

from ..ledger import By, Transaction, audit, servers
from ..ledger.servers import LeaseWithoutServer
from ..rules.action import Action
from ..spawners.context import HubContext

#: Begins the note of a token that was made again; with its lease behind it.
NOTE = "Given back: lease "


async def give_back(app: JupyterHub, context: HubContext, lease_id: str) -> bool:
    """Make again the row of this lease's server if its owner is there. Return whether all is done.

    The notebook keeps running all the while. Its address, its state, its token and its OAuth
    client are those of before, so that nothing in it has to know. The keeper cannot look at what
    the hub does not serve, so that its session limit and its end time are kept here.
    """
    kept = await context.ledger.aread(servers.find_lease_without_server, lease_id)
    if kept is None:
        return True
    if reason := kept.due(context.clock()):
        await context.stop_asked(lease_id, reason, "hub")
        context.wake_settle()
        return True
    user = _find_owner(app, kept)
    if user is None or kept.body is None:
        return False
    name = kept.body["server"]
    # From here to the commit without an await: nobody else starts or stops this server meanwhile.
    title = kept.body["display_name"] or None
    spawner = user.get_or_create_spawner(name, title, replace_failed=True)
    if spawner.active or spawner.pending:
        return False
    _make_rows(user, spawner.orm_spawner, kept)
    user.spawners.pop(name, None)
    spawner = user.spawners[name]
    # The keeper asks the notebook with it; the token of before is known to the notebook alone.
    spawner.api_token = user.new_api_token(
        note=f"{NOTE}{lease_id}", scopes=kept.body["token"]["scopes"]
    )
    spawner.orm_spawner.state = spawner.get_state()
    app.db.commit()
    await app.proxy.add_user(user, name)
    spawner.add_poll_callback(_stop_dead, app, user, name)
    spawner.start_polling()
    app.log.warning("Lease %s: given back to %s, who runs it", lease_id, user.name)
    await context.ledger.awrite(_write_audit, context, kept, user.name)
    return True


def _find_owner(app: JupyterHub, kept: LeaseWithoutServer) -> User | None:
    """Return the hub user to whom it can be given back: the one whose name is in its address."""
    for owner in kept.users:
        if kept.body is not None and owner.name == kept.body["user"]:
            user = app.users.get(owner.id)
            if user is not None and user.name == owner.name:
                return user
    return None


def _make_rows(user: User, row: orm.Spawner, kept: LeaseWithoutServer) -> None:
    assert kept.body is not None
    assert kept.lease.answered_at is not None
    body, lease, db = kept.body, kept.lease.id, user.db
    row.display_name = body["display_name"] or row.display_name
    row.state = body["state"]
    row.started = kept.lease.answered_at.astimezone(UTC).replace(tzinfo=None)
    row.last_activity = utcnow()
    row.server = orm.Server(**body["address"])
    if saved := body["client"]:
        client = db.query(orm.OAuthClient).filter_by(identifier=saved["identifier"]).one_or_none()
        if client is None:
            client = orm.OAuthClient(identifier=saved["identifier"])
            db.add(client)
        client.secret, client.redirect_uri = saved["secret"], saved["redirect_uri"]
        client.description = saved["description"]
        client.allowed_scopes = list(saved["allowed_scopes"])
        row.oauth_client = client
    token = body["token"]
    if db.query(orm.APIToken).filter_by(hashed=token["hashed"]).first() is None:
        db.add(
            orm.APIToken(
                prefix=token["prefix"],
                hashed=token["hashed"],
                user=user.orm_user,
                scopes=list(token["scopes"]),
                note=f"{NOTE}{lease}",
                client_id="jupyterhub",
                created=utcnow(),
            )
        )
    db.commit()


async def _stop_dead(app: JupyterHub, user: User, name: str) -> None:
    """Stop a server that a poll shows dead, as the hub does."""
    app.log.warning("The server %s of %s stopped", name or "(default)", user.name)
    await app.proxy.delete_user(user, name)
    await user.stop(name)


def _write_audit(
    tx: Transaction, context: HubContext, kept: LeaseWithoutServer, user_name: str
) -> None:
    audit.record(
        tx,
        By(context.settings.hub_id, "hub", context.clock()),
        Action.SERVER_GIVEN_BACK,
        detail={
            "lease": kept.lease.id,
            "user": user_name,
            "server": kept.lease.server_name,
            "why": "the hub's own database did not know this running notebook",
        },
    )


def revoke_tokens(app: JupyterHub, running: frozenset[str]) -> None:
    """Revoke the tokens that were made again for leases that are over."""
    over = [
        token
        for token in app.db.query(orm.APIToken).filter(orm.APIToken.note.startswith(NOTE))
        if token.note.removeprefix(NOTE) not in running
    ]
    for token in over:
        app.db.delete(token)
    if over:
        app.db.commit()
