"""Detectors' calls against experts' labels of quadruplets: one row of figures for each.

Belongs here: which rows are compared, and with what. Not here: the measures (`learning.metrics`), drawing (`figures`), how
calls were made (`quadruplets`).
"""

from collections.abc import Mapping

import numpy as np
import polars as pl

from plate_assets.learning.metrics import Confusion, auc, auc_interval, auprc
from plate_assets.precipitation.tables import COMPARISON

_KEYS = ["Metadata_Plate", "Metadata_Timepoint", "Metadata_Quadruplet"]


def labelled_calls(calls: pl.DataFrame, experts: pl.DataFrame) -> pl.DataFrame:
    """The expert's labels (EXPERT_LABELS), each with its row of QUADRUPLET_CALLS; nulls where the plate has no such row."""
    columns = [*_KEYS, "score", "anomaly_score", "threshold", "call", "model_version"]
    return experts.join(calls.select(columns), on=_KEYS, how="left", maintain_order="left")


def compare(
    calls: Mapping[str, pl.DataFrame],
    experts: pl.DataFrame,
    method: str = "one_sided",
    *,
    resamples: int = 2000,
    seed: int = 0,
    by_plate: bool = False,
) -> pl.DataFrame:
    """The table COMPARISON: one row for each detector, by name, in the order given.

    calls: QUADRUPLET_CALLS of the labelled plates by each detector; experts: EXPERT_LABELS. Labels without a score are counted
    apart and left out. The AUC is that of the score Q, which has no threshold in it; for `paper_forest` that of the isolation
    A, which is not monotone in Q: that is what the paper's decision rests on. (A ROC of the binary call, as the paper words
    it, would have one point.) by_plate resamples whole plates for the interval, where there are several.
    """
    rows = [
        {"detector": name, "method": method} | _figures(labelled_calls(table, experts), method, resamples, seed, by_plate)
        for name, table in calls.items()
    ]
    return COMPARISON.conform(pl.DataFrame(rows, infer_schema_length=None)) if rows else COMPARISON.empty()


def _figures(rows: pl.DataFrame, method: str, resamples: int, seed: int, by_plate: bool) -> dict:
    ranked_by = "score" if method == "one_sided" else "anomaly_score"
    scored = rows.filter(pl.col("score").is_finite().fill_null(False))
    ranked, called = scored.drop_nulls(ranked_by), scored.drop_nulls("call")
    figures: dict = {
        "model_version": rows["model_version"].drop_nulls().first() if rows["model_version"].count() else "none",
        "n_quadruplets": rows.height,
        "n_precipitated": int(rows["precipitated"].sum()),
        "n_plates": rows["Metadata_Plate"].n_unique(),
        "n_without_score": rows.height - scored.height,
        "n_without_call": scored.height - called.height,
        "threshold": called["threshold"].drop_nulls().first() if called["threshold"].n_unique() == 1 else None,
    }
    labels, values = ranked["precipitated"].to_numpy(), ranked[ranked_by].to_numpy()
    if labels.any() and not labels.all():
        plates = ranked["Metadata_Plate"].to_numpy() if by_plate else None
        low, high = auc_interval(labels, values, resamples=resamples, seed=seed, clusters=plates)
        figures |= {"auc": auc(labels, values), "auc_low": low, "auc_high": high, "auprc": auprc(labels, values)}
    return figures | (_rates(called) if called.height else {})


def _rates(called: pl.DataFrame) -> dict:
    found = Confusion.of(called["precipitated"].to_numpy(), called["call"].to_numpy())
    rates = {
        "accuracy": found.accuracy, "f1": found.f1, "precision": found.precision,
        "recall_precipitation": found.recall, "recall_normal": found.specificity,
    }  # fmt: skip
    return {name: None if np.isnan(value) else value for name, value in rates.items()} | {
        "true_positives": found.tp, "false_positives": found.fp, "true_negatives": found.tn, "false_negatives": found.fn,
    }  # fmt: skip
