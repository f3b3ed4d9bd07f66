"""Brightness as the platform sees it: its chain, its training, its check and its part of the morning."""

import dagster as dg
import numpy as np
import polars as pl

from plate_assets.brightness.model import LIMIT
from plate_assets.brightness.tables import BRIGHT_WELLS, WELL_BRIGHTNESS
from plate_assets.orchestration.assets.plates import PLATES
from plate_assets.orchestration.chains import Chain
from plate_assets.orchestration.checks import origin_check
from plate_assets.orchestration.decision_events import champion_asset
from plate_assets.orchestration.last_night import Night
from plate_assets.orchestration.offers import Offer
from plate_assets.orchestration.parts import ACQUISITION, EXCLUSIONS_OF_PLATE, model
from plate_assets.orchestration.registration import register
from plate_assets.orchestration.resources import Storage
from plate_assets.pages.sections import Section
from plate_assets.plates.acquisition_table import KnownAcquisition
from plate_assets.plates.tables import EXCLUSIONS
from plate_assets.settings import Settings
from plate_assets.storage.ledger import read_rows
from plate_assets.storage.registry import Registries
from plate_assets.storage.tables import read_table

BRIGHTNESS = Chain("brightness", PLATES, LIMIT)
brightness_champion = champion_asset(LIMIT)


@BRIGHTNESS.asset(WELL_BRIGHTNESS, rests_on=ACQUISITION)
def well_brightness(acquisition: KnownAcquisition) -> dg.MaterializeResult:
    """How bright each well is."""
    from plate_assets.plates.images import map_images

    found = map_images(acquisition.acquisition, acquisition.acquisition.images, lambda image: float(image.mean() / 255))
    rows = [(row["Metadata_Plate"], row["Metadata_Well"], value) for row, value in found]
    table = pl.DataFrame(rows, [column.name for column in WELL_BRIGHTNESS.columns], orient="row")
    table = table.group_by("Metadata_Plate", "Metadata_Well", maintain_order=True).mean()
    return dg.MaterializeResult(value=WELL_BRIGHTNESS.conform(table), metadata={"wells": table.height})


@dg.asset(group_name="brightness", deps=["well_brightness"])
def brightness_limit(
    context: dg.AssetExecutionContext, storage: dg.ResourceParam[Storage], registries: dg.ResourceParam[Registries]
) -> dg.MaterializeResult:
    """A limit learnt from all wells, registered as challenger."""
    from plate_assets.brightness.limit import Limit
    from plate_assets.storage.models import ModelBundle
    from plate_assets.storage.tracking import Trained

    keys = context.instance.get_materialized_partitions(dg.AssetKey("well_brightness"))
    wells = pl.concat([read_table(storage.table("well_brightness", key), WELL_BRIGHTNESS) for key in sorted(keys)])
    limit = Limit.fit(wells["brightness"].to_numpy())
    trained = Trained(
        bundle=ModelBundle({"format": 1}, {"limit": np.array([limit.value])}), run_name="limit", params={"deviations": 3},
        facts={"limit": limit.value}, curves={}, figures={}, dataset=wells, description="A limit of brightness.",
        tags={"wells": str(wells.height)},
    )  # fmt: skip
    return register(LIMIT, trained, registries, context.run.run_id)


@BRIGHTNESS.asset(BRIGHT_WELLS, rests_on=[model(LIMIT), EXCLUSIONS_OF_PLATE], deps=[brightness_champion])
def bright_wells(
    well_brightness: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
    registries: dg.ResourceParam[Registries],
) -> dg.MaterializeResult:
    """Which wells are bright, by the limit in force."""
    from plate_assets.brightness.limit import Limit

    version = registries.of(LIMIT).version_of(settings.model_of(LIMIT))
    bundle = registries.of(LIMIT).load(version)
    out = read_rows(storage.exclusions, EXCLUSIONS).filter("excluded").select("Metadata_Plate", "Metadata_Well")
    bright = Limit.from_parts(bundle.architecture, bundle.weights).predict(well_brightness["brightness"])
    table = well_brightness.with_columns(pl.Series("bright", bright), model_version=pl.lit(version))
    kept = table.join(out, on=["Metadata_Plate", "Metadata_Well"], how="anti").rename({"brightness": "score"})
    return dg.MaterializeResult(value=BRIGHT_WELLS.conform(kept), metadata={"bright": int(kept["bright"].sum())})


def section(night: Night) -> Section:
    """How many wells of the night are bright."""
    tables = [read_table(night.storage.table("bright_wells", key), BRIGHT_WELLS) for key in night.made("bright_wells")]
    wells = pl.concat([BRIGHT_WELLS.empty(), *tables])
    return Section.of_text("brightness", "Bright wells", f"{wells.height} wells judged, {int(wells['bright'].sum())} bright")


OFFER = Offer(
    chains=(BRIGHTNESS,),
    kinds=(LIMIT,),
    jobs=(dg.define_asset_job("train_brightness", dg.AssetSelection.assets("brightness_limit")),),
    checks=lambda _: (origin_check(bright_wells, BRIGHT_WELLS, PLATES, "bright_wells_know_their_origin"),),
    section=section,
    told_in_the_morning=("bright_wells",),
)
