"""The command line as a whole: its commands, its exit codes, its sentences."""

import pytest

from gradienthub import __version__
from gradienthub.cli import COMMANDS, parser

SUBCOMMANDS = (
    "demo",
    "init",
    "check",
    "adopt",
    "account",
    "stop",
    "tier",
    "leases",
    "extend",
    "credit",
    "budget",
    "approve",
    "usage",
    "statement",
    "verify",
    "devices",
    "findings",
    "audit",
    "warm",
    "mount-helper",
    "upgrade-db",
)


def test_version_is_the_package_s(command):
    said = command("--version")
    assert (said.code, said.out) == (0, f"gradienthub {__version__}\n")


def test_without_a_command_it_names_what_is_wrong(command):
    said = command()
    assert said.code == 2
    assert "COMMAND" in said.err


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_command_explains_itself(command, name):
    said = command(name, "--help")
    assert said.code == 0
    assert f"gradienthub {name}" in said.out


def test_no_command_is_left_out_of_these_tests():
    assert len(COMMANDS) == len(SUBCOMMANDS)
    assert parser().prog == "gradienthub"


def test_a_wrong_setting_is_one_sentence_and_no_traceback(hub):
    hub.write("c.GradientHub.currency = 'euro'")
    said = hub.run("devices")
    assert said.code == 1
    assert "'euro'" in said.err
    assert "Traceback" not in said.err
    assert len(said.err.splitlines()) == 1


def test_a_wrong_type_of_a_setting_is_a_fault_and_not_a_traceback(hub):
    hub.write("c.GradientHub.answer_timeout = 'soon'")
    said = hub.run("tier", "list")
    assert said.code == 1
    assert "answer_timeout" in said.err


def test_a_ledger_that_does_not_open_is_one_sentence(hub):
    hub.start_once()
    hub.opened.pop().close()
    for file in hub.data_dir.glob("gradienthub.sqlite*"):
        file.unlink()
    (hub.data_dir / "gradienthub.sqlite").write_text("this is no database" * 100)
    said = hub.run("devices")
    assert said.code == 1
    assert "ledger cannot be used now" in said.err
    assert len(said.err.splitlines()) == 1
