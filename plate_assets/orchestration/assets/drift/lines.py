"""Lines of acquisitions (instrument × assay): their monitors, and what a person is asked to label after an alarm.

Belongs here: the assets. Not here: which acquisition is on which line (`line_membership`), the monitor
(`workflows.drift.monitor`).
"""

from functools import partial

import dagster as dg
import polars as pl

from plate_assets.drift import tables
from plate_assets.orchestration.assets.drift.acquisitions import patch_embeddings
from plate_assets.orchestration.assets.drift.line_membership import lines_of
from plate_assets.orchestration.assets.drift.metadata import batch_facts, episode_facts, monitor_facts
from plate_assets.orchestration.assets.precipitation.decisions import precipitation_champion
from plate_assets.orchestration.chains import table_asset, table_out
from plate_assets.orchestration.metadata import logged_progress
from plate_assets.orchestration.resources import Storage
from plate_assets.orchestration.stored_plates import stored_embeddings, stored_reference
from plate_assets.orchestration.workflow_options import line_settings
from plate_assets.precipitation.model import DETECTOR
from plate_assets.precipitation.tables import PATCHES
from plate_assets.settings import Settings
from plate_assets.storage.arrays import read_stack
from plate_assets.storage.registry import Registries
from plate_assets.storage.tables import read_table


@dg.multi_asset(
    outs={
        "drift_monitor": table_out("drift_monitor", tables.DRIFT_STEPS, "drift"),
        "drift_episodes": table_out("drift_episodes", tables.DRIFT_EPISODES, "drift"),
    },
    deps=[patch_embeddings, "drift_reference"],
)
def drift_monitors(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], storage: dg.ResourceParam[Storage]):
    """The online test along each line of acquisitions (instrument × assay), in the order of acquisition time; it remembers."""
    from plate_assets.workflows.drift.monitor import Lines, advance_lines

    found = Lines({})
    if storage.table("drift_reference").exists():
        reference = stored_reference(storage)
        found = advance_lines(
            storage.drift_lines, lines_of(context.instance, storage, settings, reference), reference,
            partial(stored_embeddings, storage), line_settings(settings), logged_progress(context, "lines"),
        )  # fmt: skip
    return (
        dg.MaterializeResult(asset_key="drift_monitor", value=found.steps, metadata=monitor_facts(found, settings.drift_ert)),
        dg.MaterializeResult(asset_key="drift_episodes", value=found.episodes, metadata=episode_facts(found.episodes)),
    )


@table_asset(tables.LABELLING_BATCH, group_name="drift", deps=[precipitation_champion, "drift_episodes", "image_outliers"])
def labelling_batch(
    drift_monitor: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
    registries: dg.ResourceParam[Registries],
) -> dg.MaterializeResult:
    """After an alarm, once for each episode: the most novel tiles, spread over wells and looks, for a person to label; the
    champion gets a tag that reviewers see. Without a new alarm the last batch stays as it was."""
    from plate_assets.workflows.drift.labelling_batch import ask_after_alarms, batch_sheet

    lines = drift_monitor["line"].unique().sort()
    if not lines.len():
        return last_batch(storage)
    asked = ask_after_alarms(
        storage.drift_lines, lines, stored_reference(storage), line_settings(settings), tile_sources(storage)
    )
    if not asked.alarms:
        return last_batch(storage)
    registry = registries.of(DETECTOR)
    if in_force := registry.champion():
        registry.note(in_force, {"drift": asked.alarms[-1]})
    sheet = batch_sheet(asked.batch, asked.patches, "Label these tiles first")
    return dg.MaterializeResult(value=asked.batch, metadata=batch_facts(asked.batch, sheet))


def last_batch(storage: Storage) -> dg.MaterializeResult:
    """The batch as it was: a step that gives nothing would have Dagster skip all that follows it, the morning page too."""
    kept = storage.table("labelling_batch")
    batch = read_table(kept, tables.LABELLING_BATCH) if kept.exists() else tables.LABELLING_BATCH.empty()
    return dg.MaterializeResult(value=batch, metadata={"new tiles": 0, "tiles": batch.height})


def tile_sources(storage: Storage):
    """Where the labelling batch finds the tiles of an acquisition."""
    from plate_assets.workflows.drift.labelling_batch import TileSources

    return TileSources(
        has_tiles=lambda key: storage.table("image_outliers", key).exists() and storage.stack("patches", key).exists(),
        outliers=lambda key: read_table(storage.table("image_outliers", key), tables.IMAGE_OUTLIERS),
        embeddings=partial(stored_embeddings, storage),
        patches=lambda key: read_stack(storage.stack("patches", key), PATCHES),
    )
