"""Plate maps: which condition is in which well, from CSV, TSV, xlsx and the Cell Painting Gallery's layout.

Belongs here: what a map's columns mean, and the default map where there is none. Not here: cells of a file (`text_tables`),
names of wells (`layout`), what a condition did (sciences).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from upath import UPath

from plate_assets.plates.acquisition import Acquisition
from plate_assets.plates.layout import LayoutError, Well
from plate_assets.plates.tables import PLATE_MAP
from plate_assets.plates.text_tables import TextTableError, file_cells, plain_name, plain_names

SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx")

_WELL = ("well_position", "metadata_well", "well", "well_name", "well_id", "metadata_well_position")
_ROW = ("row", "metadata_row", "well_row", "plate_row")
_COL = ("col", "column", "metadata_col", "metadata_column", "well_col", "well_column", "plate_column")
_CONDITION = ("condition", "metadata_condition")
_COMPOUND = ("compound", "drug", "broad_sample", "metadata_broad_sample", "pert_iname", "treatment", "compound_name")
_CONCENTRATION = ("concentration", "conc", "mmoles_per_liter", "micromoles_per_liter", "dose", "metadata_concentration")
_UNIT = ("unit", "concentration_unit", "units")
_ROLE = ("role", "control_type", "pert_type", "metadata_role", "metadata_control_type")
_GROUP = ("group", "replicate_group", "metadata_quadruplet", "quadruplet")

_ROLES = {
    "sample": ("", "sample", "trt", "trt_cp", "treatment"),
    "negative_control": ("negative_control", "negcon", "negative", "control"),
    "positive_control": ("positive_control", "poscon", "positive", "poscon_cp", "poscon_diverse", "poscon_orf"),
    "empty": ("empty", "blank", "unused"),
}


class PlateMapError(ValueError):
    """A plate map that cannot be used; the message names the file, the place and the remedy."""


@dataclass(frozen=True)
class _Source:
    """The cells of a file, all text, and where they came from."""

    path: UPath
    cells: pl.DataFrame

    @classmethod
    def of(cls, path: UPath) -> "_Source":
        try:
            return cls(path, file_cells(path))
        except TextTableError as error:
            raise PlateMapError(str(error)) from error

    def named(self, names: Sequence[str]) -> str | None:
        """The column that has one of the names, whatever its case and white space."""
        found = plain_names(self.cells.columns)
        return next((found[name] for name in names if name in found), None)

    def text(self, names: Sequence[str]) -> pl.Series | None:
        column = self.named(names)
        return None if column is None else self.cells[column]


def read_platemap(path: UPath | str) -> pl.DataFrame:
    """The PLATE_MAP table of a file; columns that are not understood are kept as text behind it.

    The well is `well_position`, `well` or `Metadata_Well`, or row and column (letters or numbers). The condition is
    `condition`, or compound, drug or broad_sample with concentration and unit. `role` or `control_type` gives the role, `group`
    or `replicate_group` the replicate group, which goes before the quadruplet. Raises PlateMapError.
    """
    path = UPath(path)
    source = _Source.of(path)
    wells = _wells(source)
    places = pl.DataFrame(
        {
            "Metadata_Well": [well.name for well in wells],
            "Metadata_Row": [well.row for well in wells],
            "Metadata_Col": [well.col for well in wells],
        }
    )
    doubled = places.filter(places["Metadata_Well"].is_duplicated())
    if doubled.height:
        name = doubled["Metadata_Well"][0]
        lines = [number + 2 for number, well in enumerate(wells) if well.name == name]
        raise PlateMapError(f"{path}: well {name} is there twice, on lines {lines[0]} and {lines[1]}: leave one of them")
    group = source.text(_GROUP)
    quadruplets = pl.Series([well.quadruplet for well in wells], dtype=pl.String)
    table = places.with_columns(
        Metadata_Quadruplet=quadruplets if group is None else pl.select(pl.coalesce(group, quadruplets)).to_series(),
        condition=_conditions(source),
        role=_roles(source),
    )
    used = [source.named(names) for names in (_WELL, _ROW, _COL, _GROUP, _CONDITION, _ROLE)]
    more = [column for column in source.cells.columns if column not in used and column not in table.columns]
    return PLATE_MAP.conform(pl.concat([table, source.cells.select(more)], how="horizontal"))


def find_platemap(folders: Sequence[UPath], plate: str) -> UPath | None:
    """The plate map of a plate: `<plate>.csv` and the like, what `barcode_platemap.csv` names, or a `platemap.*` that lies
    alone.

    Looked for in each folder and its `platemap` and `platemaps`, in this order. Raises PlateMapError where
    `barcode_platemap.csv` names a map that is not there.
    """
    for folder in folders:
        for place in (folder, folder / "platemap", folder / "platemaps"):
            if not place.is_dir():
                continue
            files = {file.name.lower(): file for file in place.iterdir() if file.name.lower().endswith(SUFFIXES)}
            named = [files[name] for stem in (plate, f"{plate}_platemap", f"platemap_{plate}") if (name := _known(files, stem))]
            if named:
                return named[0]
            if "barcode_platemap.csv" in files and (found := _by_barcode(files["barcode_platemap.csv"], plate)):
                return found
            if name := _known(files, "platemap"):
                return files[name]
    return None


def platemap_of(acquisition: Acquisition, table: pl.DataFrame | None) -> pl.DataFrame:
    """The plate map of an acquisition's wells: the table's rows, or quadruplets as conditions and the role sample.

    Without a table every well that was imaged counts; with one, an imaged well that it lacks has no condition and the role
    empty.
    """
    wells = (
        acquisition.images.select("Metadata_Well", "Metadata_Row", "Metadata_Col").unique().sort("Metadata_Row", "Metadata_Col")
    )
    names = wells["Metadata_Well"].to_list()
    quadruplet = pl.Series("Metadata_Quadruplet", [Well.parse(name).quadruplet for name in names], dtype=pl.String)
    default = wells.with_columns(quadruplet)
    if table is None:
        return PLATE_MAP.conform(default.with_columns(condition=pl.col("Metadata_Quadruplet"), role=pl.lit("sample")))
    if outside := [name for name in table["Metadata_Well"].to_list() if Well.parse(name) not in acquisition.plate_format]:
        raise PlateMapError(
            f"the plate map names well {outside[0]}, which is on no {acquisition.plate_format.wells}-well plate: look whether "
            f"it belongs to {acquisition.plate}, or set the option `plate_format`"
        )
    unknown = default.join(table, on="Metadata_Well", how="anti").with_columns(pl.lit("empty").alias("role"))
    whole = pl.concat([table, unknown], how="diagonal_relaxed")
    return PLATE_MAP.conform(whole.sort("Metadata_Row", "Metadata_Col"))


def _known(files: dict[str, UPath], stem: str) -> str | None:
    return next((stem.lower() + suffix for suffix in SUFFIXES if stem.lower() + suffix in files), None)


def _by_barcode(path: UPath, plate: str) -> UPath | None:
    source = _Source.of(path)
    barcodes, names = (
        source.text(("assay_plate_barcode", "metadata_plate", "barcode")),
        source.text(("plate_map_name", "platemap")),
    )
    if barcodes is None or names is None:
        raise PlateMapError(f"{path} lacks the columns Assay_Plate_Barcode and Plate_Map_Name: name them so")
    found = [name for barcode, name in zip(barcodes, names, strict=True) if barcode == plate and name]
    if not found:
        return None
    for folder in (path.parent / "platemap", path.parent):
        for suffix in ("", *SUFFIXES):
            if "/" not in found[0] and "\\" not in found[0] and (file := folder / (found[0] + suffix)).is_file():
                return file
    raise PlateMapError(
        f"{path} says that plate {plate} has the map {found[0]!r}, and {path.parent / 'platemap'} holds no such file: add it"
    )


def _wells(source: _Source) -> list[Well]:
    wells, rows, cols = source.text(_WELL), source.text(_ROW), source.text(_COL)
    if wells is not None:
        texts = [text or "" for text in wells]
    elif rows is not None and cols is not None:
        texts = [well_text(row or "", col or "") for row, col in zip(rows, cols, strict=True)]
    else:
        raise PlateMapError(
            f"{source.path} has the columns {source.cells.columns}, and none that tells the well: name one `well_position`, or "
            "two `row` and `col`"
        )
    found = []
    for line, text in enumerate(texts, start=2):
        try:
            found.append(Well.parse(text))
        except LayoutError as error:
            raise PlateMapError(f"{source.path}, line {line}: {error}") from error
    return found


def well_text(row: str, col: str) -> str:
    """Row and column as one text that `Well.parse` reads: `C` and `3`, or `3` and `3`."""
    row, col = row.removesuffix(".0"), col.removesuffix(".0")  # spreadsheets write 3 as 3.0
    return f"r{row}c{col}" if row.isdigit() else row + col


def _conditions(source: _Source) -> pl.Series:
    condition, compound = source.text(_CONDITION), source.text(_COMPOUND)
    if condition is not None:
        return condition
    if compound is None:
        return pl.Series([None] * source.cells.height, dtype=pl.String)
    column = source.named(_CONCENTRATION)
    concentration = None if column is None else source.cells[column]
    unit = source.text(_UNIT)
    implied = {"mmoles_per_liter": "mM", "micromoles_per_liter": "µM"}.get((column or "").lower())
    names = []
    for number, name in enumerate(compound):
        amount = concentration[number] if concentration is not None else None
        measure = (unit[number] if unit is not None else None) or implied
        names.append(" ".join(part for part in (name, amount, measure if amount else None) if part) if name else None)
    return pl.Series(names, dtype=pl.String)


def _roles(source: _Source) -> pl.Series:
    column = source.named(_ROLE)
    if column is None:
        return pl.Series(["sample"] * source.cells.height, dtype=pl.String)
    roles = []
    known = ", ".join(name for names in _ROLES.values() for name in names if name)
    for line, text in enumerate(source.cells[column], start=2):
        written = plain_name(text or "")
        role = next((role for role, names in _ROLES.items() if written in names), None)
        if role is None:
            raise PlateMapError(f"{source.path}, line {line}: {text!r} in {column!r} is no role, use {known}")
        roles.append(role)
    return pl.Series(roles, dtype=pl.String)
