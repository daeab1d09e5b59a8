"""Refused: one shape for every no, that survives whatever carries it."""

import contextlib
import copy
import pickle
import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradienthub
from gradienthub.rules.refusal import STATUS, Refused, shown

FULL = Refused(
    "no_capacity",
    "All 2 P5000 are in use.",
    "P4000 is free now.",
    field="instance_type",
    retry_after=timedelta(minutes=1),
    alternatives=("p4000",),
)
BY_KEYWORDS = Refused(code="bad_body", message="Options are a JSON object.")


def parts(refused: Refused) -> tuple[object, ...]:
    return (
        refused.code,
        refused.message,
        refused.hint,
        refused.field,
        refused.retry_after,
        refused.alternatives,
    )


def test_it_reads_as_message_and_hint():
    assert str(FULL) == FULL.text == "All 2 P5000 are in use. P4000 is free now."
    assert str(BY_KEYWORDS) == "Options are a JSON object."


@pytest.mark.parametrize("refused", [FULL, BY_KEYWORDS], ids=["full", "by keywords"])
@pytest.mark.parametrize(
    "carry",
    [lambda r: pickle.loads(pickle.dumps(r)), copy.copy, copy.deepcopy],
    ids=["pickled", "copied", "deeply copied"],
)
def test_nothing_is_lost_when_it_is_carried(refused, carry):
    carried = carry(refused)
    assert isinstance(carried, Refused)
    assert parts(carried) == parts(refused)
    assert str(carried) == str(refused)


def test_it_passes_through_a_context_manager_as_itself():
    @contextlib.contextmanager
    def transaction():
        yield

    with pytest.raises(Refused) as caught, transaction():
        raise FULL
    assert caught.value is FULL


def test_it_keeps_its_cause_and_takes_notes():
    with pytest.raises(Refused) as caught:
        try:
            raise OSError("the disk")
        except OSError as fault:
            refused = Refused("ledger_away", "No notebook can start now.")
            refused.add_note("seen by a test")
            raise refused from fault
    assert isinstance(caught.value.__cause__, OSError)


def test_two_refusals_of_the_same_words_are_two_events():
    assert Refused("bad_body", "x") != Refused("bad_body", "x")
    assert len({FULL, BY_KEYWORDS}) == 2


def test_an_unlisted_code_cannot_be_raised():
    with pytest.raises(ValueError, match="'because' is not a refusal code"):
        Refused("because", "I say so.")


def test_each_code_has_its_kind_of_status():
    assert {
        status: sorted(c for c, s in STATUS.items() if s == status)
        for status in sorted(set(STATUS.values()))
    } == {
        400: [
            "bad_body",
            "bad_image",
            "bad_interval",
            "bad_name",
            "bad_option",
            "bad_query",
            "bad_stop_at",
            "interval_required",
            "no_instance_type",
            "reason_required",
            "unknown_instance_type",
            "unknown_option",
            "unknown_runtime",
        ],
        401: ["not_logged_in"],
        402: ["no_credit", "over_budget", "payment_method_required", "tier_cannot_pay"],
        403: [
            "approval_required",
            "hook_refused",
            "image_not_allowed",
            "interval_not_allowed",
            "not_allowed",
            "runtime_not_in_tier",
            "type_not_in_tier",
        ],
        404: ["not_found"],
        405: ["bad_method"],
        409: [
            "another_lease",
            "cannot_extend",
            "image_failing",
            "key_used",
            "name_taken",
            "never_answering",
            "not_running",
            "start_cancelled",
            "still_stopping",
            "too_many_extensions",
            "too_many_notebooks",
            "too_many_running",
        ],
        429: ["hub_busy"],
        500: ["failed"],
        502: ["hook_failed", "start_failed"],
        503: [
            "disk_full",
            "engine_away",
            "hub_away",
            "keeper_starting",
            "ledger_away",
            "no_capacity",
            "still_checking",
        ],
    }
    assert FULL.status == 503


def test_every_code_that_is_raised_somewhere_is_listed():
    code = re.compile(r'\bRefused\(\s*"(\w+)"')
    folder = Path(next(iter(gradienthub.__path__)))
    raised = {c for file in folder.rglob("*.py") for c in code.findall(file.read_text())}
    assert raised <= set(STATUS)


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("p5000", "“p5000”"),
        ("", "“”"),
        (None, "“None”"),
        (["a", 1], "“['a', 1]”"),
        ("a\nb\x1b[31m\u202e\ud800", "“a�b�[31m��”"),
        ("x" * 61, "“" + "x" * 60 + "…”"),
        (10**5000, "“a huge int”"),
    ],
    ids=["text", "empty", "nothing", "list", "control codes", "long", "huge number"],
)
def test_a_hostile_value_is_shown_short_and_printable(value, text):
    assert shown(value) == text


def test_a_body_nested_deeper_than_the_stack_is_shown():
    assert shown(nested(100_000)).startswith("“[[[")


@settings(deadline=None)
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary()),
        lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    ),
    st.sampled_from([1, 60, 200]),
)
def test_whatever_came_in_a_message_is_bounded_and_printable(value, limit):
    text = shown(value, limit)
    assert len(text) <= limit + 3
    assert text.isprintable()
