"""The `plate-assets` command: each sub-command reads its arguments, calls one workflow, and says what came of it.

Belongs here: arguments, their checks and what is printed. Not here: any logic of the jobs (`workflows`). Errors that a person
can mend end with one line and exit code 2, never with a traceback.
"""

from plate_assets.cli import drift, dry_mass, installation, models, plates
from plate_assets.cli.shell import app

__all__ = ["app", "drift", "dry_mass", "installation", "main", "models", "plates"]


def main() -> None:
    """Entry point of the console script."""
    app()
