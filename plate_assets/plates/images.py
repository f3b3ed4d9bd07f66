"""Pixels: TIFF, PNG, JPEG and Zarr into arrays, checked before memory is taken, decoded ahead of whoever computes.

Belongs here: decoding. Not here: limits and errors (`image_files`), which image is which (`readers`), what is good about it
(`quality`), what a Zarr array's document says (`zarr_pixels`).
"""

import io
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO, TypeVar

import numpy as np
import polars as pl
from upath import UPath

from plate_assets.plates.acquisition import Acquisition
from plate_assets.plates.image_files import MAX_BYTES, AboutFile, ImageError, check_size
from plate_assets.plates.listing import local_path
from plate_assets.plates.zarr_pixels import describe_array, plane_of

T = TypeVar("T")

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_ZARR = (".zarray", "zarr.json")  # the document of an array, whose pixels lie in files beside it
_UM = {"m": 1e6, "mm": 1e3, "cm": 1e4, "nm": 1e-3, "micron": 1.0, "um": 1.0, "µm": 1.0, "μm": 1.0, "\\u00B5m": 1.0}


def read_image(path: UPath, page: int = 0) -> np.ndarray:
    """Decode one page of a file: (h, w) or (h, w, 3), uint8 or uint16. Alpha is dropped, grey palettes become grey.

    The size is checked against MAX_SIDE_PX and MAX_BYTES before memory is taken. Raises ImageError for a file that is gone,
    empty, cut off, of another kind, or whose pixels are no unsigned 8- or 16-bit numbers.
    """
    return _with_file(path, lambda file, kind: _check_pixels(path, _DECODERS[kind](file, path, page)))


def describe_file(path: UPath) -> AboutFile:
    """Shape, type, pages and pixel size (µm, where the file says a plausible one), without decoding. Raises ImageError."""
    return _with_file(path, lambda file, kind: _DESCRIBERS.get(kind, _describe_picture)(file, path))


def to_grey(image: np.ndarray) -> np.ndarray:
    """(h, w) or (h, w, 3) to (h, w) of the same type: luma weights 0.299, 0.587, 0.114 (ITU-R BT.601)."""
    if image.ndim == 2:
        return image
    weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return np.rint(image.astype(np.float32) @ weights).astype(image.dtype)


def binned(image: np.ndarray, factor: int) -> np.ndarray:
    """Means over blocks of factor × factor pixels of (h, w), float32; what does not fill a block is left out.

    By sums of every so-manieth row, then column: several times as fast as a sum over blocks.
    """
    if factor == 1:
        return image.astype(np.float32)
    rows, cols = (size - size % factor for size in image.shape)
    lines = image[:rows:factor].astype(np.float32)
    for shift in range(1, factor):
        lines += image[shift:rows:factor]
    blocks = lines[:, :cols:factor].copy()
    for shift in range(1, factor):
        blocks += lines[:, shift:cols:factor]
    blocks /= np.float32(factor**2)
    return blocks


def full_scale(dtype: np.dtype | type) -> int:
    """The largest value of the type: 255 or 65535."""
    return int(np.iinfo(dtype).max)


def iter_images(
    acquisition: Acquisition, rows: pl.DataFrame, ahead: int = 4
) -> Iterator[tuple[dict[str, Any], np.ndarray | ImageError]]:
    """Each row of `rows` (of `acquisition.images`) with its image, in order, or with the ImageError that stands in for it.

    `ahead` images are decoded in threads while the caller computes; never more than that wait in memory.
    """
    return map_images(acquisition, rows, lambda image: image, ahead)


def map_images(
    acquisition: Acquisition, rows: pl.DataFrame, work: Callable[[np.ndarray], T], ahead: int = 4
) -> Iterator[tuple[dict[str, Any], T | ImageError]]:
    """As `iter_images`, with what `work` makes of each image: filters release the interpreter, so threads share the work."""

    def load(row: dict[str, Any]) -> T | ImageError:
        if not row["present"]:
            return ImageError(f"{acquisition.root / row['path']} is missing: the metadata names it and it is not there")
        try:
            image = read_image(acquisition.root / row["path"], row["page"])
        except ImageError as error:
            return error
        return work(image)

    return map_ahead(rows, load, ahead)


def map_ahead(rows: pl.DataFrame, load: Callable[[dict[str, Any]], T], ahead: int = 4) -> Iterator[tuple[dict[str, Any], T]]:
    """Each row with what `load` makes of it, in order, `ahead` of them at work in threads; never more wait in memory."""
    pool = ThreadPoolExecutor(max_workers=max(1, min(ahead, 4)), thread_name_prefix="decode")
    waiting: deque[tuple[dict[str, Any], Future[T]]] = deque()
    try:
        for row in rows.iter_rows(named=True):
            waiting.append((row, pool.submit(load, row)))
            if len(waiting) > max(1, ahead):
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _with_file(path: UPath, use: Any) -> Any:
    try:
        local = local_path(path)
        with open(local, "rb") if local is not None else io.BytesIO(_small_enough(path)) as file:
            start = file.read(8)
            file.seek(0)
            return use(file, _kind(path, start))
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{path} is gone since the folder was listed: look whether it was moved, and ingest again") from error
    except MemoryError as error:
        raise ImageError(f"{path} needs more memory than there is: crop it, or use a machine with more") from error
    except Exception as error:  # the decoders raise whatever their C libraries say
        raise ImageError(
            f"{path} cannot be decoded ({type(error).__name__}: {error}): copy it from the microscope again"
        ) from error


def _small_enough(path: UPath) -> bytes:
    size = int(path.stat().st_size)
    if size > MAX_BYTES:
        raise ImageError(f"{path} has {size:,} bytes, and {MAX_BYTES:,} is the limit: export one image for each file")
    return path.read_bytes()


def _kind(path: UPath, start: bytes) -> str:
    if path.name in _ZARR:
        return "zarr"
    if not start:
        raise ImageError(f"{path} has zero bytes: copy it from the microscope again")
    if start[:4] in _TIFF:
        return "tiff"
    if start == _PNG:
        return "png"
    if start[:3] == _JPEG:
        return "jpeg"
    raise ImageError(f"{path} is no TIFF, PNG or JPEG, whatever its name says: export it in one of these formats")


def _check_pixels(path: UPath, image: np.ndarray) -> np.ndarray:
    if image.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"{path} holds {image.dtype} pixels, and unsigned 8- or 16-bit ones are needed: export it as 8- or 16-bit"
        )
    if image.ndim == 3 and image.shape[2] in (1, 2):
        image = image[..., 0]
    elif image.ndim == 3 and image.shape[2] >= 4:
        image = image[..., :3]
    if image.ndim not in (2, 3):
        raise ImageError(
            f"{path} holds an array of shape {image.shape}, and one image is needed: export one image for each page"
        )
    return np.ascontiguousarray(image, dtype=np.uint8 if image.dtype == np.uint8 else np.uint16)


def _decode_tiff(file: BinaryIO, path: UPath, number: int) -> np.ndarray:
    import tifffile

    with tifffile.TiffFile(file) as tiff:
        try:
            page: Any = tiff.pages[number]
        except IndexError as error:
            raise ImageError(
                f"{path} has no page {number + 1}: look whether it was cut off, or give one file for each image"
            ) from error
        _check_tiff_page(path, page, tiff.filehandle.size)
        image = page.asarray()
        if page.planarconfig == 2 and page.samplesperpixel > 1:
            image = np.moveaxis(image, 0, -1)
        if page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None:
            return _through_palette(image, page.colormap)
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and image.dtype in (np.uint8, np.uint16):
            return full_scale(image.dtype) - image
        if page.photometric not in (0, 1, 2, 6):
            raise ImageError(
                f"{path} has the colours {page.photometric!s}, and grey or RGB is needed: export it as grey or RGB"
            )
        return image


def _check_tiff_page(path: UPath, page: Any, file_size: int) -> None:
    if page.dtype is None or page.imagedepth != 1:
        raise ImageError(f"{path} holds pixels of {page.bitspersample} bits that cannot be read: export it as 8- or 16-bit")
    check_size(path, page.imagelength, page.imagewidth, page.samplesperpixel, page.dtype.itemsize)
    ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)]
    if not ends or min(page.databytecounts) == 0 or max(ends) > file_size:
        raise ImageError(
            f"{path} is cut off: it has {file_size:,} bytes, and its header names {max(ends, default=0):,}; copy it again"
        )


def _through_palette(image: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Grey palettes (a ramp) to grey, others to RGB; uint8, since the index has 8 bits at most in practice."""
    if palette.max() > 255:
        palette = palette >> 8
    palette = palette.astype(np.uint8)
    if (palette[0] == palette[1]).all() and (palette[0] == palette[2]).all():
        return palette[0][image]
    return palette.T[image]


def _describe_tiff(file: BinaryIO, path: UPath) -> AboutFile:
    import tifffile

    with tifffile.TiffFile(file) as tiff:
        series, page = tiff.series[0], tiff.pages[0]
        return AboutFile(tuple(page.shape), str(page.dtype), _pages(series), _tiff_pixel_um(tiff))


def _pages(series: Any) -> tuple[tuple[int, int], ...]:
    """Plane and channel of each page of a series, by its axes: C is the channel, everything else before the image a plane."""
    count = len(series.pages)
    shape, axes = series.shape, series.axes
    lead = [(axis, size) for axis, size in zip(axes, shape, strict=False) if axis not in "YXS"]
    if count <= 1 or int(np.prod([size for _, size in lead])) != count:
        return tuple((number, 0) for number in range(max(1, count)))
    places = np.indices([size for _, size in lead]).reshape(len(lead), -1)
    channels = [place for (axis, _), place in zip(lead, places, strict=True) if axis == "C"]
    planes = [(size, place) for (axis, size), place in zip(lead, places, strict=True) if axis != "C"]
    plane = np.zeros(count, dtype=int)
    for size, place in planes:
        plane = plane * size + place
    channel = channels[0] if channels else np.zeros(count, dtype=int)
    return tuple(zip(plane.tolist(), channel.tolist(), strict=True))


def _tiff_pixel_um(tiff: Any) -> float | None:
    """From OME-XML, ImageJ or the resolution tag in cm; inches are a printer's resolution and tell nothing."""
    page = tiff.pages[0]
    resolution = page.tags.get("XResolution")
    per_unit = resolution.value[0] / resolution.value[1] if resolution is not None and resolution.value[1] else 0.0
    size = None
    if tiff.is_ome:
        from defusedxml.ElementTree import fromstring

        pixels = next((e for e in fromstring(tiff.ome_metadata).iter() if e.tag.endswith("}Pixels")), None)
        given = pixels.get("PhysicalSizeX") if pixels is not None else None
        if pixels is not None and given:
            size = float(given) * _UM.get(pixels.get("PhysicalSizeXUnit", "µm"), 0)
    elif tiff.is_imagej and per_unit:
        size = _UM.get(str((tiff.imagej_metadata or {}).get("unit", "")), 0) / per_unit
    elif per_unit and page.tags.get("ResolutionUnit") is not None and page.tags["ResolutionUnit"].value == 3:
        size = 1e4 / per_unit
    return size if size and 0.01 <= size <= 50 else None


def _describe_picture(file: BinaryIO, path: UPath) -> AboutFile:
    from PIL import Image

    with Image.open(file) as picture:
        samples = len(picture.getbands())
        shape = (picture.height, picture.width, samples) if samples > 1 else (picture.height, picture.width)
        return AboutFile(shape, "uint16" if picture.mode.startswith("I;16") else "uint8", ((0, 0),), None)


def _decode_png(file: BinaryIO, path: UPath, page: int) -> np.ndarray:
    header = file.read(33)
    file.seek(0)
    if len(header) < 33:
        raise ImageError(f"{path} is cut off: copy it again")
    width, height = int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")
    bits, colour = header[24], header[25]
    check_size(path, height, width, 4 if colour in (2, 3, 6) else 1, 2 if bits == 16 else 1)
    if bits == 16 and colour != 0:  # Pillow would make 8 bits of it
        import imagecodecs

        return imagecodecs.png_decode(file.read())
    return _decode_picture(file, path, page)


def _decode_picture(file: BinaryIO, path: UPath, page: int) -> np.ndarray:
    from PIL import Image

    if page:
        raise ImageError(f"{path} has no page {page + 1}: PNG and JPEG hold one image")
    with Image.open(file) as picture:
        check_size(path, picture.height, picture.width, len(picture.getbands()), 2 if picture.mode.startswith("I") else 1)
        if picture.mode not in ("L", "LA", "RGB", "RGBA", "P", "I;16", "I;16B", "I;16L"):
            raise ImageError(f"{path} has the colours {picture.mode}, and grey or RGB of 8 or 16 bits is needed: export it so")
        return np.asarray(picture.convert("RGB") if picture.mode == "P" else picture)


def _decode_zarr(file: BinaryIO, path: UPath, page: int) -> np.ndarray:
    plane = plane_of(file, path, page)
    height, width = plane.array.shape[-2:]
    check_size(path, height, width, plane.samples, np.dtype(plane.array.dtype).itemsize)
    return plane.decode()


_DECODERS = {"tiff": _decode_tiff, "png": _decode_png, "jpeg": _decode_picture, "zarr": _decode_zarr}
_DESCRIBERS = {"tiff": _describe_tiff, "zarr": describe_array}
