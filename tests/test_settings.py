"""Settings: what the environment says, in its present words."""

import pytest

from plate_assets.dry_mass.model import FORECASTER
from plate_assets.precipitation.model import DETECTOR
from plate_assets.settings import RENAMED, Settings


def test_each_science_has_a_model_in_force_and_that_is_its_champion_until_a_variable_names_another(monkeypatch):
    monkeypatch.setenv("PLATE_ASSETS_DRY_MASS_MODEL", "models:/dry-mass-forecaster/3")
    monkeypatch.setenv("PLATE_ASSETS_PRECIPITATION_MODEL", "")
    settings = Settings()
    assert settings.model_of(FORECASTER) == "models:/dry-mass-forecaster/3"
    assert settings.model_of(DETECTOR) == "models:/precipitation-detector@champion"


def test_a_science_that_the_settings_never_heard_of_names_its_model_like_the_others(monkeypatch):
    monkeypatch.setenv("PLATE_ASSETS_COLONIES_MODEL", "models:/colony-counter/1")
    settings = Settings(models={"precipitation": "somewhere"})
    assert settings.models == {"precipitation": "somewhere", "colonies": "models:/colony-counter/1"}


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_setting_under_its_former_name_is_refused_with_the_present_one(monkeypatch, old, new):
    monkeypatch.setenv(f"PLATE_ASSETS_{old}", "models:/precipitation-detector/2")
    with pytest.raises(ValueError, match=f"PLATE_ASSETS_{old} is called PLATE_ASSETS_{new} now"):
        Settings()
