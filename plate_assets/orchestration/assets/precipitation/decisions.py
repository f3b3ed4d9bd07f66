"""What people decide about precipitation, as Dagster shows it: the detector in force, names of clusters, experts' labels."""

import dagster as dg

from plate_assets.orchestration.decision_events import champion_asset
from plate_assets.precipitation.model import DETECTOR

precipitation_champion = champion_asset(DETECTOR)
cluster_labels = dg.AssetSpec(
    "cluster_labels",
    group_name="training",
    kinds={"parquet"},
    deps=["patch_clusters"],
    description="What a person named each cluster, with author and time (`plate-assets label`).",
)
expert_labels = dg.AssetSpec(
    "expert_labels",
    group_name="training",
    kinds={"parquet"},
    description="What an expert said of each condition of an evaluation plate (`plate-assets expert-labels`).",
)
