"""The model registry on MLflow's own SQLite store: versions, who is in force, and no foreign code."""

import os
import pickle
from dataclasses import replace

import mlflow
import numpy as np
import polars as pl
import pytest
import torch

from plate_assets.dry_mass.model import FORECASTER
from plate_assets.precipitation.model import DETECTOR
from plate_assets.storage.fingerprint import fingerprint
from plate_assets.storage.model_kind import ModelKind
from plate_assets.storage.models import ModelBundle, ModelError
from plate_assets.storage.registry import ModelRegistry, NoSuchModel
from plate_assets.storage.tracking import Trained


def called(name: str) -> ModelKind:
    return replace(DETECTOR, name=name)


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A registry that nobody has written to."""
    home = tmp_path_factory.mktemp("mlflow")
    return ModelRegistry(called("empty"), f"sqlite:///{home / 'mlflow.db'}", (home / "artifacts").as_uri())


@pytest.fixture
def registry(empty, request):
    """A registry of its own on the same database: laying out the tables takes long."""
    return ModelRegistry(called(request.node.name.replace("/", " ")[:120]), empty.tracking_uri, empty.artifact_location)


def bundle_of(number: float) -> ModelBundle:
    return ModelBundle({"number": number}, {"w": np.full(3, number, np.float32)}, {"scores": DATASET})


DATASET = pl.DataFrame({"index": [0, 1], "embedding": [[0.0], [1.0]]})


def log(registry, number=0.0, backbone="cnn27", figures=None, bundle=None):
    trained = Trained(
        bundle or bundle_of(number), f"run {number}", params={"epochs": 3}, facts={"AUC test": 0.75, "ended": "by itself"},
        curves={"loss (training)": [2.0, 1.0]}, figures=figures or {"curve": b"\x89PNG"}, dataset=DATASET,
        description="for a reviewer", tags={"backbone": backbone},
    )  # fmt: skip
    return registry.register(trained, "d-1")


def test_an_empty_registry_has_no_champion_and_says_what_to_run(empty):
    assert empty.champion() is None and empty.versions().is_empty() and empty.newest_by_tag("backbone") == []
    with pytest.raises(NoSuchModel, match="job `train_precipitation`"):
        empty.require_challenger()
    with pytest.raises(NoSuchModel, match="plate-assets promote"):
        empty.load("models:/empty@champion")
    with pytest.raises(NoSuchModel, match="no champion before"):
        empty.rollback("ann", "for nothing")


def test_a_training_becomes_the_challenger_with_all_that_a_reviewer_reads(registry):
    version = log(registry, 1.0)
    assert registry.challenger() == version.uri == f"models:/{registry.name}/1" and registry.champion() is None
    row = registry.versions().row(0, named=True)
    assert (row["aliases"], row["review"], row["backbone"]) == ("challenger", "pending", "cnn27")
    client = registry._client
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED" and run.data.params == {"epochs": "3"} and run.data.metrics["AUC test"] == 0.75
    assert [point.value for point in client.get_metric_history(version.run_id, "loss _training_")] == [2.0, 1.0]
    assert run.data.tags["data_fingerprint"] == fingerprint(DATASET) and run.data.tags["dagster_run_id"] == "d-1"
    assert [item.path for item in client.list_artifacts(version.run_id, "figures")] == ["figures/curve.png"]
    assert client.get_model_version(registry.name, version.version).description == "for a reviewer"


def test_a_version_loads_as_it_was_logged_by_whatever_name(registry):
    version = log(registry, 2.0)
    registry.promote(version.version, "ann", "good")
    for name in (version.uri, f"models:/{registry.name}@champion", f"runs:/{version.run_id}/model"):
        loaded = registry.load(name)
        assert loaded.architecture == {"number": 2.0} and loaded.weights["w"].tolist() == [2.0] * 3
        assert loaded.tables["scores"].equals(DATASET)


def test_promotion_moves_the_champion_and_records_who_and_why(registry):
    first, second = log(registry, 1.0), log(registry, 2.0)
    assert registry.promote(first.version, "ann", "the first") == registry.champion() == first.uri
    assert registry.challenger() == second.uri
    registry.promote(f"models:/{registry.name}@challenger", "bob", "higher AUC")
    assert registry.champion() == second.uri and registry.challenger() is None
    row = registry.versions().row(0, named=True)
    assert (row["aliases"], row["review"], row["author"], row["reason"]) == ("champion", "accepted", "bob", "higher AUC")


def test_rollback_goes_back_one_champion_at_a_time(registry):
    first, second, third = (log(registry, number) for number in (1.0, 2.0, 3.0))
    for version in (first, second, third):
        registry.promote(version.version, "ann", "next")
    assert registry.rollback("bob", "too many calls") == second.uri
    assert registry.rollback("bob", "still") == first.uri == registry.champion()
    with pytest.raises(NoSuchModel, match="no champion before"):
        registry.rollback("bob", "again")
    rows = {row["version"]: row for row in registry.versions().iter_rows(named=True)}
    assert rows[3]["review"] == rows[2]["review"] == "rolled back" and rows[3]["author"] == "bob"


def test_a_rollback_passes_over_a_champion_that_was_deleted(registry):
    first, second, third = (log(registry, number) for number in (1.0, 2.0, 3.0))
    for version in (first, second, third):
        registry.promote(version.version, "ann", "next")
    registry._client.delete_model_version(registry.name, second.version)
    assert registry.rollback("bob", "too many calls") == first.uri


def test_promoting_the_champion_again_does_not_make_it_its_own_predecessor(registry):
    first, second = log(registry, 1.0), log(registry, 2.0)
    for version in (first, second, second):
        registry.promote(version.version, "ann", "sure")
    assert registry.rollback("ann", "no") == first.uri


@pytest.mark.parametrize("wrong", ["99", "models:/another-model/1", "models:/..//1", "models:/x@@y", "3; drop table"])
def test_a_version_that_is_not_there_is_not_promoted(empty, wrong):
    with pytest.raises(NoSuchModel):
        empty.promote(wrong, "ann", "typing")


def test_the_newest_version_of_each_backbone_is_compared(registry):
    for number, backbone in ((1.0, "vgg16"), (2.0, "cnn27"), (3.0, "vgg16")):
        log(registry, number, backbone)
    assert [found.version for found in registry.newest_by_tag("backbone")] == ["2", "3"]


def test_a_training_that_cannot_be_kept_leaves_a_failed_run_and_no_version(registry):
    with pytest.raises(ValueError, match="cannot name a figure"):
        log(registry, figures={"../outside": b""})
    assert registry.versions().is_empty()
    experiment = registry._client.get_experiment_by_name("precipitation").experiment_id
    newest = registry._client.search_runs([experiment], order_by=["attributes.start_time DESC"], max_results=1)[0]
    assert newest.info.status == "FAILED"


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_a_foreign_model_with_a_pickle_is_refused_and_not_unpickled(registry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "python_model.pkl").write_bytes(pickle.dumps(Bomb()))
    (foreign / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n")
    registry._client.create_registered_model(registry.name)
    registry._client.create_model_version(registry.name, foreign.as_uri())
    with pytest.raises(ModelError, match="0 bundles of plate_assets.*nothing in it was run"):
        registry.load(f"models:/{registry.name}/1")
    assert not (tmp_path / "exploded").exists()


def test_a_version_whose_files_are_gone_says_so(registry, tmp_path):
    registry._client.create_registered_model(registry.name)
    registry._client.create_model_version(registry.name, (tmp_path / "gone").as_uri())
    with pytest.raises(NoSuchModel, match="cannot be fetched"):
        registry.load(f"models:/{registry.name}/1")


def test_mlflows_own_loader_gives_the_same_scores_as_the_platform(registry):
    from plate_assets.learning.bundled import weights_of
    from plate_assets.precipitation.detector import FORMAT, Detector
    from plate_assets.precipitation.fcdd import FCDD

    torch.manual_seed(0)
    architecture = {
        "format": FORMAT, "backbone": "cnn27", "in_channels": 1, "input_px": 224, "normalisation": "tile", "mean": 0.5,
        "std": 0.1, "reduction": "mean",
    }  # fmt: skip
    bundle = ModelBundle(architecture, weights_of(FCDD("cnn27", 1)), {})
    version = log(registry, bundle=bundle)
    tiles = np.random.default_rng(0).integers(0, 255, (3, 64, 64), dtype=np.uint8)
    place = registry._client.get_model_version_download_uri(registry.name, version.version)
    served = mlflow.pyfunc.load_model(place).predict(tiles)
    loaded = registry.load(version.uri)
    assert np.array_equal(served, Detector.from_parts(loaded.architecture, loaded.weights).score(tiles).scores)


def test_a_kind_of_model_whose_loader_loads_nothing_is_not_registered(registry):
    for loader, words in (
        ("os.path", "names no class"),
        ("os.path:join", "names no class"),
        ("json.decoder:JSONDecoder", "no from_parts and no predict"),
        ("json.decoder:Nothing", "no from_parts and no predict"),
    ):
        other = ModelRegistry(replace(registry.kind, loader=loader), registry.tracking_uri, registry.artifact_location)
        with pytest.raises(ModelError, match=words):
            log(other)
    assert registry.versions().is_empty()


def test_what_a_reviewer_sees_of_a_version_is_what_its_kind_says(empty):
    registry = ModelRegistry(replace(FORECASTER, name="seen"), empty.tracking_uri, empty.artifact_location)
    log(registry)
    assert registry.versions().columns[-4:] == ["features", "unit", "run_id", "made_at"]


def test_each_kind_of_model_has_its_own_name_experiment_and_remedy(empty):
    registry = ModelRegistry(FORECASTER, empty.tracking_uri, empty.artifact_location)
    with pytest.raises(NoSuchModel, match="train a forecaster .*promote --kind dry_mass"):
        registry.version_of("models:/dry-mass-forecaster@champion")
