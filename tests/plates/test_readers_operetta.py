"""Operetta exports: the index, what is missing from the folder, and what no index may do."""

import re

import numpy as np
import pytest
import tifffile
from upath import UPath

from plate_assets.plates.acquisition import AcquisitionError, fingerprint
from plate_assets.plates.readers import ReadOptions, SeveralTimepoints, open_acquisition

PIXELS = np.arange(64, dtype=np.uint16).reshape(8, 8)


def image(well=(3, 3), field=1, url=None, time=0, channel=1, **more):
    url = url if url is not None else f"r{well[0]:02d}c{well[1]:02d}f{field:02d}p01-ch{channel}sk{time + 1}fk1fl1.tiff"
    values = {"id": url, "URL": url, "Row": well[0], "Col": well[1], "FieldID": field, "PlaneID": 1, "TimepointID": time}
    values |= {"ChannelID": channel, "ChannelName": f"channel {channel}", "ImageResolutionX": "2.82E-06"} | more
    return "<Image>" + "".join(f"<{k}>{v}</{k}>" for k, v in values.items() if v is not None) + "</Image>"


def export(
    folder, *images, name="P 001", rows=16, cols=24, namespace="V5", head="", maps="", write=True, index="Index.idx.xml"
):
    (folder / "Images").mkdir(parents=True, exist_ok=True)
    plate = f"<PlateID>{name}</PlateID><Name>x</Name><MeasurementStartTime>2022-12-19T10:18:52.2+01:00</MeasurementStartTime>"
    text = (
        f'<?xml version="1.0" encoding="utf-8"?>{head}<EvaluationInputData xmlns="http://www.perkinelmer.com/PEHH/Harmony{namespace}">'
        f"<Plates><Plate>{plate}<PlateRows>{rows}</PlateRows><PlateColumns>{cols}</PlateColumns></Plate></Plates>"
        f"<Maps>{maps}</Maps><Images>{''.join(images)}</Images></EvaluationInputData>"
    )
    (folder / "Images" / index).write_text("\ufeff" + text if namespace == "V5" else text, encoding="utf-8")
    for each in images if write else ():
        url = each.split("<URL>")[1].split("</URL>")[0]
        tifffile.imwrite(folder / "Images" / url, PIXELS)
    return folder


def test_the_real_export_is_read(real_data):
    found = open_acquisition(real_data / "operetta-harmony-384" / "tests" / "operetta_plate")
    assert (found.plate, found.timepoint, found.timepoint_h) == ("Test_Sample_BALL", "20221219T101852", None)
    assert (found.layout, found.plate_format.wells, found.complete) == ("operetta", 384, True)
    assert found.pixel_um == pytest.approx(1.19595216, rel=1e-8)
    assert found.images.select("Metadata_Well", "Metadata_Site", "Metadata_Channel", "Metadata_Plane").rows() == [
        ("C03", 1, "Fluorescein (FITC)", 1),
        ("C03", 2, "Fluorescein (FITC)", 1),
    ]
    assert found.metadata["FlatfieldProfile Fluorescein (FITC)"].startswith("{Background:")
    assert found.documents == ("Images/Index.idx.xml",) and found.metadata["AbsTime"] == "2022-12-19T10:19:26.58+01:00"


@pytest.mark.parametrize("namespace", ["V4", "V5", "V6", "V7"])
def test_every_schema_of_harmony_is_understood(tmp_path, namespace):
    found = open_acquisition(export(tmp_path / "x", image(), namespace=namespace))
    assert (found.acquisition_id, found.pixel_um) == ("P_001_20221219T101852", pytest.approx(2.82))


def test_a_later_schema_keeps_the_channels_values_in_its_map(tmp_path):
    entry = (
        '<Entry ChannelID="1"><ChannelName>Brightfield</ChannelName><ImageResolutionX Unit="m">1E-06</ImageResolutionX></Entry>'
    )
    lean = image(ChannelName=None, ImageResolutionX=None)
    found = open_acquisition(export(tmp_path / "x", lean, maps=f"<Map>{entry}</Map>", namespace="V6", index="Index.xml"))
    assert (found.images["Metadata_Channel"][0], found.pixel_um) == ("Brightfield", pytest.approx(1.0))


def test_a_time_point_in_the_folders_name_goes_before_the_start_of_the_measurement(tmp_path):
    found = open_acquisition(export(tmp_path / "P001_096h", image()))
    assert (found.timepoint, found.timepoint_h, found.sources["timepoint"]) == ("096h", 96.0, "folder name")
    assert open_acquisition(tmp_path / "P001_096h" / "Images").timepoint == "096h"


def test_an_image_that_is_named_and_not_there_is_listed_as_missing(tmp_path):
    folder = export(tmp_path / "x", image(field=1), image(field=2))
    (folder / "Images" / "r03c03f02p01-ch1sk1fk1fl1.tiff").unlink()
    found = open_acquisition(folder)
    assert found.complete is False and "1 of 2 images" in found.completeness
    assert found.missing["path"].to_list() == ["Images/r03c03f02p01-ch1sk1fk1fl1.tiff"]


def test_several_time_points_have_to_be_chosen_from(tmp_path):
    folder = export(tmp_path / "x", image(time=0), image(time=1))
    with pytest.raises(SeveralTimepoints) as several:
        open_acquisition(folder)
    assert several.value.timepoints == ("20221219T101852-T0", "20221219T101852-T1")
    chosen = open_acquisition(folder, ReadOptions(timepoint="20221219T101852-T1"))
    assert chosen.images["path"].to_list() == ["Images/r03c03f01p01-ch1sk2fk1fl1.tiff"]


@pytest.mark.parametrize(
    "url", ["../../secret.tiff", "/etc/passwd", "C:\\x.tiff", "a/../../b.tiff", "..\\b.tiff", "s3://x/y.tiff"]
)
def test_a_name_that_leaves_the_folder_is_refused(tmp_path, url):
    with pytest.raises(AcquisitionError, match="lies outside the folder"):
        open_acquisition(export(tmp_path / "x", image(url=url), write=False))


@pytest.mark.parametrize("name", ["../evil", "a/b", ".."])
def test_a_plate_name_that_climbs_is_refused(tmp_path, name):
    with pytest.raises(AcquisitionError, match="cannot name an acquisition"):
        open_acquisition(export(tmp_path / "x", image(), name=name))


def test_an_entity_bomb_is_not_expanded(tmp_path):
    bomb = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>'
    with pytest.raises(AcquisitionError, match="declares a document type or entities"):
        open_acquisition(export(tmp_path / "x", image(), head=bomb, name="&c;"))


def test_an_index_that_was_cut_off_says_so(tmp_path):
    folder = export(tmp_path / "x", image())
    index = folder / "Images" / "Index.idx.xml"
    index.write_bytes(index.read_bytes()[:-40])
    with pytest.raises(AcquisitionError, match="no whole XML.*copy it again"):
        open_acquisition(folder)


def test_what_is_no_sound_index_says_what_is_wrong(tmp_path):
    with pytest.raises(AcquisitionError, match="names no image"):
        open_acquisition(export(tmp_path / "none"))
    with pytest.raises(AcquisitionError, match="lacks a usable"):
        open_acquisition(export(tmp_path / "row", image(Row=None)))
    with pytest.raises(ValueError, match="no plate of 1 rows and 4 columns"):
        open_acquisition(export(tmp_path / "slide", image(), rows=1, cols=4))
    with pytest.raises(AcquisitionError, match="on no 96-well plate"):
        open_acquisition(export(tmp_path / "small", image(well=(16, 1)), rows=8, cols=12))
    with pytest.raises(AcquisitionError, match="twice"):
        open_acquisition(export(tmp_path / "twice", image(), image(url="again.tiff")))


def test_two_layouts_in_one_folder_are_both_named(tmp_path):
    folder = export(tmp_path / "x", image())
    tifffile.imwrite(folder / "A01.tif", PIXELS)
    with pytest.raises(AcquisitionError, match="two layouts, operetta and filenames"):
        open_acquisition(folder)


def test_two_measurements_below_one_folder_are_refused(tmp_path):
    export(tmp_path / "x" / "a", image())
    export(tmp_path / "x" / "b", image())
    with pytest.raises(AcquisitionError, match="2 measurements"):
        open_acquisition(tmp_path / "x")


def test_the_fingerprint_is_of_bytes_and_names_and_not_of_times_or_places(tmp_path):
    first = fingerprint(open_acquisition(export(tmp_path / "x", image(field=1), image(field=2))))
    again = fingerprint(open_acquisition(export(tmp_path / "y", image(field=1), image(field=2))))
    assert first == again and len(first) == 64
    tifffile.imwrite(tmp_path / "y" / "Images" / "r03c03f02p01-ch1sk1fk1fl1.tiff", PIXELS + 1)
    assert fingerprint(open_acquisition(tmp_path / "y")) != first
    index = tmp_path / "x" / "Images" / "Index.idx.xml"
    index.write_text(index.read_text().replace("<Name>x", "<Name>y"))
    assert fingerprint(open_acquisition(tmp_path / "x")) != first


def test_an_export_on_an_object_store_reads_as_on_a_disk(tmp_path):
    local = export(tmp_path / "P001_096h", image())
    remote = UPath("memory://operetta/P001_096h")
    for file in (local / "Images").iterdir():
        (remote / "Images").mkdir(parents=True, exist_ok=True)
        (remote / "Images" / file.name).write_bytes(file.read_bytes())
    found = open_acquisition(remote)
    assert found.images.equals(open_acquisition(local).images)
    assert fingerprint(found) == fingerprint(open_acquisition(local))


@pytest.mark.parametrize(
    ("field", "number"), [("Row", "4294967296"), ("PlaneID", "99999999999999999999"), ("FieldID", "-1"), ("Col", "１２")]
)
def test_a_number_that_cannot_be_is_refused_and_named(tmp_path, field, number):
    folder = export(tmp_path / "x", image())
    where = folder / "Images" / "Index.idx.xml"
    text = where.read_text(encoding="utf-8-sig")
    where.write_text(re.sub(f"<{field}>[^<]*</{field}>", f"<{field}>{number}</{field}>", text), encoding="utf-8")
    with pytest.raises(AcquisitionError, match=f"{field}|row|column|{number}"):
        open_acquisition(folder)
