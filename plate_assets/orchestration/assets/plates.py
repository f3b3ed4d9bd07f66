"""The assets of a plate before any science: the acquisition as it came in, the quality of its images, its light.

Belongs here: what every science on plates begins with, and how acquisitions arrive. Not here: any science.
"""

from dataclasses import replace
from typing import Any

import dagster as dg
import polars as pl
from upath import UPath

from plate_assets.orchestration.arrivals import Arrived, Look
from plate_assets.orchestration.arrivals_ledger import place_of, read_ledger, write_ledger
from plate_assets.orchestration.chains import Chain, Subject, table_metadata
from plate_assets.orchestration.instance_state import materialised_acquisitions
from plate_assets.orchestration.metadata import logged_progress, missing_list, picture, reasons_list
from plate_assets.orchestration.partitions import plate_acquisitions
from plate_assets.orchestration.parts import ACQUISITION as AS_LET_IN
from plate_assets.orchestration.platform import Platform
from plate_assets.orchestration.resources import Storage
from plate_assets.orchestration.tags import SIGNATURE_TAG
from plate_assets.orchestration.workflow_options import read_options
from plate_assets.plates.acquisition import Acquisition
from plate_assets.plates.acquisition_table import ACQUISITION, KnownAcquisition
from plate_assets.plates.arrivals import Decision, Seen, decide
from plate_assets.plates.arrivals_scan import Scan, scan_arrivals
from plate_assets.plates.tables import ILLUMINATION, IMAGE_QUALITY
from plate_assets.settings import Settings

PLATES = Subject("plate", plate_acquisitions, "acquisition", "acquisition")
INTAKE = Chain("plates", PLATES)


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
    metadata=table_metadata("acquisition", ACQUISITION),
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
    return dg.MaterializeResult(
        value=KnownAcquisition(known.acquisition, known.fingerprint),
        data_version=dg.DataVersion(known.fingerprint),
        metadata={"folder": dg.MetadataValue.path(str(folder)), **acquisition_facts(known.acquisition, known.fingerprint)},
    )


def acquisition_facts(acquisition: Acquisition, fingerprint: str) -> dict[str, Any]:
    """What people see of an acquisition in the UI."""
    images = acquisition.images
    return {
        "layout": acquisition.layout,
        "plate": acquisition.plate,
        "time point": acquisition.timepoint,
        "wells": images["Metadata_Well"].n_unique(),
        "sites": images["Metadata_Site"].n_unique(),
        "channels": ", ".join(images["Metadata_Channel"].unique().sort()),
        "images": images.height,
        "missing images": acquisition.missing.height,
        **missing_list(acquisition.missing_said()),
        "complete": acquisition.completeness,
        "pixel size (µm)": acquisition.pixel_um or "unknown",
        "objective": str(acquisition.objective or "unknown"),
        "begun": str(acquisition.started_at or "unknown"),
        "came from": ", ".join(f"{what}: {source}" for what, source in sorted(acquisition.sources.items())),
        "fingerprint": fingerprint,
    }


@INTAKE.asset(IMAGE_QUALITY, rests_on=AS_LET_IN, kinds={"polars", "scikitimage"})
def image_quality(context: dg.AssetExecutionContext, acquisition: KnownAcquisition) -> dg.MaterializeResult:
    """One row for each image: focus, saturation, light, emptiness, and the reasons for every flag; with the plate's mosaic."""
    from plate_assets.plates.mosaic import plate_mosaic
    from plate_assets.workflows.intake.ingest import measure_quality

    quality = measure_quality(acquisition.acquisition, progress=logged_progress(context, "images measured"))
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


@INTAKE.asset(ILLUMINATION, rests_on=AS_LET_IN, kinds={"polars", "scipy"})
def illumination(
    context: dg.AssetExecutionContext, acquisition: KnownAcquisition, settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    """How evenly each channel is lit, before and after its profile; the settings say whether images are corrected by it."""
    from plate_assets.plates.illumination_figure import illumination_figure
    from plate_assets.workflows.intake.illumination import measure_illumination

    table = measure_illumination(acquisition.acquisition, progress=logged_progress(context, "channels measured"))
    rows = table.select("Metadata_Channel", "source", "n_images", "falloff_before", "falloff_after").iter_rows()
    lines = ["| channel | profile | images | fall-off before | after |", "|---|---|---|---|---|"]
    lines += [f"| {name} | {source} | {n} | {before:.1%} | {after:.1%} |" for name, source, n, before, after in rows]
    title = f"Illumination of {context.partition_key}"
    figure = {"before and after": picture(illumination_figure(table, title), title)} if table.height else {}
    return dg.MaterializeResult(
        value=table,
        metadata={"used for scoring": settings.illumination, "profiles": dg.MetadataValue.md("\n".join(lines)), **figure},
    )


def look_at_plates(platform: Platform, subject: Subject, context: dg.SensorEvaluationContext) -> Look:
    """One look at the arrivals folder: lets in what is new and complete, and refuses new bytes under a known id."""
    settings, ledger = platform.settings, read_ledger(platform.storage)
    known = dict.fromkeys(materialised_acquisitions(context.instance))  # the ledger keeps their signatures
    scan = scan_arrivals(
        UPath(settings.arrivals_root), known, ledger, options=read_options(settings), slice_size=settings.recheck_folders
    )
    seen = [settling(each) for each in scan.seen] if settings.allow_missing else scan.seen
    decision = decide(seen, known, scan.ledger, settings.settle_looks)
    if decision.ledger != ledger:
        write_ledger(platform.storage, decision.ledger)
    let_in = {item.acquisition_id: item for item in decision.start if item.acquisition_id}
    return Look(
        arrived=tuple(Arrived(key, item.place, item.signature) for key, item in let_in.items()),
        assets=(subject.entrance, *INTAKE.assets),
        warnings=tuple(f"{judged.seen.place}: {judged.reason}" for judged in (*decision.refuse, *decision.broken)),
        nothing=why_nothing(scan, decision),
    )


def settling(look: Seen) -> Seen:
    """A folder that may run without its missing images: only settling tells when the copy is over."""
    return replace(look, complete=None) if look.complete is False else look


def why_nothing(scan: Scan, decision: Decision) -> str:
    """What a tick without runs says: how much it looked at, what waits, is refused or broken, with the first reason of each."""
    said = [f"{scan.folders} folders, {scan.listed} looked into"]
    for word, judged in (("waiting", decision.wait), ("refused", decision.refuse), ("broken", decision.broken)):
        if judged:
            said.append(f"{len(judged)} {word}: {judged[0].seen.place} ({judged[0].reason})")
    return "; ".join(said)
