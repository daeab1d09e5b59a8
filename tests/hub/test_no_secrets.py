"""After a whole story, no token and no password is found where others could read it."""

import json
import logging
import os
from pathlib import Path

import pytest
from jupyterhub import orm
from sqlalchemy import select

from gradienthub.ledger import Ledger, LedgerAway
from gradienthub.ledger.schema import metadata
from gradienthub.testing import DiesAtStart


@pytest.fixture
def said(caplog, capfd):
    """All that was logged or printed, at any level."""
    caplog.set_level(logging.DEBUG)

    def read():
        return caplog.text + "".join(capfd.readouterr())

    return read


def rows_of(tx):
    return {
        name: [dict(row._mapping) for row in tx.execute(select(table))]
        for name, table in metadata.tables.items()
    }


async def test_no_secret_is_in_logs_states_ledger_pages_or_files_after_a_whole_story(hub, said):
    home = await hub(keeper=True)
    anna = await home.person("anna")
    secrets = {home.keeper_token, home.token, anna}
    bodies = []
    assert (await home.start_server("anna")).status == 201
    secrets.add(home.spawner("anna").api_token)
    bodies.append((await home.api("GET", "/gradient/servers")).body)
    bodies.append((await home.api("GET", "/users/anna?include_stopped_servers", token=anna)).body)
    bodies.append((await home.api("GET", "/gradient/servers", token=home.keeper_token)).body)
    # Only the keeper is told what opens a server.
    for server in bodies.pop()["servers"]:
        secrets.add(server["token"])
    await home.kill_and_start()
    await home.settled()
    secrets.add(home.spawner("anna").api_token)
    home.engine.faults.append(DiesAtStart())
    assert (await home.start_server("anna", server="other")).status >= 400
    home.engine.faults.clear()
    refused = await home.api("GET", "/gradient/servers", token="the-wrong-token")
    assert refused.status == 403
    assert (await home.api("DELETE", "/users/anna/server")).status == 204
    assert (await home.start_server("anna")).status == 201
    secrets.add(home.spawner("anna").api_token)
    ledger = await home.context.ledger.aread(rows_of)
    states = [row.state for row in home.app.db.query(orm.Spawner)]
    places = {
        "the log": said(),
        "the ledger": json.dumps(ledger, default=str),
        "states": json.dumps(states, default=str),
        "answers": json.dumps(bodies, default=str),
        "files": "".join(
            file.read_bytes().decode("latin-1")
            for file in Path(home.folder).rglob("*")
            if file.is_file()
        ),
    }
    secrets.discard("")
    secrets.discard(None)
    assert len(secrets) >= 5
    for place, text in places.items():
        assert [s for s in secrets if s in text] == [], place


def test_a_password_of_the_database_is_on_no_command_line_and_in_no_error(tmp_path):
    ledger = Ledger("postgresql+psycopg://hub:pa55w0rd-of-ours@127.0.0.1:1/gradienthub")
    with pytest.raises(LedgerAway) as away:
        ledger.revision()
    assert "pa55w0rd" not in str(away.value)
    assert "pa55w0rd" not in repr(ledger.url)
    ledger.close()
    assert "pa55w0rd" not in Path(f"/proc/{os.getpid()}/cmdline").read_text()
