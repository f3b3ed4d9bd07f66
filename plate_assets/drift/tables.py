"""The tables of drift: the reference, the test of each acquisition, what moved, odd images, the monitor's steps.

Belongs here: schemas, as data. Not here: how they are filled. Light: the definitions import it.
"""

import polars as pl

from plate_assets.plates.tables import CHANNEL, COL, PLATE, ROW, SITE, TIMEPOINT, TIMEPOINT_H, WELL
from plate_assets.storage.schema import Column, TableSchema

ACQUISITION = Column("acquisition", pl.String, "Id of the acquisition")
VECTOR = pl.List(pl.Float32)
EMBEDDING_VERSION = Column("embedding_version", pl.String, "Version of the embedding model that made the vectors")
REFERENCE_VERSION = Column("reference_version", pl.String, "Fingerprint of the reference that was compared with")
N_TILES = Column("n_tiles", pl.Int32, "Tiles of the well")
TILE = (
    SITE, CHANNEL,
    Column("tile_row", pl.Int32, "Row of the tile in the crop's grid, from 0"),
    Column("tile_col", pl.Int32, "Column of the tile in the crop's grid, from 0"),
)  # fmt: skip
TILE_KEY = ("acquisition", "Metadata_Well", "Metadata_Site", "Metadata_Channel", "tile_row", "tile_col")
DECISIONS = ("drift", "none", "cannot tell")

DRIFT_REFERENCE = TableSchema(
    "drift_reference",
    "One row for each well of each reference acquisition: the mean of its tiles' vectors.",
    (
        ACQUISITION, PLATE, TIMEPOINT, TIMEPOINT_H, WELL, N_TILES,
        Column("vector", VECTOR, "Mean of the well's embeddings"),
        EMBEDDING_VERSION,
    ),
    key=("acquisition", "Metadata_Well"),
)  # fmt: skip

DRIFT_REFERENCE_TILES = TableSchema(
    "drift_reference_tiles",
    "One row for each of some tiles of each reference acquisition, drawn evenly over its wells: what single images look like.",
    (
        ACQUISITION, PLATE, TIMEPOINT, TIMEPOINT_H, WELL, *TILE,
        Column("vector", VECTOR, "Embedding of the tile"),
        EMBEDDING_VERSION,
    ),
    key=TILE_KEY,
)  # fmt: skip

DRIFT_TESTS = TableSchema(
    "drift_tests",
    "One row for each acquisition: does its plate differ from the reference plates more than they differ from each other.",
    (
        ACQUISITION, PLATE, TIMEPOINT, TIMEPOINT_H,
        Column("decision", pl.String, f"One of {', '.join(f'`{name}`' for name in DECISIONS)}"),
        Column("reasons", pl.String, "Why it cannot tell, and what a person should know, separated by `; `"),
        Column("null", pl.String, "`leave_one_plate_out`, or `log_normal` (fitted, for few plates)"),
        Column("p_value", pl.Float64, "Share of such plates that differ as much; empty where no test was made", nullable=True),
        Column("p_floor", pl.Float64, "Smallest p-value that so many plates allow; 0 for a fitted null", nullable=True),
        Column("alpha", pl.Float64, "Rate of false alarms that was asked"),
        Column("level", pl.Float64, "Rate of false alarms that the test has, at most alpha", nullable=True),
        Column("statistic", pl.Float64, "Unbiased MMD² of its wells against the reference's", nullable=True),
        Column("threshold", pl.Float64, "Statistic above which there is drift; empty where no value would do", nullable=True),
        Column("effect", pl.Float64, "Statistic less the reference plates' mean, in their standard deviations", nullable=True),
        Column("shift_sd", pl.Float64, "Distance of the means, in standard deviations of the reference's wells", nullable=True),
        Column("n_wells", pl.Int32, "Wells of the acquisition"),
        Column("n_wells_compared", pl.Int32, "Wells that were taken from every plate", nullable=True),
        Column("n_reference_plates", pl.Int32, "Reference plates of like age that were compared with"),
        Column("n_plates_needed", pl.Int32, "Reference plates from which on a p-value of alpha is possible"),
        Column("age_apart_h", pl.Float64, "Largest difference in age to a reference acquisition, hours", nullable=True),
        Column("outlier_share", pl.Float64, "Share of its tiles that are outliers", nullable=True),
        EMBEDDING_VERSION, REFERENCE_VERSION,
    ),
    key=("acquisition",),
)  # fmt: skip

DRIFT_NULL = TableSchema(
    "drift_null",
    "One row for each reference plate of a test: how much it differs from all others of the pool.",
    (
        ACQUISITION,
        Column("reference_plate", pl.String, "Reference plate"),
        Column("reference_acquisition", pl.String, "Its acquisition of like age"),
        Column("statistic", pl.Float64, "Unbiased MMD² of its wells against those of all others"),
    ),
    key=("acquisition", "reference_plate"),
)

WELL_DRIFT = TableSchema(
    "well_drift",
    "One row for each well of a tested acquisition: how much it took part in a shift, and whether it is odd by itself.",
    (
        ACQUISITION, PLATE, TIMEPOINT, TIMEPOINT_H, WELL, ROW, COL, N_TILES,
        Column("witness", pl.Float64, "Mean kernel to the plate's other wells less that to the reference: large, it moved"),
        Column("rank", pl.Int32, "By witness, 1 moved most"),
        Column("distance", pl.Float64, "Mean distance to the nearest reference wells of other plates", nullable=True),
        Column("outlier", pl.Boolean, "True where that is beyond nearly all reference wells", nullable=True),
    ),
    key=("acquisition", "Metadata_Well"),
)  # fmt: skip

IMAGE_OUTLIERS = TableSchema(
    "image_outliers",
    "One row for each tile of an acquisition: how far it is from everything in the reference, and how much it moved.",
    (
        ACQUISITION, PLATE, TIMEPOINT, TIMEPOINT_H, WELL, *TILE,
        Column("distance", pl.Float64, "Mean distance to the nearest reference tiles of other plates"),
        Column("threshold", pl.Float64, "Distance above which a tile is an outlier"),
        Column("outlier", pl.Boolean, "True where the distance is above the threshold"),
        Column("p_value", pl.Float64, "Share of reference tiles, this one counted, that lie as far from other plates"),
        Column("witness", pl.Float64, "Mean kernel to the plate's other tiles less that to the reference: large, it moved"),
        Column("rank", pl.Int32, "By witness, 1 moved most"),
    ),
    key=TILE_KEY,
)  # fmt: skip

DRIFT_DISCOVERIES = TableSchema(
    "drift_discoveries",
    "One row for each test of a night: is it named when the rate of wrong names over the whole night is kept.",
    (
        ACQUISITION,
        Column("p_value", pl.Float64, "Of the test alone", nullable=True),
        Column("adjusted_p", pl.Float64, "Smallest false-discovery rate at which it is named", nullable=True),
        Column("named", pl.Boolean, "True where that is at most the rate asked"),
        Column("rate", pl.Float64, "False-discovery rate that was asked"),
        Column("method", pl.String, "`benjamini_hochberg` or `benjamini_yekutieli`"),
        Column("note", pl.String, "What the night's tests could not have found, and what would help; empty where nothing"),
    ),
    key=("acquisition",),
)  # fmt: skip

DRIFT_TAKEN = TableSchema(
    "drift_taken",
    "One row for each well of one acquisition that a line's monitor took, in the order in which it takes them.",
    (
        ACQUISITION,
        Column("acquired_at", pl.Datetime("us", "UTC"), "When the acquisition began, UTC"),
        Column("Metadata_Well", pl.String, "Well, in the form `A01`; empty where none was taken", nullable=True),
        Column("vector", VECTOR, "Its mean embedding less the mean of reference wells of like age", nullable=True),
        Column("reason", pl.String, "Why the acquisition was left out; empty where it was taken"),
    ),
)  # fmt: skip

DRIFT_STEPS = TableSchema(
    "drift_steps",
    "One row for each update of a line's monitor: one well, in the order of acquisition time.",
    (
        Column("line", pl.String, "Line of acquisitions: instrument and assay"),
        ACQUISITION,
        Column("acquired_at", pl.Datetime("us", "UTC"), "When the acquisition began, UTC"),
        WELL,
        Column("update", pl.Int64, "Number of the update on this line, from 1"),
        Column("step", pl.Int32, "Updates since the monitor last started, from 1"),
        Column("statistic", pl.Float64, "MMD² of the last wells against the reference"),
        Column("threshold", pl.Float64, "Of this step"),
        Column("drift", pl.Boolean, "True where the statistic is above the threshold"),
        Column("episode", pl.Int32, "Alarm episode that the update lies in, from 1; empty outside", nullable=True),
    ),
    key=("line", "update"),
)  # fmt: skip

DRIFT_EPISODES = TableSchema(
    "drift_episodes",
    "One row for each alarm episode of a line: since when, until when.",
    (
        Column("line", pl.String, "Line of acquisitions: instrument and assay"),
        Column("episode", pl.Int32, "Number of the episode, from 1"),
        Column("opened_by", pl.String, "Acquisition in which the alarm came"),
        Column("opened_at", pl.Datetime("us", "UTC"), "When that acquisition began, UTC"),
        Column("last_drift_by", pl.String, "Latest acquisition in which the statistic was above its threshold"),
        Column("closed_by", pl.String, "Acquisition in which it closed; empty while open", nullable=True),
        Column("closed_at", pl.Datetime("us", "UTC"), "When that acquisition began, UTC", nullable=True),
        Column("alarms", pl.Int32, "Times that the statistic crossed the threshold"),
    ),
    key=("line", "episode"),
)  # fmt: skip

LABELLING_BATCH = TableSchema(
    "labelling_batch",
    "One row for each tile that a person should label after an alarm, in the order in which to look at them.",
    (
        Column("line", pl.String, "Line of acquisitions: instrument and assay"),
        Column("episode", pl.Int32, "Alarm episode of the line, from 1"),
        ACQUISITION, PLATE, TIMEPOINT, TIMEPOINT_H, WELL, *TILE,
        Column("place", pl.Int32, "Place in the batch, from 1"),
        Column("group", pl.Int32, "Tiles of one group look alike, from 1"),
        Column("distance", pl.Float64, "Mean distance to the nearest reference tiles of other plates"),
        Column("p_value", pl.Float64, "Share of reference tiles that lie as far from other plates"),
    ),
    key=("line", "episode", "place"),
)  # fmt: skip
