"""The files of a time-lapse, and their order by the numbers in their names.

Belongs here: which files a folder or an archive holds, what kind each is, which comes after which and which is missing. Not
here: what is in them (`tiff`, `qpimage`).
"""

import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

from upath import UPath

from plate_assets.plates.image_files import MAX_BYTES
from plate_assets.plates.listing import as_upath
from plate_assets.plates.timelapses.frames import FrameError

A_CLOCK = 10_000_000  # a number in a file's name above this is a date or a clock, not a count
Kind = Literal["tiff", "hdf5", "zip"]
KINDS: dict[Kind, tuple[str, ...]] = {"tiff": (".tif", ".tiff"), "hdf5": (".h5", ".hdf5", ".hdf"), "zip": (".zip",)}


@dataclass(frozen=True)
class SourceFile:
    """A file on a disk, on an object store, or within an archive: its name, for order and messages, and how it is opened."""

    name: str
    open: Callable[[], Any]
    place: UPath | None = None  # none for what lies within an archive

    @property
    def kind(self) -> Kind | None:
        """By the end of its name; None for what is no image."""
        name = self.name.lower()
        return next((kind for kind, ends in KINDS.items() if name.endswith(ends)), None)


def source_files(path: UPath | Path, pattern: str | None = None) -> list[SourceFile]:
    """The files of a folder, hidden ones aside, or the one file. pattern: which files of a folder (`*_Phase-*.tif`)."""
    path = as_upath(path)
    if not path.exists():
        raise FrameError(f"{path} is not there: look at its name")
    inside = sorted(path.glob(pattern or "*"), key=lambda file: file.name) if path.is_dir() else [path]
    files = [file for file in inside if not file.name.startswith((".", "~")) and file.is_file()]
    if not files:
        named = f"file named {pattern!r}" if pattern else "file, and so no TIFF"
        raise FrameError(f"{path} holds no {named}: give the folder of the frames")
    return [SourceFile(file.name, lambda file=file: file.open("rb"), file) for file in files]


def in_order(where: str, files: list[SourceFile]) -> list[SourceFile]:
    """Files by the numbers in their names; FrameError where one is missing or doubled, or the names are of several series."""
    parts = [re.split(r"(\d+)", file.name) for file in files]
    numbers = [tuple(int(number) for number in part[1::2]) for part in parts]
    order = sorted(range(len(files)), key=lambda at: (numbers[at], files[at].name))
    files, numbers = [files[at] for at in order], [numbers[at] for at in order]
    patterns = {tuple(part[::2]) for part in parts}
    varying = (
        [place for place in range(len(numbers[0])) if len({number[place] for number in numbers}) > 1]
        if len(patterns) == 1
        else []
    )
    grid = len(varying) > 1 and prod(len({number[place] for number in numbers}) for place in varying) == len(files)
    if len(patterns) > 1 or grid:
        raise FrameError(
            f"{where} holds several series, by their names ({files[0].name} … {files[-1].name}): give each time-lapse its own "
            "folder, or say by a pattern which files are meant"
        )
    if len(varying) <= 1:
        _all_there(where, files, [number[varying[0]] if varying else 0 for number in numbers], varying[0] if varying else 0)
    return files


def _all_there(where: str, files: list[SourceFile], counts: list[int], place: int) -> None:
    """Every number between the first and the last, in equal steps."""
    steps = [after - before for before, after in zip(counts, counts[1:], strict=False)]
    if 0 in steps:
        at = steps.index(0)
        raise FrameError(f"{where}: {files[at].name} and {files[at + 1].name} have the same number: keep one of them")
    at = next((at for at, step in enumerate(steps) if step != min(steps)), None)
    if at is None or counts[-1] >= A_CLOCK:
        return
    parts = re.split(r"(\d+)", files[at].name)
    parts[2 * place + 1] = str(counts[at] + min(steps)).zfill(len(parts[2 * place + 1]))
    lack = (counts[-1] - counts[0]) // min(steps) + 1 - len(files)
    raise FrameError(
        f"{where}: {''.join(parts)} is missing: after {files[at].name} comes {files[at + 1].name}, and {lack} frames lack in "
        "all; copy them, or give the part up to there its own folder"
    )


def zipped_tiffs(where: str, file: SourceFile) -> list[SourceFile]:
    """The TIFFs of a zip archive, as Phasics' software exports a series: its phase images are named `SID PHA ….tif`."""
    try:
        archive = zipfile.ZipFile(file.open())
    except zipfile.BadZipFile as error:
        raise FrameError(f"{where} is no zip archive that can be read ({error}): copy it again") from error
    members = [info for info in archive.infolist() if info.filename.lower().endswith(KINDS["tiff"]) and info.file_size]
    members = [info for info in members if info.filename.rpartition("/")[2].startswith("SID PHA")] or members
    if not members:
        raise FrameError(
            f"{where} holds no TIFF: give the archive of the phase images; outlines (`.roi`) are given beside them"
        )
    large = max(members, key=lambda info: info.file_size)
    if large.file_size > MAX_BYTES:
        raise FrameError(f"{where}: {large.filename} has {large.file_size:,} bytes, and {MAX_BYTES:,} is the limit: unpack it")
    return [SourceFile(info.filename, lambda info=info: io.BytesIO(archive.read(info))) for info in members]
