"""The presets: every price and every cap, as a table to compare with the source."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gradienthub import presets
from gradienthub.rules.admission import Entitled, House, entitle
from gradienthub.rules.catalog import Catalog, InstanceType, Runtime, row_from, rows_from
from gradienthub.rules.duration import short_duration
from gradienthub.rules.options import parse_options
from gradienthub.rules.placement import Host, Load, fits
from gradienthub.rules.tiers import Facts, Tier, TierRules, resolve

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BOTH = ("gradient", "azure")

#: name, GPU model, GPUs, GB of each, CPUs, GB of memory, USD an hour in millionths.
GRADIENT_TYPES = [
    ("free-cpu", None, 0, 0, 2, 2, 0),
    ("free-m4000", "Quadro M4000", 1, 8, 8, 30, 0),
    ("free-p5000", "Quadro P5000", 1, 16, 8, 30, 0),
    ("c3", None, 0, 0, 2, 2, 18_000),
    ("c7", None, 0, 0, 12, 30, 300_000),
    ("m4000", "Quadro M4000", 1, 8, 8, 30, 450_000),
    ("p4000", "Quadro P4000", 1, 8, 8, 30, 510_000),
    ("p5000", "Quadro P5000", 1, 16, 8, 30, 780_000),
    ("p6000", "Quadro P6000", 1, 24, 8, 30, 1_100_000),
    ("v100", "Tesla V100", 1, 16, 8, 30, 2_300_000),
    ("p5000x4", "Quadro P5000", 4, 16, 32, 120, 3_120_000),
    ("p6000x4", "Quadro P6000", 4, 24, 32, 120, 4_400_000),
]
AZURE_TYPES = [
    ("m60", "Tesla M60", 1, 8, 6, 56, 1_140_000),
    ("m60x2", "Tesla M60", 2, 8, 12, 112, 2_400_000),
    ("m60x4", "Tesla M60", 4, 8, 24, 224, 4_810_000),
    ("k80", "Tesla K80", 1, 12, 6, 56, 900_000),
    ("k80x2", "Tesla K80", 2, 12, 12, 112, 1_800_000),
    ("k80x4", "Tesla K80", 4, 12, 24, 224, 3_600_000),
    ("v100", "Tesla V100", 1, 16, 6, 112, 3_060_000),
    ("v100x2", "Tesla V100", 2, 16, 12, 224, 6_120_000),
    ("v100x4", "Tesla V100", 4, 16, 24, 448, 13_460_000),
]
#: name, title, USD a month in millionths, running, of them free, session, storage GB, funding,
#: private hosts, custom images.
GRADIENT_TIERS = [
    ("free", "Free", 0, 1, 1, "12h", 5, "none", False, ()),
    ("g1", "G1", 8_000_000, 5, 1, None, 200, "postpaid", False, ("*",)),
    ("g2", "G2", 24_000_000, 10, 1, None, 1000, "postpaid", False, ("*",)),
    ("t1", "T1", 12_000_000, 10, 1, None, 500, "postpaid", True, ("*",)),
    ("t2", "T2", 49_000_000, 50, 1, None, 1000, "postpaid", True, ("*",)),
]
#: tier, choices, shortest, longest, without one, must there be one.
GRADIENT_INTERVALS = [
    ("free", "30m 1h 3h 6h 12h", "5m", "12h", None, True),
    ("g1", "30m 1h 3h 6h 12h 1d", "5m", "7d", None, True),
    ("g2", "30m 1h 3h 6h 12h 1d", "5m", "7d", None, True),
    ("t1", "30m 1h 3h 6h 12h 1d", "5m", "7d", None, True),
    ("t2", "30m 1h 3h 6h 12h 1d", "5m", "7d", None, True),
]


def house(name: str) -> tuple[House, TierRules]:
    tables = presets.load(name)
    catalog = row_from(
        Catalog,
        {
            "currency": tables["currency"],
            "instance_types": rows_from(InstanceType, tables["instance_types"], "instance_types"),
            "runtimes": rows_from(Runtime, tables["runtimes"], "runtimes"),
        },
        name,
    )
    tiers = {tier.name: tier for tier in rows_from(Tier, tables["tiers"], "tiers")}
    return House(catalog, tiers, ()), row_from(TierRules, tables["tier_rules"], "tier_rules")


@pytest.mark.parametrize(("name", "table"), [("gradient", GRADIENT_TYPES), ("azure", AZURE_TYPES)])
def test_every_machine_has_the_price_and_shape_of_the_source(name, table):
    assert [
        (t.name, t.gpu_model, t.gpus, t.gpu_memory, t.cpus, t.memory, t.price)
        for t in house(name)[0].catalog.instance_types
    ] == table


@pytest.mark.parametrize("name", BOTH)
def test_prices_are_us_dollars(name):
    assert house(name)[0].catalog.currency == "USD"


def test_every_tier_of_gradient_has_the_caps_of_the_source():
    tiers = house("gradient")[0].tiers.values()
    assert [
        (
            t.name,
            t.title,
            t.price_per_month,
            t.max_running,
            t.max_running_free,
            t.session_limit and short_duration(t.session_limit),
            t.storage,
            t.funding,
            t.private_hosts,
            t.custom_images,
        )
        for t in tiers
    ] == GRADIENT_TIERS


def test_free_machines_end_after_twelve_hours_in_every_tier_of_gradient():
    tables, _ = house("gradient")
    free = tables.catalog.instance_type("free-p5000")
    for tier in tables.tiers.values():
        assert tier.session_limit_of(free) == timedelta(hours=12), tier.name
        assert tier.max_notebooks == {"free": 10, "t2": 500}.get(tier.name, 100)


def intervals(tier: Tier) -> tuple[Any, ...]:
    return (
        tier.name,
        " ".join(short_duration(choice) for choice in tier.shutdown_choices),
        short_duration(tier.shutdown_min),
        short_duration(tier.shutdown_max),
        tier.shutdown_default and short_duration(tier.shutdown_default),
        tier.shutdown_required,
    )


def test_gradient_asks_everybody_for_a_shutdown_interval():
    assert [intervals(t) for t in house("gradient")[0].tiers.values()] == GRADIENT_INTERVALS


def test_azure_has_one_tier_whose_shutdown_is_optional():
    (tier,) = house("azure")[0].tiers.values()
    assert intervals(tier) == ("payg", "15m 30m 1h 3h 12h 1d 3d", "15m", "3d", "1h", False)
    assert (tier.title, tier.price_per_month, tier.funding) == ("Pay as you go", 0, "prepaid")
    assert (tier.max_running, tier.session_limit, tier.instance_types) == (10, None, ("*",))


def allowed(name: str, tier: str) -> set[str]:
    known = house(name)[0]
    return {t.name for t in known.catalog.instance_types if known.tiers[tier].allows_type(t)}


def test_the_free_tier_has_the_free_machines_and_no_other():
    assert allowed("gradient", "free") == {"free-cpu", "free-m4000", "free-p5000"}


def test_paid_tiers_have_the_paid_machines_too():
    everything = {row[0] for row in GRADIENT_TYPES}
    assert allowed("gradient", "g1") == everything - {"p5000x4", "p6000x4"}
    for tier in ("g2", "t1", "t2"):
        assert allowed("gradient", tier) == everything
    assert allowed("azure", "payg") == {row[0] for row in AZURE_TYPES}


def test_tiers_are_ordered_and_a_free_account_is_the_default():
    known, rules = house("gradient")
    assert sorted(known.tiers, key=lambda name: known.tiers[name].order) == list(known.tiers)
    assert rules == TierRules(default="free")
    assert house("azure")[1] == TierRules(default="payg")


def test_azure_approves_gpus_and_gradient_nothing():
    assert all(t.needs_approval for t in house("azure")[0].catalog.instance_types)
    assert not any(t.needs_approval for t in house("gradient")[0].catalog.instance_types)


@pytest.mark.parametrize("name", BOTH)
def test_a_payment_method_is_needed_exactly_where_something_costs(name):
    assert {t.free for t in house(name)[0].catalog.instance_types} == (
        {True, False} if name == "gradient" else {False}
    )


@pytest.mark.parametrize("name", BOTH)
def test_every_tier_can_start_each_of_its_machines_with_its_own_choices(name):
    known, rules = house(name)
    types = known.catalog.instance_types
    for tier in known.tiers.values():
        facts = Facts(
            tier.name, "a test", payment_method=True, approvals=frozenset(t.name for t in types)
        )
        allowance = resolve(facts, known.tiers, rules)
        for wanted in filter(tier.allows_type, types):
            for choice in tier.shutdown_choices:
                asked = {"instance_type": wanted.name, "shutdown_after": short_duration(choice)}
                start = entitle(parse_options(asked), allowance, known, NOW)
                assert isinstance(start, Entitled)
                assert start.shutdown_after == choice
                assert start.runtime is not None
                assert start.runtime.name == "python"


@pytest.mark.parametrize("name", BOTH)
def test_every_runtime_has_an_image_and_suits_a_machine_without_gpu(name):
    for runtime in house(name)[0].catalog.runtimes:
        assert runtime.image
        assert not runtime.needs_gpu


@pytest.mark.parametrize("name", BOTH)
def test_every_machine_fits_a_host_that_is_declared_like_it(name):
    for wanted in house(name)[0].catalog.instance_types:
        devices = [{"uuid": f"GPU-{i}", "model": wanted.gpu_model} for i in range(wanted.gpus)]
        host = row_from(
            Host,
            {"name": "a", "cpus": wanted.cpus, "memory": wanted.memory, "devices": devices},
            "hosts",
        )
        assert fits(wanted, host, Load()) == 1


@pytest.mark.parametrize("name", BOTH)
def test_whoever_changes_the_tables_changes_only_their_own_copy(name):
    presets.load(name)["tiers"].clear()
    assert presets.load(name)["tiers"]


@pytest.mark.parametrize("name", ["paperspace", "", "../settings", "Gradient"])
def test_an_unknown_preset_is_named_with_those_there_are(name):
    with pytest.raises(ValueError) as caught:
        presets.load(name)
    assert str(caught.value) == f"there is no preset {name!r}; known are gradient, azure"
