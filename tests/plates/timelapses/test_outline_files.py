"""Outlines that somebody drew are read as drawn, and belong to their frames."""

import sys
import zipfile

import numpy as np
import pytest
import roifile
import tifffile

from plate_assets.plates.timelapses.opening import open_timelapse
from plate_assets.plates.timelapses.outline_files import LabelImages, RoiArchive, open_outlines
from plate_assets.plates.timelapses.outlines import OutlineError
from plate_assets.plates.timelapses.source_files import source_files


def roi_archive(path, shape, frames):
    return RoiArchive(source_files(path)[0], shape, frames)


def roi(corners, **how):
    return roifile.ImagejRoi.frompoints(np.array(corners), **how).tobytes()


def archive(path, **members):
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name.replace("_", "-") + ".roi", data)
    return path


SQUARE = roi([[2, 1], [6, 1], [6, 4], [2, 4]])


def test_an_archive_gives_each_frame_its_cells_by_number(tmp_path):
    path = archive(tmp_path / "rois.zip", **{"1_7": SQUARE, "3_7": SQUARE, "3_2": roi([[0, 0], [3, 0], [0, 3]])})
    rois = roi_archive(path, (8, 10), 3)
    assert [rois.read(frame).names.tolist() for frame in range(3)] == [[7], [], [2, 7]]
    first = rois.read(0)
    assert first.areas().tolist() == [12] and first.centres().tolist() == [[3.5, 2.0]]
    assert first.mask(0, 1, 2, (3, 4)).all()


def test_points_between_pixels_keep_their_fractions(tmp_path):
    half = roi(np.array([[1.6, 1.4], [4.6, 1.4], [4.6, 3.4], [1.6, 3.4]], np.float32))
    assert roi_archive(archive(tmp_path / "rois.zip", **{"1_1": half}), (8, 8), 1).read(0).areas().tolist() == [6]


def test_archives_that_cannot_be_meant_are_refused(tmp_path):
    oval = roifile.ImagejRoi(roitype=roifile.ROI_TYPE.OVAL, top=1, left=1, bottom=5, right=5).tobytes()
    for members, shape, frames, said in (
        ({"0001_0002_0003": SQUARE}, (8, 10), 1, "not named `<frame>-<cell>.roi`"),
        ({"5_1": SQUARE}, (8, 10), 4, "frame 5, and there are 4 frames"),
        ({"0_1": SQUARE}, (8, 10), 4, "frame 0"),
        ({"1_1": SQUARE}, (8, 4), 1, r"reaches to \(6, 4\), and the frames are 4 × 8 px"),
        ({"1_1": oval}, (8, 10), 1, "is a OVAL ROI"),
        ({"1_1": b"Iout" + bytes(3)}, (8, 10), 1, "1-1.roi' cannot be read"),
        ({}, (8, 10), 1, "holds no file"),
        ({"1_1": SQUARE, "1_01": SQUARE}, (8, 10), 1, "two outlines of the cell 1"),
    ):
        path = archive(tmp_path / "rois.zip", **members)
        with pytest.raises(OutlineError, match=said):
            roi_archive(path, shape, frames).read(0)
    (tmp_path / "rois.zip").write_text("no archive")
    with pytest.raises(OutlineError, match="no zip archive"):
        roi_archive(tmp_path / "rois.zip", (8, 10), 1)


def test_rois_without_their_reader_say_how_to_install_it(tmp_path, monkeypatch):
    path = archive(tmp_path / "rois.zip", **{"1_1": SQUARE})
    monkeypatch.setitem(sys.modules, "roifile", None)
    with pytest.raises(OutlineError, match="pip install roifile"):
        roi_archive(path, (8, 10), 1).read(0)


def test_label_images_are_outlines_and_must_fit_the_frames(tmp_path):
    labels = np.zeros((3, 8, 9), np.uint16)
    labels[1, 2:4, 3:7] = 300
    tifffile.imwrite(tmp_path / "labels.tif", labels, photometric="minisblack")
    tifffile.imwrite(tmp_path / "time-lapse.tif", np.zeros((3, 8, 9), np.uint8), photometric="minisblack")
    tifffile.imwrite(tmp_path / "short.tif", np.zeros((2, 8, 9), np.uint8), photometric="minisblack")
    tifffile.imwrite(tmp_path / "real.tif", np.zeros((3, 8, 9), np.float32), photometric="minisblack")
    given_outlines = open_outlines(tmp_path / "labels.tif", open_timelapse(tmp_path / "time-lapse.tif"))
    assert [len(given_outlines.read(frame)) for frame in range(3)] == [0, 1, 0]
    assert given_outlines.read(1).names.tolist() == [300] and given_outlines.read(1).areas().tolist() == [8]
    with pytest.raises(OutlineError, match="3 label images of 9 × 8 px, and there are 2 frames"):
        open_outlines(tmp_path / "labels.tif", open_timelapse(tmp_path / "short.tif"))
    with pytest.raises(OutlineError, match="float32"):
        open_outlines(tmp_path / "real.tif", open_timelapse(tmp_path / "time-lapse.tif"))
    with pytest.raises(OutlineError, match="labels are float32"):
        LabelImages(open_timelapse(tmp_path / "real.tif"), (8, 9), 3)


def test_the_real_archive_has_19262_outlines_that_do_not_overlap(real_data):
    folder = real_data / "livecyte-phase-timelapse"
    rois = roi_archive(folder / "05062019_B3_3_Phase.zip", (615, 615), 481)
    assert sum(len(members) for members in rois._members.values()) == 19_262
    for frame in (0, 240, 480):
        outlines = rois.read(frame)
        assert outlines.areas().sum() == (outlines.labels() > 0).sum()
    assert rois.read(0).names.tolist() == list(range(1, 42))
    with pytest.raises(OutlineError, match="frame 481, and there are 480 frames"):
        roi_archive(folder / "05062019_B3_3_Phase.zip", (615, 615), 480)
