"""The command about drift: do new vectors come from where the reference's do."""

import json
from pathlib import Path
from typing import Annotated

import typer

from plate_assets.cli.shell import app, mendable


@app.command(rich_help_panel="Drift")
def drift(
    reference: Annotated[Path, typer.Argument(help="Parquet with vectors of known good images.")],
    new: Annotated[Path, typer.Argument(help="Parquet with the vectors to test.")],
    engine: Annotated[str, typer.Option(help="native, or alibi (the extra `alibi`, under its own licence).")] = "native",
    null: Annotated[
        str | None, typer.Option(help="leave_one_plate_out, log_normal or permutation; default: what the files allow.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Rate of false alarms.")] = 0.05,
    permutations: Annotated[int, typer.Option(min=19, help="Where the null is permutation.")] = 999,
    column: Annotated[str | None, typer.Option(help="Column of vectors, where there are several.")] = None,
    seed: int = 0,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Test two files of vectors for drift; exit code 1 where there is drift, 3 where it cannot be told."""
    from plate_assets.workflows.drift.vector_files import compare_files

    with mendable():
        found = compare_files(
            reference, new, engine=engine, null=null, alpha=alpha, permutations=permutations, column=column, seed=seed
        )
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        typer.echo(f"{found['decision']}: unit {found['unit']}, engine {found['engine']}")
        for test in found["tests"]:
            typer.echo("  " + ", ".join(f"{name} {_shown(value)}" for name, value in test.items() if value not in (None, "")))
    raise typer.Exit({"drift": 1, "cannot tell": 3}.get(found["decision"], 0))


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
