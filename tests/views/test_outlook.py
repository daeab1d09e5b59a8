"""What people and programs are told of a lease."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from values import make_lease

from gradienthub.ledger.watches import Watched
from gradienthub.rules.catalog import InstanceType
from gradienthub.rules.idleness import Deadlines, Reason, Warned
from gradienthub.rules.use import Evidence, Use
from gradienthub.views.lease_view import Conditions, lease_view, machine_text, running_view

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
P4000 = InstanceType(
    name="p4000x2",
    title="P4000 x2",
    gpu_model="Quadro P4000",
    gpus=2,
    gpu_memory=8,
    cpus=16,
    memory=60,
    price="1.02",
)
#: Answered two hours ago.
LEASE = make_lease(
    **{
        "id": "lease",
        "account_name": "anna",
        "display_name": "",
        "server_name": "",
        "instance_type": "p4000x2",
        "runtime": "python",
        "image": "acme/python:1",
        "tier": "pro",
        "host": "rack",
        "devices": ("GPU-0", "GPU-1"),
        "price": 1_020_000,
        "currency": "USD",
        "cpus": 16.0,
        "memory": 60.0,
        "admitted_at": NOW - 2 * HOUR - MINUTE,
        "answered_at": NOW - 2 * HOUR,
        "stop_requested_at": None,
        "ended_at": None,
        "reason": None,
        "stopped_by": None,
        "stop_note": None,
        "shutdown_after": HOUR,
        "used_at": None,
        "used_by": None,
        "custom_image": False,
        "started_at": NOW - 2 * HOUR,
        "seen_at": NOW,
    }
)
IDLE = Evidence(used_at=NOW - 50 * MINUTE, used_by=Use.PERSON, looked_at=NOW)


def view(changes=None, evidence=IDLE, deadlines=None, warned=None, gpu_load=None, **conditions):
    lease = replace(LEASE, **(changes or {}))
    run = Watched(lease, deadlines or Deadlines(HOUR), evidence, warned=warned, gpu_load=gpu_load)
    return running_view(run, P4000, Conditions(**conditions), NOW)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"answered_at": None}, "starting"),
        ({}, "running"),
        ({"stop_requested_at": NOW}, "stopping"),
        ({"answered_at": None, "stop_requested_at": NOW}, "stopping"),
        ({"stop_requested_at": NOW, "ended_at": NOW}, "ended"),
        ({"answered_at": None, "ended_at": NOW}, "ended"),
    ],
)
def test_a_lease_is_starting_running_stopping_or_ended(changes, state):
    assert replace(LEASE, **changes).state == state
    assert view(changes).state == state


def test_an_idle_notebook_says_when_it_stops_why_and_what_extending_costs():
    seen = view(gpu_load=3.5)
    assert (seen.stops_at, seen.stop_reason, seen.stop_why) == (
        NOW + 10 * MINUTE,
        "idle",
        "idle for 1 h",
    )
    assert seen.keeps_alive == ["idle for 50 min of 1 h"]
    assert (seen.used_at, seen.used_by, seen.gpu_load) == (IDLE.used_at, "person", 3.5)
    assert (seen.extend.until, seen.extend.cost_text) == (NOW + HOUR, "$1.02")
    assert (seen.extend.refused, seen.warning) == (None, None)
    assert (seen.cost, seen.cost_text) == (2_040_000, "$2.04")
    assert (seen.user, seen.notebook, seen.devices) == (
        "anna",
        "Default notebook",
        ["GPU-0", "GPU-1"],
    )
    assert seen.model_validate_json(seen.model_dump_json()) == seen


def test_a_busy_notebook_without_a_hard_end_stops_never_and_can_be_extended():
    busy = replace(IDLE, busy=("train.ipynb", "GPU"), busy_since=NOW - HOUR)
    seen = view(evidence=busy)
    assert (seen.stops_at, seen.stop_reason, seen.stop_why) == (None, None, "")
    assert seen.keeps_alive == ["busy for 1 h: train.ipynb, GPU"]
    assert seen.extend.until == NOW + HOUR


def test_a_warning_is_shown_with_its_minutes_while_it_stands():
    told = Warned(Reason.IDLE, NOW + 10 * MINUTE, 15 * MINUTE, NOW - 5 * MINUTE)
    warning = view(warned=told).warning
    assert warning.model_dump() == {
        "minutes": 15,
        "stops_at": NOW + 10 * MINUTE,
        "reason": "idle",
        "why": "idle for 1 h",
        "given_at": NOW - 5 * MINUTE,
    }
    assert view(warned=told, evidence=replace(IDLE, used_at=NOW)).warning is None
    assert view(warned=told, deadlines=Deadlines(HOUR, keep_until=NOW + HOUR)).warning is None


def test_a_warning_and_the_stop_it_announces_name_the_same_moment():
    late = Warned(Reason.IDLE, NOW + 5 * MINUTE, MINUTE, NOW)
    seen = view(evidence=replace(IDLE, used_at=NOW - 9 * HOUR), warned=late, grace=5 * MINUTE)
    assert seen.stops_at == seen.warning.stops_at == NOW + 5 * MINUTE


def test_what_cannot_be_extended_says_why_and_what_to_do():
    refused = view(deadlines=Deadlines(HOUR, session_ends_at=NOW + 5 * MINUTE)).extend.refused
    assert refused.code == "cannot_extend"
    assert "session limit" in refused.message
    assert refused.hint
    assert view(deadlines=Deadlines(None)).extend.refused.message.startswith("Nothing stops it")


def test_without_an_idle_stop_extending_moves_the_end_its_owner_chose():
    seen = view(deadlines=Deadlines(None, stop_at=NOW + MINUTE), longest=30 * MINUTE)
    assert (seen.stops_at, seen.stop_reason) == (NOW + MINUTE, "stop_at")
    assert (seen.extend.until, seen.extend.cost_text) == (NOW + 30 * MINUTE, "$0.51")


@pytest.mark.parametrize(
    ("changes", "cost"),
    [
        ({"answered_at": None}, 0),
        ({"answered_at": None, "ended_at": NOW}, 0),
        ({"stop_requested_at": NOW - HOUR}, 1_020_000),
        ({"stop_requested_at": NOW - HOUR, "ended_at": NOW}, 1_020_000),
        ({"ended_at": NOW - 30 * MINUTE}, 1_530_000),
        ({"price": 0}, 0),
    ],
)
def test_it_costs_from_its_first_answer_until_its_stop_is_asked_for(changes, cost):
    assert view(changes).cost == cost


@pytest.mark.parametrize(
    "changes", [{"answered_at": None}, {"stop_requested_at": NOW}, {"ended_at": NOW}]
)
def test_what_does_not_run_has_nothing_ahead(changes):
    told = Warned(Reason.IDLE, NOW + 10 * MINUTE, 15 * MINUTE, NOW)
    seen = view(changes, warned=told, gpu_load=50.0)
    assert (seen.stops_at, seen.warning, seen.extend, seen.keeps_alive, seen.gpu_load) == (
        None,
        None,
        None,
        [],
        None,
    )


def test_an_ended_lease_shows_the_last_use_that_its_row_has():
    row = {
        "ended_at": NOW,
        "used_at": NOW - HOUR,
        "used_by": "terminal",
        "reason": "idle",
        "stopped_by": "service gradient",
        "stop_note": "Bye.",
    }
    seen = lease_view(replace(LEASE, **row), None, NOW)
    assert (seen.used_at, seen.used_by, seen.reason, seen.stop_note) == (
        NOW - HOUR,
        "terminal",
        "idle",
        "Bye.",
    )


@pytest.mark.parametrize(
    ("names", "title"),
    [
        ({"display_name": "Vision", "server_name": "vision"}, "Vision"),
        ({"server_name": "vision"}, "vision"),
        ({}, "Default notebook"),
    ],
)
def test_a_notebook_is_called_by_the_best_name_it_has(names, title):
    assert view(names).notebook == title


def test_a_machine_is_described_as_it_was_leased_also_when_its_type_is_gone():
    seen = lease_view(LEASE, P4000, NOW)
    assert (seen.machine_title, seen.machine) == ("P4000 x2", machine_text(LEASE, P4000))
    assert lease_view(LEASE, None, NOW).machine_title == "p4000x2"
    assert machine_text(LEASE, P4000) == "P4000 x2 · 16 GB GPU · 16 vCPU · 60 GB"
    assert machine_text(replace(LEASE, cpus=0.5, memory=2.5), None) == "p4000x2 · 0.5 vCPU · 2.5 GB"
