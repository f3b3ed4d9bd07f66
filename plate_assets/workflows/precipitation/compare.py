"""Detectors side by side on plates that experts labelled, with the trivial baseline and the paper's own forest beside them.

Belongs here: scoring the labelled plates with each detector and calling each plate against the others. Not here: the
figures of merit (`precipitation.evaluation`), drawing (`precipitation.figures`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from plate_assets.progress import Progress
from plate_assets.storage.models import ModelBundle
from plate_assets.workflows.precipitation.calls import BASELINE, as_baseline

if TYPE_CHECKING:
    from plate_assets.workflows.precipitation.references import StoredPlate

_SHOWN = ("auc", "auc_low", "auc_high", "auprc", "accuracy", "f1", "precision", "recall_precipitation", "recall_normal")


@dataclass(frozen=True)
class Compared:
    """The comparison: the table COMPARISON, the calls behind it by detector, and its figures (PNG) by title."""

    table: pl.DataFrame
    calls: dict[str, pl.DataFrame]
    figures: dict[str, bytes] = field(default_factory=dict)

    def best(self) -> str:
        """The detector with the largest AUC, with its interval, in words."""
        known = self.table.filter(pl.col("method") == "one_sided").drop_nulls("auc").sort("auc", descending=True)
        if known.is_empty():
            return "none: labels of both classes are needed"
        row = known.row(0, named=True)
        return f"{row['detector']}: {row['auc']:.3f} [{row['auc_low']:.3f}, {row['auc_high']:.3f}]"

    def markdown(self) -> str:
        """The table as people read it."""
        heads = ["detector", "method", *(name.replace("_", " ") for name in _SHOWN)]
        lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
        for row in self.table.iter_rows(named=True):
            values = ["" if row[name] is None else f"{row[name]:.3f}" for name in _SHOWN]
            lines.append(f"| {' | '.join([row['detector'], row['method'], *values])} |")
        return "\n".join(lines)


def compare_detectors(
    models: Mapping[str, ModelBundle],
    plates: "Sequence[StoredPlate]",
    experts: pl.DataFrame,
    *,
    contamination: float = 0.01,
    method: str = "one_sided",
    progress: Progress | None = None,
) -> Compared:
    """Score the plates with every model (by version) and compare them with the experts' labels (EXPERT_LABELS).

    The rows are the detectors by backbone, then the trivial baseline; each with the one-sided calls and the paper's forest.
    method: whose calls the histograms and confusion matrices show.
    """
    from plate_assets.precipitation.detector import Detector
    from plate_assets.workflows.precipitation.references import wells_of

    scored: dict[str, list[pl.DataFrame]] = {}
    done, total = 0, len(models) * len(plates)
    for version, bundle in models.items():
        detector = Detector.from_parts(bundle.architecture, bundle.weights)
        name = str(bundle.architecture.get("backbone", version))
        name = f"{name} ({version})" if name in scored else name
        scored[name] = []
        for plate in plates:
            scored[name].append(wells_of(plate, detector, version))
            done += 1
            if progress:
                progress(done, total)
    return compare_wells(scored, experts, contamination, method)


def compare_wells(
    scored: Mapping[str, Sequence[pl.DataFrame]],
    experts: pl.DataFrame,
    contamination: float = 0.01,
    method: str = "one_sided",
    seed: int = 0,
) -> Compared:
    """Compare detectors by their WELL_SCORES of the labelled plates; the baseline is taken from the first one's wells."""
    from plate_assets.precipitation.evaluation import compare
    from plate_assets.precipitation.quadruplets import METHODS

    scored = dict(scored)
    if scored:
        scored[BASELINE] = [as_baseline(wells) for wells in next(iter(scored.values()))]
    calls = {
        way: {name: call_against_others(wells, experts, contamination, way, seed) for name, wells in scored.items()}
        for way in METHODS
    }
    seen = [table for tables in calls.values() for table in tables.values()]
    labelled = experts.join(visits_of(seen), on=["Metadata_Plate", "Metadata_Timepoint"], how="semi")
    table = pl.concat([compare(tables, labelled, way, seed=seed) for way, tables in calls.items()])
    return Compared(table, calls[method], _figures(table, calls[method], labelled, method))


def visits_of(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The plates and time points that any of the tables speaks of; labels of other plates are not compared."""
    names = ["Metadata_Plate", "Metadata_Timepoint"]
    empty = pl.DataFrame(schema={name: pl.String for name in names})
    return pl.concat([empty, *(table.select(names) for table in tables)]).unique()


def call_against_others(
    wells: Sequence[pl.DataFrame], experts: pl.DataFrame, contamination: float, method: str, seed: int
) -> pl.DataFrame:
    """Call each plate with the clean conditions of all other plates as reference: no plate decides on its own threshold.

    All time points of a plate are held out together. Calls stay empty where the others give fewer scores than a reference
    needs.
    """
    from plate_assets.precipitation.quadruplets import SMALLEST_REFERENCE, call_quadruplets
    from plate_assets.precipitation.tables import QUADRUPLET_CALLS
    from plate_assets.workflows.precipitation.references import clean_reference

    reference = clean_reference(wells, experts)
    called = [QUADRUPLET_CALLS.empty()]
    for table in wells:
        others = reference.filter(~pl.col("Metadata_Plate").is_in(table["Metadata_Plate"].unique().to_list()))
        enough = others.height >= SMALLEST_REFERENCE
        called.append(call_quadruplets(table, others if enough else None, contamination, method, seed))
    return pl.concat(called)


def _figures(table: pl.DataFrame, calls: Mapping[str, pl.DataFrame], experts: pl.DataFrame, method: str) -> dict[str, bytes]:
    from plate_assets.learning.metrics import Confusion
    from plate_assets.precipitation.evaluation import labelled_calls
    from plate_assets.precipitation.figures import anomaly_histogram, confusion_figure, roc_overlay

    figures, curves, intervals = {}, {}, {}
    ranked_by = "score" if method == "one_sided" else "anomaly_score"
    for name, called in calls.items():
        rows = labelled_calls(called, experts)
        ranked = rows.drop_nulls(ranked_by)
        if ranked["precipitated"].n_unique() == 2:
            curves[name] = (ranked["precipitated"].to_numpy(), ranked[ranked_by].to_numpy())
            row = table.filter((pl.col("detector") == name) & (pl.col("method") == method)).row(0, named=True)
            intervals[name] = (row["auc_low"], row["auc_high"])
        judged = rows.drop_nulls("call")
        if judged.height:
            figures[f"Anomaly scores: {name}"] = anomaly_histogram(judged, f"Anomaly scores of labelled quadruplets, {name}")
            found = Confusion.of(judged["precipitated"].to_numpy(), judged["call"].to_numpy())
            figures[f"Confusion: {name}"] = confusion_figure(found, f"Calls against the expert, {name}")
    if curves:
        n_plates = experts["Metadata_Plate"].n_unique()
        title = f"ROC over {experts.height} labelled quadruplets of {n_plates} plate{'s' * (n_plates > 1)}"
        figures = {"ROC": roc_overlay(curves, title, intervals)} | figures
    return figures
