"""Outlines: runs say the same as masks do, and polygons are filled as ImageJ fills them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from matplotlib.path import Path as Polygon

from plate_assets.plates.timelapses.outlines import OutlineError, Outlines

LABELS = arrays.arrays(np.int32, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 4))


def filled(outlines):
    """(cells, h, w) bool masks, drawn pixel by pixel."""
    masks = np.zeros((len(outlines), *outlines.shape), bool)
    for cell, row, start, stop in zip(outlines.cell, outlines.row, outlines.start, outlines.stop, strict=True):
        masks[cell, row, start:stop] = True
    return masks


@given(LABELS, st.integers(0, 1000))
def test_runs_of_a_label_image_measure_what_its_masks_do(labels, seed):
    outlines = Outlines.from_labels(labels)
    image = np.random.default_rng(seed).normal(0, 1, labels.shape)
    names = [label for label in np.unique(labels) if label]
    assert outlines.names.tolist() == names
    assert outlines.areas().tolist() == [(labels == name).sum() for name in names]
    assert outlines.sums(image) == pytest.approx([image[labels == name].sum() for name in names])
    for name, centre in zip(names, outlines.centres(), strict=True):
        rows, cols = np.nonzero(labels == name)
        assert centre == pytest.approx([cols.mean(), rows.mean()])
    border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    assert outlines.at_border().tolist() == [name in border for name in names]
    assert (np.concatenate([[0], outlines.names])[outlines.labels()] == labels).all()


@given(LABELS)
def test_lists_of_runs_give_the_outlines_back(labels):
    outlines = Outlines.from_labels(labels)
    again = Outlines.from_run_lists(outlines.names, outlines.run_lists(), outlines.shape)
    assert again.names.tolist() == outlines.names.tolist() and (again.labels() == outlines.labels()).all()


def test_a_cell_without_pixels_has_an_empty_list_and_a_list_that_was_cut_is_refused():
    discs = Outlines.discs(np.array([[50.0, 50], [1, 1]]), np.array([3.0, 1.0]), np.array([4, 7]), (10, 10))
    lists = discs.run_lists()
    assert lists.to_list() == [[], [0, 1, 2, 1, 0, 3, 2, 1, 2]]
    assert Outlines.from_run_lists(discs.names, lists, (10, 10)).areas().tolist() == [0, 5]
    with pytest.raises(OutlineError, match="the cell 7 has no three numbers"):
        Outlines.from_run_lists(discs.names, lists.list.head(5), (10, 10))


@given(LABELS, st.integers(-4, 14), st.integers(-4, 14))
def test_a_window_shows_its_part_of_a_cell(labels, top, left):
    outlines = Outlines.from_labels(labels)
    padded = np.pad(labels, 20)
    for cell, name in enumerate(outlines.names):
        expected = padded[top + 20 : top + 26, left + 20 : left + 25] == name
        assert (outlines.mask(cell, top, left, (6, 5)) == expected).all()


def test_cells_that_overlap_both_count_their_pixels():
    squares = [np.array([[1, 1], [5, 1], [5, 5], [1, 5]]), np.array([[3, 3], [8, 3], [8, 8], [3, 8]])]
    outlines = Outlines.from_polygons(squares, np.array([4, 9]), (10, 10))
    assert outlines.areas().tolist() == [16, 25]
    assert outlines.sums(np.ones((10, 10))).tolist() == [16.0, 25.0]
    assert outlines.labels()[4, 4] == 2 and outlines.labels()[1, 1] == 1


@given(st.lists(st.tuples(st.floats(-3, 23), st.floats(-3, 17)), min_size=3, max_size=9))
def test_a_pixel_is_inside_where_its_centre_is(corners):
    """Against matplotlib's test of points in a polygon, on centres that are not on the outline itself."""
    corners = np.array(corners) + 1e-4 * np.array([np.sqrt(2), np.sqrt(3)])
    outlines = Outlines.from_polygons([corners], np.array([1]), (14, 20))
    rows, cols = np.indices((14, 20))
    centres = np.stack([cols.ravel() + 0.5, rows.ravel() + 0.5], axis=1)
    begins, ends = corners, np.roll(corners, -1, axis=0)
    crossed = (begins[:, 1] > centres[:, 1:]) != (ends[:, 1] > centres[:, 1:])
    with np.errstate(divide="ignore", invalid="ignore"):
        at = begins[:, 0] + (centres[:, 1:] - begins[:, 1]) * (ends[:, 0] - begins[:, 0]) / (ends[:, 1] - begins[:, 1])
    odd = (crossed & (centres[:, :1] < at)).sum(axis=1) % 2 == 1  # the even-odd rule, where matplotlib winds
    clear = np.abs(np.where(crossed, at - centres[:, :1], 1)).min(axis=1) > 1e-6
    inside = np.zeros(280, bool)
    inside[np.flatnonzero(filled(outlines)[0].ravel())] = True
    assert (inside == odd)[clear].all()
    if not (crossed.sum(axis=1) > 2).any():
        assert (Polygon(corners).contains_points(centres) == odd)[clear].all()


@given(st.lists(st.integers(1, 11), min_size=2, max_size=9), st.booleans())
def test_outlines_that_share_an_edge_share_no_pixel_and_leave_none(middle, across):
    """A rectangle cut in two along whole corners: each pixel belongs to one part, also where its centre is on the line."""
    height = len(middle) - 1
    cut = [(x, y) for y, x in enumerate(middle)]
    left, right = [(0, 0), *cut, (0, height)], [*cut, (12, height), (12, 0)]
    if across:
        left, right = [[(y, x) for x, y in part] for part in (left, right)]
    shape = (12, height) if across else (height, 12)
    masks = filled(Outlines.from_polygons([np.array(left), np.array(right)], np.array([1, 2]), shape))
    assert (masks.sum(axis=0) == 1).all()


def test_a_centre_on_an_edge_is_imagejs():
    """`PolygonFiller`: on the left boundary outside, on the right one inside."""
    upper, lower = np.array([(0, 0), (4, 0), (0, 4)]), np.array([(4, 0), (4, 4), (0, 4)])
    outlines = Outlines.from_polygons([upper, lower], np.array([1, 2]), (4, 4))
    assert outlines.areas().tolist() == [10, 6]


@given(st.floats(2, 40), st.floats(-5, 30), st.floats(-5, 30))
def test_a_disc_holds_the_pixels_within_its_radius(radius, x, y):
    outlines = Outlines.discs(np.array([[x, y], [5.0, 5.0]]), np.array([radius, np.nan]), np.array([1, 2]), (20, 24))
    rows, cols = np.indices((20, 24))
    away = np.hypot(cols - x, rows - y)
    assert (filled(outlines)[0] == (away <= radius))[np.abs(away - radius) > 1e-9].all()
    assert outlines.areas()[1] == 0 and np.isnan(outlines.centres()[1]).all()


def test_outlines_on_a_frame_of_another_size_are_refused():
    with pytest.raises(OutlineError, match="other frames"):
        Outlines.from_labels(np.eye(4, dtype=int)).sums(np.zeros((5, 4)))
