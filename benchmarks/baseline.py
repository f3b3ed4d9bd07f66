"""How far the trivial baseline gets on simulated plates: were it good, the plates would prove nothing about a detector."""

import tempfile
from pathlib import Path


def measure(quadruplets: int, seeds: tuple[int, ...] = (1, 2, 3), background: Path | None = None) -> dict[str, float]:
    """AUC over the quadruplets of one plate at 96 h for each seed; the score is the largest local deviation of their tiles.

    background: a folder of real images that serve as cells, instead of drawn ones.
    """
    import polars as pl
    from sklearn.metrics import roc_auc_score

    from plate_assets.plates.fields import Fields
    from plate_assets.plates.platemap import platemap_of
    from plate_assets.plates.readers import open_acquisition
    from plate_assets.plates.simulate import SimulationSettings, simulate_plates
    from plate_assets.workflows.precipitation.patches import cut_patches

    found = {}
    for seed in seeds:
        with tempfile.TemporaryDirectory() as kept:
            settings = SimulationSettings(seed=seed, quadruplets=quadruplets, timepoints_h=(96.0,), background=background)
            plates = simulate_plates(Path(kept), settings)
            acquisition = open_acquisition(plates.acquisitions[0])
            tiles = pl.concat([table for table, _ in cut_patches(Fields.of(acquisition), platemap_of(acquisition, None))])
            truth = pl.read_csv(plates.truth / "quadruplets.csv")
        largest = tiles.group_by("Metadata_Quadruplet").agg(pl.col("local_std").max())
        scored = truth.join(largest, on="Metadata_Quadruplet")
        found[f"AUC of the baseline, seed {seed}"] = float(roc_auc_score(scored["precipitated"], scored["local_std"]))
    return found
