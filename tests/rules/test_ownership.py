"""Ours is what ledger, name and labels agree on."""

import pytest

from gradienthub.rules.ownership import Labelled, Recorded, name_fault, record_fault

LEASE = Labelled("box-1", "gradient-lease-a", "lease-a", "")
WAITING = Labelled("box-2", "gradient-warm-slot-1", "", "slot-1")
CLAIMED = Labelled("box-2", "gradient-lease-b", "", "slot-1")
LEASES = {"lease-a": Recorded("box-1"), "lease-b": Recorded("box-2", "slot-1")}


@pytest.mark.parametrize(
    ("seen", "leases", "slots"),
    [
        (LEASE, LEASES, {}),
        (LEASE, {"lease-a": Recorded()}, {}),
        (WAITING, {}, {"slot-1": "box-2"}),
        (WAITING, {}, {"slot-1": ""}),
        (CLAIMED, LEASES, {}),
        # Claimed, and not renamed yet.
        (WAITING, LEASES, {}),
    ],
)
def test_what_the_ledger_made_is_ours(seen, leases, slots):
    assert record_fault(seen, leases, slots) == ""


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        # A container of an image that was committed from a notebook has its labels.
        (Labelled("box-9", "quirky_tesla", "lease-a", ""), "another object of this lease"),
        # ... and may even be given its name, once the notebook is gone.
        (Labelled("box-9", "gradient-lease-a", "lease-a", ""), "another object of this lease"),
        (Labelled("box-9", "quirky_tesla", "lease-c", ""), "not named gradient-lease-c"),
        (Labelled("box-9", "gradient-lease-x", "lease-x", ""), "no such lease"),
        (Labelled("box-9", "happy_curie", "", "slot-1"), "another object of this warm server"),
        (Labelled("box-9", "gradient-warm-slot-1", "", "slot-1"), "another object"),
        (Labelled("box-9", "gradient-warm-slot-9", "", "slot-9"), "no such warm server"),
        (Labelled("box-9", "happy_curie", "", "slot-2"), "not named gradient-warm-slot-2"),
        (Labelled("box-9", "gradient-lease-a", "", "slot-9"), "no such warm server"),
        (Labelled("box-1", "gradient-lease-a", "lease-a", "slot-1"), "a lease and a warm server"),
        (Labelled("box-9", "anything", "", ""), "name no lease"),
    ],
)
def test_what_only_says_that_it_is_ours_is_a_stranger(seen, why):
    leases = LEASES | {"lease-c": Recorded()}
    assert why in record_fault(seen, leases, {"slot-2": ""})


def test_what_somebody_renamed_is_still_ours():
    assert record_fault(Labelled("box-1", "my-notebook", "lease-a", ""), LEASES, {}) == ""
    assert record_fault(Labelled("box-2", "my-warm", "", "slot-1"), LEASES, {}) == ""


def test_by_its_name_alone_a_copy_is_known_and_a_claimed_warm_server_is_not_taken_for_one():
    claimed = {"slot-1": "lease-b"}
    for ours in (LEASE, WAITING, CLAIMED):
        assert name_fault(ours, claimed) == ""
    assert name_fault(CLAIMED, {}) == ""
    assert name_fault(Labelled("box-9", "quirky_tesla", "lease-a", ""), {})
    assert name_fault(Labelled("box-9", "gradient-lease-a", "", "slot-1"), claimed)
