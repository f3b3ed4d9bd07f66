"""What people say of flagged paths, and the precision that follows.

Belongs here: which verdict counts, the taxonomy's rules, shares with their intervals. Not here: how flags are made
(`anomalies`), how a verdict is recorded (`workflows.dry_mass.annotate`), ROC curves (`evaluation`).
"""

import math
from statistics import NormalDist
from typing import Literal

import polars as pl
from scipy.stats import beta

from plate_assets.dry_mass.tables import ANNOTATIONS, BIOLOGY, VERDICT_PRECISION, VERDICTS

Interval = Literal["wilson", "clopper_pearson"]
_KEYS = ["Metadata_Timelapse", "path_id"]


def proportion_interval(part: int, whole: int, interval: Interval = "wilson", confidence: float = 0.95) -> tuple[float, float]:
    """Interval of part / whole. Wilson's (1927) score interval, or Clopper and Pearson's (1934), which is exact and wider.

    NaN twice where there is nothing to count.
    """
    if interval not in ("wilson", "clopper_pearson"):
        raise ValueError(f"{interval!r} is no interval: choose `wilson` or `clopper_pearson`")
    if not 0 <= part <= whole:
        raise ValueError(f"{part} of {whole} is no proportion")
    if whole == 0:
        return math.nan, math.nan
    tail = (1 - confidence) / 2
    if interval == "clopper_pearson":
        low = float(beta.ppf(tail, part, whole - part + 1)) if part else 0.0
        return low, float(beta.ppf(1 - tail, part + 1, whole - part)) if part < whole else 1.0
    z2 = NormalDist().inv_cdf(1 - tail) ** 2
    middle = (part + z2 / 2) / (whole + z2)
    half = math.sqrt(z2 * (part * (whole - part) / whole + z2 / 4)) / (whole + z2)
    return (max(middle - half, 0.0) if part else 0.0), (min(middle + half, 1.0) if part < whole else 1.0)


def latest_verdicts(annotations: pl.DataFrame) -> pl.DataFrame:
    """The verdict that counts on each path: the last one, in time and then in the table. ANNOTATIONS in and out.

    Raises ValueError for a verdict or a class of biology that the taxonomy does not have.
    """
    table = ANNOTATIONS.check(annotations)
    for column, known in (("verdict", VERDICTS), ("biology", BIOLOGY)):
        unknown = table.filter(~pl.col(column).is_in(known))
        if unknown.height:
            row = unknown.row(0, named=True)
            raise ValueError(
                f"time-lapse {row['Metadata_Timelapse']!r}, path {row['path_id']}: {column} {row[column]!r} is none of "
                f"{', '.join(known)}; correct it by another verdict"
            )
    return table.sort("decided_at", maintain_order=True).unique(_KEYS, keep="last", maintain_order=True)


def verdict_precision(
    annotations: pl.DataFrame,
    cells: pl.DataFrame | None = None,
    *,
    interval: Interval = "wilson",
    confidence: float = 0.95,
) -> pl.DataFrame:
    """VERDICT_PRECISION: the precision of the flags and the share of each class (Tables 2 to 5), each with its interval.

    Every verdict but false_positive is a good detection. A class of `biology` is counted among the paths with the verdict
    biological, as in the paper. cells: CELL_ANOMALIES; then only paths that are flagged count, since a verdict on another one
    says nothing of precision, and each guess at a cause is compared with the verdicts (`both` and `either` agree with any).
    """
    table = latest_verdicts(annotations)
    if cells is not None:
        table = table.join(cells.filter("abnormal").select(*_KEYS, "cause"), on=_KEYS)
    verdicts = table["verdict"].to_list()
    biology = table.filter(pl.col("verdict") == "biological")["biology"].to_list()
    n = len(verdicts)
    counts = [("precision", "precision", n - verdicts.count("false_positive"), n)]
    counts += [("verdict", name, verdicts.count(name), n) for name in VERDICTS]
    counts += [("biology", name, biology.count(name), len(biology)) for name in BIOLOGY]
    if cells is not None:
        for cause in ("acquisition", "biological"):
            guessed = table.filter(cause=cause)["verdict"]
            counts.append(("guess", cause, int(guessed.is_in([cause, "both", "either"]).sum()), guessed.len()))
    return VERDICT_PRECISION.conform(pl.DataFrame([_share(*count, interval, confidence) for count in counts]))


def _share(kind: str, name: str, part: int, whole: int, interval: Interval, confidence: float) -> dict[str, str | float | None]:
    low, high = proportion_interval(part, whole, interval, confidence) if whole else (None, None)
    share = part / whole if whole else None
    return {
        "kind": kind,
        "name": name,
        "n": part,
        "whole": whole,
        "share": share,
        "low": low,
        "high": high,
        "interval": interval,
    }
