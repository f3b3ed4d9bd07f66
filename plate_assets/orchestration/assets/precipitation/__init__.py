"""Precipitation as the platform sees it: the chain from an acquisition to calls, training, and what people decide about
both."""

import dagster as dg

from plate_assets.orchestration.assets.precipitation import checks, decisions, scoring, training
from plate_assets.orchestration.assets.precipitation.doctor import questions
from plate_assets.orchestration.assets.precipitation.morning import section
from plate_assets.orchestration.offers import Offer
from plate_assets.precipitation.model import DETECTOR

JOBS = (
    dg.define_asset_job(
        "score", dg.AssetSelection.assets(*scoring.PRECIPITATION.assets),
        description="From an acquisition that was let in to a call on each condition, and the plate's report.",
    ),
    dg.define_asset_job(
        "cluster", dg.AssetSelection.assets("training_sample", "embedding_model", "patch_map", "patch_clusters"),
        description="Samples tiles, learns their embedding and clusters them, so that a person can name the clusters.",
    ),
    dg.define_asset_job(
        "labelled", dg.AssetSelection.assets("labelled_patches"),
        description="Joins the clusters' names to the tiles and splits them by plate or well.",
    ),
    dg.define_asset_job(
        "train_precipitation", dg.AssetSelection.assets("precipitation_detector"),
        description="Trains the detector on one backbone and registers it as challenger.",
    ),
    dg.define_asset_job(
        "compare_detectors", dg.AssetSelection.assets("detector_comparison"),
        description="Holds every trained detector against the experts' labels.",
    ),
)  # fmt: skip

OFFER = Offer(
    assets=(scoring, training, decisions),
    chains=(scoring.PRECIPITATION,),
    kinds=(DETECTOR,),
    jobs=JOBS,
    checks=checks.make_checks,
    questions=questions,
    made_each_morning=("precipitation_onset",),
    told_in_the_morning=("plate_report",),
    section=section,
)
