"""Scoring tiles with ResNet101-FCDD, in batches, against the plain loop: float32, contiguous, one image at a time.

The plain loop has a process of its own, with torch as it comes: what we set for a process is part of what is measured.
"""

import json
import subprocess
import sys
import time

LOOP = """
import json, sys, time
import torch
from benchmarks.models import made_tiles, random_detector
detector, tiles = random_detector("resnet101"), made_tiles(int(sys.argv[1]))
network = detector.network().eval()
with torch.inference_mode():
    network(detector.prepare(tiles[:1]).contiguous())
    began = time.perf_counter()
    for tile in tiles:
        network(detector.prepare(tile[None]).contiguous())
print(json.dumps(len(tiles) / (time.perf_counter() - began)))
"""


def measure(n_tiles: int, loop_tiles: int) -> dict[str, float]:
    """Tiles a second each way, and how many times faster ours is. Random weights: arithmetic does not depend on them."""
    from benchmarks.models import made_tiles, random_detector
    from plate_assets.learning.arithmetic import multiplies_bfloat16, multiplies_int8, prepare_arithmetic

    done = subprocess.run([sys.executable, "-c", LOOP, str(loop_tiles)], capture_output=True, text=True, check=True)
    rates = {"plain loop": float(json.loads(done.stdout.splitlines()[-1]))}
    prepare_arithmetic()
    detector, tiles = random_detector("resnet101"), made_tiles(n_tiles)
    few = min(n_tiles, 4 * loop_tiles)
    able = {"float32": False, "bfloat16": multiplies_bfloat16(), "int8": multiplies_int8()}
    for precision, n in ((name, n_tiles if quick else few) for name, quick in able.items()):
        detector.score(tiles[:16], precision=precision)
        began = time.perf_counter()
        detector.score(tiles[:n], precision=precision)
        rates[precision] = n / (time.perf_counter() - began)
    ratios = {f"{name} over plain loop": rates[name] / rates["plain loop"] for name in able}
    return {f"{name}, tiles a second": value for name, value in rates.items()} | ratios
