"""The checks of `gradienthub check` in their order, and how their findings are told."""

from collections.abc import Callable, Iterable

from . import (
    check_configuration,
    check_containers,
    check_devices,
    check_engine,
    check_folders,
    check_ledger,
    check_proxy,
)
from .check_result import CheckResult, Severity, count
from .check_scene import Scene

#: Cures stand below what was found.
INDENT = " " * 22

Check = Callable[[Scene], Iterable[CheckResult]]

CHECKS: tuple[Check, ...] = (
    check_configuration.configuration,
    check_configuration.wiring,
    check_configuration.weakened,
    check_containers.asked_of_engine,
    check_configuration.set_traits,
    check_configuration.old_volumes,
    check_configuration.hub_id,
    check_ledger.database,
    check_ledger.keeper,
    check_folders.private_files,
    check_folders.folders,
    check_folders.storage,
    check_engine.engine,
    check_engine.hub_address,
    check_containers.network,
    check_engine.gpu_runtime,
    check_devices.devices,
    check_devices.machines,
    check_engine.images,
    check_ledger.orphans,
    check_engine.warm_servers,
    check_ledger.clocks,
    check_proxy.proxy,
    check_configuration.messages,
)


def judge(scene: Scene) -> list[CheckResult]:
    """List all findings, in the order in which a hub needs them to be well."""
    return [finding for check in CHECKS for finding in check(scene)]


def summary(findings: Iterable[CheckResult]) -> str:
    """Count how many there are of each state."""
    counts: dict[Severity, int] = dict.fromkeys(Severity, 0)
    for finding in findings:
        counts[finding.state] += 1
    return (
        f"{counts[Severity.OK]} ok, {count(counts[Severity.WARN], 'warning')},"
        f" {count(counts[Severity.FAULT], 'fault')}"
    )


def page(findings: Iterable[CheckResult]) -> str:
    """Lay the findings out for a terminal, each with its cure below it."""
    listed = list(findings)
    return "\n".join([*(_lines(finding) for finding in listed), "", summary(listed)])


def _lines(finding: CheckResult) -> str:
    word = finding.state.upper() if finding.state is Severity.FAULT else finding.state.value
    lines = [f"{word:<6}{finding.name:<15} {finding.says}"]
    lines += [f"{INDENT}{line}" for line in finding.cure.splitlines()]
    return "\n".join(lines)
