"""The pages of `docs/` that are written from the code, so that they cannot say anything else: `python -m docs`, `make docs`.

Belongs here: how declarations in the code become Markdown. Not here: what is declared (each module says it), pages that people
write (the other files of `docs/`), pictures (`take_pictures`).
"""

from collections.abc import Callable
from pathlib import Path

from docs.pages import assets, commands, layouts, settings, tables

FOLDER = Path(__file__).parent.parent
PAGES: dict[str, Callable[[], str]] = {
    "ASSETS.md": assets.page,
    "COMMANDS.md": commands.page,
    "LAYOUTS.md": layouts.page,
    "SETTINGS.md": settings.page,
    "TABLES.md": tables.page,
}
