"""The page: tables, curves and crops put into the template, with everything escaped and nothing fetched.

Belongs here: what the page says and in which order. Not here: skeleton and looks (`pages`), behaviour (`timelapse.js`), what
is drawn of a cell (`details`).
"""

from collections import Counter
from collections.abc import Mapping

import polars as pl

from plate_assets.dry_mass.figures.plotted_values import INPUT_H, UNIT_WORDS, WINDOW_H, mass_label
from plate_assets.dry_mass.report import charts
from plate_assets.dry_mass.report.details import cell_blocks, strip_blocks
from plate_assets.dry_mass.report.inputs import ReportInputs
from plate_assets.dry_mass.tables import BIOLOGY, CAUSES, CELL_ANOMALIES, VERDICTS, WINDOW_ANOMALIES
from plate_assets.dry_mass.verdicts import verdict_precision
from plate_assets.dry_mass.windows import INTERVAL_H
from plate_assets.pages.document import json_block, number, one_value, render_page, when

PACKAGE = "plate_assets.dry_mass.report"

SHORT_LISTED = 200  # paths without a score that are named; the others are counted
UNIT_MEANING = {
    "pg": "mass in pg",
    "relative": "mass in relative units: the phase is not calibrated, masses compare within this time-lapse only",
}
CAUSE_WORDS = {"acquisition": "acquisition", "biological": "biology", "none": "not flagged"}
VERDICT_WORDS = {name: name.replace("_", " ") for name in VERDICTS}
FORECASTS = (("network", "mse"), ("persistence", "mse_persistence"), ("linear growth", "mse_linear"))


def render_report(inputs: ReportInputs) -> str:
    """The page of one time-lapse: HTML that needs no other file and no network, and runs nothing that a name brings along.

    Curves of the `inputs.most` most abnormal cells are inlined, strips within `inputs.budget_bytes`; what is left out is said.
    """
    rows = listed_cells(inputs)
    strips = strip_blocks(inputs, [row["path_id"] for row in rows])
    about = {
        "name": inputs.name,
        "label": mass_label(inputs.unit),
        "unit": UNIT_WORDS[inputs.unit],
        "input_h": INPUT_H,
        "window_h": WINDOW_H,
        "threshold": inputs.windows["threshold"].max(),
        "cells": {row["path_id"]: facts(row) for row in rows},
    }
    return render_page(
        PACKAGE,
        "timelapse.html",
        "timelapse.js",
        inputs=inputs,
        counts=counts(inputs),
        header=header(inputs),
        unit_meaning=unit_meaning(inputs),
        window_threshold=one_value(inputs.windows, "threshold"),
        cell_threshold=one_value(inputs.cells, "threshold"),
        rows=rows,
        causes=[(cause, n) for cause in CAUSES if (n := sum(row["cause"] == cause for row in rows))],
        cause_words=CAUSE_WORDS,
        verdict_words=VERDICT_WORDS,
        biology=BIOLOGY,
        overview=charts.overview_drawing(inputs.overview, {row["path_id"]: row["words"] for row in rows}),
        histogram=charts.histogram(inputs.windows),
        forecasts=forecast_rows(inputs.windows),
        precision=precision(inputs),
        unscored=unscored(inputs),
        schemas=[CELL_ANOMALIES, WINDOW_ANOMALIES],
        facts=json_block(about),
        cells=cell_blocks(inputs),
        strips=strips,
        n_strips_left_out=sum(row["path_id"] in inputs.strips for row in rows) - len(strips),
    )


def listed_cells(inputs: ReportInputs) -> list[dict]:
    """The cells that are shown, ranked, each with its verdict, its flagged relatives and its words."""
    flagged = inputs.ranked.filter("abnormal")
    kin = Counter(flagged["lineage_id"].to_list())
    found = []
    for rank, row in enumerate(inputs.shown.iter_rows(named=True), 1):
        relatives = kin[row["lineage_id"]] - bool(row["abnormal"])
        since = f", since {row['first_abnormal_h']:.1f} h" if row["abnormal"] else ""
        words = f"cell {row['path_id']}: margin {row['margin']:.2f} ({row['decided_by']}){since}, {CAUSE_WORDS[row['cause']]}"
        found.append(
            {**row, "rank": rank, "relatives": relatives, "words": words, "verdict": inputs.verdicts.get(row["path_id"])}
        )
    return found


def facts(row: dict) -> dict[str, object]:
    """What the page's script says of a cell beside its curves."""
    kept = (
        "rank", "margin", "decided_by", "score", "threshold", "abnormal", "n_windows", "n_abnormal", "first_abnormal_h",
        "mean_mse", "mean_persistence", "mean_linear", "lineage_id", "relatives",
    )  # fmt: skip
    return {
        **{name: row[name] for name in kept},
        "well": row["Metadata_Well"],
        "cause": CAUSE_WORDS[row["cause"]],
        "evidence": [part for part in row["evidence"].split("; ") if part],
        "verdict": said_by(row["verdict"]) if row["verdict"] else None,
    }


def said_by(verdict: Mapping) -> str:
    """A row of ANNOTATIONS in words."""
    what = VERDICT_WORDS[verdict["verdict"]]
    if verdict["biology"]:
        what += f" ({verdict['biology'].replace('_', ' ')})"
    return f"{what}, by {verdict['author']} on {verdict['decided_at']:%Y-%m-%d %H:%M} UTC"


def counts(inputs: ReportInputs) -> dict[str, int]:
    """How many paths there are, are long enough, were scored, are abnormal and why; how many windows."""
    paths = inputs.series.group_by("path_id").agg(pl.col("long_enough").all())
    flagged = inputs.ranked.filter("abnormal")
    whole = inputs.windows.drop_nulls("mse")
    return {
        "paths": paths.height,
        "lineages": inputs.series["lineage_id"].n_unique(),
        "long_enough": int(paths["long_enough"].sum()),
        "scored": inputs.ranked.height,
        "abnormal": flagged.height,
        "lineages_abnormal": flagged["lineage_id"].n_unique(),
        **{cause: flagged.filter(pl.col("cause") == cause).height for cause in CAUSES},
        "windows": whole.height,
        "windows_abnormal": int(whole["abnormal"].sum()),
        "windows_gap": inputs.windows.height - whole.height,
        "looked_at": flagged.filter(pl.col("path_id").is_in(list(inputs.verdicts))).height,
        "left_out": max(flagged.height - inputs.most, 0),
        "listed": min(inputs.ranked.height, inputs.most),
    }


def header(inputs: ReportInputs) -> list[tuple[str, str]]:
    """The facts at the page's head, as pairs of name and value."""
    hours = inputs.series["time_h"]
    span = f"{number(hours.min())} to {number(hours.max())} h" if hours.len() else "–"
    return [
        ("Time-lapse", inputs.name),
        ("Unit of mass", unit_meaning(inputs)),
        ("Hours", span),
        ("Model", inputs.model_version),
        ("Threshold of a window, τ", f"{one_value(inputs.windows, 'threshold')} training variances"),
        ("Threshold of a cell's score", one_value(inputs.cells, "threshold")),
        ("A window", f"{INPUT_H:g} h are seen, the next {WINDOW_H - INPUT_H:g} h are forecast"),
        ("A cell's score", "abnormal windows / all windows"),
        ("A cell's margin", "the largest of score / threshold and sign / its limit; 1 is the line between flagged and not"),
        *((str(name), number(value)) for name, value in inputs.model.items()),
        ("Report made", when(inputs.made_at)),
    ]


def unit_meaning(inputs: ReportInputs) -> str:
    """The unit of this time-lapse's masses, and what it means for a reader."""
    return UNIT_MEANING[inputs.unit] if inputs.series.height else "nothing was measured"


def forecast_rows(windows: pl.DataFrame) -> list[dict]:
    """Mean, median and 95 % quantile of the error of the network and of each baseline, over the same windows."""
    whole = windows.drop_nulls("mse")
    if not whole.height:
        return []
    found = []
    for name, column in FORECASTS:
        error = whole[column].cast(pl.Float64)
        worse = None if column == "mse" else float((whole["mse"] < error).mean())  # pyright: ignore[reportArgumentType]
        found.append(
            {"name": name, "mean": error.mean(), "median": error.median(), "q95": error.quantile(0.95), "worse": worse}
        )  # fmt: skip
    return found


def precision(inputs: ReportInputs) -> dict | None:
    """Precision from the verdicts on flagged cells of this time-lapse, with its interval; None where nobody has looked."""
    if inputs.annotations is None or not inputs.verdicts:
        return None
    own = inputs.annotations.filter(pl.col("Metadata_Timelapse") == inputs.name)
    row = verdict_precision(own, inputs.cells).row(0, named=True)
    return row if row["whole"] else None


def unscored(inputs: ReportInputs) -> dict:
    """Paths without a score: how many are too short and how many have a gap in every window; the longest by name."""
    lasts = inputs.series.group_by("path_id").agg(from_h=pl.col("time_h").min(), to_h=pl.col("time_h").max())
    lasts = lasts.with_columns(hours=pl.col("to_h") - pl.col("from_h") + INTERVAL_H)
    table = inputs.cells.filter(pl.col("score").is_null()).join(lasts, on="path_id")
    table = table.sort("hours", "path_id", descending=[True, False])
    long_enough = set(inputs.series.filter("long_enough")["path_id"].unique())
    short = table.filter(~pl.col("path_id").is_in(list(long_enough)))
    return {
        "n": table.height,
        "short": short.height,
        "gaps": table.height - short.height,
        "median_h": short["hours"].median(),
        "longest_h": short["hours"].max(),
        "rows": list(table.head(SHORT_LISTED).iter_rows(named=True)),
    }
