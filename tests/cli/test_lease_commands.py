"""gradienthub leases, extend, findings and log, on a real ledger."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import steps

from gradienthub.cli.check_result import Severity
from gradienthub.cli.checks import judge
from gradienthub.cli.config import os_user
from gradienthub.cli.look import look
from gradienthub.ledger import (
    By,
    accounts,
    admissions,
    audit,
    findings,
    grants,
    keepers,
    leases,
    watches,
)
from gradienthub.ledger.accounts import HubUser
from gradienthub.ledger.admissions import Request
from gradienthub.ledger.findings import NewFinding
from gradienthub.rules.idleness import Reason
from gradienthub.rules.options import parse_options

MINUTE = timedelta(minutes=1)


@pytest.fixture
def started(hub):
    hub.start_once()
    return hub


def now():
    # The commands read the clock of the machine.
    return datetime.now(UTC)


def running(hub, name="ann", server="", title="Thesis", **options):
    """A lease that answered an hour ago, whose notebook was last used half an hour ago."""
    begun = now() - 60 * MINUTE
    user = HubUser(sum(map(ord, name)), datetime(2026, 1, 1, tzinfo=UTC), name)
    account = hub.ledger.write(accounts.account_of, hub_id="this-hub", user=user, now=begun)
    hub.ledger.write(grants.set_payment_method, By("this-hub", "t", begun), account, True)
    chosen = {"instance_type": "t4", "shutdown_after": "1h", **options}
    request = Request(
        f"lease-{name}-{server}",
        user,
        frozenset({"lab-bio"}),
        server,
        title,
        parse_options(chosen),
        name,
    )
    lease = hub.ledger.write(admissions.admit_start, request, hub.load().settings, begun)
    hub.ledger.write(steps.answer, lease.id, begun)
    one = hub.ledger.read(watches.find_watched, lease.id)
    used = replace(one.evidence, used_at=begun + 30 * MINUTE, looked_at=now())
    hub.ledger.write(watches.save, "this-hub", [replace(one, evidence=used)])
    return lease


def newest(hub):
    return hub.ledger.read(audit.list_rows, hub_id="this-hub", limit=1)[0]


# -- leases -----------------------------------------------------------------------------------


def test_a_running_lease_is_a_line_with_cost_and_what_ends_it(started):
    running(started)
    said = started.run("leases")
    header, line = said.out.splitlines()
    assert said.code == 0 and header.split() == [
        "USER",
        "NOTEBOOK",
        "TYPE",
        "STATE",
        "SINCE",
        "COST",
        "STOPS",
    ]
    assert line.split()[:4] == ["ann", "Thesis", "t4", "running"]
    # The clock is the machine's, which goes on between the row and the command.
    assert re.search(r"\(1 h( \d+ (s|min))*\)  \$0\.5[1-9]  ", line)
    assert re.search(r"  in (30|2\d) min( \d+ s)?: idle for 3\d min( \d+ s)? of 1 h$", line)


def test_a_start_on_its_way_and_an_ended_lease_are_told_apart(started):
    lease = running(started)
    started.lease("bob", "small", "lease-2")
    started.ledger.write(leases.note_stop, lease.id, Reason.IDLE, By("this-hub", "keeper", now()))
    started.ledger.write(leases.end, lease.id, now(), None)
    [line] = started.run("leases").out.splitlines()[1:]
    assert line.split()[:4] == ["bob", "Thesis", "small", "starting"] and line.endswith(" -")
    lines = started.run("leases", "--all").out.splitlines()[1:]
    assert len(lines) == 2
    [ended] = [line for line in lines if line.startswith("ann")]
    assert ended.endswith("idle, by keeper") and " ended " in ended


def test_leases_of_one_person_and_for_programs(started):
    running(started)
    running(started, "bob", instance_type="small")
    [view] = json.loads(started.run("leases", "--user", "bob", "--json").out)
    assert (view["user"], view["instance_type"], view["price"]) == ("bob", "small", 0)
    assert view["stop_reason"] == "idle" and view["extend"]["until"]


def test_a_person_without_an_account_is_a_fault_that_names_who_is_similar(started):
    running(started)
    said = started.run("leases", "--user", "anne")
    assert said.code == 1 and "similar: ann" in said.err


def test_where_nothing_runs_it_says_so(started):
    assert started.run("leases").out == "Nothing runs.\n"
    assert started.run("leases", "--json").out == "[]\n"


def test_a_name_does_not_write_on_the_terminal(started):
    running(started, title="\x1b[2J\nevil")
    out = started.run("leases").out
    assert "\x1b" not in out and len(out.splitlines()) == 2


# -- extend -----------------------------------------------------------------------------------


def test_the_only_running_notebook_is_extended_by_its_owners_name(started):
    lease = running(started)
    said = started.run("extend", "ann")
    assert said.code == 0 and said.out.startswith("ann/Thesis: stops at ")
    kept = started.ledger.read(steps.columns_of, lease.id)["keep_until"]
    assert abs(kept - now() - 60 * MINUTE) < MINUTE
    row = newest(started)
    assert (row["action"], row["actor"], row["account_name"]) == (
        "extend",
        f"cli {os_user()}",
        "ann",
    )


def test_of_several_one_is_named_by_title_or_server_name(started):
    running(started, server="a", title="Thesis", instance_type="small")
    running(started, server="b", title="Thesis", instance_type="t4")
    said = started.run("extend", "ann")
    assert said.code == 1 and "2 notebooks of ann run" in said.err and "ann/NOTEBOOK" in said.err
    said = started.run("extend", "ann/Thesis")
    assert said.code == 1 and "“b”, “a”" in said.err
    assert started.run("extend", "ann/b").code == 0
    assert newest(started)["detail"]["lease"] == "lease-ann-b"
    said = started.run("extend", "ann/other")
    assert said.code == 1 and "No notebook “other” of ann runs. Running:" in said.err


def test_what_does_not_run_cannot_be_extended(started):
    lease = running(started)
    started.ledger.write(leases.note_stop, lease.id, Reason.USER, By("this-hub", "ann", now()))
    said = started.run("extend", "ann")
    assert said.code == 1 and "“Thesis” is not running. Start it again" in said.err
    started.ledger.write(leases.end, lease.id, now(), None)
    assert "Nothing of ann runs" in started.run("extend", "ann").err


# -- findings ---------------------------------------------------------------------------------


def keeper_passed(started, ago=timedelta(0)):
    def write(tx):
        at = now() - ago
        keepers.take(tx, "this-hub", "me", now=at, until=at + MINUTE)
        keepers.note_pass(tx, "this-hub", "me", at, 0.1)

    started.ledger.write(write)


def test_what_a_command_says_of_the_past_is_said_to_be_old(started):
    keeper_passed(started)
    for command in (("warm", "list"), ("verify",), ("leases",), ("devices",)):
        assert started.run(*command).err == "", command
    keeper_passed(started, ago=timedelta(hours=2))
    for command in (("warm", "list"), ("verify",), ("leases",), ("devices",)):
        said = started.run(*command)
        assert (said.code, "The keeper has not looked any more" in said.err) == (0, True), command
    [said] = [one for one in judge(look(started.load())) if one.name == "keeper"]
    assert (said.state, "The keeper has not looked any more" in said.says) == (Severity.WARN, True)
    keeper_passed(started)
    [said] = [one for one in judge(look(started.load())) if one.name == "keeper"]
    assert said.state is Severity.OK
    assert said.says.startswith("Nothing is wrong, as of ")


@pytest.mark.parametrize("hours", [1, 24])
def test_another_keeper_does_not_wait_for_a_row_of_before_the_clock_was_set_back(started, hours):
    keeper_passed(started, ago=-timedelta(hours=hours))
    taken = {"now": now(), "until": now() + MINUTE}
    assert started.ledger.write(keepers.take, "this-hub", "another", **taken)
    assert not started.ledger.write(keepers.take, "this-hub", "a third", **taken)


def test_without_a_keeper_that_looks_no_command_says_that_nothing_is_wrong(started):
    said = started.run("findings")
    assert said.code == 1
    assert said.out.startswith("Cannot tell what is wrong now. No finding stands.\n")
    assert "No keeper looks at this hub." in said.out
    assert "This may be old. No keeper looks" in started.run("leases").err
    keeper_passed(started, ago=timedelta(hours=2))
    said = started.run("findings")
    assert (said.code, "Nothing is wrong" in said.out) == (1, False)
    assert "The keeper has not looked any more, since " in said.out
    assert "(2 h" in said.out
    started.ledger.write(keepers.note_trouble, "this-hub", "me", "hub_away", now() - 5 * MINUTE)
    assert "The hub does not answer the keeper, since " in started.run("findings").out
    first = json.loads(started.run("findings", "--json").out)[0]
    assert (first["kind"], first["lease_id"]) == ("hub_away", None)


def test_findings_stand_until_they_are_mended(started):
    keeper_passed(started)
    assert started.run("findings").code == 0
    assert started.run("findings").out.startswith("Nothing is wrong, as of ")
    found = [NewFinding("notify line 1", "notify", "It is down.", "Start it.")]
    begun = now() - 5 * MINUTE
    started.ledger.write(
        findings.report, hub_id="this-hub", source="keeper", wrong=found, now=begun
    )
    started.ledger.write(
        findings.report, hub_id="this-hub", source="keeper", wrong=found, now=now()
    )
    said = started.run("findings")
    line = said.out.splitlines()[1]
    assert said.code == 1 and "(5 min)" in line and "2 times  stands" in line
    assert line.endswith("It is down.  Start it.")
    assert json.loads(started.run("findings", "--json").out)[0]["kind"] == "notify"
    started.ledger.write(findings.report, hub_id="this-hub", source="keeper", wrong=[], now=now())
    assert started.run("findings").code == 0
    said = started.run("findings", "--all")
    assert said.code == 0 and " mended " in said.out


# -- audit ------------------------------------------------------------------------------------


def test_the_audit_has_who_did_what_the_newest_first(started):
    running(started)
    started.run("extend", "ann")
    rows = [line.split() for line in started.run("audit").out.splitlines()]
    assert rows[0] == ["AT", "WHO", "DID", "TO", "DETAIL"]
    assert rows[1][3:7] == ["cli", os_user(), "extend", "ann"]
    assert [row[4] for row in rows[2:]] == ["start", "payment_method", "account_opened"]


def test_the_audit_is_filtered_by_person_action_time_and_number(started):
    running(started)
    running(started, "bob", instance_type="small")
    started.run("extend", "bob")

    def actions(*words):
        return [row["action"] for row in json.loads(started.run("audit", "--json", *words).out)]

    assert actions("--user", "bob") == ["extend", "start", "payment_method", "account_opened"]
    assert actions("--action", "start") == ["start", "start"]
    assert actions("--since", "10m") == ["extend"]
    assert actions("--since", f"{now() - 10 * MINUTE:%Y-%m-%dT%H:%M:%S}") == ["extend"]
    assert actions("--limit", "2") == ["extend", "start"]
    assert actions("--since", "2999-01-01") == []
    assert started.run("audit", "--action", "nothing").out == "Nothing that fits is in the audit.\n"


@pytest.mark.parametrize("words", [("--since", "yesterday"), ("--limit", "0"), ("--limit", "x")])
def test_a_filter_that_makes_no_sense_is_a_wrong_argument(started, words):
    said = started.run("audit", *words)
    assert said.code == 2 and "write a" in said.err


def test_the_audit_s_old_name_answers_with_a_hint(started):
    running(started)
    said = started.run("log", "--action", "start", "--json")
    assert [row["action"] for row in json.loads(said.out)] == ["start"]
    assert (said.code, said.err) == (0, "gradienthub: `log` is `gradienthub audit` now.\n")


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (("ann",), "gradienthub verify ann"),
        (("ann", "--head", "3f1c"), "gradienthub verify ann --head 3f1c"),
        (("--head", "3f1c"), "gradienthub verify --head 3f1c"),
    ],
)
def test_what_only_the_old_audit_took_is_refused_with_the_name_of_the_new_one(
    started, words, command
):
    said = started.run("audit", *words)
    assert (said.code, said.out) == (2, "")
    assert f"`{command}`" in said.err and len(said.err.splitlines()) == 1


def test_a_nightly_job_that_ran_the_old_audit_is_told(started):
    assert "`gradienthub verify` checks the money" in started.run("audit").err
    assert started.run("audit", "--action", "start").err == ""
