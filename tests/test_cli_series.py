"""The commands about dry mass and drift, as a person types them."""

import json

import numpy as np
import polars as pl
import pytest
import tifffile
from typer.testing import CliRunner

from plate_assets.cli import app
from tests.made_embeddings import embeddings


def run(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return done.output


def test_cultures_are_simulated_learnt_and_scored_from_the_shell_alone(tmp_path):
    run("dry-mass", "simulate", "--out", tmp_path / "time-lapses", "--cultures", 2, "--founders", 8, "--hours", 45)
    tables = sorted((tmp_path / "time-lapses").glob("CULTURE*/tracks.csv"))
    assert len(tables) == 2 and len(list((tmp_path / "time-lapses" / "truth").iterdir())) == 2
    said = run("dry-mass", "train", *tables, "--out", tmp_path / "model", "--epochs", 1)
    assert "MSE test" in said
    said = run("dry-mass", "score", tables[0], "--model", tmp_path / "model", "--out", tmp_path / "out")
    assert "paths abnormal" in said
    assert pl.read_csv(tmp_path / "out" / "windows.csv").columns == ["track_id", "window_start_h", "mse", "abnormal"]
    assert pl.read_csv(tmp_path / "out" / "cells.csv").columns == [
        "track_id",
        "score",
        "abnormal",
        "first_abnormal_h",
        "margin",
    ]
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000


def test_a_folder_of_phase_images_becomes_a_table_that_can_be_read_again(tmp_path):
    rows, cols = np.mgrid[:70, :90]
    (tmp_path / "time-lapse").mkdir()
    for frame in range(4):
        height = np.sqrt(np.maximum(0, 81 - (rows - 35) ** 2 - (cols - 40 - frame) ** 2))
        noise = np.random.default_rng(frame).normal(0, 1, rows.shape)
        tifffile.imwrite(tmp_path / "time-lapse" / f"a_{frame:03d}.tif", (20 * height + 0.1 * cols + noise).astype("f4"))
    options = ("--unit", "nm", "--pixel-um", 1.0, "--interval-min", 10, "--wavelength-nm", 550)
    said = run("dry-mass", "measure", tmp_path / "time-lapse", "--out", tmp_path / "tracks.csv", *options)
    assert "masses in pg" in said
    table = pl.read_csv(tmp_path / "tracks.csv")
    assert set(table.columns) >= {"track_id", "parent_id", "time_h", "dry_mass_pg"} and table.height == 4
    sphere = 2 / 3 * np.pi * 9**3 * 20e-3 / 0.18  # pg: half a sphere of 9 µm that delays by 20 nm for each µm
    assert table["dry_mass_pg"].median() == pytest.approx(sphere, rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("dry-mass", "measure", "nowhere", "--out", "t.csv"), "nowhere is not there"),
        (("dry-mass", "score", "nowhere.csv", "--out", "o", "--model", "m"), "m"),
        (("dry-mass", "train", "nowhere.csv", "--out", "m"), "nowhere.csv is not there"),
        (("dry-mass", "train", "nowhere.csv", "--out", "m", "--features", "colour"), "'colour' is no feature"),
        (("promote", "--kind", "oracle"), "it is one of precipitation, dry_mass"),
        (("drift", "nowhere.parquet", "nowhere.parquet"), "nowhere.parquet"),
    ],
)
def test_a_mistake_is_one_line_with_its_remedy(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLATE_ASSETS_HOME", str(tmp_path / "home"))
    output = run(*arguments, code=2)
    assert said in output and "Traceback" not in output


def test_drift_is_told_by_words_numbers_and_the_exit_code(tmp_path):
    known = pl.concat([embeddings(f"R{number:02d}") for number in range(20)])
    known.write_parquet(tmp_path / "known.parquet")
    embeddings("N1").write_parquet(tmp_path / "usual.parquet")
    embeddings("N2", shift=3.0).write_parquet(tmp_path / "shifted.parquet")
    usual = json.loads(run("drift", tmp_path / "known.parquet", tmp_path / "usual.parquet", "--json"))
    shifted = json.loads(run("drift", tmp_path / "known.parquet", tmp_path / "shifted.parquet", "--json", code=1))
    assert (usual["decision"], shifted["decision"]) == ("none", "drift") and shifted["unit"] == "well"
    assert shifted["tests"][0]["p_value"] == pytest.approx(1 / 21)
    few = known.filter(pl.col("Metadata_Plate") < "R05")
    few.write_parquet(tmp_path / "few.parquet")
    assert "19 are needed" in run("drift", tmp_path / "few.parquet", tmp_path / "usual.parquet", code=3)
