"""Frames come in one at a time, in order, at their times; what is missing, damaged or of another size is named."""

import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from plate_assets.plates.timelapses.frames import FrameError, fingerprint
from plate_assets.plates.timelapses.opening import open_timelapse


def image(number, shape=(12, 16), dtype=np.uint16):
    return (np.arange(shape[0] * shape[1]).reshape(shape) % 50 + number).astype(dtype)


def series(folder, numbers, name="B3_3_Phase-{:04d}.tif", **how):
    folder.mkdir(exist_ok=True)
    for number in numbers:
        tifffile.imwrite(folder / name.format(number), image(number), **how)
    return folder


@settings(max_examples=25)
@given(st.integers(0, 995), st.integers(2, 12), st.integers(1, 7), st.booleans())
def test_files_come_in_the_order_of_their_numbers_with_and_without_zeros(tmp_path_factory, first, count, step, padded):
    folder = series(
        tmp_path_factory.mktemp("s"), range(first, first + count * step, step), "t{:04d}.tif" if padded else "t{}.tif"
    )
    frames = open_timelapse(folder)
    assert frames.count == count
    assert [int(frame[0, 0]) for frame in frames] == list(range(first, first + count * step, step))


@settings(max_examples=25)
@given(st.integers(3, 12), st.data())
def test_a_missing_frame_is_named(tmp_path_factory, count, data):
    lost = data.draw(st.integers(1, count - 2))
    if count == 3:
        count = 4
    folder = series(tmp_path_factory.mktemp("s"), [number for number in range(count) if number != lost])
    with pytest.raises(FrameError, match=rf"Phase-{lost:04d}\.tif is missing: .* 1 frames lack"):
        open_timelapse(folder)


def test_numbers_that_are_clocks_may_lie_unevenly(tmp_path):
    folder = series(tmp_path, (1571234500, 1571234521, 1571234620), "T{}.tif")
    assert open_timelapse(folder).count == 3


def test_several_series_in_a_folder_are_refused_and_a_pattern_takes_one(tmp_path):
    series(tmp_path, range(1, 4))
    series(tmp_path, range(1, 4), "mask-{}.tif")
    with pytest.raises(FrameError, match="several series.*pattern"):
        open_timelapse(tmp_path)
    assert open_timelapse(tmp_path, pattern="mask-*").names == ("mask-1.tif", "mask-2.tif", "mask-3.tif")


def test_two_wells_in_a_folder_are_two_series(tmp_path):
    series(tmp_path, range(1, 4), "B3_t{}.tif")
    series(tmp_path, range(1, 4), "B4_t{}.tif")
    with pytest.raises(FrameError, match=r"B3_t1.tif … B4_t3.tif"):
        open_timelapse(tmp_path)


def test_a_number_that_two_files_have_is_refused(tmp_path):
    series(tmp_path, (1, 2))
    series(tmp_path, (2, 3), "B3_3_Phase-{:03d}.tif")
    with pytest.raises(FrameError, match="Phase-0002.tif.*same number|same number"):
        open_timelapse(tmp_path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("how", [{}, {"compression": "lzw"}, {"byteorder": ">"}, {"compression": "zlib", "predictor": True}])
def test_a_stack_gives_its_pages_as_they_are_stored(tmp_path, dtype, how):
    if dtype == np.float32 and how.get("predictor"):
        how = {"compression": "zlib"}
    pages = np.stack([image(number, dtype=dtype) for number in range(5)])
    tifffile.imwrite(tmp_path / "time-lapse.tif", pages, photometric="minisblack", **how)
    frames = open_timelapse(tmp_path / "time-lapse.tif", interval_min=10)
    assert (frames.count, frames.shape, frames.dtype) == (5, (12, 16), dtype)
    assert frames.full_scale == {np.uint8: 255, np.uint16: 65535, np.float32: None}[dtype]
    for number in (4, 0, 2):
        assert (frames.read(number) == pages[number]).all() and frames.read(number).dtype == dtype
    assert frames.hours is not None and frames.hours.tolist() == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6, 4 / 6])


def test_imagej_tells_interval_and_pixel_size(tmp_path):
    pages = np.stack([image(number) for number in range(3)])
    about = {"axes": "TYX", "finterval": 360.0, "unit": "um"}
    tifffile.imwrite(tmp_path / "time-lapse.tif", pages, imagej=True, resolution=(2.5, 2.5), metadata=about)
    frames = open_timelapse(tmp_path / "time-lapse.tif")
    assert frames.hours is not None and frames.hours.tolist() == pytest.approx([0, 0.1, 0.2])
    assert frames.pixel_um == pytest.approx(0.4)
    assert frames.sources == {"hours": "ImageJ", "pixel_um": "TIFF"}
    assert (frames.read(2) == pages[2]).all()
    again = open_timelapse(tmp_path / "time-lapse.tif", interval_min=5)
    assert again.hours is not None and again.hours[1] == pytest.approx(5 / 60)
    assert again.sources["hours"] == "setting; ImageJ says 6 min"


def test_ome_tells_increment_planes_and_channels(tmp_path):
    pages = np.stack([[image(10 * number), image(10 * number + 1)] for number in range(3)])
    about = {"axes": "TCYX", "TimeIncrement": 10, "TimeIncrementUnit": "min", "PhysicalSizeX": 0.65, "PhysicalSizeY": 0.65}
    tifffile.imwrite(tmp_path / "time-lapse.ome.tif", pages, metadata=about)
    with pytest.raises(FrameError, match="2 channels: say which holds the phase"):
        open_timelapse(tmp_path / "time-lapse.ome.tif")
    frames = open_timelapse(tmp_path / "time-lapse.ome.tif", channel=1)
    assert (frames.read(2) == pages[2, 1]).all()
    assert frames.hours is not None and frames.hours.tolist() == pytest.approx([0, 1 / 6, 2 / 6])
    assert frames.sources["hours"] == "OME TimeIncrement" and frames.pixel_um == pytest.approx(0.65)


@pytest.mark.parametrize(
    ("seconds", "fine"), [((30.0, 390.0, 770.0), True), ((0.0, 720.0, 360.0), False), ((0.0, 0.0, 9.0), False)]
)
def test_times_of_planes_count_from_the_first_and_must_go_forward(tmp_path, seconds, fine):
    about = {"axes": "TYX", "Plane": {"DeltaT": list(seconds), "DeltaTUnit": ["s"] * 3}}
    tifffile.imwrite(tmp_path / "time-lapse.ome.tif", np.stack([image(n) for n in range(3)]), metadata=about)
    if fine:
        hours = open_timelapse(tmp_path / "time-lapse.ome.tif").hours
        assert hours is not None and hours.tolist() == pytest.approx([0, 0.1, 740 / 3600])
    else:
        with pytest.raises(FrameError, match="frame . .page .. is of .* times must go forward"):
            open_timelapse(tmp_path / "time-lapse.ome.tif")


def test_frames_of_another_size_or_type_are_named(tmp_path):
    series(tmp_path, range(1, 5))
    tifffile.imwrite(tmp_path / "B3_3_Phase-0003.tif", image(3, (12, 17)))
    with pytest.raises(
        FrameError, match=r"frame 3 \(B3_3_Phase-0003.tif\) is 17 × 12 px of uint16, and the first is 16 × 12 px"
    ):
        open_timelapse(tmp_path)
    tifffile.imwrite(tmp_path / "B3_3_Phase-0003.tif", image(3, dtype=np.uint8))
    with pytest.raises(FrameError, match="px of uint8, and the first is 16 × 12 px of uint16"):
        open_timelapse(tmp_path)


def test_a_frame_that_changes_after_the_look_is_named(tmp_path):
    frames = open_timelapse(series(tmp_path, range(1, 5)))
    tifffile.imwrite(tmp_path / "B3_3_Phase-0002.tif", image(2, (9, 9)))
    assert frames.read(0).shape == (12, 16)
    with pytest.raises(FrameError, match="frame 2 of 4"):
        frames.read(1)


def test_no_pixel_is_read_before_it_is_asked_for(tmp_path):
    series(tmp_path, range(1, 4), compression="zlib")
    path = tmp_path / "B3_3_Phase-0002.tif"
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        offset, count = page.dataoffsets[0], page.databytecounts[0]
    raw = bytearray(path.read_bytes())
    raw[offset : offset + count] = b"\xff" * count
    path.write_bytes(raw)
    frames = open_timelapse(tmp_path)
    assert frames.read(0)[0, 0] == 1
    with pytest.raises(FrameError, match=r"frame 2 of 3 \(B3_3_Phase-0002.tif\) cannot be decoded.*copy it again"):
        frames.read(1)


@pytest.mark.parametrize("keep", [0, 7, 100, 400])
def test_a_file_that_is_cut_off_is_named(tmp_path, keep):
    series(tmp_path, range(1, 4))
    path = tmp_path / "B3_3_Phase-0002.tif"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FrameError, match="Phase-0002.tif.*copy it again"):
        open_timelapse(tmp_path)


def test_a_stack_that_is_cut_off_is_refused(tmp_path):
    pages = np.stack([image(number) for number in range(5)])
    for how in ({}, {"imagej": True}, {"compression": "zlib"}):
        tifffile.imwrite(tmp_path / "time-lapse.tif", pages, **how)
        whole = (tmp_path / "time-lapse.tif").read_bytes()
        (tmp_path / "time-lapse.tif").write_bytes(whole[: len(whole) * 2 // 3])
        with pytest.raises(FrameError, match="time-lapse.tif"):
            open_timelapse(tmp_path / "time-lapse.tif")


def test_a_size_beyond_memory_is_refused_before_it_is_taken(tmp_path):
    path = tmp_path / "time-lapse.tif"
    tifffile.imwrite(path, image(1))
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages.first.tags["ImageWidth"].overwrite(4_000_000)
    with pytest.raises(FrameError, match="4000000 × 12 px.*limits"):
        open_timelapse(path)


def test_colours_bits_and_further_axes_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((8, 8, 3), np.uint8), photometric="rgb")
    with pytest.raises(FrameError, match="one grey value"):
        open_timelapse(tmp_path / "rgb.tif")
    tifffile.imwrite(tmp_path / "complex.tif", np.zeros((8, 8), np.complex64))
    with pytest.raises(FrameError, match="complex64"):
        open_timelapse(tmp_path / "complex.tif")
    tifffile.imwrite(tmp_path / "deep.tif", np.zeros((2, 3, 8, 8), np.uint8), imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(FrameError, match="axes TZYX"):
        open_timelapse(tmp_path / "deep.tif")
    tifffile.imwrite(tmp_path / "labels.tif", np.zeros((8, 8), np.uint32))
    with pytest.raises(FrameError, match="uint32"):
        open_timelapse(tmp_path / "labels.tif")
    assert open_timelapse(tmp_path / "labels.tif", labels=True).count == 1


def test_pixels_that_are_not_finite_are_counted_and_named(tmp_path):
    pages = np.zeros((2, 8, 8), np.float32)
    pages[1, 2, 3:5] = np.nan, np.inf
    tifffile.imwrite(tmp_path / "time-lapse.tif", pages, photometric="minisblack")
    frames = open_timelapse(tmp_path / "time-lapse.tif")
    assert (frames.read(0) == 0).all()
    with pytest.raises(FrameError, match="frame 2 of 2 .* has 2 pixels that are not finite"):
        frames.read(1)


def test_what_is_no_time_lapse_is_said(tmp_path):
    for path, said in (
        (tmp_path / "gone", "not there"),
        (tmp_path, "holds no file"),
        (tmp_path / "notes.txt", "no TIFF, HDF5"),
        (tmp_path / "time-lapse.zip", "no zip archive"),
        (tmp_path / "time-lapse.tif", "cannot be read as TIFF"),
    ):
        if path.suffix:
            path.write_text("nothing of the kind")
        with pytest.raises(FrameError, match=said):
            open_timelapse(path)
        if path.suffix:
            path.unlink()
    with zipfile.ZipFile(tmp_path / "rois.zip", "w") as archive:
        archive.writestr("1-1.roi", b"Iout")
    with pytest.raises(FrameError, match="holds no TIFF"):
        open_timelapse(tmp_path / "rois.zip")
    series(tmp_path, range(1, 3))
    with pytest.raises(FrameError, match="interval is 0"):
        open_timelapse(tmp_path, interval_min=0)


def test_several_images_in_each_of_several_files_are_refused(tmp_path):
    for name in "12":
        tifffile.imwrite(tmp_path / f"t{name}.tif", np.stack([image(n) for n in range(3)]), photometric="minisblack")
    with pytest.raises(FrameError, match="t1.tif holds 3 images"):
        open_timelapse(tmp_path)


def test_hdf5_without_h5py_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "time-lapse.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(FrameError, match="pip install h5py"):
        open_timelapse(tmp_path / "time-lapse.h5")


def qpimage_file(path, count, group="qpi_{}", shape=(6, 7), **attributes):
    with h5py.File(path, "w") as file:
        for number in range(count):
            node = file.create_group(group.format(number)) if group else file
            node.create_group("amplitude")
            node.create_dataset("phase/raw", data=np.full(shape, 3.0 + number, np.float32))
            node.create_dataset("phase/bg_data/data", data=np.full(shape, 0.5))
            node.create_dataset("phase/bg_data/fit", data=np.full(shape, 0.25))
            node.attrs.update({name: value[number] if isinstance(value, list) else value for name, value in attributes.items()})
    return path


def test_a_qpimage_series_gives_phase_less_its_backgrounds_with_times_and_scale(tmp_path):
    about = {"pixel size": 0.25e-6, "wavelength": 633e-9, "time": [float(600 * number) for number in range(11)]}
    frames = open_timelapse(qpimage_file(tmp_path / "time-lapse.h5", 11, **about))
    assert (frames.count, frames.unit, frames.shape) == (11, "rad", (6, 7))
    assert frames.pixel_um == pytest.approx(0.25) and frames.wavelength_nm == pytest.approx(633)
    assert frames.hours is not None and frames.hours[10] == pytest.approx(10 / 6)
    assert [float(frame[0, 0]) for frame in frames] == [2.25 + number for number in range(11)]
    assert set(frames.sources.values()) == {"qpimage"}


def test_a_qpimage_series_with_a_hole_or_two_scales_is_refused(tmp_path):
    path = qpimage_file(tmp_path / "time-lapse.h5", 3)
    with h5py.File(path, "a") as file:
        del file["qpi_1"]
    with pytest.raises(FrameError, match="qpi_1 is missing"):
        open_timelapse(path)
    with pytest.raises(FrameError, match="differ in 'wavelength'"):
        open_timelapse(qpimage_file(tmp_path / "two.h5", 2, wavelength=[5e-7, 6e-7]))
    (tmp_path / "broken.h5").write_bytes(path.read_bytes()[:300])
    with pytest.raises(FrameError, match="cannot be read as qpimage"):
        open_timelapse(tmp_path / "broken.h5")


def test_the_real_qpimage_file_holds_the_noise_that_its_authors_put_in(real_data):
    """qpimage's own test data: a plane under even noise of one, corrected by a plane fitted to its border."""
    folder = real_data / "qpi-file-formats" / "tests" / "data"
    noise = np.random.RandomState(47).rand(50, 50) - 0.5
    for name, wavelength in (("bg_tilt.h5", 300.0), ("single_qpimage.h5", None)):
        frames = open_timelapse(folder / name)
        assert (frames.count, frames.shape, frames.unit, frames.hours) == (1, (50, 50), "rad", None)
        assert frames.read(0) == pytest.approx(noise, abs=0.03)
        assert frames.wavelength_nm == (wavelength if wavelength is None else pytest.approx(wavelength))


def test_real_holograms_and_gradients_are_refused_with_what_they_are(real_data):
    folder = real_data / "qpi-file-formats" / "tests" / "data"
    for name, said in (
        ("single_hdf5_raw-oah.h5", "off-axis holography"),
        ("series_hdf5_raw-oah.h5", "off-axis holography"),
        ("single_hdf5_raw-qlsi.h5", "quadriwave lateral shearing interferometry"),
        ("series_hdf5_meep.h5", "Meep"),
    ):
        with pytest.raises(FrameError, match=f"no phase image of qpimage, but .*{said}.*recover the phase"):
            open_timelapse(folder / name)


def test_real_phasics_files_give_opd_with_wavelength_and_times(real_data):
    """The range of phase is qpformat's own figure for these files, at 550 nm."""
    folder = real_data / "qpi-file-formats" / "tests" / "data"
    for name, count, span in (("single_phasics.tif", 1, 4.168394088745117), ("series_phasics.zip", 3, 0.18902349472045898)):
        frames = open_timelapse(folder / name)
        assert (frames.count, frames.unit, frames.wavelength_nm) == (count, "nm", 550.0)
        assert np.ptp(frames.read(0)) / 550 * 2 * np.pi == pytest.approx(span, rel=1e-4)
    hours = open_timelapse(folder / "series_phasics.zip").hours
    assert hours is not None and (hours * 3600).tolist() == pytest.approx([0, 0.337, 0.824], abs=1e-4)


def test_the_real_series_has_481_frames(real_data):
    frames = open_timelapse(real_data / "livecyte-phase-timelapse" / "05062019_B3_3_imagedata", interval_min=6)
    assert (frames.count, frames.shape, frames.dtype, frames.pixel_um) == (481, (615, 615), np.uint8, None)
    assert frames.names[9] == "05062019_B3_3_Phase-0010.tif"
    assert frames.hours is not None and frames.hours[-1] == pytest.approx(48.0)
    assert frames.read(480).max() == 255


@settings(max_examples=25)
@given(st.integers(0, 11), st.integers(0, 15), st.sampled_from(["uint8", "uint16", "float32"]))
def test_a_fingerprint_is_the_pixels_and_their_type_and_nothing_else(row, column, dtype):
    frame = image(3, dtype=dtype)
    changed = frame.copy()
    changed[row, column] += 1
    assert fingerprint(frame) == fingerprint(np.asfortranarray(frame)) != fingerprint(changed)
    assert fingerprint(frame) != fingerprint(frame.reshape(16, 12)) and len(fingerprint(frame)) == 32
    assert fingerprint(np.zeros((2, 4), np.uint8)) != fingerprint(np.zeros((2, 2), np.uint16))


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_threads_that_read_one_stack_get_the_frames_that_they_ask_for(tmp_path, compression):
    pages = np.stack([image(number, (40, 60)) for number in range(60)])
    tifffile.imwrite(tmp_path / "time-lapse.tif", pages, photometric="minisblack", compression=compression)
    frames = open_timelapse(tmp_path / "time-lapse.tif")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(frames.read, list(range(60)) * 4))
    assert all((frame == pages[number % 60]).all() for number, frame in enumerate(found))


def test_a_timelapse_that_grows_keeps_the_names_and_times_of_its_frames(tmp_path):
    for count in (1, 2, 9, 12):
        frames = open_timelapse(series(tmp_path, range(1, count + 1), "t{}.tif"), interval_min=10)
        assert frames.names == tuple(f"t{number}.tif" for number in range(1, count + 1))
        assert frames.hours is not None and frames.hours.tolist() == pytest.approx(np.arange(count) / 6)


def test_outlines_beside_an_hdf5_timelapse_are_not_its_frames(tmp_path):
    qpimage_file(tmp_path / "time-lapse.h5", 2)
    (tmp_path / "rois.zip").write_bytes(b"PK")
    assert open_timelapse(tmp_path).count == 2
    qpimage_file(tmp_path / "timelapse2.h5", 2)
    with pytest.raises(FrameError, match="holds 2 hdf5 files"):
        open_timelapse(tmp_path)
