"""The metadata documents of an OME-Zarr 0.5 plate as we write it: plate, well, image, tables.

Belongs here: what is said about pixels. Not here: pixels and files (`ome_zarr_plate`), reading (`readers.ome_zarr`).

What OME-Zarr has no word for stands beside `ome` under the attribute `plate_assets`: numbers of sites and planes, when each
image was taken and in which light, what is missing. Other software passes it over; our reader gives the same images back by it.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from plate_assets import __version__
from plate_assets.plates.acquisition import Acquisition
from plate_assets.plates.layout import Well, row_letters
from plate_assets.plates.readers.ome_zarr import WELL_CENTRE
from plate_assets.plates.zarr_pixels import OWN

_BY_NAME = {
    "dapi": "0000FF", "hoechst": "0000FF", "blue": "0000FF", "fitc": "00FF00", "gfp": "00FF00", "488": "00FF00",
    "green": "00FF00", "tritc": "FF8000", "cy3": "FF8000", "orange": "FF8000", "cy5": "FF00FF", "647": "FF00FF",
    "far": "FF00FF", "cherry": "FF0000", "rfp": "FF0000", "red": "FF0000", "yfp": "FFFF00", "cfp": "00FFFF",
    "phase": "FFFFFF", "bright": "FFFFFF", "dic": "FFFFFF",
}  # fmt: skip
_BY_LIGHT = ((480, "0000FF"), (560, "00FF00"), (600, "FF8000"), (650, "FF0000"), (900, "FF00FF"))  # emission up to so many nm
_IN_TURN = ("00FFFF", "FF00FF", "FFFF00", "00FF00", "FF0000", "0000FF", "FFFFFF")
_PER_IMAGE = ("x_um", "y_um", "z_um", "acquired_at", "excitation_nm", "emission_nm")


def group(attributes: Mapping[str, Any] | None = None, ome: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The document of a Zarr 3 group."""
    said = {"ome": {"version": "0.5", **ome}} if ome is not None else {}
    return {"zarr_format": 3, "node_type": "group", "attributes": {**said, **(attributes or {})}}


def well_path(well: Well) -> str:
    """Where a well lies in the store: `A/1`."""
    return f"{row_letters(well.row)}/{well.col}"


def plate_document(
    acquisition: Acquisition, wells: Sequence[Well], fields: int, missing: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The document of the plate. wells: those that are written. missing: the images that are not, with the reason."""
    plate = acquisition.plate_format
    about: dict[str, Any] = {"id": 0, "name": acquisition.timepoint, "maximumfieldcount": fields}
    last = acquisition.images["acquired_at"].max()
    for key, when in (("starttime", acquisition.started_at), ("endtime", last)):
        if isinstance(when, datetime) and when.timestamp() > 0:
            about[key] = round(when.timestamp() * 1000)  # ms: the specification does not say, and its example has them
    listed = [{"path": well_path(well), "rowIndex": well.row - 1, "columnIndex": well.col - 1} for well in wells]
    ome = {
        "plate": {
            "version": "0.5", "name": acquisition.plate, "acquisitions": [about], "field_count": fields, "wells": listed,
            "rows": [{"name": row_letters(row)} for row in range(1, plate.rows + 1)],
            "columns": [{"name": str(col)} for col in range(1, plate.cols + 1)],
        }
    }  # fmt: skip
    own = {
        "written_by": f"plate_assets {__version__}", "layout": acquisition.layout, "timepoint": acquisition.timepoint,
        "timepoint_h": acquisition.timepoint_h, "objective": list(acquisition.objective) if acquisition.objective else None,
        "metadata": acquisition.metadata, "missing": list(missing),
    }  # fmt: skip
    return group({OWN: own}, ome)


def missing_image(row: Mapping[str, Any], why: str) -> dict[str, Any]:
    """How the plate names an image that it lacks, by its row of IMAGES: which one, what is known of it, its file, and why."""
    keys = {"well": "Metadata_Well", "site": "Metadata_Site", "channel": "Metadata_Channel", "plane": "Metadata_Plane"}
    known = {name: value for name in _PER_IMAGE if (value := _said(row[name])) is not None}
    return {key: row[name] for key, name in keys.items()} | known | {"file": row["path"], "why": why}


def well_document(images: Sequence[str]) -> dict[str, Any]:
    """The document of a well with its images' folders."""
    return group(ome={"well": {"version": "0.5", "images": [{"path": path, "acquisition": 0} for path in images]}})


def image_document(
    name: str,
    shapes: Sequence[tuple[int, int]],
    rows: pl.DataFrame,
    pages: Sequence[int],
    channels: Sequence[Mapping[str, Any]],
    pixel_um: float | None,
) -> dict[str, Any]:
    """The document of one field.

    shapes: height and width of each level. rows: the field's IMAGES rows, pages: where each of them lies. channels: OMERO's.
    """
    site = rows["Metadata_Site"][0]
    place, spacing = _place(rows, pixel_um), _spacing(rows)
    known = "micrometer" if pixel_um else None
    axes = [
        {"name": "c", "type": "channel"}, _axis("z", "micrometer" if spacing else None), _axis("y", known), _axis("x", known)
    ]  # fmt: skip
    height, width = shapes[0]
    pixel, right, down = pixel_um or 1.0, *(place or (None, None))
    left, top = (
        0.0 if centre is None else centre - (side - 1) / 2 * pixel for centre, side in ((right, width), (down, height))
    )
    datasets = []
    for level in range(len(shapes)):
        step = pixel * 2**level
        inward = (2**level - 1) / 2 * pixel  # the first pixel's centre: the middle of the pixels that it is the mean of
        shift = [0.0, spacing[0] if spacing else 0.0, top + inward, left + inward]
        scale = [1.0, spacing[1] if spacing else 1.0, step, step]
        steps = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": shift}]
        datasets.append({"path": str(level), "coordinateTransformations": steps})
    about = {"method": "mean of 2 × 2 pixels, the last row and column doubled where a side is odd", "version": __version__}
    image = {"name": name, "type": "mean", "metadata": about, "axes": axes, "datasets": datasets}
    omero = {"name": name, "channels": list(channels), "rdefs": {"model": "color"}}
    own = {"site": site, **({"origin": WELL_CENTRE} if place else {}), "images": _images(rows, pages, bool(place))}
    return group({OWN: own}, {"multiscales": [image], "omero": omero})


def _axis(name: str, unit: str | None) -> dict[str, str]:
    return {"name": name, "type": "space", **({"unit": unit} if unit else {})}


def _place(rows: pl.DataFrame, pixel_um: float | None) -> tuple[float, float] | None:
    """The centre that all images of the field share, µm from the well's; None where they differ or it is unknown."""
    places = rows.select("x_um", "y_um").unique()
    found = places.row(0) if places.height == 1 else (None, None)
    right, down = (_finite(value) for value in found)
    return None if pixel_um is None or right is None or down is None else (right, down)


def _spacing(rows: pl.DataFrame) -> tuple[float, float] | None:
    """Height of the first plane and step to the next, µm, where all planes are evenly spaced."""
    planes = rows.group_by("Metadata_Plane").agg(pl.col("z_um").first()).sort("Metadata_Plane")
    heights = [_finite(value) for value in planes["z_um"].to_list()]
    known = [height for height in heights if height is not None]
    if planes.height < 2 or len(known) < len(heights) or not planes["Metadata_Plane"].diff().drop_nulls().eq(1).all():
        return None
    steps = np.diff(known)
    step = float(steps.mean())
    return (known[0], step) if step > 0 and np.abs(steps - step).max() <= 0.01 * step else None


def _images(rows: pl.DataFrame, pages: Sequence[int], placed: bool) -> dict[str, list[Any]]:
    """What holds for each image on its own, column by column; what is nowhere known is left out."""
    found: dict[str, list[Any]] = {
        "channel": rows["Metadata_Channel"].to_list(), "plane": rows["Metadata_Plane"].to_list(), "page": list(pages)
    }  # fmt: skip
    for name in _PER_IMAGE:
        if rows[name].null_count() == rows.height or (placed and name in ("x_um", "y_um")):
            continue
        found[name] = [_said(value) for value in rows[name].to_list()]
    return found


def _said(value: Any) -> str | float | None:
    return value.isoformat(timespec="microseconds") if isinstance(value, datetime) else _finite(value)


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def omero_channel(label: str, colour: str, window: tuple[int, int], top: int, light: tuple[Any, Any]) -> dict[str, Any]:
    """One channel as viewers know it. window: grey values that become black and the colour; top: the type's largest value."""
    waves = {"excitationWave": _finite(light[0]), "emissionWave": _finite(light[1])}
    return {
        "label": label, "color": colour, "active": True, "coefficient": 1, "family": "linear", "inverted": False,
        "window": {"min": 0, "max": top, "start": window[0], "end": window[1]},
        **{name: value for name, value in waves.items() if value is not None},
    }  # fmt: skip


def colour_of(label: str, number: int, emission_nm: float | None, alone: bool) -> str:
    """A colour by the channel's name, by the light that is seen, or in turn; white where there is one channel only."""
    if alone:
        return "FFFFFF"
    named = next((colour for word, colour in _BY_NAME.items() if word in label.lower()), None)
    light = next((colour for limit, colour in _BY_LIGHT if emission_nm and 380 <= emission_nm <= limit), None)
    return named or light or _IN_TURN[number % len(_IN_TURN)]


def condition_table(platemap: pl.DataFrame) -> tuple[dict[str, Any], pl.DataFrame]:
    """The plate map as Fractal's condition table (version 1): the group's document and the CSV's cells, a row for each well."""
    kind = {"type": "condition_table", "table_version": "1", "backend": "csv", "index_key": "well", "index_type": "str"}
    own = ("Metadata_Well", "Metadata_Row", "Metadata_Col", "Metadata_Quadruplet", "condition", "role")
    more = [name for name in platemap.columns if name not in (*own, "row", "column", "well", "replicate_group")]
    cells = platemap.select(
        _row_name().alias("row"), pl.col("Metadata_Col").alias("column"), pl.col("Metadata_Well").alias("well"), "condition",
        "role", pl.col("Metadata_Quadruplet").alias("replicate_group"), *more,
    )  # fmt: skip
    return group(kind), cells


def quality_table(quality: pl.DataFrame, folders: Mapping[tuple[str, int, str], str]) -> tuple[dict[str, Any], pl.DataFrame]:
    """The quality of the images as a generic table of Fractal's. folders: of each well, site and channel that was written."""
    keys = ["Metadata_Well", "Metadata_Site", "Metadata_Channel"]
    where = pl.DataFrame(
        [(*key, folder) for key, folder in folders.items()],
        schema={
            "Metadata_Well": pl.String,
            "Metadata_Site": pl.Int32,
            "Metadata_Channel": pl.String,
            "path_in_well": pl.String,
        },
        orient="row",
    )
    measured = [name for name in quality.columns if not name.startswith("Metadata_")]
    cells = quality.join(where, on=keys, how="left", maintain_order="left").select(
        _row_name().alias("row"), pl.col("Metadata_Col").alias("column"), "path_in_well", pl.col("Metadata_Well").alias("well"),
        pl.col("Metadata_Site").alias("site"), pl.col("Metadata_Channel").alias("channel"),
        pl.col("Metadata_Plane").alias("plane"), *measured,
    )  # fmt: skip
    return group({"type": "generic_table", "table_version": "1", "backend": "csv"}), cells


def _row_name() -> pl.Expr:
    return pl.col("Metadata_Row").map_elements(row_letters, return_dtype=pl.String)
