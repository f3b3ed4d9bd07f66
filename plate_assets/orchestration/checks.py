"""Asset checks that hold for any science: a result knows its origin, and is like those before it.

Belongs here: the shapes of such checks, and the check of images before any science. Not here: a science's own checks (its
assets), the checks of schema that the IO managers make on every read and write.
"""

from statistics import median

import dagster as dg
import polars as pl

from plate_assets.orchestration.assets.plates import PLATES, image_quality
from plate_assets.orchestration.chains import Subject
from plate_assets.orchestration.resources import Storage
from plate_assets.plates.tables import IMAGE_QUALITY
from plate_assets.storage.schema import TableSchema
from plate_assets.storage.tables import read_provenance, read_table

FLAGGED_SHARE_LIMIT = 0.2
HISTORY_SHIFT_LIMIT = 4.0  # robust standard deviations of the earlier medians
HISTORY_NEEDED = 5


def origin_check(asset: dg.AssetsDefinition, schema: TableSchema, subject: Subject, name: str) -> dg.AssetChecksDefinition:
    """Blocks what follows where a table of a model's results does not say what made it."""

    @dg.asset_check(asset=asset, name=name, blocking=True, partitions_def=subject.partitions)  # type: ignore[arg-type]
    def knows_its_origin(context: dg.AssetCheckExecutionContext, storage: dg.ResourceParam[Storage]) -> dg.AssetCheckResult:
        """The table on disk has its schema, names its inputs, and says one model throughout: the one in its provenance."""
        path = storage.table(schema.name, context.partition_key)
        provenance = read_provenance(path)
        others = set(read_table(path, schema)["model_version"]) - {provenance.model_version}
        problems = [
            *(["no inputs recorded"] if not provenance.inputs else []),
            *(["no run recorded"] if not provenance.run_id else []),
            *([f"rows of {sorted(others)}, {provenance.model_version} recorded"] if others else []),
        ]  # fmt: skip
        return dg.AssetCheckResult(
            passed=not problems,
            description="; ".join(problems) or "schema, inputs, run and model agree",
            metadata={"inputs": dict(provenance.inputs), "model": provenance.model_version or "none"},
        )

    return knows_its_origin


def history_check(
    asset: dg.AssetsDefinition, schema: TableSchema, subject: Subject, name: str, column: str = "score"
) -> dg.AssetChecksDefinition:
    """Warns where the median of a column lies far from those of earlier tables that the same model made."""

    @dg.asset_check(asset=asset, name=name, partitions_def=subject.partitions)  # type: ignore[arg-type]
    def is_like_the_history(context: dg.AssetCheckExecutionContext, storage: dg.ResourceParam[Storage]) -> dg.AssetCheckResult:
        """Warns where the median score lies far from those of the earlier ones that the same model scored."""
        table = read_table(storage.table(schema.name, context.partition_key), schema)
        others = context.instance.get_materialized_partitions(dg.AssetKey(schema.name)) - {context.partition_key}
        medians = (_median(storage, schema, key, table, column) for key in sorted(others))
        history = [value for value in medians if value is not None]
        own = table[column].median()
        if own is None or len(history) < HISTORY_NEEDED:
            return dg.AssetCheckResult(
                passed=True, description=f"{len(history)} earlier results of this model; {HISTORY_NEEDED} make a history"
            )
        shift = robust_shift(float(own), history)  # type: ignore[arg-type]
        return dg.AssetCheckResult(
            passed=abs(shift) <= HISTORY_SHIFT_LIMIT,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"median {column} {own:.4g}: {shift:+.1f} robust deviations from {len(history)} earlier results",
            metadata={"shift": shift, "median": float(own), "earlier results": len(history)},  # type: ignore[arg-type]
        )

    return is_like_the_history


def robust_shift(value: float, history: list[float]) -> float:
    """How far a value lies from the median of others, in robust standard deviations of theirs."""
    middle = median(history)
    return (value - middle) / max(1.4826 * median(abs(other - middle) for other in history), 1e-9)


def _median(storage: Storage, schema: TableSchema, key: str, like: pl.DataFrame, column: str) -> float | None:
    """The median of another table, where the same model made it."""
    path = storage.table(schema.name, key)
    if not like.height or not path.exists() or read_provenance(path).model_version != like["model_version"][0]:
        return None
    return read_table(path, schema)[column].median()  # type: ignore[return-value]


@dg.asset_check(asset=image_quality, partitions_def=PLATES.partitions)
def most_images_are_sound(context: dg.AssetCheckExecutionContext, storage: dg.ResourceParam[Storage]) -> dg.AssetCheckResult:
    """Warns where more than a fifth of the images are flagged: then it is the plate or the microscope, not a well."""
    quality = read_table(storage.table("image_quality", context.partition_key), IMAGE_QUALITY)
    share = quality.select(pl.col("flagged").mean()).item() or 0.0
    return dg.AssetCheckResult(
        passed=share <= FLAGGED_SHARE_LIMIT,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{share:.0%} of the images are flagged, {FLAGGED_SHARE_LIMIT:.0%} are tolerated",
        metadata={"flagged share": share, "unreadable": quality.filter(~pl.col("readable")).height},
    )
