"""Agreement with drawn outlines: cells by their overlap, links, tracks; against cases counted by hand."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from plate_assets.dry_mass.agreement import cell_agreement, match_cells, matched, track_agreement
from plate_assets.plates.timelapses.outlines import Outlines

LABELS = arrays.arrays(np.int32, (6, 7), elements=st.integers(0, 3))


@given(LABELS, LABELS)
def test_pairs_are_those_whose_overlap_is_half_of_their_union_and_no_cell_has_two(ours, theirs):
    found, drawn = Outlines.from_labels(ours), Outlines.from_labels(theirs)
    a, b, share = match_cells(found, drawn)
    truth = {
        (m, n): ((ours == m) & (theirs == n)).sum() / ((ours == m) | (theirs == n)).sum()
        for m in found.names
        for n in drawn.names
    }
    pairs = list(zip(found.names[a], drawn.names[b], strict=True))
    assert [truth[pair] for pair in pairs] == pytest.approx(share.tolist())
    assert {pair for pair, overlap in truth.items() if overlap > 0.5} <= set(pairs)
    assert len(set(a)) == len(a) and len(set(b)) == len(b) and (share >= 0.5).all()


def masks(frame, labels, edge=()):
    outlines = Outlines.from_labels(labels)
    return pl.DataFrame({"frame": pl.Series([frame] * len(outlines), dtype=pl.Int32), "cell": outlines.names}).with_columns(
        outlines.run_lists(),
        total=pl.Series(outlines.areas() * np.where(outlines.names % 5 == 1, 3.0, 2.0)),
        at_edge=pl.col("cell").is_in(list(edge)),
    )


def test_cells_are_counted_and_weighed():
    drawn = np.zeros((12, 30), int)
    drawn[2:6, 2:6], drawn[2:6, 10:14], drawn[7:11, 2:6] = 1, 2, 3
    ours = np.zeros((12, 30), int)
    ours[2:6, 2:6], ours[2:6, 11:15], ours[7:9, 20:22], ours[0:2, 0:1] = 5, 6, 7, 8
    found, theirs = masks(0, ours, edge=[8]), masks(0, drawn)
    pairs = matched(found, theirs, (12, 30))
    assert pairs.select("cell", "drawn").rows() == [(5, 1), (6, 2)] and pairs["iou"].to_list() == pytest.approx([1, 0.6])
    figures = cell_agreement(found, theirs, pairs)
    assert figures["precision"] == figures["recall"] == figures["F1"] == pytest.approx(2 / 3)
    assert figures["precision with the border"] == 0.5 and figures["mean IoU"] == pytest.approx(0.8)
    assert figures["mass slope"] == pytest.approx((32 * 48 + 48 * 32) / (48**2 + 32**2))


def tracks(**names):
    """A row for each cell: its number, and its frames as a text of one letter for each track it is in, or a space."""
    rows = [
        (frame, cell, track) for cell, name in enumerate(names.values()) for frame, track in enumerate(name) if track != " "
    ]
    table = pl.DataFrame(rows, schema={"frame": pl.Int32, "cell": pl.Int64, "track_id": pl.String}, orient="row")
    return table.with_columns(at_edge=pl.lit(False))


def same(cells):
    return cells.select("frame", "cell", drawn="cell")


def test_the_same_tracks_agree_in_everything():
    both = tracks(a="aaaaaa", b=" bbbb ", c="  cc  ")
    figures = track_agreement(both, both, same(both))
    for name in ("links precision", "links recall", "links F1", "identity F1", "mostly tracked", "complete"):
        assert figures[name] == 1.0, name
    assert figures["switches per 100 links"] == 0.0 and figures["links drawn"] == 9 and figures["tracks"] == 3


def test_an_exchange_of_two_tracks_is_two_wrong_links_and_two_switches():
    drawn, found = tracks(a="aaaaaaaaaa", b="bbbbbbbbbb"), tracks(a="aaaaabbbbb", b="bbbbbaaaaa")
    figures = track_agreement(found, drawn, same(drawn))
    assert figures["links precision"] == figures["links recall"] == figures["links F1"] == pytest.approx(16 / 18)
    assert figures["switches per 100 links"] == pytest.approx(100 * 2 / 18)
    assert figures["mostly tracked"] == figures["complete"] == 0.0 and figures["identity F1"] == 0.5


def test_a_track_that_goes_on_where_the_drawn_one_breaks_contradicts_nothing():
    drawn, found = tracks(a="aaaac", b="bbbb "), tracks(a="aaaaa", b="bbbb ")
    figures = track_agreement(found, drawn, same(drawn))
    assert figures["links precision"] == figures["links recall"] == 1.0
    assert figures["links precision, breaks counted"] == pytest.approx(6 / 7)
    assert figures["complete"] == 1.0 and figures["identity F1"] == pytest.approx(2 * 8 / 18)


def test_cells_that_were_missed_are_links_and_tracks_that_were_missed():
    drawn = tracks(a="aaaaaaaaaa", b="bbbbbbbbbb")
    found = drawn.filter((pl.col("track_id") == "a") & (pl.col("frame") != 4))
    figures = track_agreement(found, drawn, same(found))
    assert figures["links recall"] == pytest.approx(7 / 18) and figures["links precision"] == 1.0
    assert figures["mostly tracked"] == 0.5 and figures["complete"] == 0.0
