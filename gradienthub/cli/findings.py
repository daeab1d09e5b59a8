"""The checks of `gradienthub check` in their order, and how their findings are told."""

from collections.abc import Callable, Iterable

from . import (
    configuration_findings,
    container_findings,
    device_findings,
    engine_findings,
    folder_findings,
    ledger_findings,
    proxy_findings,
)
from .finding import Finding, State, count
from .scene import Scene

#: Cures stand below what was found.
INDENT = " " * 22

Check = Callable[[Scene], Iterable[Finding]]

CHECKS: tuple[Check, ...] = (
    configuration_findings.configuration,
    configuration_findings.wiring,
    configuration_findings.weakened,
    container_findings.asked_of_engine,
    configuration_findings.set_traits,
    configuration_findings.old_volumes,
    configuration_findings.hub_id,
    ledger_findings.database,
    ledger_findings.keeper,
    folder_findings.private_files,
    folder_findings.folders,
    folder_findings.storage,
    engine_findings.engine,
    engine_findings.hub_address,
    container_findings.network,
    engine_findings.gpu_runtime,
    device_findings.devices,
    device_findings.machines,
    engine_findings.images,
    ledger_findings.orphans,
    engine_findings.warm_servers,
    ledger_findings.clocks,
    proxy_findings.proxy,
    configuration_findings.messages,
)


def judge(scene: Scene) -> list[Finding]:
    """List all findings, in the order in which a hub needs them to be well."""
    return [finding for check in CHECKS for finding in check(scene)]


def summary(findings: Iterable[Finding]) -> str:
    """Count how many there are of each state."""
    counts: dict[State, int] = dict.fromkeys(State, 0)
    for finding in findings:
        counts[finding.state] += 1
    return (
        f"{counts[State.OK]} ok, {count(counts[State.WARN], 'warning')},"
        f" {count(counts[State.FAULT], 'fault')}"
    )


def page(findings: Iterable[Finding]) -> str:
    """Lay the findings out for a terminal, each with its cure below it."""
    listed = list(findings)
    return "\n".join([*(_lines(finding) for finding in listed), "", summary(listed)])


def _lines(finding: Finding) -> str:
    word = finding.state.upper() if finding.state is State.FAULT else finding.state.value
    lines = [f"{word:<6}{finding.name:<15} {finding.says}"]
    lines += [f"{INDENT}{line}" for line in finding.cure.splitlines()]
    return "\n".join(lines)
