"""Money in a real hub: who starts at once, what a stop costs, what a ledger that is away loses."""

import asyncio

import pytest
from home import NOW, TIERS

from gradienthub.hub import charging
from gradienthub.ledger import By, LedgerAway, credits, statements, verify
from gradienthub.ledger.credits import NewCredit
from gradienthub.ledger.schema import holds as hold_table
from gradienthub.testing import DiesAtStart, NeverAnswers

C1 = 20_000
C1_HOLD = C1 // 4
PREPAID = {
    **TIERS["flat"],
    "title": "Prepaid",
    "funding": "prepaid",
    "custom_images": ["ghcr.io/acme/*"],
}


@pytest.fixture
async def home(hub):
    """A hub where everybody pays in advance."""

    def changes(c):
        c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 60}

    return await hub(changes, tiers={"prepaid": PREPAID}, tier_rules={"default": "prepaid"})


async def give(home, name, amount):
    by, new = By(home.settings.hub_id, "ada", home.clock()), NewCredit("USD", amount, "a test")
    await home.context.ledger.awrite(credits.give, by, await home.account_id(name), new)


async def charges(home, name):
    entries = await home.context.ledger.aread(
        statements.list_newest, account_id=await home.account_id(name), currency="USD"
    )
    return [-entry.amount for entry in reversed(entries) if entry.lease_id]


async def adds_up(home):
    found = await home.context.ledger.aread(
        verify.verify_money, hub_id=home.settings.hub_id, now=home.clock()
    )
    assert found.faults == ()


async def test_of_twenty_paid_starts_at_once_on_credit_for_one_hold_one_is_admitted(home):
    await home.person("anna", pays=True)
    await give(home, "anna", C1_HOLD)
    said = await asyncio.gather(
        *(home.start_server("anna", "c1", f"n{number}") for number in range(20))
    )
    assert sorted(answer.status for answer in said) == [201] + [402] * 19
    refused = [answer for answer in said if answer.status == 402]
    assert {answer.body["code"] for answer in refused} == {"no_credit"}
    assert {answer.message for answer in refused} == {
        "C1 costs $0.02/h and reserves $0.005 for 15 min; your credit has $0.00 left."
        " Ask your administrator for credit, stop a running notebook, or choose a free machine."
    }
    assert len(await home.open_leases()) == 1
    await home.is_consistent()


async def test_a_stop_by_rest_is_charged_from_the_first_answer_to_the_request(home):
    await home.person("anna", pays=True)
    await give(home, "anna", C1)
    assert (await home.start_server("anna", "c1")).status == 201
    home.clock.advance(minutes=12)
    assert (await home.api("DELETE", "/users/anna/server")).status == 204
    assert await charges(home, "anna") == [C1 // 5]
    await adds_up(home)


async def test_a_stop_that_the_ledger_could_not_take_is_charged_once_when_it_is_back(
    home, monkeypatch
):
    await home.person("anna", pays=True)
    await give(home, "anna", C1)
    await home.start_server("anna", "c1")
    home.clock.advance(minutes=12)
    real = home.context.ledger.awrite

    async def away(*args, **kwargs):
        raise LedgerAway("it is locked")

    monkeypatch.setattr(home.context.ledger, "awrite", away)
    assert (await home.api("DELETE", "/users/anna/server")).status == 204
    monkeypatch.setattr(home.context.ledger, "awrite", real)
    assert await charges(home, "anna") == []
    home.clock.advance(hours=3)
    for _ in range(2):
        await asyncio.to_thread(
            home.context.journal.replay, home.context.ledger, home.settings.hub_id
        )
    assert await charges(home, "anna") == [C1 // 5]
    await adds_up(home)


async def test_a_hub_killed_while_a_notebook_runs_goes_on_charging_it(home):
    await home.person("anna", pays=True)
    await give(home, "anna", C1)
    await home.start_server("anna", "c1")
    home.clock.advance(minutes=10)
    await home.kill_and_start()
    await home.settled()
    home.clock.advance(minutes=2)
    assert (await home.api("DELETE", "/users/anna/server")).status == 204
    assert await charges(home, "anna") == [C1 // 5]
    await adds_up(home)


async def test_a_custom_image_that_never_answers_is_charged_and_after_three_refused(home):
    await home.person("anna", pays=True)
    await give(home, "anna", C1 * 10)
    home.engine.faults.append(DiesAtStart())
    for number in range(3):
        said = await home.start_server("anna", "c1", f"n{number}", image="ghcr.io/acme/x:1")
        assert said.status >= 400
        assert said.body["code"] == "start_failed"
        assert "is charged, as the image is your own" in said.message
    refused = await home.start_server("anna", "c1", "n3", image="ghcr.io/acme/x:1")
    assert refused.body["code"] == "image_failing"
    assert len(await charges(home, "anna")) == 3
    rows = await home.context.ledger.aread(lambda tx: tx.execute(hold_table.select()).all())
    assert rows == []
    await adds_up(home)


async def test_a_file_of_ones_own_that_hangs_each_start_does_not_rent_the_machine_for_nothing(
    home,
):
    """A configuration in the workspace kept the server from answering, and computed."""
    await home.person("anna", pays=True)
    await give(home, "anna", C1 * 10)

    own = home.app.users["anna"].new_api_token()
    home.engine.faults.append(NeverAnswers())
    for _ in range(3):
        start = asyncio.ensure_future(home.start_server("anna", "c1"))
        await home.until(lambda: any(o.alive for o in home.engine.objects.values()))
        # Until the ledger has its start too.
        while not (await home.lease_of("anna"))["started_at"]:
            await asyncio.sleep(0.05)
        home.clock.advance(minutes=2)
        await home.api("DELETE", "/users/anna/server", token=own)
        await start
        await home.until(lambda: not home.spawner("anna").active)
    refused = await home.start_server("anna", "c1")
    assert (refused.status, refused.body["code"]) == (409, "never_answering")
    assert "cost nothing" in refused.message
    # The file can be looked at.
    home.engine.faults.clear()
    assert (await home.start_server("anna", "free-cpu")).status == 201
    await adds_up(home)


async def test_without_a_keeper_the_hub_extends_holds_and_stops_what_money_ends(home):
    await home.person("anna", pays=True)
    await give(home, "anna", C1 // 2)
    await home.start_server("anna", "c1")
    for minutes in range(0, 29, 7):
        home.clock.set(NOW)
        home.clock.advance(minutes=minutes)
        tick = await charging.charge(home.app, home.context)
        assert len(tick) == 1
    assert len(await home.open_leases()) == 1
    home.clock.advance(minutes=1.1)
    await charging.charge(home.app, home.context)
    await home.until(lambda: not home.app.users["anna"].spawners[""].active, "the stop")
    lease = await home.lease_of("anna")
    assert (lease["reason"], lease["stopped_by"]) == ("budget", "hub")
    [charged] = await charges(home, "anna")
    assert C1 // 2 - C1 // 30 < charged <= C1 // 2
    await adds_up(home)


async def test_a_new_account_gets_the_presets_credit_when_it_first_sees_the_form(hub):
    home = await hub(
        tiers={"prepaid": PREPAID}, tier_rules={"default": "prepaid"}, new_account_credit="200"
    )
    browser = await home.browser("anna")
    for _ in range(2):
        assert (await browser.get("/spawn/anna")).status == 200
    await home.grant("anna", pays=True)
    assert (await home.start_server("anna", "c1")).status == 201
    standing = await home.context.ledger.aread(
        statements.read_standing,
        account_id=await home.account_id("anna"),
        currency="USD",
        now=home.clock(),
    )
    assert standing.balance == 200_000_000
