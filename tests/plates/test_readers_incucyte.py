"""Incucyte's exports by their names: what stands before the well, elapsed times and dates, crops."""

from datetime import UTC, datetime

import pytest
from upath import UPath

from plate_assets.plates.acquisition import SETTLING, AcquisitionError
from plate_assets.plates.listing import Entry, Listing
from plate_assets.plates.readers import ReadOptions, SeveralTimepoints
from plate_assets.plates.readers.filenames import FilenameReader


def images(*names, folder="growth", **options):
    listing = Listing(UPath(f"/nowhere/{folder}"), [Entry(name, 10, 1) for name in names])
    assert FilenameReader().recognises(listing)
    return FilenameReader().read(listing, ReadOptions(**options))


@pytest.mark.parametrize(
    ("name", "plate", "well", "site", "channel"),
    [
        ("Phase_A1_1_00d04h00m.tif", "growth", "A01", 1, "Phase"),
        ("A1_1_00d04h00m.tif", "growth", "A01", 1, "default"),
        ("VID558_P24_16_00d04h00m.tif", "VID558", "P24", 16, "default"),
        ("2101001_G_A1_1_00d04h00m.tif", "2101001", "A01", 1, "G"),
        ("R2_MDF_green_B2_1_00d04h00m.tif", "R2_MDF", "B02", 1, "green"),
        ("DE_A549_B10_6_00d04h00m.tif", "DE_A549", "B10", 6, "default"),
        ("20251216_Faz-SGs__A1_1_00d04h00m.jpg", "20251216_Faz-SGs", "A01", 1, "default"),
        ("MiaPaCa2-PhaseOriginal_A2_1_00d04h00m.tif", "MiaPaCa2", "A02", 1, "PhaseOriginal"),
        ("Redwood_A2_1_00d04h00m.tif", "Redwood", "A02", 1, "default"),
    ],
)
def test_what_stands_before_the_well_is_the_plate_and_the_channel_where_it_is_a_colour(name, plate, well, site, channel):
    found = images(name)
    row = found.images.row(0, named=True)
    assert (found.plate, row["Metadata_Well"], row["Metadata_Site"], row["Metadata_Channel"]) == (plate, well, site, channel)
    assert (found.metadata["pattern"], found.timepoint, found.timepoint_h) == ("incucyte", "00d04h00m", 4.0)
    assert found.complete is None and found.completeness.startswith(SETTLING)


@pytest.mark.parametrize(("stamp", "hours"), [("00d00h00m", 0), ("00d04h30m", 4.5), ("3d06h00m", 78), ("101d00h00m", 2424)])
def test_an_elapsed_time_tells_the_hours_since_the_first_scan(stamp, hours):
    assert images(f"Phase_A1_1_{stamp}.tif").timepoint_h == hours


def test_a_date_tells_when_the_images_were_taken_and_names_the_visit():
    found = images("Phase_A1_1_2020y06m19d_14h05m.tif", "Phase_A2_1_2020y06m19d_14h05m.tif")
    when = datetime(2020, 6, 19, 14, 5, tzinfo=UTC)
    assert (found.acquisition_id, found.timepoint_h, found.started_at) == ("growth_20200619T140500", None, when)
    assert found.images["acquired_at"].to_list() == [when, when] and found.sources["started_at"] == "files"


def test_a_date_that_does_not_exist_names_the_visit_and_tells_no_instant():
    found = images("Phase_A1_1_2020y13m49d_14h05m.tif")
    assert (found.timepoint, found.started_at, found.images["acquired_at"].to_list()) == ("20201349T140500", None, [None])


def test_several_scans_have_to_be_chosen_from_in_the_order_of_their_times():
    stamps = ["10d00h00m", "9d00h00m", "00d04h00m", "00d00h00m"]
    names = [f"Phase_{well}_1_{stamp}.tif" for well in ("A1", "A2") for stamp in stamps]
    with pytest.raises(SeveralTimepoints) as several:
        images(*names)
    assert several.value.timepoints == ("00d00h00m", "00d04h00m", "9d00h00m", "10d00h00m")
    chosen = images(*names, timepoint="00d04h00m")
    assert (chosen.timepoint_h, chosen.images["path"].to_list()) == (
        4.0,
        ["Phase_A1_1_00d04h00m.tif", "Phase_A2_1_00d04h00m.tif"],
    )


def test_several_dates_are_chosen_by_the_name_of_the_visit_and_only_its_instant_counts():
    names = ["Phase_A1_1_2020y06m19d_14h00m.tif", "Phase_A1_1_2020y06m19d_16h00m.tif"]
    with pytest.raises(SeveralTimepoints, match="20200619T140000, 20200619T160000"):
        images(*names)
    chosen = images(*names, timepoint="20200619T160000")
    assert chosen.started_at == datetime(2020, 6, 19, 16, tzinfo=UTC) and chosen.images.height == 1


def test_the_visits_of_one_folder_have_names_of_their_own_even_where_the_folder_has_a_time_point():
    names = ["Phase_A1_1_00d00h00m.tif", "Phase_A1_1_00d04h00m.tif"]
    ids = {images(*names, folder="P1_d01", timepoint=time).acquisition_id for time in ("00d00h00m", "00d04h00m")}
    assert ids == {"P1_d01-00d00h00m", "P1_d01-00d04h00m"}


def test_the_folders_time_point_and_its_hours_go_before_those_of_a_single_scan():
    found = images("Phase_A1_1_00d00h00m.tif", folder="P1_096h")
    assert (found.acquisition_id, found.timepoint_h) == ("P1_096h", 96.0)


def test_crops_of_one_image_are_sites_of_their_own():
    found = images("A172_Phase_A7_1_00d00h00m_1.tif", "A172_Phase_A7_1_00d00h00m_2.tif", "A172_Phase_A7_2_00d00h00m_1.tif")
    assert found.images["Metadata_Site"].to_list() == [101, 102, 201]
    assert any("crop 2 of site 1 is taken for site 102" in warning for warning in found.warnings)


def test_two_cell_lines_in_one_folder_are_two_plates_and_one_can_be_chosen():
    names = ["A172_Phase_A7_1_00d00h00m_1.tif", "BT474_Phase_A7_1_00d00h00m_1.tif"]
    with pytest.raises(AcquisitionError, match=r"2 plates by their names \(A172, BT474\).*option `plate`"):
        images(*names)
    chosen = images(*names, plate="BT474")
    assert (chosen.plate, chosen.images["path"].to_list()) == ("BT474", [names[1]])
