"""Outlines that somebody drew: label images, and ImageJ's ROI archives.

Belongs here: reading them, and whether they belong to the frames. Not here: what outlines are (`outlines`). Nothing is written.
"""

import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from upath import UPath

from plate_assets.plates.timelapses.frames import FrameError, Timelapse
from plate_assets.plates.timelapses.opening import open_timelapse
from plate_assets.plates.timelapses.outlines import OutlineError, Outlines
from plate_assets.plates.timelapses.source_files import SourceFile, source_files

MAX_ROI_BYTES = 16 * 2**20
_ROI_NAME = re.compile(r"^(?:.*/)?(\d+)-(\d+)\.roi$", re.IGNORECASE)
_FILLED = {"POLYGON", "FREEHAND", "TRACED", "RECT"}


class GivenOutlines(Protocol):
    """Outlines that somebody drew, frame by frame."""

    def read(self, frame: int) -> Outlines:
        """Outlines of one frame, counted from 0; none where the frame has none."""
        ...


class RoiArchive:
    """ImageJ's ROIs in a zip file, named `<frame>-<cell>.roi`, frames counted from 1.

    A cell keeps its number from frame to frame where whoever drew it tracked it. Polygons, freehand and traced outlines and
    rectangles are taken. Raises OutlineError for an archive that is none, has other names, or names a frame that is not there.
    """

    def __init__(self, file: SourceFile, shape: tuple[int, int], frames: int, first_frame: int = 1) -> None:
        self.shape, self._name = shape, file.name
        try:
            self._zip = zipfile.ZipFile(file.open())
        except (OSError, zipfile.BadZipFile) as error:
            raise OutlineError(f"{file.name} is no zip archive that can be read ({error}): export the ROIs again") from error
        self._members: dict[int, list[tuple[int, zipfile.ZipInfo]]] = {}
        for info in self._zip.infolist():
            if info.is_dir() or not info.filename.lower().endswith(".roi"):
                continue
            name = _ROI_NAME.match(info.filename)
            if name is None:
                raise OutlineError(
                    f"{file.name}: {info.filename!r} is not named `<frame>-<cell>.roi`, as in `12-3.roi`: rename the outlines"
                )
            frame, cell = int(name[1]) - first_frame, int(name[2])
            if not 0 <= frame < frames:
                raise OutlineError(
                    f"{file.name}: {info.filename!r} is of frame {int(name[1])}, and there are {frames} frames, counted from "
                    f"{first_frame}: look whether the outlines belong to these images"
                )
            self._members.setdefault(frame, []).append((cell, info))
        if not self._members:
            raise OutlineError(
                f"{file.name} holds no file `<frame>-<cell>.roi`: export the outlines from ImageJ's ROI manager so named"
            )

    def read(self, frame: int) -> Outlines:
        members = sorted(self._members.get(frame, []), key=lambda member: member[0])
        names = np.array([cell for cell, _ in members], np.int64)
        if len(np.unique(names)) < len(names):
            doubled = names[np.flatnonzero(np.diff(names) == 0)[0]]
            raise OutlineError(f"{self._name}: frame {frame + 1} has two outlines of the cell {doubled}: keep one")
        return Outlines.from_polygons([self._polygon(info) for _, info in members], names, self.shape)

    def _polygon(self, info: zipfile.ZipInfo) -> np.ndarray:
        where = f"{self._name}: {info.filename!r}"
        if info.file_size > MAX_ROI_BYTES:
            raise OutlineError(
                f"{where} has {info.file_size:,} bytes, and {MAX_ROI_BYTES:,} is the limit: it is no outline of a cell"
            )
        try:
            import roifile
        except ImportError as error:
            raise OutlineError(
                f"{where}: ImageJ's ROIs need the package roifile: install it with `pip install roifile`"
            ) from error
        try:
            roi = roifile.ImagejRoi.frombytes(self._zip.read(info))
            corners = np.asarray(roi.coordinates(), float) if roi.roitype.name in _FILLED and not roi.composite else None
        except Exception as error:  # the reader raises whatever the bytes lead to
            raise OutlineError(f"{where} cannot be read ({type(error).__name__}: {error}): export it again") from error
        if corners is None or corners.ndim != 2:
            raise OutlineError(
                f"{where} is a {roi.roitype.name} ROI, and one polygon, freehand or traced outline is needed: convert it"
            )
        height, width = self.shape
        if corners.size and (corners.min() < -1 or (corners.max(axis=0) > (width + 1, height + 1)).any()):
            far = corners.max(axis=0)
            raise OutlineError(
                f"{where} reaches to ({far[0]:g}, {far[1]:g}), and the frames are {width} × {height} px: it is of other images"
            )
        return corners


class LabelImages:
    """Label images as outlines: whole numbers, 0 where there is no cell, one image of the frames' size for each frame."""

    def __init__(self, labels: Timelapse, shape: tuple[int, int], frames: int) -> None:
        if labels.shape != shape or labels.count != frames:
            raise OutlineError(
                f"{labels.where}: {labels.count} label images of {labels.shape[1]} × {labels.shape[0]} px, and there are "
                f"{frames} frames of {shape[1]} × {shape[0]} px: give one label image for each frame"
            )
        if not np.issubdtype(labels.dtype, np.integer):
            raise OutlineError(f"{labels.where}: labels are {labels.dtype}, and whole numbers are needed: save them as 16-bit")
        self._labels = labels

    def read(self, frame: int) -> Outlines:
        return Outlines.from_labels(self._labels.read(frame))


def open_outlines(path: UPath | Path, frames: Timelapse) -> GivenOutlines:
    """Outlines of a time-lapse: an ImageJ ROI archive (`.zip`), or label images (a TIFF stack or a folder of TIFFs).

    Raises OutlineError where they are of another kind or belong to other frames.
    """
    try:
        if path.suffix.lower() == ".zip":
            (file,) = source_files(path)
            return RoiArchive(replace(file, name=str(path)), frames.shape, frames.count)
        return LabelImages(open_timelapse(path, labels=True), frames.shape, frames.count)
    except FrameError as error:
        raise OutlineError(f"{path} gives no label images: {error}") from error
