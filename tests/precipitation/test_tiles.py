"""Tiles: cut where the grid says, measured like a naive loop, put back where they were."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plate_assets.precipitation.geometry import WellGeometry, geometry_for
from plate_assets.precipitation.tiles import assemble, cut_tiles, local_std, mask_outside


def naive_local_std(tile: np.ndarray, window: int) -> float:
    rows, cols = tile.shape
    return max(
        tile[row : row + window, col : col + window].std()
        for row in range(rows - window + 1)
        for col in range(cols - window + 1)
    )


@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.tuples(st.integers(1, 3), st.integers(7, 12)).map(lambda n: (n[0], n[1], n[1])),
    ),
    st.sampled_from([3, 4, 7]),
)
def test_local_std_is_the_largest_window_of_a_naive_loop(tiles, window):
    full = np.iinfo(tiles.dtype).max
    expected = [naive_local_std(tile / full, window) for tile in tiles]
    assert local_std(tiles, window) == pytest.approx(expected, abs=2e-6)


def test_local_std_loses_nothing_on_bright_flat_tiles_and_is_zero_on_constant_ones():
    tiles = np.full((2, 40, 40), 65_000, np.uint16)
    tiles[1, 20, 20] += 7
    assert local_std(tiles).tolist() == [0.0, pytest.approx(7 * np.sqrt(48) / 49 / 65_535, rel=1e-3)]


def test_local_std_of_colours_is_that_of_their_mean_and_of_a_tile_below_the_window_its_own():
    rng = np.random.default_rng(0)
    colour = rng.random((2, 20, 20, 3)).astype(np.float32)
    assert local_std(colour) == pytest.approx(local_std(colour.mean(axis=-1)), rel=1e-5)
    assert local_std(colour[:, :4, :4, 0]) == pytest.approx(colour[:, :4, :4, 0].std(axis=(1, 2)), rel=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colours", [(), (3,)])
def test_tiles_are_the_pixels_at_their_places_and_go_back_there(dtype, colours):
    image = np.random.default_rng(1).integers(0, 200, (1200, 1200, *colours)).astype(dtype)
    grid = WellGeometry.inference()
    tiles = cut_tiles(image, grid)
    assert tiles.shape == (12, 240, 240, *colours) and tiles.dtype == dtype
    for tile, (row, col) in zip(tiles, grid.starts, strict=True):
        assert (tile == image[row : row + 240, col : col + 240]).all()
    back = assemble(tiles.reshape(12, 240, 240, -1)[..., 0], grid)
    known = np.isfinite(back)
    assert known.sum() == 691_200 and np.isnan(back[120:360, 120:360]).all()
    assert (back[known] == image.reshape(1200, 1200, -1)[..., 0][known]).all()


def test_tiles_are_copies():
    image = np.zeros((512, 512), np.uint8)
    tiles = cut_tiles(image, geometry_for(image.shape, None))
    tiles[:] = 1
    assert tiles.flags.c_contiguous and not image.any()


def test_maps_and_images_of_another_size_are_refused():
    grid = WellGeometry.inference()
    with pytest.raises(ValueError, match="geometry_for"):
        cut_tiles(np.zeros((1199, 1200), np.uint8), grid)
    with pytest.raises(ValueError, match="upsample"):
        assemble(np.zeros((12, 28, 28)), grid)


def test_outside_the_culture_area_a_tile_holds_the_median_of_its_inside():
    grid = geometry_for((1200, 1200), 2.82, drop=0.0)
    image = np.full((1200, 1200), 100, np.uint8)
    image[~np.isin(np.arange(1200), np.arange(200, 1000))] = 250  # the wall above and below
    tiles, masks = cut_tiles(image, grid), grid.tile_masks()
    masked = mask_outside(tiles, masks)
    assert (masked[masks] == tiles[masks]).all()
    corner = grid.tiles.index((0, 0))
    assert len(np.unique(masked[corner][~masks[corner]])) == 1
    assert (masked[corner][~masks[corner]] == np.median(tiles[corner][masks[corner]])).all()
    assert (tiles[corner] != masked[corner]).any()  # the original is not touched
