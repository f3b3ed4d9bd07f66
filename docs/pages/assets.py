"""ASSETS.md: every asset, check, job, sensor and schedule, from the definitions that Dagster loads."""

from typing import Any

import dagster as dg

from docs.pages.markdown import table
from plate_assets.definitions import build_definitions
from plate_assets.orchestration.sciences import table_schemas
from plate_assets.settings import Settings

HEAD = """# The assets

Written from the definitions by `make docs`; the Dagster UI shows the same, with the lineage as a graph. An asset with a
schema links to the columns of its [table](TABLES.md).
"""
DECIDED = "decided by people"


def _named(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _partitions(partitions: dg.PartitionsDefinition | None) -> str:
    if isinstance(partitions, dg.DynamicPartitionsDefinition):
        return f"`{partitions.name}`"
    return "" if partitions is None else ", ".join(partitions.get_partition_keys())


def _asset(node: Any) -> list[str]:
    name = node.key.to_user_string()
    schema = table_schemas().get(name)
    shown = f"[`{name}`](TABLES.md#{schema.name})" if schema else f"`{name}`"
    parents = [key.to_user_string() for key in node.parent_keys]
    return [shown, node.description or "", _named(parents), _partitions(node.partitions_def)]


def _described(definitions: Any) -> str:
    rows = [[f"`{each.name}`", each.description or ""] for each in definitions or ()]
    return table(["name", "what it does"], sorted(rows))


def page() -> str:
    """The whole page: the assets by group, in the order of the graph, then what starts and what checks them."""
    definitions = build_definitions(Settings())
    graph = definitions.get_repository_def().asset_graph
    groups: dict[str, list[list[str]]] = {}
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        groups.setdefault(node.group_name if node.is_materializable else DECIDED, []).append(_asset(node))
    parts = [HEAD]
    for name in sorted(groups):
        parts.append(f"## {name}\n\n{table(['asset', 'what it is', 'made from', 'partitions'], groups[name])}\n")
    checks = [
        [f"`{key.asset_key.to_user_string()}`", f"`{key.name}`", graph.get(key).description or ""]
        for key in sorted(graph.asset_check_keys)
    ]
    parts.append(f"## Checks\n\n{table(['asset', 'check', 'what must hold'], checks)}\n")
    for title, found in (("Jobs", definitions.jobs), ("Sensors", definitions.sensors), ("Schedules", definitions.schedules)):
        parts.append(f"## {title}\n\n{_described(found)}\n")
    return "\n".join(parts)
