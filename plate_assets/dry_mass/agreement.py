"""How well masks and tracks agree with outlines that somebody drew and tracked.

Belongs here: cells that are the same by their overlap, and the usual measures of masks and tracks. Not here: finding or linking
cells (`cells`, `tracking`), whether a cell is abnormal (`evaluation`).
"""

import numpy as np
import polars as pl
from scipy.optimize import linear_sum_assignment

from plate_assets.plates.timelapses.outlines import Outlines

SAME = 0.5  # intersection over union from which on two outlines are one cell: only one pair can have more
MOSTLY = 0.8  # part of a drawn track that one of ours must cover for it to be mostly tracked, as in tracking's benchmarks
LONG = 60  # cells of a long drawn track


def match_cells(found: Outlines, drawn: Outlines, least: float = SAME) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells of one frame that are the same: index of ours, index of the drawn one, and intersection over union, (n,) each.

    least: above 0.5 a cell has one partner at most; at 0.5 exactly the larger one is taken. A pixel where cells overlap counts
    for the later one.
    """
    if not len(found) or not len(drawn):
        return np.zeros(0, int), np.zeros(0, int), np.zeros(0)
    ours, theirs = found.labels().ravel(), drawn.labels().ravel()
    both = (ours > 0) & (theirs > 0)
    pair, shared = np.unique((ours[both] - 1) * len(drawn) + theirs[both] - 1, return_counts=True)
    a, b = np.divmod(pair, len(drawn))
    share = shared / (found.areas()[a] + drawn.areas()[b] - shared)
    order = np.argsort(-share, kind="stable")
    order = order[share[order] >= least]
    a, b, share = a[order], b[order], share[order]
    first = np.intersect1d(np.unique(a, return_index=True)[1], np.unique(b, return_index=True)[1])
    return a[first], b[first], share[first]


def matched(found: pl.DataFrame, drawn: pl.DataFrame, shape: tuple[int, int]) -> pl.DataFrame:
    """The pairs of all frames: `frame`, `cell`, `drawn`, `iou`, `mass`, `drawn_mass`. found, drawn: CELL_MASKS."""
    tables = []
    for (frame,), ours in found.group_by("frame", maintain_order=True):
        theirs = drawn.filter(pl.col("frame") == frame)
        both = [Outlines.from_run_lists(table["cell"].to_numpy(), table["runs"], shape) for table in (ours, theirs)]
        a, b, share = match_cells(both[0], both[1])
        mine, its = ours.select("frame", "cell", mass="total")[a], theirs.select(drawn="cell", drawn_mass="total")[b]
        tables.append(pl.concat([mine, its, pl.DataFrame({"iou": share})], how="horizontal"))
    return pl.concat(tables)


def cell_agreement(found: pl.DataFrame, drawn: pl.DataFrame, pairs: pl.DataFrame) -> dict[str, float]:
    """Precision, recall, F1 and overlap of cells; correlation and slope of the mass of matched ones.

    Of our cells without a partner those at the border are left out of the precision: who draws outlines leaves cut cells out.
    slope: of our mass over the drawn outline's, through the origin.
    """
    lone = found.join(pairs, on=["frame", "cell"], how="anti")
    ours, theirs = pairs["mass"].to_numpy(), pairs["drawn_mass"].to_numpy()
    precision, recall = pairs.height / (pairs.height + lone.filter(~pl.col("at_edge")).height), pairs.height / drawn.height
    return {
        "cells found": found.height, "cells drawn": drawn.height, "cells matched": pairs.height,
        "precision": precision, "recall": recall, "F1": _f1(precision, recall),
        "precision with the border": pairs.height / found.height,
        "mean IoU": float(pairs["iou"].to_numpy().mean()),
        "mass Pearson": float(np.corrcoef(ours, theirs)[0, 1]),
        "mass slope": float(ours @ theirs / (theirs @ theirs)),
        "mass median ratio": float(np.median(ours / theirs)),
    }  # fmt: skip


def track_agreement(found: pl.DataFrame, drawn: pl.DataFrame, pairs: pl.DataFrame) -> dict[str, float]:
    """How tracks agree. found, drawn: a row for each cell with `frame`, `cell`, `track_id`, `at_edge`; pairs: of `matched`.

    links: from a frame to the next. One is right where both its cells are matched and it is drawn; ours is wrong where the
    drawn track of its first cell goes on elsewhere in the next frame, or that of its second comes from elsewhere. Where drawn
    tracks break (the one ends, another begins) a link contradicts nothing; `links precision, breaks counted` counts every one
    between cells that are matched as wrong that is not drawn. switches: a drawn track goes on in another of ours. identity F1:
    IDF1, of the best assignment of our tracks to the drawn ones (Ristani et al. 2016, ECCV workshops, LNCS 9914, 17). mostly
    tracked: one track of ours covers 80 % of a drawn one's cells; complete: it covers all. Long tracks have 60 cells or more.
    """
    keys = ["frame", "cell"]
    known = pairs.select(*keys, "drawn").join(found.select(*keys, ours="track_id"), on=keys)
    known = known.join(drawn.select("frame", drawn="cell", theirs="track_id"), on=["frame", "drawn"])
    its = _links(drawn)
    right, contradicted, broken = _judged(_links(found), its, known)
    recall = right / max(1, its.height)
    overlap = known.group_by("theirs", "ours").agg(pl.len().alias("shared"))
    length = drawn.group_by(pl.col("track_id").alias("theirs")).agg(pl.len().alias("cells"))
    covered = overlap.group_by("theirs").agg(pl.col("shared").max()).join(length, on="theirs", how="right")
    share = covered.select(pl.col("cells") >= LONG, part=pl.col("shared").fill_null(0) / pl.col("cells"))
    before = known.sort("theirs", "frame").select(pl.col("ours") != pl.col("ours").shift(1).over("theirs")).to_series()
    counted = found.filter(~pl.col("at_edge")).select(keys).vstack(known.select(keys)).unique().height
    figures = {
        "tracks found": found["track_id"].n_unique(), "tracks drawn": length.height, "links drawn": its.height,
        "links precision": right / max(1, right + contradicted), "links recall": recall,
        "links F1": _f1(right / max(1, right + contradicted), recall),
        "links precision, breaks counted": right / max(1, right + contradicted + broken),
        "switches per 100 links": 100 * int(before.sum()) / max(1, its.height),
        "identity F1": 2 * _assigned(overlap) / (counted + drawn.height),
    }  # fmt: skip
    for name, some in (("", share), (", long tracks", share.filter(pl.col("cells")))):
        part = some["part"].to_numpy()
        figures |= {f"tracks{name}": len(part), f"mostly tracked{name}": float((part >= MOSTLY).mean()) if len(part) else 0.0}
        figures |= {f"complete{name}": float((part == 1).mean()) if len(part) else 0.0}
    return figures


def _judged(ours: pl.DataFrame, its: pl.DataFrame, known: pl.DataFrame) -> tuple[int, int, int]:
    """How many of our links are drawn, how many contradict what is drawn, how many join the ends of drawn tracks."""
    named = known.select("frame", "cell", "drawn")
    judged = ours.join(named, on=["frame", "cell"]).join(
        named.select(pl.col("frame") - 1, to="cell", to_drawn="drawn"), on=["frame", "to"]
    )
    judged = judged.join(its.select("frame", drawn="cell", goes_to="to"), on=["frame", "drawn"], how="left")
    judged = judged.join(its.select("frame", to_drawn="to", comes_from="cell"), on=["frame", "to_drawn"], how="left")
    right = int((judged["goes_to"] == judged["to_drawn"]).sum())
    free = judged.filter(pl.col("goes_to").is_null() & pl.col("comes_from").is_null()).height
    return right, judged.height - right - free, free


def _links(cells: pl.DataFrame) -> pl.DataFrame:
    """Links of tracks from a frame to the next: `frame`, `cell`, `to`."""
    after = cells.select("track_id", pl.col("frame") - 1, to="cell")
    return cells.select("track_id", "frame", "cell").join(after, on=["track_id", "frame"]).drop("track_id")


def _assigned(overlap: pl.DataFrame) -> int:
    """Matched cells of the assignment of our tracks to the drawn ones that has the most of them."""
    (ours, a), (theirs, b) = (np.unique(overlap[name].to_numpy(), return_inverse=True) for name in ("ours", "theirs"))
    shared = np.zeros((len(ours), len(theirs)))
    shared[a, b] = overlap["shared"].to_numpy()
    return int(shared[linear_sum_assignment(shared, maximize=True)].sum())


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
