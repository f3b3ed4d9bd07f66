"""Pixels in every shape that microscopes write them, and files that are broken."""

import threading

import numpy as np
import polars as pl
import pytest
import tifffile
from PIL import Image
from upath import UPath

from plate_assets.plates.image_files import MAX_SIDE_PX, ImageError
from plate_assets.plates.images import full_scale, iter_images, read_image, to_grey
from plate_assets.plates.readers import open_acquisition

RNG = np.random.default_rng(0)
GREY8 = RNG.integers(0, 256, (40, 50), dtype=np.uint8)
GREY16 = RNG.integers(0, 65536, (40, 50), dtype=np.uint16)
RGB8 = RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)
RGB16 = RNG.integers(0, 65536, (40, 50, 3), dtype=np.uint16)


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits"])
@pytest.mark.parametrize("image", [GREY8, GREY16, RGB8, RGB16], ids=["grey8", "grey16", "rgb8", "rgb16"])
def test_tiff_comes_back_as_it_was_written(tmp_path, compression, image):
    tifffile.imwrite(tmp_path / "a.tif", image, compression=compression, photometric="rgb" if image.ndim == 3 else "minisblack")
    found = read_image(UPath(tmp_path / "a.tif"))
    assert found.dtype == image.dtype and np.array_equal(found, image)


def test_big_endian_planar_and_inverted_tiffs_come_back_as_the_image_they_mean(tmp_path):
    tifffile.imwrite(tmp_path / "big.tif", GREY16, byteorder=">")
    tifffile.imwrite(tmp_path / "planar.tif", np.moveaxis(RGB8, -1, 0), photometric="rgb", planarconfig="separate")
    tifffile.imwrite(tmp_path / "inverted.tif", 255 - GREY8, photometric="miniswhite")
    assert np.array_equal(read_image(UPath(tmp_path / "big.tif")), GREY16)
    assert np.array_equal(read_image(UPath(tmp_path / "planar.tif")), RGB8)
    assert np.array_equal(read_image(UPath(tmp_path / "inverted.tif")), GREY8)


def test_each_page_is_read_and_one_too_many_says_so(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([GREY8, 255 - GREY8]), photometric="minisblack")
    assert np.array_equal(read_image(UPath(tmp_path / "a.tif"), 1), 255 - GREY8)
    with pytest.raises(ImageError, match="no page 3"):
        read_image(UPath(tmp_path / "a.tif"), 2)


@pytest.mark.parametrize("image", [GREY8, GREY16, RGB8], ids=["grey8", "grey16", "rgb8"])
def test_png_comes_back_as_it_was_written(tmp_path, image):
    Image.fromarray(image).save(tmp_path / "a.png")
    assert np.array_equal(read_image(UPath(tmp_path / "a.png")), image)


def test_png_of_sixteen_bit_colour_keeps_its_bits_and_alpha_is_dropped(tmp_path):
    import imagecodecs

    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(RGB16))
    assert np.array_equal(read_image(UPath(tmp_path / "a.png")), RGB16)
    Image.fromarray(np.dstack([RGB8, GREY8])).save(tmp_path / "b.png")
    assert np.array_equal(read_image(UPath(tmp_path / "b.png")), RGB8)


def test_jpeg_is_close_to_what_was_written_whatever_the_file_is_called(tmp_path):
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "a.JPG", quality=95)
    (tmp_path / "b.tif").write_bytes((tmp_path / "a.JPG").read_bytes())
    for name in ("a.JPG", "b.tif"):
        assert np.abs(read_image(UPath(tmp_path / name)).astype(int) - smooth).max() <= 4


def test_grey_is_the_weighted_sum_of_the_colours():
    expected = np.rint(RGB16.astype(float) @ [0.299, 0.587, 0.114])
    assert np.abs(to_grey(RGB16) - expected).max() <= 1 and to_grey(RGB16).dtype == np.uint16
    assert to_grey(GREY8) is GREY8 and (full_scale(np.uint8), full_scale(np.uint16)) == (255, 65535)


@pytest.mark.parametrize("dtype", [np.float32, np.uint32, np.int16, np.bool_])
def test_pixels_of_another_type_are_refused_by_name(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", (GREY8 > 9).astype(dtype))
    with pytest.raises(ImageError, match=r"a.tif holds .* pixels.*export it as 8- or 16-bit"):
        read_image(UPath(tmp_path / "a.tif"))


@pytest.mark.parametrize("suffix", ["tif", "lzw.tif", "png", "jpg"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_file_that_was_cut_off_is_never_an_image(tmp_path, suffix, share):
    path = tmp_path / f"a.{suffix}"
    if suffix.endswith("tif"):
        tifffile.imwrite(path, GREY16, compression="lzw" if "lzw" in suffix else None, rowsperstrip=8)
    else:
        Image.fromarray(GREY8).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ImageError, match=str(path)):
        read_image(UPath(path))


def test_zero_bytes_no_image_and_no_file_are_three_different_errors(tmp_path):
    (tmp_path / "empty.tif").write_bytes(b"")
    (tmp_path / "text.tif").write_bytes(b"not an image at all")
    for name, message in (("empty.tif", "zero bytes"), ("text.tif", "no TIFF, PNG or JPEG"), ("gone.tif", "is gone")):
        with pytest.raises(ImageError, match=message):
            read_image(UPath(tmp_path / name))


def test_an_absurd_size_is_refused_before_memory_is_taken(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((1, MAX_SIDE_PX + 1), np.uint8))
    png = bytearray()
    Image.fromarray(GREY8).save(tmp_path / "a.png")
    png += (tmp_path / "a.png").read_bytes()
    png[16:24] = (10**9).to_bytes(4, "big") * 2
    (tmp_path / "a.png").write_bytes(png)
    for name in ("a.tif", "a.png"):
        with pytest.raises(ImageError, match="are the limits"):
            read_image(UPath(tmp_path / name))


def test_images_come_in_order_with_errors_in_their_place_and_no_more_than_asked_ahead(tmp_path):
    folder = tmp_path / "P_t0"
    folder.mkdir()
    for col in range(1, 13):
        tifffile.imwrite(folder / f"A{col:02d}.tif", np.full((8, 8), col, np.uint8))
    acquisition = open_acquisition(folder)
    (folder / "A03.tif").unlink()
    (folder / "A05.tif").write_bytes(b"")
    images = iter_images(acquisition, acquisition.images, ahead=2)
    first, pixels = next(images)
    assert first["Metadata_Well"] == "A01" and pixels[0, 0] == 1
    found = [(row["Metadata_Well"], image) for row, image in images]
    assert [name for name, _ in found] == [f"A{col:02d}" for col in range(2, 13)]
    errors = {name: str(image) for name, image in found if isinstance(image, ImageError)}
    assert set(errors) == {"A03", "A05"} and "is gone" in errors["A03"] and "zero bytes" in errors["A05"]
    missing = acquisition.images.head(1).with_columns(present=pl.lit(False))
    assert "is missing" in str(next(iter_images(acquisition, missing))[1])


def test_a_reader_that_stops_early_leaves_no_thread_behind(tmp_path):
    (tmp_path / "P_t0").mkdir()
    for col in range(1, 13):
        tifffile.imwrite(tmp_path / "P_t0" / f"A{col:02d}.tif", GREY8)
    acquisition = open_acquisition(tmp_path / "P_t0")
    images = iter_images(acquisition, acquisition.images)
    next(images)
    images.close()
    for thread in [t for t in threading.enumerate() if t.name.startswith("decode")]:
        thread.join(timeout=10)
        assert not thread.is_alive()


def test_real_images_are_read(real_data):
    examples = real_data / "cellprofiler-examples"
    grey_palette = read_image(UPath(examples / "ExampleIlluminationCorrection/images/AS_09047_050428030001_O05f00d2.TIF"))
    assert grey_palette.shape == (512, 512) and grey_palette.dtype == np.uint8
    assert read_image(UPath(examples / "ExampleWoundHealing/images/DMSO_B5_t0.JPG")).shape == (1536, 2304, 3)
    plate = real_data / "operetta-harmony-384/tests/operetta_plate/Images/r03c03f01p01-ch1sk1fk1fl1.tiff"
    lzw = read_image(UPath(plate))
    assert (lzw.dtype, lzw.shape, int(lzw.min()), int(lzw.max())) == (np.uint16, (1080, 1080), 120, 47088)
