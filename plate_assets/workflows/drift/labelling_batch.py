"""After an alarm: which tiles a person is asked to label, as a table and as a picture.

Belongs here: from the lines' new episodes to the batch. Not here: the choice itself (`drift.labelling_choice`), alarms
(`monitor`), what labels do (`workflows.precipitation.labelling`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from upath import UPath

from plate_assets.drift.acquisitions import DriftReference, vectors_of
from plate_assets.drift.tables import LABELLING_BATCH
from plate_assets.storage.arrays import Stack
from plate_assets.workflows.drift.monitor import LineSettings, announce, line_folder, read_line, unannounced

TILE = ["Metadata_Well", "Metadata_Site", "Metadata_Channel", "tile_row", "tile_col"]
COUNT = 48


@dataclass(frozen=True)
class TileSources:
    """How what is stored of an acquisition is read. has_tiles: whether its outliers and pixels are."""

    has_tiles: Callable[[str], bool]
    outliers: Callable[[str], pl.DataFrame]
    embeddings: Callable[[str], pl.DataFrame]
    patches: Callable[[str], Stack]


@dataclass
class Asked:
    """What a person is asked after new alarms: LABELLING_BATCH, the pixels by acquisition, and the episodes in words."""

    batch: pl.DataFrame = field(default_factory=LABELLING_BATCH.empty)
    patches: dict[str, Stack] = field(default_factory=dict)
    alarms: list[str] = field(default_factory=list)


def ask_after_alarms(
    folder: UPath, lines: Iterable[str], reference: DriftReference, settings: LineSettings, stored: TileSources
) -> Asked:
    """The batches of all episodes that nobody was told of yet, which are marked as announced: each is asked for once.

    folder: where lines keep their state. Acquisitions of an episode are those in it and those of the window before it, which
    brought the alarm; those without stored tiles are left out.
    """
    asked = Asked()
    for line in lines:
        place, state = line_folder(folder, line, reference, settings), read_line(folder, line, reference, settings)
        for episode in unannounced(place, state.episodes).iter_rows(named=True):
            keys = [key for key in acquisitions_of(state.steps, episode, settings.window) if stored.has_tiles(key)]
            made = make_batch(episode, map(stored.outliers, keys), map(stored.embeddings, keys))
            asked.batch = pl.concat([asked.batch, made])
            asked.patches |= {key: stored.patches(key) for key in keys}
            asked.alarms.append(
                f"drift on line {line} since {episode['opened_at']:%Y-%m-%d %H:%M} UTC (episode {episode['episode']})"
            )
            announce(place, episode)
    return asked


def acquisitions_of(steps: pl.DataFrame, episode: Mapping[str, Any], window: int) -> list[str]:
    """Acquisitions in an episode of a line's DRIFT_STEPS, and in the `window` updates before it; in their order."""
    own = steps.filter(pl.col("episode") == episode["episode"])
    before = steps.filter(pl.col("update") < own["update"].min()).tail(window)
    return pl.concat([before, own])["acquisition"].unique(maintain_order=True).to_list()


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
    from plate_assets.drift.labelling_choice import spread_choice

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
