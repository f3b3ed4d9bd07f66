"""The stability study on simulated plates: a detector and an embedding trained on some of them, and studied on others.

The thesis has its figures from other cells, another microscope and another embedding: what can be compared is how they go with
window, ERT and level, not the values.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

TRAINING_PLATES, STUDIED_PLATES = 3, 4
ONLINE_UNITS, ONLINE_TILES = 384, 4  # streams are of defocus alone, so that more wells can be afforded
KEYS = ["Metadata_Plate", "Metadata_Timepoint", "Metadata_Well", "tile_row", "tile_col"]


def measure(quadruplets: int = 24, figures: Path | None = None, seconds: float = 300.0) -> dict:
    """The online test's AUC beside the thesis's, with both ways to thresholds, and every measure at the strongest levels.

    quadruplets: conditions on each plate, of four wells; figures: folder for the study's figures; seconds: for the detector.
    """
    from plate_assets.drift.stability.alarms import OnlineTrial
    from plate_assets.learning.arithmetic import prepare_arithmetic
    from plate_assets.workflows.drift.stability import StabilityConfig, StabilityStudy, stability_study, study_figures

    prepare_arithmetic()
    with tempfile.TemporaryDirectory() as kept:
        learnt = simulated(Path(kept) / "learnt", TRAINING_PLATES, quadruplets, seed=5)
        studied = simulated(Path(kept) / "studied", STUDIED_PLATES, quadruplets, seed=6)
    detector, embedding = trained(learnt, seconds)
    study = stability_study(studied, StabilityConfig(online_corruptions=()), detector=detector, embedding=embedding)
    online: dict[str, StabilityStudy] = {}
    for calibration in ("run_time", "per_step"):
        trial = OnlineTrial(calibration=calibration)
        defocus = StabilityConfig(
            ("defocus",), trial.levels, tiles_per_unit=ONLINE_TILES, most_units=ONLINE_UNITS, online=trial
        )  # fmt: skip
        online[calibration] = stability_study(studied, defocus, embedding=embedding)
    if figures:
        figures.mkdir(parents=True, exist_ok=True)
        shown = replace(study, online_auc=online["run_time"].online_auc)
        for name, png in study_figures(shown, np.asarray(studied.array[0])).items():
            (figures / f"{name}.png").write_bytes(png)
    return {
        "units": study.units,
        "tiles": study.tiles,
        "units of the online test": online["run_time"].units,
        **{f"online, thresholds {name}": thesis_beside(each.online_auc) for name, each in online.items()},
        "stability": strongest(study.stability),
    }


def simulated(place: Path, plates: int, quadruplets: int, seed: int):
    """A stack of the tiles of simulated plates at 96 h, with `label` and `anomalous` from the simulator's truth."""
    from plate_assets.plates.fields import Fields
    from plate_assets.plates.platemap import platemap_of
    from plate_assets.plates.readers import open_acquisition
    from plate_assets.plates.simulate import SimulationSettings, simulate_plates
    from plate_assets.storage.arrays import Stack
    from plate_assets.workflows.precipitation.patches import cut_patches

    made = simulate_plates(
        place, SimulationSettings(plates=plates, timepoints_h=(96.0,), seed=seed, quadruplets=quadruplets, precipitating=0.35)
    )
    opened = [open_acquisition(folder) for folder in made.acquisitions]
    blocks = [block for one in opened for block in cut_patches(Fields.of(one), platemap_of(one, None))]
    types = {"Metadata_Plate": pl.String, "Metadata_Timepoint": pl.String, "tile_row": pl.Int32, "tile_col": pl.Int32}
    truth = pl.read_csv(made.truth / "tiles.csv", schema_overrides=types).filter(pl.col("geometry") == "inference")
    table = pl.concat([table for table, _ in blocks])
    table = table.join(truth.select(*KEYS, "label"), on=KEYS, how="left", maintain_order="left")
    table = table.with_columns(anomalous=pl.col("label").is_in(["chemical", "necrotic"]))
    return Stack(table, np.concatenate([tiles for _, tiles in blocks]))


def trained(stack, seconds: float):
    """A detector and an embedding, as the study takes them; the last plate calibrates the detector."""
    from plate_assets.learning.arithmetic import quick_precision
    from plate_assets.learning.training import train
    from plate_assets.precipitation.embedding_training import EmbeddingTraining
    from plate_assets.precipitation.model import DetectorConfig, EmbeddingConfig
    from plate_assets.storage.models import ModelBundle
    from plate_assets.workflows.drift.stability import embedder_of, scorer_of
    from plate_assets.workflows.precipitation.detectors import train_detector

    table = stack.table.with_row_index("index")
    last = table["Metadata_Plate"] == table["Metadata_Plate"].max()
    table = table.with_columns(split=pl.when(last).then(pl.lit("calibration")).otherwise(pl.lit("train")))
    some = table.filter((pl.col("split") == "train") | (pl.col("index") % 4 == 0))  # each epoch scores the calibration tiles
    budget = DetectorConfig(
        epochs=12, tiles_per_epoch=600, seconds=seconds, input_px=96, precision=quick_precision()
    )  # fmt: skip
    detector = train_detector(stack.array, some.select("index", "anomalous", "split"), budget).detector
    rows = table.filter(split="train")["index"].to_numpy()
    classes = table["label"].rank("dense").to_numpy().astype(np.int64)[rows]
    config = EmbeddingConfig(iterations=300, learning_rate=1e-3, input_px=96)
    model = train(EmbeddingTraining.of(np.asarray(stack.array)[rows], classes, config)).model
    return (
        scorer_of(ModelBundle(detector.architecture, detector.weights), "trained for this"),
        embedder_of(ModelBundle(model.architecture, model.weights), "trained for this"),
    )


def thesis_beside(online: pl.DataFrame) -> list[dict]:
    """The thesis's rows, ours beside."""
    columns = ["thesis_table", "window", "ert", "level", "thesis_auc", "auc", "low", "high", "run_clean", "run_drifted"]
    known = online.filter(pl.col("thesis_auc").is_not_null()).select(*columns, "caught", "false_alarms")
    return known.sort("thesis_table", "window", "ert", "level").with_columns(pl.selectors.float().round(3)).to_dicts()


def strongest(stability: pl.DataFrame) -> list[dict]:
    """Each measure of each corruption, clean and at its strongest level either way."""
    ends = stability.filter(
        (pl.col("level") == 0)
        | (pl.col("level") == pl.col("level").max().over("corruption"))
        | (pl.col("level") == pl.col("level").min().over("corruption"))
    )
    return ends.select("corruption", "level", "measure", pl.col("value", "low", "high").round(3)).to_dicts()
