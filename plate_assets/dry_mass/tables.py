"""The tables of dry-mass time series: schemas, as data.

Belongs here: what each column means. Not here: how they are filled (`phase`, `cells`, `tracking`, `series`, `anomalies`).

A *track* is one cell from its birth to its division or loss; `parent_id` is its mother's. A *lineage* is a founder with all its
descendants, called by the founder's track. A *path* leads from a founder to one last descendant, called by that one's track:
sister paths share the mother's time, so that data are split by lineage and never by path.
"""

import polars as pl

from plate_assets.storage.schema import Column, TableSchema

TIMELAPSE = Column("Metadata_Timelapse", pl.String, "Name of the time-lapse, always text")
WELL = Column("Metadata_Well", pl.String, "Well, in the form `A01`, where one is known", nullable=True)
UNITS = ("pg", "relative")
UNIT = Column("unit", pl.String, "Of the mass: `pg`, or `relative` where the phase is not calibrated")
TRACK = Column("track_id", pl.Int64, "Cell from its birth to its division or loss, from 0")
LINEAGE = Column("lineage_id", pl.Int64, "Track of the founder")
PATH = Column("path_id", pl.Int64, "Track of the last descendant of a path from a founder")
HOURS = Column("time_h", pl.Float64, "Hours since the time-lapse began")

TIMELAPSE_FILES = TableSchema(
    "timelapse",
    "One row for each file of a time-lapse, as it was when the time-lapse was let in or had grown.",
    (
        TIMELAPSE,
        Column("root", pl.String, "Folder that it arrived in"),
        Column("role", pl.String, "`frames`, `outlines`, `tracks` (made elsewhere) or `settings`"),
        Column("path", pl.String, "File, relative to the folder"),
        Column("size_bytes", pl.Int64, "Its size, bytes"),
    ),
    key=("path",),
)  # fmt: skip

PHASE_FRAMES = TableSchema(
    "phase_frames",
    "One row for each frame: when it was taken, what was removed from it as background, and what its pixels hashed to.",
    (
        TIMELAPSE,
        Column("frame", pl.Int32, "Frame, from 0"),
        Column("name", pl.String, "File, page or group that holds the frame; the pixels stay there"),
        HOURS,
        Column("fingerprint", pl.String, "BLAKE2b of the pixels: a frame that was changed afterwards is noticed"),
        Column("profile", pl.String, "Surface that was fitted: `none`, `offset`, `tilt` or `poly2`"),
        Column(
            "coefficients", pl.List(pl.Float64),
            "Of 1, x, y, x², xy, y² (as many as the profile has), x and y from -1 to 1 over the field, in the file's values",
        ),
        Column("noise", pl.Float64, "Standard deviation of the background about the surface, in the file's values"),
        Column("share", pl.Float64, "Part of the field that was taken for background, 0 to 1"),
        Column("reasons", pl.String, "What is wrong with the frame's background; empty where nothing is"),
    ),
    key=("frame",),
)  # fmt: skip

CELL_MASKS = TableSchema(
    "cell_masks",
    "One row for each cell of each frame: its measures and its pixels.",
    (
        TIMELAPSE,
        Column("frame", pl.Int32, "Frame, from 0"),
        Column("fingerprint", pl.String, "Of the frame's pixels, as in `phase_frames`"),
        Column("cell", pl.Int64, "Number of the cell within its frame, or its name in outlines that were given"),
        Column("x_px", pl.Float64, "Centre of mass, the middle of the first pixel at 0", nullable=True),
        Column("y_px", pl.Float64, "Centre of mass, the middle of the first pixel at 0", nullable=True),
        Column("x_um", pl.Float64, "Centre, right of the field's left border, µm (px without a pixel size)", nullable=True),
        Column("y_um", pl.Float64, "Centre, below the field's upper border, µm (px without a pixel size)", nullable=True),
        Column("area_px", pl.Int64, "Pixels"),
        Column("area_um2", pl.Float64, "Projected area, µm² (px² without a pixel size)", nullable=True),
        Column("total", pl.Float64, "OPD (µm) or relative values without background, summed over the cell"),
        Column("dry_mass", pl.Float64, "Dry mass: the OPD summed over the cell, over α", nullable=True),
        UNIT,
        Column("at_edge", pl.Boolean, "True where the cell touches the border of the field"),
        Column("saturated", pl.Boolean, "True where pixels of the cell are at the end of the range"),
        Column("reasons", pl.String, "What is wrong with the row (a mass below zero, …), separated by `; `"),
        Column("runs", pl.List(pl.Int32), "Pixels as runs, three numbers each: row, first column, column behind the last"),
    ),
    key=("frame", "cell"),
)  # fmt: skip

CELL_TRACKS = TableSchema(
    "cell_tracks",
    "One row for each cell in each frame that it was found in.",
    (
        TIMELAPSE, WELL, LINEAGE, TRACK,
        Column("parent_id", pl.Int64, "Track of the mother, empty for a founder", nullable=True),
        Column("frame", pl.Int32, "Frame, from 0"),
        HOURS,
        Column("x_um", pl.Float64, "Centre, right of the field's left border, µm (px without a pixel size)", nullable=True),
        Column("y_um", pl.Float64, "Centre, below the field's upper border, µm (px without a pixel size)", nullable=True),
        Column("area_um2", pl.Float64, "Projected area, µm² (px² without a pixel size)", nullable=True),
        Column("dry_mass", pl.Float64, "Dry mass: the OPD summed over the cell, over α", nullable=True),
        UNIT,
        Column("at_edge", pl.Boolean, "True where the cell touches the border of the field"),
        Column("saturated", pl.Boolean, "True where pixels of the cell are at the end of the range"),
        Column("reasons", pl.String, "What is wrong with the row (a mass below zero, …), separated by `; `"),
    ),
    key=("track_id", "frame"),
)  # fmt: skip

DRY_MASS_SERIES = TableSchema(
    "dry_mass_series",
    "One row for each point of each path from a founder to a last descendant, on a regular grid of time.",
    (
        TIMELAPSE, WELL, LINEAGE, PATH, TRACK,
        Column("point", pl.Int32, "Number of the point on the path, from 0"),
        HOURS,
        Column("dry_mass", pl.Float64, "Dry mass, interpolated between the frames beside it; empty in a gap", nullable=True),
        UNIT,
        Column("area_um2", pl.Float64, "Projected area, µm², likewise", nullable=True),
        Column("speed_um_h", pl.Float64, "Speed of the centre, µm/h, likewise", nullable=True),
        Column("gap", pl.Boolean, "True where no frame is near enough: nothing is bridged in silence"),
        Column("divides", pl.Boolean, "True at the last point of a cell before its division on this path"),
        Column("long_enough", pl.Boolean, "False for a path too short for windows: it is kept, and not scored"),
    ),
    key=("Metadata_Timelapse", "path_id", "point"),
)  # fmt: skip

DRY_MASS_WINDOWS = TableSchema(
    "dry_mass_windows",
    "One row for each window of each path that is long enough: 20 h that are seen and 10 h that are forecast, every 10 min.",
    (
        TIMELAPSE, LINEAGE, PATH,
        Column("first_point", pl.Int32, "Number of the window's first point on the path, from 0"),
        Column("window_start_h", pl.Float64, "Time of that point, hours"),
        Column("target_start_h", pl.Float64, "Time of the first point that is forecast, hours"),
        Column("unknown_points", pl.Int32, "Points of the window without a mass: with any, the window is not scored"),
        Column("divisions", pl.Int32, "Divisions within the window"),
    ),
    key=("path_id", "first_point"),
)  # fmt: skip

WINDOW_ANOMALIES = TableSchema(
    "window_anomalies",
    "One row for each window of each path: how far the forecast of its last hours lies from what was measured.",
    (
        TIMELAPSE, LINEAGE, PATH,
        Column("window_start_h", pl.Float64, "Time of the window's first point, hours"),
        Column("mse", pl.Float64, "Mean squared error of the forecast, training variance 1", nullable=True),
        Column("threshold", pl.Float64, "Error above which a window is abnormal: τ = μ + 2σ of the training windows"),
        Column("abnormal", pl.Boolean, "Whether the error lies above the threshold; empty beside a gap", nullable=True),
        Column("mse_persistence", pl.Float64, "Error of the forecast that nothing changes", nullable=True),
        Column("mse_linear", pl.Float64, "Error of the forecast that the line through the input goes on", nullable=True),
        Column("content", pl.UInt64, "Fingerprint of its points: of a time-lapse that grew, only new ones are forecast"),
        Column("model_version", pl.String, "Model that made the forecast"),
    ),
    key=("Metadata_Timelapse", "path_id", "window_start_h"),
)  # fmt: skip

CAUSES = ("acquisition", "biological", "none")
CELL_ANOMALIES = TableSchema(
    "cell_anomalies",
    "One row for each path: the share of its windows that are abnormal, since when, and whether the microscope may be why.",
    (
        TIMELAPSE, WELL, LINEAGE, PATH,
        Column("n_windows", pl.Int32, "Windows without a gap"),
        Column("n_abnormal", pl.Int32, "Abnormal ones among them"),
        Column("score", pl.Float64, "A = abnormal windows / all windows; empty for a path that is too short", nullable=True),
        Column("threshold", pl.Float64, "Score that flags a path: above μ + 5σ of the training paths; alone, above μ + 2σ"),
        Column("abnormal", pl.Boolean, "Flagged: the score lies above the threshold, or a sign was found", nullable=True),
        Column("margin", pl.Float64, "Largest of score / threshold and sign / limit: 1 is the line (`ranking`)", nullable=True),
        Column("decided_by", pl.String, "What has that margin, measured against its limit", nullable=True),
        Column("first_abnormal_h", pl.Float64, "Start of the first abnormal window, or the first sign, hours", nullable=True),
        Column("cause", pl.String, f"A guess: one of {', '.join(CAUSES)}"),
        Column("evidence", pl.String, "Signs: edge, saturation, gap, jump, step, division, cycle, growth; separated by `; `"),
        Column("model_version", pl.String, "Model that made the forecasts"),
    ),
    key=("Metadata_Timelapse", "path_id"),
)  # fmt: skip

EXPERIMENTS = ("same_culture", "other_culture", "altered")

VERDICTS = ("acquisition", "biological", "both", "either", "false_positive")
BIOLOGY = ("division", "growth", "merge", "too_big", "dead", "other")
ANNOTATIONS = TableSchema(
    "annotations",
    "What a person says of a flagged path: one row for each verdict, the last one on a path counts.",
    (
        TIMELAPSE, PATH,
        Column("verdict", pl.String, f"One of {', '.join(VERDICTS)}"),
        Column("biology", pl.String, f"For biology, one of {', '.join(BIOLOGY)}", nullable=True),
        Column("author", pl.String, "Who decided"),
        Column("decided_at", pl.Datetime("us", "UTC"), "When, UTC"),
    ),
)  # fmt: skip

DRY_MASS_EXPERIMENT = TableSchema(
    "dry_mass_experiment",
    "One row for each figure of one of the three experiments.",
    (
        Column("experiment", pl.String, f"One of {', '.join(EXPERIMENTS)}"),
        Column("measure", pl.String, "What was measured, and on which paths"),
        Column("value", pl.Float64, "Its value", nullable=True),
    ),
    key=("experiment", "measure"),
)  # fmt: skip

VERDICT_PRECISION = TableSchema(
    "verdict_precision",
    "Precision of the flags by people's verdicts, and the share of each class of the taxonomy.",
    (
        Column("kind", pl.String, "`precision`, `verdict`, `biology` (among the biological), or `guess` (a cause, confirmed)"),
        Column("name", pl.String, "Class within the kind"),
        Column("n", pl.Int64, "Flagged paths that count for it"),
        Column("whole", pl.Int64, "Flagged paths among which they are counted"),
        Column("share", pl.Float64, "n / whole", nullable=True),
        Column("low", pl.Float64, "Lower end of its 95 % interval", nullable=True),
        Column("high", pl.Float64, "Upper end of its 95 % interval", nullable=True),
        Column("interval", pl.String, "`wilson` (score interval) or `clopper_pearson` (exact, wider)"),
    ),
    key=("kind", "name"),
)  # fmt: skip
