"""What to do about the folders in the arrivals folder: a pure decision that is tested without Dagster.

Belongs here: what is new, complete, changed, doubled or broken, and what is remembered of it. Not here: looking
(`arrivals_scan`), partitions, run requests and cursors (`orchestration`).
"""

import base64
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

SETTLE_LOOKS = 3

VISIT = "//"  # between a folder and its time point in a place: no folder's name can hold it

_PLAIN_JSON_BYTES = 20_000


@dataclass(frozen=True)
class Seen:
    """What one look at one place found. `error` is set where it could not be read; then there may be no id.

    A place is a folder, or `<folder>//<time point>` where a folder holds several visits: each is an acquisition of its own.
    """

    place: str
    acquisition_id: str | None
    signature: str
    activity: str = ""  # signature of the temporary files of a copy in progress
    complete: bool | None = None
    marked: bool = False  # the vendor's own end marker is there
    missing: tuple[str, ...] = ()
    error: str | None = None
    transient: bool = False  # the error is of the reading, not of what was read: look deeply again
    listed: str = ""  # signature of the whole folder, where the place is one visit of it
    unread: bool = False  # a visit whose turn to be read comes at a later look
    defect: bool = False  # the error is none that a reader should raise: ours, and not the folder's
    own: str = ""  # signature of its images alone: by it a visit is known again when others have come to its folder

    @property
    def folder(self) -> str:
        """The folder's name in the arrivals folder."""
        return folder_and_timepoint(self.place)[0]


def folder_and_timepoint(place: str) -> tuple[str, str | None]:
    """The folder of a place, and which of its visits it is; None where it holds one."""
    folder, several, timepoint = place.partition(VISIT)
    return folder, timepoint if several else None


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
    """What earlier looks saw, by place, and where the rotating slice stands. It holds no time of day."""

    folders: Mapping[str, Remembered] = field(default_factory=dict)
    position: int = 0

    def place_of(self, acquisition_id: str) -> str | None:
        """The place behind an id, None where none was seen; one that was started goes before one that was only seen."""
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
    for look in sorted(seen, key=lambda each: (owners.get((each.acquisition_id or "").casefold()) != each.place, each.place)):
        before = ledger.folders.get(look.place)
        looks = before.looks + 1 if before and _same(before.seen, look) else 1
        verdict, reason = _judge(look, looks, known, by_id, owners, started, before, settle_looks)
        if verdict in ("start", "known", "wait") and look.acquisition_id:
            owners[look.acquisition_id.casefold()] = look.place
        folders[look.place] = _remember(look, looks, verdict, before, settle_looks)
        if verdict == "start":
            start.append(look)
        elif verdict != "known":
            sorted_out[verdict].append(Judged(look, reason))
    return Decision(
        tuple(start),
        *(tuple(sorted_out[each]) for each in ("wait", "refuse", "broken")),
        ledger=Ledger(folders, ledger.position),
    )


def _judge(
    look: Seen, looks: int, known: Mapping[str, str | None], by_id: Mapping[str, str], owners: Mapping[str, str],
    started: Mapping[str, str],     before: Remembered | None, settle_looks: int,
) -> tuple[str, str]:  # fmt: skip
    if look.unread:
        return "wait", f"{look.place}: its turn to be read comes at a later look"
    if look.error or not look.acquisition_id:
        if before and before.registered and not look.transient:
            return "refuse", f"{look.place} was registered as {before.seen.acquisition_id} and is broken now: {look.error}"
        return "broken", look.error or f"{look.place} has no id"
    name = look.acquisition_id
    if before and before.registered and before.seen.acquisition_id != name:
        return "refuse", (
            f"{look.place} was registered as {before.seen.acquisition_id} and holds {name} now: put that back, and let "
            f"{name} arrive in a folder of its own"
        )
    owner = owners.get(name.casefold())
    registered = by_id.get(name.casefold())
    if owner is not None and owner != look.place:
        return "refuse", (
            f"the folders {owner} and {look.place} both say {name}: an id is unique, whatever its case. Rename the plate "
            f"or the time point of {look.place}, or move it away"
        )
    if registered is None:
        return _ready(look, looks, settle_looks)
    if registered != name:
        return "refuse", f"{look.place} says it is {name}, and {registered} is known: ids differ by more than case, rename one"
    signature = known[name] or started.get(name.casefold()) or look.signature
    if signature == look.signature:
        return "known", ""
    return "refuse", (
        f"the files of {look.place} are no longer those that {name} was registered with (signature {signature}, now "
        f"{look.signature}): an acquisition is never changed. Restore the folder, or let the new images arrive under another "
        "time point"
    )


def _ready(look: Seen, looks: int, settle_looks: int) -> tuple[str, str]:
    if look.complete is False:
        shown = ", ".join(look.missing[:3])
        return (
            "wait",
            f"{len(look.missing)} images that the metadata names are missing, for example {shown}" if shown else "incomplete",
        )
    if look.marked and look.complete:
        return "start", ""
    needed = 2 if look.complete else settle_looks
    if looks >= needed:
        return "start", ""
    return "wait", f"{looks} of {needed} looks found it unchanged"


def _same(before: Seen, now: Seen) -> bool:
    """Whether nothing moved. For one visit of several the whole folder counts: its own files may still be to come."""
    return all(getattr(before, name) == getattr(now, name) for name in ("signature", "activity", "acquisition_id", "listed"))


def _remember(look: Seen, looks: int, verdict: str, before: Remembered | None, settle_looks: int) -> Remembered:
    mine = before is not None and before.registered
    resting = verdict == "refuse" or (verdict == "broken" and looks > settle_looks and not look.transient)
    same = before is not None and (before.seen.acquisition_id == look.acquisition_id or mine)
    started = look.signature if verdict in ("start", "known") else before.started if before and same else ""
    kept = before.seen if before and mine and before.seen.acquisition_id != look.acquisition_id else look
    return Remembered(kept, min(looks, settle_looks + 1), verdict == "known" or mine, resting, started)


def _pack(place: str, kept: Remembered) -> list[object]:
    seen = kept.seen
    same = bool(kept.started) and kept.started == seen.signature
    bits = (kept.registered, kept.resting, seen.marked, seen.transient, same, kept.gone, seen.unread)
    flags = sum(bit << number for number, bit in enumerate(bits))
    complete = {True: 1, False: 0, None: -1}[seen.complete]
    row: list[object] = [place, seen.acquisition_id, seen.signature, kept.looks, flags, complete]
    more = [
        seen.activity,
        list(seen.missing[:3]),
        len(seen.missing),
        seen.error,
        "" if same else kept.started,
        seen.listed,
        seen.own,
    ]
    return row + more if any(more) else row


def _unpack(row: list) -> tuple[str, Remembered]:
    name, acquisition_id, signature, looks, flags, complete = row[:6]
    activity, missing, count, error, started, listed, own = row[6:13] if len(row) > 6 else ("", [], 0, None, "", "", "")
    registered, resting, marked, transient, same, gone, unread = (bool(flags >> number & 1) for number in range(7))
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
        listed,
        unread,
        own=own,
    )
    return name, Remembered(seen, looks, registered, resting, signature if same else started, gone)
