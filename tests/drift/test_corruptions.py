"""Corruptions: each keeps type and shape, is its definition (by another way of computing it), and grows with its level."""

import io

import numpy as np
import pytest
import skimage.filters
import skimage.io
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from plate_assets.drift.corruptions import CORRUPTIONS, STUDIED, corrupt, disc_kernel, levels_of

EVERY = [(name, level) for name in CORRUPTIONS for level in levels_of(name)]
MADE = {"uint8": 255, "uint16": 65535, "float32": 1, "float64": 1}


def texture(n: int = 6, side: int = 48, seed: int = 0) -> np.ndarray:
    """Smooth shapes and some grain, shares of full scale within 0.2 to 0.8: (n, side, side)."""
    rng = np.random.default_rng(seed)
    wide = ndimage.gaussian_filter(rng.standard_normal((n, side, side)), (0, 3, 3))
    found = wide / wide.std() + 0.5 * rng.standard_normal((n, side, side))
    return np.clip(0.5 + 0.1 * found, 0.2, 0.8)


def as_type(shares: np.ndarray, dtype: str) -> np.ndarray:
    full = MADE[dtype]
    return (np.rint(shares * full) if full > 1 else shares).astype(dtype)


@pytest.mark.parametrize("dtype", MADE)
@pytest.mark.parametrize(("name", "level"), EVERY)
def test_type_shape_and_range_are_kept_and_level_0_changes_no_bit(name, level, dtype):
    images = as_type(texture(2, 200 if name == "dust" else 21), dtype)
    before = images.copy()
    found = corrupt(name, images, level, seed=3)
    assert found.dtype == images.dtype and found.shape == images.shape
    assert found.min() >= 0 and found.max() <= MADE[dtype]
    assert np.array_equal(found, images) == (level == 0) and not np.shares_memory(found, images)
    assert np.array_equal(images, before)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_further_from_0_the_level_the_further_the_images_move(name):
    """In the mean of some images, towards each side."""
    images = as_type(texture(12), "uint8")
    moved = {level: np.abs(corrupt(name, images, level, seed=1).astype(float) - images).mean() for level in levels_of(name)}
    for side in ([level for level in moved if level >= 0], [-level for level in moved if level <= 0]):
        distances = [moved[level if level in moved else -level] for level in sorted(side)]
        assert (np.diff(distances) > 0).all() or name == "brightness_absolute"


@settings(max_examples=25)
@given(st.sampled_from([one for one in EVERY if one[1]]), st.integers(0, 2**32 - 1))
def test_the_same_seed_gives_the_same_images_and_chance_another_with_another_seed(one, seed):
    name, level = one
    images = as_type(texture(3, 40), "uint16")
    found = corrupt(name, images, level, seed)
    assert np.array_equal(corrupt(name, images, level, seed), found)
    if name != "dust":  # a small image may hold no speck
        by_chance = name in ("gaussian_noise", "exposure")
        assert np.array_equal(corrupt(name, images, level, seed + 1), found) != by_chance


@pytest.mark.parametrize("name", [name for name in STUDIED if name not in ("gaussian_noise", "dust", "exposure")])
def test_an_image_of_a_stack_is_corrupted_as_it_is_alone(name):
    images = as_type(texture(3, 33), "uint8")
    stack = corrupt(name, images, 3)
    assert all(np.array_equal(corrupt(name, image, 3), found) for image, found in zip(images, stack, strict=True))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_brightness_adds_8_bit_units_and_is_cut_at_black(dtype):
    images, unit = as_type(texture(), dtype), MADE[dtype] // 255
    for level, bias in {-5: -150, -4: -135, -3: -120, -2: -90, -1: -50, 1: 50, 2: 90, 3: 120, 4: 135, 5: 150}.items():
        expected = np.clip(images.astype(int) + bias * unit, 0, 255 * unit)
        assert np.array_equal(corrupt("brightness", images, level), expected)
        mirrored = np.clip(np.abs(images.astype(int) + bias * unit), 0, 255 * unit)
        assert np.array_equal(corrupt("brightness_absolute", images, level), mirrored)


def test_contrast_is_a_gain_that_is_cut_at_white():
    images = as_type(texture(), "uint16")
    for level, gain in {-5: 3.5, -4: 3, -3: 2.5, -2: 2, -1: 1.5, 1: 0.9, 2: 0.8, 3: 0.7, 4: 0.5, 5: 0.3}.items():
        assert np.abs(corrupt("contrast", images, level) - np.clip(gain * images.astype(float), 0, 65535)).max() <= 0.51


def test_light_leaves_hue_and_saturation_as_they_are():
    colour = np.random.default_rng(0).uniform(0.1, 0.6, (2, 9, 9, 3))
    for name, level in (("brightness", 1), ("contrast", -1), ("contrast", 4)):
        found = corrupt(name, colour, level)
        assert np.allclose(found / found.max(-1, keepdims=True), colour / colour.max(-1, keepdims=True), atol=1e-6)
    brighter = corrupt("brightness", colour, 1).max(-1) - colour.max(-1)
    assert np.allclose(brighter, 50 / 255, atol=1e-6)


def test_gaussian_blur_is_that_of_scikit_image_and_noise_has_its_deviation():
    images = texture()
    for level, sigma in {1: 0.5, 2: 1.0, 3: 1.5, 4: 2.0, 5: 3.0}.items():
        expected = [skimage.filters.gaussian(image, sigma, mode="reflect", truncate=4) for image in images]
        assert np.allclose(corrupt("gaussian_blur", images, level), expected, atol=1e-5)
    grey = np.full((40, 100, 100), 0.5)
    for level, sigma in {1: 0.01, 2: 0.02, 3: 0.04, 4: 0.08, 5: 0.16}.items():
        noise = corrupt("gaussian_noise", grey, level, seed=level) - grey
        assert noise.std() == pytest.approx(sigma, rel=0.02) and abs(noise.mean()) < 3 * sigma / 600


@pytest.mark.parametrize("radius", [0.5, 1.0, 1.5, 2.0, 3.0])
def test_a_defocused_point_is_the_disc_seen_between_pixels(radius):
    """The oracle throws points into the disc and asks SciPy's bilinear interpolation for the image there."""
    kernel = disc_kernel(radius)
    rng, side = np.random.default_rng(0), len(kernel)
    angle, distance = rng.uniform(0, 2 * np.pi, 150_000), radius * np.sqrt(rng.random(150_000))
    points = side // 2 + np.stack([distance * np.sin(angle), distance * np.cos(angle)])
    basis = np.zeros((side, side))
    for corner in np.ndindex(side // 2 + 1, side // 2 + 1):
        basis[:] = 0
        basis[corner] = 1
        assert ndimage.map_coordinates(basis, points, order=1).mean() == pytest.approx(kernel[corner], abs=4e-3)
    assert kernel.sum() == pytest.approx(1, abs=1e-12)
    assert np.allclose(kernel, kernel.T, atol=1e-9) and np.allclose(kernel, kernel[::-1], atol=1e-9)


@given(st.floats(np.sqrt(2), 30))
def test_a_disc_weighs_its_area(radius):
    """Over the weight of the middle, where the disc covers the pixel's whole tent, the weights sum to πr²."""
    kernel = disc_kernel(radius)
    middle = kernel[len(kernel) // 2, len(kernel) // 2]
    assert kernel.sum() / middle == pytest.approx(np.pi * radius**2, rel=1e-3)


def test_a_level_image_stays_level_under_what_only_mixes_neighbours():
    level_image = np.full((2, 30, 30), 77, np.uint8)
    for name in ("gaussian_blur", "defocus", "jpeg"):
        assert all(np.abs(corrupt(name, level_image, level).astype(int) - 77).max() <= 2 * (name == "jpeg") for level in (1, 3))


@pytest.mark.parametrize("level", [1, 2, 3, 4, 5])
def test_jpeg_loses_what_pillow_loses(level):
    image = as_type(texture(1, 61)[0], "uint8")
    packed = io.BytesIO()
    Image.fromarray(image).save(packed, "jpeg", quality={1: 80, 2: 50, 3: 30, 4: 15, 5: 7}[level])
    theirs = np.asarray(Image.open(packed)).astype(int)
    difference = np.abs(corrupt("jpeg", image, level) - theirs)
    assert (difference > 2).mean() < 0.1  # a coefficient midway between two steps goes either way
    assert difference.mean() < 0.1 * np.abs(theirs - image.astype(float)).mean()


def test_tilt_keeps_the_mean_and_parts_two_corners_by_its_share():
    grey = np.full((64, 96), 0.4)
    for level, lost in {1: 0.1, 2: 0.2, 3: 0.4, 4: 0.7, 5: 1.0}.items():
        found = corrupt("illumination_tilt", grey, level)
        assert found.mean() == pytest.approx(0.4, rel=1e-5)
        assert (found[-1, -1] - found[0, 0]) / 0.4 == pytest.approx(lost, rel=1e-4)


def test_dust_shades_about_its_share_with_brighter_rings_and_a_speck_stays_at_higher_levels():
    grey = np.full((60, 150, 150), 0.4)
    before = np.zeros_like(grey, dtype=bool)
    for level, covered in {1: 0.002, 2: 0.005, 3: 0.01, 4: 0.02, 5: 0.05}.items():
        found = corrupt("dust", grey, level, seed=4)
        dark = found < 0.4 * 0.85
        assert dark.mean() == pytest.approx(covered, rel=0.35) and (found > 0.4).any()
        assert (before & ~dark).mean() < 0.05 * before.mean() + 1e-9
        before = dark


def test_exposure_scales_light_and_its_noise_as_electrons_do():
    grey = np.full((20, 100, 100), 0.2)
    for level, stops in {-5: -4, -4: -3, -3: -2, -2: -1, -1: -0.5, 1: 0.25, 2: 0.5, 5: 1.5}.items():
        found = corrupt("exposure", grey, level, seed=5)
        light = 0.2 * 2.0**stops
        assert found.mean() == pytest.approx(light, rel=0.01)
        assert found.var() == pytest.approx(light / 10_000, rel=0.05)
    assert corrupt("exposure", np.full((9, 9), 0.9), 5).max() == 1


def test_a_range_narrower_than_the_type_is_the_camera_s():
    images = as_type(texture() * 4095 / 65535, "uint16")
    brighter = corrupt("brightness", images, 1, full_scale=(0, 4095))
    assert np.array_equal(brighter, np.clip(np.rint(images + 50 * 4095 / 255), 0, 4095))


@pytest.mark.parametrize(
    ("images", "name", "level", "words"),
    [
        (np.zeros((4, 4), np.uint8), "haze", 1, "choose one of gaussian_noise"),
        (np.zeros((4, 4), np.uint8), "defocus", -1, "choose one of 0, 1, 2, 3, 4, 5"),
        (np.zeros((4, 4), bool), "defocus", 1, "of numbers are needed"),
        (np.zeros(4, np.uint8), "defocus", 1, "shape"),
        (np.full((4, 4), np.nan), "defocus", 1, "NaN"),
        (np.full((4, 4), 800.0), "defocus", 1, "full_scale"),
    ],
)
def test_what_cannot_be_corrupted_is_said(images, name, level, words):
    with pytest.raises(ValueError, match=words):
        corrupt(name, images, level)


def test_an_empty_stack_stays_empty():
    assert corrupt("dust", np.zeros((0, 5, 5), np.uint8), 2).shape == (0, 5, 5)


def test_a_real_phase_contrast_image_gets_less_sharp_with_every_level_of_blur_and_defocus(real_data):
    image = skimage.io.imread(real_data / "usiigaci-phase-contrast" / "labelled" / "train" / "set9" / "raw.tif")[
        300:556, 300:556
    ]
    for name in ("gaussian_blur", "defocus"):
        sharpness = [np.abs(np.diff(corrupt(name, image, level).astype(float), axis=1)).mean() for level in range(6)]
        assert (np.diff(sharpness) < 0).all() and sharpness[-1] < 0.5 * sharpness[0]
