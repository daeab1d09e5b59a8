"""One result of `gradienthub check`: what was looked at, how it is, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad: a fault stops notebooks or what keeps them exact, a warning will one day."""

    OK = "ok"
    WARN = "warn"
    FAULT = "fault"


@dataclass(frozen=True)
class CheckResult:
    """What one check found, and what to do where it is not well."""

    name: str
    state: Severity
    says: str
    cure: str = ""


def ok(name: str, says: str) -> CheckResult:
    """Make a finding that all is well."""
    return CheckResult(name, Severity.OK, says)


def warn(name: str, says: str, cure: str) -> CheckResult:
    """Make a finding that will be trouble one day."""
    return CheckResult(name, Severity.WARN, says, cure)


def fault(name: str, says: str, cure: str) -> CheckResult:
    """Make a finding that stops notebooks, or what keeps them exact."""
    return CheckResult(name, Severity.FAULT, says, cure)


def count(number: int, word: str) -> str:
    """Say a number of things."""
    return f"{number} {word}{'' if number == 1 else 's'}"
