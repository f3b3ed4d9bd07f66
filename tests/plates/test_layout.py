"""Plate formats, wells and quadruplets against counts made by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plate_assets.plates.layout import FORMATS, LayoutError, PlateFormat, Well, row_letters


@pytest.mark.parametrize(
    ("wells", "rows", "cols", "last", "quadruplets"),
    [
        (6, 2, 3, "B03", 2),
        (12, 3, 4, "C04", 4),
        (24, 4, 6, "D06", 6),
        (48, 6, 8, "F08", 12),
        (96, 8, 12, "H12", 24),
        (384, 16, 24, "P24", 96),
        (1536, 32, 48, "AF48", 384),
    ],
)
def test_each_format_has_the_wells_and_quadruplets_that_one_counts_by_hand(wells, rows, cols, last, quadruplets):
    plate = PlateFormat(wells)
    names = [well.name for well in plate.all_wells()]
    assert (plate.rows, plate.cols, len(names), len(set(names))) == (rows, cols, wells, wells)
    assert (names[0], names[-1]) == ("A01", last)
    blocks = plate.quadruplets()
    assert len(blocks) == quadruplets
    assert sorted(well.name for block in blocks.values() for well in block) == sorted(names)


def test_the_rows_behind_z_are_aa_to_af():
    assert [row_letters(row) for row in (1, 16, 26, 27, 32)] == ["A", "P", "Z", "AA", "AF"]
    assert Well.parse("AF48") == Well(32, 48)


def test_a_384_well_plate_has_96_quadruplets_of_four_from_a01_to_o23():
    blocks = PlateFormat(384).quadruplets()
    assert [len(block) for block in blocks.values()] == [4] * 96
    assert list(blocks)[0] == "A01" and list(blocks)[-1] == "O23"
    assert [well.name for well in blocks["C05"]] == ["C05", "C06", "D05", "D06"]


def test_a_block_at_an_odd_edge_has_fewer_wells():
    assert [len(block) for block in PlateFormat(6).quadruplets().values()] == [4, 2]


@pytest.mark.parametrize("text", ["a1", "A1", "A01", " a01 ", "r01c01", "R1C1", "(1, 1)", (1, 1), Well(1, 1)])
def test_a_well_is_read_in_every_way_that_people_write_it(text):
    assert Well.parse(text).name == "A01"


@given(st.integers(1, 32), st.integers(1, 48))
def test_a_name_reads_back_as_its_well(row, col):
    well = Well(row, col)
    assert Well.parse(well.name) == well == Well.parse(f"r{row:02d}c{col:02d}")
    assert Well.parse(well.quadruplet).quadruplet == well.quadruplet


@pytest.mark.parametrize("text", ["", "A0", "A49", "AG1", "BA1", "A", "1", "r0c1", "A1.5", (33, 1), ("A", 1), None, 3])
def test_what_is_no_well_is_refused_with_the_forms_that_are_understood(text):
    with pytest.raises(LayoutError, match="A01|rows go from"):
        Well.parse(text)


def test_wells_sort_by_row_and_then_by_column():
    assert [w.name for w in sorted(map(Well.parse, ["AA1", "B2", "A10", "A9"]))] == ["A09", "A10", "B02", "AA01"]


@given(st.lists(st.builds(Well, st.integers(1, 32), st.integers(1, 48)), min_size=1, max_size=5))
def test_the_smallest_format_holds_the_wells_and_none_smaller_does(wells):
    chosen = PlateFormat.smallest_for(wells)
    assert all(well in chosen for well in wells)
    smaller = [PlateFormat(size) for size in FORMATS if size < chosen.wells]
    assert not any(all(well in plate for well in wells) for plate in smaller)


def test_a_shape_that_no_plate_has_names_the_shapes_that_are_known():
    assert PlateFormat.of_shape(16, 24).wells == 384
    with pytest.raises(LayoutError, match="16×24"):
        PlateFormat.of_shape(1, 4)
    with pytest.raises(LayoutError, match="384"):
        PlateFormat(100)
