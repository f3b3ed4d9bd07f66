"""Edge, row and column effects: does the place on the plate move a measure? Permutation tests, controls apart.

Belongs here: the statistics and their p-values. Not here: the measures, drawing (`figures`, `report`).
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from plate_assets.plates.layout import PlateFormat, Well
from plate_assets.precipitation.tables import LAYOUT_EFFECTS

EFFECTS = ("edge", "row", "column")
PERMUTATIONS = 1999
SMALLEST = 8  # wells below which no test is made
_CHUNK = 500


def layout_effects(
    wells: pl.DataFrame, measure: str, seed: int = 0, permutations: int = PERMUTATIONS, plate_format: PlateFormat | None = None
) -> pl.DataFrame:
    """LAYOUT_EFFECTS of one plate at one time point: three rows, `edge`, `row` and `column`.

    wells: one row for each well with Metadata_Plate, Metadata_Timepoint, Metadata_Row, Metadata_Col, Metadata_Quadruplet,
    the column `measure` (null or NaN where there is none) and, where known, `role` (samples only take part) and `excluded`.
    plate_format: the smallest that holds the wells where not given; it says where the edge is.

    Wells of one condition resemble each other, so wells alone must not be shuffled: whole replicate groups change places, and
    the wells inside each group do. Both leave the distribution as it is if the place has no effect. Groups change places with
    groups of equal size only. Statistics: edge, the difference of the medians (edge less inside); row and column, the share of
    the sum of squares around the overall median that lies between the group medians. Two-sided for the edge;
    p = (1 + as extreme) / (1 + permutations). A statistic that cannot be taken (too few wells, one row, no spread) is null.
    """
    kept = wells.filter(pl.col(measure).is_not_null() & pl.col(measure).cast(pl.Float64).is_finite())
    if "role" in wells.columns:
        kept = kept.filter(pl.col("role") == "sample")
    if "excluded" in wells.columns:
        kept = kept.filter(~pl.col("excluded"))
    places = [Well(row, col) for row, col in wells.select("Metadata_Row", "Metadata_Col").iter_rows()]
    size = plate_format or (PlateFormat.smallest_for(places) if places else PlateFormat(384))
    values = kept[measure].cast(pl.Float64).to_numpy()
    row, col = kept["Metadata_Row"].to_numpy(), kept["Metadata_Col"].to_numpy()
    edge = (row == 1) | (col == 1) | (row == size.rows) | (col == size.cols)
    plate, timepoint = _one(wells, "Metadata_Plate"), _one(wells, "Metadata_Timepoint")
    shuffled = None
    if values.size >= SMALLEST and np.ptp(values) > 0:
        groups = kept["Metadata_Quadruplet"].to_numpy()
        shuffled = values[_orders(groups, permutations, np.random.default_rng(seed))]
    rows = []
    for effect, labels in zip(EFFECTS, (edge, row, col), strict=True):
        statistic, p_value = (None, None) if shuffled is None else _test(values, shuffled, labels, effect)
        rows.append({
            "Metadata_Plate": plate, "Metadata_Timepoint": timepoint, "measure": measure, "effect": effect,
            "statistic": statistic, "p_value": p_value, "n_wells": values.size,
        })  # fmt: skip
    return LAYOUT_EFFECTS.conform(pl.DataFrame(rows, schema_overrides={"statistic": pl.Float64, "p_value": pl.Float64}))


def _one(wells: pl.DataFrame, column: str) -> str:
    names = wells[column].unique().to_list()
    if len(names) != 1:
        raise ValueError(f"{column} holds {names}: layout effects are of one plate at one time point, filter the table first")
    return names[0]


def _orders(groups: np.ndarray, permutations: int, rng: np.random.Generator) -> np.ndarray:
    """(permutations, n) orders of the wells: groups of equal size change places, and the wells inside each group do."""
    _, label, size = np.unique(groups, return_inverse=True, return_counts=True)
    by_group = np.argsort(label, kind="stable")
    starts = np.concatenate([[0], np.cumsum(size)[:-1]])
    orders = np.empty((permutations, groups.size), dtype=np.intp)
    for members in np.unique(size):
        blocks = by_group[starts[size == members][:, None] + np.arange(members)]  # (groups of this size, members)
        which = np.argsort(rng.random((permutations, len(blocks))), axis=1)
        inner = np.argsort(rng.random((permutations, *blocks.shape)), axis=2)
        moved = np.take_along_axis(blocks[which], inner, axis=2)
        orders[:, blocks.ravel()] = moved.reshape(permutations, -1)
    return orders


@dataclass(frozen=True)
class _Grouping:
    """Wells by label, padded so that the medians of all groups of all permutations are one sort."""

    index: np.ndarray  # (g, most) wells of each group, n where there is none
    count: np.ndarray  # (g,)

    @classmethod
    def of(cls, labels: np.ndarray) -> "_Grouping":
        _, label, count = np.unique(labels, return_inverse=True, return_counts=True)
        order = np.argsort(label, kind="stable")
        index = np.full((count.size, count.max()), labels.size)
        index[label[order], np.arange(labels.size) - np.repeat(np.cumsum(count) - count, count)] = order
        return cls(index, count)

    def medians(self, values: np.ndarray) -> np.ndarray:
        """(p, n) values to (p, g) medians."""
        padded = np.concatenate([values, np.full((len(values), 1), np.inf)], axis=1)
        ordered = np.sort(padded[:, self.index], axis=2)
        low, high = (self.count - 1) // 2, self.count // 2
        at = np.arange(self.count.size)
        return (ordered[:, at, low] + ordered[:, at, high]) / 2


def _test(values: np.ndarray, shuffled: np.ndarray, labels: np.ndarray, effect: str) -> tuple[float | None, float | None]:
    grouping = _Grouping.of(labels)
    if grouping.count.size < 2:
        return None, None
    middle = np.median(values)
    total = ((values - middle) ** 2).sum()

    def statistic(rows: np.ndarray) -> np.ndarray:
        medians = grouping.medians(rows)
        if effect == "edge":
            return medians[:, 1] - medians[:, 0]
        return (grouping.count * (medians - middle) ** 2).sum(axis=1) / total

    observed = statistic(values[None])[0]
    null = np.concatenate([statistic(shuffled[start : start + _CHUNK]) for start in range(0, len(shuffled), _CHUNK)])
    extreme = np.abs(null) >= np.abs(observed) * (1 - 1e-12)
    return float(observed), float((1 + extreme.sum()) / (1 + null.size))
