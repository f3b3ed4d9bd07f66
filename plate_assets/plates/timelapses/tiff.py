"""TIFF stacks and series: grey values with OME's, ImageJ's or Phasics' word on times.

Belongs here: what a TIFF says before its pixels are read, and its pixels. Not here: which file comes after which
(`source_files`), Phasics' own tags (`phasics`).
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from threading import Lock
from typing import Any

import numpy as np

from plate_assets.plates.image_files import ImageError
from plate_assets.plates.images import describe_file
from plate_assets.plates.timelapses import phasics
from plate_assets.plates.timelapses.frames import FrameError, Timelapse, check_size, differing
from plate_assets.plates.timelapses.source_files import SourceFile, in_order

_HOURS = {"ms": 1 / 3.6e6, "s": 1 / 3600, "sec": 1 / 3600, "min": 1 / 60, "minute": 1 / 60, "h": 1.0, "hour": 1.0, "d": 24.0}


@dataclass(frozen=True)
class _Tiff:
    """What a TIFF says before its pixels are read. clock_h: time of day, hours since 1970. told_by: who told `hours`."""

    shape: tuple[int, int]
    dtype: np.dtype
    count: int
    hours: np.ndarray | None = None
    told_by: str = ""
    phasics: bool = False
    wavelength_nm: float | None = None
    clock_h: float | None = None


def tiff_frames(
    where: str, files: list[SourceFile], channel: int | None, allowed: tuple[str, ...], named_by_file: bool
) -> Timelapse:
    """A series of TIFFs of one image each, or one stack.

    named_by_file: the frame of a single file with one image is called by the file, as the first of a series is.
    """
    files = in_order(where, files)
    about = [_described(file, where if len(files) == 1 else f"{where}: {file.name}", channel, allowed) for file in files]
    if len(files) == 1 and (about[0].count > 1 or not named_by_file):
        return _stack(where, files[0], about[0], channel)
    return _series(where, files, about, channel)


def _series(where: str, files: list[SourceFile], about: list[_Tiff], channel: int | None) -> Timelapse:
    """One file for each frame."""
    for frame, (file, one) in enumerate(zip(files, about, strict=True)):
        if one.count != 1:
            raise FrameError(
                f"{where}: {file.name} holds {one.count} images, and one is needed for each file in a folder of several: give "
                "the path of one stack, or export one image for each file"
            )
        if (one.shape, one.dtype) != (about[0].shape, about[0].dtype):
            raise differing(
                f"{where}: frame {frame + 1} ({file.name})", (one.shape, one.dtype), (about[0].shape, about[0].dtype)
            )

    def load(frame: int) -> np.ndarray:
        with files[frame].open() as handle:
            return _pages(handle, channel)(0)

    clocks = [one.clock_h for one in about]
    hours = None if None in clocks else np.array(clocks, float)
    return _of_tiff(where, files[0], about[0], tuple(file.name for file in files), load, hours)


def _stack(where: str, file: SourceFile, about: _Tiff, channel: int | None) -> Timelapse:
    """One file with all frames. It stays open: to read the list of pages anew takes longer than to decode a page."""
    opened: list[Callable[[int], np.ndarray]] = []
    one_at_a_time = Lock()  # threads share the file and its place

    def load(frame: int) -> np.ndarray:
        with one_at_a_time:
            if not opened:
                opened.append(_pages(file.open(), channel))
            return opened[0](frame)

    names = tuple(f"page {page + 1}" for page in range(about.count))
    return _of_tiff(where, file, about, names, load, about.hours)


def _described(file: SourceFile, where: str, channel: int | None, allowed: tuple[str, ...]) -> _Tiff:
    import tifffile

    try:
        with file.open() as handle, tifffile.TiffFile(handle) as tiff:
            return _describe(tiff, where, channel, allowed)
    except FrameError:
        raise
    except Exception as error:  # a damaged header raises whatever it leads to
        raise FrameError(f"{where} cannot be read as TIFF ({type(error).__name__}: {error}): copy it again") from error


def _describe(tiff: Any, where: str, channel: int | None, allowed: tuple[str, ...]) -> _Tiff:
    page, size = tiff.pages[0], tiff.filehandle.size
    _check_page(page, size, where)
    if phasics.is_phasics(page):
        wavelength_nm, clock_h = phasics.settings_of(page)
        return _Tiff(page.shape, np.dtype(np.float32), 1, phasics=True, wavelength_nm=wavelength_nm, clock_h=clock_h)
    if np.dtype(page.dtype).name not in allowed or page.samplesperpixel != 1:
        raise FrameError(
            f"{where} holds {page.samplesperpixel} × {page.dtype} for each pixel, and one of {', '.join(allowed)} is needed: "
            "export one grey value for each pixel"
        )
    series = tiff.series[0]
    lead = _lead(series, channel, where)
    count = prod(size for axis, size in lead if axis != "C")
    needed = (
        series.dataoffset + series.nbytes if series.dataoffset is not None else _end_of(series.pages[len(series.pages) - 1])
    )
    _check_length(needed, size, where)
    if not _list_of_pages_ends(tiff):
        raise FrameError(f"{where} is cut off: its list of pages goes on behind page {len(tiff.pages)}; copy it again")
    hours, told_by = _tiff_hours(tiff, count)
    return _Tiff(tuple(page.shape), np.dtype(page.dtype).newbyteorder("="), count, hours, told_by)


def _pages(handle: Any, channel: int | None) -> Callable[[int], np.ndarray]:
    """(h, w) pixels of a frame of an open TIFF."""
    import tifffile

    tiff = tifffile.TiffFile(handle)
    if phasics.is_phasics(tiff.pages[0]):
        return lambda _: phasics.opd_image(tiff)
    series: Any = tiff.series[0]
    lead = _lead(series, channel, "the file")
    stored, pixels = np.dtype(series.dtype).newbyteorder(tiff.byteorder), prod(series.shape[-2:])

    def page(frame: int) -> np.ndarray:
        at = 0
        for axis, size in lead:
            at = at * size + ((channel or 0) if axis == "C" else frame)
        if series.dataoffset is None:
            return series.pages[at].asarray()
        handle.seek(series.dataoffset + at * pixels * stored.itemsize)
        image = np.frombuffer(handle.read(pixels * stored.itemsize), stored).reshape(series.shape[-2:])
        return image.astype(stored.newbyteorder("="))

    return page


def _of_tiff(
    where: str,
    first: SourceFile,
    about: _Tiff,
    names: tuple[str, ...],
    load: Callable[[int], np.ndarray],
    hours: np.ndarray | None,
) -> Timelapse:
    found = Timelapse(where, about.shape, about.dtype, names, load, hours)
    if about.phasics:
        known = {"unit": "nm", "wavelength_nm": about.wavelength_nm, "hours": hours}
        sources = {name: "Phasics" for name, value in known.items() if value is not None}
        return replace(found, unit="nm", wavelength_nm=about.wavelength_nm, sources=sources)
    pixel_um = _pixel_um(first)
    sources = {"hours": about.told_by} if hours is not None else {}
    return replace(found, pixel_um=pixel_um, sources=sources | ({"pixel_um": "TIFF"} if pixel_um else {}))


def _pixel_um(file: SourceFile) -> float | None:
    try:
        return None if file.place is None else describe_file(file.place).pixel_um
    except ImageError:
        return None


def _check_page(page: Any, file_size: int, where: str) -> None:
    if page.dtype is None or page.imagedepth != 1:
        raise FrameError(f"{where} holds pixels of {page.bitspersample} bits that cannot be read: export 8, 16 or 32 bits")
    check_size(page.imagelength, page.imagewidth, page.samplesperpixel * page.dtype.itemsize, where)
    _check_length(_end_of(page), file_size, where)


def _check_length(needed: int, size: int, where: str) -> None:
    if not needed or needed > size:
        raise FrameError(f"{where} is cut off: it has {size:,} bytes, and its header names {needed:,}; copy it again")


def _end_of(page: Any) -> int:
    return max((offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)), default=0)


def _list_of_pages_ends(tiff: Any) -> bool:
    """Whether the last page that could be read says itself that it is the last: a list that was cut off ends elsewhere."""
    file, form, last = tiff.filehandle, tiff.tiff, tiff.pages[len(tiff.pages) - 1]
    file.seek(last.offset)
    tags = struct.unpack(form.tagnoformat, file.read(form.tagnosize))[0]
    file.seek(last.offset + form.tagnosize + tags * form.tagsize)
    return struct.unpack(form.offsetformat, file.read(form.offsetsize))[0] == 0


def _lead(series: Any, channel: int | None, where: str) -> list[tuple[str, int]]:
    """The axes before rows and columns that are longer than 1: time (or slices, which some write for it), and channels."""
    lead = [(axis, size) for axis, size in zip(series.axes[:-2], series.shape[:-2], strict=True) if size > 1]
    if len([axis for axis, _ in lead if axis != "C"]) > 1 or series.axes[-2:] != "YX":
        raise FrameError(
            f"{where} has the axes {series.axes}, and time, rows, columns are needed: export one plane for each time"
        )
    channels = dict(lead).get("C", 1)
    if channels > 1 and (channel is None or not 0 <= channel < channels):
        raise FrameError(f"{where} has {channels} channels: say which holds the phase, from 0 to {channels - 1}")
    return lead


def _tiff_hours(tiff: Any, count: int) -> tuple[np.ndarray | None, str]:
    """Times of the frames, hours, from OME's planes or increment, or ImageJ's interval; and who told them."""
    if tiff.is_ome:
        from defusedxml.ElementTree import fromstring

        pixels = next((element for element in fromstring(tiff.ome_metadata).iter() if element.tag.endswith("}Pixels")), None)
        said = [dict(element.attrib) for element in (pixels if pixels is not None else ()) if element.tag.endswith("}Plane")]
        planes = {
            int(plane["TheT"]): float(plane["DeltaT"]) * _HOURS.get(plane.get("DeltaTUnit", "s"), np.nan)
            for plane in said
            if "DeltaT" in plane and "TheT" in plane and plane.get("TheC", "0") == "0" == plane.get("TheZ", "0")
        }
        if count > 1 and set(planes) >= set(range(count)):
            return np.array([planes[frame] for frame in range(count)]), "OME DeltaT"
        given = {} if pixels is None else pixels.attrib
        step = float(given.get("TimeIncrement") or 0) * _HOURS.get(given.get("TimeIncrementUnit", "s"), np.nan)
        return (np.arange(count) * step, "OME TimeIncrement") if step > 0 else (None, "")
    said = (tiff.imagej_metadata or {}) if tiff.is_imagej else {}
    step = float(said.get("finterval") or 0) * _HOURS.get(
        str(said.get("tunit", "sec")).strip().removesuffix("s") or "s", np.nan
    )
    return (np.arange(count) * step, "ImageJ") if step > 0 else (None, "")
