"""Options: hostile on every path, and parsed into one value or refused with the field's name."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jupyterhub.slugs import is_valid_display_name, is_valid_safe_slug

from gradienthub.rules.options import (
    KEYS,
    LONGEST_NAME,
    LONGEST_VALUE,
    Interval,
    StartOptions,
    options_from_form,
    parse_display_name,
    parse_options,
    slug_of,
    with_default_type,
)
from gradienthub.rules.refusal import Refused

MEGABYTE = "x" * 1_000_000
HOUR = timedelta(hours=1)
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def refused(raw: object) -> Refused:
    with pytest.raises(Refused) as caught:
        parse_options(raw)
    assert caught.value.status == 400
    assert caught.value.hint
    assert len(caught.value.text) < 700
    assert caught.value.text.isprintable()
    return caught.value


def parsed(**keys: Any) -> StartOptions:
    return parse_options({"instance_type": "p5000", **keys})


def test_a_type_alone_is_a_whole_request():
    assert parsed() == StartOptions("p5000")


def test_everything_that_can_be_asked_for():
    assert parsed(
        runtime="python",
        shutdown_after="6h",
        stop_at="2026-11-24T18:00:00+01:00",
        interface="notebook",
    ) == StartOptions(
        instance_type="p5000",
        runtime="python",
        image=None,
        shutdown_after=6 * HOUR,
        stop_at=datetime(2026, 11, 24, 17, 0, tzinfo=UTC),
        interface="notebook",
    )


@pytest.mark.parametrize("written", ["6h", "6 h", "360m", 21600, 21600.0, "21600"])
def test_an_interval_may_be_written_in_several_ways(written):
    assert parsed(shutdown_after=written).shutdown_after == 6 * HOUR


def test_an_interval_of_null_is_never_and_one_left_out_is_unset():
    assert parsed(shutdown_after=None).shutdown_after is Interval.NEVER
    assert parsed().shutdown_after is Interval.UNSET


def test_an_empty_runtime_image_or_end_time_counts_as_left_out():
    assert parsed(runtime="", image="", stop_at="", interface=None) == parsed()
    assert parsed(runtime=None, image=None, stop_at=None) == parsed()


@pytest.mark.parametrize(
    "raw",
    [None, [], "p5000", b"{}", 1, True, [["instance_type", "p5000"]], {"p5000"}],
    ids=repr,
)
def test_a_body_that_is_no_object_is_refused(raw):
    assert refused(raw).code == "bad_body"


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"instance_type": ""},
        {"instance_type": None},
        {"instance_type": "  "},
        {"runtime": "python"},
    ],
)
def test_a_start_without_a_machine_is_refused(raw):
    no = refused(raw)
    assert (no.code, no.field) == ("no_instance_type", "instance_type")


@pytest.mark.parametrize(
    "key",
    [
        "profile",
        "Image",
        "instance_type ",
        "cmd",
        "mem_limit",
        "__class__",
        "",
        1,
        None,
        True,
        ("a",),
        "a\nb",
        "$(reboot)",
        MEGABYTE,
    ],
    ids=lambda key: repr(key)[:30],
)
def test_an_unknown_key_is_refused_and_named(key):
    no = refused({"instance_type": "p5000", key: "x"})
    assert no.code == "unknown_option"
    assert no.field is not None
    assert len(no.field) <= 43
    assert f"Known options: {', '.join(KEYS)}." in no.hint


def test_an_unknown_key_is_refused_even_where_everything_else_is_wrong():
    assert refused({"colour": 1}).code == "unknown_option"


HOSTILE = [
    0,
    1,
    -1,
    1.5,
    float("nan"),
    True,
    False,
    [],
    ["p5000"],
    [[]],
    {},
    {"a": 1},
    b"p5000",
    nested(100_000),
    [MEGABYTE],
    {MEGABYTE: MEGABYTE},
    list(range(100_000)),
    10**5000,
    object(),
    MEGABYTE,
    "a\nb",
    "a\x00b",
    "a\x1b[31m",
    "\u202egnp",
    "\ud800",
    "a\u2028b",
]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("key", ["instance_type", "runtime", "image"])
def test_text_that_is_no_short_printable_text_is_refused(key, value):
    no = refused({"instance_type": "p5000", key: value})
    assert (no.code, no.field) == ("bad_option", key)


@pytest.mark.parametrize("value", [v for v in HOSTILE if v != 1], ids=lambda v: type(v).__name__)
@pytest.mark.parametrize(
    ("key", "code"),
    [("shutdown_after", "bad_interval"), ("stop_at", "bad_stop_at"), ("interface", "bad_option")],
)
def test_a_value_of_a_wrong_kind_is_refused_whatever_the_field(key, code, value):
    no = refused({"instance_type": "p5000", key: value})
    assert (no.code, no.field) == (code, key)


def test_text_may_be_as_long_as_any_image_name():
    assert len(parsed(runtime="x" * LONGEST_VALUE).runtime or "") == LONGEST_VALUE
    assert refused({"instance_type": "x" * (LONGEST_VALUE + 1)}).field == "instance_type"


def test_space_around_a_name_is_not_part_of_it():
    assert parse_options({"instance_type": " p5000 "}).instance_type == "p5000"


@pytest.mark.parametrize(
    "image",
    [
        "-v",
        "--privileged",
        "-v /:/host python",
        "python --privileged",
        "python;reboot",
        "$(reboot)",
        "`reboot`",
        "python|sh",
        "python&&sh",
        "python>x",
        "Python",
        "acme/Train",
        "../../etc",
        "/etc/passwd",
        "python:",
        "python:a b",
        "http://acme.io/x",
        "p" * 256,
        "pythön",
        "python@sha256:abc",
    ],
)
def test_an_image_that_is_no_image_name_is_refused(image):
    no = refused({"instance_type": "p5000", "image": image})
    assert (no.code, no.field) == ("bad_image", "image")


def test_runtime_and_image_together_are_refused():
    no = refused({"instance_type": "p5000", "runtime": "python", "image": "python:3"})
    assert (no.code, no.field) == ("bad_option", "image")
    assert no.text == "Both runtime and image are set. Leave one of them out."


@pytest.mark.parametrize(
    "interval",
    [
        0,
        -1,
        -0.0,
        1.5,
        float("nan"),
        float("inf"),
        float("-inf"),
        10**400,
        -(10**400),
        1e308,
        True,
        False,
        "",
        " ",
        "0",
        "0h",
        "-1h",
        "1 fortnight",
        "1h30m",
        "forever",
        "never",
        "1.5h",
        "٣h",
        "３0m",
        "²h",
        "9" * 10,
        "9" * 1000,
        "367d",
        "999999999d",
        MEGABYTE,
        ["1h"],
        {"hours": 1},
        b"1h",
    ],
    ids=lambda interval: repr(interval)[:30] if not isinstance(interval, int) else "int",
)
def test_an_interval_that_is_no_duration_is_refused(interval):
    no = refused({"instance_type": "p5000", "shutdown_after": interval})
    assert (no.code, no.field) == ("bad_interval", "shutdown_after")
    assert no.hint == 'Write for example "30m", "6h" or a number of seconds.'


@pytest.mark.parametrize(
    "stop_at",
    [
        "tomorrow",
        "2026-11-24",
        "2026-11-24T18:00",
        "2026-11-24 18:00:00",
        "2026-02-30T18:00:00+01:00",
        "2026-11-24T25:00:00Z",
        "2026-11-24T18:00:00+25:00",
        "2026-11-24T18:00:00Zjunk",
        "٢026-11-24T18:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "0001-01-01T00:00:00+01:00",
        "10000-01-01T00:00:00Z",
        "-2026-11-24T18:00:00Z",
        "2026-11-24T18:00:00Z\x00",
        "\ud800" * 20,
        MEGABYTE,
        1764000000,
        True,
        datetime(2026, 11, 24, tzinfo=UTC),
    ],
    ids=lambda stop_at: repr(stop_at)[:30],
)
def test_an_end_time_that_is_no_moment_with_its_zone_is_refused(stop_at):
    no = refused({"instance_type": "p5000", "stop_at": stop_at})
    assert (no.code, no.field) == ("bad_stop_at", "stop_at")


@pytest.mark.parametrize("interface", ["", "LAB", "lab ", "rstudio", "terminals/1"])
def test_an_interface_that_is_not_offered_is_refused(interface):
    no = refused({"instance_type": "p5000", "interface": interface})
    assert (no.code, no.field, no.hint) == ("bad_option", "interface", "Choose lab or notebook.")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=6,
)


@settings(deadline=None)
@given(json_values | st.dictionaries(st.sampled_from(KEYS), json_values | st.just("p5000")))
def test_any_body_is_parsed_or_refused_with_a_bounded_message(raw):
    try:
        options = parse_options(raw)
    except Refused as no:
        assert no.status == 400
        assert len(no.text) < 700
    else:
        assert options.instance_type


options_values = (
    st.builds(
        StartOptions,
        instance_type=st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True),
        interface=st.sampled_from(["lab", "notebook"]),
        shutdown_after=st.sampled_from(Interval)
        | st.integers(1, 366 * 86400).map(lambda seconds: timedelta(seconds=seconds)),
        stop_at=st.none() | st.timedeltas(-9999 * HOUR, 9999 * HOUR).map(lambda span: NOW + span),
    )
    | st.builds(
        StartOptions,
        instance_type=st.just("p5000"),
        runtime=st.none() | st.just("python"),
    )
    | st.builds(
        StartOptions,
        instance_type=st.just("p5000"),
        image=st.sampled_from(["python", "ghcr.io/acme/train:1"]),
    )
)


@settings(deadline=None)
@given(options_values)
def test_stored_options_read_back_as_the_same_value(options):
    assert parse_options(options.as_json()) == options
    assert parse_options(json.loads(json.dumps(options.as_json()))) == options


# -- the form -----------------------------------------------------------------------------------


def from_form(**fields: Any) -> StartOptions:
    form = {"instance_type": ["p5000"], **{key: [value] for key, value in fields.items()}}
    return parse_options(options_from_form(form))


def form_refused(form: dict[str, list[Any]]) -> tuple[str, str | None]:
    with pytest.raises(Refused) as caught:
        parse_options(options_from_form(form))
    return caught.value.code, caught.value.field


def test_a_form_whose_fields_nobody_touched_asks_for_the_defaults():
    assert from_form(
        runtime="",
        image="",
        stop_at="",
        shutdown_after="",
        _xsrf="x",
        display_name="Mine",
        step="2",
        utc_offset="60",
        server_name="mine",
    ) == StartOptions("p5000")


def test_the_form_and_rest_mean_the_same():
    assert from_form(
        runtime="python", shutdown_after="6h", stop_at="2026-11-24T18:00", utc_offset="60"
    ) == parsed(runtime="python", shutdown_after="6h", stop_at="2026-11-24T18:00:00+01:00")


def test_the_forms_never_is_null():
    assert from_form(shutdown_after="never").shutdown_after is Interval.NEVER


def test_the_image_field_counts_where_custom_is_chosen():
    assert from_form(runtime="custom", image="ghcr.io/acme/x:1").image == "ghcr.io/acme/x:1"
    assert from_form(runtime="custom", image="ghcr.io/acme/x:1").runtime is None


def test_an_image_that_was_typed_before_a_runtime_was_chosen_is_left_out():
    assert from_form(runtime="python", image="ghcr.io/acme/x:1") == parsed(runtime="python")


def test_an_image_without_any_runtime_is_not_silently_dropped():
    assert from_form(image="ghcr.io/acme/x:1").image == "ghcr.io/acme/x:1"


@pytest.mark.parametrize("image", [{}, {"image": [""]}, {"image": []}])
def test_a_custom_image_without_a_name_is_refused(image):
    form = {"instance_type": ["p5000"], "runtime": ["custom"], **image}
    assert form_refused(form) == ("bad_image", "image")


@pytest.mark.parametrize(
    ("field", "outcome"),
    [
        ({"profile": ["x"]}, ("unknown_option", "“profile”")),
        ({"image": ["-v /:/host"], "runtime": ["custom"]}, ("bad_image", "image")),
        ({"runtime": [{"filename": "x", "body": b""}]}, ("bad_option", "runtime")),
        ({"shutdown_after": ["1 fortnight"]}, ("bad_interval", "shutdown_after")),
        ({"stop_at": ["2026-02-30T18:00"]}, ("bad_stop_at", "stop_at")),
        ({"stop_at": ["soon"]}, ("bad_stop_at", "stop_at")),
        ({"stop_at": [b"2026-11-24T18:00"]}, ("bad_stop_at", "stop_at")),
        ({"instance_type": [""]}, ("no_instance_type", "instance_type")),
        ({"instance_type": []}, ("no_instance_type", "instance_type")),
    ],
)
def test_a_form_is_judged_as_any_other_request(field, outcome):
    assert form_refused({"instance_type": ["p5000"], **field}) == outcome


@pytest.mark.parametrize(
    ("utc_offset", "hour", "minute"),
    [
        ("60", 17, 0),
        ("-300", 23, 0),
        ("330", 12, 30),
        ("-570", 3, 30),
        ("0", 18, 0),
        ("-0", 18, 0),
        ("", 18, 0),
        ("junk", 18, 0),
        ("1e9", 18, 0),
        ("9999", 18, 0),
        (None, 18, 0),
        (60, 18, 0),
    ],
)
def test_a_forms_end_time_is_in_the_browsers_zone_or_utc(utc_offset, hour, minute):
    stop_at = from_form(stop_at="2026-11-24T18:00", utc_offset=utc_offset).stop_at
    assert stop_at is not None
    assert (stop_at.hour, stop_at.minute, stop_at.tzinfo) == (hour, minute, UTC)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*KEYS, "utc_offset", "_xsrf", "x"]), st.lists(st.text())))
def test_any_form_is_parsed_or_refused(form):
    try:
        parse_options(options_from_form(form))
    except Refused as no:
        assert no.status == 400


# -- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Mine", "Mine"),
        ("  two\t words\n", "two words"),
        ("re\u0301sume\u0301", "résumé"),
        ("数据 🚀", "数据 🚀"),
        ("x" * LONGEST_NAME, "x" * LONGEST_NAME),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ],
)
def test_a_name_may_be_what_people_write(written, name):
    assert parse_display_name(written) == name


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "\n\t",
        "x" * (LONGEST_NAME + 1),
        MEGABYTE,
        " " * 1_000_000,
        "a" + " " * 999 + "b",
        "\u0301" * 1_000_000,
        "a\x00b",
        "a\x1bb",
        "\u202eevil",
        "\ud800",
        "zero\u200bwidth",
        None,
        1,
        b"x",
        ["x"],
        {},
    ],
    ids=lambda written: repr(written)[:30],
)
def test_a_name_that_cannot_be_shown_is_refused(written):
    with pytest.raises(Refused) as caught:
        parse_display_name(written)
    assert (caught.value.code, caught.value.field) == ("bad_name", "display_name")
    assert len(caught.value.text) < 300


@settings(deadline=None)
@given(st.text())
@example("a\u00a0b")
def test_every_name_that_is_taken_is_one_that_the_hub_takes(written):
    try:
        name = parse_display_name(written)
    except Refused:
        return
    assert is_valid_display_name(name)
    assert parse_display_name(name) == name


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Mine", "mine"),
        ("My 2nd model!", "my-2nd-model"),
        ("2nd model", "notebook-2nd-model"),
        ("Résumé", "resume"),
        ("数据", "notebook"),
        ("数据 7", "notebook-7"),
        ("--", "notebook"),
        ("", "notebook"),
        ("a--b", "a-b"),
        ("-a-", "a"),
        ("../../etc/passwd", "etc-passwd"),
        ("½", "notebook-12"),
        ("a" * 29 + " b", "a" * 29),
        ("7" * 60, "notebook-" + "7" * 21),
    ],
)
def test_a_name_becomes_a_readable_slug(name, slug):
    assert slug_of(name) == slug


@settings(deadline=None)
@given(st.text() | st.text("aZ09- _.é½", min_size=20))
@example("a" * 29 + "-b")
@example("1" + "-1" * 30)
@example("\u1e9e\u0130")
def test_every_name_has_a_slug_that_the_hub_takes_as_it_is(name):
    slug = slug_of(name)
    assert is_valid_safe_slug(slug)
    assert "--" not in slug
    assert slug_of(slug) == slug


@pytest.mark.parametrize(
    ("raw", "default", "meant"),
    [
        ({}, "c1", {"instance_type": "c1"}),
        ({"instance_type": None}, "c1", {"instance_type": "c1"}),
        (
            {"instance_type": "", "interface": "lab"},
            "c1",
            {"instance_type": "c1", "interface": "lab"},
        ),
        ({"instance_type": "t4"}, "c1", {"instance_type": "t4"}),
        ({}, None, {}),
        ([], "c1", []),
        ("t4", "c1", "t4"),
    ],
)
def test_a_default_machine_fills_in_only_what_is_left_out(raw, default, meant):
    assert with_default_type(raw, default) == meant
