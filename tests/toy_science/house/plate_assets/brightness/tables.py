"""The tables of brightness."""

import polars as pl

from plate_assets.storage.schema import Column, TableSchema

KEYS = (Column("Metadata_Plate", pl.String, "Plate"), Column("Metadata_Well", pl.String, "Well, `A01` form"))
WELL_BRIGHTNESS = TableSchema(
    "well_brightness",
    "How bright each well is.",
    (*KEYS, Column("brightness", pl.Float64, "Mean grey value of its images, of their full scale")),
    key=("Metadata_Plate", "Metadata_Well"),
)
BRIGHT_WELLS = TableSchema(
    "bright_wells",
    "Which wells are bright.",
    (
        *KEYS,
        Column("score", pl.Float64, "Its brightness"),
        Column("bright", pl.Boolean, "Whether it is above the limit"),
        Column("model_version", pl.String, "The limit that judged it"),
    ),
    key=("Metadata_Plate", "Metadata_Well"),
)
