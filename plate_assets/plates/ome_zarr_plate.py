"""An acquisition as an OME-Zarr 0.5 plate (Zarr 3), which viewers and other platforms open.

Belongs here: pixels into arrays, and the whole store or none. Not here: what the metadata says (`ome_zarr_documents`), reading
(`readers.ome_zarr`).

A well is a folder `A/1`, a site the image `<site - 1>` in it: c, z, y, x, one file for each image and level. Images of one site
that differ in size or type cannot share an array: those of another kind than the first channel's lie beside it (`0b`, `0c`).
"""

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from upath import UPath

from plate_assets.plates.acquisition import Acquisition
from plate_assets.plates.image_files import ImageError
from plate_assets.plates.images import full_scale, iter_images
from plate_assets.plates.layout import Well
from plate_assets.plates.listing import local_path
from plate_assets.plates.ome_zarr_documents import (
    colour_of,
    condition_table,
    group,
    image_document,
    missing_image,
    omero_channel,
    plate_document,
    quality_table,
    well_document,
    well_path,
)
from plate_assets.plates.zarr_pixels import OWN
from plate_assets.progress import Progress

SMALLEST_PX = 256  # the last level is at most so large
CHUNK_PX = 1024  # at most; an image that is larger is cut into equal chunks, which share one file

_SAMPLED = 8  # images of each channel that its grey window is taken from
_COLOURS = ("red", "green", "blue")


class ExportError(ValueError):
    """A plate that cannot be written, or not there: the message names the place and the remedy. Nothing is left behind."""


@dataclass(frozen=True)
class WrittenPlate:
    """What was written, and which images were not: each with well, site, channel, plane, file and why."""

    path: Path
    images: int
    missing: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Kind:
    """What images have to share to lie in one array, and their samples: 3 in colour, else 1."""

    height: int
    width: int
    dtype: str
    samples: int

    @classmethod
    def of(cls, image: np.ndarray) -> "Kind":
        return cls(image.shape[0], image.shape[1], str(image.dtype), 3 if image.ndim == 3 else 1)

    @property
    def array(self) -> tuple[int, int, str]:
        return self.height, self.width, self.dtype


def write_ome_zarr(
    acquisition: Acquisition,
    out: UPath | Path | str,
    *,
    quality: pl.DataFrame | None = None,
    platemap: pl.DataFrame | None = None,
    progress: Progress | None = None,
    overwrite: bool = False,
) -> WrittenPlate:
    """Write the acquisition as a plate that holds every pixel as it is, with smaller levels for viewers.

    quality: the IMAGE_QUALITY table, platemap: the PLATE_MAP table; both become tables of the plate. Images that are missing or
    cannot be read are left out and named in the metadata. Memory: one image of each channel and a few decoded ahead; one field
    where a channel has no image that can be read. The store appears whole under its name, or not at all.
    Raises ExportError where `out` is there and not to be overwritten, is no Zarr store, or lies in the acquisition itself;
    where no image can be read, or planes of one channel differ in size or type; where the disk is full.
    """
    target = _target(acquisition, out, overwrite)
    with _whole_or_nothing(target, overwrite) as folder:
        writer = _Writer(acquisition, folder, _windows(acquisition), progress)
        for rows in acquisition.images.partition_by("Metadata_Row", "Metadata_Col", "Metadata_Site", maintain_order=True):
            writer.write_field(rows)
        writer.write_wells()
        tables = {} if platemap is None else {"condition": condition_table(platemap)}
        tables |= {} if quality is None else {"image_quality": quality_table(quality, writer.folders)}
        _write_tables(folder, tables)
    return WrittenPlate(target, writer.written, writer.missing)


def _target(acquisition: Acquisition, out: UPath | Path | str, overwrite: bool) -> Path:
    local = local_path(UPath(out))
    if local is None:
        raise ExportError(f"{out} is on an object store, where nothing can be renamed: write to a local disk and copy it there")
    target, root = Path(os.path.abspath(local)), local_path(acquisition.root)
    refuse_inside(acquisition, target)
    if os.path.lexists(target):
        if root is not None and Path(os.path.realpath(target)) in Path(os.path.realpath(root)).parents:
            raise ExportError(f"{target} holds the acquisition's folder {root}: choose a place beside it")
        if not overwrite:
            raise ExportError(f"{target} is there already: choose another name, or let it be replaced with `overwrite`")
        if target.is_symlink() or not (target / "zarr.json").is_file() and not (target / ".zgroup").is_file():
            raise ExportError(f"{target} is no Zarr store and is not overwritten: remove it yourself, or choose another name")
    return target


def refuse_inside(acquisition: Acquisition, place: Path) -> None:
    """Raise ExportError where a place is the acquisition's own folder or lies in it: an acquisition is never changed."""
    root, real = local_path(acquisition.root), Path(os.path.realpath(place))
    if root is not None and Path(os.path.realpath(root)) in (real, *real.parents):
        raise ExportError(f"{place} lies in the acquisition's folder {root}, which is never changed: choose a place beside it")


@contextmanager
def _whole_or_nothing(target: Path, overwrite: bool) -> Iterator[Path]:
    """A folder beside the target that becomes the target at the end; on any error it is removed."""
    fresh = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.writing")
    old = fresh.with_suffix(".replaced")
    try:
        fresh.mkdir(parents=True)
        yield fresh
        os.sync()  # the files first: after a power cut the name must not be there without them
        if overwrite and target.exists():
            target.rename(old)
        fresh.rename(target)
    except OSError as error:
        raise ExportError(
            f"{target} cannot be written ({error.strerror or error}): look at the disk's space and rights; nothing was left"
        ) from error
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        for rest in (fresh, old):
            shutil.rmtree(rest, ignore_errors=True)


def _windows(acquisition: Acquisition) -> dict[str, tuple[int, int]]:
    """Grey values of each channel that viewers show as black and full, one window for the whole plate: 0.5th to 99.8th
    percentile of a few images."""
    windows = {}
    present = acquisition.images.filter("present")
    for name in present["Metadata_Channel"].unique(maintain_order=True):
        rows = present.filter(pl.col("Metadata_Channel") == name)
        chosen = rows.gather_every(max(1, -(-rows.height // _SAMPLED)))
        found = [image[::4, ::4].ravel() for _, image in iter_images(acquisition, chosen) if not isinstance(image, ImageError)]
        if found:
            low, high = (int(value) for value in np.percentile(np.concatenate(found), (0.5, 99.8)))
            windows[name] = (low, high) if high > low else (low, low + 1)
    return windows


@dataclass
class _Group:
    """The image group of a field's images of one kind: its arrays, and where each channel begins in them."""

    folder: str
    starts: dict[str, int]
    arrays: list[Any]
    shapes: list[tuple[int, int]]


@dataclass
class _Writer:
    """Writes field after field, and at the end what is above them."""

    acquisition: Acquisition
    root: Path
    windows: Mapping[str, tuple[int, int]]
    progress: Progress | None
    written: int = 0
    done: int = 0
    missing: list[dict[str, Any]] = field(default_factory=list)
    folders: dict[tuple[str, int, str], str] = field(default_factory=dict)  # of each well, site and channel
    wells: dict[Well, list[str]] = field(default_factory=dict)
    kinds: dict[str, Kind] = field(default_factory=dict)  # of each channel, as it was seen last

    def __post_init__(self) -> None:
        images = self.acquisition.images
        self.channels = images["Metadata_Channel"].unique(maintain_order=True).to_list()
        self.planes = images["Metadata_Plane"].unique().sort().to_list()
        lights = images.unique("Metadata_Channel", keep="first").iter_rows(named=True)
        self.light = {row["Metadata_Channel"]: (row["excitation_nm"], row["emission_nm"]) for row in lights}

    def write_field(self, rows: pl.DataFrame) -> None:
        """The images of one site. They wait until one of each channel was seen, since only then their arrays are known."""
        unseen = set(rows.filter("present")["Metadata_Channel"])
        waiting: list[tuple[dict[str, Any], np.ndarray]] = []
        seen: dict[str, Kind] = {}
        groups: dict[str, _Group] | None = None
        for row, image in iter_images(self.acquisition, rows.sort("Metadata_Plane", "Metadata_Channel")):
            self.done += 1
            if isinstance(image, ImageError):
                self._leave_out(row, image)
            else:
                channel, kind = row["Metadata_Channel"], Kind.of(image)
                self._check_kind(row, seen.setdefault(channel, kind), kind)
                unseen.discard(channel)
                waiting.append((row, image))
            if not unseen and waiting:
                groups = groups or self._open(rows, seen)
                self._write_all(groups, waiting)
            if self.progress:
                self.progress(self.done, self.acquisition.images.height)
        if waiting:
            self._write_all(groups or self._open(rows, seen), waiting)

    def _leave_out(self, row: Mapping[str, Any], error: ImageError) -> None:
        why = str(error).replace(f"{self.acquisition.root}/", "") if row["present"] else "it was missing from the acquisition"
        self.missing.append(missing_image(row, why))

    def _check_kind(self, row: Mapping[str, Any], first: Kind, kind: Kind) -> None:
        if kind != first:
            raise ExportError(
                f"{self.acquisition.root / row['path']} has {kind.width} × {kind.height} px of {kind.dtype}, {kind.samples} "
                f"samples, and another plane of channel {row['Metadata_Channel']} has {first.width} × {first.height} px of "
                f"{first.dtype}, {first.samples} samples: one channel of a field is one array; look whether a file was "
                "exchanged"
            )

    def _open(self, rows: pl.DataFrame, seen: Mapping[str, Kind]) -> dict[str, _Group]:
        """The arrays of a field. A channel without an image in it has its place as in the field before."""
        self.kinds |= seen
        arrays = list(dict.fromkeys(seen[name].array for name in self.channels if name in seen))
        kinds = {name: seen.get(name) or self.kinds.get(name) or Kind(*arrays[0], 1) for name in self.channels}
        well = Well(rows["Metadata_Row"][0], rows["Metadata_Col"][0])
        groups: dict[str, _Group] = {}
        for number, array in enumerate(arrays):
            mine = [
                name for name in self.channels if kinds[name].array == array or (not number and kinds[name].array not in arrays)
            ]
            samples = {name: kinds[name].samples if kinds[name].array == array else 1 for name in mine}
            folder = f"{rows['Metadata_Site'][0] - 1}" + (chr(ord("a") + number) if number else "")
            opened = self._open_group(well, folder, Kind(*array, 1), samples)
            self._describe(well, opened, rows.filter(pl.col("Metadata_Channel").is_in(mine)), samples)
            self.wells.setdefault(well, []).append(folder)
            groups |= dict.fromkeys(mine, opened)
            self.folders |= {(well.name, rows["Metadata_Site"][0], name): folder for name in mine}
        return groups

    def _open_group(self, well: Well, folder: str, kind: Kind, samples: Mapping[str, int]) -> _Group:
        import zarr
        from zarr.codecs import BloscCodec

        starts = dict(zip(samples, np.cumsum([0, *samples.values()])[:-1].tolist(), strict=True))
        colours = [starts[name] for name, count in samples.items() if count == 3]
        shapes, arrays = [(kind.height, kind.width)], []
        codec = BloscCodec(cname="zstd", clevel=1, shuffle="shuffle" if kind.dtype == "uint16" else "noshuffle")
        while max(shapes[-1]) > SMALLEST_PX:
            shapes.append(((shapes[-1][0] + 1) // 2, (shapes[-1][1] + 1) // 2))
        lead = (sum(samples.values()), len(self.planes))
        for level, shape in enumerate(shapes):
            cuts = [-(-side // CHUNK_PX) for side in shape]
            chunk = [-(-side // cut) for side, cut in zip(shape, cuts, strict=True)]
            shard = (1, 1, *(part * cut for part, cut in zip(chunk, cuts, strict=True)))
            arrays.append(
                zarr.create_array(
                    str(self.root / well_path(well) / folder / str(level)), shape=(*lead, *shape), dtype=kind.dtype,
                    chunks=(1, 1, *chunk), shards=shard if max(cuts) > 1 else None, fill_value=0,
                    compressors=codec,
                    dimension_names=("c", "z", "y", "x"), attributes={OWN: {"rgb_channels": colours}} if colours else None,
                    config={"write_empty_chunks": True},  # else a black image has no file, and looks like a missing one
                )
            )  # fmt: skip
        return _Group(folder, starts, arrays, shapes)

    def _describe(self, well: Well, opened: _Group, rows: pl.DataFrame, samples: Mapping[str, int]) -> None:
        """The image's document. rows: those of the field that lie in this group."""
        top, channels = full_scale(opened.arrays[0].dtype), []
        for name, count in samples.items():
            labels = [name] if count == 1 else [f"{name} {colour}" for colour in _COLOURS]
            for label in labels:
                window = self.windows.get(name, (0, top)) if count == 1 else (0, top)
                window = (min(window[0], top - 1), min(window[1], top))
                colour = colour_of(label, len(channels), self.light[name][1], alone=sum(samples.values()) == 1)
                channels.append(omero_channel(label, colour, window, top, self.light[name]))
        pages = [
            opened.starts[channel] * len(self.planes) + self.planes.index(plane)
            for channel, plane in rows.select("Metadata_Channel", "Metadata_Plane").iter_rows()
        ]
        name = f"{self.acquisition.plate} {well.name} site {rows['Metadata_Site'][0]}"
        document = image_document(name, opened.shapes, rows, pages, channels, self.acquisition.pixel_um)
        _write_json(self.root / well_path(well) / opened.folder / "zarr.json", document)

    def _write_all(self, groups: Mapping[str, _Group], waiting: list[tuple[dict[str, Any], np.ndarray]]) -> None:
        for row, image in waiting:
            mine, plane = groups[row["Metadata_Channel"]], self.planes.index(row["Metadata_Plane"])
            start = mine.starts[row["Metadata_Channel"]]
            for array in mine.arrays:
                for sample, grey in enumerate([image] if image.ndim == 2 else np.moveaxis(image, -1, 0)):
                    array[start + sample, plane] = grey
                if array is not mine.arrays[-1]:
                    image = halved(image)
            self.written += 1
        waiting.clear()

    def write_wells(self) -> None:
        """The documents of rows, wells and plate; ExportError where no image was written."""
        if not self.written:
            first = self.missing[0]["why"] if self.missing else "it names none"
            raise ExportError(f"{self.acquisition.root} has no image that can be read ({first}): there is nothing to export")
        for well, folders in self.wells.items():
            _write_json(self.root / well_path(well) / "zarr.json", well_document(sorted(folders, key=_main_first)))
            _write_json((self.root / well_path(well)).parent / "zarr.json", group())
        most = max(map(len, self.wells.values()))
        _write_json(self.root / "zarr.json", plate_document(self.acquisition, sorted(self.wells), most, self.missing))


def halved(image: np.ndarray) -> np.ndarray:
    """Means of 2 × 2 pixels, rounded, (h, w) or (h, w, 3) of the same type; the last row and column count twice where odd."""
    edge = [(0, side % 2) for side in image.shape[:2]] + [(0, 0)] * (image.ndim - 2)
    even = np.pad(image, edge, mode="edge") if any(odd for _, odd in edge) else image
    total = even[0::2, 0::2].astype(np.uint32)
    for part in (even[1::2, 0::2], even[0::2, 1::2], even[1::2, 1::2]):
        total += part
    return ((total + 2) >> 2).astype(image.dtype)


def _main_first(folder: str) -> tuple[str, int]:
    return folder.lstrip("0123456789"), int(folder.rstrip("abcdefghijklmnopqrstuvwxyz"))


def _write_tables(folder: Path, tables: Mapping[str, tuple[dict[str, Any], pl.DataFrame]]) -> None:
    if not tables:
        return
    _write_json(folder / "tables" / "zarr.json", group({"tables": list(tables)}))
    for name, (document, cells) in tables.items():
        _write_json(folder / "tables" / name / "zarr.json", document)
        cells.write_csv(folder / "tables" / name / "table.csv")


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace") + b"\n")
