"""A phase time-lapse measured: frames, background, masks, tracks with their mass.

Belongs here: the order of the steps, which setting wins over which file, what was measured before of a time-lapse that grows.
Not here: any one step (`dry_mass`), reading files (`plates.timelapses`), strips of cells (`strips`), the series along a path.

A time-lapse that is running grows at its end. What was measured of its frames is kept, and the pixels are not copied: each
frame's fingerprint tells when one was changed afterwards, wherever it is read again.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl
from upath import UPath

from plate_assets.dry_mass.tables import CELL_MASKS, PHASE_FRAMES
from plate_assets.progress import Progress

if TYPE_CHECKING:
    import numpy as np

    from plate_assets.dry_mass.background import Profile
    from plate_assets.dry_mass.cells import Integration, MaskSettings
    from plate_assets.dry_mass.link_settings import LinkSettings
    from plate_assets.dry_mass.phase import Calibration, PhaseUnit
    from plate_assets.plates.timelapses.frames import Timelapse
    from plate_assets.plates.timelapses.outline_files import GivenOutlines

LOOKED_AT_AGAIN = 64  # frames of those known before, evenly spread, others at each length of the time-lapse: 64 take a second


@dataclass(frozen=True)
class TimelapseSettings:
    """What a person may say of a time-lapse. None: what the file says, or the default; each value's source is kept.

    unit: of a pixel's value times `factor`; `relative` where neither says. factor: needed for whole numbers that are to become
    pg. interval_min: between frames. background: what is removed from each frame. n_medium: asks for DryMass's absolute mass
    of spheres. integrate: `drymass_disc` asks for its 1.2 radii. identities: whether given outlines of one name are one cell
    (`given`) or are linked as found ones are. pattern, channel: which files and which channel hold the phase.
    """

    unit: "PhaseUnit | None" = None
    factor: float | None = None
    pixel_um: float | None = None
    wavelength_nm: float | None = None
    alpha_um3_per_pg: float | None = None
    n_medium: float | None = None
    interval_min: float | None = None
    background: "Profile" = "tilt"
    integrate: "Integration" = "outline"
    identities: Literal["linked", "given"] = "linked"
    masks: "MaskSettings | None" = None
    links: "LinkSettings | None" = None
    pattern: str | None = None
    channel: int | None = None

    def __post_init__(self) -> None:
        if self.identities not in ("linked", "given"):
            raise ValueError(f"identities is {self.identities!r}, and it is `linked` or `given`: name one of them")


@dataclass(frozen=True)
class MeasuredTimelapse:
    """What a time-lapse gave: PHASE_FRAMES, CELL_MASKS, CELL_TRACKS, and what its pixels were taken for.

    hours: (frames,). sources: where hours, unit, pixel size and the rest come from, for people.
    """

    phase_frames: pl.DataFrame
    masks: pl.DataFrame
    tracks: pl.DataFrame
    calibration: "Calibration"
    hours: "np.ndarray"
    sources: dict[str, str] = field(default_factory=dict)


def measure_timelapse(
    path: UPath | Path,
    settings: TimelapseSettings | None = None,
    outlines: UPath | Path | None = None,
    name: str | None = None,
    well: str | None = None,
    progress: Progress | None = None,
) -> MeasuredTimelapse:
    """Measure a folder or file of phase images.

    outlines: label images or an ImageJ ROI archive; they are used instead of masks of our own. name: of the time-lapse, the
    path's by default. progress: frames done, frames in all. Raises FrameError, OutlineError, TrackingError or ValueError, all
    of which say what to do.
    """
    from plate_assets.dry_mass.tracking import laptrack_class

    settings = settings or TimelapseSettings()
    if settings.identities == "linked":
        laptrack_class()  # before hours of work, and not behind them
    frames = open_timelapse(path, settings)
    calibration = calibrate(frames, settings)
    given = None if outlines is None else open_outlines(outlines, frames)
    flat = phase_frames(frames, settings, name=name)
    masks = cell_masks(frames, flat, settings, calibration, given, progress=progress)
    hours = flat["time_h"].to_numpy()
    tracks = cell_tracks(masks, hours, settings, flat["Metadata_Timelapse"][0], well)
    return MeasuredTimelapse(flat, masks, tracks, calibration, hours, calibration.sources)


def open_timelapse(path: UPath | Path, settings: TimelapseSettings) -> "Timelapse":
    """The frames of a folder or file; no pixel is read. Raises FrameError (`plates.timelapses.opening.open_timelapse`)."""
    from plate_assets.plates.timelapses.opening import open_timelapse

    return open_timelapse(path, settings.interval_min, settings.channel, settings.pattern)


def open_outlines(path: UPath | Path, frames: "Timelapse") -> "GivenOutlines":
    """Outlines that belong to the frames. Raises OutlineError (`plates.timelapses.outline_files.open_outlines`)."""
    from plate_assets.plates.timelapses import outline_files

    return outline_files.open_outlines(path, frames)


def calibrate(frames: "Timelapse", settings: TimelapseSettings) -> "Calibration":
    """What the pixels mean: the setting where there is one, else the file's word, else the default; with the source of each.

    Raises ValueError where pg are asked for and a value lacks: wavelength, pixel size, or the factor of whole numbers.
    """
    from plate_assets.dry_mass.phase import ALPHA_UM3_PER_PG, Calibration

    values, sources = {}, dict(frames.sources)
    defaults = {"unit": "relative", "alpha_um3_per_pg": ALPHA_UM3_PER_PG}
    for name in ("unit", "pixel_um", "wavelength_nm", "alpha_um3_per_pg", "n_medium"):
        said, told = getattr(settings, name), getattr(frames, name, None)
        values[name] = said if said is not None else told if told is not None else defaults.get(name)
        if said is not None:
            sources[name] = "setting"
        elif told is None and name in defaults:
            sources[name] = "default"
    factor = settings.factor
    if factor is None and values["unit"] != "relative" and frames.full_scale is not None:
        raise ValueError(
            f"{frames.where} holds whole numbers ({frames.dtype}), and {values['unit']} needs the factor that they "
            "stand for: give it, or take the unit `relative`, without pg"
        )
    sources["factor"] = "setting" if factor is not None else "default"
    return Calibration(factor=1.0 if factor is None else factor, sources=sources, **values)  # pyright: ignore[reportArgumentType]


def times(frames: "Timelapse") -> "np.ndarray":
    """(frames,) hours. Raises FrameError where neither the settings nor the file tell the interval."""
    import numpy as np

    from plate_assets.plates.timelapses.frames import FrameError

    if frames.hours is not None:
        return frames.hours
    if frames.count == 1:
        return np.zeros(1)
    raise FrameError(f"{frames.where} does not say when its frames were taken: give the interval in minutes (interval_min)")


def phase_frames(
    frames: "Timelapse",
    settings: TimelapseSettings,
    known: pl.DataFrame | None = None,
    progress: Progress | None = None,
    name: str | None = None,
) -> pl.DataFrame:
    """PHASE_FRAMES: the background of each frame, and the fingerprint of its pixels.

    known: the table of the same time-lapse when it was shorter; only new frames are computed, and those whose background was
    fitted with another profile. Of the known frames `LOOKED_AT_AGAIN` are read again, others at each length of the time-lapse;
    the masks and strips look at every frame that they read. name: of the time-lapse, that of its files by default.
    Raises FrameError where a known frame has another name or other pixels than before, or is gone.
    """
    hours = times(frames)
    where = UPath(frames.where)
    name = name or (where.name if where.is_dir() else where.stem)
    known = PHASE_FRAMES.empty() if known is None else known.sort("frame")
    _check_grown(frames, known)
    kept = known.filter(pl.col("profile") == settings.background)
    done = set(kept["frame"].to_list())
    work = [number for number in range(frames.count) if number not in done]
    rows = []
    for _, row in _side_by_side(work, lambda number: _background_row(frames, number, settings.background)):
        rows.append(row)
        if progress:
            progress(len(rows), len(work))
    found = PHASE_FRAMES.conform(pl.DataFrame(rows, schema=_ROW, orient="row").with_columns(
        Metadata_Timelapse=pl.lit(name), time_h=0.0
    ))  # fmt: skip
    table = pl.concat([kept, found]).sort("frame")
    return table.with_columns(pl.lit(name).alias("Metadata_Timelapse"), pl.Series("time_h", hours, pl.Float64))


def cell_masks(
    frames: "Timelapse",
    phase_frames: pl.DataFrame,
    settings: TimelapseSettings,
    calibration: "Calibration",
    given: "GivenOutlines | None" = None,
    known: pl.DataFrame | None = None,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """CELL_MASKS of the frames of PHASE_FRAMES; a few frames at a time are in memory.

    given: outlines that are used instead of masks of our own. known: the table of the same time-lapse when it was shorter,
    made with the same settings; frames with a row in it, with the same pixels, are not computed again.
    Raises FrameError where a frame that is read has other pixels than PHASE_FRAMES say.
    """
    if given is None and settings.identities == "given":
        raise ValueError("identities are `given` and no outlines are: give the outlines, or let the cells be linked")
    kept = CELL_MASKS.empty() if known is None else known.join(phase_frames, on=["frame", "fingerprint"], how="semi")
    rows = phase_frames.join(kept, on="frame", how="anti").sort("frame").to_dicts()
    diameter = None if given is not None or not rows else typical_diameter_px(frames, phase_frames, settings, calibration)
    tables = [kept.with_columns(pl.lit(phase_frames["Metadata_Timelapse"][0]).alias("Metadata_Timelapse"))]
    for _, table in _side_by_side(rows, lambda row: _masks_of(frames, row, settings, calibration, given, diameter)):
        tables.append(table)
        if progress:
            progress(len(tables) - 1, len(rows))
    return CELL_MASKS.check(pl.concat(tables).sort("frame", "cell"))


def cell_tracks(
    masks: pl.DataFrame, hours: "np.ndarray", settings: TimelapseSettings, name: str, well: str | None = None
) -> pl.DataFrame:
    """CELL_TRACKS of CELL_MASKS. hours: (frames,) rising times. Raises TrackingError without laptrack, or for other times."""
    from plate_assets.dry_mass.tracking import follow_names, link_cells, track_table

    cells = masks.drop("runs", "fingerprint")
    linked = follow_names(cells) if settings.identities == "given" else link_cells(cells, hours, settings.links)
    return track_table(linked, hours, name, well)


def typical_diameter_px(
    frames: "Timelapse", phase_frames: pl.DataFrame, settings: TimelapseSettings, calibration: "Calibration"
) -> float:
    """Diameter of a typical cell: from the settings, or from the first frame where nothing is known of the scale."""
    from plate_assets.dry_mass.cells import MaskSettings

    first = phase_frames.sort("frame").row(0, named=True)
    masks = settings.masks or MaskSettings()
    return masks.diameter_px(calibration.pixel_um, lambda: read_flat(frames, first, calibration)[1])


def read_flat(frames: "Timelapse", row: dict[str, Any], calibration: "Calibration") -> "tuple[np.ndarray, np.ndarray]":
    """(h, w) pixels of a frame as stored, and its values without background: OPD in µm, or relative.

    row: of PHASE_FRAMES. Raises FrameError where the frame is another than the row says.
    """
    from plate_assets.dry_mass.background import Background, remove_background

    stored = _read_as_before(frames, row)
    removed = Background(row["profile"], tuple(row["coefficients"]), row["noise"], row["share"], row["reasons"])
    return stored, calibration.values(remove_background(stored, removed))


_ROW = {
    "frame": pl.Int32, "name": pl.String, "fingerprint": pl.String, "profile": pl.String, "coefficients": pl.List(pl.Float64),
    "noise": pl.Float64, "share": pl.Float64, "reasons": pl.String,
}  # fmt: skip


def _background_row(frames: "Timelapse", number: int, profile: "Profile") -> tuple:
    from plate_assets.dry_mass.background import fit_background
    from plate_assets.plates.timelapses.frames import fingerprint

    stored = frames.read(number)
    fit = fit_background(stored, profile)
    about = (fit.profile, list(fit.coefficients), fit.noise, fit.share, fit.problem)
    return (number, frames.names[number], fingerprint(stored), *about)


def _check_grown(frames: "Timelapse", known: pl.DataFrame) -> None:
    """Whether the time-lapse still begins with the frames that are known; a spread of them is read."""
    rows = known.to_dicts()
    for row in rows:
        _check_name(frames, row)
    step = max(1, len(rows) // LOOKED_AT_AGAIN)
    for _ in _side_by_side(rows[frames.count % step :: step], lambda row: _read_as_before(frames, row)):
        pass


def _read_as_before(frames: "Timelapse", row: dict[str, Any]) -> "np.ndarray":
    """(h, w) pixels of the frame of a row of PHASE_FRAMES; FrameError where it is another."""
    from plate_assets.plates.timelapses.frames import FrameError, fingerprint

    _check_name(frames, row)
    stored = frames.read(row["frame"])
    if fingerprint(stored) != row["fingerprint"]:
        raise FrameError(
            f"{frames.where}: frame {row['frame'] + 1} ({row['name']}) has other pixels than when it was measured: put the "
            "frame back as it was, or measure the time-lapse anew under another name"
        )
    return stored


def _check_name(frames: "Timelapse", row: dict[str, Any]) -> None:
    from plate_assets.plates.timelapses.frames import FrameError

    if row["frame"] >= frames.count:
        raise FrameError(
            f"{frames.where} has {frames.count} frames, and frame {row['frame'] + 1} ({row['name']}) was measured before: put "
            "the frame back, or measure the time-lapse anew under another name"
        )
    if frames.names[row["frame"]] != row["name"]:
        raise FrameError(
            f"{frames.where}: frame {row['frame'] + 1} is {frames.names[row['frame']]}, and it was {row['name']}: new frames "
            "come at the end; put them back in order, or measure the time-lapse anew under another name"
        )


def _masks_of(
    frames: "Timelapse",
    row: dict[str, Any],
    settings: TimelapseSettings,
    calibration: "Calibration",
    given: "GivenOutlines | None",
    diameter_px: float | None,
) -> pl.DataFrame:
    """CELL_MASKS of one frame."""
    from plate_assets.dry_mass.cells import MaskSettings, find_cells, measure_cells, with_units
    from plate_assets.dry_mass.track_tables import joined_reasons

    stored, values = read_flat(frames, row, calibration)
    if given is not None:
        outlines = given.read(row["frame"])
    else:
        assert diameter_px is not None, "masks of our own need the diameter of a typical cell"
        outlines = find_cells(values, settings.masks or MaskSettings(), diameter_px)
    cells = measure_cells(row["frame"], outlines, values, stored, frames.full_scale, settings.integrate)
    why = pl.lit(row["reasons"] or None, pl.String)
    return CELL_MASKS.conform(with_units(cells, calibration).with_columns(
        outlines.run_lists(), reasons=joined_reasons(why),
        Metadata_Timelapse=pl.lit(row["Metadata_Timelapse"]), fingerprint=pl.lit(row["fingerprint"]),
    ))  # fmt: skip


def _side_by_side(items: list, work: Callable[[Any], Any]) -> Iterator[tuple[int, Any]]:
    """Number and result of each item, in order; threads work on some side by side, as the filters release the interpreter."""
    from plate_assets.plates.images import map_ahead

    numbers = pl.DataFrame({"item": range(len(items))})
    threads = min(4, os.cpu_count() or 1)
    return ((row["item"], found) for row, found in map_ahead(numbers, lambda row: work(items[row["item"]]), threads))
