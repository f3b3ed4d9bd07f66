"""After an alarm: which tiles a person is asked to label, as a table and as a picture.

Belongs here: from the acquisitions of an episode to the batch. Not here: the choice itself (`drift.batch`), alarms
(`drift_monitor`), what labels do (`labelling`).
"""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from plate_assets.drift.acquisitions import vectors_of
from plate_assets.drift.tables import LABELLING_BATCH
from plate_assets.storage.arrays import Stack

TILE = ["Metadata_Well", "Metadata_Site", "Metadata_Channel", "tile_row", "tile_col"]
COUNT = 48


def make_batch(
    episode: Mapping[str, Any],
    outliers: Iterable[pl.DataFrame],
    embeddings: Iterable[pl.DataFrame],
    count: int = COUNT,
    seed: int = 0,
) -> pl.DataFrame:
    """LABELLING_BATCH of an episode, a row of DRIFT_EPISODES.

    outliers, embeddings: IMAGE_OUTLIERS and PATCH_EMBEDDINGS of its acquisitions, in the same order. Wells of different
    acquisitions are different wells.
    """
    from plate_assets.drift.batch import spread_choice

    joined = [
        scores.join(vectors.select(*TILE, "embedding"), on=TILE, how="inner")
        for scores, vectors in zip(outliers, embeddings, strict=True)
    ]
    tiles = pl.concat(joined) if joined else pl.DataFrame()
    if not tiles.height:
        return LABELLING_BATCH.empty()
    wells = tiles.select(pl.struct("acquisition", "Metadata_Well").rank("dense")).to_series().to_numpy()
    rows, groups = spread_choice(tiles["distance"].to_numpy(), wells, vectors_of(tiles["embedding"]), count, seed=seed)
    batch = tiles[rows].with_columns(
        line=pl.lit(episode["line"]), episode=pl.lit(episode["episode"]), group=pl.Series(groups),
        place=pl.int_range(1, pl.len() + 1),
    )  # fmt: skip
    return LABELLING_BATCH.conform(batch.select(column.name for column in LABELLING_BATCH.columns))


def batch_sheet(batch: pl.DataFrame, patches: Mapping[str, Stack], title: str) -> bytes:
    """The tiles of a batch as one PNG, each with its acquisition, well and group. patches: by acquisition."""
    import numpy as np

    from plate_assets.precipitation.figures import contact_sheet

    tiles, captions = [], []
    for row in batch.sort("group", "place").iter_rows(named=True):  # a few dozen
        stack = patches[row["acquisition"]]
        at = stack.table.with_row_index("_at").filter(pl.all_horizontal(pl.col(name) == row[name] for name in TILE))["_at"]
        if at.len():
            tiles.append(np.asarray(stack.array[int(at[0])]))
            captions.append(f"{row['acquisition']} {row['Metadata_Well']} · group {row['group']}")
    return contact_sheet(np.stack(tiles), captions, title) if tiles else b""
