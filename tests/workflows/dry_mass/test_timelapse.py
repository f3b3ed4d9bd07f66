"""A time-lapse measured from its files: masses in pg, tracks, given outlines, sources of what is known; and a time-lapse that
grows."""

import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import roifile
import tifffile

from plate_assets.dry_mass.agreement import cell_agreement, matched, track_agreement
from plate_assets.dry_mass.phase import sphere_mass_pg
from plate_assets.dry_mass.tables import CELL_MASKS, CELL_TRACKS, PHASE_FRAMES
from plate_assets.dry_mass.tracking import follow_names, link_cells
from plate_assets.plates.timelapses.frames import FrameError
from plate_assets.plates.timelapses.outlines import Outlines
from plate_assets.workflows.dry_mass.timelapse import (
    TimelapseSettings,
    calibrate,
    cell_masks,
    cell_tracks,
    measure_timelapse,
    open_outlines,
    open_timelapse,
    phase_frames,
)

PIXEL_UM, SHAPE, FRAMES = 0.5, (150, 220), 14
CONTRAST = 0.015


def sphere(x, y, radius_um):
    """(h, w) OPD in µm of a sphere at (x, y) px."""
    rows, cols = np.indices(SHAPE)
    away = (rows - y) ** 2 + (cols - x) ** 2
    return 2 * CONTRAST * np.sqrt(np.maximum(radius_um**2 - away * PIXEL_UM**2, 0))


def opd(frame, noise=0.002):
    """(h, w) OPD in µm on a tilted field: a wanderer, and a cell of 10 µm that at frame 7 becomes two of half its volume."""
    cells = sphere(40 + 2 * frame, 40, 8.0)
    if frame < 7:
        cells = cells + sphere(150, 90, 10.0)
    else:
        side = 17 + 0.3 * (frame - 7)
        cells = cells + sphere(150 - side, 90, 10 / 2 ** (1 / 3)) + sphere(150 + side, 90, 10 / 2 ** (1 / 3))
    tilt = 0.1 + np.linspace(0, 0.06, SHAPE[1])[None] - np.linspace(0, 0.02, SHAPE[0])[:, None]
    return cells + tilt + np.random.default_rng(frame).normal(0, noise, SHAPE)


@pytest.fixture(scope="module")
def timelapse(tmp_path_factory) -> Path:
    """Phase in rad at 550 nm, one float32 TIFF for each frame."""
    folder = tmp_path_factory.mktemp("time-lapses") / "time-lapse"
    folder.mkdir()
    for frame in range(FRAMES):
        tifffile.imwrite(folder / f"phase-{frame + 1}.tif", (opd(frame) * 2 * np.pi / 0.55).astype(np.float32))
    return folder


KNOWN = TimelapseSettings(unit="rad", wavelength_nm=550.0, pixel_um=PIXEL_UM, interval_min=10.0)


@pytest.fixture(scope="module")
def measured(timelapse):
    return measure_timelapse(timelapse, KNOWN, well="B03")


def test_a_timelapse_of_spheres_gives_their_masses_and_the_division(measured):
    """Tilt, noise, masks of our own: 349.07 pg to the 0.3 % that sampling the sphere costs, and two halves of it behind."""
    tracks = CELL_TRACKS.check(measured.tracks)
    assert tracks["Metadata_Timelapse"].unique().to_list() == ["time-lapse"] and tracks["Metadata_Well"].unique().to_list() == [
        "B03"
    ]
    assert tracks["unit"].unique().to_list() == ["pg"] and tracks["track_id"].n_unique() == 4
    mass = dict(tracks.group_by("track_id").agg(pl.col("dry_mass").median()).iter_rows())
    mothers = dict(tracks.select("track_id", "parent_id").unique().iter_rows())
    wanderer, mother = (
        next(n for n, m in mass.items() if m == pytest.approx(sphere_mass_pg(r, CONTRAST), rel=3e-3)) for r in (8.0, 10.0)
    )
    assert sphere_mass_pg(10.0, CONTRAST) == pytest.approx(349.07, abs=0.01)
    daughters = [track for track, parent in mothers.items() if parent == mother]
    assert [mass[track] for track in daughters] == pytest.approx([349.07 / 2] * 2, rel=3e-3)
    assert mothers[wanderer] is None and mothers[mother] is None
    place = tracks.filter(track_id=wanderer).select("time_h", "x_um", "y_um").to_numpy()
    assert place[:, 0] == pytest.approx(np.arange(FRAMES) / 6)
    assert place[:, 1] == pytest.approx((40.5 + 2 * np.arange(FRAMES)) * PIXEL_UM, abs=0.3)
    assert place[:, 2] == pytest.approx(40.5 * PIXEL_UM, abs=0.3)


def test_what_was_removed_and_where_values_come_from_is_kept(measured):
    table = PHASE_FRAMES.check(measured.phase_frames)
    assert table["name"].to_list() == [f"phase-{frame + 1}.tif" for frame in range(FRAMES)]
    assert table["time_h"].to_list() == pytest.approx(np.arange(FRAMES) / 6) and table["profile"].unique().to_list() == ["tilt"]
    radians = 2 * np.pi / 0.55
    offset, right, down = np.array(table["coefficients"].to_list()).T
    assert offset == pytest.approx(0.12 * radians, rel=0.02)
    assert 2 * right == pytest.approx(0.06 * radians, rel=0.05) and 2 * down == pytest.approx(-0.02 * radians, rel=0.1)
    assert table["noise"].to_list() == pytest.approx([0.002 * radians] * FRAMES, rel=0.2) and (table["reasons"] == "").all()
    assert measured.sources == {
        "unit": "setting", "wavelength_nm": "setting", "pixel_um": "setting", "alpha_um3_per_pg": "default",
        "factor": "default", "hours": "setting",
    }  # fmt: skip


def test_masks_hold_measures_and_pixels_of_every_cell(measured):
    masks = CELL_MASKS.check(measured.masks)
    assert masks.height == 2 * 7 + 3 * 7 and masks["unit"].unique().to_list() == ["pg"]
    rows = masks.filter(frame=9)
    outlines = Outlines.from_run_lists(rows["cell"].to_numpy(), rows["runs"], SHAPE)
    assert outlines.areas().tolist() == rows["area_px"].to_list()
    assert (rows["area_px"] * PIXEL_UM**2).to_list() == rows["area_um2"].to_list()


def test_without_calibration_the_mass_is_relative_and_nowhere_pg(timelapse, measured):
    result = measure_timelapse(timelapse, TimelapseSettings(interval_min=10))
    assert result.tracks["unit"].unique().to_list() == ["relative"] and result.masks["unit"].unique().to_list() == ["relative"]
    assert result.calibration.mass_unit == "relative"
    pg = measured.tracks["dry_mass"].max()
    assert result.tracks["dry_mass"].max() == pytest.approx(pg * 0.18 / PIXEL_UM**2 * 2 * np.pi / 0.55, rel=0.02)
    assert result.tracks["x_um"].max() > SHAPE[0]  # px


def test_whole_numbers_need_their_factor_and_weigh_the_same(timelapse, tmp_path):
    stack = np.stack([np.clip(np.rint(opd(frame) / 1e-4), 0, 65535) for frame in range(3)]).astype(np.uint16)
    tifffile.imwrite(tmp_path / "time-lapse.tif", stack, photometric="minisblack")
    how = TimelapseSettings(unit="um", pixel_um=PIXEL_UM, interval_min=10)
    with pytest.raises(ValueError, match="whole numbers .uint16.*factor"):
        measure_timelapse(tmp_path / "time-lapse.tif", how)
    result = measure_timelapse(
        tmp_path / "time-lapse.tif", TimelapseSettings(unit="um", factor=1e-4, pixel_um=PIXEL_UM, interval_min=10)
    )
    assert result.tracks["dry_mass"].max() == pytest.approx(349.07, rel=0.03)


def test_an_interval_that_nobody_tells_is_asked_for(timelapse):
    with pytest.raises(FrameError, match="give the interval in minutes"):
        measure_timelapse(timelapse, TimelapseSettings())


def given_squares(folder):
    """An ImageJ archive of one square of 6 × 6 px in each frame, and label images of the same."""
    labels = np.zeros((FRAMES, *SHAPE), np.uint16)
    with zipfile.ZipFile(folder / "rois.zip", "w") as archive:
        for frame in range(FRAMES):
            corners = np.array([[30, 20], [36, 20], [36, 26], [30, 26]]) + [2 * frame, 0]
            archive.writestr(f"{frame + 1}-7.roi", roifile.ImagejRoi.frompoints(corners).tobytes())
            labels[frame, 20:26, 30 + 2 * frame : 36 + 2 * frame] = 7
    tifffile.imwrite(folder / "labels.tif", labels, photometric="minisblack", compression="zlib")
    return folder / "rois.zip", folder / "labels.tif"


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("identities", ["linked", "given"])
def test_with_given_outlines_the_mass_is_the_sum_inside(timelapse, tmp_path, kind, identities):
    how = TimelapseSettings(interval_min=10, background="none", identities=identities)
    result = measure_timelapse(timelapse, how, outlines=given_squares(tmp_path)[kind])
    assert result.tracks["track_id"].to_list() == [0] * FRAMES
    for frame, mass, area in result.tracks.select("frame", "dry_mass", "area_um2").iter_rows():
        stored = tifffile.imread(timelapse / f"phase-{frame + 1}.tif")
        assert mass == pytest.approx(stored[20:26, 30 + 2 * frame : 36 + 2 * frame].sum(dtype=float), rel=1e-6)
        assert area == 36


def test_identities_need_outlines(timelapse):
    with pytest.raises(ValueError, match="identities are `given` and no outlines are"):
        measure_timelapse(timelapse, TimelapseSettings(interval_min=10, identities="given"))


def copied(timelapse, folder, count):
    """The first frames of the time-lapse in a folder of their own."""
    folder.mkdir(exist_ok=True)
    for frame in range(count):
        (folder / f"phase-{frame + 1}.tif").write_bytes((timelapse / f"phase-{frame + 1}.tif").read_bytes())
    return open_timelapse(folder, KNOWN)


def steps(frames, known_frames=None, known_masks=None, done=None):
    flat = phase_frames(frames, KNOWN, known_frames, done, "time-lapse")
    return flat, cell_masks(frames, flat, KNOWN, calibrate(frames, KNOWN), known=known_masks, progress=done)


@pytest.mark.parametrize("night", [1, 9])
def test_a_timelapse_that_grows_gives_what_the_whole_timelapse_gives_and_only_new_frames_are_computed(
    timelapse, measured, tmp_path, night
):
    before = steps(copied(timelapse, tmp_path / "time-lapse", night))
    done = []
    grown = steps(copied(timelapse, tmp_path / "time-lapse", FRAMES), *before, lambda *progress: done.append(progress))
    assert done == 2 * [(number + 1, FRAMES - night) for number in range(FRAMES - night)]
    assert grown[0].equals(measured.phase_frames) and grown[1].equals(measured.masks)
    assert grown[0].head(night).equals(before[0])
    assert cell_tracks(grown[1], measured.hours, KNOWN, "time-lapse", "B03").equals(measured.tracks)
    again = steps(copied(timelapse, tmp_path / "time-lapse", FRAMES), *grown, lambda *progress: done.append(progress))
    assert len(done) == 2 * (FRAMES - night) and again[1].equals(grown[1])


def test_a_known_frame_that_was_changed_is_named(timelapse, tmp_path):
    before = steps(copied(timelapse, tmp_path / "time-lapse", 5))
    frames = copied(timelapse, tmp_path / "time-lapse", 8)
    tifffile.imwrite(tmp_path / "time-lapse" / "phase-3.tif", (opd(2) + 1e-4).astype(np.float32))
    with pytest.raises(FrameError, match=r"frame 3 \(phase-3.tif\) has other pixels than when it was measured"):
        phase_frames(frames, KNOWN, before[0])
    with pytest.raises(FrameError, match=r"frame 3 \(phase-3.tif\) has other pixels"):
        cell_masks(frames, before[0], KNOWN, calibrate(frames, KNOWN))


def test_frames_that_come_anywhere_but_at_the_end_or_go_are_refused(timelapse, tmp_path):
    before, _ = steps(copied(timelapse, tmp_path / "time-lapse", 5))
    with pytest.raises(FrameError, match=r"has 4 frames, and frame 5 \(phase-5.tif\) was measured before"):
        phase_frames(copied(timelapse, tmp_path / "short", 4), KNOWN, before)
    shifted = copied(timelapse, tmp_path / "other", 6)
    (tmp_path / "other" / "phase-1.tif").unlink()
    with pytest.raises(FrameError, match="frame 1 is phase-2.tif, and it was phase-1.tif: new frames come at the end"):
        phase_frames(open_timelapse(tmp_path / "other", KNOWN), KNOWN, before)
    assert shifted.count == 6


def test_a_stack_that_grows_keeps_the_names_of_its_pages(tmp_path):
    known = None
    for pages in (1, 2, 5):
        stack = np.stack([opd(frame) for frame in range(pages)]).astype(np.float32)
        tifffile.imwrite(tmp_path / "time-lapse.tif", stack, photometric="minisblack", compression="zlib")
        known = phase_frames(open_timelapse(tmp_path / "time-lapse.tif", KNOWN), KNOWN, known)
    assert known is not None and known["name"].to_list() == [f"page {page + 1}" for page in range(5)]


def test_another_background_is_fitted_anew(timelapse, measured):
    frames, offset = open_timelapse(timelapse, KNOWN), replace(KNOWN, background="offset")
    anew = phase_frames(frames, offset, measured.phase_frames)
    assert anew["profile"].unique().to_list() == ["offset"] and anew["coefficients"].list.len().unique().to_list() == [1]


def test_the_background_of_a_frame_that_is_a_guess_is_said_of_its_cells(timelapse, measured):
    frames = open_timelapse(timelapse, KNOWN)
    doubt = measured.phase_frames.head(6).with_columns(
        reasons=pl.when(pl.col("frame") == 4).then(pl.lit("background uneven")).otherwise(pl.lit(""))
    )
    masks = cell_masks(frames, doubt, KNOWN, calibrate(frames, KNOWN))
    assert masks.filter(pl.col("reasons") != "").select("frame", "reasons").unique().rows() == [(4, "background uneven")]


def test_memory_does_not_grow_with_the_length_of_the_timelapse(tmp_path):
    def peak(frames):
        folder = tmp_path / str(frames)
        folder.mkdir()
        for frame in range(frames):
            tifffile.imwrite(folder / f"t{frame}.tif", opd(frame % FRAMES)[:100, :120].astype(np.float32))
        tracemalloc.start()
        measure_timelapse(folder, TimelapseSettings(interval_min=10))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(2)  # what is imported once
    assert peak(14) < peak(6) + 8 * 100 * 120 * 4 / 2  # half of what eight frames more would take


def test_a_real_timelapse_agrees_with_the_outlines_that_lie_beside_it(real_data):
    """Nineteen frames of Livecyte: cells, masses, and links, against 754 outlines that somebody drew and tracked."""
    folder = real_data / "livecyte-phase-timelapse"
    how = TimelapseSettings(interval_min=6, pattern="*_Phase-00[01]?.tif")
    frames = open_timelapse(folder / "05062019_B3_3_imagedata", how)
    whole = open_timelapse(folder / "05062019_B3_3_imagedata", TimelapseSettings(interval_min=6))
    flat, calibration = phase_frames(frames, how), calibrate(frames, how)
    masks = cell_masks(frames, flat, how, calibration)
    drawn = cell_masks(frames, flat, how, calibration, open_outlines(folder / "05062019_B3_3_Phase.zip", whole))
    assert flat.height == 19 and masks["unit"].unique().to_list() == ["relative"]
    pairs = matched(masks, drawn, frames.shape)
    cells = cell_agreement(masks, drawn, pairs)
    assert drawn.height == 754
    assert cells["precision"] > 0.95 and cells["recall"] > 0.95 and cells["mean IoU"] > 0.85
    assert cells["mass Pearson"] > 0.95 and cells["mass slope"] == pytest.approx(1, abs=0.05)
    hours = flat["time_h"].to_numpy()
    tracks = track_agreement(link_cells(masks, hours), follow_names(drawn), pairs)
    assert tracks["links F1"] > 0.97 and tracks["mostly tracked"] > 0.75


def test_given_outlines_of_a_real_timelapse_weigh_their_pixels_and_are_linked_again(real_data):
    """The sum inside for every outline; and of the links of whoever tracked them, nearly all are found without the names."""
    folder = real_data / "livecyte-phase-timelapse"
    how = TimelapseSettings(interval_min=6.0, background="none", pattern="*_Phase-00[0-2]?.tif", identities="given")
    frames = open_timelapse(folder / "05062019_B3_3_imagedata", how)
    whole = open_timelapse(folder / "05062019_B3_3_imagedata", TimelapseSettings(interval_min=6.0))
    rois = open_outlines(folder / "05062019_B3_3_Phase.zip", whole)
    flat = phase_frames(frames, how)
    masks = cell_masks(frames, flat, how, calibrate(frames, how), rois)
    for frame in (0, 14, 28):
        stored, labels = frames.read(frame), rois.read(frame).labels()
        sums = [int(stored[labels == cell + 1].sum(dtype=int)) for cell in range(labels.max())]
        assert masks.filter(frame=frame)["dry_mass"].to_list() == sums
    hours = flat["time_h"].to_numpy()
    tracks = cell_tracks(masks, hours, how, "time-lapse")
    assert tracks.height == masks.height and tracks["track_id"].n_unique() == masks["cell"].n_unique()
    linked = link_cells(masks, hours).filter(pl.col("event") == "").sort("track_id", "frame").with_columns(
        before=pl.col("cell").shift(1).over("track_id"), step=pl.col("frame").diff().over("track_id")
    ).filter(step=1)  # fmt: skip
    assert (linked["cell"] == linked["before"]).mean() > 0.98
