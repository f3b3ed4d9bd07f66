"""Light of a whole acquisition: measured channel by channel, chosen by setting, and taken out of what is scored."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from plate_assets.plates.fields import View, map_fields
from plate_assets.plates.illumination_figure import illumination_figure
from plate_assets.plates.readers import open_acquisition
from plate_assets.workflows.intake.illumination import NoProfile, lit_fields, measure_illumination, profile_of

SIDE = 160
TILT = 1 + 0.6 * (np.mgrid[0:SIDE, 0:SIDE][1] / SIDE - 0.5)
VENDOR = (
    "{Background: {Character: NonFlat, Profile: {Coefficients: [[1.0], [0.6, 0.0]], Dims: [160, 160], Origin: [79.5, 79.5], "
    "Scale: [0.00625, 0.00625], Type: Polynomial}}}"
)


@pytest.fixture(scope="module")
def lit(tmp_path_factory):
    """Twelve wells under a tilted lamp, each of another brightness and with grains of its own."""
    folder, rng = tmp_path_factory.mktemp("lab") / "P1_024h", np.random.default_rng(0)
    folder.mkdir()
    for number in range(1, 13):
        image = rng.uniform(8e3, 1.5e4) * TILT * (1 - 0.3 * (rng.random((SIDE, SIDE)) > 0.98))
        tifffile.imwrite(folder / f"A{number:02d}_s1_w1.tif", image.astype(np.uint16))
    return open_acquisition(folder)


def slope(image):
    columns = image.mean(0)
    return float(columns[-20:].mean() / columns[:20].mean())


def test_the_plates_own_light_is_found_and_what_is_looked_at_is_even(lit):
    table = measure_illumination(lit)
    row = table.row(0, named=True)
    assert (row["source"], row["n_images"]) == ("estimated", 12)
    assert row["falloff_before"] == pytest.approx(1 - 0.7 / 1.3, abs=0.04) and row["falloff_after"] < 0.02
    before, after = (
        [slope(image) for _, image in map_fields(lit_fields(lit, view, table), lambda image: image)]
        for view in (View(), View(illumination="auto"))
    )
    assert min(before) > 1.6 and max(abs(value - 1) for value in after) < 0.03


def test_the_vendors_profile_goes_first_and_the_estimate_is_there_beside_it(lit):
    told = replace(lit, metadata={"FlatfieldProfile w1": VENDOR})
    table = measure_illumination(told)
    assert table["source"].to_list() == ["vendor", "estimated"] or set(table["source"]) == {"vendor", "estimated"}
    assert profile_of(table, "w1", "auto").source == "vendor" and profile_of(table, "w1", "estimated").source == "estimated"
    image = lit_fields(told, View(illumination="vendor")).image(lit_fields(told).rows.row(0, named=True))
    assert slope(image) == pytest.approx(1, abs=0.03)


def test_a_profile_that_is_not_there_is_refused_and_auto_goes_on_without(lit):
    few = replace(lit, images=lit.images.head(3))
    assert lit_fields(few, View(illumination="auto")).profile is None
    with pytest.raises(NoProfile, match="too few images to estimate one; set the illumination to `auto`"):
        lit_fields(few, View(illumination="estimated"))
    with pytest.raises(NoProfile, match="the export carries none"):
        lit_fields(few, View(illumination="vendor"))


def test_the_figure_shows_each_profile_before_and_after(lit):
    png = illumination_figure(measure_illumination(lit), "Illumination of P1_024h")
    assert png.startswith(b"\x89PNG") and len(png) > 10_000


def test_an_acquisition_without_a_readable_image_has_no_light_and_says_nothing(tmp_path):
    (tmp_path / "P1_024h").mkdir()
    (tmp_path / "P1_024h" / "A01.tif").write_bytes(b"")
    assert measure_illumination(open_acquisition(tmp_path / "P1_024h")).is_empty()
