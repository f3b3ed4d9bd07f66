"""Operetta and Opera Phenix: the export of Harmony with its `Index.idx.xml` (or `Index.xml`), schemas V4 to V7.

Belongs here: what the index says. Not here: pixels. The index names every image, so it also tells when one is missing.
"""

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import polars as pl

from plate_assets.plates.acquisition import LISTED, Acquisition, AcquisitionError, Objective
from plate_assets.plates.listing import Listing
from plate_assets.plates.readers.identity import identify
from plate_assets.plates.readers.options import ReadOptions
from plate_assets.plates.readers.reader import (
    SeveralTimepoints,
    build_acquisition,
    check_paths,
    instant,
    number_or_none,
    read_start,
)
from plate_assets.plates.readers.vendor_xml import walk

INDEX_NAMES = ("index.idx.xml", "index.xml")
_NAMESPACE = b"perkinelmer.com/PEHH/HarmonyV"
_REVVITY = b"/PEHH/HarmonyV"
_UM = {"m": 1e6, "mm": 1e3, "µm": 1.0, "um": 1.0}
_ABOUT = (
    "User", "InstrumentType", "PlateID", "Name", "MeasurementID", "MeasurementStartTime", "PlateTypeName",
    "AcquisitionType", "BinningX",
)  # fmt: skip


# What is kept of every image; what else it says is kept of the first one.
_KEPT = (
    "id", "URL", "Row", "Col", "FieldID", "PlaneID", "TimepointID", "ChannelID", "ChannelName", "PositionX", "PositionY",
    "PositionZ", "AbsTime", "MainExcitationWavelength", "MainEmissionWavelength",
)  # fmt: skip
_ROWS = 20_000


@dataclass
class _Index:
    """What one walk through the index collects; it is the walk's target. An index can be larger than memory likes, so images
    become columns every few thousand rows."""

    about: dict[str, str] = field(default_factory=dict)  # first value of each plain element of plate and image
    channels: dict[str, dict[str, str]] = field(default_factory=dict)  # V6 and later keep the channel's own values apart
    first: dict[str, str] = field(default_factory=dict)  # the first image, with all that it says
    flatfields: dict[str, str] = field(default_factory=dict)
    plates: int = 0
    _names: dict[str, str] = field(default_factory=dict)
    _inside: list[str] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)
    _open: dict[str, str] | None = None  # the children of the image, plate or entry that is being read
    _channel: str = ""
    _rows: list[dict[str, str]] = field(default_factory=list)
    _blocks: list[pl.DataFrame] = field(default_factory=list)

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Of a vendor's element: a record begins, or a value of one with its unit."""
        name = self._names.get(tag) or self._names.setdefault(tag, tag.rpartition("}")[2])
        parent = self._inside[-1] if self._inside else ""
        self._inside.append(name)
        self._text.clear()
        if name == "Entry":
            self._open, self._channel = {}, attributes.get("ChannelID", self._channel)
        elif (name, parent) in (("Image", "Images"), ("Plate", "Plates")):
            self._open = {}
        elif attributes and self._open is not None and name.startswith(("ImageResolution", "Position")):
            self._open[name + " unit"] = attributes.get("Unit", "m")

    def data(self, text: str) -> None:
        """A piece of a value."""
        self._text.append(text)

    def end(self, tag: str) -> None:
        """A value or a record is complete."""
        name, parent = self._inside.pop(), self._inside[-1] if self._inside else ""
        text = "".join(self._text).strip()
        self._text.clear()
        if parent in ("Image", "Plate", "Entry") and self._open is not None:
            self._open[name] = text
        elif self._open is not None and name in ("Image", "Plate", "Entry"):
            self._keep(name, self._open)
            self._open = None
        elif parent == "EvaluationInputData" and text:
            self.about[name] = text

    def _keep(self, kind: str, record: dict[str, str]) -> None:
        if kind == "Plate":
            self.plates += 1
            self.about |= {key: value for key, value in record.items() if value}
        elif kind == "Entry":
            if profile := record.pop("FlatfieldProfile", ""):
                self.flatfields[self._channel] = profile
            self.channels.setdefault(self._channel, {}).update(record)
        else:
            self.first = self.first or record
            self._rows.append(record)
            if len(self._rows) == _ROWS:
                self._flush()

    def _flush(self) -> None:
        columns = {name: [row.get(name) for row in self._rows] for name in _KEPT}
        self._blocks.append(pl.DataFrame(columns, schema=dict.fromkeys(_KEPT, pl.String)))
        self._rows.clear()

    def images(self) -> pl.DataFrame:
        """One row for each image, all text."""
        self._flush()
        self._blocks = [pl.concat(self._blocks)]
        return self._blocks[0]


@dataclass(frozen=True)
class OperettaReader:
    """Reads the folder that holds the index, or any folder above it that holds just one."""

    name: str = "operetta"
    complete_when: str = "every image that `Index.idx.xml` names is there"

    def recognises(self, listing: Listing) -> bool:
        """Whether a file is called as Harmony's index and begins as one (or is still too short to tell)."""
        return bool(_indexes(listing))

    def read(self, listing: Listing, options: ReadOptions) -> Acquisition:
        """The acquisition as the index has it; images that it names and the folder lacks have `present` False."""
        indexes = _indexes(listing)
        if len(indexes) > 1:
            raise AcquisitionError(
                f"{listing.root} holds {len(indexes)} measurements ({indexes[0]}, {indexes[1]}): name the folder of one of them"
            )
        where = listing.path_of(indexes[0])
        index = _Index()
        walk(where, index)
        images = index.images()
        if images.is_empty():
            raise AcquisitionError(f"{where} names no image: export the measurement again with its images")
        if index.plates > 1:
            raise AcquisitionError(f"{where} names {index.plates} plates, and an acquisition is one: export them one by one")
        visit, time = _one_visit(str(where), index, images, options)
        identity = identify(_folder_name(listing), options, index.about.get("PlateID") or index.about.get("Name"), time)
        check_paths(listing, images["URL"].drop_nulls())
        names = _channel_names(index, images)
        folder = PurePosixPath(indexes[0]).parent
        found = _images_table(where, index, visit, folder, names)
        gone = found.height - found["path"].is_in(listing.paths.implode()).sum()
        about = index.channels.get(visit["ChannelID"][0] or "", {}) | index.first
        return build_acquisition(
            listing, self.name, identity, found, options,
            complete=not gone,
            completeness=f"{LISTED}: {found.height - gone} of {found.height} images of {indexes[0]} are there",
            shape=_shape(index), pixel_um=_pixel_um(about), documents=indexes,
            belongs=_below(folder, images["URL"].drop_nulls()).to_list(),
            objective=_objective({**index.about, **about}),
            started_at=instant(index.about.get("MeasurementStartTime") or about.get("AbsTime")),
            metadata={key: {**about, **index.about}.get(key) for key in _ABOUT}
            | {"AbsTime": about.get("AbsTime")},
            flatfields={names.get(channel, channel): text for channel, text in index.flatfields.items()},
        )  # fmt: skip


def _indexes(listing: Listing) -> list[str]:
    named = listing.named(*INDEX_NAMES)
    return [path for path in named if path.lower().endswith("idx.xml") or _is_harmony(listing, path)]


def _is_harmony(listing: Listing, path: str) -> bool:
    start = read_start(listing, path, 2048)
    return _NAMESPACE in start or _REVVITY in start


def _one_visit(where: str, index: _Index, images: pl.DataFrame, options: ReadOptions) -> tuple[pl.DataFrame, str | None]:
    """The images of one time point and its name: when the measurement began, with the time point's number where there are
    several."""
    start = index.about.get("MeasurementStartTime") or index.first.get("AbsTime", "")
    stamp = start[:19].replace("-", "").replace(":", "") if len(start) >= 19 else None
    number = pl.col("TimepointID").fill_null("0")
    numbers = sorted(images.select(number).to_series().unique(), key=lambda text: (len(text), text))
    if len(numbers) == 1:
        return images, stamp
    names = {f"{stamp or 'measurement'}-T{text}": text for text in numbers}
    if options.timepoint not in names:
        raise SeveralTimepoints(where, list(names))
    return images.filter(number == names[options.timepoint]), options.timepoint


def _folder_name(listing: Listing) -> str:
    """The measurement's folder; Harmony's own `Images` says nothing of plate or time."""
    return listing.root.parent.name if listing.root.name == "Images" else listing.root.name


def _images_table(where: Any, index: _Index, visit: pl.DataFrame, folder: PurePosixPath, names: dict[str, str]) -> pl.DataFrame:
    """The table that `build_acquisition` takes: places right and down of the well's centre (Harmony's y points up)."""
    if nameless := (visit["URL"].is_null() | (visit["URL"] == "")).sum():
        raise AcquisitionError(
            f"{where}: {nameless} images have no file name (URL): export the measurement again with its images"
        )
    visit = visit.with_columns(pl.col("PlaneID").replace("", None).fill_null("1"))
    numbers = {"Metadata_Row": "Row", "Metadata_Col": "Col", "Metadata_Site": "FieldID", "Metadata_Plane": "PlaneID"}
    for name in (*numbers.values(), "ChannelID"):
        whole = pl.col(name).is_in(list(names)) if name == "ChannelID" else pl.col(name).str.contains(r"^\s*[0-9]{1,9}\s*$")
        if (lacking := visit.filter(~whole.fill_null(False))).height:
            raise AcquisitionError(
                f"{where}: image {lacking['id'][0] or 'without an id'} lacks a usable {name!r} ({lacking[name][0]!r}): export "
                "the measurement again"
            )
    return visit.select(
        *(pl.col(name).str.strip_chars().cast(pl.Int64).alias(ours) for ours, name in numbers.items()),
        pl.col("ChannelID").replace_strict(names, return_dtype=pl.String).alias("Metadata_Channel"),
        _below(folder, visit["URL"]).alias("path"),
        pl.lit(0).alias("page"),
        *(
            _value(f"Position{axis}") * (sign * _UM.get(index.first.get(f"Position{axis} unit", "m"), float("nan")))
            for axis, sign in (("X", 1), ("Y", -1), ("Z", 1))
        ),
        _by_channel(index, "MainExcitationWavelength").alias("excitation_nm"),
        _by_channel(index, "MainEmissionWavelength").alias("emission_nm"),
        pl.col("AbsTime").str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False).alias("acquired_at"),
    ).rename({"PositionX": "x_um", "PositionY": "y_um", "PositionZ": "z_um"}).with_columns(
        pl.col("x_um", "y_um", "z_um").fill_nan(None)
    )  # fmt: skip


def _below(folder: PurePosixPath, names: pl.Series) -> pl.Series:
    return f"{folder}/" + names if folder.parts else names


def _value(name: str) -> pl.Expr:
    """A finite number, null where the text is none."""
    number = pl.col(name).str.strip_chars().cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)


def _by_channel(index: _Index, name: str) -> pl.Expr:
    """The image's own value, else its channel's."""
    known = {channel: number_or_none(values.get(name)) for channel, values in index.channels.items()}
    return _value(name).fill_null(pl.col("ChannelID").replace_strict(known, default=None, return_dtype=pl.Float64))


def _micrometres(image: dict[str, str], name: str) -> float | None:
    value, scale = number_or_none(image.get(name)), _UM.get(image.get(name + " unit", "m"))
    return value * scale if value is not None and scale else None


def _objective(about: dict[str, str]) -> Objective | None:
    magnification = number_or_none(about.get("ObjectiveMagnification"))
    return Objective(magnification, number_or_none(about.get("ObjectiveNA"))) if magnification else None


def _channel_names(index: _Index, images: pl.DataFrame) -> dict[str, str]:
    """Each channel's number by the vendor's name; two of one name are told apart by their number."""
    named = images.filter(pl.col("ChannelID").is_not_null()).group_by("ChannelID", maintain_order=True).agg(
        pl.col("ChannelName").filter(pl.col("ChannelName") != "").first()
    )  # fmt: skip
    names = {
        number: name or index.channels.get(number, {}).get("ChannelName") or f"channel {number}"
        for number, name in named.iter_rows()
    }
    taken = list(names.values())
    return {number: name if taken.count(name) == 1 else f"{name} ({number})" for number, name in names.items()}


def _shape(index: _Index) -> tuple[int, int] | None:
    rows, cols = index.about.get("PlateRows", ""), index.about.get("PlateColumns", "")
    return (int(rows), int(cols)) if rows.isdigit() and cols.isdigit() else None


def _pixel_um(image: dict[str, str]) -> tuple[float, str] | None:
    size = _micrometres(image, "ImageResolutionX")
    return (size, "files") if size and size > 0 else None
