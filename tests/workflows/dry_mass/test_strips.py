"""Strips of measured cells: along their path, at their place, with their outline."""

import numpy as np
import polars as pl
import pytest
import tifffile

from plate_assets.dry_mass.phase import sphere_mass_pg
from plate_assets.dry_mass.tracking import cells_of_tracks
from plate_assets.plates.timelapses.frames import FrameError
from plate_assets.workflows.dry_mass.strips import cell_strips
from plate_assets.workflows.dry_mass.timelapse import TimelapseSettings, measure_timelapse, open_timelapse

PIXEL_UM, SHAPE, FRAMES = 1.0, (90, 160), 12
KNOWN = TimelapseSettings(unit="um", pixel_um=PIXEL_UM, interval_min=10.0)


def sphere(x, y, radius_um):
    rows, cols = np.indices(SHAPE)
    return 0.03 * np.sqrt(np.maximum(radius_um**2 - (rows - y) ** 2 - (cols - x) ** 2, 0))


@pytest.fixture(scope="module")
def timelapse(tmp_path_factory):
    """OPD in µm: a cell that wanders to the right, and one that divides at frame 6."""
    folder = tmp_path_factory.mktemp("time-lapses") / "time-lapse"
    folder.mkdir()
    for frame in range(FRAMES):
        field = sphere(30 + 2 * frame, 25, 9.0)
        if frame < 6:
            field = field + sphere(110, 60, 10.0)
        else:
            field = field + sphere(101.5 - 0.2 * frame, 60, 7.94) + sphere(119 + 0.2 * frame, 60, 7.94)
        noisy = field + np.random.default_rng(frame).normal(0, 0.002, SHAPE)
        tifffile.imwrite(folder / f"t{frame}.tif", noisy.astype(np.float32))
    return folder


@pytest.fixture(scope="module")
def measured(timelapse):
    return measure_timelapse(timelapse, KNOWN)


def strips(timelapse, result, paths):
    frames = open_timelapse(timelapse, KNOWN)
    tables = (result.phase_frames, result.masks, result.tracks)
    return cell_strips(frames, *tables, paths, KNOWN, result.calibration)


def test_strips_follow_their_paths_from_the_founder_on(timelapse, measured):
    daughter = measured.tracks.filter(pl.col("parent_id").is_not_null())["track_id"][0]
    wanderer = measured.tracks.filter(pl.col("y_um") < 40)["track_id"][0]
    first, second = strips(timelapse, measured, [daughter, wanderer])
    assert first.frames.tolist() == second.frames.tolist() == [0, 2, 4, 6, 8, 10]
    assert first.crops.shape == (6, 50, 50)  # 100 px of 1 µm, two to a side of what is shown
    for strip, areas in ((second, np.full(6, 81.0)), (first, np.array([100, 100, 100, 63, 63, 63.0]))):
        for crop, line, area in zip(strip.crops, strip.outlines, areas, strict=True):
            away = np.hypot(*(np.argwhere(line) - 24.75).T) * 2
            assert away.mean() == pytest.approx(np.sqrt(area), abs=2.0)  # a circle about the middle
            assert crop[22:28, 22:28].max() > 0.95 * np.nanmax(crop[10:40, 10:40])
    assert np.nansum(np.where(np.hypot(*(np.indices((50, 50)) - 24.75)) < 7, second.crops[3], 0)) * 4 / 0.18 == pytest.approx(
        sphere_mass_pg(9.0, 0.015), rel=0.05
    )


def test_every_cell_finds_its_track_again(measured):
    cells = cells_of_tracks(measured.masks, measured.tracks)
    assert cells.height == measured.masks.height
    both = cells.join(measured.tracks, on=["track_id", "frame"])
    assert both.height == cells.height and (both["dry_mass"] == both["dry_mass_right"]).all()


def test_pieces_find_the_track_that_they_were_joined_to():
    frame = pl.Series([0, 0, 0, 1], dtype=pl.Int32)
    cells = pl.DataFrame({"frame": frame, "x_um": [10.0, 30, 12, 10], "y_um": [10.0, 10, 18, 10]})
    joined = ["", "a mass of zero; joined from several outlines", ""]
    tracks = pl.DataFrame({
        "frame": pl.Series([0, 0, 1], dtype=pl.Int32), "track_id": [5, 7, 7],
        "x_um": [30.0, 10.7, 10], "y_um": [10.0, 12.7, 10],
        "reasons": joined,
    })  # fmt: skip
    assert cells_of_tracks(cells, tracks)["track_id"].to_list() == [7, 5, 7, 7]


def test_a_strip_is_not_cut_from_a_frame_that_is_another(timelapse, measured, tmp_path):
    for file in timelapse.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tifffile.imwrite(tmp_path / "t4.tif", np.zeros(SHAPE, np.float32))
    with pytest.raises(FrameError, match="t4.tif.*other pixels"):
        strips(tmp_path, measured, [0])
    with pytest.raises(ValueError, match="no track 99"):
        strips(timelapse, measured, [99])
