"""The morning page: one page over all plates of the night."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from plate_assets.orchestration.assets.scoring import precipitation_onset
from plate_assets.orchestration.resources import Storage
from plate_assets.settings import Settings
from plate_assets.storage.registry import ModelRegistry


class MorningConfig(dg.Config):
    """How far back the page looks."""

    hours: float = 24.0


@dg.asset(
    deps=[precipitation_onset, "plate_report", "drift_discoveries", "drift_episodes", "labelling_batch", "cell_anomalies"],
    group_name="precipitation",
    kinds={"html"},
)
def morning_page(
    context: dg.AssetExecutionContext,
    config: MorningConfig,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
    registry: dg.ResourceParam[ModelRegistry],
) -> dg.MaterializeResult:
    """What arrived, what was called, what failed and why, what waits: one page, and in short to the webhook."""
    from plate_assets.orchestration.night_review import review_night
    from plate_assets.workflows.night.morning import tell_webhook, write_morning
    from plate_assets.workflows.night.notify import NotifyError

    until = datetime.now(UTC)
    night = review_night(context.instance, settings, storage, registry, until - timedelta(hours=config.hours), until)
    page = write_morning(night, storage.morning_page)
    told = "no webhook is set"
    if url := settings.webhook_url.get_secret_value():
        try:
            tell_webhook(night, url, str(page))
            told = "told"
        except NotifyError as error:  # the page is written: a silent webhook must not fail the morning
            context.log.warning(str(error))
            told = str(error)
    return dg.MaterializeResult(
        metadata={
            "page": dg.MetadataValue.path(str(page)),
            "arrived": len(night.arrived),
            "called": len(night.called),
            "abnormal cells": sum(timelapse.n_abnormal for timelapse in night.timelapses),
            "drifting lines": len(night.alarms),
            "drifted": len(night.drifted),
            "failed": len(night.failed),
            "waiting": len(night.waiting),
            "refused": len(night.refused),
            "webhook": told,
        }
    )
