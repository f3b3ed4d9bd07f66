"""OME-XML as plain tables: plates, wells, images, channels, which file holds which plane, where and when each was taken.

Belongs here: what the OME schema (2010 to 2016) says, whoever wrote it: ScanR's `metadata.ome.xml`, the companion file or the
first tag of OME-TIFF. Not here: files, folders, wells by any other name (a reader each), pixels.

`read_ome` walks `vendor_xml.elements` once and keeps no element. Indexes count from 0, as OME does; lengths are µm. What may
be absent and is, or is no number, is None; an index or a size that is no whole number is an AcquisitionError. Annotations are
passed over. `page_table` spreads the TiffData over planes, as the schema and its defaults want it; `plane_table` has places
and times.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import polars as pl

from plate_assets.plates.acquisition import AcquisitionError, Objective
from plate_assets.plates.readers.reader import instant, number_or_none

MAX_PAGES = 2_000_000
_MAX_INDEX = 10**9
_UM = {
    "m": 1e6, "dm": 1e5, "cm": 1e4, "mm": 1e3, "µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "nm": 1e-3, "Å": 1e-4,
    "pm": 1e-6, "in": 25400.0,
}  # fmt: skip
_SECONDS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0, "d": 86400.0}


class OmeChannel(NamedTuple):
    """One channel of an image; `samples` is 3 where one plane holds red, green and blue."""

    id: str
    name: str | None
    excitation_nm: float | None
    emission_nm: float | None
    samples: int


class TiffData(NamedTuple):
    """`planes` pages of a file, from page `ifd` on, hold the planes from `z`, `c`, `t` on, in the image's dimension order.

    file: None where the TIFF that holds the XML is meant. ifd and planes are None where the XML leaves them to the schema.
    """

    file: str | None
    uuid: str | None
    ifd: int | None
    planes: int | None
    z: int
    c: int
    t: int


class OmePlane(NamedTuple):
    """Where and when one plane was taken: stage place in µm (y as the vendor has it), seconds since the image's date."""

    z: int
    c: int
    t: int
    x_um: float | None
    y_um: float | None
    z_um: float | None
    delta_s: float | None


@dataclass
class OmeImage:
    """One image: up to five dimensions, spread over pages of files."""

    id: str
    name: str | None = None
    acquired_at: datetime | None = None
    pixel_um: float | None = None  # width of a pixel
    pixel_height_um: float | None = None
    step_um: float | None = None  # from plane to plane
    size_x: int = 0
    size_y: int = 0
    size_z: int = 1
    size_c: int = 1
    size_t: int = 1
    dimension_order: str = "XYZCT"
    channels: list[OmeChannel] = field(default_factory=list)
    tiff_data: list[TiffData] = field(default_factory=list)
    planes: list[OmePlane] = field(default_factory=list)
    objective_id: str | None = None
    objective: Objective | None = None
    metadata_only: bool = False

    @property
    def plane_count(self) -> int:
        """How many planes the sizes make, whether a TiffData names them or not."""
        return math.prod(_sizes(self).values())


class OmeWell(NamedTuple):
    """A well of a plate, row and column from 0."""

    row: int
    col: int
    samples: list["WellSample"]


class WellSample(NamedTuple):
    """One image of a well: `index` is its site where it is given; place in µm as the vendor has it."""

    image_id: str | None
    index: int | None
    x_um: float | None
    y_um: float | None
    timepoint: str | None


@dataclass
class OmePlate:
    """A plate with its wells."""

    id: str
    name: str | None = None
    rows: int | None = None
    cols: int | None = None
    wells: list[OmeWell] = field(default_factory=list)
    started_at: datetime | None = None  # of its first PlateAcquisition
    ended_at: datetime | None = None
    acquisitions: int = 0


@dataclass
class Ome:
    """All that one file of OME-XML says."""

    plates: list[OmePlate] = field(default_factory=list)
    images: list[OmeImage] = field(default_factory=list)
    objectives: dict[str, Objective] = field(default_factory=dict)  # those whose magnification is known, by id
    about: dict[str, str] = field(default_factory=dict)  # Creator, Microscope
    uuid: str | None = None
    metadata_file: str | None = None  # `BinaryOnly`: another file has the metadata


def read_ome(elements: Iterable[tuple[str, str, Any]], where: object = "the OME-XML", bare_um: float | None = None) -> Ome:
    """One pass over the elements of `vendor_xml.elements`.

    where: the file, for errors. bare_um: what a stage position without a unit counts in, µm; to the schema it is a reference
    frame of the vendor's own, and then None. Raises AcquisitionError where an index is no whole number or an id comes twice.
    """
    walk = _Walk(where, bare_um)
    open_elements: list[Any] = []
    skipping = 0
    for event, tag, element in elements:
        if event == "start":
            open_elements.append(element)
            if tag == "StructuredAnnotations" or skipping:
                skipping += 1
            else:
                walk.begin(tag, element)
            continue
        open_elements.pop()
        if skipping:
            skipping -= 1
        else:
            walk.end(tag, element)
        if open_elements:
            del open_elements[-1][:]  # a file of a million planes must not stay in memory
    return walk.done()


class _Walk:
    """What is open while the elements go by."""

    def __init__(self, where: object, bare_um: float | None) -> None:
        self.where, self.bare_um = where, bare_um
        self.ome = Ome()
        self.plate: OmePlate | None = None
        self.well: OmeWell | None = None
        self.image: OmeImage | None = None
        self.in_tiff_data = False

    def begin(self, tag: str, element: Any) -> None:
        get = element.get
        image = self.image
        if tag == "Plane" and image:
            x, y, z = (_length(element, f"Position{axis}", self.bare_um) for axis in "XYZ")
            at_z, at_c, at_t = (self._index(element, name, 0) for name in ("TheZ", "TheC", "TheT"))
            image.planes.append(OmePlane(at_z, at_c, at_t, x, y, z, _scaled(element, "DeltaT", _SECONDS, 1.0)))
        elif tag == "TiffData" and image:
            z, c, t = (self._index(element, name, 0) for name in ("FirstZ", "FirstC", "FirstT"))
            ifd, planes = (self._index(element, name, None) for name in ("IFD", "PlaneCount"))
            image.tiff_data.append(TiffData(None, None, ifd, planes, z, c, t))
            self.in_tiff_data = True
        elif tag == "UUID" and image and self.in_tiff_data:
            image.tiff_data[-1] = image.tiff_data[-1]._replace(file=get("FileName"))
        elif tag == "Channel" and image:
            excitation, emission = (_scaled(element, f"{side}Wavelength", _UM, 1e-3) for side in ("Excitation", "Emission"))
            seen, shone = (value * 1000 if value and value > 0 else None for value in (emission, excitation))
            samples = self._index(element, "SamplesPerPixel", 1) or 1
            image.channels.append(OmeChannel(get("ID", ""), (get("Name") or "").strip() or None, shone, seen, samples))
        elif tag == "Pixels" and image:
            self._pixels(element, image)
        elif tag in ("ObjectiveSettings", "ObjectiveRef") and image:
            image.objective_id = get("ID")
        elif tag == "MetadataOnly" and image:
            image.metadata_only = True
        elif tag == "Image":
            self.image = OmeImage(get("ID") or f"Image:{len(self.ome.images)}", get("Name") or None)
        else:
            self._plate_or_instrument(tag, element)

    def _pixels(self, element: Any, image: OmeImage) -> None:
        image.pixel_um, image.pixel_height_um, image.step_um = (_length(element, f"PhysicalSize{a}", 1.0) for a in "XYZ")
        image.size_x, image.size_y = (self._index(element, name, 0) for name in ("SizeX", "SizeY"))
        image.size_z, image.size_c, image.size_t = (self._index(element, name, 1) for name in ("SizeZ", "SizeC", "SizeT"))
        order = element.get("DimensionOrder", "XYZCT")
        if sorted(order) != sorted("XYZCT") or not order.startswith("XY"):
            raise AcquisitionError(
                f"{self.where}: image {image.id[:80]!r} has the DimensionOrder {order[:40]!r}, and it must be XY and the "
                "letters ZCT in some order: export it again"
            )
        image.dimension_order = order

    def _plate_or_instrument(self, tag: str, element: Any) -> None:
        get = element.get
        if tag == "Plate":
            rows, cols = (self._index(element, name, None) for name in ("Rows", "Columns"))
            self.plate = OmePlate(get("ID", ""), get("Name") or None, rows, cols)
        elif tag == "Well" and self.plate:
            self.well = OmeWell(self._index(element, "Row", None, True), self._index(element, "Column", None, True), [])
        elif tag == "WellSample" and self.well:
            x, y = (_length(element, f"Position{axis}", self.bare_um) for axis in "XY")
            self.well.samples.append(WellSample(None, self._index(element, "Index", None), x, y, get("Timepoint")))
        elif tag == "ImageRef" and self.well and self.well.samples:
            self.well.samples[-1] = self.well.samples[-1]._replace(image_id=get("ID"))
        elif tag == "PlateAcquisition" and self.plate:
            self.plate.acquisitions += 1
            self.plate.started_at = self.plate.started_at or instant(get("StartTime"))
            self.plate.ended_at = instant(get("EndTime")) or self.plate.ended_at
        elif tag == "Objective":
            power = number_or_none(get("CalibratedMagnification")) or number_or_none(get("NominalMagnification"))
            if power and power > 0:
                self.ome.objectives[get("ID", "")] = Objective(power, number_or_none(get("LensNA")) or None)
        elif tag == "Microscope":
            self.ome.about["Microscope"] = " ".join(filter(None, (get("Manufacturer"), get("Model"))))
        elif tag == "BinaryOnly":
            self.ome.metadata_file = get("MetadataFile")
        elif tag == "OME":
            self.ome.uuid = get("UUID")
            self.ome.about |= {"Creator": get("Creator")} if get("Creator") else {}

    def end(self, tag: str, element: Any) -> None:
        if tag == "Image" and self.image:
            self.ome.images.append(self.image)
            self.image = None
        elif tag in ("AcquisitionDate", "AcquiredDate", "CreationDate") and self.image:
            self.image.acquired_at = instant(element.text)
        elif tag == "UUID" and self.image and self.in_tiff_data:
            self.image.tiff_data[-1] = self.image.tiff_data[-1]._replace(uuid=(element.text or "").strip() or None)
        elif tag == "TiffData":
            self.in_tiff_data = False
        elif tag == "Well" and self.plate and self.well:
            self.plate.wells.append(self.well)
            self.well = None
        elif tag == "Plate" and self.plate:
            self.ome.plates.append(self.plate)
            self.plate = None

    def done(self) -> Ome:
        seen = set()
        for image in self.ome.images:
            if image.id in seen:
                raise AcquisitionError(f"{self.where} has two images with the ID {image.id[:80]!r}: export it again")
            seen.add(image.id)
            image.objective = self.ome.objectives.get(image.objective_id or "")
        return self.ome

    def _index(self, element: Any, name: str, absent: int | None, needed: bool = False) -> Any:
        """The whole number of an attribute, or `absent` where it is not there."""
        text = element.get(name)
        if text is None and not needed:
            return absent
        value = int(text) if text and text.strip().isdecimal() and len(text) < 12 else -1
        if not 0 <= value <= _MAX_INDEX:
            place = f" of image {self.image.id[:80]!r}" if self.image else ""
            raise AcquisitionError(
                f"{self.where}: {element.tag.rpartition('}')[2]}{place} has {name}={(text or '')[:60]!r}, which is no whole "
                "number from 0: export it again"
            )
        return value


def page_table(images: Sequence[OmeImage], where: object = "the OME-XML") -> pl.DataFrame:
    """One row for each plane that a TiffData places: `image` (index into `images`), `z`, `c`, `t` from 0, `file`, `uuid`,
    `ifd` (page of the file, from 0).

    By the schema: a TiffData without IFD begins at page 0; without PlaneCount it is one plane where it names an IFD, else all
    pages of its file, which are taken to reach up to the next TiffData's first plane. A single plane outside of the image's
    own sizes is given as it stands, for real software writes them (SizeT 5 and six time points). Raises AcquisitionError
    where several planes of one TiffData do not fit into the image, and for more than MAX_PAGES planes.
    """
    rows: list[tuple[Any, ...]] = []
    for number, image in enumerate(images):
        starts = sorted({_start(image, data) for data in image.tiff_data})
        for data in image.tiff_data:
            count = _count(image, data, starts)
            if count > MAX_PAGES or len(rows) + count > MAX_PAGES:
                raise AcquisitionError(f"{where} names more than {MAX_PAGES:,} planes: export fewer images at a time")
            if count == 1:
                rows.append((number, data.z, data.c, data.t, data.file, data.uuid, data.ifd or 0))
                continue
            if (end := _start(image, data) + count) > image.plane_count:
                raise AcquisitionError(
                    f"{where}: {count} planes of image {image.id[:80]!r} from z {data.z}, c {data.c}, t {data.t} on would end "
                    f"at plane {end}, and the image has {image.size_z}×{image.size_c}×{image.size_t}: export it again"
                )
            places = _places(image, data, count)
            rows.extend((number, *place, data.file, data.uuid, (data.ifd or 0) + step) for step, place in enumerate(places))
    schema = {**dict.fromkeys(("image", "z", "c", "t"), pl.Int64), "file": pl.String, "uuid": pl.String, "ifd": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _sizes(image: OmeImage) -> dict[str, int]:
    """Planes along each axis, at least 1: channels that share one plane (red, green, blue) count once."""
    samples = image.channels[0].samples if image.channels else 1
    return {"Z": max(1, image.size_z), "C": max(1, image.size_c // samples), "T": max(1, image.size_t)}


def _start(image: OmeImage, data: TiffData) -> int:
    """The running number of the first plane, in the image's dimension order."""
    sizes, first = _sizes(image), {"Z": data.z, "C": data.c, "T": data.t}
    a, b, c = image.dimension_order[2:]
    return first[a] + sizes[a] * (first[b] + sizes[b] * first[c])


def _count(image: OmeImage, data: TiffData, starts: list[int]) -> int:
    """How many planes a TiffData holds; starts: first planes of all TiffData of the image, ascending."""
    if data.planes is not None:
        return data.planes
    if data.ifd is not None:
        return 1
    start = _start(image, data)
    after = bisect_right(starts, start)
    end = starts[after] if after < len(starts) else image.plane_count
    return max(1, end - start)


def _places(image: OmeImage, data: TiffData, count: int) -> Iterator[tuple[int, int, int]]:
    """(z, c, t) of `count` planes from the first on."""
    sizes = _sizes(image)
    a, b, c = image.dimension_order[2:]
    for at in range(start := _start(image, data), start + count):
        place = {a: at % sizes[a], b: at // sizes[a] % sizes[b], c: at // (sizes[a] * sizes[b])}
        yield place["Z"], place["C"], place["T"]


def plane_table(images: Sequence[OmeImage]) -> pl.DataFrame:
    """One row for each Plane that is given: `image` (index into `images`), `z`, `c`, `t`, `x_um`, `y_um`, `z_um`, `delta_s`.

    Only the first of a doubled plane counts.
    """
    rows = [(number, *plane) for number, image in enumerate(images) for plane in image.planes]
    whole, real = dict.fromkeys(("image", "z", "c", "t"), pl.Int64), ("x_um", "y_um", "z_um", "delta_s")
    found = pl.DataFrame(rows, schema={**whole, **dict.fromkeys(real, pl.Float64)}, orient="row")
    return found.unique(["image", "z", "c", "t"], keep="first", maintain_order=True)


def _length(element: Any, name: str, bare_um: float | None) -> float | None:
    return _scaled(element, name, _UM, bare_um)


def _scaled(element: Any, name: str, units: dict[str, float], bare: float | None) -> float | None:
    """A number in the unit that stands beside it (`PositionX` in `PositionXUnit`), `bare` where none does."""
    value, unit = number_or_none(element.get(name)), element.get(f"{name}Unit")
    scale = bare if unit is None else units.get(unit)
    return value * scale if value is not None and scale is not None else None
