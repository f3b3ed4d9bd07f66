"""Precision: the fastest arithmetic for a detector's scores that changes nothing a person acts on.

Belongs here: the comparison of two precisions on plates that nobody learnt from. Not here: how a network runs in either
(`learning.infer`).
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from plate_assets.learning.arithmetic import multiplies_bfloat16, multiplies_int8
from plate_assets.workflows.precipitation.references import StoredPlate, wells_of

if TYPE_CHECKING:
    from plate_assets.learning.infer import Precision
    from plate_assets.precipitation.detector import Detector

LARGEST_AUC_CHANGE, LEAST_SPEARMAN = 0.005, 0.99


@dataclass(frozen=True)
class Change:
    """What a precision changes against float32 on the plates."""

    changed_calls: int
    auc_change: float | None  # None where the experts' labels lack a class
    spearman: float | None  # of the well scores; None without wells

    @property
    def none_that_matters(self) -> bool:
        """No call changes, the AUC moves by 0.005 at most, Spearman's rho of the well scores stays at 0.99."""
        same = self.changed_calls == 0 and (self.auc_change is None or abs(self.auc_change) <= LARGEST_AUC_CHANGE)
        return same and self.spearman is not None and self.spearman >= LEAST_SPEARMAN


@dataclass(frozen=True)
class PrecisionCheck:
    """What each precision would change against float32, how long each took, and the wells in the one chosen."""

    chosen: "Precision"
    changes: dict[str, Change]  # of the precisions that were tried
    seconds: dict[str, float]  # of scoring, float32 among them
    wells: list[pl.DataFrame]  # WELL_SCORES of each plate

    @property
    def facts(self) -> dict[str, float | int | str]:
        """What a reviewer reads."""
        told: dict[str, float | int | str] = {"precision": self.chosen}
        for name in ("bfloat16", "int8"):
            if name not in self.changes:
                told[name] = "not tried: this processor has no instructions for it, or the model no ranges"
                continue
            change = self.changes[name]
            figures = {"changed calls": change.changed_calls, "AUC change": change.auc_change, "Spearman": change.spearman}
            told |= {f"{name}: {figure}": value for figure, value in figures.items() if value is not None}
        return told | {f"seconds of scoring in {name}": round(value, 2) for name, value in self.seconds.items()}


def choose_precision(
    plates: Iterable[StoredPlate], detector: "Detector", experts: pl.DataFrame, contamination: float
) -> PrecisionCheck:
    """The fastest of float32, bfloat16 and int8 that changes no call, moves the AUC by 0.005 at most and keeps Spearman's rho
    at 0.99.

    float32 without plates, where nothing was shown; what the processor has no instructions for is not tried, nor int8 for a
    detector without ranges. The calls are those that each plate gets from the clean conditions of the others.
    """
    tried = ["float32", *precisions_here(detector)]
    seconds, wells = dict.fromkeys(tried, 0.0), {name: [] for name in tried}
    variants = {name: replace(detector, architecture={**detector.architecture, "precision": name}) for name in wells}
    for plate in plates:
        for name, variant in variants.items():
            began = time.monotonic()
            wells[name].append(wells_of(plate, variant, "reference"))
            seconds[name] += time.monotonic() - began
    exact = wells["float32"]
    changes = {name: _change(exact, wells[name], experts, contamination) for name in tried[1:]}
    fit = ["float32", *(name for name, change in changes.items() if change.none_that_matters)]
    chosen = min(fit, key=seconds.__getitem__)
    return PrecisionCheck(chosen, changes, seconds, wells[chosen])  # pyright: ignore[reportArgumentType]


def precisions_here(detector: "Detector") -> list["Precision"]:
    """The precisions beside float32 in which this processor may score faster, and this detector can be scored."""
    found: list[Precision] = ["bfloat16"] if multiplies_bfloat16() else []
    return [*found, "int8"] if detector.architecture.get("ranges") and multiplies_int8() else found


def _change(exact: list[pl.DataFrame], quick: list[pl.DataFrame], experts: pl.DataFrame, contamination: float) -> Change:
    """Calls that differ, by how much the AUC over the labelled conditions moves, and how the ranks of the wells agree."""
    from plate_assets.learning.metrics import auc
    from plate_assets.workflows.precipitation.compare import call_against_others

    if not exact:
        return Change(0, None, None)
    keys = ["Metadata_Plate", "Metadata_Timepoint", "Metadata_Quadruplet"]
    one, other = (
        call_against_others(tables, experts, contamination, "one_sided", seed=0).select(*keys, "score", "call")
        for tables in (exact, quick)
    )
    both = one.join(other, on=keys, suffix="_quick")
    judged = both.join(experts.select(*keys, "precipitated"), on=keys).drop_nulls(["score", "score_quick"])
    truth, moved = judged["precipitated"].to_numpy(), None
    changed = both.filter(pl.col("call").ne_missing(pl.col("call_quick"))).height
    if truth.any() and not truth.all():
        moved = float(auc(truth, judged["score_quick"].to_numpy()) - auc(truth, judged["score"].to_numpy()))
    scores = pl.DataFrame({"exact": pl.concat(exact)["score"], "quick": pl.concat(quick)["score"]}).drop_nulls()
    return Change(changed, moved, scores.select(pl.corr("exact", "quick", method="spearman")).item())
