"""Whole plates: the overhead of `score` over its pure forward time, peak memory, and how time grows with plates."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

SCORE = """
import json, resource, sys, time
from pathlib import Path
from plate_assets.learning.arithmetic import prepare_arithmetic
from plate_assets.precipitation.detector import Detector
from plate_assets.storage.models import read_bundle
from plate_assets.workflows.precipitation.report import write_report
from plate_assets.workflows.precipitation.score import score_folder
prepare_arithmetic()
model, out, *folders = map(Path, sys.argv[1:])
seconds_forward, network_of = [0.0], Detector._network
def timed(detector, precision):
    network = network_of(detector, precision)
    def forward(images):
        began = time.perf_counter()
        found = network(images)
        seconds_forward[0] += time.perf_counter() - began
        return found
    return forward
Detector._network = timed
bundle, began = read_bundle(model), time.perf_counter()
for folder in folders:
    work = out / folder.name
    work.mkdir(parents=True)
    write_report(score_folder(str(folder), work, bundle, "file:benchmark"), bundle, work / "report", links={})
seconds = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps({"seconds": seconds, "forward": seconds_forward[0], "peak GiB": peak}))
"""


def measure(quadruplets: int, backbone: str) -> dict[str, float]:
    """Every figure comes from a process of its own, so that no plate is measured with another one's memory."""
    from benchmarks.models import random_detector
    from plate_assets.learning.arithmetic import multiplies_bfloat16, multiplies_int8
    from plate_assets.plates.simulate import SimulationSettings, simulate_plates
    from plate_assets.storage.models import ModelBundle, write_bundle

    able = {"float32": True, "bfloat16": multiplies_bfloat16(), "int8": multiplies_int8()}
    precisions = [name for name, quick in able.items() if quick]
    with tempfile.TemporaryDirectory() as kept:
        place = Path(kept)
        simulate_plates(place / "plates", SimulationSettings(plates=2, timepoints_h=(96.0,), quadruplets=quadruplets))
        few = SimulationSettings(plates=4, timepoints_h=(96.0,), quadruplets=max(4, quadruplets // 8))
        simulate_plates(place / "few", few)
        for name, network, precision in (("small", "cnn27", precisions[-1]), *((name, backbone, name) for name in precisions)):
            detector = random_detector(network, precision)
            write_bundle(ModelBundle(detector.architecture, detector.weights, {}), place / name)
        whole, small = (sorted((place / name).glob("SIM*")) for name in ("plates", "few"))
        one = {name: run(place / name, place / f"out-{name}", whole[:1]) for name in precisions}
        two = run(place / precisions[-1], place / "out-two", whole)
        growing = [run(place / "small", place / f"few{n}", small[:n])["seconds"] for n in (1, 2, 4)]
    return {
        "wells of a plate": 4 * quadruplets,
        **{f"score over forward, {backbone}, {name}": found["seconds"] / found["forward"] for name, found in one.items()},
        **{f"seconds of score, {name}": found["seconds"] for name, found in one.items()},
        "peak GiB, one plate": one[precisions[-1]]["peak GiB"],
        "peak GiB, two plates": two["peak GiB"],
        "time of 2 plates over 1": growing[1] / growing[0],
        "time of 4 plates over 1": growing[2] / growing[0],
    }


def run(model: Path, out: Path, folders: list[Path]) -> dict[str, float]:
    """Score folders in a fresh process."""
    done = subprocess.run([sys.executable, "-c", SCORE, model, out, *folders], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])
