"""Lines of acquisitions: which instrument and assay an acquisition belongs to, and when it was taken.

Belongs here: from the instance and the tables to the lines that a drift monitor watches. Not here: the monitor (`workflows`).
"""

import re
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from plate_assets.orchestration.instance_state import latest_times, materialised_acquisitions
from plate_assets.orchestration.resources import Storage
from plate_assets.orchestration.stored_plates import known_acquisition, stored_embeddings_version
from plate_assets.plates.acquisition import Acquisition
from plate_assets.settings import Settings

if TYPE_CHECKING:
    from plate_assets.drift.acquisitions import DriftReference


def line_of(acquisition: Acquisition, expression: str) -> str:
    """`instrument / assay`: the vendor's layout with the objective, and what the expression's groups find in the plate's name.

    A plate whose name does not fit the expression is on the line of the instrument alone.
    """
    instrument = " ".join(str(part) for part in (acquisition.layout, acquisition.objective or "") if part)
    found = re.search(expression, acquisition.plate) if expression else None
    assay = " ".join(part for part in (found.groups() or (found.group(),)) if part) if found else ""
    return f"{instrument} / {assay}" if assay else instrument


def lines_of(
    instance: dg.DagsterInstance, storage: Storage, settings: Settings, reference: "DriftReference"
) -> dict[str, list[tuple[str, datetime]]]:
    """The acquisitions of each line that the reference's embedding model has seen, with the time when each began.

    Where the vendor's metadata does not tell it, the time when the acquisition was let in.
    """
    let_in = latest_times(instance, "acquisition")
    lines: dict[str, list[tuple[str, datetime]]] = defaultdict(list)
    for key in sorted(materialised_acquisitions(instance)):
        if stored_embeddings_version(storage, key) != reference.embedding_version:
            continue
        acquisition = known_acquisition(storage, key).acquisition
        began = acquisition.started_at or let_in[key]
        lines[line_of(acquisition, settings.drift_line)].append((key, began if began.tzinfo else began.replace(tzinfo=UTC)))
    return dict(lines)
