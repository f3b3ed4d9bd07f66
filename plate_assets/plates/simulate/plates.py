"""Whole simulated plates: every well of every visit, written so that a watcher of the folder sees whole acquisitions only.

Belongs here: the order of writing, the tables of the truth. Not here: pixels (`well`), file formats (`writing`).
"""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from plate_assets.plates.layout import Well
from plate_assets.plates.simulate.background import load_background
from plate_assets.plates.simulate.plan import Condition, plate_conditions, plate_name
from plate_assets.plates.simulate.settings import SimulationSettings
from plate_assets.plates.simulate.well import SimulatedWell, draw_well
from plate_assets.plates.simulate.writing import image_name, write_image, write_index
from plate_assets.progress import Progress


@dataclass(frozen=True)
class SimulatedPlates:
    """Where the plates are. `acquisitions`: a folder for each plate and visit; truth: quadruplets.csv, wells.csv, tiles.csv."""

    acquisitions: tuple[Path, ...]
    platemaps: Path
    truth: Path


def simulate_plates(out: Path, settings: SimulationSettings | None = None, progress: Progress | None = None) -> SimulatedPlates:
    """Write the plates of `settings` below `out`: `<plate>_<time point>/…`, `platemaps/<plate>.csv` and `truth/*.csv`.

    The same settings give the same bytes. An acquisition is written under a name that begins with a dot and renamed when it
    is whole. Raises FileExistsError where one is there already.
    """
    settings, out = settings or SimulationSettings(), Path(out)
    fields = None if settings.background is None else load_background(Path(settings.background), settings.background_um)
    platemaps, truth = out / "platemaps", out / "truth"
    for folder in (platemaps, truth):
        folder.mkdir(parents=True, exist_ok=True)
    total = settings.plates * len(settings.visits) * 4 * len(settings.groups)
    done, folders = 0, []
    tables: dict[str, list[dict]] = {"quadruplets": [], "wells": [], "tiles": []}
    for plate in range(settings.plates):
        conditions = plate_conditions(settings, plate)
        _write_platemap(platemaps / f"{plate_name(settings, plate)}.csv", conditions)
        for visit, (timepoint, _) in enumerate(settings.visits):
            final = out / f"{plate_name(settings, plate)}_{timepoint}"
            if final.exists():
                raise FileExistsError(f"{final} is there already: choose another folder or seed, or remove it")
            with _written_whole(final) as folder:
                for well, condition, drawn in _drawn(settings, plate, visit, conditions, fields, folder):
                    _note(tables, settings, plate, timepoint, condition, well, drawn)
                    done += 1
                    if progress:
                        progress(done, total)
                _write_metadata(settings, plate, visit, conditions, folder)
            folders.append(final)
            tables["quadruplets"] += _quadruplets(settings, plate, visit, conditions, tables["wells"])
    for name, rows in tables.items():
        pl.DataFrame(rows, infer_schema_length=None).write_csv(truth / f"{name}.csv")
    return SimulatedPlates(tuple(folders), platemaps, truth)


class _written_whole:
    """A folder under a hidden name that takes its own name when all went well, and vanishes when not."""

    def __init__(self, final: Path) -> None:
        self.final, self.hidden = final, final.with_name(f".{final.name}.part")

    def __enter__(self) -> Path:
        shutil.rmtree(self.hidden, ignore_errors=True)
        self.hidden.mkdir(parents=True)
        return self.hidden

    def __exit__(self, kind, error, trace) -> None:
        if kind is None:
            self.hidden.rename(self.final)
        else:
            shutil.rmtree(self.hidden, ignore_errors=True)


def _members(condition: Condition) -> list[Well]:
    first = condition.quadruplet
    return [Well(first.row + down, first.col + right) for down in (0, 1) for right in (0, 1)]


def _drawn(
    settings: SimulationSettings,
    plate: int,
    visit: int,
    conditions: list[Condition],
    fields: list[np.ndarray] | None,
    folder: Path,
) -> Iterator[tuple[Well, Condition, SimulatedWell]]:
    """Draw and write the wells of a visit, row-major, some at a time in threads."""
    work = sorted(((well, condition) for condition in conditions for well in _members(condition)), key=lambda pair: pair[0])
    (folder / image_name(settings.layout, work[0][0])).parent.mkdir(exist_ok=True)

    def one(pair: tuple[Well, Condition]) -> tuple[Well, Condition, SimulatedWell]:
        well, condition = pair
        drawn = draw_well(settings, plate, visit, condition, well, fields)
        write_image(folder / image_name(settings.layout, well), drawn.image)
        if settings.masks:
            _write_mask(folder, plate_name(settings, plate), settings.visits[visit][0], well, drawn.mask)
        return (
            well,
            condition,
            SimulatedWell(drawn.image[:0], drawn.mask[:0], drawn.truth, drawn.tiles),
        )  # the pixels are on disk

    with ThreadPoolExecutor(settings.workers or os.cpu_count() or 1) as pool:
        yield from pool.map(one, work)


def _write_mask(folder: Path, plate: str, timepoint: str, well: Well, mask: np.ndarray) -> None:
    place = folder.parent / "truth" / "masks" / f"{plate}_{timepoint}"
    place.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask.astype(np.uint8) * 255).save(place / f"{well.name}.png")


def _write_metadata(settings: SimulationSettings, plate: int, visit: int, conditions: list[Condition], folder: Path) -> None:
    timepoint, hours = settings.visits[visit]
    if settings.layout == "operetta":
        wells = sorted(well for condition in conditions for well in _members(condition))
        write_index(folder / "Images" / "Index.idx.xml", plate_name(settings, plate), timepoint, hours, wells, settings.dtype)


def _write_platemap(path: Path, conditions: list[Condition]) -> None:
    rows = [
        {"well_position": well.name, "condition": condition.name, "role": condition.role}
        for condition in conditions
        for well in _members(condition)
    ]
    pl.DataFrame(rows).sort("well_position").write_csv(path)


def _keys(settings: SimulationSettings, plate: int, timepoint: str) -> dict:
    return {"Metadata_Plate": plate_name(settings, plate), "Metadata_Timepoint": timepoint}


def _note(
    tables: dict,
    settings: SimulationSettings,
    plate: int,
    timepoint: str,
    condition: Condition,
    well: Well,
    drawn: SimulatedWell,
) -> None:
    keys = _keys(settings, plate, timepoint)
    about = {"Metadata_Well": well.name, "Metadata_Quadruplet": condition.quadruplet.name}
    tables["wells"].append({**keys, **about, "condition": condition.name, "role": condition.role, **drawn.truth})
    tables["tiles"] += [{**keys, **about, **tile} for tile in drawn.tiles]


def _quadruplets(
    settings: SimulationSettings, plate: int, visit: int, conditions: list[Condition], wells: list[dict]
) -> list[dict]:
    timepoint, hours = settings.visits[visit]
    keys = _keys(settings, plate, timepoint)
    here = [row for row in wells if row["Metadata_Plate"] == keys["Metadata_Plate"] and row["Metadata_Timepoint"] == timepoint]
    rows = []
    for condition in conditions:
        severity = condition.severity(hours)
        members = [row for row in here if row["Metadata_Quadruplet"] == condition.quadruplet.name]
        rows.append({
            **keys, "Metadata_Quadruplet": condition.quadruplet.name, "condition": condition.name, "role": condition.role,
            "precipitated": severity > 0, "kind": condition.kind if severity else "none", "severity": severity,
            "n_wells_precipitated": sum(row["precipitated"] for row in members),
            "onset_h": condition.onset_h if np.isfinite(condition.onset_h) else None,
        })  # fmt: skip
    return rows
