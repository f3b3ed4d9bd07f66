"""What every sub-command of `plate-assets` shares: the app itself, who decides, progress, and how errors end.

Belongs here: arguments that several commands have, and what is printed the same way. Not here: any command.
"""

import contextlib
import functools
import getpass
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Annotated, Any, get_origin

import typer

from plate_assets import __version__
from plate_assets.cli.console import bar
from plate_assets.learning.parameters import Parameter, parameters_of
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


def options_of(recipe: Any, *names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command options for some parameters of a training's configuration; it gets the whole one as `config`.

    recipe: the configuration whose values hold where an option is not given. A tuple is written with commas.
    """
    parameters = [parameter for parameter in parameters_of(type(recipe)) if parameter.name in names]

    def with_options(command: Callable[..., None]) -> Callable[..., None]:
        own = [one for one in inspect.signature(command).parameters.values() if one.name != "config"]
        options = [_option(parameter, getattr(recipe, parameter.name)) for parameter in parameters]

        @functools.wraps(command)
        def run(**given: Any) -> None:
            chosen = {parameter.name: _as_configured(parameter, given.pop(parameter.name)) for parameter in parameters}
            command(**given, config=replace(recipe, **chosen))

        run.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in [*own, *options]}
        return run

    return with_options


def _option(parameter: Parameter, default: Any) -> inspect.Parameter:
    several = get_origin(parameter.type) is tuple
    flag = (f"--{parameter.name.replace('_', '-')}",) if parameter.type is bool else ()
    option = typer.Option(*flag, help=parameter.meaning + ("; separated by commas" if several else ""))
    return inspect.Parameter(
        parameter.name, inspect.Parameter.KEYWORD_ONLY, default=",".join(default) if several else default,
        annotation=Annotated[str if several else parameter.type, option],
    )  # fmt: skip


def _as_configured(parameter: Parameter, given: Any) -> Any:
    return tuple(given.split(",")) if get_origin(parameter.type) is tuple else given


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
