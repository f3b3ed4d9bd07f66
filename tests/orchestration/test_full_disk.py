"""A disk that fills up in the middle of a plate: an error that names the file and the remedy, and nothing half-written."""

import subprocess
import sys
from pathlib import Path

from plate_assets.orchestration.resources import storage_of
from plate_assets.plates.simulate import SimulationSettings, simulate_plates
from plate_assets.precipitation.tables import PATCHES
from plate_assets.settings import Settings
from plate_assets.storage.arrays import read_stack

FULL = 100_000  # bytes that a file may have: enough for a plate's tables, not for its tiles
RUN = """
import resource, sys
import dagster as dg
from plate_assets.definitions import build_definitions
from plate_assets.settings import Settings

definitions = build_definitions(Settings(home=sys.argv[1], threads=2))
instance = dg.DagsterInstance.ephemeral()
instance.add_dynamic_partitions("plate_acquisitions", ["SIM00001_024h"])
if limit := int(sys.argv[2]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for job, assets in (("ingest", ["acquisition", "image_quality"]), ("score", ["patches", "growth"])):
    definitions.resolve_job_def(job).execute_in_process(
        instance=instance, partition_key="SIM00001_024h", asset_selection=[dg.AssetKey(name) for name in assets],
        run_config={"ops": {"acquisition": {"config": {"folder": sys.argv[3]}}}} if job == "ingest" else {},
    )
"""


def run(home: Path, limit: int) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", RUN, home, str(limit), home / "made" / "SIM00001_024h"]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=home)


def test_a_disk_that_fills_up_while_tiles_are_cut_says_so_and_the_next_run_completes(tmp_path):
    made = SimulationSettings(plates=1, timepoints_h=(24.0,), layout="flat", quadruplets=1)
    simulate_plates(tmp_path / "made", made)
    storage = storage_of(Settings(home=tmp_path))
    failed = run(tmp_path, FULL)
    assert failed.returncode and "free some space" in failed.stderr and "patches" in failed.stderr, failed.stderr[-2000:]
    assert storage.table("image_quality", "SIM00001_024h").exists()
    assert not list((tmp_path / "storage" / "patches").rglob("*.json")), "a part of the tiles stayed"
    done = run(tmp_path, 0)
    assert done.returncode == 0, done.stderr[-2000:]
    tiles = read_stack(storage.stack("patches", "SIM00001_024h"), PATCHES)
    assert tiles.table["Metadata_Well"].n_unique() == 4 and len(tiles.array) == tiles.table.height
