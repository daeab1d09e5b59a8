"""Settings: presets with own rows laid over, and faults that name place, value and cure."""

import pytest
from traitlets import TraitError
from traitlets.config import Config

from gradienthub.rules.catalog import ConfigurationFault
from gradienthub.settings import GradientHub, Settings


def resolved(tmp_path, **traits) -> Settings:
    c = Config()
    c.GradientHub = Config({"data_dir": str(tmp_path), **traits})
    return GradientHub(config=c).resolved()


def fault(tmp_path, **traits) -> str:
    with pytest.raises(ConfigurationFault) as caught:
        resolved(tmp_path, **traits)
    return str(caught.value)


@pytest.mark.parametrize("preset", ["gradient", "azure"])
def test_a_preset_alone_is_a_whole_configuration(tmp_path, preset):
    settings = resolved(tmp_path, preset=preset)
    assert settings.house.catalog.currency == "USD"
    assert settings.tier_rules.default in settings.house.tiers


def test_own_keys_are_laid_over_a_presets_row(tmp_path):
    settings = resolved(tmp_path, instance_types={"v100": {"price": "1.90"}})
    v100 = settings.house.catalog.instance_type("v100")
    assert v100 is not None
    assert (v100.price, v100.gpu_model) == (1_900_000, "Tesla V100")


def test_rows_are_added_and_removed(tmp_path):
    settings = resolved(
        tmp_path,
        instance_types={
            "c3": None,
            "tiny": {"title": "Tiny", "cpus": 1, "memory": 1, "price": 0},
        },
        tiers={"g1": {"instance_types": ["free", "tiny"]}},
    )
    assert settings.house.catalog.instance_type("c3") is None
    assert settings.house.catalog.instance_type("tiny") is not None


@pytest.mark.parametrize(
    ("traits", "words"),
    [
        (
            {"instance_types": {"v100": {"prize": 1}}},
            ["instance_types['v100'].prize", "known keys are"],
        ),
        ({"instance_types": {"v100": {"price": -1}}}, ["instance_types['v100'].price", "-1"]),
        (
            {"instance_types": {"x": {"title": "X", "cpus": 1, "memory": 1}}},
            ["instance_types['x'].price is missing"],
        ),
        ({"instance_types": {"nope": None}}, ["instance_types['nope']", "does not"]),
        ({"instance_types": {"v100": "2.30"}}, ["instance_types['v100']", "2.30", "dict"]),
        ({"instance_types": {"c3": None}}, ["tiers['g1'].instance_types", "'c3'"]),
        ({"runtimes": {"python": {"image": "-v /:/host"}}}, ["runtimes['python']", "-v /:/host"]),
        ({"tiers": {"g1": {"shutdown_max": "1m"}}}, ["tiers['g1']", "shutdown_min"]),
        ({"tiers": {"g1": {"session_limit": "1 fortnight"}}}, ["tiers['g1'].session_limit"]),
        ({"tiers": {"g1": {"default_runtime": "cobol"}}}, ["default_runtime", "'cobol'"]),
        ({"tier_rules": {"default": "gold"}}, ["tier_rules.default", "'gold'", "known are"]),
        ({"tier_rules": {"by_group": {"lab": "gold"}}}, ["by_group['lab']", "'gold'"]),
        ({"hosts": {"a": {"cpus": 0, "memory": 1}}}, ["hosts['a'].cpus"]),
        (
            {
                "hosts": {
                    "a": {"cpus": 1, "memory": 1, "devices": [{"uuid": "GPU-1", "model": "M"}]},
                    "b": {"cpus": 1, "memory": 1, "devices": [{"uuid": "GPU-1", "model": "M"}]},
                }
            },
            ["'GPU-1'", "'a'", "'b'"],
        ),
        ({"default_instance_type": "huge"}, ["default_instance_type", "'huge'", "known are"]),
        ({"currency": "dollars"}, ["currency", "dollars"]),
        ({"hub_id": "no spaces"}, ["hub_id", "no spaces"]),
        ({"database_url": "postgresql://db/x"}, ["hub_id", "set a word"]),
        ({"preset": None}, ["tiers is empty", "preset"]),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_the_cure(tmp_path, traits, words):
    said = fault(tmp_path, **traits)
    for word in words:
        assert word in said


def test_a_wrong_type_is_refused_by_the_trait(tmp_path):
    with pytest.raises(TraitError, match="stage_width"):
        resolved(tmp_path, stage_width="many")


def test_the_hub_id_is_made_once_and_kept(tmp_path):
    assert resolved(tmp_path).hub_id == resolved(tmp_path).hub_id != ""


def test_the_published_settings_hold_no_secret_and_change_their_digest(tmp_path):
    settings = resolved(tmp_path, database_url="postgresql://hub:s3cret@db/x", hub_id="physics")
    assert "s3cret" not in str(settings.published())
    other = resolved(tmp_path, hub_id="physics", instance_types={"v100": {"price": 1}})
    assert settings.digest() != other.digest()


def test_every_setting_says_what_it_does_and_why_its_default():
    for name, trait in GradientHub.class_traits(config=True).items():
        assert len(trait.help) > 60, name
        assert "Default" in trait.help, name
