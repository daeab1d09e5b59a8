"""Months of notebooks under a simulated clock: what the keeper decides, held against the truth.

A `History` is what really happened to one lease: people at work, kernels that compute in silence,
spells in which notebook or keeper are away, in which a signal cannot be read or a cell hangs,
deadlines that are edited. `watch` runs learn, weigh and decide over it as the keeper does and
judges every verdict by the truth, which the rules never see. Passes between two interesting
moments are left out, because they change nothing.
"""

import random
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from gradienthub.rules.idleness import (
    SOFT,
    Deadlines,
    Reason,
    Refused,
    Stop,
    Warn,
    decide,
    ending,
    extend,
    hard_end,
    next_end,
)
from gradienthub.rules.use import Answer, Effort, Evidence, Use, learn, shift_moments, weigh

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (
    timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days")
)
WORK_PERCENT = 5
LEVELS = (15 * MINUTE, 5 * MINUTE, MINUTE)
GRACE = LEVELS[-1]
INTERVALS = (90 * SECOND, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 6 * HOUR, DAY, 3 * DAY)


class Spells:
    """Spans of time that do not overlap, in order."""

    def __init__(self, spans=()):
        self.spans = []
        for begin, end in sorted(spans):
            if self.spans and begin <= self.spans[-1][1]:
                self.spans[-1] = (self.spans[-1][0], max(end, self.spans[-1][1]))
            else:
                self.spans.append((begin, end))
        self._begins = [begin for begin, _ in self.spans]
        self._lasted = [timedelta(0)]
        for begin, end in self.spans:
            self._lasted.append(self._lasted[-1] + (end - begin))
        self.edges = [edge for span in self.spans for edge in span]

    def last(self, now):
        """The latest span that began by now, or None."""
        at = bisect_right(self._begins, now)
        return self.spans[at - 1] if at else None

    def until(self, now):
        """The time in them until now."""
        at = bisect_right(self._begins, now)
        if not at:
            return timedelta(0)
        begin, end = self.spans[at - 1]
        return self._lasted[at - 1] + (min(now, end) - begin)

    def __contains__(self, now):
        last = self.last(now)
        return last is not None and now < last[1]


@dataclass
class History:
    """The truth about one lease. `skew` is how far the notebook's clock is ahead of ours.

    A use is a moment at which somebody ran a cell, or a terminal spoke. What computes in `busy`
    says nothing until its end, and also then only if it is not `silent`. In `stuck` it is busy and
    does nothing. `torn` are spells in which one of its kernels cannot be read, `dark` those in
    which the engine tells no CPU time. `unknown` and `no_work` count intervals, None: never.
    """

    deadlines: Deadlines
    tick: timedelta
    until: datetime
    uses: list = field(default_factory=list)
    busy: Spells = field(default_factory=Spells)
    silent: bool = False
    away: Spells = field(default_factory=Spells)
    down: Spells = field(default_factory=Spells)
    skew: timedelta = timedelta(0)
    edits: dict = field(default_factory=dict)
    deletions: list = field(default_factory=list)
    stuck: Spells = field(default_factory=Spells)
    torn: Spells = field(default_factory=Spells)
    dark: Spells = field(default_factory=Spells)
    unknown: float | None = None
    no_work: float | None = None

    def __post_init__(self):
        if not self.silent:
            self.uses += [end for _, end in self.busy.spans]
        self.uses.sort()

    def answer(self, now):
        """What the notebook says when it is asked; None where nobody can ask it."""
        if now in self.away:
            return None
        busy = ("train.ipynb",) if now in self.busy or now in self.stuck else ()
        unread = ("1 of 2 kernels",) if now in self.torn else ()
        used = self.last_use(now)
        if used and self.is_deleted(used, now):
            used -= 7 * MINUTE  # the latest moment is an older kernel's
        return Answer(busy, used and used + self.skew, Use.KERNEL, unread=unread)

    def cpu(self, now):
        """Seconds of CPU time so far: idling costs one per cent."""
        return self.busy.until(now).total_seconds() + (now - START).total_seconds() / 100

    def effort(self, now):
        """What the engine tells of its work; None where it tells nothing."""
        return Effort() if now in self.dark else Effort(self.cpu(now), now)

    def is_deleted(self, used, now):
        """Whether the kernel that was used then is gone, with its moment."""
        return any(used < deleted <= now for deleted in self.deletions)

    def last_use(self, now):
        """The last true use until now, or None."""
        at = bisect_right(self.uses, now)
        return self.uses[at - 1] if at else None

    def interesting(self):
        """Moments at which what the notebook says, or who asks it, changes."""
        return sorted(
            [
                *self.uses,
                *self.edits,
                *self.deletions,
                *self.busy.edges,
                *self.away.edges,
                *self.down.edges,
                *self.stuck.edges,
                *self.torn.edges,
                *self.dark.edges,
            ]
        )


class Keeper:
    """The keeper's loop over one lease, as far as the rules go, with a judge beside it."""

    def __init__(self, history):
        self.history = history
        self.evidence = Evidence(used_at=START)
        self.deadlines = history.deadlines
        self.warned = None
        self.stop = None
        self.stopped_at = None
        self.warnings = []
        self.told = Counter()
        # What an observer without a clock error would know: its last use is not before `low`,
        # and not after `high`.
        self.low = self.high = START
        self.seen_use = self.looked_at = None
        self.streak = None  # since when it answers at every pass, and its deadlines are the same
        self.hard_since = START  # since when the hard end is the same and the keeper is there
        self.lost = self.stuck = None  # since when passes see it unknown, or busy without work
        self.passed_at = START
        self.seen_since = None  # since when passes follow each other and see these deadlines

    def edit(self, change, now):
        """Somebody changes the deadlines between two passes."""
        before = self.deadlines
        self.deadlines = change(self, now)
        if self.deadlines != before:
            self.streak, self.hard_since = None, max(now, self.hard_since)
            self.seen_since = None
            self.told.clear()

    def extend(self, longest, now):
        """Somebody presses Extend."""
        end = ending(self.evidence, self.deadlines, self.warned, GRACE)
        given = extend(end, self.deadlines, longest, now)
        if isinstance(given, Refused):
            fixed = hard_end(replace(self.deadlines, stop_at=None))
            assert fixed is None or fixed.at <= now + (self.deadlines.shutdown_after or 3 * DAY)
            return self.deadlines
        span = min(span for span in (self.deadlines.shutdown_after, longest, 3 * DAY) if span)
        fixed = self.deadlines.session_ends_at
        assert given.session_ends_at == fixed
        assert given.keep_until >= min(now + span, fixed or now + span)
        assert given.keep_until <= max(
            min(now + span, fixed or now + span), self.deadlines.keep_until or START
        )
        return given

    def pass_(self, now):
        """One pass: learn, decide, act; then the judge speaks."""
        history = self.history
        answer = history.answer(now)
        self.seen_since = self.seen_since or now
        self.deadlines = self.deadlines.watched_by(history.unknown, history.no_work)
        self.observe(answer, now)
        self.evidence = weigh(self.evidence, history.effort(now), WORK_PERCENT, now)
        self.evidence = learn(self.evidence, answer, now)
        verdict = decide(self.evidence, self.deadlines, self.warned, LEVELS, now)
        self.judge(verdict, answer, now)
        if isinstance(verdict, Warn):
            self.warnings.append((now, verdict))
            self.warned = verdict.remember(self.warned, now)
        elif isinstance(verdict, Stop):
            self.stop, self.stopped_at = verdict, now
        self.passed_at = now

    # -- the judge ----------------------------------------------------------------------------

    def observe(self, answer, now):
        """What can be known of its use by this answer, if one believes no clock but the true."""
        unknown = answer is None or (answer.unread and not answer.busy)
        self.lost = (self.lost or now) if unknown else None
        idling = answer and answer.busy and now not in self.history.dark
        spoke = self.history.last_use(now) != self.seen_use
        if not idling or spoke or self.history.cpu(now) - self.history.cpu(self.passed_at) > 0.5:
            self.stuck = None
        else:
            self.stuck = self.stuck or now
        if answer is None:
            self.streak = None
            return
        used = self.history.last_use(now)
        if answer.busy:
            self.low = self.high = now
        elif used and used != self.seen_use:
            exact = not self.history.skew and not self.history.deletions
            # A kernel that was used and deleted since the last look is not seen.
            if not self.history.is_deleted(used, now):
                self.low = max(self.low, used if exact else self.looked_at or START)
            self.high = max(self.high, used if exact else now)
        self.seen_use, self.looked_at = used, now
        self.streak = None if unknown else self.streak or now

    def judge(self, verdict, answer, now):
        """Every promise of the design, checked against the truth."""
        hard = hard_end(self.deadlines)
        if hard and now >= hard.at:
            assert verdict == Stop(hard.reason, hard.why)
            self.judge_hard_stop(hard, now)
            return
        if isinstance(verdict, Stop):
            assert verdict.reason in SOFT, "a hard stop before its time"
            self.judge_soft_stop(verdict, now)
            if verdict.reason is Reason.IDLE:
                self.judge_idle_stop(answer, now)
            elif verdict.reason is Reason.UNKNOWN_USE:
                self.judge_unknown_stop(now)
            else:
                self.judge_no_work_stop(answer, now)
        elif isinstance(verdict, Warn):
            self.judge_warning(verdict, answer, now)
        self.judge_that_it_goes_on(verdict, answer, now)

    def judge_hard_stop(self, hard, now):
        if self.seen_since < hard.at:
            assert now - hard.at <= SECOND, "a hard stop after its time"
        if (self.deadlines.shutdown_after or HOUR) < 2 * GRACE:
            return  # an idle stop that no warning fits before may hide it until it is too late
        if hard.at - max(self.hard_since, hard.at - LEVELS[0]) >= GRACE + self.history.tick:
            assert any(
                warn.stops_at <= hard.at + MINUTE and given >= hard.at - LEVELS[0]
                for given, warn in self.warnings
            ), "a hard end came unwarned"

    def judge_idle_stop(self, answer, now):
        after = self.deadlines.shutdown_after
        assert answer is not None, "stopped for idleness while nobody can tell"
        assert not answer.busy, "stopped for idleness while busy"
        assert after is not None
        assert now >= self.low + after, "stopped before its interval was over"
        warn = self.warning_of(Reason.IDLE)[1]
        assert warn.stops_at >= self.low + after, "stopped by a warning from before it was used"

    def warning_of(self, reason):
        """(when it was given, the last warning) of a reason."""
        return next(one for one in reversed(self.warnings) if one[1].reason is reason)

    def judge_soft_stop(self, stop, now):
        assert now >= (self.deadlines.keep_until or now), "stopped before what Extend gave"
        given, warn = self.warning_of(stop.reason)
        assert now - given >= GRACE, "stopped without its warning"
        assert now >= warn.stops_at, "stopped before it was told"
        since = {Reason.IDLE: self.streak, Reason.UNKNOWN_USE: self.lost}.get(
            stop.reason, self.stuck
        )
        if since and max(since, self.seen_since) < warn.stops_at:
            assert now - warn.stops_at <= SECOND, "stopped after it was told"

    def judge_unknown_stop(self, now):
        assert self.lost, "stopped for unknown use that is known"
        assert now >= self.lost + self.deadlines.unknown_after
        assert now >= self.low + self.deadlines.shutdown_after

    def judge_no_work_stop(self, answer, now):
        span = self.deadlines.no_work_after
        assert answer is not None and answer.busy
        assert now not in self.history.dark
        used = self.history.cpu(now) - self.history.cpu(now - span)
        assert used <= span.total_seconds() * WORK_PERCENT / 100, "stopped at work"
        spoke = self.history.last_use(now)
        hidden = spoke and self.history.is_deleted(spoke, now)
        assert not spoke or hidden or spoke <= now - span, "stopped beside a kernel in use"

    def judge_warning(self, warn, answer, now):
        assert warn.stops_at > now
        if warn.reason in SOFT and warn.reason is not Reason.IDLE:
            assert warn.stops_at - now >= GRACE
            if warn.reason is Reason.UNKNOWN_USE:
                assert self.lost and warn.stops_at >= self.lost + self.deadlines.unknown_after
            else:
                assert answer is not None and answer.busy
            end = ending(self.evidence, self.deadlines, None, GRACE)
            key = (warn.reason, end.at, warn.level)
        elif warn.reason is Reason.IDLE:
            assert answer is not None and not answer.busy and not answer.unread
            assert warn.stops_at - now >= GRACE
            assert warn.stops_at >= self.low + self.deadlines.shutdown_after
            due = self.evidence.used_at + self.deadlines.shutdown_after
            key = (warn.reason, max(due, self.deadlines.keep_until or due), warn.level)
        else:
            assert warn.stops_at == hard_end(self.deadlines).at
            key = (warn.reason, self.deadlines, warn.level)
        self.told[key] += 1
        assert self.told[key] == 1, "the same warning twice"

    def judge_that_it_goes_on(self, verdict, answer, now):
        after = self.deadlines.shutdown_after
        if isinstance(verdict, Stop) or after is None:
            return
        # Found late, the warning comes at the first look, and the stop when it was told.
        late = GRACE + self.history.tick + SECOND
        kept = max(self.deadlines.keep_until or START, self.hard_since)
        if self.lost:
            span = self.deadlines.unknown_after
            over = span and max(self.lost + span, self.high + after, kept)
            assert not over or now < over + late, "unknown for too long"
        elif answer.busy:
            span = self.deadlines.no_work_after
            over = span and self.stuck and max(self.stuck + span, kept)
            assert not over or now < over + late, "busy without work for too long"
        else:
            over = max(self.high + after, self.deadlines.keep_until or START, self.streak)
            assert now < over + late, "idle for too long"


def watch(history, *, jump=True):
    """Run the keeper over a history until it stops the lease or the history ends."""
    keeper = Keeper(history)
    moments = history.interesting()
    edits = sorted(history.edits)
    now = START + history.tick
    while now < history.until and keeper.stop is None:
        apply_edits(keeper, edits, now)
        if now in history.down:
            keeper.streak = keeper.seen_since = None
            keeper.hard_since = now = _on_grid(history, history.down.last(now)[1])
            continue
        keeper.pass_(now)
        if look_at_ends(keeper, now, edits):
            continue
        following = now + history.tick
        if jump:
            # The pass before something changes is run too: it leaves what was seen last.
            soon = _next(moments, keeper, now)
            following = max(following, _on_grid(history, min(soon, history.until)) - history.tick)
        now = following
    return keeper


def apply_edits(keeper, edits, now):
    """Change what people changed by now."""
    while edits and edits[0] <= now:
        at = edits.pop(0)
        keeper.edit(keeper.history.edits[at], at)


def look_at_ends(keeper, now, edits):
    """Look when each end is due that is known before the next pass; return whether it stopped."""
    history = keeper.history
    following = now + history.tick
    while keeper.stop is None:
        end = next_end(keeper.evidence, keeper.deadlines, keeper.warned, GRACE, now)
        if end is None or end >= following:
            return False
        if end in history.down:
            keeper.streak = keeper.seen_since = None
            return False
        apply_edits(keeper, edits, end)
        keeper.pass_(end)
        now = end
    return True


def _on_grid(history, moment):
    """The first pass at or after a moment."""
    return START - ((START - moment) // history.tick) * history.tick


def _next(moments, keeper, now):
    at = bisect_right(moments, now)
    soon = [moments[at]] if at < len(moments) else []
    ends = [ending(keeper.evidence, keeper.deadlines, keeper.warned, GRACE)]
    ends.append(hard_end(keeper.deadlines))
    for end in filter(None, ends):
        soon += [end.at - level for level in (*LEVELS, timedelta(0)) if end.at - level > now]
    return min(soon, default=keeper.history.until)


# -- histories ----------------------------------------------------------------------------------


def _moments(chance, until, mean):
    """Moments at random distances of about `mean`."""
    now, found = START, []
    while (now := now + mean * chance.expovariate(1)) < until:
        found.append(now.replace(microsecond=chance.randrange(10**6)))
    return found


def _spells(chance, until, every, length):
    return Spells(
        (begin, begin + length * chance.expovariate(1) + SECOND)
        for begin in _moments(chance, until, every)
    )


def _at_work(chance, until, interval):
    """Sessions of a person: cells within minutes, pauses around the interval."""
    uses, now = [], START
    while now < until:
        for _ in range(chance.randrange(1, 12)):
            now += chance.choice((20 * SECOND, 2 * MINUTE, 9 * MINUTE)) * chance.random()
            uses.append(now)
        now += interval * chance.choice((0.3, 0.8, 0.97, 0.995, 1, 1.01, 1.5))
    return uses


def _shorten(keeper, now):
    return replace(keeper.deadlines, shutdown_after=keeper.deadlines.shutdown_after / 2)


def _lengthen(keeper, now):
    return replace(keeper.deadlines, shutdown_after=keeper.deadlines.shutdown_after * 2)


def _edits(chance, until, interval):
    def stop_in(span):
        return lambda keeper, now: replace(keeper.deadlines, stop_at=span and now + span)

    def any_of_them():
        return chance.choice(
            (
                lambda keeper, now: keeper.extend(None, now),
                lambda keeper, now: keeper.extend(10 * MINUTE, now),
                _shorten,
                _lengthen,
                stop_in(interval * chance.random() + SECOND),
                stop_in(8 * MINUTE),
                stop_in(None),
            )
        )

    return {at: any_of_them() for at in _moments(chance, until, interval * 2)}


def a_history(chance):
    """One lease's history, with a handful of everything that may happen to it."""
    interval = chance.choice(INTERVALS)
    until = START + min(60 * DAY, interval * 40)
    session = chance.choice((None, None, 12 * HOUR, interval * 1.7, 3 * DAY))

    def maybe(made, empty):
        return made if chance.random() < 0.5 else empty

    return History(
        deadlines=Deadlines(
            interval,
            stop_at=maybe(None, START + interval * 20 * chance.random()),
            session_ends_at=session and START + session,
        ),
        tick=timedelta(seconds=chance.randrange(10, 61)),
        until=until,
        uses=maybe(_at_work(chance, until, interval), []),
        busy=maybe(
            _spells(chance, until, interval * 1.5, interval * chance.choice((0.1, 1, 3))), Spells()
        ),
        silent=chance.random() < 0.3,
        away=maybe(
            _spells(chance, until, interval * 3, interval * chance.choice((0.02, 0.5, 2))), Spells()
        ),
        down=maybe(
            _spells(chance, until, interval * 5, interval * chance.choice((0.02, 0.5, 2))), Spells()
        ),
        skew=chance.choice((0 * DAY, 0 * DAY, -3 * HOUR, 5 * HOUR, -40 * SECOND, 9 * DAY)),
        edits=maybe(_edits(chance, until, interval), {}),
        deletions=maybe([], _moments(chance, until, interval * 3)),
        stuck=maybe(_spells(chance, until, interval, interval * chance.choice((0.5, 9))), Spells()),
        torn=maybe(
            _spells(chance, until, interval * 8, interval * chance.choice((0.1, 2, 4))), Spells()
        ),
        dark=maybe(
            _spells(chance, until, interval * 3, interval * chance.choice((0.02, 0.5))), Spells()
        ),
        unknown=chance.choice((None, 1, 3)),
        no_work=chance.choice((None, 1, 3)),
    )


@pytest.mark.parametrize("seed", range(20))
def test_months_of_notebooks_are_warned_and_stopped_as_promised(seed):
    chance = random.Random(seed)
    for _ in range(40):
        watch(a_history(chance))


def test_the_histories_come_to_every_end_by_every_warning():
    """Else the test above would prove nothing of what never happened in it."""
    chance = random.Random(0)
    kept = [watch(a_history(chance)) for _ in range(300)]
    assert {k.stop and k.stop.reason for k in kept} == {
        None,
        Reason.SESSION_LIMIT,
        Reason.STOP_AT,
        *SOFT,
    }
    given = Counter((warn.reason, warn.level) for k in kept for _, warn in k.warnings)
    for reason in (Reason.SESSION_LIMIT, Reason.STOP_AT, *SOFT):
        assert all(given[reason, level] > 2 for level in LEVELS)


@pytest.mark.parametrize("seed", range(4))
def test_passes_between_interesting_moments_change_nothing(seed):
    """What the other tests leave out of their months is run here, pass by pass."""
    chance = random.Random(seed)
    history = a_history(chance)
    while history.deadlines.shutdown_after > HOUR or not (history.uses or history.busy.spans):
        history = a_history(chance)
    every, jumped = watch(history, jump=False), watch(history)
    assert (every.stop, every.stopped_at) == (jumped.stop, jumped.stopped_at)
    assert every.warnings == jumped.warnings


# -- our own clock is set ------------------------------------------------------------------------


def _idle_under_a_clock_that_is_set(by, after, *, seen, deadlines):
    """(real time from the last use to the stop, verdict, real times of warnings).

    A notebook is used once at its start, `after` that our clock is set by `by`; `seen` is whether
    the keeper was there to notice.
    """
    tick, told = 30 * SECOND, []
    evidence, warned, offset = Evidence(used_at=START), None, timedelta(0)
    for step in range(1, 2000):
        real = step * tick
        if offset != by and real >= after:
            offset = by
            if seen:
                evidence = shift_moments(evidence, by)
        now = START + real + offset
        evidence = learn(evidence, Answer((), START - MINUTE), now)
        verdict = decide(evidence, deadlines, warned, LEVELS, now)
        if isinstance(verdict, Stop):
            return real, verdict, told
        if isinstance(verdict, Warn):
            told.append(real)
            warned = verdict.remember(warned, now)
    raise AssertionError("it never stops")


JUMPS = [by * sign for by in (HOUR, 20 * SECOND, 9 * DAY) for sign in (1, -1)]
MOMENTS = [HOUR / 2, 46 * MINUTE, HOUR - 30 * SECOND, HOUR]


@pytest.mark.parametrize("by", JUMPS, ids=str)
@pytest.mark.parametrize("after", MOMENTS, ids=str)
def test_a_clock_that_is_seen_to_be_set_moves_no_idle_stop(by, after):
    real, verdict, told = _idle_under_a_clock_that_is_set(
        by, after, seen=True, deadlines=Deadlines(HOUR)
    )
    assert verdict.reason is Reason.IDLE
    assert HOUR <= real <= HOUR + GRACE + 2 * 30 * SECOND
    # A warning named a time of the old clock, so that another one is given.
    assert real - max(told) >= GRACE or any(real - one >= GRACE for one in told if one >= after)


@pytest.mark.parametrize("by", JUMPS, ids=str)
@pytest.mark.parametrize("after", MOMENTS, ids=str)
def test_a_clock_that_is_set_unseen_stops_nothing_unwarned_and_keeps_nothing_for_ever(by, after):
    real, verdict, told = _idle_under_a_clock_that_is_set(
        by, after, seen=False, deadlines=Deadlines(HOUR)
    )
    assert verdict.reason is Reason.IDLE
    assert any(real - one >= GRACE for one in told)
    assert real <= after + HOUR + GRACE + 2 * 30 * SECOND
    # Set forward unseen it looks like a keeper that was away, and a warning's time as passed.
    assert by > timedelta(0) or real >= HOUR


@pytest.mark.parametrize("by", [HOUR, -HOUR], ids=str)
def test_a_hard_end_is_the_clocks_however_it_is_set(by):
    end = START + 2 * HOUR
    real, verdict, _ = _idle_under_a_clock_that_is_set(
        by, HOUR / 2, seen=True, deadlines=Deadlines(None, session_ends_at=end)
    )
    assert verdict.reason is Reason.SESSION_LIMIT
    assert START + real + by == end
