"""Jobs: the named selections that sensors, schedules and people request. Nothing else belongs here."""

import dagster as dg

from plate_assets.orchestration.night import DRIFT, SCORING, WATCHING
from plate_assets.orchestration.timelapse_night import JUDGING, MEASURING

INGEST = ("acquisition", "image_quality", "illumination")
CLUSTER = ("training_sample", "embedding_model", "patch_map", "patch_clusters")

ingest_job = dg.define_asset_job(
    "ingest", dg.AssetSelection.assets(*INGEST),
    description="Lets one acquisition in: its images, its fingerprint, its quality, its light.",
)  # fmt: skip
score_job = dg.define_asset_job(
    "score", dg.AssetSelection.assets(*SCORING),
    description="From an acquisition that was let in to a call on each condition, and the plate's report.",
)  # fmt: skip
watched_score_job = dg.define_asset_job(
    "watched_score", dg.AssetSelection.assets(*WATCHING, *SCORING),
    description="The same with the test for drift before the calls: what the night requests once there is a drift reference.",
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
timelapse_job = dg.define_asset_job(
    "timelapse", dg.AssetSelection.assets(*MEASURING, *JUDGING),
    description="From a phase time-lapse, or tracks made elsewhere, to its abnormal cells and their report.",
)  # fmt: skip
train_forecaster_job = dg.define_asset_job(
    "train_forecaster", dg.AssetSelection.assets("dry_mass_forecaster"),
    description="Trains the forecaster of dry mass on measured time-lapses and registers it as challenger.",
)  # fmt: skip
verdicts_job = dg.define_asset_job(
    "verdicts", dg.AssetSelection.assets("verdict_precision"),
    description="How many of the flags people found right, by class, with intervals.",
)  # fmt: skip
experiment_job = dg.define_asset_job(
    "experiment", dg.AssetSelection.assets("dry_mass_experiment"),
    description="One of the three experiments: one culture, one culture against another, normal against altered.",
)  # fmt: skip
drift_reference_job = dg.define_asset_job(
    "drift_reference", dg.AssetSelection.assets("drift_reference", "drift_reference_tiles"),
    description="What known good plates look like; from then on the night embeds and tests every acquisition.",
)  # fmt: skip
drift_test_job = dg.define_asset_job(
    "drift_test", dg.AssetSelection.assets(*DRIFT) | dg.AssetSelection.checks_for_assets("patch_embeddings"),
    description="Tests one acquisition for drift again.",
)  # fmt: skip
stability_job = dg.define_asset_job(
    "stability", dg.AssetSelection.assets("stability", "online_auc"),
    description="How detector, embedding and drift tests bear what microscopes do to images.",
)  # fmt: skip
morning_job = dg.define_asset_job(
    "morning",
    dg.AssetSelection.assets(
        "precipitation_onset", "drift_discoveries", "drift_monitor", "drift_episodes", "labelling_batch", "morning_page"
    ),
    description="When precipitation first appeared, which lines drift since when, and the page that lists the night.",
)  # fmt: skip

JOBS = [
    ingest_job, score_job, watched_score_job, embed_job, cluster_job, labelled_job, train_job, compare_job,
    timelapse_job, train_forecaster_job, verdicts_job, experiment_job,
    drift_reference_job, drift_test_job, stability_job, morning_job,
]  # fmt: skip
