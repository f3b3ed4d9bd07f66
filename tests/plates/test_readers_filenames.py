"""Image folders by their names: presets, one's own expression, and what is refused."""

import re

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from plate_assets.plates.acquisition import AcquisitionError
from plate_assets.plates.listing import Entry, Listing
from plate_assets.plates.readers import BY_NAMES, ReadOptions, SeveralTimepoints, open_acquisition
from plate_assets.plates.readers.filenames import PRESETS, choose_pattern, image_names
from plate_assets.plates.readers.identity import hours_of

PIXELS = np.arange(64, dtype=np.uint16).reshape(8, 8)


def folder_of(tmp_path, *names, folder="P001_096h"):
    (tmp_path / folder).mkdir(exist_ok=True)
    for name in names:
        tifffile.imwrite(tmp_path / folder / name, PIXELS)
    return tmp_path / folder


def images(tmp_path, *names, options=None, folder="P001_096h"):
    return open_acquisition(folder_of(tmp_path, *names, folder=folder), options)


@pytest.mark.parametrize(
    ("name", "plate", "well", "site", "channel", "preset"),
    [
        ("AS_09047_050428030001_O05f00d2.TIF", "AS_09047_050428030001", "O05", 1, "d2", "plate_well_field"),
        ("Channel 2-12-A-12-00.tif", "P001", "A12", 1, "Channel 2", "vitra"),
        ("1649_B_20070424_C20_w2_5F64C597-735E-435D-B49C-2A07B9D6DFC3.tif", "1649_B_20070424", "C20", 1, "w2", "uuid"),
        ("ADSAStaphInfection2_A01_w2247376DD-6ADD-442D-AE47-F54A05F3EA94.tif", "ADSAStaphInfection2", "A01", 1, "w2", "uuid"),
        ("Screen_7_A01_s3_w22247376D-6ADD-442D-AE47-F54A05F3EA94.tif", "Screen_7", "A01", 3, "w2", "uuid"),
        ("--W00013--P00002--Z00000--T00000--cherry.tif", "P001", "B01", 2, "cherry", "scanr"),
        ("A01.tif", "P001", "A01", 1, "default", "plain"),
        ("A01_s3.tif", "P001", "A01", 3, "default", "plain"),
        ("P7_B02_s2_w3.TIF", "P7", "B02", 2, "w3", "plain"),
        ("AF48_s1_ch2.tif", "P001", "AF48", 1, "ch2", "plain"),
        ("r03c04.tif", "P001", "C04", 1, "default", "plain"),
    ],
)
def test_each_preset_reads_its_names(tmp_path, name, plate, well, site, channel, preset):
    acquisition = images(tmp_path, name)
    row = acquisition.images.row(0, named=True)
    assert (acquisition.plate, row["Metadata_Well"], row["Metadata_Site"], row["Metadata_Channel"]) == (
        plate,
        well,
        site,
        channel,
    )
    assert (acquisition.metadata["pattern"], acquisition.complete) == (preset, None)


def test_the_folder_gives_plate_and_time_point_and_its_hours(tmp_path):
    acquisition = images(tmp_path, "A01.tif", "A02.tif")
    assert (acquisition.acquisition_id, acquisition.timepoint_h) == ("P001_096h", 96.0)
    assert acquisition.sources["timepoint"] == "folder name"


@pytest.mark.parametrize(
    ("name", "hours"),
    [("096h", 96), ("4.5h", 4.5), ("d04", 96), ("day4", 96), ("t0", None), ("T2", None), ("20221219T101852", None)],
)
def test_a_time_point_tells_hours_only_where_it_has_a_unit(name, hours):
    assert hours_of(name) == hours


def test_a_folder_without_a_time_point_is_t0_and_options_go_before_everything(tmp_path):
    assert images(tmp_path, "A01.tif", folder="rowO").acquisition_id == "rowO_t0"
    options = ReadOptions(plate="X", timepoint="d02", plate_format=384, pixel_um=2.82)
    acquisition = images(tmp_path, "A01.tif", options=options)
    assert (acquisition.acquisition_id, acquisition.timepoint_h) == ("X_d02", 48.0)
    assert (acquisition.plate_format.wells, acquisition.pixel_um, acquisition.sources["pixel_um"]) == (384, 2.82, "options")


def test_ones_own_expression_reads_cellprofilers_group_names(tmp_path):
    pattern = r"img-(?P<WellRow>[A-P])(?P<WellColumn>\d\d)-(?P<Site>\d)-(?P<Wavelength>\w+)-z(?P<Plane>\d)"
    rows = images(tmp_path, "img-C04-2-dapi-z3.tif", options=ReadOptions(pattern=pattern)).images.row(0, named=True)
    assert (rows["Metadata_Well"], rows["Metadata_Site"], rows["Metadata_Channel"], rows["Metadata_Plane"]) == (
        "C04",
        2,
        "dapi",
        3,
    )


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "no regular expression"),
        ("(?P<well>A{99999999999})", "no regular expression"),
        ("(?P<plate>.+)", "tells no well"),
        ("(?P<well>.+)(?P<odd>)", "unknown groups"),
        ("(?P<well>Z99)", "no image's name fits"),
    ],
)  # fmt: skip
def test_an_expression_that_cannot_work_says_why(tmp_path, pattern, message):
    with pytest.raises(AcquisitionError, match=message):
        images(tmp_path, "A01.tif", options=ReadOptions(pattern=pattern))


def test_a_well_that_is_there_twice_names_both_files(tmp_path):
    with pytest.raises(AcquisitionError, match="A01.*twice: A01.png and A01.tif"):
        images(tmp_path, "A01.tif", "A01.png")
    with pytest.raises(AcquisitionError, match="twice"):
        images(tmp_path, "A1.tif", "A01.tif", folder="other")


def test_several_time_points_have_to_be_chosen_from(tmp_path):
    with pytest.raises(SeveralTimepoints, match="2 time points \\(t0, t24\\)") as several:
        images(tmp_path, "DMSO_B5_t0.tif", "DMSO_B5_t24.tif", folder="wound")
    assert several.value.timepoints == ("t0", "t24")
    chosen = images(tmp_path, options=ReadOptions(timepoint="t24"), folder="wound")
    assert (chosen.acquisition_id, chosen.images["path"].to_list()) == ("DMSO_t24", ["DMSO_B5_t24.tif"])


def test_several_plates_or_a_mix_of_names_are_refused_and_a_stray_file_is_a_warning(tmp_path):
    with pytest.raises(AcquisitionError, match="2 plates by their names \\(P1, P2\\)"):
        images(tmp_path, "P1_A01.tif", "P2_A02.tif", folder="two")
    with pytest.raises(AcquisitionError, match="mixes names of two layouts"):
        images(tmp_path, "A01.tif", "A02.tif", "AS_1_O05f00d2.TIF", folder="mix")
    wells = [f"A{col:02d}.tif" for col in range(1, 10)]
    assert "overview" in images(tmp_path, *wells, "overview.tif", folder="stray").warnings[0]


@pytest.mark.parametrize("name", ["../evil", "a/b", "..", "x" * 120, "plate:1"])
def test_a_plate_name_that_is_no_safe_id_stops_at_the_door(tmp_path, name):
    with pytest.raises(AcquisitionError, match="cannot name an acquisition"):
        images(tmp_path, "A01.tif", options=ReadOptions(plate=name))


def test_a_layout_that_nobody_knows_and_an_empty_folder_say_what_to_do(tmp_path):
    with pytest.raises(AcquisitionError, match="no reader recognises.*pattern"):
        images(tmp_path, "holiday.tif")
    (tmp_path / "empty").mkdir()
    with pytest.raises(AcquisitionError, match="is empty"):
        open_acquisition(tmp_path / "empty")


def test_pages_are_planes_and_channels_as_the_file_says(tmp_path):
    tifffile.imwrite(folder_of(tmp_path, folder="stack") / "A01.tif", np.stack([PIXELS] * 3), photometric="minisblack")
    assert open_acquisition(tmp_path / "stack").images["Metadata_Plane"].to_list() == [1, 2, 3]
    stack = np.stack([PIXELS] * 6).reshape(3, 2, 8, 8)
    tifffile.imwrite(folder_of(tmp_path, folder="hyper") / "A01.tif", stack, imagej=True, metadata={"axes": "ZCYX"})
    found = open_acquisition(tmp_path / "hyper").images.select("Metadata_Channel", "Metadata_Plane", "page").sort("page")
    assert found.rows() == [("c1", 1, 0), ("c2", 1, 1), ("c1", 2, 2), ("c2", 2, 3), ("c1", 3, 4), ("c2", 3, 5)]


def test_the_pixel_size_comes_from_centimetres_and_never_from_a_printers_inches(tmp_path):
    for folder, unit in (("cm", "CENTIMETER"), ("inch", "INCH")):
        tifffile.imwrite(
            folder_of(tmp_path, folder=folder) / "A01.tif", PIXELS, resolution=(1e4 / 2.82, 1e4 / 2.82), resolutionunit=unit
        )
    assert open_acquisition(tmp_path / "cm").pixel_um == pytest.approx(2.82, rel=1e-6)
    assert open_acquisition(tmp_path / "inch").pixel_um is None


def named(*names, **options):
    listing = Listing(UPath("/nowhere/P1_096h"), [Entry(name, 10, 1) for name in names])
    return BY_NAMES.read(listing, ReadOptions(**options))


_PARTS = (
    "P1",
    "A01",
    "b2",
    "AF48",
    "_",
    "__",
    "-",
    "--W00013",
    "--P00002--Z00000",
    "--T00001--",
    "s1",
    "w2",
    "z3",
    "t4",
    "f01d1",
)
_MORE = ("Phase", "Channel 2-01-A-01-00", "_1_", "00d04h00m", "2020y06m19d_14h00m", "5F64C597-735E-435D-B49C-2A07B9D6DFC3", "é")


@given(
    st.lists(st.lists(st.sampled_from(_PARTS + _MORE), max_size=9).map("".join), min_size=1, max_size=8, unique=True),
    st.sampled_from(list(PRESETS)),
)
def test_polars_reads_each_preset_as_pythons_expressions_do(stems, preset):
    listing = Listing(UPath("/nowhere"), [Entry(f"{stem}.tif", 1, 1) for stem in stems])
    whole = re.compile(PRESETS[preset]).fullmatch
    matches = {f"{stem}.tif": match for stem in stems if (match := whole(stem) or whole(f"{stem}.tif"))}
    if not matches:
        with pytest.raises(AcquisitionError):
            choose_pattern(listing, image_names(listing), preset)
        return
    _, found, strays = choose_pattern(listing, image_names(listing), preset)
    assert {row["path"] for row in found.iter_rows(named=True)} == matches.keys()
    assert set(strays) == {f"{stem}.tif" for stem in stems} - matches.keys()
    for row in found.iter_rows(named=True):
        groups = matches[row["path"]].groupdict()
        groups["plane"] = groups.get("plane") or groups.pop("plane_", None)
        assert {name: text for name, text in row.items() if text is not None} == {
            "path": row["path"],
            **{name: text for name, text in groups.items() if text is not None and name != "plane_"},
        }


@pytest.mark.parametrize(
    "pattern",
    [
        r"img_(?P<well>[A-P]\d\d)_(?P<site>\d)",  # polars understands it
        r"img_(?=A)(?P<well>[A-P]\d\d)_(?P<site>\d)",  # polars has no look-ahead
        r"img_(?P<well>[A-P]\d++)_(?P<site>\d)",  # and reads a possessive quantifier as two
        r"img_(?P<well>(A)01)_(?P<site>\d)(?!x)",
        r"img_(?P<well>[A-P]\d\d)_(?P<site>\d)\.tif",  # the ending may be part of it
    ],
)
def test_ones_own_expression_means_what_it_means_in_python(pattern):
    row = named("img_A01_7.tif", pattern=pattern).images.row(0, named=True)
    assert (row["Metadata_Well"], row["Metadata_Site"]) == ("A01", 7)


def test_a_possessive_expression_is_not_read_as_a_greedy_one():
    with pytest.raises(AcquisitionError, match="no image's name fits"):
        named("img_A011.tif", pattern=r"img_(?P<well>A\d++)1")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"(?P<well>A01)_(?P<site>\w+)", "A01_x7.tif: 'x7' is no number.*group `site`"),
        (r"(?P<well_number>\w+)_x7", "A01_x7.tif: 'A01' is no number.*group `well_number`"),
        (r"(?P<well>A02)?.*", "A01_x7.tif: the name tells no well"),
        (r"(?P<row>A)(?P<col>9)?.*", "A01_x7.tif: the name tells no well"),
        (r"(?P<row>A)(?P<col>.+)_x7(?P<time0>)", "'' is no number.*group `time0`"),
    ],
)
def test_a_group_that_holds_what_it_cannot_says_in_which_name(pattern, message):
    with pytest.raises(AcquisitionError, match=message):
        named("A01_x7.tif", pattern=pattern)


def test_a_number_beyond_counting_is_refused_and_not_wrapped_around():
    with pytest.raises(AcquisitionError, match="99999999999999999999' is no number from 0 to"):
        named("A01_s99999999999999999999.tif")


def test_one_of_several_plates_can_be_chosen_and_another_name_takes_them_all():
    names = ["P1_A01.tif", "P2_A01.tif", "P2_A02.tif"]
    assert named(*names, plate="P2").images["path"].to_list() == names[1:]
    assert named("P1_A01.tif", "P2_A02.tif", plate="P3").images.height == 2


def test_ten_thousand_names_are_indexed_at_once():
    entries = [
        Entry(f"P1_{r}{c:02d}_s{s}_w1.tif", 10, 1) for r in "ABCDEFGHIJKLMNOP" for c in range(1, 25) for s in range(1, 27)
    ]
    found = BY_NAMES.read(Listing(UPath("/nowhere/P1_096h"), entries), ReadOptions())
    assert found.images.height == len(entries) == 9984 and found.plate_format.wells == 384
    assert "cannot be read" in found.warnings[0]


def test_the_real_names_are_read(real_data):
    examples = real_data / "cellprofiler-examples"
    row = open_acquisition(examples / "ExampleIlluminationCorrection" / "images")
    assert row.plate == "AS_09047_050428030001" and row.plate_format.wells == 384
    assert row.images["Metadata_Well"].to_list() == [f"O{col:02d}" for col in range(1, 25)]
    assert open_acquisition(examples / "ExampleVitraImages").images["Metadata_Well"].unique().sort().to_list() == ["A01", "A12"]
    worms = open_acquisition(examples / "ExampleUntangleWorms")
    assert worms.images.select("Metadata_Well", "Metadata_Channel").rows() == [
        ("C01", "w1"),
        ("C01", "w2"),
        ("C20", "w1"),
        ("C20", "w2"),
    ]
    assert open_acquisition(examples / "ExampleHuman").images["Metadata_Channel"].to_list() == ["d0", "d1", "d2"]
    with pytest.raises(SeveralTimepoints):
        open_acquisition(examples / "ExampleWoundHealing")


def test_every_preset_compiles_and_tells_a_well():
    assert list(PRESETS) == ["plate_well_field", "vitra", "uuid", "scanr", "incucyte", "plain"]
