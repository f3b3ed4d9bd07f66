"""The tables that describe a plate before any science: images, image quality, plate map, exclusions, acquisitions.

Belongs here: schemas, as data. Not here: how they are filled (`readers`, `quality`, `platemap`) or stored (`storage`).
"""

import polars as pl

from plate_assets.storage.schema import Column, TableSchema

PLATE = Column("Metadata_Plate", pl.String, "Plate barcode or name, always text")
TIMEPOINT = Column("Metadata_Timepoint", pl.String, "Time point as the folder or the vendor names it, for example `096h`")
TIMEPOINT_H = Column(
    "Metadata_Timepoint_h", pl.Float64, "Hours since the culture began, where the time point tells", nullable=True
)
WELL = Column("Metadata_Well", pl.String, "Well, in the form `A01`")
ROW = Column("Metadata_Row", pl.Int32, "Row of the well, 1 is A")
COL = Column("Metadata_Col", pl.Int32, "Column of the well, from 1")
SITE = Column("Metadata_Site", pl.Int32, "Site (field of view) in the well, from 1")
CHANNEL = Column("Metadata_Channel", pl.String, "Channel as the vendor names it, `default` where there is one unnamed")
PLANE = Column("Metadata_Plane", pl.Int32, "Focal plane, from 1; 0 is a projection that the microscope made")
QUADRUPLET = Column(
    "Metadata_Quadruplet", pl.String, "Replicate group: the quadruplet by its top-left well, or the plate map's group"
)

IMAGES = TableSchema(
    "images",
    "One row for each image of an acquisition, present or missing.",
    (
        PLATE, TIMEPOINT, TIMEPOINT_H, WELL, ROW, COL, SITE, CHANNEL, PLANE,
        Column("path", pl.String, "File, relative to the acquisition's folder, with forward slashes"),
        Column("page", pl.Int32, "Page of the file that holds the image, from 0"),
        Column("size_bytes", pl.Int64, "Size of the file, bytes", nullable=True),
        Column("present", pl.Boolean, "False where the vendor's metadata names the file and it is not there"),
        Column("x_um", pl.Float64, "Centre of the image right of the well's centre, µm", nullable=True),
        Column("y_um", pl.Float64, "Centre of the image below the well's centre, µm", nullable=True),
        Column("z_um", pl.Float64, "Height of the focal plane, µm, as the vendor counts it", nullable=True),
        Column("acquired_at", pl.Datetime("us", "UTC"), "When the image was taken, UTC", nullable=True),
        Column("excitation_nm", pl.Float64, "Wavelength of the exciting light, nm", nullable=True),
        Column("emission_nm", pl.Float64, "Wavelength of the light that is seen, nm", nullable=True),
    ),
    key=("Metadata_Well", "Metadata_Site", "Metadata_Channel", "Metadata_Plane"),
)  # fmt: skip

IMAGE_QUALITY = TableSchema(
    "image_quality",
    "One row for each image: can it be read, is it in focus, saturated, unevenly lit or empty, and why it is flagged.",
    (
        PLATE, TIMEPOINT, TIMEPOINT_H, WELL, ROW, COL, SITE, CHANNEL, PLANE,
        Column("readable", pl.Boolean, "False where the file could not be decoded"),
        Column("width_px", pl.Int32, "Width, px", nullable=True),
        Column("height_px", pl.Int32, "Height, px", nullable=True),
        Column("dtype", pl.String, "Type of the pixels, for example `uint16`", nullable=True),
        Column("mean_intensity", pl.Float64, "Mean grey value, as a share of the type's range", nullable=True),
        Column("focus", pl.Float64, "Focus: variance of the Laplacian over the variance of the image", nullable=True),
        Column("saturated_share", pl.Float64, "Share of pixels at the upper end of the range", nullable=True),
        Column("dark_share", pl.Float64, "Share of pixels at zero", nullable=True),
        Column("illumination_falloff", pl.Float64, "1 - darkest / brightest part, smoothed; 0 is even light", nullable=True),
        Column("empty", pl.Boolean, "True where the image holds no structure at all"),
        Column("flagged", pl.Boolean, "True where there is a reason to distrust the image"),
        Column("reasons", pl.String, "The reasons, separated by `; `, empty where none"),
    ),
    key=("Metadata_Well", "Metadata_Site", "Metadata_Channel", "Metadata_Plane"),
)  # fmt: skip

ILLUMINATION = TableSchema(
    "illumination",
    "One row for each channel and profile of its light: the vendor's, and the one that the plate's own images share.",
    (
        PLATE, TIMEPOINT, CHANNEL,
        Column("source", pl.String, "`vendor` or `estimated`"),
        Column("n_images", pl.Int32, "Images that the light before was measured on"),
        Column("falloff_before", pl.Float64, "1 - darkest / brightest place of the images' common light; 0 is even"),
        Column("falloff_after", pl.Float64, "The same once it is divided by the profile"),
        Column("before", pl.List(pl.Float64), "The images' common light on 32 × 32 places, row by row, mean 1"),
        Column("profile", pl.List(pl.Float64), "The profile on the same places, mean 1"),
    ),
    key=("Metadata_Channel", "source"),
)  # fmt: skip

ROLES = ("sample", "negative_control", "positive_control", "empty")

PLATE_MAP = TableSchema(
    "plate_map",
    "One row for each well in use: its condition, its role and its replicate group. Further columns are the lab's own.",
    (
        WELL, ROW, COL, QUADRUPLET,
        Column("condition", pl.String, "Name of the condition", nullable=True),
        Column("role", pl.String, f"One of {', '.join(ROLES)}"),
    ),
    key=("Metadata_Well",),
    open_ended=True,
)  # fmt: skip

EXCLUSIONS = TableSchema(
    "exclusions",
    "What a person took out of training and calls, and back in: one row for each decision, the last one on a well counts.",
    (
        PLATE,
        Column("Metadata_Well", pl.String, "Well, or empty for the whole plate", nullable=True),
        Column("excluded", pl.Boolean, "True takes it out, false puts it back"),
        Column("reason", pl.String, "Why"),
        Column("author", pl.String, "Who decided"),
        Column("decided_at", pl.Datetime("us", "UTC"), "When, UTC"),
    ),
)  # fmt: skip
