"""Indexing an acquisition of very many files, against naming and asking each file of the same tree, in one run."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

WELLS = [f"{chr(65 + row)}{col:02d}" for row in range(16) for col in range(1, 25)]


def measure(files: int, repeats: int = 5) -> dict[str, float]:
    """Best of `repeats`: seconds of `os.scandir` with a `stat` for each file, of ours, of the metadata's own parse alone, and
    ours without that parse over the first."""
    from plate_assets.plates.readers import open_acquisition
    from plate_assets.plates.readers.vendor_xml import elements

    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as kept:
        for layout, make in {"filenames": names, "imagexpress": imagexpress, "operetta": operetta}.items():
            folder = Path(kept) / layout / "P1_024h"
            folder.mkdir(parents=True)
            index = make(folder, files)
            bare, ours, parse = [], [], []
            for _ in range(repeats):
                bare.append(_seconds(lambda at=folder: _bare(str(at))))
                ours.append(_seconds(lambda at=folder: open_acquisition(at)))
                parse.append(_seconds(lambda at=index: _walk(elements(at))) if index else 0.0)
            found |= {
                f"{layout}: scandir and stat, s": min(bare), f"{layout}: indexed, s": min(ours),
                f"{layout}: the parse alone, s": min(parse), f"{layout}: ratio": (min(ours) - min(parse)) / min(bare),
            }  # fmt: skip
    return found


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _bare(folder: str) -> int:
    total = 0
    with os.scandir(folder) as scan:
        for entry in scan:
            total += _bare(entry.path) if entry.is_dir(follow_symlinks=False) else entry.stat().st_size
    return total


def _walk(elements) -> None:
    for event, _, element in elements:
        if event == "end":
            element.clear()


def _sites(files: int, each: int):
    count = 0
    for site in range(1, files):
        for well in WELLS:
            for number in range(1, each + 1):
                if count == files:
                    return
                count += 1
                yield well, site, number


def names(folder: Path, files: int) -> None:
    """A flat folder: plain names."""
    for well, site, channel in _sites(files, 4):
        (folder / f"P1_{well}_s{site}_w{channel}.tif").touch()


def imagexpress(folder: Path, files: int) -> None:
    """An export of MetaXpress without its plan, five planes."""
    for step in range(1, 6):
        (folder / "TimePoint_1" / f"ZStep_{step}").mkdir(parents=True)
    for well, site, step in _sites(files, 5):
        (folder / "TimePoint_1" / f"ZStep_{step}" / f"P1_{well}_s{site}_w1.TIF").touch()


def operetta(folder: Path, files: int):
    """Harmony's export with its index."""
    from upath import UPath

    (folder / "Images").mkdir()
    images = []
    for well, site, channel in _sites(files, 4):
        row, col = ord(well[0]) - 64, int(well[1:])
        name = f"r{row:02d}c{col:02d}f{site:02d}p01-ch{channel}sk1fk1fl1.tiff"
        (folder / "Images" / name).touch()
        images.append(
            f"<Image><id>{row:02d}{col:02d}K1F{site}P1R{channel}</id><State>Ok</State><URL>{name}</URL><Row>{row}</Row>"
            f"<Col>{col}</Col><FieldID>{site}</FieldID><PlaneID>1</PlaneID><TimepointID>0</TimepointID>"
            f"<ChannelID>{channel}</ChannelID><ChannelName>C{channel}</ChannelName>"
            '<ImageResolutionX Unit="m">1.2E-06</ImageResolutionX><PositionX Unit="m">-0.0006</PositionX>'
            '<PositionY Unit="m">0.0006</PositionY><AbsTime>2022-12-19T10:19:26.58+01:00</AbsTime></Image>'
        )
    index = folder / "Images" / "Index.idx.xml"
    index.write_text(
        '<?xml version="1.0"?><EvaluationInputData xmlns="http://www.perkinelmer.com/PEHH/HarmonyV5"><Plates><Plate><PlateID>P1'
        "</PlateID><PlateRows>16</PlateRows><PlateColumns>24</PlateColumns></Plate></Plates><Images>"
        + "".join(images)
        + "</Images></EvaluationInputData>"
    )
    return UPath(index)
