"""Where the tiles of a well lie: the paper's counts by hand, other fields, other scales."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plate_assets.precipitation.culture_area import CultureArea
from plate_assets.precipitation.geometry import GeometryError, WellGeometry, geometry_for

WHOLE = (1200, 1200)


def test_inference_has_twelve_tiles_in_the_960_px_crop_without_its_corners():
    grid = WellGeometry.inference()
    assert (grid.origin, grid.grid, grid.tile_px, grid.crop_px) == ((120, 120), (4, 4), 240, (960, 960))
    assert grid.tiles == (
        (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (2, 1), (2, 2), (2, 3), (3, 1), (3, 2),
    )  # fmt: skip
    assert grid.starts[0].tolist() == [120, 360] and grid.starts[-1].tolist() == [840, 600]
    assert (grid.culture_shares == 1).all()
    assert len(grid.tiles) * 240**2 == 691_200 and round(691_200 / 925_112, 3) == 0.747


def test_training_has_the_inner_nine_tiles_of_the_5x5_grid():
    grid = WellGeometry.training()
    assert (grid.origin, grid.grid) == ((240, 240), (3, 3))
    assert grid.starts.tolist() == [[row, col] for row in (240, 480, 720) for col in (240, 480, 720)]
    assert (grid.culture_shares == 1).all()
    assert len(grid.tiles) * 240**2 == 518_400 and round(518_400 / 925_112, 3) == 0.560


def test_a_corner_tile_lies_64_percent_inside_the_culture_area():
    grid = geometry_for(WHOLE, 2.82, drop=0.0)
    shares = dict(zip(grid.tiles, grid.culture_shares, strict=True))
    corners = [shares[tile] for tile in ((0, 0), (0, 3), (3, 0), (3, 3))]
    assert len(shares) == 16 and corners == pytest.approx([0.644] * 4, abs=5e-4)
    assert grid.tile_masks().mean(axis=(1, 2)) == pytest.approx(grid.culture_shares)


@pytest.mark.parametrize(("share", "kept"), [(0.0, 16), (0.64, 16), (0.65, 12), (1.0, 12)])
def test_a_share_keeps_the_tiles_that_have_it(share, kept):
    assert len(geometry_for(WHOLE, 2.82, drop=share).tiles) == kept


def test_the_tile_is_676_8_um_at_every_scale():
    assert geometry_for((2400, 2400), 1.41).tile_px == 480
    assert geometry_for((2400, 2400), 1.41).origin == (240, 240)
    assert geometry_for((600, 600), 5.64).tile_px == 120
    assert geometry_for((1080, 1280), 3.2).name == "inference"


def test_an_unknown_scale_counts_as_2_82_for_the_papers_size_only():
    assert geometry_for(WHOLE, None).name == "inference"
    unknown = geometry_for((1100, 1200), None)
    assert (unknown.name, unknown.in_domain, unknown.tile_px) == ("field", False, 240)


@pytest.mark.parametrize(
    ("shape", "pixel_um", "side", "grid"),
    [
        ((512, 512), None, 240, (2, 2)),  # a field at unknown scale
        ((1080, 1080), 1.196, 566, (1, 1)),  # 20x: the field holds one tile of 676.8 µm
        ((900, 1200), 2.82, 240, (3, 5)),  # lower than the crop
        ((200, 300), 2.82, 200, (1, 1)),  # not one tile fits
        ((1024, 1024), 0.3, 1024, (1, 1)),
    ],
)
def test_a_field_too_small_for_the_crop_gives_its_whole_tiles_outside_the_domain(shape, pixel_um, side, grid):
    found = geometry_for(shape, pixel_um)
    assert (found.name, found.in_domain, found.tile_px, found.grid) == ("field", False, side, grid)
    assert found.culture is None and (found.culture_shares == 1).all() and found.tile_masks().all()


def test_the_grid_follows_the_culture_area_and_stays_in_the_image():
    assert geometry_for(WHOLE, 2.82, culture=CultureArea(610.0, 589.0, 540.0, True)).origin == (131, 110)  # 10.5 up, 10.5 down
    assert geometry_for(WHOLE, 2.82, culture=CultureArea(900.0, 200.0, 540.0, True)).origin == (240, 0)
    moved = WellGeometry.inference().around(CultureArea(599.5 + 7, 599.5 - 3, 542.65))
    assert moved.origin == (127, 117)


@given(
    rows=st.integers(1, 1500), cols=st.integers(1, 1500), pixel_um=st.one_of(st.none(), st.floats(0.1, 50)),
    wanted=st.sampled_from(["inference", "training"]), at=st.tuples(st.floats(0, 1500), st.floats(0, 1500)),
)  # fmt: skip
def test_tiles_never_overlap_nor_leave_the_image(rows, cols, pixel_um, wanted, at):
    grid = geometry_for((rows, cols), pixel_um, wanted, culture=CultureArea(*at, 500.0, True))
    covered = np.zeros((rows, cols), np.uint8)
    for row, col in grid.starts:
        assert row >= 0 and col >= 0 and row + grid.tile_px <= rows and col + grid.tile_px <= cols
        covered[row : row + grid.tile_px, col : col + grid.tile_px] += 1
    assert covered.max() == 1
    assert all(row < grid.grid[0] and col < grid.grid[1] for row, col in grid.tiles)


def test_what_makes_no_sense_says_what_would():
    with pytest.raises(GeometryError, match="choose a multiple"):
        WellGeometry(WHOLE, 2.82, 240, (950, 960))
    with pytest.raises(GeometryError, match="geometry_for"):
        WellGeometry((900, 900), 2.82, 240, (960, 960))
    with pytest.raises(GeometryError, match="culture area to take the share of"):
        WellGeometry(WHOLE, 2.82, 240, (960, 960), drop=0.5)
    with pytest.raises(GeometryError, match="no tile of 240 px fits"):
        geometry_for((239, 500), 2.82, tile_px=240)
    with pytest.raises(GeometryError, match="must be positive"):
        geometry_for(WHOLE, 0.0)
