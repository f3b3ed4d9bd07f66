"""Tags of materialisations and runs: what an asset was made of, so that the night can tell what is stale.

Belongs here: their names and the form of their values. Not here: who writes or reads them.
"""

MODEL_TAG = "plate_assets/model"  # of scores: the version that made them
DECISIONS_TAG = "plate_assets/decisions"  # of well scores: exclusions and plate map in force
EMBEDDING_TAG = "plate_assets/embedding"  # of embeddings: the embedding model
REFERENCE_TAG = "plate_assets/drift_reference"  # of drift tests: what was compared with
FILES_TAG = "plate_assets/files"  # of a time-lapse: the listing that was measured; one that has grown has another
SETTINGS_TAG = "plate_assets/phase_settings"  # of frames and masks: what was said of the images


def version_tag(version: str) -> str:
    """A model version as a Dagster tag's value, which allows neither `:` nor `/` at its start: `precipitation-detector.3`."""
    return version.removeprefix("models:/").replace("/", ".").replace(":", ".")
