"""Strips of cells: which frames, what of them, with which outline; and their picture."""

import numpy as np
import polars as pl
import pytest

from plate_assets.dry_mass.strips import cell_strips, crop_side_px, strip_frames
from plate_assets.plates.timelapses.outlines import Outlines

HOURS = np.arange(13) / 6


def strip_of(x=50.0, frames=range(13), side=20, every_min=20.0, shape=(60, 100)):
    """A strip of `cell_of` in ten-minute frames whose values are their number."""
    return cell_strips([cell_of(x, frames, shape)], HOURS, lambda frame: np.full(shape, frame, np.float32), side, every_min)[0]


def cell_of(x=50.0, frames=range(13), shape=(60, 100)):
    """Rows of a cell of 7 × 5 px that stays at (x, 30)."""
    labels = np.zeros(shape, int)
    labels[28:33, max(0, int(x) - 3) : int(x) + 4] = 4
    lists = Outlines.from_labels(labels).run_lists()
    rows = pl.DataFrame({"frame": list(frames), "x_px": x, "y_px": 30.0}, schema_overrides={"frame": pl.Int32})
    return rows.with_columns(runs=pl.lit(lists).first() if lists.len() else pl.lit([], pl.List(pl.Int32)))


def test_a_strip_has_a_crop_every_twenty_minutes_around_the_cell():
    strip = strip_of()
    assert strip.frames.tolist() == [0, 2, 4, 6, 8, 10, 12] and strip.hours.tolist() == pytest.approx(np.arange(7) / 3)
    assert strip.crops.shape == (7, 20, 20) and (strip.crops == strip.frames[:, None, None]).all()
    expected = np.zeros((20, 20), bool)
    expected[8:13, 7:14] = True
    expected[9:12, 8:13] = False
    assert (strip.outlines == expected).all()


def test_a_hundred_micrometres_are_so_many_pixels():
    assert crop_side_px(0.5, 40.0) == 200 and crop_side_px(1.2, 40.0, crop_um=60) == 50
    assert crop_side_px(None, 19.0) == 95  # 100 µm over a cell of 20 µm, where the scale is unknown


def test_beyond_the_border_there_is_nothing():
    strip = strip_of(x=3.0)
    assert np.isnan(strip.crops[:, :, :7]).all() and np.isfinite(strip.crops[:, :, 7:]).all()
    assert np.isnan(strip_of(x=500.0).crops).all()


def test_a_frame_without_the_cell_shows_the_place_and_no_outline():
    strip = strip_of(frames=[0, 1, 2, 5, 6])
    assert strip.frames.tolist() == [0, 2, 4, 6]
    assert strip.outlines.any(axis=(1, 2)).tolist() == [True, True, False, True]
    assert (strip.crops[2] == 4).all()


def test_uneven_times_take_the_nearest_frames():
    hours = np.array([0.0, 0.1, 0.3, 0.5, 0.95, 1.4])
    assert strip_frames(np.array([0, 5]), hours, 20).tolist() == [0, 2, 3, 4, 5]
    assert strip_frames(np.array([2, 3]), hours, 20).tolist() == [2]
    assert strip_frames(np.array([0]), np.zeros(1), 20).tolist() == [0]
    with pytest.raises(ValueError, match="every_min"):
        strip_frames(np.array([0]), hours, 0)


def test_a_cell_without_rows_is_refused():
    with pytest.raises(ValueError, match="no row"):
        strip_of(frames=[])


def test_each_frame_is_read_once_for_all_cells_and_only_where_one_is_shown():
    read = []

    def reading(frame):
        read.append(frame)
        return np.full((60, 100), frame, np.float32)

    cells = [cell_of(50.0), cell_of(20.0, range(4, 9)), cell_of(70.0, range(1, 4))]
    strips = cell_strips(cells, HOURS, reading, 20)
    assert read == [0, 1, 2, 3, 4, 6, 8, 10, 12]
    assert [strip.frames.tolist() for strip in strips] == [[0, 2, 4, 6, 8, 10, 12], [4, 6, 8], [1, 3]]
    alone = cell_strips(cells[1:2], HOURS, reading, 20)[0]
    assert (alone.crops == strips[1].crops).all() and (alone.outlines == strips[1].outlines).all()


def test_a_large_crop_is_shown_by_means_of_blocks():
    strip = cell_strips([cell_of(50.0)], HOURS, lambda frame: np.indices((60, 100))[1].astype(np.float32), 200)[0]
    assert strip.crops.shape == (7, 67, 67)
    assert strip.crops[0, 33, 33] == pytest.approx(50 - 201 // 2 + 3 * 33 + 1)
    assert strip.outlines[0].any() and np.isnan(strip.crops[0, 0]).all()


def test_joined_pieces_each_have_their_line():
    piece = cell_of(50.0, range(3))
    strip = cell_strips([pl.concat([piece, cell_of(62.0, range(3))])], HOURS, lambda _: np.zeros((60, 100), np.float32), 40)[0]
    expected = np.zeros((40, 40), bool)
    for left in (11, 23):
        expected[18:23, left : left + 7] = True
        expected[19:22, left + 1 : left + 6] = False
    assert (strip.outlines[0] == expected).all()
