"""What is looked at of a well: channel, planes, sites at their places, light; against images whose answer is known."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from plate_assets.plates.fields import FieldError, Fields, View, map_fields
from plate_assets.plates.illumination import Profile, block_means, corrected, estimated_profile, vendor_profile
from plate_assets.plates.image_files import ImageError
from plate_assets.plates.readers import open_acquisition

SIDE = 64


def acquisition(folder, images):
    """An acquisition of images by their names without the ending."""
    folder.mkdir(exist_ok=True)
    for name, image in images.items():
        tifffile.imwrite(folder / f"{name}.tif", image)
    return open_acquisition(folder)


def even(level, dtype=np.uint16):
    return np.full((SIDE, SIDE), level, dtype)


def at(acquisition, **places):
    """The same acquisition with stage places by site, µm, and a pixel of 1 µm."""
    x, y = ({int(site[1:]): place[axis] for site, place in places.items()} for axis in (0, 1))
    images = acquisition.images.with_columns(
        x_um=pl.col("Metadata_Site").replace_strict(x, default=None, return_dtype=pl.Float64),
        y_um=pl.col("Metadata_Site").replace_strict(y, default=None, return_dtype=pl.Float64),
    )
    return replace(acquisition, images=images, pixel_um=1.0)


def images_of(fields):
    return [image for _, image in map_fields(fields, lambda image: image)]


def test_the_label_free_channel_and_the_middle_plane_are_taken(tmp_path):
    stack = {f"A01_s1_z{plane}_w{channel}": even(10 * plane + channel) for plane in (1, 2, 3, 4) for channel in (1, 2)}
    read = acquisition(tmp_path / "P_024h", stack)
    fields = Fields.of(read)
    assert fields.rows.select("Metadata_Channel", "Metadata_Plane").rows() == [("w1", 3)]
    assert images_of(fields)[0][0, 0] == 31
    assert images_of(Fields.of(read, View("w2")))[0][0, 0] == 32
    bright = replace(read, images=read.images.with_columns(pl.col("Metadata_Channel").replace("w2", "Brightfield")))
    assert Fields.of(bright).rows["Metadata_Channel"].to_list() == ["Brightfield"]


def test_a_channel_or_a_plane_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    read = acquisition(tmp_path / "P_024h", {"A01": even(1)})
    with pytest.raises(FieldError, match="it has 'default'"):
        Fields.of(read, View("DAPI"))
    with pytest.raises(FieldError, match="plane 4: there are the planes 1"):
        Fields.of(read, View(planes="4"))
    with pytest.raises(FieldError, match="`best_focus` or a plane's number"):
        View(planes="sharp")


def test_a_projection_is_the_maximum_over_the_planes_that_are_there(tmp_path):
    ramps = [np.roll(np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE), 17 * plane, 0) for plane in range(3)]
    read = acquisition(tmp_path / "P_024h", {f"A01_s1_z{n}": ramp for n, ramp in enumerate(ramps, start=1)})
    assert np.array_equal(images_of(Fields.of(read, View(planes="projection")))[0], np.max(ramps, axis=0))
    gone = replace(read, images=read.images.with_columns(present=pl.col("Metadata_Plane") != 2))
    assert np.array_equal(images_of(Fields.of(gone, View(planes="projection")))[0], np.maximum(ramps[0], ramps[2]))
    none = replace(read, images=read.images.with_columns(present=False))
    assert isinstance(images_of(Fields.of(none, View(planes="projection")))[0], ImageError)


def test_the_microscopes_own_projection_goes_before_ours_and_is_no_focal_plane(tmp_path):
    read = acquisition(tmp_path / "P_024h", {f"A01_s1_z{n}": even(n) for n in (1, 2, 3)})
    own = replace(read, images=read.images.with_columns(pl.col("Metadata_Plane") - 1))  # plane 1 becomes 0
    assert images_of(Fields.of(own, View(planes="projection")))[0][0, 0] == 1
    assert images_of(Fields.of(own, View(planes="middle")))[0][0, 0] == 3
    assert images_of(Fields.of(own, View(planes="best_focus")))[0][0, 0] in (2, 3)
    only = replace(own, images=own.images.filter(pl.col("Metadata_Plane") == 0))
    assert [images_of(Fields.of(only, View(planes=p)))[0][0, 0] for p in ("middle", "best_focus", "0")] == [1, 1, 1]


def test_the_best_focus_is_the_plane_that_was_blurred_least(tmp_path):
    from scipy import ndimage

    grains = np.random.default_rng(0).poisson(80, (256, 256)) + 900 * (np.random.default_rng(1).random((256, 256)) > 0.995)
    blurred = {n: ndimage.gaussian_filter(grains.astype(float), abs(n - 4)) for n in (1, 2, 3, 4, 5)}
    stack = {f"{well}_s1_z{n}": image.astype(np.uint16) for well in ("A01", "A02") for n, image in blurred.items()}
    fields = Fields.of(acquisition(tmp_path / "P_024h", stack), View(planes="best_focus"))
    assert all(np.array_equal(image, blurred[4].astype(np.uint16)) for image in images_of(fields))


def test_sites_are_placed_to_the_pixel_blended_where_they_overlap_and_grey_where_nobody_looked(tmp_path):
    scene = np.random.default_rng(2).integers(100, 900, (200, 200)).astype(np.uint16)
    corners = {1: (0, 0), 2: (0, 48), 3: (60, 10)}  # row and column of each site's first pixel
    sites = {f"A01_s{n}": scene[r : r + SIDE, c : c + SIDE] for n, (r, c) in corners.items()}
    middle = {f"s{n}": (c + SIDE / 2 - 56, r + SIDE / 2 - 62) for n, (r, c) in corners.items()}
    read = at(acquisition(tmp_path / "P_024h", sites), **middle)
    fields = Fields.of(read, View(sites="placed"))
    (image,) = images_of(fields)
    assert fields.rows.height == 1 and image.shape == fields.shape(fields.rows.row(0, named=True)) == (124, 112)
    seen = np.zeros((124, 112), bool)
    for row, col in corners.values():
        seen[row : row + SIDE, col : col + SIDE] = True
    assert np.array_equal(image[seen], scene[:124, :112][seen])
    assert np.unique(image[~seen]).size == 1 and 400 < image[~seen][0] < 600
    assert len(images_of(Fields.of(read))) == 3


def test_sites_without_places_or_scale_are_not_placed_and_the_message_says_what_lacks(tmp_path):
    read = acquisition(tmp_path / "P_024h", {"A01_s1": even(1), "A01_s2": even(2)})
    with pytest.raises(FieldError, match="gives no pixel size"):
        Fields.of(read, View(sites="placed"))
    with pytest.raises(FieldError, match="gives no stage places"):
        Fields.of(replace(read, pixel_um=1.0), View(sites="placed"))
    with pytest.raises(FieldError, match="keep sites apart, or look whether the stage places are right"):
        Fields.of(at(read, s1=(0.0, 0.0), s2=(1e9, 0.0)), View(sites="placed"))


TEXT = (
    "{Background: {Character: NonFlat, Mean: 1.5, Profile: {Coefficients: [[1.0], [0.5, 0.0]], Dims: [64, 64], "
    "Origin: [31.5, 31.5], Scale: [0.015625, 0.015625], Type: Polynomial}}, Channel: 1, Foreground: {Character: NonFlat, "
    "Profile: {Coefficients: [[1.0], [0.0, 0.4], [-0.8, 0.0, -0.4]], Dims: [64, 64], Origin: [31.5, 31.5], "
    "Scale: [0.015625, 0.015625], Type: Polynomial}}}"
)


def test_the_vendors_polynomial_is_read_as_it_was_meant():
    background, foreground = (vendor_profile(TEXT, fluorescence=light) for light in (False, True))
    row, col = np.mgrid[0:64, 0:64] / 64 - 31.5 / 64
    expected = 1 + 0.5 * col
    assert np.allclose(background.over((64, 64)), expected / expected.mean(), atol=0.01)
    expected = 1 + 0.4 * row - 0.8 * col**2 - 0.4 * row**2
    assert np.allclose(foreground.over((64, 64)), expected / expected.mean(), atol=0.01)


@pytest.mark.parametrize("text", ["", "{}", TEXT[:90], TEXT.replace("[1.0]", "[e]"), TEXT.replace("[64, 64]", "[0]")])
def test_a_profile_that_cannot_be_read_is_none(text):
    assert vendor_profile(text, fluorescence=False) is None


@given(st.text(max_size=400))
def test_whatever_stands_in_a_profile_it_ends_in_a_profile_or_none(text):
    found = vendor_profile("{Background: {Profile: {Coefficients: [[" + text, fluorescence=True)
    assert found is None or isinstance(found, Profile)


def test_the_light_that_wells_share_is_found_among_what_they_do_not_share():
    rng = np.random.default_rng(3)
    row, col = np.mgrid[0:200, 0:200] / 200 - 0.5
    light = 1 - 0.9 * (row**2 + (col - 0.1) ** 2)
    wells = []
    for _ in range(24):
        cells = np.ones((200, 200))
        for y, x in rng.integers(10, 190, (12, 2)):
            cells[y - 8 : y + 8, x - 8 : x + 8] *= 0.7
        wells.append((rng.uniform(8e3, 2e4) * light * cells).astype(np.uint16))
    levels = np.array([grid / grid.mean() for grid in map(block_means, wells)])
    profile = estimated_profile(levels)
    truth = light / light.mean()
    assert np.abs(profile.over((200, 200)) / truth - 1).max() < 0.03
    flat = corrected((10_000 * truth).astype(np.uint16), profile)
    assert flat.dtype == np.uint16 and flat.std() / flat.mean() < 0.01 and abs(flat.mean() - 10_000) < 100
    assert estimated_profile(levels[:5]) is None


def test_a_wells_wall_is_no_light():
    rng = np.random.default_rng(4)
    row, col = np.mgrid[0:320, 0:320] / 320 - 0.5
    light, inside = 1 - 0.5 * (row + 0.1) ** 2 - 0.3 * col**2, np.hypot(row, col) < 0.46
    wells = [(rng.uniform(9e3, 1.2e4) * np.where(inside, light, 0.3)).astype(np.uint16) for _ in range(12)]
    profile = estimated_profile(np.array([grid / grid.mean() for grid in map(block_means, wells)]))
    even = corrected((10_000 * np.where(inside, light, 0.3)).astype(np.uint16), profile)
    middle = np.hypot(row, col) < 0.42
    assert even[middle].std() / even[middle].mean() < 0.01 < light[middle].std() / light[middle].mean()


def test_correction_keeps_type_colours_and_range():
    grid = np.full((32, 32), 1.0)
    grid[:, :16] = 0.5
    profile = Profile(grid / grid.mean(), "vendor")
    colours = corrected(np.full((40, 60, 3), 200, np.uint8), profile)
    assert colours.shape == (40, 60, 3) and colours.dtype == np.uint8
    assert colours[20, 5].tolist() == [255] * 3 and colours[20, 55].tolist() == [150] * 3
