"""From well scores to a call on each condition: quadruplets, the isolation forest, the threshold.

Belongs here: what turns scores of wells into calls. Not here: how a well gets its score (`workflows.precipitation.calls`),
which wells share a condition (`plates.platemap`), drawing (`figures`).
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import polars as pl
from sklearn.ensemble import IsolationForest

from plate_assets.precipitation.tables import QUADRUPLET_CALLS

METHODS = ("one_sided", "paper_forest")
SMALLEST_REFERENCE = 16
NO_REFERENCE = "no reference scores: score clean plates with this model and name them with `--reference PLATE...`"
OUT_OF_DOMAIN = "outside the model's domain: shown, not called"
_GROUP = ["Metadata_Plate", "Metadata_Timepoint", "Metadata_Timepoint_h", "Metadata_Quadruplet"]
_REFERENCE = ["Metadata_Plate", "Metadata_Timepoint", "Metadata_Quadruplet", "score"]


@dataclass(frozen=True)
class QuadrupletCaller:
    """Calls a quadruplet precipitated when its score is isolated above the reference plates' (Yasuno, eq. 10-13).

    The forest alone is two-sided and flat beyond its data: it isolates very clean wells, and can miss a score far above
    every reference. So isolation is taken over the high side only and made monotone: a higher score is never less isolated, and
    beyond the reference isolation goes on rising towards 1. `call` is always `isolation > threshold`.
    """

    scores: np.ndarray  # the reference's high side, ascending
    isolation: np.ndarray  # running maximum of the isolation of `scores`
    threshold: float

    @classmethod
    def fit(cls, reference: np.ndarray, contamination: float = 0.01, seed: int = 0) -> "QuadrupletCaller":
        """Fit on the quadruplet scores of reference plates.

        reference: (n,) scores, arbitrary units, finite, n >= 16.
        contamination: share of the whole reference above the threshold (lambda, eq. 12), 0 to 0.5.
        Raises ValueError where the reference is too small or not finite.
        """
        reference = _checked(reference, contamination)
        forest = IsolationForest(random_state=seed).fit(reference[:, None])
        high = np.sort(reference[reference >= np.median(reference)])
        isolation = np.maximum.accumulate(-forest.score_samples(high[:, None]))
        share = min(contamination * reference.size / high.size, 1.0)
        return cls(high, isolation, float(np.quantile(isolation, 1 - share)))

    def call(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Isolation in [0, 1] and call of each score, both (n,). NaN (no well of the group) is never called."""
        scores = np.asarray(scores, dtype=float)
        below = np.searchsorted(self.scores, scores, side="right")  # how many of the high side lie at or below each score
        isolation = np.concatenate([[0.0], self.isolation])[below]
        above = scores > self.scores[-1]
        isolation[above] = self._beyond(scores[above])
        isolation[np.isnan(scores)] = np.nan
        return isolation, isolation > self.threshold

    def _beyond(self, scores: np.ndarray) -> np.ndarray:
        """Isolation above every reference score: from the largest one on it nears 1 with the distance."""
        last = self.isolation[-1]
        width = float(self.scores[-1] - self.scores[0]) or 1.0
        rising = 1 - (1 - last) / (1 + (scores - self.scores[-1]) / width)
        return np.maximum(rising, np.nextafter(last, 2))


@dataclass(frozen=True)
class PaperForest:
    """The plain two-sided isolation forest as printed (eq. 11-13), for comparison: it calls very clean quadruplets too."""

    forest: IsolationForest
    threshold: float

    @classmethod
    def fit(cls, reference: np.ndarray, contamination: float = 0.01, seed: int = 0) -> "PaperForest":
        """Fit on (n,) reference scores; contamination is lambda of eq. 12. Errors as `QuadrupletCaller.fit`.

        scikit-learn's c(n) in eq. 11 is that of the sub-sample (256 or n if smaller), as in Liu et al.
        """
        reference = _checked(reference, contamination)
        forest = IsolationForest(random_state=seed).fit(reference[:, None])
        return cls(forest, float(np.quantile(-forest.score_samples(reference[:, None]), 1 - contamination)))

    def call(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Isolation in [0, 1] and call of each score, both (n,). NaN is never called."""
        scores = np.asarray(scores, dtype=float)
        isolation = np.full(scores.shape, np.nan)
        known = ~np.isnan(scores)
        if known.any():
            isolation[known] = -self.forest.score_samples(scores[known][:, None])
        return isolation, isolation > self.threshold


def _checked(reference: np.ndarray, contamination: float) -> np.ndarray:
    reference = np.asarray(reference, dtype=float)
    finite = np.isfinite(reference)
    if finite.sum() < SMALLEST_REFERENCE or not finite.all():
        raise ValueError(
            f"{finite.sum()} of {reference.size} reference scores are finite, and {SMALLEST_REFERENCE} or more, all finite, "
            "are needed: add a reference plate that this model has scored"
        )
    if not 0 <= contamination <= 0.5:
        raise ValueError(f"contamination is {contamination}: it is a share of the reference, from 0 to 0.5")
    return reference


def group_wells(well_scores: pl.DataFrame) -> pl.DataFrame:
    """One row for each replicate group: the largest score of the wells that count (eq. 10), and what to say about the others.

    well_scores has the schema WELL_SCORES; a well counts when it is not excluded, not empty by the plate map, and has a score.
    Returns the columns of QUADRUPLET_CALLS without the call, with `reasons`. Groups may hold any number of wells.
    """
    empty, unscored = pl.col("role") == "empty", pl.col("score").fill_nan(None).is_null()
    counts = ~pl.col("excluded") & ~empty & ~unscored
    why = pl.col("reasons").replace("", None)
    remark = (
        pl.when(pl.col("excluded")).then(pl.concat_str(pl.col("Metadata_Well"), pl.lit(" excluded"), _behind_colon(why)))
        .when(empty).then(pl.lit(None, dtype=pl.String))
        .when(unscored).then(pl.concat_str(pl.col("Metadata_Well"), pl.lit(" has no score"), _behind_colon(why)))
        .when(pl.col("flagged")).then(pl.concat_str(pl.col("Metadata_Well"), pl.lit(" flagged"), _behind_colon(why)))
    )  # fmt: skip
    used, named = ~empty, pl.col("condition")
    return (
        well_scores.sort("Metadata_Plate", "Metadata_Timepoint", "Metadata_Row", "Metadata_Col")
        .with_columns(pl.col("score").fill_nan(None))
        .group_by(_GROUP, maintain_order=True)
        .agg(
            condition=pl.coalesce(named.filter(used).first(), named.first()),
            role=pl.coalesce(pl.col("role").filter(used).first(), pl.col("role").first()),
            n_wells=counts.sum().cast(pl.Int32),
            wells=pl.col("Metadata_Well").filter(counts).str.join(" "),
            score=pl.col("score").filter(counts).max(),
            in_domain=pl.when(counts.any()).then(pl.col("in_domain").filter(counts).all()).otherwise(pl.col("in_domain").all()),
            reasons=remark.drop_nulls().str.join("; "),
            mixed=pl.struct("condition", "role").filter(used).n_unique() > 1,
            model_version=pl.col("model_version").first(),
        )
        .with_columns(reasons=_joined("reasons", pl.when("mixed").then(pl.lit("its wells have different conditions or roles"))))
        .drop("mixed")
    )


def _behind_colon(text: pl.Expr) -> pl.Expr:
    return pl.when(text.is_null()).then(pl.lit("")).otherwise(pl.lit(" (") + text.str.replace_all("; ", ", ") + pl.lit(")"))


def _joined(column: str, *more: pl.Expr) -> pl.Expr:
    """The column's text and each further reason that is not null, separated by `; `."""
    return pl.concat_str(pl.col(column).replace("", None), *more, separator="; ", ignore_nulls=True)


def reference_fingerprint(reference: pl.DataFrame) -> str:
    """16 hex digits of the reference scores, whatever the order of the rows."""
    rows = reference.select(_REFERENCE).sort(_REFERENCE).rows()
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


def call_quadruplets(
    well_scores: pl.DataFrame,
    reference: pl.DataFrame | None,
    contamination: float = 0.01,
    method: str = "one_sided",
    seed: int = 0,
) -> pl.DataFrame:
    """The table QUADRUPLET_CALLS of one or more plates, from WELL_SCORES and the quadruplet scores of reference plates.

    reference: table Metadata_Plate, Metadata_Timepoint, Metadata_Quadruplet, score, of the same model; None: no calls.
    method: `one_sided` (QuadrupletCaller) or `paper_forest` (PaperForest).
    The forest is fitted here, in a fraction of a second: another threshold needs no other detector, only this call again.
    A call is empty where there is no reference, no well that counts, no sample (role `empty`), or another geometry;
    `reasons` say which.
    """
    if method not in METHODS:
        raise ValueError(f"{method!r} is no method: choose one of {', '.join(METHODS)}")
    groups = group_wells(well_scores)
    scores = groups["score"].cast(pl.Float64).to_numpy()
    known = reference.drop_nulls("score").filter(pl.col("score").is_finite()) if reference is not None else None
    if known is None or known.is_empty():
        found = groups.with_columns(call=pl.lit(None, dtype=pl.Boolean), own=pl.lit(False))
        without = pl.lit(NO_REFERENCE)
    else:
        kind = QuadrupletCaller if method == "one_sided" else PaperForest
        caller = kind.fit(known["score"].to_numpy(), contamination, seed)
        isolation, call = caller.call(scores)
        visits = known.select("Metadata_Plate", "Metadata_Timepoint").unique().with_columns(own=pl.lit(True))
        found = groups.with_columns(
            normalised_score=pl.Series(robust_z(scores, known["score"].to_numpy())).fill_nan(None),
            anomaly_score=pl.Series(isolation).fill_nan(None),
            threshold=pl.lit(caller.threshold),
            call=pl.Series(call),
            reference=pl.lit(reference_fingerprint(known)),
        ).join(visits, on=["Metadata_Plate", "Metadata_Timepoint"], how="left", maintain_order="left")
        without = pl.lit(None, dtype=pl.String)
    return QUADRUPLET_CALLS.conform(_withheld(found, without).drop("own"))


def withhold_calls(calls: pl.DataFrame, reason: str) -> pl.DataFrame:
    """QUADRUPLET_CALLS with every call emptied and the reason put to the others; scores stay."""
    reasons = pl.when(pl.col("reasons") == "").then(pl.lit(reason)).otherwise(pl.col("reasons") + "; " + pl.lit(reason))
    return QUADRUPLET_CALLS.conform(calls.with_columns(call=pl.lit(None, dtype=pl.Boolean), reasons=reasons))


def _withheld(found: pl.DataFrame, without_reference: pl.Expr) -> pl.DataFrame:
    """Empty the calls that must not be made, and say why."""
    empty, unscored, outside = pl.col("role") == "empty", pl.col("score").is_null(), ~pl.col("in_domain")
    reasons = _joined(
        "reasons",
        pl.when(empty).then(pl.lit("no sample: the plate map says `empty`, or does not name the well")),
        pl.when(~empty & unscored).then(pl.lit("no well with a score counts")),
        pl.when(outside).then(pl.lit(OUT_OF_DOMAIN)),
        pl.when(~empty & ~unscored & ~outside).then(without_reference),
        pl.when(pl.col("own").fill_null(False)).then(pl.lit("this plate is one of its own reference plates")),
    )
    return found.with_columns(
        call=pl.when(empty | unscored | outside).then(None).otherwise(pl.col("call")), reasons=reasons.fill_null("")
    )


def robust_z(scores: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Robust standard deviations above the reference median: (score - median) / (1.4826 MAD).

    NaN where the score is NaN, or where the reference does not spread at all.
    """
    median = np.median(reference)
    spread = 1.4826 * np.median(np.abs(reference - median))
    return (scores - median) / spread if spread > 0 else np.full(np.shape(scores), np.nan)
