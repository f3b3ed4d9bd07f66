"""Python files as syntax trees, for the tests that read the code itself."""

import ast
import functools
from pathlib import Path


@functools.cache
def syntax(path: Path) -> ast.Module:
    """The tree of a file. Before 3.11.8 CPython's parser counts all threads' depth together (gh-106905): try again."""
    for _ in range(20):
        try:
            return ast.parse(path.read_text(), str(path))
        except SystemError:
            continue
    return ast.parse(path.read_text(), str(path))
