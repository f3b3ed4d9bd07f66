"""The assets of dry mass that rest on a model: forecaster, abnormal windows and cells, report, experiments, precision."""

from typing import TYPE_CHECKING

import dagster as dg
import polars as pl
from pydantic import Field

from plate_assets.dry_mass import tables
from plate_assets.dry_mass.model import FORECASTER, ForecasterConfig
from plate_assets.learning.arithmetic import prepare_arithmetic
from plate_assets.orchestration.assets.dry_mass.decisions import cell_verdicts, dry_mass_champion
from plate_assets.orchestration.assets.dry_mass.measuring import DRY_MASS
from plate_assets.orchestration.assets.dry_mass.metadata import window_facts
from plate_assets.orchestration.chains import table_asset
from plate_assets.orchestration.config import configured, configures
from plate_assets.orchestration.instance_state import made_of
from plate_assets.orchestration.metadata import logged_progress, picture, table_shown
from plate_assets.orchestration.partitions import experiments, timelapses
from plate_assets.orchestration.parts import Part, Present, Why, fingerprint_of, model
from plate_assets.orchestration.registration import register
from plate_assets.orchestration.resources import Storage
from plate_assets.orchestration.stored_timelapses import StoredTimelapse, made_before, timelapse_of
from plate_assets.orchestration.tags import MODEL_TAG, version_tag
from plate_assets.orchestration.workflow_options import bundle_of, version_in_force
from plate_assets.settings import Settings
from plate_assets.storage.ledger import read_rows
from plate_assets.storage.registry import Registries
from plate_assets.storage.tables import read_table

if TYPE_CHECKING:
    from plate_assets.dry_mass.strips import CellStrip


def _verdicts(present: Present, key: str) -> str:
    rows = read_rows(present.storage.cell_verdicts, tables.ANNOTATIONS).filter(Metadata_Timelapse=key)
    return fingerprint_of(rows.write_csv())


VERDICTS = Part("verdicts", Why.DECISION, _verdicts)


@configures(ForecasterConfig)
class ForecasterRun(dg.Config):
    """What is trained, on which time-lapses, and the budget."""

    timelapses: list[str] = Field(default=[], description="Time-lapses that are trained on; none: all that are measured")


class ExperimentRun(ForecasterRun):
    """The cultures of an experiment: `timelapses` is the one that is trained on."""

    other: list[str] = Field(default=[], description="Time-lapses of the culture that it is compared with")


def stored_series(storage: Storage, names: list[str]) -> list[pl.DataFrame]:
    """DRY_MASS_SERIES of the time-lapses."""
    return [read_table(storage.table("dry_mass_series", name), tables.DRY_MASS_SERIES) for name in names]


def judged_by(table: pl.DataFrame, registries: Registries, settings: Settings) -> str:
    """The forecaster that made a table; of an empty one, that in force."""
    return table["model_version"][0] if table.height else version_in_force(registries, settings, FORECASTER)


def measured(instance: dg.DagsterInstance) -> list[str]:
    """Time-lapses whose series and windows are there."""
    return sorted(made_of(instance, ["dry_mass_windows"], timelapses))


@dg.asset(group_name="dry_mass", code_version="1", deps=["dry_mass_windows"], kinds={"torch", "mlflow"}, pool="torch")
def dry_mass_forecaster(
    context: dg.AssetExecutionContext,
    config: ForecasterRun,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
    registries: dg.ResourceParam[Registries],
) -> dg.MaterializeResult:
    """The 1D network that forecasts 10 h of dry mass from 20 h, registered in MLflow as challenger."""
    from plate_assets.workflows.dry_mass.registration import forecaster_for_review

    prepare_arithmetic(settings.threads)
    names = config.timelapses or measured(context.instance)
    trained = forecaster_for_review(
        stored_series(storage, names), configured(ForecasterConfig, config),
        checkpoint=storage.checkpoint("dry_mass_forecaster.safetensors"), progress=logged_progress(context, "epochs"),
    )  # fmt: skip
    return register(FORECASTER, trained, registries, context.run.run_id)


@DRY_MASS.asset(
    tables.WINDOW_ANOMALIES, rests_on=[model(FORECASTER)], deps=[dry_mass_champion, "dry_mass_windows"],
    kinds={"torch", "polars"}, pool="torch",
)  # fmt: skip
def window_anomalies(
    context: dg.AssetExecutionContext,
    dry_mass_series: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
    registries: dg.ResourceParam[Registries],
) -> dg.MaterializeResult:
    """How far each window's forecast lies from what was measured. Of a time-lapse that grew, only new windows are forecast."""
    from plate_assets.workflows.dry_mass.scoring import judge_windows

    prepare_arithmetic(settings.threads)
    version = version_in_force(registries, settings, FORECASTER)
    tags = {MODEL_TAG: version_tag(version)}
    before = made_before(context, storage, tables.WINDOW_ANOMALIES, tags)
    bundle = bundle_of(registries, settings, FORECASTER, version)
    judged = judge_windows(dry_mass_series, bundle, version, before=before, progress=logged_progress(context, "windows"))
    facts = window_facts(judged.windows, f"Forecast errors of {context.partition_key}")
    metadata = {"model": version, "newly forecast": judged.n_forecast, **facts}
    return dg.MaterializeResult(value=judged.windows, metadata=metadata, tags=tags)


@DRY_MASS.asset(tables.CELL_ANOMALIES, code_version="2", kinds={"polars"})  # 2: margin and what decides
def cell_anomalies(
    dry_mass_series: pl.DataFrame,
    window_anomalies: pl.DataFrame,
    cell_tracks: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    registries: dg.ResourceParam[Registries],
) -> dg.MaterializeResult:
    """One row for each path: the share of its windows that are abnormal, since when, and whether the microscope may be why."""
    from plate_assets.dry_mass.ranking import ranked
    from plate_assets.workflows.dry_mass.scoring import judge_cells

    version = judged_by(window_anomalies, registries, settings)
    bundle = bundle_of(registries, settings, FORECASTER, version)
    cells = judge_cells(dry_mass_series, window_anomalies, bundle, version, tracks=cell_tracks)
    flagged = ranked(cells).filter(pl.col("abnormal"))
    told = flagged.select("path_id", "margin", "decided_by", "first_abnormal_h", "cause", "evidence")
    return dg.MaterializeResult(
        value=cells,
        metadata={
            "paths": cells.height,
            "scored": cells["score"].count(),
            "abnormal": flagged.height,
            "of them acquisition": flagged.filter(pl.col("cause") == "acquisition").height,
            "threshold": cells["threshold"].first() or 0.0,  # pyright: ignore[reportArgumentType]
            "most abnormal": table_shown(told, 20),
        },
    )


@DRY_MASS.asset(
    rests_on=[VERDICTS], deps=[cell_verdicts], kinds={"html"},
    metadata={"what": "report.html, overview.png, windows.csv, cells.csv"},
)  # fmt: skip
def timelapse_report(
    context: dg.AssetExecutionContext,
    timelapse: pl.DataFrame,
    phase_frames: pl.DataFrame,
    cell_masks: pl.DataFrame,
    cell_tracks: pl.DataFrame,
    dry_mass_series: pl.DataFrame,
    window_anomalies: pl.DataFrame,
    cell_anomalies: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
    registries: dg.ResourceParam[Registries],
) -> dg.MaterializeResult:
    """One self-contained page for a time-lapse: its most abnormal cells with curve, forecast and strip; its tables as CSV."""
    from plate_assets.workflows.dry_mass.report import most_abnormal, write_timelapse_report

    name = context.partition_key
    version = judged_by(cell_anomalies, registries, settings)
    bundle = bundle_of(registries, settings, FORECASTER, version)
    recorded = timelapse_of(timelapse, settings)
    shown = most_abnormal(cell_anomalies, STRIPS)
    strips = strips_of(recorded, shown, phase_frames, cell_masks, cell_tracks) if recorded else {}
    folder = storage.report("timelapse_report", name)
    written = write_timelapse_report(
        folder, name, dry_mass_series, window_anomalies, cell_anomalies, bundle, version,
        annotations=read_rows(storage.cell_verdicts, tables.ANNOTATIONS), strips=strips,
        pixel_um=recorded.calibration.pixel_um if recorded else None,
        links={"Dagster": f"{settings.ui_url}/assets/timelapse_report?partition={name}"},
    )  # fmt: skip
    return dg.MaterializeResult(
        metadata={
            "report": dg.MetadataValue.path(str(written.report)),
            "abnormal cells": int(cell_anomalies["abnormal"].sum() or 0),
            "strips": len(strips),
            "page (kB)": written.page_bytes / 1000,
            "overview": picture(written.overview.read_bytes(), f"Abnormal windows of {name}"),
        }
    )


def strips_of(
    recorded: StoredTimelapse, paths: list[int], frames: pl.DataFrame, masks: pl.DataFrame, tracks: pl.DataFrame
) -> "dict[int, CellStrip]":
    """The strips of crops along these paths."""
    from plate_assets.workflows.dry_mass.strips import cell_strips

    if not paths:
        return {}
    cut = cell_strips(recorded.frames, frames, masks, tracks, paths, recorded.folder.settings, recorded.calibration)
    return dict(zip(paths, cut, strict=True))


ALL_WINDOWS = dg.AssetDep("dry_mass_windows", partition_mapping=dg.AllPartitionMapping())  # an experiment takes any
STRIPS = 20  # cells whose strips are cut for the page


@table_asset(
    tables.DRY_MASS_EXPERIMENT, group_name="dry_mass", partitions_def=experiments, deps=[ALL_WINDOWS],
    kinds={"torch", "polars"}, pool="torch",
)  # fmt: skip
def dry_mass_experiment(
    context: dg.AssetExecutionContext,
    config: ExperimentRun,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
) -> dg.MaterializeResult:
    """One of the paper's three experiments: one culture, one against another, normal against altered; baselines beside it."""
    from plate_assets.dry_mass.figures import roc_figure
    from plate_assets.workflows.dry_mass.experiments import conduct

    prepare_arithmetic(settings.threads)
    found = conduct(
        context.partition_key, stored_series(storage, config.timelapses or measured(context.instance)),
        stored_series(storage, config.other), configured(ForecasterConfig, config),
        checkpoint=storage.checkpoint(f"dry_mass_experiment-{context.partition_key}.safetensors"),
        progress=lambda what: logged_progress(context, what),
    )  # fmt: skip
    drawn = {
        f"ROC over {level}": picture(
            roc_figure(curves, f"{context.partition_key}: ROC over {level}", level), f"ROC over {level}"
        )
        for level, curves in found.curves_by_level().items()
    }
    return dg.MaterializeResult(value=found.table, metadata={**found.headline(), **drawn})


@table_asset(tables.VERDICT_PRECISION, group_name="dry_mass", deps=[cell_verdicts], kinds={"polars"})
def verdict_precision(cell_anomalies: pl.DataFrame, storage: dg.ResourceParam[Storage]) -> dg.MaterializeResult:
    """Of the flags that people judged, how many were right: overall and by class, each with its interval."""
    from plate_assets.dry_mass.verdicts import verdict_precision as measure

    table = measure(read_rows(storage.cell_verdicts, tables.ANNOTATIONS), cell_anomalies)
    return dg.MaterializeResult(value=table, metadata={"table": table_shown(table)})
