"""What people see of the drift assets in the UI: decisions, what moved, pictures.

Belongs here: metadata from results. Not here: the drawing (`drift.figures`), forms of metadata (`orchestration.metadata`).
"""

from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from plate_assets.orchestration.metadata import picture, table_shown
from plate_assets.plates.layout import PlateFormat

if TYPE_CHECKING:
    from plate_assets.drift.acquisitions import DriftReference, TestedAcquisition
    from plate_assets.workflows.drift.monitor import Lines
    from plate_assets.workflows.drift.stability import StabilityStudy


def test_facts(found: "TestedAcquisition") -> dict[str, Any]:
    """The decision on an acquisition, why, and its wells that moved most."""
    row = found.test.row(0, named=True)
    facts = {name: row[name] for name in ("p_value", "p_floor", "level", "effect", "shift_sd") if row[name] is not None}
    return {
        "decision": row["decision"],
        "why": row["reasons"] or "–",
        **facts,
        "reference plates": row["n_reference_plates"],
        "moved most": ", ".join(found.wells.sort("rank")["Metadata_Well"][:8]),
    }


def test_figures(
    found: "TestedAcquisition", reference: "DriftReference", key: str, embeddings: pl.DataFrame, tolerance_h: float,
    plate_format: PlateFormat,
) -> dict[str, dg.MarkdownMetadataValue]:  # fmt: skip
    """The test among its null, the wells among the reference's, and the plate with the wells that moved."""
    from plate_assets.drift.acquisitions import of_like_age, vectors_of, well_vectors
    from plate_assets.drift.figures import moved_wells, null_plot, well_scatter

    titles = [f"{what} of {key}" for what in ("Drift test", "Wells", "Moved wells")]
    figures = {titles[0]: null_plot(found.test, found.null, titles[0])} if found.null.height else {}
    wells = well_vectors(key, embeddings)
    like = of_like_age(reference.wells, wells, tolerance_h)
    if like.height:
        known, new = vectors_of(like["vector"]), vectors_of(wells["vector"])
        figures[titles[1]] = well_scatter(known, like["Metadata_Plate"].to_numpy(), new, titles[1])
        figures[titles[2]] = moved_wells(found.wells, plate_format, titles[2])
    return {title: picture(png, title) for title, png in figures.items()}


def outlier_facts(found: "TestedAcquisition") -> dict[str, Any]:
    """How many tiles are odd by themselves, and the farthest of them."""
    odd = found.tiles.filter(pl.col("outlier")).sort("distance", descending=True)
    return {
        "odd images": odd.height,
        "farthest": table_shown(odd.select("Metadata_Well", "distance", "threshold"), 12),
    }


def study_facts(study: "StabilityStudy", in_force: str | None, tile: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Metadata of the stability table and of the online test's AUC. tile: (t, t) a tile to show corruptions on."""
    from plate_assets.workflows.drift.stability import study_figures

    figures = {name.replace("_", " "): picture(png, name) for name, png in study_figures(study, tile).items()}
    online = {name: shown for name, shown in figures.items() if name.startswith("online")}
    missed = study.stability.filter(pl.col("measure") == "false_negative_rate", pl.col("level") > 0)["value"].mean()
    facts = {
        "units": study.units,
        "tiles": study.tiles,
        "detector in force": in_force or "none: no champion",
        "mean share of drifted batches missed": missed or 0.0,
        **{name: shown for name, shown in figures.items() if name not in online},
    }
    return facts, {"best AUC": study.online_auc["auc"].max() or 0.0, **online}


def monitor_facts(found: "Lines", ert: float) -> dict[str, Any]:
    """How many lines are watched, and the statistic along each. ert: mean wells until a false alarm."""
    from plate_assets.drift.figures import line_plot

    figures = {
        f"Line {line}": picture(line_plot(state.steps, f"Line {line}"), f"Line {line}")
        for line, state in found.states.items()
        if state.steps.height
    }
    return {
        "lines": found.steps["line"].n_unique(),
        "updates": found.steps.height,
        "acquisitions left out": found.left_out,
        "mean wells until a false alarm": ert,
        **figures,
    }


def episode_facts(episodes: pl.DataFrame) -> dict[str, Any]:
    """How many alarms there were, which are open and since when."""
    still = episodes.filter(pl.col("closed_at").is_null())
    return {"episodes": episodes.height, "open": still.height, "since": table_shown(still.select("line", "opened_at"))}


def batch_facts(batch: pl.DataFrame, sheet: bytes) -> dict[str, Any]:
    """What a person is asked to label, and how."""
    title = "Label these tiles first"
    return {
        "new tiles": batch.height,
        "tiles": batch.height,
        "lines": ", ".join(batch["line"].unique().sort()),
        "acquisitions": ", ".join(batch["acquisition"].unique().sort()),
        "how": "`plate-assets label` names clusters of a new training sample that holds these acquisitions",
        **({title: picture(sheet, title)} if sheet else {}),
    }
