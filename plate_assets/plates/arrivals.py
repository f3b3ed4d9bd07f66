"""What to do about the folders in the arrivals folder: a quick look, and a pure decision that is tested without Dagster.

Belongs here: what is new, complete, changed, doubled or broken. Not here: partitions, run requests and cursors
(`orchestration`), layouts (`readers`), bytes (`acquisition.fingerprint`).
"""

import base64
import json
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from upath import UPath

from plate_assets.plates.acquisition import MARKER, AcquisitionError
from plate_assets.plates.listing import ListingError, as_upath, list_folder, local_path
from plate_assets.plates.readers import ReadOptions, read_listing

SETTLE_LOOKS = 3
SLICE_SIZE = 50

_PLAIN_JSON_BYTES = 20_000


@dataclass(frozen=True)
class Seen:
    """What one look at one folder found. `error` is set where it could not be read; then there may be no id."""

    folder: str
    acquisition_id: str | None
    signature: str
    activity: str = ""  # signature of the temporary files of a copy in progress
    complete: bool | None = None
    marked: bool = False  # the vendor's own end marker is there
    missing: tuple[str, ...] = ()
    error: str | None = None
    transient: bool = False  # the error is of the reading, not of what was read: look deeply again


@dataclass(frozen=True)
class Judged:
    """A folder and why it waits, is refused or is broken, for a person."""

    seen: Seen
    reason: str


@dataclass(frozen=True)
class Remembered:
    """What the ledger keeps of a folder: the last look, and how many looks in a row found the same."""

    seen: Seen
    looks: int = 1
    registered: bool = False  # this folder is the one behind its id
    resting: bool = False  # refused, or broken for long: looked at again in turn only
    started: str = ""  # signature with which it was last started or registered
    gone: bool = False  # registered, and not in the arrivals folder at the moment: renamed, or the disk is not mounted


@dataclass(frozen=True)
class Ledger:
    """What earlier looks saw, by folder, and where the rotating slice stands. It holds no time of day."""

    folders: Mapping[str, Remembered] = field(default_factory=dict)
    position: int = 0

    def folder_of(self, acquisition_id: str) -> str | None:
        """The folder behind an id, None where none was seen; one that was started goes before one that was only seen."""
        found = [
            ((not m.gone, m.registered, bool(m.started)), name)
            for name, m in self.folders.items()
            if m.seen.acquisition_id == acquisition_id
        ]
        return max(found, key=lambda each: each[0])[1] if found else None

    def to_json(self) -> str:
        """Compact: one list for each folder; packed where there are many."""
        rows = [_pack(name, kept) for name, kept in sorted(self.folders.items())]
        text = json.dumps({"v": 1, "position": self.position, "folders": rows}, separators=(",", ":"))
        if len(text) <= _PLAIN_JSON_BYTES:
            return text
        return json.dumps({"v": 1, "packed": base64.b85encode(zlib.compress(text.encode(), 6)).decode()})

    @classmethod
    def from_json(cls, text: str | None) -> "Ledger":
        """What `to_json` wrote. A ledger that cannot be read is an empty one: folders then settle anew, and none is lost."""
        try:
            content = json.loads(text or "{}")
            if "packed" in content:
                content = json.loads(zlib.decompress(base64.b85decode(content["packed"])))
            return cls(dict(_unpack(row) for row in content.get("folders", [])), int(content.get("position", 0)))
        except (ValueError, TypeError, AttributeError, IndexError, zlib.error):
            return cls()


@dataclass(frozen=True)
class Decision:
    """What to do. `start` is said again until the id is known: the run's key (id + signature) keeps it from running twice."""

    start: tuple[Seen, ...] = ()
    wait: tuple[Judged, ...] = ()
    refuse: tuple[Judged, ...] = ()
    broken: tuple[Judged, ...] = ()
    ledger: Ledger = field(default_factory=Ledger)


def decide(seen: Iterable[Seen], known: Mapping[str, str | None], ledger: Ledger, settle_looks: int = SETTLE_LOOKS) -> Decision:
    """Start what is new and complete, wait for what still comes, refuse new bytes under a known id and one id in two folders.

    known: each materialised id and the signature it was registered with; None where only the ledger may know it.
    ledger: of the look before. settle_looks: looks with the same signature that stand for "complete" where nothing else tells.
    Complete by the vendor's list needs one look more without change: a named file that still grows is there already. The
    vendor's end marker needs none.
    """
    if settle_looks < 2:
        raise ValueError(
            f"settle_looks is {settle_looks}, and 2 or more are needed: one look cannot tell whether a folder still grows"
        )
    by_id = {name.casefold(): name for name in known}
    claims = [
        (m.seen.acquisition_id.casefold(), f, m) for f, m in ledger.folders.items() if m.started and m.seen.acquisition_id
    ]
    claims.sort(key=lambda claim: (claim[2].registered, claim[1]))
    owners = {name: folder for name, folder, m in claims if not m.gone}
    started = {name: m.started for name, _, m in claims}
    folders = dict(ledger.folders)
    start: list[Seen] = []
    sorted_out: dict[str, list[Judged]] = {"wait": [], "refuse": [], "broken": []}
    for look in sorted(seen, key=lambda each: (owners.get((each.acquisition_id or "").casefold()) != each.folder, each.folder)):
        before = ledger.folders.get(look.folder)
        looks = before.looks + 1 if before and _same(before.seen, look) else 1
        verdict, reason = _judge(look, looks, known, by_id, owners, started, before, settle_looks)
        if verdict in ("start", "known", "wait") and look.acquisition_id:
            owners[look.acquisition_id.casefold()] = look.folder
        folders[look.folder] = _remember(look, looks, verdict, before, settle_looks)
        if verdict == "start":
            start.append(look)
        elif verdict != "known":
            sorted_out[verdict].append(Judged(look, reason))
    return Decision(
        tuple(start),
        *(tuple(sorted_out[each]) for each in ("wait", "refuse", "broken")),
        ledger=Ledger(folders, ledger.position),
    )


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
        name: replace(entry, gone=name not in present)
        for name, entry in ledger.folders.items()
        if name in present or entry.registered
    }
    settled = [
        name for name in names if (m := kept.get(name)) and (m.resting or (m.registered and m.seen.acquisition_id in known))
    ]
    turn, position = slice_of(settled, ledger.position, slice_size)
    skipped = set(settled) - set(turn)
    looks = [_look(root, name, kept.get(name), options or ReadOptions()) for name in names if name not in skipped]
    return Scan(
        tuple(look for look, _ in looks), Ledger(kept, position), len(names), len(looks), sum(deeply for _, deeply in looks)
    )


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


def _look(root: UPath, name: str, before: Remembered | None, options: ReadOptions) -> tuple[Seen, bool]:
    """One folder, and whether it was read deeply."""
    try:
        local = local_path(root)
        if local is not None and os.path.islink(os.path.join(local, name)):
            raise ListingError(f"{root / name} is a link, and links are not followed: move the folder itself there")
        listing = list_folder(root / name)
    except AcquisitionError as error:
        return Seen(name, None, "", error=str(error), transient=True), False
    except OSError as error:
        return Seen(name, None, "", error=f"{root / name} cannot be listed: {error}", transient=True), False
    if before and not before.seen.transient and before.seen.signature == listing.signature:
        return replace(before.seen, activity=listing.activity), False
    try:
        found = read_listing(listing, options)
        missing = tuple(found.missing["path"].to_list())
        marked = found.completeness.startswith(MARKER)
        name_of = found.acquisition_id
        return Seen(name, name_of, listing.signature, listing.activity, found.complete, marked, missing), True
    except (ValueError, OSError) as error:
        return Seen(name, None, listing.signature, listing.activity, error=str(error), transient=_is_transient(error)), True


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, OSError) or isinstance(error.__cause__, OSError)


def _judge(
    look: Seen, looks: int, known: Mapping[str, str | None], by_id: Mapping[str, str], owners: Mapping[str, str],
    started: Mapping[str, str],     before: Remembered | None, settle_looks: int,
) -> tuple[str, str]:  # fmt: skip
    if look.error or not look.acquisition_id:
        if before and before.registered and not look.transient:
            return "refuse", f"{look.folder} was registered as {before.seen.acquisition_id} and is broken now: {look.error}"
        return "broken", look.error or f"{look.folder} has no id"
    name = look.acquisition_id
    if before and before.registered and before.seen.acquisition_id != name:
        return "refuse", (
            f"{look.folder} was registered as {before.seen.acquisition_id} and holds {name} now: put that back, and let "
            f"{name} arrive in a folder of its own"
        )
    owner = owners.get(name.casefold())
    registered = by_id.get(name.casefold())
    if owner is not None and owner != look.folder:
        return "refuse", (
            f"the folders {owner} and {look.folder} both say {name}: an id is unique, whatever its case. Rename the plate "
            f"or the time point of {look.folder}, or move it away"
        )
    if registered is None:
        return _ready(look, looks, settle_looks)
    if registered != name:
        return "refuse", f"{look.folder} says it is {name}, and {registered} is known: ids differ by more than case, rename one"
    signature = known[name] or started.get(name.casefold()) or look.signature
    if signature == look.signature:
        return "known", ""
    return "refuse", (
        f"the files of {look.folder} are no longer those that {name} was registered with (signature {signature}, now "
        f"{look.signature}): an acquisition is never changed. Restore the folder, or let the new images arrive under another "
        "time point"
    )


def _ready(look: Seen, looks: int, settle_looks: int) -> tuple[str, str]:
    if look.complete is False:
        shown = ", ".join(look.missing[:3])
        return (
            "wait",
            f"{len(look.missing)} files that the metadata names are missing, for example {shown}" if shown else "incomplete",
        )
    if look.marked and look.complete:
        return "start", ""
    needed = 2 if look.complete else settle_looks
    if looks >= needed:
        return "start", ""
    return "wait", f"{looks} of {needed} looks found it unchanged"


def _same(before: Seen, now: Seen) -> bool:
    return (before.signature, before.activity, before.acquisition_id) == (now.signature, now.activity, now.acquisition_id)


def _remember(look: Seen, looks: int, verdict: str, before: Remembered | None, settle_looks: int) -> Remembered:
    mine = before is not None and before.registered
    resting = verdict == "refuse" or (verdict == "broken" and looks > settle_looks and not look.transient)
    same = before is not None and (before.seen.acquisition_id == look.acquisition_id or mine)
    started = look.signature if verdict in ("start", "known") else before.started if before and same else ""
    kept = before.seen if before and mine and before.seen.acquisition_id != look.acquisition_id else look
    return Remembered(kept, min(looks, settle_looks + 1), verdict == "known" or mine, resting, started)


def _pack(name: str, kept: Remembered) -> list[object]:
    seen = kept.seen
    same = bool(kept.started) and kept.started == seen.signature
    bits = (kept.registered, kept.resting, seen.marked, seen.transient, same, kept.gone)
    flags = sum(bit << place for place, bit in enumerate(bits))
    complete = {True: 1, False: 0, None: -1}[seen.complete]
    row: list[object] = [name, seen.acquisition_id, seen.signature, kept.looks, flags, complete]
    more = [seen.activity, list(seen.missing[:3]), len(seen.missing), seen.error, "" if same else kept.started]
    return row + more if any(more) else row


def _unpack(row: list) -> tuple[str, Remembered]:
    name, acquisition_id, signature, looks, flags, complete = row[:6]
    activity, missing, count, error, started = row[6:11] if len(row) > 6 else ("", [], 0, None, "")
    registered, resting, marked, transient, same, gone = (bool(flags >> place & 1) for place in range(6))
    seen = Seen(
        name,
        acquisition_id,
        signature,
        activity,
        {1: True, 0: False, -1: None}[complete],
        marked,
        tuple(missing) + ("…",) * (count - len(missing)),
        error,
        transient,
    )
    return name, Remembered(seen, looks, registered, resting, signature if same else started, gone)
