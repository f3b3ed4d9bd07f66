"""One look at the arrivals folder: which folders are there, and what lies in those that are looked into.

Belongs here: looking, quickly, and only where something may have changed. Not here: what to do about it (`arrivals`), layouts
(`readers`), bytes (`acquisition.fingerprint`).
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from upath import UPath

from plate_assets.plates.acquisition import MARKER, Acquisition, AcquisitionError
from plate_assets.plates.arrivals import VISIT, Ledger, Remembered, Seen
from plate_assets.plates.listing import Listing, ListingError, as_upath, list_folder, local_path
from plate_assets.plates.readers import ReadOptions, SeveralTimepoints, read_listing

SLICE_SIZE = 50
VISITS_A_LOOK = 24  # of one folder that are read at one look: the others' turn comes at the next ones


def slice_of(known: Sequence[str], position: int, size: int) -> tuple[list[str], int]:
    """The next `size` of the sorted names, from `position` on and around, and the position after them."""
    if not known:
        return [], 0
    first, count = position % len(known), min(size, len(known))
    return [known[(first + step) % len(known)] for step in range(count)], (first + count) % len(known)


@dataclass(frozen=True)
class Scan:
    """One look at the arrivals folder: what was looked at, and how much work it was."""

    seen: tuple[Seen, ...]
    ledger: Ledger  # with the slice's new position, and without the folders that are gone and were never registered
    folders: int
    listed: int
    read: int


def scan_arrivals(
    root: UPath,
    known: Mapping[str, str | None],
    ledger: Ledger,
    *,
    options: ReadOptions | None = None,
    slice_size: int = SLICE_SIZE,
) -> Scan:
    """Name every folder in `root`, look into each that is not settled, and into the next slice of those that are.

    Settled is what is registered and known, refused, or broken for long. A folder whose files are the same as at the look
    before is listed and not read again. Raises ListingError where `root` itself cannot be listed: that is never "nothing
    arrived".
    """
    root = as_upath(root)
    names = _folder_names(root)
    present = set(names)
    kept = {
        place: replace(entry, gone=entry.seen.folder not in present)
        for place, entry in ledger.folders.items()
        if entry.seen.folder in present or entry.registered
    }
    places: dict[str, list[str]] = {}
    for place, entry in kept.items():
        places.setdefault(entry.seen.folder, []).append(place)
    at_rest = {place for place, m in kept.items() if m.resting or (m.registered and m.seen.acquisition_id in known)}
    settled = [name for name in names if (mine := places.get(name)) and at_rest.issuperset(mine)]
    turn, position = slice_of(settled, ledger.position, slice_size)
    skipped = set(settled) - set(turn)
    looked = [name for name in names if name not in skipped]
    looks, read = [], 0
    for name in looked:
        found, deeply = _look(root, name, {place: kept[place] for place in places.get(name, ())}, options or ReadOptions())
        kept = _with_visits(kept, name, found)
        looks, read = looks + found, read + deeply
    return Scan(tuple(looks), Ledger(kept, position), len(names), len(looked), read)


def _with_visits(kept: Mapping[str, Remembered], name: str, found: Sequence[Seen]) -> dict[str, Remembered]:
    """What is kept, where a folder that held one visit holds several now: what it was is the visit with the same files."""
    if name not in kept or all(look.place == name for look in found):
        return dict(kept)
    mine, rest = kept[name], {place: entry for place, entry in kept.items() if place != name}
    of_old = (mine.seen.acquisition_id, mine.seen.own if mine.seen.signature == mine.started else None)
    same = next((look for look in found if (look.acquisition_id, look.own) == of_old), None)
    if same is not None:
        return rest | {same.place: replace(mine, seen=same, started=same.signature)}
    return dict(kept) if mine.registered else rest


def _folder_names(root: UPath) -> list[str]:
    local = local_path(root)
    try:
        if local is not None:
            with os.scandir(local) as scan:
                names = [entry.name for entry in scan if entry.is_dir() and not entry.name.startswith(".")]
        else:
            root.fs.invalidate_cache(root.path)
            found = root.fs.ls(root.path, detail=True)
            names = [info["name"].rstrip("/").rsplit("/", 1)[-1] for info in found if info["type"] == "directory"]
    except OSError as error:
        raise ListingError(
            f"the arrivals folder {root} cannot be listed ({error}): look whether it is mounted and may be read"
        ) from error
    return sorted(names)


def _look(root: UPath, name: str, before: Mapping[str, Remembered], options: ReadOptions) -> tuple[list[Seen], bool]:
    """What the places of one folder hold, and whether it was read deeply."""
    try:
        local = local_path(root)
        if local is not None and os.path.islink(os.path.join(local, name)):
            raise ListingError(f"{root / name} is a link, and links are not followed: move the folder itself there")
        listing = list_folder(root / name)
    except AcquisitionError as error:
        return [Seen(name, None, "", error=str(error), transient=True)], False
    except OSError as error:
        return [Seen(name, None, "", error=f"{root / name} cannot be listed: {error}", transient=True)], False
    if before and all(_is_as_before(entry.seen, listing) for entry in before.values()):
        return [replace(entry.seen, activity=listing.activity) for entry in before.values()], False
    try:
        return [_seen(name, read_listing(listing, options), listing)], True
    except SeveralTimepoints as several:
        return _visits(name, several.timepoints, listing, before, options), True
    except Exception as error:  # whatever a folder holds, the other arrivals go on
        return [_unreadable(name, error, listing)], True


def _is_as_before(seen: Seen, listing: Listing) -> bool:
    return not seen.transient and not seen.unread and (seen.listed or seen.signature) == listing.signature


def _visits(
    name: str, timepoints: Sequence[str], listing: Listing, before: Mapping[str, Remembered], options: ReadOptions
) -> list[Seen]:
    """Each visit of a folder that holds several; those that are not let in yet are read first, a bounded number at a look."""
    in_turn = sorted(timepoints, key=lambda t: (m := before.get(name + VISIT + t)) is not None and m.registered)
    found: dict[str, Acquisition | Exception] = {}
    for timepoint in in_turn[:VISITS_A_LOOK]:
        try:
            found[timepoint] = read_listing(listing, replace(options, timepoint=timepoint))
        except Exception as error:
            found[timepoint] = error
    looks = []
    for timepoint in timepoints:
        place, visit = name + VISIT + timepoint, found.get(timepoint)
        if isinstance(visit, Acquisition):
            seen = _seen(place, visit, listing)
            looks.append(replace(seen, signature=seen.own, listed=listing.signature))
        elif visit is not None:
            looks.append(_unreadable(place, visit, listing))
        else:
            looks.append(before[place].seen if place in before else Seen(place, None, "", unread=True))
    return looks


def _seen(place: str, found: Acquisition, listing: Listing) -> Seen:
    missing, marked = tuple(found.missing_said()), found.completeness.startswith(MARKER)
    own = listing.signature_of(found.images["path"])
    return Seen(place, found.acquisition_id, listing.signature, listing.activity, found.complete, marked, missing, own=own)


def _unreadable(place: str, error: Exception, listing: Listing) -> Seen:
    if isinstance(error, AcquisitionError | OSError):
        return Seen(place, None, listing.signature, listing.activity, error=str(error), transient=_is_transient(error))
    told = (
        f"{place} could not be read ({type(error).__name__}: {error}), a defect of its reader: please report it with the folder"
    )
    return Seen(place, None, listing.signature, listing.activity, error=told, defect=True)


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, OSError) or isinstance(error.__cause__, OSError)
