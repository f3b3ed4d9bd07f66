"""Windows of a running time-lapse that were scored already: told by what they hold, not by the name of their path.

Belongs here: the fingerprint of a window, and which results of an earlier night still hold. Not here: scoring (`forecaster`),
what an error means (`anomalies`). A path is called by its last descendant, so that a division renames it, and a time-lapse
that is
linked again as a whole may number its tracks anew: the values alone say whether a window is the same.
"""

import numpy as np
import polars as pl

from plate_assets.dry_mass.windows import WINDOW_POINTS, PathSeries, Windows

RESULTS = ("mse", "mse_persistence", "mse_linear")
_ROOT = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it has an inverse modulo 2**64
_INVERSE = np.uint64(pow(int(_ROOT), -1, 2**64))


def window_contents(series: PathSeries, start: np.ndarray) -> np.ndarray:
    """(n,) uint64 fingerprint of the 180 points behind each start: equal for equal values in equal order.

    A polynomial hash modulo 2**64 of the mixed bits of every feature, from prefix sums: no window is looked at twice. Of two
    different windows one in 10**19 pairs agrees.
    """
    mixed = np.zeros(len(series.values), dtype=np.uint64)
    for feature in range(series.values.shape[1]):
        bits = np.ascontiguousarray(series.values[:, feature], dtype=np.float64).view(np.uint64)
        mixed = _mixed(bits + mixed + np.uint64(feature + 1))
    powers = np.cumprod(np.full(len(mixed), _ROOT, dtype=np.uint64), dtype=np.uint64)
    back = np.cumprod(np.full(len(mixed), _INVERSE, dtype=np.uint64), dtype=np.uint64)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed * powers, dtype=np.uint64)])
    return (sums[start + WINDOW_POINTS] - sums[start]) * back[start]


def carried_results(series: PathSeries, windows: Windows, before: pl.DataFrame, model_version: str) -> pl.DataFrame:
    """What an earlier night found of each of the windows: `content`, `carried` and RESULTS, NaN where nothing is carried.

    before: WINDOW_ANOMALIES of the same time-lapse. What another model scored is not carried.
    """
    now = pl.DataFrame(
        {
            "content": window_contents(series, windows.start),
            "Metadata_Timelapse": series.about["Metadata_Timelapse"].gather(windows.path),
            "_minute": np.rint(60 * series.hours[windows.start]).astype(np.int64),
        }
    )
    keys = ["Metadata_Timelapse", "content", "_minute"]
    known = before.filter(pl.col("model_version") == model_version, pl.col("mse").is_not_null())
    known = known.with_columns(_minute=(60 * pl.col("window_start_h")).round().cast(pl.Int64)).unique(keys, keep="first")
    found = now.join(known.select(*keys, *RESULTS), on=keys, how="left", maintain_order="left")
    results = [pl.col(name).fill_null(np.nan) for name in RESULTS]
    return found.select("content", pl.col("mse").is_not_null().alias("carried"), *results)


def _mixed(bits: np.ndarray) -> np.ndarray:
    """Bits spread over the whole word (the finaliser of SplitMix64, Steele et al. 2014)."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
