"""The drift assets: what known good plates look like, each acquisition's test, the lines' monitors, what a person is asked."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import dagster as dg
import polars as pl

from plate_assets.drift import tables
from plate_assets.learning.arithmetic import prepare_arithmetic
from plate_assets.orchestration.assets.registry import champion
from plate_assets.orchestration.assets.training import patch_embeddings
from plate_assets.orchestration.instance_state import made_since
from plate_assets.orchestration.io_managers import SCHEMAS
from plate_assets.orchestration.lines import lines_of
from plate_assets.orchestration.metadata import described, picture, said, table_shown
from plate_assets.orchestration.partitions import plate_acquisitions
from plate_assets.orchestration.resources import Storage
from plate_assets.orchestration.stored_plates import known_acquisition, stored_embeddings, stored_reference
from plate_assets.orchestration.tags import REFERENCE_TAG
from plate_assets.orchestration.workflow_options import drift_settings, line_settings
from plate_assets.precipitation.tables import TRAINING_SAMPLE
from plate_assets.settings import Settings
from plate_assets.storage.arrays import read_stack
from plate_assets.storage.registry import ModelRegistry
from plate_assets.storage.tables import read_table

_drift: dict[str, Any] = {"group_name": "drift", "code_version": "1"}


def _table(schema) -> dg.AssetOut:
    return dg.AssetOut(io_manager_key="tables", metadata=described(schema), **_drift)


class ReferenceConfig(dg.Config):
    """Which acquisitions are known to be good; without a list those that the embedding was trained on."""

    acquisitions: list[str] = []
    tiles_per_acquisition: int = 200
    seed: int = 0


@dg.multi_asset(
    outs={"drift_reference": _table(tables.DRIFT_REFERENCE), "drift_reference_tiles": _table(tables.DRIFT_REFERENCE_TILES)},
    deps=[patch_embeddings, "embedding_model", "training_sample"],
)
def drift_references(context: dg.AssetExecutionContext, config: ReferenceConfig, storage: dg.ResourceParam[Storage]):
    """What known good plates look like to the embedding model: the mean of each well, and some tiles of each acquisition."""
    from plate_assets.drift.acquisitions import build_reference
    from plate_assets.drift.plates import plates_needed
    from plate_assets.storage.models import bundle_version

    version = bundle_version(storage.model("embedding_model"))
    names = config.acquisitions or _trained_on(storage)
    reference = build_reference(
        ((name, stored_embeddings(storage, name)) for name in names), version, config.tiles_per_acquisition, config.seed
    )
    plates = reference.wells["Metadata_Plate"].n_unique()
    return (
        dg.MaterializeResult(
            asset_key="drift_reference",
            value=reference.wells,
            metadata={
                "plates": plates,
                "acquisitions": len(names),
                "wells": reference.wells.height,
                "embedding model": version,
                "plates that a test at 5 % needs": plates_needed(0.05),
            },
        ),
        dg.MaterializeResult(asset_key="drift_reference_tiles", value=reference.tiles),
    )


def _trained_on(storage: Storage) -> list[str]:
    """Acquisitions of the training sample."""
    return sorted(read_stack(storage.stack("training_sample"), TRAINING_SAMPLE).table["acquisition"].unique())


@dg.multi_asset(
    outs={
        schema.name: _table(schema)
        for schema in (tables.DRIFT_TESTS, tables.DRIFT_NULL, tables.WELL_DRIFT, tables.IMAGE_OUTLIERS)
    },
    partitions_def=plate_acquisitions,
    deps=["drift_reference", "drift_reference_tiles"],
)
def acquisition_drift(
    context: dg.AssetExecutionContext,
    patch_embeddings: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
):
    """Does this plate differ from the reference plates more than they differ from each other? Which wells moved, which images
    are odd by themselves."""
    from plate_assets.drift.acquisitions import of_like_age, test_acquisition, vectors_of, well_vectors
    from plate_assets.drift.figures import moved_wells, null_plot, well_scatter

    prepare_arithmetic(settings.threads)
    key = context.partition_key
    reference = stored_reference(storage)
    found = test_acquisition(reference, key, patch_embeddings, drift_settings(settings))
    row = found.test.row(0, named=True)
    wells = well_vectors(key, patch_embeddings)
    like = of_like_age(reference.wells, wells, settings.drift_tolerance_h)
    plate_format = known_acquisition(storage, key).acquisition.plate_format
    titles = [f"{what} of {key}" for what in ("Drift test", "Wells", "Moved wells")]
    figures = {titles[0]: null_plot(found.test, found.null, titles[0])} if found.null.height else {}
    if like.height:
        known, new = vectors_of(like["vector"]), vectors_of(wells["vector"])
        figures[titles[1]] = well_scatter(known, like["Metadata_Plate"].to_numpy(), new, titles[1])
        figures[titles[2]] = moved_wells(found.wells, plate_format, titles[2])
    facts = {name: row[name] for name in ("p_value", "p_floor", "level", "effect", "shift_sd") if row[name] is not None}
    first = {
        "decision": row["decision"],
        "why": row["reasons"] or "–",
        **facts,
        "reference plates": row["n_reference_plates"],
        "moved most": ", ".join(found.wells.sort("rank")["Metadata_Well"][:8]),
        **{title: picture(png, title) for title, png in figures.items()},
    }
    odd = found.tiles.filter(pl.col("outlier"))
    yield dg.MaterializeResult(
        asset_key="drift_tests", value=found.test, metadata=first, tags={REFERENCE_TAG: reference.version}
    )
    yield dg.MaterializeResult(asset_key="drift_null", value=found.null)
    yield dg.MaterializeResult(
        asset_key="well_drift",
        value=found.wells,
        metadata={"moved most": table_shown(found.wells.sort("rank").select("Metadata_Well", "witness", "outlier"), 12)},
    )
    yield dg.MaterializeResult(
        asset_key="image_outliers",
        value=found.tiles,
        metadata={
            "odd images": odd.height,
            "farthest": table_shown(odd.sort("distance", descending=True).select("Metadata_Well", "distance", "threshold"), 12),
        },
    )


class NightConfig(dg.Config):
    """Which tests are judged together."""

    hours: float = 24.0
    rate: float = 0.05
    method: str = "benjamini_hochberg"


@dg.asset(**_drift, deps=["drift_tests"], io_manager_key="tables", metadata=described(tables.DRIFT_DISCOVERIES))
def drift_discoveries(
    context: dg.AssetExecutionContext, config: NightConfig, storage: dg.ResourceParam[Storage]
) -> dg.MaterializeResult:
    """The tests of one night together: which plates to name so that at most one in twenty names is wrong."""
    from plate_assets.drift.acquisitions import night_discoveries

    keys = made_since(context.instance, "drift_tests", datetime.now(UTC) - timedelta(hours=config.hours))
    tests = [read_table(storage.table("drift_tests", key), tables.DRIFT_TESTS) for key in keys]
    table = night_discoveries(pl.concat([tables.DRIFT_TESTS.empty(), *tests]), config.rate, config.method)
    named = table.filter(pl.col("named"))
    return dg.MaterializeResult(
        value=table,
        metadata={
            "tests": table.height,
            "named": ", ".join(named["acquisition"]) or "none",
            "false-discovery rate": config.rate,
            "note": (table["note"][0] if table.height else "") or "–",
        },
    )


@dg.multi_asset(
    outs={"drift_monitor": _table(tables.DRIFT_STEPS), "drift_episodes": _table(tables.DRIFT_EPISODES)},
    deps=[patch_embeddings, "drift_reference"],
)
def drift_monitors(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], storage: dg.ResourceParam[Storage]):
    """The online test along each line of acquisitions (instrument × assay), in the order of acquisition time; it remembers."""
    from plate_assets.drift.figures import line_plot
    from plate_assets.workflows.drift.monitor import advance_line

    steps, episodes, figures, left_out = [tables.DRIFT_STEPS.empty()], [tables.DRIFT_EPISODES.empty()], {}, 0
    if storage.table("drift_reference").exists():
        reference = stored_reference(storage)
        lines = lines_of(context.instance, storage, settings, reference)
        for number, (line, available) in enumerate(sorted(lines.items())):
            state = advance_line(
                storage.drift_lines,
                line,
                reference,
                available,
                partial(stored_embeddings, storage),
                line_settings(settings),
            )
            steps.append(state.steps)
            episodes.append(state.episodes)
            left_out += len(state.left_out)
            if state.steps.height:
                figures[f"Line {line}"] = picture(line_plot(state.steps, f"Line {line}"), f"Line {line}")
            said(context, "lines")(number + 1, len(lines))
    found, alarms = pl.concat(steps), pl.concat(episodes)
    last = alarms.filter(pl.col("closed_at").is_null())
    return (
        dg.MaterializeResult(
            asset_key="drift_monitor",
            value=found,
            metadata={
                "lines": found["line"].n_unique(),
                "updates": found.height,
                "acquisitions left out": left_out,
                "mean wells until a false alarm": settings.drift_ert,
                **figures,
            },
        ),
        dg.MaterializeResult(
            asset_key="drift_episodes",
            value=alarms,
            metadata={"episodes": alarms.height, "open": last.height, "since": table_shown(last.select("line", "opened_at"))},
        ),
    )


@dg.asset(
    **_drift, deps=[champion, "drift_episodes", "image_outliers"], io_manager_key="tables",
    metadata=described(tables.LABELLING_BATCH),
)  # fmt: skip
def labelling_batch(
    context: dg.AssetExecutionContext,
    drift_monitor: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
    registry: dg.ResourceParam[ModelRegistry],
) -> dg.MaterializeResult:
    """After an alarm, once for each episode: the most novel tiles, spread over wells and looks, for a person to label; the
    champion gets a tag that reviewers see. Without a new alarm the last batch stays as it was."""
    from plate_assets.workflows.drift.labelling_batch import batch_sheet, make_batch
    from plate_assets.workflows.drift.monitor import announce, line_folder, read_line, unannounced

    batches, stacks = [], {}
    reference = stored_reference(storage) if drift_monitor.height else None
    for line in drift_monitor["line"].unique().sort():
        assert reference is not None
        place = line_folder(storage.drift_lines, line, reference, line_settings(settings))
        state = read_line(storage.drift_lines, line, reference, line_settings(settings))
        for episode in unannounced(place, state.episodes).iter_rows(named=True):
            keys = _acquisitions_of(state.steps, episode, storage)
            outliers = [read_table(storage.table("image_outliers", key), tables.IMAGE_OUTLIERS) for key in keys]
            batches.append(make_batch(episode, outliers, [stored_embeddings(storage, key) for key in keys]))
            stacks |= {key: read_stack(storage.stack("patches", key), SCHEMAS["patches"]) for key in keys}
            if in_force := registry.champion():
                since = f"drift on line {line} since {episode['opened_at']:%Y-%m-%d %H:%M} UTC (episode {episode['episode']})"
                registry.note(in_force, {"drift": since})
            announce(place, episode)
    if not batches:  # a step that gives nothing would have Dagster skip all that follows it, the morning page too
        context.log.info("no new alarm: nothing new to label")
        kept = storage.table("labelling_batch")
        batch = read_table(kept, tables.LABELLING_BATCH) if kept.exists() else tables.LABELLING_BATCH.empty()
        return dg.MaterializeResult(value=batch, metadata={"new tiles": 0, "tiles": batch.height})
    batch = pl.concat(batches)
    title = "Label these tiles first"
    sheet = batch_sheet(batch, stacks, title)
    return dg.MaterializeResult(
        value=batch,
        metadata={
            "new tiles": batch.height,
            "tiles": batch.height,
            "lines": ", ".join(batch["line"].unique().sort()),
            "acquisitions": ", ".join(batch["acquisition"].unique().sort()),
            "how": "`plate-assets label` names clusters of a new training sample that holds these acquisitions",
            **({title: picture(sheet, title)} if sheet else {}),
        },
    )


def _acquisitions_of(steps: pl.DataFrame, episode: dict[str, Any], storage: Storage) -> list[str]:
    """Acquisitions in the episode and of the window before it, which brought the alarm, whose tiles are stored and scored."""
    own = steps.filter(pl.col("episode") == episode["episode"])
    before = steps.filter(pl.col("update") < own["update"].min()).tail(20)
    keys = pl.concat([before, own])["acquisition"].unique(maintain_order=True).to_list()
    return [key for key in keys if storage.table("image_outliers", key).exists() and storage.stack("patches", key).exists()]
