"""The morning page: one page over the night of all sciences.

Belongs here: the asset and its job, made from what the sciences offer. Not here: what a science says of the night (its
`section`).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
from upath import UPath

from plate_assets.orchestration.offers import Offer
from plate_assets.orchestration.platform import Platform

if TYPE_CHECKING:
    from plate_assets.pages.morning import MorningInputs


class MorningConfig(dg.Config):
    """How far back the page looks."""

    hours: float = 24.0


def make_morning_job(offers: Sequence[Offer]) -> Any:
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
        context: dg.AssetExecutionContext, config: MorningConfig, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:
        """What arrived, what each science found, what failed and why, what waits: one page, and in short to the webhook."""
        from plate_assets.orchestration.last_night import Night
        from plate_assets.orchestration.night_review import review_night
        from plate_assets.workflows.night.morning import write_morning

        until = datetime.now(UTC)
        found = review_night(Night(context.instance, platform, until - timedelta(hours=config.hours), until), offers)
        page = write_morning(found, platform.storage.morning_page)
        told = tell(found, platform.settings.webhook_url.get_secret_value(), page)
        return dg.MaterializeResult(metadata={"page": dg.MetadataValue.path(str(page)), **found.fields(), "webhook": told})

    return morning_page


def tell(found: "MorningInputs", url: str, page: UPath) -> str:
    """Tell the webhook, where one is set; what came of it. The page is written: a silent webhook must not fail the morning."""
    from plate_assets.workflows.night.morning import tell_webhook
    from plate_assets.workflows.night.notify import NotifyError

    if not url:
        return "no webhook is set"
    try:
        tell_webhook(found, url, str(page))
    except NotifyError as error:
        dg.get_dagster_logger().warning(str(error))
        return str(error)
    return "told"
