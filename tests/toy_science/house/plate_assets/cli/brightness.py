"""The command about brightness."""

from pathlib import Path

import typer

from plate_assets.cli.shell import app, mendable


@app.command(rich_help_panel="Brightness")
def brightness(folder: Path) -> None:
    """How bright the images of a folder are."""
    from plate_assets.plates.images import map_images
    from plate_assets.workflows.intake.ingest import ingest

    with mendable():
        acquisition = ingest(folder).acquisition
    values = [float(value) for _, value in map_images(acquisition, acquisition.images, lambda image: image.mean() / 255)]
    typer.echo(f"{acquisition.acquisition_id}: {sum(values) / len(values):.3f} of full scale")
