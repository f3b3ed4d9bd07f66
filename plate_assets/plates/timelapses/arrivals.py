"""What to do about the time-lapses that the sensor saw: a pure decision, so that it can be tested without Dagster.

Belongs here: looking at folders, which of them is let in and which waits. Not here: the roles of their files (`folder`), frames
(`frames`), running anything. Other than an acquisition a time-lapse may grow while it is watched: it is let in once, and the
night measures it again while new frames come.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from upath import UPath

from plate_assets.plates.acquisition import AcquisitionError, check_acquisition_id
from plate_assets.plates.listing import ListingError, as_upath, list_folder
from plate_assets.plates.timelapses.folder import sort_files


@dataclass(frozen=True)
class SeenTimelapse:
    """One folder at one look. signature: of its files (`Listing.signature`); copying: whether a copy into it goes on; error:
    why it cannot be let in."""

    name: str
    signature: str
    copying: bool = False
    error: str | None = None


@dataclass(frozen=True)
class TimelapseDecision:
    """start: let in now; waiting: still changing; broken: with a reason. looks: name -> (signature, looks that found it)."""

    start: tuple[SeenTimelapse, ...]
    waiting: tuple[SeenTimelapse, ...]
    broken: tuple[SeenTimelapse, ...]
    looks: dict[str, tuple[str, int]]


def decide_timelapses(
    seen: Iterable[SeenTimelapse], known: Collection[str], looks: Mapping[str, tuple[str, int]], settle_looks: int
) -> TimelapseDecision:
    """Let in what is not known and has stayed the same over `settle_looks` looks.

    looks: of the decision before. Of two names that differ by their case alone the second is broken: on some disks they are one
    folder.
    """
    start, waiting, broken, now = [], [], [], {}
    owners = {name.casefold(): name for name in known}
    for folder in sorted(seen, key=lambda each: each.name):
        owner = owners.setdefault(folder.name.casefold(), folder.name)
        before, count = looks.get(folder.name, ("", 0))
        now[folder.name] = (folder.signature, count + 1 if before == folder.signature else 1)
        if owner != folder.name:
            said = f"{folder.name} and {owner} differ by their case alone: rename one of them"
            broken.append(SeenTimelapse(folder.name, folder.signature, error=said))
        elif folder.error:
            broken.append(folder)
        elif folder.name in known:
            continue
        elif folder.copying or now[folder.name][1] < settle_looks:
            waiting.append(folder)
        else:
            start.append(folder)
    return TimelapseDecision(tuple(start), tuple(waiting), tuple(broken), now)


def scan_timelapses(root: UPath, leave_out: Collection[str] = ()) -> list[SeenTimelapse]:
    """Every folder in `root` as it is now. Raises ListingError where `root` cannot be listed: that is never "nothing came"."""
    root = as_upath(root)
    try:
        entries = [entry for entry in root.iterdir() if not entry.name.startswith(".") and entry.name not in leave_out]
        return [look_at(entry) for entry in sorted(entries, key=lambda entry: entry.name)]
    except OSError as error:
        raise ListingError(
            f"the folder of time-lapses {root} cannot be listed ({error}): look whether it is mounted and may be read"
        ) from error


def look_at(place: UPath) -> SeenTimelapse:
    """One entry of the folder of time-lapses."""
    if not place.is_dir():
        told = f"{place} is a file: each time-lapse lies in a folder of its own, which gives it its name"
        return SeenTimelapse(place.name, "", error=told)
    try:
        check_acquisition_id(place.name)
        listing = list_folder(place)
        if not listing.pending:
            sort_files(listing)
        return SeenTimelapse(place.name, listing.signature, copying=bool(listing.pending))
    except AcquisitionError as error:
        return SeenTimelapse(place.name, "", error=str(error))
