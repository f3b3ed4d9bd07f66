"""What the doctor asks about dry mass: where time-lapses arrive, and whether images can be measured and linked."""

import importlib.util
from collections.abc import Callable
from functools import partial

from upath import UPath

from plate_assets.settings import Settings

TRACKING = ("laptrack", "h5py", "roifile")  # of the extra `tracking`


def questions(settings: Settings) -> dict[str, Callable[[], tuple[bool, str]]]:
    """The questions by name, each answered by whether all is well and what is said."""
    return {"time-lapses": partial(_folder, settings), "tracking": _tracking}


def _folder(settings: Settings) -> tuple[bool, str]:
    folder = UPath(settings.timelapses_root)
    if not folder.exists():
        return True, f"{folder} is not there: none will arrive; make it, or set PLATE_ASSETS_TIMELAPSES, to have them judged"
    return folder.is_dir(), f"{folder}, {sum(1 for _ in folder.iterdir())} entries"


def _tracking() -> tuple[bool, str]:
    absent = [name for name in TRACKING if importlib.util.find_spec(name) is None]
    if absent:
        return True, f"{', '.join(absent)} not installed: tables of tracks are judged; for images install the extra `tracking`"
    return True, "images are measured, and cells linked from frame to frame"
