"""A finished detector: faster arithmetic changes its scores by rounding only, and what does not fit is refused by name."""

import json

import numpy as np
import pytest
import torch

from plate_assets.learning.infer import BATCH
from plate_assets.precipitation.detector import Detector, DetectorError
from plate_assets.precipitation.fcdd import pseudo_huber
from tests.made_models import random_detector


@pytest.fixture(scope="module")
def detector():
    bundle = random_detector()
    weights = {name: np.array(value) for name, value in bundle.weights.items()}
    generator = np.random.default_rng(3)
    for name in weights:  # batch norm that has seen data: folding has something to fold
        if name.endswith("running_var"):
            weights[name] = generator.uniform(0.5, 2, weights[name].shape).astype(np.float32)
        if name.endswith("running_mean"):
            weights[name] = generator.normal(0, 0.1, weights[name].shape).astype(np.float32)
    return Detector.from_parts({**bundle.architecture, "input_px": 64, "tile_px": 48}, weights)


@pytest.fixture(scope="module")
def tiles():
    return np.random.default_rng(0).integers(60, 200, (5, 48, 48), dtype=np.uint8)


def test_scores_are_those_of_the_plain_network_on_one_tile_at_a_time(detector, tiles):
    network = detector.network().eval()
    with torch.inference_mode():
        plain = [float(pseudo_huber(network(detector.prepare(tile[None]))).mean()) for tile in tiles]
    assert detector.score(tiles).scores == pytest.approx(plain, rel=1e-4)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_a_tile_has_the_same_score_in_every_call_whatever_is_scored_with_it(detector, precision):
    """Equal to the bit on any processor, where a tile keeps its place in a batch: batches have one shape, so the same kernels
    run. At another place the same kernel may reach it by another path (the rest of a block), which may round otherwise."""
    tiles = np.random.default_rng(1).integers(60, 200, (BATCH + 3, 48, 48), dtype=np.uint8)
    observed = Detector.from_parts(detector.architecture, detector.weights)
    observed.observe(tiles)
    scored = observed.score(tiles, precision=precision)
    for n in (1, 2, BATCH - 1, BATCH, BATCH + 1):
        few = observed.score(tiles[:n], precision=precision)
        assert np.array_equal(few.scores, scored.scores[:n]) and np.array_equal(few.maps, scored.maps[:n])
    elsewhere = observed.score(tiles[::-1].copy(), precision=precision).scores[::-1]
    assert elsewhere == pytest.approx(scored.scores, rel=1e-4 if precision == "float32" else 0.05)


def test_bfloat16_is_close_and_keeps_the_shape_of_the_maps(detector, tiles):
    fast, exact = detector.score(tiles, precision="bfloat16"), detector.score(tiles)
    assert fast.scores == pytest.approx(exact.scores, rel=0.05)
    assert fast.maps.shape == exact.maps.shape == (5, 8, 8)


def test_int8_is_close_once_the_ranges_of_activations_are_known(detector, tiles):
    with pytest.raises(DetectorError, match="ranges"):
        detector.score(tiles, precision="int8")
    observed = Detector.from_parts(detector.architecture, detector.weights)
    observed.observe(tiles)
    again = Detector.from_parts(json.loads(json.dumps(observed.architecture)), observed.weights)  # as it comes from its file
    fast, exact = again.score(tiles, precision="int8"), detector.score(tiles)
    assert fast.scores == pytest.approx(exact.scores, rel=0.05)
    assert fast.maps.shape == exact.maps.shape == (5, 8, 8)


def test_a_detector_of_mirror_images_scores_their_mean_and_turns_its_maps_back(detector, tiles):
    mirrored = Detector.from_parts({**detector.architecture, "views": "mirrored"}, detector.weights)
    turned = [tiles, tiles[:, ::-1], tiles[:, :, ::-1], tiles[:, ::-1, ::-1]]
    found = mirrored.score(tiles)
    assert found.scores == pytest.approx(np.mean([detector.score(view.copy()).scores for view in turned], 0), rel=1e-5)
    assert mirrored.score(turned[1].copy()).scores == pytest.approx(found.scores, rel=1e-5)
    assert np.allclose(mirrored.score(turned[2].copy()).maps[:, :, ::-1], found.maps, rtol=1e-2, atol=1e-3)
    with pytest.raises(DetectorError, match="knows one, mirrored"):
        Detector.from_parts({**detector.architecture, "views": "upside down"}, detector.weights)


def test_exposure_does_not_change_a_score(detector, tiles):
    dark = (tiles.astype(np.float32) / 255 * 0.5).astype(np.float32)
    assert detector.score(dark).scores == pytest.approx(detector.score(tiles).scores, rel=1e-3)


def test_sixteen_bits_and_colour_score_as_their_grey(detector, tiles):
    wide = tiles.astype(np.uint16) * 257
    assert detector.score(wide).scores == pytest.approx(detector.score(tiles).scores, rel=1e-4)
    colour = np.repeat(tiles[..., None], 3, axis=3)
    assert detector.score(colour).scores == pytest.approx(detector.score(tiles).scores, rel=1e-4)


def test_no_tiles_give_no_scores_and_heat_has_the_tiles_size(detector, tiles):
    assert detector.score(tiles[:0]).scores.shape == (0,) and detector.score(tiles[:0]).maps.shape == (0, 8, 8)
    assert detector.heat(detector.score(tiles).maps).shape == (5, 48, 48)


def test_parts_that_do_not_fit_are_refused_by_name(detector):
    with pytest.raises(DetectorError, match="lacks input_px"):
        Detector.from_parts({name: value for name, value in detector.architecture.items() if name != "input_px"}, {})
    with pytest.raises(DetectorError, match="format 9"):
        Detector.from_parts({**detector.architecture, "format": 9}, detector.weights)
    with pytest.raises(DetectorError, match="weights do not fit cnn27"):
        Detector.from_parts(detector.architecture, {})
    with pytest.raises(DetectorError, match=r"\(2, 3, 4, 5\) cannot be scored"):
        detector.score(np.zeros((2, 3, 4, 5), np.uint8))
