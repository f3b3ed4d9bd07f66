"""Writes deploy/TABLES.md, the columns of every table, from the schemas themselves (`make docs`).

Belongs here: how the schemas become a page. Not here: what a column means (the schema beside the science that fills the table).
"""

import importlib
from pathlib import Path

import plate_assets
from plate_assets.storage.schema import TableSchema

PAGE = Path(__file__).with_name("TABLES.md")
HEAD = """# The tables, column by column

Written from the schemas in the code by `make docs`; a test compares the two. Every table is Parquet, checked against its
schema when it is written and when it is read. The key columns are those of pycytominer and the Cell Painting Gallery, so that
the tables join with theirs; a plate's name is always text.
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


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"{PAGE}: {len(schemas())} tables")
