"""The doctor: does this installation hold what the platform needs, and what is to be mended.

Belongs here: questions about the installation as a whole, each answered with a remedy, and the order in which all are asked.
Not
here: a science's own questions (its assets), the state of plates and runs.
"""

import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from upath import UPath

from plate_assets.orchestration.chains import Chain
from plate_assets.orchestration.resources import registries_of, storage_of
from plate_assets.orchestration.sciences import SCIENCES
from plate_assets.settings import Settings
from plate_assets.storage.files import write_bytes
from plate_assets.storage.model_kind import ModelKind


@dataclass(frozen=True)
class Finding:
    """One question and its answer; what is not ok says what to do."""

    what: str
    ok: bool
    said: str


def examine(settings: Settings) -> list[Finding]:
    """Ask every question; one that cannot be answered is a finding too."""
    questions: dict[str, Callable[[], tuple[bool, str]]] = {
        "arrivals": lambda: _folder(settings.arrivals_root, "PLATE_ASSETS_ARRIVALS"),
        "storage": lambda: _writable(storage_of(settings).root),
        "free space": lambda: _space(settings),
        "history": _history,
        "launcher": _launcher,
        "images": lambda: _package("imagecodecs", "LZW-compressed TIFFs need it"),
        "alibi-detect": _alibi,
    }
    for science in SCIENCES:
        offer = science.offer()
        questions |= {
            f"champion: {chain.kind.noun}": partial(_champion, settings, chain, chain.kind)
            for chain in offer.chains
            if chain.kind
        }
        questions |= offer.questions(settings)
    return [_asked(what, question) for what, question in questions.items()]


def _asked(what: str, question: Callable[[], tuple[bool, str]]) -> Finding:
    try:
        return Finding(what, *question())
    except Exception as error:  # the doctor must finish: whatever goes wrong is the finding
        return Finding(what, False, f"{type(error).__name__}: {error}")


def _folder(place: str, variable: str) -> tuple[bool, str]:
    folder = UPath(place)
    if folder.is_dir():
        return True, f"{place}, {sum(1 for _ in folder.iterdir())} entries"
    return False, f"{place} is no folder: make it, or set {variable}"


def _writable(root: UPath) -> tuple[bool, str]:
    probe = root / "doctor"
    write_bytes(probe, b"ok")
    probe.unlink()
    return True, f"{root} can be written"


def _space(settings: Settings) -> tuple[bool, str]:
    home = next(folder for folder in [settings.home.resolve(), *settings.home.resolve().parents] if folder.exists())
    free = shutil.disk_usage(home).free / 1e9
    return free > 5, f"{free:.0f} GB free at {home}" + ("" if free > 5 else ": a plate takes about 1 GB, make room")


def _history() -> tuple[bool, str]:
    home = os.environ.get("DAGSTER_HOME")
    if not home:
        return False, "DAGSTER_HOME is not set: Dagster would keep its history in a temporary folder and delete it"
    if not (Path(home) / "dagster.yaml").exists():
        return False, f"{home} has no dagster.yaml: copy the one of this project there"
    return True, home


def _launcher() -> tuple[bool, str]:
    home = os.environ.get("DAGSTER_HOME")
    file = Path(home) / "dagster.yaml" if home else None
    if file and file.exists() and "WatchfulRunLauncher" in file.read_text():
        return True, "dead runs are noticed within seconds"
    return (
        False,
        "the run launcher is not plate_assets.orchestration.launcher.WatchfulRunLauncher: killed runs would stay STARTED",
    )


def _champion(settings: Settings, chain: Chain, kind: ModelKind) -> tuple[bool, str]:
    champion = registries_of(settings).of(kind).champion()
    if champion is not None:
        return True, champion
    said = f"none yet: {kind.made_by} and run `{kind.promoted_by}`"
    arrived = storage_of(settings).table(chain.subject.entrance).with_suffix("").exists()
    return not arrived, said if arrived else f"{said}, once there is a {chain.subject.words}"


def _package(name: str, why: str) -> tuple[bool, str]:
    found = importlib.util.find_spec(name) is not None
    return found, "installed" if found else f"{name} is not installed: {why}"


def _alibi() -> tuple[bool, str]:
    found = importlib.util.find_spec("alibi_detect") is not None
    return True, (
        "installed; its licence (BSL 1.1) allows production use to non-profit educational institutions only"
        if found
        else "not installed: the native drift engine needs nothing of it"
    )
