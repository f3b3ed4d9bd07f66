"""What every sub-command of `plate-assets` shares: the app itself, who decides, progress, and how errors end.

Belongs here: arguments that several commands have, and what is printed the same way. Not here: any command.
"""

import contextlib
import getpass
import os
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from plate_assets import __version__
from plate_assets.cli.console import bar
from plate_assets.progress import Progress

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


def me() -> str:
    """Who decides where `--author` does not say."""
    return os.environ.get("PLATE_ASSETS_AUTHOR") or getpass.getuser()


@contextlib.contextmanager
def mendable() -> Iterator[None]:
    """Errors that name the remedy are for a person: one line instead of a traceback. Others are bugs and stay loud."""
    try:
        yield
    except (ValueError, FileNotFoundError, NotADirectoryError, PermissionError) as error:
        typer.secho(f"plate-assets: {error}", fg="red", err=True)
        raise typer.Exit(2) from None


def progress(name: str) -> Progress:
    """A bar on standard error that rewrites itself, or one line at each tenth where no person watches."""
    shown = [-1]

    def report(done: int, total: int) -> None:
        tenth = 10 * done // max(total, 1)
        if sys.stderr.isatty():
            typer.echo(f"\r{bar(done, total, name)}", nl=done >= total, err=True)
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
