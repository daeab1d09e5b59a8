"""What the hub alone knows of people reaches the ledger, so that all who ask it say the same."""

import sqlite3

import pytest

from gradienthub.clock import system_clock
from gradienthub.hub import settle
from gradienthub.ledger import accounts, findings


@pytest.fixture
def clock():
    """The hub stamps its users with the real time."""
    return system_clock


def in_groups(**groups):
    def changes(c):
        c.JupyterHub.load_groups = {name: {"users": users} for name, users in groups.items()}

    return changes


async def seen_outside(home, name):
    """(tier, who gave it), as the command line and the REST API find it."""

    def look(tx):
        account = accounts.find(tx, hub_id=home.settings.hub_id, name=name)
        allowance = accounts.allowance_of(
            tx,
            account,
            tiers=home.settings.house.tiers,
            rules=home.settings.tier_rules,
            now=home.clock(),
        )
        return allowance.tier.name, allowance.given_by

    return await home.context.ledger.aread(look)


async def test_a_group_that_only_the_hub_knows_gives_everybody_the_same_answer(hub):
    home = await hub(in_groups(pros=["anna"]), reconcile_interval=3600)
    await home.browser("anna")
    assert await seen_outside(home, "anna") == ("pro", "group pros")
    await home.api("DELETE", "/groups/pros/users", {"users": ["anna"]})
    await home.api("POST", "/groups/flats", {"users": ["anna"]})
    await settle.settle(home.app, home.context)
    assert await seen_outside(home, "anna") == ("flat", "group flats")


async def test_a_start_tells_the_groups_at_once(hub):
    home = await hub(reconcile_interval=3600)
    await home.browser("anna")
    await home.api("POST", "/groups/pros", {"users": ["anna"]})
    assert (await home.start_server("anna")).status == 201
    assert await seen_outside(home, "anna") == ("pro", "group pros")


async def test_a_pass_in_which_nothing_changed_writes_nothing(hub, monkeypatch):
    home = await hub(in_groups(pros=["anna"]), reconcile_interval=3600)
    await home.browser("anna")
    await settle.settle(home.app, home.context)
    written = []
    write = home.context.ledger.awrite
    monkeypatch.setattr(
        home.context.ledger,
        "awrite",
        lambda act, *a, **k: written.append(act) or write(act, *a, **k),
    )
    await settle.settle(home.app, home.context)
    assert "note" not in [act.__name__ for act in written]


async def test_a_user_who_is_gone_from_the_table_without_a_deletion_is_told_until_they_are_back(
    hub,
):
    home = await hub(reconcile_interval=3600)
    await home.browser("anna")
    await home._session.close()
    home._session = None
    await home.shut_down()
    users = sqlite3.connect(home.folder / "jupyterhub.sqlite", isolation_level=None)
    users.execute("UPDATE users SET name = 'hidden', id = 99 WHERE name = 'anna'")
    users.close()
    await home.start()
    await home.until(lambda: home.context.settled)
    (finding,) = await home.context.ledger.aread(findings.list_findings, home.settings.hub_id)
    assert "account has no user: anna" in finding["why"]
