"""A lease as a value."""

from dataclasses import fields
from datetime import timedelta

import pytest
from values import NOW, make_lease

from gradienthub.ledger.schema import leases
from gradienthub.rules.idleness import Deadlines
from gradienthub.rules.lease import Lease
from gradienthub.rules.metering import Times
from gradienthub.rules.phase import LeaseState

HOUR = timedelta(hours=1)


def test_it_has_every_column_of_its_table_and_what_other_tables_have_of_it():
    beside = {"account_name", "server_name", "display_name", "devices", "gaps", "forgiven"}
    assert {field.name for field in fields(Lease)} == (
        set(leases.c.keys()) | beside | {"claim", "evicts"}
    )


@pytest.mark.parametrize(
    ("names", "title"),
    [
        ({"display_name": "Vision", "server_name": "vision"}, "Vision"),
        ({"server_name": "vision"}, "vision"),
        ({}, "Default notebook"),
    ],
)
def test_its_title_is_what_people_call_its_notebook(names, title):
    assert make_lease(**names).title == title


def test_it_says_what_ends_it_and_what_it_is_billed_by():
    lease = make_lease(
        price=10,
        stop_at=NOW + 3 * HOUR,
        session_ends_at=NOW + 2 * HOUR,
        answered_at=NOW,
        gaps=((NOW, None),),
    )
    assert lease.state is LeaseState.RUNNING
    assert lease.hard_end == NOW + 2 * HOUR
    assert make_lease().hard_end is None
    assert lease.deadlines == Deadlines(HOUR, NOW + 3 * HOUR, NOW + 2 * HOUR)
    assert lease.times == Times(10, answered_at=NOW, gaps=((NOW, None),))
