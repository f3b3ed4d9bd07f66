"""Drift as the platform sees it: the test of each acquisition, the lines that are watched, the stability study."""

import dagster as dg

from plate_assets.orchestration.assets.drift import acquisitions, checks, lines, stability
from plate_assets.orchestration.assets.drift.morning import section
from plate_assets.orchestration.offers import Offer

JOBS = (
    dg.define_asset_job(
        "embed", dg.AssetSelection.assets("patch_embeddings"),
        description="Vectors of an acquisition's tiles under the embedding model.",
    ),
    dg.define_asset_job(
        "drift_reference", dg.AssetSelection.assets("drift_reference", "drift_reference_tiles"),
        description="What known good plates look like; from then on the night embeds and tests every acquisition.",
    ),
    dg.define_asset_job(
        "drift_test",
        dg.AssetSelection.assets("drift_tests", "drift_null", "well_drift", "image_outliers")
        | dg.AssetSelection.checks_for_assets("patch_embeddings"),
        description="Tests one acquisition for drift again.",
    ),
    dg.define_asset_job(
        "stability", dg.AssetSelection.assets("stability", "online_auc"),
        description="How detector, embedding and drift tests bear what microscopes do to images.",
    ),
)  # fmt: skip

OFFER = Offer(
    assets=(acquisitions, lines, stability),
    chains=(acquisitions.DRIFT,),
    jobs=JOBS,
    checks=checks.make_checks,
    made_each_morning=("drift_discoveries", "drift_monitor", "drift_episodes", "labelling_batch"),
    section=section,
)
