"""A copy in progress, layout by layout: it never starts a run early, and it always starts one at last.

Files come in any order, grow while they come, and come under temporary names that are changed at the end. Not here: what the
decision is made of (`test_arrivals`).
"""

import random
import shutil
from pathlib import Path

import pytest

from plate_assets.plates.ome_zarr_plate import write_ome_zarr
from plate_assets.plates.readers import open_acquisition
from tests.plates.test_arrivals import Sensor, started
from tests.plates.test_fuzz import REAL, made

# Those that hold what one visit or several need; without pixels (`scanr`, the companions) nothing is ever complete.
COMPLETE = ("operetta", "imagexpress-times", "imagexpress-exported", "cellvoyager")
MADE = ("names", "incucyte", "sample-sheet", "ome-tiff", "ome-zarr-0.5")
LOOKS = 40  # while the copy goes on: a look after every so-manieth file, never so few that it could seem at rest


def export_of(kind, real_data, tmp_path) -> Path:
    if kind in REAL:
        return real_data / REAL[kind]
    made(kind, tmp_path / "source")
    return tmp_path / "source"


def files_of(export: Path) -> list[Path]:
    return sorted(path.relative_to(export) for path in export.rglob("*") if path.is_file() and "_thumb" not in path.name)


def copied(export: Path, target: Path, file: Path, way: str) -> list:
    """The steps of copying one file: functions that are called one after the other, with looks between them."""
    (target / file).parent.mkdir(parents=True, exist_ok=True)
    content = (export / file).read_bytes()
    if way == "grows":
        half = len(content) // 2
        return [lambda: (target / file).write_bytes(content[:half]), lambda: (target / file).write_bytes(content)]
    if way == "renamed":
        part = target / file.with_name(file.name + ".part")
        return [lambda: part.write_bytes(content), lambda: part.rename(target / file)]
    return [lambda: (target / file).write_bytes(content)]


@pytest.mark.parametrize("way", ["any order", "grows", "renamed"])
@pytest.mark.parametrize("kind", (*COMPLETE, *MADE))
def test_a_copy_starts_nothing_early_and_everything_at_last(kind, way, request, tmp_path):
    real_data = request.getfixturevalue("real_data") if kind in REAL else None
    export, rng = export_of(kind, real_data, tmp_path), random.Random(f"{kind} {way}")
    target, sensor = tmp_path / "arrivals" / "copy_t0", Sensor(tmp_path / "arrivals")
    target.mkdir(parents=True)
    files = files_of(export)
    rng.shuffle(files)
    steps = [step for file in files for step in copied(export, target, file, way)]
    every, early = max(1, len(steps) // LOOKS), []
    for number, step in enumerate(steps, start=1):
        step()
        if number % every == 0 and number < len(steps):
            early += started(sensor.look()[0])
    assert not early
    at_last = [name for _ in range(5) for name in started(sensor.look()[0])]
    assert len(at_last) == (2 if kind == "imagexpress-times" else 1) and not any(started(sensor.look()[0]) for _ in range(2))


def test_a_folder_that_is_renamed_in_as_a_whole_starts_as_any_other(tmp_path):
    made("names", tmp_path / "source")
    root = tmp_path / "arrivals"
    (root / ".staging").mkdir(parents=True)
    shutil.copytree(tmp_path / "source", root / ".staging" / "P1")
    sensor = Sensor(root)
    assert not any(started(sensor.look()[0]) for _ in range(4))
    (root / ".staging" / "P1").rename(root / "P1_024h")
    assert [name for _ in range(4) for name in started(sensor.look()[0])] == ["P1_024h"]


def test_a_store_whose_metadata_came_first_waits_for_its_pixels(tmp_path):
    made("names", tmp_path / "source")
    write_ome_zarr(open_acquisition(tmp_path / "source"), tmp_path / "P1.zarr")
    target = tmp_path / "arrivals" / "P1_t0"
    for file in files_of(tmp_path / "P1.zarr"):
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".json":
            shutil.copy(tmp_path / "P1.zarr" / file, target / file)
    sensor = Sensor(tmp_path / "arrivals")
    looks = [sensor.look()[0] for _ in range(5)]
    assert not any(started(look) for look in looks) and "images that the metadata names are missing" in looks[-1].wait[0].reason
    shutil.copytree(tmp_path / "P1.zarr", target, dirs_exist_ok=True)
    assert len([name for _ in range(4) for name in started(sensor.look()[0])]) == 1
