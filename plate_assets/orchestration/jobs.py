"""Jobs: the named selections that sensors, schedules and people request. Nothing else belongs here."""

import dagster as dg

INGEST = ("acquisition", "image_quality", "illumination")
SCORE = ("patches", "growth", "patch_scores", "well_scores", "quadruplet_calls", "layout_effects", "plate_report")
CLUSTER = ("training_sample", "embedding_model", "patch_map", "patch_clusters")

ingest_job = dg.define_asset_job(
    "ingest", dg.AssetSelection.assets(*INGEST),
    description="Lets one acquisition in: its images, its fingerprint, its quality, its light.",
)  # fmt: skip
score_job = dg.define_asset_job(
    "score", dg.AssetSelection.assets(*SCORE),
    description="From an acquisition that was let in to a call on each condition, and the plate's report.",
)  # fmt: skip
embed_job = dg.define_asset_job(
    "embed", dg.AssetSelection.assets("patch_embeddings"),
    description="Vectors of an acquisition's tiles under the embedding model.",
)  # fmt: skip
cluster_job = dg.define_asset_job(
    "cluster", dg.AssetSelection.assets(*CLUSTER),
    description="Samples tiles, learns their embedding and clusters them, so that a person can name the clusters.",
)  # fmt: skip
labelled_job = dg.define_asset_job(
    "labelled", dg.AssetSelection.assets("labelled_patches"),
    description="Joins the clusters' names to the tiles and splits them by plate or well.",
)  # fmt: skip
train_job = dg.define_asset_job(
    "train", dg.AssetSelection.assets("precipitation_detector"),
    description="Trains the detector on one backbone and registers it as challenger.",
)  # fmt: skip
compare_job = dg.define_asset_job(
    "compare", dg.AssetSelection.assets("detector_comparison"),
    description="Holds every trained detector against the experts' labels.",
)  # fmt: skip
morning_job = dg.define_asset_job(
    "morning", dg.AssetSelection.assets("precipitation_onset", "morning_page"),
    description="When precipitation first appeared, and the page that lists the night.",
)  # fmt: skip

JOBS = [ingest_job, score_job, embed_job, cluster_job, labelled_job, train_job, compare_job, morning_job]
