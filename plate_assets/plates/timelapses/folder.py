"""A time-lapse's folder: which of its files are frames, outlines or tracks, and what `timelapse.json` says of them.

Belongs here: roles of files, by their names and places alone. Not here: reading frames (`frames`), outlines
(`outline_files`) or tracks (`dry_mass`), when a folder is complete (`arrivals`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plate_assets.plates.acquisition import AcquisitionError
from plate_assets.plates.listing import Listing

SETTINGS_FILE = "timelapse.json"
OUTLINE_FOLDERS = ("outlines", "masks", "labels")
FRAMES, TRACKS = "frames", "tracks"
_IMAGES = (".tif", ".tiff", ".h5", ".hdf5", ".hdf")
_TABLES = (".csv", ".tsv", ".txt", ".xml")


class TimelapseError(AcquisitionError):
    """A folder that holds no time-lapse, or more than one: the message names the file and the remedy."""


@dataclass(frozen=True)
class TimelapseFiles:
    """What a folder holds, as paths relative to it.

    kind: `frames`, or `tracks` that were made elsewhere. files: the frames (one folder's, or one file) or the tables.
    outlines: a ROI archive, or the folder of the label images; None where cells are to be found.
    settings_file: `timelapse.json`, where it is there.
    """

    kind: str
    files: tuple[str, ...]
    outlines: str | None = None
    settings_file: str | None = None
    unused: tuple[str, ...] = field(default=())

    def roles(self) -> dict[str, str]:
        """The role of each file that is used: `frames`, `tracks` or `settings`; outlines are named by their place."""
        return {path: self.kind for path in self.files} | ({self.settings_file: "settings"} if self.settings_file else {})


def sort_files(listing: Listing) -> TimelapseFiles:
    """Sort the files of a folder by their role.

    Images in the folder itself or in one folder below it are frames; in a folder called `outlines`, `masks` or `labels`
    they are label images. A `.zip` beside frames is an ImageJ ROI archive, one alone a Phasics time-lapse. Without images,
    tables are tracks. Raises TimelapseError where there is nothing, or where two readings are possible.
    """
    paths = [entry.path for entry in listing.entries]
    settings_file = next((path for path in paths if path.lower() == SETTINGS_FILE), None)
    by_folder: dict[str, list[str]] = {}
    for path in paths:
        if path.lower().endswith(_IMAGES):
            by_folder.setdefault(path.rpartition("/")[0], []).append(path)
    labels = [name for name in by_folder if name.rpartition("/")[2].lower() in OUTLINE_FOLDERS]
    frames = {name: found for name, found in by_folder.items() if name not in labels}
    archives = [path for path in paths if path.lower().endswith(".zip")]
    tables = [path for path in paths if path.lower().endswith(_TABLES)]
    if len(frames) > 1:
        raise TimelapseError(
            f"{listing.root} holds images in {len(frames)} folders ({', '.join(sorted(name or '.' for name in frames)[:4])}): "
            f"a time-lapse has its frames in one; call a folder of label images {OUTLINE_FOLDERS[0]!r}, or split the folder"
        )
    if frames:
        return _of_frames(listing, next(iter(frames.values())), labels, archives, settings_file, paths)
    if len(archives) == 1 and not labels:
        return _files(FRAMES, archives, None, settings_file, paths)
    if tables:
        return _files(TRACKS, tables, None, settings_file, paths)
    raise TimelapseError(
        f"{listing.root} holds no phase images (TIFF, HDF5, Phasics' zip) and no table of tracks (CSV, TrackMate's XML): put "
        "them into this folder"
    )


def _of_frames(
    listing: Listing, frames: list[str], labels: list[str], archives: list[str], settings_file: str | None, paths: list[str]
) -> TimelapseFiles:
    given = [*labels, *archives]
    if len(given) > 1:
        raise TimelapseError(
            f"{listing.root} holds several sets of outlines ({', '.join(given[:4])}): leave one, an archive or a folder"
        )
    return _files(FRAMES, frames, given[0] if given else None, settings_file, paths)


def _files(kind: str, files: list[str], outlines: str | None, settings_file: str | None, paths: list[str]) -> TimelapseFiles:
    used = {*files, settings_file, outlines}
    unused = [path for path in paths if path not in used and not (outlines and path.startswith(outlines + "/"))]
    return TimelapseFiles(kind, tuple(files), outlines, settings_file, tuple(unused))


def parse_settings(content: bytes, where: str, allowed: Mapping[str, tuple[type, ...]]) -> dict[str, Any]:
    """What `timelapse.json` says, each name one of `allowed` with a value of its types. Raises TimelapseError otherwise."""
    try:
        said = json.loads(content)
    except ValueError as error:
        raise TimelapseError(f'{where} is no JSON ({error}): write it as {{"unit": "nm", "interval_min": 10}}') from error
    if not isinstance(said, dict):
        raise TimelapseError(f"{where} holds a {type(said).__name__}: names with their values are needed")
    for name, value in said.items():
        if name not in allowed:
            raise TimelapseError(f"{where}: {name!r} is none of {', '.join(sorted(allowed))}")
        if isinstance(value, bool) or not isinstance(value, allowed[name]):
            wanted = "a number" if float in allowed[name] else "a whole number" if int in allowed[name] else "a text"
            raise TimelapseError(f"{where}: {name} is {value!r}, and {wanted} is needed")
    return said
