"""gradienthub check: is everything as a hub needs it, and what to do where it is not."""

import argparse
from collections.abc import Iterable
from typing import Any

from . import config, scene
from .findings import Finding, State, judge, summary

INDENT = " " * 22


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """`gradienthub check` and its options."""
    parser = subparsers.add_parser(
        "check",
        help="is everything as a hub needs it, and what to do where it is not",
        description="Looks at configuration, engine, devices, folders, ledger and proxy, and"
        " changes nothing. Run it as the hub's own user, before or beside the hub. Exit code 1"
        " where there is a fault.",
    )
    config.add_config_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print every finding; 1 where one is a fault."""
    findings = judge(scene.look(config.load(args.config)))
    print(page(findings))
    return 1 if any(finding.state is State.FAULT for finding in findings) else 0


def page(findings: Iterable[Finding]) -> str:
    """The findings for a terminal, each with its cure below it."""
    listed = list(findings)
    return "\n".join([*(_lines(finding) for finding in listed), "", summary(listed)])


def _lines(finding: Finding) -> str:
    word = finding.state.upper() if finding.state is State.FAULT else finding.state.value
    text = f"{word:<6}{finding.name:<15} {finding.says}"
    if finding.cure:
        text += "\n" + "\n".join(f"{INDENT}{line}" for line in finding.cure.splitlines())
    return text
