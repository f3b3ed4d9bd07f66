"""Training a detector on labelled tiles: it learns, it keeps to its budget, and a kill changes nothing of its result."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from plate_assets.precipitation.detector_training import TrainingError
from plate_assets.precipitation.model import DetectorConfig
from plate_assets.workflows.precipitation.detectors import train_detector

SMALL = DetectorConfig(epochs=4, tiles_per_epoch=64, batch=16, input_px=48, learning_rate=3e-3, seed=3)


def made_tiles(n: int = 120) -> tuple[np.ndarray, pl.DataFrame]:
    """Noise of 48 px, every third tile with dark grains; the splits are dealt in turn."""
    rng = np.random.default_rng(0)
    tiles = rng.normal(130, 10, (n, 48, 48))
    anomalous = np.arange(n) % 3 == 0
    for row, col in rng.integers(0, 44, (6, 2, n)):
        for right, down in np.ndindex(4, 4):
            tiles[np.arange(n), row + right, col + down] -= 60 * anomalous
    split = np.array(["train", "train", "calibration", "test"])[np.arange(n) // 3 % 4]
    return tiles.clip(0, 255).astype(np.uint8), pl.DataFrame({"index": np.arange(n), "anomalous": anomalous, "split": split})


@pytest.fixture(scope="module")
def tiles():
    return made_tiles()


def test_grains_are_told_from_noise_and_the_baseline_stands_beside(tiles):
    trained = train_detector(*tiles, SMALL)
    assert trained.metrics["AUC test"] > 0.9
    assert 0.5 < trained.metrics["AUC baseline test"] <= 1
    assert trained.metrics["tiles test"] == 30 and trained.metrics["anomalous test"] == 10
    assert len(trained.curves["training loss"]) == 4 and set(trained.thresholds) == {"tile_youden", "tile_f1"}


def test_the_same_seed_gives_the_same_detector_and_another_seed_another(tiles):
    one, same, other = (train_detector(*tiles, replace(SMALL, epochs=2, seed=seed)) for seed in (3, 3, 4))
    assert all(np.array_equal(same.detector.weights[name], value) for name, value in one.detector.weights.items())
    assert any(not np.array_equal(other.detector.weights[name], value) for name, value in one.detector.weights.items())


class Killed(Exception):
    """Raised where a kill would come."""


SMALL_ANOMALIES = replace(
    SMALL, reduction="max", loss_reduction="topk", synthetic_share=0.25, symmetry="rectangle", stretch=0.1, average=0.9
)  # fmt: skip


@pytest.mark.parametrize("config", [SMALL, SMALL_ANOMALIES], ids=["plain", "for small anomalies"])
def test_a_training_that_was_killed_goes_on_to_the_same_detector(tiles, tmp_path, config):
    def kill_after_two(done: int, _: int) -> None:
        if done == 2:
            raise Killed

    whole = train_detector(*tiles, config)
    checkpoint = tmp_path / "training.safetensors"
    with pytest.raises(Killed):
        train_detector(*tiles, config, checkpoint=checkpoint, progress=kill_after_two)
    resumed = train_detector(*tiles, config, checkpoint=checkpoint)
    assert resumed.metrics["resumed at epoch"] == 2 and not checkpoint.exists()
    assert resumed.curves == whole.curves
    assert all(np.array_equal(resumed.detector.weights[name], value) for name, value in whole.detector.weights.items())


def test_a_checkpoint_of_other_tiles_is_not_gone_on_from(tiles, tmp_path):
    def kill_after_one(done: int, _: int) -> None:
        raise Killed

    checkpoint = tmp_path / "training.safetensors"
    with pytest.raises(Killed):
        train_detector(*tiles, SMALL, checkpoint=checkpoint, progress=kill_after_one)
    pixels, table = tiles
    flipped = table.with_columns(anomalous=pl.when(pl.col("index") == 1).then(True).otherwise("anomalous"))
    assert "resumed at epoch" not in train_detector(pixels, flipped, replace(SMALL, epochs=1), checkpoint=checkpoint).metrics


def test_the_time_allowed_ends_a_training_after_the_epoch_that_is_under_way(tiles):
    trained = train_detector(*tiles, replace(SMALL, epochs=50, seconds=1e-3))
    assert trained.metrics["epochs"] == 1 and trained.metrics["ended"] == "time used up"


def test_training_stops_where_the_calibration_gets_no_better(tiles):
    trained = train_detector(*tiles, replace(SMALL, epochs=50, patience=1, learning_rate=0.02))
    assert trained.metrics["epochs"] < 50 and trained.metrics["ended"] == "no better for 1 epochs"


def test_one_class_training_sees_no_anomalous_tile_and_is_judged_on_them(tiles):
    pixels, table = tiles
    bright = pixels.copy()
    bad = table.filter(pl.col("anomalous") & (pl.col("split") == "train"))["index"].to_numpy()
    bright[bad] = 255 - bright[bad]  # what must not matter
    config = replace(SMALL, mode="one_class", epochs=1)
    one, other = (train_detector(array, table, config) for array in (pixels, bright))
    assert one.curves["training loss"] == other.curves["training loss"] and one.metrics["anomalous test"] == 10


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (pl.lit(True), "no normal tile"),
        (pl.lit(False), "no anomalous tile"),
    ],
)
def test_a_class_that_is_missing_is_named_with_its_remedy(tiles, what, words):
    pixels, table = tiles
    with pytest.raises(TrainingError, match=words):
        train_detector(pixels, table.with_columns(anomalous=what), SMALL)


def test_frozen_stages_stay_as_they_were_given(tiles, tmp_path):
    from safetensors.torch import save_file

    from plate_assets.learning.backbones import build_trunk

    trunk = build_trunk("cnn27", 1)
    save_file(trunk.state_dict(), tmp_path / "cnn27.safetensors")
    trained = train_detector(*tiles, replace(SMALL, epochs=1, frozen_stages=2), weights=str(tmp_path))
    given = {name: value.numpy() for name, value in trunk.state_dict().items()}
    kept = trained.detector.weights
    first = [name for name in given if name.startswith(("0.", "1.", "3.", "4."))]  # the two convolutions of the first block
    assert all(np.array_equal(kept[f"trunk.{name}"], given[name]) for name in first)
    last = max(
        (name for name in given if name.endswith("weight") and given[name].ndim == 4), key=lambda name: int(name.split(".")[0])
    )
    assert not np.array_equal(kept[f"trunk.{last}"], given[last])
    assert trained.detector.architecture["trunk_weights"].endswith("cnn27.safetensors")


def test_a_detector_starts_from_an_embedding_that_has_its_trunk_and_refuses_another(tiles, tmp_path):
    from plate_assets.learning.backbones import WeightsError
    from plate_assets.precipitation.embedding import EmbeddingModel
    from plate_assets.storage.models import ModelBundle, write_bundle

    for trunk in ("cnn27", "cnn15"):
        model = EmbeddingModel.untrained(trunk=trunk, input_px=32, seed=5)
        write_bundle(ModelBundle(model.architecture, model.weights), tmp_path / trunk)
    config = replace(SMALL, epochs=1, frozen_stages=4)
    trained = train_detector(*tiles, config, weights=str(tmp_path / "cnn27"))
    given = EmbeddingModel.untrained(trunk="cnn27", input_px=32, seed=5).trunk_weights
    frozen = {name: value for name, value in given.items() if "num_batches" not in name}
    assert all(np.array_equal(trained.detector.weights[f"trunk.{name}"], value) for name, value in frozen.items())
    assert "cnn27 (file:" in trained.detector.architecture["trunk_weights"]
    with pytest.raises(WeightsError, match="has the trunk cnn15, and cnn27 is to be trained"):
        train_detector(*tiles, config, weights=str(tmp_path / "cnn15"))
