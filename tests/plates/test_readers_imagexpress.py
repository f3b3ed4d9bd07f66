"""ImageXpress: the database's folders, exports with their HTD, what is missing by it, and what images say of themselves."""

import logging
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import tifffile
from upath import UPath

from plate_assets.plates.acquisition import LISTED, SETTLING, AcquisitionError
from plate_assets.plates.listing import Entry, Listing, list_folder
from plate_assets.plates.readers import ReadOptions, SeveralTimepoints
from plate_assets.plates.readers.imagexpress import ImageXpressReader

PIXELS = np.arange(64, dtype=np.uint16).reshape(8, 8)
REAL = "faim-ipa-imagexpress-cellvoyager/resources"
READER = ImageXpressReader()


def read(folder, **options):
    return READER.read(list_folder(UPath(folder)), ReadOptions(**options))


def recognised(folder):
    return READER.recognises(list_folder(UPath(folder)))


def keys(found):
    return found.images.select("Metadata_Well", "Metadata_Site", "Metadata_Channel", "Metadata_Plane").rows()


def uuid(number):
    return str(UUID(int=0x9F000000_0000_0000_0000_000000000000 + number)).upper()


def metaseries(**more):
    told = {
        "spatial-calibration-x": "0.65",
        "spatial-calibration-units": "um",
        "_MagSetting_": "10X Plan Fluor",
        "_MagNA_": "0.3",
    }
    text = "".join(f'<prop id="{name}" type="string" value="{value}"/>' for name, value in (told | more).items())
    return f"<MetaData><PlaneInfo>{text}</PlaneInfo></MetaData>"


def images(folder, *names, text: str | None = None):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / name, PIXELS, description=metaseries() if text is None else text, metadata=None)
    return folder


def htd(folder, wells=("A01", "A02"), sites=(True, True), waves=("DAPI", "FITC"), file="P1.HTD", end=True, **more: Any):
    """An HTD of a 96-well plate; `more` replaces values or, where it is None, leaves them out."""
    rows = {
        f"WellsSelection{row}": ", ".join(str(f"{chr(64 + row)}{col:02d}" in wells).upper() for col in range(1, 13))
        for row in range(1, 9)
    }
    values: dict[str, Any] = {
        "HTSInfoFile": "Version 1.0",
        "Description": '"of a test"',
        "TimePoints": 1,
        "ZSeries": "FALSE",
        "ZSteps": 0,
    }
    values |= {"ZProjection": "FALSE", "XWells": 12, "YWells": 8} | rows
    values |= {"Sites": "TRUE", "XSites": len(sites), "YSites": 1, "SiteSelection1": ", ".join(str(s).upper() for s in sites)}
    values |= {"Waves": "TRUE", "NWavelengths": len(waves)} | {f"WaveName{n}": f'"{w}"' for n, w in enumerate(waves, 1)}
    values |= {f"WaveCollect{n}": 1 for n, _ in enumerate(waves, 1)} | more | ({"EndFile": ""} if end else {})
    lines = (f'"{key}", {value}' if value != "" else f'"{key}"' for key, value in values.items() if value is not None)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes("\r\n".join(lines).encode("cp1252"))
    return folder


def whole(wells=("A01", "A02"), sites=(1, 2), waves=(1, 2), folder="TimePoint_1", plate="P1"):
    return [f"{folder}/{plate}_{well}_s{site}_w{wave}.TIF" for well in wells for site in sites for wave in waves]


def database(folder, *names, number=7, date="2024-05-06"):
    """Images by the names that stand before the UUID, in the database's folders."""
    return images(folder, *(f"{date}/{number}/{name}{uuid(at)}.tif" for at, name in enumerate(names)))


@pytest.mark.parametrize("level", ["", "2023-02-21", "2023-02-21/1334"])
def test_the_real_database_is_read_from_any_of_its_levels(real_data, level):
    folder = real_data / REAL / "ImageXpress" / "Projection-Mix" / level
    found = read(folder)
    assert recognised(folder) and (found.acquisition_id, found.images.height) == ("Projection-Mix_id1334", 48)
    planes = {
        name: rows["Metadata_Plane"].unique().sort().to_list() for (name,), rows in found.images.group_by("Metadata_Channel")
    }
    mixed = {"FITC_05 (w1)": [0, 1, 2, 3, 10], "FITC_05 (w2)": [0, 1, 2, 3, 10], "FITC_05 (w3)": [0], "FITC_05 (w4)": [1]}
    assert planes == mixed and found.images["present"].all() and found.warnings == ()
    assert (found.pixel_um, found.objective, found.complete) == (1.3668, (20.0, 0.75), None)
    assert found.completeness.startswith(SETTLING) and found.metadata["measurement"] == "1334"
    assert found.started_at == datetime(2023, 2, 21, 10, 41, 56, 561000, UTC) and set(found.images["emission_nm"]) == {536.0}


def test_sites_and_channels_that_are_not_named_are_the_first_and_only_ones(real_data):
    found = read(real_data / REAL / "ImageXpress" / "SingleChannel")
    assert keys(found)[:4] == [
        ("E07", 1, "FITC_05", 0),
        ("E07", 1, "FITC_05", 1),
        ("E07", 1, "FITC_05", 2),
        ("E07", 2, "FITC_05", 0),
    ]
    assert found.images.height == 12
    alone = read(real_data / REAL / "ImageXpress_exported" / "9987_Plate_3420")
    assert keys(alone) == [("B02", 1, "DAPI", 1)]
    assert (alone.complete, alone.completeness) == (True, f"{LISTED}: all 1 images that 9987.HTD plans are there")
    assert (alone.acquisition_id, alone.plate_format.wells, alone.sources["plate_format"]) == ("9987_id3420", 96, "files")
    assert alone.metadata["UniquePlateIdentifier"] == "af67a541-a074-4ed4-a516-912d0171b177"
    assert alone.metadata["Description"] == "1t-1w-1s-1c-1z; DAPI: 1z"


def test_the_upper_site_lies_above_the_wells_centre_and_the_left_one_left_of_it(real_data):
    column = read(real_data / REAL / "ImageXpress" / "1well-3C-2S-Zmix-T", timepoint="id1697-t1").images
    assert column.select("Metadata_Site", "x_um", "y_um").unique().sort(by="Metadata_Site").rows() == [
        (1, 0.0, -1734.34),
        (2, 0.0, 1734.52),
    ]
    row = read(real_data / REAL / "ImageXpress" / "SingleChannel").images
    assert row.select("Metadata_Site", "x_um", "y_um").unique().sort(by="Metadata_Site").rows() == [
        (1, -349.92, 0.04),
        (2, 349.92, 0.02),
    ]


def test_each_time_point_of_a_real_time_lapse_is_a_visit(real_data):
    folder = real_data / REAL / "ImageXpress" / "1well-3C-2S-Zmix-T"
    with pytest.raises(SeveralTimepoints) as several:
        read(folder)
    assert several.value.timepoints == ("id1697-t1", "id1697-t2")
    first, second = (read(folder, timepoint=name) for name in several.value.timepoints)
    assert (first.timepoint, second.timepoint, second.timepoint_h) == ("id1697-t1", "id1697-t2", None)
    assert [str(found.started_at)[11:19] for found in (first, second)] == ["09:57:37", "09:57:42"]
    assert not set(first.images["path"]) & set(second.images["path"])
    assert keys(first) == keys(second) and keys(first)[0] == ("C07", 1, "Cy3", 1)


def test_a_real_export_with_a_mixed_plan_is_not_called_incomplete(real_data):
    folder = real_data / REAL / "ImageXpress_exported" / "9987_Plate_3434"
    found = read(folder)
    assert found.complete is None and found.images.height == 36 and found.images["present"].all()
    assert found.images["Metadata_Plane"].unique().sort().to_list() == [0, 1, 2]
    assert "w4 (Cy5) and 1 of 3 planes (ZStep_3)" in found.completeness
    assert [w.split(":")[0] for w in found.warnings if "copied" in w] == ["FITC", "Texas Red"]
    assert read(folder / "TimePoint_1").images.drop("path").equals(found.images.drop("path"))
    assert read(folder / "TimePoint_1").acquisition_id == found.acquisition_id == "9987_id3434"


def test_images_that_an_export_copied_from_an_earlier_time_point_are_told(real_data):
    folder = real_data / REAL / "ImageXpress_exported" / "9987_Plate_3435"
    first, second = (read(folder, timepoint=f"id3435-t{number}") for number in (1, 2))
    assert not [w for w in first.warnings if "copies" in w]
    assert [w.split(":")[0] for w in second.warnings if "copies" in w] == ["FITC"]
    assert (first.complete, second.complete) == (None, None)
    assert second.documents == ("9987.HTD", "TimePoint_2/9987.HTD")


def test_the_folder_above_several_measurements_is_refused_by_name(real_data):
    with pytest.raises(AcquisitionError, match="3 measurements, 9987_Plate_3420/ and 9987_Plate_3434/"):
        read(real_data / REAL / "ImageXpress_exported")


def test_other_layouts_are_not_recognised(real_data, tmp_path):
    for other in ("operetta-harmony-384", "scanr-ome-metadata", "ome-zarr-hcs-examples", "cellprofiler-examples"):
        assert not recognised(real_data / other)
    assert not recognised(real_data / REAL / "CV8000")
    assert not recognised(images(tmp_path / "flat", "P7_B02_s2_w3.TIF", f"P7_B02_w3{uuid(1)}.tif"))
    assert not recognised(images(tmp_path / "dated", "2024-05-06/7/P7_B02_s2_w3.TIF"))
    (tmp_path / "flat" / "notes.htd").write_text("of something else")
    assert not recognised(tmp_path / "flat")


def test_a_whole_export_is_complete_and_its_channels_have_the_htds_names(tmp_path):
    found = read(images(htd(tmp_path / "P1_Plate_12"), *whole()))
    assert (found.complete, found.acquisition_id, found.documents) == (True, "P1_id12", ("P1.HTD",))
    assert keys(found)[:3] == [("A01", 1, "DAPI", 1), ("A01", 1, "FITC", 1), ("A01", 2, "DAPI", 1)]


@pytest.mark.parametrize(
    ("gone", "missing"),
    [
        (lambda name: "A02" in name, 4),
        (lambda name: "_s2" in name, 4),
        (lambda name: "A02_s2_w2" in name, 1),
    ],
    ids=["a well", "a site", "one image"],
)
def test_what_the_htd_plans_and_the_folder_lacks_is_listed_as_missing(tmp_path, gone, missing):
    found = read(images(htd(tmp_path / "x"), *(name for name in whole() if not gone(name))))
    assert found.complete is False and f"{8 - missing} of 8 images" in found.completeness
    assert found.missing["path"].to_list() == sorted(name for name in whole() if gone(name))
    assert found.images.height == 8 and found.images["x_um"].null_count() == 8


def test_a_site_without_any_image_is_missed_although_all_wells_lack_it(tmp_path):
    found = read(images(htd(tmp_path / "x", sites=(False, True, True)), *whole(sites=(1,))))
    assert found.missing["path"].to_list() == sorted(whole(sites=(2,)))


def test_a_planned_channel_without_any_image_may_be_meant_so_and_one_that_is_not_collected_is(tmp_path):
    planned = read(images(htd(tmp_path / "x", waves=("DAPI", "FITC", "Cy5")), *whole()))
    assert planned.complete is None and "w3 (Cy5)" in planned.completeness and "w3 (Cy5)" in planned.warnings[0]
    assert planned.completeness.startswith(SETTLING)
    spared = read(images(htd(tmp_path / "y", waves=("DAPI", "FITC", "Cy5"), WaveCollect3=0), *whole()))
    assert (spared.complete, spared.warnings) == (True, ())


def test_planes_of_a_stack_and_its_projection_are_counted_by_their_folders(tmp_path):
    stack = [name for step in (0, 1, 2) for name in whole(folder=f"TimePoint_1/ZStep_{step}")]
    folder = images(htd(tmp_path / "x", ZSeries="TRUE", ZSteps=2), *stack)
    found = read(folder)
    assert found.complete is True and found.images["Metadata_Plane"].unique().sort().to_list() == [0, 1, 2]
    (folder / "TimePoint_1" / "ZStep_2" / "P1_A02_s1_w2.TIF").unlink()
    assert read(folder).missing["path"].to_list() == ["TimePoint_1/ZStep_2/P1_A02_s1_w2.TIF"]
    projections = read(images(htd(tmp_path / "y", ZSeries="TRUE", ZSteps=2), *whole()))
    assert set(projections.images["Metadata_Plane"]) == {0} and projections.complete is None


def test_planes_of_one_size_are_copies_only_where_the_images_say_the_same(tmp_path):
    folder = htd(tmp_path / "x", ZSeries="TRUE", ZSteps=2)
    images(folder, *whole(folder="ZStep_1"), text=metaseries(**{"z-position": "1.5"}))
    images(folder, *whole(folder="ZStep_2"), text=metaseries(**{"z-position": "2.5"}))
    assert not read(folder).warnings
    images(folder, *whole(folder="ZStep_2", waves=(2,)), text=metaseries(**{"z-position": "1.5"}))
    copied = "FITC: the planes 1, 2 hold one image, copied, as exports do where only one was taken"
    assert read(folder).warnings == (copied,)


def test_an_image_that_only_the_plan_knows_is_named_as_its_neighbours_are(tmp_path):
    wells = ("A01", "H12")
    folder = htd(tmp_path / "x", wells=wells, waves=("DAPI",), Sites="FALSE", SiteSelection1=None)
    found = read(images(folder, "TimePoint_1/P1_A01.tif"))
    assert found.missing.select("Metadata_Well", "Metadata_Site", "path").row(0) == ("H12", 1, "TimePoint_1/P1_H12.tif")
    large = htd(tmp_path / "y", XWells=48, YWells=32, WellsSelection28="TRUE", Sites="FALSE", wells=("A01",))
    assert read(images(large, "P1_A01_w1.tif")).missing["path"].to_list() == ["P1_AB01_w1.tif"]


def test_without_an_htd_unequal_sets_of_images_are_told_and_nothing_is_missing(tmp_path):
    found = read(database(tmp_path / "x", "P1_A01_s1_w1", "P1_A01_s2_w1", "P1_A02_s1_w1"))
    assert found.complete is None and found.images.height == 3 and found.missing.height == 0
    assert "unequal sets of images: plane 1 has no P1_A02_s2_w1.tif" in found.warnings[0]
    assert not read(database(tmp_path / "y", "P1_A01_s1_w1", "P1_A02_s1_w1")).warnings


def test_one_image_under_two_uuids_is_refused_by_both_names(tmp_path):
    with pytest.raises(AcquisitionError, match=f"there twice: .*{uuid(0)}.tif and .*{uuid(1)}.tif"):
        read(database(tmp_path / "x", "P1_A01_s1_w1", "P1_A01_s1_w1"))


def test_two_measurements_or_dates_in_one_folder_are_refused_by_both_names(tmp_path):
    database(tmp_path / "x", "P1_A01_s1_w1")
    database(tmp_path / "x", "P1_A01_s1_w1", number=8)
    with pytest.raises(AcquisitionError, match="2 measurements, 2024-05-06/7/ and 2024-05-06/8/: name the folder of one"):
        read(tmp_path / "x")
    assert read(tmp_path / "x" / "2024-05-06" / "8").timepoint == "id8"
    database(tmp_path / "y", "P1_A01_s1_w1")
    database(tmp_path / "y", "P1_A01_s1_w1", date="2024-05-07")
    with pytest.raises(AcquisitionError, match="2024-05-06/7/ and 2024-05-07/7/"):
        read(tmp_path / "y")


def test_images_of_two_plates_are_refused_unless_the_plate_is_said(tmp_path):
    folder = database(tmp_path / "x", "P1_A01_s1_w1", "P2_A02_s1_w1")
    with pytest.raises(AcquisitionError, match=r"2 plates by their names \(P1, P2\)"):
        read(folder)
    assert read(folder, plate="P3").plate == "P3"


@pytest.mark.parametrize("plate", ["P1", "P1_096h"])
def test_a_time_point_in_the_folders_name_wins_where_there_is_one_visit(tmp_path, plate):
    folder = database(tmp_path / "P1_096h", f"TimePoint_1/{plate}_A01_s1_w1")
    assert (read(folder).acquisition_id, read(folder).timepoint_h) == ("P1_096h", 96.0)
    database(tmp_path / "P1_096h", f"TimePoint_2/{plate}_A01_s1_w1")
    assert read(folder, timepoint="id7-t2").timepoint == "096h-id7-t2"
    assert read(images(htd(tmp_path / "P1_Plate_9_4.5h"), *whole())).acquisition_id == "P1_4.5h"


def test_a_visit_keeps_its_name_when_the_next_one_comes(tmp_path):
    folder = database(tmp_path / "x", "TimePoint_1/P1_A01_s1_w1")
    before = read(folder)
    database(tmp_path / "x", "TimePoint_2/P1_A01_s1_w1")
    assert read(folder, timepoint=before.timepoint).images.equals(before.images)
    unnumbered = images(htd(tmp_path / "y", TimePoints=2), *whole())
    assert read(unnumbered).timepoint == read(unnumbered / "TimePoint_1").timepoint == "t1"


def test_one_measurement_has_one_id_in_the_database_and_in_an_export(tmp_path):
    kept = read(database(tmp_path / "P1", "P1_A01_s1_w1", "P1_A02_s1_w1", number=12))
    exported = read(images(htd(tmp_path / "P1_Plate_12"), *whole()))
    assert kept.acquisition_id == exported.acquisition_id == "P1_id12"


def test_thumbnails_are_no_images_and_names_of_another_kind_are_told(tmp_path):
    folder = database(tmp_path / "x", "P1_A01_s1_w1", "P1_A01_s1_w1_thumb", "P1_A01_s0_w1", "P1_overview")
    found = read(folder)
    assert found.images.height == 1 and len(found.warnings) == 1
    assert found.warnings[0].startswith("2 TIFF files are not named as MetaXpress does: 2024-05-06/7/P1_A01_s0_w1")


def test_a_well_that_no_plate_has_is_refused_by_its_file(tmp_path):
    with pytest.raises(AcquisitionError, match="P1_Z00_s1_w1.*'Z00' is no well"):
        read(database(tmp_path / "x", "P1_Z00_s1_w1"))
    with pytest.raises(AcquisitionError, match="well P24, which is on no 96-well plate"):
        read(images(htd(tmp_path / "y"), *whole(wells=("P24",))))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"end": False}, "has no last line `EndFile`: it is still being copied"),
        ({"XWells": "a dozen"}, "XWells is 'a dozen', and a whole number from 0 to 100,000 is needed"),
        ({"ZSteps": "1e30", "ZSeries": "TRUE"}, "ZSteps is '1e30'"),
        ({"NWavelengths": "NaN"}, "NWavelengths is 'NaN'"),
        ({"YWells": 7}, r"7 rows \(YWells\) and 12 columns \(XWells\), and there is none: set the option `plate_format`"),
        ({"SiteSelection1": "TRUE, PERHAPS"}, "SiteSelection1 has 'PERHAPS', and TRUE or FALSE is needed"),
        ({"SiteSelection1": ", ".join(["TRUE"] * 90_000), "waves": list("abcdefghijkl")}, "planes, 2,160,000 images, and"),
        ({"Description": 'x"\r\n"XWells", 24\r\n"x"'}, "tells XWells twice, 24 and 12"),
        ({"Description": "x" * 2**20}, "has more than 1,048,576 bytes"),
    ],
)  # fmt: skip
def test_an_unsound_htd_says_what_is_wrong_with_which_value(tmp_path, more, said):
    folder = images(htd(tmp_path / "x", **more), *whole(waves=range(1, 13)))
    with pytest.raises(AcquisitionError, match=said) as refused:
        read(folder)
    assert "P1.HTD" in str(refused.value)


def test_an_htd_that_says_little_asks_for_little(tmp_path):
    rows: dict[str, Any] = {f"WellsSelection{row}": None for row in range(1, 9)}
    found = read(images(htd(tmp_path / "x", XWells=None, **rows), *whole()))
    assert (found.complete, found.completeness) == (None, f"{SETTLING}: P1.HTD does not tell the wells")
    assert found.sources["plate_format"].startswith("guessed")
    unnamed = read(images(htd(tmp_path / "y", waves=("", "")), *whole(), text=metaseries(_IllumSetting_="Cy3")))
    assert unnamed.images["Metadata_Channel"].unique().sort().to_list() == ["Cy3 (w1)", "Cy3 (w2)"]


def test_a_foreign_plate_format_is_taken_from_the_options_and_two_plans_are_refused(tmp_path):
    folder = images(htd(tmp_path / "x", YWells=7), *whole())
    assert read(folder, plate_format=96).plate_format.wells == 96
    htd(folder, file="other.HTD", wells=("H12",))
    assert read(folder, plate_format=96).complete is True
    (folder / "P1.HTD").rename(folder / "another.HTD")
    with pytest.raises(AcquisitionError, match="two plans, another.HTD and other.HTD: keep the one of the images of P1"):
        read(folder)


def test_the_copies_of_a_plan_in_the_folders_of_time_points_are_one_plan(tmp_path):
    folder = htd(htd(tmp_path / "x" / "TimePoint_1", TimePoints=2).parent / "TimePoint_2", TimePoints=2).parent
    images(folder, *whole(), *whole(folder="TimePoint_2"))
    found = read(folder, timepoint="t2")
    assert (found.complete, found.documents) == (True, ("TimePoint_2/P1.HTD",))


def test_an_htd_without_images_is_waited_for(tmp_path):
    assert recognised(htd(tmp_path / "x"))
    with pytest.raises(AcquisitionError, match="no image that is named as MetaXpress does.*wait until they were copied"):
        read(tmp_path / "x")
    (tmp_path / "x" / "P1.HTD").write_bytes(b"")
    assert recognised(tmp_path / "x")


BOMB = '<!DOCTYPE MetaData [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>' + metaseries(_IllumSetting_="&b;")


@pytest.mark.parametrize("text", ["not MetaSeries", metaseries()[:-30], BOMB, "<MetaData>&b;</MetaData>"])
def test_images_that_say_nothing_sound_leave_what_they_would_say_unknown(tmp_path, text):
    found = read(images(htd(tmp_path / "x"), *whole(), text=text))
    assert (found.complete, found.pixel_um, found.objective, found.started_at) == (True, None, None, None)
    assert found.images["x_um"].null_count() == 8 and len(found.warnings) == 1
    assert "MetaSeries" in found.warnings[0] or "could not be asked for their metadata" in found.warnings[0]


def test_a_broken_first_image_is_told_and_the_next_one_asked(tmp_path, caplog):
    caplog.set_level(logging.CRITICAL)
    folder = images(htd(tmp_path / "x"), *whole())
    (folder / whole()[0]).write_bytes(b"")
    found = read(folder)
    assert found.pixel_um == 0.65 and found.warnings[0].startswith(
        "1 images could not be asked for their metadata, the first: "
    )


@pytest.mark.parametrize(
    "more",
    [
        {"spatial-calibration-x": "inf"},
        {"spatial-calibration-x": "-0.65", "_MagSetting_": "", "_MagNA_": "nan"},
        {"spatial-calibration-units": "pixel", "_MagSetting_": "0X", "wavelength": "1e9"},
        {"spatial-calibration-state": "off", "_MagSetting_": "9" * 400 + "X", "acquisition-time-local": "99999999 25:00"},
        {"spatial-calibration-x": "0", "OffsetFromWellCenterUmX": "1e300", "OffsetFromWellCenterUmY": "1", "wavelength": "-1"},
    ],
)
def test_absurd_values_of_images_are_not_taken(tmp_path, more):
    found = read(images(htd(tmp_path / "x"), *whole(), text=metaseries(**more)))
    assert found.complete is True and found.started_at is None and found.pixel_um is None
    assert found.objective == (10.0, 0.3) or "_MagSetting_" in more
    assert found.images["x_um"].null_count() == found.images["emission_nm"].null_count() == 8


def test_places_are_not_taken_where_the_last_well_has_others(tmp_path):
    folder = htd(tmp_path / "x")
    images(folder, *whole(("A01",)), text=metaseries(OffsetFromWellCenterUmX=-100, OffsetFromWellCenterUmY=3))
    images(folder, *whole(("A02",)), text=metaseries(OffsetFromWellCenterUmX=-102, OffsetFromWellCenterUmY=3))
    assert set(read(folder).images.select("x_um", "y_um").rows()) == {(-100.0, 3.0)}
    images(folder, *whole(("A02",)), text=metaseries(OffsetFromWellCenterUmX=100, OffsetFromWellCenterUmY=3))
    assert read(folder).images["x_um"].null_count() == 8
    assert "site 2 lies elsewhere in well A02 than in the first: places are unknown" in read(folder).warnings


def test_a_large_measurement_is_read_by_its_names_and_a_handful_of_images():
    wells = [f"{chr(65 + row)}{col:02d}" for row in range(16) for col in range(1, 25)]
    entries = [
        Entry(f"2024-05-06/7/ZStep_{step}/P1_{well}_s{site}_w{wave}{uuid(step)}.tif", 1, 1)
        for step in (1, 2, 3) for well in wells for site in (1, 2, 3, 4) for wave in (1, 2)
    ]  # fmt: skip
    found = READER.read(Listing(UPath("/not/there/P1"), entries), ReadOptions())
    assert found.images.height == len(entries) == 9216
    asked = int(found.warnings[-1].split()[0])
    assert asked <= 4 + 1 + 1 + 4  # one for each site, one in the last well, the second channel, and one more of each stack


def test_an_export_on_an_object_store_reads_as_on_a_disk(tmp_path):
    local = images(htd(tmp_path / "P1_Plate_12"), *whole())
    remote = UPath("memory://imagexpress/P1_Plate_12")
    for file in local.rglob("*.*"):
        where = remote / file.relative_to(local).as_posix()
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(file.read_bytes())
    assert recognised(remote) and read(remote).images.equals(read(local).images)
    assert read(remote).pixel_um == read(remote / "TimePoint_1").pixel_um == 0.65
