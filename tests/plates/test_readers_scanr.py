"""ScanR exports: what `metadata.ome.xml` names, where wells and files come from, and what no OME-XML may do."""

from pathlib import Path

import pytest
from upath import UPath

from plate_assets.plates.acquisition import AcquisitionError
from plate_assets.plates.listing import list_folder
from plate_assets.plates.readers import ReadOptions, SeveralTimepoints
from plate_assets.plates.readers.ome_xml import Ome, page_table, plane_table, read_ome
from plate_assets.plates.readers.scanr import ScanrReader
from plate_assets.plates.readers.vendor_xml import elements

REAL = "scanr-ome-metadata/tests/data/scanr/1w_1p_1c_1z_1t"
NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2013-06"
OBJECTIVES = '<Instrument><Objective ID="O:1" NominalMagnification="20" LensNA="0.8"/></Instrument>'


def tiff(name="B2--W00014--P00001--Z00000--T00000--DAPI.tif", z=0, c=0, t=0, more=""):
    file = f'<UUID FileName="{name}">urn:uuid:1</UUID>' if name else ""
    return f'<TiffData FirstZ="{z}" FirstC="{c}" FirstT="{t}"{more}>{file}</TiffData>'


def plane(z=0, c=0, t=0, x="100", y="200", more=""):
    return f'<Plane TheZ="{z}" TheC="{c}" TheT="{t}" PositionX="{x}" PositionY="{y}" PositionZ="5" DeltaT="2.5"{more}/>'


def image(well=14, site=1, name="B2", data=None, planes=None, channels=("DAPI",), sizes=(1, 1, 1), date="", id=None, **more):
    """An image; `sizes` are z, c, t. `data` None is one TiffData with ScanR's name for the file."""
    data = [tiff(f"{name}--W{well:05d}--P{site:05d}--Z00000--T00000--{channels[0]}.tif")] if data is None else data
    values = {"DimensionOrder": "XYCTZ", "PhysicalSizeX": "0.325", "SizeX": 8, "SizeY": 8}
    values |= dict(zip(("SizeZ", "SizeC", "SizeT"), sizes, strict=True)) | more
    pixels = " ".join(f'{key}="{value}"' for key, value in values.items() if value is not None)
    told = "".join(f'<Channel ID="C:{number}" Name="{channel}"/>' for number, channel in enumerate(channels))
    return (
        f'<Image ID="{id or f"Image:W{well}P{site}"}" Name="Well {well}, Position {site} ({name})">'
        f"{f'<AcquisitionDate>{date}</AcquisitionDate>' if date else ''}"
        f'<ObjectiveSettings ID="O:1"/><Pixels {pixels}>{told}{"".join(data)}{"".join(planes or [plane()])}</Pixels></Image>'
    )


def export(folder: Path, *images, plate="", head="", creator="Olympus, scanR 3.3.0", files=None, body=None):
    """An acquisition with its files in `data`; `files` None are all that the XML names."""
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    text = f'<OME Creator="{creator}" xmlns="{NAMESPACE}">{OBJECTIVES}{plate}{"".join(images)}</OME>' if body is None else body
    (data / "metadata.ome.xml").write_text(f'<?xml version="1.0" encoding="UTF-8"?>{head}{text}', encoding="utf-8")
    named = [part.split('"')[0] for part in text.split('FileName="')[1:]] if files is None else files
    for name in named:
        (data / name).write_bytes(b"II*\0")
    return folder


def read(folder, **options):
    return ScanrReader().read(list_folder(UPath(folder)), ReadOptions(**options))


def places(found):
    return found.images.select("Metadata_Well", "Metadata_Site", "Metadata_Channel", "Metadata_Plane").rows()


@pytest.mark.parametrize("folder", ["", "data"])
def test_the_real_metadata_without_its_image_is_an_acquisition_that_lacks_it(real_data, folder):
    found = read(real_data / REAL / folder)
    assert found.complete is False and "0 of 1 images" in found.completeness
    assert found.missing["path"].str.ends_with("B2--W00014--P00001--Z00000--T00000--405 nm #1.tif").to_list() == [True]
    assert places(found) == [("B02", 1, "405 nm #1", 1)]
    assert (found.plate, found.plate_format.wells, found.pixel_um) == ("1w_1p_1c_1z_1t", 96, 0.325)
    assert str(found.objective) == "20×/0.8" and found.images["z_um"].to_list() == [6275.29]
    assert found.metadata["Microscope"] == "Olympus IX83"


@pytest.mark.parametrize("other", ["operetta-harmony-384", "faim-ipa-imagexpress-cellvoyager", "ome-zarr-hcs-examples"])
def test_other_vendors_exports_are_not_recognised(real_data, other):
    assert ScanrReader().recognises(list_folder(UPath(real_data / REAL)))
    assert not ScanrReader().recognises(list_folder(UPath(real_data / other)))


def test_metadata_of_that_name_is_scanrs_by_its_creator_or_by_the_files_beside_it(tmp_path):
    by_creator = export(tmp_path / "a", image(data=[tiff("x.tif")]))
    by_files = export(tmp_path / "b", image(), creator="somebody")
    neither = export(tmp_path / "c", image(data=[tiff("x.tif")]), creator="somebody")
    assert [ScanrReader().recognises(list_folder(UPath(folder))) for folder in (by_creator, by_files, neither)] == [
        True, True, False
    ]  # fmt: skip


def test_a_whole_export_is_complete_and_a_missing_image_is_listed_by_well_site_and_channel(tmp_path):
    channels = [tiff("B2--1.tif"), tiff("B2--2.tif", c=1)]
    folder = export(tmp_path / "P001_096h", image(data=channels, channels=("DAPI", "GFP"), sizes=(1, 2, 1)))
    whole = read(folder)
    assert (whole.complete, whole.acquisition_id, whole.timepoint_h) == (True, "P001_096h", 96.0)
    (folder / "data" / "B2--2.tif").unlink()
    found = read(folder)
    assert found.complete is False
    assert found.missing.select("Metadata_Well", "Metadata_Site", "Metadata_Channel").rows() == [("B02", 1, "GFP")]


def test_the_plate_goes_before_names_and_gives_format_and_sites(tmp_path):
    plate = (
        '<Plate Name="P7" Rows="16" Columns="24"><Well Row="2" Column="4"><WellSample><ImageRef ID="i1"/></WellSample>'
        '<WellSample><ImageRef ID="i2"/></WellSample></Well></Plate>'
    )
    images = [image(id="i1", data=[tiff("a.tif")]), image(id="i2", data=[tiff("b.tif")], site=2)]
    found = read(export(tmp_path / "x", *(one.replace("Well 14, Position", "") for one in images), plate=plate))
    assert places(found) == [("C05", 1, "DAPI", 1), ("C05", 2, "DAPI", 1)]
    assert (found.plate, found.plate_format.wells, found.sources["plate_format"]) == ("P7", 384, "files")


@pytest.mark.parametrize(("number", "wells"), [(14, 96), (26, 384), (8, 24)])
def test_a_wells_name_and_number_together_tell_the_format(tmp_path, number, wells):
    assert read(export(tmp_path / "x", image(well=number, name="B2"))).plate_format.wells == wells


def test_a_well_with_a_number_alone_is_taken_row_by_row_on_the_format_that_is_told_or_guessed(tmp_path):
    folder = export(tmp_path / "x", image(well=14, data=[tiff("a.tif")], name="no name"))
    guessed = read(folder)
    assert guessed.images["Metadata_Well"].to_list() == ["B02"] and "on a 96-well plate" in guessed.warnings[0]
    told = read(folder, plate_format=384)
    assert told.images["Metadata_Well"].to_list() == ["A14"] and told.warnings == ()


def test_without_ids_and_names_the_files_names_tell_well_and_site(tmp_path):
    bare = image(id="one").replace("Well 14, Position 1 (B2)", "")
    assert places(read(export(tmp_path / "x", bare))) == [("B02", 1, "DAPI", 1)]


def test_an_image_that_tells_no_well_or_site_is_refused(tmp_path):
    bare = image(id="one", data=[tiff("a.tif")])
    with pytest.raises(AcquisitionError, match="tells no well"):
        read(export(tmp_path / "well", bare.replace("Well 14, Position 1 (B2)", "")))
    with pytest.raises(AcquisitionError, match="'one' tells no site"):
        read(export(tmp_path / "site", bare.replace("Well 14, Position 1 (B2)", "(B2)")))


def test_where_the_xml_names_no_file_scanrs_own_names_are_looked_for(tmp_path):
    images = image(data=[tiff("", c=0), tiff("", c=1)], channels=("DAPI", "cherry red"), sizes=(1, 2, 1))
    folder = export(tmp_path / "x", images, files=["B2--W00014--P00001--Z00000--T00000--DAPI.tif"])
    found = read(folder)
    assert found.images.select("path", "present").rows() == [
        ("data/B2--W00014--P00001--Z00000--T00000--DAPI.tif", True),
        ("data/--W00014--P00001--Z00000--T00000--cherry red.tif", False),
    ]
    (folder / "data" / "--W00014--P00001--Z00000--T00000--cherry red.tif").write_bytes(b"II*\0")
    assert read(folder).complete is True


def test_without_any_tiffdata_all_planes_of_the_sizes_are_expected(tmp_path):
    found = read(export(tmp_path / "x", image(data=[], sizes=(2, 1, 1))))
    assert places(found) == [("B02", 1, "DAPI", 1), ("B02", 1, "DAPI", 2)]
    assert found.complete is False and found.missing.height == 2


def test_planes_that_no_tiffdata_names_are_warned_of_and_not_expected(tmp_path):
    named = [tiff("a.tif", more=' PlaneCount="1"'), tiff("b.tif", z=2)]
    found = read(export(tmp_path / "x", image(sizes=(3, 1, 1), data=named)))
    assert found.complete is True and "3 planes, and 2 are named" in found.warnings[0]


def test_places_are_from_the_middle_of_a_wells_sites_with_y_downwards(tmp_path):
    sites = [image(site=1, planes=[plane(x="1000", y="2000")]), image(site=2, planes=[plane(x="1600", y="1400")])]
    alone = image(well=15, name="B3", planes=[plane(x="9000", y="9000")])
    found = read(export(tmp_path / "x", *sites, alone)).images
    assert found.select("Metadata_Well", "x_um", "y_um").rows() == [
        ("B02", -300.0, -300.0), ("B02", 300.0, 300.0), ("B03", None, None)
    ]  # fmt: skip


def test_times_are_counted_from_the_images_date(tmp_path):
    found = read(export(tmp_path / "x", image(date="2024-05-06T10:00:00+02:00"), image(site=2)))
    assert str(found.started_at) == "2024-05-06 08:00:00+00:00" and found.timepoint == "20240506T080000"
    assert [when and str(when) for when in found.images["acquired_at"]] == ["2024-05-06 08:00:02.500000+00:00", None]


def test_several_time_points_have_to_be_chosen_from_and_each_has_its_own_id(tmp_path):
    folder = export(tmp_path / "P1_096h", image(data=[tiff("a.tif"), tiff("b.tif", t=1)], sizes=(1, 1, 2)))
    with pytest.raises(SeveralTimepoints) as several:
        read(folder)
    assert several.value.timepoints == ("t0", "t1")
    chosen = read(folder, timepoint="t1")
    assert (chosen.images["path"].to_list(), chosen.acquisition_id) == (["data/b.tif"], "P1_096h-t1")


def test_two_channels_of_one_name_are_told_apart_by_their_number(tmp_path):
    data = [tiff("a.tif"), tiff("b.tif", c=1)]
    found = read(export(tmp_path / "x", image(data=data, channels=("GFP", "GFP"), sizes=(1, 2, 1))))
    assert found.images["Metadata_Channel"].to_list() == ["GFP (1)", "GFP (2)"]


def test_images_of_different_pixels_are_warned_of(tmp_path):
    found = read(export(tmp_path / "x", image(), image(site=2, PhysicalSizeX="0.65")))
    assert found.pixel_um == 0.325 and "differ in their pixel size (0.325 µm, 0.65 µm)" in found.warnings[0]


@pytest.mark.parametrize("name", ["../a.tif", "/etc/passwd", "C:\\a.tif", "a\\..\\..\\b.tif", "s3://b/a.tif"])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path, name):
    with pytest.raises(AcquisitionError, match="lies outside the folder"):
        read(export(tmp_path / "x", image(data=[tiff(name)]), files=[]))


def test_what_is_no_sound_metadata_says_what_is_wrong(tmp_path):
    with pytest.raises(AcquisitionError, match="names no image"):
        read(export(tmp_path / "none"))
    with pytest.raises(AcquisitionError, match=r"no whole XML.*copy it again"):
        read(export(tmp_path / "cut", body="<OME><Image>"))
    with pytest.raises(AcquisitionError, match="page 0 of 'data/a.tif'"):
        read(export(tmp_path / "page", image(data=[tiff("a.tif"), tiff("a.tif", c=1)], sizes=(1, 2, 1))))
    with pytest.raises(AcquisitionError, match="there twice: data/a.tif and data/b.tif"):
        read(export(tmp_path / "twice", image(data=[tiff("a.tif"), tiff("b.tif")])))
    with pytest.raises(AcquisitionError, match="two images with the ID 'Image:W14P1'"):
        read(export(tmp_path / "ids", image(), image()))
    with pytest.raises(AcquisitionError, match="2 plates"):
        read(export(tmp_path / "plates", image(), plate="<Plate/><Plate/>"))
    with pytest.raises(AcquisitionError, match="no such format here: set the option `plate_format`"):
        read(export(tmp_path / "slide", image(), plate='<Plate Rows="1" Columns="4"/>'))
    with pytest.raises(AcquisitionError, match="metadata.ome.xml: row 26, column 99 is on no plate"):
        read(export(tmp_path / "well", image(name="Z99")))
    with pytest.raises(AcquisitionError, match="more than 2,000,000 planes"):
        read(export(tmp_path / "huge", image(data=[], sizes=(10**9, 10**9, 10**9))))


@pytest.mark.parametrize("wrong", ["-1", "x", "1.5", "", "99999999999", "NaN"])
def test_an_index_that_is_no_whole_number_names_element_and_image(tmp_path, wrong):
    with pytest.raises(AcquisitionError, match=r"TiffData of image 'Image:W14P1' has FirstZ=.*no whole number"):
        read(export(tmp_path / "x", image(data=[tiff("a.tif", z=wrong)])))


def test_two_acquisitions_below_one_folder_are_refused(tmp_path):
    export(tmp_path / "a", image())
    export(tmp_path / "b", image())
    with pytest.raises(AcquisitionError, match="2 acquisitions"):
        read(tmp_path)


# OME-XML itself, whoever wrote it.


def ome(tmp_path, body, **options) -> Ome:
    path = UPath(tmp_path / "x.ome.xml")
    path.write_text(f'<?xml version="1.0"?><OME xmlns="{NAMESPACE}">{body}</OME>', encoding="utf-8")
    return read_ome(elements(path), path, **options)


def pages(tmp_path, pixels, inside):
    images = ome(tmp_path, f'<Image ID="i"><Pixels {pixels}>{inside}</Pixels></Image>').images
    return page_table(images).select("z", "c", "t", "file", "ifd").rows()


def test_the_real_companions_of_ome_tiff_are_read(real_data):
    folder = UPath(real_data / "faim-ipa-imagexpress-cellvoyager" / "resources" / "ome-tiff")
    stack = read_ome(elements(folder / "c3_z33.companion.ome")).images
    assert page_table(stack).height == 99 == plane_table(stack).height
    assert page_table(stack).row(-1) == (0, 32, 2, 0, "c3_z33_w3Conf405.ome.tif", stack[0].tiff_data[-1].uuid, 32)
    assert [(c.name, c.excitation_nm, c.emission_nm) for c in stack[0].channels][0] == ("Conf640", 640.0, 650.0)
    # This software writes SizeT 5 and six time points: the sixth is there all the same.
    times = read_ome(elements(folder / "20241003_experiment_488_7_640_3_1.companion.ome")).images
    assert times[0].size_t == 5 and page_table(times)["t"].max() == 5


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("<TiffData/>", [(0, 0, 0, None, 0), (1, 0, 0, None, 1), (0, 1, 0, None, 2), (1, 1, 0, None, 3)]),
        ('<TiffData IFD="3" FirstC="1"/>', [(0, 1, 0, None, 3)]),
        ('<TiffData IFD="2" FirstC="1" PlaneCount="2"/>', [(0, 1, 0, None, 2), (1, 1, 0, None, 3)]),
        (tiff("a") + tiff("b", c=1), [(0, 0, 0, "a", 0), (1, 0, 0, "a", 1), (0, 1, 0, "b", 0), (1, 1, 0, "b", 1)]),
    ],
)
def test_tiffdata_is_spread_over_planes_as_the_schema_wants_it(tmp_path, inside, expected):
    assert pages(tmp_path, 'SizeZ="2" SizeC="2" SizeT="1" DimensionOrder="XYZCT"', inside) == expected


def test_the_dimension_order_says_which_plane_comes_next(tmp_path):
    rows = pages(tmp_path, 'SizeZ="2" SizeC="2" SizeT="1" DimensionOrder="XYCZT"', '<TiffData PlaneCount="3"/>')
    assert [row[:3] for row in rows] == [(0, 0, 0), (0, 1, 0), (1, 0, 0)]


def test_red_green_and_blue_share_a_plane(tmp_path):
    rows = pages(tmp_path, 'SizeZ="2" SizeC="3"', '<Channel SamplesPerPixel="3"/><TiffData/>')
    assert [row[:3] for row in rows] == [(0, 0, 0), (1, 0, 0)]


def test_more_planes_than_the_image_has_are_refused(tmp_path):
    with pytest.raises(AcquisitionError, match="3 planes of image 'i' .* would end at plane 4"):
        pages(tmp_path, 'SizeZ="2" SizeC="1"', '<TiffData FirstZ="1" PlaneCount="3"/>')


def test_lengths_and_times_are_scaled_by_their_units_and_a_bare_place_is_none(tmp_path):
    units = ' PositionXUnit="mm" PositionYUnit="reference frame" DeltaTUnit="ms"'
    body = (
        f'<Image ID="i"><Pixels PhysicalSizeX="325" PhysicalSizeXUnit="nm"><Channel ExcitationWavelength="0.488" '
        f'ExcitationWavelengthUnit="µm" EmissionWavelength="-3"/>{plane(more=units)}</Pixels></Image>'
    )
    image = ome(tmp_path, body).images[0]
    assert image.pixel_um == pytest.approx(0.325)
    assert image.channels[0].excitation_nm == pytest.approx(488) and image.channels[0].emission_nm is None
    assert plane_table([image]).row(0) == (0, 0, 0, 0, 100_000.0, None, None, 0.0025)
    assert ome(tmp_path, body, bare_um=1000).images[0].planes[0].z_um == 5000


def test_annotations_are_passed_over(tmp_path):
    inside = (
        "<StructuredAnnotations><XMLAnnotation><Value><Image ID='no'/><Plate/></Value></XMLAnnotation></StructuredAnnotations>"
    )
    found = ome(tmp_path, inside + '<Image ID="yes"/>')
    assert ([image.id for image in found.images], found.plates) == (["yes"], [])


def test_an_entity_bomb_is_not_expanded(tmp_path):
    bomb = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    with pytest.raises(AcquisitionError, match="declares a document type or entities"):
        read(export(tmp_path / "x", image(), head=bomb))


def test_digits_of_another_script_are_no_number(tmp_path):
    folder = export(tmp_path / "x", image())
    where = folder / "data" / "metadata.ome.xml"
    text = where.read_text(encoding="utf-8")
    where.write_text(text.replace("W14P1", "W１４P１"), encoding="utf-8")
    assert "W１４P１" in where.read_text(encoding="utf-8") and read(folder).images["Metadata_Well"].to_list() == ["B02"]
