"""Refused: the one shape of every "no", with the same words in the form, REST and pages."""

import reprlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

#: code -> HTTP status. 400 invalid, 402 money, 403 not entitled, 409 own cap or still stopping,
#: 503 no capacity. The documentation lists exactly these codes; a test compares both.
STATUS = {
    "bad_body": 400,
    "unknown_option": 400,
    "bad_option": 400,
    "no_instance_type": 400,
    "unknown_instance_type": 400,
    "unknown_runtime": 400,
    "bad_image": 400,
    "interval_required": 400,
    "bad_interval": 400,
    "bad_stop_at": 400,
    "bad_name": 400,
    "bad_query": 400,
    "not_logged_in": 401,
    "bad_method": 405,
    "failed": 500,
    "reason_required": 400,
    "payment_method_required": 402,
    "tier_cannot_pay": 402,
    "no_credit": 402,
    "over_budget": 402,
    "type_not_in_tier": 403,
    "runtime_not_in_tier": 403,
    "image_not_allowed": 403,
    "interval_not_allowed": 403,
    "approval_required": 403,
    "not_allowed": 403,
    "not_found": 404,
    "name_taken": 409,
    "too_many_running": 409,
    "too_many_notebooks": 409,
    "too_many_extensions": 409,
    "still_stopping": 409,
    "start_cancelled": 409,
    "image_failing": 409,
    "never_answering": 409,
    "not_running": 409,
    "cannot_extend": 409,
    "another_lease": 409,
    "key_used": 409,
    "hub_busy": 429,
    "start_failed": 502,
    "hook_failed": 502,
    "hook_refused": 403,
    "no_capacity": 503,
    "ledger_away": 503,
    "engine_away": 503,
    "disk_full": 503,
    "hub_away": 503,
    "keeper_starting": 503,
    "still_checking": 503,
}


# Not frozen: Python writes a raised exception's traceback into it.
@dataclass(eq=False)
class Refused(Exception):
    """Why a request is not carried out: `message` says what and why, `hint` what to do now.

    Both are public sentences: no internals, no secrets, bounded in length. `retry_after` is set
    where waiting helps and becomes the Retry-After header; `alternatives` are instance types that
    would be admitted now.
    """

    code: str
    message: str
    hint: str = ""
    field: str | None = None
    retry_after: timedelta | None = None
    alternatives: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.code not in STATUS:
            raise ValueError(f"{self.code!r} is not a refusal code; add it to STATUS first")

    @property
    def status(self) -> int:
        """HTTP status of this refusal's code."""
        return STATUS[self.code]

    @property
    def text(self) -> str:
        """Message and hint as one paragraph."""
        return f"{self.message} {self.hint}".strip()

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        # Exceptions are pickled and copied by their positional arguments; ours may have none.
        fields = (self.code, self.message, self.hint, self.field, self.retry_after)
        return type(self), (*fields, self.alternatives)


@dataclass(eq=False)
class Declined(Refused):
    """A refusal by a deployer's own code, which chose its status."""

    own_status: int = 403

    @property
    def status(self) -> int:
        """The status that it chose."""
        return self.own_status

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        made, fields = super().__reduce__()
        return made, (*fields, self.own_status)


def ledger_away(what: str = "No notebook can start now") -> Refused:
    """Return the refusal while the ledger does not answer; `what` says what is not done
    meanwhile."""
    return Refused(
        "ledger_away",
        f"{what}: the ledger does not answer.",
        "Running notebooks go on. Try again in a minute; your administrator sees this.",
        retry_after=timedelta(seconds=60),
    )


def disk_full() -> Refused:
    """Return the refusal of a start whose folders or files cannot be written."""
    return Refused(
        "disk_full",
        "No notebook can start now: the hub's disk takes no more.",
        "Nothing was charged. Running notebooks go on, and can be stopped. Try again in a few"
        " minutes; your administrator sees this.",
        retry_after=timedelta(minutes=5),
    )


def error_body(refused: Refused, **extra: object) -> dict[str, object]:
    """Build the one JSON shape of an error: the hub's `status` and `message`, and our code, hint
    and field."""
    body: dict[str, object] = {
        "status": refused.status,
        "code": refused.code,
        "message": refused.text,
        "hint": refused.hint,
        "field": refused.field,
        "alternatives": list(refused.alternatives),
    }
    if refused.retry_after is not None:
        body["retry_after"] = round(refused.retry_after.total_seconds())
    return body | extra


#: Bounded in depth and length: repr() of a body nested a thousand deep overflows the stack.
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel = 3
_BRIEF.maxstring = _BRIEF.maxother = _BRIEF.maxlong = 60


def _brief(value: object) -> str:
    try:
        return _BRIEF.repr(value)
    except ValueError:
        # Python refuses to write an int of more than 4300 digits.
        return f"a huge {type(value).__name__}"


def shown(value: object, limit: int = 60) -> str:
    """Quote an untrusted value for a message: short, printable, without control codes."""
    text = value if isinstance(value, str) else _brief(value)
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:limit])
    return f"“{clean}…”" if len(text) > limit else f"“{clean}”"


def nobody_watches(title: str) -> Refused:
    """Extend moves what the keeper goes by; the small mode's culler would not see it."""
    return Refused(
        "cannot_extend",
        f"{shown(title)} cannot be extended: no keeper has looked at it yet.",
        "Try again in half a minute. A hub in small mode has no keeper: use the notebook, and it"
        " is not idle.",
    )


def another_lease(title: str) -> Refused:
    """Refuse an act on a lease that is over: the page or program that asks is out of date."""
    return Refused(
        "another_lease",
        f"{shown(title)} was started anew since you saw it.",
        "Nothing was changed. Look at it as it is now, then do it again.",
    )
