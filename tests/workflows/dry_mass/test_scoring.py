"""Dry mass without Dagster: a model as files, the same scores from them, a time-lapse scored night by night, three
experiments."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from benchmarks.buoyant_mass import left_out, measured_lineages
from plate_assets.dry_mass.forecaster import ForecasterError
from plate_assets.dry_mass.model import ForecasterConfig
from plate_assets.dry_mass.series import lineage_series
from plate_assets.dry_mass.signs import SignRules
from plate_assets.dry_mass.simulate import CultureSettings, simulate_culture
from plate_assets.dry_mass.tables import CELL_ANOMALIES, WINDOW_ANOMALIES
from plate_assets.dry_mass.windows import PathSeries, windows_of
from plate_assets.storage.models import read_bundle, write_bundle
from plate_assets.workflows.dry_mass.scoring import as_written, run_experiment, score_series, train_forecaster
from tests.dry_mass.made_series import culture

SMALL = ForecasterConfig(epochs=4, windows_per_epoch=2_000, seed=3)
TINY = replace(SMALL, epochs=2, windows_per_epoch=500)


@pytest.fixture(scope="module")
def recorded() -> pl.DataFrame:
    return culture(24, 45, seed=5, noise_pg=15.0)


@pytest.fixture(scope="module")
def model(recorded):
    return train_forecaster(recorded, SMALL)


def test_a_model_comes_back_from_its_files_and_scores_alike(recorded, model, tmp_path):
    version = write_bundle(model.bundle, tmp_path / "model")
    bundle = read_bundle(tmp_path / "model")
    assert bundle.architecture["science"] == "dry_mass" and json.dumps(bundle.architecture)
    assert bundle.tables["training_paths"]["split"].unique().sort().to_list() == ["test", "train", "validation"]
    here, there = (score_series(recorded, one, version) for one in (model.bundle, bundle))
    assert here.windows.equals(there.windows) and here.cells.equals(there.cells)


def test_every_window_and_every_path_has_a_row(recorded, model):
    short = culture(3, 20, seed=9, timelapse="T2")
    scored = score_series(pl.concat([recorded, short]), model.bundle, "v1")
    assert WINDOW_ANOMALIES.check(scored.windows).height == len(windows_of(PathSeries.of(recorded))) == scored.n_forecast
    assert CELL_ANOMALIES.check(scored.cells).height == pl.concat([recorded, short])["Metadata_Timelapse", "path_id"].n_unique()
    late = scored.cells.filter(Metadata_Timelapse="T2")
    assert late["score"].null_count() == late.height > 0
    means = scored.windows.select(pl.col("mse", "mse_persistence", "mse_linear").mean()).row(0)
    assert means[0] < means[1] and means[0] < means[2]


def test_the_written_tables_have_the_columns_that_are_promised(recorded, model):
    tables = as_written(score_series(recorded, model.bundle, "v1"))
    assert tables["windows"].columns == ["track_id", "window_start_h", "mse", "abnormal"]
    assert tables["cells"].columns == ["track_id", "score", "abnormal", "first_abnormal_h", "margin"]
    assert tables["cells"]["margin"].drop_nulls().round(4).is_sorted(descending=True)


def test_a_path_is_flagged_by_a_far_score_or_a_sign_and_by_score_alone_as_in_the_paper(recorded, model):
    limits = model.bundle.architecture["thresholds"]["network"]
    struck = recorded["path_id"][0]
    merged = (pl.col("path_id") == struck) & pl.col("point").is_between(150, 170)
    table = recorded.with_columns(dry_mass=pl.when(merged).then(2 * pl.col("dry_mass")).otherwise("dry_mass"))
    cells = score_series(table, model.bundle, "v1").cells.drop_nulls("score")
    assert set(cells["threshold"]) == {limits["cell_far"]} and limits["cell_far"] > limits["cell"]
    assert cells.filter(path_id=struck).select("abnormal", "cause").row(0) == (True, "acquisition")
    far = cells.filter(pl.col("score") > limits["cell_far"])
    assert far["abnormal"].all() and (cells.filter("abnormal")["evidence"] != "").sum() >= cells["abnormal"].sum() - far.height
    paper = score_series(table, model.bundle, "v1", rules=SignRules(flag="score")).cells.drop_nulls("score")
    assert paper["abnormal"].to_list() == (paper["score"] > limits["cell"]).to_list()


class Killed(Exception):
    """Raised where a kill would come."""


def test_a_training_that_was_killed_goes_on_to_the_same_forecaster(recorded, tmp_path):
    def kill_after_two(done: int, _: int) -> None:
        if done == 2:
            raise Killed

    config, checkpoint = replace(TINY, epochs=4), tmp_path / "training.safetensors"
    whole = train_forecaster(recorded, config)
    with pytest.raises(Killed):
        train_forecaster(recorded, config, checkpoint=checkpoint, progress=kill_after_two)
    resumed = train_forecaster(recorded, config, checkpoint=checkpoint)
    assert resumed.metrics["resumed at epoch"] == 2 and not checkpoint.exists()
    assert all(np.array_equal(resumed.bundle.weights[name], value) for name, value in whole.bundle.weights.items())
    assert resumed.curves == whole.curves


def test_the_checkpoint_of_other_series_is_not_gone_on_from(recorded, tmp_path):
    def kill_after_one(done: int, _: int) -> None:
        raise Killed

    checkpoint = tmp_path / "training.safetensors"
    with pytest.raises(Killed):
        train_forecaster(recorded, TINY, checkpoint=checkpoint, progress=kill_after_one)
    heavier = recorded.with_columns(
        dry_mass=pl.when(pl.col("path_id") == recorded["path_id"][0]).then(310.0).otherwise("dry_mass")
    )
    assert "resumed at epoch" not in train_forecaster(heavier, TINY, checkpoint=checkpoint).metrics


def test_a_running_timelapse_is_scored_night_by_night_as_it_is_as_a_whole(model):
    made = simulate_culture(CultureSettings(founders=8, hours=60, seed=2, biological=0, acquisition=0, timelapse="T3"))
    whole = score_series(lineage_series(made.tracks).table, model.bundle, "v1")
    before, forecast = None, []
    for hours in (33, 45, 45, 60):
        table = lineage_series(made.tracks.filter(pl.col("time_h") <= hours + 1e-9)).table
        scored = score_series(table, model.bundle, "v1", before=before)
        before = scored.windows
        forecast.append(scored.n_forecast)
    order = ["path_id", "window_start_h"]
    assert before is not None
    assert scored.cells.drop("evidence").equals(whole.cells.drop("evidence"))
    assert before.sort(order).select(order).equals(whole.windows.sort(order).select(order))
    assert before.sort(order)["mse"].to_numpy() == pytest.approx(whole.windows.sort(order)["mse"].to_numpy(), rel=1e-4)
    assert forecast[0] > 0 and forecast[1] > 0 and forecast[2] == 0
    assert forecast[3] < whole.n_forecast - forecast[0]


def test_another_model_scores_a_running_timelapse_from_its_beginning(recorded, model):
    first = score_series(recorded, model.bundle, "v1")
    again = score_series(recorded, model.bundle, "v2", before=first.windows)
    assert again.n_forecast == first.n_forecast and set(again.windows["model_version"]) == {"v2"}


def test_a_split_that_is_given_is_kept_and_who_is_not_named_is_left_out(recorded):
    paths = recorded.select("Metadata_Timelapse", "path_id", "lineage_id").unique(maintain_order=True)
    parts = {0: "train", 1: "train", 2: "validation"}
    split = {(t, p): parts[lineage % 4] for t, p, lineage in paths.iter_rows() if lineage % 4 in parts}
    trained = train_forecaster(recorded, TINY, split=split)
    found = {(t, p): s for t, p, s in trained.bundle.tables["training_paths"].select(
        "Metadata_Timelapse", "path_id", "split").iter_rows() if s}  # fmt: skip
    assert found == split and trained.metrics["windows test"] == 0


def test_the_first_experiment_flags_the_culture_and_tells_its_unseen_paths_apart(recorded, model):
    found = run_experiment("same_culture", model.bundle, "v1", recorded)
    test = model.bundle.tables["training_paths"].filter(split="test")
    assert found.figures["paths, test paths"] == test.height < found.figures["paths"]
    assert found.figures["MSE, test paths"] < found.figures["MSE persistence, test paths"]
    assert found.scored.cells.height == recorded["path_id"].n_unique()


def test_the_second_experiment_counts_the_flags_that_are_repeated(recorded, model):
    other = culture(10, 45, seed=8, timelapse="T4", doubling_h=24.0, mass_pg=360.0)
    own = train_forecaster(other, TINY)
    flags = score_series(other, own.bundle, "v2").cells
    found = run_experiment("other_culture", model.bundle, "v1", recorded, other, own=flags)
    assert found.figures["flagged by its own model"] == flags["abnormal"].sum()
    assert found.figures["flagged by both models"] <= found.figures["paths flagged"]
    assert set(found.scored.cells["Metadata_Timelapse"]) == {"T4"} and not found.curves


def test_paths_that_are_known_to_be_abnormal_give_a_curve_over_cells(recorded, model):
    heavy = recorded["lineage_id"].unique().sort()[:4]
    struck = pl.col("lineage_id").is_in(heavy.implode())
    table = recorded.with_columns(dry_mass=pl.when(struck).then(3 * pl.col("dry_mass")).otherwise("dry_mass"))
    known = recorded.filter(struck).select("Metadata_Timelapse", "path_id").unique()
    found = run_experiment("same_culture", model.bundle, "v1", table, known=known)
    assert set(found.curves) == {("cells", name) for name in ("network", "persistence", "linear")}
    assert found.figures["AUC cells, network"] > 0.95 and found.figures["recall cells, network"] == 1.0
    other = run_experiment("other_culture", model.bundle, "v1", recorded, table, known=known)
    assert other.figures["AUC cells, network"] == found.figures["AUC cells, network"]


def test_the_third_experiment_draws_curves_for_the_network_and_both_baselines(recorded, model):
    altered = culture(8, 45, seed=8, timelapse="T5", mass_pg=450.0)
    found = run_experiment("altered", model.bundle, "v1", recorded, altered)
    assert set(found.curves) == {
        (level, name) for level in ("windows", "cells") for name in ("network", "persistence", "linear")
    }
    roc = found.curves["windows", "network"]
    assert roc.low <= roc.auc <= roc.high and roc.auc > 0.6
    threshold = model.bundle.architecture["thresholds"]["network"]["window"]
    assert roc.operating.threshold == threshold
    scored = score_series(altered, model.bundle, "v1").windows
    assert roc.operating.recall == pytest.approx((scored["mse"].drop_nulls() > threshold).mean())
    same = culture(8, 45, seed=18, timelapse="T6", noise_pg=15.0)
    nothing = run_experiment("altered", model.bundle, "v1", recorded, same).curves["windows", "network"]
    assert nothing.auc < roc.auc


def test_an_experiment_that_cannot_be_run_says_what_it_needs(recorded, model):
    for call, words in (
        (lambda: run_experiment("fourth", model.bundle, "v1", recorded), "'fourth' is no experiment"),  # pyright: ignore
        (lambda: run_experiment("altered", model.bundle, "v1", recorded), "give its series as well"),
        (lambda: run_experiment("altered", model.bundle, "v1", recorded, recorded), "both cultures hold the time-lapse 'T1'"),
        (lambda: run_experiment("same_culture", model.bundle, "v1", culture(3, 40, timelapse="T7")), "not tested on a path"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_a_model_of_the_papers_own_way_does_not_score_a_running_timelapse(recorded):
    paper = train_forecaster(recorded, replace(TINY, parity=True))
    first = score_series(recorded, paper.bundle, "v1")
    limit = paper.bundle.architecture["thresholds"]["network"]["cell"]
    assert first.cells["abnormal"].to_list() == (first.cells["score"] > limit).to_list()  # and no sign flags
    with pytest.raises(ForecasterError, match="train without parity"):
        score_series(recorded, paper.bundle, "v1", before=first.windows)


def test_measured_lineages_are_forecast_better_than_by_both_baselines_without_alarm_at_divisions(real_data):
    tables = measured_lineages(real_data / "l1210-buoyant-mass")
    long = {name: table for name, table in tables.items() if table["long_enough"].all()}
    assert len(tables) == 7 and len(long) == 4
    found = left_out(long, next(name for name in long if name.startswith("Exp#8")), epochs=80)
    assert found["windows"] > 400 and found["MSE"] < 0.5 * min(found["MSE persistence"], found["MSE linear"])
    assert found["abnormal windows"] < 0.05 and found["divisions"] >= 4
    assert found["divisions under alarm"] <= 1
