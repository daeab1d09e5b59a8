"""The tables of legal steps."""

import pytest

from gradienthub.rules.phase import FOLLOWS, SLOT_FOLLOWS, Phase, SlotState


@pytest.mark.parametrize(
    ("follows", "first", "last"),
    [(FOLLOWS, Phase.ADMITTED, Phase.ENDED), (SLOT_FOLLOWS, SlotState.FILLING, SlotState.LEAVING)],
    ids=["lease", "warm-server"],
)
def test_each_state_is_reached_from_the_first_and_leads_to_the_last(follows, first, last):
    assert set(follows) == set(type(first)), "no state is left out"
    assert follows[last] == frozenset(), "the last is final"
    for begin, wanted in ((first, set(follows)), *((state, {last}) for state in follows)):
        seen, left = {begin}, [begin]
        while left:
            left += follows[left.pop()] - seen
            seen.update(left)
        assert wanted <= seen, begin


def test_what_runs_may_be_stopped_and_what_was_stopped_only_ends():
    for phase in set(Phase) - {Phase.STOPPING, Phase.ENDED}:
        assert {Phase.STOPPING, Phase.ENDED} <= FOLLOWS[phase], phase
    assert FOLLOWS[Phase.STOPPING] == {Phase.ENDED}


def test_each_phase_says_what_holds_in_it():
    assert all(phase.meaning for phase in Phase)
    assert len({phase.meaning for phase in Phase}) == len(Phase)
