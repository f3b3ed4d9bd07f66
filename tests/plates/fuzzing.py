"""A seeded fuzzer: real exports, harmed in the ways that disks, copies, people and attackers harm them.

Belongs here: the harms, and one process that reads many harmed folders and says how each ended. Not here: what is expected
(`test_fuzz`). Run as a module it prints one JSON object: `python -m tests.plates.fuzzing EXPORT SCRATCH FIRST COUNT`.
"""

import json
import os
import random
import re
import resource
import shutil
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

from upath import UPath

SECONDS, BYTES = 10.0, 2**30
SHOWN_IMAGES = 6
ABSURD = (
    "-1", "0", "NaN", "inf", "1e308", "99999999999999999999", "4294967296", "", " ", "ä", "１２", "true", "1;2", "0x10", "-0.0",
)  # fmt: skip
NAMES = ("../../outside.tif", "/etc/passwd", "C:\\x.tif", "a\0b.tif", "n" * 300 + ".tif", "板А١.tif", "a/../../b.tif", "", "..")
BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
)
OUTER = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
TEXTS = (
    ".xml",
    ".ome",
    ".mlf",
    ".mrf",
    ".mes",
    ".wpi",
    ".wpp",
    ".htd",
    ".csv",
    ".tsv",
    ".json",
    ".zattrs",
    ".zgroup",
    ".zarray",
)


def harm(folder: Path, rng: random.Random) -> list[str]:
    """Harm a folder in one to three ways; what was done, in words."""
    done = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
        if not files:
            break
        texts = [path for path in files if path.name.lower().endswith(TEXTS)]
        in_text = bool(texts) and rng.random() < 0.6
        path = rng.choice(texts if in_text else files)
        way = rng.choice(TEXT_HARMS if in_text else FILE_HARMS)
        try:
            way(path, rng)
        except OSError as error:
            done.append(f"{way.__name__} could not be done: {error.strerror}")
            continue
        done.append(f"{way.__name__}: {path.relative_to(folder)}")
    return done


def _replace(path: Path, content: bytes) -> None:
    path.unlink()  # the file may be a hard link to the real export
    path.write_bytes(content)


def flip_bytes(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 3, 20)) if content else 0):
        content[rng.randrange(len(content)) if rng.random() < 0.5 else rng.randrange(min(len(content), 600))] ^= (
            1 << rng.randrange(8)
        )
    _replace(path, bytes(content))


def truncate(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    _replace(path, content[: rng.randrange(len(content) + 1)])


def empty(path: Path, rng: random.Random) -> None:
    _replace(path, b"")


def delete(path: Path, rng: random.Random) -> None:
    path.unlink()


def swap_contents(path: Path, rng: random.Random) -> None:
    other = rng.choice(sorted(each for each in path.parent.iterdir() if each.is_file()))
    mine, its = path.read_bytes(), other.read_bytes()
    _replace(path, its)
    _replace(other, mine) if other != path else None


def duplicate(path: Path, rng: random.Random) -> None:
    name = rng.choice((f"copy of {path.name}", f"{path.stem} (1){path.suffix}", path.name.swapcase(), path.name + path.suffix))
    shutil.copyfile(path, path.with_name(name))


def rename(path: Path, rng: random.Random) -> None:
    stem = rng.choice(
        ("板А١", "a" * 240, "..x", "x\ny", "\udcff".encode("utf-8", "surrogateescape").decode("latin1"), "-rf", "%2e%2e", "A01")
    )
    path.rename(path.with_name(stem + path.suffix))


def link_out(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.symlink_to(rng.choice(("/etc/passwd", "/dev/zero", "..", "nowhere", path.name)))


def to_folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def absurd_tiff(path: Path, rng: random.Random) -> None:
    """Absurd numbers in the first directory of a TIFF: sizes, counts, offsets, a directory that leads to itself."""
    content = bytearray(path.read_bytes())
    if content[:2] not in (b"II", b"MM") or len(content) < 64:
        return flip_bytes(path, rng)
    order = "<" if content[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", content, 4)
    if start + 2 > len(content):
        return flip_bytes(path, rng)
    (count,) = struct.unpack_from(order + "H", content, start)
    entry = start + 2 + 12 * rng.randrange(max(count, 1))
    if rng.random() < 0.2:
        struct.pack_into(order + "I", content, min(start + 2 + 12 * count, len(content) - 4), start)
    elif entry + 12 <= len(content):
        field = rng.choice((4, 8, 8, 8))
        struct.pack_into(order + "I", content, entry + field, rng.choice((0, 1, 2**16, 2**31 - 1, 2**32 - 1, 20_000)))
    _replace(path, bytes(content))


def _edit(path: Path, change: Callable[[str], str]) -> None:
    content = path.read_bytes()
    for encoding in ("utf-8", "latin1"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return _replace(path, change(text).encode(encoding, "replace"))


def absurd_number(path: Path, rng: random.Random) -> None:
    def change(text: str) -> str:
        numbers = list(re.finditer(r"-?\d+(\.\d+)?", text))
        if not numbers:
            return text
        chosen = rng.choice(numbers)
        return text[: chosen.start()] + rng.choice(ABSURD) + text[chosen.end() :]

    _edit(path, change)


def absurd_name(path: Path, rng: random.Random) -> None:
    def change(text: str) -> str:
        names = list(re.finditer(r"[\w .#()+-]+\.(tiff?|png|jpe?g|ome)\b", text, re.IGNORECASE))
        if not names:
            return text
        chosen = rng.choice(names)
        return text[: chosen.start()] + rng.choice(NAMES) + text[chosen.end() :]

    _edit(path, change)


def _lines(change: Callable[[list[str], random.Random], None]) -> Callable[[Path, random.Random], None]:
    def way(path: Path, rng: random.Random) -> None:
        def on_text(text: str) -> str:
            pieces = re.split(r"(?<=>)|(?<=,)|(?<=\n)", text)
            if len(pieces) > 2:
                change(pieces, rng)
            return "".join(pieces)

        _edit(path, on_text)

    return way


@_lines
def remove_piece(pieces: list[str], rng: random.Random) -> None:
    del pieces[rng.randrange(len(pieces))]


@_lines
def double_piece(pieces: list[str], rng: random.Random) -> None:
    at = rng.randrange(len(pieces))
    pieces[at:at] = pieces[at : at + rng.choice((1, 4, 40))]


@_lines
def swap_pieces(pieces: list[str], rng: random.Random) -> None:
    a, b = rng.randrange(len(pieces)), rng.randrange(len(pieces))
    pieces[a], pieces[b] = pieces[b], pieces[a]


def entities(path: Path, rng: random.Random) -> None:
    def change(text: str) -> str:
        prolog, mark, rest = text.partition("?>")
        document = rng.choice((BOMB, OUTER))
        text = prolog + mark + document + rest if mark else document + text
        return text if rng.random() < 0.5 else text.replace(">1<", ">&c;&a;<", 1)

    _edit(path, change)


def encoding(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    way = rng.choice(("utf-16", "utf-8-sig", "declared", "nul"))
    if way == "declared":
        _replace(path, re.sub(rb"utf-8", rng.choice((b"ebcdic-9", b"utf-16", b"zlib")), content, count=1, flags=re.IGNORECASE))
    elif way == "nul":
        at = rng.randrange(len(content) + 1)
        _replace(path, content[:at] + b"\0" + content[at:])
    else:
        _replace(path, content.decode("utf-8", "replace").encode(way))


def nest(path: Path, rng: random.Random) -> None:
    deep = rng.choice((2_000, 100_000))
    content = path.read_bytes()
    at = rng.randrange(len(content) + 1)
    inside = b"[" * deep if path.suffix in (".json", ".zattrs", ".zgroup", ".zarray") else b"<a>" * deep
    _replace(path, content[:at] + inside + content[at:])


FILE_HARMS = [
    flip_bytes, flip_bytes, truncate, empty, delete, swap_contents, duplicate, rename, link_out, to_folder, absurd_tiff,
    absurd_tiff,
]  # fmt: skip
TEXT_HARMS = [
    flip_bytes, truncate, empty, delete, absurd_number, absurd_number, absurd_number, absurd_name, absurd_name, remove_piece,
    remove_piece, double_piece, swap_pieces, entities, encoding, nest,
]  # fmt: skip


def attempt(root: Path, folder: Path) -> str:
    """How a harmed folder ends: `read`, `flagged` (an image cannot be read), `refused`; raises whatever should not be."""
    from plate_assets.plates.acquisition import AcquisitionError
    from plate_assets.plates.arrivals import Ledger
    from plate_assets.plates.arrivals_scan import scan_arrivals
    from plate_assets.plates.image_files import ImageError
    from plate_assets.plates.images import read_image
    from plate_assets.plates.readers import ReadOptions, SeveralTimepoints, open_acquisition

    seen = scan_arrivals(UPath(root), {}, Ledger()).seen
    assert any(look.acquisition_id == "good_t0" for look in seen), "the other arrival was not seen"
    assert not any(look.defect for look in seen), next(look.error for look in seen if look.defect)
    try:
        try:
            acquisition = open_acquisition(UPath(folder))
        except SeveralTimepoints as several:
            acquisition = open_acquisition(UPath(folder), ReadOptions(timepoint=several.timepoints[0]))
    except AcquisitionError as error:
        message = str(error)
        assert str(folder) in message or folder.name in message or len(message) > 40, (
            f"a message that helps nobody: {message!r}"
        )
        return "refused"
    assert acquisition.acquisition_id
    outcome = "read" if not acquisition.missing.height else "flagged"
    for row in acquisition.images.filter("present").head(SHOWN_IMAGES).iter_rows(named=True):
        try:
            read_image(acquisition.root / row["path"], row["page"])
        except ImageError:
            outcome = "flagged"
    return outcome


def plant(export: Path, root: Path) -> Path:
    """The export as hard links in a folder of an arrivals folder, beside a good arrival."""
    shutil.rmtree(root, ignore_errors=True)
    folder = root / export.name
    shutil.copytree(export, folder, copy_function=os.link)
    (root / "good").mkdir()
    os.link(Path(export).parent / "good.tif", root / "good" / "A01.tif")
    return folder


def main(export: Path, scratch: Path, first: int, count: int) -> None:
    """Read `count` harmed copies, from seed `first` on; print outcomes, and what should not be with its seed."""

    def too_long(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS:g} s")

    resource.setrlimit(resource.RLIMIT_AS, (12 * 2**30, 12 * 2**30))
    signal.signal(signal.SIGALRM, too_long)
    attempt(scratch, plant(export, scratch))  # what is loaded once is no case's memory
    outcomes: dict[str, int] = {}
    wrong: list[str] = []
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    longest = 0.0
    for seed in range(first, first + count):
        folder = plant(export, scratch)
        done = harm(folder, random.Random(f"{export.name}:{seed}"))
        before = sorted(str(path) for path in scratch.parent.rglob("*"))
        began = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            outcome = attempt(scratch, folder)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
        except BaseException as error:  # noqa: BLE001 - whatever comes is the finding
            wrong.append(f"seed {seed} ({'; '.join(done)}): {type(error).__name__}: {str(error)[:300]}")
        signal.setitimer(signal.ITIMER_REAL, 0)
        longest = max(longest, time.monotonic() - began)
        now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if now - peak > BYTES:
            wrong.append(f"seed {seed} ({'; '.join(done)}): took {(now - peak) / 2**20:.0f} MiB")
            peak = now
        if sorted(str(path) for path in scratch.parent.rglob("*")) != before:
            wrong.append(f"seed {seed} ({'; '.join(done)}): wrote to the disk")
    print(json.dumps({"outcomes": outcomes, "wrong": wrong, "longest": longest}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
