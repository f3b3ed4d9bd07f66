"""Drift of an acquisition, without Dagster: the reference, the test of one acquisition, a night's tests together.

Belongs here: from tables of embeddings to tables of drift, which acquisitions are compared, and what is decided. Not here: the
tests (`drift`), plain files of vectors (`workflows.drift.vector_files`), the monitor along a line
(`workflows.drift.monitor`).

A plate is imaged several times while its cells grow, and its acquisitions are no more alike than a child at two ages. So an
acquisition is compared with one acquisition of each reference plate: the one nearest in age, at most `tolerance_h` away. Its
own plate's other acquisitions never count. Where time points carry no hours, those of the same name are of like age.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from plate_assets.drift.tables import (
    DRIFT_DISCOVERIES,
    DRIFT_NULL,
    DRIFT_REFERENCE,
    DRIFT_REFERENCE_TILES,
    DRIFT_TESTS,
    IMAGE_OUTLIERS,
    WELL_DRIFT,
)  # fmt: skip
from plate_assets.storage.fingerprint import fingerprint

if TYPE_CHECKING:
    import numpy as np

    from plate_assets.drift.plates import PlateTest

_PLACE = ["Metadata_Plate", "Metadata_Timepoint", "Metadata_Timepoint_h"]
_TILE = ["Metadata_Well", "Metadata_Site", "Metadata_Channel", "tile_row", "tile_col"]
TILES_PER_ACQUISITION, MOST_TILES = 200, 10_000
_FEWEST_WELLS = 4


class DriftError(ValueError):
    """Embeddings or a reference that cannot be compared: the message says what was found and what to do."""


@dataclass(frozen=True)
class DriftReference:
    """What known good plates look like: tables DRIFT_REFERENCE and DRIFT_REFERENCE_TILES of one version of the embedding."""

    wells: pl.DataFrame
    tiles: pl.DataFrame

    @property
    def embedding_version(self) -> str:
        """Of the model that made the vectors."""
        return self.wells["embedding_version"][0]

    @property
    def version(self) -> str:
        """16 hex digits: equal references are equal."""
        return fingerprint(self.wells)


@dataclass(frozen=True)
class DriftSettings:
    """How an acquisition is tested.

    alpha: rate of false alarms of one test; null: `leave_one_plate_out` or `log_normal` (`drift.plates`); tolerance_h: how far
    in age a reference acquisition may be, hours; outlier_rate: share of a usual plate's tiles that count as outliers;
    neighbours: of a tile or well, whose distance is its score; seed: of what is drawn at random.
    """

    alpha: float = 0.05
    null: str = "leave_one_plate_out"
    tolerance_h: float = 6.0
    outlier_rate: float = 0.001
    neighbours: int = 5
    seed: int = 0


@dataclass(frozen=True)
class TestedAcquisition:
    """Tables of one tested acquisition: DRIFT_TESTS (one row), DRIFT_NULL, WELL_DRIFT, IMAGE_OUTLIERS."""

    test: pl.DataFrame
    null: pl.DataFrame
    wells: pl.DataFrame
    tiles: pl.DataFrame

    @property
    def decision(self) -> str:
        """`drift`, `none` or `cannot tell`."""
        return self.test["decision"][0]


def build_reference(
    embeddings: Iterable[tuple[str, pl.DataFrame]],
    embedding_version: str,
    tiles_per_acquisition: int = TILES_PER_ACQUISITION,
    seed: int = 0,
) -> DriftReference:
    """The reference of known good acquisitions: (id, PATCH_EMBEDDINGS), taken one at a time.

    Memory holds one acquisition, the wells' means and `tiles_per_acquisition` tiles of each. Raises DriftError where there are
    none, or where one was embedded by another version.
    """
    wells, tiles = [], []
    for acquisition, table in embeddings:
        check_embeddings(acquisition, table, embedding_version)
        wells.append(well_vectors(acquisition, table))
        tiles.append(_some_tiles(acquisition, table, tiles_per_acquisition, seed))
    if not wells:
        raise DriftError("there is no acquisition to make a reference of: name known good plates whose tiles are embedded")
    return DriftReference(
        DRIFT_REFERENCE.check(pl.concat(wells).drop("Metadata_Row", "Metadata_Col")),
        DRIFT_REFERENCE_TILES.check(pl.concat(tiles)),
    )


def well_vectors(acquisition: str, embeddings: pl.DataFrame) -> pl.DataFrame:
    """One row for each well, in the order of wells: DRIFT_REFERENCE with Metadata_Row and Metadata_Col."""
    import numpy as np

    embeddings = embeddings.sort("Metadata_Row", "Metadata_Col", *_TILE)
    keys = [*_PLACE, "Metadata_Well", "Metadata_Row", "Metadata_Col"]
    wells = embeddings.group_by(keys, maintain_order=True).agg(
        n_tiles=pl.len().cast(pl.Int32), embedding_version=pl.col("model_version").first()
    )
    first = np.cumsum(wells["n_tiles"].to_numpy()) - wells["n_tiles"].to_numpy()
    sums = np.add.reduceat(vectors_of(embeddings["embedding"]), first, axis=0)
    means = (sums / wells["n_tiles"].to_numpy()[:, None]).astype(np.float32)
    wells = wells.with_columns(
        acquisition=pl.lit(acquisition), vector=pl.Series(means, dtype=pl.Array(pl.Float32, means.shape[1])).arr.to_list()
    )
    return wells.select([column.name for column in DRIFT_REFERENCE.columns] + ["Metadata_Row", "Metadata_Col"])


def vectors_of(column: pl.Series) -> "np.ndarray":
    """(n, d) float64 of a column of lists; DriftError where they differ in length or hold NaN."""
    import numpy as np

    lengths = column.list.len().unique().to_list()
    if len(lengths) != 1 or not lengths[0]:
        raise DriftError(f"column {column.name!r} holds vectors of {sorted(lengths)} dimensions: all must have as many")
    found = column.explode().cast(pl.Float64).to_numpy().reshape(-1, lengths[0])
    if (bad := np.flatnonzero(~np.isfinite(found).all(axis=1))).size:
        raise DriftError(
            f"{bad.size} vectors of column {column.name!r} hold NaN or infinity, the first in row {bad[0]}: embed again"
        )
    return found


def test_acquisition(
    reference: DriftReference, acquisition: str, embeddings: pl.DataFrame, settings: DriftSettings | None = None
) -> TestedAcquisition:
    """Test one acquisition's PATCH_EMBEDDINGS against the reference.

    Where too few reference plates of like age exist, or too few wells, the decision is `cannot tell`, with the reason and the
    remedy. Raises DriftError where the embeddings were made by another version of the model than the reference.
    """
    settings = settings or DriftSettings()
    check_embeddings(acquisition, embeddings, reference.embedding_version)
    wells = well_vectors(acquisition, embeddings)
    like = of_like_age(reference.wells, wells, settings.tolerance_h)
    tiles = reference.tiles.filter(pl.col("acquisition").is_in(like["acquisition"].unique().implode()))
    moved_tiles = image_outliers(tiles, acquisition, embeddings, settings)
    result, compared, reasons = _plate_test(like, wells, settings)
    row = _test_row(wells, like, result, compared, reasons, settings)
    outliers = float(moved_tiles["outlier"].to_numpy().mean()) if moved_tiles.height else None
    row |= {
        "acquisition": acquisition, "reference_version": reference.version, "embedding_version": reference.embedding_version,
        "outlier_share": outliers,
    }  # fmt: skip
    test = DRIFT_TESTS.conform(pl.DataFrame([row], schema_overrides={c.name: c.dtype for c in DRIFT_TESTS.columns}))
    null = _null_table(acquisition, like, result)
    return TestedAcquisition(test, null, _moved_wells(like, wells, settings), moved_tiles)


def of_like_age(reference: pl.DataFrame, wells: pl.DataFrame, tolerance_h: float) -> pl.DataFrame:
    """The rows of DRIFT_REFERENCE to compare wells of one acquisition with: of each other plate its acquisition nearest in age.

    With a column age_apart_h, empty where time points have no hours. Of two as near the earlier one is taken.
    """
    plate, timepoint, hours = wells.select(_PLACE).row(0)
    others = reference.filter(pl.col("Metadata_Plate") != plate)
    if hours is None:
        alike = others.filter(pl.col("Metadata_Timepoint_h").is_null() & (pl.col("Metadata_Timepoint") == timepoint))
        alike = alike.with_columns(age_apart_h=pl.lit(None, pl.Float64))
    else:
        apart = (pl.col("Metadata_Timepoint_h") - hours).abs()
        alike = others.with_columns(age_apart_h=apart).filter(pl.col("age_apart_h") <= tolerance_h)
    order = ["Metadata_Plate", "age_apart_h", "Metadata_Timepoint_h", "acquisition"]
    nearest = alike.sort(order).group_by("Metadata_Plate", maintain_order=True).agg(pl.col("acquisition").first())
    return alike.join(nearest, on=["Metadata_Plate", "acquisition"], how="semi").sort("Metadata_Plate", "Metadata_Well")


def night_discoveries(
    tests: pl.DataFrame, rate: float = 0.05, method: str = "benjamini_hochberg", only: str | None = None
) -> pl.DataFrame:
    """DRIFT_DISCOVERIES of the DRIFT_TESTS of one night: which acquisitions to name so that at most `rate` of them are wrong.

    Several acquisitions of one plate depend on each other more than positively dependent tests may be expected to; for such
    nights take `benjamini_yekutieli`. only: a null of `drift.plates.NULLS`, whose tests alone are taken, where a night has
    both.
    """
    from plate_assets.drift.false_discovery import adjusted, fewest_at_floor

    tests = tests if only is None else tests.filter(pl.col("null") == only)
    p_values = tests["p_value"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    adjusted_p = adjusted(p_values, method)
    made = tests.drop_nulls("p_value")
    note = ""
    if made.height and (floor := float(made["p_floor"].to_numpy().max())) > 0:
        fewest = fewest_at_floor(made.height, floor, rate, method)
        if fewest is None or fewest > 1:
            note = _floor_note(made.height, floor, fewest, rate)
    table = pl.DataFrame({"acquisition": tests["acquisition"], "p_value": tests["p_value"], "adjusted_p": adjusted_p})
    table = table.with_columns(pl.col("adjusted_p").fill_nan(None), rate=pl.lit(rate), method=pl.lit(method), note=pl.lit(note))
    return DRIFT_DISCOVERIES.conform(table.with_columns(named=(pl.col("adjusted_p") <= rate + 1e-12).fill_null(False)))


def _floor_note(tests: int, floor: float, fewest: int | None, rate: float) -> str:
    import math

    needed = math.ceil(tests / rate - 1e-9) - 1
    could = "no plate can be named" if fewest is None else f"a plate is named only where {fewest} or more drift as clearly"
    return (
        f"{tests} tests whose p-values are {floor:.2g} at the least: at a false-discovery rate of {rate:g} {could}; "
        f"{needed} reference plates, or the null `log_normal`, would let one plate alone be named"
    )


def image_outliers(
    tiles: pl.DataFrame, acquisition: str, embeddings: pl.DataFrame, settings: DriftSettings | None = None
) -> pl.DataFrame:
    """IMAGE_OUTLIERS of an acquisition against rows of DRIFT_REFERENCE_TILES; no rows where they are of fewer than two plates.

    At most 10,000 of the reference's tiles are taken, drawn at random.
    """
    from plate_assets.drift import kernel
    from plate_assets.drift import witness as moved
    from plate_assets.drift.outliers import find_outliers

    settings = settings or DriftSettings()
    tiles = tiles.filter(pl.col("Metadata_Plate") != embeddings["Metadata_Plate"][0])
    if tiles["Metadata_Plate"].n_unique() < 2:
        return IMAGE_OUTLIERS.empty()
    if tiles.height > MOST_TILES:
        tiles = tiles.sample(MOST_TILES, seed=settings.seed)
    known, new = vectors_of(tiles["vector"]), vectors_of(embeddings["embedding"])
    found = find_outliers(
        known, tiles["Metadata_Plate"].to_numpy(), new, neighbours=settings.neighbours, rate=settings.outlier_rate
    )
    witness = moved.witness(new, known, kernel.median_distance(known))
    return IMAGE_OUTLIERS.conform(embeddings.select(*_PLACE, *_TILE).with_columns(
        acquisition=pl.lit(acquisition), distance=found.distance, threshold=pl.lit(found.threshold), outlier=found.outlier,
        p_value=found.p_value, witness=witness, rank=_ranks(witness),
    ))  # fmt: skip


def check_embeddings(acquisition: str, table: pl.DataFrame, version: str) -> None:
    """DriftError where the embeddings are none, of another version of the model, or of several visits."""
    if not table.height:
        raise DriftError(f"acquisition {acquisition!r} has no embeddings: materialise `patch_embeddings` for it")
    if others := [found for found in table["model_version"].unique().sort().to_list() if found != version]:
        raise DriftError(
            f"acquisition {acquisition!r} was embedded by {others[0]!r}, and the reference is of {version!r}: embed the "
            "acquisition again with that model, or make a reference of this one"
        )
    if table.select(_PLACE).n_unique() != 1:
        raise DriftError(
            f"the embeddings of {acquisition!r} are of {table.select(_PLACE).n_unique()} visits: give those of one"
        )


def _some_tiles(acquisition: str, table: pl.DataFrame, count: int, seed: int) -> pl.DataFrame:
    """DRIFT_REFERENCE_TILES: tiles drawn at random, one of each well before a second of any."""
    import numpy as np

    rng = np.random.default_rng([seed, len(acquisition), *acquisition.encode()])
    drawn = table.with_columns(chance=pl.Series(rng.random(table.height))).sort("chance")
    turn = pl.int_range(pl.len()).over("Metadata_Well")
    drawn = drawn.with_columns(turn=turn).sort("turn", "chance").head(count).sort(*_TILE)
    drawn = drawn.with_columns(acquisition=pl.lit(acquisition))
    return DRIFT_REFERENCE_TILES.check(
        drawn.rename({"embedding": "vector", "model_version": "embedding_version"})
        .select([column.name for column in DRIFT_REFERENCE_TILES.columns])
    )  # fmt: skip


def _plate_test(
    like: pl.DataFrame, wells: pl.DataFrame, settings: DriftSettings
) -> "tuple[PlateTest | None, int | None, list[str]]":
    """The test, how many wells of each plate took part, and why there is none or what weakens it."""
    from plate_assets.drift import plates

    fewest = plates.FEWEST_FOR_FIT if settings.null == "log_normal" else plates.FEWEST_PLATES
    if wells.height < _FEWEST_WELLS:
        return None, None, [f"{wells.height} wells, and {_FEWEST_WELLS} or more are needed"]
    labels = like["Metadata_Plate"].to_numpy()
    rows, new_rows = plates.comparable_rows(
        labels, like["Metadata_Well"].to_numpy(), wells["Metadata_Well"].to_numpy(), settings.seed
    )
    count = len(set(labels[rows].tolist()))
    reasons = [f"{n} reference plates have less than half of its wells and were left out"] if (
        n := like["Metadata_Plate"].n_unique() - count) else []  # fmt: skip
    if count < fewest:
        age = f"within {settings.tolerance_h:g} h of its age" if wells["Metadata_Timepoint_h"][0] is not None else "of its time"
        return None, None, [f"{count} reference plates {age}, and {fewest} or more are needed: add reference plates", *reasons]
    result = plates.compare_plate(
        vectors_of(like["vector"])[rows], labels[rows], vectors_of(wells["vector"])[new_rows],
        alpha=settings.alpha, null=settings.null,
    )  # fmt: skip
    if result.p_floor > settings.alpha:
        needed = plates.plates_needed(settings.alpha)
        reasons.insert(0, (
            f"{count} reference plates allow no p-value below {result.p_floor:.3f}: {needed} are needed for "
            f"{settings.alpha:g}, or the null `log_normal`"
        ))  # fmt: skip
    return result, len(new_rows), reasons


def _test_row(
    wells: pl.DataFrame, like: pl.DataFrame, result: "PlateTest | None", compared: int | None, reasons: list[str],
    settings: DriftSettings,
) -> dict[str, object]:  # fmt: skip
    from math import isfinite

    from plate_assets.drift.plates import plates_needed
    from plate_assets.drift.witness import shift_of_means

    row: dict[str, object] = dict(zip(_PLACE, wells.select(_PLACE).row(0), strict=True)) | {
        "reasons": "; ".join(reasons), "null": settings.null, "alpha": settings.alpha, "decision": "cannot tell",
        "n_wells": wells.height, "n_reference_plates": like["Metadata_Plate"].n_unique(), "n_wells_compared": compared,
        "n_plates_needed": plates_needed(settings.alpha), "age_apart_h": like["age_apart_h"].max(),
    }  # fmt: skip
    if result is None:
        return row
    if result.p_floor <= settings.alpha:
        row["decision"] = "drift" if result.p_value <= settings.alpha else "none"
    return row | {
        "p_value": result.p_value, "p_floor": result.p_floor, "level": result.level, "statistic": result.statistic,
        "threshold": result.threshold if isfinite(result.threshold) else None,
        "effect": result.effect if isfinite(result.effect) else None,
        "shift_sd": shift_of_means(vectors_of(wells["vector"]), vectors_of(like["vector"])),
    }  # fmt: skip


def _null_table(acquisition: str, like: pl.DataFrame, result: "PlateTest | None") -> pl.DataFrame:
    """DRIFT_NULL; plates that were left out of the test have no row."""
    if result is None:
        return DRIFT_NULL.empty()
    names = pl.DataFrame({"reference_plate": result.plates, "statistic": result.null})
    of = like.select(reference_plate="Metadata_Plate", reference_acquisition="acquisition").unique()
    return DRIFT_NULL.conform(names.join(of, on="reference_plate", how="left").with_columns(acquisition=pl.lit(acquisition)))


def _moved_wells(like: pl.DataFrame, wells: pl.DataFrame, settings: DriftSettings) -> pl.DataFrame:
    """WELL_DRIFT, empty where there is nothing to compare with."""
    from plate_assets.drift import kernel
    from plate_assets.drift import witness as moved
    from plate_assets.drift.outliers import find_outliers

    if like["Metadata_Plate"].n_unique() < 2:
        return WELL_DRIFT.empty()
    known, new = vectors_of(like["vector"]), vectors_of(wells["vector"])
    witness = moved.witness(new, known, kernel.median_distance(known))
    columns = {"witness": pl.Series(witness), "rank": _ranks(witness), "distance": None, "outlier": None}
    largest = int(like["Metadata_Plate"].value_counts()["count"].to_numpy().max())
    if like.height - largest >= settings.neighbours:
        labels = like["Metadata_Plate"].to_numpy()
        found = find_outliers(known, labels, new, neighbours=settings.neighbours, rate=settings.outlier_rate)
        columns |= {"distance": pl.Series(found.distance), "outlier": pl.Series(found.outlier)}
    table = wells.drop("vector", "embedding_version").with_columns(**columns)
    return WELL_DRIFT.conform(table)


def _ranks(values: "np.ndarray") -> pl.Series:
    return pl.Series(values).rank("ordinal", descending=True).cast(pl.Int32)
