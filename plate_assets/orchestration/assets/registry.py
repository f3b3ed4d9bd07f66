"""Assets that people make: the champion, the clusters' names, the experts' labels. Dagster shows them; it does not run them."""

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
