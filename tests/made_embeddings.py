"""Embeddings of plates made for a test: every plate with an offset of its own, wells and tiles that vary, growth with age."""

import numpy as np
import polars as pl

from plate_assets.plates.layout import Well
from plate_assets.precipitation.tables import PATCH_EMBEDDINGS

VERSION = "file:embedding"


def embeddings(
    plate: str = "P1",
    hours: float | None = 24.0,
    *,
    seed: int = 0,
    plate_sd: float = 0.5,
    shift: float = 0.0,
    growth: float = 0.0,
    wells: tuple[int, int] = (4, 6),
    tiles: int = 4,
    size: int = 6,
    version: str = VERSION,
) -> pl.DataFrame:
    """PATCH_EMBEDDINGS of one acquisition. A plate's offset is the same at each of its ages; wells vary by 1, tiles by 2.

    shift: added to every coordinate; growth: added to the first one for each hour.
    """
    offset = plate_sd * np.random.default_rng([7, *plate.encode()]).normal(size=size)
    rng = np.random.default_rng([seed, *plate.encode(), int(hours or 0)])
    rows, cols = (axis.ravel() + 1 for axis in np.indices(wells))
    well = offset + rng.normal(size=(len(rows), 1, size)) + shift
    vectors = (well + 2 * rng.normal(size=(len(rows), tiles, size))).reshape(-1, size)
    vectors[:, 0] += growth * (hours or 0)
    names = [Well(int(row), int(col)).name for row, col in zip(rows, cols, strict=True)]
    table = pl.DataFrame({
        "Metadata_Well": names, "Metadata_Row": rows, "Metadata_Col": cols,
        "Metadata_Quadruplet": [Well.parse(name).quadruplet for name in names],
    }).select(pl.all().repeat_by(tiles).explode())  # fmt: skip
    return PATCH_EMBEDDINGS.conform(table.with_columns(
        Metadata_Plate=pl.lit(plate), Metadata_Timepoint=pl.lit(f"{hours or 0:03.0f}h"), model_version=pl.lit(version),
        Metadata_Timepoint_h=pl.lit(hours, pl.Float64), Metadata_Site=1, Metadata_Channel=pl.lit("default"), tile_row=0,
        tile_col=pl.Series(list(range(tiles)) * len(names)), embedding=pl.Series(vectors.tolist(), dtype=pl.List(pl.Float32)),
    ))  # fmt: skip
