"""What is said of a hub: trouble first, and nothing that nobody can tell."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gradienthub.rules.health import BLIND, KeeperFacts, health

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WELL = KeeperFacts(passed_at=NOW - timedelta(seconds=9), interval=10)


def test_nothing_is_wrong_is_said_of_a_pass_that_was_made_lately():
    said = health(WELL, 0, NOW)
    assert said.headline == "Nothing is wrong, as of 2026-11-23 16:59:51 UTC."
    assert said.well


@pytest.mark.parametrize(
    "kind", sorted(BLIND.keys() - {"keeper_never", "keeper_silent", "waiting"})
)
def test_a_keeper_in_trouble_says_so_first_since_when_and_what_to_do(kind):
    said = health(replace(WELL, trouble=kind, since=NOW - 7 * MINUTE), 0, NOW)
    assert not said.well
    assert said.headline == "Cannot tell what is wrong now. No finding stands."
    assert said.trouble.why.endswith(", since 2026-11-23 16:53 UTC (7 min).")
    assert said.trouble.cure.endswith(".")


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        (KeeperFacts(), "keeper_never"),
        (replace(WELL, passed_at=NOW - 2 * MINUTE), "keeper_silent"),
        (replace(WELL, passed_at=NOW - 2 * MINUTE, interval=60), ""),
        (replace(WELL, trouble="waiting"), ""),
        (replace(WELL, trouble="waiting", passed_at=None), "waiting"),
        (replace(WELL, trouble="of a later version"), "of a later version"),
    ],
)
def test_a_keeper_that_does_not_look_is_trouble_of_its_own(facts, kind):
    said = health(facts, 0, NOW)
    assert (said.trouble.kind if said.trouble else "") == kind
    assert ("Nothing is wrong" in said.headline) == (not kind)


def test_what_stood_when_somebody_last_looked_is_said_with_it():
    said = health(replace(WELL, trouble="hub_away"), 2, NOW)
    assert said.headline == (
        "Cannot tell what is wrong now. 2 findings stood when somebody last looked."
    )
    assert health(WELL, 1, NOW).headline == "1 finding."


def test_a_dry_run_is_said_and_a_hub_without_a_keeper_promises_nothing():
    assert "stops nothing" in health(replace(WELL, dry_run=True), 0, NOW).notes[0]
    said = health(KeeperFacts(wired=False), 0, NOW)
    assert said.well
    assert said.headline.endswith("It runs without a keeper, which would look.")


@pytest.mark.parametrize("back", [timedelta(days=1), timedelta(minutes=5)])
def test_a_pass_before_the_clock_was_set_back_says_nothing_of_now(back):
    said = health(replace(WELL, passed_at=NOW + back), 0, NOW)
    assert said.trouble.kind == "keeper_silent"
    assert said.trouble.why == "The keeper has not looked any more."
    assert "Nothing is wrong" not in said.headline
    assert health(replace(WELL, passed_at=NOW + timedelta(seconds=2)), 0, NOW).well
