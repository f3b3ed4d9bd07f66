"""Acquisitions as the assets stored them, put together again for jobs that look at several plates.

Belongs here: reading what other assets wrote. Not here: what is done with it (`workflows`).
"""

from typing import TYPE_CHECKING

import polars as pl

from plate_assets.drift.tables import DRIFT_REFERENCE, DRIFT_REFERENCE_TILES, DRIFT_TESTS
from plate_assets.orchestration.resources import Storage
from plate_assets.orchestration.workflow_options import view_of
from plate_assets.plates.acquisition import Acquisition
from plate_assets.plates.acquisition_table import ACQUISITION, KnownAcquisition, acquisition_from_table
from plate_assets.plates.fields import Fields
from plate_assets.plates.tables import EXCLUSIONS, ILLUMINATION, IMAGE_QUALITY
from plate_assets.precipitation.tables import PATCH_EMBEDDINGS, PATCHES
from plate_assets.settings import Settings
from plate_assets.storage.arrays import read_stack
from plate_assets.storage.ledger import read_rows
from plate_assets.storage.tables import read_provenance, read_table
from plate_assets.workflows.intake.illumination import lit_fields
from plate_assets.workflows.intake.plate_maps import plate_map_for
from plate_assets.workflows.precipitation.references import StoredPlate

if TYPE_CHECKING:
    from plate_assets.drift.acquisitions import DriftReference


def known_acquisition(storage: Storage, key: str) -> KnownAcquisition:
    """The acquisition that was let in under this id."""
    return acquisition_from_table(read_table(storage.table("acquisition", key), ACQUISITION))


def stored_acquisition(storage: Storage, settings: Settings, key: str):
    """An acquisition with its plate map."""
    acquisition = known_acquisition(storage, key).acquisition
    return acquisition, plate_map_for(acquisition, settings.platemaps_root)


def fields_of(storage: Storage, settings: Settings, key: str, acquisition: Acquisition) -> Fields:
    """The fields of an acquisition as the settings look at them, their light corrected where asked.

    By the stored profile; one that was let in before there were profiles has its light measured now.
    """
    table = storage.table("illumination", key)
    return lit_fields(acquisition, view_of(settings), read_table(table, ILLUMINATION) if table.exists() else None)


def stored_embeddings(storage: Storage, key: str) -> pl.DataFrame:
    """The vectors of an acquisition's tiles. TableError where they were not made, with the remedy."""
    path = storage.table("patch_embeddings", key)
    if not path.exists():
        raise ValueError(f"acquisition {key!r} has no embeddings: run the job `embed` for it")
    return read_table(path, PATCH_EMBEDDINGS)


def stored_embeddings_version(storage: Storage, key: str) -> str | None:
    """The embedding model that saw an acquisition; None where none has."""
    path = storage.table("patch_embeddings", key)
    return read_provenance(path).model_version if path.exists() else None


def stored_reference(storage: Storage) -> "DriftReference":
    """The drift reference. ValueError where there is none, with the remedy."""
    from plate_assets.drift.acquisitions import DriftReference

    path = storage.table("drift_reference")
    if not path.exists():
        raise ValueError("there is no drift reference: run the job `drift_reference` on known good acquisitions")
    tiles = read_table(storage.table("drift_reference_tiles"), DRIFT_REFERENCE_TILES)
    return DriftReference(read_table(path, DRIFT_REFERENCE), tiles)


def drift_of(storage: Storage, key: str) -> str | None:
    """Why the calls of an acquisition are withheld: its drift test in words; None where there is no drift, or no test."""
    path = storage.table("drift_tests", key)
    row = read_table(path, DRIFT_TESTS).row(0, named=True) if path.exists() else {"decision": "none"}
    return f"drift (p = {row['p_value']:.2g}): calls are withheld" if row["decision"] == "drift" else None


def stored_plate(storage: Storage, settings: Settings, key: str) -> StoredPlate:
    """An acquisition whose tiles are stored, with plate map, quality and exclusions."""
    _, platemap = stored_acquisition(storage, settings, key)
    return StoredPlate(
        acquisition_id=key,
        patches=read_stack(storage.stack("patches", key), PATCHES),
        platemap=platemap,
        quality=read_table(storage.table("image_quality", key), IMAGE_QUALITY),
        exclusions=read_rows(storage.exclusions, EXCLUSIONS),
    )
