"""An acquisition for other software: an OME-Zarr plate, and its tables as CSV.

Belongs here: what is exported together, of a folder or of what the platform has stored. Not here: the formats
(`plates.ome_zarr_plate`, `storage.tables`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
from upath import UPath

from plate_assets.plates.acquisition import Acquisition, AcquisitionError, check_acquisition_id
from plate_assets.plates.acquisition_table import ACQUISITION, acquisition_from_table
from plate_assets.plates.listing import local_path
from plate_assets.plates.platemap import find_platemap, platemap_of, read_platemap
from plate_assets.plates.readers import ReadOptions, open_acquisition
from plate_assets.plates.tables import IMAGE_QUALITY
from plate_assets.progress import Progress
from plate_assets.storage.arrays import TABLE
from plate_assets.storage.schema import TableSchema
from plate_assets.storage.tables import export_csv, read_table
from plate_assets.storage.versions import current_version


@dataclass(frozen=True)
class Stored:
    """What the platform has stored: the schema of each asset by its name, and where its table or its stack lies."""

    schemas: Mapping[str, TableSchema]
    table_of: Callable[[str, str], UPath]
    stack_of: Callable[[str, str], UPath]

    def acquisition(self, acquisition_id: str) -> Acquisition | None:
        """The acquisition that was let in under an id; None where the text is no id, or none was."""
        try:
            path = self.table_of(ACQUISITION.name, check_acquisition_id(acquisition_id))
        except AcquisitionError:
            return None
        return acquisition_from_table(read_table(path, ACQUISITION)).acquisition if path.exists() else None

    def tables(self, acquisition_id: str) -> Iterator[tuple[str, pl.DataFrame]]:
        """Every table of the acquisition that was stored, stacks without their pixels."""
        for name, schema in self.schemas.items():
            if (path := self.table_of(name, acquisition_id)).exists():
                yield name, read_table(path, schema)
                continue
            try:
                version = current_version(self.stack_of(name, acquisition_id))
            except FileNotFoundError:
                continue
            yield name, read_table(version / TABLE, schema)


@dataclass(frozen=True)
class Exported:
    """What was written: the plate, how many images of how many, and the tables."""

    acquisition_id: str
    plate: Path
    images: int
    missing: int
    tables: tuple[str, ...]

    def summary(self) -> str:
        """One line for a person, two where images were left out."""
        tables = f"; tables: {', '.join(self.tables)}" if self.tables else ""
        left = (
            f"\n{self.missing} images were missing or unreadable: {self.plate / 'zarr.json'} names them" if self.missing else ""
        )
        return f"{self.acquisition_id}: {self.images} images in {self.plate}{tables}{left}"


def export_plate(
    source: str,
    out: Path,
    stored: Stored,
    *,
    csv: Path | None = None,
    options: ReadOptions | None = None,
    timepoint: str | None = None,
    platemaps: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Write an acquisition as an OME-Zarr plate, and its tables as CSV where `csv` names a folder.

    source: a folder, or the id of a stored acquisition. Of a folder that is stored under its id, and of an id, all tables are
    exported, else `images.csv` alone. timepoint: which visit, where the folder holds several. The plate map beside the images,
    or in `platemaps`, becomes the plate's condition table. Raises AcquisitionError, ExportError, PlateMapError.
    """
    from plate_assets.plates.ome_zarr_plate import refuse_inside, write_ome_zarr

    acquisition, known = _acquisition(source, stored, replace(options or ReadOptions(), timepoint=timepoint))
    key = acquisition.acquisition_id
    if csv is not None:
        refuse_inside(acquisition, csv)
    found = find_platemap([acquisition.root, *([UPath(platemaps)] if platemaps else [])], acquisition.plate)
    quality = stored.table_of(IMAGE_QUALITY.name, key)
    written = write_ome_zarr(
        acquisition, out,
        quality=read_table(quality, IMAGE_QUALITY) if known and quality.exists() else None,
        platemap=platemap_of(acquisition, read_platemap(found)) if found else None,
        progress=progress, overwrite=overwrite,
    )  # fmt: skip
    tables = []
    if csv is not None:
        for name, table in [("images", acquisition.images), *(stored.tables(key) if known else ())]:
            export_csv(table, csv / f"{name}.csv")
            tables.append(f"{name}.csv")
    return Exported(key, written.path, written.images, len(written.missing), tuple(tables))


def _acquisition(source: str, stored: Stored, options: ReadOptions) -> tuple[Acquisition, bool]:
    """The acquisition, and whether it is stored. A folder goes before an id of the same name."""
    folder = UPath(source)
    if not folder.exists() and (known := stored.acquisition(source)):
        return known, True
    acquisition = open_acquisition(folder, options)
    known = stored.acquisition(acquisition.acquisition_id)
    return acquisition, known is not None and _place(known) == _place(acquisition)


def _place(acquisition: Acquisition) -> str:
    return local_path(acquisition.root) or str(acquisition.root)
