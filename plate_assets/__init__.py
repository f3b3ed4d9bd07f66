"""plate_assets: a Dagster platform for the plates of a cell-culture laboratory. Belongs here: the version, nothing else."""

__version__ = "0.1.0"
