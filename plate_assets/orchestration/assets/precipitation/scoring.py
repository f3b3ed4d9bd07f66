"""The nightly assets of precipitation: from an acquisition to a call on each condition.

Belongs here: the chain of precipitation. Not here: training (`training`), any step's arithmetic (`workflows.precipitation`).
"""

import dagster as dg
import polars as pl

from plate_assets.learning.arithmetic import prepare_arithmetic
from plate_assets.orchestration.assets.plates import PLATES, illumination
from plate_assets.orchestration.assets.precipitation.decisions import precipitation_champion
from plate_assets.orchestration.chains import Chain, table_asset
from plate_assets.orchestration.metadata import logged_progress, picture, reasons_list
from plate_assets.orchestration.parts import ACQUISITION, EXCLUSIONS_OF_PLATE, PLATE_MAP, VIEW, model, setting
from plate_assets.orchestration.resources import Storage
from plate_assets.orchestration.stored_plates import drift_of, fields_of
from plate_assets.orchestration.workflow_options import bundle_of, call_settings, version_in_force
from plate_assets.plates.acquisition_table import KnownAcquisition
from plate_assets.precipitation import tables
from plate_assets.precipitation.model import DETECTOR
from plate_assets.settings import Settings
from plate_assets.storage.arrays import Stack
from plate_assets.storage.ledger import read_rows
from plate_assets.storage.registry import Registries

PRECIPITATION = Chain("precipitation", PLATES, DETECTOR)
LOOKED_AT = (*ACQUISITION, *VIEW, PLATE_MAP)
CALLING = (setting("contamination", "λ"), setting("call_method", "call method"), setting("drift_action", "what drift does"))


@PRECIPITATION.asset(
    tables.PATCHES, rests_on=(*ACQUISITION, *VIEW, PLATE_MAP), stack=True, deps=[illumination], kinds={"zarr", "polars"}
)
def patches(
    context: dg.AssetExecutionContext,
    acquisition: KnownAcquisition,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
) -> dg.MaterializeResult:
    """One row for each tile of each well, with its pixels: what the detector sees."""
    from plate_assets.workflows.intake.plate_maps import plate_map_for
    from plate_assets.workflows.precipitation.patches import cut_patches

    platemap = plate_map_for(acquisition.acquisition, settings.platemaps_root)
    fields = fields_of(storage, settings, context.partition_key, acquisition.acquisition)
    blocks = cut_patches(fields, platemap, progress=logged_progress(context, "wells cut into tiles"))
    return dg.MaterializeResult(value=blocks)


@PRECIPITATION.asset(
    tables.GROWTH, rests_on=(*ACQUISITION, *VIEW, PLATE_MAP), deps=[illumination], kinds={"polars", "scikitimage"}
)
def growth(
    context: dg.AssetExecutionContext,
    acquisition: KnownAcquisition,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
) -> dg.MaterializeResult:
    """One row for each well: how much of it is covered with cells, without labels."""
    from plate_assets.precipitation.figures import plate_heatmap
    from plate_assets.workflows.intake.plate_maps import plate_map_for
    from plate_assets.workflows.precipitation.growth import growth_table

    platemap = plate_map_for(acquisition.acquisition, settings.platemaps_root)
    fields = fields_of(storage, settings, context.partition_key, acquisition.acquisition)
    table = growth_table(fields, platemap, progress=logged_progress(context, "wells measured"))
    title = f"Confluence of {context.partition_key}"
    return dg.MaterializeResult(
        value=table,
        metadata={
            "median confluence": table.select(pl.col("confluence").median()).item() or 0.0,
            "heat-map": picture(
                plate_heatmap(table, "confluence", acquisition.acquisition.plate_format, title, "share of the culture area"),
                title,
            ),
        },
    )


@PRECIPITATION.asset(
    tables.PATCH_SCORES,
    rests_on=[model(DETECTOR)],
    stack=True,
    deps=[precipitation_champion],
    kinds={"torch", "polars"},
    pool="torch",
)
def patch_scores(
    context: dg.AssetExecutionContext,
    patches: Stack,
    settings: dg.ResourceParam[Settings],
    registries: dg.ResourceParam[Registries],
) -> dg.MaterializeResult:
    """One row for each tile: what the champion says of it, with the detector's map beside the table."""
    from plate_assets.precipitation.detector import Detector
    from plate_assets.workflows.precipitation.score import blocks_of, model_facts, score_blocks

    prepare_arithmetic(settings.threads)
    version = version_in_force(registries, settings, DETECTOR)
    bundle = bundle_of(registries, settings, DETECTOR, version)
    detector = Detector.from_parts(bundle.architecture, bundle.weights)
    scored = score_blocks(blocks_of(patches), detector, version, logged_progress(context, "tiles scored"), patches.table.height)
    return dg.MaterializeResult(value=scored, metadata=model_facts(bundle, version))


@PRECIPITATION.asset(tables.WELL_SCORES, rests_on=(*ACQUISITION, PLATE_MAP, EXCLUSIONS_OF_PLATE), kinds={"polars"})
def well_scores(
    context: dg.AssetExecutionContext,
    acquisition: KnownAcquisition,
    patch_scores: Stack,
    image_quality: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
) -> dg.MaterializeResult:
    """One row for each well: its score, its quality, and whether it counts."""
    from plate_assets.plates.tables import EXCLUSIONS
    from plate_assets.precipitation.figures import plate_heatmap
    from plate_assets.workflows.intake.plate_maps import plate_map_for
    from plate_assets.workflows.precipitation.calls import score_wells

    platemap = plate_map_for(acquisition.acquisition, settings.platemaps_root)
    exclusions = read_rows(storage.exclusions, EXCLUSIONS)
    wells = score_wells(patch_scores.table, platemap, image_quality, exclusions)
    title = f"Precipitation score of {context.partition_key}"
    return dg.MaterializeResult(
        value=wells,
        metadata={
            "wells scored": wells["score"].count(),
            "excluded": int(wells["excluded"].sum()),
            "flagged": dg.MetadataValue.md(reasons_list(wells.filter(pl.col("flagged") | pl.col("excluded")))),
            "heat-map": picture(plate_heatmap(wells, "score", acquisition.acquisition.plate_format, title, "score"), title),
        },
    )


@PRECIPITATION.asset(
    tables.QUADRUPLET_CALLS, rests_on=CALLING, deps=["drift_tests"], kinds={"polars", "scikitlearn"}
)  # its calls may be withheld for drift
def quadruplet_calls(
    context: dg.AssetExecutionContext,
    well_scores: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
    registries: dg.ResourceParam[Registries],
) -> dg.MaterializeResult:
    """One row for each condition: its score, how isolated it is among the reference plates, and the call."""
    from plate_assets.precipitation.figures import anomaly_histogram
    from plate_assets.precipitation.quadruplets import call_quadruplets, withhold_calls
    from plate_assets.workflows.precipitation.score import reference_of

    calling = call_settings(settings)
    reference = None
    if well_scores.height:
        reference = reference_of(bundle_of(registries, settings, DETECTOR, well_scores["model_version"][0]))
    calls = call_quadruplets(well_scores, reference, contamination=calling.contamination, method=calling.method)
    if settings.drift_action == "block" and (drift := drift_of(storage, context.partition_key)):
        calls = withhold_calls(calls, drift)
    called = calls.filter(pl.col("call"))
    metadata: dict = {
        "conditions": calls.height,
        "called": called.height,
        "not called, with reasons": calls["call"].null_count(),
        "called conditions": ", ".join(called.sort("anomaly_score", descending=True)["Metadata_Quadruplet"]) or "none",
        "threshold": calls["threshold"].drop_nulls().first() if calls["threshold"].count() else "none: no reference scores",
    }
    if calls["anomaly_score"].count():
        title = f"Anomaly scores of {context.partition_key}"
        metadata["histogram"] = picture(anomaly_histogram(calls, title), title)
    return dg.MaterializeResult(value=calls, metadata=metadata)


@PRECIPITATION.asset(tables.LAYOUT_EFFECTS, kinds={"polars"})
def layout_effects(well_scores: pl.DataFrame, growth: pl.DataFrame) -> dg.MaterializeResult:
    """Do the edge, the rows or the columns of the plate move score and growth? Controls apart."""
    from plate_assets.workflows.precipitation.score import layout_effects_of

    effects = layout_effects_of(well_scores, growth)
    strong = effects.filter(pl.col("p_value") < 0.01)
    said_strong = [f"{row['measure']}: {row['effect']} (p = {row['p_value']:.3g})" for row in strong.iter_rows(named=True)]
    return dg.MaterializeResult(value=effects, metadata={"effects with p < 0.01": "; ".join(said_strong) or "none"})


@PRECIPITATION.asset(kinds={"html"}, metadata={"what": "report.html, heatmap.png, tiles.csv, wells.csv, quadruplets.csv"})
def plate_report(
    context: dg.AssetExecutionContext,
    acquisition: KnownAcquisition,
    image_quality: pl.DataFrame,
    patch_scores: Stack,
    well_scores: pl.DataFrame,
    quadruplet_calls: pl.DataFrame,
    growth: pl.DataFrame,
    layout_effects: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
    registries: dg.ResourceParam[Registries],
) -> dg.MaterializeResult:
    """One self-contained page for a plate, with its heat-map and its tables as CSV."""
    from plate_assets.workflows.intake.plate_maps import plate_map_for
    from plate_assets.workflows.precipitation.report import heatmap_thumbnail_of, write_report
    from plate_assets.workflows.precipitation.score import ScoredPlate, model_facts

    version = well_scores["model_version"][0] if well_scores.height else "none"
    bundle = bundle_of(registries, settings, DETECTOR, version)
    plate = ScoredPlate(
        fields_of(storage, settings, context.partition_key, acquisition.acquisition), acquisition.fingerprint,
        plate_map_for(acquisition.acquisition, settings.platemaps_root),
        image_quality, patch_scores.table, patch_scores, growth, well_scores, quadruplet_calls, layout_effects,
        model_facts(bundle, version),
    )  # fmt: skip
    folder = storage.report("plate_report", context.partition_key)
    links = {"Dagster": f"{settings.ui_url}/assets/plate_report?partition={context.partition_key}"}
    write_report(plate, bundle, folder, links=links)
    return dg.MaterializeResult(
        metadata={
            "report": dg.MetadataValue.path(str(folder / "report.html")),
            "called": int(quadruplet_calls["call"].sum() or 0),
            "heat-map": picture(heatmap_thumbnail_of(plate), f"{context.partition_key}"),
        }
    )


@table_asset(tables.ONSET, group_name="precipitation", kinds={"polars"})
def precipitation_onset(quadruplet_calls: pl.DataFrame) -> dg.MaterializeResult:
    """When precipitation first appears in each condition, over the time points of each plate."""
    from plate_assets.precipitation.onset import onset

    table = onset(quadruplet_calls)
    return dg.MaterializeResult(
        value=table,
        metadata={"plates": table["Metadata_Plate"].n_unique(), "conditions with an onset": table["onset"].count()},
    )
