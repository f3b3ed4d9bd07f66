"""From tile scores to well scores, and from well scores to the scores that a reference is made of.

Belongs here: what a well's row is put together from (tiles, plate map, quality, exclusions). Not here: the call itself
(`precipitation.quadruplets`), tile scores (`workflows.precipitation.score`).
"""

from collections.abc import Sequence

import polars as pl

from plate_assets.plates.layout import Well
from plate_assets.plates.tables import EXCLUSIONS
from plate_assets.precipitation.tables import WELL_SCORES

BASELINE = "local_std"
NOT_IN_MAP = "the plate map does not name this well"
REFERENCE_ROLES = ("sample", "negative_control")
_VISIT = ["Metadata_Plate", "Metadata_Timepoint", "Metadata_Timepoint_h"]
_REFERENCE = ["Metadata_Plate", "Metadata_Timepoint", "Metadata_Quadruplet", "score"]


def excluded_wells(exclusions: pl.DataFrame, plate: str) -> tuple[str | None, dict[str, str]]:
    """What is out of training and calls: the reason of the whole plate (None: it is in), and the reason of each well.

    The last decision on the plate counts for the plate, the last on a well for the well; a well is in when neither says out.
    Equal times are taken in the order of the rows.
    """
    decisions = (
        EXCLUSIONS.check(exclusions)
        .filter(pl.col("Metadata_Plate") == plate)
        .with_columns(pl.col("Metadata_Well").replace("", None))
        .sort("decided_at", maintain_order=True)
        .group_by("Metadata_Well", maintain_order=True)
        .last()
        .filter(pl.col("excluded"))
    )
    reasons = {_well_name(well): reason for well, reason in decisions.select("Metadata_Well", "reason").iter_rows()}
    return reasons.pop(None, None), {well: reason for well, reason in reasons.items() if well}


def _well_name(text: str | None) -> str | None:
    return None if text is None else Well.parse(text).name


def score_wells(
    patch_scores: pl.DataFrame,
    platemap: pl.DataFrame,
    quality: pl.DataFrame,
    exclusions: pl.DataFrame,
    model_version: str | None = None,
) -> pl.DataFrame:
    """The table WELL_SCORES of one acquisition, one row for each well of the plate map and each well with an image.

    A well's score is the sum of its tiles' scores over the detection area (eq. 9 of the whole area), the largest site's and
    channel's; null where no image of it could be scored. Flagged wells count; excluded ones do not, and keep their score.
    model_version is needed only where patch_scores has no row.
    """
    visit = _visit(patch_scores, quality)
    versions = patch_scores["model_version"].unique().to_list() or [model_version or "none"]
    if len(versions) > 1:
        raise ValueError(f"tiles of one plate were scored by {sorted(versions)}: score the plate again with one model")
    plate_reason, well_reasons = excluded_wells(exclusions, str(visit["Metadata_Plate"]))
    out = pl.DataFrame(
        {"Metadata_Well": list(well_reasons), "why_out": list(well_reasons.values())},
        schema={"Metadata_Well": pl.String, "why_out": pl.String},
    )
    wells = (
        _all_wells(platemap, patch_scores, quality)
        .join(_sums(patch_scores), on="Metadata_Well", how="left")
        .join(_quality(quality), on="Metadata_Well", how="left")
        .join(out, on="Metadata_Well", how="left")
        .with_columns(why_out=pl.coalesce("why_out", pl.lit(plate_reason, dtype=pl.String)))
        .with_columns(excluded=pl.col("why_out").is_not_null(), **{name: pl.lit(value) for name, value in visit.items()})
        .with_columns(pl.col("n_sites", "n_tiles").fill_null(0), pl.lit(versions[0]).alias("model_version"))
        .with_columns(pl.col("in_domain").fill_null(bool(patch_scores["in_domain"].all())))
    )
    return WELL_SCORES.conform(_reasoned(wells).select([column.name for column in WELL_SCORES.columns]))


def _visit(patch_scores: pl.DataFrame, quality: pl.DataFrame) -> dict[str, str | float | None]:
    rows = pl.concat([table.select(_VISIT) for table in (patch_scores, quality)]).unique()
    if rows.height != 1:
        raise ValueError(f"tiles and image quality speak of {rows.height} visits to plates, and one is needed")
    return rows.row(0, named=True)


def _all_wells(platemap: pl.DataFrame, *imaged: pl.DataFrame) -> pl.DataFrame:
    """Keys, condition and role of every well; a well that has images and is not in the plate map counts as empty."""
    columns = ["Metadata_Well", "Metadata_Row", "Metadata_Col", "Metadata_Quadruplet", "condition", "role"]
    named = platemap.select(columns).with_columns(in_map=pl.lit(True))
    keys = pl.concat([table.select(columns[:3]) for table in imaged]).unique()
    others = keys.join(named, on="Metadata_Well", how="anti").with_columns(
        pl.col("Metadata_Well").map_elements(lambda well: Well.parse(well).quadruplet, pl.String).alias("Metadata_Quadruplet"),
        condition=pl.lit(None, dtype=pl.String), role=pl.lit("empty"), in_map=pl.lit(False),
    )  # fmt: skip
    return pl.concat([named, others.select(named.columns)], how="vertical_relaxed").sort("Metadata_Row", "Metadata_Col")


def _sums(patch_scores: pl.DataFrame) -> pl.DataFrame:
    areas = patch_scores.group_by("Metadata_Well", "Metadata_Site", "Metadata_Channel").agg(
        pl.col("score").sum(), n_tiles=pl.len(), tile_max=pl.col("score").max(), local_std=pl.col("local_std").max(),
        in_domain=pl.col("in_domain").all(),
    )  # fmt: skip
    return areas.group_by("Metadata_Well").agg(
        n_sites=pl.col("Metadata_Site").n_unique(), n_tiles=pl.col("n_tiles").sum(), score=pl.col("score").max(),
        tile_max=pl.col("tile_max").max(), local_std=pl.col("local_std").max(), in_domain=pl.col("in_domain").all(),
    )  # fmt: skip


def _quality(quality: pl.DataFrame) -> pl.DataFrame:
    reasons = pl.col("reasons").filter(pl.col("flagged")).replace("", None).drop_nulls().str.split("; ").explode()
    return quality.group_by("Metadata_Well").agg(
        seen=pl.lit(True).first(), distrusted=pl.col("flagged").any(), why=reasons.unique(maintain_order=True).str.join("; ")
    )


def _reasoned(wells: pl.DataFrame) -> pl.DataFrame:
    """Put the reasons together: quality, no score, not in the plate map, excluded."""
    unscored = pl.col("score").is_null() & (pl.col("role") != "empty")
    seen = pl.col("seen").fill_null(False)
    said = [
        pl.col("why").replace("", None),
        pl.when(unscored & ~seen).then(pl.lit("no image")).when(unscored).then(pl.lit("no image that could be scored")),
        pl.when(~pl.col("in_map")).then(pl.lit(NOT_IN_MAP)),
        pl.when("excluded").then(pl.concat_str(pl.lit("excluded: "), "why_out")),
    ]
    return wells.with_columns(
        flagged=pl.col("distrusted").fill_null(False) | unscored | ~pl.col("in_map"),
        reasons=pl.concat_str(said, separator="; ", ignore_nulls=True).fill_null(""),
    )


def as_baseline(well_scores: pl.DataFrame) -> pl.DataFrame:
    """The same wells with the trivial baseline in place of the detector's score."""
    return well_scores.with_columns(score=pl.col("local_std"), model_version=pl.lit(f"baseline:{BASELINE}"))


def reference_scores(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Quadruplet scores of reference plates: Metadata_Plate, Metadata_Timepoint, Metadata_Quadruplet, score.

    tables: WELL_SCORES or QUADRUPLET_CALLS of plates that one model scored. Taken are samples and negative controls with a
    score, inside the model's domain. ValueError where the tables come from different models: their scores do not compare.
    """
    from plate_assets.precipitation.quadruplets import group_wells

    groups = [group_wells(table) if "Metadata_Well" in table.columns else table for table in tables]
    versions = {version for table in groups for version in table["model_version"].unique()}
    if len(versions) > 1:
        raise ValueError(f"reference plates were scored by {sorted(versions)}: score them again with one model")
    fit = pl.col("role").is_in(REFERENCE_ROLES) & pl.col("in_domain") & pl.col("score").is_finite()
    kept = [table.filter(fit).select(_REFERENCE) for table in groups]
    schema = {name: pl.String for name in _REFERENCE[:3]} | {"score": pl.Float64}
    return pl.concat([pl.DataFrame(schema=schema), *kept]).unique(_REFERENCE[:3], keep="last", maintain_order=True)
