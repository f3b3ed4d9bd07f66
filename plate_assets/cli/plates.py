"""Commands about plates: what a folder holds, its export, simulated plates, wells that do not count."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from plate_assets.cli.shell import Author, TimepointOption, app, me, mendable, progress

PANEL = "Plates"


@app.command(rich_help_panel=PANEL)
def inspect(
    folder: Path, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False, timepoint: TimepointOption = None
) -> None:
    """Print what a folder holds: layout, plate, wells, sites, channels, planes, time point, complete or what is missing."""
    from plate_assets.orchestration.workflow_options import read_options
    from plate_assets.settings import Settings
    from plate_assets.workflows.intake.inspect import inspect_folder, inspection_text

    with mendable():
        found = inspect_folder(folder, replace(read_options(Settings()), timepoint=timepoint))
        typer.echo(json.dumps(found, indent=2) if as_json else inspection_text(found))


@app.command(rich_help_panel=PANEL)
def export(
    folder: Annotated[str, typer.Argument(help="Folder of an acquisition, or the id of a stored one.")],
    out: Annotated[Path, typer.Option(help="The OME-Zarr plate: a folder that is not there yet, for example PLATE.zarr.")],
    csv: Annotated[
        Path | None, typer.Option(help="Folder for tables as CSV: images.csv, and all that is stored of the acquisition.")
    ] = None,
    timepoint: TimepointOption = None,
    platemaps: Annotated[Path | None, typer.Option(help="Folder of plate maps.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a plate that is there already.")] = False,
) -> None:
    """Write an acquisition as an OME-Zarr 0.5 plate with every pixel as it is, and its tables as CSV."""
    from plate_assets.orchestration.resources import storage_of
    from plate_assets.orchestration.sciences import table_schemas
    from plate_assets.orchestration.workflow_options import read_options
    from plate_assets.settings import Settings
    from plate_assets.workflows.intake.export import Stored, export_plate

    settings = Settings()
    storage = storage_of(settings)
    with mendable():
        done = export_plate(
            folder, out, Stored(table_schemas(), storage.table, storage.stack), csv=csv, options=read_options(settings),
            timepoint=timepoint, platemaps=str(platemaps) if platemaps else settings.platemaps_root, overwrite=overwrite,
            progress=progress("images"),
        )  # fmt: skip
    typer.echo(done.summary())


@app.command(rich_help_panel=PANEL)
def simulate(
    out: Path,
    plates: Annotated[int, typer.Option(min=1)] = 1,
    timepoints: Annotated[str, typer.Option(help="Hours, separated by commas.")] = "24,96",
    seed: int = 0,
    layout: Annotated[str, typer.Option(help="operetta or flat.")] = "flat",
    background: Annotated[Path | None, typer.Option(help="Folder of real images that serve as cells.")] = None,
    quadruplets: Annotated[int, typer.Option(min=1, max=96, help="Conditions on each plate.")] = 96,
) -> None:
    """Write plates as a microscope would, with the truth beside them."""
    from plate_assets.plates.simulate import SimulationSettings, hours_of, simulate_plates

    with mendable():
        hours = tuple(hours_of(text) for text in timepoints.split(","))
        simulation = SimulationSettings(
            plates=plates, timepoints_h=hours, seed=seed, layout=layout, background=background, quadruplets=quadruplets
        )
        simulate_plates(out, simulation, progress=progress("images"))
    typer.echo(f"{plates} plates at {len(hours)} time points in {out}, truth in {out / 'truth'}")


@app.command(rich_help_panel=PANEL)
def exclude(
    plate: str,
    well: Annotated[str | None, typer.Argument(help="Well, for example B07; without it the whole plate.")] = None,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    back: Annotated[bool, typer.Option("--back", help="Put it back in.")] = False,
    author: Author = "",
) -> None:
    """Take a well or a plate out of training and calls, or put it back in. The next night calls the plate again."""
    import polars as pl

    from plate_assets.orchestration.resources import storage_of
    from plate_assets.plates.layout import Well
    from plate_assets.plates.tables import EXCLUSIONS
    from plate_assets.settings import Settings
    from plate_assets.storage.ledger import append_rows

    with mendable():
        if not reason and not back:
            raise ValueError("say why with --reason: whoever reads the report tomorrow will ask")
        row = {
            "Metadata_Plate": plate,
            "Metadata_Well": Well.parse(well).name if well else None,
            "excluded": not back,
            "reason": reason,
            "author": author or me(),
            "decided_at": datetime.now(UTC),
        }
        append_rows(storage_of(Settings()).exclusions, EXCLUSIONS.conform(pl.DataFrame([row])), EXCLUSIONS)
    typer.echo(f"{plate} {well or '(all wells)'} {'back in' if back else 'excluded'} by {author or me()}")
