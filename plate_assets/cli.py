"""The `plate-assets` command: each sub-command reads its arguments, calls one workflow, and says what came of it.

Belongs here: arguments, their checks and what is printed. Not here: any logic of the jobs (`workflows`). Errors that a person
can mend end with one line and exit code 2, never with a traceback.
"""

import contextlib
import getpass
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from plate_assets import __version__

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Plates from the microscope's folder to a call.",
)

Author = Annotated[str, typer.Option(help="Who decides; recorded with the time.")]
ModelOption = Annotated[
    str | None, typer.Option(help="models:/NAME/3, models:/NAME@champion, or a folder with a model bundle.")
]

TimepointOption = Annotated[str | None, typer.Option("--timepoint", help="Which visit, where the folder holds several.")]


def _me() -> str:
    return os.environ.get("PLATE_ASSETS_AUTHOR") or getpass.getuser()


@contextlib.contextmanager
def _mendable() -> Iterator[None]:
    """Errors that name the remedy are for a person: one line instead of a traceback. Others are bugs and stay loud."""
    try:
        yield
    except (ValueError, FileNotFoundError, NotADirectoryError, PermissionError) as error:
        typer.secho(f"plate-assets: {error}", fg="red", err=True)
        raise typer.Exit(2) from None


def _progress(name: str):
    """A progress line on standard error that rewrites itself, or one line at each tenth where no person watches."""
    shown = [-1]

    def report(done: int, total: int) -> None:
        tenth = 10 * done // max(total, 1)
        if sys.stderr.isatty():
            typer.echo(f"\r{name}: {done} of {total}", nl=done >= total, err=True)
        elif tenth > shown[0]:
            shown[0] = tenth
            typer.echo(f"{name}: {done} of {total}", err=True)

    return report


@app.callback(invoke_without_command=True)
def main_options(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Plates from the microscope's folder to a call on each condition."""
    if version:
        typer.echo(__version__)
        raise typer.Exit()


@app.command()
def inspect(
    folder: Path, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False, timepoint: TimepointOption = None
) -> None:
    """Print what a folder holds: layout, plate, wells, sites, channels, planes, time point, complete or what is missing."""
    from plate_assets.orchestration.settings_use import read_options
    from plate_assets.settings import Settings
    from plate_assets.workflows.inspect import inspect_folder, inspection_text

    with _mendable():
        found = inspect_folder(folder, replace(read_options(Settings()), timepoint=timepoint))
        typer.echo(json.dumps(found, indent=2) if as_json else inspection_text(found))


@app.command()
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
    from plate_assets.orchestration.io_managers import SCHEMAS
    from plate_assets.orchestration.resources import storage_of
    from plate_assets.orchestration.settings_use import read_options
    from plate_assets.settings import Settings
    from plate_assets.workflows.export import Stored, export_plate

    settings = Settings()
    storage = storage_of(settings)
    with _mendable():
        done = export_plate(
            folder, out, Stored(SCHEMAS, storage.table, storage.stack), csv=csv, options=read_options(settings),
            timepoint=timepoint, platemaps=str(platemaps) if platemaps else settings.platemaps_root, overwrite=overwrite,
            progress=_progress("images"),
        )  # fmt: skip
    typer.echo(done.summary())


@app.command()
def score(
    folder: Path,
    out: Annotated[Path, typer.Option(help="Folder for report.html, heatmap.png, tiles.csv, wells.csv, quadruplets.csv.")],
    model: ModelOption = None,
    reference: Annotated[
        list[Path] | None, typer.Option(help="Folder of a known clean plate, scored first; may be repeated.")
    ] = None,
    platemaps: Annotated[Path | None, typer.Option(help="Folder of plate maps.")] = None,
    timepoint: TimepointOption = None,
) -> None:
    """Score one folder without Dagster, with the same numbers as the platform."""
    import tempfile

    from plate_assets.learning.arithmetic import prepare_arithmetic
    from plate_assets.orchestration.resources import registry_of
    from plate_assets.orchestration.settings_use import call_settings, read_options, view_of
    from plate_assets.settings import Settings
    from plate_assets.workflows.report import write_report
    from plate_assets.workflows.score import score_folder

    settings = Settings()
    with _mendable(), tempfile.TemporaryDirectory(prefix="plate-assets-") as work:
        prepare_arithmetic(settings.threads)
        registry = registry_of(settings)
        place = registry.resolve(model or settings.model)
        version, bundle = registry.version_of(place), registry.load(place)
        plate = score_folder(
            str(folder), Path(work), bundle, version, options=replace(read_options(settings), timepoint=timepoint),
            platemaps=str(platemaps) if platemaps else settings.platemaps_root, view=view_of(settings),
            references=[str(each) for each in reference or ()], calling=call_settings(settings), progress=_progress,
        )  # fmt: skip
        write_report(plate, bundle, out, links={})
    called = int(plate.quadruplets["call"].sum() or 0)
    uncalled = plate.quadruplets["call"].null_count()
    typer.echo(f"{plate.acquisition.acquisition_id}: {called} of {plate.quadruplets.height} conditions called precipitated")
    if uncalled:
        reasons = plate.quadruplets.filter(plate.quadruplets["call"].is_null())["reasons"].unique().sort()
        typer.echo(f"{uncalled} not called: " + " | ".join(reasons))
    typer.echo(f"report: {out / 'report.html'}")


@app.command()
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

    with _mendable():
        hours = tuple(hours_of(text) for text in timepoints.split(","))
        simulation = SimulationSettings(
            plates=plates, timepoints_h=hours, seed=seed, layout=layout, background=background, quadruplets=quadruplets
        )
        simulate_plates(out, simulation, progress=_progress("images"))
    typer.echo(f"{plates} plates at {len(hours)} time points in {out}, truth in {out / 'truth'}")


@app.command()
def label(
    names: Annotated[list[str] | None, typer.Argument(help="CLUSTER=NAME, for example 1=normal 2=chemical -1=other.")] = None,
    from_truth: Annotated[
        Path | None, typer.Option(help="Name each cluster by the majority of a truth table of tiles.")
    ] = None,
    author: Author = "",
) -> None:
    """Name the clusters of the training sample; without names: list them, with the place of their contact sheets."""
    from plate_assets.orchestration.people import tell_dagster
    from plate_assets.orchestration.resources import storage_of
    from plate_assets.settings import Settings
    from plate_assets.workflows.labelling import cluster_overview, name_clusters, names_from_truth

    storage = storage_of(Settings())
    with _mendable():
        clusters, sample = storage.table("patch_clusters"), storage.stack("training_sample")
        given = dict(_cluster_name(text) for text in names or [])
        if from_truth:
            given = names_from_truth(clusters, from_truth)
        if given:
            version = name_clusters(clusters, storage.cluster_labels, given, author or _me())
            tell_dagster("cluster_labels", version, {"author": author or _me(), "clusters named": len(given)})
        typer.echo(cluster_overview(clusters, sample, storage.cluster_labels, storage.contact_sheets))


def _cluster_name(text: str) -> tuple[int, str]:
    number, _, name = text.partition("=")
    if not name or not number.lstrip("-").isdigit():
        raise ValueError(f"{text!r} names no cluster: write it as 2=chemical")
    return int(number), name


@app.command("expert-labels")
def expert_labels(table: Path, author: Author = "") -> None:
    """Take in an expert's labels, a CSV with Metadata_Plate, Metadata_Timepoint, Metadata_Quadruplet, precipitated."""
    from plate_assets.orchestration.people import tell_dagster
    from plate_assets.orchestration.resources import storage_of
    from plate_assets.settings import Settings
    from plate_assets.workflows.labelling import take_in_expert_labels

    with _mendable():
        rows, version = take_in_expert_labels(table, storage_of(Settings()).expert_labels, author or _me())
        tell_dagster("expert_labels", version, {"author": author or _me(), "conditions": rows})
    typer.echo(f"{rows} conditions labelled by {author or _me()}")


@app.command()
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

    with _mendable():
        if not reason and not back:
            raise ValueError("say why with --reason: whoever reads the report tomorrow will ask")
        row = {
            "Metadata_Plate": plate,
            "Metadata_Well": Well.parse(well).name if well else None,
            "excluded": not back,
            "reason": reason,
            "author": author or _me(),
            "decided_at": datetime.now(UTC),
        }
        append_rows(storage_of(Settings()).exclusions, EXCLUSIONS.conform(pl.DataFrame([row])), EXCLUSIONS)
    typer.echo(f"{plate} {well or '(all wells)'} {'back in' if back else 'excluded'} by {author or _me()}")


@app.command()
def promote(
    version: Annotated[str | None, typer.Argument(help="Version of the detector; without it the challenger.")] = None,
    rollback: Annotated[bool, typer.Option("--rollback", help="Return to the champion before.")] = False,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    author: Author = "",
) -> None:
    """Move the alias `champion`; the platform then scores again what another version scored."""
    from plate_assets.orchestration.people import tell_dagster
    from plate_assets.orchestration.resources import registry_of
    from plate_assets.settings import Settings

    with _mendable():
        registry = registry_of(Settings())
        who = author or _me()
        chosen = (
            registry.rollback(who, reason)
            if rollback
            else registry.promote(version or registry.require_challenger(), who, reason)
        )
        tell_dagster("champion", chosen, {"author": who, "reason": reason, "version": chosen})
    typer.echo(f"champion: {chosen}")


@app.command("train-detector")
def train_detector(
    folder: Path,
    out: Annotated[Path, typer.Option(help="Folder for the model bundle.")],
    backbone: Annotated[
        str, typer.Option(help="cnn27, vgg16, resnet101, inceptionv3, inceptionresnetv2 or xception.")
    ] = "cnn27",
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    seconds: Annotated[float | None, typer.Option(min=1, help="Time budget of the training.")] = None,
    seed: int = 0,
) -> None:
    """Train a detector from a folder with normal/ and anomalous/ pictures, split by picture."""
    from plate_assets.learning.arithmetic import prepare_arithmetic
    from plate_assets.settings import Settings
    from plate_assets.workflows.tile_folders import train_from_folder

    settings = Settings()
    with _mendable():
        prepare_arithmetic(settings.threads)
        result = train_from_folder(
            folder, out, backbone=backbone, epochs=epochs, seconds=seconds, seed=seed, weights=settings.weights or None,
            progress=_progress("epochs"),
        )  # fmt: skip
    typer.echo(result.summary())


@app.command("score-tiles")
def score_tiles(folder: Path, model: Annotated[str, typer.Option(help="Model bundle or models:/…")], out: Path) -> None:
    """Score a folder of pictures with a model: a CSV with path and score."""
    from plate_assets.learning.arithmetic import prepare_arithmetic
    from plate_assets.orchestration.resources import registry_of
    from plate_assets.settings import Settings
    from plate_assets.workflows.tile_folders import score_folder_of_tiles

    settings = Settings()
    with _mendable():
        prepare_arithmetic(settings.threads)
        registry = registry_of(settings)
        table = score_folder_of_tiles(folder, registry.load(registry.resolve(model)), progress=_progress("pictures"))
        table.write_csv(out)
    typer.echo(f"{table.height} pictures scored: {out}")


@app.command()
def doctor() -> None:
    """Check this installation and say what to mend."""
    from plate_assets.orchestration.doctor import examine
    from plate_assets.settings import Settings

    findings = examine(Settings())
    for finding in findings:
        typer.secho(f"{'ok  ' if finding.ok else 'MEND'} {finding.what}: {finding.said}", fg=None if finding.ok else "red")
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


@app.command()
def demo(
    quadruplets: Annotated[int, typer.Option(min=4, max=96, help="Conditions on each plate.")] = 12,
    seed: int = 0,
    background: Annotated[Path | None, typer.Option(help="Folder of real images that serve as cells.")] = None,
) -> None:
    """From nothing to a scored plate: simulate, run the nightly job through Dagster, train, label, promote, score, report."""
    from plate_assets.definitions import build_definitions
    from plate_assets.orchestration.demo import run_demo
    from plate_assets.settings import Settings

    with _mendable():
        settings = Settings()
        run_demo(build_definitions(settings), settings, quadruplets, seed, background, say=typer.echo)


def main() -> None:
    """Entry point of the console script."""
    app()
