"""Detectors from folders of pictures: split by scene, trained, scored, and refused with the reason."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from PIL import Image

from plate_assets.precipitation.model import FROM_A_FOLDER
from plate_assets.storage.models import read_bundle
from plate_assets.workflows.precipitation.tile_folders import (
    TileFolderError,
    near_duplicates,
    score_folder_of_tiles,
    split_pictures,
    train_from_folder,
)
from tests.made_models import random_detector


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Twenty smooth pictures and twenty with bright grains, four of each again under another exposure."""
    folder, draw = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for name, grains in (("normal", 0), ("anomalous", 12)):
        (folder / name).mkdir()
        for number in range(20):
            coarse = Image.fromarray(draw.integers(60, 140, (6, 6), dtype=np.uint8)).resize((48, 48), Image.Resampling.BICUBIC)
            image = np.asarray(coarse).astype(float)
            for row, col in draw.integers(4, 44, (grains, 2)):
                image[row - 2 : row + 2, col - 2 : col + 2] += 90
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / name / f"{number:02d}.png")
            if number < 4:
                Image.fromarray((image * 0.7).clip(0, 255).astype(np.uint8)).save(folder / name / f"{number:02d}_dim.png")
    return folder


def test_pictures_of_one_scene_stay_on_one_side_of_the_split(pictures):
    for seed in range(3):
        table = split_pictures(pictures, seed)
        assert table.height == 48 and set(table["split"]) == {"train", "calibration", "test"}
        assert (table.group_by("group").agg(pl.col("split").n_unique())["split"] == 1).all()
        scene = table.with_columns(scene=pl.col("path").str.replace("_dim", ""))
        assert (scene.group_by("scene").agg(pl.col("group").n_unique())["group"] == 1).all()
        assert set(table.filter(pl.col("anomalous"))["split"]) == {"train", "calibration", "test"}
    assert split_pictures(pictures, 0).equals(split_pictures(pictures, 0))
    assert not split_pictures(pictures, 0).equals(split_pictures(pictures, 1))


def test_what_correlates_through_a_third_is_one_scene():
    draw = np.random.default_rng(1)
    base = draw.normal(size=(3, 8, 8))
    thumbnails = np.stack([base[0], 2 * base[0] + 7, base[1], base[2], -base[2]])
    assert near_duplicates(thumbnails).tolist() == [0, 0, 1, 2, 3]


def test_a_detector_from_a_folder_tells_grains_from_none_and_scores_files_in_order(pictures, tmp_path):
    made = train_from_folder(pictures, tmp_path / "model", replace(FROM_A_FOLDER, epochs=1))
    assert made.trained.metrics["AUC test"] > 0.8
    assert {"AUC baseline test", "epochs", "training seconds"} <= set(made.trained.metrics)
    assert pl.read_csv(made.split).columns == ["path", "anomalous", "group", "split"]
    scores = score_folder_of_tiles(pictures, read_bundle(tmp_path / "model"))
    assert scores.columns == ["path", "score"] and scores["path"].to_list() == sorted(scores["path"])
    anomalous = scores["path"].str.starts_with("anomalous/")
    assert scores.filter(anomalous)["score"].median() > scores.filter(~anomalous)["score"].median()
    assert not list(tmp_path.glob(".model*"))


def test_a_folder_that_nothing_can_be_learnt_from_says_what_it_lacks(tmp_path):
    with pytest.raises(TileFolderError, match="normal is no folder"):
        split_pictures(tmp_path, 0)
    (tmp_path / "normal").mkdir()
    (tmp_path / "anomalous").mkdir()
    with pytest.raises(TileFolderError, match="holds 0 pictures, and 8 or more"):
        split_pictures(tmp_path, 0)
    with pytest.raises(TileFolderError, match="holds no picture"):
        score_folder_of_tiles(tmp_path, random_detector())
