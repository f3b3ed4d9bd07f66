"""The floors of the house: who may import whom. Read from the source itself, so that a lazy import counts as well.

Belongs here: rules about imports and about the shape of modules. Not here: what importing costs (`test_import_budget`), what is
written inside of functions (`test_doors`).
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.syntax import syntax

ROOT = Path(__file__).parent.parent
PACKAGE = "plate_assets"
SCIENCES = {"precipitation", "dry_mass", "drift", "artifacts", "staining"}
HEAVY = {"torch", "mlflow", "sklearn", "skimage", "scipy", "pandas", "matplotlib", "zarr", "alibi_detect", "pandera"}

# Room -> the rooms it may know, at any level, beside itself and what is everybody's.
FLOORS = {
    "definitions": {"orchestration", "workflows", "learning", "pages", "plates", "storage", "settings"} | SCIENCES,
    "cli": {"definitions", "orchestration", "workflows", "learning", "pages", "plates", "storage", "settings"} | SCIENCES,
    "orchestration": {"workflows", "learning", "pages", "plates", "storage", "settings"} | SCIENCES,
    "workflows": {"learning", "pages", "plates", "storage"} | SCIENCES,
    **{science: {"learning", "pages", "plates"} for science in SCIENCES},
    "learning": set(),
    "pages": set(),
    "plates": {"pages"},  # the canvas of its figures
    "storage": set(),
    "settings": {"plates"},  # which plate formats there are
    "progress": set(),
}
EVERYBODYS = {  # what a table, a fingerprint and a kind of model are, and how work tells how far it is
    "plate_assets.progress", *(f"{PACKAGE}.storage.{name}" for name in ("schema", "fingerprint", "model_kind")),
}  # fmt: skip

# The platform is made of chains, and hands itself to their assets while they run: a chain names its type, and runs none of it.
HANDED_IN = {("plate_assets.orchestration.chains", "plate_assets.orchestration.platform")}

# What loads with the definitions, or at each call of the command; `*` stands for everything below.
LIGHT = (
    "definitions", "cli.*", "settings", "progress", "orchestration.*", "workflows.*", "storage.*", "*.tables", "*.model",
    "learning.catalogue", "plates.layout", "plates.acquisition", "plates.acquisition_table", "plates.listing",
    "plates.platemap", "plates.readers.*", "plates.timelapses.folder", "plates.timelapses.arrivals",
)  # fmt: skip


@dataclass(frozen=True)
class Import:
    """One imported module, as it is written: by whom, which, on which line, and whether importing the module runs it."""

    by: str
    target: str
    line: int
    at_module_level: bool

    def __str__(self) -> str:
        return f"{self.by}, line {self.line}: imports {self.target}"


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(module: str) -> ast.Module:
    return syntax(modules()[module])


def room(module: str) -> str:
    """`precipitation` of `plate_assets.precipitation.tiles`; empty for the package itself."""
    return module.split(".")[1] if "." in module else ""


def for_type_checkers_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def nodes(body: list[ast.stmt], at_module_level: bool = True) -> Iterator[tuple[ast.stmt, bool]]:
    """Every statement with whether it runs when the module is imported."""
    for node in body:
        yield node, at_module_level
        deferred = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or for_type_checkers_only(node)
        for inner in ("body", "orelse", "finalbody"):
            below = getattr(node, inner, None) or []
            yield from nodes(below, at_module_level and not (deferred and inner == "body"))
        for part in [*getattr(node, "handlers", []), *getattr(node, "cases", [])]:
            yield from nodes(part.body, at_module_level and not deferred)


def targets(node: ast.stmt, module: str) -> Iterator[str]:
    """The modules that one statement imports: `from a import b` means `a.b` where that is a module of ours, else `a`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, (
            f"{module}, line {node.lineno}: a relative import; write the whole name, so that it can be searched for"
        )
        assert node.module
        whole = {f"{node.module}.{alias.name}" for alias in node.names}
        yield from sorted(whole & modules().keys())
        if not whole <= modules().keys():
            yield node.module


@cache
def imports_of(module: str) -> tuple[Import, ...]:
    return tuple(
        Import(module, target, node.lineno, at_module_level)
        for node, at_module_level in nodes(tree(module).body)
        for target in targets(node, module)
    )


def all_imports() -> Iterator[Import]:
    for module in modules():
        yield from imports_of(module)


def circles(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """The sets of modules in which each imports every other, directly or through others (Tarjan 1972)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found = []

    def visit(module: str) -> None:
        order[module] = lowest[module] = len(order)
        path.append(module)
        for target in sorted(imports[module]):
            if target not in order:
                visit(target)
            if target in path:
                lowest[module] = min(lowest[module], lowest[target])
        if lowest[module] == order[module]:
            circle = path[path.index(module) :]
            del path[-len(circle) :]
            if len(circle) > 1:
                found.append(sorted(circle))

    for module in imports:
        if module not in order:
            visit(module)
    return found


def is_light(module: str) -> bool:
    name = module.removeprefix(f"{PACKAGE}.")
    return any(
        name == pattern
        or (pattern.endswith(".*") and (name == pattern[:-2] or name.startswith(pattern[:-1])))
        or (pattern.startswith("*.") and name.endswith(pattern[1:]))
        for pattern in LIGHT
    )


def loads(module: str) -> dict[str, Import]:
    """What importing the module loads, through our own modules and their packages: module -> the import that does it."""
    seen, waiting, outside = set(), [module], {}
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        waiting.extend(".".join(current.split(".")[:depth]) for depth in range(1, current.count(".") + 1))
        for one in imports_of(current):
            if one.at_module_level and one.target in modules():
                waiting.append(one.target)
            elif one.at_module_level:
                outside.setdefault(one.target.split(".")[0], one)
    return outside


def listed(faults: list) -> str:
    return "\n" + "\n".join(str(fault) for fault in faults)


def test_every_room_is_on_a_floor():
    rooms = {room(module) for module in modules()} - {""}
    assert rooms <= FLOORS.keys(), f"no floor is known for {sorted(rooms - FLOORS.keys())}: say in FLOORS whom it may import"


def test_what_is_imported_from_the_package_is_there():
    """A lazy import that names nothing would fail at night, in the one run that needs it."""
    faults = [one for one in all_imports() if one.target.split(".")[0] == PACKAGE and one.target not in modules()]
    assert not faults, listed(faults)


@pytest.mark.parametrize("name", FLOORS)
def test_a_room_imports_only_from_the_floors_below(name):
    faults = [
        one
        for one in all_imports()
        if room(one.by) == name
        and one.target.split(".")[0] == PACKAGE
        and one.target not in {PACKAGE, *EVERYBODYS}
        and room(one.target) not in FLOORS[name] | {name}
    ]
    assert not faults, listed(faults)


def test_no_imports_go_round_in_circles():
    """Two modules that know each other are one module: what both need moves down into one that neither of them is.

    A lazy import counts, and one for type checkers: each says what a reader has to know to understand the module.
    """
    ours = [one for one in all_imports() if one.target in modules() and (one.by, one.target) not in HANDED_IN]
    known = {module: {one.target for one in ours if one.by == module} - {module} for module in modules()}
    faults = [one for circle in circles(known) for one in ours if {one.by, one.target} <= set(circle)]
    assert not faults, listed(faults)


def test_a_circle_is_found_through_any_number_of_modules():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set(), "f": {"a"}}) == [["a", "b", "c"]]


def test_only_orchestration_is_built_on_dagster():
    """`definitions` hands to Dagster what the orchestration made."""
    knows = {"orchestration", "definitions"}
    faults = [one for one in all_imports() if one.target.split(".")[0].startswith("dagster") and room(one.by) not in knows]
    assert not faults, listed(faults)


def test_only_storage_imports_mlflow():
    faults = [one for one in all_imports() if one.target.split(".")[0] == "mlflow" and room(one.by) != "storage"]
    assert not faults, listed(faults)


@pytest.mark.parametrize("module", [module for module in modules() if is_light(module)])
def test_what_loads_with_the_definitions_loads_nothing_heavy(module):
    heavy = [f"{name} by {one}" for name, one in loads(module).items() if name in HEAVY]
    assert not heavy, f"importing {module} loads{listed(heavy)}\nimport it inside the function that needs it"


def test_the_top_floors_know_of_a_science_only_what_is_data_until_they_run_it():
    """Its tables and its kinds of model, as it declares them."""
    top = {"definitions", "cli.*", "settings", "orchestration", "storage"}
    faults = [
        one
        for one in all_imports()
        if room(one.by) in top
        and one.at_module_level
        and room(one.target) in SCIENCES
        and one.target.rpartition(".")[2] not in {"tables", "model"}
    ]
    assert not faults, listed(faults)


def kinds_of_model() -> Iterator[tuple[str, str]]:
    """Each science's module `model` with the loader that one of its kinds of model names, read from the source."""
    for module in modules():
        if module.endswith(".model"):
            for node in ast.walk(tree(module)):
                if isinstance(node, ast.keyword) and node.arg == "loader" and isinstance(node.value, ast.Constant):
                    yield module, str(node.value.value)


@pytest.mark.parametrize(("module", "loader"), kinds_of_model())
def test_a_kind_of_model_is_loaded_by_a_class_of_its_own_science(module, loader):
    """A text in the source is an import as well: MLflow imports it."""
    from plate_assets.storage.pyfunc import loader_class

    where, _, name = loader.partition(":")
    assert room(where) == room(module) and loader_class(loader).__name__ == name


def test_no_science_takes_a_path():
    """Arrays and tables in, arrays and tables out: reading and writing is the workflows' and the storage's work."""
    faults = []
    for module in modules():
        if room(module) not in SCIENCES:
            continue
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                annotations = [argument.annotation for argument in ast.walk(node.args) if isinstance(argument, ast.arg)]
                written = " ".join(ast.unparse(annotation) for annotation in [*annotations, node.returns] if annotation)
                if {"Path", "UPath", "PurePath", "PathLike"} & set(re.findall(r"\w+", written)):
                    faults.append(f"{module}, line {node.lineno}: {node.name}")
    assert not faults, listed(faults)


@pytest.mark.parametrize("module", modules())
def test_a_module_says_what_it_is_for(module):
    assert ast.get_docstring(tree(module)), f"{module} has no docstring: say what belongs in it, and what does not"


def test_no_module_is_a_drawer():
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}
    faults = [module for module in modules() if drawers & set(module.split("."))]
    assert not faults, f"{faults}: name a module after what it holds"


def test_modules_and_functions_can_be_read_at_a_glance():
    """A file of 500 lines at most, a function of 80: above that, something in it has a name of its own."""
    faults = []
    for module, path in modules().items():
        if (lines := len(path.read_text().splitlines())) > 500:
            faults.append(f"{module}: {lines} lines")
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > 80:
                    faults.append(f"{module}, line {node.lineno}: {node.name} has {length} lines")
    assert not faults, listed(faults)
