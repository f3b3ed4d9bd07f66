"""Dry-mass series from and to files, without Dagster: images or tables of tracks in, tracks, a model or scores out.

Belongs here: what the `dry-mass` commands read and write. Not here: what is computed between (`dry_mass`, `timelapse`),
folders as they arrive (`timelapse_folders`), the page of a time-lapse (`report`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
from upath import UPath

from plate_assets.dry_mass.model import ForecasterConfig
from plate_assets.dry_mass.tables import CELL_TRACKS
from plate_assets.plates.acquisition import check_acquisition_id
from plate_assets.plates.listing import Entry, Listing, as_upath
from plate_assets.plates.timelapses.folder import TRACKS, TimelapseError, TimelapseFiles
from plate_assets.progress import Progress
from plate_assets.storage.models import ModelBundle, write_bundle
from plate_assets.storage.tables import Provenance, export_csv, read_table, write_table
from plate_assets.workflows.dry_mass.scoring import score_series, train_forecaster
from plate_assets.workflows.dry_mass.timelapse import TimelapseSettings, measure_timelapse
from plate_assets.workflows.dry_mass.timelapse_folders import TimelapseFolder, look_into, read_tracks

PARQUET = ".parquet"


def tracks_of(place: Path, interval_min: float | None = None) -> pl.DataFrame:
    """CELL_TRACKS of a folder of tables, of one table (CSV, TrackMate's XML), or of a Parquet file of ours.

    Raises TrackTableError, TimelapseError or TableError with the file, the place and the remedy.
    """
    if place.suffix == PARQUET:
        return read_table(place, CELL_TRACKS)
    settings = TimelapseSettings(interval_min=interval_min)
    if place.is_dir():
        found = look_into(as_upath(place), settings)
        if found.has_frames:
            raise TimelapseError(f"{place} holds images: run `plate-assets dry-mass measure` on it first, then give its table")
        return read_tracks(found).tracks
    if not place.is_file():
        raise TimelapseError(f"{place} is not there: give a table of tracks or a folder of tables")
    root = as_upath(place.parent)
    listing = Listing(root, [Entry(place.name, place.stat().st_size, 0)])
    alone = TimelapseFolder(place.stem, listing, TimelapseFiles(TRACKS, (place.name,)), settings)
    return read_tracks(alone).tracks


def series_of(place: Path, interval_min: float | None = None) -> pl.DataFrame:
    """DRY_MASS_SERIES of the tracks in a file or folder."""
    from plate_assets.dry_mass.series import lineage_series

    return lineage_series(tracks_of(place, interval_min)).table


def write_tracks(tracks: pl.DataFrame, out: Path) -> None:
    """CELL_TRACKS as Parquet with everything, or as the plain CSV that any program reads and we read again."""
    if out.suffix == PARQUET:
        write_table(tracks, out, CELL_TRACKS, Provenance())
        return
    if out.suffix.lower() != ".csv":
        raise ValueError(f"{out}: a table ends in .csv or {PARQUET}; rename it")
    unit = tracks["unit"][0] if tracks.height else "relative"
    plain = tracks.select(
        "track_id", "parent_id", "time_h", pl.col("dry_mass").alias(f"dry_mass_{unit}"), "x_um", "y_um", "area_um2",
        pl.col("Metadata_Well").alias("well"),
    )  # fmt: skip
    export_csv(plain, out)


def measure_folder(
    folder: Path, out: Path, defaults: TimelapseSettings, said: Mapping[str, Any], progress: Progress | None = None
) -> str:
    """Measure a folder (or one file) of phase images and write its table of tracks; what came of it, as text.

    said: settings that a person gives now, None where nothing is said; they win over `timelapse.json` and the defaults.
    """
    given = {name: value for name, value in said.items() if value is not None}
    if folder.is_dir():
        found = look_into(as_upath(folder), defaults)
        if not found.has_frames:
            raise TimelapseError(
                f"{folder} holds tables of tracks and no images: score them with `plate-assets dry-mass score`"
            )
        place, outlines, settings, well = found.frames_place, found.outlines_place, found.settings, found.well
    else:
        place, outlines, settings, well = UPath(folder), None, defaults, None
    done = measure_timelapse(place, replace(settings, **given), outlines, name=folder.stem, well=well, progress=progress)
    write_tracks(done.tracks, out)
    frames, tracks = done.tracks["frame"].n_unique(), done.tracks["track_id"].n_unique()
    unit = done.tracks["unit"][0] if done.tracks.height else done.calibration.unit
    return f"{done.tracks.height} cells in {frames} frames, {tracks} tracks, masses in {unit}: {out}"


def train_from_tables(
    tables: Sequence[Path],
    out: Path,
    config: ForecasterConfig,
    *,
    interval_min: float | None = None,
    progress: Progress | None = None,
) -> str:
    """Train a forecaster on tables of tracks and write its bundle; what came of it, as text.

    Two tables of one name are two time-lapses only where their folders tell them apart: the second gets its folder's name too.
    """
    from plate_assets.dry_mass.windows import FEATURES

    if unknown := [name for name in config.features if name not in FEATURES]:
        raise ValueError(f"{unknown[0]!r} is no feature: choose of {', '.join(FEATURES)}")
    names: set[str] = set()
    series = []
    for place in tables:
        table = series_of(place, interval_min)
        own = table["Metadata_Timelapse"][0] if table.height else place.stem
        name = own if own not in names else f"{place.resolve().parent.name}-{own}"
        if name in names:
            raise ValueError(f"{place}: two tables are called {name}; rename one, so that reports can tell them apart")
        names.add(name)
        series.append(table.with_columns(Metadata_Timelapse=pl.lit(name)))
    trained = train_forecaster(series, config, progress=progress)
    write_bundle(trained.bundle, out)
    shown = [f"{name}: {value:.4g}" for name, value in trained.metrics.items() if isinstance(value, float)]
    return f"model in {out}\n" + "\n".join(shown)


def score_table(
    place: Path,
    out: Path,
    bundle: ModelBundle,
    model_version: str,
    *,
    interval_min: float | None = None,
    progress: Progress | None = None,
) -> str:
    """Score one table of tracks and write its report, `windows.csv` and `cells.csv`; what came of it, as text."""
    from plate_assets.dry_mass.series import lineage_series
    from plate_assets.workflows.dry_mass.report import write_timelapse_report

    tracks = tracks_of(place, interval_min)
    series = lineage_series(tracks).table
    scored = score_series(series, bundle, model_version, tracks=tracks, progress=progress)
    name = tracks["Metadata_Timelapse"][0] if tracks.height else place.stem
    written = write_timelapse_report(out, name, series, scored.windows, scored.cells, bundle, model_version)
    flagged = int(scored.cells["abnormal"].sum() or 0)
    short = scored.cells["score"].null_count()
    return (
        f"{flagged} of {scored.cells.height} paths abnormal, {scored.windows.height} windows; {short} paths not scored "
        f"(shorter than 30 h, or never 30 h without a gap)\nreport: {written.report}"
    )


def simulate_tables(out: Path, cultures: int, founders: int, hours: float, seed: int) -> str:
    """Write simulated cultures, a folder with `tracks.csv` each, and the truth of each under `truth/`."""
    from plate_assets.dry_mass.simulate import SIMULATED_TRUTH, simulate_culture
    from plate_assets.dry_mass.simulate_lineages import CultureSettings

    rows = 0
    for number in range(cultures):
        name = check_acquisition_id(f"CULTURE{seed + number:05d}")
        made = simulate_culture(CultureSettings(founders=founders, hours=hours, seed=seed + number, timelapse=name))
        (out / name).mkdir(parents=True, exist_ok=True)
        write_tracks(made.tracks, out / name / "tracks.csv")
        write_table(made.truth, UPath(out) / "truth" / f"{name}.parquet", SIMULATED_TRUTH, Provenance())
        rows += made.tracks.height
    return f"{cultures} cultures with {rows} rows in {out}, truth in {out / 'truth'}"
