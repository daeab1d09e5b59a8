"""What a notebook's answers mean, and that nonsense is told from them."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradienthub.rules.evidence import CLOCK_AHEAD, MOST_NAMES, MOST_ROWS, NAME_LENGTH, answer_from
from gradienthub.rules.idleness import Answer, Use

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
        ({"kernels": [kernel(ago=2 * HOUR)], "terminals": [terminal(HOUR)]},
         Answer((), NOW - HOUR, Use.TERMINAL)),
        ({"kernels": [kernel()], "activity": {"person_at": moment(timedelta(0))}},
         Answer((), NOW, Use.PERSON)),
        ({"activity": {"person_at": None}}, Answer()),
        # Busy is the kernel's, whoever else was there later.
        ({"kernels": [kernel("busy")], "terminals": [terminal(timedelta(0))]},
         Answer(("python3",), NOW, Use.KERNEL)),
        ({"kernels": [kernel("busy"), kernel("busy", number=2)],
          "sessions": [session("work/sweep.ipynb"), session("other.ipynb", 3)]},
         Answer(("work/sweep.ipynb", "python3"), NOW - HOUR)),
        # Not busy: only that word is.
        ({"kernels": [kernel(state) for state in ("starting", "idle", "dead", "Busy", "unknown")]},
         Answer((), NOW - HOUR)),
        # A clock that is some hours wrong, and a zone that is not UTC.
        ({"kernels": [kernel(ago=-5 * HOUR)]}, Answer((), NOW + 5 * HOUR)),
        ({"terminals": [{"last_activity": "2026-11-23T20:00:00+09:00"}]},
         Answer((), NOW - HOUR, Use.TERMINAL)),
    ],
)  # fmt: skip
def test_the_newest_use_and_whose_it_is(said, answer):
    assert read(**said) == answer


@pytest.mark.parametrize(
    "said",
    [
        {"kernels": [kernel() | {"last_activity": text}]}
        for text in (
            None, 7, "", "yesterday", "2026-11-23T12:00:00", "9999-12-31T23:59:59Z",
            "0001-01-01T00:00:00+23:59", moment(-CLOCK_AHEAD - timedelta(seconds=1)),
        )
    ]
    + [
        {"kernels": [kernel() | {"execution_state": 1}]},
        {"kernels": [{}]},
        {"kernels": ["python3"]},
        {"kernels": [kernel()] * (MOST_ROWS + 1)},
        {"terminals": [{"name": "1"}]},
        {"activity": {}},
        {"activity": {"person_at": 0}},
        {"activity": []},
        {"sessions": [{"path": "a.ipynb"}]},
        {"sessions": [{"path": "a.ipynb", "kernel": None}]},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_not_read(said):
    with pytest.raises(ValueError, match=r"^(not|a|something|path|id|execution_state) "):
        read(**said)


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


@given(bodies, bodies, activities, bodies)
def test_garbage_is_an_answer_in_bounds_or_a_value_error(kernels, terminals, activity, sessions):
    try:
        answer = answer_from(kernels, terminals, activity, sessions, NOW)
    except ValueError as fault:
        assert len(str(fault)) < 100
        return
    assert len(answer.busy) <= MOST_NAMES + 1
    assert all(len(name) <= NAME_LENGTH and name.isprintable() for name in answer.busy)
    assert answer.used_at is None or answer.used_at - NOW <= CLOCK_AHEAD
    json.dumps(answer.busy).encode()
