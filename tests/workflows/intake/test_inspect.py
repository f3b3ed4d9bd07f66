"""What a folder holds, for a person and for a program."""

import json

import numpy as np
import pytest
import tifffile

from plate_assets.plates.acquisition import AcquisitionError
from plate_assets.workflows.intake.inspect import inspect_folder, inspection_text


def write(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        tifffile.imwrite(folder / name, np.zeros((40, 50), np.uint16))
    return folder


def test_everything_that_a_person_asks_is_there_and_is_json(tmp_path):
    found = inspect_folder(write(tmp_path / "P001_096h", "A01_s1_w1.tif", "A01_s2_w1.tif", "B01_s1_w2.tif"))
    assert json.loads(json.dumps(found)) == found
    assert (found["layout"], found["plate"], found["timepoint"], found["timepoint_h"]) == ("filenames", "P001", "096h", 96.0)
    assert (found["wells"], found["sites"], found["channels"], found["planes"]) == (["A01", "B01"], [1, 2], ["w1", "w2"], [1])
    assert (found["first_image"]["width_px"], found["first_image"]["dtype"]) == (50, "uint16")
    text = inspection_text(found)
    for words in ("P001", "2: A01, B01", "50 × 40 px, uint16, grey", "pixel size", "complete", "not known"):
        assert words in text


def test_a_folder_of_several_time_points_names_them_all(tmp_path):
    found = inspect_folder(write(tmp_path / "x", "DMSO_B5_t0.tif", "DMSO_B5_t24.tif"))
    assert found["timepoints"] == ["t0", "t24"] and found["timepoint"] == "t0" and "choose one" in found["warnings"][-1]
    assert "t0, t24" in inspection_text(found)


def test_an_unreadable_first_image_is_told_and_stops_nothing(tmp_path):
    folder = write(tmp_path / "x", "A01.tif")
    (folder / "A01.tif").write_bytes(b"")
    assert "zero bytes" in inspection_text(inspect_folder(folder))


def test_a_folder_that_is_none_says_so(tmp_path):
    with pytest.raises(AcquisitionError, match="is not there"):
        inspect_folder(tmp_path / "none")


def test_the_real_operetta_export_is_told_whole(real_data):
    found = inspect_folder(real_data / "operetta-harmony-384")
    assert (found["complete"], found["missing"], found["plate_format"], found["wells"]) == (True, [], 384, ["C03"])
    assert found["first_image"] == {
        "path": "tests/operetta_plate/Images/r03c03f01p01-ch1sk1fk1fl1.tiff",
        "width_px": 1080, "height_px": 1080, "dtype": "uint16", "colour": "grey",
    }  # fmt: skip
