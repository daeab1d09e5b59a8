"""The checks of `gradienthub check` in their order, and how their results are told."""

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
    """List all results, in the order in which a hub needs them to be well."""
    return [result for check in CHECKS for result in check(scene)]


def summary(results: Iterable[CheckResult]) -> str:
    """Count how many there are of each state."""
    counts: dict[Severity, int] = dict.fromkeys(Severity, 0)
    for result in results:
        counts[result.state] += 1
    return (
        f"{counts[Severity.OK]} ok, {count(counts[Severity.WARN], 'warning')},"
        f" {count(counts[Severity.FAULT], 'fault')}"
    )


def page(results: Iterable[CheckResult]) -> str:
    """Lay the results out for a terminal, each with its cure below it."""
    listed = list(results)
    return "\n".join([*(_lines(result) for result in listed), "", summary(listed)])


def _lines(result: CheckResult) -> str:
    word = result.state.upper() if result.state is Severity.FAULT else result.state.value
    lines = [f"{word:<6}{result.name:<15} {result.says}"]
    lines += [f"{INDENT}{line}" for line in result.cure.splitlines()]
    return "\n".join(lines)
