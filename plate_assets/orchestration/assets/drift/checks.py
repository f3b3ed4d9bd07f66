"""The check of drift: shown with each acquisition, failing or warning as the settings say."""

from collections.abc import Sequence

import dagster as dg

from plate_assets.drift.tables import DRIFT_TESTS, IMAGE_OUTLIERS, WELL_DRIFT
from plate_assets.orchestration.assets.drift.acquisitions import patch_embeddings
from plate_assets.orchestration.assets.plates import PLATES
from plate_assets.orchestration.metadata import table_shown
from plate_assets.orchestration.resources import Storage
from plate_assets.settings import Settings
from plate_assets.storage.tables import read_table


def make_checks(settings: Settings) -> Sequence[dg.AssetChecksDefinition]:
    """The check; how severe drift is, the settings say."""
    severity = dg.AssetCheckSeverity.ERROR if settings.drift_action == "block" else dg.AssetCheckSeverity.WARN

    @dg.asset_check(asset=patch_embeddings, additional_deps=["drift_tests"], partitions_def=PLATES.partitions)
    def drift_test(context: dg.AssetCheckExecutionContext, storage: dg.ResourceParam[Storage]) -> dg.AssetCheckResult:
        """Fails where the plate differs from the reference plates more than they differ from each other."""
        path = storage.table("drift_tests", context.partition_key)
        if not path.exists():
            return dg.AssetCheckResult(passed=True, description="not tested: there is no drift reference yet")
        row = read_table(path, DRIFT_TESTS).row(0, named=True)
        wells = read_table(storage.table("well_drift", context.partition_key), WELL_DRIFT).sort("rank")
        tiles = read_table(storage.table("image_outliers", context.partition_key), IMAGE_OUTLIERS).sort("rank")
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

    return [drift_test]
