"""Tags and metadata of materialisations and runs: what a result rests on, and why a run was requested.

Belongs here: their names and the form of their values. Not here: who writes or reads them.
"""

BASIS_METADATA = "rests on"  # of a chain's results: each part with its value, readable
BASIS_TAG = "plate_assets/rests_on"  # the same as one fingerprint
MODEL_TAG = "plate_assets/model"  # of windows: the version that judged them, so that it need not judge them again
SETTINGS_TAG = "plate_assets/phase_settings"  # of frames and masks: what was said of the images
REASON_TAG = "plate_assets/reason"  # of a run: why it was requested
FOLDER_TAG = "plate_assets/folder"  # of a run: what arrived
SIGNATURE_TAG = "plate_assets/signature"  # of a run: what the folder's files were when the sensor let it in


def version_tag(version: str) -> str:
    """A model version as a Dagster tag's value, which allows neither `:` nor `/` at its start: `precipitation-detector.3`."""
    return version.removeprefix("models:/").replace("/", ".").replace(":", ".")


def tag_value(text: str) -> str:
    """Any text as a run tag: Dagster allows 256 characters."""
    return text[:250]
