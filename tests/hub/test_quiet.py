"""What is asked with a token in its address, or with keys that nobody reads."""

import logging

import pytest
from jupyterhub import orm

from gradienthub.spawners.context import HubContext
from gradienthub.testing import GradientFakeSpawner

SECRET = "s3cr3t-in-an-address"


async def test_no_line_of_the_hubs_log_holds_the_query_of_an_address(hub, caplog, capfd):
    home = await hub()
    await home.person("anna")
    caplog.set_level(logging.DEBUG)
    for path in (
        f"/gradient/servers?token={SECRET}",
        f"/gradient/users/anna/servers/nothing?token={SECRET}&more={SECRET}",
        f"/users/anna/servers/x?{SECRET}",
    ):
        for token in (home.token, "wrong"):
            await home.api("GET", path, token=token)
            await home.api("POST", path, {"instance_type": "nothing"}, token=token)
    said = caplog.text + "".join(capfd.readouterr())
    assert "gradient/servers" in said
    assert SECRET not in said


@pytest.mark.parametrize("beside", ["stop_at", "instance_type", "name", "token"])
async def test_a_key_beside_user_options_is_refused_by_its_name(hub, beside):
    home = await hub()
    await home.person("anna")
    body = {"user_options": {"instance_type": "free-cpu", "shutdown_after": "1h"}, beside: "2h"}
    said = await home.api("POST", "/users/anna/servers/x", body)
    assert (said.status, said.body["code"]) == (400, "unknown_option")
    assert beside in said.body["field"]
    assert home.app.db.query(orm.Spawner).filter(orm.Spawner.name == "x").first() is None


async def test_a_stop_with_a_key_that_nobody_reads_is_refused_by_its_name(hub):
    home = await hub()
    await home.person("anna")
    await home.start_server("anna")
    said = await home.api("DELETE", "/users/anna/server", {"lease_id": "x"})
    assert (said.status, said.body["field"]) == (400, "lease_id")
    assert home.spawner("anna").active


async def test_a_start_whose_disk_is_full_is_refused_in_words_and_costs_nothing(hub, monkeypatch):
    home = await hub()
    await home.person("anna")

    async def full(self, lease):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(GradientFakeSpawner, "apply_lease", full)
        said = await home.start_server("anna")
    assert (said.status, said.body["code"]) == (503, "disk_full")
    assert "takes no more" in said.message
    assert await home.open_leases() == []
    assert (await home.start_server("anna")).status == 201
    assert HubContext.of(home.config) is home.context
