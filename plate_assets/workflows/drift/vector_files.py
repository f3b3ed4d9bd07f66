"""Two files of vectors compared, whoever made them: what `plate-assets drift REFERENCE.parquet NEW.parquet` does.

Belongs here: reading vectors from Parquet files of any making, and choosing the unit and the null that they allow. Not here:
the tests (`drift`), the lab's own acquisitions (`drift`).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl
from upath import UPath

from plate_assets.drift.acquisitions import DriftError, vectors_of
from plate_assets.storage.tables import parse_table

if TYPE_CHECKING:
    import numpy as np

ENGINES = ("native", "alibi")
_PLATE, _WELL = "Metadata_Plate", "Metadata_Well"
_NO_FEATURES = ("index", "tile_row", "tile_col")  # numbers that say where a row is from


class _Sample(NamedTuple):
    """Vectors (n, d) of one unit each, with their plates and wells where the file names them."""

    vectors: "np.ndarray"
    unit: str
    plates: "np.ndarray | None"
    wells: "np.ndarray"


def compare_files(
    reference: str | Path | UPath,
    new: str | Path | UPath,
    *,
    engine: str = "native",
    null: str | None = None,
    alpha: float = 0.05,
    permutations: int = 999,
    column: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Test whether the vectors of one Parquet file come from where the other's do; a dictionary that JSON can hold.

    A vector is the one column of lists, or `column`, or else all columns of numbers whose names do not begin with
    `Metadata_`. With Metadata_Well the unit is the well, the mean of its rows. With Metadata_Plate in both files each new
    plate is tested against the reference's (`null`: `leave_one_plate_out`, `log_normal`, see `drift.plates`); without, or
    with `null` `permutation`, or with the engine `alibi`, which knows no plates, units change places at random. The answer
    says which. Where both files name one plate, the reference's rows of it are left out. Raises DriftError where a file holds
    no vectors, or those of another length or embedding, and FileNotFoundError.
    """
    if engine not in ENGINES:
        raise DriftError(f"{engine!r} is no engine: choose one of {', '.join(ENGINES)}")
    tables = [_read(place) for place in (reference, new)]
    _check_versions(*tables)
    known, found = (_sample(table, place, column) for table, place in zip(tables, (reference, new), strict=True))
    if known.vectors.shape[1] != found.vectors.shape[1]:
        raise DriftError(
            f"{reference} holds vectors of {known.vectors.shape[1]} dimensions and {new} of {found.vectors.shape[1]}: embed "
            "both with the same version of the model"
        )
    by_plate = known.plates is not None and found.plates is not None and engine == "native" and null != "permutation"
    said = {"engine": engine, "unit": known.unit, "reference": str(reference), "new": str(new), "alpha": alpha}
    if by_plate:
        said |= _by_plate(known, found, null or "leave_one_plate_out", alpha, seed)
    else:
        said |= _by_permutation(known, found, engine, alpha, permutations, seed, asked=null == "permutation")
    decisions = {test["decision"] for test in said["tests"]}
    said["decision"] = next(name for name in ("drift", "cannot tell", "none") if name in decisions)
    return said


def _read(place: str | Path | UPath) -> pl.DataFrame:
    path = UPath(place)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: name a Parquet file of embeddings")
    table = parse_table(path.read_bytes(), f"{path}: name a Parquet file of embeddings")[1]
    if not table.height:
        raise DriftError(f"{path} has no rows: name a file that holds embeddings")
    return table


def _check_versions(*tables: pl.DataFrame) -> None:
    versions = [set(table[name].unique()) for table in tables for name in _version_column(table)]
    if len(versions) == 2 and (versions[0] != versions[1] or len(versions[0]) != 1):
        first, second = (", ".join(sorted(map(str, found))) for found in versions)
        raise DriftError(f"the reference is of the embedding {first}, the new file of {second}: embed both with one version")


def _version_column(table: pl.DataFrame) -> list[str]:
    return [name for name in ("embedding_version", "model_version") if name in table.columns][:1]


def _sample(table: pl.DataFrame, place: str | Path | UPath, column: str | None) -> _Sample:
    import numpy as np

    vectors = _vectors(table, place, column)
    plates = table[_PLATE].cast(pl.String).to_numpy() if _PLATE in table.columns else None
    if _WELL not in table.columns:
        return _Sample(vectors, "row", plates, np.arange(table.height).astype(str))
    keys = [name for name in (_PLATE, "Metadata_Timepoint", _WELL) if name in table.columns]
    grouped = table.select(keys).with_row_index("row").group_by(keys, maintain_order=True).agg("row")
    rows = np.concatenate([rows.to_numpy() for rows in grouped["row"]])
    lengths = grouped["row"].list.len().to_numpy().astype(int)
    means = np.add.reduceat(vectors[rows], np.cumsum(lengths) - lengths, axis=0) / lengths[:, None]
    if _PLATE in table.columns and table.select(_PLATE, _WELL).n_unique() < grouped.height:
        raise DriftError(f"{place} holds several time points of one plate: give one time point of each, of like age")
    plates = grouped[_PLATE].cast(pl.String).to_numpy() if _PLATE in table.columns else None
    return _Sample(means, "well", plates, grouped[_WELL].cast(pl.String).to_numpy())


def _vectors(table: pl.DataFrame, place: str | Path | UPath, column: str | None) -> "np.ndarray":
    nested = [
        name for name, dtype in table.schema.items() if isinstance(dtype, pl.List | pl.Array) and dtype.inner.is_numeric()
    ]
    if column is not None and column not in nested:
        raise DriftError(f"{place} has no column {column!r} of lists of numbers: it has {', '.join(nested) or 'none'}")
    if column is None and len(nested) > 1:
        raise DriftError(f"{place} has several columns of vectors, {', '.join(nested)}: name one of them")
    if nested:
        chosen = table[column or nested[0]]
        return vectors_of(chosen.arr.to_list() if isinstance(chosen.dtype, pl.Array) else chosen)
    numbers = [
        name for name, dtype in table.schema.items()
        if dtype.is_numeric() and not name.startswith("Metadata_") and name not in _NO_FEATURES
    ]  # fmt: skip
    if not numbers:
        raise DriftError(f"{place} holds no vectors: neither a column of lists nor columns of numbers beside Metadata_…")
    return vectors_of(table.select(pl.concat_list(pl.col(numbers).cast(pl.Float64)).alias("of numbers")).to_series())


def _by_plate(known: _Sample, found: _Sample, null: str, alpha: float, seed: int) -> dict[str, Any]:
    """Each new plate against the reference plates, and all of them together."""
    import numpy as np

    from plate_assets.drift.false_discovery import adjusted
    from plate_assets.drift.plates import plates_needed

    assert known.plates is not None and found.plates is not None
    names = np.unique(found.plates)
    tests = [_one_plate(known, found, name, null, alpha, seed) for name in names]
    for test, value in zip(tests, adjusted(np.array([test.get("p_value", np.nan) for test in tests])), strict=True):
        test |= {} if np.isnan(value) else {"adjusted_p": float(value)}
    count = len(np.unique(known.plates))
    return {
        "null": null, "method": f"the new plate's MMD² among those of {count} reference plates, each against all others",
        "n_reference_plates": count, "n_plates_needed": plates_needed(alpha), "tests": tests,
    }  # fmt: skip


def _one_plate(known: _Sample, found: _Sample, name: str, null: str, alpha: float, seed: int) -> dict[str, Any]:
    import numpy as np

    from plate_assets.drift.plates import comparable_rows, compare_plate, plates_needed

    assert known.plates is not None and found.plates is not None
    others, own = np.flatnonzero(known.plates != name), np.flatnonzero(found.plates == name)
    rows, new_rows = comparable_rows(known.plates[others], known.wells[others], found.wells[own], seed)
    try:
        result = compare_plate(
            known.vectors[others[rows]], known.plates[others[rows]], found.vectors[own[new_rows]], alpha=alpha, null=null
        )
    except ValueError as error:
        return {"plate": str(name), "n_units": len(own), "decision": "cannot tell", "reasons": str(error)}
    tells = result.p_floor <= alpha
    return {
        "plate": str(name), "n_units": len(own), "n_reference_plates": len(result.null), "mmd2": result.statistic,
        "p_value": result.p_value, "p_floor": result.p_floor, "level": result.level,
        "effect": result.effect if np.isfinite(result.effect) else None,
        "threshold": result.threshold if np.isfinite(result.threshold) else None, "sigma": result.sigma,
        "decision": ("drift" if result.p_value <= alpha else "none") if tells else "cannot tell",
        "reasons": "" if tells else (
            f"{len(result.null)} reference plates allow no p-value below {result.p_floor:.3f}: {plates_needed(alpha)} are "
            f"needed for {alpha:g}, or the null `log_normal`"
        ),
    }  # fmt: skip


def _by_permutation(
    known: _Sample, found: _Sample, engine: str, alpha: float, permutations: int, seed: int, asked: bool
) -> dict[str, Any]:
    """One test of all new rows, units changing places at random."""
    from importlib import import_module

    result = import_module(f"plate_assets.drift.{'mmd' if engine == 'native' else 'alibi'}").test(
        known.vectors, found.vectors, permutations=permutations, seed=seed
    )
    if known.plates is None or found.plates is None:
        warning = "no plates are named (Metadata_Plate): if these are several plates, the test alarms far too often"
    else:
        warning = "plates are named and were not used: as plates differ from each other, the test alarms far too often"
        warning += "" if asked else "; the engine `native` can use them"
    test = {
        "n_units": len(found.vectors), "n_reference_units": len(known.vectors), "mmd2": result.mmd2, "p_value": result.p_value,
        "p_floor": 1 / (1 + permutations), "threshold": result.threshold, "sigma": result.sigma,
        "decision": "drift" if result.p_value <= alpha else "none", "reasons": warning,
    }  # fmt: skip
    return {"null": "permutation", "method": f"{permutations} permutations of {known.unit}s", "tests": [test]}
