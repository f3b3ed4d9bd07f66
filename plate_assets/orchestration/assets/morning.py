"""The morning page: one page over the night of all sciences.

Belongs here: the asset and its job, made from what the sciences offer. Not here: what a science says of the night (its
`section`).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from plate_assets.orchestration.offers import Offer
from plate_assets.orchestration.platform import Platform
from plate_assets.settings import Settings
from plate_assets.storage.registry import ModelRegistry


class MorningConfig(dg.Config):
    """How far back the page looks."""

    hours: float = 24.0


def make_morning_job(offers: Sequence[Offer]) -> object:
    """What is known of all plates together, and the page that lists the night."""
    made = [name for offer in offers for name in offer.made_each_morning]
    return dg.define_asset_job(
        "morning", dg.AssetSelection.assets(*made, "morning_page"),
        description="What the sciences make each morning over all that arrived, and the page that lists the night.",
    )  # fmt: skip


def make_morning_page(offers: Sequence[Offer]) -> dg.AssetsDefinition:
    """The asset of the page, behind all that it tells of."""
    told = [name for offer in offers for name in (*offer.made_each_morning, *offer.told_in_the_morning)]

    @dg.asset(deps=told, group_name="morning", kinds={"html"})
    def morning_page(
        context: dg.AssetExecutionContext,
        config: MorningConfig,
        settings: dg.ResourceParam[Settings],
        registry: dg.ResourceParam[ModelRegistry],
        platform: dg.ResourceParam[Platform],
    ) -> dg.MaterializeResult:
        """What arrived, what was called, what failed and why, what waits: one page, and in short to the webhook."""
        from plate_assets.orchestration.night_review import review_night
        from plate_assets.workflows.night.morning import tell_webhook, write_morning
        from plate_assets.workflows.night.notify import NotifyError

        until = datetime.now(UTC)
        night = review_night(context.instance, platform, registry, until - timedelta(hours=config.hours), until)
        page = write_morning(night, platform.storage.morning_page)
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

    return morning_page
