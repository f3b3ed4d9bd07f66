"""The tables of the precipitation science.

Belongs here: schemas, as data. Not here: how they are filled. Light: the definitions import it.
"""

import polars as pl

from plate_assets.plates.tables import CHANNEL, COL, PLATE, QUADRUPLET, ROW, SITE, TIMEPOINT, TIMEPOINT_H, WELL
from plate_assets.storage.schema import Column, TableSchema

WELL_KEYS = (PLATE, TIMEPOINT, TIMEPOINT_H, WELL, ROW, COL, QUADRUPLET)
TILE_KEYS = (
    *WELL_KEYS, SITE, CHANNEL,
    Column("tile_row", pl.Int32, "Row of the tile in the crop's grid, from 0"),
    Column("tile_col", pl.Int32, "Column of the tile in the crop's grid, from 0"),
)  # fmt: skip
MODEL_VERSION = Column("model_version", pl.String, "Model that made the row, for example `models:/precipitation-detector/3`")

PATCHES = TableSchema(
    "patches",
    "One row for each tile, in the order of its pixels in the array beside the table.",
    (
        *TILE_KEYS,
        Column("y0_px", pl.Int32, "First row of the tile in the well's image, px"),
        Column("x0_px", pl.Int32, "First column of the tile in the well's image, px"),
        Column("tile_px", pl.Int32, "Side of the tile, px"),
        Column("culture_share", pl.Float64, "Share of the tile inside the culture area"),
        Column("geometry", pl.String, "`inference` or `training` (Yasuno's crops), or `field`: no disc, all whole tiles"),
        Column("in_domain", pl.Boolean, "False where the geometry is not the model's own: shown, not called"),
        Column("local_std", pl.Float64, "Trivial baseline: largest standard deviation in 7 px, share of the type's range"),
    ),
    key=("Metadata_Well", "Metadata_Site", "Metadata_Channel", "tile_row", "tile_col", "geometry"),
)  # fmt: skip

INDEX = Column("index", pl.Int64, "Row of the training sample")

TRAINING_SAMPLE = TableSchema(
    "training_sample",
    "One row for each tile of the training sample, in the order of its pixels in the array beside the table.",
    (
        *PATCHES.columns,
        INDEX,
        Column("acquisition", pl.String, "Id of the acquisition that the tile came from"),
    ),
    key=("index",),
)

PATCH_EMBEDDINGS = TableSchema(
    "patch_embeddings",
    "One row for each tile: its vector under the embedding model.",
    (
        *TILE_KEYS,
        Column("embedding", pl.List(pl.Float32), "Unit vector of the tile (Yasuno, eq. 1)"),
        MODEL_VERSION,
    ),
    key=("Metadata_Well", "Metadata_Site", "Metadata_Channel", "tile_row", "tile_col"),
)

PATCH_MAP = TableSchema(
    "patch_map",
    "One row for each tile of the training sample: its place on the t-SNE map.",
    (
        *TILE_KEYS,
        INDEX,
        Column("map_x", pl.Float64, "First t-SNE coordinate, arbitrary units"),
        Column("map_y", pl.Float64, "Second t-SNE coordinate, arbitrary units"),
    ),
    key=("index",),
)

CLUSTERS = TableSchema(
    "patch_clusters",
    "One row for each tile of the training sample: its place on the map and its cluster.",
    (
        *TILE_KEYS,
        Column("index", pl.Int64, "Row of the training sample"),
        Column("map_x", pl.Float64, "First t-SNE coordinate, arbitrary units"),
        Column("map_y", pl.Float64, "Second t-SNE coordinate, arbitrary units"),
        Column("cluster", pl.Int32, "Cluster, from 1; -1 for an outlier"),
    ),
    key=("index",),
)  # fmt: skip

CLUSTER_NAMES = ("normal", "chemical", "necrotic", "other")

CLUSTER_LABELS = TableSchema(
    "cluster_labels",
    "What a person named each cluster: one row for each decision, the last one on a cluster counts.",
    (
        Column("clustering", pl.String, "Fingerprint of the clustering that the label speaks of"),
        Column("cluster", pl.Int32, "Cluster, from 1; -1 for the outliers"),
        Column("name", pl.String, f"One of {', '.join(CLUSTER_NAMES)}"),
        Column("author", pl.String, "Who decided"),
        Column("decided_at", pl.Datetime("us", "UTC"), "When, UTC"),
    ),
)  # fmt: skip

LABELLED_PATCHES = TableSchema(
    "labelled_patches",
    "One row for each tile of the training sample that has a label, with the split it belongs to.",
    (
        *TILE_KEYS,
        Column("index", pl.Int64, "Row of the training sample"),
        Column("cluster", pl.Int32, "Cluster that the label came from"),
        Column("label", pl.String, f"One of {', '.join(CLUSTER_NAMES)}"),
        Column("anomalous", pl.Boolean, "True for chemical and necrotic"),
        Column("split", pl.String, "`train`, `calibration` or `test`; a plate or well is in one only"),
    ),
    key=("index",),
)  # fmt: skip

PATCH_SCORES = TableSchema(
    "patch_scores",
    "One row for each tile: what the detector says of it.",
    (
        *TILE_KEYS,
        Column("y0_px", pl.Int32, "First row of the tile in the well's image, px: where its map lies", nullable=True),
        Column("x0_px", pl.Int32, "First column of the tile in the well's image, px", nullable=True),
        Column("tile_px", pl.Int32, "Side of the tile, px", nullable=True),
        Column("culture_share", pl.Float64, "Share of the tile inside the culture area"),
        Column("in_domain", pl.Boolean, "False where the geometry is not the model's own"),
        Column("score", pl.Float64, "Mean pseudo-Huber value over the detector's map (eq. 9 over u·v)"),
        Column("local_std", pl.Float64, "Trivial baseline: largest standard deviation in 7 px, share of the type's range"),
        MODEL_VERSION,
    ),
    key=("Metadata_Well", "Metadata_Site", "Metadata_Channel", "tile_row", "tile_col"),
)  # fmt: skip

GROWTH = TableSchema(
    "growth",
    "One row for each well: how much of it is covered with cells, without labels.",
    (
        *WELL_KEYS,
        Column("confluence", pl.Float64, "Share of the culture area covered with cells, 0 to 1", nullable=True),
        Column("cell_density_mm2", pl.Float64, "Cells per mm² of culture area, where the pixel size is known", nullable=True),
        Column("culture_row_px", pl.Float64, "Centre of the culture area found, row, px", nullable=True),
        Column("culture_col_px", pl.Float64, "Centre of the culture area found, column, px", nullable=True),
        Column("culture_radius_px", pl.Float64, "Radius of the culture area found, px", nullable=True),
    ),
    key=("Metadata_Well",),
)  # fmt: skip

WELL_SCORES = TableSchema(
    "well_scores",
    "One row for each well: its score, its quality and whether it counts.",
    (
        *WELL_KEYS,
        Column("condition", pl.String, "Condition from the plate map", nullable=True),
        Column("role", pl.String, "Role from the plate map: sample, negative_control, positive_control or empty"),
        Column("n_sites", pl.Int32, "Sites scored"),
        Column("n_tiles", pl.Int32, "Tiles scored"),
        Column("score", pl.Float64, "Sum of the tile scores over the detection area, the largest site's", nullable=True),
        Column("tile_max", pl.Float64, "Largest tile score", nullable=True),
        Column("local_std", pl.Float64, "Trivial baseline: its largest value over the tiles", nullable=True),
        Column("in_domain", pl.Boolean, "False where the geometry is not the model's own"),
        Column("excluded", pl.Boolean, "True where a person took the well out"),
        Column("flagged", pl.Boolean, "True where there is a reason to distrust the well"),
        Column("reasons", pl.String, "The reasons, separated by `; `, empty where none"),
        MODEL_VERSION,
    ),
    key=("Metadata_Well",),
)  # fmt: skip

QUADRUPLET_CALLS = TableSchema(
    "quadruplet_calls",
    "One row for each condition of a plate: its score, how isolated it is among the reference plates, and the call.",
    (
        PLATE, TIMEPOINT, TIMEPOINT_H, QUADRUPLET,
        Column("condition", pl.String, "Condition from the plate map", nullable=True),
        Column("role", pl.String, "Role from the plate map"),
        Column("n_wells", pl.Int32, "Wells that count"),
        Column("wells", pl.String, "Those wells, separated by a space"),
        Column("score", pl.Float64, "Largest well score of the group (eq. 10)", nullable=True),
        Column("normalised_score", pl.Float64, "Score in robust standard deviations above the reference median", nullable=True),
        Column("anomaly_score", pl.Float64, "Isolation above the reference, 0 to 1 (eq. 11, one-sided)", nullable=True),
        Column("threshold", pl.Float64, "Anomaly score above which a condition is called (eq. 12)", nullable=True),
        Column("call", pl.Boolean, "True: precipitated; empty: not called, see `reasons`", nullable=True),
        Column("in_domain", pl.Boolean, "False where the geometry is not the model's own"),
        Column("reasons", pl.String, "Why there is no call, or why it deserves a second look; empty where neither"),
        Column("reference", pl.String, "Fingerprint of the reference scores that the call compares with", nullable=True),
        MODEL_VERSION,
    ),
    key=("Metadata_Quadruplet",),
)  # fmt: skip

EXPERT_LABELS = TableSchema(
    "expert_labels",
    "What an expert said of each condition of an evaluation plate.",
    (
        PLATE, TIMEPOINT, QUADRUPLET,
        Column("precipitated", pl.Boolean, "True where the expert saw precipitation"),
        Column("author", pl.String, "Who looked"),
    ),
    key=("Metadata_Plate", "Metadata_Timepoint", "Metadata_Quadruplet"),
)  # fmt: skip

ONSET = TableSchema(
    "precipitation_onset",
    "One row for each condition of a plate: when it was first called, over the plate's time points.",
    (
        PLATE, QUADRUPLET,
        Column("condition", pl.String, "Condition from the plate map", nullable=True),
        Column("n_timepoints", pl.Int32, "Time points with a call or a clear no"),
        Column("last_clear", pl.String, "Last time point before the first call", nullable=True),
        Column("last_clear_h", pl.Float64, "The same, hours", nullable=True),
        Column("onset", pl.String, "First time point that was called", nullable=True),
        Column("onset_h", pl.Float64, "The same, hours", nullable=True),
        Column("persists", pl.Boolean, "True where every later time point was called too", nullable=True),
    ),
    key=("Metadata_Plate", "Metadata_Quadruplet"),
)  # fmt: skip

LAYOUT_EFFECTS = TableSchema(
    "layout_effects",
    "One row for each measure and effect of a plate: do edge, row or column move it.",
    (
        PLATE, TIMEPOINT,
        Column("measure", pl.String, "`score`, `confluence` or `local_std`"),
        Column("effect", pl.String, "`edge`, `row` or `column`"),
        Column("statistic", pl.Float64, "Edge: difference of medians; row, column: variance share of medians", nullable=True),
        Column("p_value", pl.Float64, "Permutation test over wells, samples only", nullable=True),
        Column("n_wells", pl.Int32, "Wells that took part"),
    ),
    key=("measure", "effect"),
)  # fmt: skip

COMPARISON = TableSchema(
    "detector_comparison",
    "One row for each detector and baseline: how it does against the experts' labels of quadruplets.",
    (
        Column("detector", pl.String, "Backbone, or `local_std` for the trivial baseline"),
        Column("method", pl.String, "How scores became calls: `one_sided`, or `paper_forest` (the paper's two-sided forest)"),
        MODEL_VERSION,
        Column("n_quadruplets", pl.Int32, "Labelled quadruplets"),
        Column("n_precipitated", pl.Int32, "Those that the expert calls precipitated"),
        Column("n_plates", pl.Int32, "Plates that they lie on"),
        Column("n_without_score", pl.Int32, "Labelled quadruplets without a score: left out of all that follows"),
        Column("n_without_call", pl.Int32, "Those with a score and no call: left out of the rates and counts of calls"),
        Column("auc", pl.Float64, "Area under the ROC curve of the score (`paper_forest`: of the isolation)", nullable=True),
        Column("auc_low", pl.Float64, "Lower end of its 95 % bootstrap interval", nullable=True),
        Column("auc_high", pl.Float64, "Upper end of its 95 % bootstrap interval", nullable=True),
        Column("auprc", pl.Float64, "Area under the precision-recall curve", nullable=True),
        Column("accuracy", pl.Float64, "Share of quadruplets called as the expert did", nullable=True),
        Column("f1", pl.Float64, "F1 of the class precipitated", nullable=True),
        Column("precision", pl.Float64, "Share of the called that are precipitated", nullable=True),
        Column("recall_precipitation", pl.Float64, "Share of the precipitated that are called", nullable=True),
        Column("recall_normal", pl.Float64, "Share of the normal that are not called", nullable=True),
        Column("true_positives", pl.Int32, "Precipitated and called", nullable=True),
        Column("false_positives", pl.Int32, "Normal and called", nullable=True),
        Column("true_negatives", pl.Int32, "Normal and not called", nullable=True),
        Column("false_negatives", pl.Int32, "Precipitated and not called", nullable=True),
        Column("threshold", pl.Float64, "Anomaly score above which a quadruplet was called", nullable=True),
    ),
    key=("detector", "method"),
)
