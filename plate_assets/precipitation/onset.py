"""When precipitation first appears in each condition, over a plate's time points.

Belongs here: the order of time points and what follows from their calls. Not here: the calls (`quadruplets`).
"""

import polars as pl

from plate_assets.precipitation.tables import ONSET

_GROUP = ["Metadata_Plate", "Metadata_Quadruplet"]
_NUMBER = r"(\d+(?:\.\d+)?)"


def onset(calls: pl.DataFrame) -> pl.DataFrame:
    """ONSET from the QUADRUPLET_CALLS of all time points of one plate or more, in any order.

    A time point without a call (null) says nothing: it is passed over, and counts neither as clear nor against persistence.
    `last_clear` is the last clear time point before the first call, or the last one at all where none was
    called. `persists` is null where no later time point has a call.
    """
    if not calls.height:
        return ONSET.empty()
    ordered = in_time_order(calls)
    known = ordered.filter(pl.col("call").is_not_null())
    seen = pl.col("call").cum_max().over(_GROUP)
    known = known.with_columns(_seen=seen, _earlier=seen.shift(1, fill_value=False).over(_GROUP))
    is_first, is_later, is_clear = pl.col("call") & ~pl.col("_earlier"), pl.col("_earlier"), ~pl.col("_seen")
    summed = known.group_by(_GROUP, maintain_order=True).agg(
        n_timepoints=pl.len(),
        last_clear=pl.col("Metadata_Timepoint").filter(is_clear).last(),
        last_clear_h=pl.col("Metadata_Timepoint_h").filter(is_clear).last(),
        onset=pl.col("Metadata_Timepoint").filter(is_first).first(),
        onset_h=pl.col("Metadata_Timepoint_h").filter(is_first).first(),
        persists=pl.when(is_later.any()).then(pl.col("call").filter(is_later).all()),
    )
    every = ordered.group_by(_GROUP, maintain_order=True).agg(condition=pl.col("condition").drop_nulls().last())
    table = every.join(summed, on=_GROUP, how="left").with_columns(pl.col("n_timepoints").fill_null(0))
    return ONSET.conform(table.sort(_GROUP))


def in_time_order(calls: pl.DataFrame) -> pl.DataFrame:
    """QUADRUPLET_CALLS by plate and condition, the time points of each from the first to the last.

    Time points go by their hours; a plate of which one time point has none goes by name, numbers in names counted as numbers
    (`d4` before `d10`).
    """
    by_hours = pl.col("Metadata_Timepoint_h").is_not_null().all().over("Metadata_Plate")
    first = pl.when(by_hours).then("Metadata_Timepoint_h").otherwise(_number(pl.col("Metadata_Timepoint")))
    return calls.sort(*_GROUP, first, "Metadata_Timepoint", nulls_last=True)


def _number(name: pl.Expr) -> pl.Expr:
    return name.str.extract(_NUMBER, 1).cast(pl.Float64)
