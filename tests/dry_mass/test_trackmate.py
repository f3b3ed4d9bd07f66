"""TrackMate's files: splits are divisions, merges are ends, gaps stay gaps, and the mass is what was asked for."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upath import UPath

from plate_assets.dry_mass.series import lineage_series
from plate_assets.dry_mass.simulate import CultureSettings, simulate_culture
from plate_assets.dry_mass.tables import CELL_TRACKS
from plate_assets.dry_mass.track_tables import TrackFile, TrackTable, TrackTableError
from plate_assets.dry_mass.trackmate import (
    MERGED,
    MERGES,
    TrackMateOptions,
    TrackMateXml,
    is_trackmate_csv,
    read_trackmate_csv,
)
from plate_assets.plates.acquisition import AcquisitionError
from plate_assets.plates.readers.vendor_xml import walk

STEMS = ("with_gap_closing", "with_merging", "with_splitting", "with_splitting_merging", "without_gap_closing")
OPTIONS = TrackMateOptions("time-lapse", interval_min=10)
NO_MASS = TrackMateOptions("time-lapse", mass_from="none", interval_min=10)
LINKS = ["track_id", "parent_id", "frame", "x_um", "y_um"]


def read_xml(path: Path, options: TrackMateOptions = OPTIONS) -> TrackTable:
    target = TrackMateXml(path.name, options)
    walk(UPath(path), target)
    return target.tracks()


def spots(*rows: str, header: str = "ID,FRAME,POSITION_X,POSITION_Y,TOTAL_INTENSITY_CH1") -> TrackFile:
    return TrackFile("spots.csv", "\n".join([header, *rows, ""]).encode())


def edges(*rows: str) -> TrackFile:
    return TrackFile("edges.csv", "\n".join(["SPOT_SOURCE_ID,SPOT_TARGET_ID", *rows, ""]).encode())


def shape(table: TrackTable) -> list[tuple]:
    """Each track with its mother's, first and last frame and remarks."""
    grouped = table.tracks.group_by("track_id", "parent_id", maintain_order=True).agg(
        pl.col("frame").min(), last=pl.col("frame").max(), why=pl.col("reasons").filter(pl.col("reasons") != "")
    )
    return [(*row[:4], tuple(row[4])) for row in grouped.rows()]


@pytest.fixture(scope="module")
def folder(real_data) -> Path:
    return real_data / "laptrack-trackmate-tables/tests/data"


@pytest.mark.parametrize("stem", STEMS)
def test_real_files_have_as_many_divisions_merges_and_gaps_as_trackmate_counted(folder, stem):
    path = folder / f"trackmate_tracks_{stem}.xml"
    found = read_xml(path)
    counted = {
        name: sum(map(int, re.findall(rf'<Track [^>]*{name}="(\d+)"', path.read_text())))
        for name in ("NUMBER_SPOTS", "NUMBER_SPLITS", "NUMBER_MERGES", "NUMBER_GAPS")
    }
    tracks = found.tracks
    assert CELL_TRACKS.check(tracks).height == counted["NUMBER_SPOTS"]
    assert tracks["parent_id"].drop_nulls().n_unique() == counted["NUMBER_SPLITS"]
    assert tracks.filter(pl.col("reasons").str.contains(MERGED))["track_id"].n_unique() == counted["NUMBER_MERGES"]
    steps = tracks.select(pl.col("frame").diff().over("track_id")).to_series().drop_nulls()
    assert int((steps > 1).sum()) == counted["NUMBER_GAPS"]
    gaps = lineage_series(tracks).table["gap"]
    assert int(gaps.sum()) == counted["NUMBER_GAPS"]  # one frame each
    assert "the mass is TOTAL_INTENSITY without a factor: relative" in found.remarks
    assert tracks["unit"].unique().to_list() == ["relative"] and tracks["dry_mass"].null_count() == 0


@pytest.mark.parametrize("stem", STEMS)
def test_real_csv_tables_give_the_tracks_of_the_xml(folder, stem):
    def file(part: str) -> TrackFile:
        path = folder / f"trackmate_tracks_{stem}{part}.csv"
        return TrackFile(path.name, path.read_bytes())

    from_xml = read_xml(folder / f"trackmate_tracks_{stem}.xml")
    tables = read_trackmate_csv([file("_edges"), file("_spots")], NO_MASS)
    assert tables.tracks.select(LINKS).equals(from_xml.tracks.select(LINKS))
    assert tables.tracks["dry_mass"].null_count() == tables.tracks.height
    # Edges with both their ends say it all; cells that begin in one frame may have other numbers.
    ends = read_trackmate_csv([file("")], NO_MASS).tracks.with_columns(mother=pl.col("parent_id"))
    spots = pl.col("frame", "x_um", "y_um")
    assert ends.select(spots).sort("frame", "x_um").equals(from_xml.tracks.select(spots).sort("frame", "x_um"))
    sizes = [t.group_by("track_id").len()["len"].sort().to_list() for t in (ends, from_xml.tracks)]
    assert sizes[0] == sizes[1]


def test_the_real_splitting_and_merging_timelapse_becomes_nine_cells(folder):
    found = read_xml(folder / "trackmate_tracks_with_splitting_merging.xml")
    assert shape(found) == [
        (0, None, 0, 49, ()),
        (1, None, 0, 49, ()),
        (2, None, 0, 8, ()),
        (3, 2, 9, 25, (MERGES,)),
        (4, 2, 9, 15, ()),
        (5, 4, 16, 25, (MERGES,)),
        (6, 4, 16, 29, ()),
        (7, None, 26, 41, (MERGED,)),
        (8, None, 39, 49, ()),
    ]


@pytest.mark.parametrize("name", ["tests/data/test_spots.csv", "docs/examples/sample_data.csv"])
def test_real_tables_of_points_without_tracks_are_told_from_tracks(real_data, name):
    path = real_data / "laptrack-trackmate-tables" / name
    file = TrackFile(path.name, path.read_bytes())
    assert not is_trackmate_csv(file)
    with pytest.raises(TrackTableError, match=f"{path.name} has the columns .* ID and FRAME"):
        read_trackmate_csv([file], NO_MASS)


FULL = "LABEL,ID,TRACK_ID,POSITION_X,POSITION_Y,POSITION_T,FRAME,AREA,MEAN_INTENSITY_CH1,MEAN_INTENSITY_CH2,TOTAL_INTENSITY_CH1"
FULL_NAMES = "Label,Spot ID,Track ID,X,Y,T,Frame,Area,Mean intensity ch1,Mean intensity ch2,Sum intensity ch1"
FULL_UNITS = ",,,(micron),(micron),(min),,(micron^2),(counts),(counts),(counts)"
FULL_ROWS = ("ID5,5,0,10,20,0,0,50,2,9,400", "ID6,6,0,11,20,6,1,52,2.5,9,500", "ID9,9,,70,20,6,1,52,2.5,9,500")


def full(units: str = FULL_UNITS) -> TrackFile:
    return spots(FULL_NAMES, FULL_NAMES, units, *FULL_ROWS, header=FULL)


def test_the_lines_of_names_and_units_are_read_and_units_taken():
    found = read_trackmate_csv([full()], TrackMateOptions("time-lapse", pg_per_unit=0.5))
    rows = found.tracks.select("time_h", "x_um", "area_um2", "dry_mass", "unit").rows()
    assert rows == [(0.0, 10.0, 50.0, 200.0, "pg"), (0.1, 11.0, 52.0, 250.0, "pg")]
    assert found.remarks == (
        "the mass is TOTAL_INTENSITY_CH1 × 0.5 pg",
        "the time is POSITION_T in min",
        "lengths are in micron",
        "1 spots are in no track, and are left out",
    )
    assert is_trackmate_csv(full())


@pytest.mark.parametrize(("channel", "masses"), [(1, [100.0, 130.0]), (2, [450.0, 468.0])])
def test_the_mass_may_be_the_mean_times_the_area_of_any_channel(channel, masses):
    options = TrackMateOptions("time-lapse", mass_from="mean_intensity_area", channel=channel)
    found = read_trackmate_csv([full()], options)
    assert found.tracks["dry_mass"].to_list() == masses and found.tracks["unit"].unique().to_list() == ["relative"]
    assert found.remarks[0] == f"the mass is MEAN_INTENSITY_CH{channel} × AREA without a factor: relative"


@pytest.mark.parametrize(
    ("unit", "um_per_px", "expected"), [("nm", None, 0.01), ("pixel", None, 10), ("pixel", 0.65, 6.5), ("inch", 2.0, 20)]
)
def test_lengths_are_micrometres_wherever_that_can_be_known(unit, um_per_px, expected):
    found = read_trackmate_csv([full(FULL_UNITS.replace("micron", unit))], TrackMateOptions("time-lapse", um_per_px=um_per_px))
    assert found.tracks["x_um"][0] == pytest.approx(expected)
    assert found.tracks["area_um2"][0] == pytest.approx(50 * (expected / 10) ** 2)


def test_the_interval_that_was_given_goes_before_the_files_time():
    found = read_trackmate_csv([full()], TrackMateOptions("time-lapse", interval_min=20))
    assert found.tracks["time_h"].to_list() == pytest.approx([0, 1 / 3])
    assert "the time is the frame × 20 min, as given" in found.remarks


@pytest.mark.parametrize("unit", ["frame", "", "fortnight"])
def test_a_time_without_a_unit_is_an_error(unit):
    with pytest.raises(TrackTableError, match="spots.csv does not tell the hours .* set the interval between frames"):
        read_trackmate_csv([full(FULL_UNITS.replace("(min)", f"({unit})"))], TrackMateOptions("time-lapse"))


def test_a_length_in_an_unknown_unit_is_an_error():
    with pytest.raises(TrackTableError, match="lengths in 'inch': set the pixel size"):
        read_trackmate_csv([full(FULL_UNITS.replace("micron", "inch"))], TrackMateOptions("time-lapse"))


@pytest.mark.parametrize(
    ("options", "absent"),
    [
        (TrackMateOptions("time-lapse", channel=2), "TOTAL_INTENSITY_CH2 or TOTAL_INTENSITY02"),
        (TrackMateOptions("time-lapse", mass_from="mean_intensity_area", channel=3), "MEAN_INTENSITY_CH3"),
    ],
)
def test_an_intensity_that_is_not_there_is_an_error_and_never_an_empty_series(options, absent):
    with pytest.raises(TrackTableError, match=f"spots.csv has no {absent}.*compute it in TrackMate"):
        read_trackmate_csv([full()], options)
    with pytest.raises(TrackTableError, match="has no AREA"):
        bare = [spots("1,0,2,0,0", "2,1,2,0,0", header="ID,FRAME,MEAN_INTENSITY,POSITION_X,POSITION_Y"), edges("1,2")]
        read_trackmate_csv(bare, TrackMateOptions("time-lapse", mass_from="mean_intensity_area", interval_min=10))


def test_a_split_and_a_merge_at_one_spot_and_edges_written_backwards():
    """2 divides into 3 and 4; 4 and 5 merge into 6; the edge 3-7 stands backwards."""
    found = read_trackmate_csv(
        [spots("1,0,0,0,9", "5,0,0,0,9", "2,1,0,0,9", "3,2,0,0,9", "4,2,0,0,9", "6,3,0,0,9", "7,3,0,0,9"),
         edges("1,2", "2,3", "2,4", "4,6", "5,6", "7,3")], OPTIONS,
    )  # fmt: skip
    assert shape(found) == [
        (0, None, 0, 1, ()),
        (1, None, 0, 0, (MERGES,)),
        (2, 0, 2, 3, ()),
        (3, 0, 2, 2, (MERGES,)),
        (4, None, 3, 3, (MERGED,)),
    ]


def test_masses_that_cannot_be_are_emptied_and_told():
    found = read_trackmate_csv([spots("1,0,0,0,NaN", "2,1,0,0,-4", "3,2,0,0,7"), edges("1,2", "2,3")], OPTIONS)
    assert found.tracks["dry_mass"].to_list() == [None, None, 7]
    assert found.tracks["reasons"].to_list() == ["the mass is no finite number", "a mass below zero", ""]


SPOTS = ("1,0,0,0,9", "2,1,0,0,9", "3,1,0,0,9")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            [spots(*SPOTS), edges("1,8")],
            r"line 2 of the edges: the edge from spot 1 to 8 names a spot that is not in the table",
        ),
        ([spots(*SPOTS), edges("1,2", "2,3")], r"line 3 of the edges: .* links two spots of frame 1"),
        ([spots(*SPOTS, "2,2,0,0,9"), edges("1,2")], r"spots.csv, line \d: spot 2 is there twice"),
        ([spots(*SPOTS, "4,1.5,0,0,9"), edges("1,2")], r"spots.csv, line 5: spot 4 has the frame '1.5': whole numbers from 0"),
        ([spots(*SPOTS, "4,-1,0,0,9"), edges("1,2")], r"line 5: spot 4 has the frame '-1'"),
        ([spots(*SPOTS, ",1,0,0,9"), edges("1,2")], r"line 5: spot None has no ID"),
        ([spots(*SPOTS, "4,1,0,0,much"), edges("1,2")], r"line 5: spot 4: 'much' in 'TOTAL_INTENSITY_CH1' is no number"),
        ([spots(*SPOTS)], r"spots.csv has spots without tracks: give TrackMate's table of edges"),
        ([edges("1,2")], r"edges.csv has edges without frames and positions: give TrackMate's table of spots"),
        ([spots(*SPOTS), spots(*SPOTS)], r"both tables of spots"),
        ([], r"no file was given"),
        ([spots(), edges("1,2")], r"spots.csv has a line of names and no rows"),
        ([spots(FULL_NAMES, FULL_NAMES, FULL_UNITS, header=FULL)], r"lines of names and no rows"),
        ([TrackFile("e.csv", b"")], r"e.csv is empty"),
    ],
)
def test_tables_that_cannot_be_trusted_are_errors(files, message):
    with pytest.raises(TrackTableError, match=message):
        read_trackmate_csv(files, OPTIONS)


def test_a_doubled_edge_is_no_division():
    assert shape(read_trackmate_csv([spots(*SPOTS), edges("1,2", "1,2", "2,1")], OPTIONS)) == [(0, None, 0, 1, ())]


def test_a_track_of_spots_alone_may_not_split():
    header = "ID,FRAME,TRACK_ID,POSITION_X,POSITION_Y,TOTAL_INTENSITY_CH1"
    found = read_trackmate_csv([spots("1,0,4,0,0,9", "2,1,4,0,0,9", "3,1,None,0,0,9", header=header)], OPTIONS)
    assert shape(found) == [(0, None, 0, 1, ())]
    with pytest.raises(TrackTableError, match="line 3: track 4 has two spots in frame 1, so it splits or merges: give"):
        read_trackmate_csv([spots("1,0,4,0,0,9", "2,1,4,0,0,9", "3,1,4,0,0,9", header=header)], OPTIONS)


@pytest.mark.parametrize(
    ("times", "fails"),
    [("0 600 1200", False), ("0 600 600", True), ("600 0 1200", True), ("-600 0 600", True), ("0 600 1e9", True)],
)
def test_a_time_that_does_not_go_on_is_an_error(tmp_path, times, fails):
    found = tuple(float(time) for time in times.split())
    path = xml(tmp_path, [(str(n), n, time, 5.0) for n, time in enumerate(found)], [("0", "1"), ("1", "2")])
    if fails:
        with pytest.raises(
            TrackTableError, match=r"made.xml: spot \d.*(the time does not go on|hours from 0 to 10,000).*set the interval"
        ):
            read_xml(path, TrackMateOptions("time-lapse"))
    else:
        assert read_xml(path, TrackMateOptions("time-lapse")).tracks["time_h"].to_list() == pytest.approx([0, 1 / 6, 1 / 3])


def xml(folder: Path, spots: list[tuple], links: list[tuple[str, str]], kept: str = "0", **units) -> Path:
    """A TrackMate file of one track, `0`; spots: id, frame, time, total intensity."""
    unit = {"spatialunits": "pixel", "timeunits": "sec"} | units
    rows = "".join(
        f'<Spot ID="{name}" FRAME="{frame}" POSITION_T="{time}" POSITION_X="1" POSITION_Y="2" TOTAL_INTENSITY_CH1="{mass}" '
        f'ROI_N_POINTS="3">1 2 3 4 5 6</Spot>'
        for name, frame, time, mass in spots
    )
    linked = "".join(f'<Edge SPOT_SOURCE_ID="{a}" SPOT_TARGET_ID="{b}" />' for a, b in links)
    filtered = "".join(f'<TrackID TRACK_ID="{name}" />' for name in kept.split())
    path = folder / "made.xml"
    path.write_text(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<TrackMate version="7.11.1"><Log>a &lt; b</Log>'
        f'<Model spatialunits="{unit["spatialunits"]}" timeunits="{unit["timeunits"]}"><AllSpots><SpotsInFrame frame="0">{rows}'
        f'</SpotsInFrame></AllSpots><AllTracks><Track TRACK_ID="0">{linked}</Track></AllTracks>'
        f"<FilteredTracks>{filtered}</FilteredTracks></Model></TrackMate>"
    )
    return path


def test_tracks_that_trackmates_filters_dropped_are_left_out_and_told(tmp_path):
    path = xml(tmp_path, [("0", 0, 0, 5), ("1", 1, 600, 5)], [("0", "1")], kept="1 2")
    with pytest.raises(TrackTableError, match="made.xml has no track: run the tracking"):
        read_xml(path)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("<Other><Spot ID='1'/></Other>", TrackTableError, "is no TrackMate file"),
        ("<TrackMate><Model/></TrackMate>", TrackTableError, "has no spots: run the detection"),
        ("<TrackMate><Model><AllSpots><Spot ID='1'", AcquisitionError, "is no whole XML"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><TrackMate/>", AcquisitionError, "declares a document type"),
    ],
)
def test_what_is_no_whole_trackmate_file_is_told(tmp_path, text, error, message):
    path = tmp_path / "made.xml"
    path.write_text(text)
    with pytest.raises(error, match=f"made.xml.*{message}"):
        read_xml(path)


def test_a_text_where_a_number_belongs_is_told_by_the_spot_where_lines_are_not_known(tmp_path):
    path = xml(tmp_path, [("a7", 0, 0, 5), ("b8", 1, 600, "much")], [("a7", "b8")])
    with pytest.raises(TrackTableError, match="made.xml: spot b8: 'much' in 'TOTAL_INTENSITY_CH1' is no number"):
        read_xml(path)


cell_texts = st.sampled_from(["", "0", "1", "2", "3", "-1", "2.5", "nan", "1e400", "a", "9,5", "\x00", "ID"])


@settings(max_examples=60)
@given(st.lists(st.tuples(*[cell_texts] * 5), max_size=5), st.lists(st.tuples(cell_texts, cell_texts), max_size=5))
def test_any_tables_are_tracks_or_an_error_of_ours(rows, links):
    files = [
        spots(*(",".join(f'"{text}"' for text in row) for row in rows)),
        edges(*(",".join(map(repr, row)) for row in links)),
    ]
    links_read = TrackFile("edges.csv", files[1].content.replace(b"'", b'"'))
    try:
        tracks = read_trackmate_csv([files[0], links_read], OPTIONS).tracks
    except TrackTableError as error:
        assert "s.csv" in str(error)
    else:
        assert CELL_TRACKS.check(tracks).height >= 2
        assert set(tracks["dry_mass"].drop_nulls()) <= {1.0, 2.0, 3.0, 2.5}


@pytest.mark.parametrize("option", [{"mass_from": "weight"}, {"pg_per_unit": 0}, {"interval_min": -1}, {"channel": 0}])
def test_options_are_checked(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        TrackMateOptions("time-lapse", **option)


@settings(max_examples=10)
@given(st.integers(0, 200), st.booleans())
def test_a_culture_through_trackmates_tables_is_the_same_but_for_its_numbers(seed, gaps):
    kinds = ("gap", "three_daughters") if gaps else ()
    share = 0.25 if gaps else 0.0
    made = simulate_culture(
        CultureSettings(founders=4, hours=40, biological=share, acquisition=share, kinds=kinds, noise_pg=5, seed=seed)
    ).tracks
    rng = np.random.default_rng(seed)
    made = made.with_columns(id=pl.Series(rng.permutation(made.height) + 10))
    within = made.with_columns(a=pl.col("id"), b=pl.col("id").shift(-1).over("track_id")).drop_nulls("b")
    last = made.group_by("track_id").agg(a=pl.col("id").last())
    births = made.group_by("track_id").agg(pl.col("parent_id").first(), b=pl.col("id").first()).drop_nulls("parent_id")
    births = births.join(last, left_on="parent_id", right_on="track_id")
    links = pl.concat([within.select("a", "b"), births.select("a", "b")]).sample(fraction=1, shuffle=True, seed=seed)
    spots = made.select(ID="id", FRAME="frame", POSITION_X="x_um", POSITION_Y="y_um", TOTAL_INTENSITY="dry_mass")
    read = read_trackmate_csv(
        [
            TrackFile("spots.csv", spots.sample(fraction=1, shuffle=True, seed=seed).write_csv().encode()),
            TrackFile("edges.csv", links.rename({"a": "SPOT_SOURCE_ID", "b": "SPOT_TARGET_ID"}).write_csv().encode()),
        ],
        TrackMateOptions("simulated", pg_per_unit=1.0, interval_min=10),
    ).tracks
    both = made.join(read, on=["frame", "x_um", "y_um"], how="full", suffix="_read", validate="1:1")
    assert both.height == made.height
    assert (both["dry_mass"] == both["dry_mass_read"]).all()
    # A division into one daughter is no division; in the time-lapse a sister may be lost, so that cells are told by mothers of
    # two.
    names = both.select("track_id", "track_id_read").unique()
    children = made.group_by("track_id").agg(pl.col("parent_id").first())["parent_id"].drop_nulls().value_counts()
    if (children["count"] > 1).all():
        assert names.height == made["track_id"].n_unique() == read["track_id"].n_unique()
        renamed = dict(names.iter_rows())
        mothers = both.select("parent_id", "parent_id_read").unique().drop_nulls("parent_id")
        assert all(renamed[mother] == found for mother, found in mothers.iter_rows())
