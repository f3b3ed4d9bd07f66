"""Precision: the fastest arithmetic for a detector's scores that changes nothing a person acts on.

Belongs here: the comparison of two precisions on plates that nobody learnt from. Not here: how a network runs in either
(`learning.infer`).
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from plate_assets.learning.arithmetic import multiplies_bfloat16
from plate_assets.workflows.references import StoredPlate, wells_of

if TYPE_CHECKING:
    from plate_assets.learning.infer import Precision
    from plate_assets.precipitation.detector import Detector

LARGEST_AUC_CHANGE, LEAST_SPEARMAN = 0.005, 0.99


@dataclass(frozen=True)
class PrecisionCheck:
    """What bfloat16 would change against float32 on the plates, how long each took, and the wells in the precision chosen."""

    chosen: "Precision"
    changed_calls: int | None  # None where bfloat16 was not tried
    auc_change: float | None  # None where the experts' labels lack a class
    spearman: float | None  # of the well scores; None without wells
    seconds: dict[str, float]  # of the precisions that were tried
    wells: list[pl.DataFrame]  # WELL_SCORES of each plate

    @property
    def facts(self) -> dict[str, float | int | str]:
        """What a reviewer reads."""
        figures = {"changed calls": self.changed_calls, "AUC change": self.auc_change, "Spearman": self.spearman}
        told: dict[str, float | int | str] = {
            f"bfloat16: {name}": value for name, value in figures.items() if value is not None
        }
        if self.changed_calls is None:
            told = {"bfloat16": "not tried: this processor has no instructions for it"}
        spent = {f"seconds of scoring in {name}": round(value, 2) for name, value in self.seconds.items()}
        return {"precision": self.chosen, **told, **spent}


def choose_precision(
    plates: Iterable[StoredPlate], detector: "Detector", experts: pl.DataFrame, contamination: float
) -> PrecisionCheck:
    """bfloat16 where it is faster, changes no call, moves the AUC by 0.005 at most and keeps Spearman's rho at 0.99.

    Else float32, and so without plates, where nothing was shown; a processor without bfloat16 does not try it. The calls are
    those that each plate gets from the clean conditions of the others.
    """
    tried = ["float32", "bfloat16"] if multiplies_bfloat16() else ["float32"]
    seconds, wells = dict.fromkeys(tried, 0.0), {name: [] for name in tried}
    variants = {name: replace(detector, architecture={**detector.architecture, "precision": name}) for name in wells}
    for plate in plates:
        for name, variant in variants.items():
            began = time.monotonic()
            wells[name].append(wells_of(plate, variant, "reference"))
            seconds[name] += time.monotonic() - began
    if "bfloat16" not in tried:
        return PrecisionCheck("float32", None, None, None, seconds, wells["float32"])
    changed, auc_change = _changes(wells, experts, contamination)
    spearman = _spearman(wells)
    same = changed == 0 and (auc_change is None or abs(auc_change) <= LARGEST_AUC_CHANGE)
    same = same and spearman is not None and spearman >= LEAST_SPEARMAN
    chosen = "bfloat16" if same and seconds["bfloat16"] < seconds["float32"] else "float32"
    return PrecisionCheck(chosen, changed, auc_change, spearman, seconds, wells[chosen])


def _changes(wells: dict[str, list[pl.DataFrame]], experts: pl.DataFrame, contamination: float) -> tuple[int, float | None]:
    """Calls that differ, and by how much the AUC over the labelled conditions moves."""
    from plate_assets.learning.metrics import auc
    from plate_assets.workflows.compare import call_against_others

    keys = ["Metadata_Plate", "Metadata_Timepoint", "Metadata_Quadruplet"]
    one, other = (
        call_against_others(tables, experts, contamination, "one_sided", seed=0).select(*keys, "score", "call")
        for tables in wells.values()
    )
    both = one.join(other, on=keys, suffix="_bfloat16")
    judged = both.join(experts.select(*keys, "precipitated"), on=keys).drop_nulls(["score", "score_bfloat16"])
    truth = judged["precipitated"].to_numpy()
    changed = both.filter(pl.col("call").ne_missing(pl.col("call_bfloat16"))).height
    if not truth.size or truth.all() or not truth.any():
        return changed, None
    return changed, float(auc(truth, judged["score_bfloat16"].to_numpy()) - auc(truth, judged["score"].to_numpy()))


def _spearman(wells: dict[str, list[pl.DataFrame]]) -> float | None:
    if not wells["float32"]:
        return None
    one, other = (pl.concat(tables)["score"] for tables in wells.values())
    return pl.DataFrame({"one": one, "other": other}).drop_nulls().select(pl.corr("one", "other", method="spearman")).item()
