"""What people decide about dry mass, as Dagster shows it: the forecaster in force, verdicts on cells."""

import dagster as dg

from plate_assets.dry_mass.model import FORECASTER
from plate_assets.orchestration.decision_events import champion_asset

dry_mass_champion = champion_asset(FORECASTER)
cell_verdicts = dg.AssetSpec(
    "cell_verdicts",
    group_name="dry_mass",
    kinds={"parquet"},
    deps=["cell_anomalies"],
    description="What a person says of each flagged path, with author and time (`plate-assets annotate`).",
)
