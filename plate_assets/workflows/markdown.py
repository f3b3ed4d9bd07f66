"""Tables as Markdown, for reviewers in MLflow and in the UI. Nothing else belongs here."""

from collections.abc import Iterable, Sequence


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with heads; a fraction shows four digits, None shows nothing."""
    lines = [heads, ["---"] * len(heads), *([_shown(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
