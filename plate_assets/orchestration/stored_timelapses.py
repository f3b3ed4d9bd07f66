"""Time-lapses as the assets stored them, put together again: their files, their frames, what an earlier night made of them.

Belongs here: reading what other assets wrote. Not here: what is done with it (`workflows`).
"""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl
from upath import UPath

from plate_assets.orchestration.resources import Storage
from plate_assets.orchestration.workflow_options import phase_settings
from plate_assets.settings import Settings
from plate_assets.storage.schema import TableSchema
from plate_assets.storage.tables import read_table
from plate_assets.workflows.dry_mass.timelapse_folders import TimelapseFolder, look_into

if TYPE_CHECKING:
    import numpy as np

    from plate_assets.dry_mass.phase import Calibration
    from plate_assets.plates.timelapses.frames import Timelapse
    from plate_assets.plates.timelapses.outline_files import GivenOutlines


@dataclass(frozen=True)
class StoredTimelapse:
    """The frames of a time-lapse as it was recorded, with what its pixels mean and the outlines that came with it."""

    folder: TimelapseFolder
    frames: "Timelapse"
    calibration: "Calibration"
    hours: "np.ndarray"
    given: "GivenOutlines | None"


def folder_of(files: pl.DataFrame, settings: Settings) -> TimelapseFolder:
    """The folder of a time-lapse (TIMELAPSE_FILES) as it lies there now: frames that came since are measured as well."""
    return look_into(UPath(files["root"][0]), phase_settings(settings), files["Metadata_Timelapse"][0])


def timelapse_of(files: pl.DataFrame, settings: Settings) -> StoredTimelapse | None:
    """The frames of a time-lapse; None where it holds tracks that were made elsewhere."""
    from plate_assets.workflows.dry_mass.timelapse import calibrate, open_outlines, open_timelapse, times

    folder = folder_of(files, settings)
    if not folder.has_frames:
        return None
    frames = open_timelapse(folder.frames_place, folder.settings)
    given = None if folder.outlines_place is None else open_outlines(folder.outlines_place, frames)
    return StoredTimelapse(folder, frames, calibrate(frames, folder.settings), times(frames), given)


def settings_print(folder: TimelapseFolder) -> str:
    """Fingerprint of what is said of a time-lapse: results under other settings are not carried on."""
    return hashlib.blake2b(repr((folder.settings, folder.files.outlines)).encode(), digest_size=8).hexdigest()


def made_before(
    context: dg.AssetExecutionContext, storage: Storage, schema: TableSchema, tags: dict[str, str]
) -> pl.DataFrame | None:
    """What this asset made of this partition before, where its materialisation has the same tags; None otherwise."""
    asset = context.asset_key.path[-1]
    path = storage.table(asset, context.partition_key)
    wanted = dg.AssetRecordsFilter(context.asset_key, asset_partitions=[context.partition_key])
    records = context.instance.fetch_materializations(wanted, limit=1).records
    event = records[0].asset_materialization if records else None
    if event is None or not path.exists() or any((event.tags or {}).get(name) != value for name, value in tags.items()):
        return None
    return read_table(path, schema)
