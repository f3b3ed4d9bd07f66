"""The report's charts as numbers: growth against score with its outliers, edge, rows and columns, the controls.

Belongs here: what is plotted and where it lies in the drawing. Not here: SVG (`templates`), the tests of the effects
(`layout_effects`).
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from plate_assets.pages.document import number, ticks
from plate_assets.plates.layout import row_letters
from plate_assets.precipitation.report.inputs import ReportInputs

WIDTH, HEIGHT = 620, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 14, 12, 50
MASSES = (0.5, 0.8, 0.95)  # shares of the wells that the contours hold


@dataclass(frozen=True)
class Axis:
    """A linear axis from data to drawing units."""

    lo: float
    hi: float
    start: float
    end: float

    @classmethod
    def around(cls, values: np.ndarray, start: float, end: float, pad: float = 0.06) -> "Axis":
        lo, hi = float(values.min()), float(values.max())
        room = (hi - lo or abs(hi) or 1.0) * pad
        return cls(lo - room, hi + room, start, end)

    def __call__(self, value: float) -> float:
        return round(self.start + (value - self.lo) / (self.hi - self.lo) * (self.end - self.start), 1)

    def ticks(self) -> list[tuple[float, str]]:
        return [(self(tick), number(float(tick))) for tick in ticks(self.lo, self.hi)]


def growth_outliers(growth: np.ndarray, score: np.ndarray, share: float = 0.999) -> np.ndarray:
    """Wells far from the plate's common relation of growth and score, (n,) bool.

    Robust Mahalanobis distance (minimum covariance determinant) beyond the `share` quantile of its chi-square law with two
    degrees of freedom, which is -2 log(1 - share). Under 20 wells, or where one measure does not vary, nothing is an outlier.
    """
    from sklearn.covariance import MinCovDet

    points = np.column_stack([growth, score])
    if len(points) < 20 or (np.subtract(*np.percentile(points, [75, 25], axis=0)) <= 0).any():
        return np.zeros(len(points), dtype=bool)
    scaled = (points - np.median(points, axis=0)) / np.subtract(*np.percentile(points, [75, 25], axis=0))
    return MinCovDet(random_state=0).fit(scaled).mahalanobis(scaled) > -2 * np.log(1 - share)


def density_contours(x: np.ndarray, y: np.ndarray, grid: int = 64) -> list[tuple[float, list[np.ndarray]]]:
    """Contours of the wells' density (Gaussian kernel, Scott's width) in drawing units: each share with its lines (m, 2)."""
    from skimage.measure import find_contours

    points = np.column_stack([x, y])
    if len(points) < 20 or (points.std(axis=0) <= 0).any():
        return []
    # a precipitated few must not widen the kernel of the many: the smaller of standard deviation and interquartile range
    spread = np.minimum(points.std(axis=0), np.subtract(*np.percentile(points, [75, 25], axis=0)) / 1.349)
    width = np.maximum(spread, 0.02 * points.std(axis=0)) * len(points) ** (-1 / 6)
    columns, rows = np.linspace(LEFT, WIDTH - RIGHT, grid), np.linspace(TOP, HEIGHT - BOTTOM, grid)

    def kernel(at: np.ndarray, axis: int) -> np.ndarray:
        return np.exp(-0.5 * ((at[:, None] - points[:, axis]) / width[axis]) ** 2)

    density = kernel(rows, 1) @ kernel(columns, 0).T
    at_points = (kernel(points[:, 0], 0) * kernel(points[:, 1], 1)).sum(axis=1)
    steps = np.array([rows[1] - rows[0], columns[1] - columns[0]])
    found = []
    for mass in MASSES:
        lines = find_contours(density, float(np.quantile(at_points, 1 - mass)))
        found.append((mass, [np.round(line * steps + [TOP, LEFT], 1)[:, ::-1] for line in lines]))
    return found


def growth_scatter(inputs: ReportInputs) -> dict | None:
    """The scatter of growth against score; None where there is no growth, or no well has both."""
    if inputs.growth is None or not inputs.growth.height:
        return None
    measure = "confluence" if inputs.growth["confluence"].drop_nulls().len() else "cell_density_mm2"
    both = inputs.wells.join(inputs.growth.select("Metadata_Well", measure), on="Metadata_Well").filter(
        pl.col("score").is_finite() & pl.col(measure).is_finite() & ~pl.col("excluded")
    )
    if not both.height:
        return None
    growth, score = both[measure].to_numpy(), both["score"].to_numpy()
    x_axis, y_axis = Axis.around(growth, LEFT, WIDTH - RIGHT), Axis.around(score, HEIGHT - BOTTOM, TOP)
    x, y = [x_axis(v) for v in growth], [y_axis(v) for v in score]
    outliers, called = growth_outliers(growth, score), inputs.called_groups()
    points = []
    for i, row in enumerate(both.iter_rows(named=True)):
        kinds = ["called"] * (row["Metadata_Quadruplet"] in called) + ["outlier"] * bool(outliers[i])
        kinds += ["control"] * (row["role"] != "sample")
        words = f"{row['Metadata_Well']}: {measure.replace('_', ' ')} {number(row[measure])}, score {number(row['score'])}"
        words += f" · {row['condition']}" if row["condition"] else ""
        points.append({"x": x[i], "y": y[i], "well": row["Metadata_Well"], "kind": " ".join(kinds), "words": words})
    label = "confluence, share of the culture area" if measure == "confluence" else "cell density, cells/mm²"
    contours = [
        {"mass": mass, "paths": ["M" + "L".join(f"{px:g} {py:g}" for px, py in line) for line in lines]}
        for mass, lines in density_contours(np.array(x), np.array(y))
    ]
    return {
        "points": points, "contours": contours, "x_ticks": x_axis.ticks(), "y_ticks": y_axis.ticks(), "x_label": label,
        "n_outliers": int(outliers.sum()), "n": both.height,
        "outliers": both["Metadata_Well"].filter(pl.Series(outliers)).to_list(),
    }  # fmt: skip


def _strips(groups: list[tuple[str, np.ndarray]], axis: Axis) -> list[dict]:
    """Median and quartiles of each group, in drawing units."""
    found = []
    for label, values in groups:
        low, middle, high = (axis(v) for v in np.percentile(values, [25, 50, 75])) if len(values) else (None, None, None)
        words = f"{label}: median {number(float(np.median(values)))}, {len(values)} wells" if len(values) else label
        found.append({"label": label, "low": low, "middle": middle, "high": high, "words": words})
    return found


def layout_profiles(inputs: ReportInputs, measure: str, values: dict[str, float | None]) -> dict | None:
    """Median and quartiles of the samples by row, by column and by edge or inside, with the controls apart."""
    table = inputs.wells.with_columns(
        value=pl.col("Metadata_Well").replace_strict(values, default=None, return_dtype=pl.Float64)
    ).filter(pl.col("value").is_finite() & ~pl.col("excluded") & (pl.col("role") != "empty"))
    samples, controls = table.filter(pl.col("role") == "sample"), table.filter(pl.col("role") != "sample")
    if not samples.height:
        return None
    plate = inputs.plate_format

    def of(mask: pl.Expr, frame: pl.DataFrame = samples) -> np.ndarray:
        return frame.filter(mask)["value"].to_numpy()

    row, col = pl.col("Metadata_Row"), pl.col("Metadata_Col")
    edge = row.is_in([1, plate.rows]) | col.is_in([1, plate.cols])
    groups = [("edge", of(edge)), ("inside", of(~edge))]
    groups += [(role.replace("_", " "), of(pl.col("role") == role, controls)) for role in controls["role"].unique().sort()]
    rows = [(row_letters(r), of(row == r)) for r in range(1, plate.rows + 1)]
    cols = [(str(c), of(col == c)) for c in range(1, plate.cols + 1)]
    shown = [np.percentile(values, [25, 75]) for _, values in (*rows, *cols, *groups) if len(values)]
    axis = Axis.around(np.concatenate(shown), 96, 8)
    return {
        "measure": measure,
        "ticks": [(axis(t), number(float(t))) for t in ticks(axis.lo, axis.hi, 3)],
        "rows": _strips(rows, axis),
        "cols": _strips(cols, axis),
        "groups": _strips([(f"{label} ({len(v)})", v) for label, v in groups], axis),
        "n_controls": controls.height,
    }
