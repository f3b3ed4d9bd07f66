"""Where the arrivals sensor keeps what it has seen: one small file, replaced whole.

Belongs here: reading and writing the ledger, what of it a run is told, and finding an acquisition's place in it. Not here:
what the ledger means (`plates.arrivals`).
"""

from upath import UPath

from plate_assets.orchestration.resources import Storage
from plate_assets.plates.acquisition import AcquisitionError
from plate_assets.plates.arrivals import Ledger, folder_and_timepoint
from plate_assets.settings import Settings
from plate_assets.storage.files import write_bytes


def read_ledger(storage: Storage) -> Ledger:
    """What the sensor has seen so far; an empty ledger where it has not looked yet."""
    path = storage.arrivals_ledger
    return Ledger.from_json(path.read_text()) if path.exists() else Ledger()


def write_ledger(storage: Storage, ledger: Ledger) -> None:
    """Keep the ledger: whole or not at all."""
    write_bytes(storage.arrivals_ledger, ledger.to_json().encode())


def place_of(storage: Storage, settings: Settings, acquisition_id: str) -> tuple[UPath, str | None]:
    """The folder that the sensor saw under this id, and which of its visits it is where it holds several.

    Raises AcquisitionError where the sensor has seen none.
    """
    place = read_ledger(storage).place_of(acquisition_id)
    if place is None:
        raise AcquisitionError(
            f"no folder under {settings.arrivals_root} is known as acquisition {acquisition_id!r}: put it there, or give its "
            "place in the asset's configuration (`folder`)"
        )
    folder, timepoint = folder_and_timepoint(place)
    return UPath(settings.arrivals_root) / folder, timepoint
