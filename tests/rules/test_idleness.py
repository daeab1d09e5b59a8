"""Who is kept, warned and stopped, and why; test_months.py runs the same rules over months."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradienthub.rules.idleness import (
    Deadlines,
    Ending,
    Keep,
    Reason,
    Stop,
    Warn,
    Warned,
    cull,
    decide,
    ending,
    extend,
    is_blind,
    is_without_work,
    next_end,
    refuse_program,
    standing_warning,
    why_kept,
)
from gradienthub.rules.refusal import Refused
from gradienthub.rules.use import Answer, Effort, Evidence, Use, learn, shift_moments, weigh

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
LEVELS = (15 * MINUTE, 5 * MINUTE, MINUTE)
GRACE = MINUTE
moments = st.none() | st.timedeltas(-3 * HOUR, 3 * HOUR).map(lambda span: NOW + span)


@pytest.mark.parametrize(
    ("idle_for", "deadlines", "verdict"),
    [
        (timedelta(0), Deadlines(HOUR), Keep("idle for 0 s of 1 h")),
        (HOUR - SECOND, Deadlines(HOUR), Keep("idle for 59 min 59 s of 1 h")),
        (HOUR, Deadlines(HOUR), Stop(Reason.IDLE, "idle for 1 h")),
        (9 * HOUR, Deadlines(None), Keep("no idle stop is set")),
        (None, Deadlines(HOUR), Keep("nothing is known of its use")),
        (None, Deadlines(None), Keep("no idle stop is set")),
        # A notebook's clock that is ahead of ours.
        (-5 * SECOND, Deadlines(HOUR), Keep("idle for 0 s of 1 h")),
        (
            timedelta(0),
            Deadlines(HOUR, session_ends_at=NOW),
            Stop(Reason.SESSION_LIMIT, "its tier's session limit"),
        ),
        (timedelta(0), Deadlines(HOUR, session_ends_at=NOW + SECOND), Keep("idle for 0 s of 1 h")),
        (
            timedelta(0),
            Deadlines(HOUR, stop_at=NOW),
            Stop(Reason.STOP_AT, "the end time its owner chose"),
        ),
        (timedelta(0), Deadlines(HOUR, stop_at=NOW + SECOND), Keep("idle for 0 s of 1 h")),
        (
            None,
            Deadlines(None, stop_at=NOW - HOUR),
            Stop(Reason.STOP_AT, "the end time its owner chose"),
        ),
        (
            9 * HOUR,
            Deadlines(HOUR, NOW, NOW),
            Stop(Reason.SESSION_LIMIT, "its tier's session limit"),
        ),
    ],
)
def test_a_notebook_is_kept_or_stopped_for_a_reason(idle_for, deadlines, verdict):
    assert cull(idle_for, deadlines, NOW) == verdict


@given(moments, moments, st.none() | st.timedeltas(SECOND, 100 * HOUR))
def test_unknown_use_never_stops_a_notebook_for_idleness(stop_at, session_ends_at, shutdown_after):
    verdict = cull(None, Deadlines(shutdown_after, stop_at, session_ends_at), NOW)
    assert isinstance(verdict, Keep) or verdict.reason is not Reason.IDLE


@given(st.timedeltas(timedelta(0), 100 * HOUR), st.timedeltas(SECOND, 100 * HOUR))
def test_idleness_alone_stops_exactly_from_the_interval_on(idle_for, shutdown_after):
    stopped = isinstance(cull(idle_for, Deadlines(shutdown_after), NOW), Stop)
    assert stopped == (idle_for >= shutdown_after)


@given(moments, moments, st.none() | st.timedeltas(timedelta(0), 9 * HOUR))
def test_a_hard_end_is_kept_however_busy_a_notebook_is(stop_at, session_ends_at, idle_for):
    ends = [end for end in (stop_at, session_ends_at) if end]
    verdict = cull(idle_for, Deadlines(None, stop_at, session_ends_at), NOW)
    assert isinstance(verdict, Stop) == any(end <= NOW for end in ends)


# -- learn ----------------------------------------------------------------------------------------

TICK = 30 * SECOND
#: Looked at half a minute ago, used twenty minutes ago.
KNOWN = Evidence(
    used_at=NOW - 20 * MINUTE,
    used_by=Use.KERNEL,
    looked_at=NOW - TICK,
    reported_at=NOW - 20 * MINUTE,
)
NEVER = Evidence(used_at=NOW - HOUR)


@pytest.mark.parametrize(
    ("known", "word", "used_at"),
    [
        pytest.param(KNOWN, NOW - 10 * SECOND, NOW - 10 * SECOND, id="used since the last look"),
        pytest.param(KNOWN, NOW - 20 * MINUTE, KNOWN.used_at, id="the same word as before"),
        pytest.param(KNOWN, None, KNOWN.used_at, id="no word"),
        pytest.param(KNOWN, NOW - 5 * HOUR, KNOWN.used_at, id="a lower word: a kernel was deleted"),
        pytest.param(KNOWN, NOW - 19 * MINUTE, NOW, id="higher, yet from before the last look"),
        pytest.param(KNOWN, NOW + 3 * HOUR, NOW, id="a clock that is ahead"),
        pytest.param(KNOWN, NOW.replace(year=9999), KNOWN.used_at, id="the year 9999"),
        pytest.param(KNOWN, NOW.replace(year=1), KNOWN.used_at, id="the year 1"),
        pytest.param(
            replace(KNOWN, reported_at=NOW - 3 * HOUR),
            NOW - 3 * HOUR + SECOND,
            NOW,
            id="a clock that is behind",
        ),
        pytest.param(
            replace(KNOWN, reported_at=NOW + 3 * HOUR),
            NOW + 3 * HOUR,
            KNOWN.used_at,
            id="a clock that is ahead, and not used",
        ),
        pytest.param(
            replace(KNOWN, reported_at=None),
            NOW - 3 * HOUR,
            NOW,
            id="the first kernel of a clock that is behind",
        ),
        pytest.param(
            replace(KNOWN, reported_at=None), NOW - SECOND, NOW - SECOND, id="the first kernel"
        ),
        pytest.param(NEVER, NOW - 7 * MINUTE, NOW - 7 * MINUTE, id="the first look"),
        pytest.param(NEVER, NOW - 61 * MINUTE, NEVER.used_at, id="the first look, used at start"),
        pytest.param(NEVER, NOW + HOUR, NOW, id="the first look, a clock that is ahead"),
        pytest.param(NEVER, None, NEVER.used_at, id="the first look, no word"),
        pytest.param(
            replace(KNOWN, unknown_since=NOW - 9 * MINUTE, looked_at=NOW - 9 * MINUTE),
            NOW - 5 * MINUTE,
            NOW - 5 * MINUTE,
            id="used while it could not be asked",
        ),
        pytest.param(
            replace(KNOWN, used_at=NOW + HOUR, looked_at=NOW + HOUR),
            None,
            NOW,
            id="our own clock was set back",
        ),
    ],
)
def test_what_a_notebook_says_counts_as_far_as_it_can_be_true(known, word, used_at):
    seen = learn(known, Answer((), word, Use.TERMINAL), NOW)
    assert seen.used_at == used_at
    assert seen.used_by is (Use.TERMINAL if used_at > known.used_at else known.used_by)
    assert (seen.looked_at, seen.unknown_since, seen.busy) == (NOW, None, ())
    assert seen.reported_at == (word if word and word.year == NOW.year else None)
    assert learn(seen, Answer((), word), NOW + TICK).used_at == used_at, "said again it is no use"


def test_a_busy_notebook_is_in_use_now_since_it_was_first_seen_busy():
    answer = Answer(("train.ipynb", "GPU 87 %"), NOW - 9 * HOUR, Use.GPU)
    first = learn(KNOWN, answer, NOW)
    assert (first.used_at, first.used_by, first.busy, first.busy_since) == (
        NOW,
        Use.GPU,
        ("train.ipynb", "GPU 87 %"),
        NOW,
    )
    later = learn(first, Answer(("train.ipynb",)), NOW + HOUR)
    assert (later.used_at, later.busy, later.busy_since) == (NOW + HOUR, ("train.ipynb",), NOW)
    done = learn(later, Answer(), NOW + HOUR + TICK)
    assert (done.used_at, done.busy, done.busy_since) == (NOW + HOUR, (), None)


def test_what_does_not_answer_is_unknown_since_it_answered_last():
    first = learn(KNOWN, None, NOW)
    assert first == replace(KNOWN, unknown_since=KNOWN.looked_at, missed_since=NOW)
    assert learn(first, None, NOW + HOUR) == first
    assert learn(NEVER, None, NOW).unknown_since == NEVER.used_at
    busy = learn(KNOWN, Answer(("a",)), NOW)
    lost = learn(busy, None, NOW + TICK)
    assert (lost.busy, lost.busy_since, lost.unknown_since) == ((), None, NOW)
    assert learn(lost, Answer(), NOW + HOUR).unknown_since is None


def test_a_shifted_clock_moves_what_is_ours_and_not_the_notebooks_word():
    known = Evidence(NOW, Use.KERNEL, ("a",), NOW, NOW, NOW, NOW)
    then = NOW + HOUR
    assert shift_moments(known, HOUR) == Evidence(then, Use.KERNEL, ("a",), then, then, then, NOW)
    assert shift_moments(NEVER, -HOUR) == Evidence(NEVER.used_at - HOUR)
    assert shift_moments(shift_moments(known, HOUR), -HOUR) == known


# -- decide ---------------------------------------------------------------------------------------


def idle(span, **changes):
    """A notebook that was looked at now and used that long ago."""
    return replace(KNOWN, used_at=NOW - span, looked_at=NOW, **changes)


def warned(reason, in_, level, ago, other=None):
    """A warning of a stop `in_` from now, given `ago`."""
    return Warned(reason, NOW + in_, level, NOW - ago, other)


NONE, IDLE, LIMIT = timedelta(0), Reason.IDLE, Reason.SESSION_LIMIT
BUSY = idle(NONE, busy=("train.ipynb",), busy_since=NOW - 9 * HOUR)
UNKNOWN = idle(9 * HOUR, unknown_since=NOW - 5 * HOUR)


def session(span, interval=HOUR):
    return Deadlines(interval, session_ends_at=NOW + span)


def warn_idle(in_, level, interval="1 h"):
    return Warn(IDLE, NOW + in_, level, f"idle for {interval}")


def warn_limit(in_, level):
    return Warn(LIMIT, NOW + in_, level, "its tier's session limit")


STOP_IDLE = Stop(IDLE, "idle for 1 h")
STOP_LIMIT = Stop(LIMIT, "its tier's session limit")
#: Given before it was used again.
VOID = warned(IDLE, -MINUTE, MINUTE, 20 * MINUTE)


@pytest.mark.parametrize(
    ("evidence", "deadlines", "told", "verdict"),
    [
        pytest.param(idle(NONE), Deadlines(HOUR), None, Keep("idle for 0 s of 1 h"), id="used now"),
        pytest.param(
            idle(44 * MINUTE),
            Deadlines(HOUR),
            None,
            Keep("idle for 44 min of 1 h"),
            id="16 minutes before",
        ),
        pytest.param(
            idle(45 * MINUTE),
            Deadlines(HOUR),
            None,
            warn_idle(15 * MINUTE, 15 * MINUTE),
            id="15 minutes before",
        ),
        pytest.param(
            idle(46 * MINUTE),
            Deadlines(HOUR),
            warned(IDLE, 14 * MINUTE, 15 * MINUTE, MINUTE),
            Keep("idle for 46 min of 1 h"),
            id="15 were told",
        ),
        pytest.param(
            idle(55 * MINUTE),
            Deadlines(HOUR),
            warned(IDLE, 5 * MINUTE, 15 * MINUTE, 10 * MINUTE),
            warn_idle(5 * MINUTE, 5 * MINUTE),
            id="5 minutes before",
        ),
        pytest.param(
            idle(58 * MINUTE),
            Deadlines(HOUR),
            None,
            warn_idle(2 * MINUTE, 5 * MINUTE),
            id="2 minutes before, nothing was told",
        ),
        pytest.param(
            idle(59 * MINUTE + 10 * SECOND),
            Deadlines(HOUR),
            warned(IDLE, 50 * SECOND, 5 * MINUTE, 4 * MINUTE),
            warn_idle(MINUTE, MINUTE),
            id="the last warning is a whole minute",
        ),
        pytest.param(
            idle(HOUR),
            Deadlines(HOUR),
            warned(IDLE, NONE, MINUTE, MINUTE),
            STOP_IDLE,
            id="its time",
        ),
        pytest.param(
            idle(HOUR),
            Deadlines(HOUR),
            warned(IDLE, NONE, 15 * MINUTE, 15 * MINUTE),
            STOP_IDLE,
            id="its time, one warning was enough",
        ),
        pytest.param(
            idle(HOUR),
            Deadlines(HOUR),
            None,
            warn_idle(MINUTE, MINUTE),
            id="its time, nothing was told",
        ),
        pytest.param(
            idle(9 * HOUR),
            Deadlines(HOUR),
            None,
            warn_idle(MINUTE, MINUTE),
            id="nobody looked for hours",
        ),
        pytest.param(
            idle(9 * HOUR),
            Deadlines(HOUR),
            warned(IDLE, SECOND, MINUTE, 59 * SECOND),
            Keep("idle for 9 h of 1 h"),
            id="and it has another second",
        ),
        pytest.param(
            idle(9 * HOUR),
            Deadlines(HOUR),
            warned(IDLE, NONE, MINUTE, MINUTE),
            STOP_IDLE,
            id="and now it has none",
        ),
        pytest.param(
            idle(15 * MINUTE),
            Deadlines(HOUR),
            VOID,
            Keep("idle for 15 min of 1 h"),
            id="used after a warning",
        ),
        pytest.param(
            idle(46 * MINUTE),
            Deadlines(HOUR),
            warned(IDLE, -9 * MINUTE, MINUTE, HOUR),
            warn_idle(14 * MINUTE, 15 * MINUTE),
            id="used after a warning and idle again",
        ),
        pytest.param(
            idle(HOUR),
            Deadlines(HOUR, keep_until=NOW + 40 * MINUTE),
            warned(IDLE, NONE, MINUTE, MINUTE),
            Keep("idle for 1 h of 1 h"),
            id="extended",
        ),
        pytest.param(
            idle(50 * MINUTE),
            Deadlines(HOUR, keep_until=NOW - MINUTE),
            None,
            warn_idle(10 * MINUTE, 15 * MINUTE),
            id="extended long ago",
        ),
        pytest.param(
            idle(MINUTE),
            Deadlines(5 * MINUTE, keep_until=NOW + 10 * MINUTE),
            warned(IDLE, 10 * MINUTE, 15 * MINUTE, 2 * MINUTE),
            Keep("idle for 1 min of 5 min"),
            id="used, which moves no extended stop",
        ),
        pytest.param(
            idle(50 * MINUTE),
            Deadlines(30 * MINUTE),
            warned(IDLE, 10 * MINUTE, 15 * MINUTE, 5 * MINUTE),
            warn_idle(MINUTE, MINUTE, "30 min"),
            id="the interval was shortened",
        ),
        pytest.param(
            idle(50 * MINUTE),
            Deadlines(6 * HOUR),
            warned(IDLE, 10 * MINUTE, 15 * MINUTE, 5 * MINUTE),
            Keep("idle for 50 min of 6 h"),
            id="the interval was lengthened",
        ),
        pytest.param(
            idle(2 * MINUTE),
            Deadlines(5 * MINUTE),
            None,
            Keep("idle for 2 min of 5 min"),
            id="longer warnings than half the interval are left out",
        ),
        pytest.param(
            idle(4 * MINUTE),
            Deadlines(5 * MINUTE),
            None,
            warn_idle(MINUTE, MINUTE, "5 min"),
            id="the one that is left",
        ),
        pytest.param(
            idle(89 * SECOND),
            Deadlines(90 * SECOND),
            None,
            Keep("idle for 1 min 29 s of 1 min 30 s"),
            id="none is left before",
        ),
        pytest.param(
            idle(90 * SECOND),
            Deadlines(90 * SECOND),
            None,
            warn_idle(MINUTE, MINUTE, "1 min 30 s"),
            id="and it comes after",
        ),
        pytest.param(
            idle(HOUR),
            Deadlines(HOUR),
            warned(IDLE, HOUR + MINUTE, MINUTE, -HOUR),
            warn_idle(MINUTE, MINUTE),
            id="a warning from before our clock was set back",
        ),
        pytest.param(
            idle(9 * HOUR), Deadlines(None), None, Keep("no idle stop is set"), id="no interval"
        ),
        pytest.param(BUSY, Deadlines(HOUR), None, Keep("busy for 9 h: train.ipynb"), id="busy"),
        pytest.param(
            BUSY,
            Deadlines(HOUR),
            warned(IDLE, NONE, MINUTE, MINUTE),
            Keep("busy for 9 h: train.ipynb"),
            id="busy after a warning",
        ),
        pytest.param(
            UNKNOWN,
            Deadlines(HOUR),
            warned(IDLE, -HOUR, MINUTE, 2 * HOUR),
            Keep("its use cannot be told for 5 h"),
            id="unknown",
        ),
        pytest.param(
            UNKNOWN,
            session(4 * MINUTE),
            None,
            warn_limit(4 * MINUTE, 5 * MINUTE),
            id="unknown near a hard end",
        ),
        pytest.param(UNKNOWN, session(NONE), None, STOP_LIMIT, id="unknown at a hard end"),
        pytest.param(BUSY, session(NONE), None, STOP_LIMIT, id="busy at a hard end"),
        pytest.param(
            BUSY,
            session(16 * MINUTE),
            None,
            Keep("busy for 9 h: train.ipynb"),
            id="busy, a hard end is far",
        ),
        pytest.param(
            BUSY,
            session(15 * MINUTE),
            None,
            warn_limit(15 * MINUTE, 15 * MINUTE),
            id="busy, a hard end is near",
        ),
        pytest.param(
            BUSY,
            session(14 * MINUTE),
            warned(LIMIT, 14 * MINUTE, 15 * MINUTE, MINUTE),
            Keep("busy for 9 h: train.ipynb"),
            id="and was told",
        ),
        pytest.param(
            BUSY,
            session(3 * MINUTE),
            warned(LIMIT, 3 * MINUTE + 59 * SECOND, 5 * MINUTE, MINUTE),
            Keep("busy for 9 h: train.ipynb"),
            id="and moved by seconds",
        ),
        pytest.param(
            BUSY,
            session(3 * MINUTE),
            warned(LIMIT, 9 * MINUTE, 15 * MINUTE, MINUTE),
            warn_limit(3 * MINUTE, 5 * MINUTE),
            id="and moved by minutes",
        ),
        pytest.param(
            BUSY,
            session(8 * MINUTE),
            warned(
                IDLE,
                3 * MINUTE,
                5 * MINUTE,
                MINUTE,
                warned(LIMIT, 8 * MINUTE, 15 * MINUTE, 5 * MINUTE),
            ),
            Keep("busy for 9 h: train.ipynb"),
            id="and was told before an idle warning",
        ),
        pytest.param(
            idle(56 * MINUTE),
            session(9 * MINUTE),
            warned(
                LIMIT, 9 * MINUTE, 15 * MINUTE, MINUTE, warned(IDLE, 4 * MINUTE, 5 * MINUTE, MINUTE)
            ),
            Keep("idle for 56 min of 1 h"),
            id="an idle warning before a hard one",
        ),
        pytest.param(
            idle(HOUR),
            session(MINUTE),
            None,
            warn_limit(MINUTE, MINUTE),
            id="a hard end comes before the idle warning's is over",
        ),
        pytest.param(
            idle(HOUR),
            session(30 * SECOND),
            warned(LIMIT, 30 * SECOND, MINUTE, TICK),
            Keep("idle for 1 h of 1 h"),
            id="and was told",
        ),
        pytest.param(
            idle(HOUR),
            session(MINUTE + SECOND),
            None,
            warn_idle(MINUTE, MINUTE),
            id="a hard end comes just after",
        ),
        pytest.param(
            idle(HOUR),
            session(NONE),
            warned(IDLE, NONE, MINUTE, MINUTE),
            STOP_LIMIT,
            id="both at once: the hard end's",
        ),
        pytest.param(
            idle(NONE),
            Deadlines(HOUR, NOW, NOW + HOUR),
            None,
            Stop(Reason.STOP_AT, "the end time its owner chose"),
            id="its owner's end",
        ),
        pytest.param(
            idle(NONE),
            Deadlines(HOUR, NOW + HOUR, money_ends_at=NOW),
            None,
            Stop(Reason.BUDGET, "the money for it ends"),
            id="the end of its money",
        ),
        pytest.param(
            idle(NONE),
            Deadlines(HOUR, NOW + HOUR, keep_until=NOW + 9 * HOUR, session_ends_at=NOW),
            None,
            STOP_LIMIT,
            id="Extend holds no hard end up",
        ),
    ],
)
def test_each_notebook_has_its_verdict(evidence, deadlines, told, verdict):
    assert decide(evidence, deadlines, told, LEVELS, NOW) == verdict


def test_each_warning_is_given_once_and_the_stop_comes_at_the_moment_that_was_told():
    evidence, told, given = idle(NONE), None, []
    for step in range(0, 70 * 60, 10):
        now = NOW + step * SECOND
        evidence = learn(evidence, Answer((), KNOWN.reported_at), now)
        match decide(evidence, Deadlines(HOUR), told, LEVELS, now):
            case Warn() as warn:
                given.append((now - NOW, warn.level, warn.stops_at - NOW))
                told = warn.remember(told, now)
            case Stop(reason):
                assert (reason, now) == (IDLE, NOW + HOUR)
                break
    assert given == [(HOUR - level, level, HOUR) for level in LEVELS]


def test_a_warning_remembers_the_last_one_of_the_other_sort_and_no_more():
    hard = warn_limit(15 * MINUTE, 15 * MINUTE).remember(None, NOW)
    first = warn_idle(9 * MINUTE, 15 * MINUTE).remember(hard, NOW + SECOND)
    second = warn_idle(5 * MINUTE, 5 * MINUTE).remember(first, NOW + MINUTE)
    again = warn_limit(5 * MINUTE, 5 * MINUTE).remember(second, NOW + 2 * MINUTE)
    assert hard == Warned(LIMIT, NOW + 15 * MINUTE, 15 * MINUTE, NOW)
    assert (first.other, second.other) == (hard, hard)
    assert again.other == replace(second, other=None)


steps = st.lists(
    st.tuples(
        st.timedeltas(-2 * HOUR, 3 * HOUR),
        st.none()
        | st.builds(
            Answer,
            st.sampled_from([(), (), ("a",)]),
            st.none() | st.datetimes(timezones=st.just(UTC)) | moments,
            st.sampled_from(Use),
        ),
    ),
    max_size=30,
)


@given(steps, st.sampled_from([90 * SECOND, 5 * MINUTE, HOUR, 72 * HOUR]), moments, moments)
def test_no_history_of_answers_stops_what_is_busy_unknown_or_unwarned(
    history, interval, session_ends_at, stop_at
):
    """Whatever a notebook says, and however our own clock jumps."""
    deadlines = Deadlines(interval, stop_at, session_ends_at)
    evidence, told, now = Evidence(used_at=NOW), None, NOW
    for span, answer in history:
        now += span
        before, evidence = evidence, learn(evidence, answer, now)
        assert evidence.used_at >= min(before.used_at, now)
        assert evidence.used_at <= now
        verdict = decide(evidence, deadlines, told, LEVELS, now)
        hard = [at for at in (stop_at, session_ends_at) if at and at <= now]
        assert (isinstance(verdict, Stop) and verdict.reason is not IDLE) == bool(hard)
        if isinstance(verdict, Stop):
            if not hard:
                assert answer is not None
                assert not answer.busy
                assert told is not None
                assert now - evidence.used_at >= interval
                idle_told = [w for w in (told, told.other) if w and w.reason is IDLE]
                assert any(w.at + GRACE <= w.stops_at <= now for w in idle_told)
            return
        if isinstance(verdict, Warn):
            assert verdict.stops_at > now
            told = verdict.remember(told, now)
            shown = standing_warning(told, evidence, deadlines, GRACE)
            assert shown is None or shown.stops_at == verdict.stops_at


# -- what people are told -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("evidence", "deadlines", "told", "end"),
    [
        (idle(NONE), Deadlines(HOUR), None, Ending(NOW + HOUR, IDLE, "idle for 1 h")),
        (idle(NONE), Deadlines(None), None, None),
        (BUSY, Deadlines(HOUR), None, None),
        (UNKNOWN, Deadlines(HOUR), None, None),
        (BUSY, session(HOUR), None, Ending(NOW + HOUR, LIMIT, "its tier's session limit")),
        (
            idle(MINUTE),
            Deadlines(HOUR, keep_until=NOW + 2 * HOUR),
            None,
            Ending(NOW + 2 * HOUR, IDLE, "idle for 1 h"),
        ),
        (
            idle(9 * HOUR),
            Deadlines(HOUR),
            warned(IDLE, TICK, MINUTE, TICK),
            Ending(NOW + TICK, IDLE, "idle for 1 h"),
        ),
        (idle(NONE), session(HOUR), None, Ending(NOW + HOUR, LIMIT, "its tier's session limit")),
        (idle(SECOND), session(HOUR), None, Ending(NOW + HOUR - SECOND, IDLE, "idle for 1 h")),
    ],
)
def test_people_see_when_it_stops_as_things_stand(evidence, deadlines, told, end):
    assert ending(evidence, deadlines, told, GRACE) == end


def test_a_warning_is_shown_while_it_is_true_and_no_longer():
    told = warned(IDLE, 5 * MINUTE, 5 * MINUTE, NONE)
    evidence, deadlines = idle(55 * MINUTE), Deadlines(HOUR)
    assert standing_warning(told, evidence, deadlines, GRACE) == told
    assert standing_warning(None, evidence, deadlines, GRACE) is None
    for changed in (
        learn(evidence, Answer((), NOW + SECOND), NOW + TICK),
        learn(evidence, Answer(("a",)), NOW + TICK),
        learn(evidence, None, NOW + TICK),
    ):
        assert standing_warning(told, changed, deadlines, GRACE) is None
    assert (
        standing_warning(told, evidence, replace(deadlines, keep_until=NOW + HOUR), GRACE) is None
    )
    hard = warned(LIMIT, 8 * MINUTE, 15 * MINUTE, NONE)
    both = replace(told, other=hard)
    busy = learn(evidence, Answer(("a",)), NOW + TICK)
    assert standing_warning(both, busy, session(8 * MINUTE), GRACE) == hard


def test_what_keeps_it_alive_is_said_in_words():
    assert why_kept(replace(BUSY, busy_since=None), Deadlines(HOUR), NOW) == "busy: train.ipynb"
    assert why_kept(idle(-HOUR), Deadlines(HOUR), NOW) == "idle for 0 s of 1 h"
    assert why_kept(UNKNOWN, Deadlines(None), NOW) == "its use cannot be told for 5 h"


@pytest.mark.parametrize(
    ("evidence", "deadlines", "blind"),
    [
        (UNKNOWN, Deadlines(4 * HOUR), True),
        (UNKNOWN, Deadlines(5 * HOUR), False),
        (UNKNOWN, Deadlines(None), False),
        (idle(9 * HOUR), Deadlines(HOUR), False),
    ],
)
def test_it_is_blind_once_nothing_was_known_for_longer_than_the_interval(
    evidence, deadlines, blind
):
    assert is_blind(evidence, deadlines, NOW) is blind


# -- extend ---------------------------------------------------------------------------------------


def extended(deadlines, evidence=None, longest=None):
    evidence = evidence or idle(50 * MINUTE)
    return extend(ending(evidence, deadlines, None, GRACE), deadlines, longest, NOW)


@pytest.mark.parametrize(
    ("deadlines", "longest", "keep_until", "stop_at"),
    [
        pytest.param(Deadlines(HOUR), None, HOUR, None, id="one more interval"),
        pytest.param(Deadlines(HOUR), 20 * MINUTE, 20 * MINUTE, None, id="at most the tier's"),
        pytest.param(Deadlines(9 * 24 * HOUR), None, 72 * HOUR, None, id="at most three days"),
        pytest.param(
            Deadlines(HOUR, keep_until=NOW + 2 * HOUR),
            None,
            2 * HOUR,
            None,
            id="never less than before",
        ),
        pytest.param(session(30 * MINUTE), None, 30 * MINUTE, None, id="not past the session"),
        pytest.param(
            Deadlines(HOUR, money_ends_at=NOW + 30 * MINUTE),
            None,
            30 * MINUTE,
            None,
            id="not past the money",
        ),
        pytest.param(
            Deadlines(HOUR, NOW + 5 * MINUTE),
            None,
            HOUR,
            HOUR,
            id="the end its owner chose moves too",
        ),
        pytest.param(
            Deadlines(HOUR, NOW + 5 * HOUR), None, HOUR, 5 * HOUR, id="but never to an earlier time"
        ),
        pytest.param(
            Deadlines(HOUR, NOW + 5 * MINUTE, NOW + 20 * MINUTE),
            None,
            20 * MINUTE,
            20 * MINUTE,
            id="nor past the session",
        ),
        pytest.param(
            Deadlines(None, NOW + 5 * MINUTE),
            2 * HOUR,
            2 * HOUR,
            2 * HOUR,
            id="without an interval by what the tier allows",
        ),
    ],
)
def test_extend_gives_one_more_interval(deadlines, longest, keep_until, stop_at):
    given = extended(deadlines, longest=longest)
    assert given == replace(
        deadlines, keep_until=NOW + keep_until, stop_at=None if stop_at is None else NOW + stop_at
    )


@pytest.mark.parametrize("evidence", [BUSY, UNKNOWN], ids=["busy", "unknown"])
def test_what_is_busy_or_unknown_now_is_extended_for_when_it_is_idle(evidence):
    """Nothing but its session limit ends it now, and that is hours away."""
    assert extended(session(9 * HOUR), evidence).keep_until == NOW + HOUR


@pytest.mark.parametrize(
    ("deadlines", "evidence", "words"),
    [
        (session(5 * MINUTE), None, "its tier's session limit"),
        (session(30 * MINUTE), BUSY, "its tier's session limit"),
        (Deadlines(HOUR, money_ends_at=NOW + 5 * MINUTE), None, "the money for it ends"),
        (Deadlines(None), None, "Nothing stops it when idle"),
        (session(HOUR, None), None, "Nothing stops it when idle"),
    ],
)
def test_what_extend_cannot_move_is_refused_with_the_reason(deadlines, evidence, words):
    refused = extended(deadlines, evidence)
    assert isinstance(refused, Refused)
    assert words in refused.message


spans = st.timedeltas(SECOND, 100 * HOUR)


@given(spans, st.none() | spans, st.none() | spans, moments, st.none() | spans)
def test_extend_moves_nothing_closer_and_nothing_past_a_fixed_end(
    interval, session_left, stop_left, keep_until, longest
):
    deadlines = Deadlines(
        interval, stop_left and NOW + stop_left, session_left and NOW + session_left, keep_until
    )
    given_ = extended(deadlines, longest=longest)
    if isinstance(given_, Refused):
        assert session_left is not None
        return
    assert given_.session_ends_at == deadlines.session_ends_at
    assert (given_.stop_at is None) == (stop_left is None)
    assert given_.stop_at is None or given_.stop_at >= NOW + stop_left
    before = ending(idle(50 * MINUTE), deadlines, None, GRACE)
    assert ending(idle(50 * MINUTE), given_, None, GRACE).at >= before.at
    most = min(interval, longest or interval, 72 * HOUR)
    fixed = NOW + min(most, session_left or most)
    assert given_.keep_until == max(fixed, keep_until or fixed)


# -- each signal by itself ------------------------------------------------------------------------


def said(busy=(), unread=(), **ago):
    """An answer whose signals were used so long ago."""
    moments = {key: (NOW - span, Use.KERNEL) for key, span in ago.items()}
    used_at = max((at for at, _ in moments.values()), default=None)
    return Answer(busy, used_at, Use.KERNEL, moments, unread)


def test_a_kernel_with_a_moment_ahead_hides_no_use_of_another():
    """The newest of all moments stood still in the future, and a used notebook was idle."""
    seen = learn(NEVER, said(ka=-3 * HOUR, kb=20 * MINUTE), NOW)
    idle_long = replace(seen, used_at=NOW - 20 * MINUTE)
    again = learn(idle_long, said(ka=-3 * HOUR, kb=20 * MINUTE), NOW + TICK)
    assert again.used_at == NOW - 20 * MINUTE, "nothing moved"
    used = learn(again, said(ka=-3 * HOUR, kb=-40 * SECOND), NOW + 2 * TICK)
    assert used.used_at == NOW + 40 * SECOND
    new = learn(again, said(ka=-3 * HOUR, kb=20 * MINUTE, kc=-50 * SECOND), NOW + 2 * TICK)
    assert new.used_at == NOW + 50 * SECOND, "a kernel that was started since the last look"


def test_what_is_unread_is_unknown_and_what_is_read_counts():
    torn = learn(KNOWN, said(k=20 * MINUTE, unread=("1 of 2 kernels",)), NOW)
    assert (torn.unknown_since, torn.missed_since) == (KNOWN.looked_at, NOW)
    assert torn.used_at == KNOWN.used_at
    used = learn(torn, said(k=-5 * SECOND, unread=("1 of 2 kernels",)), NOW + TICK)
    assert (used.used_at, used.missed_since) == (NOW + 5 * SECOND, NOW)
    busy = learn(used, said(busy=("a",), unread=("1 of 2 kernels",)), NOW + 2 * TICK)
    assert (busy.busy, busy.unknown_since, busy.missed_since) == (("a",), None, None)
    whole = learn(used, said(k=-5 * SECOND), NOW + 2 * TICK)
    assert (whole.unknown_since, whole.missed_since, whole.unread) == (None, None, ())


# -- an end of unknown use ------------------------------------------------------------------------

THREE = Deadlines(HOUR).watched_by(3, 3)


def lost(span, **changes):
    """A notebook that answered half an hour before the first look that failed, that long ago."""
    return replace(
        KNOWN,
        used_at=NOW - span - HOUR,
        looked_at=NOW - span - HOUR / 2,
        unknown_since=NOW - span - HOUR / 2,
        missed_since=NOW - span,
        **changes,
    )


WHY_LOST = "its use could not be read since 09:00 UTC on 23 Nov"


@pytest.mark.parametrize(
    ("evidence", "deadlines", "told", "verdict"),
    [
        pytest.param(
            lost(2 * HOUR),
            THREE,
            None,
            Keep("its use cannot be told for 2 h 30 min"),
            id="not long",
        ),
        pytest.param(
            lost(3 * HOUR),
            THREE,
            None,
            Warn(Reason.UNKNOWN_USE, NOW + MINUTE, MINUTE, WHY_LOST),
            id="three intervals, nothing was told",
        ),
        pytest.param(
            lost(3 * HOUR),
            THREE,
            warned(Reason.UNKNOWN_USE, NONE, MINUTE, MINUTE),
            Stop(Reason.UNKNOWN_USE, WHY_LOST),
            id="and was told",
        ),
        pytest.param(
            lost(3 * HOUR),
            THREE,
            warned(IDLE, NONE, MINUTE, MINUTE),
            Warn(Reason.UNKNOWN_USE, NOW + MINUTE, MINUTE, WHY_LOST),
            id="another end was told",
        ),
        pytest.param(
            lost(3 * HOUR),
            replace(THREE, keep_until=NOW + 20 * MINUTE),
            None,
            Keep("its use cannot be told for 3 h 30 min"),
            id="extended",
        ),
        pytest.param(
            lost(99 * HOUR),
            Deadlines(HOUR).watched_by(None, None),
            None,
            Keep("its use cannot be told for 4 d 3 h"),
            id="switched off",
        ),
        pytest.param(
            lost(99 * HOUR),
            Deadlines(HOUR).watched_by(0, 0),
            None,
            Keep("its use cannot be told for 4 d 3 h"),
            id="switched off by 0",
        ),
        pytest.param(
            lost(99 * HOUR),
            Deadlines(None).watched_by(3, 3),
            None,
            Keep("its use cannot be told for 4 d 3 h"),
            id="no idle interval",
        ),
        pytest.param(
            lost(3 * HOUR),
            replace(THREE, session_ends_at=NOW),
            None,
            STOP_LIMIT,
            id="a hard end first",
        ),
        pytest.param(
            lost(3 * HOUR, unread=("1 of 2 kernels",)),
            THREE,
            warned(Reason.UNKNOWN_USE, NONE, MINUTE, MINUTE),
            Stop(
                Reason.UNKNOWN_USE,
                "the use of 1 of 2 kernels could not be read since 09:00 UTC on 23 Nov",
            ),
            id="partly unknown",
        ),
        pytest.param(
            replace(lost(9 * HOUR, unread=("its terminals",)), used_at=NOW - 30 * MINUTE),
            THREE,
            None,
            Keep("the use of its terminals cannot be told for 9 h 30 min"),
            id="partly unknown for long, and used by what is read",
        ),
    ],
)
def test_unknown_use_has_an_end_of_its_own(evidence, deadlines, told, verdict):
    assert decide(evidence, deadlines, told, LEVELS, NOW) == verdict


# -- busy without work ----------------------------------------------------------------------------


def waiting(span, **changes):
    """A busy notebook that did nothing for so long, as its CPU time says."""
    return replace(
        KNOWN,
        used_at=NOW,
        looked_at=NOW,
        busy=("ask.ipynb",),
        busy_since=NOW - 9 * HOUR,
        worked_at=NOW - span,
        cpu_seconds=7.0,
        cpu_at=NOW,
        **{"cpu_load": 0.3} | changes,
    )


WHY_WAITING = "busy without work since 09:00 UTC on 23 Nov"


@pytest.mark.parametrize(
    ("evidence", "deadlines", "told", "verdict"),
    [
        pytest.param(
            waiting(4 * MINUTE), THREE, None, Keep("busy for 9 h: ask.ipynb"), id="a moment ago"
        ),
        pytest.param(
            waiting(2 * HOUR),
            THREE,
            None,
            Keep("busy for 9 h: ask.ipynb, without work for 2 h"),
            id="shown as that",
        ),
        pytest.param(
            waiting(3 * HOUR - 4 * MINUTE),
            THREE,
            None,
            Warn(
                Reason.NO_WORK,
                NOW + 4 * MINUTE,
                5 * MINUTE,
                "busy without work since 09:04 UTC on 23 Nov",
            ),
            id="warned",
        ),
        pytest.param(
            waiting(3 * HOUR),
            THREE,
            warned(Reason.NO_WORK, NONE, MINUTE, MINUTE),
            Stop(Reason.NO_WORK, WHY_WAITING),
            id="stopped",
        ),
        pytest.param(
            waiting(3 * HOUR),
            THREE,
            None,
            Warn(Reason.NO_WORK, NOW + MINUTE, MINUTE, WHY_WAITING),
            id="not unwarned",
        ),
        pytest.param(
            waiting(9 * HOUR, cpu_load=None),
            THREE,
            None,
            Keep("busy for 9 h: ask.ipynb"),
            id="its CPU time is not known",
        ),
        pytest.param(
            waiting(9 * HOUR),
            Deadlines(HOUR).watched_by(3, None),
            None,
            Keep("busy for 9 h: ask.ipynb, without work for 9 h"),
            id="switched off",
        ),
        pytest.param(
            waiting(9 * HOUR),
            replace(THREE, keep_until=NOW + 20 * MINUTE),
            None,
            Keep("busy for 9 h: ask.ipynb, without work for 9 h"),
            id="extended",
        ),
        pytest.param(
            waiting(9 * HOUR),
            Deadlines(None).watched_by(3, 3),
            None,
            Keep("busy for 9 h: ask.ipynb, without work for 9 h"),
            id="no interval",
        ),
    ],
)
def test_busy_without_work_has_an_end_of_its_own(evidence, deadlines, told, verdict):
    assert decide(evidence, deadlines, told, LEVELS, NOW) == verdict


@pytest.mark.parametrize(
    ("effort", "works", "load"),
    [
        pytest.param(Effort(7.1, NOW), False, 0.33, id="a kernel in input()"),
        pytest.param(Effort(37.0, NOW), True, 100.0, id="a busy loop"),
        pytest.param(Effort(8.4, NOW), False, 4.67, id="just below"),
        pytest.param(Effort(8.6, NOW), True, 5.33, id="just above"),
        pytest.param(Effort(7.1, NOW, 60.0), True, 0.33, id="its GPU works"),
        pytest.param(Effort(None, None, 60.0), True, None, id="its GPU works, CPU unknown"),
        pytest.param(Effort(7.1, NOW, 0.0), False, 0.33, id="its GPU waits too"),
        pytest.param(Effort(None, None), False, None, id="nothing is told"),
        pytest.param(Effort(0.2, NOW), False, None, id="a container that was started again"),
        pytest.param(Effort(7.0, NOW - TICK), False, 0.3, id="the reading of the last look again"),
        pytest.param(Effort(7.0, NOW - HOUR), False, None, id="an old reading"),
        pytest.param(Effort(8.6, NOW + HOUR), True, 5.33, id="a clock that is ahead of ours"),
    ],
)
def test_work_is_cpu_time_or_a_loaded_gpu(effort, works, load):
    known = replace(waiting(HOUR), cpu_at=NOW - TICK)
    seen = weigh(known, effort, 5, NOW)
    assert seen.worked_at == (NOW if works else NOW - HOUR)
    assert seen.cpu_load == (None if load is None else pytest.approx(load, abs=0.01))


def test_a_lost_reading_resets_no_clock_and_stops_nothing():
    before = replace(waiting(3 * HOUR), cpu_at=NOW - TICK)
    dark = weigh(before, Effort(), 5, NOW)
    told = warned(Reason.NO_WORK, NONE, MINUTE, MINUTE)
    assert isinstance(decide(dark, THREE, told, LEVELS, NOW), Keep)
    again = weigh(dark, Effort(7.2, NOW + TICK), 5, NOW + TICK)
    assert again.worked_at == before.worked_at
    assert decide(again, THREE, told, LEVELS, NOW + TICK) == Stop(Reason.NO_WORK, WHY_WAITING)


def test_work_during_a_long_time_without_readings_is_work():
    """An hour without a reading in which it may have worked for a while."""
    before = replace(waiting(2 * HOUR), cpu_at=NOW - HOUR)
    assert weigh(before, Effort(7.0 + 36, NOW), 5, NOW).worked_at == NOW
    assert weigh(before, Effort(7.0 + 20, NOW), 5, NOW).worked_at == before.worked_at


def test_a_notebook_that_is_not_busy_has_no_clock_of_work():
    done = learn(waiting(2 * HOUR), said(k=HOUR), NOW + TICK)
    assert done.worked_at is None
    assert is_without_work(done, NOW + TICK) is None
    assert weigh(done, Effort(99.0, NOW + TICK), 5, NOW + TICK).worked_at is None
    busy = learn(done, said(busy=("b",), k=HOUR), NOW + 2 * TICK)
    assert busy.worked_at == NOW + 2 * TICK


def test_an_answer_that_is_lost_resets_no_clock_of_work():
    before = waiting(2 * HOUR)
    gone = learn(before, None, NOW + TICK)
    back = learn(gone, said(busy=("ask.ipynb",)), NOW + 2 * TICK)
    assert back.worked_at == before.worked_at


def test_a_kernel_that_prints_works():
    before = learn(waiting(2 * HOUR), said(busy=("ask.ipynb",), k=HOUR), NOW + TICK)
    spoke = learn(before, said(busy=("ask.ipynb",), k=-TICK - SECOND), NOW + 2 * TICK)
    assert spoke.worked_at == NOW + TICK + SECOND


@given(st.lists(st.tuples(st.floats(0, 4), st.integers(1, 600)), max_size=60), st.floats(1, 4))
def test_what_works_at_every_look_never_ends_for_no_work(looks, intervals):
    """Whatever the distances of looks: at least 5.1 per cent of a CPU between each two."""
    known, now, seconds = learn(waiting(NONE), said(busy=("a",)), NOW), NOW, 7.0
    deadlines = Deadlines(timedelta(minutes=30)).watched_by(3, intervals)
    for cpus, after in looks:
        now += after * SECOND
        seconds += max(cpus, 0.051) * after
        known = weigh(known, Effort(seconds, now), 5, now)
        known = learn(known, said(busy=("a",)), now)
        assert known.worked_at == now
        assert isinstance(decide(known, deadlines, None, LEVELS, now), Keep)


@pytest.mark.parametrize(
    ("before", "most", "words"),
    [
        (0, 8, None),
        (7, 8, None),
        (8, 8, "Programs have extended it 8 times since a person did"),
        (9, 8, "Programs have extended it 9 times"),
        (0, 0, "Programs may not extend it."),
        (999, None, None),
    ],
)
def test_programs_extend_so_often_until_a_person_does(before, most, words):
    refused = refuse_program(before, most)
    assert (refused is None) == (words is None)
    if refused:
        assert refused.message.startswith(words)
        assert refused.hint == "Extend it yourself on the page Notebooks."


# -- the next end ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("evidence", "deadlines", "told", "at"),
    [
        (idle(50 * MINUTE), Deadlines(HOUR), None, NOW + 10 * MINUTE),
        (idle(50 * MINUTE), session(5 * MINUTE), None, NOW + 5 * MINUTE),
        (idle(HOUR), Deadlines(HOUR), None, None),
        (idle(HOUR), Deadlines(HOUR), warned(IDLE, MINUTE, MINUTE, NONE), NOW + MINUTE),
        # A soft end that has passed hides no hard end.
        (idle(HOUR), session(20 * SECOND), None, NOW + 20 * SECOND),
        (BUSY, Deadlines(HOUR), None, None),
        (lost(HOUR), THREE, None, NOW + 2 * HOUR),
        (waiting(HOUR), THREE, None, NOW + 2 * HOUR),
    ],
)
def test_the_next_end_is_when_the_keeper_looks_again(evidence, deadlines, told, at):
    assert next_end(evidence, deadlines, told, GRACE, NOW) == at
