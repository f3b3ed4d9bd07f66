"""The morning page as a file and a message, and its parts read out of tables.

Belongs here: from an acquisition's tables to the lines of the page, the file, the post. Not here: which runs the night had
(`orchestration`), what the page says (`pages.morning`).
"""

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from upath import UPath

from plate_assets.plates.acquisition import Acquisition

if TYPE_CHECKING:
    from plate_assets.pages.morning import Arrival, MorningInputs


def arrival_of(
    acquisition: Acquisition, quality: pl.DataFrame | None = None, *, arrived_at: datetime | None = None, report: str = ""
) -> "Arrival":
    """The line of a plate that was let in: its wells, whether it is complete, the most frequent flags."""
    from plate_assets.pages.morning import Arrival

    flagged = quality.filter(pl.col("flagged")) if quality is not None else None
    reasons: Counter[str] = Counter()
    if flagged is not None:
        reasons.update(reason for text in flagged["reasons"] for reason in text.split("; ") if reason)
    return Arrival(
        acquisition_id=acquisition.acquisition_id,
        plate=acquisition.plate,
        timepoint=acquisition.timepoint,
        n_wells=acquisition.images.filter(pl.col("present"))["Metadata_Well"].n_unique(),
        plate_wells=acquisition.plate_format.wells,
        completeness=acquisition.completeness,
        n_flagged=flagged["Metadata_Well"].n_unique() if flagged is not None else 0,
        flags=", ".join(f"{reason} ({count})" for reason, count in reasons.most_common(3)),
        arrived_at=arrived_at,
        report=report,
    )


def write_morning(inputs: "MorningInputs", folder: str | Path | UPath) -> UPath:
    """Write `morning.html`, and the same under the night's date; both whole or not at all. Returns the first."""
    from plate_assets.pages.morning import render_morning
    from plate_assets.storage.files import write_bytes

    page = render_morning(inputs).encode()
    folder = UPath(folder)
    write_bytes(folder / f"{inputs.until:%Y-%m-%d}.html", page)
    write_bytes(folder / "morning.html", page)
    return folder / "morning.html"


def tell_webhook(inputs: "MorningInputs", url: str, page: str = "") -> None:
    """Post the night in short, with its counts as fields. Raises `NotifyError`, which never shows the address."""
    from plate_assets.pages.morning import morning_text
    from plate_assets.workflows.night.notify import post_to_webhook

    post_to_webhook(url, morning_text(inputs, page), {**inputs.fields(), "models": dict(inputs.models)})
