"""What the platform offers before any science, in the form of a science's offer: plates as they come in.

Belongs here: the floor's own declarations. Not here: any science.
"""

from collections.abc import Sequence

import dagster as dg

from plate_assets.orchestration.assets import plates
from plate_assets.orchestration.checks import most_images_are_sound
from plate_assets.orchestration.offers import Offer
from plate_assets.settings import Settings


def _checks(_: Settings) -> Sequence[dg.AssetChecksDefinition]:
    return (most_images_are_sound,)


FLOOR = Offer(
    assets=(plates,),
    chains=(plates.INTAKE,),
    jobs=(
        dg.define_asset_job(
            "ingest", dg.AssetSelection.assets("acquisition", *plates.INTAKE.assets),
            description="Lets one acquisition in: its images, its fingerprint, its quality, its light.",
        ),
    ),
    checks=_checks,
    arrivals={plates.PLATES: plates.look_at_plates},
)  # fmt: skip
