"""What the settings tell where a vendor is silent: understood, refused with its form, and never before what the vendor says."""

import numpy as np
import pytest
import tifffile
from pydantic import ValidationError
from upath import UPath

from plate_assets.orchestration.workflow_options import read_options, view_of
from plate_assets.plates.acquisition import Objective
from plate_assets.plates.layout import PlateFormat
from plate_assets.plates.readers import Defaults, ReadOptions, open_acquisition
from plate_assets.plates.readers.identity import identify
from plate_assets.plates.readers.text_options import parse_channel_names, parse_objective, parse_wavelengths
from plate_assets.settings import Settings


@pytest.mark.parametrize(
    ("text", "objective"),
    [("", None), ("10x", Objective(10)), ("10x/0.3", Objective(10, 0.3)), (" 2.5 × / 0.08", Objective(2.5, 0.08))],
)  # fmt: skip
def test_an_objective_is_told_in_a_few_signs(text, objective):
    assert parse_objective(text) == objective


def test_channels_and_their_light_are_told_in_a_line():
    assert parse_channel_names("w1=DAPI, w2 = phase contrast") == {"w1": "DAPI", "w2": "phase contrast"}
    assert parse_wavelengths("DAPI=405/450,phase=/530,red=561/") == {
        "DAPI": (405.0, 450.0), "phase": (None, 530.0), "red": (561.0, None),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("variable", "text", "form"),
    [("objective", "0x", "write 10x"), ("objective", "Plan Apo", "write 10x"), ("channel_names", "w1", "w1=DAPI,w2=phase"),
     ("wavelengths_nm", "DAPI=405", "DAPI=405/450"), ("wavelengths_nm", "DAPI=/", "DAPI=405/450"),
     ("planes", "sharp", "best_focus")],
)  # fmt: skip
def test_a_setting_that_tells_nothing_is_refused_at_the_start_with_its_form(variable, text, form):
    with pytest.raises(ValidationError, match=form):
        Settings(**{variable: text})


def test_settings_fill_what_the_files_do_not_say_and_the_sources_tell(tmp_path):
    (tmp_path / "P1_024h").mkdir()
    for channel in (1, 2):
        tifffile.imwrite(tmp_path / "P1_024h" / f"A01_s1_w{channel}.tif", np.ones((8, 8), np.uint16))
    settings = Settings(
        pixel_um=0.65, plate_format=384, objective="10x/0.3", channel_names="w1=DAPI", wavelengths_nm="DAPI=405/450",
        planes="projection", sites="placed", channel="DAPI", illumination="vendor",
    )  # fmt: skip
    found = open_acquisition(UPath(tmp_path / "P1_024h"), read_options(settings))
    assert (found.pixel_um, found.plate_format, found.objective) == (0.65, PlateFormat(384), Objective(10, 0.3))
    light = found.images.select("Metadata_Channel", "excitation_nm", "emission_nm").sort("Metadata_Channel").rows()
    assert light == [("DAPI", 405.0, 450.0), ("w2", None, None)]
    told = {name: found.sources[name] for name in ("pixel_um", "plate_format", "objective", "channels", "wavelengths")}
    assert set(told.values()) == {"settings"} and found.sources["started_at"] == "unknown"
    view = view_of(settings)
    assert (view.channel, view.planes, view.sites, view.illumination) == ("DAPI", "projection", "placed", "vendor")


def test_what_the_vendor_says_goes_before_the_settings_and_an_option_before_both(tmp_path):
    folder = tmp_path / "P1_024h"
    folder.mkdir()
    tifffile.imwrite(folder / "A01.tif", np.ones((8, 8), np.uint16), resolution=(1e4 / 2.82,) * 2, resolutionunit="CENTIMETER")
    defaults = Defaults(pixel_um=1.0)
    found = open_acquisition(folder, ReadOptions(defaults=defaults))
    assert (found.pixel_um, found.sources["pixel_um"]) == (pytest.approx(2.82), "first image")
    assert open_acquisition(folder, ReadOptions(pixel_um=0.5, defaults=defaults)).sources["pixel_um"] == "options"


def test_one_of_several_visits_keeps_the_folders_time_point_and_adds_its_own():
    chosen = identify("P1_096h", ReadOptions(timepoint="t2"), None, "t2")
    assert (chosen.plate, chosen.timepoint) == ("P1", "096h-t2")
    assert identify("P1_096h", ReadOptions(), None, "t2").timepoint == "096h"
    assert identify("P1", ReadOptions(timepoint="t2"), None, "t2").timepoint == "t2"
    assert identify("P1_096h", ReadOptions(timepoint="d5"), None, None).timepoint == "d5"
