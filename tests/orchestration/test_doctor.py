"""A bare machine is told what to mend, a made home lacks a champion only, and what it asks leaves nothing behind."""

import shutil
from pathlib import Path

import pytest

from plate_assets.orchestration.doctor import examine
from plate_assets.orchestration.resources import registries_of
from plate_assets.precipitation.model import DETECTOR
from plate_assets.settings import Settings
from tests.made_models import registered

PROJECT = Path(__file__).parents[2]


def answers(settings: Settings) -> dict[str, tuple[bool, str]]:
    return {finding.what: (finding.ok, finding.said) for finding in examine(settings)}


def test_a_bare_home_is_told_what_to_mend(tmp_path, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    found = answers(Settings(home=tmp_path / "home"))
    ok, said = found["arrivals"]
    assert not ok and "make it, or set PLATE_ASSETS_ARRIVALS" in said
    assert not found["history"][0] and "DAGSTER_HOME" in found["history"][1]


@pytest.mark.parametrize(("entrance", "lacking"), [("acquisition", "detector"), ("timelapse", "forecaster"), (None, None)])
def test_a_made_home_lacks_the_champions_of_what_arrived_and_stays_as_it_was(tmp_path, monkeypatch, entrance, lacking):
    (tmp_path / "arrivals").mkdir()
    (tmp_path / "storage").mkdir()
    if entrance:
        (tmp_path / "storage" / entrance).mkdir()
    shutil.copy(PROJECT / "dagster.yaml", tmp_path / "dagster.yaml")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    found = answers(Settings(home=tmp_path))
    mend = {what: said for what, (ok, said) in found.items() if not ok and what != "alibi-detect"}
    assert list(mend) == ([f"champion: {lacking}"] if lacking else [])
    assert all("plate-assets promote" in said for said in mend.values())
    made = [path.name for path in (tmp_path / "storage").iterdir()]
    assert made == ([entrance] if entrance else []) and not list((tmp_path / "arrivals").iterdir())


def test_another_launcher_is_found_out(tmp_path, monkeypatch):
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    ok, said = answers(Settings(home=tmp_path))["launcher"]
    assert not ok and "killed runs would stay STARTED" in said


def test_a_registry_that_cannot_be_reached_is_a_finding_and_no_crash(tmp_path):
    (tmp_path / "a file").write_text("no folder")
    found = answers(Settings(home=tmp_path, mlflow_tracking_uri=f"sqlite:///{tmp_path}/a file/mlflow.db"))
    assert not found["champion: detector"][0] and not found["champion: forecaster"][0]


@pytest.mark.parametrize(
    ("able", "precision", "ok"),
    [(False, "bfloat16", False), (False, "int8", False), (False, "float32", True), (True, "bfloat16", True)],
)
def test_a_champion_that_this_processor_is_slow_at_is_found_out(tmp_path, monkeypatch, able, precision, ok):
    for name in ("multiplies_bfloat16", "multiplies_int8"):
        monkeypatch.setattr(f"plate_assets.learning.arithmetic.{name}", lambda: able)
    settings = Settings(home=tmp_path)
    registries_of(settings).of(DETECTOR).promote(registered(settings, precision=precision).version, "Ada", "the first")
    found, said = answers(settings)["arithmetic"]
    assert found is ok and ok is ("takes several times longer" not in said)
