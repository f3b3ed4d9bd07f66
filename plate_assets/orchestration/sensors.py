"""The sensor of a moved champion: one shape for every kind of model.

Belongs here: reading the registry and requesting runs. Not here: what is due (`requests`, `night`), what arrives (`arrivals`).
"""

from typing import Any

import dagster as dg

from plate_assets.orchestration.chains import Chain
from plate_assets.orchestration.decision_events import made_by_person
from plate_assets.orchestration.parts import Why
from plate_assets.orchestration.platform import Platform
from plate_assets.orchestration.requests import due, request_of
from plate_assets.orchestration.tags import version_tag
from plate_assets.settings import Settings


def champion_sensor(chain: Chain, job: Any, settings: Settings) -> dg.SensorDefinition:
    """Asks for new results of what another version judged, once for each move of the champion of the chain's kind."""
    assert chain.kind is not None
    kind = chain.kind

    @dg.sensor(
        name=f"{kind.champion_asset}_moved",
        job=job,
        minimum_interval_seconds=max(settings.sensor_seconds, 30),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Asks for new results of what another {kind.noun} judged, once for each move of the champion.",
    )
    def champion_moved(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.SensorResult | dg.SkipReason:
        present = platform.present()
        version = present.model(kind)
        if version is None:
            return dg.SkipReason(f"no champion yet: train a {kind.noun} and promote it")
        champion = version_tag(version)
        moves, _, seen = (context.cursor or "0 ").partition(" ")
        if seen == champion:
            return dg.SkipReason(f"{champion} is still the champion")
        move = f"{int(moves) + 1} {champion}"  # counted, so that a champion that comes back is asked for again
        found = due(platform, chain.subject, context.instance, present)
        work = [item for item in found.work if item.because_of(Why.MODEL, kind.noun)]
        return dg.SensorResult(
            run_requests=[request_of(chain.subject, item)._replace(run_key=f"{move}:{item.partition}") for item in work],
            asset_events=[made_by_person(kind.champion_asset, champion, {"seen by": "the sensor, in the registry"})],
            cursor=move,
        )

    return champion_moved
