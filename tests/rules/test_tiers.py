"""Tiers: what each allows, and how a person comes to one."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradienthub.rules.catalog import Catalog, InstanceType, Runtime
from gradienthub.rules.tiers import (
    Allowance,
    ClaimRule,
    Facts,
    Tier,
    TierRules,
    cheapest_with,
    resolve,
)

HOUR = timedelta(hours=1)


def tier(name: str, order: int = 0, **keys: Any) -> Tier:
    known = {"shutdown_choices": ["1h"], "shutdown_min": "5m", "shutdown_max": "12h"}
    return Tier.model_validate({"name": name, "title": name, "order": order, **known, **keys})


TIERS = {t.name: t for t in (tier("free"), tier("g1", 1), tier("g2", 2), tier("t1", 3))}
RULES = TierRules(
    default="free",
    by_group={"lab-bio": "g1", "lab-chem": "g2", "retired": "gone"},
    by_claim=(
        ClaimRule(claim="plan", value="team", tier="t1"),
        ClaimRule(claim="acme.staff", value=True, tier="g1"),
        ClaimRule(claim="plan", value="old", tier="gone"),
    ),
)


def given_by(rules: TierRules = RULES, **facts: Any) -> tuple[str, str]:
    allowance = resolve(Facts(**facts), TIERS, rules)
    return allowance.tier.name, allowance.given_by


GROUPS = frozenset({"lab-bio", "lab-chem"})
CLAIMS = {"plan": "team", "acme": {"staff": True}}


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ({}, ("free", "default")),
        ({"claims": CLAIMS}, ("t1", "claim plan")),
        ({"claims": {"acme": {"staff": True}}}, ("g1", "claim acme.staff")),
        ({"claims": CLAIMS, "groups": frozenset({"lab-bio"})}, ("g1", "group lab-bio")),
        ({"claims": CLAIMS, "groups": GROUPS}, ("g2", "group lab-chem")),
        ({"groups": frozenset({"elsewhere"})}, ("free", "default")),
        ({"claims": CLAIMS, "groups": GROUPS, "person_tier": "free"}, ("free", "an administrator")),
        ({"groups": GROUPS, "person_tier": "g1", "person_tier_by": "ada"}, ("g1", "ada")),
    ],
)
def test_a_tier_comes_from_the_person_then_a_group_then_a_claim_then_the_default(facts, outcome):
    assert given_by(**facts) == outcome


@pytest.mark.parametrize("person_tier", ["gone", "", None])
def test_a_tier_that_is_no_longer_configured_is_passed_over(person_tier):
    assert given_by(person_tier=person_tier, person_tier_by="ada") == ("free", "default")
    assert given_by(person_tier=person_tier, groups=GROUPS) == ("g2", "group lab-chem")


def test_a_rule_for_a_tier_that_is_no_longer_configured_is_passed_over():
    assert given_by(groups=frozenset({"retired"})) == ("free", "default")
    assert given_by(groups=frozenset({"retired", "lab-bio"})) == ("g1", "group lab-bio")
    assert given_by(claims={"plan": "old"}) == ("free", "default")


def test_of_groups_with_equal_tiers_the_first_by_name_is_named():
    rules = TierRules(default="free", by_group={"zoo": "g1", "art": "g1"})
    assert given_by(rules, groups=frozenset({"zoo", "art"})) == ("g1", "group art")


def test_an_allowance_carries_what_else_is_known_of_the_person():
    allowance = resolve(
        Facts(groups=GROUPS, payment_method=True, approvals=frozenset({"v100"})), TIERS, RULES
    )
    assert allowance == Allowance(
        tier=TIERS["g2"],
        given_by="group lab-chem",
        groups=GROUPS,
        payment_method=True,
        approvals=frozenset({"v100"}),
    )


@settings(deadline=None)
@given(
    st.builds(
        Facts,
        person_tier=st.none() | st.sampled_from([*TIERS, "gone"]),
        groups=st.frozensets(st.sampled_from(["lab-bio", "lab-chem", "retired", "elsewhere"])),
        claims=st.dictionaries(
            st.sampled_from(["plan", "acme"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.sampled_from(["team", "old"]),
                lambda inner: st.lists(inner) | st.dictionaries(st.just("staff"), inner),
            ),
        ),
    )
)
def test_whatever_is_known_of_a_person_gives_a_configured_tier(facts):
    allowance = resolve(facts, TIERS, RULES)
    assert allowance.tier in TIERS.values()
    assert allowance.given_by


@pytest.mark.parametrize(
    ("value", "claims", "matches"),
    [
        ("team", {"plan": "team"}, True),
        ("team", {"plan": "teams"}, False),
        ("team", {"plan": "Team"}, False),
        ("team", {"plan": ["solo", "team"]}, True),
        ("team", {"plan": ("team",)}, True),
        ("team", {"plan": []}, False),
        ("team", {"plan": {"team": True}}, False),
        ("team", {"plan": None}, False),
        ("team", {}, False),
        (1, {"plan": 1}, True),
        (1, {"plan": "1"}, False),
        (1, {"plan": 1.0}, False),
        ("1", {"plan": 1}, False),
        # True == 1 in Python, and a person with one seat is not staff.
        (1, {"plan": True}, False),
        (True, {"plan": 1}, False),
        (True, {"plan": [1]}, False),
        (1, {"plan": [True]}, False),
        (False, {"plan": 0}, False),
        (True, {"plan": True}, True),
        (True, {"plan": [False, True]}, True),
        (True, {"plan": "true"}, False),
    ],
)
def test_a_claim_matches_by_equal_value_of_equal_type(value, claims, matches):
    assert ClaimRule(claim="plan", value=value, tier="t1").matches(claims) is matches


@pytest.mark.parametrize(
    ("claims", "matches"),
    [
        ({"a": {"b": {"c": "x"}}}, True),
        ({"a": {"b": {"c": ["x"]}}}, True),
        ({"a": {"b": "x"}}, False),
        ({"a": {"b": {"c": {"d": "x"}}}}, False),
        ({"a": [{"b": {"c": "x"}}]}, False),
        ({"a": None}, False),
        ({"a.b.c": "x"}, False),
    ],
)
def test_a_claim_is_found_by_its_dotted_path(claims, matches):
    assert ClaimRule(claim="a.b.c", value="x", tier="t1").matches(claims) is matches


# -- what a tier allows -------------------------------------------------------------------------

FREE_TYPE = InstanceType(name="free-cpu", title="Free-CPU", cpus=2, memory=2, price="0")
C3 = InstanceType(name="c3", title="C3", cpus=2, memory=2, price="0.018")
PYTHON = Runtime(name="python", title="Python")
TORCH = Runtime(name="torch", title="PyTorch")


@pytest.mark.parametrize(
    ("names", "allowed"),
    [
        (["*"], {"free-cpu", "c3"}),
        (["free"], {"free-cpu"}),
        (["c3"], {"c3"}),
        (["free", "c3"], {"free-cpu", "c3"}),
        ([], set()),
        (["c*"], set()),
    ],
)
def test_a_tier_allows_types_by_name_or_all_free_ones_or_all(names, allowed):
    one = tier("x", instance_types=names)
    assert {t.name for t in (FREE_TYPE, C3) if one.allows_type(t)} == allowed


def test_a_tier_allows_runtimes_by_name_or_all():
    assert tier("x").allows_runtime(TORCH)
    assert tier("x", runtimes=["torch"]).allows_runtime(TORCH)
    assert not tier("x", runtimes=["python"]).allows_runtime(TORCH)


@pytest.mark.parametrize(
    ("patterns", "image", "allowed"),
    [
        ([], "python", False),
        (["*"], "ghcr.io/acme/train:1", True),
        (["ghcr.io/acme/*"], "ghcr.io/acme/train:1", True),
        (["ghcr.io/acme/*"], "ghcr.io/acme-evil/train:1", False),
        (["ghcr.io/acme/*"], "evil.io/ghcr.io/acme/train:1", False),
        (["ghcr.io/acme/*"], "GHCR.io/acme/train", False),
        (["python:3.1[12]"], "python:3.12", True),
        (["python:3.1[12]"], "python:3.13", False),
        (["a", "b"], "b", True),
    ],
)
def test_a_tier_allows_custom_images_by_pattern(patterns, image, allowed):
    assert tier("x", custom_images=patterns).allows_image(image) is allowed


@pytest.mark.parametrize(
    ("keys", "default"),
    [
        ({}, PYTHON),
        ({"default_runtime": "torch"}, TORCH),
        ({"runtimes": ["torch"]}, TORCH),
        ({"runtimes": []}, None),
        ({"default_runtime": "gone"}, None),
    ],
)
def test_the_default_runtime_is_the_tiers_mark_or_the_first_it_may_use(keys, default):
    allowance = Allowance(tier("x", **keys), "default", frozenset(), False, frozenset())
    catalog = Catalog(instance_types=(), runtimes=(PYTHON, TORCH))
    assert allowance.default_runtime(catalog) == default


def test_the_tier_that_a_type_needs_is_the_lowest_that_has_it():
    tiers = [tier("t1", 3), tier("free", 0, instance_types=["free"]), tier("g1", 1)]
    found = cheapest_with(C3, tiers)
    assert found is not None
    assert found.name == "g1"
    assert cheapest_with(C3, tiers[1:2]) is None


@pytest.mark.parametrize(("private_hosts", "groups"), [(True, {"lab-bio"}), (False, set())])
def test_a_groups_reserved_hosts_are_open_only_in_tiers_that_have_them(private_hosts, groups):
    one = tier("any", private_hosts=private_hosts)
    facts = Facts(groups=frozenset({"lab-bio"}))
    assert resolve(facts, {"any": one}, TierRules(default="any")).host_groups == groups
