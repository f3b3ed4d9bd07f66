"""qpimage's HDF5: phase in rad, raw data less the sum of its backgrounds, one image or a series of groups.

Belongs here: that one format. Not here: holograms and gradients, from which the microscope's program recovers the phase.
"""

import re
from typing import Any

import numpy as np

from plate_assets.plates.timelapses.frames import FRAME_TYPES, FrameError, Timelapse, check_size, differing
from plate_assets.plates.timelapses.source_files import SourceFile


def qpimage_frames(where: str, source: SourceFile) -> Timelapse:
    """qpimage: one image, or a series of groups `qpi_0`, `qpi_1`, …; phase in rad, raw data less the sum of its backgrounds."""
    h5py = _h5py(where)

    def load(frame: int) -> np.ndarray:
        with source.open() as handle, h5py.File(handle, "r") as file:
            phase = file[f"{groups[frame]}/phase"]
            image = phase["raw"][()].astype(np.float32)
            for background in phase["bg_data"].values() if "bg_data" in phase else ():
                image -= background[()].astype(np.float32)
            return image

    try:
        with source.open() as handle, h5py.File(handle, "r") as file:
            groups = _groups(where, file)
            shape = _check_groups(where, file, groups)
            said = [dict(file[group].attrs) for group in groups]
    except FrameError:
        raise
    except Exception as error:  # a damaged file raises whatever it leads to
        raise FrameError(
            f"{where} cannot be read as qpimage's HDF5 ({type(error).__name__}: {error}): copy it again"
        ) from error
    timed = len(said) > 1 and all("time" in one for one in said)
    hours = np.array([float(one["time"]) for one in said]) / 3600 if timed else None
    pixel_um, wavelength_nm = _shared(where, said, "pixel size", 1e6), _shared(where, said, "wavelength", 1e9)
    known = {"unit": "rad", "pixel_um": pixel_um, "wavelength_nm": wavelength_nm, "hours": hours}
    sources = {name: "qpimage" for name, value in known.items() if value is not None}
    names = tuple(group.strip("/") or source.name for group in groups)
    return Timelapse(where, shape, np.dtype(np.float32), names, load, hours, pixel_um, wavelength_nm, "rad", sources)


def _h5py(where: str) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise FrameError(f"{where}: HDF5 needs the package h5py: install it with `pip install h5py`") from error
    return h5py


def _groups(where: str, file: Any) -> list[str]:
    """The group of each image, in order."""
    if "phase" in file and "amplitude" in file:
        return ["/"]
    numbers = sorted(int(name[4:]) for name in file if re.fullmatch(r"qpi_\d+", name))
    if not numbers:
        kind = file.attrs.get("imaging_modality", file.attrs.get("file_format", ""))
        kind = kind.decode(errors="replace") if isinstance(kind, bytes) else str(kind)
        raise FrameError(
            f"{where} holds no phase image of qpimage{f', but {kind}' if kind else ''}: recover the phase (qpretrieve does) "
            "and save it with qpimage, or as TIFF"
        )
    missing = set(range(numbers[-1] + 1)) - set(numbers)
    if missing:
        raise FrameError(f"{where}: the image qpi_{min(missing)} is missing from the series: write the series again")
    return [f"/qpi_{number}" for number in numbers]


def _check_groups(where: str, file: Any, groups: list[str]) -> tuple[int, int]:
    data = [file[f"{group}/phase/raw"] for group in groups]
    for group, one in zip(groups, data, strict=True):
        what = f"{where}: {group}"
        if one.ndim != 2 or one.dtype.name not in FRAME_TYPES:
            raise FrameError(f"{what} is {one.dtype} of shape {one.shape}, and one image of floating-point numbers is needed")
        check_size(one.shape[0], one.shape[1], one.dtype.itemsize, what)
        if one.shape != data[0].shape:
            raise differing(what, (one.shape, one.dtype), (data[0].shape, data[0].dtype))
    return data[0].shape


def _shared(where: str, said: list[dict[str, Any]], name: str, scale: float) -> float | None:
    """An attribute that all images of a series share, brought to our unit; None where none has it."""
    values = {float(one[name]) * scale for one in said if name in one and np.isfinite(float(one[name]))}
    if len(values) > 1:
        raise FrameError(f"{where}: the images differ in {name!r} ({sorted(values)[:3]}): give each its own time-lapse")
    return values.pop() if values else None
