"""What people see of the assets of dry mass in the UI: counts, errors, the most abnormal, pictures.

Belongs here: metadata from results. Not here: the drawing (`dry_mass.figures`), forms of metadata (`orchestration.metadata`).
"""

from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from plate_assets.orchestration.metadata import picture

if TYPE_CHECKING:
    from plate_assets.orchestration.stored_timelapses import StoredTimelapse


def frame_facts(frames: pl.DataFrame, recorded: "StoredTimelapse", new: int) -> dict[str, Any]:
    """Of PHASE_FRAMES: how many, what their pixels mean, and what is wrong with some. new: frames that were measured now."""
    faults = frames.filter(pl.col("reasons") != "")
    return {
        "frames": frames.height,
        "new frames": new,
        "hours": float(frames["time_h"].max() or 0.0),  # pyright: ignore[reportArgumentType]
        "unit": recorded.calibration.unit,
        "pixel size (µm)": recorded.calibration.pixel_um or "unknown",
        "came from": ", ".join(f"{what}: {source}" for what, source in sorted(recorded.calibration.sources.items())),
        "median noise (file's values)": float(frames["noise"].median() or 0.0),  # pyright: ignore[reportArgumentType]
        "frames with a reason": faults.height,
        "first reason": faults["reasons"][0] if faults.height else "none",
    }


def track_facts(tracks: pl.DataFrame, remarks: tuple[str, ...]) -> dict[str, Any]:
    """Of CELL_TRACKS: how many tracks and lineages, and what was remarked of them."""
    wrong = tracks.filter(pl.col("reasons") != "")
    return {
        "tracks": tracks["track_id"].n_unique(),
        "lineages": tracks["lineage_id"].n_unique(),
        "daughters": tracks.filter(pl.col("parent_id").is_not_null())["track_id"].n_unique(),
        "rows with a reason": wrong.height,
        "first reasons": listed(wrong["reasons"].unique()[:10]),
        "remarks": listed(remarks),
    }


def window_facts(windows: pl.DataFrame, title: str) -> dict[str, Any]:
    """Of WINDOW_ANOMALIES: how many are abnormal, and the forecast's errors beside those of the baselines."""
    from plate_assets.dry_mass.figures import error_histogram

    means = {
        "mean error": windows["mse"].mean(),
        "of persistence": windows["mse_persistence"].mean(),
        "of linear growth": windows["mse_linear"].mean(),
        "threshold": windows["threshold"].first(),
    }
    return {
        "windows": windows.height,
        "beside a gap": windows["mse"].null_count(),
        "abnormal": int(windows["abnormal"].sum() or 0),
        **{name: value or 0.0 for name, value in means.items()},
        **({"errors": picture(error_histogram(windows, title), title)} if windows["mse"].count() else {}),
    }


def listed(texts: Any) -> dg.MarkdownMetadataValue:
    """Texts as a list; `none` where there is none."""
    return dg.MetadataValue.md("\n".join(f"- {text}" for text in texts) or "none")
