"""Metadata: how counts, pictures and links reach a person in the Dagster UI.

Belongs here: the forms in which metadata is shown. Not here: the pictures themselves (`figures` of each science).
"""

import base64
import io
import re

import dagster as dg
import polars as pl

from plate_assets.progress import Progress
from plate_assets.storage.schema import TableSchema

MAX_PICTURE_BYTES = 400_000  # a materialisation is a row in Dagster's database: a picture there must stay small


def picture(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """A PNG shown in the UI; one that is too large to live in Dagster's database is shown as a JPEG, smaller if need be."""
    kind, shown = ("png", png) if len(png) <= MAX_PICTURE_BYTES else ("jpeg", _as_small_jpeg(png))
    return dg.MetadataValue.md(f"![{title}](data:image/{kind};base64,{base64.b64encode(shown).decode()})")


def _as_small_jpeg(png: bytes) -> bytes:
    from PIL import Image

    image = Image.open(io.BytesIO(png)).convert("RGB")
    while True:
        out = io.BytesIO()
        image.save(out, "JPEG", quality=85)
        if out.tell() <= MAX_PICTURE_BYTES:
            return out.getvalue()
        image = image.resize((image.width * 3 // 4, image.height * 3 // 4), Image.Resampling.BOX)


def column_schema(schema: TableSchema) -> dg.TableSchema:
    """The schema as the UI's columns tab shows it."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                c.name, str(c.dtype), description=c.meaning, constraints=dg.TableColumnConstraints(nullable=c.nullable)
            )
            for c in schema.columns
        ]
    )


def described(schema: TableSchema) -> dict[str, dg.TableSchema]:
    """Definition metadata of an asset that fills a table of this schema."""
    return {"dagster/column_schema": column_schema(schema)}


def reasons_list(flagged: pl.DataFrame, at_most: int = 20) -> str:
    """The flagged wells with their reasons as Markdown, the first of them only."""
    if not flagged.height:
        return "none"
    lines = [f"- **{row['Metadata_Well']}**: {row['reasons']}" for row in flagged.head(at_most).iter_rows(named=True)]
    more = [f"- and {flagged.height - at_most} more"] if flagged.height > at_most else []
    return "\n".join(lines + more)


def table_shown(table: pl.DataFrame, at_most: int = 30) -> dg.MarkdownMetadataValue:
    """The first rows of a table as a table in the UI."""
    lines = [f"| {' | '.join(table.columns)} |", "|" + "---|" * table.width]
    for row in table.head(at_most).iter_rows():
        lines.append("| " + " | ".join(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row) + " |")
    return dg.MetadataValue.md("\n".join(lines))


def missing_list(missing: list[str], at_most: int = 50) -> dict[str, dg.MetadataValue]:
    """The missing images, the first of them only; nothing where none is."""
    more = [f"- and {len(missing) - at_most} more"] if len(missing) > at_most else []
    lines = [f"- {text}" for text in missing[:at_most]] + more
    return {"missing": dg.MetadataValue.md("\n".join(lines))} if missing else {}


def logged_progress(context: dg.AssetExecutionContext, what: str, every: float = 0.1) -> Progress:
    """A progress callback that writes each tenth of the way into the run's log."""
    logged_at = [0.0]

    def progress(done: int, total: int) -> None:
        share = done / max(total, 1)
        if share - logged_at[0] >= every or done == total:
            logged_at[0] = share
            context.log.info(f"{done} of {total} {what}")

    return progress


def progress_in(message: str) -> tuple[int, int, str] | None:
    """What `logged_progress` wrote: how much is done, of how much, of what. None of another message."""
    found = re.fullmatch(r"(\d+) of (\d+) (.+)", message)
    return found and (int(found[1]), int(found[2]), found[3])
