"""A keeper that looks at nothing says so, the same on the page, by REST and in the ledger."""

import pytest

from gradienthub import metrics
from gradienthub.ledger import keepers
from gradienthub.service.hub_client import HubAway


async def row_of(at):
    return await at.home.context.ledger.aread(keepers.find_keeper, at.home.settings.hub_id)


async def test_a_hub_that_does_not_answer_is_said_first_everywhere_and_gone_when_it_does(
    bank, monkeypatch
):
    at = await bank()
    await at.keeper.one_pass()
    fine = await at.ask("GET", "findings", "ada")
    assert fine.body["headline"].startswith("Nothing is wrong, as of ")
    assert fine.body["trouble"] is None
    assert "Nothing is wrong, as of" in (await at.page("fleet", "ada")).text

    async def away():
        raise HubAway("it does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(at.keeper.watch.hub, "view", away)
        await at.keeper.one_pass(seconds=30)
        begun = at.home.clock()
        await at.keeper.one_pass(seconds=300)
    assert (await row_of(at))["trouble"] == "hub_away"
    assert (await row_of(at))["trouble_since"] == begun
    page = (await at.page("fleet", "ada")).text
    assert "Nothing is wrong" not in page
    assert "The hub does not answer the keeper, since" in page
    said = (await at.ask("GET", "findings", "ada")).body
    assert said["headline"] == "Cannot tell what is wrong now. No finding stands."
    assert (said["trouble"]["kind"], said["items"]) == ("hub_away", [])
    state = (await at.ask("GET", "state", "ada")).body
    assert state["why"] == said["trouble"]["why"]
    assert metrics.keeper_blind.labels("hub_away")._value.get() == 1
    await at.keeper.one_pass(seconds=30)
    assert (await row_of(at))["trouble"] is None
    assert "Nothing is wrong, as of" in (await at.page("fleet", "ada")).text
    assert not [s for m in metrics.keeper_blind.collect() for s in m.samples]


@pytest.mark.parametrize("seconds", [59, 3600])
async def test_a_keeper_that_passes_no_more_is_silent(bank, seconds):
    at = await bank()
    await at.keeper.one_pass()
    at.home.clock.advance(seconds=seconds)
    said = (await at.ask("GET", "findings", "ada")).body
    assert (said["trouble"] is None) == (seconds < 60)
    if said["trouble"]:
        assert said["trouble"]["kind"] == "keeper_silent"
