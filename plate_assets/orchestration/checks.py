"""Asset checks: what must hold of a plate's tables before anybody acts on them.

Belongs here: checks on single acquisitions. Not here: what they look at (`workflows`), the checks of schema that the IO
managers make on every read and write.
"""

from statistics import median

import dagster as dg
import polars as pl

from plate_assets.orchestration.assets.plates import image_quality
from plate_assets.orchestration.assets.scoring import quadruplet_calls, well_scores
from plate_assets.orchestration.assets.training import patch_embeddings
from plate_assets.orchestration.io_managers import SCHEMAS
from plate_assets.orchestration.metadata import table_shown
from plate_assets.orchestration.partitions import plate_acquisitions
from plate_assets.orchestration.resources import Storage
from plate_assets.settings import Settings
from plate_assets.storage.tables import read_provenance, read_table

FLAGGED_SHARE_LIMIT = 0.2
HISTORY_SHIFT_LIMIT = 4.0  # robust standard deviations of the earlier medians
HISTORY_NEEDED = 5


@dg.asset_check(asset=quadruplet_calls, blocking=True, partitions_def=plate_acquisitions)  # pyright: ignore[reportArgumentType]
def calls_know_their_origin(context: dg.AssetCheckExecutionContext, storage: dg.ResourceParam[Storage]) -> dg.AssetCheckResult:
    """The table on disk has its schema, names its inputs, and says one model throughout: the one in its provenance."""
    path = storage.table("quadruplet_calls", context.partition_key)
    calls = read_table(path, SCHEMAS["quadruplet_calls"])
    provenance = read_provenance(path)
    models = set(calls["model_version"])
    problems = [
        *(["no inputs recorded"] if not provenance.inputs else []),
        *(["no run recorded"] if not provenance.run_id else []),
        *([f"rows of {sorted(models)}, {provenance.model_version} recorded"] if models - {provenance.model_version} else []),
    ]  # fmt: skip
    return dg.AssetCheckResult(
        passed=not problems,
        description="; ".join(problems) or "schema, inputs, run and model agree",
        metadata={"inputs": dict(provenance.inputs), "model": provenance.model_version or "none"},
    )


@dg.asset_check(asset=image_quality, partitions_def=plate_acquisitions)
def most_images_are_sound(context: dg.AssetCheckExecutionContext, storage: dg.ResourceParam[Storage]) -> dg.AssetCheckResult:
    """Warns where more than a fifth of the images are flagged: then it is the plate or the microscope, not a well."""
    quality = read_table(storage.table("image_quality", context.partition_key), SCHEMAS["image_quality"])
    share = quality.select(pl.col("flagged").mean()).item() or 0.0
    return dg.AssetCheckResult(
        passed=share <= FLAGGED_SHARE_LIMIT,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{share:.0%} of the images are flagged, {FLAGGED_SHARE_LIMIT:.0%} are tolerated",
        metadata={"flagged share": share, "unreadable": quality.filter(~pl.col("readable")).height},
    )


@dg.asset_check(asset=well_scores, partitions_def=plate_acquisitions)  # pyright: ignore[reportArgumentType]
def scores_are_like_the_history(
    context: dg.AssetCheckExecutionContext, storage: dg.ResourceParam[Storage]
) -> dg.AssetCheckResult:
    """Warns where the median well score lies far from those of the earlier acquisitions that the same model scored."""
    wells = read_table(storage.table("well_scores", context.partition_key), SCHEMAS["well_scores"])
    history = [
        score
        for key in context.instance.get_materialized_partitions(dg.AssetKey("well_scores"))
        if key != context.partition_key and (score := _median(storage, key, wells)) is not None
    ]
    own = wells.select(pl.col("score").median()).item()
    if own is None or len(history) < HISTORY_NEEDED:
        return dg.AssetCheckResult(
            passed=True, description=f"{len(history)} earlier acquisitions under this model; {HISTORY_NEEDED} make a history"
        )
    middle = median(history)
    spread = max(1.4826 * median(abs(value - middle) for value in history), 1e-9)
    shift = (own - middle) / spread
    return dg.AssetCheckResult(
        passed=abs(shift) <= HISTORY_SHIFT_LIMIT,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"median well score {own:.4g}: {shift:+.1f} robust deviations from {len(history)} earlier acquisitions",
        metadata={"shift": shift, "median": own, "earlier acquisitions": len(history)},
    )


def _median(storage: Storage, key: str, like: pl.DataFrame) -> float | None:
    """The median well score of another acquisition, where the same model scored it."""
    path = storage.table("well_scores", key)
    if not like.height or not path.exists() or read_provenance(path).model_version != like["model_version"][0]:
        return None
    return read_table(path, SCHEMAS["well_scores"])["score"].median()  # type: ignore[return-value]


def make_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The checks; how severe drift is, the settings say."""
    severity = dg.AssetCheckSeverity.ERROR if settings.drift_action == "block" else dg.AssetCheckSeverity.WARN

    @dg.asset_check(asset=patch_embeddings, additional_deps=["drift_tests"], partitions_def=plate_acquisitions)
    def drift_test(context: dg.AssetCheckExecutionContext, storage: dg.ResourceParam[Storage]) -> dg.AssetCheckResult:
        """Fails where the plate differs from the reference plates more than they differ from each other."""
        path = storage.table("drift_tests", context.partition_key)
        if not path.exists():
            return dg.AssetCheckResult(passed=True, description="not tested: there is no drift reference yet")
        row = read_table(path, SCHEMAS["drift_tests"]).row(0, named=True)
        wells = read_table(storage.table("well_drift", context.partition_key), SCHEMAS["well_drift"]).sort("rank")
        tiles = read_table(storage.table("image_outliers", context.partition_key), SCHEMAS["image_outliers"]).sort("rank")
        numbers = {name: row[name] for name in ("p_value", "p_floor", "effect", "shift_sd", "statistic", "threshold")}
        said = f"p = {row['p_value']:.3g}, " if row["p_value"] is not None else ""
        return dg.AssetCheckResult(
            passed=row["decision"] != "drift",
            severity=severity,
            description=f"{row['decision']}: {said}{row['n_reference_plates']} reference plates {row['reasons']}".strip(),
            metadata={
                **{name: value for name, value in numbers.items() if value is not None},
                "wells that moved most": table_shown(wells.select("Metadata_Well", "witness", "outlier"), 8),
                "tiles that moved most": table_shown(tiles.select("Metadata_Well", "tile_row", "tile_col", "witness"), 8),
            },
        )

    return [calls_know_their_origin, most_images_are_sound, scores_are_like_the_history, drift_test]
