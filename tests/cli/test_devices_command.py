"""gradienthub devices, on a real ledger."""

import json

import steps

from gradienthub.ledger import fleet, leases
from gradienthub.rules.idleness import Reason


def rows(hub):
    return {row["uuid"]: row for row in json.loads(hub.run("devices", "--json").out)}


def test_free_and_out_of_service_devices_are_told_apart(hub):
    hub.start_once()
    said = hub.run("devices")
    assert said.code == 0
    # No keeper ever looked at this hub: said once, beside the table. Nothing else is wrong.
    (old,) = said.err.splitlines()
    assert old.startswith("This may be old. No keeper looks at this hub")
    first, second = (line.split() for line in said.out.splitlines()[1:])
    assert first == ["rack", "Tesla", "T4", "GPU-1", "free", "-", "-"]
    assert second == ["rack", "Tesla", "T4", "GPU-2", "out", "of", "service", "-", "-"]


def test_a_held_device_names_person_notebook_and_since_when(hub):
    hub.start_once()
    lease = hub.lease("ann")
    held = rows(hub)["GPU-1"]
    assert held["state"] == "held"
    assert held["holder"] == {
        "kind": "lease",
        "lease": lease.id,
        "hub": "this-hub",
        "user": "ann",
        "notebook": "Thesis",
    }
    assert held["since"] == "2026-11-23T09:00:00+00:00"
    assert "ann / Thesis" in hub.run("devices").out


def test_a_device_is_free_again_when_its_lease_ends(hub):
    hub.start_once()
    lease = hub.lease("ann")
    ended_at = hub.ledger.read(steps.columns_of, lease.id)["admitted_at"]
    hub.ledger.write(leases.end, lease.id, ended_at, Reason.USER)
    assert rows(hub)["GPU-1"]["holder"] is None


def test_a_device_that_another_hub_has_is_held(hub):
    hub.start_once()
    hub.lease("ann")
    hub.write("c.GradientHub.hub_id = 'other-hub'")
    # The other hub declares the same machine on the same ledger.
    settings = hub.load().settings
    admitted = hub.ledger.read(steps.columns_of, "lease-1")["admitted_at"]
    hub.ledger.write(fleet.publish, settings, admitted)
    assert rows(hub)["GPU-1"]["holder"]["user"] == "hub this-hub"


def test_a_configuration_that_changed_since_the_start_is_said(hub):
    hub.start_once()
    hub.write('c.GradientHub.hosts["rack"]["devices"].append({"uuid": "GPU-3", "model": "T4"})')
    said = hub.run("devices")
    assert "GPU-3" not in said.out
    assert "1 devices added, 0 removed" in said.err


def test_a_hub_without_devices_says_where_to_find_them(hub):
    hub.write('c.GradientHub.hosts = {"rack": {"cpus": 2, "memory": 4}}')
    hub.start_once()
    assert "gradienthub check" in hub.run("devices").out


def test_a_device_is_taken_out_of_rent_and_put_back(hub):
    hub.start_once()
    uuid = json.loads(hub.run("devices", "--json").out)[0]["uuid"]
    assert "Say --why" in hub.run("devices", "--take-out", uuid).err
    out = hub.run("devices", "--take-out", uuid, "--why", "it smells")
    assert (out.code, "is out of rent" in out.out) == (0, True)
    (row,) = [row for row in json.loads(hub.run("devices", "--json").out) if row["uuid"] == uuid]
    assert (row["state"], row["fault"]) == ("out of service", "it smells")
    assert "it smells" in hub.run("devices").out
    back = hub.run("devices", "--put-back", uuid)
    assert back.out.strip() == f"{uuid} is for rent again."
    (row,) = [row for row in json.loads(hub.run("devices", "--json").out) if row["uuid"] == uuid]
    assert (row["state"], row["fault"]) == ("free", None)


def test_a_device_that_is_not_out_or_not_there_is_a_sentence(hub):
    hub.start_once()
    uuid = json.loads(hub.run("devices", "--json").out)[0]["uuid"]
    said = hub.run("devices", "--put-back", uuid)
    assert (said.code, "is not out of rent" in said.err) == (2, True)
    said = hub.run("devices", "--take-out", "GPU-nowhere", "--why", "x")
    assert (said.code, "is no device of this hub" in said.err) == (2, True)
