"""Commands about precipitation: score a plate, name clusters, take in experts' labels, a detector of one folder of pictures."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from plate_assets.cli.shell import Author, ModelOption, TimepointOption, app, me, mendable, options_of, progress
from plate_assets.precipitation.model import DETECTOR, FROM_A_FOLDER, DetectorConfig

PANEL = "Precipitation"


@app.command(rich_help_panel=PANEL)
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
    from plate_assets.orchestration.resources import registries_of
    from plate_assets.orchestration.workflow_options import call_settings, read_options, view_of
    from plate_assets.settings import Settings
    from plate_assets.workflows.precipitation.report import write_report
    from plate_assets.workflows.precipitation.score import score_folder

    settings = Settings()
    with mendable(), tempfile.TemporaryDirectory(prefix="plate-assets-") as work:
        prepare_arithmetic(settings.threads)
        registry = registries_of(settings).of(DETECTOR)
        place = registry.resolve(model or settings.model_of(DETECTOR))
        version, bundle = registry.version_of(place), registry.load(place)
        plate = score_folder(
            str(folder), Path(work), bundle, version, options=replace(read_options(settings), timepoint=timepoint),
            platemaps=str(platemaps) if platemaps else settings.platemaps_root, view=view_of(settings),
            references=[str(each) for each in reference or ()], calling=call_settings(settings), progress=progress,
        )  # fmt: skip
        write_report(plate, bundle, out, links={})
    called = int(plate.quadruplets["call"].sum() or 0)
    uncalled = plate.quadruplets["call"].null_count()
    typer.echo(f"{plate.acquisition.acquisition_id}: {called} of {plate.quadruplets.height} conditions called precipitated")
    if uncalled:
        reasons = plate.quadruplets.filter(plate.quadruplets["call"].is_null())["reasons"].unique().sort()
        typer.echo(f"{uncalled} not called: " + " | ".join(reasons))
    typer.echo(f"report: {out / 'report.html'}")


@app.command(rich_help_panel=PANEL)
def label(
    names: Annotated[list[str] | None, typer.Argument(help="CLUSTER=NAME, for example 1=normal 2=chemical -1=other.")] = None,
    from_truth: Annotated[
        Path | None, typer.Option(help="Name each cluster by the majority of a truth table of tiles.")
    ] = None,
    author: Author = "",
) -> None:
    """Name the clusters of the training sample; without names: list them, with the place of their contact sheets."""
    from plate_assets.orchestration.decision_events import tell_dagster
    from plate_assets.orchestration.resources import storage_of
    from plate_assets.settings import Settings
    from plate_assets.workflows.precipitation.labelling import cluster_overview, name_clusters, names_from_truth

    storage = storage_of(Settings())
    with mendable():
        clusters, sample = storage.table("patch_clusters"), storage.stack("training_sample")
        given = dict(_cluster_name(text) for text in names or [])
        if from_truth:
            given = names_from_truth(clusters, from_truth)
        if given:
            version = name_clusters(clusters, storage.cluster_labels, given, author or me())
            tell_dagster("cluster_labels", version, {"author": author or me(), "clusters named": len(given)})
        typer.echo(cluster_overview(clusters, sample, storage.cluster_labels, storage.contact_sheets))


def _cluster_name(text: str) -> tuple[int, str]:
    number, _, name = text.partition("=")
    if not name or not number.lstrip("-").isdigit():
        raise ValueError(f"{text!r} names no cluster: write it as 2=chemical")
    return int(number), name


@app.command("expert-labels", rich_help_panel=PANEL)
def expert_labels(table: Path, author: Author = "") -> None:
    """Take in an expert's labels, a CSV with Metadata_Plate, Metadata_Timepoint, Metadata_Quadruplet, precipitated."""
    from plate_assets.orchestration.decision_events import tell_dagster
    from plate_assets.orchestration.resources import storage_of
    from plate_assets.settings import Settings
    from plate_assets.workflows.precipitation.labelling import take_in_expert_labels

    with mendable():
        rows, version = take_in_expert_labels(table, storage_of(Settings()).expert_labels, author or me())
        tell_dagster("expert_labels", version, {"author": author or me(), "conditions": rows})
    typer.echo(f"{rows} conditions labelled by {author or me()}")


@app.command("train-detector", rich_help_panel=PANEL)
@options_of(FROM_A_FOLDER, "backbone", "epochs", "seconds", "seed")
def train_detector(
    folder: Path, out: Annotated[Path, typer.Option(help="Folder for the model bundle.")], config: DetectorConfig
) -> None:
    """Train a detector from a folder with normal/ and anomalous/ pictures, split by picture."""
    from plate_assets.learning.arithmetic import prepare_arithmetic
    from plate_assets.settings import Settings
    from plate_assets.workflows.precipitation.tile_folders import train_from_folder

    settings = Settings()
    with mendable():
        prepare_arithmetic(settings.threads)
        result = train_from_folder(folder, out, config, weights=settings.weights or None, progress=progress("epochs"))
    typer.echo(result.summary())


@app.command("score-tiles", rich_help_panel=PANEL)
def score_tiles(folder: Path, model: Annotated[str, typer.Option(help="Model bundle or models:/…")], out: Path) -> None:
    """Score a folder of pictures with a model: a CSV with path and score."""
    from plate_assets.learning.arithmetic import prepare_arithmetic
    from plate_assets.orchestration.resources import registries_of
    from plate_assets.settings import Settings
    from plate_assets.workflows.precipitation.tile_folders import score_folder_of_tiles

    settings = Settings()
    with mendable():
        prepare_arithmetic(settings.threads)
        registry = registries_of(settings).of(DETECTOR)
        table = score_folder_of_tiles(folder, registry.load(registry.resolve(model)), progress=progress("pictures"))
        table.write_csv(out)
    typer.echo(f"{table.height} pictures scored: {out}")
