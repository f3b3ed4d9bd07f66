"""Sample sheets: what their columns say, which images are missing, and the line and column of what is wrong."""

import codecs

import numpy as np
import polars as pl
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from upath import UPath

from plate_assets.plates.acquisition import LISTED, AcquisitionError, fingerprint
from plate_assets.plates.listing import Entry, Listing, list_folder
from plate_assets.plates.readers import ReadOptions, SeveralTimepoints
from plate_assets.plates.readers.sample_sheet import SampleSheetReader

PIXELS = np.arange(64, dtype=np.uint16).reshape(8, 8)
READER = SampleSheetReader()


def image(well="A01", site: int | str = 1, channel="DNA", plate="BR1", path=None, **more):
    row, col = ord(well[:1] or "A") - 64, int(well[1:] or 0)
    path = path if path is not None else f"Images/{plate}-{well}-{site}-{channel}{more.get('timepoint', '')}.tiff"
    told = {"channel": channel, "path": path, "source": "source_4", "batch": "Batch1", "plate": plate, "well": well}
    return {name: str(value) for name, value in (told | {"site": site, "row": row, "col": col} | more).items()}


def sheet(folder, *images, separator=",", encoding="utf-8", name="samplesheet.csv", without=(), write=True):
    """A folder with a sheet and the images that it names."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = [column for column in dict.fromkeys(column for each in images for column in each) if column not in without]
    lines = [columns, *([each.get(column, "") for column in columns] for each in images)]
    text = "".join(separator.join(line) + "\n" for line in lines)
    (folder / name).write_bytes((codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b"") + text.encode(encoding))
    for each in images if write else ():
        path = folder / each["path"].replace("\\", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, PIXELS, resolution=(2e4, 2e4), resolutionunit="CENTIMETER")
    return folder


def read(folder, **options):
    listing = list_folder(UPath(folder))
    assert READER.recognises(listing)
    return READER.read(listing, ReadOptions(**options))


def test_each_row_is_an_image_with_the_sheets_plate_well_site_channel_and_plane(tmp_path):
    found = read(sheet(tmp_path / "x", image("A01", 1, "DNA", plane_id=2), image("P24", 9, "ER", plane_id=1)))
    assert found.images.select("Metadata_Well", "Metadata_Site", "Metadata_Channel", "Metadata_Plane", "path").rows() == [
        ("A01", 1, "DNA", 2, "Images/BR1-A01-1-DNA.tiff"),
        ("P24", 9, "ER", 1, "Images/BR1-P24-9-ER.tiff"),
    ]
    assert (found.acquisition_id, found.layout, found.plate_format.wells) == ("BR1_t0", "sample_sheet", 384)
    assert (found.metadata, found.documents) == ({"source": "source_4", "batch": "Batch1"}, ("samplesheet.csv",))
    assert (found.pixel_um, found.sources["pixel_um"]) == (pytest.approx(0.5), "first image")


def test_the_sheet_is_the_list_of_what_belongs_to_the_acquisition(tmp_path):
    folder = sheet(tmp_path / "x", image(site=1), image(site=2))
    whole = read(folder)
    assert whole.complete is True and whole.completeness == f"{LISTED}: 2 of 2 images of samplesheet.csv are there"
    (folder / "Images" / "BR1-A01-2-DNA.tiff").unlink()
    found = read(folder)
    assert found.complete is False and "1 of 2 images" in found.completeness
    assert found.missing.select("Metadata_Well", "Metadata_Site", "Metadata_Channel").rows() == [("A01", 2, "DNA")]


def test_the_sheet_counts_in_the_fingerprint(tmp_path):
    first, other = (sheet(tmp_path / name, image(channel=name, path="a.tif")) for name in ("DNA", "ER"))
    assert fingerprint(read(first)) != fingerprint(read(other))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_and_encodings_of_every_spreadsheet_are_understood(tmp_path, encoding, separator):
    name = "samples.tsv" if separator == "\t" else "samples.csv"
    found = read(sheet(tmp_path / "x", image(channel="Kerne µ"), separator=separator, encoding=encoding, name=name))
    assert found.images["Metadata_Channel"].to_list() == ["Kerne µ"]


def test_names_of_columns_may_be_written_as_cellprofiler_writes_them(tmp_path):
    row = {"Metadata_Plate": "P1", "Metadata_Well": "b3", "Metadata_Site": "2.0", "Channel": "DNA", " Path ": "a.tif"}
    folder = sheet(tmp_path / "x", row, write=False)
    found = read(folder).images.row(0, named=True)
    assert (found["Metadata_Well"], found["Metadata_Site"], found["path"]) == ("B03", 2, "a.tif")


def test_row_and_column_stand_for_the_well_and_may_be_letters_or_numbers(tmp_path):
    assert read(sheet(tmp_path / "x", image("C04"), without=["well"])).images["Metadata_Well"].to_list() == ["C04"]
    letters = image("C04") | {"row": "C", "col": "4.0"}
    assert read(sheet(tmp_path / "y", letters, without=["well"])).images["Metadata_Well"].to_list() == ["C04"]


@pytest.mark.parametrize("path", ["./Images/a.tif", "Images\\a.tif", "Images//a.tif", ".\\Images\\.\\a.tif"])
def test_paths_are_relative_to_the_sheet_however_they_are_written(tmp_path, path):
    folder = sheet(tmp_path / "x", image(path=path), write=False)
    (folder / "Images").mkdir()
    tifffile.imwrite(folder / "Images" / "a.tif", PIXELS)
    found = read(folder)
    assert found.images["path"].to_list() == ["Images/a.tif"] and found.complete


@pytest.mark.parametrize(
    "path", ["../a.tif", "/data/a.tif", "C:\\a.tif", "x/../../a.tif", "..\\a.tif", "s3://bucket/a.tif", "file:///a.tif"]
)
def test_a_path_that_leaves_the_folder_is_refused(tmp_path, path):
    with pytest.raises(AcquisitionError, match="lies outside the folder"):
        read(sheet(tmp_path / "x", image(), image(site=2, path=path), write=False))


def test_one_of_several_plates_has_to_be_chosen_and_another_plates_gap_does_not_count(tmp_path):
    folder = sheet(tmp_path / "x", image(plate="BR1"), image(plate="BR2"))
    (folder / "Images" / "BR1-A01-1-DNA.tiff").unlink()
    for options in ({}, {"plate": "BR3"}):
        with pytest.raises(AcquisitionError, match=r"samplesheet.csv names images of 2 plates \(BR1, BR2\).*option `plate`"):
            read(folder, **options)
    chosen = read(folder, plate="BR2")
    assert (chosen.plate, chosen.complete, chosen.images["path"].to_list()) == ("BR2", True, ["Images/BR2-A01-1-DNA.tiff"])


def test_a_person_may_name_the_one_plate_of_a_sheet(tmp_path):
    found = read(sheet(tmp_path / "x", image()), plate="mine", plate_format=96)
    assert (found.plate, found.sources["plate"], found.plate_format.wells) == ("mine", "options", 96)


def test_one_of_several_time_points_has_to_be_chosen(tmp_path):
    folder = sheet(tmp_path / "x", *(image(timepoint=time) for time in ("096h", "24h", "120h")))
    with pytest.raises(SeveralTimepoints) as several:
        read(folder)
    assert several.value.timepoints == ("24h", "096h", "120h")
    chosen = read(folder, timepoint="096h")
    assert (chosen.acquisition_id, chosen.timepoint_h) == ("BR1_096h", 96.0)
    assert chosen.images["path"].to_list() == ["Images/BR1-A01-1-DNA096h.tiff"]


def test_a_bare_number_of_a_time_point_becomes_a_name(tmp_path):
    assert read(sheet(tmp_path / "x", image(timepoint="3.0"))).acquisition_id == "BR1_t3"


def test_one_plate_in_two_batches_is_two_visits_and_is_refused(tmp_path):
    with pytest.raises(AcquisitionError, match=r"2 batches \(Batch1, Batch2\) for one plate"):
        read(sheet(tmp_path / "x", image(site=1), image(site=2, batch="Batch2")))


def test_what_is_counted_from_nought_is_taken_from_one_and_said(tmp_path):
    found = read(sheet(tmp_path / "x", image(site=0, plane_id=0), image(site=1, plane_id=1, path="b.tif")))
    assert found.images.select("Metadata_Site", "Metadata_Plane").rows() == [(1, 1), (2, 2)]
    assert [warning.split(" is ")[0] for warning in found.warnings] == ["site", "plane_id"]


def test_the_sheets_pixel_size_goes_before_that_of_the_first_image(tmp_path):
    found = read(sheet(tmp_path / "x", image(pixel_size_um="0.598"), image(site=2)))
    assert (found.pixel_um, found.sources["pixel_um"], found.warnings) == (0.598, "files", ())
    two = read(sheet(tmp_path / "y", image(pixel_um="0.5"), image(site=2, pixel_um="1")))
    assert two.pixel_um == 0.5 and "2 pixel sizes" in two.warnings[0]


def test_a_first_image_that_is_broken_is_a_warning(tmp_path):
    folder = sheet(tmp_path / "x", image())
    (folder / "Images" / "BR1-A01-1-DNA.tiff").write_bytes(b"no image")
    found = read(folder)
    assert found.complete and found.pixel_um is None and "cannot be read" in found.warnings[0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"well": ""}, "line 3, column 'well': is empty"),
        ({"well": "A-2"}, "line 3, column 'well': 'A-2' is no well"),
        ({"well": "Z99"}, "line 3, column 'well': row 26, column 99 is on no plate"),
        ({"row": "4"}, "line 3, column 'well': well A02 is not in row 4 and column 2"),
        ({"site": ""}, "line 3, column 'site': is empty"),
        ({"site": "f1"}, "line 3, column 'site': 'f1' is no number"),
        ({"site": "-1"}, "line 3, column 'site': '-1' is no number"),
        ({"site": "nan"}, "line 3, column 'site': 'nan' is no number"),
        ({"site": "9" * 30}, "line 3, column 'site': '9+' is no number"),
        ({"path": ""}, "line 3, column 'path': is empty"),
        ({"channel": " "}, "line 3, column 'channel': is empty"),
        ({"plate": ""}, "line 3, column 'plate': is empty"),
        ({"plane_id": "top"}, "line 3, column 'plane_id': 'top' is no number"),
        ({"pixel_um": "inf"}, "line 3, column 'pixel_um': 'inf' is no size of a pixel"),
        ({"timepoint": ""}, "line 3, column 'timepoint': is empty, and other rows tell a time point"),
    ],
)
def test_a_faulty_cell_is_named_with_its_file_line_and_column(tmp_path, wrong, message):
    more = {"plane_id": "1", "pixel_um": "0.5", "timepoint": "24h"}
    with pytest.raises(AcquisitionError, match=f"samplesheet.csv, {message}"):
        read(sheet(tmp_path / "x", image("A01", **more), image("A02", **more) | wrong, image("A03", **more), write=False))


def test_doubled_rows_and_doubled_files_are_named_with_both_lines(tmp_path):
    with pytest.raises(AcquisitionError, match="lines 2 and 4, column 'path': both name the same image"):
        read(sheet(tmp_path / "x", image(), image(site=2), image(path="again.tif"), write=False))
    with pytest.raises(AcquisitionError, match="lines 3 and 4, column 'path': both name the same file, 'a.tif'"):
        read(sheet(tmp_path / "y", image(), image(site=2, path="a.tif"), image(site=3, path="./a.tif"), write=False))


@pytest.mark.parametrize("column", ["plate", "site"])
def test_a_missing_column_is_named_with_those_that_are_there(tmp_path, column):
    with pytest.raises(
        AcquisitionError, match=rf"samplesheet.csv lacks the columns \['{column}'\] and has \['channel', 'path'"
    ):
        read(sheet(tmp_path / "x", image(), without=[column]))


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    folder = sheet(tmp_path / "x", image() | {"Path": "other.tif"})
    with pytest.raises(AcquisitionError, match="has the column 'path' twice"):
        read(folder)


def test_a_sheet_that_was_cut_off_says_so(tmp_path):
    folder = sheet(tmp_path / "x", image("A01"), image("A02"))
    text = (folder / "samplesheet.csv").read_text()
    (folder / "samplesheet.csv").write_text(text[: text.rindex("Batch1")])
    with pytest.raises(AcquisitionError, match="line 3, column 'plate': is empty.*copy the sheet again"):
        read(folder)
    (folder / "samplesheet.csv").write_text(text.splitlines()[0])
    with pytest.raises(AcquisitionError, match="names no image"):
        read(folder)


def test_two_sheets_in_one_folder_are_both_named(tmp_path):
    sheet(tmp_path / "x", image())
    with pytest.raises(AcquisitionError, match="2 sample sheets.*old_sheet.csv, samplesheet.csv"):
        read(sheet(tmp_path / "x", image(), name="old_sheet.csv"))


def test_other_tables_are_no_sample_sheets(tmp_path):
    platemap = {"well_position": "A01", "compound": "DMSO", "plate": "P1"}
    load_data = {"FileName_DNA": "a.tif", "PathName_DNA": "x", "Metadata_Plate": "P1", "Metadata_Well": "A01"}
    result = {"path": "a.tif", "channel": "DNA", "well": "A01", "mean": "0.5"}
    for name, row in {"platemap": platemap, "load_data": load_data, "result": result}.items():
        folder = sheet(tmp_path / name, row, write=False, name=f"{name}.csv")
        assert not READER.recognises(list_folder(UPath(folder)))
    below = sheet(tmp_path / "tree" / "tables", image())
    assert not READER.recognises(list_folder(UPath(below.parent)))


def test_no_folder_of_another_vendor_is_taken_for_one_with_a_sample_sheet(real_data):
    folders = [folder for folder in real_data.iterdir() if folder.is_dir()]
    tables = {file.parent for file in real_data.rglob("*.[ct]sv")}
    assert tables and not [
        folder for folder in {*folders, *tables} if READER.recognises(Listing(UPath(folder), _top_of(folder)))
    ]


def _top_of(folder):
    return [Entry(file.name, file.stat().st_size, 1) for file in folder.iterdir() if file.is_file()]


def test_a_sheet_too_large_to_be_one_is_not_read(tmp_path):
    folder = sheet(tmp_path / "x", image())
    listing = Listing(UPath(folder), [Entry("samplesheet.csv", 2**40, 1)])
    with pytest.raises(AcquisitionError, match="1,099,511,627,776 bytes.*give each plate its own"):
        READER.read(listing, ReadOptions())


def test_a_folder_on_an_object_store_reads_as_on_a_disk(tmp_path):
    local, remote = sheet(tmp_path / "x", image()), UPath("memory://sample-sheet/x")
    for file in local.rglob("*"):
        if file.is_file():
            target = remote / file.relative_to(local).as_posix()
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    assert read(remote).images.equals(read(local).images)


_ODD = st.sampled_from(
    ["", "0", "-1", "nan", "1e400", "9" * 30, "Z99", "AF48", "\0", "{}", '"', "..", "t1", "1.0", "\ufeff", "٣"]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 10), _ODD), max_size=3), st.integers(0, 400))
def test_whatever_stands_in_a_sheet_it_is_read_or_refused_with_a_reason(tmp_path_factory, changes, cut):
    rows = [list(image(well, plane_id=1, timepoint="24h").values()) for well in ("A01", "A02", "A03")]
    for row, column, text in changes:
        rows[row][column] = text
    header = list(image(plane_id=1, timepoint="24h"))
    text = "\n".join(",".join(line) for line in [header, *rows])[: 100 + cut]
    folder = tmp_path_factory.mktemp("sheet")
    (folder / "samplesheet.csv").write_text(text, encoding="utf-8")
    try:
        found = READER.read(list_folder(UPath(folder)), ReadOptions())
    except AcquisitionError as error:
        assert str(folder) in str(error) or "cannot name an acquisition" in str(error)
    else:
        assert found.complete is False and found.images.filter(pl.col("present")).is_empty()
