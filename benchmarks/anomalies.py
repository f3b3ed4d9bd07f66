"""How many of the cells that went wrong are found, by what went wrong: simulated cultures, whose truth is known.

Each seed has a culture to learn from, in which a tenth of the lineages went wrong, as nobody knows beforehand; and another to
be judged on, in which every kind of anomaly occurs. A path counts for an anomaly that was seen for `SEEN_H` or longer; paths
through an anomaly that was seen for less count nowhere.

Read with care: the table itself marks edges, saturated frames and gaps of an hour, and tracks tell three daughters, so that a
recall of 1 says there only that the mark is heeded. And the signs' limits were chosen on cultures of the same simulator.
"""

import time

import numpy as np
import polars as pl

SEEN_H = 6.0
BASELINES = {"persistence": "mse_persistence", "linear": "mse_linear"}
SHIPPED = "A, network of mass, and signs"
FEATURES = {"mass": ("dry_mass",), "mass, area, speed": ("dry_mass", "area", "speed")}


def measure(
    seeds: int = 10, founders: int = 60, hours: float = 48.0, epochs: int = 8, windows_per_epoch: int = 8_000
) -> dict[str, object]:
    """Recall by kind of anomaly, false alarms and precision of each way to flag: means and standard deviations over the seeds.

    The ways: the score A of the two baselines and of the network, each by its own thresholds, as in the paper; of a network
    that sees area and speed as well; the signs alone; and each network with the signs: with the first the platform flags.
    """
    from plate_assets.learning.arithmetic import prepare_arithmetic

    prepare_arithmetic()
    began = time.perf_counter()
    rows = pl.concat([judged(seed, founders, hours, epochs, windows_per_epoch) for seed in range(seeds)])
    return {"seeds": seeds, "seconds": round(time.perf_counter() - began, 1), **summary(rows)}


def summary(rows: pl.DataFrame) -> dict[str, object]:
    """The figures of the rows of `judged`: [mean, standard deviation] over the seeds of each."""
    ways = rows["way"].unique(maintain_order=True).to_list()
    wrong = rows.filter(pl.col("kind") != "none").sort("cause", "kind")
    recall = {
        kind: {
            "paths": some.filter(way=ways[0]).height,
            **{way: _spread(some.filter(way=way), pl.col("flagged")) for way in ways},
        }
        for (kind,), some in wrong.group_by("kind", maintain_order=True)
    }
    shipped = rows.filter(pl.col("way") == SHIPPED, pl.col("flagged"))
    return {
        "paths": rows.filter(way=ways[0]).height, "recall": recall,
        **{title: {way: _spread(rows.filter(way=way), value) for way in ways} for title, value in _figures().items()},
        "guess right": {
            cause: _spread(shipped.filter(cause=cause), pl.col("guess") == cause) for cause in ("acquisition", "biological")
        },
    }  # fmt: skip


def _figures() -> dict[str, pl.Expr]:
    """What is said of a way to flag beside the recall by kind; mean over a seed's paths unless it is a ratio of its own."""
    wrong, flagged = pl.col("kind") != "none", pl.col("flagged")
    weight = (
        pl.when(wrong).then(wrong.not_().sum() / wrong.sum() / 9).otherwise(1.0)
    )  # as where a tenth of the paths went wrong
    return {
        "recall, all": flagged.filter(wrong).mean(),
        "recall, biological": flagged.filter(pl.col("cause") == "biological").mean(),
        "recall, acquisition": flagged.filter(pl.col("cause") == "acquisition").mean(),
        "false alarms": flagged.filter(~wrong).mean(),
        "precision": (flagged & wrong).sum() / flagged.sum(),
        "precision, a tenth wrong": (weight * (flagged & wrong)).sum() / (weight * flagged).sum(),
    }


def _spread(rows: pl.DataFrame, value: pl.Expr) -> list[float]:
    """Mean and standard deviation over the seeds of a figure of each seed's rows."""
    each = rows.group_by("seed").agg(value.mean().alias("value"))["value"].drop_nulls().drop_nans().to_numpy()
    return [round(float(each.mean()), 3), round(float(each.std(ddof=1)), 3) if len(each) > 1 else 0.0] if len(each) else []


def judged(seed: int, founders: int, hours: float, epochs: int, windows_per_epoch: int) -> pl.DataFrame:
    """A row for each path of the seed's culture and each way to flag: `seed`, `way`, `cause`, `kind`, `flagged`, `guess`."""
    from plate_assets.dry_mass.anomalies import cell_anomalies
    from plate_assets.dry_mass.model import ForecasterConfig
    from plate_assets.dry_mass.series import lineage_series
    from plate_assets.dry_mass.signs import StepStatistics
    from plate_assets.dry_mass.simulate import CultureSettings, simulate_culture
    from plate_assets.dry_mass.windows import PathSeries
    from plate_assets.workflows.dry_mass.scoring import score_series, train_forecaster

    recorded = {"founders": founders, "hours": hours}
    learnt = simulate_culture(CultureSettings(seed=1_000 + seed, timelapse="learnt", **recorded))
    struck = simulate_culture(CultureSettings(seed=seed, timelapse="judged", biological=0.25, acquisition=0.25, **recorded))
    learnt_table, table = (lineage_series(made.tracks).table for made in (learnt, struck))
    found: dict[str, pl.DataFrame] = {}
    for seen, features in FEATURES.items():
        config = ForecasterConfig(features=features, epochs=epochs, windows_per_epoch=windows_per_epoch, seed=seed)
        bundle = train_forecaster(learnt_table, config).bundle
        scored = score_series(table, bundle, "v1", tracks=struck.tracks)
        limits = bundle.architecture["thresholds"]
        if seen == "mass":
            steps = StepStatistics(**bundle.architecture["steps"])
            signs = cell_anomalies(PathSeries.of(table), scored.windows, np.inf, steps, "v1", tracks=struck.tracks)
            found |= {f"A, {name}": _by_score(scored.windows, column, limits[name]) for name, column in BASELINES.items()}
            found["signs"] = signs
        found[f"A, network of {seen}"] = _by_score(scored.windows, "mse", limits["network"])
        found[f"A, network of {seen}, and signs"] = scored.cells
    events = struck.truth.sort("seen_h", descending=True).unique("path_id", keep="first")
    short = events.filter(pl.col("seen_h") < SEEN_H)
    columns = {"path_id": pl.Int64, "flagged": pl.Boolean, "guess": pl.String}
    rows = pl.concat(
        cells.drop_nulls("score").with_columns(flagged="abnormal", guess="cause", way=pl.lit(way)).select(*columns, "way")
        for way, cells in found.items()
    )
    rows = rows.join(short, on="path_id", how="anti").join(events.select("path_id", "cause", "kind"), on="path_id", how="left")
    return rows.with_columns(pl.col("cause", "kind").fill_null("none"), seed=pl.lit(seed))


def _by_score(windows: pl.DataFrame, column: str, limits: dict[str, float]) -> pl.DataFrame:
    """Paths flagged by the score A of a forecast alone."""
    cells = windows.drop_nulls(column).group_by("path_id").agg(score=(pl.col(column) > limits["window"]).mean())
    return cells.with_columns(abnormal=pl.col("score") > limits["cell"], cause=pl.lit("none"))
