"""A hub that lost its own database: what runs goes on, and its owner gets it back."""

import sqlite3
from datetime import timedelta

import pytest
import steps
from jupyterhub import orm
from jupyterhub.auth import Authenticator

from gradienthub.clock import system_clock
from gradienthub.hub import settle
from gradienthub.ledger import By, account_bindings, audit, findings, leases
from gradienthub.ledger.schema import leases as leases_table
from gradienthub.ledger.schema import server_records
from gradienthub.rules.idleness import Reason


class ByDirectory(Authenticator):
    """Everybody's subject is what the test's directory says; without one there is none."""

    directory: dict = {}

    async def authenticate(self, handler, data):
        subject = self.directory.get(data["username"])
        return {"name": data["username"], "auth_state": subject and {"sub": subject}}


@pytest.fixture
def clock():
    """The hub stamps its users with the real time."""
    return system_clock


@pytest.fixture
def make_home(hub):
    async def make(**directory):
        def changes(c):
            c.JupyterHub.authenticator_class = type(
                "ByDirectory", (ByDirectory,), {"directory": directory}
            )

        home = await hub(changes, reconcile_interval=3600)
        await home.until(lambda: home.context.settled)
        return home

    return make


async def running(home, name="anna", server=""):
    await home.browser(name)
    assert (await home.start_server(name, server=server)).status == 201
    await home.until(lambda: home.app.users[name].spawners[server].ready)
    lease = await home.lease_of(name, server)
    await home.until(lambda: home.context.ledger.aread(_recorded, lease["id"]), "the record")
    return lease["id"]


def _recorded(tx, lease_id):
    return tx.execute(server_records.select().where(server_records.c.lease_id == lease_id)).first()


async def lose_the_database(home):
    await home._session.close()
    home._session = None
    await home.shut_down()
    (home.folder / "jupyterhub.sqlite").unlink()
    await home.start()
    await home.until(lambda: home.context.settled)


async def open_ids(home):
    return [lease["id"] for lease in await home.open_leases()]


async def told(home):
    found = await home.context.ledger.aread(findings.list_findings, home.settings.hub_id)
    return {row["kind"]: row for row in found}


async def test_a_new_user_table_ends_no_notebook_and_its_owner_gets_it_back(make_home):
    home = await make_home(anna="s-1")
    lease_id = await running(home)
    (container,) = home.engine.of_user("anna")
    await lose_the_database(home)
    assert await settle.settle(home.app, home.context)
    assert await open_ids(home) == [lease_id], "nobody asked for its end"
    assert container.alive
    standing = (await told(home))["give_back"]
    assert standing["lease_id"] == lease_id
    assert "owner logs in" in standing["repair"] and "gradienthub stop" in standing["repair"]

    await home.browser("anna")
    await home.until(lambda: "" in home.app.users["anna"].spawners, "its server")
    await home.until(lambda: home.app.users["anna"].spawners[""].ready, "its server")
    spawner = home.app.users["anna"].spawners[""]
    assert (spawner.lease_id, await spawner.poll()) == (lease_id, None)
    routes = await home.app.proxy.get_all_routes()
    assert any("/user/anna/" in route for route in routes)
    assert await settle.settle(home.app, home.context) == []
    assert await told(home) == {}
    rows = await home.context.ledger.aread(audit.list_rows, hub_id=home.settings.hub_id)
    assert "server_given_back" in {row["action"] for row in rows}
    await home.is_consistent()


async def test_the_token_in_a_notebook_that_was_given_back_is_good_until_it_stops(make_home):
    home = await make_home(anna="s-1")
    await running(home)
    (container,) = home.engine.of_user("anna")
    token = container.env["JUPYTERHUB_API_TOKEN"]
    await lose_the_database(home)
    assert (await home.api("GET", "/user", token=token)).status == 403
    await home.browser("anna")
    await home.until(lambda: "" in home.app.users["anna"].spawners, "its server")
    await home.until(lambda: home.app.users["anna"].spawners[""].ready, "its server")
    said = await home.api("GET", "/user", token=token)
    assert (said.status, said.body["name"]) == (200, "anna")
    client = home.app.db.query(orm.OAuthClient).filter_by(identifier="jupyterhub-user-anna").one()
    assert client.secret and client.redirect_uri.endswith("/user/anna/oauth_callback")
    assert (await home.api("DELETE", "/users/anna/server")).status == 204
    await settle.settle(home.app, home.context)
    assert (await home.api("GET", "/user", token=token)).status == 403
    await home.nothing_is_taken()


async def test_a_hub_restored_from_a_backup_finds_notebooks_that_are_younger(make_home):
    home = await make_home(anna="s-1")
    await home.browser("anna")
    backup = sqlite3.connect(home.folder / "backup.sqlite")
    with sqlite3.connect(home.folder / "jupyterhub.sqlite") as live:
        live.backup(backup)
    live.close()
    backup.close()
    lease_id = await running(home, server="younger")
    await home._session.close()
    home._session = None
    await home.shut_down()
    (home.folder / "backup.sqlite").rename(home.folder / "jupyterhub.sqlite")
    await home.start()
    await home.until(lambda: home.context.settled)
    await home.until(lambda: "younger" in home.app.users["anna"].spawners, "its server")
    await home.until(lambda: home.app.users["anna"].spawners["younger"].ready, "its server")
    assert await open_ids(home) == [lease_id]
    await home.is_consistent()


async def test_somebody_else_of_the_same_name_does_not_get_it(make_home):
    home = await make_home(anna="s-1")
    lease_id = await running(home)
    await lose_the_database(home)
    home.app.authenticator.directory["anna"] = "s-2"
    await home.browser("anna")
    await settle.settle(home.app, home.context)
    assert not home.app.users["anna"].spawners[""].active
    assert lease_id in await open_ids(home), "it is kept for its owner"
    assert (await home.start_server("anna", "free-cpu")).status == 201, "a notebook of their own"


async def test_a_stop_that_is_written_in_the_ledger_ends_what_nobody_logs_in_for(make_home):
    home = await make_home(anna="s-1")
    lease_id = await running(home)
    await lose_the_database(home)
    await home.context.ledger.awrite(
        leases.note_stop, lease_id, Reason.ADMIN, By(home.settings.hub_id, "cli ada", home.clock())
    )
    await settle.settle(home.app, home.context)
    await home.nothing_is_taken()


async def test_the_session_limit_ends_what_the_keeper_cannot_see(make_home):
    home = await make_home(anna="s-1")
    lease_id = await running(home)
    await lose_the_database(home)
    past = home.clock() - timedelta(minutes=1)
    await home.context.ledger.awrite(
        lambda tx: tx.execute(
            leases_table.update().where(leases_table.c.id == lease_id).values(session_ends_at=past)
        )
    )
    for _ in range(2):
        await settle.settle(home.app, home.context)
    await home.nothing_is_taken()
    row = await home.context.ledger.aread(steps.columns_of, lease_id)
    assert row["reason"] == "session_limit"


async def test_without_a_subject_it_is_kept_until_an_administrator_binds_the_name(make_home):
    home = await make_home()
    lease_id = await running(home)
    await lose_the_database(home)
    anna = await home.browser("anna")
    await settle.settle(home.app, home.context)
    assert await open_ids(home) == [lease_id]
    standing = await told(home)
    assert standing["accounts_without_user"]["why"].endswith("1 account has no user: anna")
    assert "gradienthub account bind anna" in standing["accounts_without_user"]["repair"]

    by = By(home.settings.hub_id, "cli ada", home.clock())
    await home.context.ledger.awrite(account_bindings.bind_all, by)
    page = (await anna.get("/home")).text
    # The hub learns of it in its next pass; until then nobody is told that it is stopped.
    assert "Not connected" in page and "connects it again" in page
    await settle.settle(home.app, home.context)
    page = (await anna.get("/home")).text
    assert "Running" in page and "Not connected" not in page
    assert await open_ids(home) == [lease_id]


async def test_a_notebook_without_a_record_is_replaced_by_its_owners_start(make_home):
    home = await make_home(anna="s-1")
    lease_id = await running(home)
    await home.context.ledger.awrite(lambda tx: tx.execute(server_records.delete()))
    await lose_the_database(home)
    await home.browser("anna")
    await settle.settle(home.app, home.context)
    assert await open_ids(home) == [lease_id]
    assert (await home.start_server("anna")).status == 201
    await home.until(lambda: home.app.users["anna"].spawners[""].ready)
    (newer,) = await open_ids(home)
    assert newer != lease_id
    await home.is_consistent()


async def test_a_notebook_that_died_meanwhile_is_ended_as_ever(make_home):
    home = await make_home(anna="s-1")
    await running(home)
    (container,) = home.engine.of_user("anna")
    await home.engine.crash(container)
    await lose_the_database(home)
    await settle.settle(home.app, home.context)
    await home.nothing_is_taken()
