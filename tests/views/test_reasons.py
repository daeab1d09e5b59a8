"""The one table of reasons: every reason has its words, and a decided sentence is kept."""

from datetime import UTC, datetime, timedelta

import pytest

from gradienthub.rules.idleness import DECIDED, Reason, Stop
from gradienthub.rules.use import Evidence, Use
from gradienthub.views.reasons import (
    REASONS,
    cure_after,
    cure_before,
    explain,
    last_use,
    why_stopped,
)

HOUR = timedelta(hours=1)
USED = datetime(2026, 11, 27, 16, 20, tzinfo=UTC)
PAGE = "https://hub.example.org/hub/home"
WAITING = "busy without work since 14:20 UTC on 27 Nov"


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_short_word_a_sentence_and_what_to_do(reason):
    words = REASONS[reason]
    assert 0 < len(words.short) <= 30
    assert words.sentence and not words.sentence.endswith(".")
    for cure in (cure_before(reason), cure_after(reason), cure_after(reason, PAGE)):
        assert cure.endswith(".") and "{" not in cure
    assert PAGE in cure_after(reason, PAGE) and "http" not in cure_after(reason)


@pytest.mark.parametrize(
    ("stop", "why"),
    [
        (
            Stop(Reason.IDLE, "idle for 1 h"),
            "idle for 1 h, last kernel activity 16:20 UTC on 27 Nov",
        ),
        (Stop(Reason.NO_WORK, WAITING), WAITING),
        (Stop(Reason.BUDGET, "the money for it ends"), "the budget was used up"),
    ],
)
def test_a_decision_is_explained_once_for_log_ledger_page_and_mail(stop, why):
    evidence = Evidence(used_at=USED, used_by=Use.KERNEL)
    assert explain(stop, evidence) == Stop(stop.reason, why)
    assert why_stopped(stop.reason, why, HOUR, Use.PERSON, USED + HOUR) == why


def test_what_a_person_wrote_is_not_taken_for_the_decision():
    assert why_stopped(Reason.ADMIN, "Sorry.", HOUR, None, None) == "an administrator stopped it"


def test_without_a_decided_sentence_the_lease_says_what_it_knows():
    used = last_use(Use.GPU, USED)
    assert why_stopped(Reason.IDLE, None, HOUR, Use.GPU, USED) == f"idle for 1 h, {used}"
    assert why_stopped(Reason.IDLE, None, HOUR, None, None) == "idle for 1 h"
    for reason in DECIDED - {Reason.IDLE}:
        assert why_stopped(reason, None, HOUR, None, None) == REASONS[reason].sentence
