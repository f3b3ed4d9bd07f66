"""Dry mass as the platform sees it: the chain from a time-lapse to its abnormal cells, training, and people's verdicts."""

import dagster as dg

from plate_assets.dry_mass.model import FORECASTER
from plate_assets.orchestration.assets.dry_mass import checks, decisions, judging, measuring
from plate_assets.orchestration.assets.dry_mass.doctor import questions
from plate_assets.orchestration.assets.dry_mass.morning import section
from plate_assets.orchestration.offers import Offer

JOBS = (
    dg.define_asset_job(
        "train_dry_mass", dg.AssetSelection.assets("dry_mass_forecaster"),
        description="Trains the forecaster of dry mass on measured time-lapses and registers it as challenger.",
    ),
    dg.define_asset_job(
        "verdicts", dg.AssetSelection.assets("verdict_precision"),
        description="How many of the flags people found right, by class, with intervals.",
    ),
    dg.define_asset_job(
        "experiment", dg.AssetSelection.assets("dry_mass_experiment"),
        description="One of the three experiments: one culture, one culture against another, normal against altered.",
    ),
)  # fmt: skip

OFFER = Offer(
    assets=(measuring, judging, decisions),
    chains=(measuring.DRY_MASS,),
    kinds=(FORECASTER,),
    jobs=JOBS,
    checks=checks.make_checks,
    questions=questions,
    arrivals={measuring.TIMELAPSES: measuring.look_at_timelapses},
    told_in_the_morning=("cell_anomalies",),
    section=section,
)
