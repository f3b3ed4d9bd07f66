"""What importing the definitions costs: Dagster imports them in each code server and in each run.

Belongs here: costs that are measured in a fresh process. Not here: who may import whom (`test_floors`).
"""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

HEAVY = {"torch", "mlflow", "sklearn", "skimage", "scipy", "pandas", "matplotlib", "zarr", "alibi_detect", "pandera"}
TIMES_DAGSTER = 2.5
ROUNDS = 5


def in_a_fresh_process(code: str, home: Path) -> str:
    """What the code prints, in an environment without settings: whoever runs the tests may have some."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PLATE_ASSETS_", "DAGSTER_"))}
    done = subprocess.run([sys.executable, "-c", code], cwd=home, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def seconds_to_import(module: str, home: Path) -> float:
    """Processor time, not the clock's: another program on the machine does not count."""
    code = f"import time; start = time.process_time(); import {module}; print(time.process_time() - start)"
    return float(in_a_fresh_process(code, home))


def test_the_definitions_load_nothing_heavy(tmp_path):
    code = "import sys, plate_assets.definitions as d; d.defs(); print(*{name.split('.')[0] for name in sys.modules})"
    loaded = set(in_a_fresh_process(code, tmp_path).split())
    assert "dagster" in loaded and "polars" in loaded
    assert not loaded & HEAVY


def test_the_definitions_import_in_less_than_two_and_a_half_times_dagster(tmp_path):
    in_a_fresh_process("import plate_assets.definitions", tmp_path)  # compiles what is new, so that no round pays for it
    rounds = [
        (seconds_to_import("dagster", tmp_path), seconds_to_import("plate_assets.definitions", tmp_path)) for _ in range(ROUNDS)
    ]
    dagster, ours = (median(times) for times in zip(*rounds, strict=True))
    assert ours < TIMES_DAGSTER * dagster, f"{ours:.2f} s beside dagster's {dagster:.2f} s (medians of {ROUNDS})"


def test_importing_the_definitions_writes_nothing(tmp_path):
    in_a_fresh_process("import plate_assets.definitions as d; d.defs()", tmp_path)
    assert list(tmp_path.iterdir()) == []
