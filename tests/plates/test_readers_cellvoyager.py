"""CellVoyager exports: the records, what is missing or was never taken, visits and timelines, and what no record may do."""

import re
from pathlib import Path

import pytest
from upath import UPath

from plate_assets.plates.acquisition import AcquisitionError
from plate_assets.plates.listing import list_folder
from plate_assets.plates.readers import ReadOptions, SeveralTimepoints
from plate_assets.plates.readers.cellvoyager import CellVoyagerReader
from plate_assets.plates.readers.filenames import FilenameReader

XMLNS = 'xmlns:bts="http://www.yokogawa.co.jp/BTS/BTSSchema/1.0"'
BEGIN, END = "2024-05-06T10:00:00.5+02:00", "2024-05-06T11:00:00+02:00"
REAL = "faim-ipa-imagexpress-cellvoyager/resources/CV8000"


def record(*, row=2, col=3, time=1, line=1, action=1, name=None, kind="IMG", x="-10.0", y="20.0", **more):
    field, ch, z = (more.pop(key, 1) for key in ("field", "ch", "z"))
    name = f"P_{row}_{col}_T{time}F{field}L{line}A{action}Z{z}C{ch}.tif" if name is None else name
    values = {"Type": kind, "Time": "2024-05-06T10:00:01.25+02:00", "Column": col, "Row": row, "TimePoint": time}
    values |= {"FieldIndex": field, "ZIndex": z, "TimelineIndex": line, "ActionIndex": action, "Action": "3D"}
    values |= {"X": x, "Y": y, "Z": "3.0", "Ch": ch} | more
    told = " ".join(f'bts:{key}="{value}"' for key, value in values.items() if value is not None)
    return f"<bts:MeasurementRecord {told}>{name}</bts:MeasurementRecord>"


def detail(end=END, rows=8, cols=12, plate="P 001", pixels=("0.325", "0.325"), **more):
    values = {"Title": "run", "BeginTime": BEGIN, "EndTime": end, "MeasurementSettingFileName": "S.mes", "Status": "0"}
    values |= {"RowCount": rows, "ColumnCount": cols} | more
    told = " ".join(f'bts:{key}="{value}"' for key, value in values.items() if value is not None)
    channels = "".join(
        f'<bts:MeasurementChannel bts:Ch="{ch}" bts:HorizontalPixelDimension="{size}" '
        f'bts:ShadingCorrectionSource="SC_BP445-45_20x_M01_CH0{ch}.tif" />'
        for ch, size in enumerate(pixels, start=1)
    )
    plate = f'<bts:MeasurementSamplePlate bts:Name="{plate}" bts:WellPlateFileName="P.wpi" />'
    return f"<bts:MeasurementDetail {told} {XMLNS}>{plate}{channels}</bts:MeasurementDetail>"


def channel(ch, target, fluorophore="", power="20", acquisition="BP445/45", light="405nm"):
    return (
        f'<bts:Channel bts:Ch="{ch}" bts:Target="{target}" bts:Magnification="{power}" bts:Objective="{power}x" '
        f'bts:Acquisition="{acquisition}" bts:Fluorophore="{fluorophore}">'
        f"<bts:LightSourceName>{light}</bts:LightSourceName></bts:Channel>"
    )


def setting(*channels):
    lights = (
        '<bts:LightSource bts:Name="405nm" bts:WaveLength="405" /><bts:LightSource bts:Name="488nm" bts:WaveLength="488" />'
        '<bts:LightSource bts:Name="Lamp" bts:WaveLength="0" />'
    )
    return (
        f"<bts:MeasurementSetting {XMLNS}><bts:LightSourceList>{lights}</bts:LightSourceList>"
        f"<bts:ChannelList>{''.join(channels)}</bts:ChannelList></bts:MeasurementSetting>"
    )


def export(folder: Path, *records, mrf=None, mes=None, write=True, mlf=None):
    """A measurement; `mrf` and `mes` are left out where they are empty texts."""
    folder.mkdir(parents=True, exist_ok=True)
    text = f"<bts:MeasurementData {XMLNS}>\n{''.join(records)}\n</bts:MeasurementData>"
    mes = setting(channel(1, "405"), channel(2, "488", "FITC", "20", "BP525/50", "488nm")) if mes is None else mes
    files = {"MeasurementData.mlf": text if mlf is None else mlf, "MeasurementDetail.mrf": detail() if mrf is None else mrf}
    for name, content in (files | {"S.mes": mes}).items():
        if content:
            (folder / name).write_text('\ufeff<?xml version="1.0" encoding="utf-8"?>\n' + content, encoding="utf-8")
    for one in records if write else ():
        name, kind = re.sub(r"<.*?>", "", one), re.search(r'Type="(\w+)"', one)
        if name and kind and kind[1] == "IMG":
            path = folder / name.replace("\\", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"II*\0")
    return folder


def read(folder, **options):
    return CellVoyagerReader().read(list_folder(UPath(folder)), ReadOptions(**options))


def places(found):
    return found.images.select("Metadata_Well", "Metadata_Site", "Metadata_Channel", "Metadata_Plane").rows()


@pytest.mark.parametrize("above", [True, False])
def test_the_real_export_is_read_from_its_folder_and_from_the_one_above(real_data, above):
    outer = next((real_data / REAL).iterdir())
    folder = outer if above else next(path for path in outer.iterdir() if path.is_dir())
    assert CellVoyagerReader().recognises(list_folder(UPath(folder)))
    found = read(folder)
    assert found.acquisition_id == "CV8000-Minimal-DataSet-2C-3W-4S-FP2-stack_20230918T135839"
    assert (found.plate_format.wells, found.pixel_um, str(found.objective)) == (96, 0.325, "20×")
    assert found.complete is True and "96 of 96 images" in found.completeness and found.warnings == ()
    assert found.images["Metadata_Well"].unique().sort().to_list() == ["D08", "E03", "F08"]
    light = found.images.select("Metadata_Channel", "excitation_nm", "emission_nm").unique().sort("Metadata_Channel").rows()
    assert light == [("405", 405.0, 445.0), ("488", 488.0, 525.0)]
    assert str(found.started_at) == "2023-09-18 11:58:39.401493+00:00"
    assert str(found.images["acquired_at"].min()) == "2023-09-18 11:58:44.438000+00:00"


def test_the_first_field_of_the_real_grid_is_its_top_left_one(real_data):
    found = read(real_data / REAL).images.filter(Metadata_Well="D08", Metadata_Channel="405", Metadata_Plane=1)
    assert found.select("Metadata_Site", "x_um", "y_um").rows() == [
        (1, -567.1, -402.9), (2, 82.8, -402.9), (3, -567.1, 247.0), (4, 82.8, 247.0)
    ]  # fmt: skip


def test_the_references_of_camera_and_shading_are_documents_and_no_images(real_data):
    listing = list_folder(UPath(real_data / REAL))
    found = CellVoyagerReader().read(listing, ReadOptions())
    references = [path.rsplit("/", 1)[-1] for path in found.documents if path.endswith(".tif")]
    assert sorted(name[:3] for name in references) == ["DC_", "DC_", "SC_", "SC_", "SC_", "SC_"]
    claimed = {*found.images["path"], *found.documents}
    left = [entry for entry in listing.entries if entry.path not in claimed]
    assert [entry.path for entry in left if entry.path.endswith(".tif")] == []
    assert not FilenameReader().recognises(type(listing)(listing.root, left))


def test_an_export_without_its_list_of_images_says_so(real_data):
    folder = real_data / "faim-ipa-imagexpress-cellvoyager" / "resources" / "eicm"
    with pytest.raises(AcquisitionError, match=r"no MeasurementData.mlf.*copy the whole measurement"):
        read(folder)


@pytest.mark.parametrize("other", ["operetta-harmony-384", "scanr-ome-metadata", "ome-zarr-hcs-examples"])
def test_other_vendors_exports_are_not_recognised(real_data, other):
    assert not CellVoyagerReader().recognises(list_folder(UPath(real_data / other)))


def test_a_file_of_that_name_by_somebody_else_is_not_recognised(tmp_path):
    (tmp_path / "MeasurementData.mlf").write_text("<MeasurementData>" + "x" * 200 + "</MeasurementData>")
    assert not CellVoyagerReader().recognises(list_folder(UPath(tmp_path)))


def test_a_missing_image_is_listed_by_well_site_and_channel(tmp_path):
    folder = export(tmp_path / "x", record(field=1), record(field=2), record(field=2, ch=2))
    (folder / "P_2_3_T1F2L1A1Z1C2.tif").unlink()
    found = read(folder)
    assert found.complete is False and "2 of 3 images" in found.completeness
    assert found.missing.select("Metadata_Well", "Metadata_Site", "Metadata_Channel").rows() == [("B03", 2, "FITC")]


@pytest.mark.parametrize("end", [None, "", "0001-01-01T00:00:00", "soon"])
def test_a_measurement_without_the_time_of_its_end_is_still_running(tmp_path, end):
    found = read(export(tmp_path / "x", record(), mrf=detail(end=end)))
    assert found.complete is False and "has not ended" in found.completeness and found.missing.is_empty()


def test_without_the_detail_nothing_tells_the_end_or_the_pixel_size_and_the_images_are_read(tmp_path):
    found = read(export(tmp_path / "x", record(), mrf=""))
    assert (found.complete, found.pixel_um, found.plate, found.timepoint) == (None, None, "x", "20240506T100001")
    assert "MeasurementDetail.mrf is missing" in found.warnings[0]
    assert places(found) == [("B03", 1, "405", 1)]  # the only setting beside the records is theirs


def test_without_the_setting_channels_have_the_names_of_the_files(tmp_path):
    found = read(export(tmp_path / "x", record(), mes=""))
    assert places(found) == [("B03", 1, "C01", 1)] and found.objective is None
    assert "S.mes is missing" in found.warnings[0] and found.images["excitation_nm"].to_list() == [None]


def test_a_broken_setting_is_a_warning_and_a_broken_detail_an_error(tmp_path):
    assert "no whole XML" in read(export(tmp_path / "a", record(), mes="<bts:Measure")).warnings[0]
    with pytest.raises(AcquisitionError, match=r"MeasurementDetail.mrf is no whole XML.*copy it again"):
        read(export(tmp_path / "b", record(), mrf=detail()[:-20]))


def test_images_that_the_microscope_could_not_take_are_told_by_well_and_field(tmp_path):
    lost = record(row=3, col=14, field=None, ch=None, kind="ERR", name="AF Error at C14 No. 0")
    found = read(export(tmp_path / "x", record(), lost, record(row=1, col=1, field=7, kind="ERR", name="")))
    assert found.complete is True and found.images.height == 1
    assert found.warnings == ("the microscope could not take 2 images (records ERR): C14 (AF Error at C14 No. 0), A01 field 7",)


def test_records_of_an_unknown_type_do_not_count(tmp_path):
    found = read(export(tmp_path / "x", record(), record(field=2, kind="LOG")))
    assert found.images.height == 1 and "1 records of the type 'LOG'" in found.warnings[0]


def test_several_time_points_have_to_be_chosen_from_and_each_has_its_own_id(tmp_path):
    folder = export(tmp_path / "P001_096h", record(time=1), record(time=2), record(time=2, field=9, kind="ERR"))
    with pytest.raises(SeveralTimepoints) as several:
        read(folder)
    names = several.value.timepoints
    assert names == ("20240506T100000-T1", "20240506T100000-T2")
    first, second = (read(folder, timepoint=name) for name in names)
    assert (first.images.height, second.images["path"][0]) == (1, "P_2_3_T2F1L1A1Z1C1.tif")
    assert first.acquisition_id != second.acquisition_id
    assert first.warnings == () and "field 9" in second.warnings[0]


def test_time_points_that_count_timelines_are_one_visit(tmp_path):
    """Four timelines of a CV7000, each with a well of its own, have the TimePoints 1 to 4."""
    found = read(export(tmp_path / "x", *(record(row=n, time=n, line=n) for n in range(1, 5))))
    assert found.images["Metadata_Well"].to_list() == ["A03", "B03", "C03", "D03"]
    assert found.timepoint == "20240506T100000"


@pytest.mark.parametrize("marked", [{"ZImageProcessing": "Maximum"}, {"Action": "MIP"}])
def test_a_projection_is_plane_0_beside_the_stack_that_it_was_made_of(tmp_path, marked):
    projected = record(z=1, name="mip.tif", **marked)
    assert places(read(export(tmp_path / "x", record(z=1), record(z=2), projected))) == [
        ("B03", 1, "405", plane) for plane in (0, 1, 2)
    ]


def test_one_channel_taken_by_two_actions_is_two_channels(tmp_path):
    found = read(export(tmp_path / "x", record(z=1), record(z=2), record(z=1, action=2, Action="2D"), record(ch=2, action=3)))
    assert places(found) == [
        ("B03", 1, "405 (A01)", 1), ("B03", 1, "405 (A01)", 2), ("B03", 1, "405 (A02)", 1), ("B03", 1, "FITC", 1)
    ]  # fmt: skip


def test_one_channel_that_actions_take_in_different_wells_is_one_channel(tmp_path):
    found = read(export(tmp_path / "x", record(row=1, action=1), record(row=2, action=2, line=2)))
    assert found.images["Metadata_Channel"].to_list() == ["405", "405"]


def test_two_channels_of_one_name_are_told_apart_by_their_number(tmp_path):
    mes = setting(channel(1, "FITC"), channel(2, "488", "FITC"))
    assert {place[2] for place in places(read(export(tmp_path / "x", record(), record(ch=2), mes=mes)))} == {
        "FITC (1)",
        "FITC (2)",
    }


def test_light_is_told_only_where_it_is_clear(tmp_path):
    mes = setting(
        channel(1, "BF", light="Lamp", acquisition="LP650"), channel(2, "488", light="nobody", acquisition="BP600/37")
    )
    found = read(export(tmp_path / "x", record(), record(ch=2), mes=mes)).images
    assert found.select("excitation_nm", "emission_nm").rows() == [(None, 600.0), (None, None)]


def test_channels_with_pixels_or_objectives_of_their_own_are_warned_of(tmp_path):
    mes = setting(channel(1, "405", power="20"), channel(2, "488", power="60"))
    found = read(export(tmp_path / "x", record(), record(ch=2), mrf=detail(pixels=("0.325", "0.108")), mes=mes))
    assert (found.pixel_um, str(found.objective)) == (0.325, "20×") and len(found.warnings) == 2


def test_a_measurement_that_did_not_run_to_its_end_is_warned_of(tmp_path):
    found = read(export(tmp_path / "x", record(), mrf=detail(Status="2")))
    assert found.complete is True and "has the Status '2'" in found.warnings[0]


def test_images_in_a_folder_of_their_own_and_images_packed_to_png_are_found(tmp_path):
    folder = export(tmp_path / "x", record(name="Image\\W0001F0001T0001Z001C1.tif"), record(field=2, name="b.tif"))
    (folder / "b.tif").rename(folder / "b.png")
    found = read(folder)
    assert found.images["path"].to_list() == ["Image/W0001F0001T0001Z001C1.tif", "b.png"]
    assert found.complete is True and "1 of 2 images are there as PNG" in found.warnings[0]


def test_the_default_name_of_a_plate_makes_an_id(tmp_path):
    found = read(export(tmp_path / "x", record(), mrf=detail(plate="AssayPlate_Cellvis_#384-1.5H-N")))
    assert found.acquisition_id == "AssayPlate_Cellvis_384-1.5H-N_20240506T100000"


def test_the_same_image_twice_is_refused(tmp_path):
    with pytest.raises(AcquisitionError, match="there twice: a.tif and b.tif"):
        read(export(tmp_path / "image", record(name="a.tif"), record(name="b.tif")))
    with pytest.raises(AcquisitionError, match=r"name the same file 'a.tif'"):
        read(export(tmp_path / "file", record(name="a.tif"), record(field=2, name="a.tif")))


@pytest.mark.parametrize(
    ("field", "value"),
    [("row", 33), ("row", "NaN"), ("col", 0), ("col", None), ("field", -1), ("field", None), ("ch", "x"), ("ch", None),
     ("z", 0), ("z", "1e9"), ("time", "")],
)  # fmt: skip
def test_a_number_that_cannot_be_names_the_record(tmp_path, field, value):
    wrong = record(name="b.tif", **{field: value})
    with pytest.raises(AcquisitionError, match=r"MeasurementData.mlf: record 2 has \w+ .*, and a whole number"):
        read(export(tmp_path / "x", record(), wrong))


def test_a_place_or_time_that_is_none_is_empty(tmp_path):
    found = read(export(tmp_path / "x", record(x="NaN", y="far", Z=None, Time="never"))).images
    assert found.select("x_um", "y_um", "z_um", "acquired_at").row(0) == (None, None, None, None)


@pytest.mark.parametrize("name", ["../a.tif", "/etc/passwd", "C:\\a.tif", "Image\\..\\..\\a.tif", "s3://b/a.tif"])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path, name):
    with pytest.raises(AcquisitionError, match="lies outside the folder"):
        read(export(tmp_path / "x", record(name=name), write=False))


def test_what_is_no_sound_list_says_what_is_wrong(tmp_path):
    with pytest.raises(AcquisitionError, match="names no image"):
        read(export(tmp_path / "none", record(kind="ERR")))
    with pytest.raises(AcquisitionError, match="1 images have no file name"):
        read(export(tmp_path / "nameless", record(), record(field=2, name="")))
    with pytest.raises(AcquisitionError, match=r"no whole XML.*copy it again"):
        read(export(tmp_path / "cut", mlf=f"<bts:MeasurementData {XMLNS}>" + record()))
    with pytest.raises(AcquisitionError, match="on no 96-well plate"):
        read(export(tmp_path / "outside", record(row=16)))
    with pytest.raises(AcquisitionError, match="no such format here: set the option `plate_format`"):
        read(export(tmp_path / "slide", record(), mrf=detail(rows=1, cols=4)))
    assert read(tmp_path / "slide", plate_format=24).plate_format.wells == 24


def test_two_measurements_below_one_folder_are_refused(tmp_path):
    export(tmp_path / "a", record())
    export(tmp_path / "b", record())
    with pytest.raises(AcquisitionError, match="2 measurements"):
        read(tmp_path)
