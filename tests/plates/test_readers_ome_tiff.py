"""OME-TIFF: companions, sets of files, plates in the XML, wells by names, and what no OME-XML may do."""

import shutil
from datetime import UTC, datetime

import numpy as np
import pytest
import tifffile
from upath import UPath

from plate_assets.plates.acquisition import Acquisition, AcquisitionError, Objective
from plate_assets.plates.layout import PlateFormat
from plate_assets.plates.listing import Entry, Listing, list_folder
from plate_assets.plates.readers.ome_tiff import MAX_DOCUMENTS, OmeTiffReader
from plate_assets.plates.readers.options import ReadOptions
from plate_assets.plates.readers.reader import SeveralTimepoints

PIXELS = np.arange(64, dtype=np.uint16).reshape(8, 8)
NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
KEY = ("Metadata_Well", "Metadata_Site", "Metadata_Channel", "Metadata_Plane")


def read(folder, **options) -> Acquisition:
    return OmeTiffReader().read(list_folder(UPath(folder)), ReadOptions(**options))


def recognised(folder) -> bool:
    return OmeTiffReader().recognises(list_folder(UPath(folder)))


def data(file: str | None = None, page: int | None = None, count: int | None = 1, uuid: str | None = "urn:uuid:1", **first):
    name = f' FileName="{file}"' if file else ""
    where = "".join(f' {key}="{value}"' for key, value in first.items())
    at = (f' IFD="{page}"' if page is not None else "") + (f' PlaneCount="{count}"' if count is not None else "")
    return f"<TiffData{at}{where}>" + (f"<UUID{name}>{uuid}</UUID>" if file or uuid else "") + "</TiffData>"


def image(number, *tiff_data, channels=("DAPI",), z=1, t=1, planes="", pixel="0.5", date="2024-05-06T07:08:09", more=""):
    light = 'ExcitationWavelength="405" EmissionWavelength="450"'
    return (
        f'<Image ID="Image:{number}" Name="field {number}"><AcquisitionDate>{date}</AcquisitionDate>'
        f'<ObjectiveSettings ID="Objective:0"/><Pixels ID="Pixels:{number}" DimensionOrder="XYZCT" Type="uint16" SizeX="8" '
        f'SizeY="8" SizeZ="{z}" SizeC="{len(channels)}" SizeT="{t}" PhysicalSizeX="{pixel}" PhysicalSizeXUnit="µm"{more}>'
        + "".join(f'<Channel ID="Channel:{number}:{c}" Name="{name}" {light}/>' for c, name in enumerate(channels))
        + "".join(tiff_data) + planes + "</Pixels></Image>"
    )  # fmt: skip


def plate(
    *wells, rows=8, cols=12, name="P7", runs='<PlateAcquisition ID="PlateAcquisition:0" StartTime="2024-05-06T07:00:00"/>'
):
    """wells: (row, col, images), all from 0; an image may be (number, attributes)."""
    text = f'<Plate ID="Plate:0" Name="{name}" Rows="{rows}" Columns="{cols}">'
    for row, col, images in wells:
        samples = [each if isinstance(each, tuple) else (each, "") for each in images]
        fields = (f'<WellSample ID="s:{n}" {more}><ImageRef ID="Image:{n}"/></WellSample>' for n, more in samples)
        text += f'<Well ID="w:{row}:{col}" Row="{row}" Column="{col}">{"".join(fields)}</Well>'
    return text + runs + "</Plate>"


def ome(*parts, head="", uuid="urn:uuid:1"):
    lens = '<Instrument ID="I:0"><Objective ID="Objective:0" NominalMagnification="20" LensNA="0.8"/></Instrument>'
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{head}<OME xmlns="{NAMESPACE}" UUID="{uuid}" Creator="a test">{lens}'
        f"{''.join(parts)}</OME>"
    )


def write(path, xml=None, pages=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path, ome=False) as writer:
        for page in range(pages):
            text = xml.encode() if xml and page == 0 else None
            writer.write(PIXELS + page, description=text, metadata=None, contiguous=False)
    return path


def companion(folder, *parts, files=(), name="x.companion.ome", pages=1, encoding="utf-8"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(ome(*parts), encoding=encoding)
    for file in files:
        write(folder / file, pages=pages)
    return folder


def two_wells(folder, files=("a.ome.tif", "b.ome.tif"), **about):
    """Well B03 with two sites of two channels, in a file for each channel, and C04 with one, missing in its metadata."""
    images = [
        image(n, *(data(file, n, FirstC=c) for c, file in enumerate(("a.ome.tif", "b.ome.tif"))), channels=("DAPI", "GFP"))
        for n in range(3)
    ]
    return companion(folder, plate((1, 2, (1, 0)), (2, 3, (2,)), **about), *images, files=files, pages=3)


def keys(found, *more):
    return found.images.select(*KEY, *more).rows()


def test_the_real_companions_tell_no_well_and_the_pattern_does(tmp_path, real_data):
    files = real_data / "faim-ipa-imagexpress-cellvoyager" / "resources" / "ome-tiff"
    assert recognised(files)
    with pytest.raises(AcquisitionError, match="no plate with wells.*the option `pattern`"):
        read(files)
    shutil.copy(files / "c3_z33.companion.ome", tmp_path)
    found = read(tmp_path, pattern=r"(?P<well>c\d)_z33_w\d.*", plate="P")
    assert (found.images.height, found.missing.height, found.complete) == (99, 99, False)
    assert "0 of 99 images" in found.completeness and found.documents == ("c3_z33.companion.ome",)
    assert found.started_at == datetime(2024, 11, 4, 9, 38, 7, 947510, UTC) and found.timepoint == "20241104T093807"
    assert found.pixel_um == pytest.approx(0.0649555549) and found.objective == Objective(100.0)
    first = found.images.row(0, named=True)
    assert tuple(first[key] for key in KEY) == ("C03", 1, "Conf405", 1)
    assert (first["path"], first["page"], first["z_um"]) == ("c3_z33_w3Conf405.ome.tif", 0, 67.0)
    assert (first["excitation_nm"], first["emission_nm"]) == (405.0, 460.0)
    assert first["acquired_at"] == datetime(2024, 11, 4, 9, 38, 23, 779271, UTC)
    assert found.images["Metadata_Plane"].to_list() == [*range(1, 34)] * 3


def test_a_time_point_beyond_the_size_that_is_told_is_one_all_the_same(tmp_path, real_data):
    """The real companion says SizeT 5 and places six."""
    name = "20241003_experiment_488_7_640_3_1.companion.ome"
    shutil.copy(real_data / "faim-ipa-imagexpress-cellvoyager" / "resources" / "ome-tiff" / name, tmp_path)
    pattern = r"(?P<plate>\d{8})_experiment_.*_(?P<well_number>\d)_w\dChannel\d"
    with pytest.raises(SeveralTimepoints) as several:
        read(tmp_path, pattern=pattern)
    assert several.value.timepoints == ("t1", "t2", "t3", "t4", "t5", "t6")
    found = read(tmp_path, pattern=pattern, timepoint="t6")
    assert (found.acquisition_id, found.images["page"].to_list()) == ("20240729_t6", [5, 5])
    assert found.objective == Objective(100.0, 1.49)


def test_a_plate_in_a_companion_gives_wells_sites_files_and_pages(tmp_path):
    found = read(two_wells(tmp_path / "run"))
    assert (found.acquisition_id, found.plate_format, found.layout) == ("P7_20240506T070000", PlateFormat(96), "ome-tiff")
    assert keys(found, "path", "page") == [
        ("B03", 1, "DAPI", 1, "a.ome.tif", 1), ("B03", 1, "GFP", 1, "b.ome.tif", 1),
        ("B03", 2, "DAPI", 1, "a.ome.tif", 0), ("B03", 2, "GFP", 1, "b.ome.tif", 0),
        ("C04", 1, "DAPI", 1, "a.ome.tif", 2), ("C04", 1, "GFP", 1, "b.ome.tif", 2),
    ]  # fmt: skip
    assert (found.complete, found.completeness[:26]) == (True, "the vendor's list of files")
    assert (found.pixel_um, found.objective) == (0.5, Objective(20.0, 0.8))
    assert found.started_at == datetime(2024, 5, 6, 7, tzinfo=UTC)
    assert found.images["acquired_at"].unique().to_list() == [datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)]
    assert found.images["excitation_nm"].unique().to_list() == [405.0] and found.sources["wavelengths"] == "files"
    assert (found.documents, found.warnings) == (("x.companion.ome",), ())


def test_a_file_that_is_named_and_not_there_is_missing_with_its_images(tmp_path):
    found = read(two_wells(tmp_path / "run", files=("a.ome.tif",)))
    assert found.complete is False and "3 of 6 images of" not in found.completeness and "3 of 6 images" in found.completeness
    assert found.missing.select(*KEY[:3]).rows() == [("B03", 1, "GFP"), ("B03", 2, "GFP"), ("C04", 1, "GFP")]


def test_a_companion_in_utf_16_and_one_called_xml_are_read(tmp_path):
    xml = plate((0, 0, (0,))), image(0, data("a.tif", 0))
    folder = companion(tmp_path / "run", *xml, files=("a.tif",), name="plate.ome.xml")
    (folder / "plate.ome.xml").write_bytes(ome(*xml).replace("UTF-8", "UTF-16").encode("utf-16"))
    assert recognised(folder) and keys(read(folder)) == [("A01", 1, "DAPI", 1)]


def test_a_companion_names_files_in_folders_below_its_own(tmp_path):
    xml = plate((0, 0, (0, 1))), image(0, data(r".\Images\a.ome.tif", 0)), image(1, data("Images//./b.ome.tif", 0))
    companion(tmp_path / "run" / "plate", *xml)
    for name in "ab":
        write(tmp_path / "run" / "plate" / "Images" / f"{name}.ome.tif")
    found = read(tmp_path / "run")
    assert found.images["path"].to_list() == ["plate/Images/a.ome.tif", "plate/Images/b.ome.tif"] and found.complete is True
    assert found.documents == ("plate/x.companion.ome",)


def test_planes_and_channels_follow_the_dimension_order_and_the_plane_count(tmp_path):
    xml = image(0, data("a.ome.tif", 2, 6), channels=("R", "G"), z=3).replace("XYZCT", "XYCZT")
    found = read(companion(tmp_path / "run", plate((0, 0, (0,))), xml, files=("a.ome.tif",), pages=8))
    assert keys(found, "page") == [
        ("A01", 1, "G", 1, 3), ("A01", 1, "G", 2, 5), ("A01", 1, "G", 3, 7),
        ("A01", 1, "R", 1, 2), ("A01", 1, "R", 2, 4), ("A01", 1, "R", 3, 6),
    ]  # fmt: skip


def test_channels_that_a_writer_counts_from_1_have_their_own_names(tmp_path):
    xml = image(0, data("a.ome.tif", 0, FirstC=1), data("a.ome.tif", 1, FirstC=2), channels=("R", "G"))
    found = read(companion(tmp_path / "run", plate((0, 0, (0,))), xml, files=("a.ome.tif",), pages=2))
    assert keys(found, "page") == [("A01", 1, "G", 1, 1), ("A01", 1, "R", 1, 0)]


def test_channels_without_names_and_of_one_name_are_told_apart(tmp_path):
    twice = image(0, *(data("a.ome.tif", c, FirstC=c) for c in range(4)), channels=("", "", "X", "X"))
    found = read(companion(tmp_path / "run", plate((0, 0, (0,))), twice, files=("a.ome.tif",), pages=4))
    assert found.images["Metadata_Channel"].to_list() == ["X (3)", "X (4)", "c1", "c2"]
    alone = image(0, data("a.ome.tif", 0), channels=("",))
    found = read(companion(tmp_path / "one", plate((0, 0, (0,))), alone, files=("a.ome.tif",)))
    assert found.images["Metadata_Channel"].to_list() == ["default"]


def test_several_time_points_have_to_be_chosen_from_and_have_times_of_their_own(tmp_path):
    planes = '<Plane TheZ="0" TheC="0" TheT="0" DeltaT="0"/><Plane TheZ="0" TheC="0" TheT="1" DeltaT="2" DeltaTUnit="h"/>'
    xml = image(0, data("a.ome.tif", 0), data("a.ome.tif", 1, FirstT=1), data("a.ome.tif", 2, FirstT=2), t=3, planes=planes)
    folder = companion(tmp_path / "run", plate((0, 0, (0,))), xml, files=("a.ome.tif",), pages=3)
    with pytest.raises(SeveralTimepoints) as several:
        read(folder)
    assert several.value.timepoints == ("t1", "t2", "t3")
    found = read(folder, timepoint="t2")
    assert (found.acquisition_id, found.images["page"].to_list(), found.complete) == ("P7_t2", [1], True)
    assert found.started_at == datetime(2024, 5, 6, 9, 8, 9, tzinfo=UTC)
    assert read(folder, timepoint="t3").started_at is None  # neither its plane nor the plate's run tells it


def test_places_in_the_well_are_the_plates_and_places_on_the_stage_are_counted_from_the_middle(tmp_path):
    here = [f'PositionX="{x}" PositionXUnit="µm" PositionY="-40" PositionYUnit="µm"' for x in (-100, 100)]
    images = [image(n, data("a.ome.tif", n)) for n in range(2)]
    found = read(companion(tmp_path / "well", plate((0, 0, tuple(enumerate(here)))), *images, files=("a.ome.tif",), pages=2))
    assert found.images.select("x_um", "y_um").rows() == [(-100.0, -40.0), (100.0, -40.0)] and not found.warnings

    def stage(n, x):
        at = f'PositionX="{x}" PositionXUnit="mm" PositionY="5" PositionYUnit="mm" PositionZ="7" PositionZUnit="µm"'
        return image(n, data("a.ome.tif", n), planes=f'<Plane TheZ="0" TheC="0" TheT="0" {at}/>')

    images = stage(0, 61.5), stage(1, 62.5), stage(2, 70)
    found = read(companion(tmp_path / "stage", plate((0, 0, (0, 1)), (0, 1, (2,))), *images, files=("a.ome.tif",), pages=3))
    assert found.images.select("x_um", "y_um", "z_um").rows() == [(-500.0, 0.0, 7.0), (500.0, 0.0, 7.0), (None, None, 7.0)]
    assert "only stage positions" in found.warnings[0]


def test_a_place_in_a_well_that_no_well_is_large_enough_for_is_left_out(tmp_path):
    here = [f'PositionX="{x}" PositionXUnit="mm" PositionY="1" PositionYUnit="mm"' for x in (61, 62)]
    images = [image(n, data("a.ome.tif", n)) for n in range(2)]
    found = read(companion(tmp_path / "run", plate((0, 0, tuple(enumerate(here)))), *images, files=("a.ome.tif",), pages=2))
    assert found.images.select("x_um", "y_um").rows() == [(None, None)] * 2


def test_a_position_without_a_unit_is_no_place(tmp_path):
    at = '<Plane TheZ="0" TheC="0" TheT="0" PositionX="4" PositionY="5" PositionZ="6"/>'
    images = [image(n, data("a.ome.tif", n), planes=at) for n in range(2)]
    found = read(companion(tmp_path / "run", plate((0, 0, (0, 1))), *images, files=("a.ome.tif",), pages=2))
    assert found.images.select("x_um", "y_um", "z_um").rows() == [(None, None, None)] * 2


def test_the_plate_may_stand_in_the_tiffs_themselves_which_name_each_other(tmp_path):
    def xml(own):
        images = (image(n, data(f"{name}.ome.tif", 0, uuid=f"urn:uuid:{name}")) for n, name in enumerate("abc"))
        return ome(plate((0, 0, (0, 1)), (0, 1, (2,))), *images, uuid=f"urn:uuid:{own}")

    for name in "ab":
        write(tmp_path / "run" / f"{name}.ome.tif", xml(name))
    found = read(tmp_path / "run")
    assert keys(found, "path", "present") == [
        ("A01", 1, "DAPI", 1, "a.ome.tif", True), ("A01", 2, "DAPI", 1, "b.ome.tif", True),
        ("A02", 1, "DAPI", 1, "c.ome.tif", False),
    ]  # fmt: skip
    assert found.complete is False and found.documents == ()
    write(tmp_path / "run" / "c.ome.tif", xml("c"))
    assert read(tmp_path / "run").complete is True


def test_one_file_with_its_own_plate_does_not_tell_that_it_is_the_only_one(tmp_path):
    write(tmp_path / "run" / "a.ome.tif", ome(plate((3, 3, (0,))), image(0, data(uuid=None, page=0))))
    found = read(tmp_path / "run")
    assert keys(found) == [("D04", 1, "DAPI", 1)] and found.complete is None


def test_a_file_for_each_well_with_its_part_of_the_plate_is_read_file_by_file(tmp_path):
    for col in range(3):
        write(tmp_path / "run" / f"f{col}.ome.tif", ome(plate((0, col, (0,))), image(0, data(uuid=None, page=0))))
    found = read(tmp_path / "run")
    assert keys(found, "path") == [(f"A0{col + 1}", 1, "DAPI", 1, f"f{col}.ome.tif") for col in range(3)]
    assert found.complete is None


def test_wells_come_from_names_and_channels_and_planes_from_the_first_files_xml(tmp_path):
    about = {"axes": "CZYX", "Channel": {"Name": ["phase", "GFP"]}, "PhysicalSizeX": 0.65, "PhysicalSizeXUnit": "µm"}
    (tmp_path / "P001_096h").mkdir()
    for name in ("A01_s1", "A01_s2", "P24_s1"):
        tifffile.imwrite(tmp_path / "P001_096h" / f"{name}.ome.tif", np.zeros((2, 3, 8, 8), "u2"), ome=True, metadata=about)
    found = read(tmp_path / "P001_096h")
    assert (found.acquisition_id, found.timepoint_h, found.plate_format.wells) == ("P001_096h", 96.0, 384)
    assert keys(found, "path", "page")[:7] == [
        ("A01", 1, "GFP", 1, "A01_s1.ome.tif", 3), ("A01", 1, "GFP", 2, "A01_s1.ome.tif", 4),
        ("A01", 1, "GFP", 3, "A01_s1.ome.tif", 5), ("A01", 1, "phase", 1, "A01_s1.ome.tif", 0),
        ("A01", 1, "phase", 2, "A01_s1.ome.tif", 1), ("A01", 1, "phase", 3, "A01_s1.ome.tif", 2),
        ("A01", 2, "GFP", 1, "A01_s2.ome.tif", 3),
    ]  # fmt: skip
    assert (found.images.height, found.pixel_um, found.metadata["pattern"]) == (18, 0.65, "plain")
    assert (found.complete, found.warnings) == (None, ())


def test_another_size_of_a_file_is_a_reason_to_say_that_pages_are_taken_as_in_the_first(tmp_path):
    about = {"axes": "ZYX"}
    for name, planes in (("A01", 3), ("A02", 2)):
        (tmp_path / "run").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / "run" / f"{name}.ome.tif", np.zeros((planes, 8, 8), "u2"), ome=True, metadata=about)
    assert "3 pages, as A01.ome.tif does; 1 of 2 have another size" in read(tmp_path / "run").warnings[0]


def test_a_channel_in_the_name_goes_before_the_first_files_only_channel(tmp_path):
    for name in ("A01_s1_w1", "A01_s1_w2"):
        write(tmp_path / "run" / f"{name}.ome.tif", ome(image(0, data(uuid=None, page=0))))
    found = read(tmp_path / "run")
    assert found.images["Metadata_Channel"].to_list() == ["w1", "w2"] and found.images["excitation_nm"].null_count() == 2
    both = ome(image(0, data(uuid=None, count=2, page=0), channels=("a", "b")))
    write(tmp_path / "both" / "A01_w1.ome.tif", both, pages=2)
    assert read(tmp_path / "both").images["Metadata_Channel"].to_list() == ["w1-a", "w1-b"]


def test_several_images_in_a_file_are_the_sites_of_its_well(tmp_path):
    xml = ome(*(image(n, data(uuid=None, page=n)) for n in range(3)))
    for name in ("B02", "B03"):
        write(tmp_path / "run" / f"{name}.ome.tif", xml, pages=3)
    assert keys(read(tmp_path / "run"), "page") == [
        (well, site, "DAPI", 1, site - 1) for well in ("B02", "B03") for site in (1, 2, 3)
    ]


def test_time_points_may_stand_in_names_or_inside(tmp_path):
    for time in (0, 24):
        write(tmp_path / "names" / f"A01_t{time}.ome.tif", ome(image(0, data(uuid=None, page=0))))
    with pytest.raises(SeveralTimepoints) as several:
        read(tmp_path / "names")
    assert several.value.timepoints == ("t0", "t24")
    assert read(tmp_path / "names", timepoint="t24").images["path"].to_list() == ["A01_t24.ome.tif"]
    write(tmp_path / "inside" / "A01.ome.tif", ome(image(0, data(uuid=None, page=0, count=2), t=2)), pages=2)
    with pytest.raises(SeveralTimepoints) as several:
        read(tmp_path / "inside")
    assert several.value.timepoints == ("t1", "t2")
    assert read(tmp_path / "inside", timepoint="t2").images["page"].to_list() == [1]


@pytest.mark.parametrize("pattern", [r"img-(?P<well>\w\d)", r"img-(?P<well>\w\d)\.ome", r"img-(?P<well>\w\d)\.ome\.tif"])
def test_ones_own_pattern_fits_the_name_without_its_ending_or_with_it(tmp_path, pattern):
    write(tmp_path / "run" / "img-C7.ome.tif", ome(image(0, data(uuid=None, page=0))))
    with pytest.raises(AcquisitionError, match="the option `pattern`"):
        read(tmp_path / "run")
    assert keys(read(tmp_path / "run", pattern=pattern)) == [("C07", 1, "DAPI", 1)]


def test_a_pattern_goes_before_the_plate_in_the_xml(tmp_path):
    xml = plate((0, 0, (0,))), image(0, data("H12.ome.tif", 0))
    folder = companion(tmp_path / "run", *xml, files=("H12.ome.tif",))
    assert read(folder).images["Metadata_Well"][0] == "A01"
    assert read(folder, pattern="plain").images["Metadata_Well"][0] == "H12"


def test_files_that_name_each_other_tell_what_is_missing_and_not_that_all_is_there(tmp_path):
    def xml(name):
        return ome(*(image(0, *(data(f"{name}_w{c + 1}.ome.tif", 0, FirstC=c, uuid=f"u{c}") for c in (0, 1)), channels="ab")))

    for name in ("A01_w1", "A01_w2", "A02_w1"):
        write(tmp_path / "run" / f"{name}.ome.tif", xml(name[:3]))
    found = read(tmp_path / "run")
    assert found.complete is False and found.missing["path"].to_list() == ["A02_w2.ome.tif"]
    assert found.images["Metadata_Channel"].to_list() == ["a", "b", "a", "b"]
    write(tmp_path / "run" / "A02_w2.ome.tif", xml("A02"))
    assert read(tmp_path / "run").complete is None


def test_a_renamed_file_is_found_by_its_uuid_and_a_single_one_without(tmp_path):
    write(tmp_path / "one" / "A05.ome.tif", ome(image(0, data("old.ome.tif", 0, uuid="urn:uuid:9"))))
    assert read(tmp_path / "one").images.select("path", "present").rows() == [("A05.ome.tif", True)]
    xml = ome(image(0, data("old.ome.tif", 0), data("A05_b.ome.tif", 0, FirstC=1, uuid="urn:uuid:2"), channels="ab"))
    write(tmp_path / "two" / "A05.ome.tif", xml)
    write(tmp_path / "two" / "A05_b.ome.tif", xml)
    found = read(tmp_path / "two", pattern=r"(?P<well>\w\d\d).*")
    assert found.images["path"].to_list() == ["A05.ome.tif", "A05_b.ome.tif"]


def test_binary_only_files_point_to_their_companion(tmp_path):
    stub = f'<OME xmlns="{NAMESPACE}"><BinaryOnly MetadataFile="meta.ome" UUID="urn:uuid:1"/></OME>'
    for name in "ab":
        write(tmp_path / "run" / f"{name}.ome.tif", stub)
    with pytest.raises(AcquisitionError, match=r"metadata is in 'meta.ome', which is not there.*copy that file"):
        read(tmp_path / "run")
    two = image(0, data("a.ome.tif", 0)), image(1, data("b.ome.tif", 0))
    (tmp_path / "run" / "meta.ome").write_text(ome(plate((0, 0, (0, 1))), *two))
    found = read(tmp_path / "run")
    assert (found.images["path"].to_list(), found.complete) == (["a.ome.tif", "b.ome.tif"], True)
    assert found.documents == ("meta.ome",)


def test_binary_only_files_may_point_to_the_tiff_that_has_the_metadata(tmp_path):
    two = image(0, data("a.ome.tif", 0, uuid="urn:uuid:a")), image(1, data("m.ome.tif", 0, uuid="urn:uuid:m"))
    write(tmp_path / "run" / "a.ome.tif", f'<OME xmlns="{NAMESPACE}"><BinaryOnly MetadataFile="m.ome.tif" UUID="u"/></OME>')
    write(tmp_path / "run" / "m.ome.tif", ome(plate((0, 0, (0, 1))), *two, uuid="urn:uuid:m"))
    assert read(tmp_path / "run").images["path"].to_list() == ["a.ome.tif", "m.ome.tif"]
    circle = f'<OME xmlns="{NAMESPACE}"><BinaryOnly MetadataFile="a.ome.tif" UUID="u"/></OME>'
    write(tmp_path / "run" / "m.ome.tif", circle)
    with pytest.raises(AcquisitionError, match="which is not there or has none"):
        read(tmp_path / "run")


def test_a_uuid_without_a_name_is_looked_up_in_the_tiffs(tmp_path):
    parts = plate((0, 0, (0, 1))), *(image(n, data(page=0, uuid=f"urn:uuid:{n}")) for n in range(2))
    folder = companion(tmp_path / "run", *parts)
    for n in range(2):
        write(folder / f"f{1 - n}.ome.tif", f'<OME xmlns="{NAMESPACE}" UUID="urn:uuid:{n}"/>')
    assert keys(read(folder), "path") == [("A01", 1, "DAPI", 1, "f1.ome.tif"), ("A01", 2, "DAPI", 1, "f0.ome.tif")]
    (folder / "f0.ome.tif").unlink()
    with pytest.raises(AcquisitionError, match="no OME-TIFF here has the UUID urn:uuid:1.*FileName"):
        read(folder)


def test_a_companion_that_names_no_file_means_the_only_one(tmp_path):
    folder = companion(tmp_path / "run", plate((0, 0, (0,))), image(0, data(uuid=None, page=0)), files=("a.ome.tif",))
    assert read(folder).images["path"].to_list() == ["a.ome.tif"]
    write(folder / "b.ome.tif")
    with pytest.raises(AcquisitionError, match="places 1 planes in files that it does not name"):
        read(folder)


def test_what_the_xml_does_not_name_or_describe_is_said(tmp_path):
    parts = plate((0, 0, (0, 7))), image(0, data("a.ome.tif", 0)), image(1, data("a.ome.tif", 1))
    folder = companion(tmp_path / "run", *parts, files=("a.ome.tif", "stray.ome.tif"))
    said = " | ".join(read(folder).warnings)
    assert "1 fields of the plate refer to images that the OME-XML does not describe" in said
    assert "1 images lie in no well" in said and "1 OME-TIFFs are named by no OME-XML" in said and "stray.ome.tif" in said


def test_a_plate_of_no_known_format_is_said_and_the_option_goes_before(tmp_path):
    parts = plate((0, 0, (0,)), rows=1, cols=4), image(0, data("a.ome.tif", 0))
    folder = companion(tmp_path / "run", *parts, files=("a.ome.tif",))
    found = read(folder)
    assert "1 rows and 4 columns" in found.warnings[0] and found.sources["plate_format"].startswith("guessed")
    assert read(folder, plate_format=24).plate_format.wells == 24


def test_a_broken_first_file_is_said_and_the_next_one_is_read(tmp_path):
    folder = tmp_path / "run"
    for name in ("A01", "A02", "A03"):
        write(folder / f"{name}.ome.tif", ome(image(0, data(uuid=None, page=0))))
    (folder / "A01.ome.tif").write_bytes(b"II*\0 and no more")
    found = read(folder)
    assert found.images["Metadata_Well"].to_list() == ["A01", "A02", "A03"]
    assert "A01.ome.tif cannot be read" in found.warnings[0]
    for name in ("A02", "A03"):
        write(folder / f"{name}.ome.tif")
    with pytest.raises(AcquisitionError, match=r"A01.ome.tif cannot be read.*name plain TIFFs `.tif`"):
        read(folder)


BOMB = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
GOOD = image(0, data("a.ome.tif", 0))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("&lt",), "no whole XML"),
        ((), "describes 0 images and no plane"),
        ((plate((0, 0, (0,))),), "describes 0 images and no plane"),
        ((image(0, data("../../secret.tif", 0)),), "lies outside the folder"),
        ((image(0, data("C:\\secret.tif", 0)),), "lies outside the folder"),
        ((plate((0, 0, (0,))), image(0, data("a.ome.tif", -1))), "no whole number"),
        ((plate((0, 0, (0,))), image(0, data("a.ome.tif", 0, 10**9), z=10**5, t=10**5)), "more than 2,000,000 planes"),
        ((plate((0, 0, (0,))), image(0, data("a.ome.tif", 0, FirstZ=2 * 10**9))), "no whole number"),
        ((plate((0, 0, (0,))), image(0, data("a.ome.tif"), data("a.ome.tif", FirstZ=1), z=2)), "several planes on one page"),
        ((plate((40, 0, (0,))), GOOD), "row 41, column 1 is on no plate"),
        ((plate((9, 0, (0,))), GOOD), "on no 96-well plate"),
        ((plate((0, 0, (0,)), (0, 1, (0,))), GOOD), "in two places of the plate"),
        ((plate((0, 0, (5,))), GOOD), "no image of it lies in a file"),
        ((plate((0, 0, (0,))), plate((0, 0, (0,)), name="Q").replace("Plate:0", "Plate:1"), GOOD), "describes 2 plates"),
        ((plate((0, 0, (0,)), runs='<PlateAcquisition ID="a"/><PlateAcquisition ID="b"/>'), GOOD), "2 runs"),
        ((plate((0, 0, (0,)), name="../evil"), GOOD), "cannot name an acquisition"),
        ((plate((0, 0, (0,))), GOOD, GOOD), "two images with the ID"),
    ],
)  # fmt: skip
def test_what_is_no_sound_companion_says_what_is_wrong(tmp_path, parts, message):
    with pytest.raises(AcquisitionError, match=message):
        read(companion(tmp_path / "run", *parts, files=("a.ome.tif",)))


def test_entities_are_not_expanded_in_a_companion_nor_in_a_tiff(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.companion.ome").write_text(ome(GOOD, head=BOMB))
    with pytest.raises(AcquisitionError, match="declares a document type or entities"):
        read(tmp_path / "a")
    write(tmp_path / "b" / "A01.ome.tif", ome(GOOD, head=BOMB))
    with pytest.raises(AcquisitionError, match="declares a document type or entities"):
        read(tmp_path / "b")


def test_absurd_sizes_dates_and_places_are_left_out(tmp_path):
    place = '<Plane TheZ="0" TheC="0" TheT="0" DeltaT="1e300" PositionX="1e308" PositionXUnit="m" PositionZ="nan"/>'
    images = [image(n, data("a.ome.tif", n), pixel="-3", date="0001-01-01T00:00:00", planes=place) for n in range(2)]
    started = '<PlateAcquisition ID="a" StartTime="1970-01-01T00:00:00"/>'
    found = read(companion(tmp_path / "run", plate((0, 0, (0, 1)), runs=started), *images, files=("a.ome.tif",)))
    assert (found.pixel_um, found.started_at, found.timepoint) == (None, None, "t0")
    assert found.images.select("x_um", "y_um", "z_um", "acquired_at").rows() == [(None,) * 4] * 2
    assert "pixels of -3 µm" in found.warnings[0]


def test_names_that_are_not_understood_are_said_and_left_out(tmp_path):
    for name in ("A01", "A02", "A03", "A04", "overview"):
        write(tmp_path / "run" / f"{name}.ome.tif", ome(image(0, data(uuid=None, page=0))))
    found = read(tmp_path / "run")
    assert found.images.height == 4 and "1 of 5 files" in found.warnings[0] and "overview.ome.tif" in found.warnings[0]


def test_more_documents_and_more_planes_than_can_be_read_in_time_are_refused(tmp_path):
    many = Listing(UPath(tmp_path), [Entry(f"{n}.companion.ome", 1, 1) for n in range(MAX_DOCUMENTS + 1)])
    with pytest.raises(AcquisitionError, match=f"more than {MAX_DOCUMENTS} files of OME-XML"):
        OmeTiffReader().read(many, ReadOptions())
    write(tmp_path / "A01_s1.ome.tif", ome(image(0, data(uuid=None, page=0, count=1000), z=1000)))
    many = Listing(UPath(tmp_path), [Entry(f"A01_s{n}.ome.tif", 1, 1) for n in range(1, 2002)])
    with pytest.raises(AcquisitionError, match="2,001 files, and the first has 1,000 planes"):
        OmeTiffReader().read(many, ReadOptions())


def test_two_files_for_one_image_are_refused(tmp_path):
    for folder in ("a", "b"):
        write(tmp_path / "run" / folder / "A01.ome.tif", ome(image(0, data(uuid=None, page=0))))
    with pytest.raises(AcquisitionError, match="is there twice"):
        read(tmp_path / "run")


def test_other_layouts_are_not_recognised(tmp_path, real_data):
    (tmp_path / "A01.tif").write_bytes(b"")
    (tmp_path / "notes.ome.xml").write_text("<notes/>")
    assert not recognised(tmp_path)
    for name in ("scanr-ome-metadata", "operetta-harmony-384", "ome-zarr-hcs-examples", "cellprofiler-examples"):
        assert not recognised(real_data / name)
    write(tmp_path / "scanr" / "A01.ome.tif")
    (tmp_path / "scanr" / "metadata.ome.xml").write_text(ome(GOOD))
    assert not recognised(tmp_path / "scanr")
    for name in ("x.OME.TIF", "x.ome.tf2", "x.ome.btf", "x.companion.ome"):
        assert OmeTiffReader().recognises(Listing(UPath(tmp_path), [Entry(name, 1, 1)]))


def test_a_plate_on_an_object_store_reads_as_on_a_disk(tmp_path):
    local = tmp_path / "P001_096h"
    for name in ("A01_s1", "A02_s1"):
        write(local / f"{name}.ome.tif", ome(image(0, data(uuid=None, page=0))))
    remote = UPath("memory://ome-tiff/P001_096h")
    remote.mkdir(parents=True, exist_ok=True)
    for file in local.iterdir():
        (remote / file.name).write_bytes(file.read_bytes())
    assert read(remote).images.equals(read(local).images)
