"""Cells linked from frame to frame: gaps, divisions, merges, torn pieces, and cells that meet and part."""

import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plate_assets.dry_mass.link_settings import LinkSettings
from plate_assets.dry_mass.tables import CELL_TRACKS
from plate_assets.dry_mass.tracking import TrackingError, follow_names, link_cells, track_table, with_lineages

HOURS = np.arange(60) / 6
AREA = 400.0


def cell(x, y, frames, mass=300.0, speed=(0.0, 0.0), area=AREA):
    """Rows of one cell: it starts at (x, y) and moves by `speed` µm a frame."""
    frames = np.asarray(frames)
    return pl.DataFrame({
        "frame": frames.astype(np.int32), "x_um": x + speed[0] * np.arange(1.0 * len(frames)),
        "y_um": y + speed[1] * np.arange(1.0 * len(frames)), "area_um2": np.full(len(frames), area),
        "dry_mass": np.broadcast_to(np.asarray(mass, float), len(frames)),
    })  # fmt: skip


def timelapse(*cells, seed=0, jitter=0.4):
    """Rows of several cells with `truth`, the number of the cell, shuffled; centres jitter and masses have 3 % of noise."""
    rows = pl.concat([one.with_columns(truth=pl.lit(number)) for number, one in enumerate(cells)])
    random = np.random.default_rng(seed)
    shaken = rows.with_columns(
        *(pl.col(name) + pl.Series(random.normal(0, jitter, rows.height)) for name in ("x_um", "y_um")),
        pl.col("dry_mass") * pl.Series(random.normal(1, 0.03, rows.height)),
    )
    return shaken.sample(fraction=1.0, shuffle=True, seed=seed)


def tracks_of(linked):
    """truth -> its tracks, in time."""
    return {
        number: rows.sort("frame")["track_id"].unique(maintain_order=True).to_list()
        for (number,), rows in linked.group_by("truth", maintain_order=False)
    }


def mothers_of(linked):
    return dict(linked.select("track_id", "parent_id").unique().iter_rows())


ALL = range(60)


def test_moving_cells_keep_their_tracks_and_rows_their_order():
    given_timelapse = timelapse(
        cell(20, 20, ALL, speed=(1.5, 0.4)), cell(120, 60, ALL, speed=(-1.5, 0)), cell(60, 200, range(10, 50))
    )
    linked = link_cells(given_timelapse, HOURS)
    assert linked.select(given_timelapse.columns).equals(given_timelapse)
    assert sorted(tracks_of(linked).values()) == [[0], [1], [2]]
    assert linked["parent_id"].null_count() == linked.height and (linked["event"] == "").all()
    assert (linked["lineage_id"] == linked["track_id"]).all()


def test_a_cell_that_is_lost_for_an_hour_is_the_same_and_for_longer_another():
    for lost, count in ((5, 1), (9, 2)):
        frames = [frame for frame in ALL if not 20 <= frame < 20 + lost]
        assert link_cells(timelapse(cell(50, 50, frames)), HOURS)["track_id"].n_unique() == count
    frames = [frame for frame in ALL if not 20 <= frame < 29]
    assert link_cells(timelapse(cell(50, 50, frames)), HOURS, LinkSettings(gap_h=2))["track_id"].n_unique() == 1


def division(shares=(0.5, 0.5), at=30, end=60, apart=12.0):
    """A mother, and a daughter for each share of her mass, side by side."""
    mother = cell(100, 100, range(at), mass=np.linspace(300, 600, at))
    places = apart * (np.arange(len(shares)) - (len(shares) - 1) / 2)
    return [mother] + [
        cell(100 + place, 100, range(at, end), 600 * share, (0.2 * np.sign(place), 0))
        for place, share in zip(places, shares, strict=True)
    ]


def test_a_cell_that_halves_is_the_mother_of_two():
    linked = link_cells(timelapse(*division()), HOURS)
    tracks, mothers = tracks_of(linked), mothers_of(linked)
    assert [len(found) for found in tracks.values()] == [1, 1, 1] and linked["track_id"].n_unique() == 3
    assert [mothers[tracks[number][0]] for number in range(3)] == [None, tracks[0][0], tracks[0][0]]
    assert linked["lineage_id"].unique().to_list() == tracks[0]


def test_daughters_have_daughters_of_the_same_lineage():
    first = division(at=20)
    first[1] = first[1].filter(pl.col("frame") < 40)
    grand = [cell(90 + side, 100, range(40, 60), 150.0, (0, 0.05 * side)) for side in (-7, 7)]
    linked = link_cells(timelapse(*first, *grand), HOURS)
    tracks, mothers = tracks_of(linked), mothers_of(linked)
    assert linked["track_id"].n_unique() == 5 and linked["lineage_id"].n_unique() == 1
    assert mothers[tracks[3][0]] == mothers[tracks[4][0]] == tracks[1][0] and mothers[tracks[1][0]] == tracks[0][0]


def test_a_division_into_three_is_found():
    linked = link_cells(timelapse(*division((1 / 3, 1 / 3, 1 / 3))), HOURS, LinkSettings(reach_um=20))
    mothers = mothers_of(linked)
    assert list(mothers.values()).count(tracks_of(linked)[0][0]) == 3


@pytest.mark.parametrize(
    ("shares", "why"), [((0.9, 0.9), "mass not conserved"), ((0.92, 0.08), "a fragment"), ((0.3, 0.2), "half of it gone")]
)
def test_a_split_that_does_not_halve_the_mass_is_no_division(shares, why):
    linked = link_cells(timelapse(*division(shares)), HOURS)
    assert linked["parent_id"].null_count() == linked.height, why


def test_daughters_must_last_but_not_beyond_the_timelapse():
    brief = division()
    brief[2] = brief[2].filter(pl.col("frame") < 33)
    assert link_cells(timelapse(*brief), HOURS)["parent_id"].null_count() == 33 + 30
    late = division(at=57)
    assert link_cells(timelapse(*late), HOURS)["parent_id"].drop_nulls().len() == 6


def test_divisions_are_not_looked_for_where_nobody_wants_them():
    assert link_cells(timelapse(*division()), HOURS, LinkSettings(divisions=False))["parent_id"].null_count() == 90


def test_a_piece_that_is_torn_off_and_comes_back_is_the_cell_itself():
    whole = np.full(60, 400.0)
    whole[30:33] = 240
    torn = timelapse(cell(50, 50, ALL, whole), cell(58, 50, range(30, 33), 160.0))
    linked = link_cells(torn, HOURS)
    assert linked["track_id"].n_unique() == 1 and linked["parent_id"].null_count() == linked.height
    assert linked.filter(truth=1)["event"].to_list() == ["piece"] * 3
    table = track_table(linked.with_columns(unit=pl.lit("pg"), at_edge=False, saturated=False, reasons=pl.lit("")), HOURS, "t")
    assert table.height == 60 and table["dry_mass"].to_list() == pytest.approx([400] * 60, rel=0.12)
    assert table.filter(pl.col("reasons") != "")["frame"].to_list() == [30, 31, 32]
    assert table["area_um2"][31] == 2 * AREA and table["x_um"][31] == pytest.approx(53.2, abs=1.5)


@pytest.mark.parametrize("followed", [-6.0, 6.0])
def test_a_cell_torn_in_two_for_a_frame_is_one_cell_whichever_half_was_followed(followed):
    """The whole comes back nearer to the half that was not followed: links lead into one half, and out of the other."""
    whole = [cell(50, 50, range(30), 600.0), cell(50 - 0.7 * followed, 50, range(31, 60), 600.0)]
    halves = [cell(50 + followed, 50, [30], 300.0), cell(50 - 2 * followed, 50, [30], 300.0)]
    linked = link_cells(timelapse(*whole, *halves), HOURS)
    assert linked["track_id"].n_unique() == 1 and linked["parent_id"].null_count() == linked.height
    assert linked.filter(frame=30)["event"].to_list().count("piece") == 1


@pytest.mark.parametrize("masses", [(300.0, 300.0), (250.0, 420.0), (420.0, 250.0)])
def test_two_cells_that_touch_for_a_moment_go_on_where_they_came_from(masses):
    """Merged for three frames, first nearer to the one and then to the other; behind it each is where it was, with its mass."""
    first, second = masses
    apart = [cell(x, 50, frames, mass) for x, mass in ((44, first), (62, second)) for frames in (range(28), range(31, 60))]
    linked = link_cells(timelapse(*apart, cell(50, 50, range(28, 31), first + second, (3, 0))), HOURS)
    tracks = tracks_of(linked)
    assert tracks[0] == tracks[1] != tracks[2] == tracks[3] and linked["track_id"].n_unique() == 2
    assert linked["parent_id"].null_count() == linked.height


def test_two_cells_that_merge_and_part_again_are_the_same_two():
    mass = np.full(60, 300.0)
    mass[20:40] = 600
    second = [cell(75, 50, range(20), 280.0, (-0.7, 0)), cell(61.7, 50, range(40, 60), 280.0, (0.7, 0))]
    linked = link_cells(timelapse(cell(50, 50, ALL, mass), *second), HOURS)
    tracks = tracks_of(linked)
    assert tracks[1] == tracks[2] != tracks[0] and linked["parent_id"].null_count() == linked.height
    held = linked.filter(pl.col("event").str.starts_with("holds track"))
    assert set(range(21, 39)) <= set(held["frame"].to_list()) and held["track_id"].unique().to_list() == tracks[0]
    assert linked.filter(pl.col("event").str.starts_with("merges into"))["frame"].to_list() == [19]


def test_a_cell_that_merges_for_good_ends_and_it_is_said():
    mass = np.full(60, 300.0)
    mass[20:] = 580
    linked = link_cells(timelapse(cell(50, 50, ALL, mass), cell(75, 50, range(20), 280.0, (-0.7, 0))), HOURS)
    tracks = tracks_of(linked)
    assert len(tracks[0]) == len(tracks[1]) == 1
    last = linked.filter(truth=1).sort("frame")["event"].to_list()
    assert last == [""] * 19 + [f"merges into track {tracks[0][0]}"]
    alone = link_cells(
        timelapse(cell(50, 50, ALL, mass), cell(75, 50, range(20), 280.0, (-0.7, 0))), HOURS, LinkSettings(merges=False)
    )
    assert (alone["event"] == "").all()


@settings(max_examples=8)
@given(st.integers(0, 10**6), st.floats(-1e4, 1e4), st.floats(0.05, 20))
def test_place_scale_and_order_of_rows_change_no_track(seed, shift, scale):
    rows = timelapse(*division(), cell(30, 40, ALL, speed=(1, 1)), cell(200, 90, range(5, 40), speed=(-1, 0.5)))
    moved = rows.with_columns(
        pl.col("x_um") * scale + shift,
        pl.col("y_um") * scale - shift,
        pl.col("area_um2") * scale**2,
        pl.col("dry_mass") * scale,
    ).sample(fraction=1.0, shuffle=True, seed=seed)
    key = ["truth", "frame"]
    before, after = (link_cells(one, HOURS).sort(key).select("track_id", "parent_id") for one in (rows, moved))
    assert before.equals(after)


def test_a_crowd_of_wanderers_is_followed():
    """Eighty cells that wander, 4 % of them missed in any frame: nearly all links are right, and no row is lost."""
    random = np.random.default_rng(3)
    start = random.uniform(0, 700, (80, 2))
    steps = np.cumsum(random.normal(0, 1.5, (80, 60, 2)), axis=1)
    cells = [
        cell(0, 0, ALL, 300 * random.uniform(0.6, 1.6)).with_columns(
            pl.Series("x_um", start[n, 0] + steps[n, :, 0]), pl.Series("y_um", start[n, 1] + steps[n, :, 1])
        )
        for n in range(80)
    ]
    rows = timelapse(*cells).sample(fraction=0.96, seed=1)
    linked = link_cells(rows, HOURS).sort("track_id", "frame")
    own = linked.filter(pl.col("event") != "piece")
    assert linked.height == rows.height and own.height > 0.998 * rows.height
    assert not own.select("track_id", "frame").is_duplicated().any()
    follows = linked.select(pl.col("truth") == pl.col("truth").shift(1).over("track_id")).to_series().drop_nulls()
    assert follows.mean() > 0.995  # pyright: ignore[reportOperatorIssue]
    assert linked["track_id"].n_unique() < 100


def test_cells_without_place_or_mass_are_tracks_of_their_own():
    rows = timelapse(cell(50, 50, ALL)).with_columns(
        dry_mass=pl.when(pl.col("frame") == 5).then(None).when(pl.col("frame") == 7).then(-3.0).otherwise("dry_mass")
    )
    linked = link_cells(rows, HOURS)
    assert linked.height == 60 and linked["track_id"].n_unique() == 3
    assert linked.filter(pl.col("frame").is_in([5, 7]))["track_id"].n_unique() == 2


def test_frames_far_apart_let_cells_move_farther():
    """At ten minutes a cell of 22.6 µm moves 19 µm at most, at half an hour more: by the square root of the time."""
    rows = timelapse(cell(50, 50, range(20), speed=(22, 0)), jitter=0.0)
    assert link_cells(rows, np.arange(20) / 6)["track_id"].n_unique() == 20
    assert link_cells(rows, np.arange(20) / 2)["track_id"].n_unique() == 1


def test_no_cell_and_one_frame_are_no_error():
    nothing = timelapse(cell(5, 5, [0])).clear()
    assert link_cells(nothing, HOURS).height == 0
    assert set(link_cells(nothing, HOURS).columns) >= {"track_id", "parent_id", "lineage_id", "event"}
    one = link_cells(timelapse(cell(5, 5, [0]), cell(90, 5, [0])), HOURS[:1])
    assert sorted(one["track_id"].to_list()) == [0, 1]
    late = link_cells(timelapse(cell(5, 5, range(30, 40))), HOURS)
    assert late["track_id"].unique().to_list() == [0]


def test_outlines_that_were_tracked_keep_their_identity():
    rows = timelapse(cell(50, 50, range(5, 9)), cell(400, 50, range(3))).with_columns(cell=pl.col("truth") * 100 + 7)
    followed = follow_names(rows)
    assert dict(followed.select("cell", "track_id").unique().iter_rows()) == {107: 0, 7: 1}
    assert followed["parent_id"].null_count() == followed.height and (followed["lineage_id"] == followed["track_id"]).all()


def test_the_table_is_cell_tracks():
    linked = link_cells(timelapse(*division()), HOURS)
    ready = linked.with_columns(unit=pl.lit("pg"), at_edge=pl.col("frame") == 4, saturated=pl.lit(False), reasons=pl.lit(""))
    table = track_table(ready, HOURS, "time-lapse", "B03")
    assert table.columns == [column.name for column in CELL_TRACKS.columns] and CELL_TRACKS.check(table).height == linked.height
    assert table["time_h"].to_list() == pytest.approx([HOURS[frame] for frame in table["frame"]])
    assert table.filter(pl.col("at_edge"))["frame"].unique().to_list() == [4]
    assert table["Metadata_Well"].unique().to_list() == ["B03"]


def test_an_ancestor_of_its_own_is_refused():
    rows = pl.DataFrame({"track_id": [1, 2, 3], "parent_id": [2, 1, None]})
    with pytest.raises(TrackingError, match="its own ancestor"):
        with_lineages(rows)


def test_times_that_do_not_rise_and_bad_settings_are_refused():
    with pytest.raises(TrackingError, match="do not rise"):
        link_cells(timelapse(cell(5, 5, range(3))), np.array([0.0, 0.2, 0.1]))
    with pytest.raises(ValueError, match="reach_um is 0"):
        LinkSettings(reach_um=0)
    with pytest.raises(ValueError, match="gap_h is -1"):
        LinkSettings(gap_h=-1)


def test_without_laptrack_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "laptrack", None)
    with pytest.raises(TrackingError, match=r"pip install 'plate-assets\[tracking\]'"):
        link_cells(timelapse(cell(5, 5, range(3))), HOURS)
