"""The assets of a plate before any science: the acquisition as it came in, and the quality of its images."""

from dataclasses import replace

import dagster as dg
import polars as pl
from upath import UPath

from plate_assets.orchestration.arrivals_ledger import SIGNATURE_TAG, place_of
from plate_assets.orchestration.metadata import described, missing_list, picture, reasons_list, said
from plate_assets.orchestration.partitions import plate_acquisitions
from plate_assets.orchestration.resources import Storage
from plate_assets.orchestration.workflow_options import read_options
from plate_assets.plates.acquisition_table import ACQUISITION, KnownAcquisition
from plate_assets.plates.tables import ILLUMINATION, IMAGE_QUALITY
from plate_assets.settings import Settings


class AcquisitionConfig(dg.Config):
    """Where the acquisition lies, if not where the arrivals sensor saw it."""

    folder: str = ""
    timepoint: str = ""  # which visit, where the folder holds several


@dg.asset(
    partitions_def=plate_acquisitions,
    group_name="plates",
    kinds={"polars"},
    code_version="1",
    io_manager_key="acquisitions",
    metadata=described(ACQUISITION),
)
def acquisition(
    context: dg.AssetExecutionContext,
    config: AcquisitionConfig,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
) -> dg.MaterializeResult:
    """One visit of the microscope to one plate: its images, what is missing, and the fingerprint of its bytes."""
    from plate_assets.workflows.intake.ingest import ingest, require_unchanged, require_whole

    given = (UPath(config.folder), config.timepoint or None) if config.folder else None
    folder, timepoint = given or place_of(storage, settings, context.partition_key)
    known = ingest(folder, replace(read_options(settings), timepoint=timepoint))
    require_whole(known.acquisition, expected_id=context.partition_key, allow_missing=settings.allow_missing)
    if SIGNATURE_TAG in context.run.tags:
        require_unchanged(known.acquisition, timepoint, context.run.tags[SIGNATURE_TAG])
    images = known.acquisition.images
    return dg.MaterializeResult(
        value=KnownAcquisition(known.acquisition, known.fingerprint),
        data_version=dg.DataVersion(known.fingerprint),
        metadata={
            "folder": dg.MetadataValue.path(str(folder)),
            "layout": known.acquisition.layout,
            "plate": known.acquisition.plate,
            "time point": known.acquisition.timepoint,
            "wells": images["Metadata_Well"].n_unique(),
            "sites": images["Metadata_Site"].n_unique(),
            "channels": ", ".join(images["Metadata_Channel"].unique().sort()),
            "images": images.height,
            "missing images": known.acquisition.missing.height,
            **missing_list(known.acquisition.missing_said()),
            "complete": known.acquisition.completeness,
            "pixel size (µm)": known.acquisition.pixel_um or "unknown",
            "objective": str(known.acquisition.objective or "unknown"),
            "begun": str(known.acquisition.started_at or "unknown"),
            "came from": ", ".join(f"{what}: {source}" for what, source in sorted(known.acquisition.sources.items())),
            "fingerprint": known.fingerprint,
        },
    )


@dg.asset(
    partitions_def=plate_acquisitions,
    group_name="plates",
    kinds={"polars", "scikitimage"},
    code_version="1",
    io_manager_key="tables",
    metadata=described(IMAGE_QUALITY),
)
def image_quality(context: dg.AssetExecutionContext, acquisition: KnownAcquisition) -> dg.MaterializeResult:
    """One row for each image: focus, saturation, light, emptiness, and the reasons for every flag; with the plate's mosaic."""
    from plate_assets.plates.mosaic import plate_mosaic
    from plate_assets.workflows.intake.ingest import measure_quality

    quality = measure_quality(acquisition.acquisition, progress=said(context, "images measured"))
    flagged = quality.filter(pl.col("flagged"))
    return dg.MaterializeResult(
        value=quality,
        metadata={
            "flagged images": flagged.height,
            "unreadable images": quality.filter(~pl.col("readable")).height,
            "reasons": dg.MetadataValue.md(reasons_list(flagged)),
            "mosaic": picture(plate_mosaic(acquisition.acquisition, quality), f"{context.partition_key}"),
        },
    )


@dg.asset(
    partitions_def=plate_acquisitions,
    group_name="plates",
    kinds={"polars", "scipy"},
    code_version="1",
    io_manager_key="tables",
    metadata=described(ILLUMINATION),
)
def illumination(
    context: dg.AssetExecutionContext, acquisition: KnownAcquisition, settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    """How evenly each channel is lit, before and after its profile; the settings say whether images are corrected by it."""
    from plate_assets.plates.light_figure import illumination_figure
    from plate_assets.workflows.intake.illumination import measure_illumination

    table = measure_illumination(acquisition.acquisition, progress=said(context, "channels measured"))
    rows = table.select("Metadata_Channel", "source", "n_images", "falloff_before", "falloff_after").iter_rows()
    lines = ["| channel | profile | images | fall-off before | after |", "|---|---|---|---|---|"]
    lines += [f"| {name} | {source} | {n} | {before:.1%} | {after:.1%} |" for name, source, n, before, after in rows]
    title = f"Illumination of {context.partition_key}"
    figure = {"before and after": picture(illumination_figure(table, title), title)} if table.height else {}
    return dg.MaterializeResult(
        value=table,
        metadata={"used for scoring": settings.illumination, "profiles": dg.MetadataValue.md("\n".join(lines)), **figure},
    )
