"""All six detectors, trained within one budget on simulated plates, and compared on other plates by the labels of conditions.

Each is also scored in every precision that the processor has instructions for: what a quicker one would change.
"""

import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import polars as pl

from benchmarks.stability import simulated

TRAINING_PLATES, JUDGED_PLATES = 3, 3  # the last training plate calibrates: it chooses the epoch


def measure(
    quadruplets: int = 24,
    backbones: list[str] | None = None,
    epochs: int = 10,
    tiles_per_epoch: int = 600,
    input_px: int | None = 112,
    seed: int = 0,
    models: Path | None = None,
) -> dict:
    """The comparison table with its bootstrap intervals, the seconds of training, and what each precision changes.

    input_px: side that tiles are resized to, None: each backbone's own; models: folder that the trained bundles are kept in.
    """
    from plate_assets.learning.arithmetic import prepare_arithmetic
    from plate_assets.learning.catalogue import BACKBONES
    from plate_assets.precipitation.model import DetectorConfig
    from plate_assets.workflows.precipitation.compare import compare_wells
    from plate_assets.workflows.precipitation.detectors import train_detector
    from plate_assets.workflows.precipitation.precision import choose_precision
    from plate_assets.workflows.precipitation.registration import rows_to_observe

    prepare_arithmetic()
    with tempfile.TemporaryDirectory() as kept:
        tiles = simulated(Path(kept) / "learnt", TRAINING_PLATES, quadruplets, seed=7)
        plates, experts = judged(Path(kept) / "judged", quadruplets, seed=8)
    names = tiles.table["Metadata_Plate"]
    split = pl.when(names == names.max()).then(pl.lit("calibration")).otherwise(pl.lit("train"))
    table = tiles.table.with_row_index("index").with_columns(split=split)
    scored, told = {}, {}
    for backbone in backbones or list(BACKBONES):
        budget = DetectorConfig(
            backbone=backbone, epochs=epochs, tiles_per_epoch=tiles_per_epoch, input_px=input_px, patience=epochs, seed=seed
        )  # fmt: skip
        began = time.monotonic()
        detector = train_detector(tiles.array, table, budget).detector
        detector.observe(tiles.array[rows_to_observe(table, seed)])
        seconds = time.monotonic() - began
        if models:
            keep(detector, models / backbone)
        check = choose_precision(plates, detector, experts, contamination=0.01)
        scored[backbone] = check.wells
        changes = {name: asdict(change) for name, change in check.changes.items()}
        told[backbone] = {"training, s": seconds, "precision": check.chosen, "scoring, s": check.seconds, "changes": changes}
    shown = compare_wells(scored, experts).table.with_columns(pl.selectors.float().round(3))
    return {"conditions": experts.height, "precipitated": int(experts["precipitated"].sum()), **told, "table": shown.to_dicts()}


def judged(place: Path, quadruplets: int, seed: int) -> tuple[list, pl.DataFrame]:
    """Simulated plates that no detector learns from, as stored plates, and the truth of their conditions (EXPERT_LABELS)."""
    import numpy as np

    from plate_assets.plates.fields import Fields
    from plate_assets.plates.platemap import platemap_of
    from plate_assets.plates.readers import open_acquisition
    from plate_assets.plates.simulate import SimulationSettings, simulate_plates
    from plate_assets.plates.tables import EXCLUSIONS
    from plate_assets.storage.arrays import Stack
    from plate_assets.workflows.intake.ingest import measure_quality
    from plate_assets.workflows.precipitation.patches import cut_patches
    from plate_assets.workflows.precipitation.references import StoredPlate

    made = simulate_plates(
        place, SimulationSettings(
            plates=JUDGED_PLATES, timepoints_h=(96.0,), seed=seed, quadruplets=quadruplets, precipitating=0.35
        ),
    )  # fmt: skip
    plates = []
    for folder in made.acquisitions:
        acquisition = open_acquisition(folder)
        platemap = platemap_of(acquisition, None)
        blocks = list(cut_patches(Fields.of(acquisition), platemap))
        patches = Stack(pl.concat([table for table, _ in blocks]), np.concatenate([tiles for _, tiles in blocks]))
        plates.append(StoredPlate(folder.name, patches, platemap, measure_quality(acquisition), EXCLUSIONS.empty()))
    types = {"Metadata_Plate": pl.String, "Metadata_Timepoint": pl.String}
    truth = pl.read_csv(made.truth / "quadruplets.csv", schema_overrides=types)
    return plates, truth.with_columns(author=pl.lit("simulator"))


def keep(detector, folder: Path) -> None:
    """The detector as a bundle, for whoever wants to look at it."""
    from plate_assets.storage.models import ModelBundle, write_bundle

    write_bundle(ModelBundle(detector.architecture, detector.weights, {}), folder)
