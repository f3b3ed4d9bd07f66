"""Commands about dry mass: measure a time-lapse, train a forecaster, score a table, judge a flag, simulate a culture."""

from pathlib import Path
from typing import Annotated

import typer

from plate_assets.cli.shell import Author, app, me, mendable, options_of, progress
from plate_assets.dry_mass.model import FORECASTER, ForecasterConfig

dry_mass = typer.Typer(no_args_is_help=True, help="Dry mass of cells over time, without Dagster.")
app.add_typer(dry_mass, name="dry-mass", rich_help_panel="Dry mass")

Interval = Annotated[float | None, typer.Option("--interval-min", help="Minutes between frames, where the files do not say.")]


@dry_mass.command()
def measure(
    folder: Path,
    out: Annotated[Path, typer.Option(help="The table of tracks: .csv, or .parquet with everything.")],
    interval_min: Interval = None,
    unit: Annotated[str | None, typer.Option(help="Of the images: rad, nm, um, or relative.")] = None,
    factor: Annotated[float | None, typer.Option(help="What 1 stands for in images of whole numbers.")] = None,
    pixel_um: Annotated[float | None, typer.Option(help="Pixel size, µm.")] = None,
    wavelength_nm: Annotated[float | None, typer.Option(help="Wavelength, nm.")] = None,
) -> None:
    """Find, measure and follow the cells of a phase time-lapse; options win over `timelapse.json` in the folder."""
    from plate_assets.orchestration.workflow_options import phase_settings
    from plate_assets.settings import Settings
    from plate_assets.workflows.dry_mass.series_files import measure_folder

    said = {
        "interval_min": interval_min, "unit": unit, "factor": factor, "pixel_um": pixel_um, "wavelength_nm": wavelength_nm,
    }  # fmt: skip
    with mendable():
        done = measure_folder(folder, out, phase_settings(Settings()), said, progress("frames"))
    typer.echo(done)


@dry_mass.command()
@options_of(ForecasterConfig(), "features", "parity", "epochs", "seconds", "seed")
def train(
    tables: Annotated[list[Path], typer.Argument(help="Tables or folders of tracks; each is a time-lapse of its own.")],
    out: Annotated[Path, typer.Option(help="Folder for the model bundle.")],
    config: ForecasterConfig,
    interval_min: Interval = None,
) -> None:
    """Train a forecaster on tables of tracks, split by lineage."""
    from plate_assets.learning.arithmetic import prepare_arithmetic
    from plate_assets.settings import Settings
    from plate_assets.workflows.dry_mass.series_files import train_from_tables

    with mendable():
        prepare_arithmetic(Settings().threads)
        done = train_from_tables(tables, out, config, interval_min=interval_min, progress=progress("epochs"))
    typer.echo(done)


@dry_mass.command()
def score(
    table: Annotated[Path, typer.Argument(help="A table or a folder of tracks.")],
    out: Annotated[Path, typer.Option(help="Folder for windows.csv, cells.csv, overview.png and report.html.")],
    model: Annotated[str | None, typer.Option(help="models:/NAME/3, models:/NAME@champion, or a model's folder.")] = None,
    interval_min: Interval = None,
) -> None:
    """Score a table of tracks: abnormal windows and cells, with the same numbers as the platform."""
    from plate_assets.learning.arithmetic import prepare_arithmetic
    from plate_assets.orchestration.resources import registries_of
    from plate_assets.settings import Settings
    from plate_assets.workflows.dry_mass.series_files import score_table

    settings = Settings()
    with mendable():
        prepare_arithmetic(settings.threads)
        registry = registries_of(settings).of(FORECASTER)
        place = registry.resolve(model or settings.model_of(FORECASTER))
        done = score_table(
            table, out, registry.load(place), registry.version_of(place), interval_min=interval_min,
            progress=progress("windows"),
        )  # fmt: skip
    typer.echo(done)


@dry_mass.command()
def simulate(
    out: Annotated[Path, typer.Option(help="Folder of time-lapses: each gets a folder with tracks.csv; truth/ beside them.")],
    cultures: Annotated[int, typer.Option(min=1)] = 1,
    founders: Annotated[int, typer.Option(min=1)] = 60,
    hours: Annotated[float, typer.Option(min=1)] = 60.0,
    seed: int = 0,
) -> None:
    """Write cultures as a tracker would, with growth, division, every kind of anomaly, and the truth beside them."""
    from plate_assets.workflows.dry_mass.series_files import simulate_tables

    with mendable():
        done = simulate_tables(out, cultures, founders, hours, seed)
    typer.echo(done)


@app.command(rich_help_panel="Dry mass")
def annotate(
    timelapse: str,
    path: Annotated[int, typer.Argument(help="The path's number, as in the report.")],
    verdict: Annotated[str, typer.Argument(help="acquisition, biological, both, either or false_positive.")],
    biology: Annotated[str | None, typer.Option(help="division, growth, merge, too_big, dead or other.")] = None,
    author: Author = "",
) -> None:
    """Record what a person says of a flagged cell; the last verdict counts, and none is forgotten."""
    from plate_assets.dry_mass.tables import CELL_ANOMALIES
    from plate_assets.orchestration.decision_events import tell_dagster
    from plate_assets.orchestration.resources import storage_of
    from plate_assets.plates.acquisition import check_acquisition_id
    from plate_assets.settings import Settings
    from plate_assets.storage.fingerprint import fingerprint
    from plate_assets.storage.tables import read_table
    from plate_assets.workflows.dry_mass.annotate import annotate as record

    storage = storage_of(Settings())
    with mendable():
        cells = read_table(storage.table("cell_anomalies", check_acquisition_id(timelapse)), CELL_ANOMALIES)
        rows = record(storage.cell_verdicts, cells, timelapse, path, verdict, biology, author=author or me())
        tell_dagster("cell_verdicts", fingerprint(rows), {"author": author or me(), "path": path, "verdict": verdict})
    typer.echo(f"{timelapse}, path {path}: {verdict}{f' ({biology})' if biology else ''} by {author or me()}")
