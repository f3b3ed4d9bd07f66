"""Operetta and Opera Phenix: the export of Harmony with its `Index.idx.xml` (or `Index.xml`), schemas V4 to V7.

Belongs here: what the index says. Not here: pixels. The index names every image, so it also tells when one is missing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import polars as pl

from plate_assets.plates.acquisition import LISTED, Acquisition, AcquisitionError, Objective
from plate_assets.plates.listing import Listing
from plate_assets.plates.readers.identity import identify
from plate_assets.plates.readers.reader import (
    ReadOptions,
    SeveralTimepoints,
    build_acquisition,
    check_paths,
    instant,
    number_or_none,
)
from plate_assets.plates.readers.vendor_xml import elements

INDEX_NAMES = ("index.idx.xml", "index.xml")
_NAMESPACE = b"perkinelmer.com/PEHH/HarmonyV"
_REVVITY = b"/PEHH/HarmonyV"
_UM = {"m": 1e6, "mm": 1e3, "µm": 1.0, "um": 1.0}
_ABOUT = (
    "User", "InstrumentType", "PlateID", "Name", "MeasurementID", "MeasurementStartTime", "PlateTypeName",
    "AcquisitionType", "BinningX",
)  # fmt: skip


@dataclass
class _Index:
    """What one walk through the index collects."""

    about: dict[str, str] = field(default_factory=dict)  # first value of each plain element of plate and image
    channels: dict[str, dict[str, str]] = field(default_factory=dict)  # V6 and later keep the channel's own values apart
    images: list[dict[str, str]] = field(default_factory=list)
    flatfields: dict[str, str] = field(default_factory=dict)
    plates: int = 0


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
        index = _collect(elements(where))
        if not index.images:
            raise AcquisitionError(f"{where} names no image: export the measurement again with its images")
        if index.plates > 1:
            raise AcquisitionError(f"{where} names {index.plates} plates, and an acquisition is one: export them one by one")
        visit, time = _one_visit(str(where), index, options)
        identity = identify(_folder_name(listing), options, index.about.get("PlateID") or index.about.get("Name"), time)
        check_paths(listing, pl.Series([image.get("URL", "") for image in visit], dtype=pl.String))
        found = _images_table(where, index, visit, PurePosixPath(indexes[0]).parent)
        names = _channel_names(index)
        gone = [path for path in found["path"].to_list() if path not in listing.sizes]
        first = visit[0] | {k: v for k, v in index.channels.get(visit[0].get("ChannelID", ""), {}).items() if k not in visit[0]}
        return build_acquisition(
            listing, self.name, identity, found, options,
            complete=not gone,
            completeness=f"{LISTED}: {found.height - len(gone)} of {found.height} images of {indexes[0]} are there",
            shape=_shape(index), pixel_um=_pixel_um(first), documents=indexes,
            belongs=[str(PurePosixPath(indexes[0]).parent / image.get("URL", "")) for image in index.images],
            objective=_objective({**index.about, **first}),
            started_at=instant(index.about.get("MeasurementStartTime") or first.get("AbsTime")),
            metadata={key: {**first, **index.about}.get(key) for key in _ABOUT}
            | {"AbsTime": first.get("AbsTime")},
            flatfields={names.get(channel, channel): text for channel, text in index.flatfields.items()},
        )  # fmt: skip


def _indexes(listing: Listing) -> list[str]:
    named = [entry for entry in listing.entries if entry.path.rsplit("/", 1)[-1].lower() in INDEX_NAMES]
    return [entry.path for entry in named if entry.path.lower().endswith("idx.xml") or _is_harmony(listing, entry.path)]


def _is_harmony(listing: Listing, path: str) -> bool:
    try:
        with listing.path_of(path).open("rb") as file:
            start = file.read(2048)
    except OSError as error:
        raise AcquisitionError(
            f"{listing.path_of(path)} could be listed and not read ({error}): look again when it was copied"
        ) from error
    return _NAMESPACE in start or _REVVITY in start


def _collect(elements: Iterator[tuple[str, str, Any]]) -> _Index:
    """One pass, and each image's element is dropped as soon as it was read: an index can be larger than memory likes."""
    index = _Index()
    inside: list[str] = []
    channel = ""
    for event, tag, element in elements:
        if event == "start":
            inside.append(tag)
            if tag == "Entry":
                channel = element.get("ChannelID", channel)
            continue
        inside.pop()
        parent = inside[-1] if inside else ""
        text = (element.text or "").strip()
        if tag == "Image" and parent == "Images":
            index.images.append(_children(element))
            element.clear()
        elif tag == "Plate" and parent == "Plates":
            index.plates += 1
            index.about |= {k: v for k, v in _children(element).items() if v}
        elif tag == "Entry":
            values = _children(element)
            if profile := values.pop("FlatfieldProfile", ""):
                index.flatfields[channel] = profile
            index.channels.setdefault(channel, {}).update(values)
            element.clear()
        elif parent == "EvaluationInputData" and text:
            index.about[tag] = text
    return index


def _children(element: Any) -> dict[str, str]:
    found = {}
    for child in element:
        tag = child.tag.rpartition("}")[2]
        found[tag] = (child.text or "").strip()
        if tag.startswith(("ImageResolution", "Position")):
            found[tag + " unit"] = child.get("Unit", "m")
    return found


def _one_visit(where: str, index: _Index, options: ReadOptions) -> tuple[list[dict[str, str]], str | None]:
    """The images of one time point and its name: when the measurement began, with the time point's number where there are
    several."""
    start = index.about.get("MeasurementStartTime") or index.images[0].get("AbsTime", "")
    stamp = start[:19].replace("-", "").replace(":", "") if len(start) >= 19 else None
    numbers = sorted({image.get("TimepointID", "0") for image in index.images}, key=lambda number: (len(number), number))
    if len(numbers) == 1:
        return index.images, stamp
    names = {f"{stamp or 'measurement'}-T{number}": number for number in numbers}
    if options.timepoint not in names:
        raise SeveralTimepoints(where, list(names))
    return [image for image in index.images if image.get("TimepointID", "0") == names[options.timepoint]], options.timepoint


def _folder_name(listing: Listing) -> str:
    """The measurement's folder; Harmony's own `Images` says nothing of plate or time."""
    return listing.root.parent.name if listing.root.name == "Images" else listing.root.name


def _images_table(where: Any, index: _Index, visit: list[dict[str, str]], folder: PurePosixPath) -> pl.DataFrame:
    names = _channel_names(index)
    rows = []
    for image in visit:
        try:
            rows.append(
                (
                    int(image["Row"]), int(image["Col"]), int(image["FieldID"]), int(image.get("PlaneID") or 1),
                    names[image["ChannelID"]], str(folder / image["URL"]) if image["URL"] else "",
                    *_place_and_light(image, index.channels.get(image["ChannelID"], {})),
                )
            )  # fmt: skip
        except (KeyError, ValueError) as error:
            raise AcquisitionError(
                f"{where}: image {image.get('id') or len(rows) + 1} lacks a usable {error.args[0]!r}: export the measurement "
                "again"
            ) from error
    columns = ["Metadata_Row", "Metadata_Col", "Metadata_Site", "Metadata_Plane", "Metadata_Channel", "path"]
    told = dict.fromkeys(("x_um", "y_um", "z_um", "excitation_nm", "emission_nm"), pl.Float64)
    schema = {**dict.fromkeys(columns), **told, "acquired_at": pl.Datetime("us", "UTC")}
    found = pl.DataFrame(rows, schema=schema, orient="row").with_columns(page=pl.lit(0))
    if nameless := found.filter(pl.col("path") == "").height:
        raise AcquisitionError(
            f"{where}: {nameless} images have no file name (URL): export the measurement again with its images"
        )
    return found


def _place_and_light(image: dict[str, str], channel: dict[str, str]) -> tuple[Any, ...]:
    """Right and down of the well's centre and height, µm; exciting and seen light, nm; when. Harmony's y points up."""
    x, y, z = (_micrometres(image, f"Position{axis}") for axis in "XYZ")
    excitation, emission = (
        number_or_none(image.get(name) or channel.get(name)) for name in ("MainExcitationWavelength", "MainEmissionWavelength")
    )
    return x, None if y is None else -y, z, excitation, emission, instant(image.get("AbsTime"))


def _micrometres(image: dict[str, str], name: str) -> float | None:
    value, scale = number_or_none(image.get(name)), _UM.get(image.get(name + " unit", "m"))
    return value * scale if value is not None and scale else None


def _objective(about: dict[str, str]) -> Objective | None:
    magnification = number_or_none(about.get("ObjectiveMagnification"))
    return Objective(magnification, number_or_none(about.get("ObjectiveNA"))) if magnification else None


def _channel_names(index: _Index) -> dict[str, str]:
    """Each channel by the vendor's name; two of one name are told apart by their number."""
    names = {}
    for image in index.images:
        number = image.get("ChannelID", "")
        if number not in names:
            names[number] = image.get("ChannelName") or index.channels.get(number, {}).get("ChannelName") or f"channel {number}"
    taken = list(names.values())
    return {number: name if taken.count(name) == 1 else f"{name} ({number})" for number, name in names.items()}


def _shape(index: _Index) -> tuple[int, int] | None:
    rows, cols = index.about.get("PlateRows", ""), index.about.get("PlateColumns", "")
    return (int(rows), int(cols)) if rows.isdigit() and cols.isdigit() else None


def _pixel_um(image: dict[str, str]) -> tuple[float, str] | None:
    size = _micrometres(image, "ImageResolutionX")
    return (size, "files") if size and size > 0 else None
