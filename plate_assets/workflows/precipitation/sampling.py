"""The training sample: tiles drawn evenly over plates and wells, in one pass and bounded memory.

Belongs here: the draw. Not here: how tiles are cut (`patches`), what is learned from them (`training_data`).
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import polars as pl

from plate_assets.plates.fields import Fields
from plate_assets.precipitation.tables import TRAINING_SAMPLE
from plate_assets.progress import Progress
from plate_assets.workflows.precipitation.calls import excluded_wells

if TYPE_CHECKING:
    import numpy as np

ROWS_OUT = 256  # tiles of one block that the sample is handed on in
PLACE = [
    "Metadata_Plate", "Metadata_Timepoint", "Metadata_Row", "Metadata_Col", "Metadata_Site", "Metadata_Channel",
    "tile_row", "tile_col",
]  # fmt: skip


class SampleError(ValueError):
    """Tiles that make no training sample; the message says what to do."""


def training_sample(
    stacks: Iterable[tuple[pl.DataFrame, "np.ndarray"]],
    n: int,
    seed: int = 0,
    exclusions: pl.DataFrame | None = None,
    geometry: str = "training",
    progress: Progress | None = None,
) -> tuple[pl.DataFrame, "np.ndarray"]:
    """Draw n tiles, spread evenly over plates and within a plate over wells: TRAINING_SAMPLE and its pixels (n, t, t[, 3]).

    stacks: blocks (PATCHES, pixels) of any size, as they come: a well, or a plate that is read lazily. Only pixels of tiles
    that are in the sample at that moment are read or held, so memory follows n (twice n at the end) and not the plates.
    The draw depends on the tiles and the seed, not on the order or size of the blocks. Fewer tiles than n are all taken.
    """
    import numpy as np

    pool = _Pool(n, seed)
    for number, (table, array) in enumerate(stacks, start=1):
        pool.offer(_eligible(table.with_columns(row=pl.int_range(pl.len())), exclusions, geometry), array)
        if progress:
            progress(number, number)
    if pool.table is None or pool.pixels is None or pool.table.is_empty():
        raise SampleError(
            f"no tile of geometry {geometry!r} is left for the training sample: add acquisitions whose images hold the "
            "culture area, or put excluded wells back with `plate-assets exclude`"
        )
    chosen = pool.table.sort(PLACE)
    pixels = np.ascontiguousarray(pool.pixels[chosen["slot"].to_numpy()])
    table = chosen.with_columns(
        index=pl.int_range(pl.len(), dtype=pl.Int64),
        acquisition=pl.concat_str("Metadata_Plate", "Metadata_Timepoint", separator="_"),
    ).select([column.name for column in TRAINING_SAMPLE.columns])
    return TRAINING_SAMPLE.conform(table), pixels


def sample_acquisitions(
    acquisitions: Iterable[tuple[Fields, pl.DataFrame]],
    count: int,
    *,
    tiles: int,
    seed: int = 0,
    exclusions: pl.DataFrame | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[pl.DataFrame, "np.ndarray"]]:
    """Draw the training sample from acquisitions' fields, each with its plate map; gives blocks (TRAINING_SAMPLE, pixels).

    count: how many acquisitions there are, for the progress. Acquisitions whose field does not hold the culture area give
    nothing: their tiles are of another geometry.
    """
    from plate_assets.workflows.precipitation.patches import cut_patches

    def blocks() -> Iterator[tuple[pl.DataFrame, "np.ndarray"]]:
        for number, (fields, platemap) in enumerate(acquisitions, start=1):
            yield from cut_patches(fields, platemap, geometry="training")
            if progress:
                progress(number, count)

    table, pixels = training_sample(blocks(), tiles, seed, exclusions)
    for start in range(0, table.height, ROWS_OUT):
        yield table[start : start + ROWS_OUT], pixels[start : start + ROWS_OUT]


def _eligible(table: pl.DataFrame, exclusions: pl.DataFrame | None, geometry: str) -> pl.DataFrame:
    table = table.filter(pl.col("geometry") == geometry)
    if exclusions is None or exclusions.is_empty():
        return table
    for plate in table["Metadata_Plate"].unique().to_list():
        whole_plate, wells = excluded_wells(exclusions, plate)
        out = pl.lit(True) if whole_plate is not None else pl.col("Metadata_Well").is_in(list(wells))
        table = table.filter(~((pl.col("Metadata_Plate") == plate) & out))
    return table


class _Pool:
    """The n best tiles so far: every plate gives its first, then its second, …; within a plate every well likewise.

    A tile's rank can only fall when others come, so that a tile once left out never has to come back.
    """

    def __init__(self, n: int, seed: int) -> None:
        if n < 1:
            raise SampleError(f"a training sample of {n} tiles is none: ask for one or more")
        self.n, self.seed = n, seed
        self.table: pl.DataFrame | None = None
        self.pixels: np.ndarray | None = None

    def offer(self, table: pl.DataFrame, array: "np.ndarray") -> None:
        import numpy as np

        if table.is_empty():
            return
        new = table.with_columns(pl.Series("priority", _priorities(table, self.seed)), slot=pl.lit(-1, dtype=pl.Int64))
        pooled = new if self.table is None else pl.concat([self.table, new], how="vertical_relaxed")
        best = self._best(pooled)
        held = best.filter(pl.col("slot") >= 0)["slot"].to_numpy()
        arrived = best.filter(pl.col("slot") < 0)
        free = np.setdiff1d(np.arange(self.n), held)[: arrived.height]
        if arrived.height:
            self._buffer(arrived, array)[free] = array[arrived["row"].to_numpy()]
        self.table = pl.concat([best.filter(pl.col("slot") >= 0), arrived.with_columns(slot=pl.Series(free, dtype=pl.Int64))])

    def _best(self, pooled: pl.DataFrame) -> pl.DataFrame:
        plate, well = "Metadata_Plate", ["Metadata_Plate", "Metadata_Well"]
        return (
            pooled.with_columns(in_well=pl.col("priority").rank("ordinal").over(well))
            .sort("in_well", "priority")
            .with_columns(in_plate=pl.int_range(pl.len()).over(plate))
            .sort("in_plate", "priority")
            .head(self.n)
            .drop("in_well", "in_plate")
        )

    def _buffer(self, arrived: pl.DataFrame, array: "np.ndarray") -> "np.ndarray":
        import numpy as np

        if self.pixels is None:
            self.pixels = np.empty((self.n, *array.shape[1:]), array.dtype)
        if self.pixels.shape[1:] != array.shape[1:] or self.pixels.dtype != array.dtype:
            raise SampleError(
                f"plate {arrived['Metadata_Plate'][0]} has {array.dtype} tiles of shape {array.shape[1:]}, those before "
                f"{self.pixels.dtype} of {self.pixels.shape[1:]}: one sample holds one kind; take the other plates out with "
                "`plate-assets exclude`"
            )
        return self.pixels


def _priorities(table: pl.DataFrame, seed: int) -> "np.ndarray":
    """A random number for each tile that only its place and the seed decide: splitmix64 over the tile's keys."""
    import numpy as np

    texts = table.select("Metadata_Plate", "Metadata_Timepoint", "Metadata_Channel")
    base = {
        row: int.from_bytes(hashlib.blake2b(repr((seed, *row)).encode(), digest_size=8).digest(), "little")
        for row in texts.unique().iter_rows()
    }
    state = np.array([base[row] for row in texts.iter_rows()], dtype=np.uint64)
    with np.errstate(over="ignore"):
        for name in ("Metadata_Row", "Metadata_Col", "Metadata_Site", "tile_row", "tile_col"):
            state = (state ^ table[name].to_numpy().astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return state
