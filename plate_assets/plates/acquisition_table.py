"""An acquisition as one table, so that it is stored, read and shown like every other.

Belongs here: the table's schema, and the way there and back. Not here: how an acquisition is read (`readers`).
"""

import json
from dataclasses import dataclass

import polars as pl
from upath import UPath

from plate_assets.plates.acquisition import Acquisition, Objective
from plate_assets.plates.layout import PlateFormat
from plate_assets.plates.tables import IMAGES
from plate_assets.storage.schema import Column, TableSchema

ACQUISITION = TableSchema(
    "acquisition",
    "One row for each image of one visit of the microscope; what holds for the whole visit is repeated in every row.",
    (
        *IMAGES.columns,
        Column("folder", pl.String, "Folder or URL of the acquisition"),
        Column("layout", pl.String, "Reader that read it"),
        Column("plate_wells", pl.Int32, "Wells of the plate's format"),
        Column("complete", pl.Boolean, "Whether a marker or list says all is there; empty: settling tells", nullable=True),
        Column("completeness", pl.String, "How that is known"),
        Column("pixel_um", pl.Float64, "Pixel size, µm", nullable=True),
        Column("objective_magnification", pl.Float64, "Magnification of the objective", nullable=True),
        Column("objective_na", pl.Float64, "Numerical aperture of the objective", nullable=True),
        Column("started_at", pl.Datetime("us", "UTC"), "When the visit began, UTC", nullable=True),
        Column("sources", pl.String, "Where pixel size, time point and so on came from, JSON"),
        Column("vendor_metadata", pl.String, "What else the vendor says, JSON"),
        Column("fingerprint", pl.String, "SHA-256 over images and vendor metadata"),
    ),
    key=IMAGES.key,
)  # fmt: skip


@dataclass(frozen=True)
class KnownAcquisition:
    """An acquisition that was let in, with the fingerprint made at the door."""

    acquisition: Acquisition
    fingerprint: str


def acquisition_to_table(acquisition: Acquisition, fingerprint: str) -> pl.DataFrame:
    """The ACQUISITION table of an acquisition."""
    table = acquisition.images.with_columns(
        folder=pl.lit(str(acquisition.root)),
        layout=pl.lit(acquisition.layout),
        plate_wells=pl.lit(acquisition.plate_format.wells, pl.Int32),
        complete=pl.lit(acquisition.complete, pl.Boolean),
        completeness=pl.lit(acquisition.completeness),
        pixel_um=pl.lit(acquisition.pixel_um, pl.Float64),
        objective_magnification=pl.lit(acquisition.objective and acquisition.objective.magnification, pl.Float64),
        objective_na=pl.lit(acquisition.objective and acquisition.objective.numerical_aperture, pl.Float64),
        started_at=pl.lit(acquisition.started_at, pl.Datetime("us", "UTC")),
        sources=pl.lit(json.dumps(acquisition.sources, sort_keys=True)),
        vendor_metadata=pl.lit(json.dumps(acquisition.metadata, sort_keys=True)),
        fingerprint=pl.lit(fingerprint),
    )
    return ACQUISITION.check(table)


def acquisition_from_table(table: pl.DataFrame) -> KnownAcquisition:
    """The acquisition that a table was made of; the table has at least one row."""
    first = table.row(0, named=True)
    magnification = first["objective_magnification"]
    return KnownAcquisition(
        Acquisition(
            plate=first["Metadata_Plate"],
            timepoint=first["Metadata_Timepoint"],
            timepoint_h=first["Metadata_Timepoint_h"],
            root=UPath(first["folder"]),
            layout=first["layout"],
            plate_format=PlateFormat(first["plate_wells"]),
            images=table.select(column.name for column in IMAGES.columns),
            complete=first["complete"],
            completeness=first["completeness"],
            pixel_um=first["pixel_um"],
            objective=Objective(magnification, first["objective_na"]) if magnification else None,
            started_at=first["started_at"],
            sources=json.loads(first["sources"]),
            metadata=json.loads(first["vendor_metadata"]),
        ),
        first["fingerprint"],
    )
