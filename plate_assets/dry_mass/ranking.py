"""Which cell comes first: one order for the page, the figures, the CSV files, the assets' metadata and the morning page.

Belongs here: the order of CELL_ANOMALIES. Not here: the number that it goes by, the margin (`anomalies`, `signs`). Light: the
morning page needs no more than the table.

A cell is flagged by its score or by a sign, and a score of 0 says nothing of a cell that stopped growing. The margin puts both
on one scale, the line at 1: the score over its threshold, a sign's distance from the usual over the distance that makes it one.
"""

import polars as pl


def ranked(cells: pl.DataFrame) -> pl.DataFrame:
    """CELL_ANOMALIES, the farthest beyond the line first: by margin, so that the flagged lead; paths without a score last.

    Of equal margins (sisters share what came before they parted) the path with more abnormal windows, then the lower one.
    """
    flagged = pl.col("abnormal").fill_null(False)
    margin = pl.col("margin").round(4)  # sisters' margins differ in the last digits of a sum
    return cells.sort(flagged, margin, "n_abnormal", -pl.col("path_id"), descending=True, nulls_last=True)
