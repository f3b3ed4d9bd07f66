"""What a person says of a path: checked against the taxonomy and the paths that there are, and recorded with author and time.

Belongs here: taking a verdict in, reading them all. Not here: what verdicts say of the flags (`dry_mass.verdicts`), how a
ledger keeps rows (`storage.ledger`).
"""

from datetime import UTC, datetime

import polars as pl
from upath import UPath

from plate_assets.dry_mass.tables import ANNOTATIONS, BIOLOGY, VERDICTS
from plate_assets.storage.ledger import append_rows, read_rows


class AnnotationError(ValueError):
    """A verdict that cannot be recorded; the message says what can be."""


def annotate(
    ledger: UPath,
    cells: pl.DataFrame,
    timelapse: str,
    path_id: int,
    verdict: str,
    biology: str | None = None,
    *,
    author: str,
) -> pl.DataFrame:
    """Record a verdict on a path of CELL_ANOMALIES, now, and return the one row of ANNOTATIONS.

    verdict, biology: of the taxonomy (`VERDICTS`, `BIOLOGY`); biology may be named where the verdict has a part of it. A later
    verdict on the same path takes the place of this one; nothing is ever removed. Raises AnnotationError.
    """
    if not author.strip():
        raise AnnotationError("nobody is named as the author: say who decided")
    if verdict not in VERDICTS:
        raise AnnotationError(f"{verdict!r} is no verdict: choose one of {', '.join(VERDICTS)}")
    if biology is not None and biology not in BIOLOGY:
        raise AnnotationError(f"{biology!r} is no class of biology: choose one of {', '.join(BIOLOGY)}")
    if biology is not None and verdict in ("acquisition", "false_positive"):
        raise AnnotationError(
            f"the verdict {verdict!r} has no biology, and {biology!r} was given: leave it out or change the verdict"
        )
    known = cells.filter(Metadata_Timelapse=timelapse)
    if known.is_empty():
        timelapses = sorted(set(cells["Metadata_Timelapse"]))
        raise AnnotationError(f"there are no anomalies of the time-lapse {timelapse!r}: there are those of {timelapses}")
    if known.filter(path_id=path_id).is_empty():
        raise AnnotationError(
            f"time-lapse {timelapse!r} has no path {path_id}: its {known.height} paths are called "
            f"{known['path_id'].min()} to {known['path_id'].max()}, as in the table of its cells"
        )
    row = {
        "Metadata_Timelapse": timelapse, "path_id": path_id, "verdict": verdict, "biology": biology,
        "author": author.strip(), "decided_at": datetime.now(UTC),
    }  # fmt: skip
    rows = ANNOTATIONS.conform(pl.DataFrame([row], schema_overrides={"biology": pl.String}))
    append_rows(ledger, rows, ANNOTATIONS)
    return rows


def annotations(ledger: UPath) -> pl.DataFrame:
    """Every verdict that was ever recorded, in the order they came: ANNOTATIONS."""
    return read_rows(ledger, ANNOTATIONS)
