"""Tables of tracks made elsewhere: an error or a flagged row, never a wrong number."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plate_assets.dry_mass.series import lineage_series
from plate_assets.dry_mass.simulate import CultureSettings, simulate_culture
from plate_assets.dry_mass.tables import CELL_TRACKS
from plate_assets.dry_mass.track_tables import TrackFile, TrackTableError, frames_of, read_track_table

HEADER = "track_id,parent_id,time_h,dry_mass_pg"


def table(*lines: str, header: str = HEADER, encoding: str = "utf-8") -> TrackFile:
    return TrackFile("cells.csv", "\n".join([header, *lines, ""]).encode(encoding))


def read(*lines: str, header: str = HEADER) -> pl.DataFrame:
    return read_track_table(table(*lines, header=header), "time-lapse").tracks


FAMILY = ("m,,0,300", "m,,0.1667,310", "d1,m,0.3333,150", "d1,m,0.5,155", "d2,m,0.3333,160", "f,,0.5,99")


def test_a_family_comes_in_with_numbers_in_the_order_of_appearance():
    tracks = read(*FAMILY)
    assert CELL_TRACKS.check(tracks).height == 6
    assert tracks["track_id"].to_list() == [0, 0, 1, 1, 2, 3]
    assert tracks["parent_id"].to_list() == [None, None, 0, 0, 0, None]
    assert tracks["lineage_id"].to_list() == [0, 0, 0, 0, 0, 3]
    assert tracks["frame"].to_list() == [0, 1, 2, 3, 2, 3]
    assert tracks["dry_mass"].to_list() == [300, 310, 150, 155, 160, 99]
    assert tracks["unit"].unique().to_list() == ["pg"] and tracks["Metadata_Timelapse"].unique().to_list() == ["time-lapse"]
    assert (tracks["reasons"] == "").all()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separator_byte_order_mark_and_encoding_are_found_out(encoding, separator):
    lines = [line.replace(",", separator) for line in (HEADER + ",Note", *(f"{line},Zählung" for line in FAMILY))]
    found = read_track_table(TrackFile("cells.csv", "\r\n".join(lines).encode(encoding)), "time-lapse")
    assert found.tracks.equals(read(*FAMILY))
    assert found.remarks == ("the columns ['Note'] were not used",)


def test_relative_masses_are_never_pg():
    tracks = read("1,,0,3.5", header="track_id,parent_id,time_h,dry_mass_relative")
    assert tracks["unit"].to_list() == ["relative"] and tracks["dry_mass"].to_list() == [3.5]


def test_centre_area_and_well_are_kept_and_the_well_has_one_form():
    header = "Track_ID,Parent_ID,Time_h,X_um,Y_um,Area_um2,Well,Dry_mass_pg"
    tracks = read("1,,0,1.5,2.5,400,a1,300", "1,,0.2,1.6,2.6,0,A01,300", header=header)
    assert tracks.select("x_um", "y_um", "area_um2", "Metadata_Well").row(0) == (1.5, 2.5, 400.0, "A01")
    assert tracks["area_um2"][1] is None and "area" in tracks["reasons"][1] and tracks["dry_mass"][1] == 300


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("-3", "a mass below zero"),
        ("0", "a mass of zero"),
        ("", "no mass"),
        ("NaN", "the mass is no finite number"),
        ("inf", "the mass is no finite number"),
        ("N/A", "no mass"),
        ("None", "no mass"),
    ],
)
def test_a_mass_that_cannot_be_is_emptied_and_told_and_the_row_stays(written, reason):
    found = read_track_table(table("1,,0,300", f"1,,0.2,{written}", "1,,0.4,310"), "time-lapse")
    assert found.tracks["dry_mass"].to_list() == [300, None, 310]
    assert found.tracks["reasons"].to_list() == ["", reason, ""]
    assert found.remarks == (f"1 of 3 rows: {reason}",)


@pytest.mark.parametrize("none", ["", "-1", "0", "nan", "NA"])
def test_a_founder_may_be_written_in_many_ways(none):
    assert read(f"1,{none},0,300", "2,1,0.2,150")["parent_id"].to_list() == [None, 0]


def test_a_mother_called_0_is_a_mother():
    assert read("0,,0,300", "1,0,0.2,150")["parent_id"].to_list() == [None, 0]


def test_numbers_written_with_a_point_by_pandas_are_the_same_track():
    assert read("3,,0,300", "4,3.0,0.2,150", "3.0,,0.1,300")["parent_id"].to_list() == [None, None, 0]


def test_a_row_there_twice_counts_once_and_is_told():
    twice = read(*FAMILY, *FAMILY)
    assert twice.drop("reasons").equals(read(*FAMILY).drop("reasons"))
    assert (twice["reasons"] == "there twice").all()


@pytest.mark.parametrize(
    ("child", "fault"),
    [
        ("c,ghost,5,100", "its mother ghost is not in the table: it counts as a founder"),
        ("c,m,0.1,100", "its mother m ends after this cell begins: it counts as a founder"),
    ],
)
def test_a_mother_that_cannot_be_one_is_told_and_her_daughter_is_a_founder(child, fault):
    tracks = read("m,,0,300", "m,,0.2,310", child, child.replace("5,", "6,").replace("0.1,", "0.3,"))
    assert tracks["parent_id"].null_count() == 4
    assert tracks["reasons"].to_list() == ["", "", fault, ""]
    assert tracks["lineage_id"].to_list() == [0, 0, 1, 1]


def test_a_daughter_found_in_the_mothers_last_frame_is_her_daughter():
    tracks = read("m,,0,300", "m,,0.2,310", "d,m,0.2,150", "d,m,0.4,150")
    assert tracks["parent_id"].to_list() == [None, None, 0, 0]
    series = lineage_series(tracks).table
    assert series["track_id"].to_list() == [0, 0, 1]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["1,,0.2,300", "1,,0.1,300"], r"cells.csv, line 3: the time of track 1 goes back to 0.1 h .* sort the rows"),
        (["1,,0,300", "1,,0,301"], r"cells.csv, lines 2 and 3: track 1 has two different rows at 0 h: leave one"),
        (["1,1,0,300"], r"line 2: track 1 is its own mother: correct `parent_id`"),
        (["1,2,0,300", "2,1,1,300"], r"line 2: track 1 is among its own ancestors"),
        (["1,2,0,300", "2,3,1,300", "3,1,2,9"], r"among its own ancestors"),
        (["1,,0,300", "2,1,1,300", "2,3,2,300", "3,,0,1"], r"line 4: track 2 has two mothers, 1 and 3"),
        (["1,,0,300", "1,,later,300"], r"line 3: 'later' in 'time_h' is no number \(1 such cells\): write it"),
        (["1,,0,300", "1,,0.2,heavy"], r"line 3: 'heavy' in 'dry_mass_pg' is no number"),
        (['1,,0,"300,5"'], r"'300,5' in 'dry_mass_pg' is no number .* decimal point"),
        (["1,,0,300 pg"], r"without a unit"),
        (["1,,,300"], r"line 2: the time is empty, below zero or not below 10,000"),
        (
            ["1,,0,300", "1,,259200,300"],
            r"line 3: the time is empty, below zero or not below 10,000 .1 such rows.: `time_h` is",
        ),
        (["1,,nan,300"], r"line 2: the time is empty"),
        (["1,,-2,300"], r"`time_h` is hours since the time-lapse began"),
        (["1,,0,300", ",,1,300"], r"line 3: no `track_id` \(1 such rows\)"),
        (["-1,,1,300"], r"line 2: no `track_id`"),
        ([], r"no rows: export the tracks again"),
        (["1,,0,300,8,9"], r"every line needs as many cells as the first"),
    ],
)
def test_a_table_that_cannot_be_trusted_is_an_error_that_says_where_and_what_to_do(lines, message):
    with pytest.raises(TrackTableError, match=message):
        read_track_table(table(*lines), "time-lapse")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("track_id,parent_id,time_h,dry_mass", "'dry_mass' does not tell the unit: call it `dry_mass_pg`, or"),
        ("track_id,parent_id,time_h,weight", "is the mass: name it `dry_mass_pg`"),
        ("track_id,parent_id,time_min,dry_mass_pg", "'time_min' does not tell hours: add `time_h`"),
        ("track_id,mother,time_h,dry_mass_pg", "add `parent_id`, the mother's track, empty for a founder"),
        ("cell,parent_id,time_h,dry_mass_pg", r"lacks \['track_id'\]"),
    ],
)
def test_a_column_or_a_unit_missing_is_an_error_that_names_it(header, message):
    with pytest.raises(TrackTableError, match=message):
        read("1,,0,300", header=header)


def test_two_units_two_wells_and_an_unknown_well_are_errors():
    with pytest.raises(TrackTableError, match="both dry_mass_pg and dry_mass_relative"):
        read("1,,0,300,1", header=HEADER + ",dry_mass_relative")
    with pytest.raises(TrackTableError, match="line 3: track 1 has two wells, A01 and B02"):
        read("1,,0,300,A1", "1,,1,300,B2", header=HEADER + ",well")
    with pytest.raises(TrackTableError, match="line 3: row 17, column 99 is on no plate"):
        read("1,,0,300,A1", "1,,1,300,Q99", header=HEADER + ",well")


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "is empty"), (b" \n", "is empty"), (b"PK\x03\x04", "save the table as CSV")]
)
def test_what_is_no_text_is_told(content, message):
    with pytest.raises(TrackTableError, match=f"cells.csv .*{message}"):
        read_track_table(TrackFile("cells.csv", content), "time-lapse")


def test_frames_are_numbers_on_the_raster_of_the_timelapse_and_ranks_where_there_is_none():
    def frames(times):
        return frames_of(pl.DataFrame({"track_id": 0, "time_h": times})).to_list()

    assert frames([0.0, 0.17, 0.33, 0.83, 1.0]) == [0, 1, 2, 5, 6]
    assert frames([3.0, 3.1, 3.2, 3.4]) == [0, 1, 2, 4]
    assert frames([0.0, 0.1, 0.17, 0.5]) == [0, 1, 2, 3]
    assert frames([2.0]) == [0]


@settings(max_examples=15)
@given(st.integers(0, 100), st.sampled_from(["{}", "cell {}", "T-{:04d}", "{}.0"]))
def test_a_culture_written_and_read_is_the_same_whatever_its_tracks_are_called(seed, name):
    """And whatever the order of the tracks: only their numbers change with it."""
    made = simulate_culture(CultureSettings(founders=3, hours=30, biological=0, acquisition=0, seed=seed)).tracks
    rng = np.random.default_rng(seed)
    n = int(made["track_id"].max()) + 1  # pyright: ignore[reportOperatorIssue, reportArgumentType]
    called = [name.format(number) for number in rng.permutation(n) + 1]
    order = rng.permutation(n)
    rows = made.select(
        track_id=pl.Series([called[number] for number in made["track_id"]]),
        parent_id=pl.Series([None if number is None else called[number] for number in made["parent_id"]], dtype=pl.String),
        time_h="time_h", dry_mass_pg="dry_mass", x_um="x_um", y_um="y_um", area_um2="area_um2",
        rank=pl.Series(order[made["track_id"].to_numpy()]),
    ).sort("rank", "time_h")  # fmt: skip
    read = read_track_table(TrackFile("made.csv", rows.drop("rank").write_csv().encode()), "simulated")
    again = read_track_table(TrackFile("made.csv", rows.drop("rank").write_csv().encode()), "simulated")
    assert read.tracks.equals(again.tracks)
    appearance = np.argsort(np.argsort(order))
    mapped = made.with_columns(
        pl.col("track_id", "parent_id", "lineage_id").map_elements(lambda number: int(appearance[number]), pl.Int64)
    ).sort("track_id", "frame")
    assert read.tracks.equals(CELL_TRACKS.check(mapped))


cell_texts = st.sampled_from(["", "0", "1", "2", "3", "-1", "0.5", "nan", "inf", "1e400", "a", "9,5", "\x00", "ä", "A1", "-"])
columns = st.permutations([*HEADER.split(","), "x_um", "area_um2", "well", "note"])


@settings(max_examples=150)
@given(columns, st.lists(st.tuples(*[cell_texts] * 8), max_size=6), st.sampled_from(["utf-8", "utf-16", "cp1252"]))
def test_any_table_is_tracks_with_masses_that_were_written_or_an_error_of_ours(header, rows, encoding):
    lines = [",".join(f'"{text}"' for text in row) for row in rows]
    try:
        found = read_track_table(table(*lines, header=",".join(header), encoding=encoding), "time-lapse").tracks
    except TrackTableError as error:
        assert "cells.csv" in str(error)
    else:
        assert set(found["dry_mass"].drop_nulls()) <= {1.0, 2.0, 3.0, 0.5}
        assert (found["dry_mass"].is_not_null() | (found["reasons"] != "")).all()
        lineage_series(found)
