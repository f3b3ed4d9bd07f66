"""Which plate map holds for an acquisition.

Belongs here: where maps are looked for, in their order. Not here: what a map says and how it is read (`plates.platemap`).
"""

import polars as pl
from upath import UPath

from plate_assets.plates.acquisition import Acquisition
from plate_assets.plates.platemap import find_platemap, platemap_of, read_platemap


def plate_map_for(acquisition: Acquisition, platemaps: str | None) -> pl.DataFrame:
    """The plate map of an acquisition: beside its images, else in the folder of plate maps, else quadruplets as they stand."""
    folders = [acquisition.root, *([UPath(platemaps)] if platemaps else [])]
    found = find_platemap(folders, acquisition.plate)
    return platemap_of(acquisition, read_platemap(found) if found else None)
