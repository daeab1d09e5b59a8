"""The catalog: rows of configuration, and faults that name place, key, value and cure."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gradienthub.rules.catalog import (
    Catalog,
    ConfigurationFault,
    InstanceType,
    Runtime,
    is_image_reference,
    row_from,
    rows_from,
)
from gradienthub.rules.placement import Host
from gradienthub.rules.tiers import Tier, TierRules

P5000 = {
    "title": "P5000",
    "gpu_model": "Quadro P5000",
    "gpus": 1,
    "gpu_memory": 16,
    "cpus": 8,
    "memory": 30,
    "price": "0.78",
}
G1 = {"title": "G1", "shutdown_choices": ["1h"], "shutdown_min": "5m", "shutdown_max": "12h"}


def instance_type(**changes: Any) -> InstanceType:
    return row_from(InstanceType, {"name": "p5000", **P5000, **changes}, "here")


def fault(model: Any, rows: Any, where: str = "c.GradientHub.instance_types") -> str:
    with pytest.raises(ConfigurationFault) as caught:
        rows_from(model, rows, where)
    return str(caught.value)


def test_a_row_takes_its_name_from_its_key():
    (row,) = rows_from(InstanceType, {"p5000": P5000}, "here")
    assert (row.name, row.price, row.gpus) == ("p5000", 780_000, 1)


def test_rows_keep_the_order_in_which_they_were_written():
    rows = rows_from(InstanceType, {"z": P5000, "a": P5000, "m": P5000}, "here")
    assert [row.name for row in rows] == ["z", "a", "m"]


def test_none_removes_a_row():
    rows = rows_from(InstanceType, {"p5000": None, "p6000": P5000}, "here")
    assert [row.name for row in rows] == ["p6000"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            {**P5000, "prize": 1},
            "['p5000'].prize is not a setting; known keys are name, title, description, gpu_model,"
            " gpus, gpu_memory, cpus, memory, price, needs_approval",
        ),
        ({k: v for k, v in P5000.items() if k != "price"}, "['p5000'].price is missing; add it"),
        (
            {**P5000, "price": "five"},
            "['p5000'].price = 'five': 'five' is not an amount; write for example 0.51",
        ),
        ({**P5000, "price": -1}, "['p5000'].price = -1: -1 is not an amount; it must be 0 or more"),
        (
            {**P5000, "price": "1e999999999"},
            "['p5000'].price = '1e999999999': '1e999999999' is above the highest amount, 100000",
        ),
        ({**P5000, "cpus": 0}, "['p5000'].cpus = 0: Input should be greater than 0"),
        (
            {**P5000, "cpus": float("nan")},
            "['p5000'].cpus = nan: Input should be less than or equal to 4096",
        ),
        (
            {**P5000, "memory": "much"},
            "['p5000'].memory = 'much': Input should be a valid number, unable to parse string as a"
            " number",
        ),
        (
            {**P5000, "gpus": 1.5},
            "['p5000'].gpus = 1.5: Input should be a valid integer, got a number with a fractional"
            " part",
        ),
        ({**P5000, "title": ""}, "['p5000'].title = '': String should have at least 1 character"),
        (
            {**P5000, "name": "p6000"},
            "['p5000'].name = 'p6000': a row is named by its key; leave name out",
        ),
        ("0.78", "['p5000'] is '0.78'; write a dict of its keys, or None to remove the row"),
        ([], "['p5000'] is []; write a dict of its keys, or None to remove the row"),
    ],
)
def test_a_wrong_row_is_named_with_place_key_value_and_cure(row, words):
    assert fault(InstanceType, {"p5000": row}) == f"c.GradientHub.instance_types{words}"


def test_all_faults_of_a_row_are_told_at_once():
    said = fault(InstanceType, {"p5000": {**P5000, "cpus": 0, "price": "x", "colour": "red"}})
    for key in (".cpus = 0", ".price = 'x'", ".colour is not a setting"):
        assert f"['p5000']{key}" in said


def test_gpus_and_their_model_belong_together():
    for half in ({"gpus": 0}, {"gpu_model": None}):
        said = fault(InstanceType, {"p5000": {**P5000, **half}})
        assert "gpus and gpu_model belong together: set both, or neither" in said


@pytest.mark.parametrize("name", ["", "P5000", "-p", "p-", "p 5000", "p/5000", "pé", "p" * 49, 5])
def test_a_name_that_no_url_could_carry_is_refused(name):
    assert f"here[{name!r}].name = {name!r}: " in fault(InstanceType, {name: P5000}, "here")


def test_a_fault_inside_a_hosts_device_names_the_devices_keys():
    device = {"uuid": "GPU-1", "model": "Quadro P5000", "slot": 3}
    said = fault(Host, {"a": {"cpus": 1, "memory": 1, "devices": [device]}}, "hosts")
    assert said == (
        "hosts['a'].devices.0.slot is not a setting; known keys are uuid, model, out_of_service"
    )


def test_a_fault_inside_a_claim_rule_names_the_rules_keys():
    with pytest.raises(ConfigurationFault) as caught:
        row_from(
            TierRules,
            {"default": "free", "by_claim": [{"claim": "a", "value": 1, "tier": "g1", "x": 1}]},
            "tier_rules",
        )
    assert str(caught.value) == (
        "tier_rules.by_claim.0.x is not a setting; known keys are claim, value, tier"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"session_limit": "1 fortnight"},
            "['g1'].session_limit = '1 fortnight': a duration is a number with a unit (30m, 6h, 2d)"
            " or"
            " seconds",
        ),
        ({"shutdown_max": 0}, "['g1'].shutdown_max = 0: a duration lies between 1 second and"),
        ({"shutdown_choices": []}, "['g1'].shutdown_choices = []: Tuple should have at least 1"),
        ({"shutdown_choices": ["1h", "24h"]}, "must lie between shutdown_min and shutdown_max"),
        ({"shutdown_default": "1m"}, "must lie between shutdown_min and shutdown_max"),
        ({"shutdown_min": "13h"}, "shutdown_min must not exceed shutdown_max"),
        ({"max_running": 0}, "['g1'].max_running = 0: Input should be greater than or equal to 1"),
        ({"funding": "credit"}, "['g1'].funding = 'credit': Input should be 'none', 'prepaid' or"),
    ],
)
def test_a_wrong_tier_is_named_with_key_value_and_cure(changes, words):
    assert words in fault(Tier, {"g1": {**G1, **changes}}, "tiers")


def test_rows_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        instance_type().price = 0


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"price": 0}, "free"),
        ({"price": 0, "gpus": 0, "gpu_model": None}, "free"),
        ({"gpus": 0, "gpu_model": None}, "cpu"),
        ({}, "gpu"),
        ({"gpus": 4}, "multi-gpu"),
    ],
)
def test_a_type_stands_in_the_group_of_its_kind(changes, kind):
    assert instance_type(**changes).kind == kind


@pytest.mark.parametrize("currency", ["usd", "US", "$", "USDT", ""])
def test_a_currency_is_three_capitals(currency):
    with pytest.raises(ConfigurationFault, match=r"here\.currency = "):
        row_from(Catalog, {"currency": currency, "instance_types": (), "runtimes": ()}, "here")


def test_what_is_published_reads_back_as_the_same_catalog():
    catalog = Catalog(
        instance_types=rows_from(InstanceType, {"p5000": P5000}, "here"),
        runtimes=rows_from(Runtime, {"python": {"title": "Python", "image": "acme/py:1"}}, "here"),
    )
    assert Catalog.model_validate(catalog.model_dump(mode="json")) == catalog
    assert Catalog.model_validate_json(catalog.model_dump_json()) == catalog


def test_what_is_published_of_a_tier_reads_back_as_the_same_tier():
    (tier,) = rows_from(Tier, {"g1": {**G1, "session_limit": "12h", "price_per_month": 8}}, "here")
    published = tier.model_dump(mode="json")
    assert published["session_limit"] == "12h"
    assert published["price_per_month"] == "8.00"
    assert Tier.model_validate(published) == tier
    assert tier.session_limit == timedelta(hours=12)


def test_a_catalog_knows_what_it_has_and_what_not():
    catalog = Catalog(instance_types=(instance_type(),), runtimes=())
    assert catalog.instance_type("p5000") == instance_type()
    assert catalog.instance_type("P5000") is None
    assert catalog.runtime("python") is None


# -- images -------------------------------------------------------------------------------------

DIGEST = "sha256:" + "0123456789abcdef" * 4
NOT_AN_IMAGE = [
    "",
    " ",
    "-v",
    "--privileged",
    "-v /:/host python",
    "python -v /:/host",
    "python;reboot",
    "python|sh",
    "python&",
    "$(reboot)",
    "`reboot`",
    "${IMAGE}",
    "python>x",
    "python\n",
    "python\x00",
    "\npython",
    "python latest",
    "\tpython",
    "Python",
    "acme/Train",
    "acme/TRAIN:1",
    "../etc/passwd",
    "/python",
    "python/",
    "acme//python",
    "file:///etc/passwd",
    "http://acme/python",
    "user@host/python",
    "python:",
    "python:-x",
    "python:" + "t" * 129,
    "python:1:2",
    "python@sha256:" + "g" * 64,
    "python@sha256:" + "a" * 63,
    "python@md5:" + "a" * 32,
    "acme..io/python",
    "acme/python-",
    "acme/_python",
    "acme/a___b",
    "acme:port/python",
    "acme:123456/python",
    "p" * 256,
    "pythön",
    "ｐython",
    "python\u2028",
    "python\ud800",
]


@pytest.mark.parametrize(
    "image",
    [
        "python",
        "python:3.11-slim",
        "jupyter/minimal-notebook:latest",
        "quay.io/jupyter/minimal-notebook",
        "localhost:5000/a/b/c:1",
        "ghcr.io/acme/train:1.4",
        f"ghcr.io/acme/train@{DIGEST}",
        f"ghcr.io/acme/train:1.4@{DIGEST}",
        "Registry.Example.ORG/acme/train",
        "a/b__c/d-e---f/g.h:_x",
        "p" * 255,
    ],
)
def test_an_image_name_is_what_engines_take(image):
    assert is_image_reference(image)


@pytest.mark.parametrize("image", NOT_AN_IMAGE, ids=lambda image: repr(image)[:30])
def test_an_image_name_is_never_an_option_or_a_shell_word(image):
    assert not is_image_reference(image)


@given(st.one_of(st.text(), st.text("aA0.-_/:@ \n$;|&`'\"\\<>(){}*?!#~=%,")))
@example("-")
@example("a\n")
def test_whatever_is_taken_as_an_image_is_harmless_in_a_command_line(image):
    if is_image_reference(image):
        assert set(image) <= set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./:@_-"
        )
        assert image[0].isalnum()
        assert image[-1] not in "/:@"


@pytest.mark.parametrize("image", ["a-" * 127, "a" * 255 + "!", "A." * 127, "a/" * 127, "a_" * 127])
def test_a_crafted_image_name_is_judged_at_once(image):
    # Without a bound on backtracking these would take years; the test run has a time limit.
    assert not is_image_reference(image)


@pytest.mark.parametrize("image", ["-v /:/host", "Python"])
def test_a_runtime_has_an_image_name_too(image):
    said = fault(Runtime, {"python": {"title": "Python", "image": image}}, "runtimes")
    assert f"image {image!r} is not an image reference like name:tag" in said
