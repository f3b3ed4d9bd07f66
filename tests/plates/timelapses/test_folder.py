"""Which files of a time-lapse's folder are what."""

import pytest
from upath import UPath

from plate_assets.plates.listing import Entry, Listing
from plate_assets.plates.timelapses.folder import TimelapseError, parse_settings, sort_files


def listed(*paths: str) -> Listing:
    return Listing(UPath("/time-lapses/F1"), [Entry(path, 10, 0) for path in paths])


def test_images_beside_an_archive_are_frames_with_outlines():
    found = sort_files(listed("images/a-1.tif", "images/a-2.tif", "rois.zip", "notes.md"))
    assert (found.kind, found.files, found.outlines) == ("frames", ("images/a-1.tif", "images/a-2.tif"), "rois.zip")
    assert found.unused == ("notes.md",)


def test_images_in_a_folder_called_masks_are_outlines():
    found = sort_files(listed("a-1.tif", "a-2.tif", "Masks/a-1.tif", "Masks/a-2.tif"))
    assert found.files == ("a-1.tif", "a-2.tif") and found.outlines == "Masks" and not found.unused


def test_an_archive_alone_is_a_time_lapse_of_phasics():
    assert sort_files(listed("series.zip", "timelapse.json")).files == ("series.zip",)


def test_tables_count_only_where_there_are_no_images():
    assert sort_files(listed("spots.csv", "edges.csv")).kind == "tracks"
    both = sort_files(listed("time-lapse.tif", "tracks.csv"))
    assert both.kind == "frames" and both.unused == ("tracks.csv",)


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (("readme.md",), "put them into this folder"),
        (("day1/a.tif", "day2/a.tif"), "frames in one"),
        (("a.tif", "rois.zip", "more.zip"), "several sets of outlines"),
        (("a.tif", "rois.zip", "labels/a.tif"), "several sets of outlines"),
    ],
)
def test_a_folder_that_can_be_read_in_two_ways_says_what_to_do(paths, said):
    with pytest.raises(TimelapseError, match=said):
        sort_files(listed(*paths))


ALLOWED = {"unit": (str,), "interval_min": (float, int), "channel": (int,)}


def test_settings_are_taken_as_they_are_written():
    assert parse_settings(b'{"unit": "nm", "interval_min": 6}', "timelapse.json", ALLOWED) == {"unit": "nm", "interval_min": 6}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is no JSON"), (b"[1]", "holds a list"), (b'{"interval": 6}', "'interval' is none of channel, interval_min"),
        (b'{"interval_min": "6"}', "a number is needed"), (b'{"channel": 1.5}', "a whole number is needed"),
        (b'{"channel": true}', "a whole number is needed"), (b'{"unit": 3}', "a text is needed"), (b"\xff\xfe", "is no JSON"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_the_file(content, said):
    with pytest.raises(TimelapseError, match=f"F1/timelapse.json.*{said}"):
        parse_settings(content, "F1/timelapse.json", ALLOWED)
