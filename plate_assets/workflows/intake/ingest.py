"""How a plate gets in: from its folder to an acquisition with a fingerprint, and from there to the quality of each image.

Belongs here: whole jobs that the assets and the command both call. Not here: layouts (`plates.readers`), measures
(`plates.quality`).
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
from upath import UPath

from plate_assets.plates.acquisition import Acquisition, AcquisitionError, fingerprint
from plate_assets.plates.listing import list_folder
from plate_assets.plates.readers import ReadOptions, open_acquisition
from plate_assets.plates.tables import IMAGE_QUALITY
from plate_assets.progress import Progress


@dataclass(frozen=True)
class Ingested:
    """An acquisition, and the sha256 over its images and the vendor's metadata."""

    acquisition: Acquisition
    fingerprint: str


def ingest(folder: UPath | Path | str, options: ReadOptions | None = None, progress: Progress | None = None) -> Ingested:
    """Read a folder and make its fingerprint. Raises AcquisitionError where it is no acquisition, or a broken one."""
    acquisition = open_acquisition(folder, options)
    return Ingested(acquisition, fingerprint(acquisition, progress))


def require_whole(acquisition: Acquisition, *, expected_id: str | None = None, allow_missing: bool = False) -> None:
    """Raise AcquisitionError where the folder holds another acquisition than expected, or lacks images that its metadata
    names."""
    if expected_id is not None and acquisition.acquisition_id != expected_id:
        raise AcquisitionError(
            f"{acquisition.root} holds {acquisition.acquisition_id}, and {expected_id} was expected: look whether the folder "
            "was renamed or exchanged, and let it arrive under its own id"
        )
    missing = acquisition.missing.height
    if missing and not allow_missing:
        raise AcquisitionError(
            f"{acquisition.root} lacks {missing} of {acquisition.images.height} images that its metadata names, the first is "
            f"{acquisition.missing_said(1)[0]}; copy it again, or allow missing images"
        )


def require_unchanged(acquisition: Acquisition, timepoint: str | None, signature: str) -> None:
    """Raise AcquisitionError where the names, sizes or times of the files are not those of the signature.

    timepoint: of one visit in a folder that holds several; then its own images count, else the whole folder does.
    """
    listing = list_folder(acquisition.root)
    now = listing.signature if timepoint is None else listing.signature_of(acquisition.images["path"])
    if now != signature:
        raise AcquisitionError(
            f"{acquisition.root} is no longer as it was when found complete: a file came, went or changed since. Restore "
            "what is lost; the arrivals sensor lets the folder in when it has settled, or materialise this acquisition yourself"
        )


def measure_quality(acquisition: Acquisition, progress: Progress | None = None) -> pl.DataFrame:
    """The IMAGE_QUALITY table: one row for each image, those that are missing or cannot be read are flagged with the reason."""
    from plate_assets.plates.image_files import ImageError
    from plate_assets.plates.images import map_images
    from plate_assets.plates.quality import judge, measure

    keys = [column.name for column in IMAGE_QUALITY.columns if column.name.startswith("Metadata_")]
    rows = []
    for row, found in map_images(acquisition, acquisition.images, measure):
        about = {"readable": False, "empty": False, "reasons": str(found)} if isinstance(found, ImageError) else found
        rows.append({key: row[key] for key in keys} | {"flagged": False, "reasons": ""} | about)
        if progress:
            progress(len(rows), acquisition.images.height)
    schema = {column.name: column.dtype for column in IMAGE_QUALITY.columns}
    return IMAGE_QUALITY.check(judge(pl.DataFrame(rows, schema=schema)))
