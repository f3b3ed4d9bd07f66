"""The `plate-assets` command: each sub-command reads its arguments, calls one workflow, and says what came of it.

Belongs here: arguments, their checks and what is printed; a file for each science and one for the floor. Not here: any logic of
the jobs (`workflows`). Errors that a person can mend end with one line and exit code 2, never with a traceback.
"""

from plate_assets.cli import installation, models, plates
from plate_assets.cli.shell import app
from plate_assets.orchestration.sciences import SCIENCES

__all__ = ["app", "installation", "main", "models", "plates"]

for science in SCIENCES:
    science.commands()


def main() -> None:
    """Entry point of the console script."""
    app()
