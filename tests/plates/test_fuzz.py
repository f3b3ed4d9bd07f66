"""Harmed exports: each of thousands of cases ends in a read acquisition, a flagged well or one clear error.

None hangs, takes much memory, writes to the disk, or keeps the sensor from the other arrivals. Not here: the harms (`fuzzing`).
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from plate_assets.plates.ome_zarr_plate import write_ome_zarr
from plate_assets.plates.readers import open_acquisition

ROOT = Path(__file__).parents[2]
CASES = int(os.environ.get("PLATE_ASSETS_FUZZ_CASES", "180"))
FAIM = "faim-ipa-imagexpress-cellvoyager/resources"
REAL = {
    "operetta": "operetta-harmony-384/tests/operetta_plate",
    "imagexpress-database": f"{FAIM}/ImageXpress/Projection-Mix",
    "imagexpress-times": f"{FAIM}/ImageXpress/1well-3C-2S-Zmix-T",
    "imagexpress-exported": f"{FAIM}/ImageXpress_exported/9987_Plate_3434",
    "cellvoyager": f"{FAIM}/CV8000",
    "scanr": "scanr-ome-metadata/tests/data/scanr",
    "ome-companion": f"{FAIM}/ome-tiff",
    "ome-zarr-0.4": "ome-zarr-hcs-examples/data/valid/plate-01.zarr",
}
# Made here where there is no real one small enough: names, sheets, OME-TIFF, OME-Zarr 0.5.
MADE = ("names", "incucyte", "sample-sheet", "ome-tiff", "ome-zarr-0.5")
PIXELS = (np.arange(48 * 48, dtype=np.uint16) * 7 % 4000).reshape(48, 48)


def made(kind: str, folder: Path) -> None:
    folder.mkdir()
    if kind == "names":
        for well in ("A01", "A02", "B01"):
            for site in (1, 2):
                tifffile.imwrite(folder / f"P1_{well}_s{site}_w1.tif", PIXELS, compression="lzw")
    elif kind == "incucyte":
        for well in ("A1", "B12"):
            tifffile.imwrite(folder / f"Vessel_Phase_{well}_1_00d04h00m.tif", PIXELS.astype(np.uint8))
    elif kind == "sample-sheet":
        rows = ["path,plate,well,site,channel,pixel_um"]
        for well in ("A01", "C07"):
            (folder / "images").mkdir(exist_ok=True)
            tifffile.imwrite(folder / "images" / f"{well}.tif", PIXELS)
            rows.append(f"images/{well}.tif,P1,{well},1,DNA,0.65")
        (folder / "samplesheet.csv").write_text("\n".join(rows) + "\n")
    elif kind == "ome-tiff":
        stack = np.stack([np.stack([PIXELS, PIXELS // 2])] * 3)
        about = {"axes": "ZCYX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "Channel": {"Name": ["BF", "DAPI"]}}
        for well in ("A01", "A02"):
            tifffile.imwrite(folder / f"{well}_s1.ome.tif", stack, ome=True, metadata=about, photometric="minisblack")
    else:
        source = folder.parent / "source_t0"
        made("names", source)
        write_ome_zarr(open_acquisition(source), folder / "P1.zarr")
        shutil.rmtree(source)


def fuzzed(export: Path, scratch: Path, cases: int, first: int = 0) -> dict:
    """What a process of its own says of so many harmed copies."""
    command = [sys.executable, "-m", "tests.plates.fuzzing", str(export), str(scratch), str(first), str(cases)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def placed(export: Path, corpus: Path, name: str) -> Path:
    """The export where hard links can be made of it, beside the good arrival."""
    corpus.mkdir(exist_ok=True)
    tifffile.imwrite(corpus / "good.tif", PIXELS)
    shutil.copytree(export, corpus / name, ignore=shutil.ignore_patterns("*_thumb*"))
    return corpus / name


def check(name: str, found: dict, cases: int) -> None:
    assert not found["wrong"], f"{name}: {len(found['wrong'])} of {cases}:\n" + "\n".join(found["wrong"][:20])
    assert sum(found["outcomes"].values()) == cases and found["outcomes"].get("refused"), found


@pytest.mark.parametrize("name", REAL)
def test_a_harmed_real_export_ends_in_one_of_three_ways(name, real_data, tmp_path):
    export = placed(real_data / REAL[name], tmp_path / "corpus", name)
    check(name, fuzzed(export, tmp_path / "arrivals", CASES), CASES)


@pytest.mark.parametrize("kind", MADE)
def test_a_harmed_made_export_ends_in_one_of_three_ways(kind, tmp_path):
    made(kind, tmp_path / "made")
    export = placed(tmp_path / "made", tmp_path / "corpus", kind)
    check(kind, fuzzed(export, tmp_path / "arrivals", CASES), CASES)
