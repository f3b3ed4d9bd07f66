"""The tables of the stability study, and the figures that the thesis gives for the same.

Belongs here: schemas, as data. Not here: how they are filled. Light: the definitions import it.
"""

import polars as pl

from plate_assets.storage.schema import Column, TableSchema

CORRUPTION = Column("corruption", pl.String, "Name of the corruption, as in `drift.corruptions`")
LEVEL = Column("level", pl.Int32, "Severity; 0 is the images as they are, negative ones change them the other way")
OVER_UNITS, OVER_SEEDS = "95 % over units", "smallest and largest of the seeds"

MEASURES = {
    "auc": "AUC of the tiles' scores against their labels",
    "score_shift": "mean change of a unit's score, in standard deviations of the clean units' scores",
    "rank_correlation": "Spearman's correlation of the units' scores, clean against corrupted",
    "calls_lost": "share of the tiles that were called and no longer are",
    "calls_gained": "share of the tiles that were not called and now are",
    "movement": "mean distance that a unit's vector moves, over the median distance between clean units",
    "common_shift": "distance that the mean of all units moves, over the same",
    "neighbours_kept": "share of a unit's ten nearest other clean units that stay its nearest",
    "false_negative_rate": "share of drifted batches that the test passes; at level 0 share of clean batches that it passes",
    "mmd2": "mean MMD² of the batches",
}

STABILITY = TableSchema(
    "stability",
    "One row for each measure under each corruption and level. A unit is a well, or an image: never one of its tiles.",
    (
        CORRUPTION, LEVEL,
        Column("parameter", pl.Float64, "What the corruption was set to at this level; empty at level 0", nullable=True),
        Column("subject", pl.String, "What is measured: `detector`, `embedding` or `drift_test`"),
        Column("measure", pl.String, "; ".join(f"`{name}`: {meaning}" for name, meaning in MEASURES.items())),
        Column("value", pl.Float64, "The measure; empty where it is not defined", nullable=True),
        Column("low", pl.Float64, "Lower end of its interval", nullable=True),
        Column("high", pl.Float64, "Upper end of its interval", nullable=True),
        Column("interval", pl.String, f"What the interval spans: `{OVER_UNITS}` or `{OVER_SEEDS}`"),
        Column("n", pl.Int64, "Units, tiles or batches that were measured"),
        Column("model_version", pl.String, "Model that is measured"),
    ),
    key=("corruption", "level", "subject", "measure"),
)  # fmt: skip

ONLINE_AUC = TableSchema(
    "online_auc",
    "One row for each window, ERT and level: how well run lengths tell streams of drifted units from streams of clean ones.",
    (
        CORRUPTION,
        Column("window", pl.Int32, "W: units in the test's window"),
        Column("ert", pl.Int32, "Expected run time without drift that was asked for, units"),
        LEVEL,
        Column("calibration", pl.String, "How thresholds are found: `run_time`, or `per_step` as the thesis"),
        Column("auc", pl.Float64, "AUC of the run lengths, shorter is drift; mean over the seeds"),
        Column("low", pl.Float64, "Smallest of the seeds"),
        Column("high", pl.Float64, "Largest of the seeds"),
        Column("run_clean", pl.Float64, "Median run length of the clean streams, units"),
        Column("run_drifted", pl.Float64, "Median run length of the drifted streams, units"),
        Column("decision", pl.Int32, "Run length up to which a stream is taken for drifted, as the thesis decides"),
        Column("caught", pl.Float64, "Share of the drifted streams that alarm by then"),
        Column("false_alarms", pl.Float64, "Share of the clean streams that alarm by then"),
        Column("seeds", pl.Int32, "Splits into reference and streams, each with thresholds of its own"),
        Column("streams", pl.Int32, "Streams of each kind for each seed"),
        Column("longest", pl.Int32, "Units after which a stream without alarm ends"),
        Column("thesis_table", pl.String, "Table of the thesis that has this row", nullable=True),
        Column("thesis_auc", pl.Float64, "AUC that it gives", nullable=True),
        Column("model_version", pl.String, "Embedding model"),
    ),
    key=("corruption", "window", "ert", "level"),
)  # fmt: skip

# Pankova, Tables 6-8. Each varies one of the three; what the others were is not said. The best row of each is 0.98, so the
# tables meet at W = 10, ERT = 128 or 256 (0.98 both, 128 taken here) and level 4; Figure 55 names defocus.
THESIS_CORRUPTION, THESIS_WINDOW, THESIS_ERT, THESIS_LEVEL = "defocus", 10, 128, 4
THESIS_AUC: dict[str, dict[tuple[int, int, int], float]] = {
    "Table 6": {(w, THESIS_ERT, THESIS_LEVEL): a for w, a in {2: 0.85, 5: 0.92, 10: 0.98, 15: 0.90, 20: 0.88}.items()},
    "Table 7": {(THESIS_WINDOW, e, THESIS_LEVEL): a for e, a in {32: 0.90, 64: 0.95, 128: 0.98, 256: 0.98}.items()},
    "Table 8": {(THESIS_WINDOW, THESIS_ERT, level): a for level, a in {2: 0.84, 3: 0.92, 4: 0.98}.items()},
}  # (window, ERT, level) to AUC
THESIS_DECISION = 6


def thesis_rows() -> pl.DataFrame:
    """The thesis's tables as rows: the key of ONLINE_AUC, `thesis_auc`, and `thesis_table` with all names where they meet."""
    cells: dict[tuple[int, int, int], tuple[float, str]] = {}
    for name, values in THESIS_AUC.items():
        for key, value in values.items():
            cells[key] = (value, f"{cells[key][1]}, {name}" if key in cells else name)
    rows = [(THESIS_CORRUPTION, *key, value, name) for key, (value, name) in cells.items()]
    names = {"corruption": pl.String, "window": pl.Int32, "ert": pl.Int32, "level": pl.Int32}
    return pl.DataFrame(rows, schema=names | {"thesis_auc": pl.Float64, "thesis_table": pl.String}, orient="row")
