"""What a hub publishes for its keeper is read back as it was."""

from traitlets.config import Config

from gradienthub.settings import GradientHub, Published


def test_every_preset_is_published_and_read_back_unchanged(tmp_path):
    for preset in ("gradient", "azure"):
        c = Config()
        c.GradientHub.preset = preset
        c.GradientHub.data_dir = str(tmp_path)
        c.GradientHub.keeper_warnings = ["5m", "90s", "15m"]
        settings = GradientHub(config=c).resolved()
        read = Published.model_validate(settings.published())
        assert read.model_dump(mode="json") == settings.published()
        assert read.catalog == settings.house.catalog
        assert read.tiers == settings.house.tiers
        assert [str(level) for level in read.policy.warnings] == ["0:15:00", "0:05:00", "0:01:30"]
