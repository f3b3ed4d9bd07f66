"""The command: `python -m benchmarks [scoring|plates|baseline|arrivals|indexing …] [--wells N]` prints one JSON object."""

import argparse
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path


def main() -> None:
    """Run the chosen benchmarks, all of them by default."""
    from benchmarks import (
        anomalies,
        arrivals,
        baseline,
        buoyant_mass,
        detectors,
        drift,
        dry_mass,
        indexing,
        plate_drift,
        plates,
        real_shifts,
        scoring,
        stability,
        timelapse,
    )

    known: dict[str, Callable[[argparse.Namespace], dict]] = {
        "scoring": lambda given: scoring.measure(given.tiles, given.loop_tiles),
        "plates": lambda given: plates.measure(given.quadruplets, given.backbone),
        "baseline": lambda given: baseline.measure(given.quadruplets, background=given.background),
        "detectors": lambda given: detectors.measure(
            given.quadruplets, given.backbones, given.epochs, given.tiles_per_epoch, given.input_px, models=given.models
        ),
        "arrivals": lambda given: arrivals.measure(given.acquisitions),
        "indexing": lambda given: indexing.measure(given.files),
        "timelapse": lambda given: timelapse.measure(given.timelapse),
        "dry_mass": lambda given: dry_mass.measure(batched_windows=given.batched_windows),
        "anomalies": lambda given: anomalies.measure(given.seeds),
        "buoyant_mass": lambda given: buoyant_mass.measure(given.buoyant_mass),
        "drift": lambda given: drift.measure(),
        "plate_drift": lambda given: plate_drift.measure(),
        "stability": lambda given: stability.measure(given.quadruplets, given.figures),
        "real_shifts": lambda given: real_shifts.measure(),
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="*", choices=[[], *known], help="; ".join(known))
    parser.add_argument("--tiles", type=int, default=4_608, help="tiles scored in batches: a plate of 384 wells has 4,608")
    parser.add_argument("--loop-tiles", type=int, default=256, help="tiles scored one at a time")
    parser.add_argument("--quadruplets", type=int, default=96, help="conditions on each plate")
    parser.add_argument("--figures", type=Path, help="folder for the figures of the stability study")
    parser.add_argument("--background", type=Path, help="real images that serve as the baseline's cells")
    parser.add_argument("--backbone", default="resnet101")
    parser.add_argument("--backbones", nargs="+", help="detectors that are trained and compared; all six")
    parser.add_argument("--epochs", type=int, default=10, help="of each detector's training")
    parser.add_argument("--tiles-per-epoch", type=int, default=600)
    parser.add_argument("--input-px", type=int, default=112, help="side that the tiles are resized to for training and scoring")
    parser.add_argument("--models", type=Path, help="folder that the trained detectors are kept in")
    parser.add_argument("--acquisitions", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=100_000, help="images of the acquisition that is indexed")
    parser.add_argument("--timelapse", type=Path, help="folder of the Livecyte time-lapse; that of PLATE_ASSETS_REAL_DATA")
    parser.add_argument("--batched-windows", type=int, default=559_141, help="windows forecast in batches, to compare with")
    parser.add_argument("--seeds", type=int, default=10, help="simulated cultures that flags are judged on")
    parser.add_argument("--buoyant-mass", type=Path, help="folder of the measured lineages; that of PLATE_ASSETS_REAL_DATA")
    given = parser.parse_args()
    machine = {"cores": os.cpu_count(), "processor": platform.processor() or platform.machine()}
    print(json.dumps({"machine": machine, **{name: known[name](given) for name in given.which or known}}, indent=2))


if __name__ == "__main__":
    main()
