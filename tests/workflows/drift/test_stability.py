"""The stability study as a whole: every corruption is in its tables, in bounded memory, with the control at level 0."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from plate_assets.drift.corruptions import STUDIED, levels_of
from plate_assets.drift.stability.alarms import OfflineTrial, OnlineTrial
from plate_assets.drift.stability.tables import MEASURES, ONLINE_AUC, STABILITY
from plate_assets.storage.arrays import Stack
from plate_assets.workflows.drift.stability import (
    Embedder,
    Scorer,
    StabilityConfig,
    StudyError,
    conditions_of,
    drawn_tiles,
    embedder_of,
    scorer_of,
    stability_study,
    study_figures,
)
from tests.made_models import random_detector

OFFLINE = OfflineTrial(batch=8, batches=3, seeds=2, permutations=39)
ONLINE = OnlineTrial(windows=(2, 5), erts=(128,), levels=(0, 2, 4), streams=40, longest=48, seeds=2)
CONFIG = StabilityConfig(tiles_per_unit=2, offline=OFFLINE, online=ONLINE)


def made_stack(wells: int = 40, side: int = 32, seed: int = 0) -> Stack:
    """Three tiles of noise from each well of two plates, every fourth well with bright squares."""
    rng = np.random.default_rng(seed)
    n = 3 * wells
    well = np.arange(n) // 3
    tiles = rng.normal(120 + rng.normal(0, 4, wells)[well][:, None, None], 12, (n, side, side))
    anomalous = well % 4 == 0
    tiles[:, 8:12, 8:12] += 80 * anomalous[:, None, None]
    table = pl.DataFrame({
        "Metadata_Plate": [f"P{number % 2}" for number in well], "Metadata_Timepoint": "096h",
        "Metadata_Well": [f"A{number // 2 + 1:02d}" for number in well], "anomalous": anomalous,
    })  # fmt: skip
    return Stack(table, tiles.clip(0, 255).astype(np.uint8))


def moments(tiles: np.ndarray) -> np.ndarray:
    """An embedding that can be followed: mean, deviation, sharpness and brightest pixel of each tile."""
    values = tiles.astype(float)
    sharp = np.abs(np.diff(values, axis=2)).mean((1, 2))
    return np.stack([values.mean((1, 2)), values.std((1, 2)), sharp, values.max((1, 2)) / 4], axis=1)


BRIGHTEST = Scorer("file:brightest", lambda tiles: tiles.max((1, 2)) / 255, 0.72)
MOMENTS = Embedder("file:moments", moments)


@pytest.fixture(scope="module")
def study():
    return stability_study(made_stack(), CONFIG, detector=BRIGHTEST, embedding=MOMENTS)


def test_every_corruption_and_level_is_measured_on_every_subject(study):
    table = STABILITY.check(study.stability)
    expected = {(name, level) for name in STUDIED for level in levels_of(name)}
    for subject, measures in table.group_by("subject").agg(pl.col("measure").unique()).iter_rows():
        for measure in measures:
            rows = table.filter(pl.col("subject") == subject, pl.col("measure") == measure)
            assert set(rows.select("corruption", "level").iter_rows()) == expected
    assert set(table["measure"]) == set(MEASURES) and set(table["subject"]) == {"detector", "embedding", "drift_test"}
    assert (study.units, study.tiles) == (40, 80)


def test_level_0_is_the_clean_tiles_under_every_corruption(study):
    clean = study.stability.filter(pl.col("level") == 0)
    assert clean["parameter"].null_count() == clean.height
    assert clean.drop("corruption").n_unique() == clean.filter(pl.col("corruption") == "dust").height
    for measure, value in {"score_shift": 0, "movement": 0, "neighbours_kept": 1}.items():
        assert (clean.filter(pl.col("measure") == measure)["value"] == value).all()


def test_a_detector_of_bright_pixels_suffers_from_what_it_should_and_from_nothing_else(study):
    auc = study.stability.filter(pl.col("measure") == "auc")
    at = {(row["corruption"], row["level"]): row["value"] for row in auc.iter_rows(named=True)}
    assert at["defocus", 0] > 0.95
    assert at["contrast", 1] == pytest.approx(at["contrast", 0], abs=0.02)  # a gain without clipping keeps the order
    assert at["gaussian_noise", 5] < 0.9 and at["brightness", 5] < 0.7  # all white: nothing to tell


def test_strong_corruptions_alarm_and_clean_batches_mostly_do_not(study):
    missed = study.stability.filter(pl.col("measure") == "false_negative_rate")
    at = {(row["corruption"], row["level"]): row["value"] for row in missed.iter_rows(named=True)}
    assert at["gaussian_blur", 5] == at["brightness", -5] == at["gaussian_noise", 5] == 0
    assert at["gaussian_blur", 0] >= 0.5


def test_run_lengths_part_blurred_streams_from_clean_ones_and_clean_from_clean_not(study):
    table = ONLINE_AUC.check(study.online_auc).with_columns(away=(pl.col("auc") - 0.5).abs())
    assert table.height == 2 * 1 * 3 and set(table["corruption"]) == {"defocus"}
    assert (table.filter(pl.col("level") == 4)["auc"] > 0.75).all()
    assert (table.filter(pl.col("level") == 0)["away"] < 0.2).all()
    assert (table["low"] <= table["auc"]).all() and (table["auc"] <= table["high"]).all()
    told = table.drop_nulls("thesis_auc").select("window", "level", "thesis_auc").rows()
    assert sorted(told) == [(2, 4, 0.85), (5, 4, 0.92)]


class Counted(np.ndarray):
    """An array that keeps how many rows of it were asked for at once."""

    asked: list[int]

    @classmethod
    def of(cls, array) -> "Counted":
        made = np.asarray(array).view(cls)
        made.asked = []
        return made

    def __getitem__(self, rows):
        self.asked.append(len(rows))
        return np.asarray(self)[rows]


def test_a_corruption_gives_the_same_rows_again_whatever_else_is_studied_with_it(study):
    done = []
    few = replace(CONFIG, corruptions=("defocus", "dust"))
    again = stability_study(
        made_stack(), few, detector=BRIGHTEST, embedding=MOMENTS, progress=lambda *now: done.append(now)
    )  # fmt: skip
    assert again.stability.equals(study.stability.filter(pl.col("corruption").is_in(["defocus", "dust"])), null_equal=True)
    assert again.online_auc.equals(study.online_auc)
    assert done == [(number, 11) for number in range(1, 12)]  # one block, clean and under ten levels


def test_no_more_is_read_at_once_than_a_block():
    large = Counted.of(np.zeros((24, 1000, 1000), np.uint8))
    small = replace(CONFIG, corruptions=("brightness",), levels=(1,), unit=())
    stability_study(Stack(pl.DataFrame({"image": range(24)}), large), small, detector=replace(BRIGHTEST, threshold=None))
    assert max(large.asked) == 6  # 24 MB of float32


def test_tiles_are_drawn_by_wells_and_a_well_gives_no_more_than_its_share():
    table = made_stack(60).table
    drawn = drawn_tiles(table, StabilityConfig(tiles_per_unit=2, most_units=25))
    wells = table[drawn.rows].select("Metadata_Plate", "Metadata_Well")
    assert drawn.units == 25 == wells.n_unique() and len(drawn.rows) == 50 and (np.diff(drawn.rows) > 0).all()
    by_unit = wells.with_columns(unit=drawn.unit).group_by("unit").agg(pl.struct("Metadata_Plate", "Metadata_Well").n_unique())
    assert (by_unit["Metadata_Plate"] == 1).all()


def test_a_study_of_chosen_corruptions_and_levels_holds_these_and_level_0():
    config = replace(CONFIG, corruptions=("jpeg", "exposure"), levels=(-1, 3))
    assert conditions_of(config) == [("jpeg", 3), ("exposure", -1), ("exposure", 3)]
    found = stability_study(made_stack(), config, embedding=MOMENTS)
    assert set(found.stability["level"]) == {-1, 0, 3} and set(found.stability["subject"]) == {"embedding", "drift_test"}
    assert found.online_auc.height == 0  # defocus was not asked for


def test_stored_models_are_studied_as_they_score_and_embed():
    from plate_assets.precipitation.detector import Detector
    from plate_assets.precipitation.embedding import EmbeddingModel
    from plate_assets.storage.models import ModelBundle

    bundle, model = random_detector(), EmbeddingModel.untrained(input_px=32)
    tiles = np.asarray(made_stack(2).array)
    scorer, embedder = scorer_of(bundle, "file:1"), embedder_of(ModelBundle(model.architecture, model.weights), "file:2")
    assert np.array_equal(scorer.score(tiles), Detector.from_parts(bundle.architecture, bundle.weights).score(tiles).scores)
    assert np.array_equal(embedder.embed(tiles), model.embed(tiles))
    assert scorer.threshold is None and (scorer.version, embedder.version) == ("file:1", "file:2")


def test_what_cannot_be_studied_is_said():
    with pytest.raises(StudyError, match="neither a detector nor an embedding"):
        stability_study(made_stack())
    with pytest.raises(StudyError, match="5 units"):
        stability_study(made_stack(5), CONFIG, embedding=MOMENTS)
    with pytest.raises(ValueError, match="'haze' is no corruption"):
        stability_study(made_stack(), replace(CONFIG, corruptions=("haze",)), embedding=MOMENTS)


def test_the_figures_are_pictures_and_one_of_each_kind(study):
    few = study.stability.filter(pl.col("corruption").is_in(["defocus", "brightness"]))
    figures = study_figures(replace(study, stability=few), np.asarray(made_stack().array[0]))
    assert set(figures) == {"detector", "embedding", "false_negatives", "online_tables", "online_defocus", "corruptions"}
    assert all(png.startswith(b"\x89PNG") and len(png) > 5_000 for png in figures.values())
