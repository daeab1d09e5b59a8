"""One transaction admits: what many ask for at once is given to as many as there are devices."""

import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import one_process
import pytest
from home import HOSTS, NOW, T4
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from gradienthub.ledger import By, Ledger, admissions, fleet, leases
from gradienthub.ledger.accounts import HubUser
from gradienthub.ledger.admissions import Request
from gradienthub.ledger.schema import device_holders, lease_devices
from gradienthub.ledger.schema import leases as lease_table
from gradienthub.rules.idleness import Reason
from gradienthub.rules.lease import Lease
from gradienthub.rules.options import parse_options
from gradienthub.rules.refusal import Refused

DEVICES = {"GPU-t4-0", "GPU-t4-1"}


def asked(number: int, instance_type: str = "free-t4", server: str = "") -> Request:
    return Request(
        lease_id=f"lease-{number}-{server}",
        user=HubUser(id=number, created=NOW, name=f"user{number}"),
        groups=frozenset({"flats"}),
        server_name=server,
        display_name="",
        options=parse_options({"instance_type": instance_type, "shutdown_after": "1h"}),
        actor=f"user{number}",
    )


def given_out(said: list[object]) -> list[str]:
    return sorted(device for one in said if isinstance(one, Lease) for device in one.devices)


def test_of_fifty_threads_at_once_for_two_devices_two_get_one(ledger, make_settings):
    setting = make_settings(hub_id="h")
    with ThreadPoolExecutor(50) as threads:
        said = list(
            threads.map(
                lambda n: ledger.write(admissions.admit_start, asked(n), setting, NOW), range(50)
            )
        )
    assert set(given_out(said)) == DEVICES
    assert len(given_out(said)) == 2
    assert {one.code for one in said if isinstance(one, Refused)} == {"no_capacity"}


def test_of_three_processes_at_once_with_fifty_starts_two_get_a_device(ledger_url, make_settings):
    setting = make_settings(hub_id="h")
    made = Ledger(ledger_url)
    made.upgrade()
    made.close()
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as processes:
        parts = [
            processes.submit(
                one_process.start, ledger_url, setting, [asked(n) for n in range(part, 50, 3)], NOW
            )
            for part in range(3)
        ]
        said = [one for part in parts for one in part.result()]
    assert sorted(d for one in said if isinstance(one, tuple) for d in one) == sorted(DEVICES)
    assert {one for one in said if isinstance(one, str)} == {"no_capacity"}


@pytest.mark.postgresql
def test_two_hubs_on_one_database_share_their_devices_and_give_none_twice(
    postgresql_url, make_settings
):
    ledgers = {hub_id: Ledger(postgresql_url) for hub_id in ("physics", "biology")}
    setting = {hub_id: make_settings(hub_id=hub_id) for hub_id in ledgers}
    ledgers["physics"].upgrade()
    for hub_id, ledger in ledgers.items():
        ledger.write(fleet.publish, setting[hub_id], NOW)
    with ThreadPoolExecutor(50) as threads:
        said = list(
            threads.map(
                lambda n: (
                    ledgers[hub].write(admissions.admit_start, asked(n), setting[hub], NOW)
                    if (hub := ("physics", "biology")[n % 2])
                    else None
                ),
                range(50),
            )
        )
    assert given_out(said) == sorted(DEVICES)
    held = [
        (row["uuid"], row["holder_id"])
        for row in ledgers["biology"].read(fleet.list_devices, "biology")
        if row["holder_id"]
    ]
    assert {uuid for uuid, _ in held} == DEVICES
    for ledger in ledgers.values():
        ledger.close()


@pytest.mark.postgresql
def test_hubs_that_share_a_host_share_its_cpus_and_others_do_not(postgresql_url, make_settings):
    ledger = Ledger(postgresql_url)
    ledger.upgrade()
    for shared, second in ((None, Lease), ("rack-7", Refused)):
        hosts = {"rack": {"cpus": 1, "memory": 64, "devices": [], "shared_as": shared}}
        said = [
            ledger.write(
                admissions.admit_start,
                replace(
                    asked(number, "c1"),
                    lease_id=f"{shared}-{number}",
                    options=parse_options({"instance_type": "free-cpu"}),
                    server_name="x",
                ),
                make_settings(hub_id=f"{hub}-{shared}", hosts=hosts),
                NOW,
            )
            for number, hub in enumerate(("physics", "biology"))
        ]
        assert isinstance(said[0], Lease)
        assert isinstance(said[1], second)
    ledger.close()


def test_a_refused_start_leaves_only_its_row_in_the_audit(ledger, make_settings, ask):
    setting = make_settings(hub_id="h")
    refused = ask(ledger, setting, "anna", "t4")
    assert isinstance(refused, Refused)
    assert ledger.read(leases.list_open_leases, "h") == []
    assert ledger.read(lambda tx: tx.execute(select(device_holders)).all()) == []


def test_caps_count_what_runs_and_what_still_stops(ledger, make_settings, ask):
    setting = make_settings(hub_id="h")
    first = ask(ledger, setting, "anna", "free-cpu", "one")
    refused = ask(ledger, setting, "anna", "free-cpu", "two")
    assert (refused.code, refused.message) == (
        "too_many_running",
        "1 of 1 notebooks of tier Free are in use: “one”.",
    )
    ledger.write(leases.note_stop, first.id, Reason.USER, By("h", "anna", NOW))
    refused = ask(ledger, setting, "anna", "free-cpu", "two")
    assert refused.hint == "One of them is stopping: wait a moment."
    ledger.write(leases.end, first.id, NOW, None)
    assert isinstance(ask(ledger, setting, "anna", "free-cpu", "two"), Lease)


def test_free_machines_have_a_cap_of_their_own(ledger, make_settings, ask):
    setting = make_settings(hub_id="h")
    for number, server in enumerate(("one", "two")):
        at = NOW + timedelta(minutes=number)
        assert isinstance(ask(ledger, setting, "anna", "free-cpu", server, ["pros"], at), Lease)
    refused = ask(ledger, setting, "anna", "free-cpu", "three", ["pros"])
    assert refused.message == "2 of 2 free notebooks are in use: “one”, “two”."


def test_one_persons_notebooks_do_not_count_for_another(ledger, make_settings, ask):
    setting = make_settings(hub_id="h")
    assert isinstance(ask(ledger, setting, "anna", "free-cpu"), Lease)
    assert isinstance(ask(ledger, setting, "berta", "free-cpu"), Lease)


def test_a_notebook_that_is_not_ended_is_not_started_again(ledger, make_settings, ask):
    setting = make_settings(hub_id="h")
    first = ask(ledger, setting, "anna", "free-cpu", groups=["flats"])
    again = ask(ledger, setting, "anna", "free-cpu", groups=["flats"])
    assert (again.code, again.retry_after) == ("still_stopping", timedelta(seconds=60))
    assert again.message.endswith(" runs already.")
    ledger.write(leases.note_stop, first.id, Reason.USER, By("h", "anna", NOW))
    again = ask(ledger, setting, "anna", "free-cpu", groups=["flats"])
    assert (again.code, again.retry_after) == ("still_stopping", timedelta(seconds=10))
    assert again.message.endswith(" is still stopping.")
    ledger.write(leases.end, first.id, NOW, None)
    assert isinstance(ask(ledger, setting, "anna", "free-cpu", groups=["flats"]), Lease)


def test_a_device_out_of_service_is_given_to_nobody(ledger, make_settings, ask):
    rack = HOSTS["rack"] | {"devices": [{"uuid": "GPU-1", "model": T4, "out_of_service": True}]}
    refused = ask(ledger, make_settings(hub_id="h", hosts={"rack": rack}), "anna")
    assert (refused.code, refused.message) == ("no_capacity", "No host here carries Free T4.")


def test_a_lease_on_a_host_that_left_the_configuration_still_counts(ledger, make_settings, ask):
    ask(ledger, make_settings(hub_id="h"), "anna", "free-cpu", "one")
    other = {"other": HOSTS["rack"]}
    refused = ask(ledger, make_settings(hub_id="h", hosts=other), "anna", "free-cpu", "two")
    assert refused.code == "too_many_running"


def test_a_device_that_moved_to_another_host_while_in_use_is_not_given_out(
    ledger, make_settings, ask
):
    held = ask(ledger, make_settings(hub_id="h"), "anna")
    moved = {"other": HOSTS["rack"] | {"devices": [{"uuid": held.devices[0], "model": T4}]}}
    assert ask(ledger, make_settings(hub_id="h", hosts=moved), "berta").code == "no_capacity"


# -- any history --------------------------------------------------------------------------------

TYPES = ("free-cpu", "free-t4", "c1", "t4", "t4x2")
START = st.tuples(st.just("start"), st.integers(0, 5), st.integers(0, 2), st.sampled_from(TYPES))
STOP = st.tuples(st.just("stop"), st.integers(0, 40))
END = st.tuples(st.just("end"), st.integers(0, 40))


@pytest.fixture(scope="module")
def narrow(settings_in, tmp_path_factory):
    """A host on which devices, CPUs and memory all run out, and an empty ledger's file to copy."""
    folder = tmp_path_factory.mktemp("narrow")
    flat = {
        "title": "Flat",
        "max_running": 2,
        "max_running_free": 1,
        "shutdown_choices": ["1h"],
        "shutdown_min": "5m",
        "shutdown_max": "12h",
    }
    setting = settings_in(
        folder,
        hub_id="h",
        hosts={"rack": HOSTS["rack"] | {"cpus": 6, "memory": 11}},
        tiers={"flat": flat},
        tier_rules={"default": "flat"},
    )
    ledger = Ledger(f"sqlite:///{folder / 'empty.sqlite'}")
    ledger.upgrade()
    ledger.close()
    return setting, folder / "empty.sqlite"


@settings(max_examples=60, deadline=None)
@given(history=st.lists(st.one_of(START, START, STOP, END), max_size=25))
def test_no_history_of_starts_stops_and_ends_gives_out_more_than_there_is(narrow, history):
    setting, empty = narrow
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "ledger.sqlite"
        copy.write_bytes(empty.read_bytes())
        ledger = Ledger(f"sqlite:///{copy}")
        made: list[str] = []
        for step, (what, *rest) in enumerate(history):
            if what == "start":
                number, server, instance_type = rest
                request = replace(asked(number, instance_type, f"n{server}"), lease_id=f"l{step}")
                outcome = ledger.write(admissions.admit_start, request, setting, NOW)
                if isinstance(outcome, Lease):
                    made.append(outcome.id)
            elif made and what == "stop":
                lease_id = made[rest[0] % len(made)]
                ledger.write(leases.note_stop, lease_id, Reason.USER, By("h", "x", NOW))
            elif made:
                ledger.write(leases.end, made[rest[0] % len(made)], NOW, Reason.USER)
            ledger.read(nothing_is_given_twice, setting)
        ledger.close()


def nothing_is_given_twice(tx, setting):
    host = setting.house.hosts[0]
    rows = tx.execute(select(lease_table).where(lease_table.c.ended_at.is_(None))).all()
    assert sum(row.cpus for row in rows) <= host.cpus
    assert sum(row.memory for row in rows) <= host.memory
    open_ids = {row.id for row in rows}
    given = [
        (row.device_uuid, row.lease_id)
        for row in tx.execute(select(lease_devices))
        if row.lease_id in open_ids
    ]
    held = [(row.device_uuid, row.holder_id) for row in tx.execute(select(device_holders))]
    assert sorted(given) == sorted(held)
    for account in {row.account_id for row in rows}:
        own = [row for row in rows if row.account_id == account]
        assert len(own) <= 2
        assert len([row for row in own if row.price == 0]) <= 1
