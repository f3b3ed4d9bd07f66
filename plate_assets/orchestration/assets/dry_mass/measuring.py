"""The assets of a time-lapse before any model: from its files to the series of dry mass and their windows.

Belongs here: the first part of the chain of dry mass, and how time-lapses arrive. Not here: what rests on a model (`judging`).
"""

import json

import dagster as dg
import polars as pl
from upath import UPath

from plate_assets.dry_mass import tables
from plate_assets.dry_mass.model import FORECASTER
from plate_assets.orchestration.arrivals import Arrived, Look
from plate_assets.orchestration.assets.dry_mass.metadata import frame_facts, listed, track_facts
from plate_assets.orchestration.chains import Chain, Subject
from plate_assets.orchestration.instance_state import made_of
from plate_assets.orchestration.metadata import logged_progress
from plate_assets.orchestration.partitions import timelapses
from plate_assets.orchestration.parts import Part, Present, Why, setting
from plate_assets.orchestration.platform import Platform
from plate_assets.orchestration.resources import Storage
from plate_assets.orchestration.stored_timelapses import folder_of, made_before, settings_print, timelapse_of
from plate_assets.orchestration.tags import SETTINGS_TAG
from plate_assets.orchestration.workflow_options import phase_settings
from plate_assets.plates.timelapses.arrivals import TimelapseDecision, decide_timelapses, look_at, scan_timelapses
from plate_assets.settings import Settings


def _files(present: Present, key: str) -> str | None:
    """None while a copy goes on, or where the folder is gone: then nothing is measured again."""
    place = UPath(present.settings.timelapses_root) / key
    seen = look_at(place) if place.exists() else None
    return None if seen is None or seen.copying or seen.error else f"#{seen.signature}"


TIMELAPSES = Subject("timelapse", timelapses, "timelapse", "time-lapse")
DRY_MASS = Chain("dry_mass", TIMELAPSES, FORECASTER)
FILES = Part("files", Why.INPUTS, _files)
CALIBRATION = (
    setting("phase_unit", "phase unit"),
    setting("phase_factor", "phase factor"),
    setting("phase_pixel_um", "phase pixel size (µm)"),
    setting("phase_wavelength_nm", "phase wavelength (nm)"),
    setting("phase_interval_min", "minutes between frames"),
    setting("phase_alpha", "refraction increment (µm³/pg)"),
)


@DRY_MASS.asset(tables.TIMELAPSE_FILES, rests_on=(FILES, *CALIBRATION), kinds={"polars"})
def timelapse(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult:
    """The files of a time-lapse as it lies there: frames with or without outlines, or tracks that were made elsewhere."""
    from plate_assets.workflows.dry_mass.timelapse_folders import look_into

    found = look_into(UPath(settings.timelapses_root) / context.partition_key, phase_settings(settings))
    return dg.MaterializeResult(
        value=found.table(),
        metadata={
            "folder": dg.MetadataValue.path(str(found.listing.root)),
            "holds": found.files.kind,
            "files": len(found.files.files),
            "outlines": found.files.outlines or "none: cells are found",
            "not used": ", ".join(found.files.unused[:20]) or "none",
            "settings": dg.MetadataValue.md(f"`{found.settings}`"),
        },
    )


@DRY_MASS.asset(tables.PHASE_FRAMES, kinds={"polars", "scipy"})
def phase_frames(
    context: dg.AssetExecutionContext,
    timelapse: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
) -> dg.MaterializeResult:
    """One row for each frame: its time, and the background and tilt that are removed from it. Of a time-lapse that grew, new
    ones."""
    from plate_assets.workflows.dry_mass.timelapse import phase_frames as measure

    recorded = timelapse_of(timelapse, settings)
    if recorded is None:
        return dg.MaterializeResult(value=tables.PHASE_FRAMES.empty(), metadata={"frames": "none: tracks made elsewhere"})
    tags = {SETTINGS_TAG: settings_print(recorded.folder)}
    known = made_before(context, storage, tables.PHASE_FRAMES, tags)
    table = measure(recorded.frames, recorded.folder.settings, known, logged_progress(context, "frames"), context.partition_key)
    new = table.height - (known.height if known is not None else 0)
    return dg.MaterializeResult(value=table, metadata=frame_facts(table, recorded, new), tags=tags)


@DRY_MASS.asset(tables.CELL_MASKS, kinds={"polars", "scikitimage"})
def cell_masks(
    context: dg.AssetExecutionContext,
    timelapse: pl.DataFrame,
    phase_frames: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
) -> dg.MaterializeResult:
    """One row for each cell of each frame: outline, area and dry mass, by watershed or by the outlines that came with it."""
    from plate_assets.workflows.dry_mass.timelapse import cell_masks as measure

    recorded = timelapse_of(timelapse, settings)
    if recorded is None:
        return dg.MaterializeResult(value=tables.CELL_MASKS.empty(), metadata={"cells": "none: tracks made elsewhere"})
    tags = {SETTINGS_TAG: settings_print(recorded.folder)}
    known = made_before(context, storage, tables.CELL_MASKS, tags)
    table = measure(
        recorded.frames, phase_frames, recorded.folder.settings, recorded.calibration, recorded.given, known,
        logged_progress(context, "frames"),
    )  # fmt: skip
    return dg.MaterializeResult(
        value=table,
        metadata={
            "cells": table.height,
            "cells a frame": table.height / max(phase_frames.height, 1),
            "at the border": int(table["at_edge"].sum()),
            "saturated": int(table["saturated"].sum()),
            "unit": recorded.calibration.unit,
        },
        tags=tags,
    )


@DRY_MASS.asset(tables.CELL_TRACKS, kinds={"polars", "scipy"})
def cell_tracks(
    context: dg.AssetExecutionContext,
    timelapse: pl.DataFrame,
    phase_frames: pl.DataFrame,
    cell_masks: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """One row for each cell in each frame with its track and its mother, linked here or read from a table."""
    from plate_assets.workflows.dry_mass.timelapse import cell_tracks as link
    from plate_assets.workflows.dry_mass.timelapse_folders import read_tracks

    folder = folder_of(timelapse, settings)
    remarks: tuple[str, ...] = ()
    if folder.has_frames:
        hours = phase_frames.sort("frame")["time_h"].to_numpy()
        tracks = link(cell_masks, hours, folder.settings, context.partition_key, folder.well)
    else:
        read = read_tracks(folder)
        tracks, remarks = read.tracks, read.remarks
    return dg.MaterializeResult(value=tracks, metadata=track_facts(tracks, remarks))


@DRY_MASS.asset(tables.DRY_MASS_SERIES, kinds={"polars"})
def dry_mass_series(cell_tracks: pl.DataFrame) -> dg.MaterializeResult:
    """Dry mass along each path from a founder to a last descendant, every 10 min; gaps are marked and never bridged."""
    from plate_assets.dry_mass.series import lineage_series

    made = lineage_series(cell_tracks)
    paths = made.table.group_by("path_id").agg(pl.col("long_enough").all(), pl.col("gap").any())
    return dg.MaterializeResult(
        value=made.table,
        metadata={
            "paths": paths.height,
            "long enough (30 h)": int(paths["long_enough"].sum()),
            "paths with a gap": int(paths["gap"].sum()),
            "frame interval (min)": 60 * made.interval_h,
            "remarks": listed(made.remarks),
        },
    )


@DRY_MASS.asset(tables.DRY_MASS_WINDOWS, kinds={"polars"})
def dry_mass_windows(dry_mass_series: pl.DataFrame) -> dg.MaterializeResult:
    """Every window of 20 h that are seen and 10 h that are forecast, of every path that is long enough."""
    from plate_assets.dry_mass.window_table import window_table
    from plate_assets.dry_mass.windows import PathSeries

    table = window_table(PathSeries.of(dry_mass_series))
    whole = table.filter(pl.col("unknown_points") == 0)
    return dg.MaterializeResult(
        value=table,
        metadata={"windows": table.height, "whole windows": whole.height, "paths with windows": table["path_id"].n_unique()},
    )


def look_at_timelapses(platform: Platform, subject: Subject, context: dg.SensorEvaluationContext) -> Look:
    """One look at the folder of time-lapses: each is let in once it stays the same; the night measures again what has grown."""
    root = UPath(platform.settings.timelapses_root)
    if not root.exists():
        return Look((), (), nothing=f"{root} is not there: make it, and put each time-lapse into a folder of its own in it")
    known = set(made_of(context.instance, [subject.entrance], subject.partitions))
    looks = {name: (signature, count) for name, (signature, count) in json.loads(context.cursor or "{}").items()}
    decision = decide_timelapses(scan_timelapses(root, known), known, looks, platform.settings.settle_looks)
    return Look(
        arrived=tuple(Arrived(seen.name, seen.name, seen.signature) for seen in decision.start),
        assets=platform.possible(subject, platform.present()),
        warnings=tuple(f"{broken.name}: {broken.error}" for broken in decision.broken),
        nothing=why_nothing(decision),
        cursor=json.dumps(decision.looks),
    )


def why_nothing(decision: TimelapseDecision) -> str:
    """What a tick without runs says: how many wait or are broken, with the first reason."""
    said = [f"{len(decision.waiting)} wait until they stay the same"] if decision.waiting else []
    if decision.broken:
        said.append(f"{len(decision.broken)} broken: {decision.broken[0].name} ({decision.broken[0].error})")
    return "; ".join(said) or "nothing new"
