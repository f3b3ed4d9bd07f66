"""The command about models of any science: which version is in force."""

from typing import Annotated

import typer

from plate_assets.cli.shell import Author, app, me, mendable

PANEL = "Models"


@app.command(rich_help_panel=PANEL)
def promote(
    version: Annotated[str | None, typer.Argument(help="Version of the model; without it the challenger.")] = None,
    rollback: Annotated[bool, typer.Option("--rollback", help="Return to the champion before.")] = False,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    kind: Annotated[str, typer.Option(help="Whose model: precipitation, dry_mass.")] = "precipitation",
    author: Author = "",
) -> None:
    """Move the alias `champion`; the platform then scores again what another version scored."""
    from plate_assets.orchestration.decision_events import tell_dagster
    from plate_assets.orchestration.resources import registries_of
    from plate_assets.orchestration.sciences import model_kinds
    from plate_assets.settings import Settings

    with mendable():
        kinds = model_kinds()
        if kind not in kinds:
            raise ValueError(f"--kind {kind}: it is one of {', '.join(kinds)}")
        registry = registries_of(Settings()).of(kinds[kind])
        who = author or me()
        chosen = (
            registry.rollback(who, reason)
            if rollback
            else registry.promote(version or registry.require_challenger(), who, reason)
        )
        tell_dagster(kinds[kind].champion_asset, chosen, {"author": who, "reason": reason, "version": chosen})
    typer.echo(f"champion: {chosen}")
