"""CellVoyager (Yokogawa CV7000, CV8000) and CQ1: a measurement with `MeasurementData.mlf` and `MeasurementDetail.mrf`.

Belongs here: what these two and the setting (`.mes`) and plate files (`.wpi`, `.wpp`) beside them say. Not here: pixels, and
the trace logs of the microscope.

- The axes: X and Y are µm from the well's centre, X to the right and Y up, so that field 1 of a grid that begins at -567, +403
  is its top left one (`.mes` lists the points in the order of FieldIndex; faim-ipa and fractal turn Y round as well).
- The time: TimePoint counts on from one timeline to the next, so a visit is the n-th TimePoint of each timeline. Four
  timelines with one TimePoint each are one visit.
- The planes: ZImageProcessing, or an Action that says so, marks a projection, which is plane 0 whatever its ZIndex is.
- The channels: the name is the fluorophore, else the target, of `.mes`, else Ch as the file names have it (C01). Where actions
  or timelines take the same image of one Ch twice (a stack and a single plane), each is a channel: `405 (A01)`, `405 (A02)`.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import polars as pl
from upath import UPath

from plate_assets.plates.acquisition import LISTED, SETTLING, Acquisition, AcquisitionError, Objective
from plate_assets.plates.layout import FORMATS, Well
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
from plate_assets.plates.readers.vendor_xml import attributes, elements

RECORDS_NAME = "MeasurementData.mlf"
DETAIL_NAME = "MeasurementDetail.mrf"
MAX_RECORDS = 2_000_000
_NAMESPACE = b"yokogawa.co.jp/BTS"
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_FIELDS = (
    "Type", "Time", "Row", "Column", "TimePoint", "FieldIndex", "ZIndex", "TimelineIndex", "ActionIndex", "Action", "X", "Y",
    "Z", "Ch", "ZImageProcessing",
)  # fmt: skip
_COUNTS = {  # whole numbers of a record: the largest that can be, and what it is where it is absent
    "Row": (32, None), "Column": (48, None), "FieldIndex": (100_000, None), "Ch": (10_000, None), "TimePoint": (1_000_000, 1),
    "ZIndex": (100_000, 1), "TimelineIndex": (10_000, 1), "ActionIndex": (10_000, 1),
}  # fmt: skip
_PLACE = ["Row", "Column", "FieldIndex", "Ch", "plane"]
_ABOUT = (
    "Title", "OperatorName", "TargetSystem", "ReleaseNumber", "BeginTime", "EndTime", "Status", "MeasurementSettingFileName",
)  # fmt: skip


@dataclass
class _Settings:
    """What the files beside the records say: each dict holds attributes as they stand."""

    detail: dict[str, str] = field(default_factory=dict)  # of the measurement
    plate: dict[str, str] = field(default_factory=dict)
    product: dict[str, str] = field(default_factory=dict)
    sizes: dict[int, dict[str, str]] = field(default_factory=dict)  # MeasurementChannel by Ch
    channels: dict[int, dict[str, str]] = field(default_factory=dict)  # Channel of `.mes` by Ch
    lights: dict[int, set[float]] = field(default_factory=dict)  # wavelengths of the light sources, nm, by Ch
    documents: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class CellVoyagerReader:
    """Reads the folder that holds `MeasurementData.mlf`, or any folder above it that holds just one."""

    name: str = "cellvoyager"
    complete_when: str = (
        "`MeasurementDetail.mrf` has the time when the measurement ended, and every image of `MeasurementData.mlf` is there"
    )

    def recognises(self, listing: Listing) -> bool:
        """Whether a file is called as Yokogawa's list of images or its detail, and begins as one (or is too short to tell)."""
        return any(_is_yokogawa(listing, path) for path in _named(listing, RECORDS_NAME) + _named(listing, DETAIL_NAME))

    def read(self, listing: Listing, options: ReadOptions) -> Acquisition:
        """The acquisition as the records have it; images that they name and the folder lacks have `present` False."""
        records_path = _one_list(listing)
        where, folder = listing.path_of(records_path), PurePosixPath(records_path).parent
        records = _records(where)
        settings = _settings(listing, folder, records_path)
        images = _images(where, records.filter(pl.col("Type") == "IMG"), settings)
        stamp = _stamp(settings.detail.get("BeginTime") or images["Time"].min())
        visit, time = _one_visit(str(where), images, stamp, options)
        found = _found(listing, folder, where, visit, settings)
        identity = identify(listing.root.name, options, _plate_name(settings), time)
        complete, completeness = _complete(listing, found, settings)
        used = sorted(visit["Ch"].unique())
        if visit.height < images.height:
            records = records.filter(pl.col("TimePoint").is_in(visit["TimePoint"].cast(pl.String).unique().implode()))
        warnings = [*settings.warnings, *_passed_over(records), *_mixed(settings, used)]
        return build_acquisition(
            listing, self.name, identity, found, options,
            complete=complete, completeness=completeness, shape=_shape(where, settings, options), documents=settings.documents,
            belongs=[str(folder / path) for path in images["path"]],
            pixel_um=_pixel_um(settings, used), objective=_objective(settings, used), warnings=warnings,
            started_at=instant(settings.detail.get("BeginTime")) or found["acquired_at"].min(),  # type: ignore[arg-type]
            metadata=_about(settings, used),
        )  # fmt: skip


def _named(listing: Listing, name: str) -> list[str]:
    return listing.named(name)


def _is_yokogawa(listing: Listing, path: str) -> bool:
    start = read_start(listing, path, 2048)
    return _NAMESPACE in start or len(start) < 128


def _one_list(listing: Listing) -> str:
    found = _named(listing, RECORDS_NAME)
    if len(found) > 1:
        raise AcquisitionError(
            f"{listing.root} holds {len(found)} measurements ({found[0]}, {found[1]}): name the folder of one of them"
        )
    if not found:
        raise AcquisitionError(f"{listing.root} holds no {RECORDS_NAME}, which lists the images: copy the whole measurement")
    return found[0]


def _walk(where: UPath) -> Iterator[tuple[str, str, Any]]:
    """`elements`, of which none is kept once its parent ended."""
    parents: list[Any] = []
    for event, tag, element in elements(where):
        if event == "start":
            parents.append(element)
        yield event, tag, element
        if event == "end":
            parents.pop()
            if tag not in ("LightSourceName", "Ch") and parents:
                del parents[-1][:]


def _records(where: UPath) -> pl.DataFrame:
    """One row of texts for each record, as they stand, with its number and the file it names."""
    rows: list[tuple[str | None, ...]] = []
    for event, tag, element in _walk(where):
        if event == "end" and tag == "MeasurementRecord":
            found = attributes(element)
            rows.append((*(found.get(name) for name in _FIELDS), (element.text or "").strip()))
            if len(rows) > MAX_RECORDS:
                raise AcquisitionError(f"{where} has more than {MAX_RECORDS:,} records: export fewer images at a time")
    return pl.DataFrame(rows, schema=dict.fromkeys((*_FIELDS, "file"), pl.String), orient="row").with_row_index("number", 1)


def _images(where: UPath, records: pl.DataFrame, settings: _Settings) -> pl.DataFrame:
    """The records of images with numbers for texts, and `plane`, `visit` (from 1) and `path` (still below the records)."""
    if not records.height:
        raise AcquisitionError(f"{where} names no image: export the measurement again with its images")
    numbers = records.with_columns(
        (pl.col(name) if absent is None else pl.col(name).fill_null(str(absent)))
        .str.strip_chars().cast(pl.Int64, strict=False).alias(name) for name, (_, absent) in _COUNTS.items()
    )  # fmt: skip
    for name, (largest, _) in _COUNTS.items():
        bad = numbers.filter(~pl.col(name).is_between(1, largest).fill_null(False))
        if bad.height:
            number, text = bad["number"][0], records.filter(pl.col("number") == bad["number"][0])[name][0]
            raise AcquisitionError(
                f"{where}: record {number} has {name} {(text or 'missing')[:60]!r}, and a whole number from 1 to {largest} is "
                "needed: copy the file again, or export the measurement again"
            )
    if nameless := records.filter(pl.col("file") == "").height:
        raise AcquisitionError(f"{where}: {nameless} images have no file name: export the measurement again")
    projected = ~pl.col("ZImageProcessing").str.to_lowercase().is_in(["", "none", "off"]).fill_null(True)
    by_action = pl.col("Action").str.contains("(?i)mip|projection").fill_null(False)
    path = pl.col("file").str.replace_all("\\", "/", literal=True).str.replace(r"^(\./)+", "")
    return numbers.with_columns(
        pl.when(projected | by_action).then(0).otherwise(pl.col("ZIndex")).alias("plane"),
        pl.col("TimePoint").rank("dense").over("TimelineIndex").cast(pl.Int64).alias("visit"),
        path.alias("path"),
    )


def _one_visit(where: str, images: pl.DataFrame, stamp: str | None, options: ReadOptions) -> tuple[pl.DataFrame, str | None]:
    """The images of one visit and its name: when the measurement began, with the visit's number where there are several."""
    visits = images["visit"].unique().sort().to_list()
    if len(visits) == 1:
        return images, stamp
    names = {f"{stamp or 'measurement'}-T{visit}": visit for visit in visits}
    if options.timepoint not in names:
        raise SeveralTimepoints(where, list(names))
    return images.filter(pl.col("visit") == names[options.timepoint]), options.timepoint


def _found(listing: Listing, folder: PurePosixPath, where: UPath, visit: pl.DataFrame, settings: _Settings) -> pl.DataFrame:
    """The table that `build_acquisition` takes."""
    check_paths(listing, visit["path"])
    if (again := visit.filter(pl.col("path").is_duplicated())).height:
        raise AcquisitionError(
            f"{where}: several records, for example {again['number'][0]}, name the same file {again['path'][0]!r}: export the "
            "measurement again"
        )
    visit = visit.with_columns(pl.lit(f"{folder}/" if folder.parts else "").add(pl.col("path")).alias("path"))
    visit = _as_png(listing, visit, settings)
    lights = {ch: (_excitation(settings, ch), _emission(settings, ch)) for ch in visit["Ch"].unique()}
    return _named_channels(visit, settings).select(
        pl.col("Row").alias("Metadata_Row"),
        pl.col("Column").alias("Metadata_Col"),
        pl.col("FieldIndex").alias("Metadata_Site"),
        pl.col("plane").alias("Metadata_Plane"),
        pl.col("channel").alias("Metadata_Channel"),
        "path",
        pl.lit(0).alias("page"),
        _number("X").alias("x_um"),
        (0 - _number("Y")).alias("y_um"),
        _number("Z").alias("z_um"),
        _instants(visit["Time"]).alias("acquired_at"),
        *(
            pl.col("Ch").replace_strict({ch: pair[side] for ch, pair in lights.items()}, return_dtype=pl.Float64).alias(name)
            for side, name in enumerate(("excitation_nm", "emission_nm"))
        ),
    )


def _number(name: str) -> pl.Expr:
    value = pl.col(name).str.strip_chars().cast(pl.Float64, strict=False)
    return pl.when(value.is_finite()).then(value)


def _instants(texts: pl.Series) -> pl.Series:
    """ISO 8601 with a zone at once, and what is left one by one."""
    parsed = texts.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", time_zone="UTC", strict=False)
    parsed = pl.select(pl.when(parsed.dt.year().is_between(1900, 9990)).then(parsed)).to_series()
    left = {text: instant(text) for text in texts.filter(parsed.is_null() & texts.is_not_null()).unique()}
    if not any(left.values()):
        return parsed
    return parsed.fill_null(texts.replace_strict(left, default=None, return_dtype=pl.Datetime("us", "UTC")))


def _as_png(listing: Listing, visit: pl.DataFrame, settings: _Settings) -> pl.DataFrame:
    """The records say `.tif` where the images were packed to PNG after the measurement: such files count as well."""
    png = pl.col("path").str.replace(r"(?i)\.tiff?$", ".png")
    there = pl.Series(list(listing.sizes), dtype=pl.String)
    packed = ~pl.col("path").is_in(there.implode()) & png.is_in(there.implode())
    count = visit.select(packed.sum()).item()
    if count:
        settings.warnings.append(f"{count} of {visit.height} images are there as PNG, and their records name TIFF")
    return visit.with_columns(pl.when(packed).then(png).otherwise(pl.col("path")).alias("path"))


def _named_channels(visit: pl.DataFrame, settings: _Settings) -> pl.DataFrame:
    """`channel` by the vendor's name; of two with one name, and of one Ch taken twice, each says what tells it apart."""
    names = {ch: _channel_name(settings, ch) for ch in visit["Ch"].unique().sort()}
    taken = Counter(names.values())
    names = {ch: name if taken[name] == 1 else f"{name} ({ch})" for ch, name in names.items()}
    marks = {
        "TimelineIndex": pl.format("L{}", pl.col("TimelineIndex").cast(pl.String).str.zfill(2)),
        "ActionIndex": pl.format("A{}", pl.col("ActionIndex").cast(pl.String).str.zfill(2)),
        "ZImageProcessing": pl.col("ZImageProcessing").fill_null("slices"),
    }
    doubled = visit.filter(visit.select(_PLACE).is_duplicated())
    differ = doubled.group_by(_PLACE).agg(pl.col(name).n_unique() > 1 for name in marks)
    parts = []
    for name, mark in marks.items():
        several = differ.filter(pl.col(name))["Ch"].unique()
        parts.append(pl.when(pl.col("Ch").is_in(several.implode())).then(mark))
    inside = pl.concat_str(parts, separator=" ", ignore_nulls=True)
    name = pl.col("Ch").replace_strict(names, return_dtype=pl.String)
    return visit.with_columns(pl.when(inside == "").then(name).otherwise(pl.format("{} ({})", name, inside)).alias("channel"))


def _channel_name(settings: _Settings, ch: int) -> str:
    known = settings.channels.get(ch, {})
    return known.get("Fluorophore", "").strip() or known.get("Target", "").strip() or f"C{ch:02d}"


def _settings(listing: Listing, folder: PurePosixPath, records_path: str) -> _Settings:
    """All that stands beside the records; a file that is missing, or that is broken and not needed, is a warning."""
    settings = _Settings(documents=[records_path])
    prefix = f"{folder}/" if folder.parts else ""
    below = ((path.removeprefix(prefix), path) for path in listing.sizes if path.startswith(prefix))
    beside = {name: path for name, path in below if "/" not in name}
    detail = next((path for name, path in beside.items() if name.lower() == DETAIL_NAME.lower()), None)
    if detail is None:
        settings.warnings.append(f"{DETAIL_NAME} is missing: pixel size and the time of the end are unknown")
    else:
        _read_detail(listing.path_of(detail), settings)
        settings.documents.append(detail)
    named = {
        ".mes": settings.detail.get("MeasurementSettingFileName"),
        ".wpi": settings.plate.get("WellPlateFileName"),
        ".wpp": settings.plate.get("WellPlateProductFileName"),
    }
    for suffix, name in named.items():
        alike = [path for other, path in beside.items() if other.lower().endswith(suffix)]
        path = beside.get(name or "") or (alike[0] if len(alike) == 1 else None)
        if path is None:
            if suffix == ".mes":
                settings.warnings.append(f"the setting {name or '*.mes'} is missing: channels' names and light are unknown")
            continue
        settings.documents.append(path)
        try:
            _read_beside(listing.path_of(path), settings)
        except AcquisitionError as error:
            settings.warnings.append(f"what it says is unknown: {error}")
    # Camera and shading references are the microscope's own, no images of the plate.
    references = {channel.get("ShadingCorrectionSource", "") for channel in settings.sizes.values()}
    settings.documents += [
        path for name, path in beside.items() if name in references or re.fullmatch(r"[DS]C_.*_(CAM|CH)\d+\.tif", name)
    ]
    return settings


def _read_detail(where: UPath, settings: _Settings) -> None:
    for event, tag, element in _walk(where):
        if event != "start":
            continue
        if tag == "MeasurementDetail":
            settings.detail = attributes(element)
        elif tag == "MeasurementSamplePlate":
            settings.plate |= attributes(element)
        elif tag == "MeasurementChannel":
            _by_channel(settings.sizes, attributes(element))


def _read_beside(where: UPath, settings: _Settings) -> None:
    lights: dict[str, float] = {}
    names: dict[int, list[str]] = {}
    channel: int | None = None
    for event, tag, element in _walk(where):
        if event == "end":
            if tag == "LightSourceName" and channel is not None:
                names.setdefault(channel, []).append((element.text or "").strip())
            continue
        found = attributes(element)
        if tag == "LightSource":
            wavelength = number_or_none(found.get("WaveLength"))
            lights[found.get("Name", "")] = wavelength or 0.0
        elif tag == "Channel":
            channel = _by_channel(settings.channels, found)
        elif tag == "WellPlate":
            settings.plate = {**found, **settings.plate}
        elif tag == "WellPlateProduct":
            settings.product = found
    for ch, used in names.items():
        settings.lights[ch] = {lights[name] for name in used if lights.get(name, 0) > 0}


def _by_channel(into: dict[int, dict[str, str]], found: dict[str, str]) -> int | None:
    """File the attributes under their Ch; one without a number says nothing of any channel."""
    text = found.get("Ch", "").strip()
    if not text.isdecimal() or len(text) > 6:
        return None
    into.setdefault(int(text), found)
    return int(text)


def _stamp(text: Any) -> str | None:
    """`20230918T135839` of the vendor's own text, in the vendor's zone."""
    match = _STAMP.match(text or "")
    return match[0].replace("-", "").replace(":", "") if match and instant(match[0]) else None


def _plate_name(settings: _Settings) -> str | None:
    """The plate's name; the default one, `AssayPlate_<maker>_#<product>`, has a sign that no id may have."""
    return (settings.plate.get("Name") or "").replace("#", "") or None


def _complete(listing: Listing, found: pl.DataFrame, settings: _Settings) -> tuple[bool | None, str]:
    there = found["path"].is_in(pl.Series(list(listing.sizes), dtype=pl.String).implode()).sum()
    counted = f"{there} of {found.height} images of {RECORDS_NAME} are there"
    if there < found.height:
        return False, f"{LISTED}: {counted}"
    if not settings.detail:
        return None, f"{SETTLING}: {counted}, and without {DETAIL_NAME} nothing tells whether the measurement has ended"
    ended = instant(settings.detail.get("EndTime"))
    if ended is None or ended.year < 1970:  # .NET writes the year 1 for a time that is not set
        return False, f"{LISTED}: {counted}, and {DETAIL_NAME} has no EndTime: the measurement has not ended"
    return True, f"{LISTED}: {counted}, and the measurement has ended"


def _passed_over(records: pl.DataFrame) -> list[str]:
    """Warnings: images that the microscope failed to take, by well and field, and records of types that are unknown."""
    warnings = []
    failed = records.filter(pl.col("Type") == "ERR")
    if failed.height:
        shown = [_failure(row) for row in failed.head(10).iter_rows(named=True)]
        more = f" and {failed.height - 10} more" if failed.height > 10 else ""
        warnings.append(f"the microscope could not take {failed.height} images (records ERR): {', '.join(shown)}{more}")
    for kind, count in records.filter(~pl.col("Type").fill_null("").is_in(["IMG", "ERR"])).group_by("Type").len().iter_rows():
        warnings.append(f"{count} records of the type {(kind or 'none')[:40]!r} are neither images nor errors and do not count")
    return warnings


def _failure(row: dict[str, Any]) -> str:
    place = [row[name] or "?" for name in ("Row", "Column")]
    known = all(text.isdecimal() and len(text) < 3 and 1 <= int(text) <= 48 for text in place) and int(place[0]) <= 32
    well = Well(int(place[0]), int(place[1])).name if known else f"row {place[0][:20]} column {place[1][:20]}"
    site = f" field {row['FieldIndex'][:20]}" if row["FieldIndex"] else ""
    return f"{well}{site}" + (f" ({row['file'][:80]})" if row["file"] else "")


def _mixed(settings: _Settings, used: list[int]) -> list[str]:
    """Warnings: a measurement that did not end as it should, channels with sizes or objectives of their own."""
    warnings = []
    if (status := settings.detail.get("Status", "0")) != "0":
        warnings.append(f"{DETAIL_NAME} has the Status {status[:40]!r}, and a measurement that ran to its end has 0")
    for name, known in (("HorizontalPixelDimension", settings.sizes), ("Objective", settings.channels)):
        values = {ch: known[ch].get(name) for ch in used if ch in known}
        if len(set(values.values())) > 1:
            told = ", ".join(f"Ch {ch}: {(value or 'none')[:20]}" for ch, value in values.items())
            warnings.append(f"channels differ in {name} ({told}): the first counts for all")
    return warnings


def _shape(where: UPath, settings: _Settings, options: ReadOptions) -> tuple[int, int] | None:
    """Rows and columns of the plate, by the detail or the plate's own file."""
    for source, names in ((settings.detail, ("RowCount", "ColumnCount")), (settings.plate, ("Rows", "Columns"))):
        rows, cols = (source.get(name, "").strip() for name in names)
        if rows.isdecimal() and cols.isdecimal() and options.plate_format is None and len(rows + cols) < 8:
            if (int(rows), int(cols)) in FORMATS.values():
                return int(rows), int(cols)
            raise AcquisitionError(
                f"{where.parent} has a plate of {rows} rows and {cols} columns, and there is no such format here: set the "
                "option `plate_format`"
            )
    return None


def _pixel_um(settings: _Settings, used: list[int]) -> tuple[float, str] | None:
    sizes = (number_or_none(settings.sizes.get(ch, {}).get("HorizontalPixelDimension")) for ch in used)
    return next(((size, "files") for size in sizes if size and size > 0), None)


def _objective(settings: _Settings, used: list[int]) -> Objective | None:
    powers = (number_or_none(settings.channels.get(ch, {}).get("Magnification")) for ch in used)
    return next((Objective(power) for power in powers if power and power > 0), None)


def _excitation(settings: _Settings, ch: int) -> float | None:
    """The light source's wavelength, nm, where there is just one that has any (a lamp has 0)."""
    lights = settings.lights.get(ch, set())
    return next(iter(lights)) if len(lights) == 1 else None


def _emission(settings: _Settings, ch: int) -> float | None:
    """The middle of a band-pass filter, nm: 525 of BP525/50."""
    match = re.match(r"\s*BP\s*(\d{2,4}(?:\.\d+)?)(?!\d)", settings.channels.get(ch, {}).get("Acquisition", ""), re.IGNORECASE)
    return float(match[1]) if match else None


def _about(settings: _Settings, used: list[int]) -> dict[str, str | None]:
    """What else a person may want to know, by the vendor's own words."""
    about = {name: settings.detail.get(name) or None for name in _ABOUT}
    product = " ".join(filter(None, (settings.product.get("Manufacturer"), settings.product.get("Name"))))
    objective = next((settings.channels[ch].get("Objective") for ch in used if ch in settings.channels), None)
    shading = {
        f"ShadingCorrectionSource channel {ch}": settings.sizes[ch].get("ShadingCorrectionSource") or None
        for ch in used if ch in settings.sizes
    }  # fmt: skip
    return about | {"WellPlateProduct": product or None, "Objective": objective} | shading
