"""Assets that people make: champions, names of clusters, experts' labels, verdicts on cells. Dagster shows them."""

import dagster as dg

champion = dg.AssetSpec(
    "champion",
    group_name="models",
    kinds={"mlflow"},
    description="The detector in force: MLflow's alias `champion`. A person moves it: `plate-assets promote`, or in MLflow.",
)
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
forecaster_champion = dg.AssetSpec(
    "forecaster_champion",
    group_name="models",
    kinds={"mlflow"},
    description="The forecaster of dry mass in force. A person moves it: `plate-assets promote --kind forecaster`.",
)
cell_verdicts = dg.AssetSpec(
    "cell_verdicts",
    group_name="dry_mass",
    kinds={"parquet"},
    deps=["cell_anomalies"],
    description="What a person says of each flagged path, with author and time (`plate-assets annotate`).",
)
