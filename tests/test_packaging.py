"""The package as it is shipped: what it declares, what it pins, and what it carries.

Belongs here: pyproject.toml, the constraints, LICENSE. Not here: `deploy/` (`test_deploy`), pages (`test_docs`).
"""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest

import plate_assets
from tests.syntax import syntax

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONSTRAINTS = sorted((ROOT / "constraints").glob("*.txt"))

# Declared, and never imported by us: who loads it.
LOADED_BY_OTHERS = {
    "dagster-webserver": "`make ui` and the unit in deploy/ start it",
    "fastexcel": "polars.read_excel",
    "imagecodecs": "tifffile",
    "dagster-celery": "dagster.yaml of a cluster",
    "dagster-postgres": "dagster.yaml of a cluster",
    "s3fs": "universal-pathlib, for s3:// URLs",
}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(*extras: str) -> set[str]:
    """The packages that pyproject.toml asks for, without their ranges."""
    project = PROJECT["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return {normal(re.match(r"[A-Za-z0-9._-]+", line)[0]) for line in lines}


def imported(folder: str) -> dict[str, str]:
    """Top-level modules that a folder's files import, at any level, with one file that does."""
    found = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(syntax(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            found |= {name.split(".")[0]: str(path.relative_to(ROOT)) for name in names}
    return found


def distributions(modules: dict[str, str]) -> dict[str, str]:
    """The packages that bring these modules, ours and the standard library's left out; of several, the declared ones."""
    known, asked = packages_distributions(), declared(*PROJECT["project"]["optional-dependencies"])
    brought = {}
    for module, path in modules.items():
        if module not in sys.stdlib_module_names and module not in ("plate_assets", "tests", "docs", "benchmarks"):
            names = {normal(name) for name in known.get(module, [module])}
            brought |= dict.fromkeys(names & asked or names, path)
    return brought


def pins(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {normal(name): pinned for name, pinned in (line.split("==") for line in lines)}


def test_what_the_package_imports_is_declared():
    extras = set(PROJECT["project"]["optional-dependencies"]) - {"dev"}
    undeclared = distributions(imported("plate_assets")).keys() - declared(*extras)
    assert not undeclared, f"{undeclared}: imported, and not among the dependencies of pyproject.toml"


def test_what_the_tests_import_is_declared():
    undeclared = distributions(imported("tests")).keys() - declared(*PROJECT["project"]["optional-dependencies"])
    assert not undeclared, f"{undeclared}: imported by a test, and not among the dependencies of pyproject.toml"


def test_what_is_declared_is_used():
    used = distributions(imported("plate_assets")).keys() | {normal(name) for name in LOADED_BY_OTHERS}
    assert not declared() - used, f"{declared() - used}: a dependency earns its place by being used"


def test_each_dependency_says_why_it_is_there():
    lines = (ROOT / "pyproject.toml").read_text().split("dependencies = [")[1].split("\n]")[0].splitlines()
    silent = [line.strip() for line in lines if line.strip().startswith('"') and "#" not in line]
    assert not silent


@pytest.mark.parametrize("path", CONSTRAINTS, ids=lambda path: path.stem)
def test_the_constraints_pin_every_dependency_without_a_local_build(path):
    wanted = declared("dev", "tracking", "s3", "cluster", *(["alibi"] if path.stem == "with-alibi" else []))
    assert not wanted - pins(path).keys()
    local = [name for name, pinned in pins(path).items() if "+" in pinned]
    assert not local, "a local version (`+cpu`) is on no registry: write the version alone"


def test_the_two_environments_differ_in_alibi_detect_and_numpy():
    standard, second = (pins(ROOT / "constraints" / f"{name}.txt") for name in ("with-alibi", "without-alibi"))
    assert "alibi-detect" in standard and "alibi-detect" not in second
    assert standard["numpy"].startswith("1.26.") and second["numpy"].startswith("2.")
    assert standard["torch"] == second["torch"] == "2.13.0"


def test_this_environment_is_one_of_the_two():
    """What is tested is what the constraints say: an environment that drifted proves nothing."""
    name = "with-alibi" if "alibi_detect" in packages_distributions() else "without-alibi"
    wanted = pins(ROOT / "constraints" / f"{name}.txt")
    drifted = {package: version(package) for package in declared("dev") if version(package).split("+")[0] != wanted[package]}
    assert not drifted, (
        f"installed differently from constraints/{name}.txt: {drifted}; remove the environment and run make again"
    )


def test_no_file_names_an_index():
    shipped = [*CONSTRAINTS, ROOT / "pyproject.toml", ROOT / "Makefile", ROOT / ".ci" / "run"]
    option = re.compile(r"--(extra-)?index-url|--find-links|index-url\s*=|https?://\S*(simple|whl|wheels)\b")
    faults = [str(path) for path in shipped if option.search(path.read_text())]
    assert not faults, "from where packages come is the machine's business, not the project's"


def test_what_lies_beside_the_code_is_shipped_with_it():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["plate_assets"]
    package = ROOT / "plate_assets"
    files = {path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    shipped = {path for pattern in patterns for path in package.glob(pattern)}
    assert not files - shipped, "add their pattern to package-data in pyproject.toml"


def test_the_command_says_its_version():
    command = Path(sys.executable).with_name("plate-assets")
    assert command.exists(), "the package is not installed here: run make, or pip install -e ."
    said = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=60)
    assert said.stdout.strip() == plate_assets.__version__, said.stderr


def test_the_licence_is_there_in_full():
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text and "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text
