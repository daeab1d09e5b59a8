"""What a notebook's answers mean, and that nonsense is told from them."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradienthub.rules.evidence import (
    CLOCK_AHEAD,
    MOST_MOMENTS,
    MOST_NAMES,
    MOST_ROWS,
    NAME_LENGTH,
    UNREAD,
    answer_from,
)
from gradienthub.rules.use import Answer, Use

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def moment(ago=HOUR):
    """As Jupyter writes it."""
    return (NOW - ago).isoformat().replace("+00:00", "Z")


def kernel(state="idle", ago=HOUR, number=1, name="python3"):
    row = {"id": f"k{number}", "name": name, "connections": 1}
    return row | {"execution_state": state, "last_activity": moment(ago)}


def terminal(ago=HOUR):
    return {"name": "1", "last_activity": moment(ago)}


def session(path, number=1):
    return {"id": "s", "path": path, "type": "notebook", "kernel": {"id": f"k{number}"}}


def read(kernels=(), terminals=(), activity=None, sessions=()):
    return answer_from([*kernels], [*terminals], activity, [*sessions], NOW)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ({}, Answer()),
        ({"kernels": [kernel(ago=2 * HOUR), kernel(ago=HOUR)]}, Answer((), NOW - HOUR)),
        (
            {"kernels": [kernel(ago=2 * HOUR)], "terminals": [terminal(HOUR)]},
            Answer((), NOW - HOUR, Use.TERMINAL),
        ),
        (
            {"kernels": [kernel()], "activity": {"person_at": moment(timedelta(0))}},
            Answer((), NOW, Use.PERSON),
        ),
        ({"activity": {"person_at": None}}, Answer()),
        # Busy is the kernel's, whoever else was there later.
        (
            {"kernels": [kernel("busy")], "terminals": [terminal(timedelta(0))]},
            Answer(("python3",), NOW, Use.KERNEL),
        ),
        (
            {
                "kernels": [kernel("busy"), kernel("busy", number=2)],
                "sessions": [session("work/sweep.ipynb"), session("other.ipynb", 3)],
            },
            Answer(("work/sweep.ipynb", "python3"), NOW - HOUR),
        ),
        # Not busy: only that word is.
        (
            {
                "kernels": [
                    kernel(state) for state in ("starting", "idle", "dead", "Busy", "unknown")
                ]
            },
            Answer((), NOW - HOUR),
        ),
        # A clock that is some hours wrong, and a zone that is not UTC.
        ({"kernels": [kernel(ago=-5 * HOUR)]}, Answer((), NOW + 5 * HOUR)),
        (
            {"terminals": [{"last_activity": "2026-11-23T20:00:00+09:00"}]},
            Answer((), NOW - HOUR, Use.TERMINAL),
        ),
    ],
)
def test_the_newest_use_and_whose_it_is(said, answer):
    assert replace(read(**said), moments={}) == answer


MOMENTS_OF_NO_SENSE = (
    None,
    7,
    "",
    "yesterday",
    "2026-11-23T12:00:00",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+23:59",
    moment(-CLOCK_AHEAD - timedelta(seconds=1)),
    [],
    {"a": 1},
    True,
)
ROWS_OF_NO_SENSE = [
    *(kernel() | {"last_activity": word} for word in MOMENTS_OF_NO_SENSE),
    *(kernel() | {"execution_state": state} for state in (None, 1, 0.5, [], {}, True)),
    {key: value for key, value in kernel().items() if key != "execution_state"},
    {key: value for key, value in kernel().items() if key != "last_activity"},
    {},
    "python3",
    None,
    7,
    [],
    [[[]]],
]


@pytest.mark.parametrize("row", ROWS_OF_NO_SENSE)
def test_one_kernel_that_cannot_be_read_hides_no_other(row):
    """The whole notebook was unknown for ever because of one row."""
    busy = read([row, kernel("busy", number=2, name="julia")])
    assert busy.busy == ("julia",)
    assert busy.used_by is Use.KERNEL
    used = read([row, kernel(ago=timedelta(seconds=5), number=2)])
    assert used.used_at == NOW - timedelta(seconds=5)
    assert used.unread == ("1 of 2 kernels",)
    assert read([row], [terminal(timedelta(0))]).used_by is Use.TERMINAL


@pytest.mark.parametrize("word", MOMENTS_OF_NO_SENSE)
def test_a_busy_kernel_is_busy_whenever_it_was_used(word):
    answer = read([kernel("busy") | {"last_activity": word}])
    assert (answer.busy, answer.unread) == (("python3",), ())


@pytest.mark.parametrize("number", [None, 7, "", [], {"id": 1}])
@pytest.mark.parametrize("name", [None, 7, "", []])
def test_a_busy_kernel_without_id_or_name_is_busy_all_the_same(number, name):
    row = kernel("busy") | {"id": number, "name": name}
    assert read([row], sessions=[session("a.ipynb")]).busy == ("a kernel",)
    assert read([{"execution_state": "busy"}]).busy == ("a kernel",)


def test_a_state_in_an_unknown_word_is_not_busy_and_can_be_read():
    assert read([kernel("hibernating")]).unread == ()


def test_of_a_huge_list_the_rest_is_unknown_and_the_beginning_counts():
    kernels = [kernel("busy", number=1, name="first")]
    kernels += [kernel(number=n) for n in range(2, MOST_ROWS + 8)]
    answer = read(kernels)
    assert answer.busy == ("first",)
    assert answer.unread == (f"7 of {MOST_ROWS + 7} kernels",)
    assert len(answer.moments) <= MOST_MOMENTS


@pytest.mark.parametrize("body", [UNREAD, None, {}, "text", 7, {"kernels": []}])
def test_a_page_that_cannot_be_read_hides_no_other_page(body):
    by_kernel = answer_from([kernel()], body, None, [], NOW)
    assert (by_kernel.used_at, by_kernel.unread) == (NOW - HOUR, ("its terminals",))
    by_terminal = answer_from(body, [terminal()], None, [], NOW)
    assert (by_terminal.used_by, by_terminal.unread) == (Use.TERMINAL, ("its kernels",))
    assert answer_from([kernel("busy")], [], None, body, NOW).busy == ("python3",)
    with pytest.raises(ValueError, match="its kernels cannot be read"):
        answer_from(body, body, None, [], NOW)


@pytest.mark.parametrize("body", [UNREAD, {}, [], 7, {"person_at": 0}, {"person_at": "now"}])
def test_nonsense_of_our_extension_is_what_a_person_does(body):
    answer = answer_from([kernel()], [], body, [], NOW)
    assert (answer.used_at, answer.unread) == (NOW - HOUR, ("what a person does in it",))


def test_requests_count_where_they_are_asked_for():
    status = {"last_activity": moment(timedelta(seconds=3)), "kernels": 1}
    answer = answer_from([kernel()], [], None, [], NOW, status)
    assert (answer.used_at, answer.used_by) == (NOW - timedelta(seconds=3), Use.REQUEST)
    assert answer_from([kernel()], [], None, [], NOW, {}).unread == ("its requests",)


@pytest.mark.parametrize("path", [None, 7, [], {}])
def test_sessions_of_no_sense_only_cost_the_notebooks_path(path):
    rows = [
        {"path": path, "kernel": {"id": "k1"}},
        {"path": "b.ipynb", "kernel": None},
        7,
        session("c.ipynb", 2),
    ]
    answer = read([kernel("busy"), kernel("busy", number=2)], sessions=rows)
    assert answer.busy == ("python3", "c.ipynb")


def test_names_are_few_short_and_printable():
    hostile = "\x1b[31m\u202e\ud800\n" + "x" * 10_000 + "/sweep.ipynb"
    kernels = [kernel("busy", number=n, name=f"{n}{hostile}") for n in range(MOST_NAMES)]
    kernels += [kernel("busy", name=f"{n}\n\u202e") for n in range(20)]
    busy = read(kernels).busy
    assert busy[0].endswith("x/sweep.ipynb")
    assert len(busy) == MOST_NAMES + 1
    assert busy[-1] == f"{20 + 1 - MOST_NAMES} more"
    assert all(len(name) <= NAME_LENGTH and name.isprintable() for name in busy)


#: Anything JSON can hold, and rows that are nearly right.
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
texts = st.sampled_from(["busy", "idle", moment(), moment(-9 * HOUR), "9999-01-01T00:00Z", "\0"])
rows = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "id": texts | anything,
            "name": texts | anything,
            "path": texts | anything,
            "kernel": st.fixed_dictionaries({"id": texts | anything}),
            "execution_state": texts | anything,
            "last_activity": texts | anything,
        },
    )
)
bodies = rows | anything
activities = st.fixed_dictionaries({"person_at": texts | anything}) | anything


@given(bodies, bodies, activities, bodies, activities)
def test_garbage_is_an_answer_in_bounds_or_a_value_error(
    kernels, terminals, activity, sessions, status
):
    try:
        answer = answer_from(kernels, terminals, activity, sessions, NOW, status)
    except ValueError as fault:
        assert len(str(fault)) < 100
        return
    assert all(len(name) < 100 for name in answer.unread)
    assert len(answer.unread) <= 4
    assert len(answer.moments) <= MOST_MOMENTS
    assert len(answer.busy) <= MOST_NAMES + 1
    assert all(len(name) <= NAME_LENGTH and name.isprintable() for name in answer.busy)
    assert answer.used_at is None or answer.used_at - NOW <= CLOCK_AHEAD
    json.dumps(answer.busy).encode()
