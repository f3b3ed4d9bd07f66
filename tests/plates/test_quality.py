"""Focus, saturation, light and emptiness, against images made to have or lack them."""

import numpy as np
import polars as pl
import pytest
from scipy import ndimage

from plate_assets.plates.quality import QualityLimits, judge, measure
from plate_assets.plates.readers import open_acquisition
from plate_assets.workflows.intake.ingest import measure_quality


def cells(seed=0, side=400, blur=0.0, noise=2.0, level=100.0):
    rng = np.random.default_rng(seed)
    texture = ndimage.gaussian_filter(rng.normal(0, 1, (side, side)), 2)
    image = ndimage.gaussian_filter(level + 20 * texture / texture.std(), blur) + rng.normal(0, noise, (side, side))
    return image.clip(0, 255)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_focus_falls_with_every_step_out_of_focus_in_spite_of_noise(dtype):
    scale = 1 if dtype == np.uint8 else 200
    focus = [measure((cells(blur=blur) * scale).astype(dtype))["focus"] for blur in (0, 1, 2, 4, 8)]
    assert focus == sorted(focus, reverse=True) and focus[0] > 10 * focus[3]


def test_saturation_is_counted_at_the_cameras_own_ceiling():
    image = np.full((100, 100), 500, np.uint16)
    image[:10] = 4095  # 12 bits in a 16-bit file
    image[50, 50] = 0
    found = measure(image)
    assert (found["saturated_share"], found["dark_share"]) == (0.1, 0.0001)
    image[image == 4095] = 4000
    assert measure(image)["saturated_share"] == 0.0


def test_falloff_is_the_share_that_was_taken_from_the_light_and_dust_is_no_shadow():
    y, x = (np.indices((480, 480)) - 239.5) / (0.45 * 480)
    flat = cells(side=480, noise=1)
    shaded = flat * (1 - 0.4 * (x * x + y * y).clip(0, 1))
    dusty = flat.copy()
    dusty[200:230, 300:330] = 0
    figures = [measure(image.astype(np.uint8))["illumination_falloff"] for image in (flat, shaded, dusty)]
    assert figures[0] < 0.08 and figures[1] == pytest.approx(0.4, abs=0.05) and figures[2] < 0.08


def test_constant_and_noise_are_empty_and_structure_is_not():
    rng = np.random.default_rng(0)
    for image in (np.zeros((100, 100)), np.full((100, 100), 77), rng.normal(120, 6, (300, 300)).clip(0, 255)):
        assert measure(image.astype(np.uint8))["empty"] is True
    assert measure(cells(noise=5).astype(np.uint8))["empty"] is False


def test_colour_and_tiny_images_are_measured_too():
    assert measure(np.dstack([cells().astype(np.uint8)] * 3))["focus"] > 0
    assert measure(np.zeros((1, 1), np.uint16))["empty"] is True


def table(**columns):
    count = max(len(value) for value in columns.values())
    base = {
        "readable": [True] * count, "empty": [False] * count, "focus": [1.0] * count, "saturated_share": [0.0] * count,
        "dark_share": [0.0] * count, "illumination_falloff": [0.0] * count, "reasons": [""] * count,
        "Metadata_Channel": ["c"] * count, "Metadata_Plane": [1] * count,
    }  # fmt: skip
    return pl.DataFrame(base | columns)


def test_a_well_far_below_the_plates_own_focus_is_flagged_with_figure_and_limit():
    rng = np.random.default_rng(1)
    focus = np.exp(rng.normal(0, 0.1, 40))
    focus[7], focus[8] = 0.05, 0.7
    judged = judge(table(focus=focus.tolist()))
    assert judged.with_row_index().filter("flagged")["index"].to_list() == [7]
    assert judged["reasons"][7].startswith("out of focus: 0.05, the plate's median is")
    assert not judge(table(focus=focus.tolist()[5:10]))["flagged"].any()  # five images are no plate


def test_channels_are_compared_with_themselves():
    columns = {"focus": [1.0] * 10 + [0.01] * 10, "Metadata_Channel": ["a"] * 10 + ["b"] * 10}
    assert not judge(table(**columns))["flagged"].any()


def test_every_reason_is_said_and_limits_are_parameters():
    columns = {"saturated_share": [0.2], "dark_share": [0.9], "illumination_falloff": [0.8]}
    reasons = judge(table(**columns))["reasons"][0]
    assert reasons == (
        "saturated: 20.0 % of the pixels, the limit is 1 %; dark: 90.0 % of the pixels are zero, the limit is 50 %; "
        "uneven light: 80.0 % fall-off, the limit is 50 %"
    )
    assert not judge(table(**columns), QualityLimits(saturated_share=1, dark_share=1, illumination_falloff=1))["flagged"][0]
    unread = judge(table(readable=[False], focus=[None], reasons=["a.tif is cut off"]))
    assert unread.select("flagged", "reasons").row(0) == (True, "a.tif is cut off")


def test_the_strong_fall_off_of_row_o_is_seen(real_data):
    row = open_acquisition(real_data / "cellprofiler-examples" / "ExampleIlluminationCorrection" / "images")
    quality = measure_quality(row)
    assert quality.height == 24 and quality["readable"].all() and not quality["empty"].any()
    assert quality["illumination_falloff"].median() > 0.5
    assert quality.filter(pl.col("reasons").str.contains("uneven light")).height >= 18
