"""Commands about the installation as a whole: is it sound, and what does a whole night look like."""

from pathlib import Path
from typing import Annotated

import typer

from plate_assets.cli.console import console_beside
from plate_assets.cli.shell import app, mendable

PANEL = "The installation"


@app.command(rich_help_panel=PANEL)
def doctor() -> None:
    """Check this installation and say what to mend."""
    from plate_assets.orchestration.doctor import examine
    from plate_assets.settings import Settings

    findings = examine(Settings())
    for finding in findings:
        typer.secho(f"{'ok  ' if finding.ok else 'MEND'} {finding.what}: {finding.said}", fg=None if finding.ok else "red")
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


@app.command(rich_help_panel=PANEL)
def demo(
    quadruplets: Annotated[int, typer.Option(min=4, max=96, help="Conditions on each plate.")] = 12,
    seed: int = 0,
    background: Annotated[Path | None, typer.Option(help="Folder of real images that serve as cells.")] = None,
) -> None:
    """From nothing to a scored plate: simulate, run the nightly job through Dagster, train, label, promote, score, report."""
    from plate_assets.learning.arithmetic import share_one_heap
    from plate_assets.orchestration.demo import prepare_home, run_demo
    from plate_assets.settings import Settings

    share_one_heap()
    with mendable():
        settings = Settings()
        prepare_home(settings)
    log = settings.home.resolve() / "demo.log"
    typer.echo(f"all that happens is logged in {log}")
    with console_beside(log) as console:
        from plate_assets.definitions import build_definitions  # its warnings are for the log, too

        run_demo(
            build_definitions(settings), settings, quadruplets, seed, background, say=console.say, progress=console.progress
        )
