"""TABLES.md: the columns of every table, from the schemas beside the sciences that fill them."""

import importlib
from pathlib import Path

import plate_assets
from plate_assets.storage.schema import TableSchema

HEAD = """# The tables, column by column

Written from the schemas in the code by `make docs`. Every table is Parquet, checked against its schema when it is written and
when it is read. The key columns are those of pycytominer and the Cell Painting Gallery, so that the tables join with theirs; a
plate's name is always text.
"""


def schemas() -> list[TableSchema]:
    """Every schema that a module of the package declares, in the order of the modules and of the lines in them."""
    package = Path(plate_assets.__file__).parent
    found: dict[str, TableSchema] = {}
    for path in sorted(package.rglob("*.py")):
        if "= TableSchema(" in path.read_text():
            module = importlib.import_module(".".join(path.relative_to(package.parent).with_suffix("").parts))
            found |= {value.name: value for value in vars(module).values() if isinstance(value, TableSchema)}
    return list(found.values())


def page() -> str:
    """The whole page: each table's columns with type and meaning, and its key."""
    parts = [HEAD]
    for schema in schemas():
        key = f"\n\nA row is identified by {', '.join(f'`{name}`' for name in schema.key)}." if schema.key else ""
        parts.append(f"## {schema.name}\n\n{schema.markdown()}{key}\n")
    return "\n".join(parts)
