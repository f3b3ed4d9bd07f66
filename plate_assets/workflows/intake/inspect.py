"""What a folder holds, told to a person: layout, plate, wells, sites, channels, time point, complete or what is missing.

Belongs here: the summary and its text. Not here: reading (`plates.readers`), deciding what to do with it (`plates.arrivals`).
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
from upath import UPath

from plate_assets.plates.acquisition import Acquisition
from plate_assets.plates.listing import as_upath, list_folder
from plate_assets.plates.readers import ReadOptions, SeveralTimepoints, read_listing

_SHOWN = 20


def inspect_folder(folder: UPath | Path | str, options: ReadOptions | None = None) -> dict[str, Any]:
    """What the folder holds, ready for JSON. Where it holds several time points all are named and the first is described.

    Raises AcquisitionError where it is no acquisition, or a broken one.
    """
    options = options or ReadOptions()
    listing = list_folder(as_upath(folder))
    try:
        acquisition = read_listing(listing, options)
        timepoints = (acquisition.timepoint,)
    except SeveralTimepoints as several:
        timepoints = several.timepoints
        acquisition = read_listing(listing, replace(options, timepoint=timepoints[0]))
    found = _summary(acquisition)
    if len(timepoints) > 1:
        found["warnings"].append(
            f"{len(timepoints)} time points are here, {timepoints[0]} is described: choose one with `timepoint`"
        )
    return found | {"timepoints": list(timepoints), "signature": listing.signature}


def _summary(acquisition: Acquisition) -> dict[str, Any]:
    images = acquisition.images
    wells = images.select("Metadata_Well", "Metadata_Row", "Metadata_Col").unique().sort("Metadata_Row", "Metadata_Col")
    return {
        "folder": str(acquisition.root),
        "layout": acquisition.layout,
        "acquisition_id": acquisition.acquisition_id,
        "plate": acquisition.plate,
        "timepoint": acquisition.timepoint,
        "timepoint_h": acquisition.timepoint_h,
        "plate_format": acquisition.plate_format.wells,
        "wells": wells["Metadata_Well"].to_list(),
        "sites": images["Metadata_Site"].unique().sort().to_list(),
        "channels": images["Metadata_Channel"].unique().sort().to_list(),
        "planes": images["Metadata_Plane"].unique().sort().to_list(),
        "images": images.height,
        "missing": acquisition.missing_said(),
        "complete": acquisition.complete,
        "completeness": acquisition.completeness,
        "pixel_um": acquisition.pixel_um,
        "objective": str(acquisition.objective) if acquisition.objective else None,
        "started_at": acquisition.started_at.isoformat() if acquisition.started_at else None,
        "wavelengths_nm": _wavelengths(images),
        "first_image": _first_image(acquisition),
        "sources": dict(acquisition.sources),
        "metadata": dict(acquisition.metadata),
        "warnings": list(acquisition.warnings),
    }


def _wavelengths(images: pl.DataFrame) -> dict[str, dict[str, float | None]]:
    """Excitation and emission of each channel that has either, nm."""
    known = images.unique("Metadata_Channel", keep="first").filter(
        pl.col("excitation_nm").is_not_null() | pl.col("emission_nm").is_not_null()
    )
    rows = known.sort("Metadata_Channel").select("Metadata_Channel", "excitation_nm", "emission_nm").iter_rows()
    return {name: {"excitation": excitation, "emission": emission} for name, excitation, emission in rows}


def _first_image(acquisition: Acquisition) -> dict[str, Any]:
    from plate_assets.plates.image_files import ImageError
    from plate_assets.plates.images import read_image

    present = acquisition.images.filter("present")
    if not present.height:
        return {"error": "no image is there"}
    first = present.row(0, named=True)
    try:
        image = read_image(acquisition.root / first["path"], first["page"])
    except ImageError as error:
        return {"path": first["path"], "error": str(error)}
    colour = "RGB" if image.ndim == 3 else "grey"
    return {
        "path": first["path"],
        "width_px": image.shape[1],
        "height_px": image.shape[0],
        "dtype": str(image.dtype),
        "colour": colour,
    }


def inspection_text(found: Mapping[str, Any]) -> str:
    """The same as a table for a terminal."""
    first, sources = found["first_image"], found["sources"]
    image = first.get("error") or f"{first['width_px']} × {first['height_px']} px, {first['dtype']}, {first['colour']}"
    hours = "" if found["timepoint_h"] is None else f", {found['timepoint_h']:g} h"
    pixel = "unknown" if found["pixel_um"] is None else f"{found['pixel_um']:.4g} µm"
    complete = {True: "yes", False: "no", None: "not known"}[found["complete"]]
    lines = [
        ("folder", found["folder"]),
        ("acquisition", found["acquisition_id"]),
        ("layout", found["layout"]),
        ("plate", f"{found['plate']} ({sources['plate']})"),
        ("time point", f"{found['timepoint']}{hours} ({sources['timepoint']})"),
        *([("time points", _some(found["timepoints"]))] if len(found["timepoints"]) > 1 else []),
        ("plate format", f"{found['plate_format']} wells ({sources['plate_format']})"),
        ("wells", f"{len(found['wells'])}: {_some(found['wells'])}"),
        ("sites", f"{len(found['sites'])}: {_some(found['sites'])}"),
        ("channels", f"{len(found['channels'])}: {_some(found['channels'])}"),
        ("planes", f"{len(found['planes'])}: {_some(found['planes'])}"),
        ("images", f"{found['images']}, the first {image}"),
        ("pixel size", f"{pixel} ({sources['pixel_um']})" if found["pixel_um"] is not None else pixel),
        ("objective", f"{found['objective']} ({sources['objective']})" if found["objective"] else "unknown"),
        *(
            [("wavelengths", _light(found["wavelengths_nm"]) + f" ({sources['wavelengths']})")]
            if found["wavelengths_nm"]
            else []
        ),
        ("begun", found["started_at"] or "unknown"),
        ("complete", f"{complete}: {found['completeness']}"),
        *([("missing", f"{len(found['missing'])} images")] if found["missing"] else []),
        *(("", text) for text in found["missing"][:_SHOWN]),
        *([("", "…")] if len(found["missing"]) > _SHOWN else []),
        *(("warning", text) for text in found["warnings"]),
    ]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)


def _light(wavelengths: Mapping[str, Mapping[str, float | None]]) -> str:
    def nm(value: float | None) -> str:
        return "?" if value is None else f"{value:g}"

    return ", ".join(f"{name} {nm(light['excitation'])}/{nm(light['emission'])} nm" for name, light in wavelengths.items())


def _some(values: list[Any]) -> str:
    shown = ", ".join(str(value) for value in values[:_SHOWN])
    return shown + (f" … {values[-1]}" if len(values) > _SHOWN else "")
