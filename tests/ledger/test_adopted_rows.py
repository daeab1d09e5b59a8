"""Rows of an adopted hub: whose an old volume is, and what runs outside of every lease."""

from home import NOW

from gradienthub.ledger import By, accounts, audit, capacity, fleet, outside, volumes
from gradienthub.rules.outside import Outside, Placed
from gradienthub.rules.refusal import Refused

LATER = NOW.replace(hour=23)


def an_account(ledger, settings, name, number):
    user = accounts.HubUser(id=number, created=NOW, name=name)
    return ledger.write(accounts.account_of, hub_id=settings.hub_id, user=user, now=NOW).id


def test_a_volume_is_one_accounts_for_good(ledger, make_settings):
    settings = make_settings()
    anna, eve = (an_account(ledger, settings, n, i) for i, n in enumerate(("anna", "eve"), 1))
    hub = {"hub_id": settings.hub_id, "volume": "old-anna"}
    assert ledger.read(volumes.find_owner, **hub) is None
    by_hub, by_ada = (By(settings.hub_id, who, NOW) for who in ("hub", "cli"))
    assert ledger.write(volumes.bind, by_hub, "old-anna", anna) == anna
    assert ledger.write(volumes.bind, by_ada, "old-anna", eve) == anna
    assert ledger.write(volumes.bind, by_ada, "old-anna", anna) == anna
    assert ledger.read(volumes.list_owners, settings.hub_id) == {"old-anna": "anna"}
    mine = {"hub_id": settings.hub_id, "folder": "work", "server_name": None}
    assert ledger.read(volumes.list_volumes, **mine, account_id=anna) == ["old-anna"]
    assert ledger.read(volumes.list_volumes, **mine, account_id=eve) == []
    assert ledger.write(volumes.unbind, by_ada, "old-anna")
    assert not ledger.write(volumes.unbind, by_ada, "old-anna")
    assert ledger.write(volumes.bind, by_ada, "old-anna", eve) == eve
    rows = ledger.read(audit.list_rows, hub_id=settings.hub_id)
    actions = [row["action"] for row in rows if row["action"].startswith("volume")]
    assert actions == ["volume_bound", "volume_unbound", "volume_bound"]


def test_a_volume_of_one_notebook_is_not_anothers(ledger, make_settings):
    settings = make_settings()
    anna = an_account(ledger, settings, "anna", 1)
    for volume, server in (("v-lab", "lab"), ("v-gpu", "gpu")):
        by = By(settings.hub_id, "hub", NOW)
        ledger.write(volumes.bind, by, volume, anna, folder="work", server_name=server)
    found = ledger.read(
        volumes.list_volumes,
        hub_id=settings.hub_id,
        account_id=anna,
        folder="work",
        server_name="gpu",
    )
    assert found == ["v-gpu"]


def note(ledger, settings, *seen, at=NOW):
    rack = settings.house.hosts[0]
    ledger.write(
        outside.replace,
        hub_id=settings.hub_id,
        placed=[Placed(one, rack, one.asked) for one in seen],
        host_keys={rack.name: capacity.host_key(settings.hub_id, rack)},
        now=at,
    )


def holders(ledger, settings):
    rows = ledger.read(fleet.list_devices, settings.hub_id)
    return {row["uuid"]: (row["holder_kind"], row["since"]) for row in rows if row["holder_kind"]}


def test_a_gpu_that_runs_outside_is_not_rented_again(ledger, make_settings, ask):
    settings = make_settings()
    ledger.write(fleet.publish, settings, NOW)
    old = Outside("c" * 64, "jupyter-anna", "anna", asked=("GPU-t4-0",))
    note(ledger, settings, old)
    note(ledger, settings, old, at=LATER)
    assert holders(ledger, settings) == {"GPU-t4-0": ("outside", NOW)}
    assert ask(ledger, settings, "bob").devices == ("GPU-t4-1",)
    refused = ask(ledger, settings, "carl")
    assert isinstance(refused, Refused)
    assert refused.code == "no_capacity"
    note(ledger, settings)
    assert ask(ledger, settings, "carl").devices == ("GPU-t4-0",)
    assert ledger.read(outside.list_outside, settings.hub_id) == []


def test_what_runs_outside_takes_its_memory_and_cpus(ledger, make_settings, ask):
    settings = make_settings()
    ledger.write(fleet.publish, settings, NOW)
    note(ledger, settings, Outside("c1", "big", "anna", cpus=1, memory=254.5))
    assert ask(ledger, settings, "bob", "free-cpu").memory == 1
    assert ask(ledger, settings, "carl", "free-cpu").code == "no_capacity"


def test_a_device_of_a_lease_stays_the_leases(ledger, make_settings, ask):
    settings = make_settings()
    ledger.write(fleet.publish, settings, NOW)
    lease = ask(ledger, settings, "bob")
    note(ledger, settings, Outside("c1", "x", asked=(*lease.devices, "GPU-a100")))
    kinds = {uuid: kind for uuid, (kind, _) in holders(ledger, settings).items()}
    assert kinds == {lease.devices[0]: "lease", "GPU-a100": "outside"}
    # Two share one: it is free when both are gone.
    note(
        ledger,
        settings,
        Outside("c1", "x", asked=("GPU-a100",)),
        Outside("c2", "y", asked=("GPU-a100",)),
    )
    note(ledger, settings, Outside("c2", "y", asked=("GPU-a100",)))
    assert "GPU-a100" in holders(ledger, settings)
