"""The draw of the training sample: even over plates and wells, the same whatever order or blocks the tiles come in."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plate_assets.plates.layout import Well
from plate_assets.plates.tables import EXCLUSIONS
from plate_assets.precipitation.tables import PATCHES
from plate_assets.workflows.precipitation.sampling import SampleError, training_sample


def tiles_of(plate: str, wells: dict[str, int], geometry: str = "training") -> tuple[pl.DataFrame, np.ndarray]:
    """So many tiles of each well; a tile's pixels say its plate, well and number."""
    rows, pixels = [], []
    for name, count in wells.items():
        well = Well.parse(name)
        for number in range(count):
            rows.append({
                "Metadata_Plate": plate, "Metadata_Timepoint": "024h", "Metadata_Timepoint_h": 24.0, "Metadata_Well": name,
                "Metadata_Row": well.row, "Metadata_Col": well.col, "Metadata_Quadruplet": name, "Metadata_Site": 1,
                "Metadata_Channel": "default", "tile_row": number // 3, "tile_col": number % 3, "y0_px": 0, "x0_px": 0,
                "tile_px": 2, "culture_share": 1.0, "geometry": geometry, "in_domain": True, "local_std": 0.1,
            })  # fmt: skip
            pixels.append(np.array([[int(plate[1:]), well.row], [well.col, number]], np.uint8))
    return PATCHES.conform(pl.DataFrame(rows)), np.stack(pixels)


PLATES = [tiles_of("P1", {"A01": 9, "B05": 9, "C03": 2}), tiles_of("P2", {"A01": 9, "H12": 1}), tiles_of("P3", {"D04": 3})]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.permutations(PLATES), st.integers(1, 20), st.integers(0, 3))
def test_the_sample_is_the_same_in_whatever_order_and_blocks_the_tiles_come(n, plates, block, seed):
    blocks = [(table[at : at + block], array[at : at + block]) for table, array in plates for at in range(0, len(array), block)]
    table, pixels = training_sample(PLATES, n, seed)
    other, others_pixels = training_sample(blocks, n, seed)
    assert other.equals(table) and np.array_equal(others_pixels, pixels)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(0, 3))
def test_every_row_has_its_own_pixels_and_no_tile_comes_twice(n, seed):
    table, pixels = training_sample(PLATES, n, seed)
    assert table.height == min(n, sum(len(array) for _, array in PLATES)) == len(pixels)
    places = table.select(
        pl.col("Metadata_Plate").str.slice(1).cast(pl.Int64),
        "Metadata_Row",
        "Metadata_Col",
        pl.col("tile_row") * 3 + pl.col("tile_col"),
    ).to_numpy()
    assert np.array_equal(pixels.reshape(-1, 4), places)
    assert len(np.unique(places, axis=0)) == len(places)
    assert table["index"].to_list() == list(range(len(pixels)))


def test_plates_share_evenly_and_within_a_plate_wells():
    table, _ = training_sample(PLATES, 9)
    assert sorted(table["Metadata_Plate"].value_counts()["count"]) == [3, 3, 3]
    first = table.filter(pl.col("Metadata_Plate") == "P1")
    assert sorted(first["Metadata_Well"]) == ["A01", "B05", "C03"]


def test_excluded_wells_and_plates_and_other_geometries_give_no_tile():
    exclusions = EXCLUSIONS.conform(pl.DataFrame({
        "Metadata_Plate": ["P1", "P2"], "Metadata_Well": ["B05", None], "excluded": [True, True], "reason": ["lost", "mixed"],
        "author": ["Ada", "Ada"], "decided_at": pl.Series([0, 0]).cast(pl.Datetime("us", "UTC")),
    }))  # fmt: skip
    table, _ = training_sample([*PLATES, tiles_of("P4", {"A01": 9}, geometry="inference")], 100, exclusions=exclusions)
    assert set(table.select("Metadata_Plate", "Metadata_Well").rows()) == {("P1", "A01"), ("P1", "C03"), ("P3", "D04")}


def test_no_tile_at_all_says_what_to_do():
    with pytest.raises(SampleError, match="add acquisitions"):
        training_sample([tiles_of("P4", {"A01": 9}, geometry="inference")], 10)


def test_tiles_of_two_sizes_are_no_sample():
    table, array = tiles_of("P9", {"A01": 4})
    with pytest.raises(SampleError, match="P9 has uint8 tiles of shape"):
        training_sample([*PLATES, (table, np.repeat(array, 2, axis=1))], 100)
