"""Scoring tiles with ResNet101-FCDD, in batches, against the plain loop: float32, contiguous, one image at a time."""

import time

import numpy as np

from benchmarks.models import random_detector


def measure(n_tiles: int, loop_tiles: int) -> dict[str, float]:
    """Tiles a second each way, and how many times faster ours is. Random weights: arithmetic does not depend on them."""
    import torch

    from plate_assets.learning.arithmetic import multiplies_bfloat16, prepare_arithmetic

    prepare_arithmetic()
    detector = random_detector("resnet101")
    tiles = np.random.default_rng(0).integers(90, 160, (n_tiles, 154, 154), dtype=np.uint8)
    network = detector.network().eval()
    with torch.inference_mode():
        network(detector.prepare(tiles[:1]))
        began = time.perf_counter()
        for tile in tiles[:loop_tiles]:
            network(detector.prepare(tile[None]).contiguous())
        rates = {"plain loop": loop_tiles / (time.perf_counter() - began)}
    few = min(n_tiles, 4 * loop_tiles)
    for precision, n in (("float32", few), ("bfloat16", n_tiles if multiplies_bfloat16() else few)):
        detector.score(tiles[:16], precision=precision)
        began = time.perf_counter()
        detector.score(tiles[:n], precision=precision)
        rates[precision] = n / (time.perf_counter() - began)
    ratios = {f"{name} over plain loop": rates[name] / rates["plain loop"] for name in ("float32", "bfloat16")}
    return {f"{name}, tiles a second": value for name, value in rates.items()} | ratios
